package search

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"qualysrelay.example/qualys"
)

const (
	maxJoined   = 50          // lookups in one query
	maxLimits   = 2           // rate limits that a query waits for
	defaultWait = time.Second // for a rate limit that does not say how long
	longestWait = time.Hour   // that is believed
)

// tenant is the queue of one Qualys account, and what is known about its limits. Its methods are called with
// the mutex held where they do not say otherwise.
type tenant struct {
	searcher *Searcher
	account  qualys.Tenant
	key      qualys.TenantKey
	calls    *semaphore.Weighted // in flight; one weighs more where Qualys allows fewer than configured

	mu           sync.Mutex
	lookups      map[lookupKey]*lookup // that are not answered and not given up
	queues       [states]queue
	concurrency  int64         // calls in flight that Qualys allows
	loggingIn    bool          // a call in flight logs in first
	failures     int           // of joined searches, in a row
	pausedUntil  time.Time     // the end of the wait that a rate limit asks for, as far as it is believed
	limitedUntil time.Time     // the end of the wait that Qualys told
	limited      *qualys.Error // which said so
}

// queue is what waits to be sent in one state.
type queue struct {
	requests []*request          // with queued lookups; the next one's turn first
	forming  bool                // a query waits for a call to be free
	calls    *semaphore.Weighted // in flight
}

// note does something under the mutex. Called without it.
func (t *tenant) note(work func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	work()
}

// submit makes the request wait for lookups, all but those that are cached, and sends what may leave. Called
// without the mutex.
func (t *tenant) submit(r *request, waiters ...*waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := cmp.Or(context.Cause(r.ctx), t.refusal(r))
	for _, w := range waiters {
		key := w.lookup.key
		switch open := t.lookups[key]; {
		case w.cached:
			continue
		case err != nil:
			w.answer.err = err
			close(w.done)
			continue
		case open != nil:
			w.lookup = open
		default:
			t.lookups[key], w.lookup.waiters = w.lookup, make(map[*request]*waiter, 1)
		}
		w.lookup.waiters[r] = w
		if w.lookup.batch == nil {
			if len(r.queue[key.state]) == 0 {
				t.queues[key.state].requests = append(t.queues[key.state].requests, r)
			}
			r.queue[key.state] = append(r.queue[key.state], w.lookup)
		}
	}
	for s := range states {
		t.form(s)
	}
}

// leave ends all that the request waits for.
func (t *tenant) leave(r *request, err error) {
	for _, w := range r.order {
		t.dismiss(r, w.lookup, err)
	}
	r.queue = [states][]*lookup{}
}

// dismiss ends a request's wait for a lookup with an error and what was found, which is not charged for
// since it is about to be visited. What nobody waits for any more is given up.
func (t *tenant) dismiss(r *request, l *lookup, err error) {
	w := l.waiters[r]
	if w == nil {
		return
	}
	w.answer = answer{events: l.found, err: err}.first(l.key.limit)
	close(w.done)
	delete(l.waiters, r)
	switch {
	case l.wanted():
	case l.batch == nil:
		t.forget(l)
	case !slices.ContainsFunc(l.batch.all, (*lookup).wanted):
		t.forget(l.batch.all...)
		l.batch.cancel()
	}
}

// forget takes lookups out of the tenant, so that who wants one next makes a new one.
func (t *tenant) forget(lookups ...*lookup) {
	for _, l := range lookups {
		if l.drop(); t.lookups[l.key] == l {
			delete(t.lookups, l.key)
		}
	}
}

// deliver ends a lookup: its answer is cached, and given to all who wait for it. Called without the mutex.
func (t *tenant) deliver(l *lookup, a answer, until time.Time) {
	a = a.first(l.key.limit)
	t.searcher.cache.put(l.key, a)
	var waiters map[*request]*waiter
	t.note(func() {
		if waiters, l.waiters = l.waiters, nil; t.lookups[l.key] == l {
			delete(t.lookups, l.key)
		}
	})
	for r, w := range waiters {
		r.receive(w, a, until)
	}
	t.note(l.drop)
}

// form sends the next query of a state as soon as a call is free, and then the one after it.
func (t *tenant) form(s state) {
	queue := &t.queues[s]
	if queue.forming || queue.first(s) == nil {
		return
	}
	queue.forming = true
	go func() {
		weight, _ := t.acquire(context.Background(), s) // never fails: calls in flight end
		var f *batch
		t.note(func() {
			f, queue.forming = t.take(s), false
			f.weight = weight
			t.form(s)
		})
		defer f.cancel()
		if t.search(f, f.all); f.weight > 0 { // nobody waits any more
			t.release(s, weight)
		}
	}()
}

// acquire waits for a call to be free: one of the tenant's, and one of the half of them that a state has.
// Called without the mutex.
func (t *tenant) acquire(ctx context.Context, s state) (weight int64, err error) {
	if err := t.queues[s].calls.Acquire(ctx, 1); err != nil {
		return 0, err
	}
	t.note(func() { weight = (int64(t.searcher.options.Concurrency) + t.concurrency - 1) / t.concurrency })
	if err = t.calls.Acquire(ctx, weight); err != nil {
		t.queues[s].calls.Release(1)
	}
	return weight, err
}

func (t *tenant) release(s state, weight int64) {
	t.calls.Release(weight)
	t.queues[s].calls.Release(1)
}

// first is the lookup whose turn it is, or nil. It passes over those that nobody waits for and those that
// left for another request.
func (q *queue) first(s state) *lookup {
	for ; len(q.requests) > 0; q.requests = q.requests[1:] {
		for r := q.requests[0]; len(r.queue[s]) > 0; r.queue[s] = r.queue[s][1:] {
			if l := r.queue[s][0]; l.batch == nil && l.wanted() {
				return l
			}
		}
	}
	return nil
}

// take forms a query of one lookup of each waiting request in turn, as many as fit.
func (t *tenant) take(s state) *batch {
	const or = len("+or+")
	f, queue, ctx := &batch{state: s, budget: splitBudget}, &t.queues[s], context.Background()
	for size := 0; len(f.all) < maxJoined; {
		l := queue.first(s)
		if l == nil {
			break
		}
		size += l.target.filter.EncodedLen() + or
		if len(f.all) > 0 && (size > maxFilter || l.target.alone || f.all[0].target.alone) {
			break
		}
		f.all, l.batch = append(f.all, l), f
		ctx = context.WithoutCancel(queue.requests[0].ctx) // for the trace
		queue.requests = append(queue.requests[1:], queue.requests[0])
	}
	f.ctx, f.cancel = context.WithCancel(ctx)
	return f
}

// pause stops the tenant's calls after the rate limit of a call for some lookups, and answers who has no
// time for the wait.
func (t *tenant) pause(e *qualys.Error, lookups []*lookup) {
	wait := min(e.Limits.Wait, longestWait)
	if wait <= 0 {
		wait = defaultWait
	}
	if until := time.Now().Add(wait); until.After(t.pausedUntil) {
		t.pausedUntil, t.limitedUntil = until, time.Now().Add(max(wait, e.Limits.Wait))
	}
	t.limited = withoutWords(e)
	requests, _ := waiting(lookups)
	for r := range requests {
		r.stats.Waits++
	}
	for _, l := range t.lookups {
		for r := range l.waiters {
			if err := t.refusal(r); err != nil && !l.calling {
				t.dismiss(r, l, err)
			}
		}
	}
}

// refusal is the rate limit's error for a request that ends before the wait does, else nil.
func (t *tenant) refusal(r *request) error {
	deadline, ok := r.ctx.Deadline()
	if wait := time.Until(t.pausedUntil); ok && wait > 0 && deadline.Before(t.pausedUntil) {
		e := *t.limited
		e.Limits.Wait = time.Until(t.limitedUntil)
		return &e
	}
	return nil
}
