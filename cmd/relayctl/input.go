package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"qualysrelay.example/cmd/relayctl/plain"
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

// read reads a secret from the file, else from the variable, else asks for it on a terminal. place is what an
// error may call its origin; it is empty where there is none. Names that are empty are left out.
func (p *program) read(
	ctx context.Context, file, variable, prompt string,
) (value secret.Value, place string, err error) {
	value = secret.Value(p.getenv(variable))
	switch {
	case file != "":
		value, err = secret.ReadFile(file)
		return value, file, err
	case value != "":
		return value, variable, nil
	case prompt != "" && p.Interactive():
		value, err = p.AskSecret(ctx, prompt)
		return value, "what was typed", err
	}
	return "", "", nil
}

// token is a token that read finds, empty where there is no place for one. A person or Windows may have
// written it.
func (p *program) token(ctx context.Context, file, variable, prompt string) (secret.Value, error) {
	text, place, err := p.read(ctx, file, variable, prompt)
	if err != nil || place == "" {
		return "", err
	}
	token, err := relayclient.CleanToken(secret.Value(plain.Decode([]byte(text))))
	if err != nil {
		err = fmt.Errorf("%s: %w", place, err)
	}
	return token, err
}

// configurationToken is the token in the file, else in RELAY_TOKEN; empty where there is neither.
func (p *program) configurationToken(file string) (secret.Value, error) {
	return p.token(context.Background(), file, "RELAY_TOKEN", "")
}

// needToken is the token in the file, else in RELAY_TOKEN, else it is asked for on a terminal.
func (p *program) needToken(ctx context.Context, file string) (secret.Value, error) {
	token, err := p.token(ctx, file, "RELAY_TOKEN", "Configuration token: ")
	if err == nil && token == "" {
		err = errors.New(`no token: give --token-file, or set RELAY_TOKEN ("relayctl token" makes one)`)
	}
	return token, err
}

// readToken is the token in the file, else on standard input.
func (p *program) readToken(ctx context.Context, file string) (secret.Value, error) {
	token, err := p.token(ctx, file, "", "Token: ")
	if err != nil || token != "" {
		return token, err
	}
	input, err := p.ReadText(ctx, 2*secret.MaxSize)
	if err != nil {
		return "", err
	}
	return relayclient.CleanToken(secret.Value(input))
}

// signingKey is the HS256 key in the file, else in SECRET_KEY, else it is asked for on a terminal. A key that
// the relay would not load is an error.
func (p *program) signingKey(ctx context.Context, file string) (secret.Value, error) {
	raw, place, err := p.read(ctx, file, "SECRET_KEY", "Signing key: ")
	if err == nil && place == "" {
		err = errors.New("no signing key: give --key-file, or set SECRET_KEY")
	}
	if err != nil {
		return "", err
	}
	key, err := auth.ParseKey([]byte(raw))
	if err != nil {
		return "", fmt.Errorf("%s: %w (\"relayctl key\" makes one)", place, err)
	}
	return secret.Value(key), nil
}

// credentials are the Qualys user, if it is not known, and the password. Both are asked for on a terminal, else
// each is a line of standard input.
func (p *program) credentials(ctx context.Context, user string) (string, secret.Value, error) {
	var err error
	if user == "" {
		user, err = p.Ask(ctx, "Qualys user: ")
	}
	if user = strings.TrimSpace(user); err == nil && user == "" {
		err = errors.New("no Qualys user: set QUALYS_USER, or put it on the first line of standard input")
	}
	password := secret.Value(p.getenv("QUALYS_PASSWORD"))
	if err == nil && password == "" {
		password, err = p.AskSecret(ctx, "Qualys password: ")
	}
	if err == nil && password == "" {
		err = errors.New("no Qualys password: set QUALYS_PASSWORD, or put it on standard input")
	}
	return user, password, err
}

// outFlags say where a result that holds a secret, or may, goes.
type outFlags struct {
	Out   string `help:"Write to this file, mode 0600, instead of standard output." placeholder:"FILE"`
	Force bool   `help:"Replace the file if it exists."`
}

// write writes the result.
func (f *outFlags) write(p *program, result []byte) error {
	if f.Out != "" {
		return secret.WriteFile(f.Out, result, f.Force)
	}
	_, err := p.Out.Write(result)
	return err
}
