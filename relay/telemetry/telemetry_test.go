package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"qualysrelay.example/qualys"
)

// TestACollectorThatHangsIsLeftAlone flushes twice to a collector that never answers: the second time,
// nothing is sent and nothing is waited for.
func TestACollectorThatHangsIsLeftAlone(t *testing.T) {
	var received atomic.Int64
	done := make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		received.Add(1)
		select {
		case <-done:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(collector.Close)
	t.Cleanup(func() { close(done) })
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	tel := New(true, "1.0.0", slog.New(slog.DiscardHandler))
	request := func() {
		_, end := tel.Request(t.Context(), "observeObservables")
		end(Outcome{Status: 200})
		tel.Flush()
	}
	request()
	before := received.Load()
	assert.Positive(t, before)
	assert.NotZero(t, tel.paused.Load())
	request()
	assert.Equal(t, before, received.Load())
	tel.paused.Store(0)
	request()
	assert.Greater(t, received.Load(), before, "later it is tried again")
}

// collector is an OTLP collector over HTTP, and what it has received.
type collector struct {
	mu       sync.Mutex
	spans    map[string]*tracepb.Span
	metrics  map[string]*metricspb.Metric
	resource map[string]string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{
		spans: map[string]*tracepb.Span{}, metrics: map[string]*metricspb.Metric{}, resource: map[string]string{},
	}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	return c
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var traces collectortrace.ExportTraceServiceRequest
	var metrics collectormetrics.ExportMetricsServiceRequest
	body, err := io.ReadAll(r.Body)
	if err == nil && r.URL.Path == "/v1/traces" {
		err = proto.Unmarshal(body, &traces)
	} else if err == nil {
		err = proto.Unmarshal(body, &metrics)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, from := range traces.GetResourceSpans() {
		for _, attribute := range from.GetResource().GetAttributes() {
			c.resource[attribute.GetKey()] = attribute.GetValue().GetStringValue()
		}
		for _, span := range from.GetScopeSpans()[0].GetSpans() {
			c.spans[span.GetName()] = span
		}
	}
	for _, from := range metrics.GetResourceMetrics() {
		for _, metric := range from.GetScopeMetrics()[0].GetMetrics() {
			c.metrics[metric.GetName()] = metric
		}
	}
}

// attributes are attributes in readable form.
func attributes(list []*commonpb.KeyValue) map[string]string {
	values := make(map[string]string)
	for _, a := range list {
		switch value := a.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_IntValue:
			values[a.GetKey()] = fmt.Sprint(value.IntValue)
		case *commonpb.AnyValue_ArrayValue:
			for _, one := range value.ArrayValue.GetValues() {
				values[a.GetKey()] += one.GetStringValue() + ";"
			}
		default:
			values[a.GetKey()] = a.GetValue().GetStringValue()
		}
	}
	return values
}

func TestARequestReachesTheCollector(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_SERVICE_NAME", "another-name")
	tel := New(true, "1.2.3", slog.New(slog.DiscardHandler))
	ctx, endRequest := tel.Request(t.Context(), "observeObservables")
	_, end := tel.Span(ctx, "key")
	end(nil)
	_, end = tel.Span(ctx, "qualys.search")
	end(&qualys.Error{Op: qualys.OpEvents, Kind: qualys.KindForbidden, Status: 403, Message: "salaries.xlsx"})
	tel.Call(qualys.Call{Op: qualys.OpEvents, Status: 403, Kind: qualys.KindForbidden, Duration: 2 * time.Second})
	endRequest(Outcome{
		Status: 200, Codes: []string{"permission denied", "unknown"}, Observables: 3, RateWaits: 4, Batches: []int{2, 1},
		Took: 3 * time.Second, AnswerFailed: true,
	})
	tel.Flush()
	t.Cleanup(tel.Close)

	c.mu.Lock()
	defer c.mu.Unlock()
	assert.Equal(t, map[string]string{"service.name": "another-name", "service.version": "1.2.3"}, c.resource)
	request := c.spans["observeObservables"]
	require.NotNil(t, request)
	assert.Equal(t, tracepb.Span_SPAN_KIND_SERVER, request.GetKind())
	assert.Equal(t, "failed", request.GetStatus().GetMessage())
	assert.Equal(t, map[string]string{
		"http.response.status_code": "200", "relay.observables": "3", "relay.error_codes": "permission denied;unknown;",
	}, attributes(request.GetAttributes()))
	for name, status := range map[string]string{"key": "", "qualys.search": "events: forbidden (403)"} {
		require.NotNil(t, c.spans[name])
		assert.Equal(t, request.GetSpanId(), c.spans[name].GetParentSpanId())
		assert.Equal(t, status, c.spans[name].GetStatus().GetMessage())
	}

	for name, want := range map[string]int64{
		"relay.requests": 1, "relay.errors": 1, "relay.upstream.calls": 1, "relay.upstream.rate_limit_waits": 4,
	} {
		require.NotNil(t, c.metrics[name], name)
		assert.NotEmpty(t, c.metrics[name].GetDescription())
		for _, point := range c.metrics[name].GetSum().GetDataPoints() {
			assert.Equal(t, want, point.GetAsInt(), name)
		}
	}
	assert.Len(t, c.metrics["relay.errors"].GetSum().GetDataPoints(), 2, "one for each code")
	for name, want := range map[string]struct {
		unit string
		sum  float64
		tags map[string]string
	}{
		"relay.request.duration":  {"s", 3, map[string]string{"endpoint": "observeObservables"}},
		"relay.upstream.duration": {"s", 2, map[string]string{"operation": "events", "status": "403", "failure": "forbidden"}},
		"relay.search.batch_size": {"{observable}", 3, map[string]string{"endpoint": "observeObservables"}},
	} {
		require.NotNil(t, c.metrics[name], name)
		assert.Equal(t, want.unit, c.metrics[name].GetUnit(), name)
		require.Len(t, c.metrics[name].GetHistogram().GetDataPoints(), 1)
		point := c.metrics[name].GetHistogram().GetDataPoints()[0]
		assert.InDelta(t, want.sum, point.GetSum(), 0, name)
		assert.Equal(t, want.tags, attributes(point.GetAttributes()), name)
	}
}

func TestCloseSendsWhatIsLeft(t *testing.T) {
	c := newCollector(t)
	tel := New(true, "1.0.0", slog.New(slog.DiscardHandler))
	_, end := tel.Request(t.Context(), "health")
	end(Outcome{Status: 200})
	tel.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	assert.Contains(t, c.spans, "health")
	assert.Contains(t, c.metrics, "relay.requests")
	assert.Equal(t, "qualys-relay", c.resource["service.name"])
}

// TestACollectorThatRefusesIsLogged as a warning, and left alone.
func TestACollectorThatRefusesIsLogged(t *testing.T) {
	refusing := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(refusing.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", refusing.URL)
	log := new(syncLog)
	tel := New(true, "1.0.0", slog.New(slog.NewTextHandler(log, nil)))
	_, end := tel.Request(t.Context(), "health")
	end(Outcome{Status: 200})
	tel.Flush()
	assert.NotZero(t, tel.paused.Load())
	tel.Close()
	assert.Contains(t, log.String(), `level=WARN msg="telemetry cannot be sent"`)
}

// TestAMistakeInTheEnvironmentTurnsItOff, and says so.
func TestAMistakeInTheEnvironmentTurnsItOff(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "no-value")
	log := new(syncLog)
	tel := New(true, "1.0.0", slog.New(slog.NewTextHandler(log, nil)))
	assert.Contains(t, log.String(), `level=ERROR msg="telemetry cannot be set up"`)
	_, end := tel.Request(t.Context(), "health")
	end(Outcome{Status: 200})
	tel.Flush()
	tel.Close()
	assert.Empty(t, c.spans)
}

// syncLog is a log that the SDK writes to from goroutines of its own.
type syncLog struct {
	mu  sync.Mutex
	all strings.Builder
}

func (l *syncLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *syncLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func TestOffDoesNothing(t *testing.T) {
	t.Parallel()
	tel := New(false, "1.0.0", slog.New(slog.DiscardHandler))
	remote := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, Remote: true})
	ctx, endRequest := tel.Request(trace.ContextWithSpanContext(t.Context(), remote), "health")
	assert.Equal(t, remote, trace.SpanContextFromContext(ctx), "the caller's trace stays, for the log")
	endRequest(Outcome{Status: 200, Codes: []string{"unknown"}, Batches: []int{1}})
	_, end := tel.Span(ctx, "key")
	end(errors.New("x"))
	tel.Call(qualys.Call{})
	tel.Flush()
	tel.Close()
}

func TestDescriptionsHoldNoWordsOfQualys(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"events: forbidden (403)": &qualys.Error{Op: qualys.OpEvents, Kind: qualys.KindForbidden, Status: 403, Message: "no access to salaries.xlsx"},
		"timeout":                 context.DeadlineExceeded,
		"canceled":                context.Canceled,
		"failed":                  errors.New("salaries.xlsx"),
	} {
		assert.Equal(t, want, describe(err))
	}
}
