package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func rsToken() *http.Request { return bearing(signRS(rsaKey(), rsHeader(), rsClaims())) }

func withKid(kid string) *http.Request {
	return bearing(signRS(rsaKey(), with(rsHeader(), fields{"kid": kid}), rsClaims()))
}

func TestRS256TokenVerifies(t *testing.T) {
	w := newWorld(t)
	// Keys that RS256 cannot use, and things that are no keys, do no harm to the one that it can.
	w.keys.publish(
		fields{"kty": "EC", "kid": "ec", "crv": "P-256", "x": "x", "y": "y"},
		fields{"kty": "future", "kid": "future"},
		fields{"kty": "RSA"},
		jwk("k1", rsaKey()),
	)
	v := w.verifier(t, w.config)
	assert.Zero(t, w.jwks.conns.Load(), "no connection before the first request")
	for range 3 {
		claims, err := v.Verify(t.Context(), rsToken())
		require.NoError(t, err)
		assert.Equal(t, canaryUser, claims.User)
		assert.Equal(t, canaryPassword, claims.Password)
	}
	assert.EqualValues(t, 1, w.jwks.hits.Load())
}

func TestKeysThatRS256CannotUse(t *testing.T) {
	private := with(jwk("bad", rsaKey()), fields{"d": "AQAB"})
	wholePrivate, err := jose.JSONWebKey{Key: rsaKey(), KeyID: "bad"}.MarshalJSON()
	require.NoError(t, err)
	var whole fields
	require.NoError(t, json.Unmarshal(wholePrivate, &whole))
	for _, tt := range []struct {
		name string
		key  fields
	}{
		{"a key of 1024 bits", jwk("bad", shortRSA())},
		{"a key for encryption", with(jwk("bad", rsaKey()), fields{"use": "enc"})},
		{
			"a key for RS512", with(jwk("bad", rsaKey()), fields{"alg": "RS512"}),
		},
		{"an elliptic curve key", fields{"kty": "EC", "kid": "bad", "crv": "P-256"}},
		{"a shared secret", fields{"kty": "oct", "kid": "bad", "k": "AQAB"}},
		{"a private key", private},
		{"a private key with its primes", whole},
		{"a key without a name", with(jwk("bad", rsaKey()), fields{"kid": nil})},
		{"a key without a modulus", with(jwk("bad", rsaKey()), fields{"n": nil})},
		{"a key whose exponent is 1", with(jwk("bad", rsaKey()), fields{"e": "AQ"})},
		{"a key with padding", with(jwk("bad", rsaKey()), fields{"e": "AQAB=="})},
		{
			"a key of 32768 bits", with(jwk("bad", rsaKey()), fields{"n": strings.Repeat("z", 5464)}),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.keys.publish(tt.key, jwk("k1", rsaKey()))
			v := w.verifier(t, w.config)
			signer := rsaKey()
			if tt.name == "a key of 1024 bits" {
				signer = shortRSA()
			}
			_, err := v.Verify(
				t.Context(), bearing(signRS(signer, with(rsHeader(), fields{"kid": "bad"}), rsClaims())),
			)
			requireRefused(t, err, msgKidNotFound)
		})
	}
}

func TestKeysWithoutUseAndAlgAreAccepted(t *testing.T) {
	w := newWorld(t)
	w.keys.publish(with(jwk("k1", rsaKey()), fields{"use": nil, "alg": nil}))
	v := w.verifier(t, w.config)
	_, err := v.Verify(t.Context(), rsToken())
	require.NoError(t, err)
}

func TestTwoKeysWithOneKidBothVerify(t *testing.T) {
	w := newWorld(t)
	w.keys.publish(jwk("k1", foreignRSA()), jwk("k1", rsaKey()))
	v := w.verifier(t, w.config)
	_, err := v.Verify(t.Context(), rsToken())
	require.NoError(t, err)
}

func TestJWKSHostFailures(t *testing.T) {
	respond := func(status int, body string) func(*world, *Config) {
		return func(w *world, _ *Config) {
			w.keys.instead(func(rw http.ResponseWriter, _ *http.Request) {
				rw.WriteHeader(status)
				_, _ = rw.Write([]byte(body))
			})
		}
	}
	for _, tt := range []struct {
		name  string
		spoil func(*world, *Config)
		cause string
	}{
		{"not found", respond(404, "not found"), "status 404"},
		{"server error", respond(500, `{"keys":[]}`), "status 500"},
		{"not JSON", respond(200, "<html>"), "not the JSON"},
		{"a list", respond(200, "[]"), "not the JSON"},
		{"no keys", respond(200, `{}`), "no key for RS256"},
		{"empty", respond(200, ""), "not the JSON"},
		{
			"too long", respond(200, `{"keys":[],"x":"`+strings.Repeat("x", maxJWKS)+`"}`),
			"longer than",
		},
		{"redirect to itself", func(w *world, _ *Config) {
			w.keys.instead(func(rw http.ResponseWriter, r *http.Request) {
				http.Redirect(rw, r, "/.well-known/jwks", http.StatusFound)
			})
		}, "status 302"},
		{"cut off", func(w *world, _ *Config) {
			w.keys.instead(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Length", "1000")
				_, _ = rw.Write([]byte(`{"keys":[`))
			})
		}, "unexpected EOF"},
		{"connection refused", func(_ *world, c *Config) {
			c.JWKSDialContext = func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
			}
		}, "connection refused"},
		{
			"a certificate of an unknown authority",
			func(_ *world, c *Config) { c.JWKSRootCAs = newAuthority(t).pool }, "certificate signed by unknown authority",
		},
		{"a certificate for another name", func(w *world, c *Config) {
			c.JWKSDialContext = dialing(map[string]*tlsHost{jwksName + ":443": w.canary})
		}, "certificate is valid for canary.example.com"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			c := w.config
			tt.spoil(w, &c)
			v := w.verifier(t, c)
			_, err := v.Verify(t.Context(), rsToken())
			requireRefused(t, err, msgWrongJWKSHost+": visibility.amp.cisco.com did not answer with a key set")
			assert.Contains(t, w.logs.String(), "keys cannot be read")
			assert.Contains(t, w.logs.String(), tt.cause)

			hits := w.jwks.hits.Load()
			_, err = v.Verify(t.Context(), rsToken())
			require.Error(t, err)
			assert.Equal(t, hits, w.jwks.hits.Load(), "not requested again at once")
		})
	}
}

func TestJWKSHostThatHangs(t *testing.T) {
	w := newWorld(t)
	left := make(chan struct{})
	w.keys.instead(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(left)
	})
	v := w.verifier(t, w.config)
	v.hosts[jwksName].timeout = 50 * time.Millisecond
	_, err := v.Verify(t.Context(), rsToken())
	requireRefused(t, err, msgWrongJWKSHost+": visibility.amp.cisco.com did not answer with a key set")
	<-left
}

func TestCallerThatGivesUpOnAJWKSHostGetsItsOwnError(t *testing.T) {
	w := newWorld(t)
	requested, release := make(chan struct{}), make(chan struct{})
	w.keys.instead(func(http.ResponseWriter, *http.Request) {
		close(requested)
		<-release
	})
	v := w.verifier(t, w.config)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-requested
		cancel()
	}()
	_, err := v.Verify(ctx, rsToken())
	require.ErrorIs(t, err, context.Canceled)
	assert.NotErrorAs(t, err, new(*Error), "the host has not failed")
	close(release)
}

func TestOldKeySetServesWhileTheHostIsDown(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(t, w.config)
	_, err := v.Verify(t.Context(), rsToken())
	require.NoError(t, err)
	w.keys.instead(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
	for hour := range 23 {
		w.clock.advance(time.Hour)
		for range 10 {
			_, err = v.Verify(t.Context(), rsToken())
			require.NoError(t, err)
		}
		assert.EqualValues(t, hour+2, w.jwks.hits.Load(), "one request in each pause")
	}
	_, err = v.Verify(t.Context(), withKid("other"))
	requireRefused(t, err, msgKidNotFound)
	w.clock.advance(2 * time.Hour)
	_, err = v.Verify(t.Context(), rsToken())
	requireRefused(t, err, msgWrongJWKSHost+": visibility.amp.cisco.com did not answer with a key set")
	w.keys.instead(nil)
	w.clock.advance(time.Minute)
	_, err = v.Verify(t.Context(), rsToken())
	require.NoError(t, err)
}

func TestNewKidIsFetchedAtOnce(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(t, w.config)
	_, err := v.Verify(t.Context(), rsToken())
	require.NoError(t, err)
	w.keys.publish(jwk("k2", rsaKey()))
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			_, err := v.Verify(t.Context(), withKid("k2"))
			assert.NoError(t, err)
		})
	}
	all.Wait()
	assert.EqualValues(t, 2, w.jwks.hits.Load())
	_, err = v.Verify(t.Context(), rsToken())
	requireRefused(t, err, msgKidNotFound) // what the host has withdrawn is withdrawn
}

func TestNewKeyUnderAnOldKidIsFetchedAtOnce(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(t, w.config)
	_, err := v.Verify(t.Context(), rsToken())
	require.NoError(t, err)
	w.keys.publish(jwk("k1", foreignRSA()))
	_, err = v.Verify(t.Context(), bearing(signRS(foreignRSA(), rsHeader(), rsClaims())))
	require.NoError(t, err)
	_, err = v.Verify(t.Context(), rsToken())
	requireRefused(t, err, msgWrongKeyRS256)
	assert.EqualValues(t, 2, w.jwks.hits.Load())
}

func TestUnknownKidsCauseOneEarlyFetchAMinute(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(t, w.config)
	storm := func() {
		var all sync.WaitGroup
		for n := range 10 {
			all.Go(func() {
				for i := range 20 {
					_, err := v.Verify(t.Context(), withKid(fmt.Sprint("kid-", n, "-", i)))
					assert.Error(t, err)
				}
			})
		}
		all.Wait()
	}
	_, err := v.Verify(t.Context(), rsToken())
	require.NoError(t, err)
	storm()
	assert.EqualValues(t, 2, w.jwks.hits.Load())
	w.clock.advance(59 * time.Second)
	storm()
	assert.EqualValues(t, 2, w.jwks.hits.Load())
	w.clock.advance(time.Second)
	storm()
	assert.EqualValues(t, 3, w.jwks.hits.Load())
}

func TestProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	w := newWorld(t)
	t.Setenv("HTTPS_PROXY", "http://"+w.canary.addr)
	v := w.verifier(t, w.config)
	_, err := v.Verify(t.Context(), rsToken())
	require.NoError(t, err)
	assert.Zero(t, w.canary.conns.Load())
	assert.Nil(t, newJWKSTransport(w.config).Proxy)
}
