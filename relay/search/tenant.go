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
	what   string // the first field that is searched, or what a Question asks
	value  string // the target's key, or the filter
	state  state
	limit  int // the most events that are wanted
	split  qualys.Split
}

// lookup is one search in one state. What is below target is under tenant.mu, and what is below query
// belongs to that while there is one.
type lookup struct {
	key     lookupKey
	target  target
	waiters []*waiter
	holders int    // waiters that were given events and have not visited them
	sent    bool   // it is not in the queue any more
	query   *query // in flight, that is about it

	found        Result          // so far
	bytes        int64           // that it is charged for
	seen         map[string]bool // keys of the events that were found: pages shift while events arrive
	size, number int             // of the next page
	examined     int             // events of its pages
}

func (l *lookup) wanted() bool { return len(l.waiters) > 0 }

// waiter is one request's wait for one lookup. The fields below done are under tenant.mu until it is closed.
type waiter struct {
	request *request
	lookup  *lookup
	cached  bool // when the request began, and not taken yet
	round   int  // of the queue; each request has one lookup in each
	done    chan struct{}
	answer  Result
}

// request is one call of Searcher.do. The fields below ctx are under tenant.mu.
type request struct {
	ctx    context.Context //nolint:containedctx // a request is one call of Searcher.do
	rounds [states]int     // of its latest waiters
	held   int64           // bytes of the answers that it has not visited
	stats  Stats
}

// tenant is the queue of one Qualys account, and what is known about its limits. Its methods are called with
// the mutex held where they do not say otherwise.
type tenant struct {
	*Searcher
	account qualys.Tenant
	key     qualys.TenantKey

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

// submit makes requests wait for lookups, and sends what may leave. Called without the mutex.
func (t *tenant) submit(waiters ...*waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range waiters {
		r, s := w.request, w.lookup.key.state
		if err := cmp.Or(context.Cause(r.ctx), t.refusal(r.ctx)); err != nil {
			w.receive(Result{}, err)
			continue
		}
		if open := t.lookups[w.lookup.key]; open != nil {
			w.lookup = open
		}
		t.lookups[w.lookup.key] = w.lookup
		w.lookup.waiters = append(w.lookup.waiters, w)
		if len(t.queues[s]) == 0 {
			t.turns = append(t.turns, &batch{state: s})
		}
		w.round = max(r.rounds[s], t.rounds[s]) + 1
		byRound := func(w *waiter, round int) int { return w.round - round }
		next, _ := slices.BinarySearchFunc(t.queues[s], w.round+1, byRound)
		r.rounds[s], t.queues[s] = w.round, slices.Insert(t.queues[s], next, w)
	}
	t.dispatch()
}

// wait returns once the answer is there. One in the cache is taken, and charged for, only now; who has no
// time for that gets it all the same, since it is visited at once. Where it was dropped since the request began,
// it is searched together with what else was dropped of all. Called without the mutex.
func (t *tenant) wait(w *waiter, all []*waiter) {
	switch item := t.cache.Get(w.lookup.key); {
	case w.cached && item != nil:
		found := item.Value()
		err := t.charge(w.request.ctx, w.lookup, found.size())
		if err != nil && w.request.ctx.Err() == nil {
			found = Result{Truncated: true, Errs: []error{err}}
		}
		t.note(func() {
			w.request.stats.CacheHits++
			w.cached = false
			w.receive(found, nil)
		})
	case w.cached:
		dropped := slices.DeleteFunc(slices.Clone(all), func(o *waiter) bool {
			return o != w && (!o.cached || t.cache.Has(o.lookup.key))
		})
		for _, o := range dropped {
			o.cached = false
		}
		t.submit(dropped...)
	}
	<-w.done
}

// charge waits for the memory of events of a lookup.
func (t *tenant) charge(ctx context.Context, l *lookup, bytes int64) error {
	ctx, cancel := context.WithTimeout(ctx, memoryWait)
	defer cancel()
	if bytes > 0 && t.options.Memory.Acquire(ctx, bytes) != nil {
		return ErrMemory
	}
	l.bytes += bytes
	return nil
}

// receive ends the wait with what was found and perhaps an error.
func (w *waiter) receive(found Result, err error) {
	if w.answer = found; err != nil {
		w.answer.Errs = []error{err}
	}
	if w.request.held += found.size(); len(found.Events) > 0 {
		w.lookup.holders++
	}
	close(w.done)
}

// release gives answers back.
func (t *tenant) release(waiters ...*waiter) {
	for _, w := range waiters {
		if w.request.held -= w.answer.size(); len(w.answer.Events) > 0 {
			w.lookup.holders--
			t.free(w.lookup)
		}
		w.answer = Result{}
	}
}

// free gives the memory of events back that nobody holds or waits for.
func (t *tenant) free(l *lookup) {
	if l.query == nil && l.holders == 0 && !l.wanted() {
		t.options.Memory.Release(l.bytes)
		l.bytes, l.found = 0, Result{}
	}
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
		if w.receive(l.found, err); l.wanted() {
			continue
		}
		delete(t.lookups, l.key) // who wants it next makes a new one
		if q := l.query; q != nil && !slices.ContainsFunc(q.lookups, (*lookup).wanted) {
			q.cancel()
		}
	}
}

// deliver ends lookups, perhaps with an error beside what they found: it is given to all who wait for it, and
// cached where there is no error.
func (t *tenant) deliver(err error, lookups ...*lookup) {
	for _, l := range lookups {
		if err == nil {
			t.put(l.key, l.found)
		}
		t.dismiss(err, slices.Clone(l.waiters)...)
		l.query = nil
	}
}

// dispatch sends what may leave now, each in its turn. A state has half of the calls, so that one does not
// wait for the other. In a pause it answers who has no time for the wait, but for those who wait for a call
// in flight; at the end it is called again.
func (t *tenant) dispatch() {
	half, now := (t.options.Concurrency+1)/2, time.Now()
	for _, l := range t.lookups {
		if l.query != nil || !now.Before(t.pausedUntil) {
			continue
		}
		for _, w := range slices.Clone(l.waiters) {
			if err := t.refusal(w.request.ctx); err != nil {
				t.dismiss(err, w)
			}
		}
	}
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

// pause stops the tenant's calls after a rate limit.
func (t *tenant) pause(e *qualys.Error) {
	told := cmp.Or(e.Limits.Wait, defaultWait)
	wait := min(told, longestWait)
	if until := time.Now().Add(wait); until.After(t.pausedUntil) {
		t.pausedUntil, t.limitedUntil, t.limited = until, time.Now().Add(told), withoutWords(e)
		time.AfterFunc(wait, func() { t.note(t.dispatch) })
	}
}

// refusal is the rate limit's error for who ends before the wait does, or has no deadline; else nil.
func (t *tenant) refusal(ctx context.Context) error {
	deadline, _ := ctx.Deadline()
	if time.Now().After(t.pausedUntil) || deadline.After(t.pausedUntil) {
		return nil
	}
	e := *t.limited
	e.Limits.Wait = time.Until(t.limitedUntil)
	return &e
}
