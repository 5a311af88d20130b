package qualys

import (
	"math"
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
	number := func(name string) float64 { // -1 where absent
		if text := strings.TrimSpace(h.Get(name)); text != "" {
			if n, err := strconv.ParseFloat(text, 64); err == nil && n >= 0 { // false for NaN, too
				l.Known = true
				return min(n, math.MaxInt32)
			}
		}
		return -1
	}
	seconds := func(n float64) time.Duration {
		return time.Duration(min(max(n, 0), maxWaitSeconds) * float64(time.Second))
	}
	// The names as net/http has them: others would have to be made so each time.
	l.Limit = int(max(number("X-Ratelimit-Limit"), 0))
	l.Remaining = int(number("X-Ratelimit-Remaining"))
	l.Concurrency = int(max(number("X-Concurrencylimit-Limit"), number("X-Concurrency-Limit-Limit"), 0))
	l.Window = seconds(number("X-Ratelimit-Window-Sec"))
	l.Wait = seconds(max(number("X-Ratelimit-Towait-Sec"), number("Retry-After")))
	return l
}
