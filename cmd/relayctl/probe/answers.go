package probe

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/qualys"
)

func testToken(_ context.Context, p *prober) Finding {
	token := strings.Trim(strings.TrimSpace(p.login.text), `"`)
	unusable := func(r rune) bool { return r <= ' ' || r > '~' }
	if token == "" || strings.ContainsAny(token[:1], "<{[") || strings.ContainsFunc(token, unusable) ||
		!strings.ContainsAny(token, ".-0123456789") {
		p.stopped = "there is no token"
		return DoesNotHold.seen("%s", p.login)
	}
	p.token = token
	parts := strings.Split(token, ".")
	if len(parts) == 3 {
		payload, _ := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
		_ = json.Unmarshal(payload, &p.claims)
	}
	return Holds.seen("%d, %d characters in %d parts", p.login.Status, len(token), len(parts))
}

func testTokenLife(_ context.Context, p *prober) Finding {
	begins, _ := p.claims["iat"].(float64)
	ends, _ := p.claims["exp"].(float64)
	if begins <= 0 || ends <= 0 {
		return CouldNotTell.seen("the token does not say; the relay takes four hours where there is no exp")
	}
	life := time.Duration(ends-begins) * time.Second
	if (life - 4*time.Hour).Abs() > 5*time.Minute {
		return DoesNotHold.seen("%s", life)
	}
	return Holds.seen("%s", life)
}

// testPath looks whether the events are at a path; other is where they may be, too.
func testPath(path, other string) test {
	return func(ctx context.Context, p *prober) Finding {
		target := events(true, "", 1, 0)
		a := p.get(ctx, path+target)
		f := judge(a, a.Status/100 == 2)
		switch {
		case f.Outcome == Holds:
			p.prefix = cmp.Or(p.prefix, path)
		case p.get(ctx, other+target).Status/100 == 2:
			return f.so("Set API_PATH=" + other + ".")
		default:
			p.stopped = cmp.Or(p.stopped, "the events API does not answer")
		}
		return f
	}
}

// testList takes the sample, which most of the tests behind it use.
func testList(ctx context.Context, p *prober) Finding {
	p.sample(ctx)
	for _, a := range [...]*answer{p.current, p.history} {
		if f := judge(a, a.served() && a.odd == 0); f.Outcome != Holds {
			return f
		}
	}
	return Holds.seen("%d events", len(p.current.events)+len(p.history.events))
}

func testState(_ context.Context, p *prober) Finding {
	current, history := len(p.current.events), len(p.history.events)
	switch both := overlap(p.current, p.history); {
	case current == 0 || history == 0:
		return CouldNotTell.seen("no event of one of the two datasets")
	case both > 0:
		return DoesNotHold.seen("of %d historical events, %d are in the current state too", history, both)
	}
	return Holds.seen("%d current and %d historical events, none in both", current, history)
}

// overlap counts the events that are in both answers.
func overlap(a, b *answer) int {
	ids := make(map[string]bool)
	for _, e := range a.events {
		ids[e.Key] = true
	}
	return len(those(b.events, func(e *event) bool { return ids[e.Key] }))
}

func testLink(ctx context.Context, p *prober) Finding {
	current, history := p.current.events, p.history.events
	if len(current) == 0 {
		return CouldNotTell.seen("no event in the current state")
	}
	linked := those(current, func(e *event) bool { return e.TimeSeriesID != "" })
	// The two pages may be of different times: look the newest current events up in the history.
	for _, e := range linked[:min(len(linked), 3)] {
		history = slices.Concat(history, p.search(ctx, false, around(e).String(), somePage, 0).events)
	}
	matched := those(history, func(h *event) bool {
		return slices.ContainsFunc(linked, func(e *event) bool { return e.TimeSeriesID == h.ID })
	})
	alike := those(history, func(h *event) bool {
		return slices.ContainsFunc(linked, func(e *event) bool {
			return e.Time.Equal(h.Time) && e.Type == h.Type && e.Asset.AgentID == h.Asset.AgentID &&
				reflect.DeepEqual(e.shown, h.shown)
		})
	})
	switch {
	case len(linked) == 0:
		return DoesNotHold.seen("none of %d current events has a timeSeriesId", len(current))
	case len(matched) > 0:
		return Holds.seen("%d historical events have the id that a current one names", len(matched))
	case len(alike) > 0:
		return DoesNotHold.seen("%d historical events are like a current one, with another id than it names",
			len(alike))
	}
	return CouldNotTell.seen("the history has none of the occurrences that were looked for")
}

func testSort(_ context.Context, p *prober) Finding {
	pairs := 0
	for _, a := range [...]*answer{p.current, p.history} {
		events := those(a.events, hasTime)
		if !slices.IsSortedFunc(events, func(a, b *event) int { return b.Time.Compare(a.Time) }) {
			return DoesNotHold.seen("of %d events, one is newer than the one before it", len(events))
		}
		pairs += max(len(events)-1, 0)
	}
	if pairs == 0 {
		return CouldNotTell.seen("no event to compare with another one")
	}
	return Holds.seen("%d events", pairs+1)
}

func testPageSize(ctx context.Context, p *prober) Finding {
	got, next := p.larger.Elements, p.search(ctx, p.active, "", p.pageSize, 1)
	total, _ := p.count(ctx, p.active, "")
	switch {
	case !p.larger.served():
		return CouldNotTell.seen("%s", p.larger)
	case got > p.pageSize:
		return DoesNotHold.seen("%d events came where %d were asked for", got, p.pageSize).
			so("The relay refuses such an answer.")
	case p.pageSize < largestPage:
		return DoesNotHold.seen("%d are refused, %d are not", largestPage, p.pageSize)
	case got == largestPage:
		return Holds.seen("%d events", got)
	case total > got || overlap(p.larger, next) < len(next.events):
		return DoesNotHold.seen("%d events came where %d were asked for, and there are more", got, p.pageSize)
	}
	return CouldNotTell.seen("there are only %d events", got)
}

func testPages(ctx context.Context, p *prober) Finding {
	first, second := p.search(ctx, p.active, "", 2, 0), p.search(ctx, p.active, "", 2, 1)
	both := overlap(first, second)
	switch {
	case !second.served():
		return judge(second, false)
	case len(first.events) < 2 || len(second.events) < 2:
		return CouldNotTell.seen("%s as the second page", second)
	case both > 0:
		return DoesNotHold.seen("%d of 2 events on page 1 are on page 0 too", both)
	}
	return Holds.seen("pages 0 and 1 have different events")
}

func testSearchAfter(ctx context.Context, p *prober) Finding {
	path := p.prefix + "/events/searchAfter?pageSize=2&"
	first := p.get(ctx, path+"pageNumber=0")
	// It is documented as both.
	value := first.header.Get("searchAfterValue") + first.header.Get("searchAfterValues")
	if first.served() && value == "" && len(p.history.events) <= 2 {
		return CouldNotTell.seen("no event for a second page")
	}
	if f := judge(first, first.served() && value != ""); f.Outcome != Holds {
		return f
	}
	second := p.get(ctx, path+"searchAfterValues="+url.QueryEscape(value))
	f := judge(second, len(second.events) > 0 && overlap(first, second) == 0)
	f.Seen += " as the second page"
	return f
}

// count asks how many events a query finds. The number is -1 where the answer does not say.
func (p *prober) count(ctx context.Context, active bool, qql string) (int, *answer) {
	a := p.get(ctx, p.prefix+"/events/count?"+params(active, qql))
	doc, _ := a.doc.(map[string]any)
	if n, told := doc["count"].(float64); told && a.Status/100 == 2 {
		return int(n), a
	}
	return -1, a
}

func testCount(ctx context.Context, p *prober) Finding {
	s := p.pick(qualys.FieldFileName, anyValue)
	if s == nil {
		return CouldNotTell.seen("no event of a file")
	}
	qql := term(s.field, `"`, s.value)
	found := len(p.search(ctx, s.Active, qql, somePage, 0).events)
	n, a := p.count(ctx, s.Active, qql)
	switch {
	case n < 0:
		return judge(a, false)
	case found == 0 || found == somePage:
		return CouldNotTell.seen("the count is %d, and a search finds nothing or too much", n)
	case n != found:
		return DoesNotHold.seen("the count is %d where a search finds %d", n, found)
	}
	return Holds.seen("%d, as many as a search finds", n)
}

// keysOf is the belief that the events of a type have the keys, of "a or b" one at least.
func keysOf(kind string, wanted ...string) belief {
	test := func(_ context.Context, p *prober) Finding {
		keys, n := p.keys[kind], len(those(p.events, ofType(kind)))
		var missing, others []string
		for _, want := range wanted {
			has := func(key string) bool { return keys[key] != nil }
			if want != nothingElse && !slices.ContainsFunc(strings.Split(want, " or "), has) {
				missing = append(missing, want)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			isInstead := len(missing) > 0 && strings.HasPrefix(key, strings.ToLower(kind)+".")
			if isInstead || !publishedKey.MatchString(key) {
				others = append(others, key)
			}
		}
		switch {
		case n == 0:
			return CouldNotTell.seen("no event of this type")
		case len(missing) > 0:
			return DoesNotHold.seen("missing: %s; there are: %s", list(missing), list(others))
		case len(others) > 0 && slices.Contains(wanted, nothingElse):
			return DoesNotHold.seen("%s", list(others)).
				so("The relay could check that it is the right mutex. " + bug)
		}
		return Holds.seen("%s", plain.Count(n, "event"))
	}
	says := kind + " events have " + strings.Join(wanted, ", ")
	return belief{kind + " keys", says, "The relay shows less of these events. " + bug, test}
}

// read is the finding about names of which the client should read all.
func read(names []string, isRead *regexp.Regexp, lacking string) Finding {
	slices.Sort(names)
	unread := slices.DeleteFunc(slices.Clone(names), isRead.MatchString)
	switch {
	case len(names) == 0:
		return CouldNotTell.seen("%s", lacking)
	case len(unread) > 0:
		return DoesNotHold.seen("not read: %s", list(unread))
	}
	return Holds.seen("%s", list(names))
}

var (
	portKey  = regexp.MustCompile(`(?i)port$|protocol|direction`)
	readPort = regexp.MustCompile(`^network\.(localPort|remotePort|protocol|direction)$`)

	// These are the headers that the client reads, and those that are known to be beside them.
	readLimit = regexp.MustCompile(`^(X-Ratelimit-(Limit|Remaining|Window-Sec|Towait-Sec)|Retry-After|` +
		`X-Concurrency(limit|-Limit)-(Limit|Running)) \d+$`)
)

func testPorts(_ context.Context, p *prober) Finding {
	var keys []string
	for key := range p.keys["NETWORK"] {
		if portKey.MatchString(key) {
			keys = append(keys, key)
		}
	}
	return read(keys, readPort, "no event with a port")
}

func testRateHeaders(_ context.Context, p *prober) Finding {
	var names []string
	for name := range p.headers {
		if n, isNumber := number(p.headers, name); isNumber {
			names = append(names, fmt.Sprintf("%s %d", keyName(name), n))
		} else {
			names = append(names, keyName(name)+" that is no number")
		}
	}
	return read(names, readLimit, "no answer had any")
}

// every is the finding about something that should be true of every event, and what the others have.
func (p *prober) every(is func(*event) bool, others string) Finding {
	all, right := len(p.events), len(those(p.events, is))
	switch {
	case all == 0:
		return CouldNotTell.seen("no event")
	case right < all:
		return DoesNotHold.seen("%d of %d events have %s", all-right, all, others)
	}
	return Holds.seen("%d events", all)
}

func testDates(_ context.Context, p *prober) Finding {
	isUsual := func(e *event) bool {
		text, _ := e.doc["dateTime"].(string)
		_, err := time.Parse("2006-01-02T15:04:05.000-0700", text)
		return err == nil
	}
	// An event without a readable date gets the time at which Qualys processed it, or none.
	isRead := func(e *event) bool { return isUsual(e) || !e.Time.Equal(e.ProcessedTime) }
	if f := p.every(isRead, "a date that is missing or cannot be read"); f.Outcome != Holds {
		return f
	}
	return p.every(isUsual, "another form").so("Nothing: the relay reads it too.")
}

func testIDs(_ context.Context, p *prober) Finding {
	seen := map[bool]map[string]bool{true: {"": true}, false: {"": true}} // by dataset
	return p.every(func(e *event) bool {
		isNew := !seen[e.Active][e.ID]
		seen[e.Active][e.ID] = true
		return isNew
	}, "no id, or that of another one")
}

func testConcurrency(ctx context.Context, p *prober) Finding {
	allowed, seen := concurrency, ""
	for _, name := range [...]string{"X-Concurrency-Limit-Limit", "X-Concurrencylimit-Limit"} {
		if n, told := number(p.headers, name); told && n < allowed {
			allowed, seen = n, fmt.Sprintf("%s is %d", name, n)
		}
	}
	if allowed == concurrency {
		target := p.prefix + events(false, term(qualys.FieldProcessName, `"`, nonsense), 1, 0)
		for _, a := range p.call(ctx, concurrency, target, p.token, nil) {
			if a.limited() {
				allowed--
			} else if !a.served() {
				return CouldNotTell.seen("%s", a)
			}
		}
		seen = fmt.Sprintf("%d of %d calls at once are served", allowed, concurrency)
	}
	if allowed < concurrency {
		return DoesNotHold.seen("%s", seen).so(fmt.Sprintf("Set QUALYS_CONCURRENCY=%d.", max(allowed, 1)))
	}
	return Holds.seen("%d calls at once are served", concurrency)
}

func testBadToken(ctx context.Context, p *prober) Finding {
	a := p.call(ctx, 1, p.prefix+events(false, "", 1, 0), nonsense, nil)[0]
	return judge(a, a.Status == http.StatusUnauthorized)
}

func testBadPath(ctx context.Context, p *prober) Finding {
	a := p.get(ctx, p.prefix+"/"+nonsense)
	return judge(a, a.Status == http.StatusNotFound)
}
