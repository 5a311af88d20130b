package probe

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"qualysrelay.example/qualys"
)

// verdict is the finding of a test that could tell.
func verdict(ok bool, format string, args ...any) Finding {
	if ok {
		return Holds.seen(format, args...)
	}
	return DoesNotHold.seen(format, args...)
}

// judge is the finding about an answer that should be as ok says. One that a limit, a fault of Qualys's or
// the network is to blame for says nothing.
func judge(a *answer, ok bool) Finding {
	if a.Failure != "" || a.limited() || a.Status >= 500 {
		return CouldNotTell.seen("%s", a)
	}
	return verdict(ok, "%s", a)
}

// answers tests whether the answer to a query is as ok says.
func answers(ok func(*answer) bool, qql string) test {
	return func(ctx context.Context, p *prober) Finding {
		a := p.search(ctx, true, qql, 1, 0)
		return judge(a, ok(a))
	}
}

func isEmpty(a *answer) bool   { return a.served() && a.Elements == 0 }
func isRefused(a *answer) bool { return a.Status == http.StatusBadRequest }

// field is one that is searched by, and the keys under which events show its values.
type field struct {
	token qualys.Field
	keys  string
}

// is returns raw QQL: package qualys does not write all that is to be tested.
func (f field) is(quote, value string) string { return string(f.token) + ": " + quote + value + quote }

// query is a search for what is made of a value that an event of the sample shows.
type query struct {
	field
	quote  string
	fits   string // regular expression of the value
	change func(string) string
	exact  bool // only events with what was searched for must be found; else one at least with the value
}

// test searches for nonsense where no event has a value, since Qualys may refuse all queries of the kind.
func (q query) test(ctx context.Context, p *prober) Finding {
	const most = 100
	picked, value := p.pick(q.keys, q.fits)
	if picked == nil {
		picked, value = &event{}, nonsense
	}
	searched := q.change(value)
	a := p.search(ctx, picked.active, q.is(q.quote, searched), most, 0)
	n := len(a.events)
	switch right := count(a.events, shows(q.keys, searched)); {
	case isRefused(a):
		return DoesNotHold.seen("%s", a)
	case !a.served(): // it is not about the query
		return CouldNotTell.seen("%s", a)
	case picked.values == nil:
		return CouldNotTell.seen("no event with a value to test this with")
	case q.exact:
		return verdict(right == n, "%d events are found that have another value", n-right)
	}
	found := count(a.events, shows(q.keys, value))
	if found == 0 && n == most {
		return CouldNotTell.seen("more events are found than are looked at")
	}
	return verdict(found > 0, "%d of %d events show the value", found, n)
}

const (
	anyValue      = `...`
	threeWords    = `[^\\/ ][\\/ ]+[^\\/ ]+[\\/ ]+[^\\/ ]`
	endsInLetters = `..[A-Za-z]{3}$` // and can do without the last two of them
	usualDate     = `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4}$`
)

func same(v string) string         { return v }
func withoutEnd(v string) string   { return v[:len(v)-2] }
func withNonsense(v string) string { return nonsense + " " + v }

// withOthers makes three terms of one, of which the second has the value.
func withOthers(v string) string {
	return strings.Join([]string{nonsense, v, nonsense}, `" or `+string(qualys.FieldFileName)+`: "`)
}

func otherOrder(path string) string {
	words := strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(`\/ `, r) })
	slices.Reverse(words)
	return strings.Join(words, " ")
}

// share tests how many of some events are as they should be: all of them, or any.
func share(of, is func(*event) bool, all bool) test {
	return func(_ context.Context, p *prober) Finding {
		n := count(p.events, of)
		right := count(p.events, func(e *event) bool { return of(e) && is(e) })
		if n == 0 {
			return CouldNotTell.seen("there is no such event")
		}
		return verdict(right == n || right > 0 && !all, "%d of %d events", right, n)
	}
}

func testToken(_ context.Context, p *prober) Finding {
	login := p.calls[0]
	token := strings.Trim(strings.TrimSpace(login.text), `"`)
	unusable := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("<{[", r) }
	if token == "" || login.Bytes > maxText || strings.ContainsFunc(token, unusable) {
		p.stopped = "there is no token"
		return DoesNotHold.seen("%s", login)
	}
	p.token = token
	_, _, _ = jwt.NewParser().ParseUnverified(token, p.claims) // other tokens have none
	return Holds.seen("%d, %d characters in %d parts", login.Status, len(token), strings.Count(token, ".")+1)
}

func testTokenLife(_ context.Context, p *prober) Finding {
	begins, _ := p.claims.GetIssuedAt()
	ends, _ := p.claims.GetExpirationTime()
	if begins == nil || ends == nil {
		return CouldNotTell.seen("the token does not say; the relay takes four hours where there is no exp")
	}
	life := ends.Sub(begins.Time)
	return verdict((life-4*time.Hour).Abs() < 5*time.Minute, "%s", life)
}

// testPath finds the path that all other tests use.
func testPath(ctx context.Context, p *prober) Finding {
	p.prefix = "/ioc/v1"
	other := p.search(ctx, true, "", 1, 0)
	p.prefix = "/ioc"
	usual := p.search(ctx, true, "", 1, 0)
	f := judge(usual, usual.Status/100 == 2)
	f.Seen += "; /ioc/v1/events: " + other.String()
	switch {
	case f.Outcome == Holds:
	case other.Status/100 == 2:
		p.prefix = "/ioc/v1"
	default:
		p.stopped = cmp.Or(p.stopped, "the events API does not answer")
	}
	return f
}

const largestPage = 1000 // that the client asks for

// testList takes the sample, which most of the tests behind it use: the newest events of both datasets, and
// a few historical ones of each type that those lack.
func testList(ctx context.Context, p *prober) Finding {
	for _, p.pageSize = range [...]int{largestPage, 500, 200, 100, 10} {
		p.history = p.search(ctx, false, "", p.pageSize, 0)
		if !isRefused(p.history) {
			break
		}
	}
	p.current = p.search(ctx, true, "", p.pageSize, 0)
	p.events = slices.Concat(p.current.events, p.history.events)
	for _, kind := range types() {
		qql := field{token: "type"}.is("'", strings.ToLower(kind))
		if count(p.events, shows("type", kind)) == 0 {
			p.events = append(p.events, p.search(ctx, false, qql, 20, 0).events...)
		}
	}
	if !p.history.served() {
		p.stopped = cmp.Or(p.stopped, "a search does not answer with a list")
		return judge(p.history, false)
	}
	isBare := func(e *event) bool { return !e.wrapped && has("type")(e) }
	return share(func(*event) bool { return true }, isBare, true)(ctx, p)
}

// different is the finding about two answers that should have different events.
func different(a, b *answer) Finding {
	key := func(e *event) string { return cmp.Or(e.text("id"), fmt.Sprint(e.values)) }
	keys := make(map[string]bool)
	for _, e := range a.events {
		keys[key(e)] = true
	}
	both := count(b.events, func(e *event) bool { return keys[key(e)] })
	switch {
	case len(a.events) > 0 && !b.served():
		return judge(b, false)
	case len(a.events) == 0 || len(b.events) == 0:
		return CouldNotTell.seen("there are too few events")
	}
	return verdict(both == 0, "%d events and %d events, %d in both", len(a.events), len(b.events), both)
}

func testState(_ context.Context, p *prober) Finding { return different(p.history, p.current) }

// testLink looks at the current events whose occurrences are in the sample, too.
func testLink(ctx context.Context, p *prober) Finding {
	ids, occurred := make(map[string]bool), make(map[string]bool)
	occurrence := func(e *event) string { return e.text("dateTime") + e.text("type") + e.text("asset.agentId") }
	for _, e := range p.history.events {
		ids[e.text("id")], occurred[occurrence(e)] = true, true
	}
	isLinked := func(e *event) bool { return has("timeSeriesId")(e) && ids[e.text("timeSeriesId")] }
	isOfBoth := func(e *event) bool { return e.active && (isLinked(e) || occurred[occurrence(e)]) }
	return share(isOfBoth, isLinked, false)(ctx, p)
}

func testSort(_ context.Context, p *prober) Finding {
	if len(p.history.events) < 2 {
		return CouldNotTell.seen("there are too few events")
	}
	byTime := func(a, b *event) int { return cmp.Compare(b.text("dateTime"), a.text("dateTime")) }
	return verdict(slices.IsSortedFunc(p.history.events, byTime), "%d events", len(p.history.events))
}

func testPageSize(ctx context.Context, p *prober) Finding {
	got, next := p.history.Elements, different(p.history, p.search(ctx, false, "", p.pageSize, 1))
	switch {
	case !p.history.served():
		return CouldNotTell.seen("%s", p.history)
	case p.pageSize == largestPage && got < largestPage && next.Outcome != Holds:
		return CouldNotTell.seen("there are only %d events", got)
	}
	return verdict(got == largestPage, "%d events; a page of %d is not refused", got, p.pageSize)
}

func testPages(ctx context.Context, p *prober) Finding {
	return different(p.search(ctx, false, "", 2, 0), p.search(ctx, false, "", 2, 1))
}

func testSearchAfter(ctx context.Context, p *prober) Finding {
	const path = "/events/searchAfter"
	if p.history.Elements <= 2 {
		return CouldNotTell.seen("there are too few events")
	}
	first := p.get(ctx, 1, path, "pageSize=2&pageNumber=0")[0]
	// It is documented as both.
	after := first.header.Get("searchAfterValue") + first.header.Get("searchAfterValues")
	if after == "" {
		return judge(first, false)
	}
	return different(first, p.get(ctx, 1, path, "pageSize=2&searchAfterValues="+url.QueryEscape(after))[0])
}

func testRateHeaders(_ context.Context, p *prober) Finding {
	if len(p.headers) == 0 {
		return CouldNotTell.seen("no answer had any")
	}
	names, limits := slices.Sorted(maps.Keys(p.headers)), qualys.LimitsOf(p.headers)
	return verdict(limits.Known, "%s: %d of %d calls are left", list(names), limits.Remaining, limits.Limit)
}

func testConcurrency(ctx context.Context, p *prober) Finding {
	qql := field{token: qualys.FieldProcessName}.is(`"`, nonsense)
	query := "pageSize=1&pageNumber=0" + newestFirst + "&filter=" + url.QueryEscape(qql)
	served := concurrency
	for _, a := range p.get(ctx, concurrency, "/events", query) {
		if a.limited() {
			served--
		} else if !a.served() {
			return CouldNotTell.seen("%s", a)
		}
	}
	allowed := min(served, cmp.Or(qualys.LimitsOf(p.headers).Concurrency, served))
	return verdict(allowed == concurrency, "%d are allowed", allowed)
}

func testBadToken(ctx context.Context, p *prober) Finding {
	p.token = nonsense // for this last test
	a := p.search(ctx, false, "", 1, 0)
	return judge(a, a.Status == http.StatusUnauthorized)
}

func testBadPath(ctx context.Context, p *prober) Finding {
	a := p.get(ctx, 1, "/"+nonsense, "")[0]
	return judge(a, a.Status == http.StatusNotFound)
}
