package search

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"qualysrelay.example/qualys"
)

// ErrMemory says that there was no memory for some of the events that were found.
var ErrMemory = errors.New("search: no memory for the events that were found")

// memoryWait is how long events wait for memory, as in the client.
const memoryWait = 3 * time.Second

// Stats is what one request cost upstream. A call that several requests wait for is counted for each of
// them.
type Stats struct {
	Calls     int           // HTTP exchanges with Qualys, logins among them
	Logins    int           // logins among the calls
	Upstream  time.Duration // the time of all calls added up
	Waits     int           // rate limits that were waited for
	CacheHits int           // lookups answered from the cache
	Batches   []int         // for each query, how many lookups it held
}

// state is one of the two searches that each observable needs.
type state int

const (
	current state = iota // state=true
	history
	states
)

// lookupKey identifies a lookup. Lookups of one key have the same answer.
type lookupKey struct {
	tenant qualys.TenantKey
	op     string       // qualys.OpEvents, qualys.OpCount, opNewest or opCheck
	field  qualys.Field // of the target's kind
	value  string       // the target's key
	state  state
	limit  int          // the most events that are wanted
	split  qualys.Split // of a count
}

const (
	opCheck  = "check"  // the smallest search there is
	opNewest = "newest" // one page of a query, whatever it is about
)

// lookup is one search in one state. See the package comment. The fields below target are under tenant.mu.
type lookup struct {
	key     lookupKey
	target  target
	waiters map[*request]*waiter
	batch   *batch          // of queries that the lookup is part of; nil while it is queued
	calling bool            // a call for it is in flight
	found   []*qualys.Event // so far: what there is when the rest fails
	pages   []*heldPage     // in which they are
}

func (l *lookup) wanted() bool { return len(l.waiters) > 0 }

// keep notes what was found so far, the last of it in the page.
func (l *lookup) keep(found []*qualys.Event, page *heldPage) {
	if len(found) > len(l.found) {
		l.pages = append(l.pages, page)
		page.holders.Add(1)
	}
	l.found = found
}

// drop forgets what was found.
func (l *lookup) drop() {
	for _, page := range l.pages {
		page.release()
	}
	l.found, l.pages = nil, nil
}

// heldPage is a page of which several lookups may have events. The last holder releases its memory.
type heldPage struct {
	qualys.Page
	holders atomic.Int32
}

func (p *heldPage) release() {
	if p.holders.Add(-1) == 0 {
		p.Release()
	}
}

// answer is what a lookup was told. Beside an error there may be events that were found before it.
type answer struct {
	events     []*qualys.Event // newest first, the lookup's limit at most
	truncated  bool
	examined   int
	unreadable int
	count      qualys.Count
	limits     qualys.RateLimits
	err        error
}

// first leaves n events at most. It copies them, so that the others do not stay in memory.
func (a answer) first(n int) answer {
	if len(a.events) > n {
		a.events, a.truncated = slices.Clone(a.events[:n]), true
	}
	return a
}

// size is the memory of the events.
func (a answer) size() (bytes int64) {
	for _, e := range a.events {
		bytes += int64(e.Size)
	}
	return bytes
}

// request is one call of Search, Newest, Count or Check. The fields below order are under tenant.mu.
type request struct {
	ctx     context.Context //nolint:containedctx // a request is one call of Search
	tenant  *tenant
	waiters map[lookupKey]*waiter
	order   []*waiter
	queue   [states][]*lookup // that have not left yet
	held    int64             // bytes that it is charged for, or will be
	ended   bool
	stats   Stats
}

// waiter is one request's wait for one lookup.
type waiter struct {
	lookup  *lookup
	cached  bool // when the request began
	results int  // that still need the answer
	done    chan struct{}
	answer  answer // once done is closed
	charged int64  // bytes, under tenant.mu
}

// request begins a request of the account.
func (s *Searcher) request(ctx context.Context, account qualys.Tenant) *request {
	key := account.Key()
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tenants.Get(key)
	if !ok {
		calls := int64(s.options.Concurrency)
		t = &tenant{
			searcher: s, account: account, key: key, concurrency: calls,
			calls: semaphore.NewWeighted(calls), lookups: make(map[lookupKey]*lookup),
		}
		for state := range states {
			t.queues[state].calls = semaphore.NewWeighted((calls + 1) / 2)
		}
		s.tenants.Add(key, t)
	}
	return &request{ctx: ctx, tenant: t, waiters: make(map[lookupKey]*waiter)}
}

// want notes that a result of the request needs a lookup.
func (r *request) want(key lookupKey, t target) *waiter {
	w := r.waiters[key]
	if w == nil {
		_, cached := r.tenant.searcher.cache.get(key)
		w = &waiter{lookup: &lookup{key: key, target: t}, cached: cached, done: make(chan struct{})}
		r.waiters[key], r.order = w, append(r.order, w)
	}
	w.results++
	return w
}

// wait returns the answer, or at the end of the request's context what was found until then. An answer in
// the cache is taken, and charged for, only now.
func (r *request) wait(w *waiter) answer {
	if w.cached {
		w.cached = false
		if found, ok := r.tenant.searcher.cache.get(w.lookup.key); ok {
			r.tenant.note(func() { r.stats.CacheHits++ })
			r.receive(w, found, time.Now().Add(memoryWait))
		} else { // dropped since the request began
			r.tenant.submit(r, w)
		}
	}
	for range 2 {
		select {
		case <-w.done:
			return w.answer
		default:
		}
		select {
		case <-w.done:
		case <-r.ctx.Done():
			r.tenant.note(func() { r.tenant.leave(r, context.Cause(r.ctx)) })
		}
	}
	return answer{err: context.Cause(r.ctx)} // it still waits for memory
}

// receive hands an answer to a waiter and charges the request for its events. Where the request may not hold
// them all it keeps the newest; where there is no memory in time, none. A request whose time is over visits them
// at once, so they are not charged for. It may wait: not under tenant.mu.
func (r *request) receive(w *waiter, a answer, until time.Time) {
	options, n, size := r.tenant.searcher.options, len(a.events), a.size()
	r.tenant.note(func() {
		for ; n > 0 && r.held+size > options.MaxRequestBytes; n-- {
			size -= int64(a.events[n-1].Size)
		}
		r.held += size
	})
	ctx, cancel := context.WithDeadline(r.ctx, until)
	defer cancel()
	refused := size > 0 && options.Memory.Acquire(ctx, size) != nil
	r.tenant.note(func() {
		if refused {
			r.held -= size
			if size = 0; r.ctx.Err() == nil {
				n = 0
			}
		}
		if n < len(a.events) && a.err == nil {
			a.err = cmp.Or(context.Cause(r.ctx), ErrMemory)
		}
		w.answer, w.charged = a.first(n), size
		if close(w.done); r.ended {
			r.release(w)
		}
	})
}

// release gives an answer and its memory back. Called with tenant.mu held.
func (r *request) release(w *waiter) {
	if r.held -= w.charged; w.charged > 0 {
		r.tenant.searcher.options.Memory.Release(w.charged)
	}
	w.answer, w.charged = answer{}, 0
}

// visited notes that one result fewer needs the answers.
func (r *request) visited(waiters []*waiter) {
	r.tenant.note(func() {
		for _, w := range waiters {
			if w.results--; w.results == 0 {
				r.release(w)
			}
		}
	})
}

// end gives up what has not been answered, and all memory.
func (r *request) end() (stats Stats) {
	r.tenant.note(func() {
		r.tenant.leave(r, context.Canceled)
		r.ended = true
		for _, w := range r.order {
			r.release(w)
		}
		stats = r.stats
		stats.Batches = slices.Clone(r.stats.Batches)
	})
	return stats
}
