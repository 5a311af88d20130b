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
	for _, header := range []struct {
		name  string
		field *int
	}{
		{"X-RateLimit-Limit", &l.Limit},
		{"X-RateLimit-Remaining", &l.Remaining},
		{"X-ConcurrencyLimit-Limit", &l.Concurrency},
		{"X-Concurrency-Limit-Limit", &l.Concurrency},
	} {
		if n, err := strconv.ParseUint(strings.TrimSpace(h.Get(header.name)), 10, 31); err == nil {
			*header.field, l.Known = int(n), true
		}
	}
	var retryAfter time.Duration
	for _, header := range []struct {
		name  string
		field *time.Duration
	}{
		{"X-RateLimit-Window-Sec", &l.Window},
		{"X-RateLimit-ToWait-Sec", &l.Wait},
		{"Retry-After", &retryAfter},
	} {
		seconds, err := strconv.ParseFloat(strings.TrimSpace(h.Get(header.name)), 64)
		if err == nil && seconds >= 0 { // false for NaN, too
			*header.field, l.Known = time.Duration(min(seconds, maxLimitSeconds)*float64(time.Second)), true
		}
	}
	if at, err := http.ParseTime(h.Get("Retry-After")); err == nil {
		now, err := http.ParseTime(h.Get("Date")) // the server's own clock makes up for ours being off
		if err != nil {
			now = time.Now()
		}
		retryAfter, l.Known = min(max(at.Sub(now), 0), maxLimitSeconds*time.Second), true
	}
	l.Wait = max(l.Wait, retryAfter)
	return l
}
