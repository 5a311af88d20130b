package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"qualysrelay.example/relay"
	"qualysrelay.example/relay/auth"
)

// verifyTimeout is for the whole verification: keys may have to be fetched.
const verifyTimeout = 30 * time.Second

// tokenVerifyCommand verifies a token as the relay would. Its flags are the relay's environment variables.
type tokenVerifyCommand struct {
	File        string   `help:"Read the token from this file; else from standard input." placeholder:"FILE"`
	URL         string   `help:"The relay's URL (RELAY_URL): the audience that a token must have where JWT_AUDIENCE names none." from:"RELAY_URL" placeholder:"URL"`
	KeyFile     string   `help:"HS256 key, instead of SECRET_KEY, SECRET_KEY_FILE or SECRET_KEY_SECRET." placeholder:"FILE"`
	Secret      []string `help:"HS256 key versions in Secret Manager (SECRET_KEY_SECRET)." placeholder:"NAME"`
	Audience    []string `help:"Audiences that are taken (JWT_AUDIENCE)." placeholder:"URL"`
	JWKSHosts   []string `name:"jwks-hosts" help:"Hosts of RS256 keys (JWKS_HOSTS)." placeholder:"HOST"`
	APIHosts    []string `name:"api-hosts" help:"Hosts that a token's API_URL may name (API_HOSTS)." placeholder:"HOST"`
	APIURL      string   `name:"api-url" help:"Qualys gateway for tokens that name none (API_URL)." placeholder:"URL"`
	PlatformURL string   `name:"platform-url" help:"Qualys console for tokens that name none (PLATFORM_URL)." placeholder:"URL"`
}

// Help is the command's manual.
func (tokenVerifyCommand) Help() string {
	return `Runs the relay's own verification and tells its answer in the relay's own words. It reads the environment variables that
the relay reads, so that it can run with the relay's settings; flags win over them. RS256 keys are fetched from the hosts
that are trusted, keys in Secret Manager with your own Google credentials.
Exit codes: 0 the token is taken, 1 it is refused, 2 errors.

Example:

    relayctl token verify --file relay.jwt --key-file relay.key --url https://relay-abc-ew.a.run.app`
}

// Run verifies the token.
func (c *tokenVerifyCommand) Run(ctx context.Context, p *program) error {
	token, err := p.readToken(ctx, c.File)
	if err != nil {
		return err
	}
	config, err := relay.ConfigFromEnv(c.settings(p.getenv))
	if err != nil {
		return err
	}
	config.Auth.SecretManagerOptions, config.Auth.Now = p.secretManager, p.now
	verifier, err := auth.New(config.Auth)
	if err != nil {
		return err
	}
	defer verifier.Close()
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	request, err := c.request(ctx, p, token)
	if err != nil {
		return err
	}
	claims, err := verifier.Verify(ctx, request)
	if refused, ok := errors.AsType[*auth.Error](err); ok {
		fmt.Fprintf(p.stdout, "refused: %s\n", plain(refused.Message))
		return &answerNo{}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "accepted: user %s at %s, at most %d entities for each observable\n",
		plain(claims.Tenant.User), plain(claims.Tenant.Gateway), claims.Limit)
	if claims.PlatformURL != "" {
		fmt.Fprintf(p.stdout, "links go to %s\n", plain(claims.PlatformURL))
	}
	return nil
}

// request is the request that would bring the token to the relay.
func (c *tokenVerifyCommand) request(ctx context.Context, p *program, token secret) (*http.Request, error) {
	base := "https://relay.invalid" // a name that is nobody's
	if c.URL != "" {
		u, err := checkURL("--url", c.URL)
		if err != nil {
			return nil, err
		}
		base = u.Scheme + "://" + u.Host
	} else if len(c.Audience) == 0 && p.getenv("JWT_AUDIENCE") == "" {
		p.note("note: without --url and JWT_AUDIENCE, tokens for a certain audience are refused")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/observe/observables", http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Forwarded-Proto", request.URL.Scheme) // as Google's front end says it
	request.Header.Set("Authorization", "Bearer "+string(token))
	return request, nil
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
