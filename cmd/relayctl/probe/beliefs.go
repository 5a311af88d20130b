package probe

import (
	"strings"
	"time"

	"qualysrelay.example/qualys"
)

const (
	concurrency = 4         // QUALYS_CONCURRENCY where it is not set
	nonsense    = "zqxjkvw" // not in any event
)

// beliefs are in the order in which they are tested: each has what those before it found.
func beliefs() []Belief {
	const (
		losing = "The relay finds too little and does not say so."
		extra  = "No wrong event is shown: each is checked again. A folder (file_path) may not find its files."
		rare   = "For values with a double quote, the relay may find too little, or fail."
	)
	path := field{qualys.FieldFilePath, "file.fullPath"}
	name := field{qualys.FieldFileName, "file.fileName"}
	file, _ := qualys.EventType("file") // which there is
	today := qualys.Between(time.Now().Add(-24*time.Hour), time.Now())
	all := []Belief{
		{"login", "POST /auth answers with the token as plain text",
			"The relay cannot log in: nothing works.", testToken},
		{"token life", "A token says when it ends (exp), four hours after the login",
			"Nothing: the relay goes by exp, and logs in again after a 401.", testTokenLife},
		{"path", "/ioc/events answers (API_PATH's default)",
			"If /ioc/v1/events does, set API_PATH=/ioc/v1. Else: has the subscription EDR, and the user a role " +
				"and API access? The gateway's page /apidocs/ioc has the path for API_PATH.", testPath},
		{"list", "A search answers with a bare list of events",
			"The relay unwraps {sortValues, data} and {data: [...]}, and reports all else.", testList},
		{"nothing found", "A search that finds nothing answers with an empty list, or 204",
			"The relay reports an error for what Qualys does not know.",
			answers(isEmpty, name.is(`"`, nonsense))},
		{"state", "state=true searches the current state, no state the history",
			"The column Active is wrong, and one search of two is useless.", testState},
		{"link", "A current event's timeSeriesId is the id of the event in the history",
			"The relay shows one occurrence twice, as current and as historical.", testLink},
		{"sort", "sort by event.datetime desc gives the newest events first",
			"Of more events than CTR_ENTITIES_LIMIT, the relay does not show the newest.", testSort},
		{"page size", "A page of 1000 events is served",
			"The relay may take a page that is not full for the last one: set CTR_ENTITIES_LIMIT below it. " +
				"It refuses a page with more than was asked for.", testPageSize},
		{"page number", "Pages are numbered from 0", "The relay reads a page twice and misses others.", testPages},
		{"searchAfter", "/events/searchAfter answers, and its searchAfterValue gives the next page",
			"Nothing: the relay does not use it yet.", testSearchAfter},

		{"tokens", "Double quotes match the words of a value, in any order", extra,
			query{path, `"`, threeWords, otherOrder, false}.test},
		{"prefix", "In double quotes, the last word may be the beginning of one", extra,
			query{path, `"`, endsInLetters, withoutEnd, false}.test},
		{"all tokens", "In double quotes, all words must be in the value",
			"The relay reads many events only to drop them, and may miss the right ones.",
			query{path, `"`, threeWords, withNonsense, true}.test},
		{"case", "Double quotes ignore upper and lower case", losing,
			query{name, `"`, "[a-z]", strings.ToUpper, false}.test},
		{"or", "or joins terms: any of them finds", "Lookups that share a call find too little.",
			query{name, `"`, anyValue, withOthers, false}.test},
		{"backticks", "Backticks find the whole value", rare, query{name, "`", anyValue, same, false}.test},
		{"exact", "Backticks find nothing but the whole value", rare,
			query{name, "`", endsInLetters, withoutEnd, true}.test},
		{"single quotes", "Single quotes find the whole value", rare,
			query{name, "'", anyValue, same, false}.test},
		{"inner quotes", "Backticks may hold double quotes", rare,
			answers((*answer).served, name.is("`", nonsense+`"`))},
		{"backslash", "Backslashes in a value are written as they are", losing,
			query{path, `"`, `\\`, same, false}.test},
		{"tiles", "type, indicator.score and event.datetime can be searched by, joined by and",
			"The tiles, which count events, are wrong or empty; lookups are not affected.",
			answers((*answer).served, qualys.And(file, qualys.ScoreRange(0, 10), today).String())},
	}
	for _, f := range [...]field{
		{qualys.FieldLocalIP, "network.localIP"}, {qualys.FieldRemoteIP, "network.remoteIP"},
		{qualys.FieldRemoteFQDN, "network.remoteDns"}, name, path,
		{qualys.FieldMD5, "file.md5 process.md5 process.processFile.md5"},
		{qualys.FieldSHA256, "file.sha256 process.sha256 process.processFile.sha256"},
		{qualys.FieldMutex, "handle.name mutex.name"}, // a guess
		{qualys.FieldProcessName, "process.processName"},
	} {
		all = append(all, Belief{string(f.token), string(f.token) + " finds what an event shows",
			"Observables that are searched by it are not found.", query{f, `"`, anyValue, same, false}.test})
	}
	for _, k := range [...]struct{ kind, keys string }{
		{"FILE", "file.fullPath"}, {"FILE", "file.fileName"}, {"FILE", "file.sha256 file.md5"},
		{"PROCESS", "process.processName"}, {"PROCESS", "process.fullPath"}, {"PROCESS", "process.pid"},
		{"NETWORK", "network.remoteIP"}, {"NETWORK", "process.processName"}, {"MUTEX", "process.processName"},
		{"REGISTRY", "registry.key"}, {"REGISTRY", "registry.valueName"},
	} {
		says := k.kind + " events have " + strings.ReplaceAll(k.keys, " ", " or ")
		all = append(all, Belief{k.kind + " " + k.keys, says, "The relay shows less of these events.",
			share(shows("type", k.kind), has(k.keys), false)})
	}
	return append(all,
		Belief{"mutex", "MUTEX events have nothing of the mutex itself",
			"The relay could check that it is the right mutex.",
			share(shows("type", "MUTEX"), not(hasKey("(?i)handle|mutex")), true)},
		Belief{"ports", "Ports are localPort and remotePort", "Sightings lack them.",
			share(hasKey(`(Port|\.port)$`), has("network.localPort network.remotePort"), true)},
		Belief{"dates", "Dates are like 2006-01-02T15:04:05.000-0700",
			"The relay reads ISO dates in other forms, too, and reports events whose time it cannot read.",
			share(has("id type dateTime"), fits("dateTime", usualDate), true)},
		Belief{"ids", "Each event has an id", "The relay tells events without an id apart by their content.",
			share(has("id type dateTime"), has("id"), true)},
		Belief{"rate headers", "Rate limits are told in headers that the client reads",
			"The relay learns of a limit only when a call is refused.", testRateHeaders},
		Belief{"concurrency", "Four calls of one user at once are allowed",
			"Set QUALYS_CONCURRENCY to what is allowed.", testConcurrency},
		Belief{"bad query", "A query that makes no sense is refused with 400",
			"Where a query fails, the relay may say that nothing was found.",
			answers(isRefused, name.is(`"`, `"`))},
		Belief{"unknown field", "A query by an unknown field is refused with 400",
			"A field that Qualys does not know finds nothing, and nobody is told.",
			answers(isRefused, field{token: nonsense + ".name"}.is(`"`, nonsense))},
		Belief{"bad path", "A path that does not exist is answered with 404",
			"The relay does not notice a wrong API_PATH as one.", testBadPath},
		Belief{"bad token", "A token that is not valid is refused with 401",
			"The relay does not log in again when a token is over.", testBadToken},
	)
}
