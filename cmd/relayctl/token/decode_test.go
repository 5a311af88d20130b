package token

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

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
