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

	"qualysrelay.example/qualys"
)

func TestSchemeOfTheHeaderMayHaveAnyCase(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(t, w.config)
	token := signHS(canaryKey, hsHeader(), hsClaims())
	for _, header := range []string{"Bearer " + token, "bearer " + token, "BEARER " + token, "  Bearer \t " + token + " "} {
		_, err := v.Verify(t.Context(), request(header))
		assert.NoError(t, err)
	}
}

func TestTokensUpToTheLimitAreRead(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(t, w.config)
	token := signHS(canaryKey, hsHeader(), with(hsClaims(), fields{"x": string(bytes.Repeat([]byte("x"), 12000))}))
	require.Greater(t, len(token), 16000)
	require.Less(t, len(token), maxToken)
	_, err := v.Verify(t.Context(), bearing(token))
	require.NoError(t, err)
}

func TestClaimsOverrideTheEnvironment(t *testing.T) {
	w := newWorld(t)
	c := w.config
	c.SecretKey = canaryKey
	c.PlatformURL = "https://qualysguard.qualys.com/"
	c.Limit = 200
	v := w.verifier(t, c)
	environment := Claims{
		Tenant:      qualys.Tenant{Gateway: gateway, User: canaryUser, Password: canaryPassword},
		PlatformURL: "https://qualysguard.qualys.com", Limit: 200,
	}
	limit := func(n int) Claims { c := environment; c.Limit = n; return c }
	api := func(url string) Claims { // with the user interface that goes with it
		c := environment
		c.Tenant.Gateway, c.PlatformURL = url, "https://qualysguard.qualys.eu"
		return c
	}
	ui := func(url string) Claims { c := environment; c.PlatformURL = url; return c }
	const eu = "https://gateway.qg1.apps.qualys.eu"
	for _, tt := range []struct {
		name    string
		payload any
		want    Claims
	}{
		{"nothing but the credentials", hsClaims(), environment},
		{"settings that are null", with(hsClaims(), fields{"API_URL": json.RawMessage("null"), "PLATFORM_URL": json.RawMessage("null"), "CTR_ENTITIES_LIMIT": json.RawMessage("null")}), environment},
		{"settings that are empty", with(hsClaims(), fields{"API_URL": "", "PLATFORM_URL": " ", "CTR_ENTITIES_LIMIT": ""}), environment},
		{"claims that mean nothing here", with(hsClaims(), fields{"sub": 1, "iss": []int{1}, "scopes": fields{"a": 1}}), environment},
		{"white space everywhere", " { \"user\" : \"" + canaryUser + "\" , \"pass\" : \"" + canaryPassword + "\" , \"CTR_ENTITIES_LIMIT\" : 5 , \"exp\" : 99999999999 } ", limit(5)},
		{"a limit", with(hsClaims(), fields{"CTR_ENTITIES_LIMIT": 50}), limit(50)},
		{"a limit in digits", with(hsClaims(), fields{"CTR_ENTITIES_LIMIT": " 1000 "}), limit(1000)},
		{"the least limit", with(hsClaims(), fields{"CTR_ENTITIES_LIMIT": 1}), limit(1)},
		{"another platform", with(hsClaims(), fields{"API_URL": eu}), api(eu)},
		{"a gateway with a trailing slash", with(hsClaims(), fields{"API_URL": eu + "/"}), api(eu)},
		{"a gateway with the default port", with(hsClaims(), fields{"API_URL": eu + ":443/"}), api(eu)},
		{"a gateway in upper case", with(hsClaims(), fields{"API_URL": "HTTPS://Gateway.QG1.apps.qualys.EU"}), api(eu)},
		{"a gateway with white space around it", with(hsClaims(), fields{"API_URL": " " + eu + "\n"}), api(eu)},
		{"a user interface", with(hsClaims(), fields{"PLATFORM_URL": "https://qualysguard.qualys.eu/"}), ui("https://qualysguard.qualys.eu")},
		{"a user interface with a port and a path", with(hsClaims(), fields{"PLATFORM_URL": "https://qualys.corp.example:8443/portal/"}), ui("https://qualys.corp.example:8443/portal")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := v.Verify(t.Context(), bearing(signHS(canaryKey, hsHeader(), tt.payload)))
			require.NoError(t, err)
			if got != tt.want { // assert.Equal would not tell the redacted fields apart
				t.Errorf("got %v with limit %d, want %v with limit %d", got, got.Limit, tt.want, tt.want.Limit)
			}
		})
	}
}

func TestGatewaysOfPlatformsAndOfTheEnvironmentAreAccepted(t *testing.T) {
	accepts := func(t *testing.T, c Config, url string) bool {
		v, err := New(c)
		require.NoError(t, err)
		claims, err := v.Verify(t.Context(), bearing(signHS(canaryKey, hsHeader(), with(hsClaims(), fields{"API_URL": url}))))
		if err == nil {
			assert.Equal(t, url, claims.Tenant.Gateway)
		}
		return err == nil
	}
	c := Config{SecretKey: canaryKey, APIURL: "https://gateway.corp.example:8443/"}
	for _, p := range qualys.Platforms() {
		assert.True(t, accepts(t, c, p.Gateway), p.Name)
	}
	assert.True(t, accepts(t, c, "https://gateway.corp.example:8443"))
	assert.False(t, accepts(t, c, "https://gateway.corp.example"), "another port")

	c.APIHosts = []string{"one.example", "two.example:444", "10.1.2.3"}
	assert.True(t, accepts(t, c, "https://one.example"))
	assert.True(t, accepts(t, c, "https://two.example:444"))
	assert.True(t, accepts(t, c, "https://10.1.2.3"), "an address that the operator has listed")
	assert.True(t, accepts(t, c, "https://gateway.corp.example:8443"), "the environment's")
	assert.False(t, accepts(t, c, "https://two.example"))
	assert.False(t, accepts(t, c, gateway), "the list is instead of the platforms")

	c = Config{SecretKey: canaryKey, APIURL: "http://127.0.0.1:8080"}
	assert.False(t, accepts(t, c, "https://127.0.0.1:8080"), "the environment's loopback is not for tokens")
	v, err := New(c)
	require.NoError(t, err)
	claims, err := v.Verify(t.Context(), hsToken(canaryKey))
	require.NoError(t, err)
	assert.Equal(t, "http://127.0.0.1:8080", claims.Tenant.Gateway)
}

func TestAudience(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name       string
		host       string
		configured []string
		aud        string
		tls        bool
		rs256      bool // accepted in an RS256 token
		hs256      bool // and in an HS256 token
	}{
		{name: "the request's host", host: "relay.example.com", aud: "https://relay.example.com", rs256: true, hs256: true},
		{name: "over TLS", host: "relay.example.com", aud: "https://relay.example.com", tls: true, rs256: true, hs256: true},
		{name: "with a trailing slash", host: "relay.example.com", aud: "https://relay.example.com/", rs256: true, hs256: true},
		{name: "with two trailing slashes", host: "relay.example.com", aud: "https://relay.example.com//"},
		{name: "in another case", host: "relay.example.com", aud: "https://Relay.Example.com", rs256: true, hs256: true},
		{name: "with the default port in the request", host: "relay.example.com:443", aud: "https://relay.example.com", rs256: true, hs256: true},
		{name: "with another port", host: "relay.example.com:8443", aud: "https://relay.example.com:8443", rs256: true, hs256: true},
		{name: "without the other port", host: "relay.example.com:8443", aud: "https://relay.example.com"},
		{name: "http", host: "relay.example.com", aud: "http://relay.example.com"},
		{name: "http on loopback", host: "127.0.0.1:8080", aud: "http://127.0.0.1:8080", rs256: true, hs256: true},
		{name: "http on localhost", host: "localhost:8080", aud: "http://localhost:8080/", rs256: true, hs256: true},
		{name: "http on IPv6 loopback", host: "[::1]:8080", aud: "http://[::1]:8080", rs256: true, hs256: true},
		{name: "http on a host that looks like loopback", host: "127.0.0.1.example.com", aud: "http://127.0.0.1.example.com"},
		{name: "a host without scheme", host: "relay.example.com", aud: "relay.example.com"},
		{name: "no host", host: "", aud: "https://"},
		{name: "everyone", host: "relay.example.com", aud: "everyone", hs256: true},
		{name: "empty", host: "relay.example.com", aud: ""},
		{name: "one that is configured", host: "10.0.0.1", configured: []string{"https://a.example", "https://b.example/"}, aud: "https://b.example", rs256: true, hs256: true},
		{name: "the request's host where others are configured", host: "relay.example.com", configured: []string{"https://a.example"}, aud: "https://relay.example.com"},
		{name: "everyone where others are configured", host: "relay.example.com", configured: []string{"https://a.example"}, aud: "everyone", hs256: true},
		{name: "everyone where it is configured", host: "relay.example.com", configured: []string{"everyone"}, aud: "everyone", rs256: true, hs256: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := w.config
			c.SecretKey = canaryKey
			c.Audiences = tt.configured
			v := w.verifier(t, c)
			ask := func(r *http.Request) error {
				r.Host = tt.host
				// What a caller writes about the scheme makes no difference.
				r.Header.Set("X-Forwarded-Proto", "http")
				if tt.tls {
					r.TLS = &tls.ConnectionState{}
				}
				_, err := v.Verify(t.Context(), r)
				return err
			}
			err := ask(bearing(signRS(rsaKey(), rsHeader(), with(rsClaims(), fields{"aud": tt.aud}))))
			assert.Equal(t, tt.rs256, err == nil, "RS256: %v", err)
			err = ask(bearing(signHS(canaryKey, hsHeader(), with(hsClaims(), fields{"aud": tt.aud}))))
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
	c.APIURL = "https://" + canaryUser + ":" + canaryPassword + "@gateway.example"
	c.PlatformURL = c.APIURL
	text := printed(t, c, &c, struct{ Config Config }{c}, []Config{c}, map[string]Config{"c": c})
	requireNoCanary(t, text)
	assert.NotContains(t, text, fmt.Sprintf("%x", canaryKey))
	assert.Contains(t, text, "https://audience.example", "what is no secret shows")
	assert.Contains(t, text, "SECRET_KEY=[redacted]")
	err := c.Validate()
	require.Error(t, err)
	requireNoCanary(t, printed(t, err.Error()))

	c.APIURL, c.PlatformURL, c.Audiences = gateway, "", nil
	v := w.verifier(t, c)
	r := bearing(signHS(canaryKey, hsHeader(), hsClaims()))
	claims, err := v.Verify(t.Context(), r)
	require.NoError(t, err)
	text = printed(t, v, claims, &claims, struct{ Claims Claims }{claims}, []Claims{claims}, claims.Tenant)
	requireNoCanary(t, text)
	for _, canary := range []string{canaryKey, canaryPassword, canaryUser} {
		assert.NotContains(t, text, fmt.Sprintf("%x", canary))
	}
	assert.Contains(t, text, gateway)
}

// A private platform's user interface is known only from its own token: the environment's would lead into another platform.
func TestLinksDoNotLeadIntoAnotherPlatform(t *testing.T) {
	w := newWorld(t)
	c := w.config
	c.SecretKey, c.APIHosts, c.PlatformURL = canaryKey, []string{"private.example"}, "https://qualysguard.qualys.com"
	claims, err := w.verifier(t, c).Verify(t.Context(), bearing(signHS(canaryKey, hsHeader(), with(hsClaims(), fields{"API_URL": "https://private.example"}))))
	require.NoError(t, err)
	assert.Empty(t, claims.PlatformURL)
}
