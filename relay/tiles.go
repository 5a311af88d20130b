package relay

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"qualysrelay.example/ctim"
)

// tile is what XDR offers to put on a dashboard, and what fills it.
//
// No schema of the tiles is published. The shapes are those that Cisco's public relays answer with; package
// ctimschema has them written down.
type tile struct {
	ID               string   `json:"id"`
	Type             string   `json:"type"`
	Title            string   `json:"title"`
	ShortDescription string   `json:"short_description"`
	Description      string   `json:"description"`
	Tags             []string `json:"tags"`
	Periods          []string `json:"periods"`
	DefaultPeriod    string   `json:"default_period"`

	fill func(*tileQuery) *tileData // nil where nothing is known
}

const aboutCounts = " Every occurrence in the history of the endpoints counts. Qualys publishes no search " +
	"field for verdicts, so these are ranges of the score: malicious 8 to 10, suspicious 2 to 7, " +
	"remediated 1. An event with several scores can count more than once."

// dashboard is the table of tiles. To add one is to add an entry.
func dashboard() []tile {
	all := []tile{{
		ID: "qualys-detections", Type: "metric_group", Title: "Qualys EDR: detections",
		ShortDescription: "How many events Qualys saw, by verdict",
		Description:      "Malicious, suspicious, remediated and all events of the period." + aboutCounts,
		fill:             (*tileQuery).metrics,
	}, {
		ID: "qualys-detections-over-time", Type: "vertical_bar_chart", Title: "Detections over time",
		ShortDescription: "Detections by verdict along the period",
		Description: "Malicious, suspicious and remediated events of each day (UTC), or of each hour or " +
			"five minutes in a shorter period." + aboutCounts,
		fill: (*tileQuery).chart,
	}, {
		ID: "qualys-detections-by-type", Type: "donut_graph", Title: "Detections by type and verdict",
		ShortDescription: "Detections by the type of the event and verdict",
		Description: "Which files, processes, connections, mutexes and registry keys were malicious, " +
			"suspicious or remediated." + aboutCounts,
		fill: (*tileQuery).donut,
	}, {
		ID: "qualys-newest-malicious", Type: "markdown", Title: "Newest malicious events",
		ShortDescription: "The ten newest malicious events",
		Description:      "The ten newest events with a score of 8 to 10 in the current state of the endpoints.",
		fill:             (*tileQuery).newest,
	}}
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
func (s *Service) tiles(*request) (any, error) { return dashboard(), nil }

// tile describes one tile.
func (s *Service) tile(r *request) (any, error) {
	t, _, err := decodeTile(r, false)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// tileData fills one tile. What could be counted stays, whatever failed beside it.
func (s *Service) tileData(r *request) (any, error) {
	t, period, err := decodeTile(r, true)
	if err != nil {
		return nil, err
	}
	now := s.config.Now()
	to := now.UTC().Truncate(time.Minute) // tiles and users that ask in one minute share the cache
	q := &tileQuery{service: s, request: r, from: to.Add(-period.length), to: to, width: period.width}
	data := t.fill(q)
	if data == nil {
		return nil, nil
	}
	data.ObservedTime = ctim.ObservedTime{Start: ctim.TimeOf(q.from), End: ctim.TimeOf(q.to)}
	data.ValidTime = ctim.ValidTime{Start: ctim.TimeOf(now), End: ctim.TimeOf(now.Add(5 * time.Minute))}
	data.CacheScope = "org" // every user of a tenant sees the same
	return data, nil
}

// decodeTile reads {"tile_id": "…"}, with a "period" where withPeriod says so. The error names each key
// that is wrong.
func decodeTile(r *request, withPeriod bool) (t tile, p tilePeriod, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, freeBody))
	if err != nil {
		return t, p, unreadableBody(err)
	}
	var fields map[string]json.RawMessage
	err = json.Unmarshal(body, &fields)
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return t, p, unreadableBody(err)
	}
	if fields == nil {
		return t, p, invalidBody(bodyProblem("must be an object"))
	}
	problems := make(map[string]string)
	t = choose(fields, "tile_id", problems, dashboard(), func(t tile) string { return t.ID })
	if withPeriod {
		p = choose(fields, "period", problems, tilePeriods(), func(p tilePeriod) string { return p.name })
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

// choose takes a field out and returns the one of all that it names.
func choose[T any](
	fields map[string]json.RawMessage, field string, problems map[string]string, all []T, nameOf func(T) string,
) (chosen T) {
	value := textField(fields, field, problems)
	delete(fields, field)
	var names []string
	for _, one := range all {
		if nameOf(one) == value {
			return one
		}
		names = append(names, nameOf(one))
	}
	if problems[field] == "" {
		problems[field] = "must be one of " + strings.Join(names, ", ")
	}
	return chosen
}
