package token

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/cmd/relayctl/secret"
)

// FuzzDecodeShowsNoSecret wraps what the fuzzer makes up into a payload with a password: whatever stands
// around it, it is not shown.
func FuzzDecodeShowsNoSecret(f *testing.F) {
	const canary = "canary-7f3a"
	for _, seed := range []string{`1`, `"x"`, `[]`, `{}`, `{"pass":"` + canary + `"}`, `[{"token":"` +
		canary + `"}]`, `{"a":{"Secret":["` + canary + `"]}}`, `1e999`, `nul`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if strings.Contains(strings.ReplaceAll(value, `"pass":"`+canary, ""), canary) {
			return // in the open, by the fuzzer's own hand
		}
		payload := `{"before":` + value + `,"pass":"` + canary + `","after":` + value + `}`
		token := "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "."
		doc, times, err := Decode(secret.Value(token))
		require.NotContains(t, strings.Join(times, ""), canary)
		if err != nil {
			require.NotContains(t, err.Error(), canary)
			return
		}
		require.True(t, json.Valid(doc), string(doc))
		require.NotContains(t, string(doc), canary)
	})
}

func TestTimesAreInWords(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string][]string{
		`{}`: {"Expires:    never"},
		`{"iat":1772366400,"nbf":1772366400.7,"exp":1780142400}`: {"Issued:     2026-03-01T12:00:00Z",
			"Not before: 2026-03-01T12:00:00Z", "Expires:    2026-05-30T12:00:00Z"},
		`{"exp":0}`:                             {"Expires:    1970-01-01T00:00:00Z"},
		`{"exp":"soon","iat":1e300,"nbf":1e18}`: nil,
	} {
		_, times, err := Decode(secret.Value("e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "."))
		require.NoError(t, err)
		assert.Equal(t, want, times, payload)
	}
}

func TestAnErrorQuotesNothing(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{`{"pass":"\ud800canary"}`, `{"pass":"\ucanary"}`, `{"pass":canary}`, `"canary"`} {
		_, _, err := Decode(secret.Value("e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "."))
		require.EqualError(t, err, "not a JWT: part 2 is not a JSON object in base64url", payload)
	}
}
