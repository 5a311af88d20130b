package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/relay/auth"
)

// connection are the flags of the commands that call a relay.
type connection struct {
	URL       string        `help:"The relay's URL (RELAY_URL, ${default})." from:"RELAY_URL" default:"http://127.0.0.1:8080" placeholder:"URL"`
	TokenFile string        `help:"Configuration token (RELAY_TOKEN_FILE); else RELAY_TOKEN, else asked for on a terminal." from:"RELAY_TOKEN_FILE" placeholder:"FILE"`
	Timeout   time.Duration `help:"How long to wait for an answer (${default})." default:"60s" placeholder:"TIME"`
}

// client is the relay that the flags name, with its token.
func (c *connection) client(ctx context.Context, p *program) (*relayclient.Client, error) {
	base, err := relayclient.ParseURL("--url", c.URL)
	if err != nil {
		return nil, err
	}
	if c.Timeout <= 0 {
		return nil, errNoTime
	}
	token, err := p.needToken(ctx, c.TokenFile)
	if err != nil {
		return nil, err
	}
	return relayclient.New(base, token, c.Timeout), nil
}

var errNoTime = errors.New("--timeout must be longer than 0")

// needToken is the token in the file, else in RELAY_TOKEN, else it is asked for on a terminal.
func (p *program) needToken(ctx context.Context, file string) (secret.Value, error) {
	token, err := p.configurationToken(file)
	if err != nil || token != "" {
		return token, err
	}
	if !p.Interactive() {
		return "", errors.New(`no token: give --token-file, or set RELAY_TOKEN ("relayctl token" makes one)`)
	}
	if token, err = p.AskSecret(ctx, "Configuration token: "); err != nil {
		return "", err
	}
	return relayclient.CleanToken(token)
}

// configurationToken is the token in the file, else in RELAY_TOKEN; empty where there is neither.
func (p *program) configurationToken(file string) (secret.Value, error) {
	token := secret.Value(strings.TrimSpace(p.getenv("RELAY_TOKEN")))
	if file != "" {
		var err error
		if token, err = secret.ReadFile(file); err != nil {
			return "", err
		}
	}
	if token == "" {
		return "", nil
	}
	return relayclient.CleanToken(token)
}

// readToken reads a token from a file, else from standard input.
func (p *program) readToken(ctx context.Context, file string) (secret.Value, error) {
	var text secret.Value
	var err error
	switch {
	case file != "":
		text, err = secret.ReadFile(file)
	case p.Interactive():
		text, err = p.AskSecret(ctx, "Token: ")
	default:
		var input []byte
		input, err = p.ReadText(ctx, 2*secret.MaxSize)
		text = secret.Value(input)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("no token file %s", file)
	case err != nil:
		return "", err
	case text == "":
		return "", errors.New("no token on standard input")
	}
	return relayclient.CleanToken(text)
}

// signingKey finds the HS256 key: in the file if there is one, else in SECRET_KEY, else it is asked for on a
// terminal. A key that the relay would not load is an error.
func (p *program) signingKey(ctx context.Context, file string) (secret.Value, error) {
	raw, source := secret.Value(p.getenv("SECRET_KEY")), "SECRET_KEY"
	var err error
	switch {
	case file != "":
		source = file
		raw, err = secret.ReadRaw(file)
	case raw == "" && p.Interactive():
		source = "the typed key"
		raw, err = p.AskSecret(ctx, "Signing key: ")
	case raw == "":
		err = errors.New("no signing key: give --key-file, or set SECRET_KEY")
	}
	if err != nil {
		return "", err
	}
	key, err := auth.ParseKey([]byte(raw))
	if err != nil {
		return "", fmt.Errorf("%s: %w (\"relayctl key\" makes one)", source, err)
	}
	return secret.Value(key), nil
}

// credentials finds the Qualys user and password.
func (p *program) credentials(ctx context.Context, user string) (string, secret.Value, error) {
	var err error
	if user == "" {
		if p.Interactive() {
			user, err = p.Ask(ctx, "Qualys user: ")
		} else {
			user, err = p.ReadLine()
		}
		user = strings.TrimSpace(user)
	}
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return "", "", err
	case user == "":
		return "", "", errors.New(
			"no Qualys user: set QUALYS_USER, or put it on the first line of standard input")
	}
	password := secret.Value(p.getenv("QUALYS_PASSWORD"))
	if password == "" && p.Interactive() {
		password, err = p.AskSecret(ctx, "Qualys password: ")
	} else if password == "" {
		var line string
		line, err = p.ReadLine()
		password = secret.Value(line)
	}
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return "", "", err
	case password == "":
		return "", "", errors.New("no Qualys password: set QUALYS_PASSWORD, or put it on standard input")
	}
	return user, password, nil
}

// outFlags say where a result that holds a secret, or may, goes.
type outFlags struct {
	Out   string `help:"Write to this file, mode 0600, instead of standard output." placeholder:"FILE"`
	Force bool   `help:"Replace the file if it exists."`
}

func (f *outFlags) check() error {
	if f.Force && f.Out == "" {
		return errors.New("--force belongs to --out")
	}
	return nil
}

// write writes the result.
func (f *outFlags) write(p *program, result []byte) error {
	if f.Out != "" {
		return secret.WriteFile(f.Out, result, f.Force)
	}
	_, err := p.Out.Write(result)
	return err
}
