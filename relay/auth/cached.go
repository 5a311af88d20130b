package auth

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// timing says when a cached value is fetched.
type timing struct {
	ttl      time.Duration // a value is fresh for this long, and up to a fifth longer so that instances do not ask in step
	timeout  time.Duration // of one fetch
	maxPause time.Duration // after failures: doubles from a second up to this
	earlyGap time.Duration // between two early fetches
}

// cached holds a value that comes from a slow place. It fetches inside
// requests: one fetch at a time, which goes on when the request that began it
// gives up, since others may wait for it. While a fetch runs or fails, the old
// value serves.
//
// A fetch gets the old value and returns the new one, which may be the old
// value itself or nil, and an error that asks for another try before the
// value's time is up.
type cached[T any] struct {
	timing
	fetch func(ctx context.Context, old *T, early bool) (*T, error)
	now   func() time.Time

	mu      sync.Mutex
	value   *T            // nil: none
	err     error         // of the last fetch
	due     time.Time     // the first request from here on fetches
	earlyAt time.Time     // no early fetch before this
	fails   int           // fetches that failed in a row
	flight  chan struct{} // closed when the fetch under way ends; nil: none is
	running sync.WaitGroup
}

// get returns the value. It waits for a fetch when there is no value yet, and
// when this request is the one that finds the value's time up.
func (c *cached[T]) get(ctx context.Context) (*T, error) {
	c.mu.Lock()
	if c.now().Before(c.due) || c.value != nil && c.flight != nil {
		defer c.mu.Unlock()
		return c.held()
	}
	flight := c.start(ctx, false)
	c.mu.Unlock()
	return c.wait(ctx, flight)
}

// newer returns a value that replaced the one that the caller has tried. If
// there is none yet, it joins the fetch under way or begins an early one, which
// it may do once in each earlyGap. Otherwise it returns nil without waiting.
func (c *cached[T]) newer(ctx context.Context, tried *T) (*T, error) {
	c.mu.Lock()
	if c.value != tried {
		defer c.mu.Unlock()
		return c.held()
	}
	if c.flight == nil {
		now := c.now()
		if now.Before(c.earlyAt) {
			c.mu.Unlock()
			return nil, nil
		}
		c.earlyAt = now.Add(c.earlyGap)
		c.start(ctx, true)
	}
	flight := c.flight
	c.mu.Unlock()
	value, err := c.wait(ctx, flight)
	if value == tried {
		return nil, err
	}
	return value, err
}

// held returns the value, or the error that is the reason for having none. The
// lock is held.
func (c *cached[T]) held() (*T, error) {
	if c.value == nil {
		return nil, c.err
	}
	return c.value, nil
}

// wait returns what there is after the fetch.
func (c *cached[T]) wait(ctx context.Context, flight <-chan struct{}) (*T, error) {
	select {
	case <-flight:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held()
}

// start begins a fetch unless one is under way, and returns that which is. The
// lock is held.
func (c *cached[T]) start(ctx context.Context, early bool) <-chan struct{} {
	if c.flight != nil {
		return c.flight
	}
	done := make(chan struct{})
	c.flight = done
	old := c.value
	c.running.Go(func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
		defer cancel()
		value, err := c.try(ctx, old, early)

		c.mu.Lock()
		defer c.mu.Unlock()
		c.value, c.err, c.flight = value, err, nil
		if err != nil {
			c.due = c.now().Add(backoff(c.fails, c.maxPause))
			c.fails++
			return
		}
		c.due = c.now().Add(c.ttl + rand.N(c.ttl/5+1))
		c.fails = 0
	})
	return done
}

// try is fetch, with a panic made an error: it happens outside the request's
// goroutine, where nothing else would keep it from ending the process. What was
// thrown is not repeated, since it may hold part of a key.
func (c *cached[T]) try(ctx context.Context, old *T, early bool) (value *T, err error) {
	defer func() {
		if thrown := recover(); thrown != nil {
			value, err = old, fmt.Errorf("panic while reading a key: %T", thrown)
		}
	}()
	return c.fetch(ctx, old, early)
}

// backoff is the pause after the nth failure in a row: from one second on,
// doubled each time, a random half of it taken off.
func backoff(n int, most time.Duration) time.Duration {
	pause := min(time.Second<<min(n, 10), most)
	return pause - rand.N(pause/2+1)
}
