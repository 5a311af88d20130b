package consoletest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"qualysrelay.example/cmd/relayctl/console/consoletest"
	"qualysrelay.example/ctim/ctimschema"
)

func TestEveryAnswerIsOneThatTheRelayMayGive(t *testing.T) {
	for name, a := range map[string]consoletest.Answers{
		"story": consoletest.Story(), "empty": consoletest.Empty(), "partial": consoletest.Partial(), "hostile": consoletest.Hostile(), "many": consoletest.Many(50),
	} {
		t.Run(name, func(t *testing.T) {
			assert.NoError(t, ctimschema.Validate("ObserveResponse", a.Observe))
			assert.NoError(t, ctimschema.Validate("ReferResponse", a.Refer))
			if a.Deliberate != nil {
				assert.NoError(t, ctimschema.Validate("DeliberateResponse", a.Deliberate))
			}
		})
	}
}
