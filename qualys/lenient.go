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

// usual reads the documents of Qualys as they nearly always are. What does not fit is an error, and is read
// again with lenient. Neither is ever changed: the library caches in them what it finds out about types.
var usual = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// lenient makes any JSON value fit any field: the answers of one gateway hold the documents of many agent
// versions, and what one of them calls a number another one calls a string.
var lenient = json.JoinOptions(usual, json.WithUnmarshalers(json.JoinUnmarshalers(
	json.UnmarshalFromFunc(readText),
	json.UnmarshalFromFunc(readInteger),
	json.UnmarshalFromFunc(readObject[wireAsset]),
	json.UnmarshalFromFunc(readObject[digests]),
	json.UnmarshalFromFunc(readObject[registryValue]),
	json.UnmarshalFromFunc(readObject[*File]),
	json.UnmarshalFromFunc(readObject[*wireProcess]),
	json.UnmarshalFromFunc(readObject[*Network]),
	json.UnmarshalFromFunc(readObject[*wireRegistry]),
	json.UnmarshalFromFunc(readObject[*Actor]),
	json.UnmarshalFromFunc(readObject[*wireEvent]),
)))

// eventFields is Event without its method.
type eventFields Event

// wireEvent is an event as Qualys sends it, or {"sortValues":[…],"data":{event}}, as the FIM API's second
// version lists them.
type wireEvent struct {
	eventFields
	Time          wireTime            `json:"dateTime"`
	ProcessedTime wireTime            `json:"eventProcessedTime"`
	Indicators    wireList[Indicator] `json:"indicator2"`
	Process       *wireProcess        `json:"process"`
	Registry      *wireRegistry       `json:"registry"`
	Asset         wireAsset           `json:"asset"`
	Data          *wireEvent          `json:"data"`
}

type wireTime time.Time

type wireList[T comparable] []T

type wireAsset struct {
	Asset
	Interfaces wireList[Interface] `json:"interfaces"`
}

type wireProcess struct {
	Process
	File digests `json:"processFile"`
}

type digests struct {
	SHA256 string `json:"sha256"`
	MD5    string `json:"md5"`
}

type wireRegistry struct {
	Registry
	Value registryValue `json:"value"`
}

type registryValue struct {
	Name string `json:"name"`
	Data string `json:"data"`
}

// event is the event that w is or wraps, nil where it has nothing of one. raw is its JSON.
func (w *wireEvent) event(raw []byte) *Event {
	e := new(Event)
	if *e = w.fields(); !e.hasContent() && w.Data != nil {
		*e = w.Data.fields()
	}
	if !e.hasContent() {
		return nil
	}
	if e.Time.IsZero() {
		e.Time = e.ProcessedTime
	}
	if e.Key = e.ID; e.ID == "" {
		sum := sha256.Sum256(raw)
		e.Key = "sha256:" + hex.EncodeToString(sum[:])
	}
	e.bound()
	return e
}

func (w *wireEvent) fields() Event {
	e := Event(w.eventFields)
	e.Time, e.ProcessedTime, e.Indicators = time.Time(w.Time), time.Time(w.ProcessedTime), w.Indicators
	e.Asset = w.Asset.Asset
	e.Asset.Interfaces = w.Asset.Interfaces
	if p := w.Process; p != nil {
		e.Process = &p.Process
		e.Process.SHA256, e.Process.MD5 = p.File.SHA256, p.File.MD5
	}
	if r := w.Registry; r != nil {
		e.Registry = &r.Registry
		if r.Value != (registryValue{}) {
			e.Registry.ValueName, e.Registry.ValueData = r.Value.Name, r.Value.Data
		}
	}
	return e
}

// UnmarshalJSON reads one event. The only errors are broken JSON and a value that has nothing of an event.
func (e *Event) UnmarshalJSON(raw []byte) error {
	var w wireEvent
	if jsontext.Value(raw).Kind() != '{' {
		return errNotEvent
	}
	if err := json.Unmarshal(raw, &w, lenient); err != nil {
		return err
	}
	read := w.event(raw)
	if read == nil {
		return errNotEvent
	}
	*e = *read
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

// readObject reads an object as the library does, and leaves the zero value for all else.
func readObject[T any](d *jsontext.Decoder, v *T) error {
	if d.PeekKind() == '{' {
		return errors.ErrUnsupported
	}
	var zero T
	*v = zero
	return d.SkipValue()
}

// UnmarshalJSONFrom reads 0 to 10, as a number or in a string; all else ("NA") is "not rated".
func (s *Score) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	text, err := scalar(d)
	*s = Score{}
	if n, ok := integer(text); ok && n >= 0 && n <= 10 {
		*s = Score{Value: int(n), Known: true}
	}
	return err
}

func (t *wireTime) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	text, err := scalar(d)
	*t = wireTime(parseTime(text))
	return err
}

// UnmarshalJSONFrom reads a list's objects, at most maxParts, and passes over the ones without content.
func (list *wireList[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
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
		n := len(*list)
		*list = append(*list, empty)
		if err := json.UnmarshalDecode(d, &(*list)[n]); err != nil {
			return err
		}
		if (*list)[n] == empty {
			*list = (*list)[:n]
		}
	}
	if len(*list) == 0 {
		*list = nil
	}
	_, err := d.ReadToken()
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
