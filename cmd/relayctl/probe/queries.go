package probe

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/qualys"
)

// page are the parameters of a search in the current state or in the history, as the client sends them.
func page(active bool, qql string, size, number int) url.Values {
	params := url.Values{
		"pageSize": {strconv.Itoa(size)}, "pageNumber": {strconv.Itoa(number)},
		"sort": {`[{"event.datetime":"desc"}]`},
	}
	if active {
		params.Set("state", "true")
	}
	if qql != "" {
		params.Set("filter", qql)
	}
	return params
}

func (p *prober) search(ctx context.Context, active bool, qql string, size, number int) *answer {
	a := p.get(ctx, p.prefix+"/events", page(active, qql, size, number))
	for _, e := range a.events {
		e.Active = active
	}
	return a
}

// judge is the finding about an answer that should be as ok says. One that a limit, a fault of Qualys's or
// the network is to blame for says nothing.
func judge(a *answer, ok bool) Finding {
	switch {
	case a.Failure != "" || a.limited() || a.Status >= 500:
		return CouldNotTell.seen("%s", a)
	case ok:
		return Holds.seen("%s", a)
	}
	return DoesNotHold.seen("%s", a)
}

// look searches for a query that should be served. One of the events found should be as some says, and all
// of them as all says, where these are not nil.
func (p *prober) look(ctx context.Context, active bool, qql string, some, all func(*event) bool) Finding {
	a := p.search(ctx, active, qql, somePage, 0)
	f, n := judge(a, a.served()), len(a.events)
	switch {
	case f.Outcome == DoesNotHold && a.Status != http.StatusBadRequest: // not about the query
		f.Outcome = CouldNotTell
	case f.Outcome != Holds:
	case all != nil && len(those(a.events, all)) < n:
		return DoesNotHold.seen("%d of %d events should not be found", n-len(those(a.events, all)), n)
	case some == nil:
	case all != nil && n > 0:
		return Holds.seen("%s", plain.Count(n, "event"))
	case slices.ContainsFunc(a.events, some):
		return Holds.seen("an event is found, of %d", n)
	case n == somePage:
		return CouldNotTell.seen("more events are found than are looked at")
	default:
		return DoesNotHold.seen("an event is not found (%d others are)", n)
	}
	return f
}

// term is raw QQL, for what package qualys does not write. The value has none of the quote.
func term(f qualys.Field, quote, value string) string {
	return string(f) + ": " + quote + value + quote
}

// testAnswers looks whether the answers to queries are as ok says.
func testAnswers(ok func(*answer) bool, queries ...string) test {
	return func(ctx context.Context, p *prober) (f Finding) {
		for _, qql := range queries {
			a := p.search(ctx, true, qql, 1, 0)
			if f = judge(a, ok(a)); f.Outcome != Holds {
				break
			}
		}
		return f
	}
}

func isEmpty(a *answer) bool   { return a.served() && len(a.events) == 0 }
func isRefused(a *answer) bool { return a.Status == http.StatusBadRequest }

// query is made of a value that an event shows.
type query struct {
	quote  string
	change func(value string) string // what is searched for
	finds  bool                      // such an event; else none but those that show the changed value
}

// testValue makes queries of a value of the field that fits the regular expression.
func testValue(field qualys.Field, fits string, queries ...query) test {
	return func(ctx context.Context, p *prober) (f Finding) {
		s := p.pick(field, fits)
		if s == nil {
			return CouldNotTell.seen("no event with a value to test this with")
		}
		for _, q := range queries {
			changed := &sighted{s.event, field, q.change(s.value)}
			some, all := s.in, changed.in
			if q.finds {
				all = nil
			} else {
				some = nil
			}
			f = p.look(ctx, s.Active, term(field, q.quote, changed.value), some, all)
			if f.Outcome != Holds {
				break
			}
		}
		return f
	}
}

const (
	threeWords    = `[^\\/ ][\\/ ]+[^\\/ ]+[\\/ ]+[^\\/ ]`
	endsInLetters = `..[A-Za-z]{3}$` // and can do without the last two of them
)

func same(v string) string       { return v }
func withoutEnd(v string) string { return v[:len(v)-2] }
func withWord(v string) string   { return nonsense + " " + v }
func doubled(v string) string    { return strings.ReplaceAll(v, `\`, `\\`) }

func otherOrder(path string) string {
	words := strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(`\/ `, r) })
	slices.Reverse(words)
	return strings.Join(words, " ")
}

func testExact(quote string) test {
	return testValue(qualys.FieldFileName, endsInLetters, query{quote, same, true}, query{quote, withoutEnd, false})
}

func testBackslash(ctx context.Context, p *prober) Finding {
	f := testValue(qualys.FieldFilePath, `\\`, query{`"`, same, true})(ctx, p)
	if f.Outcome == DoesNotHold {
		other := testValue(qualys.FieldFilePath, `\\`, query{`"`, doubled, true})(ctx, p)
		f.Seen += "; with doubled backslashes " + other.Seen
	}
	return f
}

func testField(f qualys.Field) test {
	return func(ctx context.Context, p *prober) Finding {
		v := testValue(f, "", query{`"`, same, true})(ctx, p)
		if v.Outcome == CouldNotTell { // at least whether Qualys knows the field
			if known := testAnswers((*answer).served, term(f, `"`, nonsense))(ctx, p); known.Outcome != Holds {
				return known
			}
		}
		return v
	}
}

// testOr joins a value of one event and a value of another.
func testOr(ctx context.Context, p *prober) Finding {
	values := p.picks()
	for _, a := range values {
		for _, b := range values {
			if a.Active != b.Active || a.in(b.event) || b.in(a.event) {
				continue
			}
			qql := term(a.field, `"`, a.value) + " or " + term(b.field, `"`, b.value)
			if f := p.look(ctx, a.Active, qql, a.in, nil); f.Outcome != Holds {
				return f
			}
			return p.look(ctx, a.Active, qql, b.in, nil)
		}
	}
	return CouldNotTell.seen("no event without the value of another one")
}

// testOnly makes a query of an event that is such beside itself. It should find that one, and none but
// such events.
func testOnly(qql func(*event) qualys.Filter, such func(e, found *event) bool) test {
	return func(ctx context.Context, p *prober) Finding {
		for _, e := range p.events {
			if such(e, e) {
				as := func(found *event) bool { return such(e, found) }
				return p.look(ctx, e.Active, qql(e).String(), as, as)
			}
		}
		return CouldNotTell.seen("no event to test this with")
	}
}

func files(*event) qualys.Filter {
	f, _ := qualys.EventType("file") // which there is
	return f
}

func areFiles(e, found *event) bool { return e.Type == "FILE" && found.Type == "FILE" }

// around is the query for the second before and after an event.
func around(e *event) qualys.Filter {
	return qualys.Between(e.Time.Add(-time.Second), e.Time.Add(time.Second))
}

func near(e, found *event) bool {
	return !e.Time.IsZero() && found.Time.Sub(e.Time).Abs() <= time.Second
}

func filesAround(e *event) qualys.Filter {
	f, _ := qualys.EventType("process")
	return qualys.And(qualys.Or(files(e), f), around(e))
}

func fileNear(e, found *event) bool { return e.Type == "FILE" && near(e, found) }

func sameScore(e *event) qualys.Filter { return qualys.ScoreRange(e.Score.Value, e.Score.Value) }

func hasSameScore(e, found *event) bool {
	return e.Score.Known && (found.Score == e.Score ||
		slices.ContainsFunc(found.Indicators, func(i qualys.Indicator) bool { return i.Score == e.Score }))
}
