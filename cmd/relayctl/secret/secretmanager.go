package secret

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"qualysrelay.example/relay/auth"
)

// storeTimeout is for the whole exchange with Secret Manager, credentials included.
const storeTimeout = 30 * time.Second

// Store adds the value as a new version of a secret in Secret Manager, projects/P/secrets/S or
// projects/P/locations/L/secrets/S, and returns the version's resource name.
func Store(ctx context.Context, name string, value Value, options ...option.ClientOption) (string, error) {
	parsed, err := auth.ParseSecretName(name)
	if err == nil && parsed.Version != "" {
		err = errors.New("it names a version; the new one gets its number from Secret Manager")
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if parsed.Endpoint != "" {
		options = append([]option.ClientOption{option.WithEndpoint(parsed.Endpoint)}, options...)
	}
	client, err := secretmanager.NewClient(ctx, options...)
	if err != nil {
		return "", fmt.Errorf("no client for Secret Manager: %w\nSign in with: gcloud auth "+
			"application-default login", err)
	}
	defer client.Close()
	data := []byte(value)
	sum := int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
	version, err := client.AddSecretVersion(ctx, &secretmanagerpb.AddSecretVersionRequest{
		Parent:  parsed.Parent,
		Payload: &secretmanagerpb.SecretPayload{Data: data, DataCrc32C: &sum},
	})
	if err != nil {
		return "", storeError(name, err)
	}
	return version.GetName(), nil
}

// storeError says what to do about an error of Secret Manager.
func storeError(name string, err error) error {
	hint := ""
	switch status.Code(err) {
	case codes.NotFound:
		hint = "\nThe secret must exist. Create it once: gcloud secrets create SECRET " +
			"--replication-policy=automatic"
	case codes.PermissionDenied:
		hint = "\nAdding a version needs the role roles/secretmanager.secretVersionAdder on the secret."
	case codes.Unauthenticated:
		hint = "\nSign in with: gcloud auth application-default login"
	case codes.Unavailable, codes.DeadlineExceeded:
		hint = "\nIt may have been stored all the same. List the versions before you try again: gcloud " +
			"secrets versions list SECRET"
	}
	if s, ok := status.FromError(err); ok {
		err = fmt.Errorf("%s: %s", s.Code(), s.Message())
	}
	return fmt.Errorf("cannot store the key in %s: %w%s", name, err, hint)
}
