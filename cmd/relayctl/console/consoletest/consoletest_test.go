package consoletest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/cmd/relayctl/console/consoletest"
	"qualysrelay.example/ctim/ctimschema"
)

func TestEveryAnswerIsOneThatTheRelayMayGive(t *testing.T) {
	for name, relay := range map[string]consoletest.Relay{
		"story": {}, "partial": consoletest.Partial(), "down": consoletest.Down(),
		"without platform": consoletest.WithoutPlatform(),
	} {
		t.Run(name, func(t *testing.T) {
			client := relay.Start(t)
			body := []byte(`[{"type":"ip","value":"198.51.100.23"},{"type":"domain","value":"pool.glasswing.example"}]`)
			observed, err := client.Post(t.Context(), "/observe/observables", body)
			require.NoError(t, err)
			assert.NoError(t, ctimschema.Validate("ObserveResponse", observed.Body), "%s", observed.Body)
			referred, err := client.Post(t.Context(), "/refer/observables", body)
			require.NoError(t, err)
			assert.NoError(t, ctimschema.Validate("ReferResponse", referred.Body), "%s", referred.Body)
		})
	}
}
