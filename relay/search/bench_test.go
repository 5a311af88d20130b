package search

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
)

// roundTrip is how long the fake takes for each answer in the benchmarks.
const roundTrip = 50 * time.Millisecond

// BenchmarkRoundTrips tells what searches cost in round trips and in calls.
func BenchmarkRoundTrips(b *testing.B) {
	hits := []qualystest.Event{file(3), file(7).Current(), file(19)}
	bad := qualystest.Fault{On: qualystest.Search, Contains: sha(11), Do: qualystest.Status(http.StatusForbidden, "")}
	for _, c := range []struct {
		name        string
		observables []ctim.Observable
		requests    int // at once, each with one of the observables; 0: one with all
		warm        bool
		events      []qualystest.Event
		faults      []qualystest.Fault
	}{
		{"one, warm", shas(1), 0, true, nil, nil},
		{"twenty without hits", shas(20), 0, true, nil, nil},
		{"twenty, three with hits", shas(20), 0, true, hits, nil},
		{"twenty, three with hits, a bad one", shas(20), 0, true, hits, []qualystest.Fault{bad}},
		{"twenty-five requests at once, cold", shas(25), 25, false, nil, nil},
		{"twenty-five requests at once, warm", shas(25), 25, true, nil, nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			var took time.Duration
			calls := 0
			for b.Loop() {
				fake := qualystest.New(b, qualystest.Config{Events: c.events})
				for _, f := range c.faults {
					fake.Inject(f)
				}
				client := qualys.NewClient(qualys.Options{})
				s, account := newSearcher(client, Options{}), fake.Tenant()
				if c.warm { // the login and the connections
					searchAs(b.Context(), newSearcher(client, Options{}), account, 100, obs("md5", md5(1))...)
				}
				fake.SetDelay(roundTrip)
				fake.ResetStats()
				began := time.Now()
				if c.requests == 0 {
					searchAs(b.Context(), s, account, 100, c.observables...)
				}
				var group sync.WaitGroup
				for i := range c.requests {
					group.Go(func() { searchAs(b.Context(), s, account, 100, c.observables[i]) })
				}
				group.Wait()
				took += time.Since(began)
				calls += fake.Calls()
				client.Close()
			}
			b.ReportMetric(float64(took)/float64(roundTrip)/float64(b.N), "round-trips")
			b.ReportMetric(float64(calls)/float64(b.N), "calls")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkShare is the work of giving a full page to fifty lookups.
func BenchmarkShare(b *testing.B) {
	var lookups []*lookup
	for _, o := range append(shas(40), obs("domain", "a.example", "b.example", "c.example")...) {
		t, err := newTarget(o)
		if err != nil {
			b.Fatal(err)
		}
		lookups = append(lookups, &lookup{target: t})
	}
	fake := qualystest.New(b, qualystest.Config{Events: qualystest.Generate(1, 1000, qualystest.Values{State: qualystest.HistoryState})})
	client := qualys.NewClient(qualys.Options{})
	defer client.Close()
	page, err := client.Events(b.Context(), fake.Tenant(), qualys.EventQuery{PageSize: 1000})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		share(lookups, page.Events)
	}
}
