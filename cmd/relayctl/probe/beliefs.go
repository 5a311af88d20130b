package probe

import (
	"context"
	"strings"

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
		noPath     = "Neither path answers. Has the subscription EDR, and the user its role and API access? Else " +
			"find the path on the gateway's page /apidocs/ioc, and set API_PATH."
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
			testAnswers(isEmpty, term(name, `"`, nonsense))},
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
			testValue(path, threeWords, query{`"`, otherOrder, true})},
		{"prefix", "In double quotes, the last word may be the beginning of one", extra,
			testValue(path, endsInLetters, query{`"`, withoutEnd, true})},
		{"all tokens", "In double quotes, all words must be in the value",
			"The relay reads many events only to drop them, and may miss the right ones. " + bug,
			testValue(path, threeWords, query{`"`, withWord, false})},
		{"case", "Double quotes ignore upper and lower case", losing,
			testValue(name, "[a-z]", query{`"`, strings.ToUpper, true})},
		{"backticks", "Backticks match the whole value", rare, testExact("`")},
		{"single quotes", "Single quotes match the whole value", rare, testExact("'")},
		{"inner quotes", "Backticks may hold double quotes, single quotes both", rare,
			testAnswers((*answer).served, term(name, "`", nonsense+`"`), term(name, "'", nonsense+"\"`"))},
		{"backslash", "Backslashes in a value are written as they are", losing, testBackslash},
		{"last backslash", "A backslash before the closing quote is refused with 400",
			"Nothing: the relay drops a backslash at the end of a value.",
			testAnswers(isRefused, term(path, `"`, nonsense+`\`))},
		{"or", "or joins terms: either one finds", "Lookups that share a call find too little. " + bug, testOr},
		{"and", "and joins terms, with parentheses around an or", tiles,
			testOnly(filesAround, fileNear)},
		{"type", "type: 'file' finds the events of a type", tiles, testOnly(files, areFiles)},
		{"datetime", "event.datetime: [a .. b] finds the events between", tiles, testOnly(around, near)},
		{"score", "indicator.score: [n .. n] finds the events of a score", tiles, testOnly(sameScore, hasSameScore)},
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
			testAnswers(isRefused, string(name)+`: "`)},
		belief{"unknown field", "A query by an unknown field is refused with 400",
			"A field that Qualys does not know finds nothing, and nobody is told. " + bug,
			testAnswers(isRefused, nonsense+`.name: "`+nonsense+`"`)},
		belief{"bad token", "A token that is not valid is refused with 401",
			"The relay does not log in again when a token is over. " + bug, testBadToken},
		belief{"bad path", "A path that does not exist is answered with 404",
			"The relay does not notice a wrong API_PATH as one. " + bug, testBadPath},
	)
}
