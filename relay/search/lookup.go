package search

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

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
	place   int    // in its batch, from 1; 0: it is in the queues of the requests
	found   answer // so far
	query   *query // in flight, that is about it

	seen         map[string]bool // keys of the events that were found
	size, number int             // of the next page
	examined     int             // events of its pages
}

func newLookup(key lookupKey, t target) *lookup {
	size := min(key.limit+1, maxPage) // one more than the limit tells whether there are more
	if t.kind == (kind{}) {
		t.alone = true
	} else {
		size = max(size, minPage)
	}
	return &lookup{key: key, target: t, size: size}
}

func (l *lookup) wanted() bool { return len(l.waiters) > 0 }

// release gives back what was found.
func (l *lookup) release() {
	l.found.charge.release()
	l.found, l.examined = answer{}, 0
}

// waiter is one request's wait for one lookup.
type waiter struct {
	request   *request
	lookup    *lookup
	cached    bool // when the request began
	questions int  // that still need the answer
	done      chan struct{}
	answer    answer // once done is closed
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

// release gives the answer back. Called with tenant.mu held.
func (w *waiter) release() {
	w.answer.charge.release()
	w.request.held -= w.answer.size()
	w.answer = answer{}
}

// request is one call of Searcher.do. The fields below waiters are under tenant.mu.
type request struct {
	ctx     context.Context //nolint:containedctx // a request is one call of Searcher.do
	waiters []*waiter
	queue   [states][]*lookup // that have not left yet
	held    int64             // bytes of the answers that it has not visited
	stats   Stats
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
	if c.ttl <= 0 || a.err != nil || key.what == whatCheck || size > c.most/4 {
		return
	}
	a.charge = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries.Remove(key) // Add would overwrite it without giving its bytes back
	c.entries.Add(key, cacheEntry{answer: a, bytes: size, until: time.Now().Add(c.ttl)})
	for c.bytes += size; c.bytes > c.most; {
		c.entries.RemoveOldest()
	}
}
