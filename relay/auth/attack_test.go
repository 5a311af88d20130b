package auth

import (
	"crypto/x509"
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
		wrongHost = "Wrong jwks_host in JWT payload. Make sure domain follows the visibility.<region>.cisco.com structure: "
		wrongAPI  = "API_URL in JWT payload is not accepted: "
		wrongUI   = "PLATFORM_URL in JWT payload is not accepted: "
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
		{name: "two authorization headers", request: request("Bearer "+good, "Bearer "+good), message: "More than one Authorization header"},
		{name: "basic authorization", request: request("Basic " + good), message: "Wrong authorization type"},
		{name: "a token without scheme", request: request(good), message: "Wrong authorization type"},
		{name: "a scheme without token", request: request("Bearer "), message: "Wrong authorization type: JWT is missing after Bearer"},
		{name: "two tokens in a header", request: request("Bearer " + good + " " + good), message: "Wrong authorization type: one JWT is expected after Bearer"},
		{name: "a token of 1 MiB", request: hs(fields{"x": strings.Repeat("x", 1<<20)}), message: "JWT is too long. At most 16 KiB are accepted"},

		// The structure of the token.
		{name: "two parts", request: bearing(parts[0] + "." + parts[1]), message: "Wrong JWT structure: three parts with dots between them are expected"},
		{name: "five parts, as an encrypted token has", request: bearing(good + ".e.e"), message: "Wrong JWT structure: three parts with dots between them are expected"},
		{name: "padding", request: bearing(parts[0] + "==." + parts[1] + "." + parts[2]), message: "Wrong JWT structure: a part is not base64url without padding"},
		{name: "the base64 alphabet with plus and slash", request: bearing(parts[0] + "." + parts[1] + ".+/+/"), message: "Wrong JWT structure: a part is not base64url without padding"},
		{name: "stray bits in the last letter", request: bearing(parts[0] + "." + parts[1] + ".AB"), message: "Wrong JWT structure: a part is not base64url without padding"},
		{name: "header is not JSON", request: hsText("x", "{}"), message: "Wrong JWT structure: header is not a JSON object"},
		{name: "header is a list", request: hsText(`["HS256"]`, "{}"), message: "Wrong JWT structure: header is not a JSON object"},
		{name: "payload is a string", request: hsText(`{"alg":"HS256"}`, `"user"`), message: "Wrong JWT payload structure: payload is not a JSON object"},
		{name: "payload with something behind", request: hsText(`{"alg":"HS256"}`, `{} {}`), message: "Wrong JWT payload structure: payload is not a JSON object"},
		{name: "payload is not UTF-8", request: hsText(`{"alg":"HS256"}`, "{\"user\":\"\xff\"}"), message: "Wrong JWT payload structure: payload is not a JSON object"},
		{name: "payload with a number for a key", request: hsText(`{"alg":"HS256"}`, `{1:2}`), message: "Wrong JWT payload structure: payload is not a JSON object"},
		{name: "payload with a broken value", request: hsText(`{"alg":"HS256"}`, `{"user":x}`), message: "Wrong JWT payload structure: payload is not a JSON object"},
		{name: "payload is cut off", request: hsText(`{"alg":"HS256"}`, `{"user":"u","pass":"p"`), message: "Wrong JWT payload structure: payload is not a JSON object"},
		{name: "duplicate header parameters", request: hsText(`{"alg":"HS256","alg":"none"}`, "{}"), message: "Wrong JWT structure: header has the same key twice"},
		{name: "duplicate claims", request: hsText(`{"alg":"HS256"}`, `{"user":"a","pass":"p","user":"b"}`), message: "Wrong JWT payload structure: payload has the same key twice"},
		{name: "duplicate claims in two spellings", request: hsText(`{"alg":"HS256"}`, `{"user":"a","pass":"p","us\u0065r":"b"}`), message: "Wrong JWT payload structure: payload has the same key twice"},

		// The header of the token.
		{name: "no alg", request: hsHead(fields{"alg": nil}), message: "Wrong JWT structure: alg in JWT header must be a string"},
		{name: "alg is a list", request: hsHead(fields{"alg": []string{"HS256"}}), message: "Wrong JWT structure: alg in JWT header must be a string"},
		{name: "alg in a key of another case", request: hsText(`{"ALG":"HS256"}`, "{}"), message: "Wrong JWT structure: alg in JWT header must be a string"},
		{name: "alg with markup", request: hsHead(fields{"alg": "<script>" + strings.Repeat("x", 100)}), message: `Algorithm of JWT must be HS256 or RS256: "?script?` + strings.Repeat("x", 56) + `..." is not accepted`},
		{name: "crit", request: hsHead(fields{"crit": []string{"exp"}}), message: "crit in JWT header is not accepted. No extension is supported"},
		{name: "kid is a number", request: rsHead(fields{"kid": 1}), message: "Wrong JWT structure: kid in JWT header must be a string"},
		{name: "RS256 without kid", request: rsHead(fields{"kid": nil}), message: "kid is missing in JWT header"},
		{name: "RS256 with an empty kid", request: rsHead(fields{"kid": ""}), message: "kid is missing in JWT header"},
		{name: "jku", request: rsHead(fields{"jku": "https://" + w.canary.addr + "/jwks"}), message: "jku in JWT header is not accepted. Keys never come from the token"},
		{name: "x5u", request: rsHead(fields{"x5u": "https://" + w.canary.addr + "/cert"}), message: "x5u in JWT header is not accepted. Keys never come from the token"},
		{name: "jwk", request: bearing(signRS(foreignRSA(), with(rsHeader(), fields{"jwk": embedded}), rsClaims())), message: "jwk in JWT header is not accepted. Keys never come from the token"},
		{name: "x5c", request: rsHead(fields{"x5c": []string{"MIIB"}}), message: "x5c in JWT header is not accepted. Keys never come from the token"},

		// Keys of the wrong kind, of somebody else, or none.
		{name: "HS256 signed with the RSA public key as PEM", request: bearing(signHS(publicPEM, hsHeader(), rsClaims())), needs: true,
			message: "Failed to decode JWT with provided key: it is not signed with the relay's SECRET_KEY"},
		{name: "HS256 signed with the RSA public key as DER", request: bearing(signHS(string(der), with(hsHeader(), fields{"kid": "k1"}), rsClaims())), needs: true,
			message: "Failed to decode JWT with provided key: it is not signed with the relay's SECRET_KEY"},
		{name: "HS256 signed with another key", request: bearing(signHS(canaryKey2, hsHeader(), hsClaims())), needs: true,
			message: "Failed to decode JWT with provided key: it is not signed with the relay's SECRET_KEY"},
		{name: "HS256 signed with nothing", request: bearing(signHS("", hsHeader(), hsClaims())), needs: true,
			message: "Failed to decode JWT with provided key: it is not signed with the relay's SECRET_KEY"},
		{name: "HS256 without a signature", request: bearing(parts[0] + "." + parts[1] + "."), needs: true,
			message: "Failed to decode JWT with provided key: it is not signed with the relay's SECRET_KEY"},
		{name: "HS256 with a changed payload", request: bearing(parts[0] + "." + encode(with(hsClaims(), fields{"user": "other"})) + "." + parts[2]), needs: true,
			message: "Failed to decode JWT with provided key: it is not signed with the relay's SECRET_KEY"},
		{name: "RS256 signed with the shared secret", request: bearing(signHS(canaryKey, rsHeader(), rsClaims())), needs: true,
			message: "Failed to decode JWT with provided key. Make sure domain in custom_jwks_host corresponds to your SecureX instance region."},
		{name: "RS256 signed with another key under a known kid", request: bearing(signRS(foreignRSA(), rsHeader(), rsClaims())), needs: true,
			message: "Failed to decode JWT with provided key. Make sure domain in custom_jwks_host corresponds to your SecureX instance region."},
		{name: "foreign kid", request: bearing(signRS(foreignRSA(), with(rsHeader(), fields{"kid": "mine"}), rsClaims())), needs: true,
			message: "kid from JWT header not found in API response"},

		// jwks_host.
		{name: "no jwks_host", request: rs(fields{"jwks_host": nil}), message: "jwks_host is missing in JWT payload. Make sure custom_jwks_host field is present in module_type"},
		{name: "jwks_host is a list", request: rs(fields{"jwks_host": []string{jwksName}}), message: wrongHost + "it must be a string"},
		{name: "jwks_host is empty", request: rs(fields{"jwks_host": ""}), message: "jwks_host is missing in JWT payload. Make sure custom_jwks_host field is present in module_type"},
		{name: "jwks_host off the list", request: rs(fields{"jwks_host": "canary.example.com"}), message: wrongHost + "canary.example.com is not on the relay's list JWKS_HOSTS"},
		{name: "jwks_host below a listed one", request: rs(fields{"jwks_host": "evil." + jwksName}), message: wrongHost + "evil.visibility.amp.cisco.com is not on the relay's list JWKS_HOSTS"},
		{name: "jwks_host beside a listed one", request: rs(fields{"jwks_host": jwksName + ".evil.example"}), message: wrongHost + "visibility.amp.cisco.com.evil.example is not on the relay's list JWKS_HOSTS"},
		{name: "jwks_host with a path", request: rs(fields{"jwks_host": jwksName + "/keys"}), message: wrongHost + "a scheme or a path is not allowed"},
		{name: "jwks_host with a scheme", request: rs(fields{"jwks_host": "https://" + jwksName}), message: wrongHost + "a scheme or a path is not allowed"},
		{name: "jwks_host with a query", request: rs(fields{"jwks_host": jwksName + "?x"}), message: wrongHost + "a scheme or a path is not allowed"},
		{name: "jwks_host with a backslash", request: rs(fields{"jwks_host": jwksName + `\.evil.example`}), message: wrongHost + "a scheme or a path is not allowed"},
		{name: "jwks_host with a port", request: rs(fields{"jwks_host": jwksName + ":443"}), message: wrongHost + "a port is not allowed"},
		{name: "jwks_host with user information", request: rs(fields{"jwks_host": jwksName + "@canary.example.com"}), message: wrongHost + "user information is not allowed"},
		{name: "jwks_host is an IP", request: rs(fields{"jwks_host": "127.0.0.1"}), message: wrongHost + "an IP address is not allowed"},
		{name: "jwks_host is an IPv6", request: rs(fields{"jwks_host": "[::1]"}), message: wrongHost + "an IP address is not allowed"},
		{name: "jwks_host is an IP as one number", request: rs(fields{"jwks_host": "2130706433"}), message: wrongHost + "an IP address is not allowed"},
		{name: "jwks_host is an IP in hexadecimal", request: rs(fields{"jwks_host": "0x7f.0.0.0x1"}), message: wrongHost + "an IP address is not allowed"},
		{name: "jwks_host is an IP with a port", request: rs(fields{"jwks_host": w.canary.addr}), message: wrongHost + "a port is not allowed"},
		{name: "jwks_host with a trailing dot", request: rs(fields{"jwks_host": jwksName + "."}), message: wrongHost + "a trailing dot is not allowed"},
		{name: "jwks_host in upper case", request: rs(fields{"jwks_host": "Visibility.AMP.cisco.com"}), message: wrongHost + "upper-case letters are not allowed"},
		{name: "jwks_host with a look-alike letter", request: rs(fields{"jwks_host": "visibіlity.amp.cisco.com"}), message: wrongHost + "a character is not allowed in a host name"},
		{name: "jwks_host with a line break", request: rs(fields{"jwks_host": jwksName + "\r\nx"}), message: wrongHost + "a character is not allowed in a host name"},

		// Audience.
		{name: "no audience", request: rs(fields{"aud": nil}), message: "Wrong configuration-token-audience: aud is missing in JWT payload"},
		{name: "wrong audience", request: rs(fields{"aud": "https://other.example.com"}), message: "Wrong configuration-token-audience: it must be the URL that the request came to, without a path"},
		{name: "audience everyone for RS256", request: rs(fields{"aud": "everyone"}), message: "Wrong configuration-token-audience: it must be the URL that the request came to, without a path"},
		{name: "audience over http", request: rs(fields{"aud": "http://relay.example.com"}), message: "Wrong configuration-token-audience: it must be the URL that the request came to, without a path"},
		{name: "audience with a path", request: rs(fields{"aud": relayURL + "/x"}), message: "Wrong configuration-token-audience: it must be the URL that the request came to, without a path"},
		{name: "audience as list", request: rs(fields{"aud": []string{relayURL}}), message: "Wrong configuration-token-audience: aud in JWT payload must be a string"},
		{name: "HS256 with a wrong audience", request: hs(fields{"aud": "https://other.example.com"}), message: "Wrong configuration-token-audience: it must be the URL that the request came to, without a path"},

		// API_URL.
		{name: "API_URL of the metadata server", request: hs(fields{"API_URL": "https://169.254.169.254"}), message: wrongAPI + "169.254.169.254 is not on the relay's list API_HOSTS"},
		{name: "API_URL of the metadata server by name and http", request: hs(fields{"API_URL": "http://metadata.google.internal/"}), message: wrongAPI + "it must start with https://"},
		{name: "API_URL of loopback", request: hs(fields{"API_URL": "https://" + w.canary.addr}), message: wrongAPI + w.canary.addr + " is not on the relay's list API_HOSTS"},
		{name: "API_URL of loopback over http", request: hs(fields{"API_URL": "http://localhost"}), message: wrongAPI + "it must start with https://"},
		{name: "API_URL of IPv6 loopback", request: hs(fields{"API_URL": "https://[::1]"}), message: wrongAPI + "[::1] is not on the relay's list API_HOSTS"},
		{name: "API_URL of a host off the list", request: hs(fields{"API_URL": "https://canary.example.com"}), message: wrongAPI + "canary.example.com is not on the relay's list API_HOSTS"},
		{name: "API_URL of a listed host with a trailing dot", request: hs(fields{"API_URL": gateway + "."}), message: wrongAPI + "gateway.qg1.apps.qualys.com. is not on the relay's list API_HOSTS"},
		{name: "API_URL of a listed host on another port", request: hs(fields{"API_URL": gateway + ":8443"}), message: wrongAPI + "gateway.qg1.apps.qualys.com:8443 is not on the relay's list API_HOSTS"},
		{name: "API_URL with user information", request: hs(fields{"API_URL": "https://gateway.qg1.apps.qualys.com@canary.example.com"}), message: wrongAPI + "user information is not allowed"},
		{name: "API_URL over http", request: hs(fields{"API_URL": "http://gateway.qg1.apps.qualys.com"}), message: wrongAPI + "it must start with https://"},
		{name: "API_URL with a path", request: hs(fields{"API_URL": gateway + "/auth/../x"}), message: wrongAPI + "a path is not allowed"},
		{name: "API_URL with a query", request: hs(fields{"API_URL": gateway + "?"}), message: wrongAPI + "a query or a fragment is not allowed"},
		{name: "API_URL with a fragment", request: hs(fields{"API_URL": gateway + "#"}), message: wrongAPI + "a query or a fragment is not allowed"},
		{name: "API_URL without a host", request: hs(fields{"API_URL": "https:///auth"}), message: wrongAPI + "it names no host"},
		{name: "API_URL without a scheme", request: hs(fields{"API_URL": "gateway.qg1.apps.qualys.com"}), message: wrongAPI + "it must start with https://"},
		{name: "API_URL that is no URL", request: hs(fields{"API_URL": "https://gateway qualys"}), message: wrongAPI + "it is not a valid URL"},
		{name: "API_URL with a port beyond 65535", request: hs(fields{"API_URL": gateway + ":70000"}), message: wrongAPI + "its port is not a number up to 65535"},
		{name: "API_URL with markup in the host", request: hs(fields{"API_URL": "https://gateway<x>"}), message: wrongAPI + "a character is not allowed in a host name"},

		// PLATFORM_URL.
		{name: "PLATFORM_URL over http", request: hs(fields{"PLATFORM_URL": "http://qualysguard.qualys.com"}), message: wrongUI + "it must start with https://"},
		{name: "PLATFORM_URL that runs a script", request: hs(fields{"PLATFORM_URL": "javascript:alert(1)"}), message: wrongUI + "it must start with https://"},
		{name: "PLATFORM_URL with user information", request: hs(fields{"PLATFORM_URL": "https://u:p@qualysguard.qualys.com"}), message: wrongUI + "user information is not allowed"},
		{name: "PLATFORM_URL with a query", request: hs(fields{"PLATFORM_URL": "https://qualysguard.qualys.com/?next=x"}), message: wrongUI + "a query or a fragment is not allowed"},
		{name: "PLATFORM_URL with a fragment", request: hs(fields{"PLATFORM_URL": "https://qualysguard.qualys.com/#x"}), message: wrongUI + "a query or a fragment is not allowed"},
	}

	// alg none, in every case.
	for _, none := range []string{"none", "None", "NONE", "nOnE", "noNe", "NonE", ""} {
		header := encode(fields{"alg": none, "typ": "JWT"})
		for _, signature := range []string{"", parts[2]} {
			list = append(list, attack{
				name:    fmt.Sprintf("alg %q with a signature of %d letters", none, len(signature)),
				request: bearing(header + "." + parts[1] + "." + signature),
				message: `Algorithm of JWT must be HS256 or RS256: "` + none + `" is not accepted`,
			})
		}
	}
	for _, alg := range []string{"hs256", "rs256", "HS384", "HS512", "RS384", "RS512", "PS256", "ES256", "EdDSA"} {
		list = append(list, attack{
			name:    "alg " + alg,
			request: hsHead(fields{"alg": alg}),
			message: `Algorithm of JWT must be HS256 or RS256: "` + alg + `" is not accepted`,
		})
	}

	// The same through both doors.
	for door, request := range map[string]func(fields) *http.Request{"HS256": hs, "RS256": rs} {
		list = append(list,
			attack{name: door + " expired", request: request(fields{"exp": now - 60}), message: "JWT has expired"},
			attack{name: door + " expired long ago", request: request(fields{"exp": 0}), message: "JWT has expired"},
			attack{name: door + " not yet valid", request: request(fields{"nbf": now + 61}), message: "JWT is not valid yet"},
			attack{name: door + " issued in the future", request: request(fields{"iat": now + 61}), message: "JWT was issued in the future. Check the clock of its issuer"},
			attack{name: door + " without user", request: request(fields{"user": nil}), message: "Wrong JWT payload structure: user is missing or empty"},
			attack{name: door + " with an empty user", request: request(fields{"user": ""}), message: "Wrong JWT payload structure: user is missing or empty"},
			attack{name: door + " without pass", request: request(fields{"pass": nil}), message: "Wrong JWT payload structure: pass is missing or empty"},
			attack{name: door + " with user in another case", request: request(fields{"user": nil, "USER": "u"}), message: "Wrong JWT payload structure: user is missing or empty"},
			attack{name: door + " API_URL off the list", request: request(fields{"API_URL": "https://canary.example.com"}), message: wrongAPI + "canary.example.com is not on the relay's list API_HOSTS"},
		)
		for claim, message := range map[string]string{
			"user":               "Wrong JWT payload structure: user must be a string",
			"pass":               "Wrong JWT payload structure: pass must be a string",
			"API_URL":            "Wrong JWT payload structure: API_URL must be a string",
			"PLATFORM_URL":       "Wrong JWT payload structure: PLATFORM_URL must be a string",
			"CTR_ENTITIES_LIMIT": "Wrong JWT payload structure: CTR_ENTITIES_LIMIT must be a whole number from 1 to 1000",
			"aud":                "Wrong configuration-token-audience: aud in JWT payload must be a string",
			"exp":                "Wrong JWT payload structure: exp must be a number of seconds since 1970",
			"nbf":                "Wrong JWT payload structure: nbf must be a number of seconds since 1970",
			"iat":                "Wrong JWT payload structure: iat must be a number of seconds since 1970",
		} {
			for kind, value := range map[string]any{"a list": []any{"x"}, "an object": fields{"x": 1}, "true": true} {
				list = append(list, attack{name: fmt.Sprintf("%s with %s as %s", door, claim, kind), request: request(fields{claim: value}), message: message})
			}
		}
		for _, limit := range []any{0, -1, 1001, 1.5, "0", "1001", "ten", "1e2", "0x10", 1e30} {
			list = append(list, attack{
				name:    fmt.Sprintf("%s with CTR_ENTITIES_LIMIT %#v", door, limit),
				request: request(fields{"CTR_ENTITIES_LIMIT": limit}),
				message: "Wrong JWT payload structure: CTR_ENTITIES_LIMIT must be a whole number from 1 to 1000",
			})
		}
		for _, date := range []any{"1700000000", -1, 1e15} {
			list = append(list, attack{
				name:    fmt.Sprintf("%s with exp %#v", door, date),
				request: request(fields{"exp": date}),
				message: "Wrong JWT payload structure: exp must be a number of seconds since 1970",
			})
		}
	}
	return list
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
	_, err = warm.Verify(t.Context(), bearing(signRS(rsaKey(), with(rsHeader(), fields{"kid": "?"}), rsClaims())))
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
			requireRefused(t, err, msgWrongJWKSHost+": visibility.amp.cisco.com answered with a redirect, which is not followed")
			assert.EqualValues(t, 1, w.jwks.hits.Load())
			assert.Zero(t, w.canary.conns.Load())
		})
	}
}

func TestClosedDoors(t *testing.T) {
	w := newWorld(t)
	c := w.config
	c.SecretKeySecrets = nil
	v := w.verifier(t, c)
	_, err := v.Verify(t.Context(), bearing(signHS(canaryKey, hsHeader(), hsClaims())))
	requireRefused(t, err, "<SECRET_KEY> is missing")

	c = w.config
	c.JWKSHosts = []string{NoJWKSHosts}
	v = w.verifier(t, c)
	_, err = v.Verify(t.Context(), bearing(signRS(rsaKey(), rsHeader(), rsClaims())))
	requireRefused(t, err, "Algorithm of JWT must be HS256: the relay's JWKS_HOSTS is none")
	assert.Zero(t, w.jwks.hits.Load())

	c = w.config
	c.APIURL = ""
	v = w.verifier(t, c)
	_, err = v.Verify(t.Context(), bearing(signHS(canaryKey, hsHeader(), hsClaims())))
	requireRefused(t, err, "API_URL is missing in JWT payload and in the relay's environment")
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
