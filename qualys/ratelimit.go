package qualys

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RateLimits is what the headers of one answer say about the tenant's quota. Qualys does not send them on
// every answer, and some gateways send none: Known tells whether there was any.
type RateLimits struct {
	Limit       int           // calls in each window; 0 where not told
	Remaining   int           // calls left in this window; -1 where not told
	Window      time.Duration // 0 where not told
	Wait        time.Duration // how long to leave the tenant alone; 0 where not told
	Concurrency int           // calls allowed at the same time; 0 where not told
	Known       bool
}

// maxLimitSeconds bounds what a header can make anybody wait: an absurd number must not overflow a
// Duration.
const maxLimitSeconds = 7 * 24 * 3600

// rateLimits reads the headers that Qualys's gateway and its older APIs document (X-RateLimit-*, and the
// concurrency header in both spellings), and Retry-After in seconds or as a date. A header that cannot be
// read counts as absent.
func rateLimits(h http.Header) RateLimits {
	l := RateLimits{Remaining: -1}
	if n, ok := headerInt(h, "X-RateLimit-Limit"); ok {
		l.Limit, l.Known = n, true
	}
	if n, ok := headerInt(h, "X-RateLimit-Remaining"); ok {
		l.Remaining, l.Known = n, true
	}
	if d, ok := headerSeconds(h, "X-RateLimit-Window-Sec"); ok {
		l.Window, l.Known = d, true
	}
	if d, ok := headerSeconds(h, "X-RateLimit-ToWait-Sec"); ok {
		l.Wait, l.Known = d, true
	}
	if d, ok := retryAfter(h); ok {
		l.Wait, l.Known = max(l.Wait, d), true
	}
	for _, name := range [...]string{"X-ConcurrencyLimit-Limit", "X-Concurrency-Limit-Limit"} {
		if n, ok := headerInt(h, name); ok {
			l.Concurrency, l.Known = n, true
		}
	}
	return l
}

func headerInt(h http.Header, name string) (int, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(h.Get(name)), 10, 31)
	return int(n), err == nil
}

func headerSeconds(h http.Header, name string) (time.Duration, bool) {
	s, err := strconv.ParseFloat(strings.TrimSpace(h.Get(name)), 64)
	if err != nil || !(s >= 0) { // the comparison is false for NaN
		return 0, false
	}
	return time.Duration(min(s, maxLimitSeconds) * float64(time.Second)), true
}

func retryAfter(h http.Header) (time.Duration, bool) {
	if d, ok := headerSeconds(h, "Retry-After"); ok {
		return d, true
	}
	at, err := http.ParseTime(h.Get("Retry-After"))
	if err != nil {
		return 0, false
	}
	now, err := http.ParseTime(h.Get("Date")) // the server's own clock makes up for ours being off
	if err != nil {
		now = time.Now()
	}
	return min(max(at.Sub(now), 0), maxLimitSeconds*time.Second), true
}
