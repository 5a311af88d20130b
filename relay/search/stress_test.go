package search

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
)

var stressTime = flag.Duration("stress", 3*time.Second, "how long the stress test runs")

// TestStress lets several requests of several tenants search at once while requests give up, values are disliked
// by a firewall or fail, connections end and rate limits are met. What has no error must be what a quiet search
// of the observable alone finds; whatever has one must hold no event but those.
func TestStress(t *testing.T) {
	values := lookAlikes()
	pool := observablesOf(values)
	limits := []int{1, 10, 100}
	fake := qualystest.New(t, qualystest.Config{})
	memory := semaphore.NewWeighted(256 << 20)
	quiet := qualys.NewClient(qualys.Options{})
	t.Cleanup(quiet.Close)
	client := qualys.NewClient(qualys.Options{
		Memory: memory, Timeout: 200 * time.Millisecond,
	})
	t.Cleanup(client.Close)

	type oracle struct {
		want  map[string]string          // by observable and limit
		about map[string]map[string]bool // ids of all events about an observable
	}
	var accounts []qualys.Tenant
	var oracles []oracle
	for i := range 3 {
		account := fake.AddUser(fmt.Sprintf("tenant-%d", i), "password")
		events := qualystest.Generate(uint64(100+i), 100, values)
		fake.SetEventsOf(account.User, append(events, many(120, "198.51.100.100", "cdn-c2.example")...)...)
		o := oracle{make(map[string]string), make(map[string]map[string]bool)}
		for _, asked := range pool {
			for _, limit := range append(limits, 1000) {
				results, _ := searchAs(t.Context(), newSearcher(quiet, Options{}), account, limit, asked)
				require.Empty(t, results[0].Errs)
				o.want[fmt.Sprint(asked, limit)] = describe(results[0])
				o.about[fmt.Sprint(asked)] = make(map[string]bool)
				for _, e := range results[0].Events {
					o.about[fmt.Sprint(asked)][e.ID] = true
					o.about[fmt.Sprint(asked)][e.TimeSeriesID] = true // the same in history, where the current state failed
				}
			}
		}
		accounts, oracles = append(accounts, account), append(oracles, o)
	}

	s := newSearcher(client, Options{Memory: memory, CacheTTL: 20 * time.Millisecond, MaxRequestBytes: 4 << 20})
	ctx, stop := context.WithTimeout(t.Context(), *stressTime)
	defer stop()
	var group sync.WaitGroup
	group.Go(func() { disturb(ctx, fake, pool) })
	var answered, failed atomic.Int64
	var mu sync.Mutex
	kinds := make(map[string]int)
	for worker := range 9 {
		group.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(worker), uint64(time.Now().UnixNano())))
			for ctx.Err() == nil {
				tenant, limit := rng.IntN(len(accounts)), limits[rng.IntN(len(limits))]
				asked := make([]ctim.Observable, 1+rng.IntN(1+rng.IntN(len(pool)/2)))
				for i := range asked {
					asked[i] = pool[rng.IntN(len(pool))]
				}
				patience := time.Duration(1+rng.IntN(1+rng.IntN(3000))) * time.Millisecond
				request, cancel := context.WithTimeout(ctx, patience)
				most := rng.IntN(2 * len(asked))
				for r := range s.Search(request, accounts[tenant], asked, limit, new(Stats)) {
					key := fmt.Sprint(r.Observable)
					if len(r.Errs) == 0 {
						answered.Add(1)
						assert.Equal(t, oracles[tenant].want[fmt.Sprint(r.Observable, limit)], describe(r))
					} else {
						failed.Add(1)
						mu.Lock()
						kinds[r.Errs[0].Error()]++
						mu.Unlock()
					}
					for _, e := range r.Events {
						assert.True(t, oracles[tenant].about[key][e.ID], "%s was given %s of another", key, e.ID)
					}
					if most--; most == 0 || t.Failed() {
						break
					}
				}
				cancel()
			}
		})
	}
	group.Wait()
	t.Logf("%v\n%d results without an error, %d with one, %d calls", kinds, answered.Load(), failed.Load(), fake.Calls())
	assert.Greater(t, answered.Load(), failed.Load()/10, "else it compares nothing with the oracle")
	assert.Positive(t, failed.Load())
	require.Eventually(t, func() bool { return memory.TryAcquire(256 << 20) }, patience, tick, "all memory comes back")
	for _, account := range accounts {
		tenant := s.tenant(account)
		require.Eventually(t, func() (idle bool) {
			tenant.note(func() {
				idle = len(tenant.lookups) == 0 && tenant.calls == [states]int{}
			})
			return idle
		}, patience, tick)
	}
}

// disturb makes something fail most of the time.
func disturb(ctx context.Context, fake *qualystest.Server, pool []ctim.Observable) {
	rng := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	behaviours := append(byValueFaults(), qualystest.Slow(50*time.Millisecond), qualystest.HangInBody(), qualystest.HangBeforeHeader(),
		qualystest.NotRegistered())
	limit := qualystest.Status(http.StatusTooManyRequests, "", "X-RateLimit-ToWait-Sec", "0.01")
	for ticker := time.NewTicker(30 * time.Millisecond); ; {
		fault := qualystest.Fault{On: qualystest.Search, Times: rng.IntN(4), Do: behaviours[rng.IntN(len(behaviours))]}
		switch rng.IntN(8) {
		case 0:
			fault.Do, fault.Times = limit, 1+rng.IntN(3)
		case 1:
			fault.Times, fault.Nth = 1, 1+rng.IntN(5)
		case 2:
			fake.RevokeTokens()
			fault.Times = 1
		default:
			fault.Contains = strings.ToLower(pool[rng.IntN(len(pool))].Value)
		}
		remove := fake.Inject(fault)
		select {
		case <-ticker.C:
			remove()
		case <-ctx.Done():
			ticker.Stop()
			remove()
			return
		}
	}
}
