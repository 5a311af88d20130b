package search

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second // the deadline of a request that nothing hinders

// rig is a searcher in front of a fake gateway.
type rig struct {
	fake     *qualystest.Server
	searcher *Searcher
	client   *qualys.Client
}

func newRig(t *testing.T, o Options, events ...qualystest.Event) *rig {
	t.Helper()
	fake := qualystest.New(t, qualystest.Config{Events: events})
	client := qualys.NewClient(qualys.Options{HeaderTimeout: 10 * time.Second})
	t.Cleanup(client.Close)
	return &rig{fake, New(client, o), client}
}

func (r *rig) search(t *testing.T, limit int, observables ...Observable) ([]Result, Stats) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return r.searcher.Search(ctx, r.fake.Tenant(), observables, limit)
}

// warm logs in, so that the next search is one round trip.
func (r *rig) warm(t *testing.T) {
	t.Helper()
	require.NoError(t, r.client.Login(t.Context(), r.fake.Tenant()))
	r.fake.ResetStats()
}

func sha(i int) string { return fmt.Sprintf("%064x", i+1) }
func md5(i int) string { return fmt.Sprintf("%032x", i+1) }

func file(i int) qualystest.Event {
	return qualystest.File(fmt.Sprintf(`C:\Data\file-%03d.exe`, i), sha(i), md5(i)).At(fmt.Sprintf("2026-03-01T10:%02d:00Z", i%60))
}

func ids(events []*qualys.Event) []string {
	var all []string
	for _, e := range events {
		all = append(all, e.ID)
	}
	return all
}

func TestOneObservableIsTwoSearches(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{}, file(1).Both()...)
	results, stats := r.search(t, 100, Observable{"sha256", sha(1)})
	require.Len(t, results, 1)
	assert.Empty(t, results[0].Errs)
	assert.False(t, results[0].Cut)
	require.Len(t, results[0].Events, 1, "the occurrence in history is the one of the current state")
	assert.True(t, results[0].Events[0].Active)
	assert.Equal(t, Stats{Calls: 3, Logins: 1, Upstream: stats.Upstream, Batches: []int{1, 1}}, stats)
	assert.Equal(t, 2, r.fake.Searches())
	assert.Equal(t, 1, r.fake.Logins())
}

func TestEachPromisedTypeFindsItsEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{}, qualystest.Story()...)
	for _, o := range qualystest.StoryObservables() {
		results, _ := r.search(t, 100, Observable{o.Type, o.Value})
		if !(Observable{Type: o.Type}).Supported() {
			assert.Empty(t, results)
			continue
		}
		require.Len(t, results, 1)
		assert.Empty(t, results[0].Errs, "%s %s", o.Type, o.Value)
		for _, e := range results[0].Events {
			assert.NotEqual(t, No, Observable{o.Type, o.Value}.Matches(e))
		}
	}
	found, _ := r.search(t, 100, Observable{"ip", "198.51.100.2"})
	assert.Len(t, found[0].Events, 2, "and not those of 198.51.100.23, of which it is a prefix")
}

func TestAnObservableAskedTwiceIsSearchedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{}, file(1))
	results, _ := r.search(t, 100, Observable{"sha256", sha(1)}, Observable{"url", "https://c2.example"}, Observable{"sha256", strings.ToUpper(sha(1))}, Observable{"md5", md5(1)})
	require.Len(t, results, 2)
	assert.Equal(t, "sha256", results[0].Observable.Type)
	assert.Equal(t, "md5", results[1].Observable.Type)
	assert.Equal(t, 2, r.fake.Searches())
}

func TestPrefixesThatFillThePagesHideNothing(t *testing.T) {
	t.Parallel()
	events := []qualystest.Event{qualystest.Network("a.exe", "192.0.2.9", "198.51.100.1", "").At("2026-01-01T00:00:00Z")}
	for i := range 450 {
		events = append(events, qualystest.Network(fmt.Sprintf("p%d.exe", i), "192.0.2.9", fmt.Sprintf("198.51.100.1%d", i%100), "").At("2026-02-01T00:00:00Z"))
	}
	r := newRig(t, Options{}, events...)
	results, stats := r.search(t, 10, Observable{"ip", "198.51.100.1"})
	require.Len(t, results[0].Events, 1)
	assert.Equal(t, "198.51.100.1", results[0].Events[0].Network.RemoteIP)
	assert.False(t, results[0].Cut)
	assert.Greater(t, stats.Calls, 5)
}

func TestTheLimitTakesTheCurrentStateFirstAndSaysThatItCut(t *testing.T) {
	t.Parallel()
	var events []qualystest.Event
	at := func(e qualystest.Event, day int) qualystest.Event {
		return e.At(fmt.Sprintf("2026-03-%02dT10:00:00Z", day))
	}
	for day := range 3 {
		events = append(events, at(file(1), day+1).Current(), at(file(1), day+10))
	}
	r := newRig(t, Options{}, events...)
	for limit, want := range map[int]struct {
		current, history int
		cut              bool
	}{1: {1, 0, true}, 3: {3, 0, true}, 4: {3, 1, true}, 6: {3, 3, false}, 1000: {3, 3, false}} {
		results, _ := r.search(t, limit, Observable{"sha256", sha(1)})
		current, history := 0, 0
		for i, e := range results[0].Events {
			if e.Active {
				current++
				assert.Zero(t, history, "event %d of limit %d", i, limit)
			} else {
				history++
			}
		}
		assert.Equal(t, want.current, current, "limit %d", limit)
		assert.Equal(t, want.history, history, "limit %d", limit)
		assert.Equal(t, want.cut, results[0].Cut, "limit %d", limit)
	}
}

func TestBatchingCallsFewTimes(t *testing.T) {
	t.Parallel()
	twenty := make([]Observable, 20)
	for i := range twenty {
		twenty[i] = Observable{"sha256", sha(i)}
	}
	t.Run("twenty without hits are two searches", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{})
		r.warm(t)
		results, stats := r.search(t, 100, twenty...)
		assert.Len(t, results, 20)
		assert.Equal(t, 2, r.fake.Calls())
		assert.Equal(t, []int{20, 20}, stats.Batches)
	})
	t.Run("twenty with three hits are two searches", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{}, file(3), file(7).Current(), file(19))
		r.warm(t)
		results, _ := r.search(t, 100, twenty...)
		for i, result := range results {
			want := 0
			if i == 3 || i == 7 || i == 19 {
				want = 1
			}
			assert.Len(t, result.Events, want, "observable %d", i)
		}
		assert.Equal(t, 2, r.fake.Calls())
	})
	t.Run("sixty are two for each lane", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{})
		r.warm(t)
		var sixty []Observable
		for i := range 60 {
			sixty = append(sixty, Observable{"md5", md5(i)})
		}
		r.search(t, 100, sixty...)
		assert.Equal(t, 4, r.fake.Calls())
		for _, request := range r.fake.Requests() {
			assert.LessOrEqual(t, strings.Count(request.Filter, " or ")+1, maxJoined)
		}
	})
	t.Run("twenty-five requests at once are six searches and one login", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{})
		release := make(chan struct{})
		defer r.fake.Inject(qualystest.Fault{On: qualystest.Login, Do: qualystest.Hold(release)})()
		done := make(chan struct{})
		for i := range 25 {
			go func() {
				defer func() { done <- struct{}{} }()
				results, _ := r.searcher.Search(t.Context(), r.fake.Tenant(), []Observable{{"sha256", sha(i)}}, 100)
				assert.Empty(t, results[0].Errs)
			}()
		}
		require.NoError(t, r.fake.Wait(t.Context(), func(s qualystest.Stats) bool { return s.Logins == 1 }))
		close(release)
		for range 25 {
			<-done
		}
		assert.LessOrEqual(t, r.fake.Searches(), 6)
		assert.Equal(t, 1, r.fake.Logins())
	})
	t.Run("twenty-five warm requests at once are six searches", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{})
		r.warm(t)
		release := make(chan struct{})
		remove := r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Hold(release)})
		defer remove()
		done := make(chan struct{})
		for i := range 25 {
			go func() {
				defer func() { done <- struct{}{} }()
				results, _ := r.searcher.Search(t.Context(), r.fake.Tenant(), []Observable{{"sha256", sha(i)}}, 100)
				assert.Empty(t, results[0].Errs)
			}()
		}
		require.Eventually(t, func() bool { return r.waiting() == 2*23 }, patience, time.Millisecond)
		require.NoError(t, r.fake.Wait(t.Context(), func(s qualystest.Stats) bool { return s.InFlight == 4 }))
		close(release)
		for range 25 {
			<-done
		}
		assert.Equal(t, 6, r.fake.Searches())
		assert.LessOrEqual(t, r.fake.Stats().MaxInFlight, 4)
	})
}

// waiting counts the asks that have not left.
func (r *rig) waiting() int {
	t := r.searcher.tenant(r.fake.Tenant())
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting[currentState].asks) + len(t.waiting[history].asks)
}

func TestOnePoisonedValueCostsTheOthersNothing(t *testing.T) {
	t.Parallel()
	for _, do := range []qualystest.Behaviour{
		qualystest.Status(http.StatusBadRequest, `{"message":"bad token"}`), qualystest.Status(http.StatusInternalServerError, "boom"),
		qualystest.HTML(), qualystest.Truncated(), qualystest.Object(),
	} {
		t.Run(do.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{}, file(3), file(7).Current(), file(19))
			r.warm(t)
			r.fake.Inject(qualystest.Fault{On: qualystest.Search, Contains: sha(11), Do: do})
			var twenty []Observable
			for i := range 20 {
				twenty = append(twenty, Observable{"sha256", sha(i)})
			}
			results, _ := r.search(t, 100, twenty...)
			for i, result := range results {
				if i == 11 {
					assert.NotEmpty(t, result.Errs)
					continue
				}
				assert.Empty(t, result.Errs, "observable %d", i)
			}
			assert.Len(t, results[3].Events, 1)
			assert.Len(t, results[7].Events, 1)
			assert.Len(t, results[19].Events, 1)
			assert.LessOrEqual(t, r.fake.Searches(), 2*(1+2*5), "a path of halves down to the one value, in each lane")
		})
	}
}

func TestAFaultOfQualysIsNotSplitForLong(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.warm(t)
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(http.StatusInternalServerError, "boom")})
	var fifty []Observable
	for i := range 50 {
		fifty = append(fifty, Observable{"sha256", sha(i)})
	}
	results, _ := r.search(t, 100, fifty...)
	for _, result := range results {
		require.Len(t, result.Errs, 1)
	}
	assert.LessOrEqual(t, r.fake.Searches(), 2*7)
}

func TestWhatNoValueCanCauseIsNotSplit(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusForbidden, http.StatusTeapot, http.StatusUnauthorized} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{})
			r.warm(t)
			r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(status, "no")})
			results, _ := r.search(t, 100, Observable{"sha256", sha(1)}, Observable{"sha256", sha(2)})
			for _, result := range results {
				assert.Len(t, result.Errs, 1)
			}
			want := 2
			if status == http.StatusUnauthorized {
				want = 4 // each once more with a new token
			}
			assert.Equal(t, want, r.fake.Searches())
		})
	}
}

func TestAFailureOfAJoinedQueryNamesNoValue(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(http.StatusForbidden, "not allowed: "+sha(1))})
	results, _ := r.search(t, 100, Observable{"sha256", sha(1)}, Observable{"sha256", sha(2)})
	for _, result := range results { // a joined query may be of several requests
		require.Len(t, result.Errs, 1)
		assert.Equal(t, "qualys: events: forbidden (403): Forbidden", result.Errs[0].Error())
		assert.NotContains(t, result.Errs[0].Error(), sha(1))
	}
}

func TestTransientFailuresAreTriedAgain(t *testing.T) {
	t.Parallel()
	for _, do := range []qualystest.Behaviour{
		qualystest.Reset(), qualystest.Status(http.StatusBadGateway, ""), qualystest.Status(http.StatusServiceUnavailable, ""), qualystest.Status(http.StatusGatewayTimeout, ""),
	} {
		t.Run(do.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{}, file(1))
			r.fake.Inject(qualystest.Fault{On: qualystest.Login, Times: qualystest.Once, Do: do})
			r.fake.Inject(qualystest.Fault{On: qualystest.Search, Times: 2, Do: do})
			results, _ := r.search(t, 100, Observable{"sha256", sha(1)})
			assert.Empty(t, results[0].Errs)
			assert.Len(t, results[0].Events, 1)
		})
	}
}

func TestOneLaneMayFailAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{}, file(1).Current())
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: qualystest.HistoryState, Do: qualystest.Status(http.StatusInternalServerError, "boom")})
	results, _ := r.search(t, 100, Observable{"sha256", sha(1)})
	assert.Len(t, results[0].Events, 1)
	require.Len(t, results[0].Errs, 1)
}

func TestNotFoundMeansNoEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(http.StatusNotFound, "")})
	results, _ := r.search(t, 100, Observable{"sha256", sha(1)})
	assert.Empty(t, results[0].Errs)
	assert.Empty(t, results[0].Events)
}

func TestACallerThatGivesUpLeavesTheOthersUntouched(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{Concurrency: 2}, file(1))
	r.warm(t)
	release := make(chan struct{})
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Times: 2, Do: qualystest.Hold(release)})
	first := make(chan struct{})
	go func() {
		defer close(first)
		r.search(t, 100, Observable{"sha256", sha(0)})
	}()
	require.NoError(t, r.fake.Wait(t.Context(), func(s qualystest.Stats) bool { return s.InFlight == 2 }))

	impatient, giveUp := context.WithCancel(t.Context())
	gone := make(chan []Result)
	go func() {
		results, _ := r.searcher.Search(impatient, r.fake.Tenant(), []Observable{{"sha256", sha(1)}}, 100)
		gone <- results
	}()
	patient := make(chan []Result)
	go func() {
		results, _ := r.search(t, 100, Observable{"sha256", sha(1)})
		patient <- results
	}()
	require.Eventually(t, func() bool { return r.waiting() == 4 }, patience, time.Millisecond)
	giveUp()
	results := <-gone
	require.Len(t, results[0].Errs, 1)
	require.ErrorIs(t, results[0].Errs[0], context.Canceled)
	close(release)
	<-first
	results = <-patient
	assert.Empty(t, results[0].Errs)
	assert.Len(t, results[0].Events, 1)
}

func TestTheDeadlineKeepsWhatWasFound(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{}, file(1).Current())
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: qualystest.HistoryState, Do: qualystest.HangBeforeHeader()})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	results, _ := r.searcher.Search(ctx, r.fake.Tenant(), []Observable{{"sha256", sha(1)}}, 100)
	assert.Len(t, results[0].Events, 1)
	require.Len(t, results[0].Errs, 1)
	require.ErrorIs(t, results[0].Errs[0], context.DeadlineExceeded)
	require.NoError(t, r.fake.Wait(t.Context(), func(s qualystest.Stats) bool { return s.Open == 0 }), "the call that nobody waits for is given up")
}

func TestAFailureOnALaterPageKeepsTheEarlierOnes(t *testing.T) {
	t.Parallel()
	var events []qualystest.Event
	for i := range 150 { // of which a limit of 100 needs two pages, since half of them are another address's
		events = append(events, qualystest.Network(fmt.Sprintf("p%d.exe", i), "192.0.2.9", []string{"198.51.100.1", "198.51.100.10"}[i%2], "").At(fmt.Sprintf("2026-02-01T%02d:%02d:00Z", i/60, i%60)))
	}
	for name, fault := range map[string]qualystest.Behaviour{"an error": qualystest.Status(http.StatusInternalServerError, "boom"), "the deadline": qualystest.HangBeforeHeader()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{}, events...)
			r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: qualystest.HistoryState, Nth: 2, Do: fault})
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			results, _ := r.searcher.Search(ctx, r.fake.Tenant(), []Observable{{"ip", "198.51.100.1"}}, 100)
			require.Len(t, results[0].Errs, 1)
			assert.Greater(t, len(results[0].Events), 40)
		})
	}
}

func TestWhatAJoinedPageShowedIsKeptWhenTheRestFails(t *testing.T) {
	t.Parallel()
	var events []qualystest.Event
	for i := range 300 { // more than a joined page for two holds
		events = append(events, file(1).At(fmt.Sprintf("2026-02-01T%02d:%02d:00Z", i/60, i%60)).ID(fmt.Sprintf("F_%d", i)))
	}
	r := newRig(t, Options{}, events...)
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: qualystest.HistoryState, Nth: 2, Do: qualystest.HangBeforeHeader()})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	results, _ := r.searcher.Search(ctx, r.fake.Tenant(), []Observable{{"sha256", sha(1)}, {"sha256", sha(2)}}, 100)
	assert.Len(t, results[0].Events, 100)
	assert.True(t, results[0].Cut)
	require.NotEmpty(t, results[0].Errs)
}

func TestOneTenantNeverDelaysAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	other := r.fake.AddUser("other", "password of the other")
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, User: qualystest.User, Do: qualystest.HangBeforeHeader()})
	ctx, cancel := context.WithCancel(t.Context())
	busy := make(chan struct{})
	go func() {
		defer close(busy)
		r.searcher.Search(ctx, r.fake.Tenant(), []Observable{{"sha256", sha(1)}}, 100)
	}()
	require.NoError(t, r.fake.Wait(t.Context(), func(s qualystest.Stats) bool { return s.InFlight == 2 }))
	results, _ := r.searcher.Search(t.Context(), other, []Observable{{"sha256", sha(1)}}, 100)
	assert.Empty(t, results[0].Errs)
	cancel()
	<-busy
}

func TestTenantsSeeTheirOwnEventsOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{CacheTTL: time.Minute}, file(1))
	other := r.fake.AddUser("other", "password of the other")
	r.fake.SetEventsOf("other")
	mine, _ := r.search(t, 100, Observable{"sha256", sha(1)})
	theirs, _ := r.searcher.Search(t.Context(), other, []Observable{{"sha256", sha(1)}}, 100)
	assert.Len(t, mine[0].Events, 1)
	assert.Empty(t, theirs[0].Events)
	assert.Empty(t, theirs[0].Errs)
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	limited := func(wait string) qualystest.Behaviour {
		return qualystest.Status(http.StatusTooManyRequests, "", "X-RateLimit-ToWait-Sec", wait)
	}
	t.Run("a short wait is waited for", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{}, file(1))
		r.fake.Inject(qualystest.Fault{On: qualystest.Search, Times: qualystest.Once, Do: limited("1")})
		results, stats := r.search(t, 100, Observable{"sha256", sha(1)})
		assert.Empty(t, results[0].Errs)
		assert.Len(t, results[0].Events, 1)
		assert.Positive(t, stats.Waits)
	})
	t.Run("a wait beyond the deadline is answered at once, and nobody calls meanwhile", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{}, file(1))
		r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: limited("3600")})
		results, _ := r.search(t, 100, Observable{"sha256", sha(1)})
		require.Len(t, results[0].Errs, 1)
		calls := r.fake.Calls()
		for range 5 {
			results, _ = r.search(t, 100, Observable{"sha256", sha(2)})
			require.Len(t, results[0].Errs, 1)
		}
		_, _, err := r.searcher.Check(withDeadline(t), r.fake.Tenant())
		e, ok := errors.AsType[*qualys.Error](err)
		require.True(t, ok)
		assert.Equal(t, qualys.KindRateLimited, e.Kind)
		assert.Equal(t, calls, r.fake.Calls())
	})
	t.Run("what waits behind a full lane is told at once", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{Concurrency: 2})
		r.warm(t)
		release := make(chan struct{})
		r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: qualystest.HistoryState, Do: qualystest.Hold(release)})
		r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: qualystest.CurrentState, Times: 1, Do: limited("3600")})
		for range 3 { // the first one meets the limit, while the history of all is held
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			go r.searcher.Search(ctx, r.fake.Tenant(), []Observable{{"sha256", sha(1)}}, 100)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		require.NoError(t, r.fake.Wait(ctx, func(s qualystest.Stats) bool { return s.Current == 1 && s.History == 1 && s.InFlight == 1 }))
		require.Eventually(t, func() bool { return r.waiting() == 0 }, patience, time.Millisecond)
		close(release)
	})
	t.Run("a login can be limited too", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{}, file(1))
		r.fake.Inject(qualystest.Fault{On: qualystest.Login, Times: qualystest.Once, Do: qualystest.Status(http.StatusTooManyRequests, "", "Retry-After", "1")})
		results, _ := r.search(t, 100, Observable{"sha256", sha(1)})
		assert.Empty(t, results[0].Errs)
		assert.Len(t, results[0].Events, 1)
	})
	t.Run("a login without a word on how long is tried a few times", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{})
		r.fake.Inject(qualystest.Fault{On: qualystest.Login, Do: qualystest.Status(http.StatusTooManyRequests, "")})
		results, _ := r.search(t, 100, Observable{"sha256", sha(1)})
		require.Len(t, results[0].Errs, 1)
		assert.Equal(t, 1+maxRateTries, r.fake.Logins())
	})
	t.Run("without a word on how long, it is tried a few times", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{})
		r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: qualystest.CurrentState, Do: qualystest.Status(http.StatusTooManyRequests, "")})
		results, _ := r.search(t, 100, Observable{"sha256", sha(1)})
		require.Len(t, results[0].Errs, 1)
		assert.Equal(t, 1+maxRateTries, r.fake.Stats().Current)
	})
	t.Run("the calls in flight that Qualys allows are learned", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{})
		r.fake.SetHeader("X-ConcurrencyLimit-Limit", "1")
		r.search(t, 100, Observable{"sha256", sha(1)})
		r.fake.ResetStats()
		done := make(chan struct{})
		for i := range 8 {
			go func() {
				r.search(t, 100, Observable{"sha256", sha(i)})
				done <- struct{}{}
			}()
		}
		for range 8 {
			<-done
		}
		assert.Equal(t, 1, r.fake.Stats().MaxInFlight)
	})
}

func withDeadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestCheckTellsTheRateLimits(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.fake.SetHeader("X-RateLimit-Limit", "300")
	r.fake.SetHeader("X-RateLimit-Remaining", "297")
	limits, stats, err := r.searcher.Check(withDeadline(t), r.fake.Tenant())
	require.NoError(t, err)
	assert.Equal(t, 300, limits.Limit)
	assert.Equal(t, 297, limits.Remaining)
	assert.Equal(t, 1, r.fake.Searches())
	assert.Positive(t, stats.Calls)
}

func TestTheCacheAnswersWhatWasJustAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{CacheTTL: time.Minute}, file(1), file(2))
	first, _ := r.search(t, 100, Observable{"sha256", sha(1)})
	r.fake.ResetStats()
	again, stats := r.search(t, 100, Observable{"sha256", strings.ToUpper(sha(1))}, Observable{"sha256", sha(2)})
	assert.Equal(t, ids(first[0].Events), ids(again[0].Events))
	assert.Len(t, again[1].Events, 1)
	assert.Equal(t, 2, stats.CacheHits)
	assert.Equal(t, 2, r.fake.Searches())
	r.search(t, 50, Observable{"sha256", sha(1)})
	assert.Equal(t, 4, r.fake.Searches(), "another limit is another answer")
}

func TestTheCacheHoldsNoError(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{CacheTTL: time.Minute}, file(1))
	remove := r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(http.StatusInternalServerError, "boom")})
	results, _ := r.search(t, 100, Observable{"sha256", sha(1)})
	require.NotEmpty(t, results[0].Errs)
	remove()
	results, _ = r.search(t, 100, Observable{"sha256", sha(1)})
	assert.Empty(t, results[0].Errs)
	assert.Len(t, results[0].Events, 1)
}

func TestTheCacheForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCache(30 * time.Second)
		a := &ask{key: Observable{"sha256", sha(1)}, limit: 100}
		tenant := qualys.Tenant{User: "a"}.Key()
		c.put(tenant, a, answer{events: []*qualys.Event{{ID: "x", Size: 100}}})
		time.Sleep(29 * time.Second)
		_, ok := c.get(tenant, a)
		assert.True(t, ok)
		_, ok = c.get(qualys.Tenant{User: "b"}.Key(), a)
		assert.False(t, ok)
		time.Sleep(2 * time.Second)
		_, ok = c.get(tenant, a)
		assert.False(t, ok)
		assert.Zero(t, c.bytes)
	})
}

func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache(time.Minute)
	tenant := qualys.Tenant{User: "a"}.Key()
	for i := range 100 {
		c.put(tenant, &ask{key: Observable{"sha256", sha(i)}}, answer{events: []*qualys.Event{{Size: 1 << 20}}})
		c.put(tenant, &ask{key: Observable{"sha256", sha(i)}}, answer{events: []*qualys.Event{{Size: 1 << 20}}}) // replaces its own
	}
	assert.LessOrEqual(t, c.bytes, maxCacheBytes)
	assert.Equal(t, 31, c.entries.Len())
	c.put(tenant, &ask{key: Observable{"sha256", "huge"}}, answer{events: []*qualys.Event{{Size: maxCacheBytes}}})
	_, ok := c.get(tenant, &ask{key: Observable{"sha256", "huge"}})
	assert.False(t, ok)
	off := newCache(0)
	off.put(tenant, &ask{}, answer{})
	_, ok = off.get(tenant, &ask{})
	assert.False(t, ok)
}

func TestMutexesOfOneQueryAreToldApart(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{}, qualystest.Mutex("one", "a.exe"), qualystest.Mutex("two", "b.exe").Current(), qualystest.Mutex("three", "c.exe"))
	results, _ := r.search(t, 100, Observable{"mutex", "one"}, Observable{"mutex", "two"}, Observable{"mutex", "none"}, Observable{"process_name", "c.exe"})
	var found []string
	for _, result := range results {
		require.Empty(t, result.Errs)
		for _, e := range result.Events {
			found = append(found, result.Observable.Value+" "+e.Process.Name)
		}
	}
	slices.Sort(found)
	assert.Equal(t, []string{"c.exe c.exe", "one a.exe", "two b.exe"}, found)
}

func TestAPanicOfASearchIsAnError(t *testing.T) {
	t.Parallel()
	fake := qualystest.New(t, qualystest.Config{})
	client := qualys.NewClient(qualys.Options{})
	t.Cleanup(client.Close)
	s := New(client, Options{Span: func(context.Context, string) (context.Context, func(error)) { panic("a bug") }})
	results, _ := s.Search(withDeadline(t), fake.Tenant(), []Observable{{"sha256", sha(1)}}, 100)
	require.NotEmpty(t, results[0].Errs)
	assert.Contains(t, results[0].Errs[0].Error(), "a bug")
}
