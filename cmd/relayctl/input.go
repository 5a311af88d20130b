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

// source is where a secret may come from: the file, else the variable, else what is typed after the prompt on
// a terminal, else, where it is piped, the standard input. Names that are empty are left out.
type source struct {
	file, variable, prompt string
	piped                  bool
}

// read reads a secret. place is what an error may call its origin; it is empty where there is none.
func (p *program) read(ctx context.Context, from source) (value secret.Value, place string, err error) {
	value = secret.Value(p.getenv(from.variable))
	switch {
	case from.file != "":
		value, err = secret.ReadFile(from.file)
		return value, from.file, err
	case value != "":
		return value, from.variable, nil
	case from.prompt != "" && p.Interactive():
		value, err = p.AskSecret(ctx, from.prompt)
		return value, "what was typed", err
	case from.piped:
		text, err := p.ReadText(ctx, 2*secret.MaxSize)
		return secret.Value(text), "standard input", err
	}
	return "", "", nil
}

// token is a token that a person or Windows may have written; empty where there is no place for one.
func (p *program) token(ctx context.Context, from source) (secret.Value, error) {
	text, place, err := p.read(ctx, from)
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
	return p.token(context.Background(), source{file: file, variable: "RELAY_TOKEN"})
}

// needToken is the token in the file, else in RELAY_TOKEN, else it is asked for on a terminal.
func (p *program) needToken(ctx context.Context, file string) (secret.Value, error) {
	token, err := p.token(ctx, source{file: file, variable: "RELAY_TOKEN", prompt: "Configuration token: "})
	if err == nil && token == "" {
		err = errors.New(`no token: give --token-file, or set RELAY_TOKEN ("relayctl token" makes one)`)
	}
	return token, err
}

// readToken is the token in the file, else on standard input.
func (p *program) readToken(ctx context.Context, file string) (secret.Value, error) {
	return p.token(ctx, source{file: file, prompt: "Token: ", piped: true})
}

// signingKey is the HS256 key in the file, else in SECRET_KEY, else it is asked for on a terminal. A key that
// the relay would not load is an error.
func (p *program) signingKey(ctx context.Context, file string) (secret.Value, error) {
	raw, place, err := p.read(ctx, source{file: file, variable: "SECRET_KEY", prompt: "Signing key: "})
	switch {
	case err != nil:
		return "", err
	case place == "":
		return "", errors.New("no signing key: give --key-file, or set SECRET_KEY")
	}
	key, err := auth.ParseKey([]byte(raw))
	if err != nil {
		err = fmt.Errorf("%s: %w (\"relayctl key\" makes one)", place, err)
	}
	return secret.Value(key), err
}

// credentials are the Qualys user, if it is not known, and the password. Both are asked for on a terminal,
// else each is a line of standard input.
func (p *program) credentials(ctx context.Context, user string) (string, secret.Value, error) {
	var err error
	if user == "" {
		user, err = p.Ask(ctx, "Qualys user: ")
	}
	password := secret.Value(p.getenv("QUALYS_PASSWORD"))
	if err == nil && user != "" && password == "" {
		password, err = p.AskSecret(ctx, "Qualys password: ")
	}
	if user = strings.TrimSpace(user); err == nil && (user == "" || password == "") {
		err = errors.New("no Qualys user or no password: set QUALYS_USER and QUALYS_PASSWORD, " +
			"or put them on standard input, a line each")
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
