package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	hs256    = "HS256"
	rs256    = "RS256"
	leeway   = time.Minute // how far the clocks of signer and relay may be apart
	everyone = "everyone"  // the aud of HS256 module types
)

// Verifier checks the Authorization header of requests. It is safe for concurrent use, and one is enough
// for a process.
type Verifier struct {
	parser    *jwt.Parser
	audiences []string             // in the form of sameAudience; nil: the URL that the request came to
	secrets   *secretKeys          // for HS256; nil: not configured
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
	now, log := c.Now, c.Logger
	if now == nil {
		now = time.Now
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	v := &Verifier{
		// The claims are validated before a key is read, in keys.
		parser: jwt.NewParser(jwt.WithValidMethods([]string{hs256, rs256}), jwt.WithStrictDecoding(),
			jwt.WithoutClaimsValidation()),
		now: now,
	}
	for _, audience := range c.Audiences {
		v.audiences = append(v.audiences, sameAudience(audience))
	}
	remote := timing{5 * time.Minute, 5 * time.Second, time.Minute, time.Minute}
	local := timing{time.Minute, 5 * time.Second, 5 * time.Second, time.Minute}
	v.hosts = newJWKSHosts(hosts, c, remote, now, log)
	switch {
	case c.SecretKey != "":
		v.secrets = newSecretKeys([]source{staticKey(c.SecretKey)}, remote, now, slog.New(slog.DiscardHandler))
	case c.SecretKeyFile != "":
		v.secrets = newSecretKeys([]source{keyFile(c.SecretKeyFile)}, local, now, log)
	case len(names) > 0:
		var sources []source
		for _, name := range names {
			sources = append(sources, newSecretVersion(name, c.SecretManagerOptions))
		}
		v.secrets = newSecretKeys(sources, remote, now, log)
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
	kid, err := checkHeader(v.parser, raw)
	if err != nil {
		return Claims{}, err
	}
	var tried *keyring // of HS256 keys
	for {
		var (
			token  payload
			claims Claims
			keyErr error
		)
		parsed, err := v.parser.ParseWithClaims(raw, &token, func(t *jwt.Token) (any, error) {
			var keys jwt.VerificationKeySet
			var host *jwksHost // for RS256
			switch {
			case t.Method.Alg() == rs256:
				host, keyErr = v.host(token)
			case v.secrets == nil:
				keyErr = refuse(msgNoSecretKey)
			}
			if keyErr == nil {
				claims, keyErr = v.checkClaims(t, token, r)
			}
			switch {
			case keyErr != nil:
			case host != nil:
				keys.Keys, keyErr = host.named(ctx, kid)
			default:
				keys.Keys, tried, keyErr = v.secrets.other(ctx, tried)
			}
			return keys, keyErr
		})
		switch {
		case err == nil:
			return claims, nil
		case keyErr != nil:
			return Claims{}, keyErr
		case tried == nil || !errors.Is(err, jwt.ErrTokenSignatureInvalid):
			return Claims{}, refusal(parsed, err)
		}
		// None of the keys made the signature. The token may be the first that is signed with a newer one.
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
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	addr, err := netip.ParseAddr(name)
	if strings.EqualFold(name, "localhost") || err == nil && addr.IsLoopback() {
		urls = append(urls, sameAudience("http://"+host))
	}
	return urls
}

// Close waits for fetches that are under way, for some seconds at most, and closes the clients.
func (v *Verifier) Close() error {
	for _, h := range v.hosts {
		h.cache.running.Wait()
		h.http.CloseIdleConnections()
	}
	var errs []error
	if v.secrets != nil {
		v.secrets.cache.running.Wait()
		for _, s := range v.secrets.sources {
			if closer, ok := s.(io.Closer); ok {
				errs = append(errs, closer.Close())
			}
		}
	}
	return errors.Join(errs...)
}

// Format hides the keys from every verb.
func (v *Verifier) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, "auth.Verifier") }
