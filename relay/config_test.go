package relay

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
	assert.Equal(t, 100, c.Auth.Limit)
	assert.Equal(t, 25*time.Second, c.RequestTimeout)
	assert.Equal(t, 4, c.Concurrency)
	assert.Equal(t, 30*time.Second, c.SearchCache)
	assert.Equal(t, slog.LevelInfo, c.LogLevel)
	assert.Equal(t, "/ioc", c.APIPath)
	assert.False(t, c.Telemetry)
}

func TestConfigReadsEachVariable(t *testing.T) {
	t.Parallel()
	c, err := ConfigFromEnv(env("CTR_ENTITIES_LIMIT", "250", "REQUEST_TIMEOUT", "40s", "QUALYS_CONCURRENCY", "2", "SEARCH_CACHE", "0",
		"LOG_LEVEL", "debug", "API_PATH", "/ioc/v1", "JWKS_HOSTS", "visibility.amp.cisco.com, visibility.eu.amp.cisco.com",
		"JWT_AUDIENCE", "https://relay.example", "API_HOSTS", "gateway.example", "PLATFORM_URL", "https://console.example",
		"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318", "GOOGLE_CLOUD_PROJECT", "some-project"))
	require.NoError(t, err)
	assert.Equal(t, 250, c.Auth.Limit)
	assert.Equal(t, 40*time.Second, c.RequestTimeout)
	assert.Equal(t, 2, c.Concurrency)
	assert.Zero(t, c.SearchCache)
	assert.Equal(t, slog.LevelDebug, c.LogLevel)
	assert.Equal(t, "/ioc/v1", c.APIPath)
	assert.Equal(t, []string{"visibility.amp.cisco.com", "visibility.eu.amp.cisco.com"}, c.Auth.JWKSHosts)
	assert.Equal(t, []string{"https://relay.example"}, c.Auth.Audiences)
	assert.Equal(t, []string{"gateway.example"}, c.Auth.APIHosts)
	assert.Equal(t, "https://console.example", c.Auth.PlatformURL)
	assert.Equal(t, "some-project", c.ProjectID)
	assert.True(t, c.Telemetry)
}

func TestConfigNamesEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	_, err := ConfigFromEnv(env("SECRET_KEY", "short-secret", "API_URL", "ftp://gateway.example", "CTR_ENTITIES_LIMIT", "many", "REQUEST_TIMEOUT", "25",
		"QUALYS_CONCURRENCY", "0", "SEARCH_CACHE", "-1s", "LOG_LEVEL", "loud", "API_PATH", "ioc"))
	require.Error(t, err)
	for _, name := range []string{"SECRET_KEY", "API_URL", "CTR_ENTITIES_LIMIT", "REQUEST_TIMEOUT", "QUALYS_CONCURRENCY", "SEARCH_CACHE", "LOG_LEVEL", "API_PATH"} {
		assert.Contains(t, err.Error(), name)
	}
	assert.NotContains(t, err.Error(), "short-secret")
}

func TestConfigPrintsNoSecret(t *testing.T) {
	t.Parallel()
	c, err := ConfigFromEnv(env())
	require.NoError(t, err)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("config", "config", c, "auth", c.Auth)
	for _, text := range []string{fmt.Sprintf("%v", c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprint(&c), log.String()} {
		assert.NotContains(t, text, testKey)
	}
}
