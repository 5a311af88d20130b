package search

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"qualysrelay.example/qualys"
)

const (
	minPage = 100    // events
	maxPage = 1000   // events; the largest page in use
	window  = 10_000 // events; Qualys returns none beyond

	firstBackoff, lastBackoff = 100 * time.Millisecond, 2 * time.Second

	// joinedTime is the part of the remaining time that a joined query gets, so that there is time to split
	// it where one value makes it hang.
	joinedTime = 0.4

	// splitBudget is how many splits a query has without a success among its parts; a success restores it.
	// Six splits lead from fifty lookups to one. Since the halves are searched one after the other, bad
	// values are isolated as long as only a few follow each other, such as one in each quarter of sixteen. A
	// query that fails for every value makes 1 + 2*8 searches. What is left when the budget is used up gets
	// the last error.
	splitBudget = 8

	// outage is how many joined searches of a tenant, over all its queries, may fail in a row before none is
	// split or repeated any more until one succeeds: a gateway that is down gets one call for each query
	// then.
	outage = 32
)

// query is one search of Qualys, for one lookup or for several joined with "or".
type query struct {
	*batch
	lookups []*lookup
}

// batch is a query as it was formed, and all that are made of parts of it.
type batch struct {
	state  state
	all    []*lookup
	ctx    context.Context //nolint:containedctx // ends when nobody waits for any of the lookups
	cancel context.CancelFunc
	weight int64 // of the call that became free for it, until that is made
	budget int   // splits that are left, under tenant.mu
}

// search searches for lookups of a batch, and again for fewer of them where it has to. Called without the
// mutex, like all in this file.
func (t *tenant) search(f *batch, lookups []*lookup) {
	again, err := t.searchOnce(&query{f, lookups})
	e, ok := asError(err)
	joined, half, split := len(lookups) > 1, (len(lookups)+1)/2, false
	t.note(func() {
		if split = ok && joined && byValue(e) && f.budget > 0 && t.failures < outage; split {
			f.budget--
		}
	})
	switch {
	case split && e.Kind == qualys.KindTimeout: // one after the other, a value that hangs would leave no time
		t.sideBySide(f, lookups[:half], lookups[half:])
	case split:
		t.search(f, lookups[:half])
		t.search(f, lookups[half:])
	case ok && joined && e.Kind == qualys.KindAccount:
		t.fail(lookups[1:], withoutWords(e))
		t.search(f, lookups[:1]) // alone, for Qualys's words
	case ok && joined:
		t.fail(lookups, withoutWords(e))
	case err != nil:
		t.fail(lookups, err)
	case len(again) == 0:
	case len(again) < half || len(again) == 1: // what was in their way is gone
		t.search(f, again)
	case len(lookups) == len(f.all): // side by side, but no more than two of a batch
		t.sideBySide(f, again[:len(again)/2], again[len(again)/2:])
	default:
		t.search(f, again[:len(again)/2])
		t.search(f, again[len(again)/2:])
	}
}

func (t *tenant) sideBySide(f *batch, parts ...[]*lookup) {
	var group sync.WaitGroup
	for _, part := range parts {
		group.Go(func() { t.search(f, part) })
	}
	group.Wait()
}

// fail ends lookups with an error and what was found before it.
func (t *tenant) fail(lookups []*lookup, err error) {
	until := time.Now().Add(memoryWait)
	for _, l := range lookups {
		a := answer{err: err}
		t.note(func() { a.events = l.found })
		t.deliver(l, a, until)
	}
}

// searchOnce searches for those of the lookups that somebody waits for, and returns those that it could not
// answer for certain. A panic, which in this goroutine would end the process, becomes an error.
func (t *tenant) searchOnce(q *query) (again []*lookup, err error) {
	defer func() {
		if value := recover(); value != nil {
			again, err = nil, fmt.Errorf("search: panic: %v\n%s", value, debug.Stack())
		}
	}()
	t.note(func() {
		q.lookups = slices.DeleteFunc(slices.Clone(q.lookups), func(l *lookup) bool {
			if !l.wanted() {
				t.forget(l)
			}
			return !l.wanted()
		})
		requests, _ := waiting(q.lookups)
		for r := range requests {
			r.stats.Batches = append(r.stats.Batches, len(q.lookups))
		}
	})
	switch {
	case len(q.lookups) == 0:
		return nil, nil
	case len(q.lookups) > 1:
		return t.searchJoined(q)
	case q.lookups[0].key.op == qualys.OpEvents:
		return nil, t.searchAlone(q, q.lookups[0])
	default:
		return nil, t.ask(q, q.lookups[0])
	}
}

// searchJoined searches for several lookups and gives each the events that are about it, for certain.
func (t *tenant) searchJoined(q *query) (again []*lookup, err error) {
	targets, size := make([]target, len(q.lookups)), 0
	var filter qualys.Filter
	for i, l := range q.lookups {
		targets[i], filter, size = l.target, qualys.Or(filter, l.target.filter), size+firstPage(l.key.limit)
	}
	page, err := t.page(q, filter, min(size, maxPage), 0)
	if err != nil {
		return nil, err
	}
	defer page.release()
	shares, uncertain := share(targets, unique(page.Events, make(map[string]bool)))
	until := time.Now().Add(memoryWait)
	for i, l := range q.lookups {
		if uncertain[i] || page.Unreadable > 0 || page.Full && len(shares[i]) <= l.key.limit {
			again = append(again, l)
			t.note(func() {
				l.drop()
				l.keep(shares[i], page)
			})
		} else {
			t.deliver(l, answer{events: shares[i]}, until)
		}
	}
	return again, nil
}

// searchAlone searches for one lookup. Where the first page does not hold enough, since other values that
// Qualys's tokens find fill it, it reads large pages up to the end of Qualys's window.
func (t *tenant) searchAlone(q *query, l *lookup) error {
	var a answer
	var seen map[string]bool
	for size, number := firstPage(l.key.limit), 0; ; number++ {
		page, err := t.page(q, l.target.filter, size, number)
		if err != nil {
			return err
		}
		if number == 0 {
			a, seen = answer{}, make(map[string]bool)
			t.note(l.drop)
		}
		a.examined += len(page.Events) + page.Unreadable
		a.unreadable += page.Unreadable
		for _, e := range unique(page.Events, seen) {
			if l.target.match(l.target.shown(e)) != no {
				a.events = append(a.events, e)
			}
		}
		t.note(func() { l.keep(slices.Clip(a.events), page) })
		page.release()
		enough := !page.Full || len(a.events) > l.key.limit
		switch {
		case enough, (number+1)*size >= window:
			if a.truncated = !enough; enough {
				a.examined = 0
			}
			t.deliver(l, a, time.Now().Add(memoryWait))
			return nil
		case size < maxPage: // from the start, since the offset is a number of pages
			size, number = maxPage, -1
		}
	}
}

// ask counts events, reads the newest ones of a query, or checks the account.
func (t *tenant) ask(q *query, l *lookup) error {
	var a answer
	var page qualys.Page
	client, f, active := t.searcher.client, l.target.filter, q.state == current
	err := t.call(q, func(ctx context.Context) (_ qualys.RateLimits, err error) {
		if l.key.op == qualys.OpCount {
			query := qualys.CountQuery{Filter: f, Active: active, Split: l.key.split}
			a.count, a.limits, err = client.Count(ctx, t.account, query)
			return a.limits, err
		}
		if l.key.op == opCheck {
			err = client.Check(ctx, t.account)
		}
		if err == nil {
			query := qualys.EventQuery{Filter: f, Active: active, PageSize: l.key.limit}
			page, err = client.Events(ctx, t.account, query)
		}
		a.events, a.truncated, a.unreadable = page.Events, page.Full, page.Unreadable
		a.limits = page.Limits
		return a.limits, err
	})
	defer page.Release() // by then, who waits is charged
	if err == nil {
		t.deliver(l, a, time.Now().Add(memoryWait))
	}
	return err
}

// page reads one page of a search.
func (t *tenant) page(q *query, f qualys.Filter, size, number int) (*heldPage, error) {
	query := qualys.EventQuery{Filter: f, Active: q.state == current, PageSize: size, PageNumber: number}
	held := &heldPage{}
	held.holders.Store(1)
	return held, t.call(q, func(ctx context.Context) (_ qualys.RateLimits, err error) {
		held.Page, err = t.searcher.client.Events(ctx, t.account, query)
		return held.Limits, err
	})
}

// call makes a call to Qualys when one is free, and again where Qualys refuses it for the tenant's rate.
func (t *tenant) call(q *query, exchange exchange) (err error) {
	weight := q.weight
	if weight > 0 {
		q.weight = 0
	} else if weight, err = t.acquire(q.ctx, q.state); err != nil {
		return err
	}
	defer t.release(q.state, weight)
	for limits := 0; ; limits++ {
		var wait time.Duration
		t.note(func() { wait = time.Until(t.pausedUntil) })
		select {
		case <-time.After(wait):
		case <-q.ctx.Done():
			return q.ctx.Err()
		}
		err = t.try(q, exchange)
		e, ok := asError(err)
		if !ok || e.Kind != qualys.KindRateLimited {
			return err
		}
		t.note(func() { t.pause(e, q.lookups) })
		if limits == maxLimits {
			return err
		}
	}
}

// exchange is one call to Qualys, which may log in first.
type exchange func(context.Context) (qualys.RateLimits, error)

// try calls Qualys, again after a growing, jittered pause where the failure is transient and there is time.
func (t *tenant) try(q *query, exchange exchange) error {
	var requests map[*request]bool
	var deadline time.Time
	tries, joined := uint(3), len(q.lookups) > 1
	t.note(func() {
		switch requests, deadline = waiting(q.lookups); {
		case t.failures >= outage || joined && q.budget < splitBudget:
			tries = 1
		case joined: // it can still be split
			tries = 2
		}
		for _, l := range q.lookups {
			l.calling = true
		}
	})
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = firstBackoff, lastBackoff
	options := []backoff.RetryOption{backoff.WithBackOff(pauses), backoff.WithMaxTries(tries)}
	attempt, end := t.searcher.options.Span(q.ctx, "qualys.search")
	if !deadline.IsZero() {
		left := time.Until(deadline)
		options = append(options, backoff.WithMaxElapsedTime(left))
		if joined {
			var cancel context.CancelFunc
			attempt, cancel = context.WithTimeout(attempt, time.Duration(joinedTime*float64(left)))
			defer cancel()
		}
	}
	limits, err := backoff.Retry(attempt, func() (limits qualys.RateLimits, err error) {
		started, logins := time.Now(), 0
		t.note(func() {
			if !t.loggingIn && !t.searcher.client.LoggedIn(t.account) {
				t.loggingIn, logins = true, 1
			}
			for r := range requests {
				r.stats.Calls, r.stats.Logins = r.stats.Calls+1+logins, r.stats.Logins+logins
			}
		})
		limits, err = exchange(attempt)
		t.note(func() {
			t.loggingIn = t.loggingIn && logins == 0
			for r := range requests {
				r.stats.Upstream += time.Since(started)
			}
		})
		if e, ok := asError(err); err != nil && (!ok || !e.Transient()) {
			err = backoff.Permanent(err)
		}
		return limits, err
	}, options...)
	end(err)
	if q.ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		err = &qualys.Error{Op: qualys.OpEvents, Kind: qualys.KindTimeout, Message: "the response timed out"}
	}
	t.note(func() {
		for _, l := range q.lookups {
			l.calling = false
		}
		e, failed := asError(err)
		if failed {
			limits = e.Limits
		}
		if limits.Concurrency > 0 {
			t.concurrency = int64(min(limits.Concurrency, t.searcher.options.Concurrency))
		}
		if err == nil {
			t.failures, q.budget = 0, splitBudget
		} else if joined && failed && byValue(e) {
			t.failures++
		}
	})
	return err
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

// asError is errors.AsType for the errors of the client, the only ones that are looked into.
func asError(err error) (*qualys.Error, bool) { return errors.AsType[*qualys.Error](err) }

// waiting tells which requests wait for the lookups, and when the last of them gives up; zero where one
// never does.
func waiting(lookups []*lookup) (requests map[*request]bool, last time.Time) {
	requests, endless := make(map[*request]bool), false
	for _, l := range lookups {
		for r := range l.waiters {
			deadline, ok := r.ctx.Deadline()
			if endless = endless || !ok; deadline.After(last) {
				last = deadline
			}
			requests[r] = true
		}
	}
	if endless {
		last = time.Time{}
	}
	return requests, last
}

// unique leaves out events that were seen before: pages shift while events arrive.
func unique(events []*qualys.Event, seen map[string]bool) []*qualys.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e *qualys.Event) bool {
		before := seen[e.Key]
		seen[e.Key] = true
		return before
	})
}

// firstPage is one more than the limit, so that it tells whether there are more.
func firstPage(limit int) int { return min(max(limit+1, minPage), maxPage) }
