package relay

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
	"qualysrelay.example/relay/auth"
)

const (
	gatewayUS1 = "https://gateway.qg1.apps.qualys.com"
	gatewayEU1 = "https://gateway.qg1.apps.qualys.eu"
)

// accountOf verifies a token with these claims, beside a user and a password, and returns its account.
func accountOf(t *testing.T, c Config, claims jwt.MapClaims) (Account, error) {
	t.Helper()
	all := jwt.MapClaims{"user": "canary-user", "pass": "canary-password"}
	for name, value := range claims {
		all[name] = value
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, all).SignedString([]byte(testKey))
	require.NoError(t, err)
	verifier, err := auth.New(c.Auth)
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "https://relay.example/health", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	verified, err := verifier.Verify(t.Context(), r)
	require.NoError(t, err)
	return c.Account(verified)
}

func configFor(t *testing.T, pairs ...string) Config {
	t.Helper()
	c, err := ConfigFromEnv(env(pairs...))
	require.NoError(t, err)
	return c
}

func TestClaimsOverrideTheEnvironment(t *testing.T) {
	t.Parallel()
	c := configFor(
		t, "API_URL", gatewayUS1, "PLATFORM_URL", "https://console.example/", "CTR_ENTITIES_LIMIT", "200",
	)
	environment := Account{
		Tenant:      qualys.Tenant{Gateway: gatewayUS1, User: "canary-user", Password: "canary-password"},
		PlatformURL: "https://console.example", Limit: 200,
	}
	limit := func(n int) Account { a := environment; a.Limit = n; return a }
	eu1 := environment // with the console that goes with it
	eu1.Tenant.Gateway, eu1.PlatformURL = gatewayEU1, "https://qualysguard.qualys.eu"
	console := func(url string) Account { a := environment; a.PlatformURL = url; return a }
	for name, tt := range map[string]struct {
		claims jwt.MapClaims
		want   Account
	}{
		"nothing but the credentials": {nil, environment},
		"settings that are null": {
			jwt.MapClaims{"API_URL": nil, "PLATFORM_URL": nil, "CTR_ENTITIES_LIMIT": nil}, environment,
		},
		"settings that are blank": {
			jwt.MapClaims{"API_URL": "", "PLATFORM_URL": " ", "CTR_ENTITIES_LIMIT": ""}, environment,
		},
		"settings in another case": {
			jwt.MapClaims{"api_url": "x", "Platform_URL": 1, "ctr_entities_limit": -1}, environment,
		},
		"a limit":                         {jwt.MapClaims{"CTR_ENTITIES_LIMIT": 50}, limit(50)},
		"a limit in digits":               {jwt.MapClaims{"CTR_ENTITIES_LIMIT": " 1000 "}, limit(1000)},
		"the least limit":                 {jwt.MapClaims{"CTR_ENTITIES_LIMIT": 1}, limit(1)},
		"another platform":                {jwt.MapClaims{"API_URL": gatewayEU1}, eu1},
		"a gateway with a trailing slash": {jwt.MapClaims{"API_URL": gatewayEU1 + "/"}, eu1},
		"a gateway with the default port": {jwt.MapClaims{"API_URL": gatewayEU1 + ":443/"}, eu1},
		"a gateway in upper case": {
			jwt.MapClaims{"API_URL": "HTTPS://Gateway.QG1.apps.qualys.EU"}, eu1,
		},
		"a gateway with white space": {jwt.MapClaims{"API_URL": " " + gatewayEU1 + "\n"}, eu1},
		"a console": {
			jwt.MapClaims{"PLATFORM_URL": "https://qualysguard.qualys.eu/"},
			console("https://qualysguard.qualys.eu"),
		},
		"a console with a port and a path": {
			jwt.MapClaims{"PLATFORM_URL": "https://qualys.corp.example:8443/portal/"},
			console("https://qualys.corp.example:8443/portal"),
		},
		"a console with an escaped path": {
			jwt.MapClaims{"PLATFORM_URL": "https://qualys.corp.example/a%2Fb/"},
			console("https://qualys.corp.example/a%2Fb"),
		},
		"a console with an IPv6 address": {
			jwt.MapClaims{"PLATFORM_URL": "https://[2001:db8::1]:443"}, console("https://[2001:db8::1]"),
		},
		"the same gateway keeps its console": {jwt.MapClaims{"API_URL": gatewayUS1}, environment},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := accountOf(t, c, tt.claims)
			require.NoError(t, err)
			if got != tt.want { // assert.Equal would not tell the redacted fields apart
				t.Errorf("got %v, %s, limit %d; want %v, %s, limit %d", got, got.PlatformURL, got.Limit,
					tt.want, tt.want.PlatformURL, tt.want.Limit)
			}
		})
	}
}

// Messages are the ones that users know: they are part of the contract.
func TestClaimsThatAreNotAccepted(t *testing.T) {
	t.Parallel()
	const (
		structure = "Wrong JWT payload structure: "
		api       = "API_URL in JWT payload is not accepted: "
		console   = "PLATFORM_URL in JWT payload is not accepted: "
		limit     = structure + "CTR_ENTITIES_LIMIT must be a whole number from 1 to 1000"
		platform  = api + "it is the API server or the console of a platform whose gateway is "
		notListed = " is not on the relay's list API_HOSTS"
	)
	type row struct {
		claim   string
		value   any
		message string
	}
	rows := []row{
		{"API_URL", "https://169.254.169.254", api + "169.254.169.254" + notListed},
		{"API_URL", "http://metadata.google.internal/", api + "it must start with https://"},
		{"API_URL", "https://127.0.0.1:8080", api + "127.0.0.1:8080" + notListed},
		{"API_URL", "http://127.0.0.1:8080", api + "it must start with https://"},
		{"API_URL", "http://localhost", api + "it must start with https://"},
		{"API_URL", "https://[::1]", api + "[::1]" + notListed},
		{"API_URL", "https://canary.example.com", api + "canary.example.com" + notListed},
		{
			"API_URL", "https://" + strings.Repeat("a.", 100) + "example",
			api + "it is not on the relay's list API_HOSTS",
		},
		{"API_URL", gatewayUS1 + ".", api + "gateway.qg1.apps.qualys.com." + notListed},
		{"API_URL", gatewayUS1 + ":8443", api + "gateway.qg1.apps.qualys.com:8443" + notListed},
		{"API_URL", gatewayUS1 + ".evil.example", api + "gateway.qg1.apps.qualys.com.evil.example" + notListed},
		{
			"API_URL", "https://evil.gateway.qg1.apps.qualys.com",
			api + "evil.gateway.qg1.apps.qualys.com" + notListed,
		},
		{
			"API_URL", "https://gateway.qg1.apps.qualys.com@canary.example.com",
			api + "user information is not allowed",
		},
		{"API_URL", "http://gateway.qg1.apps.qualys.com", api + "it must start with https://"},
		{"API_URL", gatewayUS1 + "/auth/../x", api + "a path is not allowed"},
		{"API_URL", gatewayUS1 + "/%2e%2e", api + "a path is not allowed"},
		{"API_URL", gatewayUS1 + "?", api + "a query or a fragment is not allowed"},
		{"API_URL", gatewayUS1 + "#", api + "a query or a fragment is not allowed"},
		{"API_URL", "https:///auth", api + "it names no host"},
		{"API_URL", "https:gateway.qg1.apps.qualys.com", api + "it names no host"},
		{"API_URL", "gateway.qg1.apps.qualys.com", api + "it must start with https://"},
		{"API_URL", "https://gateway qualys", api + "it is not a valid URL"},
		{"API_URL", gatewayUS1 + "\r\nx", api + "it is not a valid URL"},
		{"API_URL", gatewayUS1 + ":70000", api + "its port is not a number up to 65535"},
		{"API_URL", "https://gateway<x>", api + "a character is not allowed in a host name"},
		{"API_URL", "https://g\u0430teway.qg1.apps.qualys.com", api + "a character is not allowed in a host name"},
		{"API_URL", "https://qualysapi.qualys.com", platform + gatewayUS1},
		{"API_URL", "https://QualysGuard.qualys.eu/", platform + gatewayEU1},
		{"API_URL", "https://qualysapi.qg3.apps.qualys.com", platform + "https://gateway.qg3.apps.qualys.com"},
		{"PLATFORM_URL", "http://qualysguard.qualys.com", console + "it must start with https://"},
		{"PLATFORM_URL", "javascript:alert(1)", console + "it must start with https://"},
		{"PLATFORM_URL", "https://u:p@qualysguard.qualys.com", console + "user information is not allowed"},
		{
			"PLATFORM_URL", "https://qualysguard.qualys.com/?next=x",
			console + "a query or a fragment is not allowed",
		},
		{"PLATFORM_URL", "https://qualysguard.qualys.com/#x", console + "a query or a fragment is not allowed"},
		{"PLATFORM_URL", "http://127.0.0.1", console + "it must start with https://"},
	}
	for _, value := range []any{0, -1, 1001, 1.5, "0", "1001", "ten", "1e2", "0x10", 1e30, "1 0"} {
		rows = append(rows, row{"CTR_ENTITIES_LIMIT", value, limit})
	}
	for _, value := range []any{[]any{"x"}, map[string]any{"x": 1}, true} {
		rows = append(rows,
			row{"API_URL", value, structure + "API_URL must be a string"},
			row{"PLATFORM_URL", value, structure + "PLATFORM_URL must be a string"},
			row{"CTR_ENTITIES_LIMIT", value, limit})
	}
	c := configFor(t, "API_URL", "http://127.0.0.1:8080", "PLATFORM_URL", "https://console.example")
	for _, tt := range rows {
		t.Run(fmt.Sprintf("%s %v", tt.claim, tt.value), func(t *testing.T) {
			t.Parallel()
			a, err := accountOf(t, c, jwt.MapClaims{tt.claim: tt.value})
			var refused *auth.Error
			require.ErrorAs(t, err, &refused)
			assert.Equal(t, "Authorization failed: "+tt.message, refused.Message)
			assert.Zero(t, a, "nothing beside an error")
		})
	}

	_, err := accountOf(t, configFor(t, "API_URL", ""), nil)
	require.EqualError(
		t, err, "Authorization failed: API_URL is missing in JWT payload and in the relay's environment",
	)
}

func TestGatewaysOfPlatformsAndOfTheEnvironmentAreAccepted(t *testing.T) {
	t.Parallel()
	accepts := func(c Config, url string) bool {
		a, err := accountOf(t, c, jwt.MapClaims{"API_URL": url})
		if err == nil {
			assert.Equal(t, url, a.Tenant.Gateway)
		}
		return err == nil
	}
	c := configFor(t, "API_URL", "https://gateway.corp.example:8443/")
	for _, p := range qualys.Platforms() {
		assert.True(t, accepts(c, p.Gateway), p.Name)
	}
	assert.True(t, accepts(c, "https://gateway.corp.example:8443"))
	assert.False(t, accepts(c, "https://gateway.corp.example"), "another port")

	c = configFor(
		t, "API_URL", "https://gateway.corp.example:8443/", "API_HOSTS", "one.example,two.example:444,10.1.2.3",
	)
	assert.True(t, accepts(c, "https://one.example"))
	assert.True(t, accepts(c, "https://two.example:444"))
	assert.True(t, accepts(c, "https://10.1.2.3"), "an address that the operator has listed")
	assert.True(t, accepts(c, "https://gateway.corp.example:8443"), "the environment's")
	assert.False(t, accepts(c, "https://two.example"))
	assert.False(t, accepts(c, gatewayUS1), "the list is instead of the platforms")
}

// A private platform's console is known only from its own token: the environment's would lead into another
// platform.
func TestLinksDoNotLeadIntoAnotherPlatform(t *testing.T) {
	t.Parallel()
	c := configFor(
		t, "API_URL", gatewayUS1, "API_HOSTS", "private.example", "PLATFORM_URL",
		"https://qualysguard.qualys.com",
	)
	a, err := accountOf(t, c, jwt.MapClaims{"API_URL": "https://private.example"})
	require.NoError(t, err)
	assert.Empty(t, a.PlatformURL)
}

func TestAccountHidesItsCredentials(t *testing.T) {
	t.Parallel()
	a, err := accountOf(t, configFor(t, "API_URL", gatewayUS1), nil)
	require.NoError(t, err)
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+verb, a, &a, []Account{a}, struct{ A any }{a})
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("account", "account", a, "list", []Account{a})
	}
	assert.Contains(t, out.String(), gatewayUS1)
	assert.NotContains(t, out.String(), "canary")
	assert.NotContains(t, out.String(), fmt.Sprintf("%x", "canary"))
}

// TestATokenForSeveralAudiences sends a token whose aud is a list.
func TestATokenForSeveralAudiences(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil, "JWT_AUDIENCE", "https://relay.example")
	for want, audiences := range map[string][]string{
		`"status":"ok"`:       {"https://other.example", "https://relay.example"},
		"authorization error": {"https://other.example", "https://another.example"},
	} {
		claims := jwt.MapClaims{"user": qualystest.User, "pass": qualystest.Password, "aud": audiences}
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(testKey))
		require.NoError(t, err)
		assert.Contains(t, r.post("/health", token, "").body, want)
	}
}
