package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// MinKeyLength is the fewest bytes that an HS256 key may have: as many as the hash has (RFC 7518,
	// 3.2).
	MinKeyLength = 32
	// overlap is how long a key goes on verifying after its source has given another one: as long as a
	// cache would have kept it.
	overlap    = 5 * time.Minute
	staleFor   = 24 * time.Hour // how long the last good keys serve while their source fails
	maxKeyFile = 64 << 10       // Secret Manager's limit for a secret
)

// errGone says that a source has answered and has no key: not an outage, but somebody's decision.
var errGone = errors.New("the key is gone")

// secret is one HS256 key.
type secret struct {
	key     []byte // nil: none
	version string // where the source counts versions
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
	case len(key) < MinKeyLength:
		fault = fmt.Sprintf("has %d bytes and must have at least %d", len(key), MinKeyLength)
	}
	if fault != "" {
		return nil, errors.New("the key " + fault)
	}
	return bytes.Clone(key), nil
}

// newSecret is the key in what a source gave.
func newSecret(raw []byte, version string) (secret, error) {
	key, err := ParseKey(raw)
	return secret{key, version}, err
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
	current   secret
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

// other returns the keys to verify with, others than those of the ring that was tried. It refuses the
// token when there are none.
func (k *secretKeys) other(ctx context.Context, tried *keyring) ([]jwt.VerificationKey, *keyring, error) {
	ring, err := k.cache.get(ctx, tried)
	if err != nil {
		return nil, nil, err
	}
	if ring == nil {
		return nil, nil, refuse(msgWrongKey, "it is not signed with the relay's SECRET_KEY")
	}
	var keys []jwt.VerificationKey
	for _, s := range *ring {
		if s.current.key != nil {
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
	if old != nil {
		copy(ring, *old)
	}
	var all sync.WaitGroup
	for i := range k.sources {
		all.Go(func() { errs[i] = k.update(ctx, &ring[i], k.sources[i]) })
	}
	all.Wait()
	if !slices.ContainsFunc(ring, func(s slot) bool { return s.current.key != nil }) {
		return nil, fmt.Errorf("%w: %w", ErrKeyUnavailable, errors.Join(errs...))
	}
	// Nothing would change by trying soon again where a key is gone.
	errs = slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, errGone) })
	return &ring, errors.Join(errs...)
}

// update brings one slot up to what its source says.
func (k *secretKeys) update(ctx context.Context, s *slot, from source) error {
	got, err := guarded(ctx, from.read)
	now, log := k.now(), k.log.With("source", from.String())
	if err != nil {
		if !servesOn(log, "signing key", s.confirmed, now, err) {
			*s = slot{}
		}
		return err
	}
	known := s.current.key != nil
	replaced := known && !bytes.Equal(s.current.key, got.key)
	if replaced {
		s.former, s.until = s.current, now.Add(overlap)
	}
	if replaced || !known {
		log.Info("signing key read", "version", got.version, "replaced", replaced)
	}
	s.current, s.confirmed = got, now
	return nil
}

// servesOn decides, and logs, whether the last good value of a source that fails stays in use. since is
// when the source gave it, zero where there is none.
func servesOn(log *slog.Logger, what string, since, now time.Time, err error) bool {
	switch {
	case errors.Is(err, errGone):
		log.Error(what+" is gone and no longer accepted", "error", err)
	case since.IsZero():
		log.Error(what+" cannot be read", "error", err)
	case now.Sub(since) >= staleFor:
		log.Error(what+" could not be read for a day and is no longer accepted", "error", err)
	default:
		log.Warn(what+" cannot be read, the last one stays in use", "error", err)
		return true
	}
	return false
}

// guarded makes a panic of read an error. It happens outside the request's goroutine, where nothing else
// would keep it from ending the process. The panic's value is not repeated: it may hold part of a key.
func guarded[T any](ctx context.Context, read func(context.Context) (T, error)) (value T, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic while reading a key: %T", v)
		}
	}()
	return read(ctx)
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
	var looks [2][]byte
	for i := range looks {
		file, err := os.Open(string(f))
		if err != nil {
			return secret{}, err
		}
		looks[i], err = io.ReadAll(io.LimitReader(file, maxKeyFile+1)) // whatever the path leads to
		_ = file.Close()                                               // it was only read
		if err != nil {
			return secret{}, err
		}
	}
	if len(looks[0]) > maxKeyFile {
		return secret{}, fmt.Errorf("the file is longer than %d bytes", maxKeyFile)
	}
	if !bytes.Equal(looks[0], looks[1]) {
		return secret{}, errors.New("the file changes while it is read")
	}
	return newSecret(looks[0], "")
}
