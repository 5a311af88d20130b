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
	"strconv"
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

func newJWKSClient(c Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // of the environment: who decides about it would decide about the keys
			DialContext:            c.JWKSDialContext,
			TLSClientConfig:        &tls.Config{RootCAs: c.JWKSRootCAs, MinVersion: tls.VersionTLS12},
			MaxResponseHeaderBytes: 64 << 10,
			DisableKeepAlives:      true, // the next fetch is minutes away
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect },
	}
}

// host returns the host that a token names by jwks_host, if it is on the list.
func (v *Verifier) host(p payload) (*jwksHost, error) {
	if len(v.hosts) == 0 {
		return nil, refuse("Algorithm of JWT must be HS256", "the relay's JWKS_HOSTS is none")
	}
	name, ok := p.text("jwks_host")
	host, listed := v.hosts[name]
	fault := hostFault(name)
	switch {
	case listed:
		return host, nil
	case !ok:
		fault = "it must be a string"
	case name == "":
		return nil, refuse(msgNoJWKSHost)
	case fault != "":
	case quotable(name):
		fault = name + " is not on the relay's list JWKS_HOSTS"
	default:
		fault = "it is not on the relay's list JWKS_HOSTS"
	}
	return nil, refuse(msgWrongJWKSHost, fault)
}

// named returns the keys that a kid names. One that is not known yet may cause an early fetch; a
// signature that does not fit causes none, because the key is certain.
func (h *jwksHost) named(ctx context.Context, kid string) ([]jwt.VerificationKey, error) {
	for set := (*keySet)(nil); ; {
		var err error
		set, err = h.cache.get(ctx, set)
		switch {
		case err != nil:
			return nil, err
		case set == nil:
			return nil, refuse(msgKidNotFound)
		case len(set.keys[kid]) > 0:
			return set.keys[kid], nil
		case set.faults[kid] != "":
			return nil, refuse("The key that kid from JWT header names is not accepted", set.faults[kid])
		}
	}
}

// fetch gets the keys. While the host fails, the last ones serve. Where there are none, the error is a
// refusal that tells why: the host is the operator's choice, so the caller may know.
func (h *jwksHost) fetch(ctx context.Context, old *keySet) (*keySet, error) {
	set, err := guarded(ctx, h.get)
	if err == nil {
		set.fetched = h.now()
		h.log.Info("key set read", "keys", len(set.keys))
		return set, nil
	}
	var since time.Time
	if old != nil {
		since = old.fetched
	}
	if servesOn(h.log, "key set", since, h.now(), err) {
		return old, err
	}
	why := " did not answer with a key set"
	if errors.Is(err, errRedirect) {
		why = " answered with a redirect, which is not followed"
	} else if _, ok := errors.AsType[net.Error](err); ok {
		why = " could not be reached"
	}
	refused := refuse(msgWrongJWKSHost, h.name+why)
	refused.cause = err
	return nil, refused
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
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the host answered with status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKS+1))
	if len(body) > maxJWKS {
		return nil, fmt.Errorf("the key set is longer than %d bytes", maxJWKS)
	}
	if err != nil {
		return nil, err
	}
	return parseKeySet(body)
}

// parseKeySet reads a JWK set (RFC 7517). A key that RS256 cannot use is no mistake of the set: it is
// kept by its kid, with the reason.
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

// hostFault tells why a string is not the bare lower-case DNS name that a list of hosts consists of, or
// "" if it is one. Nothing is repaired: a name that needs repair is not the name that the operator looked
// at.
func hostFault(host string) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789.-_"
	switch {
	case host == "":
		return "it is empty"
	case strings.Contains(host, "@"):
		return "user information is not allowed"
	case strings.ContainsAny(host, `/\?#`):
		return "a scheme or a path is not allowed"
	case isIP(host):
		return "an IP address is not allowed"
	case strings.Contains(host, ":"):
		return "a port is not allowed"
	case strings.HasSuffix(host, "."):
		return "a trailing dot is not allowed"
	case host != strings.ToLower(host):
		return "upper-case letters are not allowed"
	case strings.Trim(host, letters) != "":
		return "a character is not allowed in a host name"
	}
	return ""
}

// isIP reports whether a resolver could take the host for an IP address: in the usual notations, or
// because its last label is a number, which the URL standard reads as IPv4 (2130706433, 0x7f.1).
func isIP(host string) bool {
	_, notAddress := netip.ParseAddr(strings.Trim(host, "[]"))
	last := strings.TrimSuffix(host, ".")
	_, notNumber := strconv.ParseUint(last[strings.LastIndex(last, ".")+1:], 0, 64)
	return notAddress == nil || notNumber == nil
}
