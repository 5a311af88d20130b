package auth

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// overlap is how long a key goes on verifying after its source has given
	// another one: as long as a cache would have kept it.
	overlap = 5 * time.Minute
	// staleFor is how long the last good keys serve while their source fails.
	staleFor = 24 * time.Hour
	// maxKeyFile is Secret Manager's limit for a secret.
	maxKeyFile = 64 << 10
)

// errGone says that a source has answered and has no key: not an outage, but
// somebody's decision.
var errGone = errors.New("the key is gone")

// secret is one HS256 key.
type secret struct {
	key     []byte
	version string // where the source counts versions
}

// newSecret checks a key as an operator may have stored it.
func newSecret(raw []byte, version string) (secret, error) {
	key := bytes.TrimSpace(raw)
	switch {
	case len(key) == 0:
		return secret{}, errors.New("the key is empty")
	case bytes.HasPrefix(key, []byte("-----BEGIN")):
		return secret{}, errors.New("the key is a PEM file; HS256 needs a shared secret, which a public key is not")
	case len(key) < MinKeyLength:
		return secret{}, fmt.Errorf("the key has %d bytes and must have at least %d", len(key), MinKeyLength)
	}
	return secret{key: bytes.Clone(key), version: version}, nil
}

// source is one place that an HS256 key is kept in.
type source interface {
	// read returns the key that is there now. force asks it not to rely on signs
	// that nothing has changed.
	read(ctx context.Context, force bool) (secret, error)
	fmt.Stringer // its name, for the log
}

// keyring is what the sources gave at one moment: a slot for each.
type keyring []slot

// slot is the key of one source, with those that it replaced.
type slot struct {
	current   secret
	confirmed time.Time // when the source last gave current
	former    []formerSecret
}

type formerSecret struct {
	secret
	until time.Time
}

// verifies reports whether one of the keys made the signature. Each comparison
// is in constant time.
func (k keyring) verifies(t token, now time.Time) bool {
	made := func(s secret) bool {
		return len(s.key) > 0 && jwt.SigningMethodHS256.Verify(t.signed, t.signature, s.key) == nil
	}
	for _, s := range k {
		if made(s.current) {
			return true
		}
	}
	for _, s := range k {
		for _, f := range s.former {
			if now.Before(f.until) && made(f.secret) {
				return true
			}
		}
	}
	return false
}

// hs256 is the door for shared secrets.
type hs256 struct {
	sources []source
	cache   cached[keyring]
	now     func() time.Time
	log     *slog.Logger
}

// newHS256 keeps the keys of the sources; timing fits how dear asking them is.
func newHS256(sources []source, t timing, now func() time.Time, log *slog.Logger) *hs256 {
	h := &hs256{sources: sources, now: now, log: log}
	h.cache = cached[keyring]{timing: t, fetch: h.fetch, now: now}
	return h
}

// newStaticHS256 has one key that never changes.
func newStaticHS256(s secret, now func() time.Time) *hs256 {
	h := &hs256{now: now}
	never := now().AddDate(1000, 0, 0)
	h.cache = cached[keyring]{value: &keyring{{current: s}}, due: never, earlyAt: never, now: now}
	return h
}

// verify checks the signature. When no key fits, the keys may be asked for once
// more: the token may be the first that is signed with a new key.
func (h *hs256) verify(ctx context.Context, t token) error {
	ring, err := h.cache.get(ctx)
	for range 3 { // the second ring may have been replaced as well by now; a forger gets no further
		if err != nil {
			return keyError(ctx, err)
		}
		if ring == nil {
			break
		}
		if ring.verifies(t, h.now()) {
			return nil
		}
		ring, err = h.cache.newer(ctx, ring)
	}
	return refuse(msgWrongKey, "it is not signed with the relay's SECRET_KEY")
}

// keyError tells a caller that gave up from a key that cannot be read.
func keyError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("auth: waiting for a key: %w", ctx.Err())
	}
	return fmt.Errorf("%w: %w", ErrKeyUnavailable, err)
}

// fetch asks all sources at once. One that fails keeps its keys; only when none
// has any, there is no ring.
func (h *hs256) fetch(ctx context.Context, old *keyring, force bool) (*keyring, error) {
	ring, errs := make(keyring, len(h.sources)), make([]error, len(h.sources))
	var all sync.WaitGroup
	for i, source := range h.sources {
		if old != nil {
			ring[i] = (*old)[i]
		}
		all.Go(func() {
			got, err := source.read(ctx, force)
			h.update(&ring[i], source, got, err)
			errs[i] = err
		})
	}
	all.Wait()

	usable := false
	for i := range ring {
		usable = usable || len(ring[i].current.key) > 0
	}
	if !usable {
		return nil, errors.Join(errs...)
	}
	for i, err := range errs {
		if errors.Is(err, errGone) {
			errs[i] = nil // nothing that another try soon would change
		}
	}
	return &ring, errors.Join(errs...)
}

// update brings one slot up to what its source said.
func (h *hs256) update(s *slot, from source, got secret, err error) {
	now, log := h.now(), h.log.With("source", from.String())
	var former []formerSecret
	for _, f := range s.former {
		if now.Before(f.until) {
			former = append(former, f)
		}
	}
	s.former = former
	switch {
	case err == nil:
		replaced := len(s.current.key) > 0 && subtle.ConstantTimeCompare(s.current.key, got.key) != 1
		if replaced {
			s.former = append(s.former, formerSecret{s.current, now.Add(overlap)})
		}
		if replaced || len(s.current.key) == 0 {
			log.Info("signing key read", "version", got.version, "replaced", replaced)
		}
		s.current, s.confirmed = got, now
	case errors.Is(err, errGone):
		log.Error("signing key is gone and no longer accepted", "error", err)
		*s = slot{}
	case len(s.current.key) > 0 && now.Sub(s.confirmed) >= staleFor:
		log.Error("signing key could not be read for a day and is no longer accepted", "error", err)
		*s = slot{}
	case len(s.current.key) > 0:
		log.Warn("signing key cannot be read, the last one stays in use", "error", err)
	default:
		log.Error("signing key cannot be read", "error", err)
	}
}

// keyFile is a key in a file, such as a mounted secret.
type keyFile struct {
	path string
	now  func() time.Time
	ttl  time.Duration // the file is read anew after this in any case

	// Used by one fetch at a time.
	info   os.FileInfo // of the content that was read last; nil: none
	held   secret
	readAt time.Time
}

func (f *keyFile) String() string { return f.path }

// read looks whether the file is another one than last time (by time, size and
// identity) and reads it only then: behind a mounted secret each read is a call
// to Secret Manager. Since such a mount may report no honest time, the file is
// also read when the content held is older than the ttl. A file that is being
// written while it is read is left for the next time.
func (f *keyFile) read(_ context.Context, force bool) (secret, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return secret{}, err
	}
	if !force && f.info != nil && sameFile(f.info, info) && f.now().Sub(f.readAt) < f.ttl {
		return f.held, nil
	}
	raw, err := readKeyFile(f.path)
	if err != nil {
		return secret{}, err
	}
	after, err := os.Stat(f.path)
	if err != nil {
		return secret{}, err
	}
	if !sameFile(info, after) {
		return secret{}, errors.New("the file changes while it is read")
	}
	got, err := newSecret(raw, "")
	if err != nil {
		return secret{}, err
	}
	f.info, f.held, f.readAt = info, got, f.now()
	return got, nil
}

func sameFile(a, b os.FileInfo) bool {
	return a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && os.SameFile(a, b)
}

// readKeyFile reads no more than a key can be long, whatever the path leads to.
func readKeyFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	raw, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err == nil && len(raw) > maxKeyFile {
		err = fmt.Errorf("the file is longer than %d bytes", maxKeyFile)
	}
	return raw, err
}
