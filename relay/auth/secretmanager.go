package auth

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// SecretManagerOption configures the client of Secret Manager.
type SecretManagerOption = option.ClientOption

// secretManager holds one client for each endpoint, made when it is first
// needed: neither an import nor [New] costs anything.
type secretManager struct {
	options []SecretManagerOption
	attempt time.Duration // for one call
	pause   time.Duration // before the second call, doubled before each further one

	mu      sync.Mutex
	clients map[string]*secretmanager.Client // by endpoint
}

func newSecretManager(options []SecretManagerOption) *secretManager {
	return &secretManager{
		options: options, attempt: 2 * time.Second, pause: 100 * time.Millisecond,
		clients: map[string]*secretmanager.Client{},
	}
}

// secretVersion is a key in Secret Manager.
type secretVersion struct {
	name SecretName // with a version
	from *secretManager
}

func (s secretVersion) String() string { return s.name.String() }

func (s secretVersion) read(ctx context.Context, _ bool) (secret, error) {
	return s.from.access(ctx, s.name)
}

// access reads a version, trying again while the deadline of ctx leaves room.
// The client library would do so too, but it lets one hanging call use up the
// whole deadline, and when the deadline ends during a pause it forgets why the
// call had failed.
func (m *secretManager) access(ctx context.Context, name SecretName) (secret, error) {
	var before error
	for pause := m.pause; ; pause *= 2 {
		got, err := m.once(ctx, name)
		if err == nil {
			return got, nil
		}
		if before != nil && ctx.Err() != nil {
			err = fmt.Errorf("%w, before: %w", err, before) // this call was cut short, that one knows why
		}
		if !passing(err) {
			return secret{}, err
		}
		before = err
		wait := pause/2 + rand.N(pause/2+1)
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
			return secret{}, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return secret{}, err
		}
	}
}

// passing reports whether a call that failed may succeed in a moment.
func passing(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded, codes.Aborted:
		return true
	}
	return false
}

// errCorrupt says that the payload and its checksum do not fit.
var errCorrupt = errors.New("the payload does not match its CRC32C")

// once makes one call, and a second one when the payload has been damaged on
// its way.
func (m *secretManager) once(ctx context.Context, name SecretName) (secret, error) {
	got, err := m.call(ctx, name)
	if errors.Is(err, errCorrupt) {
		got, err = m.call(ctx, name)
	}
	return got, err
}

func (m *secretManager) call(ctx context.Context, name SecretName) (secret, error) {
	client, err := m.client(name.Endpoint())
	if err != nil {
		return secret{}, fmt.Errorf("secret manager client: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, m.attempt)
	defer cancel()
	answer, err := client.AccessSecretVersion(ctx, &secretmanagerpb.AccessSecretVersionRequest{Name: name.String()})
	switch status.Code(err) {
	case codes.OK:
	case codes.NotFound, codes.FailedPrecondition: // deleted; disabled or destroyed
		return secret{}, fmt.Errorf("%w: %w", errGone, err)
	case codes.DeadlineExceeded:
		// A connection that died while the instance had no CPU hangs like this: the next call gets a new one.
		m.drop(name.Endpoint(), client)
		return secret{}, err
	default:
		return secret{}, err
	}
	payload := answer.GetPayload()
	if payload == nil || payload.DataCrc32C == nil || *payload.DataCrc32C != int64(crc32.Checksum(payload.GetData(), crc32.MakeTable(crc32.Castagnoli))) {
		return secret{}, errCorrupt
	}
	return newSecret(payload.GetData(), answer.GetName())
}

// client returns the endpoint's client. Its context is not a request's: the
// client goes on using it for its credentials.
func (m *secretManager) client(endpoint string) (*secretmanager.Client, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.clients[endpoint]; c != nil {
		return c, nil
	}
	// Without a logger of its own the client would obey GOOGLE_SDK_GO_LOGGING_LEVEL, and at debug write the secrets that it receives.
	options := []SecretManagerOption{option.WithLogger(slog.New(slog.DiscardHandler))}
	if endpoint != "" {
		options = append(options, option.WithEndpoint(endpoint))
	}
	c, err := secretmanager.NewClient(context.Background(), append(options, m.options...)...)
	if err != nil {
		return nil, err
	}
	c.CallOptions.AccessSecretVersion = []gax.CallOption{} // no retries but those of access
	m.clients[endpoint] = c
	return c, nil
}

// drop closes a client, so that the next call makes a new one.
func (m *secretManager) drop(endpoint string, c *secretmanager.Client) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.clients[endpoint] == c {
		delete(m.clients, endpoint)
	}
	_ = c.Close() // nothing hangs on it: the call that used it has failed
}

// close closes all clients. Later calls would make new ones.
func (m *secretManager) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for endpoint, c := range m.clients {
		errs = append(errs, c.Close())
		delete(m.clients, endpoint)
	}
	return errors.Join(errs...)
}
