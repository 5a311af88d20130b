package search

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"qualysrelay.example/qualys"
)

const (
	maxTries    = 3 // of one call, where its failure is transient
	joinedTries = 2 // of a joined query, which can still be split

	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 2 * time.Second

	unsaidWait  = time.Second // for a rate limit without a word on how long
	longestWait = time.Hour   // believed
)

// fetch makes one search, again where the failure is transient and the time allows. It logs in where the token is gone.
func (t *tenant) fetch(ctx context.Context, callers []*caller, q qualys.EventQuery, deadline time.Time, tries uint) (qualys.Page, error) {
	ctx, end := t.searcher.options.Span(ctx, "qualys.search")
	page, err := retry(ctx, deadline, tries, func() (qualys.Page, error) {
		started := time.Now()
		page, err := t.searcher.client.Events(ctx, t.account, q)
		t.count(callers, time.Since(started), 0)
		return page, err
	})
	end(err)
	limits := page.Limits
	if e, ok := errors.AsType[*qualys.Error](err); ok {
		limits = e.Limits
	}
	t.learn(limits)
	return page, err
}

func (t *tenant) logIn(ctx context.Context, callers []*caller, deadline time.Time) error {
	ctx, end := t.searcher.options.Span(ctx, "qualys.login")
	_, err := retry(ctx, deadline, maxTries, func() (struct{}, error) {
		started := time.Now()
		err := t.searcher.client.Login(ctx, t.account)
		t.count(callers, time.Since(started), 1)
		return struct{}{}, err
	})
	end(err)
	return err
}

// retry repeats what fails in passing, with growing, jittered pauses; a pause that would reach beyond the deadline is not begun.
func retry[T any](ctx context.Context, deadline time.Time, tries uint, call func() (T, error)) (T, error) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = firstBackoff, lastBackoff
	options := []backoff.RetryOption{backoff.WithBackOff(pauses), backoff.WithMaxTries(tries)}
	if !deadline.IsZero() {
		options = append(options, backoff.WithMaxElapsedTime(time.Until(deadline)))
	}
	return backoff.Retry(ctx, func() (T, error) {
		result, err := call()
		if e, ok := errors.AsType[*qualys.Error](err); err != nil && (!ok || !e.Transient()) {
			return result, backoff.Permanent(err)
		}
		return result, err
	}, options...)
}

// count adds one call to the statistics of everyone who waits for it.
func (t *tenant) count(callers []*caller, took time.Duration, logins int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range callers {
		c.stats.Calls++
		c.stats.Logins += logins
		c.stats.Upstream += took
	}
}

// learn keeps to the number of simultaneous calls that Qualys allows.
func (t *tenant) learn(limits qualys.RateLimits) {
	if limits.Concurrency < 1 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limit = min(limits.Concurrency, t.searcher.options.Concurrency)
}

// limited is noteLimit for a call outside the lanes.
func (t *tenant) limited(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.noteLimit(err)
}

// noteLimit blocks the tenant where the error is Qualys's rate limit, and tells whether it is.
func (t *tenant) noteLimit(err error) bool {
	e, ok := errors.AsType[*qualys.Error](err)
	if !ok || e.Kind != qualys.KindRateLimited {
		return false
	}
	wait := e.Limits.Wait
	if wait <= 0 {
		wait = unsaidWait
	}
	if until := time.Now().Add(min(wait, longestWait)); until.After(t.blockedUntil) {
		t.blockedUntil = until
	}
	t.blocked = e
	for l := range t.waiting { // what has no time for the wait is told at once
		for _, a := range t.waiting[l].all() {
			if refusal := t.refusal(a); refusal != nil {
				t.end(a, answer{err: refusal})
			}
		}
	}
	return true
}

// wakeAfter dispatches again when the rate limit's wait is over. Somebody waits for it, so the instance has a processor then.
func (t *tenant) wakeAfter(wait time.Duration) {
	if t.wake != nil {
		t.wake.Stop()
	}
	t.wake = time.AfterFunc(wait, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.dispatch()
	})
}

// pass waits until Qualys lets the tenant call again, or returns its refusal where the caller has no time for that.
func (t *tenant) pass(ctx context.Context) error {
	t.mu.Lock()
	wait, refusal := time.Until(t.blockedUntil), t.blocked
	t.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
		return refusal
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
