package main

import (
	"context"
	"errors"
	"fmt"

	"qualysrelay.example/cmd/relayctl/secret"
)

// keyCommand makes a new signing key.
type keyCommand struct {
	File   string `help:"Write the key to this file, mode 0600." xor:"where" placeholder:"FILE"`
	Force  bool   `help:"Replace the file if it exists."`
	Secret string `help:"Add the key as a new version of this secret: projects/P/secrets/S or projects/P/locations/L/secrets/S." xor:"where" placeholder:"NAME"`
}

// Help is the command's manual.
func (keyCommand) Help() string {
	return `A key is 256 random bits as 64 hexadecimal digits. The relay verifies with it what "relayctl token"
signed. Without a flag the key goes to standard output. With --secret it goes straight into Secret
Manager and is never shown.

Examples:

    relayctl key --file relay.key
    relayctl key --secret projects/my-project/secrets/relay-key`
}

// Run makes the key and puts it where it was asked for.
func (c *keyCommand) Run(ctx context.Context, p *program) error {
	if c.Force && c.File == "" {
		return errors.New("--force belongs to --file")
	}
	key := secret.NewKey()
	switch {
	case c.Secret != "":
		version, err := secret.Store(ctx, c.Secret, key, p.secretManager...)
		if err != nil {
			return err
		}
		fmt.Fprintln(p.Out, version)
		return nil
	case c.File != "":
		// No newline: the file is the key, byte for byte, also for "gcloud secrets versions add --data-file".
		if err := secret.WriteFile(c.File, []byte(key), c.Force); err != nil {
			return err
		}
		p.Note("Wrote a new signing key to %s. Give it to the relay as SECRET_KEY_FILE, and to \"relayctl "+
			"token --key-file\".", c.File)
		return nil
	default:
		_, err := fmt.Fprintln(p.Out, string(key))
		return err
	}
}
