package relay

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"qualysrelay.example/ctim"
)

// tileHead is what XDR offers to put on a dashboard.
//
// No schema of the tiles is published. The shapes are those that Cisco's public relays answer with; package
// ctimschema has them written down.
type tileHead struct {
	ID               string   `json:"id"`
	Type             string   `json:"type"`
	Title            string   `json:"title"`
	ShortDescription string   `json:"short_description"`
	Description      string   `json:"description"`
	Tags             []string `json:"tags"`
	Periods          []string `json:"periods"`
	DefaultPeriod    string   `json:"default_period"`
}

// tile is a tile and what fills it. Its data is nil where nothing is known.
type tile struct {
	tileHead
	fill func(*tileQuery) *tileData
}

const (
	aboutHistory  = " Every occurrence in the history of the endpoints counts."
	aboutVerdicts = " Qualys publishes no search field for verdicts, so these are ranges of the score: " +
		"malicious 8 to 10, suspicious 2 to 7, remediated 1. An event with several scores can count more " +
		"than once."
)

// dashboard is the table of tiles. To add one is to add an entry.
func dashboard() []tile {
	all := []tile{{tileHead{
		ID: "qualys-detections", Type: "metric_group", Title: "Qualys EDR: detections",
		ShortDescription: "How many events Qualys saw, by verdict",
		Description: "Malicious, suspicious, remediated and all events of the period." +
			aboutHistory + aboutVerdicts,
	}, (*tileQuery).metrics}, {tileHead{
		ID: "qualys-detections-over-time", Type: "vertical_bar_chart", Title: "Detections over time",
		ShortDescription: "Detections by verdict along the period",
		Description: "Malicious, suspicious and remediated events of each day (UTC), or of each hour or " +
			"five minutes in a shorter period." + aboutHistory + aboutVerdicts,
	}, (*tileQuery).chart}, {tileHead{
		ID: "qualys-detections-by-type", Type: "donut_graph", Title: "Detections by type and verdict",
		ShortDescription: "Detections by the type of the event and verdict",
		Description: "Which files, processes, connections, mutexes and registry keys were malicious, " +
			"suspicious or remediated." + aboutHistory + aboutVerdicts,
	}, (*tileQuery).donut}, {tileHead{
		ID: "qualys-newest-malicious", Type: "markdown", Title: "Newest malicious events",
		ShortDescription: "The ten newest malicious events",
		Description: "The ten newest events with a score of 8 to 10 in the current state of the " +
			"endpoints.",
	}, (*tileQuery).newest}}
	for i := range all {
		all[i].Tags, all[i].DefaultPeriod = []string{"Qualys EDR"}, "last_7_days"
		for _, p := range tilePeriods() {
			all[i].Periods = append(all[i].Periods, p.name)
		}
	}
	return all
}

// tilePeriod is a time until now that XDR can ask for, and how a chart divides it.
type tilePeriod struct {
	name          string
	length, width time.Duration
}

func tilePeriods() []tilePeriod {
	const day = 24 * time.Hour
	return []tilePeriod{
		{"last_hour", time.Hour, 5 * time.Minute},
		{"last_24_hours", day, time.Hour},
		{"last_7_days", 7 * day, day},
		{"last_30_days", 30 * day, day},
		{"last_60_days", 60 * day, day},
		{"last_90_days", 90 * day, day},
	}
}

// tiles lists the tiles.
func (s *Service) tiles(*request) (any, error) {
	var heads []tileHead
	for _, t := range dashboard() {
		heads = append(heads, t.tileHead)
	}
	return heads, nil
}

// tile describes one tile.
func (s *Service) tile(r *request) (any, error) {
	t, _, err := decodeTile(r, false)
	if err != nil {
		return nil, err
	}
	return t.tileHead, nil
}

// tileData fills one tile. What could be counted stays, whatever failed beside it.
func (s *Service) tileData(r *request) (any, error) {
	t, period, err := decodeTile(r, true)
	if err != nil {
		return nil, err
	}
	now := s.config.Now()
	to := now.UTC().Truncate(time.Minute) // tiles and users that ask in one minute share the cache
	q := &tileQuery{
		service: s, request: r, from: to.Add(-period.length), to: to, width: period.width,
	}
	data := t.fill(q)
	if data == nil {
		return nil, nil
	}
	data.ObservedTime = tileTime{ctim.TimeOf(q.from), ctim.TimeOf(q.to)}
	data.ValidTime = tileTime{ctim.TimeOf(now), ctim.TimeOf(now.Add(5 * time.Minute))}
	data.CacheScope = "org" // every user of a tenant sees the same
	return data, nil
}

// decodeTile reads {"tile_id": "…"}, with a "period" where withPeriod says so. The error names each key that
// is wrong.
func decodeTile(r *request, withPeriod bool) (t tile, p tilePeriod, err error) {
	var fields map[string]json.RawMessage
	body := json.NewDecoder(http.MaxBytesReader(nil, r.Body, freeBody))
	err = body.Decode(&fields)
	_, isOther := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case errors.Is(err, io.EOF):
		return t, p, invalidBody(bodyProblem("is empty, not an object"))
	case isOther, err == nil && fields == nil:
		return t, p, invalidBody(bodyProblem("must be an object"))
	case err != nil:
		return t, p, unreadableBody(err)
	}
	if err := endOfBody(body); err != nil {
		return t, p, err
	}
	problems := make(map[string]string)
	if id := textField(fields, "tile_id", problems); problems["tile_id"] == "" {
		known := dashboard()
		if i := slices.IndexFunc(known, func(t tile) bool { return t.ID == id }); i >= 0 {
			t = known[i]
		} else {
			problems["tile_id"] = "is not a tile of this relay"
		}
	}
	delete(fields, "tile_id")
	if withPeriod {
		if name := textField(fields, "period", problems); problems["period"] == "" {
			known := tilePeriods()
			if i := slices.IndexFunc(known, func(p tilePeriod) bool { return p.name == name }); i >= 0 {
				p = known[i]
			} else {
				problems["period"] = "is not a period of this relay's tiles"
			}
		}
		delete(fields, "period")
	}
	for name := range fields {
		if len(problems) < maxProblems {
			problems[name[:min(len(name), maxQuoted)]] = "is not known"
		}
	}
	if len(problems) > 0 {
		return t, p, invalidBody(problems)
	}
	return t, p, nil
}
