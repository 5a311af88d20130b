package search

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"qualysrelay.example/qualys"
)

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
	if t.kind != (kind{}) {
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

// tenant is the queue of one Qualys account, and what is known about its limits. Its methods are called with
// the mutex held where they do not say otherwise.
type tenant struct {
	searcher *Searcher
	account  qualys.Tenant

	mu           sync.Mutex
	lookups      map[lookupKey]*lookup // that somebody waits for
	queues       [states][]*waiter     // for what has not been sent, by their rounds
	rounds       [states]int           // of the latest that was sent
	turns        []*batch              // one for each call that may be made, the next one first
	calls        [states]int           // in flight
	allowed      int                   // calls in flight, by the options and by Qualys
	loggingIn    bool                  // a call in flight logs in first
	failures     int                   // of joined searches, in a row
	pausedUntil  time.Time             // the end of a rate limit's wait, as far as it is believed
	limitedUntil time.Time             // the end of the wait that Qualys told
	limited      *qualys.Error         // which said so
}

// note does something under the mutex. Called without it.
func (t *tenant) note(work func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	work()
}

// submit makes requests wait for lookups, all but those that are cached, and sends what may leave. Called
// without the mutex.
func (t *tenant) submit(waiters ...*waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range waiters {
		if w.cached {
			continue
		}
		r, key := w.request, w.lookup.key
		if err := cmp.Or(context.Cause(r.ctx), t.refusal(r)); err != nil {
			w.receive(answer{err: err})
			continue
		}
		if open := t.lookups[key]; open != nil {
			w.lookup = open
		}
		t.lookups[key] = w.lookup
		w.lookup.waiters = append(w.lookup.waiters, w)
		if w.lookup.sent {
			continue
		}
		queue := &t.queues[key.state]
		if len(*queue) == 0 {
			t.turns = append(t.turns, &batch{state: key.state})
		}
		w.round = max(r.rounds[key.state], t.rounds[key.state]) + 1
		r.rounds[key.state] = w.round
		next, _ := slices.BinarySearchFunc(*queue, w.round+1, func(w *waiter, n int) int { return w.round - n })
		*queue = slices.Insert(*queue, next, w)
	}
	t.dispatch()
}

// wait returns once the answer is there. One in the cache is taken, and charged for, only now; whose time
// is over gets it uncharged, since it is visited at once. Called without the mutex.
func (t *tenant) wait(w *waiter) {
	if w.cached {
		w.cached = false
		if item := t.searcher.cache.Get(w.lookup.key); item != nil {
			found := item.Value()
			ctx, cancel := context.WithTimeout(w.request.ctx, memoryWait)
			defer cancel()
			found.charge = &charge{memory: t.searcher.options.Memory}
			if err := found.charge.grow(ctx, found.size()); err != nil && w.request.ctx.Err() == nil {
				found = answer{truncated: true, err: err}
			}
			t.note(func() {
				w.request.stats.CacheHits++
				w.receive(found)
			})
		} else { // dropped since the request began
			t.submit(w)
		}
	}
	<-w.done
}

// dismiss ends waits that have not ended, with an error and what was found. What nobody waits for any more
// is given up.
func (t *tenant) dismiss(err error, waiters ...*waiter) {
	for _, w := range waiters {
		l := w.lookup
		i := slices.Index(l.waiters, w)
		if i < 0 {
			continue
		}
		l.waiters = slices.Delete(l.waiters, i, i+1)
		found := l.found
		found.err = err
		if w.receive(found); l.wanted() {
			continue
		}
		t.forget(l)
		if q := l.query; q != nil && !slices.ContainsFunc(q.lookups, (*lookup).wanted) {
			q.cancel()
		}
	}
}

// deliver ends lookups, perhaps with an error beside what they found. An answer is given to all who wait for
// it, and cached.
func (t *tenant) deliver(err error, lookups ...*lookup) {
	for _, l := range lookups {
		l.found.err = err
		t.searcher.put(l.key, l.found)
		for _, w := range l.waiters {
			w.receive(l.found)
		}
		l.waiters, l.query = nil, nil
		t.forget(l)
	}
}

// forget takes a lookup out of the tenant, so that who wants one next makes a new one. What it found goes
// too, unless a query is still at work on it.
func (t *tenant) forget(l *lookup) {
	if t.lookups[l.key] == l {
		delete(t.lookups, l.key)
	}
	if l.query == nil {
		l.release()
	}
}

// dispatch sends what may leave now, each in its turn. A state has half of the calls, so that one does not
// wait for the other. At the end of a pause it is called again.
func (t *tenant) dispatch() {
	half, now := (t.searcher.options.Concurrency+1)/2, time.Now()
	for !now.Before(t.pausedUntil) && t.calls[current]+t.calls[history] < t.allowed {
		next := slices.IndexFunc(t.turns, func(b *batch) bool { return t.calls[b.state] < half })
		if next < 0 {
			return
		}
		b := t.turns[next]
		if t.turns = slices.Delete(t.turns, next, next+1); b.trace == nil {
			t.form(b)
		}
		t.start(b)
	}
}

// form makes a batch's first query of as many queued lookups as fit. What is left is the next batch's.
func (t *tenant) form(b *batch) {
	const or = len("+or+")
	var lookups []*lookup
	queue, size := t.queues[b.state], 0
	for ; len(queue) > 0 && len(lookups) < maxJoined; queue = queue[1:] {
		w, l := queue[0], queue[0].lookup
		if l.sent || !l.wanted() {
			continue
		}
		size += l.target.filter.EncodedLen() + or
		if len(lookups) > 0 && (size > maxFilter || l.target.alone || lookups[0].target.alone) {
			break
		}
		lookups, l.sent, t.rounds[b.state] = append(lookups, l), true, w.round
		b.trace = context.WithoutCancel(w.request.ctx)
	}
	if t.queues[b.state] = queue; len(queue) > 0 {
		t.turns = append(t.turns, &batch{state: b.state})
	}
	b.budget = splitBudget
	b.put(0, lookups)
}

// pause stops the tenant's calls after a rate limit, and answers who has no time for the wait. Who waits for
// a call in flight still gets its answer.
func (t *tenant) pause(e *qualys.Error) {
	told := cmp.Or(e.Limits.Wait, defaultWait)
	wait := min(told, longestWait)
	if until := time.Now().Add(wait); until.After(t.pausedUntil) {
		t.pausedUntil, t.limitedUntil, t.limited = until, time.Now().Add(told), withoutWords(e)
		time.AfterFunc(wait, func() { t.note(t.dispatch) })
	}
	for _, l := range t.lookups {
		for _, w := range slices.Clone(l.waiters) {
			if err := t.refusal(w.request); err != nil && l.query == nil {
				t.dismiss(err, w)
			}
		}
	}
}

// refusal is the rate limit's error for a request that ends before the wait does, else nil.
func (t *tenant) refusal(r *request) error {
	if time.Now().After(t.pausedUntil) || r.deadline.After(t.pausedUntil) {
		return nil
	}
	e := *t.limited
	e.Limits.Wait = time.Until(t.limitedUntil)
	return &e
}
