package auth

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"qualysrelay.example/qualys"
)

const (
	// MinKeyLength is the fewest bytes that an HS256 key may have: as many as
	// the hash has (RFC 7518, section 3.2).
	MinKeyLength = 32

	// NoJWKSHosts as the only entry of [Config.JWKSHosts], closes the RS256 door.
	NoJWKSHosts = "none"

	defaultLimit = 100
	maxLimit     = 1000
)

// CiscoJWKSHosts returns the hosts whose keys sign the tokens of Cisco XDR, in
// North America, Europe and Asia. They are the default of [Config.JWKSHosts].
func CiscoJWKSHosts() []string {
	return []string{"visibility.amp.cisco.com", "visibility.eu.amp.cisco.com", "visibility.apjc.amp.cisco.com"}
}

// Config is what the environment says about authentication. The zero value of
// every field but the last five is what an unset variable gives. Its secrets do
// not show under any verb of fmt, in JSON or in slog.
type Config struct {
	// SecretKey is the HS256 key itself (SECRET_KEY). White space around it is
	// cut off, as it is in files and secrets.
	SecretKey string
	// SecretKeyFile is a file that holds the HS256 key and nothing else
	// (SECRET_KEY_FILE). It counts when SecretKey is empty, and is read again
	// when it changes.
	SecretKeyFile string
	// SecretKeySecrets are Secret Manager names (SECRET_KEY_SECRET), see
	// [ParseSecretName]. They count when the other two are empty. A signature
	// by any of these keys is good.
	SecretKeySecrets []string

	// JWKSHosts may sign RS256 tokens (JWKS_HOSTS). Default [CiscoJWKSHosts];
	// [NoJWKSHosts] alone for none.
	JWKSHosts []string
	// Audiences that a token may be for (JWT_AUDIENCE). By default, the URL that
	// the request came to.
	Audiences []string

	// APIHosts are the hosts that the API_URL of a token may have, with a port
	// where it is not 443 (API_HOSTS). By default, the gateways of the Qualys
	// platforms. The host of APIURL is always one of them.
	APIHosts []string
	// APIURL is the Qualys gateway for tokens that name none (API_URL). Plain
	// http is for loopback only.
	APIURL string
	// PlatformURL is the Qualys user interface for tokens that name none (PLATFORM_URL).
	PlatformURL string
	// Limit is CTR_ENTITIES_LIMIT for tokens that name none: 1 to 1000, 0 for 100.
	Limit int

	// Logger is told when keys change and when they cannot be read. Nil for no log.
	Logger *slog.Logger
	// Now is the clock. Nil for time.Now.
	Now func() time.Time
	// JWKSRootCAs are the roots that JWKS hosts are verified with. Nil for the system's.
	JWKSRootCAs *x509.CertPool
	// JWKSDialContext connects to JWKS hosts. Nil for a plain dialer.
	JWKSDialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// SecretManagerOptions go to the Secret Manager client.
	SecretManagerOptions []SecretManagerOption
}

// Validate names every mistake at once. It reads no file and asks nobody.
func (c Config) Validate() error {
	_, err := c.rules()
	return err
}

// rules is a validated Config in the form that requests are held against.
type rules struct {
	secretKey   secret // empty: no static key
	secretNames []SecretName
	jwksHosts   []string
	audiences   []string
	apiHosts    map[string]bool
	apiURL      string // normalised
	platformURL string // normalised
	limit       int
}

// rules reads the whole Config. The errors name the environment variable.
func (c Config) rules() (rules, error) {
	r := rules{jwksHosts: c.JWKSHosts, audiences: c.Audiences, apiHosts: map[string]bool{}, limit: c.Limit}
	var errs []error
	wrong := func(name, format string, args ...any) {
		errs = append(errs, fmt.Errorf(name+": "+format, args...))
	}

	if c.SecretKey != "" {
		var err error
		if r.secretKey, err = newSecret([]byte(c.SecretKey), ""); err != nil {
			wrong("SECRET_KEY", "%w", err)
		}
	}
	seen := map[SecretName]bool{}
	for _, raw := range c.SecretKeySecrets {
		name, err := ParseSecretName(raw)
		switch {
		case err != nil:
			wrong("SECRET_KEY_SECRET", "%w", err)
		case seen[name]:
			wrong("SECRET_KEY_SECRET", "%s is there twice", name)
		}
		seen[name] = true
		r.secretNames = append(r.secretNames, name)
	}

	switch {
	case len(r.jwksHosts) == 0:
		r.jwksHosts = CiscoJWKSHosts()
	case len(r.jwksHosts) == 1 && r.jwksHosts[0] == NoJWKSHosts:
		r.jwksHosts = nil
		if c.SecretKey == "" && c.SecretKeyFile == "" && len(c.SecretKeySecrets) == 0 {
			wrong("JWKS_HOSTS", "is %s and there is no SECRET_KEY, SECRET_KEY_FILE or SECRET_KEY_SECRET, so no token could be verified", NoJWKSHosts)
		}
	}
	for _, host := range r.jwksHosts {
		if host == NoJWKSHosts {
			wrong("JWKS_HOSTS", "%q must be the only entry", NoJWKSHosts)
		} else if fault := hostFault(host); fault != "" {
			wrong("JWKS_HOSTS", "%q is not a host name: %s", host, fault)
		}
	}
	for _, audience := range c.Audiences {
		if strings.TrimSpace(audience) == "" {
			wrong("JWT_AUDIENCE", "an entry is empty")
		}
	}

	apiHosts := c.APIHosts
	if len(apiHosts) == 0 {
		for _, p := range qualys.Platforms() {
			apiHosts = append(apiHosts, strings.TrimPrefix(p.Gateway, "https://"))
		}
	}
	for _, host := range apiHosts {
		b, err := parseBase("https://"+host, false)
		switch {
		case err != nil || b.path != "" || strings.HasSuffix(host, "/"):
			wrong("API_HOSTS", "an entry is not a host name with or without a port")
		case host != strings.ToLower(host):
			wrong("API_HOSTS", "%q has upper-case letters", host)
		}
		r.apiHosts[b.host()] = true
	}
	if c.APIURL != "" {
		b, err := parseBase(c.APIURL, true)
		switch {
		case err != nil:
			wrong("API_URL", "%w", err)
		case b.path != "":
			wrong("API_URL", "a path is not allowed")
		case !isLoopback(b.name):
			r.apiHosts[b.host()] = true
		}
		r.apiURL = b.String()
	}
	if c.PlatformURL != "" {
		b, err := parseBase(c.PlatformURL, false)
		if err != nil {
			wrong("PLATFORM_URL", "%w", err)
		}
		r.platformURL = b.String()
	}
	switch {
	case r.limit == 0:
		r.limit = defaultLimit
	case r.limit < 0 || r.limit > maxLimit:
		wrong("CTR_ENTITIES_LIMIT", "must be from 1 to %d", maxLimit)
	}
	return r, errors.Join(errs...)
}

// LogValue leaves the secret out and says only whether there is one.
func (c Config) LogValue() slog.Value {
	key := ""
	if c.SecretKey != "" {
		key = redacted
	}
	return slog.GroupValue(
		slog.String("SECRET_KEY", key),
		slog.String("SECRET_KEY_FILE", c.SecretKeyFile),
		slog.String("SECRET_KEY_SECRET", strings.Join(c.SecretKeySecrets, ",")),
		slog.String("JWKS_HOSTS", strings.Join(c.JWKSHosts, ",")),
		slog.String("JWT_AUDIENCE", strings.Join(c.Audiences, ",")),
		slog.String("API_URL", hideUserInfo(c.APIURL)),
		slog.String("API_HOSTS", strings.Join(c.APIHosts, ",")),
		slog.String("PLATFORM_URL", hideUserInfo(c.PlatformURL)),
		slog.Int("CTR_ENTITIES_LIMIT", c.Limit),
	)
}

// String is the redacted form.
func (c Config) String() string { return c.LogValue().String() }

// Format writes the redacted form for every verb.
func (c Config) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, c.String()) }

// MarshalJSON writes the redacted form as an object.
func (c Config) MarshalJSON() ([]byte, error) { return marshalGroup(c.LogValue()) }

const redacted = "[redacted]"

// hideUserInfo returns the URL unless it may hold a password, which Validate
// will complain about.
func hideUserInfo(raw string) string {
	if strings.Contains(raw, "@") {
		return redacted
	}
	return raw
}

// marshalGroup encodes a group of strings and integers as a JSON object.
func marshalGroup(v slog.Value) ([]byte, error) {
	out := map[string]any{}
	for _, attr := range v.Group() {
		out[attr.Key] = attr.Value.Any()
	}
	return json.Marshal(out)
}

// parseLimit reads a CTR_ENTITIES_LIMIT.
func parseLimit(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 1 && n <= maxLimit
}
