package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

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

// readSecret reads a version of a secret, the latest where the name has none. It tries three times. The
// client library would try again too, but it lets one hanging call use up the whole deadline, and when the
// deadline ends during a pause it forgets why the call had failed.
func readSecret(name SecretName, options []option.ClientOption) readKeys {
	const tries = 3
	mayPass := []codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Aborted,
		codes.DataLoss}
	return func(ctx context.Context) (keys []key, err error) {
		deadline, _ := ctx.Deadline()
		timeout := time.Until(deadline) / tries
		for try := range tries {
			time.Sleep(time.Duration(try) * 100 * time.Millisecond)
			keys, err = accessSecret(ctx, timeout, name, options)
			if !slices.Contains(mayPass, status.Code(err)) {
				break
			}
		}
		return keys, err
	}
}

// accessSecret makes one call, with a client of its own: calls are minutes apart, and a connection from
// before may have died while the instance had no CPU.
func accessSecret(
	ctx context.Context, timeout time.Duration, name SecretName, more []option.ClientOption,
) ([]key, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// Without a logger of its own the client would obey GOOGLE_SDK_GO_LOGGING_LEVEL, and at debug write
	// the secrets that it receives. An empty endpoint is the default one.
	options := append([]option.ClientOption{option.WithLogger(slog.New(slog.DiscardHandler)),
		option.WithEndpoint(name.Endpoint)}, more...)
	client, err := secretmanager.NewClient(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("secret manager client: %w", err)
	}
	defer client.Close()
	client.CallOptions.AccessSecretVersion = nil // no retries but those of readSecret

	path := name.Parent + "/versions/" + cmp.Or(name.Version, "latest")
	request := &secretmanagerpb.AccessSecretVersionRequest{Name: path}
	answer, err := client.AccessSecretVersion(ctx, request)
	if code := status.Code(err); code == codes.NotFound || code == codes.FailedPrecondition {
		return nil, fmt.Errorf("%w: %w", errGone, err) // deleted; disabled or destroyed
	}
	if err != nil {
		return nil, err
	}
	data, want := answer.GetPayload().GetData(), answer.GetPayload().GetDataCrc32C()
	if want != int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))) {
		return nil, status.Error(codes.DataLoss, "the payload does not match its CRC32C")
	}
	return sharedSecret(data)
}
