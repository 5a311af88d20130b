package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
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

// secretManagerTimeout is for the whole exchange with Secret Manager, credentials included.
const secretManagerTimeout = 30 * time.Second

// keyCommand makes a new signing key.
type keyCommand struct {
	File   string `help:"Write the key to this file, mode 0600." xor:"where" placeholder:"FILE"`
	Force  bool   `help:"Replace the file if it exists."`
	Secret string `help:"Add the key as a new version of this secret: projects/P/secrets/S or projects/P/locations/L/secrets/S." xor:"where" placeholder:"NAME"`
}

// Help is the command's manual.
func (keyCommand) Help() string {
	return `A key is 256 random bits as 64 hexadecimal digits. The relay verifies with it what "relayctl token" signed.
Without a flag the key goes to standard output. With --secret it goes straight into Secret Manager and is never shown.

Examples:

    relayctl key --file relay.key
    relayctl key --secret projects/my-project/secrets/relay-key`
}

// Run makes the key and puts it where it was asked for.
func (c *keyCommand) Run(ctx context.Context, p *program) error {
	if c.Force && c.File == "" {
		return errors.New("--force belongs to --file")
	}
	key := newKey()
	switch {
	case c.Secret != "":
		version, err := p.addSecretVersion(ctx, c.Secret, []byte(key))
		if err != nil {
			return err
		}
		fmt.Fprintln(p.stdout, version)
		return nil
	case c.File != "":
		// No newline: the file is the key, byte for byte, also for "gcloud secrets versions add --data-file".
		if err := writePrivate(c.File, []byte(key), c.Force); err != nil {
			return err
		}
		p.note("Wrote a new signing key to %s. Give it to the relay as SECRET_KEY_FILE, and to \"relayctl token --key-file\".", c.File)
		return nil
	default:
		_, err := fmt.Fprintln(p.stdout, string(key))
		return err
	}
}

// newKey is a new 256-bit key as 64 hexadecimal digits.
func newKey() secret {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return secret(hex.EncodeToString(key))
}

// addSecretVersion stores the value as a new version of a secret and returns the version's resource name.
func (p *program) addSecretVersion(ctx context.Context, name string, value []byte) (string, error) {
	parsed, err := auth.ParseSecretName(name)
	if err == nil && parsed.Version != "" {
		err = errors.New("it names a version; the new one gets its number from Secret Manager")
	}
	if err != nil {
		return "", fmt.Errorf("--secret %s: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, secretManagerTimeout)
	defer cancel()
	var options []option.ClientOption
	if endpoint := parsed.Endpoint(); endpoint != "" {
		options = append(options, option.WithEndpoint(endpoint))
	}
	client, err := secretmanager.NewClient(ctx, append(options, p.secretManager...)...)
	if err != nil {
		return "", fmt.Errorf("no client for Secret Manager: %w\nSign in with: gcloud auth application-default login", err)
	}
	defer client.Close()
	sum := int64(crc32.Checksum(value, crc32.MakeTable(crc32.Castagnoli)))
	version, err := client.AddSecretVersion(ctx, &secretmanagerpb.AddSecretVersionRequest{
		Parent:  parsed.Parent(),
		Payload: &secretmanagerpb.SecretPayload{Data: value, DataCrc32C: &sum},
	})
	if err != nil {
		return "", secretManagerError(name, err)
	}
	return version.GetName(), nil
}

// secretManagerError says what to do about an error of Secret Manager.
func secretManagerError(name string, err error) error {
	hint := ""
	switch status.Code(err) {
	case codes.NotFound:
		hint = "The secret must exist. Make it once with: gcloud secrets create SECRET --replication-policy=automatic"
	case codes.PermissionDenied:
		hint = "Adding a version needs the role roles/secretmanager.secretVersionAdder on the secret."
	case codes.Unauthenticated:
		hint = "Sign in with: gcloud auth application-default login"
	case codes.Unavailable, codes.DeadlineExceeded:
		hint = "It may have been stored all the same. List the versions before you try again: gcloud secrets versions list SECRET"
	}
	if s, ok := status.FromError(err); ok {
		err = fmt.Errorf("%s: %s", s.Code(), s.Message())
	}
	if hint != "" {
		return fmt.Errorf("cannot store the key in %s: %w\n%s", name, err, hint)
	}
	return fmt.Errorf("cannot store the key in %s: %w", name, err)
}
