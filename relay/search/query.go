package search

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"qualysrelay.example/qualys"
)

// query is one search of Qualys, for one observable or for several joined with or.
//
// A joined query whose answer cannot be given to its observables for certain, or that failed for a reason that one of the values may have caused,
// is asked again in two halves, down to single observables. For n observables that costs at most 2n-1 queries, when every value is at fault, and one
// value at fault costs about two for each halving. What is uncertain of fewer than half of them is first asked again together: at most log2 n more. Where Qualys itself is at fault (every query fails, and not for its text), it ends after seven: one,
// two and four.
type query struct {
	asks   []*ask
	depth  int // how often it was split
	family *family
	limits int  // how often Qualys's rate limit sent it back
	back   bool // it waits to be sent again

	cancel  context.CancelFunc
	waiting int // asks that have no answer yet
}

// family is what the parts of one split query share.
type family struct {
	answered bool
	open     int     // of its queries, not finished
	doubtful []doubt // wait for the others to tell whether Qualys is at fault
}

// doubt is a query that failed as one value or as Qualys itself may have made it fail.
type doubt struct {
	query *query
	err   error
}

// wideDepth is from where on a query is split only if another of its family had an answer.
const wideDepth = 2

// maxRateTries is how often a query waits for Qualys's rate limit.
const maxRateTries = 2

func (t *tenant) run(ctx context.Context, q *query) {
	t.mu.Lock()
	callers := callersOf(q.asks)
	groups := groupsOf(q.asks)
	for _, c := range callers {
		c.stats.Batches = append(c.stats.Batches, len(groups))
	}
	t.mu.Unlock()
	if len(callers) == 0 {
		return
	}
	if len(groups) == 1 {
		t.runSingle(ctx, q, callers)
		return
	}
	t.runJoined(ctx, q, callers, groups)
}

// group is the asks for one observable, with the largest of their limits.
type group struct {
	asks  []*ask
	limit int
}

func groupsOf(asks []*ask) []*group {
	var groups []*group
	byKey := make(map[Observable]*group)
	for _, a := range asks {
		if a.ended {
			continue
		}
		g := byKey[a.key]
		if g == nil {
			g = &group{}
			byKey[a.key] = g
			groups = append(groups, g)
		}
		g.asks = append(g.asks, a)
		g.limit = max(g.limit, a.limit)
	}
	return groups
}

// pageFor is how many events a search with that limit asks for: one more than it shows, so that it knows whether there are more.
func pageFor(limit int) int { return min(max(limit+1, minPage), maxPage) }

// runSingle searches one observable: page after page while Qualys's prefix matching fills the pages with other things.
func (t *tenant) runSingle(ctx context.Context, q *query, callers []*caller) {
	first := q.asks[0]
	limit := 0
	for _, a := range q.asks {
		limit = max(limit, a.limit)
	}
	size := pageFor(limit)
	var found []*qualys.Event
	seen := make(map[string]bool)
	complete := false
	for number := 0; number < maxPages && len(found) < min(limit+1, maxPage); number++ {
		page, err := t.fetch(ctx, callers, eventQuery(first.filter, first.lane, size, number), latest(callers), maxTries)
		if err != nil {
			t.failed(q, err)
			return
		}
		for _, e := range unique(page.Events, seen) {
			if first.observable.Matches(e) != No {
				found = append(found, e)
			}
		}
		t.keep(q.asks, found)
		if !page.Full {
			complete = true
			break
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	q.family.answered = true
	t.give(q.asks, found, complete)
}

// runJoined searches several observables with one query and gives each the events that are about it.
func (t *tenant) runJoined(ctx context.Context, q *query, callers []*caller, groups []*group) {
	filters := make([]qualys.Filter, len(groups))
	size := 0
	for i, g := range groups {
		filters[i] = g.asks[0].filter
		size += pageFor(g.limit)
	}
	size = min(size, maxPage)
	deadline := latest(callers)
	attempt, cancel := context.WithCancel(ctx)
	if !deadline.IsZero() {
		// A query that hangs because of one value leaves the others time to be asked again.
		const share = 0.4
		attempt, cancel = context.WithTimeout(ctx, time.Duration(share*float64(time.Until(deadline))))
	}
	defer cancel()
	page, err := t.fetch(attempt, callers, eventQuery(qualys.Or(filters...), q.asks[0].lane, size, 0), deadline, joinedTries)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		err = &qualys.Error{Op: qualys.OpEvents, Kind: qualys.KindTimeout, Message: "no answer in time"}
	}
	if err != nil {
		t.failed(q, err)
		return
	}
	events := unique(page.Events, make(map[string]bool))
	t.mu.Lock()
	defer t.mu.Unlock()
	q.family.answered = true
	unsettled := unsettledGroups(groups, events)
	var again []*ask
	for i, g := range groups {
		about := make([]*qualys.Event, 0)
		for _, e := range events {
			if g.asks[0].observable.Matches(e) == Yes {
				about = append(about, e)
			}
		}
		if !page.Full && !unsettled[i] {
			t.give(g.asks, about, true)
			continue
		}
		for _, a := range g.asks {
			a.found = about
		}
		again = append(again, g.asks...)
	}
	t.split(q, again, len(groups))
}

// keep notes what was found about one observable so far.
func (t *tenant) keep(asks []*ask, found []*qualys.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range asks {
		a.found = slices.Clip(found)
	}
}

// unsettledGroups marks the groups whose share of the events is not certain: the event does not show the searched field, and may hold it or fits no
// other observable of the query.
func unsettledGroups(groups []*group, events []*qualys.Event) []bool {
	unsettled := make([]bool, len(groups))
	for _, e := range events {
		owned := slices.ContainsFunc(groups, func(g *group) bool { return g.asks[0].observable.Matches(e) == Yes })
		for i, g := range groups {
			o := g.asks[0].observable
			if !o.settled(e) || !owned && o.Matches(e) == Unknown {
				unsettled[i] = true
			}
		}
	}
	return unsettled
}

func eventQuery(f qualys.Filter, l lane, size, number int) qualys.EventQuery {
	return qualys.EventQuery{Filter: f, Active: l == currentState, PageSize: size, PageNumber: number}
}

// unique drops events whose id was seen before: pages shift while events arrive.
func unique(events []*qualys.Event, seen map[string]bool) []*qualys.Event {
	kept := make([]*qualys.Event, 0, len(events))
	for _, e := range events {
		if e.ID != "" {
			if seen[e.ID] {
				continue
			}
			seen[e.ID] = true
		}
		kept = append(kept, e)
	}
	return kept
}

// give answers the asks of one observable from the events about it, newest first. complete says that there are no more at Qualys.
func (t *tenant) give(asks []*ask, events []*qualys.Event, complete bool) {
	for _, a := range asks {
		result := answer{events: events, cut: !complete}
		if len(events) > a.limit {
			result = answer{events: events[:a.limit+1], cut: true}
		}
		t.searcher.cache.put(t.key, a, result)
		t.end(a, result)
	}
}

// failed decides what a failure of a query means for its asks.
func (t *tenant) failed(q *query, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := errors.AsType[*qualys.Error](err); ok && e.Kind == qualys.KindNotFound {
		q.family.answered = true
		t.give(q.asks, nil, true)
		return
	}
	if t.noteLimit(err) {
		t.sendBack(q, err)
		return
	}
	suspect, n := suspicionOf(err), len(groupsOf(q.asks))
	switch {
	case suspect == nobody || n < 2:
		t.refuse(q, err)
	case suspect == valueOrQualys && q.depth >= wideDepth && !q.family.answered:
		q.family.doubtful = append(q.family.doubtful, doubt{q, err})
	default:
		t.split(q, q.asks, n)
	}
}

func (t *tenant) refuse(q *query, err error) {
	err = q.withoutWords(err)
	for _, a := range q.asks {
		t.end(a, answer{err: err})
	}
}

// withoutWords keeps Qualys's words out of the failure of a query of several observables: they may name what another request asked about.
func (q *query) withoutWords(err error) error {
	e, ok := errors.AsType[*qualys.Error](err)
	if !ok || len(groupsOf(q.asks)) < 2 {
		return err
	}
	short := *e
	short.Message = http.StatusText(e.Status)
	if e.Status == 0 {
		short.Message = string(e.Kind)
	}
	return &short
}

// finished counts a query of the family as done. What was in doubt is split once another had an answer, and refused once none did.
func (t *tenant) finished(q *query) {
	f := q.family
	f.open--
	if !f.answered && f.open > 0 {
		return
	}
	doubtful := f.doubtful
	f.doubtful = nil
	for _, d := range doubtful {
		if f.answered {
			t.split(d.query, d.query.asks, len(groupsOf(d.query.asks)))
		} else {
			t.refuse(d.query, d.err)
		}
	}
}

// suspicion is who may have made a joined query fail.
type suspicion int

const (
	nobody        suspicion = iota // no value can have: the login, the connection, a limit
	oneValue                       // the query's text
	valueOrQualys                  // either
)

func suspicionOf(err error) suspicion {
	e, ok := errors.AsType[*qualys.Error](err)
	switch {
	case !ok || e.Op != qualys.OpEvents:
		return nobody
	case e.Kind == qualys.KindBadQuery:
		return oneValue
	case e.Kind == qualys.KindUnreadable || e.Kind == qualys.KindTimeout || e.Status >= http.StatusInternalServerError:
		return valueOrQualys
	default:
		return nobody
	}
}

// split queues asks of the query again. Where they are the smaller part of its n observables they stay together, since what was in their way is gone;
// else they become two queries of half the observables each.
func (t *tenant) split(q *query, asks []*ask, n int) {
	groups := groupsOf(asks)
	parts := [][]*group{groups}
	if half := (len(groups) + 1) / 2; 2*len(groups) > n {
		parts = [][]*group{groups[:half], groups[half:]}
	}
	for _, part := range parts {
		if len(part) == 0 {
			continue
		}
		next := &query{depth: q.depth + 1, family: q.family}
		q.family.open++
		for _, g := range part {
			next.asks = append(next.asks, g.asks...)
		}
		t.detach(next.asks)
		l := next.asks[0].lane
		t.waiting[l].split = append(t.waiting[l].split, next)
	}
}

// sendBack queues a query again for after the wait that Qualys asked for. What has no time for it is answered at once.
func (t *tenant) sendBack(q *query, err error) {
	q.limits++
	q.back = true
	t.detach(q.asks)
	for _, a := range q.asks {
		if q.limits > maxRateTries || t.refusal(a) != nil {
			t.end(a, answer{err: err})
			continue
		}
		if !a.ended {
			a.caller.stats.Waits++
		}
	}
	l := q.asks[0].lane
	t.waiting[l].split = append(t.waiting[l].split, q)
}

// sentBack takes the mark of sendBack off, and tells whether it was there.
func (q *query) sentBack() bool {
	back := q.back
	q.back = false
	return back
}

// detach takes the asks out of the query that they were under way with.
func (t *tenant) detach(asks []*ask) {
	for _, a := range asks {
		a.query = nil
	}
}
