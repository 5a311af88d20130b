package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"qualysrelay.example/qualys"
)

// Claims are what a verified token says, completed from the environment. They
// redact themselves like [qualys.Tenant].
type Claims struct {
	// Tenant is whom to ask and as whom.
	Tenant qualys.Tenant
	// PlatformURL is the base of links into the Qualys user interface, without a
	// trailing slash. Empty when neither the token nor the environment has it, and
	// the gateway is of no shared platform.
	PlatformURL string
	// Limit is the most entities of a kind for one observable, 1 to 1000.
	Limit int
}

// LogValue leaves user and password out.
func (c Claims) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("api_url", c.Tenant.Gateway),
		slog.String("platform_url", c.PlatformURL),
		slog.Int("limit", c.Limit),
	)
}

// String is the redacted form.
func (c Claims) String() string { return c.LogValue().String() }

// Format writes the redacted form for every verb.
func (c Claims) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, c.String()) }

// MarshalJSON writes the redacted form as an object.
func (c Claims) MarshalJSON() ([]byte, error) { return marshalGroup(c.LogValue()) }

const (
	// leeway is how far the clocks of signer and relay may be apart.
	leeway = time.Minute
	// everyone is the aud of HS256 module types.
	everyone = "everyone"
	// lastDate is the end of the year 9999 as a NumericDate.
	lastDate = 253402300799
)

// checkClaims holds the payload against everything but the signature. The
// result must not be used before the signature has been verified.
func (r *rules) checkClaims(t token, req *http.Request, now func() time.Time) (Claims, error) {
	if err := r.checkAudience(t, req); err != nil {
		return Claims{}, err
	}
	if err := checkTimes(t.claims, now); err != nil {
		return Claims{}, err
	}
	c := Claims{Limit: r.limit}
	var err error
	if c.Tenant.User, err = credential(t.claims, "user"); err != nil {
		return Claims{}, err
	}
	if c.Tenant.Password, err = credential(t.claims, "pass"); err != nil {
		return Claims{}, err
	}
	if c.Tenant.Gateway, err = r.gateway(t.claims); err != nil {
		return Claims{}, err
	}
	platform, err := setting(t.claims, "PLATFORM_URL")
	if err != nil {
		return Claims{}, err
	}
	c.PlatformURL = r.console(c.Tenant.Gateway)
	if platform != "" {
		b, err := parseBase(platform, false)
		if err != nil {
			return Claims{}, refuse("PLATFORM_URL in JWT payload is not accepted", err.Error())
		}
		c.PlatformURL = b.String()
	}
	if limit, ok, err := limitClaim(t.claims); err != nil {
		return Claims{}, err
	} else if ok {
		c.Limit = limit
	}
	return c, nil
}

// checkAudience: see the package comment.
func (r *rules) checkAudience(t token, req *http.Request) error {
	rs256 := t.alg == jwt.SigningMethodRS256.Alg()
	aud, ok, err := t.claims.text("aud")
	switch {
	case err != nil:
		return refuse(msgWrongAudience, "aud in JWT payload must be a string")
	case !ok && rs256:
		return refuse(msgWrongAudience, "aud is missing in JWT payload")
	case !ok || aud == everyone && !rs256:
		return nil
	}
	aud = strings.TrimSuffix(aud, "/")
	if len(r.audiences) > 0 {
		same := func(a string) bool { return strings.TrimSuffix(a, "/") == aud }
		if !slices.ContainsFunc(r.audiences, same) {
			return refuse(msgWrongAudience, "it must be one that the relay's JWT_AUDIENCE names")
		}
		return nil
	}
	name, port, err := net.SplitHostPort(req.Host)
	if err != nil {
		name, port = strings.Trim(req.Host, "[]"), ""
	}
	host := req.Host
	if port == "443" {
		host = strings.TrimSuffix(host, ":443")
	}
	if host != "" && (strings.EqualFold(aud, "https://"+host) ||
		isLoopback(strings.ToLower(name)) && strings.EqualFold(aud, "http://"+req.Host)) {
		return nil
	}
	return refuse(msgWrongAudience, "it must be the URL that the request came to, without a path")
}

// checkTimes holds exp, nbf and iat where they are present.
func checkTimes(claims object, now func() time.Time) error {
	var registered jwt.RegisteredClaims
	for _, date := range []struct {
		name string
		into **jwt.NumericDate
	}{
		{"exp", &registered.ExpiresAt}, {"nbf", &registered.NotBefore}, {"iat", &registered.IssuedAt},
	} {
		raw, ok := claims[date.name]
		if !ok {
			continue
		}
		// Text that is no JSON number fails here: quotes and letters do not parse.
		seconds, err := strconv.ParseFloat(string(raw), 64)
		if err != nil || math.IsNaN(seconds) || seconds < 0 || seconds > lastDate {
			return refuse(msgWrongPayload, date.name+" must be a number of seconds since 1970")
		}
		whole, fraction := math.Modf(seconds)
		*date.into = &jwt.NumericDate{Time: time.Unix(int64(whole), int64(fraction*1e9))}
	}
	err := jwt.NewValidator(jwt.WithLeeway(leeway), jwt.WithIssuedAt(), jwt.WithTimeFunc(now)).Validate(registered)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jwt.ErrTokenExpired):
		return refuse("JWT has expired").because(err)
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return refuse("JWT is not valid yet").because(err)
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return refuse("JWT was issued in the future. Check the clock of its issuer").because(err)
	}
	return refuse(msgWrongPayload).because(err)
}

// credential returns a claim that must be a string and not empty.
func credential(claims object, name string) (string, error) {
	s, _, err := claims.text(name)
	switch {
	case err != nil:
		return "", refuse(msgWrongPayload, name+" must be a string")
	case s == "":
		return "", refuse(msgWrongPayload, name+" is missing or empty")
	}
	return s, nil
}

// setting returns a claim that must be a string where it is there. Null and ""
// are what a field left blank in the module's form may become.
func setting(claims object, name string) (string, error) {
	if string(claims[name]) == "null" {
		return "", nil
	}
	s, _, err := claims.text(name)
	if err != nil {
		return "", refuse(msgWrongPayload, name+" must be a string")
	}
	return strings.TrimSpace(s), nil
}

// gateway returns API_URL. One from the token must be on the list, since the
// relay will send credentials there and the token's author chose it.
func (r *rules) gateway(claims object) (string, error) {
	const refused = "API_URL in JWT payload is not accepted"
	raw, err := setting(claims, "API_URL")
	switch {
	case err != nil:
		return "", err
	case raw == "" && r.apiURL == "":
		return "", refuse("API_URL is missing in JWT payload and in the relay's environment")
	case raw == "":
		return r.apiURL, nil
	}
	b, err := parseBase(raw, false)
	switch {
	case err != nil:
		return "", refuse(refused, err.Error())
	case b.path != "":
		return "", refuse(refused, "a path is not allowed")
	case !r.apiHosts[b.host()]:
		return "", refuse(refused, shown(b.host())+" is not on the relay's list API_HOSTS")
	}
	return b.String(), nil
}

// console returns the user interface that goes with a gateway. That of the
// environment goes with the gateway of the environment: to another one's tenant
// its links would lead nowhere.
func (r *rules) console(gateway string) string {
	if r.platformURL != "" && (r.apiURL == "" || gateway == r.apiURL) {
		return r.platformURL
	}
	for _, platform := range qualys.Platforms() {
		if platform.Gateway == gateway {
			return platform.UI
		}
	}
	return ""
}

// limitClaim returns CTR_ENTITIES_LIMIT: Cisco's module types send integers, a
// token made by hand may well have a string.
func limitClaim(claims object) (limit int, ok bool, err error) {
	raw, ok := claims["CTR_ENTITIES_LIMIT"]
	if !ok || string(raw) == "null" {
		return 0, false, nil
	}
	text := string(raw)
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			text = "?"
		}
		if text = strings.TrimSpace(text); text == "" {
			return 0, false, nil
		}
	}
	if limit, ok = parseLimit(text); !ok {
		return 0, false, refuse(msgWrongPayload, fmt.Sprintf("CTR_ENTITIES_LIMIT must be a whole number from 1 to %d", maxLimit))
	}
	return limit, true, nil
}
