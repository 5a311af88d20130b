package relay

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"qualysrelay.example/qualys/qualystest"
)

// TestAGatewayWithSmallerPages: what the largest page is, Qualys does not say. A page that is shorter than
// asked for may not be the last one.
func TestAGatewayWithSmallerPages(t *testing.T) {
	t.Parallel()
	var events []qualystest.Event
	for i := range 150 {
		events = append(events, toDomain("c2.example.org").At("2026-06-01T00:00:00Z").ID(fmt.Sprintf("N_%d", i)))
	}
	fake := qualystest.New(t, qualystest.Config{Events: append(events, toDomain("c2.example")), MaxPageSize: 100})
	r := newRelayAt(t, fake, "API_URL", fake.URL)
	a := r.query("/observe/observables", "domain", "c2.example")
	assert.True(t, a.Data.Sightings.Count == 1 || len(a.Errors) > 0, "%s", a.body)
}
