package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	leeway   = time.Minute // how far the clocks of signer and relay may be apart
	everyone = "everyone"  // the aud of HS256 module types
)

// Verifier checks the Authorization header of requests. It is safe for concurrent use, and one is enough
// for a process.
type Verifier struct {
	redacted

	audiences []string           // in the form of sameAudience; nil: the URL that the request came to
	secrets   []*source          // for HS256
	hosts     map[string]*source // for RS256. No request can add one
	now       func() time.Time
}

// New validates the configuration, and names every mistake in it, by environment variable. It reads no file,
// makes no client and opens no connection: keys are read by the first request that needs them.
func New(c Config) (*Verifier, error) {
	v := &Verifier{hosts: map[string]*source{}, now: c.Now}
	if v.now == nil {
		v.now = func() time.Time { return time.Now().Round(0) } // monotonic time stops in a frozen instance
	}
	log := cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	newSource := func(name string, ttl time.Duration, read readKeys) *source {
		return &source{read: read, ttl: ttl, timeout: 5 * time.Second, now: v.now, log: log.With("source", name)}
	}
	var errs []error
	wrong := func(format string, values ...any) { errs = append(errs, fmt.Errorf(format, values...)) }
	for i, text := range c.SecretKeySecrets {
		name, err := ParseSecretName(text)
		if err != nil {
			wrong("SECRET_KEY_SECRET: %w", err)
		} else if slices.Contains(c.SecretKeySecrets[:i], text) {
			wrong("SECRET_KEY_SECRET: %s is there twice", text)
		}
		v.secrets = append(v.secrets, newSource(text, 5*time.Minute, readSecret(name, c.SecretManagerOptions)))
	}
	if c.SecretKeyFile != "" {
		v.secrets = []*source{newSource(c.SecretKeyFile, time.Minute, readFile(c.SecretKeyFile))}
	}
	if c.SecretKey != "" {
		keys, err := sharedSecret([]byte(c.SecretKey))
		if err != nil {
			wrong("SECRET_KEY: %w", err)
		}
		static := func(context.Context) ([]key, error) { return keys, nil }
		v.secrets = []*source{newSource("SECRET_KEY", time.Hour, static)}
	}

	hosts := c.JWKSHosts
	switch {
	case len(hosts) == 0:
		hosts = strings.Split(ciscoHosts, ",")
	case len(hosts) == 1 && hosts[0] == noHosts:
		hosts = nil
		if len(v.secrets) == 0 {
			wrong("JWKS_HOSTS: is none and there is no SECRET_KEY, SECRET_KEY_FILE or SECRET_KEY_SECRET, " +
				"so no token could be verified")
		}
	}
	transport := newJWKSTransport(c)
	for _, host := range hosts {
		if host == noHosts || !isHost(host) {
			wrong("JWKS_HOSTS: %q must be a host name in lower case, without scheme, port and path, or none alone",
				host)
		}
		v.hosts[host] = newSource(host, 5*time.Minute, readJWKS(transport, host))
	}
	for _, audience := range c.Audiences {
		if strings.Trim(audience, " \t/") == "" {
			wrong("JWT_AUDIENCE: an entry is empty")
		}
		v.audiences = append(v.audiences, sameAudience(audience))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return v, nil
}

// Verify returns what the request's token says. The errors are an [*Error] for a request that is refused,
// one that wraps [ErrKeyUnavailable], or the cause of ctx when it ended while a key was being fetched.
// Claims are empty with every error.
func (v *Verifier) Verify(ctx context.Context, r *http.Request) (Claims, error) {
	t, err := parse(r.Header)
	if err != nil {
		return Claims{}, err
	}
	// Everything that needs no key comes before the signature.
	sources, errSources := v.sources(t)
	user, errUser := t.payload.required("user")
	password, errPassword := t.payload.required("pass")
	err = cmp.Or(errSources, v.checkTimes(t.payload), v.checkAudience(t, r.Host), errUser, errPassword)
	if err != nil {
		return Claims{}, err
	}
	if err := v.checkSignature(ctx, t, sources); err != nil {
		return Claims{}, err
	}
	return Claims{User: user, Password: password, settings: t.payload}, nil
}

// sources returns where the keys are that may have signed the token.
func (v *Verifier) sources(t *token) ([]*source, error) {
	if t.method == jwt.SigningMethodHS256 {
		if len(v.secrets) == 0 {
			return nil, refuse(msgNoSecretKey)
		}
		return v.secrets, nil
	}
	if len(v.hosts) == 0 {
		return nil, refuse("Algorithm of JWT must be HS256", "the relay's JWKS_HOSTS is none")
	}
	name, _ := t.payload.text("jwks_host")
	if name == "" {
		return nil, refuse(msgNoJWKSHost)
	}
	host, listed := v.hosts[name]
	if !listed {
		return nil, refuse(msgWrongJWKSHost, "it is not on the relay's list JWKS_HOSTS")
	}
	return []*source{host}, nil
}

// checkTimes refuses a token whose time has not come, or has passed.
func (v *Verifier) checkTimes(payload object) error {
	expires, errExpires := payload.date("exp")
	starts, errStarts := payload.date("nbf")
	issued, errIssued := payload.date("iat")
	if err := cmp.Or(errExpires, errStarts, errIssued); err != nil {
		return err
	}
	times := jwt.RegisteredClaims{ExpiresAt: expires, NotBefore: starts, IssuedAt: issued}
	err := jwt.NewValidator(jwt.WithLeeway(leeway), jwt.WithIssuedAt(), jwt.WithTimeFunc(v.now)).Validate(times)
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return refuse("JWT has expired")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return refuse("JWT is not valid yet")
	case err != nil:
		return refuse("JWT was issued in the future. Check the clock of its issuer")
	}
	return nil
}

// checkAudience refuses a token for somebody else. RS256 tokens need an audience: Cisco's keys sign for
// every relay.
func (v *Verifier) checkAudience(t *token, host string) error {
	raw, ok := t.payload["aud"]
	if !ok && t.method == jwt.SigningMethodHS256 {
		return nil
	}
	var named jwt.ClaimStrings
	if ok && named.UnmarshalJSON(raw) != nil {
		return refuse(msgWrongAudience, "aud in JWT payload must be a string or a list of strings")
	}
	if len(named) == 0 {
		return refuse(msgWrongAudience, "aud is missing in JWT payload")
	}
	accepted, hint := v.audiences, "it must be one that the relay's JWT_AUDIENCE names"
	if accepted == nil {
		accepted, hint = urlsOf(host), "it must be the URL that the request came to, without a path"
	}
	for _, audience := range named {
		if slices.Contains(accepted, sameAudience(audience)) ||
			audience == everyone && t.method == jwt.SigningMethodHS256 {
			return nil
		}
	}
	return refuse(msgWrongAudience, hint)
}

// sameAudience makes audiences equal that differ in a trailing slash or in the case of letters only: they
// are URLs without a path, and modules are registered with the one or the other.
func sameAudience(s string) string { return strings.ToLower(strings.TrimSuffix(s, "/")) }

// urlsOf returns the audiences that a request's Host header stands for. The scheme is not read from the
// request: behind Cloud Run TLS ends before the container, and a header that the caller can write is no
// evidence. Plain http is for loopback only.
func urlsOf(host string) []string {
	if host == "" {
		return nil
	}
	urls := []string{sameAudience("https://" + strings.TrimSuffix(host, ":443"))}
	if slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, (&url.URL{Host: host}).Hostname()) {
		urls = append(urls, sameAudience("http://"+host))
	}
	return urls
}

// checkSignature looks for the key that made the signature. Where none of those at hand did, it looks again
// among newer ones: the token may be the first that is signed with them.
func (v *Verifier) checkSignature(ctx context.Context, t *token, sources []*source) error {
	var failed error            // of the last round
	read, named := false, false // some source gave keys; one of them has the token's kid
	for _, early := range []bool{false, true} {
		failed = nil
		for _, s := range sources {
			keys, err := s.get(ctx, early)
			if ctx.Err() != nil {
				return fmt.Errorf("auth: waiting for a key: %w", context.Cause(ctx))
			}
			failed = errors.Join(failed, err)
			read = read || err == nil
			for _, k := range keys {
				named = named || k.kid == t.kid
				if k.kid == t.kid && t.method.Verify(t.signed, t.signature, k.value) == nil {
					return nil
				}
			}
		}
		if !read {
			break
		}
	}
	switch {
	case !read && t.method == jwt.SigningMethodHS256:
		return fmt.Errorf("%w: %w", ErrKeyUnavailable, failed)
	case !read: // the host is the operator's choice: the caller may know about it
		host, _ := t.payload.text("jwks_host")
		return refuse(msgWrongJWKSHost, host+" did not answer with a key set")
	case t.method == jwt.SigningMethodHS256:
		return refuse(msgWrongKey, "it is not signed with the relay's SECRET_KEY")
	case named:
		return refuse(msgWrongKeyRS256)
	}
	return refuse(msgKidNotFound)
}
