package probe

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

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
	concurrency = 4         // QUALYS_CONCURRENCY where it is not set
	nonsense    = "zqxjkvw" // not in any event
)

// beliefs are in the order in which they are tested: each has what those before it found.
func beliefs() []belief {
	const (
		path, name = qualys.FieldFilePath, qualys.FieldFileName
		less       = "The relay shows less of these events."
		tiles      = "The tiles, which count events, are wrong or empty; lookups are not affected."
		losing     = "The relay finds too little and does not say so."
		extra      = "No wrong event is shown: each is checked again. A folder (file_path) may not find its files."
		rare       = "For values with a double quote, the relay may find too little, or fail."
	)
	all := []belief{
		{"login", "POST /auth answers with the token as plain text",
			"The relay cannot log in: nothing works.", testToken},
		{"token life", "A token says when it ends (exp), four hours after the login",
			"Nothing: the relay goes by exp, and logs in again after a 401.", testTokenLife},
		{"path", "/ioc/events answers (API_PATH's default)",
			"Nor does /ioc/v1/events. Has the subscription EDR, and the user its role and API access? " +
				"Else find the path on the gateway's page /apidocs/ioc, and set API_PATH.", testPath},
		{"list", "A search answers with a bare list of events",
			"The relay unwraps {sortValues, data} and {data: [...]}, and reports all else.", testList},
		{"nothing found", "A search that finds nothing answers with an empty list, or 204",
			"The relay reports an error for what Qualys does not know.",
			answers(isEmpty, quoted(name, `"`, nonsense))},
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
		{"count", "/events/count answers {\"count\": N}, for filter and state", tiles, testCount},

		{"tokens", "Double quotes match the words of a value, in any order", extra,
			finds(path, `"`, threeWords, otherOrder)},
		{"prefix", "In double quotes, the last word may be the beginning of one", extra,
			finds(path, `"`, endsInLetters, withoutEnd)},
		{"all tokens", "In double quotes, all words must be in the value",
			"The relay reads many events only to drop them, and may miss the right ones.",
			findsNoOther(path, `"`, threeWords, withNonsense)},
		{"case", "Double quotes ignore upper and lower case", losing, finds(name, `"`, "[a-z]", strings.ToUpper)},
		{"backticks", "Backticks match the whole value", rare, exact("`")},
		{"single quotes", "Single quotes match the whole value", rare, exact("'")},
		{"inner quotes", "Backticks may hold double quotes, single quotes both", rare, inTurn(
			answers((*answer).served, quoted(name, "`", nonsense+`"`)),
			answers((*answer).served, quoted(name, "'", nonsense+"\"`")))},
		{"backslash", "Backslashes in a value are written as they are", losing, finds(path, `"`, `\\`, nil)},
		{"last backslash", "A backslash before the closing quote is refused with 400",
			"Nothing: the relay drops a backslash at the end of a value.",
			answers(isRefused, quoted(path, `"`, nonsense+`\`))},
		{"or", "or joins terms: any of them finds", "Lookups that share a call find too little.",
			query{keys: "file.fileName", fits: anyValue, finds: true, qql: func(s sighted) string {
				other := quoted(name, `"`, nonsense)
				return other + " or " + quoted(name, `"`, s.value) + " or " + other
			}}.test},
		{"and", "and joins terms, with parentheses around an or", tiles,
			query{keys: "type", fits: "^FILE$", finds: true, only: near, qql: func(s sighted) string {
				return qualys.And(qualys.Or(typeFilter("file"), typeFilter("process")), around(s.event)).String()
			}}.test},
		{"type", "type: 'file' finds the events of a type", tiles,
			query{keys: "type", fits: "^FILE$", finds: true, only: sighted.in, qql: func(sighted) string {
				return typeFilter("file").String()
			}}.test},
		{"datetime", "event.datetime: [a .. b] finds the events between", tiles,
			query{keys: "dateTime", fits: `^\d{4}-`, finds: true, only: near, qql: func(s sighted) string {
				return around(s.event).String()
			}}.test},
		{"score", "indicator.score: [n .. n] finds the events of a score", tiles,
			query{keys: "score indicator2[].score", fits: `^\d+$`, finds: true, only: sighted.in,
				qql: func(s sighted) string {
					n, _ := strconv.Atoi(s.value)
					return qualys.ScoreRange(n, n).String()
				}}.test},
	}
	for _, field := range [...]qualys.Field{
		qualys.FieldLocalIP, qualys.FieldRemoteIP, qualys.FieldRemoteFQDN, qualys.FieldFileName,
		qualys.FieldFilePath, qualys.FieldMD5, qualys.FieldSHA256, qualys.FieldMutex, qualys.FieldProcessName,
	} {
		all = append(all, belief{string(field), string(field) + " finds what an event shows",
			"Observables that are searched by it are not found.", finds(field, `"`, anyValue, nil)})
	}
	return append(all,
		belief{"FILE keys", "FILE events have file.fullPath, file.fileName, file.sha256 or file.md5", less,
			hasKeys("FILE", "file.fullPath", "file.fileName", "file.sha256 file.md5")},
		belief{"PROCESS keys", "PROCESS events have process.processName, process.fullPath, process.pid", less,
			hasKeys("PROCESS", "process.processName", "process.fullPath", "process.pid")},
		belief{"NETWORK keys", "NETWORK events have network.remoteIP, process.processName", less,
			hasKeys("NETWORK", "network.remoteIP", "process.processName")},
		belief{"MUTEX keys", "MUTEX events have process.processName", less,
			hasKeys("MUTEX", "process.processName")},
		belief{"mutex", "MUTEX events have nothing of the mutex itself",
			"The relay could check that it is the right mutex.",
			knowsKeys("MUTEX", regexp.MustCompile(``), publishedKey)},
		belief{"REGISTRY keys", "REGISTRY events have registry.key, registry.valueName or registry.value.name",
			less, hasKeys("REGISTRY", "registry.key", "registry.valueName registry.value.name")},
		belief{"ports", "Ports are localPort and remotePort, with protocol and direction", "Sightings lack them.",
			knowsKeys("NETWORK", portKey, readPort)},
		belief{"dates", "Dates are like 2006-01-02T15:04:05.000-0700",
			"The relay reads ISO dates in other forms, too, and reports events whose time it cannot read.",
			every(usualDate, "another date, or none")},
		belief{"ids", "Each event has an id of its own",
			"The relay tells events without an id apart by their content.", testIDs},
		belief{"rate headers", "Rate limits are told in headers that the client reads",
			"The relay learns of a limit only when a call is refused.", testRateHeaders},
		belief{"concurrency", "Four calls of one user at once are served", "", testConcurrency},
		belief{"bad query", "A query that makes no sense is refused with 400",
			"Where a query fails, the relay may say that nothing was found.",
			answers(isRefused, string(name)+`: "`)},
		belief{"unknown field", "A query by an unknown field is refused with 400",
			"A field that Qualys does not know finds nothing, and nobody is told.",
			answers(isRefused, quoted(nonsense+".name", `"`, nonsense))},
		belief{"bad token", "A token that is not valid is refused with 401",
			"The relay does not log in again when a token is over.", testBadToken},
		belief{"bad path", "A path that does not exist is answered with 404",
			"The relay does not notice a wrong API_PATH as one.", testBadPath},
	)
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

// answers tests whether the answer to a query is as ok says.
func answers(ok func(*answer) bool, qql string) test {
	return func(ctx context.Context, p *prober) Finding {
		a := p.search(ctx, true, qql, 1, 0)
		return judge(a, ok(a))
	}
}

func isEmpty(a *answer) bool   { return a.served() && a.Elements == 0 }
func isRefused(a *answer) bool { return a.Status == http.StatusBadRequest }

// query is a search for a value that an event of the sample shows.
type query struct {
	keys   string              // of the value
	fits   string              // regular expression of the value
	change func(string) string // makes what is searched for of the value; nil: it is the value
	qql    func(searched sighted) string
	finds  bool                                      // an event with the value must be found
	only   func(searched sighted, found *event) bool // all that is found must be so, where it is not nil
}

// test searches for nonsense where no event has a value, since Qualys may refuse all queries of the kind.
func (q query) test(ctx context.Context, p *prober) Finding {
	const most = 100
	picked, isPicked := p.pick(q.keys, q.fits)
	if !isPicked {
		picked = sighted{&event{Event: qualys.Event{Time: time.Now()}}, q.keys, nonsense}
	}
	searched := picked
	if q.change != nil {
		searched.value = q.change(picked.value)
	}
	a := p.search(ctx, picked.Active, q.qql(searched), most, 0)
	found, n := count(a.events, picked.in), len(a.events)
	others := count(a.events, func(e *event) bool { return q.only != nil && !q.only(searched, e) })
	switch {
	case isRefused(a):
		return DoesNotHold.seen("%s", a)
	case !a.served(): // it is not about the query
		return CouldNotTell.seen("%s", a)
	case !isPicked:
		return CouldNotTell.seen("no event with a value to test this with")
	case others > 0:
		return DoesNotHold.seen("%d of %d events should not be found", others, n)
	case q.finds && found == 0 && n == most:
		return CouldNotTell.seen("more events are found than are looked at")
	case q.finds && found == 0:
		return DoesNotHold.seen("an event is not found (%d others are)", n)
	}
	return Holds.seen("%d of the %d events that are found show the value", found, n)
}

// finds tests whether a search for what is made of a value finds an event with that value.
func finds(f qualys.Field, quote, fits string, change func(string) string) test {
	return query{shownAt(f), fits, change, inQuotes(f, quote), true, nil}.test
}

// findsNoOther tests whether it finds only events with the value that is made.
func findsNoOther(f qualys.Field, quote, fits string, change func(string) string) test {
	return query{shownAt(f), fits, change, inQuotes(f, quote), false, sighted.in}.test
}

func exact(quote string) test {
	return inTurn(finds(qualys.FieldFileName, quote, endsInLetters, nil),
		findsNoOther(qualys.FieldFileName, quote, endsInLetters, withoutEnd))
}

func inQuotes(f qualys.Field, quote string) func(sighted) string {
	return func(s sighted) string { return quoted(f, quote, s.value) }
}

// quoted is raw QQL, for what package qualys does not write. The value has none of the quote.
func quoted(f qualys.Field, quote, value string) string {
	return string(f) + ": " + quote + value + quote
}

// shownAt are the keys under which events show the values of a field. Where the name of a mutex may be is a
// guess.
func shownAt(f qualys.Field) string {
	return map[qualys.Field]string{
		qualys.FieldLocalIP:     "network.localIP",
		qualys.FieldRemoteIP:    "network.remoteIP",
		qualys.FieldRemoteFQDN:  "network.remoteDns",
		qualys.FieldFileName:    "file.fileName",
		qualys.FieldFilePath:    "file.fullPath",
		qualys.FieldMD5:         "file.md5 process.md5 process.processFile.md5",
		qualys.FieldSHA256:      "file.sha256 process.sha256 process.processFile.sha256",
		qualys.FieldMutex:       "handle.name mutex.name",
		qualys.FieldProcessName: "process.processName",
	}[f]
}

const (
	anyValue      = `...`
	threeWords    = `[^\\/ ][\\/ ]+[^\\/ ]+[\\/ ]+[^\\/ ]`
	endsInLetters = `..[A-Za-z]{3}$` // and can do without the last two of them
)

func withoutEnd(v string) string   { return v[:len(v)-2] }
func withNonsense(v string) string { return nonsense + " " + v }

func otherOrder(path string) string {
	var words []string
	for word := range strings.FieldsFuncSeq(path, func(r rune) bool { return strings.ContainsRune(`\/ `, r) }) {
		words = append([]string{word}, words...)
	}
	return strings.Join(words, " ")
}

func typeFilter(kind string) qualys.Filter {
	f, _ := qualys.EventType(kind) // which there is
	return f
}

// around is the query for the second before and after an event.
func around(e *event) qualys.Filter {
	return qualys.Between(e.Time.Add(-time.Second), e.Time.Add(time.Second))
}

func near(searched sighted, found *event) bool {
	return found.Time.Sub(searched.Time).Abs() <= time.Second
}
