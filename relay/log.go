package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"qualysrelay.example/ctim"
	"qualysrelay.example/relay/search"
)

// record is what one request did: its log line, its Server-Timing header, and the attributes of its span. It never holds a credential.
type record struct {
	started  time.Time
	endpoint string
	request  *http.Request
	trace    traceParent

	gateway     string
	observables []search.Observable
	types       map[string]int
	events      int
	counts      map[string]int // entities by kind
	stats       search.Stats
	problems    []*Error

	status int
	size   int
	took   time.Duration
}

const labelsKey = "logging.googleapis.com/labels"

func newRecord(r *http.Request, endpoint string) *record {
	return &record{started: time.Now(), endpoint: endpoint, request: r, trace: traceParentOf(r.Header)}
}

func (rec *record) asked(observables []search.Observable) {
	rec.observables = observables
	rec.types = make(map[string]int)
	for _, o := range observables {
		if o.Supported() {
			rec.types[o.Type]++
		} else {
			rec.types["unsupported"]++ // a type is the caller's text: only those we know become a name in a log
		}
	}
}

func (rec *record) cost(stats search.Stats) { rec.stats = stats }

func (rec *record) entities(b *ctim.Bundle) {
	rec.counts = make(map[string]int)
	for _, kind := range []ctim.Kind{ctim.KindSighting, ctim.KindIndicator, ctim.KindJudgement, ctim.KindRelationship, ctim.KindVerdict} {
		if n := b.Count(kind); n > 0 {
			rec.counts[string(kind)] = n
		}
	}
}

func (rec *record) finish(status, size int) {
	rec.status, rec.size, rec.took = status, size, time.Since(rec.started)
}

// serverTiming tells the caller where the time went, as the Server-Timing header has it.
func (rec *record) serverTiming() string {
	return fmt.Sprintf(`total;dur=%.1f, qualys;dur=%.1f;desc="%d calls", cache;desc="%d hits"`,
		milliseconds(time.Since(rec.started)), milliseconds(rec.stats.Upstream), rec.stats.Calls, rec.stats.CacheHits)
}

// codes are the error codes of the answer, each once.
func (rec *record) codes() []string {
	var codes []string
	seen := make(map[Code]bool)
	for _, e := range rec.problems {
		if !seen[e.Code] {
			seen[e.Code] = true
			codes = append(codes, string(e.Code))
		}
	}
	return codes
}

// ours is the first failure that is the relay's own fault; nil where none is.
func (rec *record) ours() *Error {
	for _, e := range rec.problems {
		if e.Message == ownFault {
			return e
		}
	}
	return nil
}

// log writes the request's one line. Values of observables are in it at debug level only.
func (rec *record) log(ctx context.Context, log *slog.Logger) {
	level := slog.LevelInfo
	for _, e := range rec.problems {
		if e.Severity != Warning {
			level = slog.LevelWarn
		}
	}
	attrs := []slog.Attr{
		slog.Group("httpRequest",
			slog.String("requestMethod", rec.request.Method),
			slog.String("requestUrl", shortened(rec.request.URL.Path)),
			slog.Int("status", rec.status),
			slog.String("responseSize", strconv.Itoa(rec.size)),
			slog.String("userAgent", shortened(rec.request.UserAgent())),
			slog.String("latency", strconv.FormatFloat(rec.took.Seconds(), 'f', 6, 64)+"s"),
		),
		slog.Any(labelsKey, rec.labels()),
	}
	if rec.types != nil {
		attrs = append(attrs, slog.Any("observables", rec.types))
	}
	if rec.counts != nil {
		attrs = append(attrs, slog.Int("events", rec.events), slog.Any("entities", rec.counts))
	}
	if rec.stats.Calls+rec.stats.CacheHits > 0 {
		attrs = append(attrs, slog.Group("upstream",
			slog.Int("calls", rec.stats.Calls), slog.Int("logins", rec.stats.Logins), slog.Float64("milliseconds", milliseconds(rec.stats.Upstream)),
			slog.Int("rate_limit_waits", rec.stats.Waits), slog.Int("cache_hits", rec.stats.CacheHits), slog.Any("batch_sizes", rec.stats.Batches)))
	}
	if rec.gateway != "" {
		attrs = append(attrs, slog.String("gateway", rec.gateway))
	}
	if len(rec.problems) > 0 {
		attrs = append(attrs, slog.Any("error_codes", rec.codes()), slog.Any("causes", rec.causes()))
	}
	if own := rec.ours(); own != nil {
		level = slog.LevelError
		attrs = append(attrs, slog.String("stack_trace", stackOf(own)))
	}
	if log.Enabled(ctx, slog.LevelDebug) {
		attrs = append(attrs, slog.Any("values", rec.values()))
	}
	log.LogAttrs(contextWithTrace(ctx, rec.trace), level, rec.message(), attrs...)
}

func (rec *record) labels() map[string]string {
	labels := map[string]string{"endpoint": rec.endpoint}
	if instance := rec.request.Header.Get("X-Module-Instance-Id"); instance != "" {
		labels["module_instance"] = shortened(instance)
	}
	return labels
}

func (rec *record) message() string {
	message := fmt.Sprintf("%s %d in %.0f ms", rec.endpoint, rec.status, milliseconds(rec.took))
	if rec.observables != nil {
		message += fmt.Sprintf(", %d observables, %d events, %d calls", len(rec.observables), rec.events, rec.stats.Calls)
	}
	if codes := rec.codes(); len(codes) > 0 {
		message += ": " + strings.Join(codes, ", ")
	}
	return message
}

// causes are the errors behind the answer's, which the analyst does not see.
func (rec *record) causes() []string {
	const most = 10
	var causes []string
	for _, e := range rec.problems[:min(most, len(rec.problems))] {
		if e.cause != nil {
			causes = append(causes, outcome(e.cause))
		} else {
			causes = append(causes, string(e.Code))
		}
	}
	return causes
}

func (rec *record) values() []string {
	const most = 100
	var values []string
	for _, o := range rec.observables[:min(most, len(rec.observables))] {
		values = append(values, shortened(o.Type+":"+o.Value))
	}
	return values
}

// stackOf is a stack as Error Reporting groups it: where a panic happened, or where the failure was logged.
func stackOf(e *Error) string {
	stack := debug.Stack()
	if p, ok := errors.AsType[*panicError](e.cause); ok {
		stack = p.stack
	}
	return e.cause.Error() + "\n\n" + string(stack)
}

// shortened keeps a caller's or an upstream's text to what a log line can bear.
func shortened(text string) string {
	const most = 300
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// traceParent is the trace that the platform or the caller began. It is forgeable: a label, never more.
type traceParent struct {
	trace, span string
	sampled     bool
}

type traceKey struct{}

func contextWithTrace(ctx context.Context, t traceParent) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// traceParentOf reads the W3C traceparent header, else Google's older X-Cloud-Trace-Context ("trace/span;o=1", the span in decimal).
func traceParentOf(h http.Header) traceParent {
	if parts := strings.Split(h.Get("traceparent"), "-"); len(parts) >= 4 && isHex(parts[1], 32) && isHex(parts[2], 16) && isHex(parts[3], 2) {
		flags, err := strconv.ParseUint(parts[3], 16, 8)
		return traceParent{parts[1], parts[2], err == nil && flags&1 == 1}
	}
	trace, rest, _ := strings.Cut(h.Get("X-Cloud-Trace-Context"), "/")
	if trace = strings.ToLower(trace); !isHex(trace, 32) {
		return traceParent{}
	}
	t := traceParent{trace: trace}
	span, options, _ := strings.Cut(rest, ";")
	if n, err := strconv.ParseUint(span, 10, 64); err == nil {
		t.span = fmt.Sprintf("%016x", n)
	}
	t.sampled = options == "o=1"
	return t
}

func isHex(text string, length int) bool {
	if len(text) != length {
		return false
	}
	return strings.Trim(text, "0123456789abcdef") == ""
}

// newLogger writes lines of JSON in Cloud Logging's fields, or readable text where w is a terminal.
func newLogger(w io.Writer, level slog.Level, project string) *slog.Logger {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return slog.New(newTerminalHandler(w, level))
	}
	return slog.New(cloudHandler{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: cloudAttr}), project})
}

// terminalHandler leaves what a person at a terminal wants to read: the rest is for Cloud Logging's columns, or in the message.
type terminalHandler struct{ slog.Handler }

func newTerminalHandler(w io.Writer, level slog.Level) terminalHandler {
	clock := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			a.Value = slog.StringValue(a.Value.Time().Format(time.TimeOnly))
		}
		return a
	}
	return terminalHandler{slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: clock})}
}

func (h terminalHandler) Handle(ctx context.Context, r slog.Record) error {
	kept := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "httpRequest" && a.Key != labelsKey {
			kept.AddAttrs(a)
		}
		return true
	})
	return h.Handler.Handle(ctx, kept)
}

// cloudAttr gives slog's own attributes the names that Cloud Logging reads.
func cloudAttr(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.MessageKey:
		a.Key = "message"
	case slog.LevelKey:
		a.Key = "severity"
		if level, ok := a.Value.Any().(slog.Level); ok && level == slog.LevelWarn {
			a.Value = slog.StringValue("WARNING")
		}
	}
	return a
}

// cloudHandler adds the trace of the context to each line, so that Cloud Logging nests it under the request.
type cloudHandler struct {
	slog.Handler
	project string
}

func (h cloudHandler) Handle(ctx context.Context, r slog.Record) error {
	if t, ok := ctx.Value(traceKey{}).(traceParent); ok && t.trace != "" {
		name := t.trace
		if h.project != "" {
			name = "projects/" + h.project + "/traces/" + t.trace
		}
		r.AddAttrs(slog.String("logging.googleapis.com/trace", name), slog.Bool("logging.googleapis.com/trace_sampled", t.sampled))
		if t.span != "" {
			r.AddAttrs(slog.String("logging.googleapis.com/spanId", t.span))
		}
	}
	return h.Handler.Handle(ctx, r)
}
