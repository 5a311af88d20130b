package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/cmd/relayctl/token"
)

// tokenCommand groups what can be done with configuration tokens.
type tokenCommand struct {
	New    tokenNewCommand    `cmd:"" default:"withargs" help:"Make a configuration token (\"relayctl token\" does it too)."`
	Decode tokenDecodeCommand `cmd:"" help:"Show a token's header and claims, without verifying it."`
	Verify tokenVerifyCommand `cmd:"" help:"Say whether the relay accepts a token, or why not."`
}

// Help is the group's manual.
func (tokenCommand) Help() string {
	return `A configuration token is the JWT that carries the Qualys credentials to the relay in each request.

Examples:

    relayctl token --key-file relay.key --api-url https://gateway.qg1.apps.qualys.com --expires 90d --out relay.jwt
    relayctl token decode --file relay.jwt
    relayctl token verify --file relay.jwt --key-file relay.key`
}

// tokenNewCommand signs a configuration token.
type tokenNewCommand struct {
	User        string   `help:"Qualys user name (QUALYS_USER)." from:"QUALYS_USER" placeholder:"NAME"`
	KeyFile     string   `help:"Signing key; else SECRET_KEY, else asked for." placeholder:"FILE"`
	APIURL      string   `name:"api-url" help:"Qualys gateway, where the relay has none of its own." placeholder:"URL"`
	PlatformURL string   `name:"platform-url" help:"Qualys console, for links out of an investigation." placeholder:"URL"`
	Limit       int      `help:"Most sightings, indicators and judgements for each observable." placeholder:"N"`
	Expires     lifetime `help:"How long the token is valid, like 12h or 90d; without it, for ever." placeholder:"TIME"`
	Audience    string   `help:"The aud claim: the relay's URL, if the token shall serve no other relay." placeholder:"URL"`
	Out         string   `help:"Write the token to this file, mode 0600, instead of standard output." placeholder:"FILE"`
	Force       bool     `help:"Replace the file if it exists."`
}

// Help is the command's manual.
func (tokenNewCommand) Help() string {
	return `The token is a JWT signed with HS256. Its claims are signed but not hidden: whoever holds it can
read the Qualys password. The password is never an argument. It comes from QUALYS_PASSWORD; else it
is asked for without echo on a terminal; else it is read from standard input (a line with the user
name first, where neither --user nor QUALYS_USER gives it).

Examples:

    relayctl token --key-file relay.key --api-url https://gateway.qg1.apps.qualys.com --expires 90d
    pass show qualys | relayctl token --key-file relay.key --user acme_ab1 --out relay.jwt`
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

// Run makes the token.
func (c *tokenNewCommand) Run(ctx context.Context, p *program) error {
	if c.Force && c.Out == "" {
		return errors.New("--force belongs to --out")
	}
	claims := token.Claims{
		APIURL: c.APIURL, PlatformURL: c.PlatformURL, Limit: c.Limit, Audience: c.Audience,
		Expires: time.Duration(c.Expires),
	}
	note, err := claims.Validate()
	if err != nil {
		return err
	}
	if note != "" {
		p.Note("%s", note)
	}
	key, err := p.signingKey(ctx, c.KeyFile)
	if err != nil {
		return err
	}
	if claims.User, claims.Password, err = p.credentials(ctx, c.User); err != nil {
		return err
	}
	signed, err := claims.Sign(key, p.now())
	if err != nil {
		return err
	}
	if c.Out != "" {
		if err := secret.WriteFile(c.Out, []byte(signed+"\n"), c.Force); err != nil {
			return err
		}
		p.Note("Wrote the token for %s to %s. It holds the Qualys password: treat it as one.", claims.User,
			c.Out)
		return nil
	}
	_, err = fmt.Fprintln(p.Out, string(signed))
	return err
}

// tokenDecodeCommand shows what a token says.
type tokenDecodeCommand struct {
	File string `help:"Read the token from this file; else from standard input." placeholder:"FILE"`
}

// Help is the command's manual.
func (tokenDecodeCommand) Help() string {
	return `Shows the header and the claims, with the password and other secrets masked. It does NOT verify the
signature: anybody can write any claims. "relayctl token verify" does.

Example:

    relayctl token decode --file relay.jwt`
}

// Run shows the token.
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
	for _, line := range times {
		p.Note("%s", line)
	}
	return nil
}

// tokenVerifyCommand verifies a token as the relay would. Its flags are the relay's environment variables.
type tokenVerifyCommand struct {
	File        string   `help:"Read the token from this file; else from standard input." placeholder:"FILE"`
	URL         string   `help:"The relay's URL (RELAY_URL): the audience that a token must have where JWT_AUDIENCE names none." from:"RELAY_URL" placeholder:"URL"`
	KeyFile     string   `help:"HS256 key, instead of SECRET_KEY, SECRET_KEY_FILE or SECRET_KEY_SECRET." placeholder:"FILE"`
	Secret      []string `help:"HS256 key versions in Secret Manager (SECRET_KEY_SECRET)." placeholder:"NAME"`
	Audience    []string `help:"Audiences that are accepted (JWT_AUDIENCE)." placeholder:"URL"`
	JWKSHosts   []string `name:"jwks-hosts" help:"Hosts of RS256 keys (JWKS_HOSTS)." placeholder:"HOST"`
	APIHosts    []string `name:"api-hosts" help:"Hosts that a token's API_URL may name (API_HOSTS)." placeholder:"HOST"`
	APIURL      string   `name:"api-url" help:"Qualys gateway for tokens that name none (API_URL)." placeholder:"URL"`
	PlatformURL string   `name:"platform-url" help:"Qualys console for tokens that name none (PLATFORM_URL)." placeholder:"URL"`
}

// Help is the command's manual.
func (tokenVerifyCommand) Help() string {
	return `Runs the relay's own verification and tells its answer in the relay's own words. It reads the
environment variables that the relay reads, so that it can run with the relay's settings; flags win
over them. RS256 keys are fetched from the hosts that are trusted, keys in Secret Manager with your
own Google credentials.
Exit codes: 0 the token is accepted, 1 it is refused, 2 errors.

Example:

    relayctl token verify --file relay.jwt --key-file relay.key --url https://relay-abc-ew.a.run.app`
}

// Run verifies the token.
func (c *tokenVerifyCommand) Run(ctx context.Context, p *program) error {
	text, err := p.readToken(ctx, c.File)
	if err != nil {
		return err
	}
	if c.URL == "" && len(c.Audience) == 0 && p.getenv("JWT_AUDIENCE") == "" {
		p.Note("note: without --url and JWT_AUDIENCE, tokens for a certain audience are refused")
	}
	v := token.Verification{Getenv: c.settings(p.getenv), URL: c.URL, Now: p.now,
		SecretManager: p.secretManager}
	answer, accepted, err := v.Verify(ctx, text)
	if err != nil {
		return err
	}
	fmt.Fprintln(p.Out, answer)
	if !accepted {
		return &answerNo{}
	}
	return nil
}

// settings puts the flags over the environment.
func (c *tokenVerifyCommand) settings(getenv func(string) string) func(string) string {
	flags := map[string]string{
		"SECRET_KEY_FILE":   c.KeyFile,
		"SECRET_KEY_SECRET": strings.Join(c.Secret, ","),
		"JWT_AUDIENCE":      strings.Join(c.Audience, ","),
		"JWKS_HOSTS":        strings.Join(c.JWKSHosts, ","),
		"API_HOSTS":         strings.Join(c.APIHosts, ","),
		"API_URL":           c.APIURL,
		"PLATFORM_URL":      c.PlatformURL,
	}
	return func(name string) string {
		if value := flags[name]; value != "" {
			return value
		}
		// A key that a flag names is the only one.
		if (c.KeyFile != "" || len(c.Secret) > 0) && strings.HasPrefix(name, "SECRET_KEY") {
			return ""
		}
		return getenv(name)
	}
}
