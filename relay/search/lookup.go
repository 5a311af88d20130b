package search

import (
	"context"
	"errors"
	"time"

	"github.com/jellydator/ttlcache/v3"

	"qualysrelay.example/qualys"
)

// ErrMemory says that there was no memory for some of the events that were found.
var ErrMemory = errors.New("search: no memory for the events that were found")

// memoryWait is how long events wait for memory, as in the client.
const memoryWait = 3 * time.Second

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
	what   string // the first field that is searched, or one of those below
	value  string // the target's key
	state  state
	limit  int          // the most events that are wanted
	split  qualys.Split // of a count
}

const (
	whatCheck  = "check"  // the smallest search there is
	whatNewest = "newest" // the events of a query, whatever they are about
	whatCount  = "count"
)

// lookup is one search in one state. See the package comment. The fields below target are under tenant.mu,
// those below query belong to the query while there is one.
type lookup struct {
	key     lookupKey
	target  target
	waiters []*waiter
	sent    bool   // it is not in the queue any more
	found   answer // so far
	query   *query // in flight, that is about it

	seen         map[string]bool // keys of the events that were found: pages shift while events arrive
	size, number int             // of the next page
	examined     int             // events of its pages
}

func (l *lookup) wanted() bool { return len(l.waiters) > 0 }

// release gives back what was found.
func (l *lookup) release() {
	l.found.charge.release()
	l.found, l.seen, l.examined = answer{}, nil, 0
}

// waiter is one request's wait for one lookup. What it is given in the end is under tenant.mu until done is
// closed.
type waiter struct {
	request *request
	lookup  *lookup
	cached  bool // when the request began
	round   int  // of the queue, in which each request has one lookup
	done    chan struct{}
	answer  answer
}

// newWaiter waits for a new lookup. It is for a request to take it to its tenant.
func newWaiter(key lookupKey, t target) *waiter {
	size := min(key.limit+1, maxPage) // one more than the limit tells whether there are more
	if t.kind == (kind{}) {
		t.alone = true
	} else {
		size = max(size, minPage)
	}
	return &waiter{lookup: &lookup{key: key, target: t, size: size}, done: make(chan struct{})}
}

// receive ends the wait. Called with tenant.mu held.
func (w *waiter) receive(a answer) {
	if a.charge != nil {
		a.charge.holders++
	}
	w.answer = a
	w.request.held += a.size()
	close(w.done)
}

// release gives answers back. Called with tenant.mu held.
func release(waiters []*waiter) {
	for _, w := range waiters {
		w.answer.charge.release()
		w.request.held -= w.answer.size()
		w.answer = answer{}
	}
}

// request is one call of Searcher.do. The fields below waiters are under tenant.mu.
type request struct {
	ctx      context.Context //nolint:containedctx // a request is one call of Searcher.do
	deadline time.Time
	waiters  []*waiter
	rounds   [states]int // of its latest waiters
	held     int64       // bytes of the answers that it has not visited
	stats    Stats
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

// newCache makes a cache of answers, by default for the options' time. Those unused for longest make place.
func newCache(o Options) *ttlcache.Cache[lookupKey, answer] {
	const entries = 10_000
	return ttlcache.New(
		ttlcache.WithTTL[lookupKey, answer](o.CacheTTL),
		ttlcache.WithDisableTouchOnHit[lookupKey, answer](),
		ttlcache.WithCapacity[lookupKey, answer](entries),
		ttlcache.WithMaxCost(uint64(o.CacheBytes), cost),
	)
}

// cost is about the bytes of a cached answer.
func cost(item ttlcache.CostItem[lookupKey, answer]) uint64 {
	const empty, part = 512, 96 // an answer without events, and a part of a count
	return uint64(empty + len(item.Key.value) + int(item.Value.size()) + part*len(item.Value.count.Parts))
}

// cached returns the answer to an equal lookup.
func (s *Searcher) cached(key lookupKey) (answer, bool) {
	if item := s.cache.Get(key); item != nil {
		return item.Value(), true
	}
	return answer{}, false
}

// put caches an answer without an error, unless it takes more than a quarter of the cache.
func (s *Searcher) put(key lookupKey, a answer) {
	size := cost(ttlcache.CostItem[lookupKey, answer]{Key: key, Value: a})
	if s.options.CacheTTL <= 0 || a.err != nil || key.what == whatCheck || size > uint64(s.options.CacheBytes)/4 {
		return
	}
	a.charge = nil
	s.cache.Set(key, a, ttlcache.DefaultTTL)
}
