package qualys

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// CountQuery is a search whose events are counted instead of sent.
type CountQuery struct {
	Filter Filter // empty: every event
	Active bool   // as in an EventQuery
	Split  Split
}

// Split says into which parts a count is divided; the zero value is none. Two that are equal divide alike.
type Split struct {
	group    string // groupBy
	from, to int64  // fromDate, toDate
	buckets  int    // bucketCount
	width    time.Duration
}

// ByType divides a count by the type of the events. It rests on one public client of the API, which sends
// groupBy=type and reads an object of types and counts. Qualys does not document it, so that the answer may
// have no parts.
func ByType() Split { return Split{group: "type"} }

// ByTime divides a count of the events from one time to another into parts of the width, which divides a day.
// The parts are those of the whole days in UTC around both times, since Qualys documents that it ignores the
// time of day of fromDate and toDate; the filter has to name the exact times.
//
// Qualys documents too that it uses only the time in the filter of such a call. So the parts may be of all
// events, whatever else the filter says: compare their sum with a plain Count before you believe them.
func ByTime(from, to time.Time, width time.Duration) Split {
	const day = 24 * time.Hour
	from = from.UTC().Truncate(day)
	end := to.UTC().Add(day - 1).Truncate(day)
	return Split{
		from:    from.Unix(),
		to:      end.Add(-time.Second).Unix(), // with the next midnight, that day could count as well
		buckets: int(end.Sub(from) / width),
		width:   width,
	}
}

// Count is how many events a query finds.
type Count struct {
	N     int64
	Parts []Part // sorted; none where the query asks for none, and where Qualys does not divide the count
}

// Part is a part of a count: the events of a type, or those in a time. Parts without events may be missing.
type Part struct {
	Type     string    // as Qualys writes it, but in capitals
	From, To time.Time // in UTC
	N        int64
}

// Count returns how many events the query finds. Its errors are those of Events.
//
// GET {prefix}/events/count with the parameters of a search is what Qualys's own Splunk add-on uses; its
// answer is {"count": N}. That it takes state=true as a search does is assumed from there: the add-on
// sends state=false. GET {prefix}/events/count/time-buckets is documented with an answer of
// {"start_end": N}; which form the times have is not.
func (c *Client) Count(ctx context.Context, t Tenant, q CountQuery) (n Count, limits RateLimits, err error) {
	path := "/events/count?sort=" + sortNewestFirst
	switch {
	case q.Split.buckets > 0:
		path = fmt.Sprintf("/events/count/time-buckets?fromDate=%d&toDate=%d&bucketCount=%d",
			q.Split.from, q.Split.to, q.Split.buckets)
	case q.Split.group != "":
		path += "&groupBy=" + q.Split.group
	}
	query := EventQuery{Filter: q.Filter, Active: q.Active}
	limits, err = c.search(ctx, t, query, OpCount, path, func(a *answer) (err error) {
		n, err = a.count(q.Split)
		return err
	})
	return n, limits, err
}

// count reads {"count": N}, where N may be in a string, or an object of parts.
func (a *answer) count(s Split) (Count, error) {
	body, err := a.short()
	if err != nil {
		return Count{}, err
	}
	unreadable := func() (Count, error) { return Count{}, a.refusal("the answer is not a count", body) }
	var parts map[string]json.RawMessage
	if json.Unmarshal(body, &parts) != nil {
		return unreadable()
	}
	total, ok := parts["count"]
	if ok && s.buckets == 0 {
		if n, isNumber := integer(strings.Trim(string(total), `"`)); isNumber && n >= 0 {
			return Count{N: n}, nil
		}
	}
	if ok || s == (Split{}) {
		return unreadable()
	}
	var c Count
	for name, value := range parts {
		n, isNumber := integer(strings.Trim(string(value), `"`))
		part := Part{N: n}
		switch {
		case !isNumber || n < 0:
			return unreadable()
		case s.buckets == 0:
			part.Type = strings.ToUpper(name)
		default:
			from, to, _ := strings.Cut(name, "_")
			part.From, part.To = parseTime(from), parseTime(to)
			// A bucket may be a moment too long where it was computed from the end of a day.
			longest := s.width + s.width/100
			if part.From.IsZero() || part.To.Before(part.From) || part.To.Sub(part.From) > longest {
				return unreadable()
			}
		}
		c.N += n
		c.Parts = append(c.Parts, part)
	}
	slices.SortFunc(c.Parts, func(a, b Part) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Type, b.Type))
	})
	return c, nil
}
