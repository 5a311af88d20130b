package search

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/semaphore"

	"qualysrelay.example/ctim"
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
	if o.Memory == nil {
		o.Memory = semaphore.NewWeighted(1 << 40)
	}
	fake := qualystest.New(t, qualystest.Config{Events: events})
	client := qualys.NewClient(qualys.Options{Memory: o.Memory})
	t.Cleanup(client.Close)
	return &rig{fake, newSearcher(client, o), client}
}

// newSearcher makes a searcher with the options that are set, and usual ones for the others.
func newSearcher(client *qualys.Client, o Options) *Searcher {
	o.Concurrency = cmp.Or(o.Concurrency, 4)
	o.CacheBytes = cmp.Or(o.CacheBytes, 32<<20)
	o.MaxRequestBytes = cmp.Or(o.MaxRequestBytes, 16<<20)
	if o.Memory == nil {
		o.Memory = semaphore.NewWeighted(1 << 40)
	}
	if o.Span == nil {
		o.Span = func(ctx context.Context, _ string) (context.Context, func(error)) {
			return ctx, func(error) {}
		}
	}
	return New(client, o)
}

func (r *rig) search(t *testing.T, limit int, observables ...ctim.Observable) ([]Result, Stats) {
	t.Helper()
	return searchAs(withDeadline(t), r.searcher, r.fake.Tenant(), limit, observables...)
}

// searchAs collects all results. Tests keep the events, since they do not mind the memory.
func searchAs(
	ctx context.Context, s *Searcher, account qualys.Tenant, limit int, observables ...ctim.Observable,
) ([]Result, Stats) {
	var stats Stats
	results := slices.Collect(s.Search(ctx, account, observables, limit, &stats))
	return results, stats
}

// warm logs in, so that the next search is one round trip.
func (r *rig) warm(t *testing.T) {
	t.Helper()
	require.NoError(t, r.client.Check(t.Context(), r.fake.Tenant()))
	r.fake.ResetStats()
}

// occupy keeps a tenant of two calls from making others, until the function that it returns is called.
func (r *rig) occupy(t *testing.T) (release func()) {
	t.Helper()
	held := make(chan struct{})
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Times: 2, Do: qualystest.Hold(held)})
	first := search(t, r, shas(1)...)
	require.NoError(t, r.fake.Wait(withDeadline(t), func(s qualystest.Stats) bool { return s.InFlight == 2 }))
	return func() {
		close(held)
		<-first
	}
}

// queued counts the lookups that have not left.
func (r *rig) queued() int {
	tenant, n := r.searcher.tenant(r.fake.Tenant()), 0
	tenant.note(func() {
		for _, l := range tenant.lookups {
			if !l.sent {
				n += len(l.requests)
			}
		}
	})
	return n
}

// check, count and newest ask one kind of question.
func check(ctx context.Context, s *Searcher, account qualys.Tenant) (limits qualys.RateLimits, stats Stats, err error) {
	for r := range s.Ask(ctx, account, &stats, Question{What: Check, Active: true}) {
		if limits = r.Limits; len(r.Errs) > 0 {
			err = r.Errs[0]
		}
	}
	return limits, stats, err
}

func count(ctx context.Context, s *Searcher, account qualys.Tenant, queries []Question) (results []Result, stats Stats) {
	for i := range queries {
		queries[i].What = Count
	}
	results = slices.Collect(s.Ask(ctx, account, &stats, queries...))
	return results, stats
}

func asError(err error) (*qualys.Error, bool) { return errors.AsType[*qualys.Error](err) }

func withDeadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func obs(typ ctim.ObservableType, values ...string) []ctim.Observable {
	var observables []ctim.Observable
	for _, value := range values {
		observables = append(observables, ctim.Observable{Type: typ, Value: value})
	}
	return observables
}

func sha(i int) string { return fmt.Sprintf("%064x", i+1) }
func md5(i int) string { return fmt.Sprintf("%032x", i+1) }

func shas(n int) []ctim.Observable {
	var observables []ctim.Observable
	for i := range n {
		observables = append(observables, obs("sha256", sha(i))...)
	}
	return observables
}

func file(i int) qualystest.Event {
	return qualystest.File(fmt.Sprintf(`C:\Data\file-%03d.exe`, i), sha(i), md5(i)).
		At(fmt.Sprintf("2026-03-01T10:%02d:00Z", i%60))
}

// many are n events of one connection, each at its own time.
func many(n int, remote, name string) []qualystest.Event {
	start := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	var events []qualystest.Event
	for i := range n {
		events = append(events, qualystest.Network(fmt.Sprintf("p%d.exe", i), "192.0.2.9", remote, name).
			At(start.Add(time.Duration(i)*time.Minute).Format(time.RFC3339)))
	}
	return events
}

func ids(events []*qualys.Event) []string {
	var all []string
	for _, e := range events {
		all = append(all, e.ID)
	}
	return all
}
