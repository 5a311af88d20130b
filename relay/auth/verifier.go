package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
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

// New validates the configuration, and names every mistake in it. It reads no file, makes no client and
// opens no connection: keys are read by the first request that needs them.
func New(c Config) (*Verifier, error) {
	v := &Verifier{hosts: map[string]*source{}, now: c.Now}
	if v.now == nil {
		v.now = time.Now
	}
	log := cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	newSource := func(name string, read readKeys) *source {
		return &source{read: read, ttl: 5 * time.Minute, timeout: 5 * time.Second, now: v.now,
			log: log.With("source", name)}
	}
	var errs []error
	if _, err := ParseKey([]byte(c.SecretKey)); err != nil && c.SecretKey != "" {
		errs = append(errs, fmt.Errorf("SECRET_KEY: %w", err))
	}
	for i, text := range c.SecretKeySecrets {
		name, err := ParseSecretName(text)
		if err == nil && slices.Contains(c.SecretKeySecrets[:i], text) {
			err = fmt.Errorf("%s is there twice", text)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("SECRET_KEY_SECRET: %w", err))
		}
		v.secrets = append(v.secrets, newSource(text, readSecret(name, c.SecretManagerOptions)))
	}
	if c.SecretKeyFile != "" {
		v.secrets = []*source{newSource(c.SecretKeyFile, readFile(c.SecretKeyFile))}
		v.secrets[0].ttl = time.Minute // reading it is cheap
	}
	if c.SecretKey != "" {
		read := func(context.Context) ([]key, error) { return sharedSecret([]byte(c.SecretKey), "") }
		v.secrets = []*source{newSource("SECRET_KEY", read)}
		v.secrets[0].log = slog.New(slog.DiscardHandler) // it never changes
	}

	hosts := c.JWKSHosts
	switch {
	case len(hosts) == 0:
		hosts = strings.Split(ciscoHosts, ",")
	case len(hosts) == 1 && hosts[0] == noHosts:
		hosts = nil
		if len(v.secrets) == 0 {
			errs = append(errs, errors.New("JWKS_HOSTS: is none and there is no SECRET_KEY, SECRET_KEY_FILE "+
				"or SECRET_KEY_SECRET, so no token could be verified"))
		}
	}
	client := newJWKSClient(c)
	for _, host := range hosts {
		if host == noHosts {
			errs = append(errs, errors.New(`JWKS_HOSTS: "none" must be the only entry`))
		} else if !isHost(host) {
			errs = append(errs, fmt.Errorf("JWKS_HOSTS: %q must be a host name in lower case, without scheme, "+
				"port and path", host))
		}
		v.hosts[host] = newSource(host, readJWKS(client, host))
	}
	for _, audience := range c.Audiences {
		if strings.Trim(audience, " \t/") == "" {
			errs = append(errs, errors.New("JWT_AUDIENCE: an entry is empty"))
		}
		v.audiences = append(v.audiences, sameAudience(audience))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return v, nil
}

// Verify returns what the request's token says. The errors are an [*Error] for a request that is refused,
// one that wraps [ErrKeyUnavailable], or the error of ctx when it ended while a key was being fetched.
// Claims are empty with every error.
func (v *Verifier) Verify(ctx context.Context, r *http.Request) (Claims, error) {
	t, err := parse(r.Header)
	if err != nil {
		return Claims{}, err
	}
	sources, err := v.sources(t)
	if err != nil {
		return Claims{}, err
	}
	claims, err := v.checkClaims(t, r.Host)
	if err != nil {
		return Claims{}, err
	}
	if err := v.checkSignature(ctx, t, sources); err != nil {
		return Claims{}, err
	}
	return claims, nil
}

// sources returns where the keys are that may have signed the token.
func (v *Verifier) sources(t *token) ([]*source, error) {
	if t.Method.Alg() == hs256 {
		if len(v.secrets) == 0 {
			return nil, refuse(msgNoSecretKey)
		}
		return v.secrets, nil
	}
	if len(v.hosts) == 0 {
		return nil, refuse("Algorithm of JWT must be HS256", "the relay's JWKS_HOSTS is none")
	}
	name, ok := t.payload.text("jwks_host")
	host, listed := v.hosts[name]
	switch {
	case listed:
		return []*source{host}, nil
	case !ok:
		return nil, refuse(msgWrongJWKSHost, "it must be a string")
	case name == "":
		return nil, refuse(msgNoJWKSHost)
	case !quotable(name):
		name = "it"
	}
	return nil, refuse(msgWrongJWKSHost, name+" is not on the relay's list JWKS_HOSTS")
}

// checkClaims validates everything that the payload says, before a key is read.
func (v *Verifier) checkClaims(t *token, host string) (Claims, error) {
	options := []jwt.ParserOption{jwt.WithLeeway(leeway), jwt.WithIssuedAt(), jwt.WithTimeFunc(v.now)}
	hint := "it must be one that the relay's JWT_AUDIENCE names"
	if _, ok := t.payload["aud"]; ok || t.Method.Alg() == rs256 {
		accepted := v.audiences
		if accepted == nil {
			accepted = urlsOf(host)
			hint = "it must be the URL that the request came to, without a path"
		}
		if t.Method.Alg() == hs256 {
			accepted = append(slices.Clip(accepted), everyone)
		}
		if len(accepted) == 0 { // golang-jwt would check no audience then
			return Claims{}, refuse(msgWrongAudience, hint)
		}
		options = append(options, jwt.WithAudience(accepted...))
	}
	err := jwt.NewValidator(options...).Validate(t.payload)
	switch {
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return Claims{}, refuse(msgWrongAudience, hint)
	case err != nil:
		return Claims{}, refusal(err)
	}
	c := Claims{settings: t.payload}
	if c.User, err = t.payload.required("user"); err != nil {
		return Claims{}, err
	}
	if c.Password, err = t.payload.required("pass"); err != nil {
		return Claims{}, err
	}
	return c, nil
}

// checkSignature looks for the key that made the signature. Where no key of HS256 fits, or RS256 has none
// of that name, it looks again among newer ones: the token may be the first that is signed with them.
func (v *Verifier) checkSignature(ctx context.Context, t *token, sources []*source) error {
	var unavailable []error
	found := false
	for _, early := range []bool{false, true} {
		for _, s := range sources {
			keys, err := s.get(ctx, early)
			if err != nil && ctx.Err() != nil {
				return err
			}
			if err != nil {
				unavailable = append(unavailable, err)
			}
			found = found || err == nil
			problem := ""
			for _, k := range keys {
				switch {
				case k.kid != t.kid || !k.until.IsZero() && !v.now().Before(k.until):
				case k.value == nil:
					problem = msgUnusable
				case t.Method.Verify(t.signed, t.Signature, k.value) == nil:
					return nil
				case t.kid != "":
					problem = msgWrongKeyRS256
				}
			}
			if problem != "" {
				return refuse(problem)
			}
		}
		if !found {
			return t.noKeys(errors.Join(unavailable...))
		}
	}
	if t.kid == "" {
		return refuse(msgWrongKey, "it is not signed with the relay's SECRET_KEY")
	}
	return refuse(msgKidNotFound)
}

// urlsOf returns the audiences that a request's Host header stands for. The scheme is not read from the
// request: behind Cloud Run TLS ends before the container, and a header that the caller can write is no
// evidence. Plain http is for loopback only.
func urlsOf(host string) []string {
	if host == "" {
		return nil
	}
	urls := []string{sameAudience("https://" + strings.TrimSuffix(host, ":443"))}
	name := (&url.URL{Host: host}).Hostname()
	addr, err := netip.ParseAddr(name)
	if strings.EqualFold(name, "localhost") || err == nil && addr.IsLoopback() {
		urls = append(urls, sameAudience("http://"+host))
	}
	return urls
}

// Close waits for reads of keys that are under way, for some seconds at most.
func (v *Verifier) Close() {
	for _, s := range slices.Concat(v.secrets, slices.Collect(maps.Values(v.hosts))) {
		s.running.Wait()
	}
}
