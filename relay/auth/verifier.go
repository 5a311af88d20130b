package auth

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Verifier checks the Authorization header of requests. It is safe for
// concurrent use, and one is enough for a process.
type Verifier struct {
	rules   rules
	hs256   *hs256 // nil: the door is closed
	rs256   *rs256
	secrets *secretManager // nil where no secret is named
	now     func() time.Time
}

// New validates the configuration. It reads no file, makes no client and asks
// nobody: keys are read by the first request that needs them.
func New(c Config) (*Verifier, error) {
	r, err := c.rules()
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

	remote := timing{ttl: 5 * time.Minute, timeout: 5 * time.Second, maxPause: time.Minute, earlyGap: time.Minute}
	v := &Verifier{rules: r, now: now, rs256: newRS256(r.jwksHosts, c, remote, now, log)}
	switch {
	case len(r.secretKey.key) > 0:
		v.hs256 = newStaticHS256(r.secretKey, now)
	case c.SecretKeyFile != "":
		local := timing{ttl: 5 * time.Second, timeout: 5 * time.Second, maxPause: 5 * time.Second, earlyGap: time.Minute}
		file := &keyFile{path: c.SecretKeyFile, now: now, ttl: remote.ttl}
		v.hs256 = newHS256([]source{file}, local, now, log)
	case len(r.secretNames) > 0:
		v.secrets = newSecretManager(c.SecretManagerOptions)
		var sources []source
		for _, name := range r.secretNames {
			if name.Version == "" {
				name.Version = "latest"
			}
			sources = append(sources, secretVersion{name, v.secrets})
		}
		v.hs256 = newHS256(sources, remote, now, log)
	}
	return v, nil
}

// Verify returns what the request's token says. The errors are *[Error] for a
// request that is refused, [ErrKeyUnavailable], or the error of ctx when it
// ended while a key was being fetched. Claims are empty with every error.
func (v *Verifier) Verify(ctx context.Context, r *http.Request) (Claims, error) {
	raw, err := bearer(r.Header)
	if err != nil {
		return Claims{}, err
	}
	t, err := parseToken(raw)
	if err != nil {
		return Claims{}, err
	}
	signature, err := v.door(t)
	if err != nil {
		return Claims{}, err
	}
	claims, err := v.rules.checkClaims(t, r, v.now)
	if err != nil {
		return Claims{}, err
	}
	if err := signature(ctx, t); err != nil {
		return Claims{}, err
	}
	return claims, nil
}

// door returns the check of the signature that the token's algorithm calls for.
func (v *Verifier) door(t token) (func(context.Context, token) error, error) {
	if t.alg == jwt.SigningMethodHS256.Alg() {
		if v.hs256 == nil {
			return nil, refuse(msgNoSecretKey)
		}
		return v.hs256.verify, nil
	}
	host, err := v.rs256.host(t.claims)
	if err != nil {
		return nil, err
	}
	return host.verify, nil
}

// Close waits for fetches that are under way, for some seconds at most, and
// closes the clients.
func (v *Verifier) Close() error {
	if v.hs256 != nil {
		v.hs256.cache.running.Wait()
	}
	for _, h := range v.rs256.hosts {
		h.cache.running.Wait()
		h.http.CloseIdleConnections()
	}
	if v.secrets == nil {
		return nil
	}
	return v.secrets.close()
}

// Format hides the keys from every verb.
func (v *Verifier) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, "auth.Verifier") }
