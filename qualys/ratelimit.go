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

// maxWaitSeconds bounds what an answer can make anybody wait: an absurd number must not overflow a Duration.
const maxWaitSeconds = 7 * 24 * 3600

// LimitsOf reads the headers that Qualys's gateway and its older APIs document (X-RateLimit-*, and the
// concurrency header in both spellings), and Retry-After in seconds. A header that cannot be read counts as
// absent.
func LimitsOf(h http.Header) RateLimits {
	var l RateLimits
	number := func(name string) int { // -1 where absent
		n, err := strconv.Atoi(strings.TrimSpace(h.Get(name)))
		if err != nil || n < 0 {
			return -1
		}
		l.Known = true
		return n
	}
	seconds := func(n int) time.Duration { return min(time.Duration(max(n, 0)), maxWaitSeconds) * time.Second }
	l.Limit = max(number("X-RateLimit-Limit"), 0)
	l.Remaining = number("X-RateLimit-Remaining")
	l.Concurrency = max(number("X-ConcurrencyLimit-Limit"), number("X-Concurrency-Limit-Limit"), 0)
	l.Window = seconds(number("X-RateLimit-Window-Sec"))
	l.Wait = seconds(max(number("X-RateLimit-ToWait-Sec"), number("Retry-After")))
	return l
}
