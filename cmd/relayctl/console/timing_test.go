package console

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMeasure(t *testing.T) {
	for name, c := range map[string]struct {
		headers       []string
		relay, qualys float64
		calls         int
	}{
		"no header": {nil, 0, 0, 0},
		"total and Qualys": {[]string{`total;dur=12.3, qualys;dur=10.1;desc="2 calls"`},
			12.3, 10.1, 2},
		"two headers": {[]string{`total;dur=5`, `qualys;desc="1 call";dur=4`}, 5, 4,
			1},
		"a description without quotes": {[]string{`qualys;desc=7`}, 0, 0, 7},
		"spaces and capitals": {[]string{` Total ; DUR = 3 ,QUALYS;Desc="3 calls"`}, 3, 0,
			3},
		"commas and quotes in a description": {[]string{`cache;desc="a, \"b\"; dur=9", total;dur=1`}, 1, 0,
			0},
		"a duration that is no number": {[]string{`total;dur=NaN, qualys;dur=-1;desc="many calls"`},
			0, 0, 0},
		"an endless duration":                 {[]string{`total;dur=1e999, qualys;dur=Inf`}, 0, 0, 0},
		"a description that is never closed":  {[]string{`qualys;desc="2 calls`}, 0, 0, 0},
		"metrics of a proxy on the way":       {[]string{`gfet4t7; dur=40`, `total;dur=2`}, 2, 0, 0},
		"an empty entry between two of worth": {[]string{`total;dur=2,,qualys;dur=1`}, 2, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := measure("/x", Reply{Header: http.Header{"Server-Timing": c.headers}})
			assert.InDelta(t, c.relay, p.Relay, 1e-9)
			assert.InDelta(t, c.qualys, p.Qualys, 1e-9)
			assert.Equal(t, c.calls, p.Calls)
		})
	}
}

func FuzzServerTiming(f *testing.F) {
	f.Add(`total;dur=12.3, qualys;dur=10.1;desc="2 calls"`)
	f.Add(`a;desc="\"`)
	f.Add(`;;,"`)
	f.Fuzz(func(t *testing.T, header string) {
		p := measure("/x", Reply{Header: http.Header{"Server-Timing": {header}}})
		require.GreaterOrEqual(t, p.Calls, 0)
		_, err := json.Marshal(p)
		require.NoError(t, err)
	})
}
