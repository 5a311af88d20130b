package errorhelp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/relay"
)

func TestEveryEntryIsWhole(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, e := range Entries() {
		name := e.Code + e.Type + e.Message
		assert.False(t, seen[name], "%s is there twice", name)
		seen[name] = true
		assert.NotEmpty(t, e.Means, name)
		assert.Equal(t, e.Type == "", e.Message == "", name)
		if e.Type != "" {
			assert.Contains(t, []string{"fatal", "error", "warning"}, e.Type, name)
		}
		if name != "no date" { // nothing can be done about that one
			assert.NotEmpty(t, e.Fix, name)
		}
		if e.Type != "" || len(e.cloud) > 0 {
			here := e.Fix[:len(e.Fix)-len(e.cloud)]
			assert.NotEmpty(t, here, "%s: what can be done about a relay on this machine", name)
			assert.NotContains(t, strings.Join(here, "\n"), "$ gcloud", name)
			assert.False(t, strings.HasSuffix(here[len(here)-1], ":"), name)
			continue
		}
		for i, step := range e.Fix {
			if i+1 < len(e.Fix) && strings.HasPrefix(e.Fix[i+1], "$ ") && !strings.HasPrefix(step, "$ ") {
				assert.True(t, strings.HasSuffix(step, ":"), "%q leads to a command", step)
			}
		}
	}
}

func TestEveryLineIsUnderstood(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(source) {
		assert.Regexp(t, `^(\n|#|== |  \S|(match|means|fix|cloud): \S)`, line)
	}
}

func TestEveryCodeOfTheRelayIsExplained(t *testing.T) {
	t.Parallel()
	unknown := Cause("unknown error")
	for _, code := range []relay.Code{
		relay.CodeAuthorization, relay.CodeInvalidArgument, relay.CodePermission, relay.CodeTooManyRequests,
		relay.CodeUnavailable,
		relay.CodeConnection, relay.CodeTimeout, relay.CodeHealthCheck, relay.CodeTruncated, relay.CodeUnknown,
	} {
		assert.NotEqual(t, unknown, For(string(code), "whatever it says", false), code)
	}
	assert.Equal(t, []string{"Its log names the cause, such as a missing key file (SECRET_KEY_FILE)."},
		For("unknown", "The relay could not process the request.", true).Fix, "nothing about Cloud Run")
	assert.Equal(t, unknown, For("a code that is new", "whatever it says", false))
}

func TestForChoosesByTheMessage(t *testing.T) {
	t.Parallel()
	for message, means := range map[string]string{
		"Authorization failed: JWT has expired":         "too old now",
		"Authorization failed: <SECRET_KEY> is missing": "no key for those",
		"Authorization failed: Wrong JWT structure": "not a token as the " +
			"relay needs it",
		"Authorization failed: Bad credentials": "Qualys refused the " +
			"user name or the password",
		"Authorization failed: API_URL is not on the relay's list API_HOSTS": "does not trust",
		"Authorization failed: kid from JWT header not found in API response": "does not know the key " +
			"that signed it",
		"Authorization failed: Wrong configuration-token-audience: …": "another relay",
		"Authorization failed: More than one Authorization header":    "did not arrive as",
		"Authorization failed: JWT was issued in the future": "ahead by more than a " +
			"minute",
		"Authorization failed: Wrong jwks_host in JWT payload. Make sure domain": "no host, or none that " +
			"the relay trusts",
		"Authorization failed: Failed to decode JWT with provided key: it is not …": "another key than the " +
			"relay has",
	} {
		assert.Contains(t, For("authorization error", message, false).Means, means, message)
	}
	assert.Contains(t, For("unknown", "Unable to verify SSL certificate: x", false).Means,
		"does not trust the certificate")
	assert.Contains(t, For("unknown", "Unexpected response from Qualys IOC: x", false).Means,
		"not the Qualys API's")
	assert.Contains(t, For("unknown", "The relay could not process the request.", false).Means,
		"The relay itself failed")
	assert.Contains(t, For("invalid argument", `Invalid JSON payload received. {}`, false).Means,
		"not what the endpoint takes")
	assert.Contains(t, For("invalid argument", `The IP "x" cannot be searched`, false).Means,
		"One observable")
}

func TestACallerCannotChangeTheHelp(t *testing.T) {
	t.Parallel()
	first := Cause("bad url")
	first.Fix[0] = "changed"
	assert.NotEqual(t, first, Cause("bad url"))
	require.Panics(t, func() { Cause("no such cause") })
}
