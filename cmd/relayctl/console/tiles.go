package console

import (
	"encoding/json"
	"net/http"
	"sync"

	"qualysrelay.example/cmd/relayctl/relayclient"
)

const maxTiles = 20 // of a relay

// tile is a tile of the relay and what it shows.
type tile struct {
	Head     json.RawMessage `json:"head"`
	Answer   json.RawMessage `json:"answer"` // null where there is none
	Problems []*problem      `json:"problems"`
	Cost     part            `json:"cost"`
}

// tiles asks the relay for its tiles and, side by side, for what they show.
func (c *console) tiles(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Period string `json:"period"`
	}
	if !decode(w, r, &in) {
		return
	}
	var out struct {
		Tiles    []tile     `json:"tiles"`
		Problems []*problem `json:"problems"` // of the list
	}
	list, problems, _ := c.ask(r.Context(), "tiles", "/tiles", nil)
	out.Problems = problems
	var answer struct{ Data []json.RawMessage }
	if list != nil && json.Unmarshal(list, &answer) != nil {
		_, out.Problems = c.read("tiles", relayclient.Response{Status: http.StatusOK, Body: []byte("no list of tiles")}, nil)
	}
	out.Tiles = make([]tile, min(len(answer.Data), maxTiles))
	var group sync.WaitGroup
	for i := range out.Tiles {
		group.Go(func() {
			t := &out.Tiles[i]
			t.Head = answer.Data[i]
			var head struct{ ID string }
			_ = json.Unmarshal(t.Head, &head) // without an id, the relay says so
			body, _ := json.Marshal(map[string]string{"tile_id": head.ID, "period": in.Period})
			t.Answer, t.Problems, t.Cost = c.ask(r.Context(), "tile", "/tiles/tile-data", body)
		})
	}
	group.Wait()
	respond(w, http.StatusOK, out)
}
