package probe

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/qualys"
)

// belief is something that the relay's client takes for granted.
type belief struct {
	name    string
	says    string
	follows string // for the relay, where it does not hold
	test    test
}

// test finds out about a belief. It need not name the belief in what it returns.
type test func(context.Context, *prober) Finding

const (
	largestPage = 1000      // that the client asks for
	somePage    = 100       // events of a search whose result is looked at
	concurrency = 4         // QUALYS_CONCURRENCY where it is not set
	nonsense    = "zqxjkvw" // not in any event
	nothingElse = "and nothing of the mutex itself"
	bug         = "Attach the report to a bug report."
)

// beliefs are in the order in which they are tested: each has what those before it found.
func beliefs() []belief {
	const (
		path, name = qualys.FieldFilePath, qualys.FieldFileName
		tiles      = "The tiles, which count events, are wrong or empty; lookups are not affected."
		losing     = "The relay finds too little and does not say so. " + bug
		extra      = "No wrong event is shown: each is checked again. A folder (file_path) may not find its files."
		noPath     = "Neither path answers. Has the subscription EDR, and the user its role and API access? " +
			"Else find the path on the gateway's page /apidocs/ioc, and set API_PATH."
		rare = "For values with a double quote, the relay may find too little, or fail."
	)
	all := []belief{
		{"login", "POST /auth answers with the token as plain text",
			"The relay cannot log in: nothing works. " + bug, testToken},
		{"token life", "A token says when it ends (exp), four hours after the login",
			"Nothing: the relay goes by exp, and logs in again after a 401.", testTokenLife},
		{"path /ioc", "/ioc/events answers (API_PATH's default)", noPath, testPath("/ioc", "/ioc/v1")},
		{"path /ioc/v1", "/ioc/v1/events answers", noPath, testPath("/ioc/v1", "/ioc")},
		{"list", "A search answers with a bare list of events",
			"The relay unwraps {sortValues, data} and {data: [...]}, and reports all else. " + bug, testList},
		{"nothing found", "A search that finds nothing answers with an empty list, or 204",
			"The relay reports an error for what Qualys does not know. " + bug,
			answers(isEmpty, term(name, `"`, nonsense))},
		{"state", "state=true searches the current state, no state the history",
			"The column Active is wrong, and one search of two is useless. " + bug, testState},
		{"link", "A current event's timeSeriesId is the id of the event in the history",
			"The relay shows one occurrence twice, as current and as historical. " + bug, testLink},
		{"sort", "sort by event.datetime desc gives the newest events first",
			"Of more events than CTR_ENTITIES_LIMIT, the relay does not show the newest. " + bug, testSort},
		{"page size", "A page of 1000 events is served",
			"The relay takes a page that is not full for the last one. Set CTR_ENTITIES_LIMIT below it. " + bug,
			testPageSize},
		{"page number", "Pages are numbered from 0",
			"The relay reads a page twice and misses others. " + bug, testPages},
		{"searchAfter", "/events/searchAfter answers, and its searchAfterValue gives the next page",
			"Nothing: the relay does not use it yet.", testSearchAfter},
		{"count", "/events/count answers {\"count\": N}, for filter and state", tiles, testCount},

		{"tokens", "Double quotes match the words of a value, in any order", extra,
			query{path, threeWords, `"`, otherOrder, false}.test},
		{"prefix", "In double quotes, the last word may be the beginning of one", extra,
			query{path, endsInLetters, `"`, withoutEnd, false}.test},
		{"all tokens", "In double quotes, all words must be in the value",
			"The relay reads many events only to drop them, and may miss the right ones. " + bug,
			query{path, threeWords, `"`, withNonsense, true}.test},
		{"case", "Double quotes ignore upper and lower case", losing,
			query{name, "[a-z]", `"`, strings.ToUpper, false}.test},
		{"backticks", "Backticks match the whole value", rare, testExact("`")},
		{"single quotes", "Single quotes match the whole value", rare, testExact("'")},
		{"inner quotes", "Backticks may hold double quotes, single quotes both", rare, inTurn(
			served(term(name, "`", nonsense+`"`)), served(term(name, "'", nonsense+"\"`")))},
		{"backslash", "Backslashes in a value are written as they are", losing, testBackslash},
		{"last backslash", "A backslash before the closing quote is refused with 400",
			"Nothing: the relay drops a backslash at the end of a value.",
			answers(isRefused, term(path, `"`, nonsense+`\`))},
		{"or", "or joins terms: either one finds", "Lookups that share a call find too little. " + bug, testOr},
		{"and", "and joins terms, with parentheses around an or", tiles,
			findsOnly(near, isTimedFile, func(e *event) qualys.Filter {
				return qualys.And(qualys.Or(typeFilter("file"), typeFilter("process")), around(e))
			})},
		{"type", "type: 'file' finds the events of a type", tiles,
			findsOnly(sameType, ofType("FILE"), func(*event) qualys.Filter { return typeFilter("file") })},
		{"datetime", "event.datetime: [a .. b] finds the events between", tiles,
			findsOnly(near, hasTime, around)},
		{"score", "indicator.score: [n .. n] finds the events of a score", tiles,
			findsOnly(sameScore, func(e *event) bool { return e.Score.Known }, func(e *event) qualys.Filter {
				return qualys.ScoreRange(e.Score.Value, e.Score.Value)
			})},
	}
	for _, f := range searchFields() {
		all = append(all, belief{string(f.Field), string(f.Field) + " finds what an event shows",
			"Observables that are searched by it are not found. " + bug, testField(f.Field)})
	}
	return append(all,
		keysOf("FILE", "file.fullPath", "file.fileName", "file.sha256 or file.md5"),
		keysOf("PROCESS", "process.processName", "process.fullPath", "process.pid"),
		keysOf("NETWORK", "network.remoteIP", "process.processName"),
		keysOf("MUTEX", "process.processName", nothingElse),
		keysOf("REGISTRY", "registry.key", "registry.valueName or registry.value.name"),
		belief{"ports", "Ports are localPort and remotePort, with protocol and direction",
			"Sightings lack them. " + bug, testPorts},
		belief{"dates", "Dates are like 2006-01-02T15:04:05.000-0700",
			"The relay reports events whose time it cannot read, and does not show them. " + bug, testDates},
		belief{"ids", "Each event has an id of its own",
			"The relay tells events without an id apart by their content. " + bug, testIDs},
		belief{"rate headers", "Rate limits are told in headers that the client reads",
			"The relay learns of a limit only when a call is refused. " + bug, testRateHeaders},
		belief{"concurrency", "Four calls of one user at once are served", "", testConcurrency},
		belief{"bad query", "A query that makes no sense is refused with 400",
			"Where a query fails, the relay may say that nothing was found. " + bug,
			answers(isRefused, string(name)+`: "`)},
		belief{"unknown field", "A query by an unknown field is refused with 400",
			"A field that Qualys does not know finds nothing, and nobody is told. " + bug,
			answers(isRefused, nonsense+`.name: "`+nonsense+`"`)},
		belief{"bad token", "A token that is not valid is refused with 401",
			"The relay does not log in again when a token is over. " + bug, testBadToken},
		belief{"bad path", "A path that does not exist is answered with 404",
			"The relay does not notice a wrong API_PATH as one. " + bug, testBadPath},
	)
}

// search looks in the current state or in the history.
func (p *prober) search(ctx context.Context, active bool, qql string, size, number int) *answer {
	a := p.get(ctx, p.prefix+events(active, qql, size, number))
	for _, e := range a.events {
		e.Active = active
	}
	return a
}

// events is the path of a search behind the prefix, with the parameters that the client sends.
func events(active bool, qql string, size, number int) string {
	return fmt.Sprintf("/events?pageSize=%d&pageNumber=%d&", size, number) + params(active, qql)
}

func params(active bool, qql string) string {
	v := url.Values{"sort": {`[{"event.datetime":"desc"}]`}}
	if active {
		v.Set("state", "true")
	}
	if qql != "" {
		v.Set("filter", qql)
	}
	return v.Encode()
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

// inTurn makes one test of several: all must hold.
func inTurn(tests ...test) test {
	return func(ctx context.Context, p *prober) (f Finding) {
		for _, t := range tests {
			if f = t(ctx, p); f.Outcome != Holds {
				break
			}
		}
		return f
	}
}

// term is raw QQL, for what package qualys does not write. The value has none of the quote.
func term(f qualys.Field, quote, value string) string {
	return string(f) + ": " + quote + value + quote
}

// answers tests whether the answer to a query is as ok says.
func answers(ok func(*answer) bool, qql string) test {
	return func(ctx context.Context, p *prober) Finding {
		a := p.search(ctx, true, qql, 1, 0)
		return judge(a, ok(a))
	}
}

func isEmpty(a *answer) bool   { return a.served() && len(a.events) == 0 }
func isRefused(a *answer) bool { return a.Status == http.StatusBadRequest }

// served tests whether a query is one that is served.
func served(qql string) test {
	return func(ctx context.Context, p *prober) Finding { return p.look(ctx, true, qql, nil, nil) }
}

// query is made of a value of the field that an event shows and that fits the regular expression.
type query struct {
	field  qualys.Field
	fits   string
	quote  string
	change func(value string) string // what is searched for
	only   bool                      // it should find only events that show that; else one with the value
}

func (q query) test(ctx context.Context, p *prober) Finding {
	s := p.pick(q.field, q.fits)
	if s == nil {
		return CouldNotTell.seen("no event with a value to test this with")
	}
	changed := &sighted{s.event, s.field, q.change(s.value)}
	qql := term(q.field, q.quote, changed.value)
	if q.only {
		return p.look(ctx, s.Active, qql, nil, changed.in)
	}
	return p.look(ctx, s.Active, qql, s.in, nil)
}

const (
	anyValue      = ""
	threeWords    = `[^\\/ ][\\/ ]+[^\\/ ]+[\\/ ]+[^\\/ ]`
	endsInLetters = `..[A-Za-z]{3}$` // and can do without the last two of them
)

func same(v string) string         { return v }
func withoutEnd(v string) string   { return v[:len(v)-2] }
func withNonsense(v string) string { return nonsense + " " + v }
func doubled(v string) string      { return strings.ReplaceAll(v, `\`, `\\`) }

func otherOrder(path string) string {
	words := strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(`\/ `, r) })
	slices.Reverse(words)
	return strings.Join(words, " ")
}

func testExact(quote string) test {
	const name = qualys.FieldFileName
	return inTurn(query{name, endsInLetters, quote, same, false}.test,
		query{name, endsInLetters, quote, withoutEnd, true}.test)
}

func testBackslash(ctx context.Context, p *prober) Finding {
	q := query{qualys.FieldFilePath, `\\`, `"`, same, false}
	f := q.test(ctx, p)
	if f.Outcome == DoesNotHold {
		q.change = doubled
		f.Seen += "; with doubled backslashes " + q.test(ctx, p).Seen
	}
	return f
}

// testField tests at least whether Qualys knows the field, where no event has a value of it.
func testField(f qualys.Field) test {
	finds := query{f, anyValue, `"`, same, false}.test
	known := served(term(f, `"`, nonsense))
	return func(ctx context.Context, p *prober) Finding {
		if p.pick(f, anyValue) == nil {
			return inTurn(known, finds)(ctx, p)
		}
		return finds(ctx, p)
	}
}

// testOr joins a value of one event and a value of another.
func testOr(ctx context.Context, p *prober) Finding {
	a, b := p.pick(qualys.FieldFileName, anyValue), p.pick(qualys.FieldRemoteIP, anyValue)
	if a == nil || b == nil {
		return CouldNotTell.seen("no event of a file, or none of a connection")
	}
	qql := term(a.field, `"`, a.value) + " or " + term(b.field, `"`, b.value)
	if f := p.look(ctx, a.Active, qql, a.in, nil); f.Outcome != Holds {
		return f
	}
	return p.look(ctx, b.Active, qql, b.in, nil)
}

// findsOnly makes a query of the first event that fits. It should find that one, and none but those that are
// like it.
func findsOnly(like func(e, found *event) bool, fits func(*event) bool, qql func(*event) qualys.Filter) test {
	return func(ctx context.Context, p *prober) Finding {
		i := slices.IndexFunc(p.events, fits)
		if i < 0 {
			return CouldNotTell.seen("no event to test this with")
		}
		likeIt := func(found *event) bool { return like(p.events[i], found) }
		return p.look(ctx, p.events[i].Active, qql(p.events[i]).String(), likeIt, likeIt)
	}
}

func typeFilter(kind string) qualys.Filter {
	f, _ := qualys.EventType(kind) // which there is
	return f
}

// around is the query for the second before and after an event.
func around(e *event) qualys.Filter {
	return qualys.Between(e.Time.Add(-time.Second), e.Time.Add(time.Second))
}

func isTimedFile(e *event) bool     { return e.Type == "FILE" && hasTime(e) }
func near(e, found *event) bool     { return found.Time.Sub(e.Time).Abs() <= time.Second }
func sameType(e, found *event) bool { return found.Type == e.Type }

func sameScore(e, found *event) bool {
	return found.Score == e.Score ||
		slices.ContainsFunc(found.Indicators, func(i qualys.Indicator) bool { return i.Score == e.Score })
}
