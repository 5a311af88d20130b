package auth

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// attack is a request that must be refused.
type attack struct {
	name    string
	request *http.Request
	message string
	needs   bool // the answer depends on a key, so a relay that has none yet reads one
}

func attacks(w *world) []attack {
	const (
		offTheList  = msgWrongJWKSHost + ": it is not on the relay's list JWKS_HOSTS"
		badKey      = "Failed to decode JWT with provided key: it is not signed with the relay's SECRET_KEY"
		audience    = "Wrong configuration-token-audience: "
		notThisURL  = audience + "it must be the URL that the request came to, without a path"
		notAudience = audience + "aud in JWT payload must be a string or a list of strings"
		structure   = "Wrong JWT structure: "
		content     = "Wrong JWT payload structure: "
		badRSAKey   = "Failed to decode JWT with provided key. " +
			"Make sure domain in custom_jwks_host corresponds to your SecureX instance region."
		noHost = "jwks_host is missing in JWT payload. Make sure custom_jwks_host field is present in module_type"
	)
	now := w.clock.Now().Unix()
	der, err := x509.MarshalPKIXPublicKey(rsaKey().Public())
	if err != nil {
		panic(err)
	}
	publicPEM := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	hs := func(changes fields) *http.Request {
		return bearing(signHS(canaryKey, hsHeader(), with(hsClaims(), changes)))
	}
	hsHead := func(changes fields) *http.Request {
		return bearing(signHS(canaryKey, with(hsHeader(), changes), hsClaims()))
	}
	hsText := func(header, payload string) *http.Request { return bearing(signHS(canaryKey, header, payload)) }
	rs := func(changes fields) *http.Request {
		return bearing(signRS(rsaKey(), rsHeader(), with(rsClaims(), changes)))
	}
	rsHead := func(changes fields) *http.Request {
		return bearing(signRS(rsaKey(), with(rsHeader(), changes), rsClaims()))
	}
	good := signHS(canaryKey, hsHeader(), hsClaims())
	parts := strings.Split(good, ".")
	embedded := jwk("k1", foreignRSA())

	list := []attack{
		// The header of the request.
		{name: "no authorization header", request: request(), message: "Authorization header is missing"},
		{name: "empty authorization header", request: request(""), message: "Authorization header is missing"},
		{
			name: "two authorization headers", request: request("Bearer "+good, "Bearer "+good),
			message: "More than one Authorization header",
		},
		{name: "basic authorization", request: request("Basic " + good), message: "Wrong authorization type"},
		{name: "a token without scheme", request: request(good), message: "Wrong authorization type"},
		{
			name: "a scheme without token", request: request("Bearer "),
			message: "Wrong authorization type: one JWT is expected after Bearer",
		},
		{
			name: "two tokens in a header", request: request("Bearer " + good + " " + good),
			message: "Wrong authorization type: one JWT is expected after Bearer",
		},
		{
			name: "a token of 1 MiB", request: hs(fields{"x": strings.Repeat("x", 1<<20)}),
			message: "JWT is too long. At most 16 KiB are accepted",
		},

		// The structure of the token.
		{
			name: "two parts", request: bearing(parts[0] + "." + parts[1]),
			message: structure + "three parts with dots between them are expected",
		},
		{
			name: "five parts, as an encrypted token has", request: bearing(good + ".e.e"),
			message: structure + "three parts with dots between them are expected",
		},
		{
			name: "padding", request: bearing(parts[0] + "==." + parts[1] + "." + parts[2]),
			message: structure + "a part is not base64url without padding",
		},
		{
			name: "the base64 alphabet with plus and slash", request: bearing(parts[0] + "." + parts[1] + ".+/+/"),
			message: structure + "a part is not base64url without padding",
		},
		{
			name: "stray bits in the last letter", request: bearing(parts[0] + "." + parts[1] + ".AB"),
			message: structure + "a part is not base64url without padding",
		},
		{
			name: "header is not JSON", request: hsText("x", "{}"),
			message: structure + "header is not a JSON object",
		},
		{
			name: "header is a list", request: hsText(`["HS256"]`, "{}"),
			message: structure + "header is not a JSON object",
		},
		{
			name: "payload is a string", request: hsText(`{"alg":"HS256"}`, `"user"`),
			message: content + "payload is not a JSON object",
		},
		{
			name: "payload with something behind", request: hsText(`{"alg":"HS256"}`, `{} {}`),
			message: content + "payload is not a JSON object",
		},
		{
			name: "payload is not UTF-8", request: hsText(`{"alg":"HS256"}`, "{\"user\":\"\xff\"}"),
			message: content + "payload is not a JSON object",
		},
		{
			name: "payload with a number for a key", request: hsText(`{"alg":"HS256"}`, `{1:2}`),
			message: content + "payload is not a JSON object",
		},
		{
			name: "payload with a broken value", request: hsText(`{"alg":"HS256"}`, `{"user":x}`),
			message: content + "payload is not a JSON object",
		},
		{
			name: "payload is cut off", request: hsText(`{"alg":"HS256"}`, `{"user":"u","pass":"p"`),
			message: content + "payload is not a JSON object",
		},
		{
			name: "duplicate header parameters", request: hsText(`{"alg":"HS256","alg":"none"}`, "{}"),
			message: structure + "header has the same key twice",
		},
		{
			name: "duplicate claims", request: hsText(`{"alg":"HS256"}`, `{"user":"a","pass":"p","user":"b"}`),
			message: content + "payload has the same key twice",
		},
		{
			name:    "duplicate claims far down",
			request: hsText(`{"alg":"HS256"}`, `{"user":"a","pass":"p","x":[{"y":1,"y":2}]}`),
			message: content + "payload has the same key twice",
		},
		{
			name: "payload is null", request: hsText(`{"alg":"HS256"}`, `null`),
			message: content + "payload is not a JSON object",
		},
		{
			name: "header is null", request: hsText(`null`, `{}`),
			message: structure + "header is not a JSON object",
		},
		{
			name:    "duplicate claims in two spellings",
			request: hsText(`{"alg":"HS256"}`, `{"user":"a","pass":"p","us\u0065r":"b"}`),
			message: content + "payload has the same key twice",
		},

		// The header of the token.
		{
			name: "no alg", request: hsHead(fields{"alg": nil}),
			message: "Algorithm of JWT must be HS256 or RS256",
		},
		{
			name: "alg is a list", request: hsHead(fields{"alg": []string{"HS256"}}),
			message: "Algorithm of JWT must be HS256 or RS256",
		},
		{
			name: "alg in a key of another case", request: hsText(`{"ALG":"HS256"}`, "{}"),
			message: "Algorithm of JWT must be HS256 or RS256",
		},
		{
			name: "alg with markup", request: hsHead(fields{"alg": "<script>" + strings.Repeat("x", 100)}),
			message: "Algorithm of JWT must be HS256 or RS256",
		},
		{
			name: "alg of 100 letters", request: hsHead(fields{"alg": strings.Repeat("x", 100)}),
			message: "Algorithm of JWT must be HS256 or RS256",
		},
		{
			name: "alg with a letter that is none in ASCII", request: hsHead(fields{"alg": "HS256\u212a"}),
			message: "Algorithm of JWT must be HS256 or RS256",
		},
		{
			name: "crit", request: hsHead(fields{"crit": []string{"exp"}}),
			message: "crit in JWT header is not accepted",
		},
		{
			name: "kid is a number", request: rsHead(fields{"kid": 1}),
			message: structure + "kid in JWT header must be a string",
		},
		{name: "RS256 without kid", request: rsHead(fields{"kid": nil}), message: "kid is missing in JWT header"},
		{
			name: "RS256 with an empty kid", request: rsHead(fields{"kid": ""}),
			message: "kid is missing in JWT header",
		},
		{
			name: "jku", request: rsHead(fields{"jku": "https://" + w.canary.addr + "/jwks"}),
			message: "jku in JWT header is not accepted",
		},
		{
			name: "x5u", request: rsHead(fields{"x5u": "https://" + w.canary.addr + "/cert"}),
			message: "x5u in JWT header is not accepted",
		},
		{
			name:    "jwk",
			request: bearing(signRS(foreignRSA(), with(rsHeader(), fields{"jwk": embedded}), rsClaims())),
			message: "jwk in JWT header is not accepted",
		},
		{
			name: "x5c", request: rsHead(fields{"x5c": []string{"MIIB"}}),
			message: "x5c in JWT header is not accepted",
		},

		// Keys of the wrong kind, of somebody else, or none.
		{
			name:    "HS256 signed with the RSA public key as PEM",
			request: bearing(signHS(publicPEM, hsHeader(), rsClaims())), needs: true,
			message: badKey,
		},
		{
			name:    "HS256 signed with the RSA public key as DER",
			request: bearing(signHS(string(der), with(hsHeader(), fields{"kid": "k1"}), rsClaims())), needs: true,
			message: badKey,
		},
		{
			name:    "HS256 signed with another key",
			request: bearing(signHS(canaryKey2, hsHeader(), hsClaims())), needs: true,
			message: badKey,
		},
		{
			name:    "HS256 signed with nothing",
			request: bearing(signHS("", hsHeader(), hsClaims())), needs: true,
			message: badKey,
		},
		{
			name:    "HS256 without a signature",
			request: bearing(parts[0] + "." + parts[1] + "."), needs: true,
			message: badKey,
		},
		{
			name:    "HS256 with a changed payload",
			request: bearing(parts[0] + "." + encode(with(hsClaims(), fields{"user": "other"})) + "." + parts[2]),
			needs:   true,
			message: badKey,
		},
		{
			name:    "RS256 signed with the shared secret",
			request: bearing(signHS(canaryKey, rsHeader(), rsClaims())), needs: true,
			message: badRSAKey,
		},
		{
			name:    "RS256 signed with another key under a known kid",
			request: bearing(signRS(foreignRSA(), rsHeader(), rsClaims())), needs: true,
			message: badRSAKey,
		},
		{
			name:    "foreign kid",
			request: bearing(signRS(foreignRSA(), with(rsHeader(), fields{"kid": "mine"}), rsClaims())), needs: true,
			message: "kid from JWT header not found in API response",
		},

		// jwks_host.
		{name: "no jwks_host", request: rs(fields{"jwks_host": nil}), message: noHost},
		{
			name: "jwks_host is a list", request: rs(fields{"jwks_host": []string{jwksName}}),
			message: noHost,
		},
		{name: "jwks_host is empty", request: rs(fields{"jwks_host": ""}), message: noHost},
		{
			name: "jwks_host off the list", request: rs(fields{"jwks_host": "canary.example.com"}),
			message: offTheList,
		},
		{
			name: "jwks_host below a listed one", request: rs(fields{"jwks_host": "evil." + jwksName}),
			message: offTheList,
		},
		{
			name: "jwks_host beside a listed one", request: rs(fields{"jwks_host": jwksName + ".evil.example"}),
			message: offTheList,
		},
		{
			name: "jwks_host with a path", request: rs(fields{"jwks_host": jwksName + "/keys"}),
			message: offTheList,
		},
		{
			name: "jwks_host with a scheme", request: rs(fields{"jwks_host": "https://" + jwksName}),
			message: offTheList,
		},
		{
			name: "jwks_host with a query", request: rs(fields{"jwks_host": jwksName + "?x"}),
			message: offTheList,
		},
		{
			name: "jwks_host with a backslash", request: rs(fields{"jwks_host": jwksName + `\.evil.example`}),
			message: offTheList,
		},
		{
			name: "jwks_host with a port", request: rs(fields{"jwks_host": jwksName + ":443"}),
			message: offTheList,
		},
		{
			name:    "jwks_host with user information",
			request: rs(fields{"jwks_host": jwksName + "@canary.example.com"}),
			message: offTheList,
		},
		{
			name: "jwks_host is an IP", request: rs(fields{"jwks_host": "127.0.0.1"}),
			message: offTheList,
		},
		{
			name: "jwks_host is an IPv6", request: rs(fields{"jwks_host": "[::1]"}),
			message: offTheList,
		},
		{
			name: "jwks_host is an IP as one number", request: rs(fields{"jwks_host": "2130706433"}),
			message: offTheList,
		},
		{
			name: "jwks_host is an IP in hexadecimal", request: rs(fields{"jwks_host": "0x7f.0.0.0x1"}),
			message: offTheList,
		},
		{
			name: "jwks_host is an IP with a port", request: rs(fields{"jwks_host": w.canary.addr}),
			message: offTheList,
		},
		{
			name: "jwks_host with a trailing dot", request: rs(fields{"jwks_host": jwksName + "."}),
			message: offTheList,
		},
		{
			name: "jwks_host in upper case", request: rs(fields{"jwks_host": "Visibility.AMP.cisco.com"}),
			message: offTheList,
		},
		{
			name:    "jwks_host with a look-alike letter",
			request: rs(fields{"jwks_host": "visibіlity.amp.cisco.com"}),
			message: offTheList,
		},
		{
			name: "jwks_host with a line break", request: rs(fields{"jwks_host": jwksName + "\r\nx"}),
			message: offTheList,
		},

		// Audience.
		{
			name: "no audience", request: rs(fields{"aud": nil}),
			message: audience + "aud is missing in JWT payload",
		},
		{name: "wrong audience", request: rs(fields{"aud": "https://other.example.com"}), message: notThisURL},
		{name: "audience everyone for RS256", request: rs(fields{"aud": "everyone"}), message: notThisURL},
		{name: "audience over http", request: rs(fields{"aud": "http://relay.example.com"}), message: notThisURL},
		{name: "audience with a path", request: rs(fields{"aud": relayURL + "/x"}), message: notThisURL},
		{
			name:    "a list of other audiences",
			request: rs(fields{"aud": []string{"https://other.example.com", "everyone"}}),
			message: notThisURL,
		},
		{
			name: "an empty list of audiences", request: rs(fields{"aud": []string{}}),
			message: audience + "aud is missing in JWT payload",
		},
		{name: "a list of empty audiences", request: rs(fields{"aud": []string{"", "/"}}), message: notThisURL},
		{
			name: "a list with the audience and a number", request: rs(fields{"aud": []any{relayURL, 1}}),
			message: notAudience,
		},
		{
			name: "a list of lists of audiences", request: rs(fields{"aud": []any{[]string{relayURL}}}),
			message: notAudience,
		},
		{
			name: "HS256 with an empty list of audiences", request: hs(fields{"aud": []string{}}),
			message: audience + "aud is missing in JWT payload",
		},
		{
			name: "HS256 with a null audience", request: hs(fields{"aud": json.RawMessage("null")}),
			message: audience + "aud is missing in JWT payload",
		},
		{
			name: "HS256 with a wrong audience", request: hs(fields{"aud": "https://other.example.com"}),
			message: notThisURL,
		},
	}

	// alg none, in every case.
	for _, none := range []string{"none", "None", "NONE", "nOnE", "noNe", "NonE", ""} {
		header := encode(fields{"alg": none, "typ": "JWT"})
		for _, signature := range []string{"", parts[2]} {
			list = append(list, attack{
				name:    fmt.Sprintf("alg %q with a signature of %d letters", none, len(signature)),
				request: bearing(header + "." + parts[1] + "." + signature),
				message: "Algorithm of JWT must be HS256 or RS256",
			})
		}
	}
	for _, alg := range []string{
		"hs256", "rs256", "HS384", "HS512", "RS384", "RS512", "PS256", "ES256", "EdDSA",
	} {
		list = append(list, attack{
			name:    "alg " + alg,
			request: hsHead(fields{"alg": alg}),
			message: "Algorithm of JWT must be HS256 or RS256",
		})
	}

	// The same by both algorithms.
	for alg, request := range map[string]func(fields) *http.Request{"HS256": hs, "RS256": rs} {
		list = append(list,
			attack{name: alg + " expired", request: request(fields{"exp": now - 60}), message: "JWT has expired"},
			attack{name: alg + " expired long ago", request: request(fields{"exp": 0}), message: "JWT has expired"},
			attack{
				name: alg + " not yet valid", request: request(fields{"nbf": now + 61}),
				message: "JWT is not valid yet",
			},
			attack{
				name: alg + " issued in the future", request: request(fields{"iat": now + 61}),
				message: "JWT was issued in the future. Check the clock of its issuer",
			},
			attack{
				name: alg + " without user", request: request(fields{"user": nil}),
				message: content + "user must be a string and not empty",
			},
			attack{
				name: alg + " with an empty user", request: request(fields{"user": ""}),
				message: content + "user must be a string and not empty",
			},
			attack{
				name: alg + " without pass", request: request(fields{"pass": nil}),
				message: content + "pass must be a string and not empty",
			},
			attack{
				name: alg + " with user in another case", request: request(fields{"user": nil, "USER": "u"}),
				message: content + "user must be a string and not empty",
			},
		)
		for claim, message := range map[string]string{
			"user": content + "user must be a string and not empty",
			"pass": content + "pass must be a string and not empty",
			"aud":  notAudience,
			"exp":  content + "exp must be a number of seconds since 1970",
			"nbf":  content + "nbf must be a number of seconds since 1970",
			"iat":  content + "iat must be a number of seconds since 1970",
		} {
			for kind, value := range map[string]any{"a list": []any{1}, "an object": fields{"x": 1}, "true": true} {
				list = append(
					list,
					attack{
						name:    fmt.Sprintf("%s with %s as %s", alg, claim, kind),
						request: request(fields{claim: value}), message: message,
					},
				)
			}
		}
		for _, date := range []any{"1700000000", -1, 1e15, json.RawMessage("null"), json.RawMessage("1e999")} {
			list = append(list, attack{
				name:    fmt.Sprintf("%s with exp %s", alg, encoded(date)),
				request: request(fields{"exp": date}),
				message: content + "exp must be a number of seconds since 1970",
			})
		}
	}
	return list
}

// encoded is a value as JSON.
func encoded(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// Each attack is made twice: on a relay that has not read any key yet, and on
// one that has its keys and has used up its early fetches. Neither may send a
// request to anybody; the few attacks whose refusal takes a key are left out of
// the first round.
func TestAttacksAreRefusedWithoutARequest(t *testing.T) {
	w := newWorld(t)
	cold, warm := w.verifier(t, w.config), w.verifier(t, w.config)

	_, err := warm.Verify(t.Context(), bearing(signHS(canaryKey, hsHeader(), hsClaims())))
	require.NoError(t, err)
	_, err = warm.Verify(t.Context(), bearing(signRS(rsaKey(), rsHeader(), rsClaims())))
	require.NoError(t, err)
	_, err = warm.Verify(t.Context(), bearing(signHS(canaryKey2, hsHeader(), hsClaims())))
	require.Error(t, err)
	_, err = warm.Verify(
		t.Context(), bearing(signRS(rsaKey(), with(rsHeader(), fields{"kid": "?"}), rsClaims())),
	)
	require.Error(t, err)
	secretCalls, jwksHits := w.secrets.calls.Load(), w.jwks.hits.Load()
	require.EqualValues(t, 2, secretCalls, "one read and one early read")
	require.EqualValues(t, 2, jwksHits, "one fetch and one early fetch")

	names := map[string]bool{}
	for _, a := range attacks(w) {
		t.Run(a.name, func(t *testing.T) {
			require.False(t, names[a.name], "a row of its own")
			names[a.name] = true
			for round, v := range map[string]*Verifier{"cold": cold, "warm": warm} {
				if a.needs && v == cold {
					continue
				}
				claims, err := v.Verify(t.Context(), a.request)
				requireRefused(t, err, a.message)
				assert.Zero(t, claims)
				for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
					requireNoCanary(t, fmt.Sprintf(verb, err))
				}
				assert.Equal(t, secretCalls, w.secrets.calls.Load(), "calls of Secret Manager, %s", round)
				assert.Equal(t, jwksHits, w.jwks.hits.Load(), "requests to the JWKS host, %s", round)
				assert.Zero(t, w.canary.conns.Load(), "connections to the attacker's host, %s", round)
			}
		})
	}
}

func TestRedirectOfAnAllowedHostIsNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			w := newWorld(t)
			w.keys.instead(func(rw http.ResponseWriter, r *http.Request) {
				http.Redirect(rw, r, "https://canary.example.com/.well-known/jwks", status)
			})
			v := w.verifier(t, w.config)
			_, err := v.Verify(t.Context(), bearing(signRS(foreignRSA(), rsHeader(), rsClaims())))
			requireRefused(
				t, err, msgWrongJWKSHost+": visibility.amp.cisco.com did not answer with a key set",
			)
			assert.EqualValues(t, 1, w.jwks.hits.Load())
			assert.Zero(t, w.canary.conns.Load())
		})
	}
}

func TestAlgorithmsThatAreOff(t *testing.T) {
	w := newWorld(t)
	c := w.config
	c.SecretKeySecrets = nil
	v := w.verifier(t, c)
	_, err := v.Verify(t.Context(), bearing(signHS(canaryKey, hsHeader(), hsClaims())))
	requireRefused(t, err, "<SECRET_KEY> is missing")

	c = w.config
	c.JWKSHosts = []string{noHosts}
	v = w.verifier(t, c)
	_, err = v.Verify(t.Context(), bearing(signRS(rsaKey(), rsHeader(), rsClaims())))
	requireRefused(t, err, "Algorithm of JWT must be HS256: the relay's JWKS_HOSTS is none")
	assert.Zero(t, w.jwks.hits.Load())

	assert.Zero(t, w.secrets.calls.Load())
}

func TestTimesHaveAMinuteOfLeeway(t *testing.T) {
	w := newWorld(t)
	c := w.config
	c.SecretKey = canaryKey
	v := w.verifier(t, c)
	now := w.clock.Now()
	for _, tt := range []struct {
		name    string
		changes fields
		ok      bool
	}{
		{"expires now", fields{"exp": now.Unix()}, true},
		{"expired 59 seconds ago", fields{"exp": now.Add(-59 * time.Second).Unix()}, true},
		{"expired half a second before the leeway ends", fields{"exp": float64(now.Unix()) - 59.5}, true},
		{"expired a minute ago", fields{"exp": now.Add(-time.Minute).Unix()}, false},
		{"valid in a minute", fields{"nbf": now.Add(time.Minute).Unix()}, true},
		{"valid in a minute and a second", fields{"nbf": now.Add(61 * time.Second).Unix()}, false},
		{"issued in a minute", fields{"iat": now.Add(time.Minute).Unix()}, true},
		{"issued in a minute and a second", fields{"iat": now.Add(61 * time.Second).Unix()}, false},
		{"expires at the end of time", fields{"exp": int64(lastDate)}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := v.Verify(t.Context(), bearing(signHS(canaryKey, hsHeader(), with(hsClaims(), tt.changes))))
			assert.Equal(t, tt.ok, err == nil, "%v", err)
		})
	}
}
