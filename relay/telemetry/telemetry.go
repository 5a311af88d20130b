// Package telemetry sends spans and metrics over OTLP, as the OTEL_ variables of OpenTelemetry's
// specification say.
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
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/sync/errgroup"

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
	flush, shutdown []func(context.Context) error // of spans and of metrics; none: telemetry is off

	paused atomic.Int64 // until this time, in nanoseconds since 1970
	tracer trace.Tracer

	requests, codes, calls, waits metric.Int64Counter
	latency, upstream, batches    metric.Float64Histogram
}

// New opens no connection. What cannot be set up is logged, and telemetry is off then.
func New(enabled bool, version string, log *slog.Logger) *Telemetry {
	t := new(Telemetry)
	t.record(nooptrace.NewTracerProvider(), noopmetric.NewMeterProvider())
	if !enabled {
		return t
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Warn("telemetry cannot be sent", slog.Any("error", err))
	}))
	ctx := context.Background()
	spans, spanErr := otlptracehttp.New(ctx)
	numbers, numberErr := otlpmetrichttp.New(ctx)
	own := resource.WithAttributes(
		attribute.String("service.name", "qualys-relay"), attribute.String("service.version", version))
	from, err := resource.New(ctx, own, resource.WithFromEnv()) // what comes later counts
	if err := errors.Join(spanErr, numberErr, err); err != nil {
		log.Error("telemetry cannot be set up", slog.Any("error", err))
		return t
	}
	traces := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans), sdktrace.WithResource(from))
	// The interval never comes: each request flushes.
	reader := sdkmetric.NewPeriodicReader(numbers, sdkmetric.WithInterval(24*time.Hour))
	metrics := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(from))
	t.flush = []func(context.Context) error{traces.ForceFlush, metrics.ForceFlush}
	t.shutdown = []func(context.Context) error{traces.Shutdown, metrics.Shutdown}
	t.record(traces, metrics)
	return t
}

// record makes the instruments. It ignores errors, which would be about their names and units.
func (t *Telemetry) record(traces trace.TracerProvider, metrics metric.MeterProvider) {
	t.tracer = traces.Tracer(scope)
	meter, are, seconds := metrics.Meter(scope), metric.WithDescription, metric.WithUnit("s")
	t.requests, _ = meter.Int64Counter("relay.requests", are("Requests by endpoint and HTTP status"))
	t.codes, _ = meter.Int64Counter("relay.errors", are("Errors in answers by endpoint and code"))
	t.calls, _ = meter.Int64Counter("relay.upstream.calls", are("Calls to Qualys by operation and outcome"))
	t.waits, _ = meter.Int64Counter("relay.upstream.rate_limit_waits",
		are("Waits that Qualys's rate limit asked for"))
	t.latency, _ = meter.Float64Histogram("relay.request.duration", seconds, are("Time from request to answer"))
	t.upstream, _ = meter.Float64Histogram("relay.upstream.duration", seconds,
		are("Time of each call to Qualys"))
	t.batches, _ = meter.Float64Histogram("relay.search.batch_size",
		metric.WithUnit("{observable}"), are("Observables in one query"))
}

// Span begins a piece of work in the trace of ctx, and returns the function that ends it with the work's
// error.
func (t *Telemetry) Span(ctx context.Context, name string) (context.Context, func(error)) {
	ctx, span := t.tracer.Start(ctx, name)
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

// Request begins the span of a request to an endpoint, and returns the function that ends it and counts
// what the request did.
func (t *Telemetry) Request(ctx context.Context, endpoint string) (context.Context, func(Outcome)) {
	ctx, span := t.tracer.Start(ctx, endpoint, trace.WithSpanKind(trace.SpanKindServer))
	return ctx, func(o Outcome) {
		if t.flush == nil { // attributes would be made for nobody
			return
		}
		span.SetAttributes(
			attribute.Int("http.response.status_code", o.Status), attribute.Int("relay.observables", o.Observables),
			attribute.StringSlice("relay.error_codes", o.Codes))
		if o.AnswerFailed {
			span.SetStatus(codes.Error, "failed")
		}
		span.End()
		ctx, endpoint := context.Background(), attribute.String("endpoint", endpoint)
		t.requests.Add(ctx, 1, metric.WithAttributes(endpoint, attribute.Int("status", o.Status)))
		for _, code := range o.Codes {
			t.codes.Add(ctx, 1, metric.WithAttributes(endpoint, attribute.String("code", code)))
		}
		t.waits.Add(ctx, int64(o.RateWaits), metric.WithAttributes(endpoint))
		t.latency.Record(ctx, o.Took.Seconds(), metric.WithAttributes(endpoint))
		for _, size := range o.Batches {
			t.batches.Record(ctx, float64(size), metric.WithAttributes(endpoint))
		}
	}
}

// Call counts one HTTP exchange with Qualys, once, however many requests wait for it.
func (t *Telemetry) Call(c qualys.Call) {
	if t.flush == nil {
		return
	}
	what := metric.WithAttributes(attribute.String("operation", c.Op), attribute.Int("status", c.Status),
		attribute.String("failure", string(c.Kind)))
	t.calls.Add(context.Background(), 1, what)
	t.upstream.Record(context.Background(), c.Duration.Seconds(), what)
}

// Flush sends what there is, within flushTime. It does nothing for a while after a collector did not
// take it in time.
func (t *Telemetry) Flush() {
	if time.Now().UnixNano() < t.paused.Load() {
		return
	}
	if err := within(flushTime, t.flush); err != nil {
		t.paused.Store(time.Now().Add(pauseTime).UnixNano())
		otel.Handle(err)
	}
}

// Close sends what is left, for a second at most. What a collector does not take is lost.
func (t *Telemetry) Close() { _ = within(closeTime, t.shutdown) }

// within makes the calls at the same time.
func within(limit time.Duration, calls []func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var all errgroup.Group
	for _, call := range calls {
		all.Go(func() error { return call(ctx) })
	}
	return all.Wait()
}
