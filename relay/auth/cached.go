package auth

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// earlyGap is the time between two early fetches.
const earlyGap = time.Minute

// cached holds a value that comes from a slow place. It fetches inside requests: one fetch at a time,
// which goes on when the request that began it gives up, since others may wait for it. While a fetch runs
// or fails, the old value serves.
type cached[T any] struct {
	// fetch gets the old value and returns the new one, which may be the old value itself or nil, and an
	// error that calls for another try before the value's time is up.
	fetch    func(ctx context.Context, old *T) (*T, error)
	ttl      time.Duration // a value is fresh for so long, or up to a fifth longer: instances spread out
	timeout  time.Duration // of one fetch
	maxPause time.Duration // after failures: doubles from a second up to this
	now      func() time.Time

	mu      sync.Mutex
	value   *T            // nil: none
	err     error         // why there is none
	due     time.Time     // the first request from here on fetches
	earlyAt time.Time     // no early fetch before this
	fails   int           // fetches that failed in a row
	flight  chan struct{} // closed when the fetch under way ends; nil: none is
	running sync.WaitGroup
}

// get returns the value, or the error that is the reason for having none. It waits for a fetch when there
// is no value yet, and when this request is the one that finds the value's time up.
//
// A caller whom the value did not help passes it as tried, and gets another one that has replaced it
// meanwhile. Where none has, get waits for the fetch under way or begins an early one, which it may do
// once in each earlyGap. It returns nil when there is no other value.
func (c *cached[T]) get(ctx context.Context, tried *T) (*T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	early := tried != nil && tried == c.value
	serves := tried != nil || now.Before(c.due) || c.value != nil && c.flight != nil
	switch {
	case serves && !early:
		return c.value, c.err
	case c.flight != nil:
	case early && now.Before(c.earlyAt):
		return nil, nil
	case early:
		c.earlyAt = now.Add(earlyGap)
		c.start(ctx)
	default:
		c.start(ctx)
	}
	flight := c.flight
	c.mu.Unlock()
	select {
	case <-flight:
	case <-ctx.Done():
	}
	c.mu.Lock()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("auth: waiting for a key: %w", ctx.Err())
	case early && tried == c.value:
		return nil, nil
	}
	return c.value, c.err
}

// start begins a fetch. The lock is held, and none is under way.
func (c *cached[T]) start(ctx context.Context) {
	done, old := make(chan struct{}), c.value
	c.flight = done
	c.running.Go(func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
		defer cancel()
		value, err := c.fetch(ctx, old)

		c.mu.Lock()
		defer c.mu.Unlock()
		c.value, c.err, c.flight = value, nil, nil
		if value == nil {
			c.err = err
		}
		if err == nil {
			c.due, c.fails = c.now().Add(c.ttl+rand.N(c.ttl/5+1)), 0
			return
		}
		pause := min(time.Second<<min(c.fails, 10), c.maxPause)
		c.due = c.now().Add(pause - rand.N(pause/2+1))
		c.fails++
	})
}
