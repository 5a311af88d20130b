package qualystest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// split is what a count is divided by.
type split struct {
	byType   bool
	from, to time.Time // whole days
	buckets  int
}

// splitOf reads and takes out the parameters that divide a count, each of which must be there as the relay
// sends it. Times of day are ignored, as documented.
func splitOf(params url.Values, buckets bool) (split, error) {
	var s split
	group := params.Get("groupBy")
	if s.byType = group == "type"; group != "" && !s.byType {
		return s, fmt.Errorf("groupBy %q", group)
	}
	from, fromErr := strconv.ParseInt(params.Get("fromDate"), 10, 64)
	to, toErr := strconv.ParseInt(params.Get("toDate"), 10, 64)
	n, countErr := strconv.Atoi(params.Get("bucketCount"))
	for _, name := range [...]string{"groupBy", "fromDate", "toDate", "bucketCount"} {
		if !buckets && name != "groupBy" && params.Has(name) {
			return s, fmt.Errorf("%s outside of time-buckets", name)
		}
		params.Del(name)
	}
	if !buckets {
		return s, nil
	}
	const day = 24 * time.Hour
	s.from, s.to = time.Unix(from, 0).UTC().Truncate(day), time.Unix(to, 0).UTC().Truncate(day).Add(day)
	s.buckets = n
	if errors.Join(fromErr, toErr, countErr) != nil || n < 1 || n > 1000 || !s.from.Before(s.to) ||
		s.byType || params.Has("sort") {
		return s, errors.New("other parameters than time-buckets takes")
	}
	return s, nil
}

// tally is a count while it is made.
type tally struct {
	split split
	total int
	parts map[string]int // those without events are missing
}

func (t *tally) add(e stored) {
	t.total++
	if t.parts == nil {
		t.parts = make(map[string]int)
	}
	switch {
	case t.split.byType:
		for _, name := range e.fields[fieldType] {
			t.parts[name]++
		}
	case t.split.buckets > 0:
		at, _ := time.Parse(rangeTime, e.fields[fieldTime][0]) // it was formatted so
		width := t.split.to.Sub(t.split.from) / time.Duration(t.split.buckets)
		if at.Before(t.split.from) || !at.Before(t.split.to) {
			return
		}
		start := t.split.from.Add(at.Sub(t.split.from).Truncate(width))
		t.parts[fmt.Sprintf("%d_%d", start.UnixMilli(), start.Add(width).UnixMilli())]++
	}
}

func (t *tally) json() []byte {
	if !t.split.byType && t.split.buckets == 0 {
		return fmt.Appendf(nil, `{"count":%d}`, t.total)
	}
	if t.parts == nil {
		return []byte("{}")
	}
	body, _ := json.Marshal(t.parts) // of numbers
	return body
}

// times is what is left of a query by its times alone. It finds all that the query finds.
func (q Query) times() Query {
	if q.op == "term" && q.term.Field != fieldTime {
		return Query{op: "and"}
	}
	left := Query{op: q.op, term: q.term}
	for _, o := range q.operands {
		left.operands = append(left.operands, o.times())
	}
	return left
}
