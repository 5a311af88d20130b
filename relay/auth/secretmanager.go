package auth

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"regexp"
	"strings"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/cenkalti/backoff/v5"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// SecretManagerOption configures the client of Secret Manager.
type SecretManagerOption = option.ClientOption

// SecretName is the resource name of a Secret Manager secret or of one of its versions.
type SecretName struct {
	Parent   string // projects/P/secrets/S or projects/P/locations/L/secrets/S
	Version  string // a number, an alias or "latest"; empty names the secret itself
	Endpoint string // host and port that serve a regional secret; empty: the default, for global ones
}

// ParseSecretName reads projects/P/secrets/S or, for a regional secret, projects/P/locations/L/secrets/S,
// each with or without /versions/V.
func ParseSecretName(s string) (SecretName, error) {
	parts := regexp.MustCompile(`^(projects/[a-z0-9.:-]+(?:/locations/([a-z0-9-]+))?/secrets/[\w-]+)` +
		`(?:/versions/([\w-]+))?$`).FindStringSubmatch(strings.TrimSpace(s))
	if parts == nil {
		return SecretName{}, errors.New("a name must read projects/P/secrets/S or " +
			"projects/P/locations/L/secrets/S, with or without /versions/V")
	}
	name := SecretName{Parent: parts[1], Version: parts[3]}
	if location := parts[2]; location != "" {
		name.Endpoint = "secretmanager." + location + ".rep.googleapis.com:443"
	}
	return name, nil
}

// String is the resource name.
func (n SecretName) String() string {
	if n.Version == "" {
		return n.Parent
	}
	return n.Parent + "/versions/" + n.Version
}

// secretVersion is a key in Secret Manager.
type secretVersion struct {
	SecretName

	options []SecretManagerOption
	attempt time.Duration // for one call
	pause   time.Duration // before the second call, doubled before each further one
}

func newSecretVersion(name SecretName, options []SecretManagerOption) *secretVersion {
	if name.Version == "" {
		name.Version = "latest"
	}
	return &secretVersion{name, options, 2 * time.Second, 100 * time.Millisecond}
}

// read accesses the version, trying again until the deadline of ctx. The client library would do so too,
// but it lets one hanging call use up the whole deadline, and when the deadline ends during a pause it
// forgets why the call had failed.
func (s *secretVersion) read(ctx context.Context) (secret, error) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.Multiplier = s.pause, 2
	var cause error // of the last failure that tells more than that time was up
	got, err := backoff.Retry(ctx, func() (secret, error) {
		got, err := s.access(ctx)
		code := status.Code(err)
		if cause == nil || code != codes.DeadlineExceeded {
			cause = err
		}
		switch code {
		case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Aborted,
			codes.DataLoss: // may pass
			return got, err
		}
		return got, backoff.Permanent(err)
	}, backoff.WithBackOff(pauses))
	if err != nil {
		return secret{}, cause
	}
	return got, nil
}

// access makes one call, with a client of its own: calls are minutes apart, and a connection from before
// may have died while the instance had no CPU.
func (s *secretVersion) access(ctx context.Context) (secret, error) {
	ctx, cancel := context.WithTimeout(ctx, s.attempt)
	defer cancel()
	// Without a logger of its own the client would obey GOOGLE_SDK_GO_LOGGING_LEVEL, and at debug write
	// the secrets that it receives.
	options := []SecretManagerOption{option.WithLogger(slog.New(slog.DiscardHandler))}
	if s.Endpoint != "" {
		options = append(options, option.WithEndpoint(s.Endpoint))
	}
	client, err := secretmanager.NewClient(ctx, append(options, s.options...)...)
	if err != nil {
		return secret{}, fmt.Errorf("secret manager client: %w", err)
	}
	defer client.Close()
	client.CallOptions.AccessSecretVersion = nil // no retries but those of read

	request := &secretmanagerpb.AccessSecretVersionRequest{Name: s.String()}
	answer, err := client.AccessSecretVersion(ctx, request)
	if code := status.Code(err); code == codes.NotFound || code == codes.FailedPrecondition {
		return secret{}, fmt.Errorf("%w: %w", errGone, err) // deleted; disabled or destroyed
	}
	if err != nil {
		return secret{}, err
	}
	data, want := answer.GetPayload().GetData(), answer.GetPayload().GetDataCrc32C()
	if want != int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))) {
		return secret{}, status.Error(codes.DataLoss, "the payload does not match its CRC32C")
	}
	return newSecret(data, answer.GetName())
}
