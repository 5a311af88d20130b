package search

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"qualysrelay.example/qualys"
)

const (
	maxFilter  = 6 << 10 // URL-encoded bytes of a query: gateways refuse URLs of about 8 KiB
	maxJoined  = 50      // observables in one query
	minPage    = 100     // events: a smaller page saves nothing and would need more pages where a prefix finds others
	maxPage    = 1000    // events: the largest page seen to work
	maxPages   = 10      // pages of one search; Qualys shows no event beyond the 10,000th
	maxTenants = 1024    // whose lanes are remembered between requests
)

// Options of a Searcher. The zero value of each field is a default.
type Options struct {
	// Concurrency is the most calls in flight for one tenant; 4 by default. Qualys may allow fewer, which is learned from its answers.
	Concurrency int
	// CacheTTL is how long an answer is given again without asking; 0 turns the cache off.
	CacheTTL time.Duration
	// Span, where set, is told of each piece of work for the trace: it returns the context to work in and what to call at the end.
	Span func(ctx context.Context, name string) (context.Context, func(error))
}

// Searcher searches for many tenants at once. It starts no goroutine of its own: one exists only while a call to Qualys is under way.
type Searcher struct {
	client  *qualys.Client
	options Options
	cache   *cache

	mu      sync.Mutex
	tenants *simplelru.LRU[qualys.TenantKey, *tenant]
}

// New makes a Searcher over the client.
func New(client *qualys.Client, o Options) *Searcher {
	if o.Concurrency < 1 {
		o.Concurrency = 4
	}
	if o.Span == nil {
		o.Span = func(ctx context.Context, _ string) (context.Context, func(error)) { return ctx, func(error) {} }
	}
	tenants, err := simplelru.NewLRU[qualys.TenantKey, *tenant](maxTenants, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	return &Searcher{client: client, options: o, cache: newCache(o.CacheTTL), tenants: tenants}
}

// Result is what was found about one observable. Events and Errs may both be set: what was found before or beside a failure stays.
type Result struct {
	Observable Observable
	Filter     qualys.Filter // the query that finds it, for links to the console
	// Events are the current state, newest first, then history, newest first, each occurrence once; limit at most.
	Events []*qualys.Event
	// Cut says that there are, or may be, more events than the limit lets through.
	Cut bool
	// Errs are *qualys.Error, qualys.ErrUnquotable, ErrTooLong, or the end of the context. Equal failures of both searches are said once.
	Errs []error
}

// Search finds the events about each supported observable, in the order of the first mention; an observable that is asked twice is searched once.
// It returns at the latest when ctx ends, with what was found until then. limit is the most events for each observable, 1 to 1000.
func (s *Searcher) Search(ctx context.Context, account qualys.Tenant, observables []Observable, limit int) ([]Result, Stats) {
	c := &caller{ctx: ctx}
	t := s.tenant(account)
	results := make([]Result, 0, len(observables))
	asks := make([][2]*ask, 0, len(observables))
	seen := make(map[Observable]bool, len(observables))
	var submitted []*ask
	for _, o := range observables {
		if !o.Supported() || seen[o.key()] {
			continue
		}
		seen[o.key()] = true
		filter, err := o.Filter()
		result := Result{Observable: o, Filter: filter}
		if err != nil {
			results, asks = append(results, withError(result, err)), append(asks, [2]*ask{})
			continue
		}
		var pair [2]*ask
		for i, lane := range lanes {
			a := &ask{caller: c, observable: o, key: o.key(), filter: filter, lane: lane, limit: limit, done: make(chan struct{})}
			pair[i] = a
			if answer, ok := s.cache.get(t.key, a); ok {
				a.answer = answer
				close(a.done)
				c.stats.CacheHits++
				continue
			}
			submitted = append(submitted, a)
		}
		results, asks = append(results, result), append(asks, pair)
	}
	t.submit(submitted)
	for i, pair := range asks {
		if pair[0] == nil {
			continue
		}
		t.await(c, pair[:], submitted)
		results[i] = merge(results[i], pair[0].answer, pair[1].answer, limit)
		pair[0].answer, pair[1].answer = answer{}, answer{} // what the limit cuts off need not stay until the last search is done
	}
	return results, t.statsOf(c)
}

// Check logs in where needed and makes the smallest search there is. It returns the rate limits that Qualys told beside the answer.
func (s *Searcher) Check(ctx context.Context, account qualys.Tenant) (qualys.RateLimits, Stats, error) {
	c := &caller{ctx: ctx}
	t := s.tenant(account)
	deadline, _ := ctx.Deadline()
	for tries := 0; ; tries++ {
		if err := t.pass(ctx); err != nil {
			return qualys.RateLimits{}, t.statsOf(c), err
		}
		page, err := t.fetch(ctx, []*caller{c}, qualys.EventQuery{Active: true, PageSize: 1}, deadline, maxTries)
		if err == nil || tries == maxRateTries || !t.limited(err) {
			return page.Limits, t.statsOf(c), err
		}
	}
}

func (s *Searcher) tenant(account qualys.Tenant) *tenant {
	key := account.Key()
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.tenants.Get(key); ok {
		return t
	}
	t := newTenant(s, account, key)
	s.tenants.Add(key, t)
	return t
}

// merge joins the answers of the two lanes. An event of history that is the same occurrence as one of the current state is dropped.
func merge(r Result, active, history answer, limit int) Result {
	r.Cut = active.cut || history.cut
	current := make(map[string]bool, len(active.events))
	for _, e := range active.events {
		if e.TimeSeriesID != "" {
			current[e.TimeSeriesID] = true
		}
	}
	r.Events = make([]*qualys.Event, 0, min(limit, len(active.events)+len(history.events)))
	add := func(e *qualys.Event) {
		if len(r.Events) == limit {
			r.Cut = true
			return
		}
		r.Events = append(r.Events, e)
	}
	for _, e := range active.events {
		add(e)
	}
	for _, e := range history.events {
		if !current[e.ID] {
			add(e)
		}
	}
	for _, a := range [...]answer{active, history} {
		if a.err != nil {
			r = withError(r, a.err)
		}
	}
	return r
}

func withError(r Result, err error) Result {
	for _, said := range r.Errs {
		if said.Error() == err.Error() {
			return r
		}
	}
	r.Errs = append(r.Errs, err)
	return r
}
