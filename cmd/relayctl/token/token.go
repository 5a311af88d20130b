// Package token makes, reads and verifies configuration tokens: the JWTs that carry the Qualys credentials
// to the relay in each request.
package token

import (
	"fmt"
	"maps"
	"net/url"
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

// Claims are what a token says. Empty ones are left out.
type Claims struct {
	User        string
	Password    secret.Value
	APIURL      string        // the Qualys gateway
	PlatformURL string        // the Qualys console
	Limit       int           // of sightings, indicators and judgements for each observable
	Audience    string        // the relay's URL
	Expires     time.Duration // from now on; 0: never
}

// Validate checks what the relay would refuse. Its errors name the flags of "relayctl token". The note,
// where there is one, is for the user to know.
func (c Claims) Validate() (note string, err error) {
	gateway, err := httpsURL("--api-url", c.APIURL)
	if err == nil {
		_, err = httpsURL("--platform-url", c.PlatformURL)
	}
	switch {
	case err != nil:
		return "", err
	case strings.Trim(gateway.Path, "/") != "":
		return "", fmt.Errorf("--api-url %q must be https://host: the relay accepts nothing else from a token",
			c.APIURL)
	case c.Limit < 0 || c.Limit > maxLimit:
		return "", fmt.Errorf("--limit must be from 1 to %d", maxLimit)
	case gateway.Host == "" || slices.ContainsFunc(qualys.Platforms(),
		func(known qualys.Platform) bool { return known.Gateway == "https://"+gateway.Host }):
		return "", nil
	}
	return fmt.Sprintf("note: %s is not a gateway of a shared Qualys platform; "+
		"the relay accepts it only if its API_HOSTS or API_URL names it", gateway.Host), nil
}

// httpsURL reads the value of a flag, which may be empty.
func httpsURL(flag, raw string) (*url.URL, error) {
	if raw == "" {
		return new(url.URL), nil
	}
	u, err := relayclient.ParseURL(flag, raw)
	if err == nil && u.Scheme != "https" {
		err = fmt.Errorf("%s %q must be https: the relay accepts nothing else from a token", flag, raw)
	}
	return u, err
}

// Sign makes a token that is signed with HS256.
func (c Claims) Sign(key secret.Value, now time.Time) (secret.Value, error) {
	claims := jwt.MapClaims{
		"iat": now.Unix(), "user": c.User, "pass": string(c.Password), "aud": c.Audience,
		"API_URL":            strings.TrimRight(c.APIURL, "/"),
		"PLATFORM_URL":       strings.TrimRight(c.PlatformURL, "/"),
		"CTR_ENTITIES_LIMIT": c.Limit,
	}
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == "" || value == 0 })
	if c.Expires > 0 {
		claims["exp"] = now.Add(c.Expires).Unix()
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(key))
	return secret.Value(token), err
}
