package main

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys/qualystest"
	"qualysrelay.example/relay"
)

// TestFromAKeyToAnInvestigation walks the way of a new user against a real relay: make a key, make a token,
// verify it, observe.
func TestFromAKeyToAnInvestigation(t *testing.T) {
	t.Parallel()
	gateway := qualystest.New(t, qualystest.Config{Events: qualystest.Story()})
	dir := t.TempDir()
	key, token := filepath.Join(dir, "relay.key"), filepath.Join(dir, "relay.jwt")
	settings := env("SECRET_KEY_FILE", key, "API_URL", gateway.URL, "LOG_LEVEL", "error", "PLATFORM_URL",
		"https://qualysguard.example",
		"QUALYS_USER", qualystest.User, "QUALYS_PASSWORD", qualystest.Password)
	var stderr bytes.Buffer
	relayctl := func(code int, stdin string, args ...string) string {
		t.Helper()
		var stdout bytes.Buffer
		stderr.Reset()
		require.Equal(t, code, run(t.Context(), args, strings.NewReader(stdin), &stdout, &stderr, settings),
			"%s\n%s", &stdout, &stderr)
		assert.NotContains(t, stdout.String()+stderr.String(), qualystest.Password)
		return stdout.String()
	}

	relayctl(exitDone, "", "key", "--file", key)
	relayctl(exitDone, "", "token", "--key-file", key, "--expires", "1h", "--out", token)
	assert.Contains(t, relayctl(exitDone, "", "token", "verify", "--file", token),
		"accepted: user "+qualystest.User)

	start := func() string {
		config, err := relay.ConfigFromEnv(settings)
		require.NoError(t, err)
		service, err := relay.New(config, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		server := httptest.NewServer(service)
		t.Cleanup(func() { server.Close(); service.Close() })
		return server.URL
	}

	observe := []string{"observe", "--url", start(), "--token-file", token, "--validate"}
	for _, o := range qualystest.StoryObservables() {
		if o.Label == "never seen" {
			continue
		}
		relayctl(exitDone, "", append(observe, o.Type+":"+o.Value)...)
	}
	table := relayctl(exitDone, "It called hxxp://cdn[.]glasswing[.]example/ and 198.51.100[.]23.",
		observe...)
	assert.Contains(t, table, "domain:cdn.glasswing.example")
	assert.Contains(t, table, "ip:198.51.100.23")
	assert.Contains(t, stderr.String(), "The answer is valid CTIM.")
	relayctl(exitNo, "", append(observe, "203.0.113.99")...)

	// The same token at a relay that knows the next key only.
	require.NoError(t, os.Remove(key))
	relayctl(exitDone, "", "key", "--file", key)
	assert.Contains(t, relayctl(exitNo, "", "token", "verify", "--file", token),
		"refused: Authorization failed: Failed to decode JWT with provided key")
	relayctl(exitError, "", append(observe, "198.51.100.23", "--url", start())...)
	assert.Contains(t, stderr.String(), "Failed: Authorization failed: Failed to decode JWT with provided "+
		"key")
}
