// Package token makes, reads and verifies configuration tokens: the JWTs that carry the Qualys credentials
// to the relay in each request.
package token

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/qualys"
)

// maxLimit is the highest CTR_ENTITIES_LIMIT that the relay accepts.
const maxLimit = 1000

// Account says what the searches of a user may use, with the flags that it comes from. What is empty is left
// to the relay's settings.
type Account struct {
	APIURL      string `name:"api-url" help:"Qualys gateway." placeholder:"URL"`
	PlatformURL string `name:"platform-url" help:"Qualys console, for links out of an investigation." placeholder:"URL"`
	Limit       int    `help:"Most sightings, indicators and judgements for each observable." placeholder:"N"`
}

// Validate checks what the relay would refuse. The note, where there is one, is for the user to know.
func (a Account) Validate() (note string, err error) {
	if a.Limit < 0 || a.Limit > maxLimit {
		return "", fmt.Errorf("--limit must be from 1 to %d", maxLimit)
	}
	if a.PlatformURL != "" {
		if _, err := relayclient.ParseURL("--platform-url", a.PlatformURL); err != nil {
			return "", err
		}
	}
	if a.APIURL == "" {
		return "", nil
	}
	gateway, err := relayclient.ParseURL("--api-url", a.APIURL)
	switch {
	case err != nil:
		return "", err
	case gateway.Scheme != "https" || strings.Trim(gateway.Path, "/") != "":
		return "", fmt.Errorf("--api-url %q must be https://host", a.APIURL)
	case slices.ContainsFunc(qualys.Platforms(), func(p qualys.Platform) bool {
		return p.Gateway == "https://"+gateway.Host
	}):
		return "", nil
	}
	return fmt.Sprintf("note: %s is not a gateway of a shared Qualys platform; "+
		"the relay accepts it only if its API_HOSTS or API_URL names it", gateway.Host), nil
}

// Claims are what a token says about a user of Qualys.
type Claims struct {
	User     string
	Password secret.Value
	Account
	Audience string        // the relay's URL; empty: any relay
	Expires  time.Duration // from now on; 0: never
}

// Named are the claims about the user by their names, without those that are empty.
func (c Claims) Named() map[string]any {
	all := map[string]any{
		"user": c.User, "pass": c.Password,
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
	if c.Audience != "" {
		claims["aud"] = c.Audience
	}
	if c.Expires > 0 {
		claims["exp"] = now.Add(c.Expires).Unix()
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(key))
	return secret.Value(token), err
}
