package qualys

import (
	"context"
	"time"
)

// Memory bounds what all answers hold at once. A *semaphore.Weighted of golang.org/x/sync is one. Its
// methods may be called concurrently.
type Memory interface {
	Acquire(ctx context.Context, n int64) error // waits until n bytes are free
	Release(n int64)
}

const (
	freeMemory = 256 << 10       // bytes that each answer takes without asking: most answers stay below
	memoryStep = 1 << 20         // bytes that are acquired at a time
	memoryWait = 3 * time.Second // for which an answer waits in all, holding what it has
)

// grant is the memory that one answer holds.
type grant struct {
	memory   Memory // nil: unbounded
	waited   time.Duration
	used     int64
	acquired int64 // of memory
}

// take notes n bytes more, and waits for them where they are more than the answer has. Its errors are an
// *Error and the context's.
func (g *grant) take(ctx context.Context, n int64) error {
	g.used += n
	if g.used > maxDecoded {
		return unreadable("the answer is larger than %d bytes", maxDecoded)
	}
	for g.memory != nil && g.used > freeMemory+g.acquired {
		start := time.Now()
		waitCtx, cancel := context.WithTimeout(ctx, memoryWait-g.waited)
		err := g.memory.Acquire(waitCtx, memoryStep)
		cancel()
		g.waited += time.Since(start)
		switch {
		case err == nil:
			g.acquired += memoryStep
		case ctx.Err() != nil:
			return ctx.Err()
		default:
			return &Error{Kind: KindMemory, Message: "there is no memory for the answer beside the others"}
		}
	}
	return nil
}

// keep gives back what is more than n bytes need.
func (g *grant) keep(n int64) {
	g.used = n
	need := (max(n-freeMemory, 0) + memoryStep - 1) / memoryStep * memoryStep
	if surplus := g.acquired - need; surplus > 0 {
		g.memory.Release(surplus)
		g.acquired = need
	}
}
