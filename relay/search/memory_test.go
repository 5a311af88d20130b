package search

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
)

// heavy are n events of one file, of so many bytes each.
func heavy(n, bytes int) []qualystest.Event {
	start := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	var events []qualystest.Event
	for i := range n {
		events = append(events, qualystest.Process(`C:\heavy.exe`, fmt.Sprint(i, strings.Repeat("x", bytes)), sha(1)).
			At(start.Add(time.Duration(i)*time.Minute).Format(time.RFC3339)))
	}
	return events
}

func TestARequestHoldsItsShareAtMost(t *testing.T) {
	t.Parallel()
	pool := semaphore.NewWeighted(64 << 20)
	r := newRig(t, Options{Memory: pool, MaxRequestBytes: 256 << 10}, heavy(100, 5000)...)
	results, _ := r.search(t, 1000, obs("sha256", sha(1))...)
	require.Len(t, results[0].Errs, 1)
	require.ErrorIs(t, results[0].Errs[0], ErrMemory)
	assert.True(t, results[0].Truncated)
	assert.Greater(t, len(results[0].Events), 10, "the newest are there")
	assert.Less(t, len(results[0].Events), 60)
	assert.True(t, strings.HasPrefix(results[0].Events[0].Process.Arguments, "99"))
	require.Eventually(t, func() bool { return pool.TryAcquire(64 << 20) }, patience, tick, "all of it was given back")
}

func TestNewestGivesItsMemoryBack(t *testing.T) {
	t.Parallel()
	pool := semaphore.NewWeighted(64 << 20)
	r := newRig(t, Options{Memory: pool}, active(heavy(100, 5000))...)
	question := Question{What: Newest, Active: true, Limit: 100}
	for result := range r.searcher.Ask(withDeadline(t), r.fake.Tenant(), new(Stats), question) {
		require.Empty(t, result.Errs)
		require.Len(t, result.Events, 100)
		assert.False(t, pool.TryAcquire(64<<20), "it is held while it is visited")
	}
	require.Eventually(t, func() bool { return pool.TryAcquire(64 << 20) }, patience, tick)
}

func active(events []qualystest.Event) []qualystest.Event {
	for i := range events {
		events[i] = events[i].Current()
	}
	return events
}

func TestVisitedResultsGiveTheirMemoryBack(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	for _, ttl := range []time.Duration{0, time.Minute} {
		pool := semaphore.NewWeighted(size)
		var events []qualystest.Event
		var observables []ctim.Observable
		for i := range 20 {
			events = append(events, heavy(20, 4000)...)
			for j := range 20 {
				events[20*i+j] = qualystest.Process(fmt.Sprintf(`C:\%d.exe`, i), strings.Repeat("x", 4000)+fmt.Sprint(j), sha(i))
			}
			observables = append(observables, obs("sha256", sha(i))...)
		}
		r := newRig(t, Options{Memory: pool, MaxRequestBytes: 300 << 10, CacheTTL: ttl}, events...)
		for round := range 2 { // the answers from the cache are more than the request may hold at once
			found := 0
			var stats Stats
			for result := range r.searcher.Search(withDeadline(t), r.fake.Tenant(), observables, 100, &stats) {
				found += len(result.Events)
				if ttl > 0 && round > 0 {
					assert.Len(t, result.Events, 20)
				}
			}
			assert.Positive(t, found)
			if ttl > 0 && round > 0 {
				assert.Positive(t, stats.CacheHits)
			}
			require.Eventually(t, func() bool {
				free := pool.TryAcquire(size)
				if free {
					pool.Release(size)
				}
				return free
			}, patience, tick)
			r.searcher.options.MaxRequestBytes = 16 << 20
			if round == 0 { // fill the cache
				r.search(t, 100, observables...)
			}
			r.searcher.options.MaxRequestBytes = 300 << 10
		}
	}
}

func TestWhatFindsNoMemoryIsAnErrorOfItsObservable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool := semaphore.NewWeighted(1000)
		require.True(t, pool.TryAcquire(500))
		s := newSearcher(qualys.NewClient(qualys.Options{}), Options{Memory: pool})
		tenant, r := s.tenant(qualys.Tenant{Gateway: "http://gateway.example"}), &request{ctx: t.Context(), stats: new(Stats)}
		keep := func() (*lookup, error) {
			l := &lookup{key: lookupKey{limit: 100}, requests: []*request{r}, sent: true}
			ctx, cancel := context.WithTimeout(t.Context(), memoryWait)
			defer cancel()
			kept, size, err := tenant.keep(ctx, l, []*qualys.Event{{Size: 300}})
			l.found.Events, l.bytes = kept, size
			return l, err
		}
		begin := time.Now()
		fits, err := keep()
		require.NoError(t, err)
		time.AfterFunc(time.Second, func() { pool.Release(200) })
		waits, err := keep()
		require.NoError(t, err)
		assert.Equal(t, time.Second, time.Since(begin))
		refused, err := keep()
		require.ErrorIs(t, err, ErrMemory)
		assert.Equal(t, time.Second+memoryWait, time.Since(begin))
		assert.Empty(t, refused.found.Events)
		for _, l := range []*lookup{fits, waits} {
			tenant.note(func() { tenant.deliver(nil, l) })
			assert.Len(t, tenant.wait(r, l).Events, 1)
		}
		assert.False(t, pool.TryAcquire(101), "what is not visited is charged for")
		tenant.note(func() { tenant.leave(r, fits) })
		assert.True(t, pool.TryAcquire(400), "what was visited is given back")
	})
}

// A query may be given up and joined again after its answer came.
func TestWhatIsGivenUpTakesMemoryThatIsFree(t *testing.T) {
	t.Parallel()
	tenant := newSearcher(qualys.NewClient(qualys.Options{}), Options{}).tenant(qualys.Tenant{})
	l := &lookup{key: lookupKey{limit: 100}, requests: []*request{{ctx: t.Context()}}}
	ended, end := context.WithCancel(t.Context())
	end()
	kept, _, err := tenant.keep(ended, l, []*qualys.Event{{Size: 300}})
	require.NoError(t, err)
	assert.Len(t, kept, 1)
}

func TestAllMemoryComesBackAfterFailures(t *testing.T) {
	t.Parallel()
	const size = 256 << 20
	pool := semaphore.NewWeighted(size)
	var events []qualystest.Event
	for i := range 600 {
		e := qualystest.Process(fmt.Sprintf(`C:\%d.exe`, i%7), strings.Repeat("x", 3000), sha(i%7))
		events = append(events, e.At(fmt.Sprintf("2026-02-01T%02d:%02d:00Z", i/60, i%60)))
	}
	r := newRig(t, Options{Memory: pool}, events...)
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Nth: 3, Times: 3, Do: qualystest.Status(500, "")})
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Nth: 9, Do: qualystest.HangBeforeHeader()})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	results, _ := searchAs(ctx, r.searcher, r.fake.Tenant(), 100, shas(9)...)
	assert.Len(t, results, 9)
	require.Eventually(t, func() bool { return pool.TryAcquire(size) }, patience, tick)
}

func TestAPanicOfTheLoopGivesAllBack(t *testing.T) {
	t.Parallel()
	pool := semaphore.NewWeighted(64 << 20)
	r := newRig(t, Options{Memory: pool}, heavy(100, 5000)...)
	assert.Panics(t, func() {
		for range r.searcher.Search(withDeadline(t), r.fake.Tenant(), shas(3), 100, new(Stats)) {
			panic("odd event")
		}
	})
	require.Eventually(t, func() bool { return pool.TryAcquire(64 << 20) }, patience, tick)
	assert.Zero(t, waiters(r))
}
