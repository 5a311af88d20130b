package qualys

import (
	"bytes"
	"hash/maphash"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxText  = 8 << 10 // bytes of a text that are kept: no field of CTIM holds as much
	maxParts = 256     // indicators, and interfaces, of one event; more are passed over

	maxShared = 64 // bytes of a text that may be the same in many events
)

// members are the fields of a struct by their names in JSON, which are in its tags.
type members map[string]member

type member struct {
	field   int     // its index in the struct
	members members // where it is an object, or a list of them
	whole   bool    // it is no field, but all of the struct once more
}

// eventMembers are those of an Event, also in the form {"sortValues":[…],"data":{event}}, in which the FIM
// API's second version lists them: one level deep, so that no answer decides how deep the reader recurses.
// They are never changed.
var eventMembers = func() members {
	event, wrapped := membersOf(reflect.TypeFor[Event]()), membersOf(reflect.TypeFor[Event]())
	event["data"] = member{members: wrapped, whole: true}
	return event
}()

func membersOf(t reflect.Type) members {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	all := make(members)
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("json"); name != "" {
			all[name] = member{field: i, members: membersOf(t.Field(i).Type)}
		}
	}
	return all
}

// eventReader reads events. Any JSON value fits any field: the answers of one gateway hold the documents of
// many agent versions, and what one of them calls a number another one calls a string.
type eventReader struct {
	*jsontext.Decoder
	texts [64]string // the last short ones by their hash: many are the same in each event
	seed  maphash.Seed
	text  []byte // a buffer
	size  int    // of the event at hand
}

func newEventReader(r io.Reader) *eventReader {
	d := jsontext.NewDecoder(r, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return &eventReader{Decoder: d, seed: maphash.MakeSeed()}
}

// event reads the next value, which is nil where it is no event. It has no key yet.
func (r *eventReader) event() (*Event, error) {
	e := new(Event)
	v := reflect.ValueOf(e).Elem()
	r.size = int(v.Type().Size())
	if err := r.value(v, eventMembers); err != nil || v.IsZero() {
		return nil, err
	}
	if e.Time.IsZero() {
		e.Time = e.ProcessedTime
	}
	e.Size = r.size
	return e, nil
}

// each reads a list or an object. It calls read where an element or a name begins.
func (r *eventReader) each(read func() error) error {
	_, _ = r.ReadToken()
	for kind := r.PeekKind(); kind != ']' && kind != '}'; kind = r.PeekKind() {
		if err := read(); err != nil {
			return err
		}
	}
	_, err := r.ReadToken()
	return err
}

// value reads what fits the type of v, and passes over all else.
func (r *eventReader) value(v reflect.Value, known members) error {
	if len(known) == 0 {
		return r.set(v)
	}
	switch kind, isList := r.PeekKind(), v.Kind() == reflect.Slice; {
	case isList && kind == '[':
		err := r.each(func() error { return r.part(v, known) })
		r.size += v.Cap() * int(v.Type().Elem().Size())
		if v.Len() == 0 {
			v.SetZero()
		}
		return err
	case !isList && kind == '{':
		if v.Kind() == reflect.Pointer {
			v.Set(reflect.New(v.Type().Elem()))
			v = v.Elem()
			r.size += int(v.Type().Size())
		}
		return r.each(func() error { return r.member(v, known) })
	}
	return r.SkipValue()
}

// member reads a name, and its value into a field of v.
func (r *eventReader) member(v reflect.Value, known members) error {
	name, err := r.scalar()
	if err != nil {
		return err
	}
	m, isKnown := known[string(name)]
	switch {
	case !isKnown, m.whole && !v.IsZero():
		return r.SkipValue()
	case m.whole:
		return r.value(v, m.members)
	}
	field := v.Field(m.field)
	field.SetZero() // of a name that is there twice, the last one counts
	return r.value(field, m.members)
}

// part appends an element to a list: only one with content, and maxParts at most.
func (r *eventReader) part(list reflect.Value, known members) error {
	n := list.Len()
	if n == maxParts {
		return r.SkipValue()
	}
	list.Grow(1)
	list.SetLen(n + 1)
	part := list.Index(n)
	part.SetZero()
	err := r.value(part, known)
	if part.IsZero() {
		list.SetLen(n)
	}
	return err
}

// set reads a text, number, time or score, and leaves the zero value for all else.
func (r *eventReader) set(v reflect.Value) error {
	text, err := r.scalar()
	switch field := v.Addr().Interface().(type) {
	case *string:
		*field = r.keep(text)
	case *int64: // also in a string and written as 7.0
		*field, _ = integer(string(text))
	case *time.Time:
		*field = parseTime(string(text))
	case *Score: // 0 to 10; all else ("NA") is "not rated"
		*field = Score{}
		if n, ok := integer(string(text)); ok && n >= 0 && n <= 10 {
			*field = Score{Value: int(n), Known: true}
		}
	}
	return err
}

// scalar reads a string or the text of a number; all else is empty. It is valid until the next one.
func (r *eventReader) scalar() ([]byte, error) {
	raw, err := r.ReadValue()
	switch raw.Kind() {
	case '"':
		if text := raw[1 : len(raw)-1]; bytes.IndexByte(text, '\\') < 0 && utf8.Valid(text) {
			return text, err
		}
		r.text, _ = jsontext.AppendUnquote(r.text[:0], raw) // its error is that there was invalid UTF-8
		return r.text, err
	case '0':
		return raw, err
	}
	return nil, err
}

// keep returns a text as a string, cut at maxText.
func (r *eventReader) keep(text []byte) string {
	if len(text) > maxText {
		text = bytes.ToValidUTF8(text[:maxText], nil) // without half a letter at its end
	}
	r.size += len(text)
	if len(text) > maxShared {
		return string(text)
	}
	last := &r.texts[maphash.Bytes(r.seed, text)%uint64(len(r.texts))]
	if *last != string(text) {
		*last = string(text)
	}
	return *last
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
	if local, isUTC := strings.CutSuffix(s, "+0000"); isUTC {
		s = local + "Z"
	}
	t, err := time.Parse(time.RFC3339, s) // which has a short cut
	if err != nil {
		t = otherTime(strings.ToUpper(strings.TrimSpace(s)))
	}
	if t = t.UTC(); t.Year() < 1 || t.Year() > 9999 { // RFC 3339 cannot write it
		return time.Time{}
	}
	return t
}

// otherTime reads what parseTime reads beside RFC 3339, in capitals.
func otherTime(s string) time.Time {
	if n, ok := integer(s); ok {
		return epoch(n)
	}
	if len(s) > len(time.DateOnly) && s[len(time.DateOnly)] == 'T' {
		s = s[:len(time.DateOnly)] + " " + s[len(time.DateOnly)+1:]
	}
	for _, date := range [...]string{
		time.DateOnly, "2 January 2006", "2 Jan 2006", "January 2, 2006", "Jan 2, 2006", "2-Jan-2006",
		"Mon, 2 Jan 2006", time.ANSIC, "20060102T150405Z0700",
	} {
		for _, clock := range [...]string{
			"", " 15:04", " 15:04Z07:00", " 15:04:05", " 15:04:05Z07:00", " 15:04:05Z0700", " 15:04:05Z07",
			" 15:04:05 -0700", " 15:04:05 GMT", " 3:04:05 PM",
		} {
			if t, err := time.Parse(date+clock, s); err == nil {
				return t
			}
		}
	}
	return time.Time{}
}

// epoch reads a number since 1970 in the unit that gives a date of an endpoint. "20260317" and
// "20260317120000" are something else.
func epoch(n int64) time.Time {
	for _, t := range [...]time.Time{time.Unix(n, 0), time.UnixMilli(n), time.UnixMicro(n), time.Unix(0, n)} {
		if t.Year() >= 1973 && t.Year() <= 2200 {
			return t
		}
	}
	return time.Time{}
}
