package auth

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

const (
	jwksPath   = "/.well-known/jwks"
	maxJWKS    = 512 << 10
	minRSABits = 2048
)

// errRedirect says that a JWKS host did not answer itself.
var errRedirect = errors.New("the host answered with a redirect")

// rs256 is the door for tokens that a JWKS host vouches for. Its hosts are
// fixed when it is made: no request can add one.
type rs256 struct {
	hosts map[string]*jwksHost
}

// jwksHost is a host and its keys.
type jwksHost struct {
	name  string
	http  *http.Client
	cache cached[keySet]
	now   func() time.Time
	log   *slog.Logger
}

// keySet is what a host published at one moment, by kid.
type keySet struct {
	keys    map[string][]*rsa.PublicKey
	faults  map[string]string // why a kid cannot be used
	fetched time.Time
}

func newRS256(hosts []string, c Config, t timing, now func() time.Time, log *slog.Logger) *rs256 {
	dial := c.JWKSDialContext
	if dial == nil {
		dial = (&net.Dialer{Timeout: 3 * time.Second}).DialContext
	}
	client := &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // whatever the environment says: who decides about the proxy would decide about the keys
			DialContext:            dial,
			TLSClientConfig:        &tls.Config{RootCAs: c.JWKSRootCAs, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    3 * time.Second,
			ResponseHeaderTimeout:  3 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
			DisableKeepAlives:      true, // the next fetch is minutes away
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	d := &rs256{hosts: map[string]*jwksHost{}}
	for _, name := range hosts {
		h := &jwksHost{name: name, http: client, now: now, log: log.With("jwks_host", name)}
		h.cache = cached[keySet]{timing: t, fetch: h.fetch, now: now}
		d.hosts[name] = h
	}
	return d
}

// host returns the host that the token's jwks_host claim names, if it is on the list.
func (d *rs256) host(claims object) (*jwksHost, error) {
	if len(d.hosts) == 0 {
		return nil, refuse("Algorithm of JWT must be HS256", "the relay's JWKS_HOSTS is none")
	}
	name, ok, err := claims.text("jwks_host")
	switch {
	case err != nil:
		return nil, refuse(msgWrongJWKSHost, "it must be a string")
	case !ok || name == "":
		return nil, refuse(msgNoJWKSHost)
	}
	if fault := hostFault(name); fault != "" {
		return nil, refuse(msgWrongJWKSHost, fault)
	}
	h := d.hosts[name]
	if h == nil {
		return nil, refuse(msgWrongJWKSHost, shown(name)+" is not on the relay's list JWKS_HOSTS")
	}
	return h, nil
}

// verify checks the signature with the key that the token's kid names. A kid
// that is not known yet may cause one early fetch; a signature that does not
// fit may not, because the key is certain.
func (h *jwksHost) verify(ctx context.Context, t token) error {
	set, err := h.cache.get(ctx)
	for range 3 {
		if err != nil {
			return h.unreadable(ctx, err)
		}
		if set == nil {
			break
		}
		for _, key := range set.keys[t.kid] {
			if jwt.SigningMethodRS256.Verify(t.signed, t.signature, key) == nil {
				return nil
			}
		}
		if len(set.keys[t.kid]) > 0 {
			return refuse(msgWrongKeyRS256)
		}
		if fault := set.faults[t.kid]; fault != "" {
			return refuse("The key that kid from JWT header names is not accepted", fault)
		}
		set, err = h.cache.newer(ctx, set)
	}
	return refuse(msgKidNotFound)
}

// unreadable tells why there is no key set. The host is the operator's choice
// and not the relay's own part, so the caller may know.
func (h *jwksHost) unreadable(ctx context.Context, err error) error {
	var network net.Error
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("auth: waiting for a key: %w", ctx.Err())
	case errors.Is(err, errRedirect):
		return refuse(msgWrongJWKSHost, h.name+" answered with a redirect, which is not followed").because(err)
	case errors.As(err, &network):
		return refuse(msgWrongJWKSHost, h.name+" could not be reached").because(err)
	}
	return refuse(msgWrongJWKSHost, h.name+" did not answer with a key set").because(err)
}

// fetch gets the keys. While the host fails, the last ones serve.
func (h *jwksHost) fetch(ctx context.Context, old *keySet, _ bool) (*keySet, error) {
	set, err := h.get(ctx)
	switch {
	case err == nil:
		set.fetched = h.now()
		h.log.Info("key set read", "keys", len(set.keys))
		return set, nil
	case old == nil:
		h.log.Error("key set cannot be read", "error", err)
		return nil, err
	case h.now().Sub(old.fetched) >= staleFor:
		h.log.Error("key set could not be read for a day and is no longer accepted", "error", err)
		return nil, err
	}
	h.log.Warn("key set cannot be read, the last one stays in use", "error", err)
	return old, err
}

func (h *jwksHost) get(ctx context.Context) (*keySet, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+h.name+jwksPath, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := h.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // all that matters was read
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil, errRedirect
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the host answered with status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKS+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxJWKS:
		return nil, fmt.Errorf("the key set is longer than %d bytes", maxJWKS)
	}
	return parseKeySet(body)
}

// parseKeySet reads a JWK set (RFC 7517). A key that RS256 cannot use is no
// mistake of the set: it is kept by its kid, with the reason.
func parseKeySet(body []byte) (*keySet, error) {
	var published struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &published); err != nil {
		return nil, errors.New("the key set is not the JSON that it should be")
	}
	set := &keySet{keys: map[string][]*rsa.PublicKey{}, faults: map[string]string{}}
	for _, raw := range published.Keys {
		kid, key, fault := parseKey(raw)
		switch {
		case kid == "":
		case fault != "":
			set.faults[kid] = fault
		default:
			set.keys[kid] = append(set.keys[kid], key)
		}
	}
	if len(set.keys) == 0 {
		return nil, errors.New("the key set has no key for RS256")
	}
	return set, nil
}

// parseKey reads one key of a set, and says what is wrong with it.
func parseKey(raw []byte) (kid string, key *rsa.PublicKey, fault string) {
	var head struct {
		Kty, Kid, Use, Alg string
		D                  json.RawMessage
	}
	if err := json.Unmarshal(raw, &head); err != nil || head.Kid == "" {
		return "", nil, ""
	}
	switch {
	case head.Kty != "RSA":
		return head.Kid, nil, "it is no RSA key"
	case head.D != nil: // published private keys are anybody's, and costly to parse
		return head.Kid, nil, "it is a private key"
	case head.Use != "" && head.Use != "sig":
		return head.Kid, nil, "it is not for signatures"
	case head.Alg != "" && head.Alg != jwt.SigningMethodRS256.Alg():
		return head.Kid, nil, "it is for another algorithm than RS256"
	}
	var jwk jose.JSONWebKey
	if err := json.Unmarshal(raw, &jwk); err != nil {
		return head.Kid, nil, "it cannot be read"
	}
	key, ok := jwk.Key.(*rsa.PublicKey)
	switch {
	case !ok || !jwk.Valid():
		return head.Kid, nil, "it is no RSA key"
	case key.N.BitLen() < minRSABits:
		return head.Kid, nil, fmt.Sprintf("it has fewer than %d bits", minRSABits)
	}
	return head.Kid, key, ""
}
