package search

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/jellydator/ttlcache/v3"
	"golang.org/x/sync/semaphore"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

// Options configure a Searcher. All but CacheTTL have to be set.
type Options struct {
	Concurrency     int                 // calls in flight for one tenant at most; Qualys may allow fewer
	CacheTTL        time.Duration       // for which an answer is given again; 0 disables the cache
	CacheBytes      int64               // of events in the cache at most
	Memory          *semaphore.Weighted // bytes for the events of all requests, as in the client
	MaxRequestBytes int64               // of events from Qualys that one request holds before it visits them
	// Span is told of each search: it returns the context to work in and what to call at the end.
	Span func(ctx context.Context, name string) (context.Context, func(error))
}

// ErrMemory says that there was no memory for some of the events that were found.
var ErrMemory = errors.New("search: no memory for the events that were found")

// Searcher searches for many tenants at once. It has no goroutine of its own: one exists only while a call
// to Qualys is in flight. It is safe for concurrent use.
type Searcher struct {
	client  *qualys.Client
	options Options
	cache   *ttlcache.Cache[lookupKey, Result]
	tenants *ttlcache.Cache[qualys.TenantKey, *tenant]
}

// New makes a Searcher over the client.
func New(client *qualys.Client, o Options) *Searcher {
	const maxTenants, maxAnswers = 1024, 10_000 // that are remembered; those unused for longest make place
	return &Searcher{
		client: client, options: o,
		tenants: ttlcache.New(ttlcache.WithCapacity[qualys.TenantKey, *tenant](maxTenants)),
		cache: ttlcache.New(
			ttlcache.WithTTL[lookupKey, Result](o.CacheTTL),
			ttlcache.WithDisableTouchOnHit[lookupKey, Result](),
			ttlcache.WithCapacity[lookupKey, Result](maxAnswers),
			//nolint:gosec // it is not negative
			ttlcache.WithMaxCost(uint64(o.CacheBytes), func(i ttlcache.CostItem[lookupKey, Result]) uint64 {
				return uint64(cost(i.Key, i.Value)) //nolint:gosec // it is not negative
			}),
		),
	}
}

// Result is what was found about one observable, or the answer to one Question. What was found before or
// beside a failure stays.
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
	Unreadable int               // elements of Qualys's answers that could not be read
	Count      qualys.Count      // of the events, where they are counted
	Limits     qualys.RateLimits // that Qualys told last
	// Errs are *qualys.Error, qualys.ErrUnquotable, ErrTooLong, ErrMemory or the end of the context, each
	// once.
	Errs []error
}

// Stats is what one request cost upstream. A call that several requests wait for is counted for each.
type Stats struct {
	Calls     int           // HTTP exchanges with Qualys, logins among them
	Logins    int           // logins among the calls
	Waits     int           // rate limits that were waited for
	CacheHits int           // answers from the cache
	Time      time.Duration // of all calls added up
	Batches   []int         // for each search, how many lookups it was for
}

// Search finds the events about each supported observable. The results come in the order in which they were
// asked, each as soon as it and those before it are there. Exact duplicates are left out; spellings of one
// value are searched once and have a result each. The events must not be kept beyond the loop's turn. limit
// is the most events of each result, 1 to 1000. When ctx ends, the results that are left hold what was found
// until then and the context's error. What the search cost is added to stats: read them after the loop.
func (s *Searcher) Search(
	ctx context.Context, account qualys.Tenant, asked []ctim.Observable, limit int, stats *Stats,
) iter.Seq[Result] {
	var results []pending
	seen := make(map[ctim.Observable]bool, len(asked))
	for _, o := range asked {
		if seen[o] || !Supported(o.Type) {
			continue
		}
		seen[o] = true
		target, err := newTarget(o)
		p := pending{Result: Result{Observable: o, Filter: target.filter}}
		if err != nil {
			p.Errs = []error{err}
		} else {
			key := lookupKey{what: string(target.fields[0]), value: target.key, limit: limit}
			for key.state = range states {
				size := min(max(limit+1, minPage), maxPage) // one more tells whether there are more
				p.lookups = append(p.lookups, lookup{key: key, target: target, size: size})
			}
		}
		results = append(results, p)
	}
	return s.do(ctx, account, results, limit, stats)
}

// What a Question asks.
const (
	Check  = "check"  // whether a login and the smallest search there is succeed; never cached
	Newest = "newest" // the newest events
	Count  = "count"  // the number of events
)

// Question is about the events that a query finds.
type Question struct {
	What   string // Check, Newest or Count
	Filter qualys.Filter
	Active bool         // the current state, otherwise history
	Limit  int          // the most events, 0 to 1000
	Split  qualys.Split // of a count
}

// Ask answers the questions, in their order, with what is said of Search.
func (s *Searcher) Ask(
	ctx context.Context, account qualys.Tenant, stats *Stats, questions ...Question,
) iter.Seq[Result] {
	results := make([]pending, len(questions))
	for i, q := range questions {
		key := lookupKey{what: q.What, value: q.Filter.String(), limit: q.Limit, split: q.Split}
		if !q.Active {
			key.state = history
		}
		alone := target{filter: q.Filter, alone: true}
		l := lookup{key: key, target: alone, size: min(q.Limit+1, maxPage)}
		results[i] = pending{Result{Filter: q.Filter}, []lookup{l}}
	}
	return s.do(ctx, account, results, maxPage, stats)
}

// pending is a Result to come, and the lookups that it needs.
type pending struct {
	Result
	lookups []lookup
}

// do makes the lookups that each result needs and yields it when they are answered, in order. The events are
// charged for until the loop's turn ends. Every request is one call of do.
func (s *Searcher) do(
	ctx context.Context, account qualys.Tenant, results []pending, limit int, stats *Stats,
) iter.Seq[Result] {
	return func(yield func(Result) bool) {
		ctx, cancel := context.WithTimeout(ctx, time.Hour) // every request has a deadline
		defer cancel()
		t, r := s.tenant(account), &request{ctx: ctx, stats: stats}
		lookups := make([][]*lookup, len(results))
		t.note(func() {
			for i, p := range results {
				for _, l := range p.lookups {
					lookups[i] = append(lookups[i], t.join(r, l))
				}
			}
			t.dispatch()
		})
		all := slices.Concat(lookups...)
		defer context.AfterFunc(ctx, func() {
			t.note(func() {
				t.drop(all...)
				t.changed.Broadcast()
			})
		})()
		defer t.note(func() { // where the loop panics, too
			t.leave(r, all...)
			r.stats = new(Stats) // calls that go on for others are not counted any more
		})
		for i, p := range results {
			var answers []Result
			for _, l := range lookups[i] {
				answers = append(answers, t.wait(r, l))
			}
			more := yield(p.with(answers, limit))
			t.note(func() { t.leave(r, lookups[i]...) })
			if !more {
				return
			}
		}
	}
}

// tenant returns the account's tenant.
func (s *Searcher) tenant(account qualys.Tenant) *tenant {
	key := account.Key()
	item, _ := s.tenants.GetOrSetFunc(key, func() *tenant {
		t := &tenant{Searcher: s, account: account, key: key, allowed: s.options.Concurrency}
		t.lookups, t.changed.L = make(map[lookupKey]*lookup), &t.mu
		return t
	})
	return item.Value()
}

// with adds the answers to its lookups. An event of history that is the same occurrence as one of the
// current state is left out.
func (r Result) with(answers []Result, limit int) Result {
	occurrences := make(map[string]bool)
	for _, answer := range answers {
		for _, e := range answer.Events {
			if e.Active {
				occurrences[e.TimeSeriesID] = true
			} else if e.ID != "" && occurrences[e.ID] {
				continue
			}
			r.Events = append(r.Events, e)
		}
		r.Truncated = r.Truncated || answer.Truncated || len(r.Events) > limit
		r.Examined, r.Unreadable = r.Examined+answer.Examined, r.Unreadable+answer.Unreadable
		r.Count, r.Limits = answer.Count, answer.Limits
		for _, err := range answer.Errs {
			if len(r.Errs) == 0 || r.Errs[0].Error() != err.Error() {
				r.Errs = append(r.Errs, err)
			}
		}
	}
	r.Events = r.Events[:min(len(r.Events), limit)]
	return r
}

// size is the memory of the events.
func (r Result) size() (bytes int64) {
	for _, e := range r.Events {
		bytes += int64(e.Size)
	}
	return bytes
}

// put caches an answer without an error, unless it takes more than a quarter of the cache.
func (s *Searcher) put(key lookupKey, found Result) {
	fits := cost(key, found) <= s.options.CacheBytes/4
	if s.options.CacheTTL > 0 && found.Errs == nil && key.what != Check && fits {
		s.cache.Set(key, found, ttlcache.DefaultTTL)
	}
}

// cost is about the bytes of a cached answer.
func cost(key lookupKey, found Result) int64 {
	const empty, part = 512, 96 // an answer without events, and a part of a count
	return empty + int64(len(key.value)) + found.size() + part*int64(len(found.Count.Parts))
}
