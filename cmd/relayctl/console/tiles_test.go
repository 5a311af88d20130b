package console_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/cmd/relayctl/console/consoletest"
)

// dashboard is what the page gets.
type dashboard struct {
	Tiles []struct {
		Head     struct{ ID, Type string }
		Answer   *struct{ Data map[string]any }
		Problems []struct{ Heading, Message string }
		Cost     struct{ Calls int }
	}
	Problems []struct{ Heading, Message string }
}

func (p page) tiles(t *testing.T, period string) (d dashboard) {
	t.Helper()
	status, _, body := p.send(t, http.MethodPost, "/api/tiles", `{"period":"`+period+`"}`, nil)
	require.Equal(t, http.StatusOK, status, body)
	require.NoError(t, json.Unmarshal([]byte(body), &d))
	return d
}

func TestTiles(t *testing.T) {
	p := open(t, consoletest.Relay{}.Start(t))
	d := p.tiles(t, "last_7_days")
	assert.Empty(t, d.Problems)
	require.Len(t, d.Tiles, 4)
	for _, tile := range d.Tiles {
		require.NotNil(t, tile.Answer, tile.Head.ID)
		assert.NotEmpty(t, tile.Answer.Data["data"], tile.Head.ID)
		assert.Empty(t, tile.Problems, tile.Head.ID)
		assert.Positive(t, tile.Cost.Calls, tile.Head.ID)
	}
	for _, tile := range p.tiles(t, `a \"period\"`).Tiles {
		require.Len(t, tile.Problems, 1)
		assert.Contains(t, tile.Problems[0].Message, `{"period":"must be one of last_hour, `)
	}
}

func TestTilesThatCannotBeHad(t *testing.T) {
	d := open(t, consoletest.Partial().Start(t)).tiles(t, "last_7_days")
	assert.Empty(t, d.Tiles)
	require.Len(t, d.Problems, 1)
	assert.Equal(t, "No tiles", d.Problems[0].Heading)
	for _, tile := range open(t, consoletest.Down().Start(t)).tiles(t, "last_7_days").Tiles {
		require.Len(t, tile.Problems, 1)
		assert.Contains(t, tile.Problems[0].Message, "Unable to connect to Qualys IOC")
	}
}

func TestAListOfTilesThatIsNone(t *testing.T) {
	d := open(t, says(t, `{"data":"x"}`)).tiles(t, "last_7_days")
	assert.Empty(t, d.Tiles)
	require.Len(t, d.Problems, 1)
	assert.Equal(t, "No tiles", d.Problems[0].Heading)
	assert.Equal(t, "The relay's answer is no list of tiles.", d.Problems[0].Message)
}
