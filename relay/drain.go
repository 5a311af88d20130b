package relay

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// drainTime is how long requests in flight may take after SIGTERM. Cloud Run kills an instance ten seconds after it.
const drainTime = 8 * time.Second

// drain counts the requests in flight and turns new ones away once it is closed.
type drain struct {
	mu       sync.Mutex
	closed   bool
	inFlight int
	empty    chan struct{} // closed when closed and nothing is in flight
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

// shut turns new requests away and returns when those in flight are done, or when ctx ends.
func (d *drain) shut(ctx context.Context) {
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
		s.drain.shut(ctx)
		_ = s.Close() // the process ends anyway
		os.Exit(0)
	}()
}
