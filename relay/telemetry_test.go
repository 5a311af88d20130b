package relay

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"qualysrelay.example/qualys/qualystest"
)

// collector is an OTLP collector over HTTP.
type collector struct {
	url     string
	mu      sync.Mutex
	spans   []*tracepb.Span
	metrics []string // names
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := new(collector)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if !assert.NoError(t, err) {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		switch r.URL.Path {
		case "/v1/traces":
			var request collectortrace.ExportTraceServiceRequest
			assert.NoError(t, proto.Unmarshal(body, &request))
			for _, resource := range request.GetResourceSpans() {
				for _, scope := range resource.GetScopeSpans() {
					c.spans = append(c.spans, scope.GetSpans()...)
				}
			}
		case "/v1/metrics":
			var request collectormetrics.ExportMetricsServiceRequest
			assert.NoError(t, proto.Unmarshal(body, &request))
			for _, resource := range request.GetResourceMetrics() {
				for _, scope := range resource.GetScopeMetrics() {
					for _, m := range scope.GetMetrics() {
						c.metrics = append(c.metrics, m.GetName())
					}
				}
			}
		default:
			assert.Fail(t, "unexpected path", r.URL.Path)
		}
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func TestTheSpansOfAnObserveReachACollector(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.url) // the exporters read it, too
	r := newRelay(t, []qualystest.Event{badFile(1)}, "OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: qualystest.HistoryState, Do: qualystest.Status(http.StatusTeapot, "")})
	r.query("/observe/observables", "sha256", sha(1))

	// They leave before the request's handler returns, which may be after the client has read the answer.
	require.Eventually(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.metrics) > 0 && len(c.spans) == 4
	}, testPatience, testTick)
	c.mu.Lock()
	defer c.mu.Unlock()
	spans := make(map[string][]*tracepb.Span)
	for _, span := range c.spans {
		spans[span.GetName()] = append(spans[span.GetName()], span)
	}
	require.Len(t, spans["observeObservables"], 1)
	request := spans["observeObservables"][0]
	for name, count := range map[string]int{"key": 1, "qualys.search": 2} {
		require.Len(t, spans[name], count, name)
		for _, span := range spans[name] {
			assert.Equal(t, request.GetTraceId(), span.GetTraceId(), name)
			assert.Equal(t, request.GetSpanId(), span.GetParentSpanId(), name)
		}
	}
	assert.True(t, slices.ContainsFunc(spans["qualys.search"], func(s *tracepb.Span) bool { return s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR }))
	for _, name := range []string{"relay.requests", "relay.errors", "relay.upstream.calls", "relay.request.duration", "relay.upstream.duration", "relay.search.batch_size"} {
		assert.Contains(t, c.metrics, name)
	}
}

func TestACollectorThatIsAwayCostsNoAnswer(t *testing.T) {
	dead := qualystest.DeadURL(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", dead)
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "200")
	r := newRelay(t, []qualystest.Event{badFile(1)}, "OTEL_EXPORTER_OTLP_ENDPOINT", dead)
	assert.Equal(t, 1, r.query("/observe/observables", "sha256", sha(1)).Data.Sightings.Count)
}
