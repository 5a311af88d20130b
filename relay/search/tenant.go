package search

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"qualysrelay.example/qualys"
)

// lane is one of the two searches that each observable needs. The lanes of a tenant are batched apart.
type lane int

const (
	currentState lane = iota // state=true
	history
)

var lanes = [...]lane{currentState, history}

// caller is one request to the relay.
type caller struct {
	ctx   context.Context //nolint:containedctx // a caller is one call of Search
	stats Stats           // under the tenant's mutex
}

// ask is the search for one observable in one lane, for one caller.
type ask struct {
	caller     *caller
	observable Observable
	key        Observable
	filter     qualys.Filter
	lane       lane
	limit      int

	query  *query // under way for it
	logins int    // that it waited for and that Qualys's rate limit refused
	ended  bool
	found  []*qualys.Event // so far: what there is when the rest fails

	done   chan struct{} // closed when answer is there
	answer answer
}

// answer is what one ask was told. events hold one more than the limit where there are more.
type answer struct {
	events []*qualys.Event
	cut    bool
	err    error
}

// tenant groups the searches of one Qualys account as a database groups commits: what arrives while it logs in, or while its lane is full, leaves
// together in the next query. There is no timer that a lone search would wait for.
type tenant struct {
	searcher *Searcher
	account  qualys.Tenant
	key      qualys.TenantKey

	mu       sync.Mutex
	waiting  [len(lanes)]backlog
	inFlight [len(lanes)]int
	next     lane // the one that goes first where both have work
	limit    int  // calls in flight, as configured or as Qualys allows
	login    context.CancelFunc

	blockedUntil time.Time
	blocked      *qualys.Error // what Qualys said when it asked to wait
	wake         *time.Timer
}

// backlog is what has not left yet: the parts of split queries first.
type backlog struct {
	split []*query
	asks  []*ask
}

func newTenant(s *Searcher, account qualys.Tenant, key qualys.TenantKey) *tenant {
	return &tenant{searcher: s, account: account, key: key, limit: s.options.Concurrency}
}

// submit queues the asks and sends off what may leave.
func (t *tenant) submit(asks []*ask) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range asks {
		if err := t.refusal(a); err != nil {
			t.end(a, answer{err: err})
			continue
		}
		t.waiting[a.lane].asks = append(t.waiting[a.lane].asks, a)
	}
	t.dispatch()
}

// await returns when the asks have their answers. When the caller's time is over, it ends all of the caller's asks; the searches of others go on.
func (t *tenant) await(c *caller, asks, all []*ask) {
	for _, a := range asks {
		select {
		case <-a.done:
			continue
		case <-c.ctx.Done():
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, a := range all {
			t.end(a, answer{err: context.Cause(c.ctx)})
		}
		if t.login != nil && !t.hasWork() {
			t.login()
		}
		return
	}
}

func (t *tenant) statsOf(c *caller) Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	stats := c.stats
	stats.Batches = slices.Clone(stats.Batches)
	return stats
}

// end gives an ask its answer, the first one only; beside an error, what was found before it. A query that nobody waits for any more is cancelled.
func (t *tenant) end(a *ask, result answer) {
	if a.ended {
		return
	}
	if result.err != nil {
		result.events = a.found
	}
	a.ended, a.answer, a.found = true, result, nil
	close(a.done)
	if q := a.query; q != nil {
		if q.waiting--; q.waiting == 0 {
			q.cancel()
		}
	}
}

// refusal is the error for an ask that Qualys's rate limit leaves no time for; nil where there is time.
func (t *tenant) refusal(a *ask) error {
	if deadline, ok := a.caller.ctx.Deadline(); ok && time.Now().Before(t.blockedUntil) && deadline.Before(t.blockedUntil) {
		return t.blocked
	}
	return nil
}

// hasWork drops the asks that ended while they waited and tells whether any is left.
func (t *tenant) hasWork() bool {
	left := 0
	for l := range t.waiting {
		b := &t.waiting[l]
		b.asks = slices.DeleteFunc(b.asks, func(a *ask) bool { return a.ended })
		var given []*query
		b.split = slices.DeleteFunc(b.split, func(q *query) bool {
			if slices.ContainsFunc(q.asks, func(a *ask) bool { return !a.ended }) {
				return false
			}
			given = append(given, q)
			return true
		})
		for _, q := range given {
			t.finished(q)
		}
		left += len(b.asks) + len(b.split)
	}
	return left > 0
}

// dispatch sends off whatever may leave now. It is called after each change, with the mutex held.
func (t *tenant) dispatch() {
	if t.login != nil || !t.hasWork() {
		return
	}
	if wait := time.Until(t.blockedUntil); wait > 0 {
		t.wakeAfter(wait)
		return
	}
	if !t.searcher.client.LoggedIn(t.account) {
		t.startLogin()
		return
	}
	for {
		l, ok := t.freeLane()
		if !ok {
			return
		}
		t.next = 1 - l
		t.start(t.waiting[l].take())
	}
}

// freeLane is a lane that has work and room for one more call. Each lane has half of the tenant's calls.
func (t *tenant) freeLane() (lane, bool) {
	if t.inFlight[currentState]+t.inFlight[history] >= t.limit {
		return 0, false
	}
	for _, l := range [...]lane{t.next, 1 - t.next} {
		b := &t.waiting[l]
		if len(b.asks)+len(b.split) > 0 && t.inFlight[l] < max(1, t.limit/2) {
			return l, true
		}
	}
	return 0, false
}

// take forms the next query of a lane: a part of a split one, or as many waiting asks as fit.
func (b *backlog) take() *query {
	if len(b.split) > 0 {
		q := b.split[0]
		b.split = b.split[1:]
		return q
	}
	q := &query{family: &family{open: 1}}
	distinct := make(map[Observable]bool, min(len(b.asks), maxJoined))
	size := 0
	var rest []*ask
	for _, a := range b.asks {
		const or = len("%20or%20")
		fits := len(distinct) == 0 || len(distinct) < maxJoined && size+or+a.filter.EncodedLen() <= maxFilter && !a.key.alone() && !q.asks[0].key.alone()
		if !distinct[a.key] && !fits {
			rest = append(rest, a)
			continue
		}
		if !distinct[a.key] {
			size += or + a.filter.EncodedLen()
			distinct[a.key] = true
		}
		q.asks = append(q.asks, a)
	}
	b.asks = rest
	return q
}

// start runs a query in a goroutine of its own, which ends when the answer is given or when nobody waits for it any more.
func (t *tenant) start(q *query) {
	l := q.asks[0].lane
	ctx, cancel := context.WithCancel(context.WithoutCancel(q.asks[0].caller.ctx))
	q.cancel, q.waiting = cancel, 0
	for _, a := range q.asks {
		if !a.ended {
			a.query = q
			q.waiting++
		}
	}
	t.inFlight[l]++
	go func() {
		defer cancel()
		if err := guarded(func() { t.run(ctx, q) }); err != nil {
			t.failed(q, err)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.inFlight[l]--
		if !q.sentBack() {
			t.finished(q)
		}
		t.dispatch()
	}()
}

// startLogin logs in before anything is sent, so that all that arrives meanwhile leaves together.
func (t *tenant) startLogin() {
	callers := t.waitingCallers()
	ctx, cancel := context.WithCancel(context.WithoutCancel(callers[0].ctx))
	t.login = cancel
	deadline := latest(callers)
	go func() {
		defer cancel()
		var err error
		if broken := guarded(func() { err = t.logIn(ctx, callers, deadline) }); broken != nil {
			err = broken
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.login = nil
		if err != nil && ctx.Err() == nil {
			t.failWaiting(err)
		}
		t.dispatch()
	}()
}

// guarded turns a panic into an error: in a goroutine of its own it would end the process, and with it the requests of everyone.
func guarded(work func()) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("search: panic: %v\n%s", value, debug.Stack())
		}
	}()
	work()
	return nil
}

func (t *tenant) waitingCallers() []*caller {
	var asks []*ask
	for l := range t.waiting {
		asks = append(asks, t.waiting[l].all()...)
	}
	return callersOf(asks)
}

// failWaiting ends all that waits for a login. After a rate limit, what has time for the wait stays.
func (t *tenant) failWaiting(err error) {
	limited := t.noteLimit(err)
	for l := range t.waiting {
		for _, a := range t.waiting[l].all() {
			if a.logins++; !limited || a.logins > maxRateTries {
				t.end(a, answer{err: err})
			}
		}
	}
}

func (b *backlog) all() []*ask {
	asks := slices.Clone(b.asks)
	for _, q := range b.split {
		asks = append(asks, q.asks...)
	}
	return asks
}

func callersOf(asks []*ask) []*caller {
	var callers []*caller
	seen := make(map[*caller]bool, len(asks))
	for _, a := range asks {
		if !a.ended && !seen[a.caller] {
			seen[a.caller] = true
			callers = append(callers, a.caller)
		}
	}
	return callers
}

// latest is when the last of the callers gives up; zero where one never does.
func latest(callers []*caller) time.Time {
	var last time.Time
	for _, c := range callers {
		deadline, ok := c.ctx.Deadline()
		if !ok {
			return time.Time{}
		}
		if deadline.After(last) {
			last = deadline
		}
	}
	return last
}
