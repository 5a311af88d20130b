package relay

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
	"qualysrelay.example/relay/mapping"
	"qualysrelay.example/relay/search"
)

// tileData is what a tile shows. Labels are a donut's, keys a chart's.
type tileData struct {
	ObservedTime ctim.ObservedTime   `json:"observed_time"` // of the events
	ValidTime    ctim.ValidTime      `json:"valid_time"`    // of the answer
	CacheScope   string              `json:"cache_scope"`
	LabelHeaders []string            `json:"label_headers,omitempty"`
	Labels       [][]string          `json:"labels,omitempty"` // of the outer ring, and of the inner one
	KeyType      string              `json:"key_type,omitempty"`
	Keys         []map[string]string `json:"keys,omitempty"` // each a key and its label
	Data         any                 `json:"data"`           // numbers, or lines of Markdown
}

// tileNumber is a metric, a bar of a chart or a slice of a donut, or a part of one. Each has fields of its
// own beside the value.
type tileNumber struct {
	Icon     string       `json:"icon,omitempty"`
	Key      any          `json:"key,omitempty"` // a bar's time, a part's class, a slice's index of its labels
	Label    string       `json:"label,omitempty"`
	Value    int64        `json:"value"`
	Unit     string       `json:"value-unit,omitempty"` // value_unit in some relays, but not in Cisco's samples
	Values   []tileNumber `json:"values,omitempty"`
	Segments []tileNumber `json:"segments,omitempty"`
	Link     string       `json:"link_uri,omitempty"`
}

// class is a class of events by their score.
type class struct {
	key, label, icon string
	low, high        int
}

func classes() []class {
	return []class{
		{"malicious", "Malicious", "critical-stop", 8, 10},
		{"suspicious", "Suspicious", "warning", 2, 7},
		{"remediated", "Remediated", "block", 1, 1},
	}
}

// allEvents are those without a score, too.
func allEvents() class { return class{key: "all", label: "All events", icon: "bulleted-list"} }

// tileQuery is one request for the data of a tile.
type tileQuery struct {
	service  *Service
	request  *request
	from, to time.Time     // the period, without its end
	width    time.Duration // of a part of a chart
}

func (q *tileQuery) filter(c class, also ...qualys.Filter) qualys.Filter {
	terms := append([]qualys.Filter{qualys.Between(q.from, q.to.Add(-time.Millisecond))}, also...)
	if c.high > 0 {
		terms = append(terms, qualys.ScoreRange(c.low, c.high))
	}
	return qualys.And(terms...)
}

func (q *tileQuery) link(f qualys.Filter) string {
	return qualys.HuntingURL(q.request.account.PlatformURL, f)
}

// ask calls visit with the answer to each question, in their order, and reports what failed.
func (q *tileQuery) ask(visit func(search.Result), questions ...search.Question) {
	r := q.request
	for found := range q.service.searcher.Ask(r.Context(), r.account.Tenant, &r.stats, questions...) {
		for _, err := range found.Errs {
			r.fail(err, ctim.Observable{})
		}
		visit(found)
	}
}

// count counts each class of events in the history, as the only known users of Qualys's counts do, once for
// each split.
func (q *tileQuery) count(classes []class, splits ...qualys.Split) (results []search.Result) {
	var questions []search.Question
	for _, c := range classes {
		for _, split := range splits {
			questions = append(questions, search.Question{What: search.Count, Filter: q.filter(c), Split: split})
		}
	}
	q.ask(func(n search.Result) { results = append(results, n) }, questions...)
	return results
}

// metrics are the numbers of each class and of all events.
func (q *tileQuery) metrics() *tileData {
	rows := append(classes(), allEvents())
	var data []tileNumber
	for i, n := range q.count(rows, qualys.Split{}) {
		if n.Errs == nil {
			data = append(data, tileNumber{
				Icon: rows[i].icon, Label: rows[i].label, Value: n.Count.N, Unit: "integer", Link: q.link(n.Filter),
			})
		}
	}
	if data == nil {
		return nil
	}
	return &tileData{Data: data}
}

// dividedClass is a class that was counted, as one number and in parts.
type dividedClass struct {
	class
	n, sum int64 // of the class, and of its parts
	parts  []qualys.Part
	failed bool // there are no parts
}

// divide counts each class as one number and in parts. A class without a number is left out.
func (q *tileQuery) divide(split qualys.Split) (known []dividedClass) {
	results := q.count(classes(), qualys.Split{}, split)
	for i, c := range classes() {
		whole, divided := results[2*i], results[2*i+1]
		if whole.Errs != nil {
			continue
		}
		d := dividedClass{class: c, n: whole.Count.N, parts: divided.Count.Parts, failed: divided.Errs != nil}
		for _, part := range d.parts {
			d.sum += part.N
		}
		known = append(known, d)
	}
	return known
}

func failed(c dividedClass) bool { return c.failed }

func disagrees(c dividedClass) bool { return !agree(c.sum, c.n) }

// agree tells whether the sum of parts is a number. Events may come between two calls, so that large numbers
// may differ by a hundredth.
//
// Qualys documents that its time buckets ignore all of a filter but the times, and does not document groupBy
// at all. A gateway that ignores either one counts other events than those that were asked for, and nothing
// in its answer says so: only the sum does.
func agree(sum, n int64) bool { return max(n-sum, sum-n) <= n/100 }

// chart is each class along the period. Where Qualys ignores the score, it is all events, if those add
// up.
func (q *tileQuery) chart() *tileData {
	known := slices.DeleteFunc(q.divide(qualys.ByTime(q.from, q.to, q.width)), failed)
	if slices.ContainsFunc(known, disagrees) {
		// Parts that were counted without their score are of all events.
		all := q.count([]class{allEvents()}, qualys.Split{})[0]
		i := slices.IndexFunc(known, func(c dividedClass) bool {
			return all.Errs == nil && agree(c.sum, all.Count.N)
		})
		if i < 0 {
			q.request.fail(failure(CodeUnknown, nil, unexpected+"its numbers over time do not add up to its "+
				"numbers of events, so that the chart is not shown."), ctim.Observable{})
			return nil
		}
		q.request.fail(warning(CodeUnknown, nil, "Qualys IOC ignores scores when it counts over time, as its "+
			"documentation says. The chart shows all events, not detections."), ctim.Observable{})
		known = []dividedClass{{class: allEvents(), parts: known[i].parts}}
	}
	if len(known) == 0 {
		return nil
	}
	layout := "2006-01-02 15:04"
	if q.width >= 24*time.Hour {
		layout = time.DateOnly
	}
	var bars []tileNumber
	first := q.from.Truncate(q.width)
	for from := first; from.Before(q.to); from = from.Add(q.width) {
		bar := tileNumber{Key: from.UnixMilli(), Label: from.Format(layout)}
		for _, c := range known {
			bar.Values = append(bar.Values, tileNumber{Key: c.key})
		}
		bars = append(bars, bar)
	}
	data := &tileData{KeyType: "timestamp", Data: bars}
	for k, c := range known {
		data.Keys = append(data.Keys, map[string]string{"key": c.key, "label": c.label})
		for _, part := range c.parts {
			middle := part.From.Add(part.To.Sub(part.From) / 2).Sub(first)
			if i := int(middle / q.width); middle >= 0 && i < len(bars) {
				bars[i].Value += part.N
				bars[i].Values[k].Value += part.N
			}
		}
	}
	return data
}

// donut is the types of the events around the verdicts on them; where Qualys does not divide by type, the
// verdicts alone.
func (q *tileQuery) donut() *tileData {
	known := q.divide(qualys.ByType())
	if len(known) == 0 {
		return nil
	}
	var verdicts []string
	var alone []tileNumber // the verdicts
	var types []string
	for i, c := range known {
		verdicts = append(verdicts, c.label)
		alone = append(alone, tileNumber{Key: i, Value: c.n, Link: q.link(q.filter(c.class))})
		for _, part := range c.parts {
			types = append(types, part.Type)
		}
	}
	if slices.ContainsFunc(known, disagrees) {
		if !slices.ContainsFunc(known, failed) {
			q.request.fail(warning(CodeUnknown, nil, "Qualys IOC does not divide its numbers by the type of the "+
				"event. The tile shows the verdicts alone."), ctim.Observable{})
		}
		return &tileData{Labels: [][]string{verdicts}, Data: alone}
	}
	slices.Sort(types)
	types = slices.Compact(types)
	labels := []string{}
	data := make([]tileNumber, len(types))
	for i, name := range types {
		labels = append(labels, name[:min(1, len(name))]+strings.ToLower(name[min(1, len(name)):]))
		data[i] = tileNumber{Key: i}
		for k := range known {
			data[i].Segments = append(data[i].Segments, tileNumber{Key: k})
		}
		if f, err := qualys.EventType(name); err == nil { // else a type that cannot be searched for
			data[i].Link = q.link(q.filter(class{low: 1, high: 10}, f))
		}
	}
	for k, c := range known {
		for _, part := range c.parts {
			i, _ := slices.BinarySearch(types, part.Type)
			data[i].Value += part.N
			data[i].Segments[k].Value += part.N
		}
	}
	return &tileData{
		LabelHeaders: []string{"Type", "Verdict"}, Labels: [][]string{labels, verdicts}, Data: data,
	}
}

// newest is a table of the ten newest malicious events.
func (q *tileQuery) newest() *tileData {
	malicious := classes()[0]
	lines := []string{"| Time (UTC) | Host | Event | Console |", "| --- | --- | --- | --- |"}
	q.ask(func(found search.Result) {
		if found.Unreadable > 0 {
			q.request.fail(failure(CodeUnknown, nil, fmt.Sprintf("%s%d of the newest events could not be read.",
				unexpected, found.Unreadable)), ctim.Observable{})
		}
		q.request.line.Events += len(found.Events)
		for _, e := range found.Events {
			at, link := "unknown", ""
			if !e.Time.IsZero() {
				at = e.Time.UTC().Format(time.DateTime)
				score := qualys.ScoreRange(malicious.low, malicious.high)
				link = q.link(qualys.And(qualys.Between(e.Time, e.Time), score))
			}
			if link != "" {
				link = "[Open](" + link + ")"
			}
			host, what := mapping.Row(e)
			lines = append(lines, fmt.Sprintf("| %s | %s | %s | %s |", at, host, what, link))
		}
	}, search.Question{What: search.Newest, Filter: q.filter(malicious), Active: true, Limit: 10})
	if len(lines) == 2 {
		if len(q.request.errors) > 0 {
			return nil
		}
		lines = []string{"No malicious event in the current state of the endpoints."}
	}
	return &tileData{Data: lines}
}
