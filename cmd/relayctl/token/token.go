// Package token makes, reads and verifies configuration tokens: the JWTs that carry the Qualys credentials
// to the relay in each request.
package token

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/qualys"
)

// MaxLimit is the highest CTR_ENTITIES_LIMIT that the relay accepts.
const MaxLimit = 1000

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
	if c.APIURL != "" {
		u, err := httpsURL("--api-url", c.APIURL)
		if err == nil && strings.Trim(u.Path, "/") != "" {
			err = fmt.Errorf("--api-url %q must be https://host: the relay accepts nothing else from a "+
				"token", c.APIURL)
		}
		if err != nil {
			return "", err
		}
		if !slices.ContainsFunc(qualys.Platforms(),
			func(known qualys.Platform) bool { return known.Gateway == "https://"+u.Host }) {
			note = fmt.Sprintf("note: %s is not a gateway of a shared Qualys platform; "+
				"the relay accepts it only if its API_HOSTS or API_URL names it", u.Host)
		}
	}
	if c.PlatformURL != "" {
		if _, err := httpsURL("--platform-url", c.PlatformURL); err != nil {
			return "", err
		}
	}
	if c.Limit < 0 || c.Limit > MaxLimit {
		return "", fmt.Errorf("--limit must be from 1 to %d", MaxLimit)
	}
	return note, nil
}

func httpsURL(flag, raw string) (*url.URL, error) {
	u, err := relayclient.ParseURL(flag, raw)
	if err == nil && u.Scheme != "https" {
		err = fmt.Errorf("%s %q must be https: the relay accepts nothing else from a token", flag, raw)
	}
	return u, err
}

// Sign makes a token that is signed with HS256.
func (c Claims) Sign(key secret.Value, now time.Time) (secret.Value, error) {
	claims := jwt.MapClaims{"iat": now.Unix(), "user": c.User, "pass": string(c.Password)}
	for name, value := range map[string]string{
		"API_URL":      strings.TrimRight(c.APIURL, "/"),
		"PLATFORM_URL": strings.TrimRight(c.PlatformURL, "/"),
		"aud":          c.Audience,
	} {
		if value != "" {
			claims[name] = value
		}
	}
	if c.Limit > 0 {
		claims["CTR_ENTITIES_LIMIT"] = c.Limit
	}
	if c.Expires > 0 {
		claims["exp"] = now.Add(c.Expires).Unix()
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(key))
	return secret.Value(token), err
}
