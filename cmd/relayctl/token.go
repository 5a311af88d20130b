package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/token"
	"qualysrelay.example/relay"
	"qualysrelay.example/relay/auth"
)

type tokenCommand struct {
	New    tokenNewCommand    `cmd:"" default:"withargs" help:"Make a configuration token (\"relayctl token\" does it too)."`
	Decode tokenDecodeCommand `cmd:"" help:"Show a token's header and claims, without verifying it."`
	Verify tokenVerifyCommand `cmd:"" help:"Say whether the relay accepts a token, or why not."`
}

type tokenNewCommand struct {
	User    string `help:"Qualys user name (QUALYS_USER)." from:"QUALYS_USER" placeholder:"NAME"`
	KeyFile string `help:"Signing key; else SECRET_KEY, else asked for." placeholder:"FILE"`
	token.Account
	Expires  lifetime `help:"How long the token is valid, like 12h or 90d; without it, for ever." placeholder:"TIME"`
	Audience string   `help:"The aud claim: the relay's URL, if the token shall serve no other relay." placeholder:"URL"`
	outFlags
}

// lifetime is a duration that can be written in days, too.
type lifetime time.Duration

// UnmarshalText takes what time.ParseDuration takes, and whole days like 90d.
func (l *lifetime) UnmarshalText(text []byte) error {
	s := string(text)
	d, err := time.ParseDuration(s)
	if days, found := strings.CutSuffix(s, "d"); found {
		var n int64
		n, err = strconv.ParseInt(days, 10, 16)
		d = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || d < time.Minute {
		return fmt.Errorf("%q is not a time of a minute or more, like 12h or 90d", s)
	}
	*l = lifetime(d)
	return nil
}

func (c *tokenNewCommand) Run(ctx context.Context, p *program) error {
	key, err := p.signingKey(ctx, c.KeyFile)
	if err != nil {
		return err
	}
	claims := token.Claims{Account: c.Account, Audience: c.Audience, Expires: time.Duration(c.Expires)}
	if claims.User, claims.Password, err = p.credentials(ctx, c.User); err != nil {
		return err
	}
	signed, err := claims.Sign(key, p.now())
	if err == nil {
		err = c.write(p, []byte(signed+"\n"))
	}
	return err
}

type tokenDecodeCommand struct {
	File string `help:"Read the token from this file; else from standard input." placeholder:"FILE"`
}

func (c *tokenDecodeCommand) Run(ctx context.Context, p *program) error {
	text, err := p.readToken(ctx, c.File)
	if err != nil {
		return err
	}
	doc, times, err := token.Decode(text)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.Out, "%s\n", plain.JSON(doc))
	p.Note("Not verified: the signature was not looked at.")
	p.Note("%s", strings.Join(times, "\n"))
	return nil
}

type tokenVerifyCommand struct {
	File    string `help:"Read the token from this file; else from standard input." placeholder:"FILE"`
	URL     string `help:"The relay's URL (RELAY_URL): the audience that a token must have where JWT_AUDIENCE names none." from:"RELAY_URL" placeholder:"URL"`
	KeyFile string `help:"HS256 key, instead of SECRET_KEY, SECRET_KEY_FILE or SECRET_KEY_SECRET." placeholder:"FILE"`
}

func (c *tokenVerifyCommand) Run(ctx context.Context, p *program) error {
	text, err := p.readToken(ctx, c.File)
	if err != nil {
		return err
	}
	config, err := relay.ConfigFromEnv(p.getenv)
	if err != nil {
		return err
	}
	config.Auth.SecretManagerOptions, config.Auth.Now = p.secretManager, p.now
	if c.KeyFile != "" {
		config.Auth.SecretKey, config.Auth.SecretKeyFile, config.Auth.SecretKeySecrets = "", c.KeyFile, nil
	}
	if c.URL == "" && len(config.Auth.Audiences) == 0 {
		p.Note("note: without --url and JWT_AUDIENCE, tokens for a certain audience are refused")
	}
	answer, err := token.Verify(ctx, text, config, c.URL)
	if refused, ok := errors.AsType[*auth.Error](err); ok {
		fmt.Fprintln(p.Out, "refused:", plain.Text(refused.Message))
		return &answerNo{}
	}
	if err == nil {
		_, err = fmt.Fprintln(p.Out, answer)
	}
	return err
}
