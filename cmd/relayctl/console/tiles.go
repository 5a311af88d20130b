package console

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"qualysrelay.example/cmd/relayctl/relayclient"
)

const maxTiles = 20 // of a relay

// dashboard are the relay's tiles and what they show.
type dashboard struct {
	Tiles    []tile     `json:"tiles"`
	Problems []*problem `json:"problems"` // of the list
}

type tile struct {
	Head     json.RawMessage `json:"head"`
	Answer   json.RawMessage `json:"answer"` // null where there is none
	Problems []*problem      `json:"problems"`
	Cost     part            `json:"cost"`
}

// tiles asks the relay for its tiles and, side by side, for what they show.
func (c *console) tiles(ctx context.Context, in struct {
	Period string `json:"period"`
}) (*dashboard, string) {
	out := &dashboard{}
	var list json.RawMessage
	list, out.Problems, _ = c.ask(ctx, "tiles", relayclient.PathTiles, nil)
	var answer struct{ Data []json.RawMessage }
	if list != nil && json.Unmarshal(list, &answer) != nil {
		odd := relayclient.Response{Status: http.StatusOK, Body: []byte("no list of tiles")}
		_, out.Problems = c.read("tiles", odd, nil)
	}
	out.Tiles = make([]tile, min(len(answer.Data), maxTiles))
	var group sync.WaitGroup
	for i := range out.Tiles {
		group.Go(func() {
			t := &out.Tiles[i]
			t.Head = answer.Data[i]
			var head struct{ ID string }
			_ = json.Unmarshal(t.Head, &head) // without an id, the relay says so
			// strings always encode
			body, _ := json.Marshal(map[string]string{"tile_id": head.ID, "period": in.Period})
			t.Answer, t.Problems, t.Cost = c.ask(ctx, "tile", relayclient.PathTileData, body)
		})
	}
	group.Wait()
	return out, ""
}
