package relay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys"
)

const testKey = "a-key-of-at-least-thirty-two-characters-for-tests"

func env(pairs ...string) func(string) string {
	values := map[string]string{"SECRET_KEY": testKey, "API_URL": "http://127.0.0.1:1"}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return values[name] }
}

func TestConfigHasTheDocumentedDefaults(t *testing.T) {
	t.Parallel()
	c, err := ConfigFromEnv(env())
	require.NoError(t, err)
	assert.Equal(t, "http://127.0.0.1:1", c.APIURL)
	assert.Empty(t, c.PlatformURL)
	assert.Equal(t, 100, c.Limit)
	assert.Equal(t, 25*time.Second, c.RequestTimeout)
	assert.Equal(t, 4, c.Concurrency)
	assert.Equal(t, 30*time.Second, c.SearchCache)
	assert.EqualValues(t, 400<<20, c.MemoryLimit)
	assert.Equal(t, slog.LevelInfo, c.LogLevel)
	assert.Equal(t, "/ioc", c.APIPath)
	assert.False(t, c.Telemetry)
	require.Len(t, c.APIHosts, len(qualys.Platforms()), "loopback is not for tokens")
	assert.Contains(t, c.APIHosts, "gateway.qg1.apps.qualys.com")
	assert.Contains(t, c.APIHosts, "gateway.gov1.qualys.us")
}

func TestConfigReadsEachVariable(t *testing.T) {
	t.Parallel()
	c, err := ConfigFromEnv(env("CTR_ENTITIES_LIMIT", "250", "REQUEST_TIMEOUT", "40s",
		"QUALYS_CONCURRENCY", "2", "SEARCH_CACHE", "0", "LOG_LEVEL", "debug", "API_PATH", "/ioc/v1",
		"API_URL", " HTTPS://Gateway.example:443/ ",
		"JWKS_HOSTS", "visibility.amp.cisco.com, visibility.eu.amp.cisco.com",
		"JWT_AUDIENCE", "https://relay.example",
		"API_HOSTS", "one.example, two.example:444", "PLATFORM_URL", "https://console.example/portal/",
		"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318",
		"GOOGLE_CLOUD_PROJECT", "some-project"))
	require.NoError(t, err)
	assert.Equal(t, 250, c.Limit)
	assert.Equal(t, 40*time.Second, c.RequestTimeout)
	assert.Equal(t, 2, c.Concurrency)
	assert.Zero(t, c.SearchCache)
	assert.Equal(t, slog.LevelDebug, c.LogLevel)
	assert.Equal(t, "/ioc/v1", c.APIPath)
	assert.Equal(t, "https://gateway.example", c.APIURL)
	assert.Equal(t, []string{"visibility.amp.cisco.com", "visibility.eu.amp.cisco.com"}, c.Auth.JWKSHosts)
	assert.Equal(t, []string{"https://relay.example"}, c.Auth.Audiences)
	assert.Equal(t, []string{"one.example", "two.example:444", "gateway.example"}, c.APIHosts)
	assert.Equal(t, "https://console.example/portal", c.PlatformURL)
	assert.Equal(t, "some-project", c.ProjectID)
	assert.True(t, c.Telemetry)

	c, err = ConfigFromEnv(
		env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318", "OTEL_SDK_DISABLED", "TRUE"),
	)
	require.NoError(t, err)
	assert.False(t, c.Telemetry)
}

func TestConfigNamesEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	_, err := ConfigFromEnv(env("SECRET_KEY", "short-secret", "API_URL", "ftp://gateway.example",
		"API_HOSTS", "https://gateway.example,Gateway.example,gateway.example/,u:p@gateway.example,"+
			"qualysapi.qualys.com",
		"PLATFORM_URL", "http://console.example", "CTR_ENTITIES_LIMIT", "many", "REQUEST_TIMEOUT", "25",
		"QUALYS_CONCURRENCY", "0", "SEARCH_CACHE", "-1s", "LOG_LEVEL", "loud",
		"API_PATH", "ioc",
		"JWKS_HOSTS", "127.0.0.1", "JWT_AUDIENCE", "/"))
	require.Error(t, err)
	assert.Equal(t, []string{
		"configuration:",
		"PLATFORM_URL: it must start with https://",
		"CTR_ENTITIES_LIMIT: must be a whole number from 1 to 1000",
		"API_PATH: must be a path like /ioc or /ioc/v1",
		"REQUEST_TIMEOUT: must be a duration from 1s to 10m0s, such as 20s",
		"QUALYS_CONCURRENCY: must be a whole number from 1 to 64",
		"SEARCH_CACHE: must be a duration from 0s to 5m0s, such as 20s",
		"LOG_LEVEL: must be debug, info, warn or error",
		"API_HOSTS: in an entry, a path is not allowed",
		`API_HOSTS: "Gateway.example" must be written "gateway.example"`,
		`API_HOSTS: "gateway.example/" must be written "gateway.example"`,
		"API_HOSTS: in an entry, user information is not allowed",
		"API_HOSTS: in an entry, it is the API server or the console of a platform whose gateway is " +
			"https://gateway.qg1.apps.qualys.com",
		"API_URL: it must start with https://",
		"SECRET_KEY: the key has 12 bytes and must have at least 32",
		`JWKS_HOSTS: "127.0.0.1" must be a host name in lower case, without scheme, port and path, or none alone`,
		"JWT_AUDIENCE: an entry is empty",
	}, strings.Split(err.Error(), "\n"))
}

func TestConfigAPIURL(t *testing.T) {
	const notGateway = "it is the API server or the console of a platform whose gateway is "
	t.Parallel()
	for value, wrong := range map[string]string{
		"http://localhost:8080":            "",
		"http://[::1]:8080":                "",
		"https://gateway.corp.example":     "",
		"http://10.0.0.1":                  "it must start with https://",
		"http://127.0.0.1.example":         "it must start with https://",
		"gateway.example":                  "it must start with https://",
		"https://gateway.example/ioc":      "a path is not allowed",
		"https://canary-user:p@gateway.ex": "user information is not allowed",
		"https://%zz":                      "it is not a valid URL",
		"https://gateway.example?x":        "a query or a fragment is not allowed",
		"https://qualysapi.qg2.apps.qualys.eu": notGateway +
			"https://gateway.qg2.apps.qualys.eu",
		"https://qualysguard.gov1.qualys.us/": notGateway +
			"https://gateway.gov1.qualys.us",
	} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			c, err := ConfigFromEnv(env("API_URL", value))
			if wrong == "" {
				require.NoError(t, err)
				assert.Equal(t, value, c.APIURL)
				return
			}
			require.EqualError(t, err, "configuration:\nAPI_URL: "+wrong)
		})
	}
}

// The Go runtime reads GOMEMLIMIT: what the variable holds is not parsed a second time.
func TestConfigMemoryLimit(t *testing.T) { //nolint:paralleltest // the limit is the process's
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	for set, limit := range map[int64]int64{ // 0: refused
		math.MaxInt64: math.MaxInt64, 1 << 30: 1 << 30, 64 << 20: 64 << 20, 64<<20 - 1: 0,
	} {
		debug.SetMemoryLimit(set)
		c, err := ConfigFromEnv(env("GOMEMLIMIT", "set"))
		if limit == 0 {
			require.EqualError(t, err, "configuration:\nGOMEMLIMIT: must be 64MiB at least")
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, limit, c.MemoryLimit)
		c, err = ConfigFromEnv(env())
		require.NoError(t, err)
		assert.EqualValues(t, 400<<20, c.MemoryLimit)
	}
}

func TestConfigPrintsNoSecret(t *testing.T) {
	t.Parallel()
	c, err := ConfigFromEnv(env("API_URL", "https://gateway.example"))
	require.NoError(t, err)
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&out, verb+verb+verb, c, &c, []Config{c})
	}
	text, err := json.Marshal(c)
	require.NoError(t, err)
	out.Write(text)
	slog.New(slog.NewTextHandler(&out, nil)).Info("config", "config", c, "all", []Config{c}, "auth", c.Auth)
	assert.NotContains(t, out.String(), testKey)
	assert.NotContains(t, out.String(), fmt.Sprintf("%x", testKey))

	out.Reset()
	slog.New(slog.NewJSONHandler(&out, nil)).Info("relay starts", "config", c)
	for _, part := range []string{
		`"hs256_key":"SECRET_KEY"`,
		`"jwks_hosts":"visibility.amp.cisco.com,`, `"audiences":"the URL of the request"`,
		`"api_url":"https://gateway.example"`, `"memory_limit":419430400`,
		`"log_level":"INFO"`, `"entities_limit":100`,
	} {
		assert.Contains(t, out.String(), part)
	}
	assert.NotContains(t, out.String(), testKey)
}
