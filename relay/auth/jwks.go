package auth

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

const (
	maxJWKS    = 512 << 10
	minRSABits = 2048
	maxRSABits = 8192 // as crypto/tls has it: larger keys make each verification costly
)

// errRedirect says that a JWKS host did not answer itself.
var errRedirect = errors.New("the host answered with a redirect")

// jwksHost is a host and the keys that it publishes.
type jwksHost struct {
	name  string
	http  *http.Client
	cache cached[keySet]
	now   func() time.Time
	log   *slog.Logger
}

// keySet is what a host published at one moment, by kid.
type keySet struct {
	keys    map[string][]jwt.VerificationKey
	faults  map[string]string // why a kid cannot be used
	fetched time.Time
}

func newJWKSHosts(
	names []string, c Config, t timing, now func() time.Time, log *slog.Logger,
) map[string]*jwksHost {
	client := &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // of the environment: who decides about it would decide about the keys
			DialContext:            c.JWKSDialContext,
			TLSClientConfig:        &tls.Config{RootCAs: c.JWKSRootCAs, MinVersion: tls.VersionTLS12},
			MaxResponseHeaderBytes: 64 << 10,
			DisableKeepAlives:      true, // the next fetch is minutes away
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	hosts := map[string]*jwksHost{}
	for _, name := range names {
		h := &jwksHost{name: name, http: client, now: now, log: log.With("jwks_host", name)}
		h.cache = cached[keySet]{timing: t, fetch: h.fetch, now: now}
		hosts[name] = h
	}
	return hosts
}

// host returns the host that a token names by jwks_host, if it is on the list.
func (v *Verifier) host(p payload) (*jwksHost, error) {
	if len(v.hosts) == 0 {
		return nil, refuse("Algorithm of JWT must be HS256", "the relay's JWKS_HOSTS is none")
	}
	name, err := p.text("jwks_host")
	switch {
	case err != nil:
		return nil, refuse(msgWrongJWKSHost, "it must be a string")
	case name == "":
		return nil, refuse(msgNoJWKSHost)
	}
	if fault := hostFault(name); fault != "" {
		return nil, refuse(msgWrongJWKSHost, fault)
	}
	host := v.hosts[name]
	switch {
	case host == nil && quotable(name):
		return nil, refuse(msgWrongJWKSHost, name+" is not on the relay's list JWKS_HOSTS")
	case host == nil:
		return nil, refuse(msgWrongJWKSHost, "it is not on the relay's list JWKS_HOSTS")
	}
	return host, nil
}

// named returns the keys that a kid names. One that is not known yet may cause an early fetch; a signature
// that does not fit causes none, because the key is certain.
func (h *jwksHost) named(ctx context.Context, kid string) ([]jwt.VerificationKey, error) {
	var set *keySet
	for {
		var err error
		set, err = h.cache.get(ctx, set)
		switch {
		case err != nil:
			return nil, h.unreadable(ctx, err)
		case set == nil:
			return nil, refuse(msgKidNotFound)
		case len(set.keys[kid]) > 0:
			return set.keys[kid], nil
		case set.faults[kid] != "":
			return nil, refuse("The key that kid from JWT header names is not accepted", set.faults[kid])
		}
	}
}

// unreadable tells why there is no key set. The host is the operator's choice and not the relay's own
// part, so the caller may know.
func (h *jwksHost) unreadable(ctx context.Context, err error) error {
	why := " did not answer with a key set"
	var network net.Error
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("auth: waiting for a key: %w", ctx.Err())
	case errors.Is(err, errRedirect):
		why = " answered with a redirect, which is not followed"
	case errors.As(err, &network):
		why = " could not be reached"
	}
	refused := refuse(msgWrongJWKSHost, h.name+why)
	refused.cause = err
	return refused
}

// fetch gets the keys. While the host fails, the last ones serve.
func (h *jwksHost) fetch(ctx context.Context, old *keySet) (*keySet, error) {
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
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+h.name+"/.well-known/jwks", nil)
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

// parseKeySet reads a JWK set (RFC 7517). A key that RS256 cannot use is no mistake of the set: it is kept
// by its kid, with the reason.
func parseKeySet(body []byte) (*keySet, error) {
	var published struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(body, &published); err != nil {
		return nil, errors.New("the key set is not the JSON that it should be")
	}
	set := &keySet{keys: map[string][]jwt.VerificationKey{}, faults: map[string]string{}}
	for _, raw := range published.Keys {
		var k publishedKey
		if json.Unmarshal(raw, &k) != nil || k.Kid == "" {
			continue // a kind of key that is not known here, or that no token can name
		}
		if key, fault := k.publicKey(); fault != "" {
			set.faults[k.Kid] = fault
		} else {
			set.keys[k.Kid] = append(set.keys[k.Kid], key)
		}
	}
	if len(set.keys) == 0 {
		return nil, errors.New("the key set has no key for RS256")
	}
	return set, nil
}

// publishedKey is one key of a set, as far as RSA keys go (RFC 7518, section 6.3).
type publishedKey struct {
	Kty string         `json:"kty"`
	Kid string         `json:"kid"`
	Use string         `json:"use"`
	Alg string         `json:"alg"`
	N   string         `json:"n"`
	E   string         `json:"e"`
	D   jsontext.Value `json:"d"`
}

// publicKey returns the RSA key, or why RS256 cannot use it.
func (k publishedKey) publicKey() (key *rsa.PublicKey, fault string) {
	n, errN := base64.RawURLEncoding.Strict().DecodeString(k.N)
	e, errE := base64.RawURLEncoding.Strict().DecodeString(k.E)
	exponent, modulus := new(big.Int).SetBytes(e), new(big.Int).SetBytes(n)
	switch {
	case k.Kty != "RSA":
		return nil, "it is no RSA key"
	case k.D != nil: // published private keys are anybody's
		return nil, "it is a private key"
	case k.Use != "" && k.Use != "sig":
		return nil, "it is not for signatures"
	case k.Alg != "" && k.Alg != rs256:
		return nil, "it is for another algorithm than RS256"
	case errN != nil || errE != nil || exponent.BitLen() < 2 || exponent.BitLen() > 31 || exponent.Bit(0) == 0:
		return nil, "it cannot be read"
	case modulus.BitLen() < minRSABits:
		return nil, fmt.Sprintf("it has fewer than %d bits", minRSABits)
	case modulus.BitLen() > maxRSABits:
		return nil, fmt.Sprintf("it has more than %d bits", maxRSABits)
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, ""
}

// hostFault tells why a string is not the bare lower-case DNS name that a list of hosts consists of, or ""
// if it is one. Nothing is repaired: a name that needs repair is not the name that the operator has looked
// at.
func hostFault(host string) string {
	for _, f := range []struct {
		found bool
		fault string
	}{
		{host == "", "it is empty"},
		{strings.Contains(host, "@"), "user information is not allowed"},
		{strings.ContainsAny(host, `/\?#`), "a scheme or a path is not allowed"},
		{isIP(host), "an IP address is not allowed"},
		{strings.Contains(host, ":"), "a port is not allowed"},
		{strings.HasSuffix(host, "."), "a trailing dot is not allowed"},
		{host != strings.ToLower(host), "upper-case letters are not allowed"},
		{strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "",
			"a character is not allowed in a host name"},
	} {
		if f.found {
			return f.fault
		}
	}
	return ""
}

// isIP reports whether a resolver could take the host for an IP address: in the usual notations, or
// because its last label is a number, which the URL standard reads as IPv4 (2130706433, 0x7f.1).
func isIP(host string) bool {
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	last := strings.TrimSuffix(host, ".")
	last = strings.ToLower(last[strings.LastIndex(last, ".")+1:])
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}
