// Package token makes, reads and verifies configuration tokens: the JWTs that carry the Qualys credentials
// to the relay in each request.
package token

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/relay"
	"qualysrelay.example/relay/auth"
)

// Account says what the searches of a user may use, with the flags that it comes from. What is empty is left
// to the relay's settings.
type Account struct {
	APIURL      string `name:"api-url" help:"Qualys gateway." placeholder:"URL"`
	PlatformURL string `name:"platform-url" help:"Qualys console, for links out of an investigation." placeholder:"URL"`
	Limit       int    `help:"Most sightings, indicators and judgements for each observable." placeholder:"N"`
}

// Validate checks what any relay would refuse. Kong calls it for the commands with these flags.
func (a Account) Validate() error {
	if a.Limit < 0 || a.Limit > 1000 {
		return errors.New("--limit must be from 1 to 1000")
	}
	for flag, text := range map[string]string{"--api-url": a.APIURL, "--platform-url": a.PlatformURL} {
		u, err := relayclient.ParseURL(flag, text)
		switch {
		case text == "":
		case err != nil:
			return err
		case u.Scheme != "https", flag == "--api-url" && strings.Trim(u.Path, "/") != "":
			return fmt.Errorf("%s %q must be https://host", flag, text)
		}
	}
	return nil
}

// Claims are what a token says about a user of Qualys.
type Claims struct {
	User     string
	Password secret.Value
	Account
	Audience string        // the relay's URL; empty: any relay
	Expires  time.Duration // from now on; 0: never
}

// Named are the claims by their names, without the times and those that are empty.
func (c Claims) Named() map[string]any {
	all := map[string]any{
		"user": c.User, "pass": c.Password, "aud": c.Audience,
		"API_URL":            strings.TrimRight(c.APIURL, "/"),
		"PLATFORM_URL":       strings.TrimRight(c.PlatformURL, "/"),
		"CTR_ENTITIES_LIMIT": c.Limit,
	}
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == "" || value == 0 })
	return all
}

// Sign makes a token that is signed with HS256.
func (c Claims) Sign(key secret.Value, now time.Time) (secret.Value, error) {
	claims := jwt.MapClaims(c.Named())
	claims["pass"], claims["iat"] = string(c.Password), now.Unix()
	if c.Expires > 0 {
		claims["exp"] = now.Add(c.Expires).Unix()
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(key))
	return secret.Value(token), err
}

// Verify runs the verification of a relay with the configuration and, where JWT_AUDIENCE names no audience,
// the URL, which may be empty. It says what the relay accepts the token for. A token that is refused is an
// [*auth.Error] in the relay's own words; other errors are about the settings and the keys.
func Verify(ctx context.Context, token secret.Value, config relay.Config, relayURL string) (string, error) {
	base, err := relayclient.ParseURL("--url", cmp.Or(relayURL, "https://relay.invalid"))
	if err != nil {
		return "", err
	}
	verifier, err := auth.New(config.Auth)
	if err != nil {
		return "", err
	}
	claims, err := verifier.Verify(ctx, &http.Request{
		Host: base.Host, Header: http.Header{"Authorization": {"Bearer " + string(token)}},
	})
	if err != nil {
		return "", err
	}
	account, err := config.Account(claims)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("accepted: user %s at %s, at most %d entities for each observable",
		plain.Text(account.Tenant.User), plain.Text(account.Tenant.Gateway), account.Limit), nil
}
