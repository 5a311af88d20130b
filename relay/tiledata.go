package relay

import (
	"errors"
	"fmt"
	"maps"
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
	ObservedTime tileTime    `json:"observed_time"` // of the events
	ValidTime    tileTime    `json:"valid_time"`    // of the answer
	CacheScope   string      `json:"cache_scope"`
	LabelHeaders []string    `json:"label_headers,omitempty"`
	Labels       [][]string  `json:"labels,omitempty"` // of the outer ring, and of the inner one
	KeyType      string      `json:"key_type,omitempty"`
	Keys         []tileLabel `json:"keys,omitempty"`
	Data         any         `json:"data"`
}

type tileTime struct {
	Start ctim.Time `json:"start_time"`
	End   ctim.Time `json:"end_time"`
}

type tileLabel struct {
	Key   string `json:"key"`
	Label string `json:"label"`
}

type tileMetric struct {
	Icon  string `json:"icon"`
	Label string `json:"label"`
	Value int64  `json:"value"`
	Unit  string `json:"value-unit"` // value_unit in relays that were not made from Cisco's samples
	Link  string `json:"link_uri,omitempty"`
}

type tileBar struct {
	Key    int64       `json:"key"` // milliseconds since 1970
	Label  string      `json:"label"`
	Value  int64       `json:"value"`
	Values []tileValue `json:"values"`
}

type tileValue struct {
	Key   string `json:"key"` // of Keys
	Value int64  `json:"value"`
}

type tileSlice struct {
	Key      int         `json:"key"` // index of the labels of its ring
	Value    int64       `json:"value"`
	Segments []tileSlice `json:"segments,omitempty"`
	Link     string      `json:"link_uri,omitempty"`
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

func (q *tileQuery) fail(severity Severity, message string) {
	q.request.fail(&Error{Severity: severity, Code: CodeUnknown, Message: message}, ctim.Observable{})
}

// count counts in the history, as the only known users of Qualys's counts do.
func (q *tileQuery) count(queries ...search.Question) (results []search.Result) {
	for i := range queries {
		queries[i].What = search.Count
	}
	q.ask(func(n search.Result) {
		for _, err := range n.Errs {
			q.request.fail(err, ctim.Observable{})
		}
		results = append(results, n)
	}, queries...)
	return results
}

func (q *tileQuery) ask(visit func(search.Result), questions ...search.Question) {
	q.request.cost(q.service.searcher.Ask(q.request.Context(), q.request.account.Tenant, visit, questions...))
}

// metrics are the numbers of each class and of all events.
func (q *tileQuery) metrics() *tileData {
	rows := append(classes(), allEvents())
	queries := make([]search.Question, len(rows))
	for i, c := range rows {
		queries[i].Filter = q.filter(c)
	}
	var data []tileMetric
	for i, n := range q.count(queries...) {
		if n.Errs == nil {
			link := q.link(queries[i].Filter)
			data = append(data, tileMetric{rows[i].icon, rows[i].label, n.Count.N, "integer", link})
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
	n     int64
	parts []qualys.Part
	sum   int64 // of the parts
	err   error // why there are no parts
}

// divide counts each class as one number and in parts. A class without a number is left out.
func (q *tileQuery) divide(split qualys.Split) (known []dividedClass) {
	var queries []search.Question
	for _, c := range classes() {
		f := q.filter(c)
		queries = append(queries, search.Question{Filter: f}, search.Question{Filter: f, Split: split})
	}
	results := q.count(queries...)
	for i, c := range classes() {
		whole, divided := results[2*i], results[2*i+1]
		if whole.Errs != nil {
			continue
		}
		d := dividedClass{class: c, n: whole.Count.N, parts: divided.Count.Parts, err: errors.Join(divided.Errs...)}
		for _, part := range d.parts {
			d.sum += part.N
		}
		known = append(known, d)
	}
	return known
}

// agree tells whether the sum of parts is a number. Events may come between two calls, so that large numbers
// may differ by a hundredth.
//
// Qualys documents that its time buckets ignore all of a filter but the times, and does not document groupBy at
// all. A gateway that ignores either one counts other events than those that were asked for, and nothing in
// its answer says so: only the sum does.
func agree(sum, n int64) bool { return max(n-sum, sum-n) <= n/100 }

func disagrees(c dividedClass) bool { return !agree(c.sum, c.n) }

// chart is each class along the period. Where Qualys ignores the score, it is all events, if those add
// up.
func (q *tileQuery) chart() *tileData {
	first := q.from.Truncate(q.width)
	known := q.divide(qualys.ByTime(q.from, q.to, q.width))
	known = slices.DeleteFunc(known, func(c dividedClass) bool { return c.err != nil })
	if len(known) == 0 {
		return nil
	}
	if slices.ContainsFunc(known, disagrees) {
		// Parts that were counted without their score are of all events.
		all := q.count(search.Question{Filter: q.filter(allEvents())})[0]
		i := slices.IndexFunc(known, func(c dividedClass) bool {
			return all.Errs == nil && agree(c.sum, all.Count.N)
		})
		if i < 0 {
			q.fail(Failure, unexpected+"its numbers over time do not add up to its numbers of events, so "+
				"that the chart is not shown.")
			return nil
		}
		q.fail(Warning, "Qualys IOC ignores scores when it counts over time, as its documentation "+
			"says. The chart shows all events, not detections.")
		known = []dividedClass{{class: allEvents(), parts: known[i].parts}}
	}
	data := &tileData{KeyType: "timestamp"}
	for _, c := range known {
		data.Keys = append(data.Keys, tileLabel{c.key, c.label})
	}
	layout := "2006-01-02 15:04"
	if q.width >= 24*time.Hour {
		layout = time.DateOnly
	}
	bars := make([]tileBar, (q.to.Sub(first)+q.width-1)/q.width)
	for i := range bars {
		from := first.Add(time.Duration(i) * q.width)
		bars[i] = tileBar{Key: from.UnixMilli(), Label: from.Format(layout)}
		for _, c := range known {
			bars[i].Values = append(bars[i].Values, tileValue{Key: c.key})
		}
	}
	for k, c := range known {
		for _, part := range c.parts {
			middle := part.From.Add(part.To.Sub(part.From) / 2).Sub(first)
			if i := int(middle / q.width); middle >= 0 && i < len(bars) {
				bars[i].Value += part.N
				bars[i].Values[k].Value += part.N
			}
		}
	}
	data.Data = bars
	return data
}

// donut is the types of the events around the verdicts on them; where Qualys does not divide by type, the
// verdicts alone.
func (q *tileQuery) donut() *tileData {
	known := q.divide(qualys.ByType())
	if len(known) == 0 {
		return nil
	}
	byType := make(map[string][]int64) // a number for each class
	var verdicts []string
	var plain []tileSlice
	for i, c := range known {
		verdicts = append(verdicts, c.label)
		plain = append(plain, tileSlice{Key: i, Value: c.n, Link: q.link(q.filter(c.class))})
		for _, part := range c.parts {
			if byType[part.Type] == nil {
				byType[part.Type] = make([]int64, len(known))
			}
			byType[part.Type][i] += part.N
		}
	}
	failed := slices.ContainsFunc(known, func(c dividedClass) bool { return c.err != nil })
	disagree := slices.ContainsFunc(known, disagrees)
	if disagree && !failed {
		q.fail(Warning, "Qualys IOC does not divide its numbers by the type of the event. The tile "+
			"shows the verdicts alone.")
	}
	if disagree || failed {
		return &tileData{Labels: [][]string{verdicts}, Data: plain}
	}
	types := slices.AppendSeq([]string{}, maps.Keys(byType))
	slices.Sort(types)
	data := make([]tileSlice, len(types))
	for i, name := range types {
		data[i].Key = i
		for k, n := range byType[name] {
			data[i].Value += n
			data[i].Segments = append(data[i].Segments, tileSlice{Key: k, Value: n})
		}
		if f, err := qualys.EventType(name); err == nil { // else a type that cannot be searched for
			data[i].Link = q.link(q.filter(class{low: 1, high: 10}, f))
		}
		types[i] = name[:min(1, len(name))] + strings.ToLower(name[min(1, len(name)):])
	}
	labels := [][]string{types, verdicts}
	return &tileData{LabelHeaders: []string{"Type", "Verdict"}, Labels: labels, Data: data}
}

// newest is a table of the ten newest malicious events.
func (q *tileQuery) newest() *tileData {
	const most = 10
	malicious := classes()[0]
	lines := []string{"| Time (UTC) | Host | Event | Console |", "| --- | --- | --- | --- |"}
	visit := func(found search.Result) {
		for _, err := range found.Errs {
			q.request.fail(err, ctim.Observable{})
		}
		if found.Unreadable > 0 {
			q.fail(Failure, fmt.Sprintf("%s%d of the newest events could not be read.", unexpected,
				found.Unreadable))
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
	}
	q.ask(visit, search.Question{
		What: search.Newest, Filter: q.filter(malicious), Active: true, Limit: most,
	})
	if len(lines) == 2 {
		if len(q.request.failures.list) > 0 {
			return nil
		}
		lines = []string{"No malicious event in the current state of the endpoints."}
	}
	return &tileData{Data: lines}
}
