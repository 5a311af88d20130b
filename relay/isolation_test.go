package relay

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys/qualystest"
)

func (r *testRelay) inFlight() int { return len(r.relay.requests.slots) }

func (r *testRelay) waitInFlight(n int) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return r.inFlight() == n }, testPatience, testTick)
}

// askLater asks in the background.
func (r *testRelay) askLater(observables ...string) <-chan answer {
	answers := make(chan answer, 1)
	go func() { answers <- r.query("/observe/observables", observables...) }()
	return answers
}

// askAndLeave asks in the background, and returns the function with which the client goes away.
func (r *testRelay) askAndLeave(observables ...string) (leave func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = postStatus(ctx, r.url+"/observe/observables", r.token, listOf(observables...)) // it goes away
	}()
	return func() { cancel(); <-done }
}

func listOf(pairs ...string) string {
	list := make([]map[string]string, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, map[string]string{"type": pairs[i], "value": pairs[i+1]})
	}
	body, err := json.Marshal(list)
	if err != nil {
		panic(err)
	}
	return string(body)
}

func toDomain(name string) qualystest.Event {
	return qualystest.Network("agent.exe", "192.0.2.17", "198.51.100.23", name).
		Verdict("MALICIOUS", 9, "Win32.Trojan.Glasswing").Judged(sha(1))
}

// TestAClientThatGoesAwayChangesNoOtherAnswer joins the lookups of two requests in one query, which fails
// after the first of their clients has gone away.
func TestAClientThatGoesAwayChangesNoOtherAnswer(t *testing.T) {
	t.Parallel()
	for _, fault := range []qualystest.Behaviour{
		qualystest.Status(429, "", "X-RateLimit-ToWait-Sec", "0.02"),
		qualystest.Status(409, "", "X-RateLimit-Limit", "1", "X-RateLimit-ToWait-Sec", "0.02"),
		qualystest.Status(400, `{"message":"the query file a.example is not valid"}`),
		qualystest.Status(403, `{"message":"a.example is forbidden"}`),
		qualystest.Status(500, `a.example broke it`),
		qualystest.Reset(), qualystest.NotHTTP(), qualystest.Truncated(), qualystest.Empty(), qualystest.OddElements(),
	} {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			for range 20 { // until the two were joined: that both wait is not seen from outside
				if joinAndLeave(t, fault) {
					return
				}
			}
			t.Fatal("the lookups were never joined")
		})
	}
}

func joinAndLeave(t *testing.T, fault qualystest.Behaviour) (joined bool) {
	r := newRelay(t, []qualystest.Event{toDomain("a.example"), toDomain("b.example").At("2026-02-01T00:00:00Z")}, "QUALYS_CONCURRENCY", "1")
	first, second := make(chan struct{}), make(chan struct{})
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Contains: "occupier", Times: qualystest.Once, Do: qualystest.Hold(first)})
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Contains: "a.example", Times: 1, Do: qualystest.After(second, fault)})
	occupier := r.askLater("domain", "occupier.example")
	require.NoError(t, r.fake.Wait(t.Context(), func(s qualystest.Stats) bool { return s.Searches == 1 }))
	leave := r.askAndLeave("domain", "a.example")
	r.waitInFlight(2)
	b := r.askLater("domain", "b.example")
	r.waitInFlight(3)
	close(first)
	require.Eventually(t, func() bool { return strings.Contains(strings.Join(r.fake.Filters(), "\n"), "a.example") }, testPatience, testTick)
	leave()
	r.waitInFlight(2)
	close(second)
	got := <-b
	<-occupier
	for _, filter := range r.fake.Filters() {
		joined = joined || strings.Contains(filter, "a.example") && strings.Contains(filter, "b.example")
	}
	for _, a := range []answer{got, r.query("/observe/observables", "domain", "b.example")} {
		assert.Empty(t, a.Errors)
		assert.Equal(t, 1, a.Data.Sightings.Count, "%s", a.body)
		assert.NotContains(t, a.body, "a.example")
	}
	return joined
}

// TestAQueryThatIsNotValidIsItsOwnersAlone: what Qualys says of one request's value is not told to another.
func TestAQueryThatIsNotValidIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	r := newRelay(t, []qualystest.Event{toDomain("b.example")}, "QUALYS_CONCURRENCY", "1")
	hold := make(chan struct{})
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Contains: "occupier", Times: qualystest.Once, Do: qualystest.Hold(hold)})
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Contains: "a.example", Do: qualystest.Status(400, `{"message":"cannot parse a.example"}`)})
	occupier := r.askLater("domain", "occupier.example")
	require.NoError(t, r.fake.Wait(t.Context(), func(s qualystest.Stats) bool { return s.Searches == 1 }))
	a, b := r.askLater("domain", "a.example"), r.askLater("domain", "b.example")
	r.waitInFlight(3)
	close(hold)
	<-occupier
	got := <-a
	require.Len(t, got.Errors, 1)
	assert.Contains(t, got.Errors[0].Message, "cannot parse a.example")
	got = <-b
	assert.Empty(t, got.Errors)
	assert.Equal(t, 1, got.Data.Sightings.Count)
	assert.NotContains(t, got.body, "a.example")
}

// TestAFirewallThatDislikesAValue: it loses its own events, and no other value of the query loses any.
func TestAFirewallThatDislikesAValue(t *testing.T) {
	t.Parallel()
	bodies := []qualystest.Behaviour{
		qualystest.Redirect("https://blocked.example/"), qualystest.Redirect("/blocked"), qualystest.Reset(), qualystest.NotHTTP(),
		qualystest.HTML(), qualystest.Empty(), qualystest.Null(), qualystest.Object(), qualystest.Truncated(),
		qualystest.Status(200, `{"message":"Request blocked"}`), qualystest.Status(200, "Request Rejected. Your support ID is: 123"),
		qualystest.Status(409, "conflict"),
	}
	for _, status := range []int{400, 403, 404, 405, 406, 410, 413, 414, 418, 422, 431, 451, 500, 501, 502, 503, 504, 505, 520, 999} {
		bodies = append(bodies, qualystest.Status(status, "<html><h1>Blocked</h1></html>"))
	}
	for i, fault := range bodies {
		bad := [][]string{
			{"file_name", "<script>alert(1)</script>"}, {"file_path", "../../etc/passwd"}, {"mutex", "' or 1=1 --"}, {"file_name", "${jndi:ldap://x}"},
		}[i%4]
		t.Run(fmt.Sprint(i, " ", fault, " ", bad[1]), func(t *testing.T) {
			t.Parallel()
			var events []qualystest.Event
			for n := range 20 {
				events = append(events, badFile(n))
			}
			r := newRelay(t, events)
			r.fake.Inject(qualystest.Fault{On: qualystest.Search, Contains: bad[1], Do: fault})
			var asked []string
			for n := range 16 {
				if asked = append(asked, "sha256", sha(n)); n == i%16 {
					asked = append(asked, bad...)
				}
			}
			other := r.askLater("sha256", sha(18), "sha256", sha(19))
			a := r.query("/observe/observables", asked...)
			assert.Equal(t, 16, a.Data.Sightings.Count, "%v", a.Errors)
			require.Len(t, a.Errors, 1)
			a = <-other
			assert.Empty(t, a.Errors)
			assert.Equal(t, 2, a.Data.Sightings.Count)
		})
	}
}

// TestSeveralBadValuesInOneQuery has them wherever they may be.
func TestSeveralBadValuesInOneQuery(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string][]int{
		"one in each quarter": {1, 6, 8, 15}, "the first of each quarter": {0, 4, 8, 12}, "the last of each": {3, 7, 11, 15}, "two neighbours": {7, 8},
		"the first": {0}, "the last": {15}, "three": {0, 7, 15},
	} {
		for _, status := range []int{500, 400, 403} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				t.Parallel()
				var events []qualystest.Event
				var asked []string
				for n := range 16 {
					events = append(events, badFile(n))
					asked = append(asked, "sha256", sha(n))
				}
				r := newRelay(t, events)
				for _, n := range bad {
					r.fake.Inject(qualystest.Fault{On: qualystest.Search, Contains: sha(n), Do: qualystest.Status(status, "no")})
				}
				a := r.query("/observe/observables", asked...)
				assert.Equal(t, 16-len(bad), a.Data.Sightings.Count, "%v", a.Errors)
				assert.NotEmpty(t, a.Errors)
			})
		}
	}
}

// TestALargeRequestDoesNotStarveASmallOne counts the searches that leave between the small one's request
// and its own search.
func TestALargeRequestDoesNotStarveASmallOne(t *testing.T) {
	t.Parallel()
	r := newRelay(t, []qualystest.Event{badFile(5000)})
	until := make(chan struct{})
	remove := r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Hold(until)})
	var asked []string
	for n := range 1000 {
		asked = append(asked, "sha256", sha(n))
	}
	large := r.askLater(asked...)
	require.NoError(t, r.fake.Wait(t.Context(), func(s qualystest.Stats) bool { return s.InFlight == 4 }))
	small := r.askLater("sha256", sha(5000))
	r.waitInFlight(2)
	remove()
	r.fake.SetDelay(testTick)
	close(until)
	a := <-small
	assert.Equal(t, 1, a.Data.Sightings.Count)
	assert.Empty(t, a.Errors)
	place := 0
	for i, filter := range r.fake.Filters() {
		if strings.Contains(filter, sha(5000)) {
			place = max(place, i)
		}
	}
	assert.Less(t, place, 20, "of the 40 searches of the large request")
	assert.Empty(t, (<-large).Errors)
}

// TestTenantsDoNotMeet: one tenant's hanging gateway, rate limit, refused password and events are not
// another's.
func TestTenantsDoNotMeet(t *testing.T) {
	t.Parallel()
	r := newRelay(t, []qualystest.Event{badFile(1)}, "REQUEST_TIMEOUT", "2s")
	r.fake.AddUser("other", "other's password")
	r.fake.SetEventsOf("other", badFile(2), badFile(2).At("2026-01-05T00:00:00Z"))
	other := tokenFor(t, "other", "other's password")
	askOther := func() answer {
		return r.post("/observe/observables", other, listOf("sha256", sha(1), "sha256", sha(2)))
	}
	for _, fault := range []qualystest.Behaviour{
		qualystest.HangBeforeHeader(), qualystest.Status(429, "", "Retry-After", "900"), qualystest.Status(403, ""), qualystest.LimitReached(5000),
	} {
		remove := r.fake.Inject(qualystest.Fault{On: qualystest.Search, User: qualystest.User, Do: fault})
		mine := r.askLater("sha256", sha(1), "sha256", sha(2))
		a := askOther()
		assert.Empty(t, a.Errors, fault)
		assert.Equal(t, 2, a.Data.Sightings.Count, fault)
		assert.NotEmpty(t, (<-mine).Errors, fault)
		remove()
	}
	wrong := r.post("/observe/observables", tokenFor(t, "other", "guess"), listOf("sha256", sha(2)))
	assert.Equal(t, []Code{CodeAuthorization}, wrong.codes(), "a cached answer is not for who has another password")
	assert.Equal(t, 2, askOther().Data.Sightings.Count)
}

// TestTheLimitOfOneTokenIsNotAnothers: lookups of one value with other limits are other lookups.
func TestTheLimitOfOneTokenIsNotAnothers(t *testing.T) {
	t.Parallel()
	r := newRelay(t, []qualystest.Event{badFile(1), badFile(1).At("2026-03-03T00:00:00Z"), badFile(1).At("2026-03-04T00:00:00Z")})
	for _, limit := range []int{1, 3, 2, 3, 1} {
		a := r.post("/observe/observables", tokenFor(t, qualystest.User, qualystest.Password, "CTR_ENTITIES_LIMIT", fmt.Sprint(limit)), listOf("sha256", sha(1)))
		assert.Equal(t, limit, a.Data.Sightings.Count)
		assert.Equal(t, limit < 3, len(a.Errors) == 1, "%v", a.Errors)
	}
}

// TestCancelledNeighbours: clients that go away at any moment leave the others' calls alone.
func TestCancelledNeighbours(t *testing.T) {
	t.Parallel()
	r := newRelay(t, []qualystest.Event{badFile(1)}, "SEARCH_CACHE", "0")
	for i := range 60 {
		searches := r.fake.Searches()
		leave := r.askAndLeave("sha256", sha(100+i))
		if i%2 == 0 {
			require.NoError(t, r.fake.Wait(t.Context(), func(s qualystest.Stats) bool { return s.Searches > searches }))
		}
		stays := r.askLater("sha256", sha(1))
		leave()
		a := <-stays
		assert.Empty(t, a.Errors)
		assert.Equal(t, 1, a.Data.Sightings.Count)
		r.waitInFlight(0)
	}
}

// TestEachSpellingHasItsOwnSightings asks for one thing in several spellings at once.
func TestEachSpellingHasItsOwnSightings(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("ab", 32)
	r := newRelay(t, []qualystest.Event{
		toDomain("evil.example"), qualystest.File(`C:\Temp\Bad.exe`, hash, "").Verdict("MALICIOUS", 9, "x"),
		qualystest.Network("a.exe", "192.0.2.1", "2001:db8:0:0:0:0:0:1", ""),
	})
	for _, spellings := range [][]string{
		{"domain", "Evil.example", "domain", "evil.example", "domain", "EVIL.EXAMPLE.", "domain", " evil.example "},
		{"sha256", hash, "sha256", strings.ToUpper(hash), "sha256", " " + hash},
		{"file_path", `C:\Temp\Bad.exe`, "file_path", `c:/temp/bad.exe`, "file_path", `\\?\C:\TEMP\bad.exe`},
		{"file_name", "Bad.exe", "file_name", "BAD.EXE"},
		{"ip", "2001:db8::1", "ip", "2001:db8:0:0:0:0:0:1", "ipv6", "2001:0DB8::0001"},
	} {
		a := r.query("/observe/observables", spellings...)
		assert.Empty(t, a.Errors)
		seen := make(map[string]int)
		for _, sighting := range a.Data.Sightings.Docs {
			seen[fmt.Sprint(sighting["observables"])]++
		}
		assert.Len(t, seen, len(spellings)/2, "%v", spellings)
		for spelling, n := range seen {
			assert.Equal(t, 1, n, spelling)
		}
	}
}
