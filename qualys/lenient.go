package qualys

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxText  = 8 << 10 // bytes of a text that are kept: no field of CTIM holds as much
	maxParts = 256     // indicators, and interfaces, of one event; more are passed over
)

var errNotEvent = errors.New("not an event")

// lenient makes any JSON value fit any field: the answers of one gateway hold the documents of many agent
// versions, and what one of them calls a number another one calls a string. It is never changed; it is
// kept since the library caches what it finds out about types in it.
var lenient = json.JoinOptions(
	jsontext.AllowDuplicateNames(true),
	jsontext.AllowInvalidUTF8(true),
	json.WithUnmarshalers(json.JoinUnmarshalers(
		json.UnmarshalFromFunc(readText),
		json.UnmarshalFromFunc(readInteger),
		json.UnmarshalFromFunc(readScore),
		json.UnmarshalFromFunc(readTime),
		json.UnmarshalFromFunc(readList[Indicator]),
		json.UnmarshalFromFunc(readList[Interface]),
		json.UnmarshalFromFunc(readObject[Asset]),
		json.UnmarshalFromFunc(readObject[digests]),
		json.UnmarshalFromFunc(readObject[registryValue]),
		json.UnmarshalFromFunc(readObject[*File]),
		json.UnmarshalFromFunc(readObject[*Network]),
		json.UnmarshalFromFunc(readObject[*Actor]),
		json.UnmarshalFromFunc(readObject[*eventFields]),
		json.UnmarshalFromFunc(readProcess),
		json.UnmarshalFromFunc(readRegistry),
	)),
)

// eventFields is Event without its method.
type eventFields Event

// UnmarshalJSON reads one event, or the event in {"sortValues":[…],"data":{event}}, as the FIM API's
// second version lists them. The only errors are broken JSON and a value that has nothing of an event.
func (e *Event) UnmarshalJSON(raw []byte) error {
	var v struct {
		eventFields
		Data *eventFields `json:"data"`
	}
	if jsontext.Value(raw).Kind() != '{' {
		return errNotEvent
	}
	if err := json.Unmarshal(raw, &v, lenient); err != nil {
		return err
	}
	fields := &v.eventFields
	if !(*Event)(fields).hasContent() {
		if fields = v.Data; fields == nil || !(*Event)(fields).hasContent() {
			return errNotEvent
		}
	}
	*e = Event(*fields)
	if e.Time.IsZero() {
		e.Time = e.ProcessedTime
	}
	if e.Key = e.ID; e.ID == "" {
		sum := sha256.Sum256(raw)
		e.Key = "sha256:" + hex.EncodeToString(sum[:])
	}
	e.bound()
	return nil
}

func (e *Event) hasContent() bool {
	return e.ID != "" || e.Type != "" || !e.Time.IsZero() || e.Score.Known || len(e.Indicators) > 0 ||
		e.File != nil || e.Process != nil || e.Network != nil || e.Registry != nil
}

// bound cuts the texts and sets Size.
func (e *Event) bound() {
	e.Size = int(unsafe.Sizeof(*e)) + cap(e.Indicators)*int(unsafe.Sizeof(Indicator{})) +
		cap(e.Asset.Interfaces)*int(unsafe.Sizeof(Interface{}))
	each := func(texts ...*string) {
		for _, s := range texts {
			if len(*s) > maxText {
				n := maxText
				for n > maxText-utf8.UTFMax && !utf8.RuneStart((*s)[n]) {
					n--
				}
				*s = strings.Clone((*s)[:n])
			}
			e.Size += len(*s)
		}
	}
	each(&e.ID, &e.Type, &e.Action, &e.TimeSeriesID, &e.Source)
	each(&e.Asset.AgentID, &e.Asset.HostName, &e.Asset.NetBIOSName, &e.Asset.FullOSName, &e.Asset.Platform)
	if f := e.File; f != nil {
		e.Size += int(unsafe.Sizeof(*f))
		each(&f.FullPath, &f.Name, &f.MD5, &f.SHA256)
	}
	if p := e.Process; p != nil {
		e.Size += int(unsafe.Sizeof(*p))
		each(&p.Name, &p.FullPath, &p.Arguments, &p.UserName, &p.SHA256, &p.MD5)
	}
	if n := e.Network; n != nil {
		e.Size += int(unsafe.Sizeof(*n))
		each(&n.LocalIP, &n.RemoteIP, &n.RemoteDNS, &n.Protocol, &n.Direction)
	}
	if r := e.Registry; r != nil {
		e.Size += int(unsafe.Sizeof(*r))
		each(&r.Key, &r.ValueName, &r.ValueData)
	}
	if a := e.Actor; a != nil {
		e.Size += int(unsafe.Sizeof(*a))
		each(&a.ProcessName, &a.ImageFullPath)
	}
	for i := range e.Indicators {
		v := &e.Indicators[i]
		each(&v.SHA256, &v.Verdict, &v.FamilyName, &v.ThreatName, &v.Category)
	}
	for i := range e.Asset.Interfaces {
		each(&e.Asset.Interfaces[i].IPAddress, &e.Asset.Interfaces[i].MACAddress)
	}
}

// readText reads a string, and a number as its text; all else is "".
func readText(d *jsontext.Decoder, s *string) error {
	if d.PeekKind() == '"' {
		return errors.ErrUnsupported // the library's own way, which keeps a text that repeats once
	}
	text, err := scalar(d)
	*s = text
	return err
}

// readInteger reads a whole number, also in a string and written as 7.0; all else is 0.
func readInteger(d *jsontext.Decoder, n *int64) error {
	text, err := scalar(d)
	*n, _ = integer(text)
	return err
}

// readScore reads 0 to 10, as a number or in a string; all else ("NA") is "not rated".
func readScore(d *jsontext.Decoder, s *Score) error {
	text, err := scalar(d)
	*s = Score{}
	if n, ok := integer(text); ok && n >= 0 && n <= 10 {
		*s = Score{Value: int(n), Known: true}
	}
	return err
}

func readTime(d *jsontext.Decoder, t *time.Time) error {
	text, err := scalar(d)
	*t = parseTime(text)
	return err
}

// readList reads a list's objects, at most maxParts, and passes over the ones without content.
func readList[T comparable](d *jsontext.Decoder, list *[]T) error {
	*list = nil
	if d.PeekKind() != '[' {
		return d.SkipValue()
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	var empty T
	for d.PeekKind() != ']' {
		if d.PeekKind() != '{' || len(*list) == maxParts {
			if err := d.SkipValue(); err != nil {
				return err
			}
			continue
		}
		var v T
		if err := json.UnmarshalDecode(d, &v); err != nil {
			return err
		}
		if v != empty {
			*list = append(*list, v)
		}
	}
	_, err := d.ReadToken()
	return err
}

// readObject reads an object as the library does, and leaves the zero value for all else.
func readObject[T any](d *jsontext.Decoder, v *T) error {
	if d.PeekKind() == '{' {
		return errors.ErrUnsupported
	}
	var zero T
	*v = zero
	return d.SkipValue()
}

type digests struct {
	SHA256 string `json:"sha256"`
	MD5    string `json:"md5"`
}

func readProcess(d *jsontext.Decoder, p **Process) error {
	*p = nil
	if d.PeekKind() != '{' {
		return d.SkipValue()
	}
	var v struct {
		Process
		File digests `json:"processFile"`
	}
	err := json.UnmarshalDecode(d, &v)
	v.SHA256, v.MD5 = v.File.SHA256, v.File.MD5
	*p = &v.Process
	return err
}

type registryValue struct {
	Name string `json:"name"`
	Data string `json:"data"`
}

func readRegistry(d *jsontext.Decoder, r **Registry) error {
	*r = nil
	if d.PeekKind() != '{' {
		return d.SkipValue()
	}
	var v struct {
		Registry
		Value registryValue `json:"value"`
	}
	err := json.UnmarshalDecode(d, &v)
	if v.Value != (registryValue{}) {
		v.ValueName, v.ValueData = v.Value.Name, v.Value.Data
	}
	*r = &v.Registry
	return err
}

// scalar reads a string or the text of a number; all else is "".
func scalar(d *jsontext.Decoder) (string, error) {
	if kind := d.PeekKind(); kind != '"' && kind != '0' {
		return "", d.SkipValue()
	}
	token, err := d.ReadToken()
	if err != nil {
		return "", err
	}
	return token.String(), nil
}

// integer reads a whole number, which may be written as 7.0 or 7e0.
func integer(s string) (int64, bool) {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

// parseTime reads "2020-03-17T12:19:31.000+0000" as Qualys writes it, RFC 3339, other ISO forms, dates in
// words ("17 March 2026", "Mar 17, 2026 12:19:31 GMT"), and numbers since 1970: seconds, milli-, micro- or
// nanoseconds, told apart by their size. Without an offset it is UTC. The result is in UTC, and zero for
// anything else: forms like 3/4/2026, names of time zones, years outside of 1 to 9999.
func parseTime(s string) time.Time {
	if t, err := time.Parse("2006-01-02T15:04:05Z0700", s); err == nil {
		return writable(t.UTC())
	}
	s = strings.ToUpper(strings.TrimSpace(s))
	if n, ok := integer(s); ok {
		return epoch(n)
	}
	if len(s) > len("2006-01-02 ") && s[10] == ' ' && s[4] == '-' {
		s = s[:10] + "T" + s[11:]
	}
	for _, layout := range [...]string{
		time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07", "2006-01-02T15:04:05",
		"2006-01-02T15:04Z07:00", "2006-01-02T15:04", time.DateOnly, "20060102T150405Z0700",
		time.ANSIC, "Mon, 2 Jan 2006 15:04:05 GMT", time.RFC1123Z,
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return writable(t.UTC())
		}
	}
	clocks := [...]string{"", " 15:04", " 15:04:05", " 3:04:05 PM", " 15:04:05 GMT", " 15:04:05 -0700"}
	for _, date := range [...]string{
		"2 January 2006", "2 Jan 2006", "January 2, 2006", "Jan 2, 2006", "2-Jan-2006",
	} {
		for _, clock := range clocks {
			if t, err := time.Parse(date+clock, s); err == nil {
				return writable(t.UTC())
			}
		}
	}
	return time.Time{}
}

// epoch reads a number since 1970 by its size, where that gives a date of an endpoint.
func epoch(n int64) time.Time {
	var t time.Time
	switch {
	case n < 1e11:
		t = time.Unix(n, 0)
	case n < 1e14:
		t = time.UnixMilli(n)
	case n < 1e17:
		t = time.UnixMicro(n)
	default:
		t = time.Unix(0, n)
	}
	if t = t.UTC(); t.Year() < 1973 || t.Year() > 2200 { // "20260317" and "20260317120000" are something else
		return time.Time{}
	}
	return t
}

// writable is zero for years that RFC 3339 cannot write.
func writable(t time.Time) time.Time {
	if y := t.Year(); y < 1 || y > 9999 {
		return time.Time{}
	}
	return t
}
