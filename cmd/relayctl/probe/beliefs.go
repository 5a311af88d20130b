package probe

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"qualysrelay.example/qualys"
)

// belief is something that the relay's client takes for granted.
type belief struct {
	name    string
	says    string
	follows string // for the relay, where it does not hold
	test    func(context.Context, *prober) verdict
}

// prober is what the tests of the beliefs share.
type prober struct {
	*caller
	login   *answer
	claims  map[string]any // of the token
	prefix  string         // of the API paths: the first that answers
	events  []*event       // the sample
	sampled bool
}

// verdict is the outcome of a test and what was seen. The functions below make it of numbers, statuses and
// names of keys (answer.String, keyName), so that no value gets into it.
type verdict struct {
	outcome Outcome
	seen    string
	follows string // in place of the belief's
}

func holds(format string, args ...any) verdict {
	return verdict{outcome: Holds, seen: fmt.Sprintf(format, args...)}
}

func fails(format string, args ...any) verdict {
	return verdict{outcome: DoesNotHold, seen: fmt.Sprintf(format, args...)}
}

func unclear(format string, args ...any) verdict {
	return verdict{outcome: CouldNotTell, seen: fmt.Sprintf(format, args...)}
}

// so says what follows where that depends on what was seen.
func (v verdict) so(follows string) verdict {
	v.follows = follows
	return v
}

// judge is the verdict on an answer that should be as ok says. One that a limit, a fault of Qualys's or
// the network is to blame for says nothing.
func judge(a *answer, ok bool) verdict {
	switch {
	case a.failure != "" || a.limited() || a.status >= 500:
		return unclear("%s", a)
	case ok:
		return holds("%s", a)
	}
	return fails("%s", a)
}

// lacking is the verdict where there is no event to test with.
func (p *prober) lacking(which string) verdict {
	if p.stopped != "" {
		return unclear("%s", p.stopped)
	}
	return unclear("%s", strings.TrimSpace("no event "+which))
}

const (
	largestPage = 1000 // that the client asks for
	somePage    = 100  // events of a search whose result is looked at
	concurrency = 4    // QUALYS_CONCURRENCY where it is not set
	newestFirst = `[{"event.datetime":"desc"}]`
	nonsense    = "zqxjkvw" // not in any event
	maxToken    = 16 << 10  // bytes, of the client
	bug         = "Attach the report to a bug report."
)

// beliefs are in the order in which they are tested: each has what those before it found.
func beliefs() []belief {
	const (
		path, name = qualys.FieldFilePath, qualys.FieldFileName
		tiles      = "The tiles, which count events, are wrong or empty; lookups are not affected."
		losing     = "The relay finds too little and does not say so. " + bug
		extra      = "No wrong event is shown: each is checked again. A folder (file_path) may not find its files."
		rare       = "For values with a double quote, the relay may find too little, or fail."
	)
	all := []belief{
		{"login", "POST /auth answers with the token as plain text",
			"The relay cannot log in: nothing works. " + bug, testToken},
		{"token life", "A token says when it ends (exp), four hours after the login",
			"Nothing: the relay goes by exp, and logs in again after a 401.", testTokenLife},
		{"path /ioc", "/ioc/events answers (API_PATH's default)", "", testPath("/ioc", "/ioc/v1")},
		{"path /ioc/v1", "/ioc/v1/events answers", "", testPath("/ioc/v1", "/ioc")},
		{"list", "A search answers with a bare list of events",
			"The relay unwraps {sortValues, data} and {data: [...]}, and reports all else. " + bug, testList},
		{"nothing found", "A search that finds nothing answers with an empty list, or 204",
			"The relay reports an error for what Qualys does not know. " + bug, testNothing},
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
			testFinds(path, severalParts, otherOrder)},
		{"prefix", "In double quotes, the last word may be the beginning of one", extra,
			testFinds(path, endsInLetters, func(v string) string { return term(path, `"`, withoutEnd(v)) })},
		{"all tokens", "In double quotes, all words must be in the value",
			"The relay reads many events only to drop them, and may miss the right ones. " + bug, testAllTokens},
		{"case", "Double quotes ignore upper and lower case", losing, testFinds(name, endsInLetters, otherCase)},
		{"backticks", "Backticks match the whole value", rare, testExact("`")},
		{"single quotes", "Single quotes match the whole value", rare, testExact("'")},
		{"inner quotes", "Backticks may hold double quotes, single quotes both", rare, testInnerQuotes},
		{"backslash", "Backslashes in a value are written as they are", losing, testBackslash},
		{"last backslash", "A backslash before the closing quote is refused with 400",
			"Nothing: the relay drops a backslash at the end of a value.", testRefused(term(path, `"`, nonsense+`\`))},
		{"or", "or joins terms: either one finds", "Lookups that share a call find too little. " + bug, testOr},
		{"and", "and joins terms, with parentheses around an or", tiles, testOnly(func(e *event) bool {
			return isFile(e) && hasTime(e)
		}, filesAround, near)},
		{"type", "type: 'file' finds the events of a type", tiles,
			testOnly(isFile, files, func(_, found *event) bool { return isFile(found) })},
		{"datetime", "event.datetime: [a .. b] finds the events between", tiles, testOnly(hasTime, around, near)},
		{"score", "indicator.score: [n .. n] finds the events of a score", tiles,
			testOnly(hasScore, sameScore, hasSameScore)},
	}
	for _, f := range searchFields() {
		all = append(all, belief{string(f), string(f) + " finds what an event shows",
			"Observables that are searched by it are not found. " + bug, testField(f)})
	}
	for _, kind := range eventTypes() {
		says := kind + " events have"
		for _, oneOf := range expected(kind) {
			says += " " + strings.Join(oneOf, " or ") + ","
		}
		if says = strings.TrimSuffix(says, ","); kind == "MUTEX" {
			says += ", and nothing of the mutex itself"
		}
		all = append(all, belief{kind + " keys", says,
			"The relay shows less of these events. " + bug, testKeys(kind)})
	}
	return append(all,
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
			testRefused(string(name) + `: "`)},
		belief{"unknown field", "A query by an unknown field is refused with 400",
			"A field that Qualys does not know finds nothing, and nobody is told. " + bug,
			testRefused(nonsense + `.name: "` + nonsense + `"`)},
		belief{"bad token", "A token that is not valid is refused with 401",
			"The relay does not log in again when a token is over. " + bug, testBadToken},
		belief{"bad path", "A path that does not exist is answered with 404",
			"The relay does not notice a wrong API_PATH as one. " + bug, testBadPath},
	)
}

// page are the parameters of a search as the client sends them.
func page(size, number int) url.Values {
	return url.Values{
		"pageSize": {strconv.Itoa(size)}, "pageNumber": {strconv.Itoa(number)}, "sort": {newestFirst},
	}
}

// search looks in the current state or in the history.
func (p *prober) search(ctx context.Context, active bool, qql string, size, number int) *answer {
	params := page(size, number)
	if active {
		params.Set("state", "true")
	}
	if qql != "" {
		params.Set("filter", qql)
	}
	a := p.get(ctx, "/events", p.prefix+"/events", params)
	for _, e := range a.events {
		e.Active = active
	}
	return a
}
