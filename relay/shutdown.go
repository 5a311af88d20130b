package relay

import (
	"context"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// After SIGTERM, requests in flight have finishTime to finish. Then their contexts end, and they have until
	// exitTime to write what they have: Cloud Run kills an instance ten seconds after the signal.
	finishTime = 6 * time.Second
	exitTime   = 9 * time.Second

	maxRequests = 256 // that one process serves at once; Cloud Run's own limit is meant to be lower

	// A request that reads a body without a token is one of maxStrangers, and has strangersTime for it.
	maxStrangers  = 64
	strangersTime = 5 * time.Second
)

// errShutdown ends the contexts of the requests in flight.
var errShutdown = warning(CodeTimeout, nil,
	"The relay was shut down. The answer holds what was found until then.")

// requests are the requests in flight. New ones are turned away when there are too many or when the process
// is about to end.
type requests struct {
	slots  chan struct{} // has an element for each request in flight
	closed atomic.Bool
	ending context.Context //nolint:containedctx // ends when the requests in flight have to
	end    context.CancelCauseFunc
}

func newRequests() *requests {
	r := &requests{slots: make(chan struct{}, maxRequests)}
	r.ending, r.end = context.WithCancelCause(context.Background())
	return r
}

// enter takes a slot, or returns why the request is refused.
func (r *requests) enter() *statusError {
	if r.closed.Load() {
		return &statusError{http.StatusServiceUnavailable, "The relay is shutting down.", "Try again."}
	}
	select {
	case r.slots <- struct{}{}:
		return nil
	default:
		return &statusError{http.StatusServiceUnavailable, "The relay has too many requests.", "Try again."}
	}
}

func (r *requests) leave() { <-r.slots }

// bound is ctx, ended early when the requests in flight have to end.
func (r *requests) bound(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(r.ending, func() { cancel(errShutdown) })
	return ctx, func() { stop(); cancel(nil) }
}

// shut turns new requests away and returns when it has every slot, that is when those in flight are done, or
// when ctx ends. Requests that are not done after finish are ended.
func (r *requests) shut(ctx context.Context, finish time.Duration) {
	r.closed.Store(true)
	timer := time.AfterFunc(finish, func() { r.end(errShutdown) })
	defer timer.Stop()
	for range maxRequests {
		select {
		case r.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
}

// exitOnSIGTERM ends the process when the platform takes the instance away, after the requests in flight
// have been answered. The functions framework has no such step of its own: without it, the callers get
// an empty reply.
func (s *Service) exitOnSIGTERM() {
	term, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	context.AfterFunc(term, func() {
		ctx, cancel := context.WithTimeout(context.Background(), exitTime)
		defer cancel()
		s.requests.shut(ctx, finishTime)
		s.Close()
		os.Exit(0)
	})
}
