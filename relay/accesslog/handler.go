package accesslog

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/term"
)

// New returns a logger that writes lines of JSON in Cloud Logging's fields, or readable text where w is
// a terminal. project is the Google Cloud project that names the traces; it may be empty.
func New(w io.Writer, level slog.Level, project string) *slog.Logger {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: terminalAttr}))
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: cloudAttr}
	return slog.New(traceHandler{slog.NewJSONHandler(w, options), project})
}

// cloudAttr gives slog's own attributes the names that Cloud Logging reads.
func cloudAttr(groups []string, a slog.Attr) slog.Attr {
	switch {
	case len(groups) > 0:
	case a.Key == slog.MessageKey:
		a.Key = "message"
	case a.Key == slog.LevelKey:
		a.Key = "severity"
		if a.Value.Any() == slog.LevelWarn {
			a.Value = slog.StringValue("WARNING")
		}
	}
	return a
}

// terminalAttr leaves out what a person at a terminal has no use for: it is for Cloud Logging's columns, or
// in the message.
func terminalAttr(groups []string, a slog.Attr) slog.Attr {
	switch {
	case a.Key == requestKey, a.Key == labelsKey:
		return slog.Attr{}
	case len(groups) == 0 && a.Key == slog.TimeKey:
		a.Value = slog.StringValue(a.Value.Time().Format(time.TimeOnly))
	}
	return a
}

// WithTrace puts the trace that the caller's traceparent header names into the context (W3C Trace
// Context). A header that is not valid is ignored. The trace is the caller's word: a label in the log,
// never more.
func WithTrace(ctx context.Context, header http.Header) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(header))
}

// traceHandler adds the trace of the context to each line, so that Cloud Logging shows it with the request.
type traceHandler struct {
	slog.Handler
	project string
}

// Handle adds the fields of the trace.
func (h traceHandler) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		name := span.TraceID().String()
		if h.project != "" {
			name = "projects/" + h.project + "/traces/" + name
		}
		r.AddAttrs(
			slog.String("logging.googleapis.com/trace", name),
			slog.Bool("logging.googleapis.com/trace_sampled", span.IsSampled()),
			slog.String("logging.googleapis.com/spanId", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the trace in the lines of a logger that log.With made. One that log.WithGroup made has
// none: Cloud Logging does not look for it in a group.
func (h traceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traceHandler{h.Handler.WithAttrs(attrs), h.project}
}
