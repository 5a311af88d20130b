// Package accesslog writes one line for each request, in the fields that Cloud Logging reads, and joins
// each line with the trace of its request.
//
// A line never holds a credential. Values of observables, and texts that Qualys wrote, are in it at
// debug level only: the fields of [Line] that go out at info are numbers, words of the relay's own, and
// the caller's path and user agent.
package accesslog

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Line is what one request did.
type Line struct {
	Endpoint string // the name of the function
	Request  *http.Request
	Started  time.Time

	Gateway     string
	Observables map[string]int // number of those asked, by type; nil where none was read
	Values      []string       // "type:value", written at debug level only, the first hundred
	Events      int            // of Qualys
	Entities    map[string]int // in the answer, by kind; nil where nothing was searched
	Upstream    Upstream

	Errors []Error // of the answer
	Stack  string  // of a failure of the relay's own, behind its cause, as Error Reporting groups by; "": none

	Status int
	Size   int // bytes of the answer's body
	Took   time.Duration
}

// Upstream is what the request cost at Qualys.
type Upstream struct {
	Calls, Logins, Waits, CacheHits int
	Time                            time.Duration // of all calls added up
	Batches                         []int         // observables of each query
}

// Error is an error of the answer: its code, its cause in words without values, and whether somebody
// should look.
type Error struct {
	Code  string
	Cause string
	Level slog.Level // of the line, where no other error is worse
}

const (
	maxValues  = 100 // observables of a line
	maxText    = 300 // bytes of a text from outside
	maxCauses  = 10
	requestKey = "httpRequest"
	labelsKey  = "logging.googleapis.com/labels"
)

// ServerTiming is the value of the Server-Timing header: where the time went, for whoever called.
func (l *Line) ServerTiming() string {
	return fmt.Sprintf(`total;dur=%.1f, qualys;dur=%.1f;desc="%d calls", cache;desc="%d hits"`,
		milliseconds(time.Since(l.Started)), milliseconds(l.Upstream.Time), l.Upstream.Calls, l.Upstream.CacheHits)
}

// Asked is the number of observables.
func (l *Line) Asked() int {
	asked := 0
	for _, n := range l.Observables {
		asked += n
	}
	return asked
}

// Codes are the codes of the answer's errors, each once.
func (l *Line) Codes() []string {
	var codes []string
	for _, e := range l.Errors {
		if !slices.Contains(codes, e.Code) {
			codes = append(codes, e.Code)
		}
	}
	return codes
}

// Write writes the line.
func (l *Line) Write(ctx context.Context, log *slog.Logger) {
	labels := map[string]string{"endpoint": l.Endpoint}
	if instance := l.Request.Header.Get("X-Module-Instance-Id"); instance != "" {
		labels["module_instance"] = shortened(instance)
	}
	// No group of attributes: slog would leave out all that follows a group that ReplaceAttr has emptied.
	request := struct {
		Latency string `json:"latency"`
		Method  string `json:"requestMethod"`
		Path    string `json:"requestUrl"`
		Size    string `json:"responseSize"`
		Status  int    `json:"status"`
		Agent   string `json:"userAgent"`
	}{
		fmt.Sprintf("%.6fs", l.Took.Seconds()), shortened(l.Request.Method), shortened(l.Request.URL.Path),
		fmt.Sprint(l.Size), l.Status, shortened(l.Request.UserAgent()),
	}
	attrs := []slog.Attr{slog.Any(requestKey, request), slog.Any(labelsKey, labels)}
	add := func(known bool, more ...slog.Attr) {
		if known {
			attrs = append(attrs, more...)
		}
	}
	add(l.Observables != nil, slog.Any("observables", l.Observables))
	add(l.Entities != nil, slog.Int("events", l.Events), slog.Any("entities", l.Entities))
	u := l.Upstream
	add(u.Calls+u.CacheHits > 0, slog.Group("upstream",
		slog.Int("calls", u.Calls), slog.Int("logins", u.Logins),
		slog.Float64("milliseconds", milliseconds(u.Time)), slog.Int("rate_limit_waits", u.Waits),
		slog.Int("cache_hits", u.CacheHits), slog.Any("batch_sizes", u.Batches)))
	add(l.Gateway != "", slog.String("gateway", l.Gateway))
	level := slog.LevelInfo
	if l.Status == http.StatusServiceUnavailable {
		level = slog.LevelWarn
	}
	var causes []string
	for _, e := range l.Errors {
		level = max(level, e.Level)
		causes = append(causes, e.Cause)
	}
	add(len(causes) > 0, slog.Any("error_codes", l.Codes()), slog.Any("causes", firsts(causes, maxCauses)))
	if l.Stack != "" {
		level = slog.LevelError
		add(true, slog.String("stack_trace", l.Stack))
	}
	debug := log.Enabled(ctx, slog.LevelDebug)
	add(debug && len(l.Values) > 0, slog.Any("values", firsts(l.Values, maxValues)))
	log.LogAttrs(ctx, level, l.message(), attrs...)
}

func (l *Line) message() string {
	message := fmt.Sprintf("%s %d in %.0f ms", l.Endpoint, l.Status, milliseconds(l.Took))
	if l.Observables != nil {
		message += fmt.Sprintf(", %d observables, %d events, %d calls", l.Asked(), l.Events, l.Upstream.Calls)
	}
	if codes := l.Codes(); len(codes) > 0 {
		message += ": " + strings.Join(codes, ", ")
	}
	return message
}

// firsts are the first texts of a list, shortened.
func firsts(texts []string, most int) []string {
	var short []string
	for _, text := range texts[:min(most, len(texts))] {
		short = append(short, shortened(text))
	}
	return short
}

// shortened is a caller's text, cut to what a log line can hold.
func shortened(text string) string {
	if len(text) > maxText {
		text = text[:maxText] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD") // the cut may have split a letter
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
