package relay

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// After SIGTERM, requests in flight have finishTime to finish. Then their contexts end, and they have until drainTime to write what they have: Cloud
// Run kills an instance ten seconds after the signal.
const (
	finishTime = 6 * time.Second
	drainTime  = 9 * time.Second
)

// drain counts the requests in flight and turns new ones away once it is closed.
type drain struct {
	mu       sync.Mutex
	closed   bool
	inFlight int
	empty    chan struct{} // closed when closed and nothing is in flight

	ending context.Context //nolint:containedctx // ends when the requests in flight have to
	end    context.CancelCauseFunc
}

func newDrain() *drain {
	d := new(drain)
	d.ending, d.end = context.WithCancelCause(context.Background())
	return d
}

// errShutdown ends the contexts of the requests in flight.
var errShutdown = &Error{Severity: Warning, Code: CodeTimeout, Message: "The relay was shut down. The answer holds what was found until then."}

// bound is ctx, ended early when the requests in flight have to end.
func (d *drain) bound(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(d.ending, func() { cancel(errShutdown) })
	return ctx, func() { stop(); cancel(nil) }
}

func (d *drain) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.inFlight++
	return true
}

func (d *drain) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inFlight--; d.closed && d.inFlight == 0 {
		close(d.empty)
	}
}

// shut turns new requests away and returns when those in flight are done, or when ctx ends. Those that are not done after finish are ended.
func (d *drain) shut(ctx context.Context, finish time.Duration) {
	timer := time.AfterFunc(finish, func() { d.end(errShutdown) })
	defer timer.Stop()
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return
	}
	d.closed, d.empty = true, make(chan struct{})
	if d.inFlight == 0 {
		close(d.empty)
	}
	empty := d.empty
	d.mu.Unlock()
	select {
	case <-empty:
	case <-ctx.Done():
	}
}

// ExitOnSIGTERM lets the requests in flight finish when the platform takes the instance away, and then ends the process. The functions framework
// has no such step of its own: without it, the callers get an empty reply.
func (s *Service) ExitOnSIGTERM() {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		ctx, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		s.drain.shut(ctx, finishTime)
		_ = s.Close() // the process ends anyway
		os.Exit(0)
	}()
}
