package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	minKeyLength = 32              // bytes: as many as the hash of HS256 has (RFC 7518, 3.2)
	maxKeyFile   = 64 << 10        // Secret Manager's limit for a secret
	earlyGap     = time.Minute     // between two early reads of a source
	overlap      = 5 * time.Minute // how long an HS256 key verifies after another has taken its place
	staleFor     = 24 * time.Hour  // how long the last good keys serve while their source fails
)

// errGone says that a source has answered and has no key: not an outage, but somebody's decision.
var errGone = errors.New("the key is gone")

// key is one key of a source.
type key struct {
	kid   string              // "" for HS256, whose tokens need not name their key
	value jwt.VerificationKey // []byte for HS256, *rsa.PublicKey for RS256
}

// readKeys reads the keys that a source has now, one at least.
type readKeys func(context.Context) ([]key, error)

// source is a place that keys come from, with the keys that it gave last. It is read inside requests: once
// at a time, and the read goes on when the request that began it gives up, since others may wait for it.
// While a read runs or fails, the last keys serve.
type source struct {
	read    readKeys
	ttl     time.Duration // how long keys are fresh
	timeout time.Duration // of one read
	now     func() time.Time
	log     *slog.Logger

	mu       sync.Mutex
	keys     []key         // nil: none
	err      error         // why there are none
	readAt   time.Time     // when the source gave the keys
	replaced []key         // of HS256: those that it gave before
	until    time.Time     // when the replaced keys stop verifying
	due      time.Time     // the first request from here on reads
	earlyAt  time.Time     // no early read before this
	fails    int           // reads that failed in a row
	flight   chan struct{} // closed when the read under way ends; nil: none is
}

// get returns the keys, or why there are none. It waits for a read when there are no keys yet, when this
// request is the one that finds them due, and when nobody did so for another ttl: what has happened to them
// since is not known. A caller whom the keys did not help asks for an early read: get then waits for the one
// under way, or begins one, which it may do once in each earlyGap. When ctx ends, it returns what there is.
func (s *source) get(ctx context.Context, early bool) ([]key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	wait := early || s.keys == nil || now.Sub(s.due) > s.ttl
	early = early && s.keys != nil
	begin := s.flight == nil && (!now.Before(s.due) || early && !now.Before(s.earlyAt))
	if begin {
		if early {
			s.earlyAt = now.Add(earlyGap)
		}
		s.flight = make(chan struct{})
		go s.refresh(ctx, s.flight)
	}
	if flight := s.flight; flight != nil && (begin || wait) {
		s.mu.Unlock()
		select {
		case <-flight:
		case <-ctx.Done():
		}
		s.mu.Lock()
	}
	if s.now().Before(s.until) {
		return slices.Concat(s.keys, s.replaced), s.err
	}
	return s.keys, s.err
}

// refresh reads the source and closes done at the end. A read that fails leaves the last keys in use for a
// day, unless the source said that they are gone. It is tried again after a pause that doubles from a second
// up to a fifth of the ttl.
func (s *source) refresh(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	defer cancel()
	keys, err := s.guardedRead(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight = nil
	now, before := s.now(), s.keys
	switch {
	case err == nil:
		s.keys, s.err, s.readAt, s.due, s.fails = keys, nil, now, now.Add(s.ttl), 0
		if before != nil && !reflect.DeepEqual(keys, before) {
			s.log.Info("keys replaced", "keys", len(keys))
			if before[0].kid == "" {
				s.replaced, s.until = before, now.Add(overlap)
			}
		}
		return
	case before != nil && !errors.Is(err, errGone) && now.Sub(s.readAt) < staleFor:
		s.log.Warn("keys cannot be read, the last ones stay in use", "error", err)
	default:
		s.log.Error("keys cannot be read, none is in use", "error", err)
		s.keys, s.replaced, s.err = nil, nil, err
	}
	s.due, s.fails = now.Add(min(time.Second<<min(s.fails, 10), s.ttl/5)), s.fails+1
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

// ParseKey is the HS256 key in what an operator stored. One line end behind it is not part of it: editors
// and echo put it there. Anything else around it is refused, since only one of those who read the key would
// take it for part of the key, and all that anyone would see is a signature that does not fit.
func ParseKey(raw []byte) ([]byte, error) {
	key := bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte("\n")), []byte("\r"))
	starts := func(with string) bool { return bytes.HasPrefix(key, []byte(with)) }
	fault := ""
	switch {
	case len(bytes.TrimSpace(key)) == 0:
		fault = "is empty"
	case starts("\xef\xbb\xbf"), starts("\xff\xfe"), starts("\xfe\xff"):
		fault = "begins with a byte order mark (BOM), which is not part of a key"
	case len(bytes.TrimSpace(key)) < len(key):
		fault = "has white space around it, which is not part of a key"
	case starts("-----BEGIN"):
		fault = "is a PEM file, and HS256 needs a shared secret"
	case len(key) < minKeyLength:
		fault = fmt.Sprintf("has %d bytes and must have at least %d", len(key), minKeyLength)
	}
	if fault != "" {
		return nil, errors.New("the key " + fault)
	}
	return bytes.Clone(key), nil
}

// sharedSecret is the HS256 key in what a source gave.
func sharedSecret(raw []byte) ([]key, error) {
	secret, err := ParseKey(raw)
	return []key{{value: secret}}, err
}

// readFile reads a file that holds a key, such as a mounted secret. It is read twice and taken when both
// agree, since it may be replaced meanwhile. What the file system says of its time is not relied on: some
// mounts report another one at each look.
func readFile(path string) readKeys {
	return func(context.Context) ([]key, error) {
		var looks [2][]byte
		for i := range looks {
			file, err := os.Open(path)
			if err != nil {
				return nil, err
			}
			looks[i], err = io.ReadAll(io.LimitReader(file, maxKeyFile+1)) // whatever the path leads to
			_ = file.Close()                                               // it was only read
			switch {
			case err != nil:
				return nil, err
			case len(looks[i]) > maxKeyFile:
				return nil, fmt.Errorf("the file is longer than %d bytes", maxKeyFile)
			}
		}
		if !bytes.Equal(looks[0], looks[1]) {
			return nil, errors.New("the file changes while it is read")
		}
		return sharedSecret(looks[0])
	}
}
