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
	key := secret.NewKey()
	shown := string(key)
	var err error
	switch {
	case c.File != "":
		// No newline: the file is the key, byte for byte, also for "gcloud secrets versions add --data-file".
		return secret.WriteFile(c.File, []byte(key), c.Force)
	case c.Force:
		return errors.New("--force belongs to --file")
	case c.Secret != "":
		shown, err = secret.Store(ctx, c.Secret, key, p.secretManager...)
	}
	if err == nil {
		_, err = fmt.Fprintln(p.Out, shown)
	}
	return err
}
