package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"

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
		_, r := tel.Request(t.Context(), "observeObservables")
		r.End(Outcome{Status: 200})
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

func TestOffDoesNothing(t *testing.T) {
	t.Parallel()
	tel := New(false, "1.0.0", slog.New(slog.DiscardHandler))
	ctx, request := tel.Request(t.Context(), "health")
	assert.Equal(t, t.Context(), ctx)
	request.End(Outcome{Status: 200})
	_, end := tel.Span(ctx, "key")
	end(nil)
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
