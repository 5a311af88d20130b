package qualys

import "time"

// parseTime reads the times of events: "2020-03-17T12:19:31.000+0000" (an offset without a colon, so not RFC 3339), RFC 3339, either with any
// fraction or none, a missing offset meaning UTC; and epoch milliseconds. The result is in UTC, or zero for anything else, and for years
// outside of 1 to 9999, which RFC 3339 cannot write. It is written by hand since each event has three of them: it takes a fifth of time.Parse.
func parseTime(s []byte) time.Time {
	if len(s) < len("2006-01-02T15:04:05") || s[4] != '-' {
		return parseEpoch(s)
	}
	if s[7] != '-' || s[10] != 'T' && s[10] != 't' && s[10] != ' ' || s[13] != ':' || s[16] != ':' {
		return time.Time{}
	}
	num := digits{ok: true}
	year, month, day := num.at(s[0:4]), num.at(s[5:7]), num.at(s[8:10])
	hour, minute, second := num.at(s[11:13]), num.at(s[14:16]), num.at(s[17:19])
	rest := s[19:]
	nanos := 0
	if len(rest) > 1 && (rest[0] == '.' || rest[0] == ',') {
		n := 1
		for unit := 100_000_000; n < len(rest) && '0' <= rest[n] && rest[n] <= '9'; n++ {
			nanos += int(rest[n]-'0') * unit
			unit /= 10
		}
		if n == 1 {
			return time.Time{}
		}
		rest = rest[n:]
	}
	offset := 0
	switch {
	case len(rest) == 0, len(rest) == 1 && (rest[0] == 'Z' || rest[0] == 'z'):
	case rest[0] == '+' || rest[0] == '-':
		hours, minutes := rest[1:], rest[:0]
		switch {
		case len(rest) == len("+0000"):
			hours, minutes = rest[1:3], rest[3:]
		case len(rest) == len("+00:00") && rest[3] == ':':
			hours, minutes = rest[1:3], rest[4:]
		case len(rest) != len("+00"):
			return time.Time{}
		}
		h, m := num.at(hours), num.at(minutes)
		if h > 23 || m > 59 {
			return time.Time{}
		}
		offset = h*3600 + m*60
		if rest[0] == '-' {
			offset = -offset
		}
	default:
		return time.Time{}
	}
	if !num.ok || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	if t.Day() != day { // 31 April
		return time.Time{}
	}
	return writable(t.Add(-time.Duration(offset) * time.Second))
}

// digits reads decimal numbers and remembers whether one was none.
type digits struct{ ok bool }

func (d *digits) at(s []byte) int {
	n := 0
	for _, c := range s {
		if c < '0' || '9' < c {
			d.ok = false
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// parseEpoch reads epoch milliseconds. Below 1e11 (milliseconds of early 1973, before any endpoint) the number can only mean seconds.
func parseEpoch(s []byte) time.Time {
	n, ok := integer(s)
	if !ok || n <= 0 {
		return time.Time{}
	}
	if n < 1e11 {
		n *= 1000
	}
	return writable(time.UnixMilli(n).UTC())
}

func writable(t time.Time) time.Time {
	if y := t.Year(); y < 1 || y > 9999 {
		return time.Time{}
	}
	return t
}
