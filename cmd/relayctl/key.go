package main

import (
	"context"
	"errors"
	"fmt"

	"qualysrelay.example/cmd/relayctl/secret"
)

type keyCommand struct {
	File   string `help:"Write the key to this file, mode 0600." xor:"where" placeholder:"FILE"`
	Force  bool   `help:"Replace the file if it exists."`
	Secret string `help:"Add the key as a new version of this secret: projects/P/secrets/S or projects/P/locations/L/secrets/S." xor:"where" placeholder:"NAME"`
}

func (c *keyCommand) Run(ctx context.Context, p *program) error {
	shown := string(secret.NewKey())
	var err error
	switch {
	case c.File != "":
		// No newline: the file is the key, byte for byte, also for "gcloud secrets versions add --data-file".
		if err = secret.WriteFile(c.File, []byte(shown), c.Force); err == nil {
			p.Note("Wrote a new signing key to %s. Give it to the relay as SECRET_KEY_FILE, and to "+
				`"relayctl token --key-file".`, c.File)
		}
		return err
	case c.Force:
		return errors.New("--force belongs to --file")
	case c.Secret != "":
		shown, err = secret.Store(ctx, c.Secret, secret.Value(shown), p.secretManager...)
	}
	if err == nil {
		_, err = fmt.Fprintln(p.Out, shown)
	}
	return err
}
