package search

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
)

func TestTheCacheAnswersWhatWasJustSearched(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{CacheTTL: time.Minute}, file(1), file(2))
	first, _ := r.search(t, 100, obs("sha256", sha(1))...)
	r.fake.ResetStats()
	again, stats := r.search(t, 100, obs("sha256", strings.ToUpper(sha(1)), sha(2))...)
	assert.Equal(t, ids(first[0].Events), ids(again[0].Events))
	assert.Len(t, again[1].Events, 1)
	assert.Equal(t, 2, stats.CacheHits)
	assert.Equal(t, 2, r.fake.Searches())
	r.search(t, 50, obs("sha256", sha(1))...)
	assert.Equal(t, 4, r.fake.Searches(), "another limit is another answer")
}

func TestTheCacheHoldsNoError(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{CacheTTL: time.Minute}, file(1))
	remove := r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(http.StatusForbidden, "")})
	results, _ := r.search(t, 100, obs("sha256", sha(1))...)
	require.NotEmpty(t, results[0].Errs)
	remove()
	results, _ = r.search(t, 100, obs("sha256", sha(1))...)
	assert.Empty(t, results[0].Errs)
	assert.Len(t, results[0].Events, 1)
}

func TestTheCacheForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSearcher(nil, Options{CacheTTL: 30 * time.Second, CacheBytes: 1 << 20})
		key := lookupKey{tenant: qualys.Tenant{User: "a"}.Key(), value: sha(1), limit: 100}
		c.put(key, Result{Events: []*qualys.Event{{ID: "x", Size: 100}}})
		time.Sleep(29 * time.Second)
		ok := c.cache.Has(key)
		assert.True(t, ok)
		other := key
		other.tenant = qualys.Tenant{User: "b"}.Key()
		ok = c.cache.Has(other)
		assert.False(t, ok)
		time.Sleep(2 * time.Second)
		ok = c.cache.Has(key)
		assert.False(t, ok)
	})
}

func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	const most = 32 << 20
	c := newSearcher(nil, Options{CacheTTL: time.Minute, CacheBytes: most})
	key := func(value string) lookupKey { return lookupKey{value: value} }
	for i := range 100 {
		c.put(key(sha(i)), Result{Events: []*qualys.Event{{Size: 1 << 20}}})
		c.put(key(sha(i)), Result{Events: []*qualys.Event{{Size: 1 << 20}}}) // replaces its own
	}
	assert.Equal(t, 31, c.cache.Len())
	c.put(key("huge"), Result{Events: []*qualys.Event{{Size: most}}})
	ok := c.cache.Has(key("huge"))
	assert.False(t, ok)
	off := newSearcher(nil, Options{CacheBytes: most})
	off.put(key("x"), Result{})
	ok = off.cache.Has(key("x"))
	assert.False(t, ok)
}

func TestACachedAnswerWithoutMemoryIsSearchedAgain(t *testing.T) {
	t.Parallel()
	pool := semaphore.NewWeighted(64 << 20)
	r := newRig(t, Options{CacheTTL: time.Minute, Memory: pool}, file(7))
	r.search(t, 100, shas(20)...)
	require.True(t, pool.TryAcquire(64<<20))
	time.AfterFunc(20*time.Millisecond, func() { pool.Release(64 << 20) })
	results, stats := r.search(t, 100, shas(20)...)
	require.Len(t, results, 20)
	assert.Equal(t, 39, stats.CacheHits, "answers without events need no memory")
	for i, result := range results {
		assert.Empty(t, result.Errs)
		assert.Equal(t, i == 7, len(result.Events) == 1, "observable %d", i)
	}
}
