package search

import (
	"context"
	"fmt"
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

func TestOneObservableIsTwoSearches(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{}, file(1).Both()...)
	results, stats := r.search(t, 100, shas(2)[1:]...)
	require.Len(t, results, 1)
	assert.Empty(t, results[0].Errs)
	assert.False(t, results[0].Truncated)
	require.Len(t, results[0].Events, 1, "the occurrence in history is the one of the current state")
	assert.True(t, results[0].Events[0].Active)
	assert.Equal(t, Stats{Calls: 3, Logins: 1, Time: stats.Time, Batches: []int{1, 1}}, stats)
	assert.Equal(t, 2, r.fake.Searches())
	assert.Equal(t, 1, r.fake.Logins())
}

func TestEachPromisedTypeFindsItsEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{}, qualystest.Story()...)
	for _, o := range qualystest.StoryObservables() {
		typ := ctim.ObservableType(o.Type)
		results, _ := r.search(t, 100, obs(typ, o.Value)...)
		require.Len(t, results, 1)
		assert.Empty(t, results[0].Errs, "%s %s", o.Type, o.Value)
		if !strings.Contains(o.Value, "0bad") {
			assert.NotEmpty(t, results[0].Events, "%s %s", o.Type, o.Value)
		}
	}
	found, _ := r.search(t, 100, obs("ip", "198.51.100.2")...)
	assert.Len(t, found[0].Events, 2, "and not those of 198.51.100.23, which begins with it")
}

func TestEachAskedSpellingHasItsOwnResult(t *testing.T) {
	t.Parallel()
	event := qualystest.Network("a.exe", "192.0.2.9", "198.51.100.1", "evil.example")
	for _, spellings := range [][]ctim.Observable{
		obs("domain", "Evil.example", "evil.example", " EVIL.EXAMPLE. "),
		append(obs("domain", "evil.example"), obs("hostname", "evil.example")...),
		obs("ip", "198.51.100.1", "::ffff:198.51.100.1", " 198.51.100.1"),
		append(obs("ip", "198.51.100.1"), obs("ipv6", "::FFFF:c633:6401")...),
	} {
		t.Run(fmt.Sprint(spellings), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{}, event)
			asked := append(slices.Clone(spellings), spellings[0], ctim.Observable{Type: "url", Value: "https://evil.example"})
			results, _ := r.search(t, 100, asked...)
			require.Len(t, results, len(spellings), "an exact duplicate is left out, and what is not supported")
			for i, result := range results {
				assert.Equal(t, spellings[i], result.Observable)
				assert.Len(t, result.Events, 1)
			}
			assert.Equal(t, 2, r.fake.Searches())
		})
	}
}

func TestTheSameThingInAnotherSpellingIsFound(t *testing.T) {
	t.Parallel()
	events := []qualystest.Event{
		qualystest.File(`C:\Program Files\x.exe`, sha(1), md5(1)),
		qualystest.Network("a.exe", "192.0.2.9", "198.51.100.23", "xn--mnchen-3ya.example"),
		qualystest.Network("b.exe", "192.0.2.9", "2001:db8:0:0:0:0:0:1", ""),
	}
	for value, typ := range map[string]ctim.ObservableType{
		"C:/Program Files/x.exe": "file_path", `\\?\C:\Program Files\x.exe`: "file_path", "C:/Program Files/": "file_path",
		"::ffff:198.51.100.23": "ip", "münchen.example": "domain", "2001:db8::1": "ipv6", "2001:DB8::0001": "ip",
		" " + strings.ToUpper(sha(1)) + "\n": "sha256", "\t" + md5(1): "md5",
	} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{}, events...)
			results, _ := r.search(t, 100, obs(typ, value)...)
			require.Empty(t, results[0].Errs)
			assert.Len(t, results[0].Events, 1)
		})
	}
}

func TestOtherValuesThatFillThePagesHideNothing(t *testing.T) {
	t.Parallel()
	for _, n := range []int{450, 1500, 2500} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{}, append(many(n, "198.51.100.7", "cdn7-update.example.com"),
				qualystest.Network("real.exe", "192.0.2.9", "198.51.100.1", "update.example.com").
					At("2026-01-01T00:00:00Z").Verdict("MALICIOUS", 9, ""))...)
			results, _ := r.search(t, 10, obs("domain", "update.example.com")...)
			require.Len(t, results[0].Events, 1)
			assert.Equal(t, "real.exe", results[0].Events[0].Process.Name)
			assert.False(t, results[0].Truncated)
			assert.Zero(t, results[0].Examined)
		})
	}
}

func TestWhatLiesBeyondTheWindowIsSaid(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{}, append(many(10_000, "198.51.100.7", "cdn7-update.example.com"),
		qualystest.Network("real.exe", "192.0.2.9", "198.51.100.1", "update.example.com").At("2026-01-01T00:00:00Z"))...)
	results, stats := r.search(t, 10, obs("domain", "update.example.com")...)
	assert.Empty(t, results[0].Events)
	assert.Empty(t, results[0].Errs)
	assert.True(t, results[0].Truncated)
	assert.Equal(t, window, results[0].Examined)
	assert.Equal(t, 1+1+1+10, stats.Calls, "a login, the current state, a small page and ten large ones")
}

func TestTheLimitTakesTheCurrentStateFirst(t *testing.T) {
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
		truncated        bool
	}{1: {1, 0, true}, 3: {3, 0, true}, 4: {3, 1, true}, 6: {3, 3, false}, 1000: {3, 3, false}} {
		results, _ := r.search(t, limit, obs("sha256", sha(1))...)
		active := 0
		for i, e := range results[0].Events {
			if e.Active {
				active++
				assert.Equal(t, i+1, active, "event %d of limit %d", i, limit)
			}
		}
		assert.Equal(t, want.current, active, "limit %d", limit)
		assert.Len(t, results[0].Events, want.current+want.history, "limit %d", limit)
		assert.Equal(t, want.truncated, results[0].Truncated, "limit %d", limit)
	}
}

func TestALargeLimitIsExact(t *testing.T) {
	t.Parallel()
	for n, truncated := range map[int]bool{999: false, 1000: false, 1001: true} {
		r := newRig(t, Options{}, many(n, "198.51.100.1", "")...)
		results, _ := r.search(t, 1000, obs("ip", "198.51.100.1")...)
		assert.Len(t, results[0].Events, min(n, 1000))
		assert.Equal(t, truncated, results[0].Truncated, "%d events", n)
	}
}

func TestEventsWithoutAnIDAreKeptApart(t *testing.T) {
	t.Parallel()
	raw := func(name string) qualystest.Event {
		return qualystest.Raw(`{"id":null,"type":"FILE","dateTime":"2026-03-17T12:19:31.000+0000","file":{"fileName":"`+name+
			`","sha256":"`+sha(1)+`"}}`, "file.hash.sha256", sha(1))
	}
	r := newRig(t, Options{}, raw("a.exe"), raw("b.exe"))
	results, _ := r.search(t, 100, shas(3)...)
	assert.Len(t, results[1].Events, 2)
}

func TestUnreadableElementsAreCounted(t *testing.T) {
	t.Parallel()
	for _, observables := range [][]ctim.Observable{obs("sha256", sha(1)), shas(3)} {
		r := newRig(t, Options{}, file(1))
		r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: qualystest.HistoryState, Do: qualystest.OddElements()})
		results, _ := r.search(t, 100, observables...)
		for _, result := range results {
			assert.Positive(t, result.Unreadable, "%v", result.Observable)
			assert.Empty(t, result.Errs)
		}
	}
}

func TestTheLoopMayEndTheSearch(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{Concurrency: 2}, file(1))
	r.warm(t)
	release := make(chan struct{})
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Nth: 3, Do: qualystest.Hold(release)})
	visits := 0
	for range r.searcher.Search(withDeadline(t), r.fake.Tenant(), shas(200), 100, new(Stats)) {
		if visits++; visits == 2 {
			break
		}
	}
	assert.Equal(t, 2, visits)
	require.NoError(t, r.fake.Wait(withDeadline(t), func(s qualystest.Stats) bool { return s.Open == 0 }))
	assert.Zero(t, r.queued())
	close(release)
}

func TestResultsComeInOrderAsSoonAsTheyAreThere(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.warm(t)
	release := make(chan struct{})
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Contains: sha(60), Do: qualystest.Hold(release)})
	visited := 0
	for result := range r.searcher.Search(withDeadline(t), r.fake.Tenant(), shas(70), 100, new(Stats)) {
		assert.Equal(t, sha(visited), result.Observable.Value)
		if visited++; visited == 50 { // the second query of each state is held
			close(release)
		}
	}
	assert.Equal(t, 70, visited)
}

func TestOneStateMayFailAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{}, file(1).Current())
	r.fake.Inject(qualystest.Fault{
		On: qualystest.Search, State: qualystest.HistoryState, Do: qualystest.Status(http.StatusInternalServerError, "boom"),
	})
	results, _ := r.search(t, 100, obs("sha256", sha(1))...)
	assert.Len(t, results[0].Events, 1)
	require.Len(t, results[0].Errs, 1)
}

func TestNothingFoundIsNotWhatAFailureLooksLike(t *testing.T) {
	t.Parallel()
	for _, do := range []qualystest.Behaviour{
		qualystest.Status(http.StatusNotFound, ""), qualystest.Empty(), qualystest.Object(),
		qualystest.Status(http.StatusOK, "{}"), qualystest.Status(http.StatusOK, `{"message":"no module"}`),
	} {
		t.Run(do.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{CacheTTL: time.Minute}, file(1), file(2))
			remove := r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: do})
			results, _ := r.search(t, 100, shas(3)...)
			for _, result := range results {
				assert.Len(t, result.Errs, 1)
			}
			_, _, err := check(withDeadline(t), r.searcher, r.fake.Tenant())
			require.Error(t, err)
			remove()
			results, _ = r.search(t, 100, shas(3)...)
			assert.Len(t, results[1].Events, 1, "a failure is not cached")
		})
	}
}

func TestTransientFailuresAreTriedAgain(t *testing.T) {
	t.Parallel()
	for _, do := range []qualystest.Behaviour{
		qualystest.Reset(), qualystest.Status(http.StatusInternalServerError, "Internal Error"), qualystest.Status(http.StatusBadGateway, ""),
		qualystest.Status(http.StatusServiceUnavailable, ""), qualystest.Status(http.StatusGatewayTimeout, ""),
	} {
		t.Run(do.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{}, file(1))
			r.fake.Inject(qualystest.Fault{On: qualystest.Login, Times: qualystest.Once, Do: do})
			for _, state := range []qualystest.State{qualystest.CurrentState, qualystest.HistoryState} {
				r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: state, Times: qualystest.Once, Do: do})
			}
			results, _ := r.search(t, 100, obs("sha256", sha(1))...)
			assert.Empty(t, results[0].Errs)
			assert.Len(t, results[0].Events, 1)
		})
	}
}

func TestTheDeadlineKeepsWhatWasFound(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{}, file(1).Current())
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: qualystest.HistoryState, Do: qualystest.HangBeforeHeader()})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	results, _ := searchAs(ctx, r.searcher, r.fake.Tenant(), 100, obs("sha256", sha(1))...)
	assert.Len(t, results[0].Events, 1)
	require.Len(t, results[0].Errs, 1)
	require.ErrorIs(t, results[0].Errs[0], context.DeadlineExceeded)
	require.NoError(t, r.fake.Wait(withDeadline(t), func(s qualystest.Stats) bool { return s.Open == 0 }),
		"the call that nobody waits for is given up")
}

func TestAFailureOnALaterPageKeepsTheEarlierOnes(t *testing.T) {
	t.Parallel()
	events := append(many(75, "198.51.100.1", ""), many(75, "198.51.100.10", "")...)
	for name, fault := range map[string]qualystest.Behaviour{
		"an error": qualystest.Status(http.StatusInternalServerError, "boom"), "the deadline": qualystest.HangBeforeHeader(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{}, events...)
			r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: qualystest.HistoryState, Nth: 2, Do: fault})
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			results, _ := searchAs(ctx, r.searcher, r.fake.Tenant(), 100, obs("ip", "198.51.100.1")...)
			require.Len(t, results[0].Errs, 1)
			assert.Greater(t, len(results[0].Events), 40)
		})
	}
}

func TestWhatAJoinedPageShowedIsKeptWhenTheRestFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{}, append(many(150, "198.51.100.1", ""), many(200, "198.51.100.10", "")...)...)
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: qualystest.HistoryState, Nth: 2, Do: qualystest.HangBeforeHeader()})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	results, _ := searchAs(ctx, r.searcher, r.fake.Tenant(), 100, obs("ip", "198.51.100.1", "203.0.113.1")...)
	assert.NotEmpty(t, results[0].Events)
	require.NotEmpty(t, results[0].Errs)
}

func TestARequestWhoseTimeIsOverMakesNoCalls(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	results, stats := searchAs(ctx, r.searcher, r.fake.Tenant(), 100, shas(1000)...)
	require.Len(t, results, 1000)
	for _, result := range results {
		require.Len(t, result.Errs, 1)
		require.ErrorIs(t, result.Errs[0], context.Canceled)
	}
	assert.Zero(t, stats.Calls)
	assert.Zero(t, r.fake.Calls())
}

// giveUp is how long a search for n observables at a gateway that hangs takes to end once it is given up.
func giveUp(t *testing.T, n int) time.Duration {
	t.Helper()
	r := newRig(t, Options{})
	r.warm(t)
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.HangBeforeHeader()})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan []Result)
	go func() {
		results, _ := searchAs(ctx, r.searcher, r.fake.Tenant(), 100, shas(n)...)
		done <- results
	}()
	require.NoError(t, r.fake.Wait(withDeadline(t), func(s qualystest.Stats) bool { return s.InFlight == 4 }))
	cancel()
	ended := time.Now()
	assert.Len(t, <-done, n)
	took := time.Since(ended)
	require.NoError(t, r.fake.Wait(withDeadline(t), func(s qualystest.Stats) bool { return s.Open == 0 }))
	return took
}

// TestGivingUpIsNoQuadraticWork compares a search with one of a tenth of its observables, in one run, so that
// neither the machine nor what else it does decides.
func TestGivingUpIsNoQuadraticWork(t *testing.T) {
	t.Parallel()
	few, many := giveUp(t, 2_900), giveUp(t, 29_000)
	for range 4 {
		few, many = min(few, giveUp(t, 2_900)), min(many, giveUp(t, 29_000))
		if many < 20*few {
			break
		}
	}
	assert.Less(t, many, 40*few, "ten times as much is proportional, a hundred times quadratic")
}

func TestCheckTellsTheRateLimits(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.fake.SetHeader("X-RateLimit-Limit", "300")
	r.fake.SetHeader("X-RateLimit-Remaining", "297")
	limits, stats, err := check(withDeadline(t), r.searcher, r.fake.Tenant())
	require.NoError(t, err)
	assert.Equal(t, 300, limits.Limit)
	assert.Equal(t, 297, limits.Remaining)
	assert.Equal(t, 1, r.fake.Searches())
	assert.Equal(t, 2, stats.Calls)
	assert.Equal(t, 1, stats.Logins)
	_, _, err = check(withDeadline(t), r.searcher, r.fake.Tenant())
	require.NoError(t, err)
	assert.Equal(t, 2, r.fake.Searches(), "a check is never answered from the cache")
}

func TestCount(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{CacheTTL: time.Minute}, file(1), file(2), file(2).Current(), file(3))
	one, err := Filter(ctim.Observable{Type: "sha256", Value: sha(1)})
	require.NoError(t, err)
	two, err := Filter(ctim.Observable{Type: "sha256", Value: sha(2)})
	require.NoError(t, err)
	queries := []Question{{}, {Filter: one}, {Filter: two, Active: true}, {Filter: one, Active: true}, {Filter: one}}
	results, stats := count(withDeadline(t), r.searcher, r.fake.Tenant(), queries)
	assert.Equal(t, []int64{3, 1, 1, 0, 1}, []int64{results[0].Count.N, results[1].Count.N, results[2].Count.N, results[3].Count.N, results[4].Count.N})
	assert.Equal(t, 4, r.fake.Stats().Counts, "an equal query is made once")
	assert.Equal(t, 1, stats.Logins)
	_, stats = count(withDeadline(t), r.searcher, r.fake.Tenant(), queries)
	assert.Equal(t, 5, stats.CacheHits)
	assert.Equal(t, 4, r.fake.Stats().Counts)

	fresh := newRig(t, Options{}, file(1))
	fresh.fake.Inject(qualystest.Fault{On: qualystest.Count, State: qualystest.CurrentState, Do: qualystest.Status(http.StatusForbidden, "not yours")})
	results, _ = count(withDeadline(t), fresh.searcher, fresh.fake.Tenant(), queries[:3])
	assert.Equal(t, int64(1), results[0].Count.N)
	e, ok := asError(results[2].Errs[0])
	require.True(t, ok)
	assert.Equal(t, "not yours", e.Message)
}

func TestCountInParts(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{CacheTTL: time.Minute}, qualystest.Story()...)
	from, to := time.Date(2026, 3, 16, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 18, 0, 0, 0, 0, time.UTC)
	malicious := Question{Filter: qualys.And(qualys.Between(from, to), qualys.ScoreRange(8, 10))}
	byType, byDay, byHour := malicious, malicious, malicious
	byType.Split, byDay.Split, byHour.Split = qualys.ByType(), qualys.ByTime(from, to, 24*time.Hour), qualys.ByTime(from, to, time.Hour)
	queries := []Question{malicious, byType, byDay, byHour}
	results, _ := count(withDeadline(t), r.searcher, r.fake.Tenant(), queries)
	for i, parts := range []int{0, 4, 1, 2} {
		require.Empty(t, results[i].Errs)
		assert.EqualValues(t, 8, results[i].Count.N)
		assert.Len(t, results[i].Count.Parts, parts, "each split is a lookup of its own")
	}
	again, stats := count(withDeadline(t), r.searcher, r.fake.Tenant(), queries)
	assert.Equal(t, results, again)
	assert.Equal(t, 4, stats.CacheHits)
	assert.Zero(t, stats.Calls)
}

func TestNewest(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{CacheTTL: time.Minute}, qualystest.Story()...)
	newest := func(limit int) (times []string, result Result, stats Stats) {
		question := Question{What: Newest, Filter: qualys.ScoreRange(8, 10), Active: true, Limit: limit}
		for result = range r.searcher.Ask(withDeadline(t), r.fake.Tenant(), &stats, question) {
			for _, e := range result.Events {
				times = append(times, e.Time.Format(time.TimeOnly))
			}
		}
		return times, result, stats
	}
	times, result, stats := newest(3)
	assert.Equal(t, []string{"09:15:47", "08:43:01", "08:42:45"}, times)
	assert.True(t, result.Truncated)
	assert.Equal(t, qualys.ScoreRange(8, 10), result.Filter)
	assert.Equal(t, 2, stats.Calls, "a login and a page")
	times, _, stats = newest(3)
	assert.Len(t, times, 3)
	assert.Zero(t, stats.Calls)
	_, result, _ = newest(10)
	assert.False(t, result.Truncated)
	assert.Zero(t, r.fake.Stats().History, "in the current state only")

	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(http.StatusForbidden, "not yours")})
	_, result, _ = newest(4)
	require.Len(t, result.Errs, 1)
	assert.Empty(t, result.Events)
}

func TestAPanicOfASearchIsAnError(t *testing.T) {
	t.Parallel()
	fake := qualystest.New(t, qualystest.Config{})
	client := qualys.NewClient(qualys.Options{})
	t.Cleanup(client.Close)
	s := newSearcher(client, Options{Span: func(context.Context, string) (context.Context, func(error)) { panic("a bug") }})
	results, _ := searchAs(withDeadline(t), s, fake.Tenant(), 100, shas(2)...)
	for _, result := range results {
		require.NotEmpty(t, result.Errs)
		assert.Contains(t, result.Errs[0].Error(), "a bug")
	}
}

func TestMutexesOfOneQueryAreToldApart(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{}, qualystest.Mutex("one", "a.exe"), qualystest.Mutex("two", "b.exe").Current(), qualystest.Mutex("three", "c.exe"))
	results, _ := r.search(t, 100, append(obs("mutex", "one", "two", "none"), obs("process_name", "c.exe")...)...)
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
