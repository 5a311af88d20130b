package auth

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxJWKS    = 512 << 10
	minRSABits = 2048
	maxRSABits = 8192 // as crypto/tls has it: larger keys make each verification costly
)

func newJWKSTransport(c Config) *http.Transport {
	return &http.Transport{
		Proxy:                  nil, // of the environment: who decides about it would decide about the keys
		DialContext:            c.JWKSDialContext,
		TLSClientConfig:        &tls.Config{RootCAs: c.JWKSRootCAs, MinVersion: tls.VersionTLS12},
		MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives:      true, // the next fetch is minutes away
	}
}

// readJWKS reads the keys that a host publishes.
func readJWKS(transport *http.Transport, host string) readKeys {
	return func(ctx context.Context) ([]key, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/.well-known/jwks", nil)
		if err != nil {
			return nil, err
		}
		resp, err := transport.RoundTrip(req) // not a client's Do, which would follow redirects
		if err != nil {
			return nil, err
		}
		defer func() { _ = resp.Body.Close() }() // all that matters was read
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKS+1))
		switch {
		case resp.StatusCode != http.StatusOK:
			return nil, fmt.Errorf("the host answered with status %d", resp.StatusCode)
		case len(body) > maxJWKS:
			return nil, fmt.Errorf("the key set is longer than %d bytes", maxJWKS)
		case err != nil:
			return nil, err
		}
		return parseKeySet(body)
	}
}

// parseKeySet reads the keys of a JWK set (RFC 7517) that RS256 can use. Others are no mistake of the set.
// A private key among them is none to trust: it is anybody's.
func parseKeySet(body []byte) (keys []key, err error) {
	var published struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(body, &published); err != nil {
		return nil, errors.New("the key set is not the JSON that it should be")
	}
	for _, raw := range published.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) != nil {
			continue
		}
		public, ok := k.Key.(*rsa.PublicKey)
		switch {
		case !ok, k.KeyID == "", k.Use != "" && k.Use != "sig", k.Algorithm != "" && k.Algorithm != "RS256":
		case public.N.BitLen() < minRSABits, public.N.BitLen() > maxRSABits:
		default:
			keys = append(keys, key{k.KeyID, public})
		}
	}
	if keys == nil {
		return nil, errors.New("the key set has no key for RS256")
	}
	return keys, nil
}

// isHost reports whether a string is the bare lower-case DNS name that a list of hosts consists of. Nothing
// is repaired: a name that needs repair is not the name that the operator looked at. A last label that
// begins with a digit is none, since a resolver may take the name for an IP address (2130706433, 0x7f.1).
func isHost(name string) bool {
	return regexp.MustCompile(`^([a-z0-9_-]+\.)*[a-z_][a-z0-9_-]*$`).MatchString(name)
}
