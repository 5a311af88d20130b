package auth

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSchemeOfTheHeaderMayHaveAnyCase(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(t, w.config)
	token := signHS(canaryKey, hsHeader(), hsClaims())
	for _, header := range []string{
		"Bearer " + token, "bearer " + token, "BEARER " + token, "  Bearer \t " + token + " ",
	} {
		_, err := v.Verify(t.Context(), request(header))
		assert.NoError(t, err)
	}
}

func TestTokensUpToTheLimitAreRead(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(t, w.config)
	token := signHS(
		canaryKey, hsHeader(), with(hsClaims(), fields{"x": string(bytes.Repeat([]byte("x"), 12000))}),
	)
	require.Greater(t, len(token), 16000)
	require.Less(t, len(token), maxHeader)
	_, err := v.Verify(t.Context(), bearing(token))
	require.NoError(t, err)
}

func TestSettings(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(t, w.config)
	for _, tt := range []struct {
		name  string
		claim any
		value string
		wrong string
	}{
		{name: "absent"},
		{name: "null", claim: json.RawMessage("null")},
		{name: "empty", claim: ""},
		{name: "blank", claim: " \t\n"},
		{name: "a string", claim: "text", value: "text"},
		{name: "a string with white space around it", claim: " a text\n", value: "a text"},
		{name: "escapes", claim: json.RawMessage(`"\u0061\/b"`), value: "a/b"},
		{name: "a number", claim: 50, value: "50"},
		{name: "a number as it is written", claim: json.RawMessage("1.0e2"), value: "1.0e2"},
		{name: "a list", claim: []string{"x"}, wrong: "X must be a string"},
		{name: "an object", claim: fields{}, wrong: "X must be a string"},
		{name: "true", claim: true, wrong: "X must be a string"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := bearing(signHS(canaryKey, hsHeader(), with(hsClaims(), fields{"X": tt.claim, "x": "another"})))
			claims, err := v.Verify(t.Context(), r)
			require.NoError(t, err)
			assert.Equal(t, canaryUser, claims.User)
			assert.Equal(t, canaryPassword, claims.Password)
			value, ok, err := claims.Setting("X")
			assert.Equal(t, tt.value, value)
			assert.Equal(t, tt.value != "", ok)
			if tt.wrong != "" {
				requireRefused(t, err, "Wrong JWT payload structure: "+tt.wrong)
			} else {
				require.NoError(t, err)
			}
		})
	}
}

func TestClaimsThatMeanNothingHere(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(t, w.config)
	for _, payload := range []any{
		with(hsClaims(), fields{"sub": 1, "iss": []int{1}, "scopes": fields{"a": 1}}),
		" { \"user\" : \"" + canaryUser + "\" , \"pass\" : \"" + canaryPassword + "\" , \"exp\" : 99999999999 } ",
	} {
		_, err := v.Verify(t.Context(), bearing(signHS(canaryKey, hsHeader(), payload)))
		require.NoError(t, err)
	}
}

func TestAudience(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name       string
		host       string
		configured []string
		aud        any
		tls        bool
		rs256      bool // accepted in an RS256 token
		hs256      bool // and in an HS256 token
	}{
		{
			name: "the request's host", host: "relay.example.com", aud: "https://relay.example.com", rs256: true,
			hs256: true,
		},
		{
			name: "over TLS", host: "relay.example.com", aud: "https://relay.example.com", tls: true, rs256: true,
			hs256: true,
		},
		{
			name: "with a trailing slash", host: "relay.example.com", aud: "https://relay.example.com/",
			rs256: true, hs256: true,
		},
		{name: "with two trailing slashes", host: "relay.example.com", aud: "https://relay.example.com//"},
		{
			name: "in another case", host: "relay.example.com", aud: "https://Relay.Example.com", rs256: true,
			hs256: true,
		},
		{
			name: "with the default port in the request", host: "relay.example.com:443",
			aud: "https://relay.example.com", rs256: true, hs256: true,
		},
		{
			name: "with another port", host: "relay.example.com:8443", aud: "https://relay.example.com:8443",
			rs256: true, hs256: true,
		},
		{name: "without the other port", host: "relay.example.com:8443", aud: "https://relay.example.com"},
		{name: "http", host: "relay.example.com", aud: "http://relay.example.com"},
		{name: "http on loopback", host: "127.0.0.1:8080", aud: "http://127.0.0.1:8080", rs256: true, hs256: true},
		{
			name: "http on localhost", host: "localhost:8080", aud: "http://localhost:8080/", rs256: true,
			hs256: true,
		},
		{name: "http on IPv6 loopback", host: "[::1]:8080", aud: "http://[::1]:8080", rs256: true, hs256: true},
		{
			name: "http on a host that looks like loopback", host: "127.0.0.1.example.com",
			aud: "http://127.0.0.1.example.com",
		},
		{name: "a host without scheme", host: "relay.example.com", aud: "relay.example.com"},
		{name: "no host", host: "", aud: "https://"},
		{name: "everyone", host: "relay.example.com", aud: "everyone", hs256: true},
		{name: "empty", host: "relay.example.com", aud: ""},
		{
			name: "one that is configured", host: "10.0.0.1",
			configured: []string{"https://a.example", "https://b.example/"}, aud: "https://b.example", rs256: true,
			hs256: true,
		},
		{
			name: "the request's host where others are configured", host: "relay.example.com",
			configured: []string{"https://a.example"}, aud: "https://relay.example.com",
		},
		{
			name: "everyone where others are configured", host: "relay.example.com",
			configured: []string{"https://a.example"}, aud: "everyone", hs256: true,
		},
		{
			name: "a configured one in another case", configured: []string{"https://A.example"},
			aud: "https://a.Example/", rs256: true, hs256: true,
		},
		{
			name: "a list", host: "relay.example.com", aud: []string{"https://relay.example.com/"}, rs256: true,
			hs256: true,
		},
		{
			name: "a list of several", host: "relay.example.com",
			aud: []string{"https://x.example", "https://relay.example.com"}, rs256: true, hs256: true,
		},
		{
			name: "a list with a configured one", host: "10.0.0.1", configured: []string{"https://a.example"},
			aud: []string{"x", "https://a.example"}, rs256: true, hs256: true,
		},
		{
			name: "a list with everyone", host: "relay.example.com", aud: []string{"https://x.example", "everyone"},
			hs256: true,
		},
		{
			name: "a list without it", host: "relay.example.com",
			aud: []string{"https://x.example", "relay.example.com"},
		},
		{name: "a list where no host is named", host: "", aud: []string{"https://", "https:", "", "/"}},
		{
			name: "everyone where it is configured", host: "relay.example.com", configured: []string{"everyone"},
			aud: "everyone", rs256: true, hs256: true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := w.config
			c.SecretKey = canaryKey
			c.Audiences = tt.configured
			v := w.verifier(t, c)
			verify := func(r *http.Request) error {
				r.Host = tt.host
				// What a caller writes about the scheme makes no difference.
				r.Header.Set("X-Forwarded-Proto", "http")
				if tt.tls {
					r.TLS = &tls.ConnectionState{}
				}
				_, err := v.Verify(t.Context(), r)
				return err
			}
			err := verify(bearing(signRS(rsaKey(), rsHeader(), with(rsClaims(), fields{"aud": tt.aud}))))
			assert.Equal(t, tt.rs256, err == nil, "RS256: %v", err)
			err = verify(bearing(signHS(canaryKey, hsHeader(), with(hsClaims(), fields{"aud": tt.aud}))))
			assert.Equal(t, tt.hs256, err == nil, "HS256: %v", err)
		})
	}
}

// printed is a value in every way that a log could take it.
func printed(t *testing.T, values ...any) string {
	var out bytes.Buffer
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		data, err := json.Marshal(v)
		require.NoError(t, err)
		out.Write(data)
		out.WriteByte('\n')
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			log := slog.New(h)
			log.Info("value", "v", v)
			log.Info("group", slog.Group("g", "list", []any{v}))
		}
	}
	return out.String()
}

func TestSecretsShowNowhere(t *testing.T) {
	w := newWorld(t)
	c := w.config
	c.SecretKey = canaryKey
	c.Audiences = []string{"https://audience.example"}
	text := printed(t, c, &c, struct{ Config Config }{c}, []Config{c}, map[string]Config{"c": c})
	requireNoCanary(t, text)
	assert.NotContains(t, text, fmt.Sprintf("%x", canaryKey))
	assert.Contains(t, text, "https://audience.example", "what is no secret shows")
	assert.Contains(t, text, "SECRET_KEY")

	c.SecretKey = " " + canaryKey
	_, err := New(c)
	require.Error(t, err)
	requireNoCanary(t, printed(t, err.Error()))

	c.SecretKey, c.Audiences = canaryKey, nil
	v := w.verifier(t, c)
	r := bearing(signHS(canaryKey, hsHeader(), with(hsClaims(), fields{"API_URL": "canary-setting"})))
	claims, err := v.Verify(t.Context(), r)
	require.NoError(t, err)
	text = printed(t, v, claims, &claims, struct{ Claims Claims }{claims}, []Claims{claims})
	requireNoCanary(t, text)
	for _, canary := range []string{canaryKey, canaryPassword, canaryUser, "canary-setting"} {
		assert.NotContains(t, text, canary)
		assert.NotContains(t, text, fmt.Sprintf("%x", canary))
	}
}
