package relay

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/proto"

	"qualysrelay.example/qualys/qualystest"
)

// TestTheSpanIsThereBeforeTheAnswerEnds: an instance may have no processor after it.
func TestTheSpanIsThereBeforeTheAnswerEnds(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
	r := newRelay(t, []qualystest.Event{badFile(1)}, "OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
	for i := range 5 {
		r.query("/observe/observables", "sha256", sha(i))
		r.post("/refer/observables", "", listOf("sha256", sha(i)))
		c.mu.Lock()
		requests := 0
		for _, span := range c.spans {
			if span.GetParentSpanId() == nil {
				requests++
			}
		}
		c.mu.Unlock()
		assert.Equal(t, 2*(i+1), requests)
	}
}

// TestACollectorThatHangs keeps no answer: they come while it has not let go of anything.
func TestACollectorThatHangs(t *testing.T) {
	until := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-until:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(hanging.Close)
	t.Cleanup(func() { close(until) })
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", hanging.URL)
	r := newRelay(t, []qualystest.Event{badFile(1)}, "OTEL_EXPORTER_OTLP_ENDPOINT", hanging.URL)
	for range 10 {
		assert.Equal(t, 1, r.query("/observe/observables", "sha256", sha(1)).Data.Sightings.Count)
	}
}

// TestTheCallsAreCountedOnce, however many requests wait for them.
func TestTheCallsAreCountedOnce(t *testing.T) {
	var mu sync.Mutex
	calls := make(map[string]int64)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if !assert.NoError(t, err) || r.URL.Path != "/v1/metrics" {
			return
		}
		var request collectormetrics.ExportMetricsServiceRequest
		if !assert.NoError(t, proto.Unmarshal(body, &request)) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range request.GetResourceMetrics() {
			for _, scope := range resource.GetScopeMetrics() {
				for _, m := range scope.GetMetrics() {
					if m.GetName() != "relay.upstream.calls" {
						continue
					}
					clear(calls) // sums are cumulative
					for _, point := range m.GetSum().GetDataPoints() {
						for _, attribute := range point.GetAttributes() {
							if attribute.GetKey() == "operation" {
								calls[attribute.GetValue().GetStringValue()] += point.GetAsInt()
							}
						}
					}
				}
			}
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	r := newRelay(t, []qualystest.Event{badFile(1)}, "OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Times: 2, Do: qualystest.Status(http.StatusInternalServerError, "")})
	var group sync.WaitGroup
	for i := range 25 {
		group.Go(func() { r.query("/observe/observables", "sha256", sha(i%7), "ip", "192.0.2.1") })
	}
	group.Wait()
	r.post("/health", r.token, "") // and its flush has them all
	stats := r.fake.Stats()
	require.Positive(t, stats.Searches)
	mu.Lock()
	defer mu.Unlock()
	assert.Equal(t, map[string]int64{"login": int64(stats.Logins), "events": int64(stats.Searches)}, calls)
}
