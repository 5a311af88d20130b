package search

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"

	"qualysrelay.example/qualys"
)

const (
	maxJoined = 50     // lookups in one query
	minPage   = 100    // events
	maxPage   = 1000   // events; the largest page in use
	window    = 10_000 // events; Qualys returns none beyond

	maxLimits   = 2           // rate limits that a query waits for
	defaultWait = time.Second // for one that does not say how long
	longestWait = time.Hour   // that is believed

	memoryWait = 3 * time.Second // for which events wait for memory, as in the client

	// joinedTime is the part of the remaining time that a joined query gets, so that there is time to split
	// it where one value makes it hang.
	joinedTime = 0.4

	// splitBudget is how many splits a batch has without a success among its parts; a success restores it.
	// Six splits lead from fifty lookups to one. Since the halves are searched one after the other, bad
	// values are isolated as long as only a few follow each other, such as one in each quarter of sixteen. A
	// batch that fails for every value makes 1 + 2*8 searches. What is left when the budget is used up gets
	// the last error.
	splitBudget = 8

	// outage is how many joined searches of a tenant, over all its queries, may fail in a row before none is
	// split or repeated any more until one succeeds: a gateway that is down gets one call for each query
	// then.
	outage = 32
)

// batch is a query as it was formed, and what is left to be searched of it. It is under tenant.mu.
type batch struct {
	state  state
	trace  context.Context //nolint:containedctx // never ends; nil before the batch is formed
	parts  []*query        // that wait for their turn, the next one first
	budget int             // splits that are left
}

// query is one call for one lookup, or for several joined with "or".
type query struct {
	*batch
	lookups  []*lookup
	refused  int             // times, for the tenant's rate
	ctx      context.Context //nolint:containedctx // ends when nobody waits for any of the lookups
	cancel   context.CancelFunc
	requests map[*request]bool // that wait when it leaves
	deadline time.Time         // when the last of them gives up
	tries    uint
}

func (q *query) joined() bool { return len(q.lookups) > 1 }

// start sends the next part of a batch, without the lookups that nobody waits for any more.
func (t *tenant) start(b *batch) {
	var q *query
	for q == nil || len(q.lookups) == 0 {
		if len(b.parts) == 0 {
			return
		}
		q, b.parts = b.parts[0], b.parts[1:]
		q.lookups = t.drop(q.lookups...)
	}
	q.ctx, q.cancel = context.WithCancel(b.trace)
	q.requests = make(map[*request]bool)
	for _, l := range q.lookups {
		l.query = q
		for _, r := range l.requests {
			q.requests[r] = true
			if deadline, _ := r.ctx.Deadline(); deadline.After(q.deadline) {
				q.deadline = deadline
			}
		}
	}
	for r := range q.requests {
		r.stats.Batches = append(r.stats.Batches, len(q.lookups))
		r.stats.Waits += min(q.refused, 1)
	}
	if q.tries = 3; t.failures >= outage || q.joined() && q.budget < splitBudget {
		q.tries = 1
	}
	t.calls[b.state]++
	go t.run(q)
}

// run makes a query's call, and puts back what has to be searched again. Called without the mutex.
func (t *tenant) run(q *query) {
	defer q.cancel()
	again, err := t.search(q)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls[q.state]--
	for _, l := range q.lookups {
		l.query = nil
	}
	t.drop(q.lookups...)
	e, ok := errors.AsType[*qualys.Error](err)
	if ok && q.joined() {
		err = withoutWords(e)
	}
	limited, split := ok && e.Kind == qualys.KindRateLimited, ok && q.joined() && byValue(e)
	switch {
	case limited:
		t.pause(e)
	case split:
		t.failures++
	}
	switch half := (len(q.lookups) + 1) / 2; {
	case err == nil:
		t.failures, q.budget = 0, splitBudget
		if n := len(again) / 2; n > 0 && len(again) >= half { // two turns: the halves at once
			q.resume(0, again[:n], again[n:])
			t.turns = append(t.turns, q.batch)
		} else { // what was in their way is gone
			q.resume(0, again)
		}
	case q.ctx.Err() != nil: // nobody waited for any of them; perhaps somebody does now
		q.resume(0, q.lookups)
	case limited && q.refused < maxLimits:
		q.resume(q.refused+1, q.lookups)
	case split && q.budget > 0 && t.failures < outage:
		q.budget--
		q.resume(0, q.lookups[:half], q.lookups[half:])
		if e.Kind == qualys.KindTimeout { // a value that hangs would leave the others no time
			t.turns = append(t.turns, q.batch)
		}
	case ok && q.joined() && e.Kind == qualys.KindAccount:
		t.deliver(err, q.lookups[1:]...)
		q.resume(0, q.lookups[:1]) // alone, for Qualys's words
	default:
		t.deliver(err, q.lookups...)
	}
	t.turns = append(t.turns, q.batch)
	t.dispatch()
	t.changed.Broadcast()
}

// resume has parts of a batch searched next, in their order.
func (b *batch) resume(refused int, parts ...[]*lookup) {
	for _, lookups := range slices.Backward(parts) {
		b.parts = slices.Insert(b.parts, 0, &query{batch: b, lookups: lookups, refused: refused})
	}
}

// search makes a query's call and gives each lookup what is about it. It returns those that have to be
// searched again: where it is uncertain what is about them, with fewer others; and alone, where other values
// fill the page, in larger pages up to the end of Qualys's window. A panic, which in this goroutine would
// end the process, becomes an error. Called without the mutex, like all below.
func (t *tenant) search(q *query) (again []*lookup, err error) {
	defer func() {
		if value := recover(); value != nil {
			again, err = nil, fmt.Errorf("search: panic: %v\n%s", value, debug.Stack())
		}
	}()
	var events qualys.EventQuery
	for _, l := range q.lookups {
		events.Filter = qualys.Or(events.Filter, l.target.filter)
		events.PageSize = min(events.PageSize+l.size, maxPage)
	}
	events.Active, events.PageNumber = q.state == current, q.lookups[0].number
	page, count, err := t.call(q, events)
	if err != nil {
		return nil, err
	}
	defer page.Release()
	shares, uncertain := share(q.lookups, page.Events)
	ctx, cancel := context.WithTimeout(q.ctx, memoryWait)
	defer cancel()
	for i, l := range q.lookups {
		kept, size, err := t.keep(ctx, l, shares[i])
		t.note(func() {
			l.found.Events, l.bytes = append(l.found.Events, kept...), l.bytes+size
			l.found.Truncated = l.found.Truncated || err != nil
			l.found.Count, l.found.Limits = count, page.Limits
			l.found.Unreadable += page.Unreadable
			l.examined += len(page.Events) + page.Unreadable
			switch enough := !page.Full || l.found.Truncated; {
			case q.joined() && (uncertain[i] || page.Unreadable > 0 || !enough):
				again = append(again, l)
			case !enough && (l.number+1)*l.size < window:
				if l.number++; l.size < maxPage { // from the start, since the offset is a number of pages
					l.size, l.number = maxPage, 0
				}
				again = append(again, l)
			default:
				if !enough {
					l.found.Truncated, l.found.Examined = true, l.examined
				}
				t.deliver(err, l)
			}
		})
	}
	return again, nil
}

// keep chooses the events that a lookup takes: new ones up to its limit, as many as one of the requests that
// want it may still hold. It charges for their size in bytes, or returns none and ErrMemory.
func (t *tenant) keep(
	ctx context.Context, l *lookup, events []*qualys.Event,
) (kept []*qualys.Event, size int64, err error) {
	t.note(func() {
		if l.number == 0 { // it begins, perhaps again
			t.options.Memory.Release(l.bytes)
			l.found, l.bytes, l.examined, l.seen = Result{}, 0, 0, make(map[string]bool)
		}
		room := int64(0)
		for _, r := range l.requests {
			room = max(room, t.options.MaxRequestBytes-r.held-l.bytes)
		}
		for _, e := range events {
			if l.seen[e.Key] {
				continue
			}
			full := len(l.found.Events)+len(kept) == l.key.limit
			if full || size+int64(e.Size) > room {
				if l.found.Truncated = true; !full {
					err = ErrMemory
				}
				break
			}
			kept, l.seen[e.Key], size = append(kept, e), true, size+int64(e.Size)
		}
	})
	memory := t.options.Memory // even of a context that has ended, since somebody may join meanwhile
	if size > 0 && !memory.TryAcquire(size) && memory.Acquire(ctx, size) != nil {
		return nil, 0, ErrMemory
	}
	return kept, size, err
}

// call makes the query's call to Qualys, again after a growing, jittered pause where the failure is
// transient and there is time.
func (t *tenant) call(q *query, events qualys.EventQuery) (page qualys.Page, count qualys.Count, err error) {
	key := q.lookups[0].key
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval = 100 * time.Millisecond
	ctx, end := t.options.Span(q.ctx, "qualys.search")
	left := time.Until(q.deadline)
	if q.joined() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(joinedTime*float64(left)))
		defer cancel()
	}
	page, err = backoff.Retry(ctx, func() (page qualys.Page, err error) {
		started, logins := time.Now(), 0
		t.note(func() {
			if err = t.refusal(q.trace); err != nil { // of another call since: as if Qualys said it again
				return
			}
			if !t.loggingIn && !t.client.LoggedIn(t.account) {
				t.loggingIn, logins = true, 1
			}
			for r := range q.requests {
				r.stats.Calls, r.stats.Logins = r.stats.Calls+1+logins, r.stats.Logins+logins
			}
		})
		if err != nil {
			return page, backoff.Permanent(err)
		}
		switch key.what {
		case Count:
			count, page.Limits, err = t.client.Count(ctx, t.account, events, key.split)
		case Check:
			err = t.client.Check(ctx, t.account)
		}
		if err == nil && key.what != Count {
			page, err = t.client.Events(ctx, t.account, events)
		}
		e, failed := errors.AsType[*qualys.Error](err)
		if failed {
			page.Limits = e.Limits
		}
		t.note(func() {
			t.loggingIn = t.loggingIn && logins == 0
			if n := page.Limits.Concurrency; n > 0 {
				t.allowed = min(n, t.options.Concurrency)
			}
			for r := range q.requests {
				r.stats.Time += time.Since(started)
			}
		})
		if err != nil && (!failed || !e.Transient()) {
			err = backoff.Permanent(err)
		}
		return page, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxTries(q.tries), backoff.WithMaxElapsedTime(left))
	end(err)
	if q.ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		err = &qualys.Error{Op: qualys.OpEvents, Kind: qualys.KindTimeout, Message: "the response timed out"}
	}
	return page, count, err
}

// byValue tells whether one value of a joined query can have caused the failure.
func byValue(e *qualys.Error) bool {
	switch e.Kind {
	case qualys.KindUnauthorized, qualys.KindAccount, qualys.KindRateLimited, qualys.KindConnect,
		qualys.KindTLS, qualys.KindMemory:
		return false
	}
	return e.Op != qualys.OpLogin
}

// withoutWords leaves out the words of Qualys, which may name values of others. What the client says itself
// about the connection stays, and all about the account's login.
func withoutWords(e *qualys.Error) *qualys.Error {
	clean := *e
	switch {
	case e.Op == qualys.OpLogin:
	case e.Status != 0:
		clean.Message = "HTTP " + strconv.Itoa(e.Status) + " " + http.StatusText(e.Status)
	case byValue(e) && e.Kind != qualys.KindTimeout:
		clean.Message = string(e.Kind)
	}
	return &clean
}
