package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	earlyGap = time.Minute     // between two early reads of a source
	overlap  = 5 * time.Minute // how long a replaced HS256 key goes on verifying: as a cache would keep it
	staleFor = 24 * time.Hour  // how long the last good keys serve while their source fails
)

// errGone says that a source has answered and has no key: not an outage, but somebody's decision.
var errGone = errors.New("the key is gone")

// key is one key of a source.
type key struct {
	kid     string              // "" for HS256, whose tokens need not name their key
	value   jwt.VerificationKey // []byte for HS256, *rsa.PublicKey for RS256; nil: RS256 cannot use it
	version string              // where the source counts versions
	until   time.Time           // when a replaced key stops verifying; zero: it is current
}

// keySet is what a source gave at one moment.
type keySet struct {
	keys   []key
	readAt time.Time
}

// readKeys reads the keys that a source has now, one at least.
type readKeys func(context.Context) ([]key, error)

// named returns the keys of a name that can be used. known tells whether the name is there at all.
func (s *keySet) named(kid string, now time.Time) (usable []jwt.VerificationKey, known bool) {
	for _, k := range s.keys {
		if k.kid == kid && (k.until.IsZero() || now.Before(k.until)) {
			known = true
			if k.value != nil {
				usable = append(usable, k.value)
			}
		}
	}
	return usable, known
}

// source is a place that keys come from, with the keys that it gave last. It is read inside requests: once
// at a time, and the read goes on when the request that began it gives up, since others may wait for it.
// While a read runs or fails, the last keys serve.
type source struct {
	read    readKeys
	ttl     time.Duration // keys are fresh for so long, or up to a fifth longer: instances spread out
	timeout time.Duration // of one read
	overlap time.Duration // how long a key verifies after another has taken its place
	now     func() time.Time
	log     *slog.Logger

	mu      sync.Mutex
	keys    *keySet       // nil: none
	err     error         // why there are none
	due     time.Time     // the first request from here on reads
	earlyAt time.Time     // no early read before this
	fails   int           // reads that failed in a row
	flight  chan struct{} // closed when the read under way ends; nil: none is
	running sync.WaitGroup
}

// get returns the keys, or why there are none. It waits for a read when there are no keys yet, and when
// this request is the one that finds them due.
//
// A caller whom the keys did not help passes them as tried. Unless others have replaced them meanwhile, get
// then waits for the read under way or begins an early one, which it may do once in each earlyGap. It
// returns the tried ones where there are no others.
func (s *source) get(ctx context.Context, tried *keySet) (*keySet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, due, early := s.now(), s.due, tried != nil && tried == s.keys
	if early {
		due = s.earlyAt
	}
	begin := s.flight == nil && !now.Before(due)
	if begin && early {
		s.earlyAt = now.Add(earlyGap)
	}
	if begin {
		s.begin(ctx)
	}
	if flight := s.flight; flight != nil && (begin || early || s.keys == nil) {
		s.mu.Unlock()
		select {
		case <-flight:
		case <-ctx.Done():
		}
		s.mu.Lock()
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("auth: waiting for a key: %w", ctx.Err())
	}
	return s.keys, s.err
}

// begin starts a read. The lock is held, and no read is under way.
func (s *source) begin(ctx context.Context) {
	done := make(chan struct{})
	s.flight = done
	s.running.Go(func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
		defer cancel()
		keys, err := s.guardedRead(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.flight = nil
		if err != nil {
			s.failed(err)
		} else {
			s.took(keys)
		}
	})
}

// guardedRead makes a panic of read an error. It happens outside the request's goroutine, where nothing
// else would keep it from ending the process. The panic's value is not repeated: it may hold part of a key.
func (s *source) guardedRead(ctx context.Context) (keys []key, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic while reading a key: %T", v)
		}
	}()
	return s.read(ctx)
}

// failed keeps the last keys for a day, unless the source said that they are gone. It is tried again after
// a pause that doubles from a second up to a fifth of the ttl.
func (s *source) failed(err error) {
	now := s.now()
	pause := min(time.Second<<min(s.fails, 10), s.ttl/5)
	s.due, s.fails = now.Add(pause-rand.N(pause/2+1)), s.fails+1
	if s.keys != nil && !errors.Is(err, errGone) && now.Sub(s.keys.readAt) < staleFor {
		s.log.Warn("keys cannot be read, the last ones stay in use", "error", err)
		return
	}
	s.log.Error("keys cannot be read, none is in use", "error", err)
	s.keys, s.err = nil, err
}

// took makes the keys that were read the current ones, beside those that were current a short time ago.
func (s *source) took(keys []key) {
	now, set := s.now(), &keySet{keys: slices.Clone(keys)}
	set.readAt = now
	s.due, s.fails = now.Add(s.ttl+rand.N(s.ttl/5+1)), 0
	var before []key
	if s.keys != nil {
		before = s.keys.keys
	}
	if !reflect.DeepEqual(keys, before[:min(len(keys), len(before))]) {
		s.log.Info("keys read", "keys", len(keys), "version", keys[0].version, "replaced", before != nil)
	}
	for _, old := range before {
		if old.until.IsZero() {
			old.until = now.Add(s.overlap)
		}
		if now.Before(old.until) {
			set.keys = append(set.keys, old)
		}
	}
	s.keys, s.err = set, nil
}
