package qualys

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestParseTime(t *testing.T) {
	noon := time.Date(2026, 3, 17, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name, in string
		want     time.Time
	}{
		{"as Qualys writes it", "2026-03-17T12:00:00.000+0000", noon},
		{"with milliseconds", "2026-03-17T12:00:00.175+0000", noon.Add(175 * time.Millisecond)},
		{"with nanoseconds and more", "2026-03-17T12:00:00.1234567899Z", noon.Add(123_456_789)},
		{"without a fraction", "2026-03-17T12:00:00+0000", noon},
		{"RFC 3339 in UTC", "2026-03-17T12:00:00Z", noon},
		{"RFC 3339 with an offset", "2026-03-17T17:30:00.000+05:30", noon},
		{"an offset to the west", "2026-03-17T04:00:00.000-0800", noon},
		{"an offset in hours", "2026-03-17T14:00:00+02", noon},
		{"no offset", "2026-03-17T12:00:00.000", noon},
		{"a space between", "2026-03-17 12:00:00", noon},
		{"lower case", "2026-03-17t12:00:00z", noon},
		{"leap day", "2024-02-29T00:00:00Z", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)},
		{"epoch milliseconds", "1773748800000", noon},
		{"epoch seconds", "1773748800", noon},

		{"empty", "", time.Time{}},
		{"words", "yesterday at noon, or thereabouts", time.Time{}},
		{"date only", "2026-03-17", time.Time{}},
		{"no leap day", "2026-02-29T00:00:00Z", time.Time{}},
		{"month 13", "2026-13-01T00:00:00Z", time.Time{}},
		{"month 0", "2026-00-01T00:00:00Z", time.Time{}},
		{"day 0", "2026-01-00T00:00:00Z", time.Time{}},
		{"hour 24", "2026-01-01T24:00:00Z", time.Time{}},
		{"minute 60", "2026-01-01T00:60:00Z", time.Time{}},
		{"second 60", "2026-01-01T00:00:60Z", time.Time{}},
		{"a letter for a digit", "2026-01-0xT00:00:00Z", time.Time{}},
		{"a point without a fraction", "2026-01-01T00:00:00.Z", time.Time{}},
		{"an offset of a day", "2026-01-01T00:00:00+2400", time.Time{}},
		{"an offset that is cut", "2026-01-01T00:00:00+000", time.Time{}},
		{"something behind", "2026-01-01T00:00:00Zulu", time.Time{}},
		{"before year 1", "0001-01-01T00:00:00+0100", time.Time{}},
		{"after year 9999", "9999-12-31T23:59:59-0100", time.Time{}},
		{"epoch zero", "0", time.Time{}},
		{"epoch negative", "-1773748800000", time.Time{}},
		{"epoch absurd", "999999999999999999", time.Time{}},
		{"epoch overflow", "99999999999999999999999", time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := parseTime([]byte(tt.in))
			assert.Equal(t, tt.want, got)
		})
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{
		"2026-03-17T12:00:00.000+0000", "2026-03-17T12:00:00Z", "2026-03-17T12:00:00.5-08:00", "2026-03-17 12:00:00", "1773748800000", "17737488e5",
		"0001-01-01T00:00:00+2359", "9999-12-31T23:59:59.999999999-2359", "2024-02-29T00:00:00.1Z",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := parseTime([]byte(s))
		if want, err := time.Parse(time.RFC3339Nano, s); err == nil && want.Format(time.RFC3339Nano) == s && want.UTC().Year() >= 1 && want.UTC().Year() <= 9999 {
			assert.Equal(t, want.UTC(), got, s)
		}
		if got.IsZero() {
			return
		}
		assert.Equal(t, time.UTC, got.Location())
		assert.True(t, got.Year() >= 1 && got.Year() <= 9999, s)
		if len(s) > 4 && s[4] == '-' { // what we take, time.Parse takes in one of these forms, and reads the same
			canonical := strings.ToUpper(strings.Replace(s, " ", "T", 1))
			for _, layout := range []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07", "2006-01-02T15:04:05"} {
				if want, err := time.Parse(layout, canonical); err == nil {
					assert.Equal(t, want.UTC(), got, s)
					return
				}
			}
			t.Errorf("%q is no time, but was read as %v", s, got)
		}
	})
}
