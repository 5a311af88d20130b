package relay

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys/qualystest"
)

// TestALimitOfADay says so: Qualys's published example of code 1965 waits 86,274 seconds.
func TestALimitOfADay(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.LimitReached(86274)})
	for range 2 {
		a := r.query("/observe/observables", "sha256", sha(1))
		require.NotEmpty(t, a.Errors)
		assert.Contains(t, a.Errors[0].Message, "in 24 hours.")
	}
}
