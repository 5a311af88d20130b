package mapping_test

import (
	_ "embed"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

//go:embed testdata/events.json
var wire []byte

// TestMapEventsOffTheWire follows events of the shapes of 2020 and 2025, and an empty one, from the gateway's JSON to one answer.
func TestMapEventsOffTheWire(t *testing.T) {
	events, err := qualys.DecodeEvents(wire)
	require.NoError(t, err)
	require.Len(t, events, 4)
	var all []ctim.Entities
	for _, e := range events {
		all = append(all, requireSound(t, observable(ctim.ObservableFileName, "invoice.exe"), page, e))
	}
	requireGolden(t, "decoded", answer(all...))
	assert.Equal(t, ctim.SeverityMedium, all[1].Sighting.Severity, "rated by its entry alone")
	assert.Equal(t, ctim.Entities{}, all[2])
	assert.Empty(t, all[3].Judgements, "nobody was judged that we could name")
	assert.Equal(t, "Known Good", all[3].Indicator.Title)
}
