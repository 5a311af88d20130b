package console

import (
	"context"
	"encoding/json"
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
	Head json.RawMessage `json:"head"`
	reply
}

// tiles asks the relay for its tiles and, side by side, for what they show.
func (c *console) tiles(ctx context.Context, in struct {
	Period string `json:"period"`
}) *dashboard {
	var answer struct{ Data []json.RawMessage }
	list := c.ask(ctx, relayclient.PathTiles, struct{}{})
	if list.Answer != nil && json.Unmarshal(list.Answer, &answer) != nil {
		list.fail("The relay's answer is no list of tiles.")
	}
	out := &dashboard{Tiles: make([]tile, min(len(answer.Data), maxTiles)), Problems: list.Problems}
	var group sync.WaitGroup
	for i, head := range answer.Data[:len(out.Tiles)] {
		group.Go(func() {
			var tileHead struct{ ID string }
			_ = json.Unmarshal(head, &tileHead) // without an id, the relay says so
			payload := map[string]string{"tile_id": tileHead.ID, "period": in.Period}
			out.Tiles[i] = tile{head, c.ask(ctx, relayclient.PathTileData, payload)}
		})
	}
	group.Wait()
	return out
}
