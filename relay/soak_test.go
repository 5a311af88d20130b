package relay

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys/qualystest"
)

// TestSoak mixes faults, callers that give up and tenants for as long as SOAK says (SOAK=3m), which is
// no part of the default run. Nothing may pile up.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil {
		t.Skip("SOAK is not set to a duration")
	}
	fake := qualystest.New(t, qualystest.Config{Events: qualystest.Generate(1, 2000, qualystest.Values{})})
	r := newRelayAt(t, fake, "API_URL", fake.URL, "REQUEST_TIMEOUT", "2s", "LOG_LEVEL", "error", "SEARCH_CACHE", "1s")
	tokens := []string{r.token}
	for i := range 7 {
		user := fmt.Sprintf("tenant-%d", i)
		fake.AddUser(user, "password of "+user)
		tokens = append(tokens, tokenFor(t, user, "password of "+user))
	}
	baseline := runtime.NumGoroutine()
	end := time.Now().Add(length)
	var requests, failures, givenUp, injected atomic.Int64
	var peak uint64
	var group sync.WaitGroup
	for worker := range 16 {
		group.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(worker), 4))
			for time.Now().Before(end) {
				ctx, cancel := context.WithCancel(t.Context())
				if rng.IntN(5) == 0 {
					time.AfterFunc(time.Duration(rng.IntN(50))*time.Millisecond, cancel)
					givenUp.Add(1)
				}
				requests.Add(1)
				if !soakOnce(ctx, r.url, tokens[rng.IntN(len(tokens))], rng) && ctx.Err() == nil {
					failures.Add(1)
				}
				cancel()
			}
		})
	}
	group.Go(func() {
		rng := rand.New(rand.NewPCG(99, 4))
		for time.Now().Before(end) {
			fault := faults[rng.IntN(len(faults))]
			do := fault.do
			if fault.search == CodeTooManyRequests { // the table's wait would end the soak
				do = qualystest.Status(http.StatusTooManyRequests, "", "Retry-After", "1")
			}
			if do.String() == "huge body" && rng.IntN(10) > 0 {
				continue
			}
			on := qualystest.Search
			if rng.IntN(4) == 0 {
				on = qualystest.Login
				fake.RevokeTokens()
			}
			remove := fake.Inject(qualystest.Fault{On: on, Times: 1 + rng.IntN(20), Do: do})
			injected.Add(1)
			wait, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
			<-wait.Done()
			stop()
			remove()
			peak = max(peak, heap())
		}
	})
	group.Wait()
	http.DefaultClient.CloseIdleConnections()
	require.NoError(t, fake.Wait(t.Context(), func(s qualystest.Stats) bool { return s.Open == 0 }))
	r.relay.client.Close()
	assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= baseline+4 }, testPatience, testTick, "goroutines")
	assert.Zero(t, failures.Load(), "answers that were not HTTP 200")
	t.Logf("%d requests, %d given up, %d faults, %d failures, peak heap after collection %d MiB, %d goroutines at the end (%d before), %d calls at the gateway",
		requests.Load(), givenUp.Load(), injected.Load(), failures.Load(), peak>>20, runtime.NumGoroutine(), baseline, fake.Calls())
	assert.Less(t, heap(), uint64(128<<20), "bytes")
}

// soakOnce asks about a few observables, and tells whether the answer was HTTP 200.
func soakOnce(ctx context.Context, url, token string, rng *rand.Rand) bool {
	body := "["
	for i := range 1 + rng.IntN(20) {
		if i > 0 {
			body += ","
		}
		switch rng.IntN(3) {
		case 0:
			body += fmt.Sprintf(`{"type":"ip","value":"198.51.100.%d"}`, rng.IntN(250))
		case 1:
			body += fmt.Sprintf(`{"type":"domain","value":"host-%d.generated.example"}`, rng.IntN(300))
		default:
			body += fmt.Sprintf(`{"type":"sha256","value":%q}`, sha(rng.IntN(1000)))
		}
	}
	path := []string{"/observe/observables", "/deliberate/observables", "/health"}[rng.IntN(3)]
	status, err := postStatus(ctx, url+path, token, body+"]")
	return err == nil && status == http.StatusOK
}

// heap is what is in use after a collection, in bytes.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
