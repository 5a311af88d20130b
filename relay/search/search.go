package search

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jellydator/ttlcache/v3"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

// Options configure a Searcher. All but CacheTTL have to be set.
type Options struct {
	Concurrency     int           // calls in flight for one tenant at most; Qualys may allow fewer
	CacheTTL        time.Duration // for which an answer is given again; 0 disables the cache
	CacheBytes      int64         // of events in the cache at most
	Memory          qualys.Memory // for the events of all requests, as in the client
	MaxRequestBytes int64         // of events that one request holds before it visits them
	// Span is told of each search: it returns the context to work in and what to call at the end.
	Span func(ctx context.Context, name string) (context.Context, func(error))
}

// ErrMemory says that there was no memory for some of the events that were found.
var ErrMemory = errors.New("search: no memory for the events that were found")

// memoryWait is how long events wait for memory, as in the client.
const memoryWait = 3 * time.Second

// Searcher searches for many tenants at once. It has no goroutine of its own: one exists only while a call
// to Qualys is in flight. It is safe for concurrent use.
type Searcher struct {
	client  *qualys.Client
	options Options
	cache   *ttlcache.Cache[lookupKey, answer]
	tenants *ttlcache.Cache[qualys.TenantKey, *tenant]
}

// New makes a Searcher over the client.
func New(client *qualys.Client, o Options) *Searcher {
	const maxTenants, maxAnswers = 1024, 10_000 // that are remembered; those unused for longest make place
	tenants := ttlcache.New(ttlcache.WithCapacity[qualys.TenantKey, *tenant](maxTenants))
	cache := ttlcache.New(
		ttlcache.WithTTL[lookupKey, answer](o.CacheTTL),
		ttlcache.WithDisableTouchOnHit[lookupKey, answer](),
		ttlcache.WithCapacity[lookupKey, answer](maxAnswers),
		ttlcache.WithMaxCost(uint64(o.CacheBytes), cost),
	)
	return &Searcher{client: client, options: o, cache: cache, tenants: tenants}
}

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

// Stats is what one request cost upstream. A call that several requests wait for is counted for each of
// them.
type Stats struct {
	Calls     int           // HTTP exchanges with Qualys, logins among them
	Logins    int           // logins among the calls
	Upstream  time.Duration // the time of all calls added up
	Waits     int           // rate limits that were waited for
	CacheHits int           // lookups answered from the cache
	Batches   []int         // for each search, how many lookups it was for
}

// Search finds the events about each supported observable and calls visit with each result, in the order in
// which they were asked, as soon as it and those before it are there. Exact duplicates are left out;
// spellings of one value are searched once and have a result each. visit must not keep the events; it
// returns false to end the search. limit is the most events of each result, 1 to 1000. When ctx ends, the
// results that are left hold what was found until then and the context's error.
func (s *Searcher) Search(
	ctx context.Context, account qualys.Tenant, asked []ctim.Observable, limit int, visit func(Result) bool,
) Stats {
	var results []Result
	var questions [][]*waiter
	seen := make(map[ctim.Observable]bool, len(asked))
	for _, o := range asked {
		if seen[o] || !Supported(o.Type) {
			continue
		}
		seen[o] = true
		target, err := newTarget(o)
		result, both := Result{Observable: o, Filter: target.filter}, []*waiter(nil)
		if err != nil {
			result.Errs = []error{err}
		} else {
			key := lookupKey{what: string(target.fields[0]), value: target.key, limit: limit}
			for key.state = range states {
				both = append(both, newWaiter(key, target))
			}
		}
		results, questions = append(results, result), append(questions, both)
	}
	return s.do(ctx, account, questions, func(i int) bool {
		return visit(results[i].with(questions[i], limit))
	})
}

// Check logs in where needed and makes the smallest search there is. It returns the rate limits that Qualys
// told.
func (s *Searcher) Check(ctx context.Context, account qualys.Tenant) (qualys.RateLimits, Stats, error) {
	var found answer
	w := newWaiter(lookupKey{what: whatCheck}, target{alone: true})
	stats := s.do(ctx, account, [][]*waiter{{w}}, func(int) bool {
		found = w.answer
		return true
	})
	return found.limits, stats, found.err
}

// Newest finds the newest events of the query in the current state, 1 to 1000, and calls visit with them
// once. visit must not keep the events.
func (s *Searcher) Newest(
	ctx context.Context, account qualys.Tenant, f qualys.Filter, limit int, visit func(Result),
) Stats {
	w := newWaiter(lookupKey{what: whatNewest, value: f.String(), limit: limit}, target{filter: f, alone: true})
	return s.do(ctx, account, [][]*waiter{{w}}, func(int) bool {
		visit(Result{Filter: f}.with([]*waiter{w}, limit))
		return true
	})
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
	questions, results := make([][]*waiter, len(queries)), make([]CountResult, len(queries))
	for i, q := range queries {
		key := lookupKey{what: whatCount, value: q.Filter.String(), state: history, split: q.Split}
		if q.Active {
			key.state = current
		}
		questions[i] = []*waiter{newWaiter(key, target{filter: q.Filter, alone: true})}
	}
	stats := s.do(ctx, account, questions, func(i int) bool {
		found := questions[i][0].answer
		results[i] = CountResult{found.count, found.err}
		return true
	})
	return results, stats
}

// do has everything searched that the questions need, and calls visit with the number of each question, in
// order, when all its answers are there, until it returns false. The answers are charged for until then.
// Every request is one call of it.
func (s *Searcher) do(
	ctx context.Context, account qualys.Tenant, questions [][]*waiter, visit func(int) bool,
) (stats Stats) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(time.Hour)
	}
	t, key := s.tenant(account), account.Key()
	r := &request{ctx: ctx, deadline: deadline, waiters: slices.Concat(questions...)}
	for _, w := range r.waiters {
		w.request, w.lookup.key.tenant = r, key
		w.cached = s.cache.Has(w.lookup.key)
	}
	t.submit(r.waiters...)
	defer context.AfterFunc(ctx, func() { t.note(func() { t.dismiss(context.Cause(ctx), r.waiters...) }) })()
	for i, question := range questions {
		for _, w := range question {
			t.wait(w)
		}
		more := visit(i)
		t.note(func() { release(question) })
		if !more {
			break
		}
	}
	t.note(func() {
		t.dismiss(context.Canceled, r.waiters...)
		release(r.waiters)
		stats = r.stats
	})
	return stats
}

// tenant returns the account's tenant.
func (s *Searcher) tenant(account qualys.Tenant) *tenant {
	item, _ := s.tenants.GetOrSetFunc(account.Key(), func() *tenant {
		return &tenant{
			searcher: s, account: account, allowed: s.options.Concurrency, lookups: make(map[lookupKey]*lookup),
		}
	})
	return item.Value()
}

// with adds the answers about both states. An event of history that is the same occurrence as one of the
// current state is left out.
func (r Result) with(states []*waiter, limit int) Result {
	occurrences := make(map[string]bool)
	for _, w := range states {
		for _, e := range w.answer.events {
			if e.Active {
				occurrences[e.TimeSeriesID] = true
			} else if e.ID != "" && occurrences[e.ID] {
				continue
			}
			r.Events = append(r.Events, e)
		}
		r.Truncated = r.Truncated || w.answer.truncated || len(r.Events) > limit
		r.Examined, r.Unreadable = r.Examined+w.answer.examined, r.Unreadable+w.answer.unreadable
		if err := w.answer.err; err != nil && (len(r.Errs) == 0 || r.Errs[0].Error() != err.Error()) {
			r.Errs = append(r.Errs, err)
		}
	}
	r.Events = r.Events[:min(len(r.Events), limit)]
	return r
}

// answer is what a lookup was told. Beside an error there may be events that were found before it.
type answer struct {
	events     []*qualys.Event // newest first, the lookup's limit at most
	charge     *charge         // for the events
	truncated  bool
	examined   int
	unreadable int
	count      qualys.Count
	limits     qualys.RateLimits
	err        error
}

// size is the memory of the events.
func (a answer) size() (bytes int64) {
	for _, e := range a.events {
		bytes += int64(e.Size)
	}
	return bytes
}

// charge is memory that the last of its holders gives back. The holders are under tenant.mu.
type charge struct {
	memory  qualys.Memory
	bytes   int64 // changed by one holder only
	holders int
}

// grow waits for more memory. Its error is ErrMemory.
func (c *charge) grow(ctx context.Context, bytes int64) error {
	if bytes > 0 && c.memory.Acquire(ctx, bytes) != nil {
		return ErrMemory
	}
	c.bytes += bytes
	return nil
}

// release is called by each holder. It does nothing where there is no charge.
func (c *charge) release() {
	if c == nil {
		return
	}
	if c.holders--; c.holders == 0 && c.bytes > 0 {
		c.memory.Release(c.bytes)
	}
}

// cost is about the bytes of a cached answer.
func cost(item ttlcache.CostItem[lookupKey, answer]) uint64 {
	const empty, part = 512, 96 // an answer without events, and a part of a count
	return uint64(empty + len(item.Key.value) + int(item.Value.size()) + part*len(item.Value.count.Parts))
}

// put caches an answer without an error, unless it takes more than a quarter of the cache.
func (s *Searcher) put(key lookupKey, a answer) {
	size := cost(ttlcache.CostItem[lookupKey, answer]{Key: key, Value: a})
	fits := size <= uint64(s.options.CacheBytes)/4
	if a.charge = nil; s.options.CacheTTL > 0 && a.err == nil && key.what != whatCheck && fits {
		s.cache.Set(key, a, ttlcache.DefaultTTL)
	}
}
