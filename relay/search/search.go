package search

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

// Options configure a Searcher. The zero value of each means its default.
type Options struct {
	Concurrency     int           // calls in flight for one tenant at most; 4. Qualys may allow fewer
	CacheTTL        time.Duration // for which an answer is given again; 0 disables the cache
	CacheBytes      int64         // of events in the cache at most; 32 MiB
	Memory          qualys.Memory // for the events of all requests, as in the client; nil: unbounded
	MaxRequestBytes int64         // of events that one request holds before it visits them; 16 MiB
	// Span, where set, is told of each search: it returns the context to work in and what to call at the
	// end.
	Span func(ctx context.Context, name string) (context.Context, func(error))
}

// maxTenants is how many tenants' queues and limits are remembered.
const maxTenants = 1024

// Searcher searches for many tenants at once. It has no goroutine of its own: one exists only while a call
// to Qualys is in flight. It is safe for concurrent use.
type Searcher struct {
	client  *qualys.Client
	options Options
	cache   *cache

	mu      sync.Mutex
	tenants *simplelru.LRU[qualys.TenantKey, *tenant]
}

// New makes a Searcher over the client.
func New(client *qualys.Client, o Options) *Searcher {
	o.Concurrency = cmp.Or(o.Concurrency, 4)
	o.CacheBytes = cmp.Or(o.CacheBytes, 32<<20)
	o.MaxRequestBytes = cmp.Or(o.MaxRequestBytes, 16<<20)
	if o.Memory == nil {
		o.Memory = unbounded{}
	}
	if o.Span == nil {
		o.Span = func(ctx context.Context, _ string) (context.Context, func(error)) {
			return ctx, func(error) {}
		}
	}
	s := &Searcher{client: client, options: o, cache: newCache(o.CacheTTL, o.CacheBytes)}
	s.tenants, _ = simplelru.NewLRU[qualys.TenantKey, *tenant](maxTenants, nil) // fails for a size below one
	return s
}

type unbounded struct{}

func (unbounded) Acquire(context.Context, int64) error { return nil }
func (unbounded) Release(int64)                        {}

// Result is what was found about one observable. What was found before or beside a failure stays.
type Result struct {
	Observable ctim.Observable // as it was asked
	Filter     qualys.Filter   // the query that finds it, for links to the console
	// Events are the current state, newest first, then history, newest first, each occurrence once, the
	// limit at most.
	Events    []*qualys.Event
	Truncated bool // there are, or may be, more events
	// Examined is how many events Qualys returned until its window of 10,000 ended, where the events of
	// other values fill it so that not all about the observable could be seen; otherwise 0.
	Examined   int
	Unreadable int // elements of Qualys's answers that could not be read
	// Errs are *qualys.Error, qualys.ErrUnquotable, ErrTooLong, ErrMemory or the end of the context, each
	// once.
	Errs []error
}

// Search finds the events about each supported observable and calls visit with each result, in the order in
// which they were asked, as soon as it and those before it are there. Exact duplicates are left out;
// spellings of one value are searched once and have a result each. visit must not keep the events; it
// returns false to end the search. limit is the most events of each result, 1 to 1000. When ctx ends, the
// results that are left hold what was found until then and the context's error.
func (s *Searcher) Search(
	ctx context.Context, account qualys.Tenant, asked []ctim.Observable, limit int, visit func(Result) bool,
) Stats {
	r := s.request(ctx, account)
	var results []Result
	waiters := make(map[ctim.Observable][]*waiter, len(asked)) // for the current state and for history
	for _, o := range asked {
		if _, duplicate := waiters[o]; duplicate || !Supported(o.Type) {
			continue
		}
		target, err := newTarget(o)
		result := Result{Observable: o, Filter: target.filter}
		waiters[o] = nil
		if err != nil {
			result.Errs = []error{err}
		} else {
			for state := range states {
				key := lookupKey{
					tenant: r.tenant.key, op: qualys.OpEvents, field: target.fields[0], value: target.key,
					state: state, limit: limit,
				}
				waiters[o] = append(waiters[o], r.want(key, target))
			}
		}
		results = append(results, result)
	}
	r.tenant.submit(r, r.order...)
	for i := range results {
		result := &results[i]
		states := waiters[result.Observable]
		if states != nil {
			result.merge(r.wait(states[current]), r.wait(states[history]), limit)
		}
		if !visit(*result) {
			break
		}
		r.visited(states)
		result.Events = nil
	}
	return r.end()
}

// Check logs in where needed and makes the smallest search there is. It returns the rate limits that Qualys
// told.
func (s *Searcher) Check(
	ctx context.Context, account qualys.Tenant,
) (limits qualys.RateLimits, stats Stats, err error) {
	stats = s.ask(ctx, account, func(answers []answer) {
		limits, err = answers[0].limits, answers[0].err
	}, question{key: lookupKey{op: opCheck, limit: 1}})
	return limits, stats, err
}

// Newest finds the newest events of the query in the current state, 1 to 1000, and calls visit with them
// once. visit must not keep the events.
func (s *Searcher) Newest(
	ctx context.Context, account qualys.Tenant, f qualys.Filter, limit int, visit func(Result),
) Stats {
	return s.ask(ctx, account, func(answers []answer) {
		result := Result{Filter: f}
		result.merge(answers[0], answer{}, limit)
		visit(result)
	}, question{f, lookupKey{op: opNewest, limit: limit}})
}

// CountResult is the answer to one query of Count.
type CountResult struct {
	qualys.Count
	Err error
}

// Count counts the events of each query, in the order of the queries.
func (s *Searcher) Count(
	ctx context.Context, account qualys.Tenant, queries []qualys.CountQuery,
) ([]CountResult, Stats) {
	questions, results := make([]question, len(queries)), make([]CountResult, len(queries))
	for i, q := range queries {
		questions[i] = question{q.Filter, lookupKey{op: qualys.OpCount, state: history, split: q.Split}}
		if q.Active {
			questions[i].key.state = current
		}
	}
	stats := s.ask(ctx, account, func(answers []answer) {
		for i, a := range answers {
			results[i] = CountResult{a.count, a.err}
		}
	}, questions...)
	return results, stats
}

// question is what a lookup that is joined with no others is about. Its key lacks the tenant and the value.
type question struct {
	filter qualys.Filter
	key    lookupKey
}

// ask calls visit with the answers, in the order of the questions. They are charged for until it returns.
func (s *Searcher) ask(
	ctx context.Context, account qualys.Tenant, visit func([]answer), questions ...question,
) Stats {
	r := s.request(ctx, account)
	waiters, answers := make([]*waiter, len(questions)), make([]answer, len(questions))
	for i, q := range questions {
		q.key.tenant, q.key.value = r.tenant.key, q.filter.String()
		waiters[i] = r.want(q.key, target{filter: q.filter, alone: true})
	}
	r.tenant.submit(r, r.order...)
	for i, w := range waiters {
		answers[i] = r.wait(w)
	}
	visit(answers)
	return r.end()
}

// merge joins the answers of both states. An event of history that is the same occurrence as one of the
// current state is left out.
func (r *Result) merge(active, past answer, limit int) {
	r.Examined, r.Unreadable = active.examined+past.examined, active.unreadable+past.unreadable
	occurrences := map[string]bool{}
	for _, e := range active.events {
		r.Events = append(r.Events, e)
		occurrences[e.TimeSeriesID] = true
	}
	for _, e := range past.events {
		if e.ID == "" || !occurrences[e.ID] {
			r.Events = append(r.Events, e)
		}
	}
	r.Truncated = active.truncated || past.truncated || len(r.Events) > limit
	r.Events = r.Events[:min(len(r.Events), limit)]
	for _, err := range []error{active.err, past.err} {
		if err != nil && (len(r.Errs) == 0 || r.Errs[0].Error() != err.Error()) {
			r.Errs = append(r.Errs, err)
		}
	}
}

// cache holds the latest answers of lookups; those unused for longest make place.
type cache struct {
	ttl  time.Duration
	most int64 // bytes

	mu      sync.Mutex
	entries *simplelru.LRU[lookupKey, cacheEntry]
	bytes   int64
}

type cacheEntry struct {
	answer answer
	bytes  int64
	until  time.Time
}

func newCache(ttl time.Duration, most int64) *cache {
	const entries = 10_000
	c := &cache{ttl: ttl, most: most}
	c.entries, _ = simplelru.NewLRU(entries, func(_ lookupKey, e cacheEntry) { c.bytes -= e.bytes })
	return c
}

func (c *cache) get(key lookupKey) (answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, ok := c.entries.Get(key)
	if ok && !time.Now().Before(entry.until) {
		c.entries.Remove(key)
		return answer{}, false
	}
	return entry.answer, ok
}

// put keeps an answer without an error, unless it has more than a quarter of the cache's bytes.
func (c *cache) put(key lookupKey, a answer) {
	const overhead, partSize = 512, 96 // bytes of an entry without events, and of a part of a count
	size := overhead + int64(len(key.value)) + a.size() + partSize*int64(len(a.count.Parts))
	if c.ttl <= 0 || a.err != nil || key.op == opCheck || size > c.most/4 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries.Remove(key) // Add would overwrite it without giving its bytes back
	c.entries.Add(key, cacheEntry{answer: a, bytes: size, until: time.Now().Add(c.ttl)})
	for c.bytes += size; c.bytes > c.most; {
		c.entries.RemoveOldest()
	}
}
