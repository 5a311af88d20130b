package auth

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"regexp"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxJWKS    = 512 << 10
	minRSABits = 2048
	maxRSABits = 8192 // as crypto/tls has it: larger keys make each verification costly
)

func newJWKSClient(c Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // of the environment: who decides about it would decide about the keys
			DialContext:            c.JWKSDialContext,
			TLSClientConfig:        &tls.Config{RootCAs: c.JWKSRootCAs, MinVersion: tls.VersionTLS12},
			MaxResponseHeaderBytes: 64 << 10,
			DisableKeepAlives:      true, // the next fetch is minutes away
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// noKeys tells why a token could not be verified at all. A JWKS host is the operator's choice, so the caller
// may know what is wrong with it.
func (t *token) noKeys(cause error) error {
	if t.kid == "" {
		return fmt.Errorf("%w: %w", ErrKeyUnavailable, cause)
	}
	host, _ := t.payload.text("jwks_host")
	if _, ok := errors.AsType[net.Error](cause); ok {
		return refuse(msgWrongJWKSHost, host+" could not be reached")
	}
	return refuse(msgWrongJWKSHost, host+" did not answer with a key set")
}

// readJWKS reads the keys that a host publishes.
func readJWKS(client *http.Client, host string) readKeys {
	return func(ctx context.Context) ([]key, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/.well-known/jwks", nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Accept", "application/json")
		resp, err := client.Do(req)
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
}

// parseKeySet reads a JWK set (RFC 7517). A key that RS256 cannot use is no mistake of the set: its name is
// kept without it.
func parseKeySet(body []byte) (keys []key, err error) {
	var published struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(body, &published); err != nil {
		return nil, errors.New("the key set is not the JSON that it should be")
	}
	usable := false
	for _, raw := range published.Keys {
		var k publishedKey
		if json.Unmarshal(raw, &k) != nil || k.Kid == "" {
			continue // a kind of key that is not known here, or that no token can name
		}
		found := key{kid: k.Kid}
		if public := k.publicKey(); public != nil {
			found.value, usable = public, true
		}
		keys = append(keys, found)
	}
	if !usable {
		return nil, errors.New("the key set has no key for RS256")
	}
	return keys, nil
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

// publicKey returns the RSA key, or nil where RS256 cannot use it. A private key that is published is
// anybody's.
func (k publishedKey) publicKey() *rsa.PublicKey {
	n, errN := base64.RawURLEncoding.Strict().DecodeString(k.N)
	e, errE := base64.RawURLEncoding.Strict().DecodeString(k.E)
	exponent, modulus := new(big.Int).SetBytes(e), new(big.Int).SetBytes(n)
	switch {
	case k.Kty != "RSA", k.D != nil, k.Use != "" && k.Use != "sig", k.Alg != "" && k.Alg != rs256:
	case errN != nil, modulus.BitLen() < minRSABits, modulus.BitLen() > maxRSABits:
	case errE != nil, exponent.BitLen() < 2, exponent.BitLen() > 31, exponent.Bit(0) == 0:
	default:
		return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}
	}
	return nil
}

// isHost reports whether a string is the bare lower-case DNS name that a list of hosts consists of. Nothing
// is repaired: a name that needs repair is not the name that the operator looked at. A last label that
// begins with a digit is none, since a resolver may take the name for an IP address (2130706433, 0x7f.1).
func isHost(name string) bool {
	return regexp.MustCompile(`^([a-z0-9_-]+\.)*[a-z_][a-z0-9_-]*$`).MatchString(name)
}
