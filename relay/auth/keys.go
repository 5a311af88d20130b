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
	// MinKeyLength is the fewest bytes that an HS256 key may have: as many as the hash has (RFC 7518, section
	// 3.2).
	MinKeyLength = 32
	// overlap is how long a key goes on verifying after its source has given another one: as long as a cache
	// would have kept it.
	overlap = 5 * time.Minute
	// staleFor is how long the last good keys serve while their source fails.
	staleFor = 24 * time.Hour
	// maxKeyFile is Secret Manager's limit for a secret.
	maxKeyFile = 64 << 10
)

// errGone says that a source has answered and has no key: not an outage, but somebody's decision.
var errGone = errors.New("the key is gone")

// secret is one HS256 key.
type secret struct {
	key     []byte
	version string // where the source counts versions
}

// newSecret checks a key as an operator may have stored it. One line end behind it is not part of it:
// editors and echo put it there. Anything else around it is refused, since only one of those who read the
// key would take it for part of the key, and all that anyone would see is a signature that does not fit.
func newSecret(raw []byte, version string) (secret, error) {
	key := bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte("\n")), []byte("\r"))
	switch {
	case len(bytes.TrimSpace(key)) == 0:
		return secret{}, errors.New("the key is empty")
	case bytes.HasPrefix(key, []byte("\xef\xbb\xbf")),
		bytes.HasPrefix(key, []byte("\xff\xfe")), bytes.HasPrefix(key, []byte("\xfe\xff")):
		return secret{}, errors.New("the key begins with a byte order mark (BOM), which is not part of a key")
	case len(bytes.TrimSpace(key)) < len(key):
		return secret{}, errors.New("the key has white space around it, which is not part of a key")
	case bytes.HasPrefix(key, []byte("-----BEGIN")):
		return secret{}, errors.New("the key is a PEM file, and HS256 needs a shared secret")
	case len(key) < MinKeyLength:
		return secret{}, fmt.Errorf("the key has %d bytes and must have at least %d", len(key), MinKeyLength)
	}
	return secret{key: bytes.Clone(key), version: version}, nil
}

// source is one place that an HS256 key is kept in.
type source interface {
	read(ctx context.Context) (secret, error) // the key that is there now
	fmt.Stringer                              // its name, for the log
}

// keyring is what the sources gave at one moment: a slot for each.
type keyring []slot

// slot is the key of one source, with the one that it replaced.
type slot struct {
	current   secret    // without a key: none could be read, or it is gone
	confirmed time.Time // when the source last gave current
	former    secret    // verifies until its time
	until     time.Time
}

// secretKeys are the keys of HS256.
type secretKeys struct {
	sources []source
	cache   cached[keyring]
	now     func() time.Time
	log     *slog.Logger
}

// newSecretKeys keeps the keys of the sources; timing fits what reading them costs.
func newSecretKeys(sources []source, t timing, now func() time.Time, log *slog.Logger) *secretKeys {
	k := &secretKeys{sources: sources, now: now, log: log}
	k.cache = cached[keyring]{timing: t, fetch: k.fetch, now: now}
	return k
}

// other returns the keys to verify with, others than those of the ring that was tried. It refuses the
// token when there are none.
func (k *secretKeys) other(ctx context.Context, tried *keyring) ([]jwt.VerificationKey, *keyring, error) {
	ring, err := k.cache.get(ctx, tried)
	switch {
	case ctx.Err() != nil && err != nil: // the caller gave up, the key may be well
		return nil, nil, fmt.Errorf("auth: waiting for a key: %w", ctx.Err())
	case err != nil:
		return nil, nil, fmt.Errorf("%w: %w", ErrKeyUnavailable, err)
	case ring == nil:
		return nil, nil, refuse(msgWrongKey, "it is not signed with the relay's SECRET_KEY")
	}
	var keys []jwt.VerificationKey
	for _, s := range *ring {
		if len(s.current.key) > 0 {
			keys = append(keys, s.current.key)
		}
		if k.now().Before(s.until) {
			keys = append(keys, s.former.key)
		}
	}
	return keys, ring, nil
}

// fetch reads all sources at once. One that fails keeps its keys; only when none has any, there is no
// ring.
func (k *secretKeys) fetch(ctx context.Context, old *keyring) (*keyring, error) {
	ring, errs := make(keyring, len(k.sources)), make([]error, len(k.sources))
	var all sync.WaitGroup
	for i, source := range k.sources {
		if old != nil {
			ring[i] = (*old)[i]
		}
		all.Go(func() {
			got, err := source.read(ctx)
			k.update(&ring[i], source, got, err)
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
func (k *secretKeys) update(s *slot, from source, got secret, err error) {
	now, log := k.now(), k.log.With("source", from.String())
	switch {
	case err == nil:
		replaced := len(s.current.key) > 0 && subtle.ConstantTimeCompare(s.current.key, got.key) != 1
		if replaced {
			s.former, s.until = s.current, now.Add(overlap)
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

// staticKey is the key of the environment.
type staticKey string

func (staticKey) String() string { return "SECRET_KEY" }

func (k staticKey) read(context.Context) (secret, error) { return newSecret([]byte(k), "") }

// keyFile is the path of a file that holds a key, such as a mounted secret.
type keyFile string

func (f keyFile) String() string { return string(f) }

// read reads the file twice and takes it when both agree, since it may be replaced meanwhile. What the
// file system says of its time is not relied on: some mounts report another one at each look.
func (f keyFile) read(context.Context) (secret, error) {
	first, err := f.content()
	if err != nil {
		return secret{}, err
	}
	second, err := f.content()
	switch {
	case err != nil:
		return secret{}, err
	case subtle.ConstantTimeCompare(first, second) != 1:
		return secret{}, errors.New("the file changes while it is read")
	}
	return newSecret(second, "")
}

// content reads no more than a key can be long, whatever the path leads to.
func (f keyFile) content() ([]byte, error) {
	file, err := os.Open(string(f))
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
