package search

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
)

// roundTrip is how long the fake takes for each answer in the benchmarks.
const roundTrip = 50 * time.Millisecond

// BenchmarkRoundTrips tells what searches cost in round trips and in calls: as the searcher does it, and one by one as a relay without batching
// would (a login, then both states one after the other, for each observable).
func BenchmarkRoundTrips(b *testing.B) {
	twenty := make([]Observable, 20)
	for i := range twenty {
		twenty[i] = Observable{"sha256", sha(i)}
	}
	hits := []qualystest.Event{file(3), file(7).Current(), file(19)}
	poison := qualystest.Fault{On: qualystest.Search, Contains: sha(11), Do: qualystest.Status(http.StatusBadRequest, "")}
	for _, c := range []struct {
		name        string
		observables []Observable
		requests    int // at once, each with one of the observables in turn; 0: one with all
		warm        bool
		events      []qualystest.Event
		faults      []qualystest.Fault
	}{
		{"one warm", twenty[:1], 0, true, nil, nil},
		{"twenty without hits", twenty, 0, true, nil, nil},
		{"twenty, three with hits", twenty, 0, true, hits, nil},
		{"twenty, three with hits, one poisoned", twenty, 0, true, hits, []qualystest.Fault{poison}},
		{"twenty-five requests at once, cold", twenty, 25, false, nil, nil},
		{"twenty-five requests at once, warm", twenty, 25, true, nil, nil},
	} {
		setUp := func(b *testing.B) (*qualystest.Server, *qualys.Client) {
			b.Helper()
			fake := qualystest.New(b, qualystest.Config{Events: c.events})
			for _, f := range c.faults {
				fake.Inject(f)
			}
			client := qualys.NewClient(qualys.Options{})
			b.Cleanup(client.Close)
			if c.warm {
				if err := client.Login(b.Context(), fake.Tenant()); err != nil {
					b.Fatal(err)
				}
				New(client, Options{}).Search(b.Context(), fake.Tenant(), twenty[:1], 100) // connections
			}
			fake.SetDelay(roundTrip)
			fake.ResetStats()
			return fake, client
		}
		report := func(b *testing.B, took time.Duration, calls int) {
			b.Helper()
			b.ReportMetric(float64(took)/float64(roundTrip)/float64(b.N), "round-trips")
			b.ReportMetric(float64(calls)/float64(b.N), "calls")
			b.ReportMetric(0, "ns/op")
		}
		b.Run(c.name+"/joined", func(b *testing.B) {
			var took time.Duration
			calls := 0
			for range b.N {
				fake, client := setUp(b)
				s := New(client, Options{})
				began := time.Now()
				if c.requests == 0 {
					s.Search(b.Context(), fake.Tenant(), c.observables, 100)
				} else {
					var group sync.WaitGroup
					for i := range c.requests {
						group.Go(func() {
							s.Search(b.Context(), fake.Tenant(), []Observable{{"md5", md5(i)}}, 100)
						})
					}
					group.Wait()
				}
				took += time.Since(began)
				calls += fake.Calls()
			}
			report(b, took, calls)
		})
		b.Run(c.name+"/one by one", func(b *testing.B) {
			var took time.Duration
			calls := 0
			for range b.N {
				fake, _ := setUp(b)
				began := time.Now()
				for i := range max(len(c.observables), c.requests) {
					oneByOne(b.Context(), fake.Tenant(), c.observables[i%len(c.observables)])
				}
				took += time.Since(began)
				calls += fake.Calls()
			}
			report(b, took, calls)
		})
	}
}

func oneByOne(ctx context.Context, tenant qualys.Tenant, o Observable) {
	client := qualys.NewClient(qualys.Options{})
	defer client.Close()
	filter, err := o.Filter()
	if err != nil {
		return
	}
	for _, l := range lanes {
		_, _ = client.Events(ctx, tenant, eventQuery(filter, l, 100, 0)) // a failure costs as much
	}
}
