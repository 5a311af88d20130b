package auth

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	hs256     = "HS256"
	rs256     = "RS256"
	leeway    = time.Minute     // how far the clocks of signer and relay may be apart
	everyone  = "everyone"      // the aud of HS256 module types
	remoteTTL = 5 * time.Minute // for keys of Secret Manager and of JWKS hosts
	maxPause  = time.Minute     // between fetches of them that fail
	fetchTime = 5 * time.Second // for one fetch of keys
)

// Verifier checks the Authorization header of requests. It is safe for concurrent use, and one is enough
// for a process.
type Verifier struct {
	redacted

	parser    *jwt.Parser
	audiences []string             // in the form of sameAudience; nil: the URL that the request came to
	secrets   *secretKeys          // for HS256
	hosts     map[string]*jwksHost // for RS256. No request can add one
	now       func() time.Time
}

// New validates the configuration. It reads no file, makes no client and opens no connection: keys are
// read by the first request that needs them.
func New(c Config) (*Verifier, error) {
	names, hosts, err := c.check()
	if err != nil {
		return nil, err
	}
	v := &Verifier{
		parser: jwt.NewParser(jwt.WithStrictDecoding()),
		hosts:  map[string]*jwksHost{},
		now:    c.Now,
	}
	if v.now == nil {
		v.now = time.Now
	}
	log := cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	for _, audience := range c.Audiences {
		v.audiences = append(v.audiences, sameAudience(audience))
	}

	client := newJWKSClient(c)
	for _, name := range hosts {
		h := &jwksHost{name: name, http: client, now: v.now, log: log.With("jwks_host", name)}
		h.cache = cached[keySet]{fetch: h.fetch, ttl: remoteTTL, maxPause: maxPause, timeout: fetchTime, now: v.now}
		v.hosts[name] = h
	}

	k := &secretKeys{now: v.now, log: log}
	k.cache = cached[keyring]{fetch: k.fetch, ttl: remoteTTL, maxPause: maxPause, timeout: fetchTime, now: v.now}
	v.secrets = k
	switch {
	case c.SecretKey != "":
		k.sources = []source{staticKey(c.SecretKey)}
		k.log = slog.New(slog.DiscardHandler)
	case c.SecretKeyFile != "":
		k.sources = []source{keyFile(c.SecretKeyFile)}
		k.cache.ttl, k.cache.maxPause = time.Minute, 5*time.Second // reading it is cheap
	default:
		for _, name := range names {
			k.sources = append(k.sources, newSecretVersion(name, c.SecretManagerOptions))
		}
	}
	return v, nil
}

// Verify returns what the request's token says. The errors are an [*Error] for a request that is refused,
// one that wraps [ErrKeyUnavailable], or the error of ctx when it ended while a key was being fetched.
// Claims are empty with every error.
func (v *Verifier) Verify(ctx context.Context, r *http.Request) (Claims, error) {
	raw, err := bearer(r.Header)
	if err != nil {
		return Claims{}, err
	}
	var p payload
	token, parts, malformed := v.parser.ParseUnverified(raw, &p)
	if token == nil {
		return Claims{}, refuse(msgWrongJWT, "three parts with dots between them are expected")
	}
	kid, err := checkHeader(v.parser, parts[0])
	if err != nil {
		return Claims{}, err
	}
	var host *jwksHost // for RS256
	switch alg := token.Header["alg"]; {
	case malformed != nil:
		err = refusal(token, malformed)
	case alg == rs256:
		host, err = v.host(p)
	case alg != hs256:
		err = refusedAlg(token)
	case len(v.secrets.sources) == 0:
		err = refuse(msgNoSecretKey)
	}
	if err != nil {
		return Claims{}, err
	}
	claims, err := v.checkClaims(token, p, r)
	if err != nil {
		return Claims{}, err
	}

	signed := strings.Join(parts[:2], ".")
	var keys []jwt.VerificationKey
	for tried := (*keyring)(nil); ; { // a token of HS256 may be the first that is signed with a newer key
		if host != nil {
			keys, err = host.named(ctx, kid)
		} else {
			keys, tried, err = v.secrets.other(ctx, tried)
		}
		if err != nil {
			return Claims{}, err
		}
		for _, key := range keys {
			if token.Method.Verify(signed, token.Signature, key) == nil {
				return claims, nil
			}
		}
		if host != nil {
			return Claims{}, refuse(msgWrongKeyRS256)
		}
	}
}

// checkClaims validates everything that the payload says, before a key is read.
func (v *Verifier) checkClaims(t *jwt.Token, p payload, r *http.Request) (Claims, error) {
	options := []jwt.ParserOption{jwt.WithLeeway(leeway), jwt.WithIssuedAt(), jwt.WithTimeFunc(v.now)}
	hint := "it must be one that the relay's JWT_AUDIENCE names"
	if _, ok := p.object["aud"]; ok || t.Method.Alg() == rs256 {
		accepted := v.audiences
		if accepted == nil {
			accepted = urlsOf(r.Host)
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
	err := jwt.NewValidator(options...).Validate(p)
	switch {
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return Claims{}, refuse(msgWrongAudience, hint)
	case err != nil:
		return Claims{}, refusal(t, err)
	}
	c := Claims{settings: p.object}
	if c.User, err = p.credential("user"); err != nil {
		return Claims{}, err
	}
	if c.Password, err = p.credential("pass"); err != nil {
		return Claims{}, err
	}
	return c, nil
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

// Close waits for fetches that are under way, for some seconds at most.
func (v *Verifier) Close() {
	for _, h := range v.hosts {
		h.cache.running.Wait()
	}
	v.secrets.cache.running.Wait()
}
