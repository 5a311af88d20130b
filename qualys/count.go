package qualys

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Split says into which parts a count is divided; the zero value is none. Two that are equal divide alike.
type Split struct {
	call  string        // behind /events/count
	width time.Duration // of parts by time
}

// ByType divides a count by the type of the events. It rests on one public client of the API, which sends
// groupBy=type and reads an object of types and counts. Qualys does not document it, so that the answer may
// have no parts.
func ByType() Split { return Split{call: plainCount + "&groupBy=type"} }

const plainCount = "?sort=" + sortNewestFirst

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
	last := end.Add(-time.Second) // with the next midnight, that day could count as well
	call := fmt.Sprintf("/time-buckets?fromDate=%d&toDate=%d&bucketCount=%d",
		from.Unix(), last.Unix(), end.Sub(from)/width)
	return Split{call, width}
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

// Count returns how many events the query finds on all pages. Its errors are those of Events.
//
// GET {prefix}/events/count with the parameters of a search is what Qualys's own Splunk add-on uses; its
// answer is {"count": N}. That it takes state=true as a search does is assumed from there: the add-on
// sends state=false. GET {prefix}/events/count/time-buckets is documented with an answer of
// {"start_end": N}; which form the times have is not.
func (c *Client) Count(
	ctx context.Context, t Tenant, q EventQuery, s Split,
) (n Count, limits RateLimits, err error) {
	path := "/events/count" + cmp.Or(s.call, plainCount)
	err = c.search(ctx, t, q, OpCount, path, func(a *answer) error {
		limits = a.limits
		body, err := a.short()
		if err != nil || a.status == http.StatusNoContent {
			return err
		}
		var ok bool
		if n, ok = parseCount(body, s); !ok {
			return a.refusal("the answer is not a count", body)
		}
		return nil
	})
	return n, limits, err
}

// parseCount reads {"count": N}, where N may be in a string, or an object of parts.
func parseCount(body []byte, s Split) (c Count, ok bool) {
	var parts map[string]json.Number
	if json.Unmarshal(body, &parts) != nil {
		return Count{}, false
	}
	if total, isTotal := parts["count"]; isTotal && s.width == 0 || s == (Split{}) {
		c.N, ok = integer(total.String())
		return c, ok && c.N >= 0
	}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		n, ok := integer(parts[name].String())
		ok = ok && n >= 0
		part := Part{N: n}
		if s.width == 0 {
			part.Type = strings.ToUpper(name)
		} else {
			from, to, _ := strings.Cut(name, "_")
			part.From, part.To = parseTime(from), parseTime(to)
			// A bucket may be a moment too long where it was computed from the end of a day.
			longest := s.width + s.width/100
			ok = ok && !part.From.IsZero() && !part.To.Before(part.From) && part.To.Sub(part.From) <= longest
		}
		if !ok {
			return Count{}, false
		}
		c.N += n
		c.Parts = append(c.Parts, part)
	}
	return c, true
}
