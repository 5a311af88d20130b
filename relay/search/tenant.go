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
	key      lookupKey
	target   target
	requests []*request // that want it: they wait for it, or have not visited its answer
	sent     bool       // it is not in the queue any more
	answered bool       // found has all
	query    *query     // in flight, that is about it

	found        Result          // so far
	bytes        int64           // that it is charged for
	seen         map[string]bool // keys of the events that were found: pages shift while events arrive
	size, number int             // of the next page
	examined     int             // events of its pages
}

// wanted tells whether a request that has not ended wants the lookup.
func (l *lookup) wanted() bool {
	return slices.ContainsFunc(l.requests, func(r *request) bool { return r.ctx.Err() == nil })
}

// request is one call of Searcher.do. The fields below ctx are under tenant.mu.
type request struct {
	ctx    context.Context   //nolint:containedctx // a request is one call of Searcher.do
	queues [states][]*lookup // that were not sent when it joined them
	held   int64             // bytes of the answers of Qualys that it has not visited
	stats  *Stats
}

// tenant is the queue of one Qualys account, and what is known about its limits. Its methods are called with
// the mutex held where they do not say otherwise.
type tenant struct {
	*Searcher
	account qualys.Tenant
	key     qualys.TenantKey

	mu           sync.Mutex
	changed      sync.Cond             // a lookup was answered, or a call or a request ended
	lookups      map[lookupKey]*lookup // that are wanted and not answered
	waiting      [states][]*request    // with a queue; each in turn has one lookup sent
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

// join makes a request wait for a lookup, and returns the one that it waits for: a new one, or one that
// others wait for already.
func (t *tenant) join(r *request, wanted lookup) *lookup {
	wanted.key.tenant = t.key
	l := t.lookups[wanted.key]
	if l == nil {
		if l = &wanted; !t.takeCached(r, l) {
			t.lookups[l.key] = l
		}
	}
	l.requests = append(l.requests, r)
	if l.sent || l.answered || t.refusal(r.ctx) != nil { // who has no time for a pause is not queued during it
		return l
	}
	s := l.key.state
	if len(t.waiting[s]) == 0 {
		t.turns = append(t.turns, &batch{state: s})
	}
	if len(r.queues[s]) == 0 {
		t.waiting[s] = append(t.waiting[s], r)
	}
	r.queues[s] = append(r.queues[s], l)
	return l
}

// takeCached answers a lookup from the cache where there is an answer, and memory for it now.
func (t *tenant) takeCached(r *request, l *lookup) bool {
	item := t.cache.Get(l.key)
	if item == nil {
		return false
	}
	size := item.Value().size()
	if size > 0 && !t.options.Memory.TryAcquire(size) {
		return false
	}
	l.found, l.bytes, l.answered = item.Value(), size, true
	r.stats.CacheHits++
	return true
}

// wait returns the answer to a lookup. Where the request ends before, or a rate limit's wait is longer than
// it has time, it is what was found so far, with an error. Called without the mutex.
func (t *tenant) wait(r *request, l *lookup) Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	for !l.answered {
		err := context.Cause(r.ctx)
		if err == nil && l.query == nil {
			err = t.refusal(r.ctx)
		}
		if err != nil {
			found := l.found
			found.Errs = []error{err}
			return found
		}
		t.changed.Wait()
	}
	return l.found
}

// leave ends a request's interest in lookups.
func (t *tenant) leave(r *request, lookups ...*lookup) {
	for _, l := range lookups {
		if i := slices.Index(l.requests, r); i >= 0 {
			l.requests = slices.Delete(l.requests, i, i+1)
			if l.answered && l.sent {
				r.held -= l.bytes
			}
		}
	}
	t.drop(lookups...)
}

// drop gives up lookups that nobody waits for any more, and gives back the memory of those that nobody wants.
// It returns the others.
func (t *tenant) drop(lookups ...*lookup) (wanted []*lookup) {
	for _, l := range lookups {
		if l.wanted() {
			wanted = append(wanted, l)
			continue
		}
		if t.lookups[l.key] == l {
			delete(t.lookups, l.key) // who wants it next makes a new one
		}
		if q := l.query; q != nil && !slices.ContainsFunc(q.lookups, (*lookup).wanted) {
			q.cancel()
		}
		if l.query == nil && len(l.requests) == 0 {
			t.options.Memory.Release(l.bytes)
			l.bytes, l.found = 0, Result{}
		}
	}
	return wanted
}

// deliver ends lookups, perhaps with an error beside what they found: it is given to all who wait for it, and
// cached where there is no error.
func (t *tenant) deliver(err error, lookups ...*lookup) {
	for _, l := range lookups {
		if err == nil {
			t.put(l.key, l.found)
		} else {
			l.found.Errs = []error{err}
		}
		l.answered, l.query = true, nil
		for _, r := range l.requests {
			r.held += l.bytes
		}
		if t.lookups[l.key] == l {
			delete(t.lookups, l.key)
		}
	}
	t.drop(lookups...)
	t.changed.Broadcast()
}

// dispatch sends what may leave now, each in its turn. A state has half of the calls, so that one does not
// wait for the other. At the end of a pause it is called again.
func (t *tenant) dispatch() {
	half := (t.options.Concurrency + 1) / 2
	for !time.Now().Before(t.pausedUntil) && t.calls[current]+t.calls[history] < t.allowed {
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
	waiting, size := t.waiting[b.state], 0
	for len(waiting) > 0 && len(lookups) < maxJoined {
		r := waiting[0]
		queue := r.queues[b.state]
		if l := queue[0]; !l.sent && l.wanted() {
			size += l.target.filter.EncodedLen() + or
			if len(lookups) > 0 && (size > maxFilter || l.target.alone || lookups[0].target.alone) {
				break
			}
			lookups, l.sent = append(lookups, l), true
			b.trace = context.WithoutCancel(r.ctx)
		}
		waiting, r.queues[b.state] = waiting[1:], queue[1:]
		if len(queue) > 1 {
			waiting = append(waiting, r)
		}
	}
	if t.waiting[b.state] = waiting; len(waiting) > 0 {
		t.turns = append(t.turns, &batch{state: b.state})
	}
	b.budget, b.parts = splitBudget, []*query{{batch: b, lookups: lookups}}
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
