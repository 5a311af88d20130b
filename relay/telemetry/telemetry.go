// Package telemetry sends spans and metrics over OTLP, as the OTEL_ variables of OpenTelemetry's
// specification say. Where it is off, each method costs a comparison.
//
// An instance of Cloud Run has a processor only during a request, so each request sends what it left:
// before the last byte of its answer, and within flushTime. A collector that does not answer within it
// is left alone for pauseTime: it costs a request flushTime at most, and most requests nothing. What
// cannot be sent is lost, never the answer.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"qualysrelay.example/qualys"
)

const (
	flushTime = 250 * time.Millisecond
	pauseTime = 30 * time.Second
	closeTime = time.Second

	scope = "qualysrelay.example/relay"
)

// Telemetry is safe for concurrent use.
type Telemetry struct {
	enabled bool
	setUp   func() *exporters
	paused  atomic.Int64 // until this time, in nanoseconds since 1970
}

type exporters struct {
	traces  *sdktrace.TracerProvider
	metrics *sdkmetric.MeterProvider
	tracer  trace.Tracer

	requests, codes, calls, waits metric.Int64Counter
	latency, upstream, batches    metric.Float64Histogram
}

// New makes nothing yet: the first request does, so that the start is not delayed.
func New(enabled bool, version string, log *slog.Logger) *Telemetry {
	return &Telemetry{enabled: enabled, setUp: sync.OnceValue(func() *exporters {
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
			log.Warn("telemetry cannot be sent", slog.Any("error", err))
		}))
		x, err := newExporters(version)
		if err != nil {
			log.Error("telemetry cannot be set up", slog.Any("error", err))
			return nil
		}
		return x
	})}
}

func newExporters(version string) (*exporters, error) {
	ctx := context.Background()
	spans, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, err
	}
	numbers, err := otlpmetrichttp.New(ctx)
	if err != nil {
		return nil, err
	}
	own := resource.WithAttributes(
		attribute.String("service.name", "qualys-relay"), attribute.String("service.version", version))
	from, err := resource.New(ctx, own, resource.WithFromEnv()) // what comes later counts
	if err != nil {
		return nil, err
	}
	x := &exporters{
		traces: sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans), sdktrace.WithResource(from)),
		// The interval never comes: each request flushes.
		metrics: sdkmetric.NewMeterProvider(sdkmetric.WithResource(from),
			sdkmetric.WithReader(sdkmetric.NewPeriodicReader(numbers, sdkmetric.WithInterval(24*time.Hour)))),
	}
	x.tracer = x.traces.Tracer(scope)
	meter := x.metrics.Meter(scope)
	var problems []error
	counter := func(name, what string) metric.Int64Counter {
		c, err := meter.Int64Counter(name, metric.WithDescription(what))
		problems = append(problems, err)
		return c
	}
	histogram := func(name, unit, what string) metric.Float64Histogram {
		h, err := meter.Float64Histogram(name, metric.WithUnit(unit), metric.WithDescription(what))
		problems = append(problems, err)
		return h
	}
	x.requests = counter("relay.requests", "Requests by endpoint and HTTP status")
	x.codes = counter("relay.errors", "Errors in answers by endpoint and code")
	x.calls = counter("relay.upstream.calls", "Calls to Qualys by operation and outcome")
	x.waits = counter("relay.upstream.rate_limit_waits", "Waits that Qualys's rate limit asked for")
	x.latency = histogram("relay.request.duration", "s", "Time from request to answer")
	x.upstream = histogram("relay.upstream.duration", "s", "Time of each call to Qualys")
	x.batches = histogram("relay.search.batch_size", "{observable}", "Observables in one query")
	return x, errors.Join(problems...)
}

// exporters is nil where telemetry is off or cannot be set up.
func (t *Telemetry) exporters() *exporters {
	if !t.enabled {
		return nil
	}
	return t.setUp()
}

// Span begins a piece of work in the trace of ctx, and returns the function that ends it with the work's
// error.
func (t *Telemetry) Span(ctx context.Context, name string) (context.Context, func(error)) {
	x := t.exporters()
	if x == nil {
		return ctx, func(error) {}
	}
	ctx, span := x.tracer.Start(ctx, name)
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, describe(err))
		}
		span.End()
	}
}

// describe is an error in words that hold no value: its kind, not what Qualys wrote.
func describe(err error) string {
	if e, ok := errors.AsType[*qualys.Error](err); ok {
		return fmt.Sprintf("%s: %s (%d)", e.Op, e.Kind, e.Status)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return "failed"
}

// Request is the span of a whole request, and where its numbers go.
type Request struct {
	exporters *exporters // nil: off
	span      trace.Span
	endpoint  string
}

// Outcome is what a request did.
type Outcome struct {
	Status       int
	Codes        []string // of the answer's errors, each once
	Observables  int
	RateWaits    int
	Batches      []int // observables of each query that the request waited for
	Took         time.Duration
	AnswerFailed bool // by a fault of the relay's own
}

// Request begins the span of a request to an endpoint.
func (t *Telemetry) Request(ctx context.Context, endpoint string) (context.Context, Request) {
	x := t.exporters()
	if x == nil {
		return ctx, Request{}
	}
	ctx, span := x.tracer.Start(ctx, endpoint, trace.WithSpanKind(trace.SpanKindServer))
	return ctx, Request{x, span, endpoint}
}

// End ends the span and counts.
func (r Request) End(o Outcome) {
	x := r.exporters
	if x == nil {
		return
	}
	r.span.SetAttributes(
		attribute.Int("http.response.status_code", o.Status), attribute.Int("relay.observables", o.Observables),
		attribute.StringSlice("relay.error_codes", o.Codes))
	if o.AnswerFailed {
		r.span.SetStatus(codes.Error, "failed")
	}
	r.span.End()
	ctx, endpoint := context.Background(), attribute.String("endpoint", r.endpoint)
	x.requests.Add(ctx, 1, metric.WithAttributes(endpoint, attribute.Int("status", o.Status)))
	for _, code := range o.Codes {
		x.codes.Add(ctx, 1, metric.WithAttributes(endpoint, attribute.String("code", code)))
	}
	x.waits.Add(ctx, int64(o.RateWaits), metric.WithAttributes(endpoint))
	x.latency.Record(ctx, o.Took.Seconds(), metric.WithAttributes(endpoint))
	for _, size := range o.Batches {
		x.batches.Record(ctx, float64(size), metric.WithAttributes(endpoint))
	}
}

// Call counts one HTTP exchange with Qualys, once, however many requests wait for it.
func (t *Telemetry) Call(c qualys.Call) {
	x := t.exporters()
	if x == nil {
		return
	}
	what := metric.WithAttributes(attribute.String("operation", c.Op), attribute.Int("status", c.Status),
		attribute.String("failure", string(c.Kind)))
	x.calls.Add(context.Background(), 1, what)
	x.upstream.Record(context.Background(), c.Duration.Seconds(), what)
}

// Flush sends what there is, within flushTime. It does nothing for a while after a collector did not
// take it in time.
func (t *Telemetry) Flush() {
	x := t.exporters()
	if x == nil || time.Now().UnixNano() < t.paused.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	metrics := make(chan error, 1)
	go func() { metrics <- x.metrics.ForceFlush(ctx) }()
	if err := errors.Join(x.traces.ForceFlush(ctx), <-metrics); err != nil {
		t.paused.Store(time.Now().Add(pauseTime).UnixNano())
	}
}

// Close sends what is left, for a second at most.
func (t *Telemetry) Close() {
	x := t.exporters()
	if x == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	_ = x.traces.Shutdown(ctx) // what a collector does not take is lost
	_ = x.metrics.Shutdown(ctx)
}
