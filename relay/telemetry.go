package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"qualysrelay.example/qualys"
)

// flushTime is how long a request waits for its telemetry to leave. Between requests an instance has no processor for it.
const flushTime = 2 * time.Second

// telemetry sends spans and metrics over OTLP, as the OTEL_ variables of OpenTelemetry's specification say. Where it is off, each method costs a
// comparison.
type telemetry struct {
	on    bool
	setUp func() *exporters
}

type exporters struct {
	traces  *sdktrace.TracerProvider
	metrics *sdkmetric.MeterProvider
	tracer  trace.Tracer

	requests, codes, calls, waits metric.Int64Counter
	latency, upstream, batches    metric.Float64Histogram
}

// newTelemetry makes nothing yet: the first request that is traced does, so that the start is not delayed.
func newTelemetry(on bool, log *slog.Logger) *telemetry {
	return &telemetry{on: on, setUp: sync.OnceValue(func() *exporters {
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("telemetry cannot be sent", slog.Any("error", err)) }))
		x, err := newExporters()
		if err != nil {
			log.Error("telemetry cannot be set up", slog.Any("error", err))
			return nil
		}
		return x
	})}
}

func newExporters() (*exporters, error) {
	ctx := context.Background()
	spans, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, err
	}
	numbers, err := otlpmetrichttp.New(ctx)
	if err != nil {
		return nil, err
	}
	from, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", "qualys-relay"), attribute.String("service.version", Version)), resource.WithFromEnv())
	if err != nil {
		return nil, err
	}
	x := &exporters{
		traces: sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans), sdktrace.WithResource(from)),
		// The interval never comes: an instance has a processor only during a request, and each request flushes.
		metrics: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(numbers, sdkmetric.WithInterval(24*time.Hour))), sdkmetric.WithResource(from)),
	}
	x.tracer = x.traces.Tracer("qualysrelay.example/relay")
	meter := x.metrics.Meter("qualysrelay.example/relay")
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
	x.calls = counter("relay.upstream.calls", "Calls to Qualys")
	x.waits = counter("relay.upstream.rate_limit_waits", "Waits that Qualys's rate limit asked for")
	x.latency = histogram("relay.request.duration", "s", "Time from request to answer")
	x.upstream = histogram("relay.upstream.duration", "s", "Time of each call to Qualys, by operation and outcome")
	x.batches = histogram("relay.search.batch_size", "{observable}", "Observables in one query")
	return x, errors.Join(problems...)
}

// exporters are nil where telemetry is off or cannot be set up: an answer never fails for it.
func (t *telemetry) exporters() *exporters {
	if !t.on {
		return nil
	}
	return t.setUp()
}

// span begins a piece of work in the trace.
func (t *telemetry) span(ctx context.Context, name string) (context.Context, func(error)) {
	x := t.exporters()
	if x == nil {
		return ctx, func(error) {}
	}
	ctx, span := x.tracer.Start(ctx, name)
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, outcome(err))
		}
		span.End()
	}
}

// outcome is what failed in words of ours: those of Qualys may repeat the value of an observable.
func outcome(err error) string {
	if e, ok := errors.AsType[*qualys.Error](err); ok {
		return fmt.Sprintf("%s: %s (%d)", e.Op, e.Kind, e.Status)
	}
	return shortened(err.Error())
}

// requestSpan is the span of a whole request, and where its numbers go.
type requestSpan struct {
	exporters *exporters
	span      trace.Span
}

func (t *telemetry) request(ctx context.Context, r *http.Request, rec *record) (context.Context, requestSpan) {
	x := t.exporters()
	if x == nil {
		return ctx, requestSpan{}
	}
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	ctx, span := x.tracer.Start(ctx, rec.endpoint, trace.WithSpanKind(trace.SpanKindServer))
	return ctx, requestSpan{x, span}
}

func (s requestSpan) end(rec *record) {
	if s.exporters == nil {
		return
	}
	s.span.SetAttributes(
		attribute.Int("http.response.status_code", rec.status),
		attribute.Int("relay.observables", len(rec.observables)),
		attribute.Int("relay.events", rec.events),
		attribute.Int("relay.upstream.calls", rec.stats.Calls),
		attribute.Int("relay.cache.hits", rec.stats.CacheHits),
		attribute.StringSlice("relay.error_codes", rec.codes()),
	)
	if rec.ours() != nil {
		s.span.SetStatus(codes.Error, string(CodeUnknown))
	}
	s.span.End()

	ctx, x := context.Background(), s.exporters
	endpoint := attribute.String("endpoint", rec.endpoint)
	x.requests.Add(ctx, 1, metric.WithAttributes(endpoint, attribute.Int("status", rec.status)))
	for _, code := range rec.codes() {
		x.codes.Add(ctx, 1, metric.WithAttributes(endpoint, attribute.String("code", code)))
	}
	x.calls.Add(ctx, int64(rec.stats.Calls), metric.WithAttributes(endpoint))
	x.waits.Add(ctx, int64(rec.stats.Waits), metric.WithAttributes(endpoint))
	x.latency.Record(ctx, rec.took.Seconds(), metric.WithAttributes(endpoint))
	for _, size := range rec.stats.Batches {
		x.batches.Record(ctx, float64(size), metric.WithAttributes(endpoint))
	}
}

// call records one HTTP exchange with Qualys.
func (t *telemetry) call(c qualys.Call) {
	if x := t.exporters(); x != nil {
		x.upstream.Record(context.Background(), c.Duration.Seconds(),
			metric.WithAttributes(attribute.String("operation", c.Op), attribute.Int("status", c.Status), attribute.String("failure", string(c.Kind))))
	}
}

// flush sends what the request left, since the instance may have no processor after it.
func (t *telemetry) flush() {
	x := t.exporters()
	if x == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	_ = x.traces.ForceFlush(ctx) // a collector that is away costs its spans, not the answer
	_ = x.metrics.ForceFlush(ctx)
}

func (t *telemetry) close() {
	if x := t.exporters(); x != nil {
		ctx, cancel := context.WithTimeout(context.Background(), flushTime)
		defer cancel()
		_ = x.traces.Shutdown(ctx)
		_ = x.metrics.Shutdown(ctx)
	}
}
