package search

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
)

const tick = time.Millisecond

// search searches in the background.
func search(t *testing.T, r *rig, observables ...ctim.Observable) <-chan []Result {
	t.Helper()
	return searchIn(withDeadline(t), r, observables...)
}

func searchIn(ctx context.Context, r *rig, observables ...ctim.Observable) <-chan []Result {
	done := make(chan []Result, 1)
	account := r.fake.Tenant()
	go func() {
		results, _ := searchAs(ctx, r.searcher, account, 100, observables...)
		done <- results
	}()
	return done
}

func TestBatchingCallsFewTimes(t *testing.T) {
	t.Parallel()
	t.Run("twenty without hits are two searches", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{})
		r.warm(t)
		results, stats := r.search(t, 100, shas(20)...)
		assert.Len(t, results, 20)
		assert.Equal(t, 2, r.fake.Calls())
		assert.Equal(t, []int{20, 20}, stats.Batches)
	})
	t.Run("twenty with three hits are two searches", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{}, file(3), file(7).Current(), file(19))
		r.warm(t)
		results, _ := r.search(t, 100, shas(20)...)
		for i, result := range results {
			assert.Equal(t, i == 3 || i == 7 || i == 19, len(result.Events) == 1, "observable %d", i)
		}
		assert.Equal(t, 2, r.fake.Calls())
	})
	t.Run("sixty are two for each state", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{})
		r.warm(t)
		r.search(t, 100, shas(60)...)
		assert.Equal(t, 4, r.fake.Calls())
		for _, request := range r.fake.Requests() {
			assert.LessOrEqual(t, strings.Count(request.Filter, " or ")+1, maxJoined)
		}
	})
	t.Run("long values are joined within the URL", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{})
		r.warm(t)
		var observables []ctim.Observable
		for i := range 20 {
			observables = append(observables, obs("file_path", fmt.Sprintf(`C:\%d\%s`, i, strings.Repeat("x", 1000)))...)
		}
		r.search(t, 100, observables...)
		assert.Equal(t, 8, r.fake.Calls(), "five in each")
	})
	for _, cold := range []bool{true, false} {
		t.Run(fmt.Sprintf("twenty-five requests at once are six searches, cold %v", cold), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{})
			release := make(chan struct{})
			held := qualystest.Login
			if !cold {
				r.warm(t)
				held = qualystest.Search
			}
			defer r.fake.Inject(qualystest.Fault{On: held, Do: qualystest.Hold(release)})()
			var searches []<-chan []Result
			for i := range 25 {
				searches = append(searches, search(t, r, obs("sha256", sha(i))...))
			}
			require.Eventually(t, func() bool { return waiters(r) == 2*25 }, patience, tick)
			close(release)
			for _, done := range searches {
				assert.Empty(t, (<-done)[0].Errs)
			}
			assert.LessOrEqual(t, r.fake.Searches(), 6)
			assert.LessOrEqual(t, r.fake.Logins(), 1)
			assert.LessOrEqual(t, r.fake.Stats().MaxInFlight, 4)
		})
	}
}

func TestALargeRequestDoesNotStarveASmallOne(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{}, qualystest.File(`C:\small.exe`, "", ""))
	r.warm(t)
	release := make(chan struct{})
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Times: 4, Do: qualystest.Hold(release)})
	large := search(t, r, shas(1000)...)
	require.Eventually(t, func() bool { return r.queued() == 2*900 }, patience, tick)
	small := search(t, r, obs("file_name", "small.exe")...)
	require.Eventually(t, func() bool { return r.queued() == 2*901 }, patience, tick)
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Contains: "small.exe", Do: qualystest.Slow(0)})
	rest := make(chan struct{})
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Hold(rest)})
	close(release)
	assert.Len(t, (<-small)[0].Events, 1, "it is in the next query of each state, or beside it")
	close(rest)
	<-large
}

func TestOneTenantNeverDelaysAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	other := r.fake.AddUser("other", "password of the other")
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, User: qualystest.User, Do: qualystest.HangBeforeHeader()})
	ctx, cancel := context.WithCancel(t.Context())
	busy := searchIn(ctx, r, shas(1000)...)
	require.NoError(t, r.fake.Wait(t.Context(), func(s qualystest.Stats) bool { return s.InFlight == 4 }))
	results, _ := searchAs(withDeadline(t), r.searcher, other, 100, shas(1)...)
	assert.Empty(t, results[0].Errs)
	cancel()
	<-busy
}

func TestTenantsSeeTheirOwnEventsOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{CacheTTL: time.Minute}, file(1))
	other := r.fake.AddUser("other", "password of the other")
	r.fake.SetEventsOf("other")
	mine, _ := r.search(t, 100, obs("sha256", sha(1))...)
	theirs, _ := searchAs(withDeadline(t), r.searcher, other, 100, obs("sha256", sha(1))...)
	assert.Len(t, mine[0].Events, 1)
	assert.Empty(t, theirs[0].Events)
	assert.Empty(t, theirs[0].Errs)
}

// A request that gives up changes nothing for those that share its query or its lookups.
func TestARequestThatGivesUpLeavesTheOthersUntouched(t *testing.T) {
	t.Parallel()
	a := qualystest.Network("a.exe", "192.0.2.9", "198.51.100.1", "a.example").Verdict("MALICIOUS", 9, "")
	b := qualystest.Network("b.exe", "192.0.2.9", "198.51.100.2", "b.example")
	for name, do := range map[string]qualystest.Behaviour{
		"an answer":    qualystest.Slow(0),
		"a rate limit": qualystest.Status(http.StatusTooManyRequests, "a.example", "X-RateLimit-ToWait-Sec", "0.05"),
		"a bad query":  qualystest.Status(http.StatusBadRequest, "a.example is not valid"),
		"a failure":    qualystest.Status(http.StatusInternalServerError, "a.example"),
		"a reset":      qualystest.Reset(),
		"not JSON":     qualystest.HTML(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{Concurrency: 2, CacheTTL: time.Minute}, a, b)
			r.warm(t)
			release := r.occupy(t)
			joined := make(chan struct{})
			for _, state := range []qualystest.State{qualystest.CurrentState, qualystest.HistoryState} {
				r.fake.Inject(qualystest.Fault{
					On: qualystest.Search, State: state, Contains: "b.example", Times: qualystest.Once,
					Do: qualystest.After(joined, do),
				})
			}
			impatient, giveUp := context.WithCancel(t.Context())
			gone := searchIn(impatient, r, obs("domain", "a.example")...)
			require.Eventually(t, func() bool { return r.queued() == 2 }, patience, tick)
			stays := search(t, r, obs("domain", "b.example", "a.example.net")...)
			require.Eventually(t, func() bool { return r.queued() == 6 }, patience, tick)
			release()
			require.NoError(t, r.fake.Wait(withDeadline(t), func(s qualystest.Stats) bool { return s.InFlight == 2 && s.Searches == 4 }))
			giveUp()
			require.ErrorIs(t, (<-gone)[0].Errs[0], context.Canceled)
			close(joined)
			results := <-stays
			for _, result := range results {
				assert.Empty(t, result.Errs, "%v", result.Observable)
			}
			require.Len(t, results[0].Events, 1)
			assert.Equal(t, "b.example", results[0].Events[0].Network.RemoteDNS)
			assert.Empty(t, results[1].Events)
			again, stats := r.search(t, 100, obs("domain", "b.example")...)
			assert.Equal(t, ids(results[0].Events), ids(again[0].Events), "and nothing else is cached")
			assert.Equal(t, 2, stats.CacheHits)
			own, _ := r.search(t, 100, obs("domain", "a.example")...)
			require.Len(t, own[0].Events, 1)
			assert.Equal(t, "a.example", own[0].Events[0].Network.RemoteDNS)
		})
	}
}

func TestALookupThatNobodyWaitsForIsNotSent(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{Concurrency: 2})
	r.warm(t)
	release := r.occupy(t)
	ctx, giveUp := context.WithCancel(t.Context())
	gone := searchIn(ctx, r, obs("md5", md5(7))...)
	shared := searchIn(ctx, r, obs("md5", md5(8))...)
	require.Eventually(t, func() bool { return r.queued() == 4 }, patience, tick)
	stays := search(t, r, obs("md5", md5(8))...)
	require.Eventually(t, func() bool { return r.queued() == 6 }, patience, tick)
	giveUp()
	<-gone
	<-shared
	release()
	assert.Empty(t, (<-stays)[0].Errs)
	assert.Equal(t, 4, r.fake.Searches())
	for _, filter := range r.fake.Filters() {
		assert.NotContains(t, filter, md5(7))
	}
}

func TestARequestThatJoinsAQueryInFlightOutlivesItsFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{}, file(0))
	r.warm(t)
	release := make(chan struct{})
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Hold(release)})
	ctx, giveUp := context.WithCancel(t.Context())
	gone := searchIn(ctx, r, shas(2)...)
	require.NoError(t, r.fake.Wait(withDeadline(t), func(s qualystest.Stats) bool { return s.InFlight == 2 }))
	stays := search(t, r, shas(1)...)
	require.Eventually(t, func() bool { return waiters(r) == 6 }, patience, tick)
	giveUp()
	<-gone
	close(release)
	result := (<-stays)[0]
	assert.Empty(t, result.Errs)
	assert.Len(t, result.Events, 1)
	assert.Equal(t, 2, r.fake.Searches())
}

// Two requests end, and between what is done about the one and about the other, a third one joins a lookup.
func TestARequestThatJoinsAQueryAsItIsGivenUpIsAnswered(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{Concurrency: 2}, file(1))
	r.warm(t)
	release := r.occupy(t)
	ctx, giveUp := context.WithCancel(t.Context())
	gone := []<-chan []Result{searchIn(ctx, r, obs("sha256", sha(1))...), searchIn(ctx, r, obs("sha256", sha(2))...)}
	require.Eventually(t, func() bool { return r.queued() == 4 }, patience, tick)
	hold := make(chan struct{})
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Times: 2, Do: qualystest.Hold(hold)})
	release()
	require.NoError(t, r.fake.Wait(withDeadline(t), func(s qualystest.Stats) bool { return s.InFlight == 2 && s.Searches == 4 }))

	tenant, third := r.searcher.tenant(r.fake.Tenant()), &request{ctx: withDeadline(t), stats: new(Stats)}
	defer context.AfterFunc(third.ctx, func() { tenant.note(tenant.changed.Broadcast) })()
	var joined []*lookup
	tenant.note(func() {
		giveUp()
		for _, l := range slices.Collect(maps.Values(tenant.lookups)) {
			if l.key.value == sha(2) {
				tenant.drop(l)
			}
		}
		for _, l := range tenant.lookups {
			joined = append(joined, tenant.join(third, lookup{key: l.key, target: l.target, size: l.size}))
		}
	})
	close(hold)
	require.Len(t, joined, 2)
	found := 0
	for _, l := range joined {
		answer := tenant.wait(third, l)
		assert.Empty(t, answer.Errs)
		found += len(answer.Events)
	}
	assert.Equal(t, 1, found)
	for _, results := range gone {
		<-results
	}
}

// A request has ended, a part of its batch has its turn, and a second request joins the lookup before the first
// one's end is dealt with.
func TestARequestThatJoinsALookupAsItIsLeftOutIsQueued(t *testing.T) {
	t.Parallel()
	tenant := newRig(t, Options{}).searcher.tenant(qualys.Tenant{Gateway: "http://gateway.example"})
	ctx, giveUp := context.WithCancel(t.Context())
	first, second := &request{ctx: ctx, stats: new(Stats)}, &request{ctx: t.Context(), stats: new(Stats)}
	tenant.note(func() {
		var b batch
		tenant.join(first, lookup{})
		tenant.form(&b)
		giveUp()
		tenant.start(&b)
		assert.False(t, tenant.join(second, lookup{}).sent)
		assert.Len(t, tenant.waiting[current], 1)
	})
}

func waiters(r *rig) int {
	tenant, n := r.searcher.tenant(r.fake.Tenant()), 0
	tenant.note(func() {
		for _, l := range tenant.lookups {
			n += len(l.requests)
		}
	})
	return n
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	limited := func(wait string) qualystest.Behaviour {
		return qualystest.Status(http.StatusTooManyRequests, "too often: "+sha(1), "X-RateLimit-ToWait-Sec", wait)
	}
	t.Run("a short wait is waited for", func(t *testing.T) {
		t.Parallel()
		for _, observables := range [][]ctim.Observable{obs("sha256", sha(1)), shas(20)} {
			r := newRig(t, Options{}, file(1))
			r.fake.Inject(qualystest.Fault{On: qualystest.Search, Times: qualystest.Once, Do: limited("0.05")})
			results, stats := r.search(t, 100, observables...)
			found := 0
			for _, result := range results {
				assert.Empty(t, result.Errs)
				found += len(result.Events)
			}
			assert.Equal(t, 1, found)
			assert.Contains(t, []int{1, 2}, stats.Waits, "the other state may have left before the refusal")
			assert.Equal(t, 3, r.fake.Searches())
		}
	})
	t.Run("a wait beyond the deadline is answered at once, and nobody calls meanwhile", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{}, file(1))
		r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: limited("3600")})
		r.search(t, 100, shas(2)...)
		calls := r.fake.Calls()
		for range 5 {
			results, _ := r.search(t, 100, shas(1000)...)
			for _, result := range results {
				require.Len(t, result.Errs, 1)
				e, ok := asError(result.Errs[0])
				require.True(t, ok)
				require.Equal(t, qualys.KindRateLimited, e.Kind)
				require.Greater(t, e.Limits.Wait, 59*time.Minute, "it tells when to try again")
				require.NotContains(t, e.Message, sha(1))
			}
		}
		_, _, err := check(withDeadline(t), r.searcher, r.fake.Tenant())
		require.Error(t, err)
		counts, _ := count(withDeadline(t), r.searcher, r.fake.Tenant(), []Question{{}})
		require.NotEmpty(t, counts[0].Errs)
		assert.Equal(t, calls, r.fake.Calls())
		tenant := r.searcher.tenant(r.fake.Tenant())
		tenant.note(func() { assert.Zero(t, len(tenant.waiting[current])+len(tenant.waiting[history]), "none is kept") })
	})
	t.Run("what is queued is told at once", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{Concurrency: 2})
		r.warm(t)
		release := make(chan struct{})
		r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: qualystest.HistoryState, Do: qualystest.Hold(release)})
		refuse := make(chan struct{})
		r.fake.Inject(qualystest.Fault{
			On: qualystest.Search, State: qualystest.CurrentState, Do: qualystest.After(refuse, limited("3600")),
		})
		first := search(t, r, obs("md5", md5(1))...)
		require.NoError(t, r.fake.Wait(withDeadline(t), func(s qualystest.Stats) bool { return s.InFlight == 2 }))
		second := search(t, r, shas(100)...)
		require.Eventually(t, func() bool { return r.queued() == 200 }, patience, tick)
		close(refuse)
		for _, result := range <-second {
			require.Len(t, result.Errs, 1)
		}
		close(release)
		assert.Len(t, (<-first)[0].Errs, 1)
	})
	t.Run("a login can be limited too", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{}, file(1))
		r.fake.Inject(qualystest.Fault{
			On: qualystest.Login, Times: qualystest.Once, Do: qualystest.Status(http.StatusTooManyRequests, "", "Retry-After", "0"),
		})
		results, _ := r.search(t, 100, obs("sha256", sha(1))...)
		assert.Empty(t, results[0].Errs)
		assert.Len(t, results[0].Events, 1)
	})
	t.Run("a query waits a few times only", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{})
		r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: qualystest.CurrentState, Do: limited("0.01")})
		results, _ := r.search(t, 100, shas(3)...)
		for _, result := range results {
			require.Len(t, result.Errs, 1)
		}
		assert.Equal(t, 1+maxLimits, r.fake.Stats().Current)
	})
	t.Run("the calls in flight that Qualys allows are kept to", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{})
		r.fake.SetHeader("X-ConcurrencyLimit-Limit", "1")
		r.search(t, 100, shas(1)...)
		r.fake.ResetStats()
		var searches []<-chan []Result
		for i := range 8 {
			searches = append(searches, search(t, r, obs("md5", md5(i))...))
		}
		for _, done := range searches {
			<-done
		}
		assert.Equal(t, 1, r.fake.Stats().MaxInFlight)
	})
}

func TestNothingLeavesInAPause(t *testing.T) {
	t.Parallel()
	for name, observables := range map[string][]ctim.Observable{"a retry": shas(1), "a split": shas(2)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{})
			r.warm(t)
			release := make(chan struct{})
			r.fake.Inject(qualystest.Fault{
				On: qualystest.Search, State: qualystest.HistoryState,
				Do: qualystest.After(release, qualystest.Status(http.StatusInternalServerError, "")),
			})
			r.fake.Inject(qualystest.Fault{
				On: qualystest.Search, State: qualystest.CurrentState,
				Do: qualystest.Status(http.StatusTooManyRequests, "", "X-RateLimit-ToWait-Sec", "3600"),
			})
			begun := time.Now()
			done := search(t, r, observables...)
			require.NoError(t, r.fake.Wait(withDeadline(t), func(s qualystest.Stats) bool { return s.Searches == 2 }))
			tenant := r.searcher.tenant(r.fake.Tenant())
			require.Eventually(t, func() (paused bool) {
				tenant.note(func() { paused = tenant.limited != nil })
				return paused
			}, patience, tick)
			close(release)
			for _, result := range <-done {
				for _, err := range result.Errs {
					e, ok := asError(err)
					require.True(t, ok, "%v", err)
					assert.Equal(t, qualys.KindRateLimited, e.Kind)
				}
			}
			assert.Equal(t, 2, r.fake.Searches())
			assert.Less(t, time.Since(begun), patience/2, "who has no time for the wait is told at once")
		})
	}
}
