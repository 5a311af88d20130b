package ctim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// millis is how every time is written: RFC 3339 in UTC with three decimals. CTIM's own parser and XDR's both insist on a colon or a Z in the offset.
const millis = "2006-01-02T15:04:05.000Z"

// Bounds of a CTIM time, in seconds since 1970: from there up to the first instant of 2525, which by custom means "never ends".
const (
	minTime = 0
	maxTime = 17514144000
)

// Time is a time that CTIM accepts, to the millisecond. The zero value is "missing".
type Time struct{ t time.Time }

// TimeOf is t cut to milliseconds, or missing where CTIM has no such time: before 1970 or after the first instant of 2525.
func TimeOf(t time.Time) Time {
	s := t.Unix()
	if s < minTime || s > maxTime || s == maxTime && t.Nanosecond() > 0 {
		return Time{}
	}
	return Time{time.Unix(s, int64(t.Nanosecond()/1e6*1e6)).UTC()}
}

// Forever is the end of what does not expire.
func Forever() Time { return TimeOf(time.Unix(maxTime, 0)) }

// IsZero says that the time is missing.
func (t Time) IsZero() bool { return t.t.IsZero() }

// Time is the same instant, in UTC; the zero time where it is missing.
func (t Time) Time() time.Time { return t.t }

// Compare orders times; a missing one comes before all others.
func (t Time) Compare(u Time) int { return t.t.Compare(u.t) }

// String is the time as CTIM writes it, or "" where it is missing.
func (t Time) String() string {
	if t.IsZero() {
		return ""
	}
	var scratch [len(millis)]byte
	return string(t.append(scratch[:0]))
}

// MarshalJSON writes the time as CTIM does, a missing one as null.
func (t Time) MarshalJSON() ([]byte, error) { return t.appendJSON(nil), nil }

// UnmarshalJSON reads an RFC 3339 time or null. A time outside CTIM's bounds is missing.
func (t *Time) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		*t = Time{}
		return nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	u, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return fmt.Errorf("not a CTIM time: %w", err)
	}
	*t = TimeOf(u)
	return nil
}

func (t Time) appendJSON(b []byte) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	return append(t.append(append(b, '"')), '"')
}

// append writes the time in the form of millis, as AppendFormat does in four times the time: an answer has some fifteen times for each event.
func (t Time) append(b []byte) []byte {
	year, month, day := t.t.Date() // within four digits, see maxTime
	hour, minute, second := t.t.Clock()
	thousandths := t.t.Nanosecond() / 1e6
	b = twoDigits(twoDigits(b, year/100), year%100)
	b = twoDigits(append(b, '-'), int(month))
	b = twoDigits(append(b, '-'), day)
	b = twoDigits(append(b, 'T'), hour)
	b = twoDigits(append(b, ':'), minute)
	b = twoDigits(append(b, ':'), second)
	b = twoDigits(append(b, '.'), thousandths/10)
	return append(b, digit(thousandths%10), 'Z')
}

func twoDigits(b []byte, n int) []byte { return append(b, digit(n/10), digit(n%10)) }

func digit(n int) byte { return "0123456789"[n] }

// ObservedTime is when something was seen. Start is required and not after End.
type ObservedTime struct {
	Start Time `json:"start_time"`
	End   Time `json:"end_time,omitzero"`
}

// ValidTime is when something holds. Without a start or an end it is open on that side.
type ValidTime struct {
	Start Time `json:"start_time,omitzero"`
	End   Time `json:"end_time,omitzero"`
}
