package secret

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc/status"

	"qualysrelay.example/relay/auth"
)

// advice is for every failure. Where only the answer was lost, the key was stored all the same.
const advice = `
The secret must exist: gcloud secrets create SECRET --replication-policy=automatic
Sign in, with the role roles/secretmanager.secretVersionAdder: gcloud auth application-default login
List the versions before you try again: gcloud secrets versions list SECRET`

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
	// Without a logger of its own the client would obey GOOGLE_SDK_GO_LOGGING_LEVEL, and at debug write the
	// key. An empty endpoint is the default one.
	options = append([]option.ClientOption{option.WithLogger(slog.New(slog.DiscardHandler)),
		option.WithEndpoint(parsed.Endpoint)}, options...)
	client, err := secretmanager.NewClient(ctx, options...)
	if err != nil {
		return "", fmt.Errorf("no client for Secret Manager: %w%s", err, advice)
	}
	defer client.Close()
	data := []byte(value)
	sum := int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
	version, err := client.AddSecretVersion(ctx, &secretmanagerpb.AddSecretVersionRequest{
		Parent:  parsed.Parent,
		Payload: &secretmanagerpb.SecretPayload{Data: data, DataCrc32C: &sum},
	})
	if err != nil {
		e := status.Convert(err)
		return "", fmt.Errorf("cannot store the key in %s: %s: %s%s", name, e.Code(), e.Message(), advice)
	}
	return version.GetName(), nil
}
