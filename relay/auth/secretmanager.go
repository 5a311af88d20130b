package auth

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math/rand/v2"
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

// errCorrupt says that the payload and its checksum do not fit.
var errCorrupt = errors.New("the payload does not match its CRC32C")

// secretVersion is a key in Secret Manager. One fetch at a time uses it, so it needs no lock.
type secretVersion struct {
	name    SecretName
	options []SecretManagerOption
	attempt time.Duration         // for one call
	pause   time.Duration         // before the second call, doubled before each further one
	client  *secretmanager.Client // nil: none yet. Neither an import nor New makes one
}

func newSecretVersion(name SecretName, options []SecretManagerOption) *secretVersion {
	if name.Version == "" {
		name.Version = "latest"
	}
	return &secretVersion{name: name, options: options, attempt: 2 * time.Second, pause: 100 * time.Millisecond}
}

func (s *secretVersion) String() string { return s.name.String() }

// read accesses the version, trying again while the deadline of ctx leaves time. The client library would
// do so too, but it lets one hanging call use up the whole deadline, and when the deadline ends during a
// pause it forgets why the call had failed.
func (s *secretVersion) read(ctx context.Context) (secret, error) {
	var cause error // of the last failure that tells more than that time was up
	for pause := s.pause; ; pause *= 2 {
		got, err := s.access(ctx)
		if err == nil {
			return got, nil
		}
		code := status.Code(err)
		if cause == nil || code != codes.DeadlineExceeded {
			cause = err
		}
		wait := pause/2 + rand.N(pause/2+1)
		deadline, ok := ctx.Deadline()
		switch {
		case ctx.Err() != nil || ok && time.Until(deadline) <= wait:
			return secret{}, cause
		case code == codes.Unavailable, code == codes.ResourceExhausted, code == codes.DeadlineExceeded,
			code == codes.Aborted, errors.Is(err, errCorrupt): // may pass
		default:
			return secret{}, cause
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// access makes one call.
func (s *secretVersion) access(ctx context.Context) (secret, error) {
	if err := s.connect(); err != nil {
		return secret{}, fmt.Errorf("secret manager client: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.attempt)
	defer cancel()
	request := &secretmanagerpb.AccessSecretVersionRequest{Name: s.name.String()}
	answer, err := s.client.AccessSecretVersion(ctx, request)
	switch status.Code(err) {
	case codes.OK:
	case codes.NotFound, codes.FailedPrecondition: // deleted; disabled or destroyed
		return secret{}, fmt.Errorf("%w: %w", errGone, err)
	case codes.DeadlineExceeded:
		// A connection that died while the instance had no CPU hangs like this: the next call gets a new one.
		_ = s.Close()
		return secret{}, err
	default:
		return secret{}, err
	}
	data, want := answer.GetPayload().GetData(), answer.GetPayload().GetDataCrc32C()
	if want != int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))) {
		return secret{}, errCorrupt
	}
	return newSecret(data, answer.GetName())
}

// connect makes the client. Its context is not a request's: the client goes on using it for its
// credentials.
func (s *secretVersion) connect() error {
	if s.client != nil {
		return nil
	}
	// Without a logger of its own the client would obey GOOGLE_SDK_GO_LOGGING_LEVEL, and at debug write the
	// secrets that it receives.
	options := []SecretManagerOption{option.WithLogger(slog.New(slog.DiscardHandler))}
	if endpoint := s.name.Endpoint(); endpoint != "" {
		options = append(options, option.WithEndpoint(endpoint))
	}
	client, err := secretmanager.NewClient(context.Background(), append(options, s.options...)...)
	if err != nil {
		return err
	}
	client.CallOptions.AccessSecretVersion = []gax.CallOption{} // no retries but those of read
	s.client = client
	return nil
}

// Close closes the client. A later call would make a new one.
func (s *secretVersion) Close() error {
	client := s.client
	if s.client = nil; client == nil {
		return nil
	}
	return client.Close()
}
