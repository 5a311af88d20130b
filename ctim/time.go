package ctim

import "time"

// Time is an instant as CTIM writes it, RFC 3339 in UTC with milliseconds ("2026-05-04T09:15:30.123Z"),
// or "" where it is missing. [TimeOf] makes it. Years have four digits, so times compare as their texts
// do; a missing one comes first.
type Time string

// Forever is the end of what does not expire, and the last instant that CTIM accepts.
const Forever Time = "2525-01-01T00:00:00.000Z"

// TimeOf is t cut to milliseconds, or missing where CTIM has no such time: before 1970 or after [Forever].
func TimeOf(t time.Time) Time {
	const forever = 17514144000 // in seconds since 1970
	if s := t.Unix(); s < 0 || s > forever || s == forever && t.Nanosecond() > 0 {
		return ""
	}
	return Time(t.UTC().Format("2006-01-02T15:04:05.000Z"))
}

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
