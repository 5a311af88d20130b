package search

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"qualysrelay.example/qualys"
)

const (
	maxCacheEntries = 10_000
	maxCacheBytes   = 32 << 20 // of event JSON as received; an answer over a quarter of it is not kept
)

// cache holds the latest answers of searches. An entry belongs to one tenant, by its key.
type cache struct {
	ttl time.Duration

	mu      sync.Mutex
	entries *simplelru.LRU[cacheKey, cacheEntry]
	bytes   int
}

type cacheKey struct {
	tenant     qualys.TenantKey
	observable Observable
	lane       lane
	limit      int
}

type cacheEntry struct {
	answer answer
	bytes  int
	until  time.Time
}

func newCache(ttl time.Duration) *cache {
	c := &cache{ttl: ttl}
	entries, err := simplelru.NewLRU(maxCacheEntries, func(_ cacheKey, e cacheEntry) { c.bytes -= e.bytes })
	if err != nil {
		panic(err) // only for a size below one
	}
	c.entries = entries
	return c
}

func keyOf(tenant qualys.TenantKey, a *ask) cacheKey {
	return cacheKey{tenant: tenant, observable: a.key, lane: a.lane, limit: a.limit}
}

func (c *cache) get(tenant qualys.TenantKey, a *ask) (answer, bool) {
	if c.ttl <= 0 {
		return answer{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, ok := c.entries.Get(keyOf(tenant, a))
	if !ok {
		return answer{}, false
	}
	if !time.Now().Before(entry.until) {
		c.entries.Remove(keyOf(tenant, a))
		return answer{}, false
	}
	return entry.answer, true
}

// put keeps an answer that is no error, and drops the ones unused for longest where there is no room.
func (c *cache) put(tenant qualys.TenantKey, a *ask, found answer) {
	const overhead = 256 // bytes: key, entry and list element
	size := overhead
	for _, e := range found.events {
		size += e.Size
	}
	if c.ttl <= 0 || found.err != nil || size > maxCacheBytes/4 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries.Remove(keyOf(tenant, a)) // Add would overwrite without giving its bytes back
	c.entries.Add(keyOf(tenant, a), cacheEntry{answer: found, bytes: size, until: time.Now().Add(c.ttl)})
	c.bytes += size
	for c.bytes > maxCacheBytes {
		c.entries.RemoveOldest()
	}
}
