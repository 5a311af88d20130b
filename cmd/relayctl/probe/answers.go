package probe

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/qualys"
)

func testToken(_ context.Context, p *prober) Finding {
	token := strings.Trim(strings.TrimSpace(p.login.text), `"`)
	unusable := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("<{[", r) }
	if token == "" || strings.ContainsFunc(token, unusable) {
		p.stopped = "there is no token"
		return DoesNotHold.seen("%s", p.login)
	}
	p.token = token
	claims := jwt.MapClaims{}
	_, _, _ = jwt.NewParser().ParseUnverified(token, claims) // other tokens have none
	p.claims = claims
	return Holds.seen("%d, %d characters in %d parts", p.login.Status, len(token), strings.Count(token, ".")+1)
}

func testTokenLife(_ context.Context, p *prober) Finding {
	begins, _ := p.claims.GetIssuedAt()
	ends, _ := p.claims.GetExpirationTime()
	if begins == nil || ends == nil {
		return CouldNotTell.seen("the token does not say; the relay takes four hours where there is no exp")
	}
	life := ends.Sub(begins.Time)
	if (life - 4*time.Hour).Abs() > 5*time.Minute {
		return DoesNotHold.seen("%s", life)
	}
	return Holds.seen("%s", life)
}

// testPath finds the path of the events that all other tests use.
func testPath(ctx context.Context, p *prober) Finding {
	target := events(true, "", 1, 0)
	usual, other := p.get(ctx, "/ioc"+target), p.get(ctx, "/ioc/v1"+target)
	f := judge(usual, usual.Status/100 == 2)
	f.Seen += "; /ioc/v1/events: " + other.String()
	switch {
	case f.Outcome == Holds:
		p.prefix = "/ioc"
	case other.Status/100 == 2:
		p.prefix = "/ioc/v1"
		return f.so("Set API_PATH=/ioc/v1.")
	default:
		p.stopped = cmp.Or(p.stopped, "the events API does not answer")
	}
	return f
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

const largestPage = 1000 // that the client asks for

// testList takes the sample, which most of the tests behind it use: the newest events of both datasets, and
// a few of each type that those lack.
func testList(ctx context.Context, p *prober) Finding {
	for _, p.pageSize = range [...]int{largestPage, 500, 200, 100, 10} {
		p.history = p.search(ctx, false, "", p.pageSize, 0)
		if !isRefused(p.history) {
			break
		}
	}
	p.current = p.search(ctx, true, "", p.pageSize, 0)
	p.events = slices.Concat(p.current.events, p.history.events)
	p.keys["other"] = make(shapes)
	for _, kind := range [...]string{"FILE", "PROCESS", "NETWORK", "MUTEX", "REGISTRY"} {
		p.keys[kind] = make(shapes)
		isKind := func(e *event) bool { return e.Type == kind }
		for _, active := range [...]bool{true, false} {
			if !slices.ContainsFunc(p.events, isKind) {
				p.events = append(p.events, p.search(ctx, active, typeFilter(kind).String(), 20, 0).events...)
			}
		}
	}
	for _, e := range p.events {
		kind := e.Type
		if p.keys[kind] == nil {
			kind = "other"
		}
		p.keys[kind].add(e.values)
	}
	for _, a := range [...]*answer{p.current, p.history} {
		if f := judge(a, a.served() && a.odd == 0); f.Outcome != Holds {
			return f
		}
	}
	return Holds.seen("%d events", p.current.Elements+p.history.Elements)
}

func testState(_ context.Context, p *prober) Finding {
	current, history := len(p.current.events), len(p.history.events)
	both := overlap(p.current.events, p.history.events)
	switch {
	case current == 0 || history == 0:
		return CouldNotTell.seen("no event of one of the two datasets")
	case both > 0:
		return DoesNotHold.seen("of %d historical events, %d are in the current state too", history, both)
	}
	return Holds.seen("%d current and %d historical events, none in both", current, history)
}

// testLink looks for a few current events in the history, by their time.
func testLink(ctx context.Context, p *prober) Finding {
	if len(p.current.events) == 0 {
		return CouldNotTell.seen("no event in the current state")
	}
	linked := slices.DeleteFunc(slices.Clone(p.current.events), func(e *event) bool { return e.TimeSeriesID == "" })
	alike := 0
	for _, e := range linked[:min(len(linked), 3)] {
		found := p.search(ctx, false, around(e).String(), largestPage/10, 0).events
		if count(found, func(h *event) bool { return h.ID == e.TimeSeriesID }) > 0 {
			return Holds.seen("a historical event has the id that a current one names")
		}
		alike += count(found, func(h *event) bool {
			return e.Time.Equal(h.Time) && e.Type == h.Type && e.Asset.AgentID == h.Asset.AgentID
		})
	}
	switch {
	case len(linked) == 0:
		return DoesNotHold.seen("none of %d current events has a timeSeriesId", len(p.current.events))
	case alike > 0:
		return DoesNotHold.seen("historical events are like current ones, with other ids than those name")
	}
	return CouldNotTell.seen("the history has none of the occurrences that were looked for")
}

func testSort(_ context.Context, p *prober) Finding {
	pairs := 0
	for _, a := range [...]*answer{p.current, p.history} {
		times := slices.DeleteFunc(slices.Clone(a.events), func(e *event) bool { return e.Time.IsZero() })
		if !slices.IsSortedFunc(times, func(a, b *event) int { return b.Time.Compare(a.Time) }) {
			return DoesNotHold.seen("of %d events, one is newer than the one before it", len(times))
		}
		pairs += max(len(times)-1, 0)
	}
	if pairs == 0 {
		return CouldNotTell.seen("no event to compare with another one")
	}
	return Holds.seen("%d events", pairs+1)
}

func testPageSize(ctx context.Context, p *prober) Finding {
	got, next := p.history.Elements, p.search(ctx, false, "", p.pageSize, 1)
	total, _ := p.count(ctx, false, "")
	switch {
	case !p.history.served():
		return CouldNotTell.seen("%s", p.history)
	case p.pageSize < largestPage:
		return DoesNotHold.seen("%d are refused, %d are not", largestPage, p.pageSize)
	case got == largestPage:
		return Holds.seen("%d events", got)
	case got > largestPage, total > got, overlap(p.history.events, next.events) < len(next.events):
		return DoesNotHold.seen("%d events came where %d were asked for and there are more", got, largestPage)
	}
	return CouldNotTell.seen("there are only %d events", got)
}

func testPages(ctx context.Context, p *prober) Finding {
	first, second := p.search(ctx, false, "", 2, 0), p.search(ctx, false, "", 2, 1)
	return otherPage(first, second)
}

// otherPage is the finding about two pages, which should have different events.
func otherPage(first, second *answer) Finding {
	both := overlap(first.events, second.events)
	switch {
	case !second.served():
		return judge(second, false)
	case both > 0:
		return DoesNotHold.seen("%d of %d events are on the page before, too", both, second.Elements)
	case len(first.events) < 2 || len(second.events) == 0:
		return CouldNotTell.seen("there are too few events for two pages")
	}
	return Holds.seen("the two pages have different events")
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
	return otherPage(first, p.get(ctx, path+"searchAfterValues="+url.QueryEscape(value)))
}

// count asks how many events a query finds. The number is -1 where the answer does not say.
func (p *prober) count(ctx context.Context, active bool, qql string) (int, *answer) {
	a := p.get(ctx, p.prefix+"/events/count?"+params(active, qql))
	answer := struct{ Count *int }{}
	if a.Status/100 == 2 && json.Unmarshal([]byte(a.text), &answer) == nil && answer.Count != nil {
		return *answer.Count, a
	}
	return -1, a
}

func testCount(ctx context.Context, p *prober) Finding {
	s, found := p.pick(shownAt(qualys.FieldFileName), anyValue)
	if !found {
		return CouldNotTell.seen("no event of a file")
	}
	qql := quoted(qualys.FieldFileName, `"`, s.value)
	search := p.search(ctx, s.Active, qql, largestPage/10, 0)
	n, a := p.count(ctx, s.Active, qql)
	switch {
	case n < 0:
		return judge(a, false)
	case search.Elements == 0 || search.Elements == largestPage/10:
		return CouldNotTell.seen("the count is %d, and a search finds nothing or too much", n)
	case n != search.Elements:
		return DoesNotHold.seen("the count is %d where a search finds %d", n, search.Elements)
	}
	return Holds.seen("%d, as many as a search finds", n)
}

// hasKeys tests whether the events of a type have the keys: of several with spaces between, any.
func hasKeys(kind string, wanted ...string) test {
	return func(_ context.Context, p *prober) Finding {
		keys := p.keys[kind]
		missing := slices.DeleteFunc(slices.Clone(wanted), func(any string) bool {
			return slices.ContainsFunc(strings.Fields(any), func(key string) bool { return keys[key] != nil })
		})
		switch {
		case len(keys) == 0:
			return CouldNotTell.seen("no event of this type")
		case len(missing) > 0:
			return DoesNotHold.seen("missing: %s", strings.Join(missing, ", "))
		}
		return Holds.seen("%s", plain.Count(keys["type"].Types["string"], "event"))
	}
}

var (
	// publishedKey is the beginning of a path of keys that is published.
	publishedKey = regexp.MustCompile(`^(action|actor|amsi|antiphishing|asset|dateTime|eventMetadata|` +
		`eventProcessedTime|eventSource|file|id|indicator2|network|process|registry|score|timeSeriesId|` +
		`type)(\.|\[|$)`)

	portKey  = regexp.MustCompile(`(?i)port$|protocol|direction`)
	readPort = regexp.MustCompile(`^network\.(localPort|remotePort|protocol|direction)$`)

	// These are the headers that the client reads, and those that are known to be beside them.
	readLimit = regexp.MustCompile(`^(X-Ratelimit-(Limit|Remaining|Window-Sec|Towait-Sec)|Retry-After|` +
		`X-Concurrency(limit|-Limit)-(Limit|Running)) \d+$`)
)

// knowsKeys tests whether the keys of a type's events that belong to something are all known.
func knowsKeys(kind string, belongs, known *regexp.Regexp) test {
	return func(_ context.Context, p *prober) Finding {
		return areKnown(slices.DeleteFunc(p.keys[kind].names(), func(key string) bool {
			return !belongs.MatchString(key)
		}), known)
	}
}

func areKnown(names []string, known *regexp.Regexp) Finding {
	unknown := slices.DeleteFunc(slices.Clone(names), known.MatchString)
	switch {
	case len(names) == 0:
		return CouldNotTell.seen("there was none")
	case len(unknown) > 0:
		return DoesNotHold.seen("%s", list(unknown))
	}
	return Holds.seen("%s", list(names))
}

func testRateHeaders(_ context.Context, p *prober) Finding {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(p.headers)) {
		value := "without a number"
		if n, isNumber := number(p.headers, name); isNumber {
			value = fmt.Sprint(n)
		}
		names = append(names, keyName(name)+" "+value)
	}
	return areKnown(names, readLimit)
}

// every tests something that should be true of every event.
func every(is func(*event) bool, others string) test {
	return func(_ context.Context, p *prober) Finding {
		all, right := len(p.events), count(p.events, is)
		switch {
		case all == 0:
			return CouldNotTell.seen("no event")
		case right < all:
			return DoesNotHold.seen("%d of %d events have %s", all-right, all, others)
		}
		return Holds.seen("%d events", all)
	}
}

func usualDate(e *event) bool {
	_, err := time.Parse("2006-01-02T15:04:05.000-0700", strings.Join(e.texts("dateTime"), " "))
	return err == nil
}

func testIDs(ctx context.Context, p *prober) Finding {
	seen := map[bool]map[string]bool{true: {"": true}, false: {"": true}} // by dataset
	return every(func(e *event) bool {
		isNew := !seen[e.Active][e.ID]
		seen[e.Active][e.ID] = true
		return isNew
	}, "no id, or that of another one")(ctx, p)
}

func testConcurrency(ctx context.Context, p *prober) Finding {
	allowed, seen := concurrency, "calls at once are served"
	for _, name := range [...]string{"X-Concurrency-Limit-Limit", "X-Concurrencylimit-Limit"} {
		if n, told := number(p.headers, name); told && n < allowed {
			allowed, seen = n, "is "+name
		}
	}
	if allowed == concurrency {
		target := p.prefix + events(false, quoted(qualys.FieldProcessName, `"`, nonsense), 1, 0)
		for _, a := range p.call(ctx, concurrency, target, p.token, nil) {
			if a.limited() {
				allowed--
			} else if !a.served() {
				return CouldNotTell.seen("%s", a)
			}
		}
	}
	if allowed < concurrency {
		return DoesNotHold.seen("%d %s", allowed, seen).so(fmt.Sprintf("Set QUALYS_CONCURRENCY=%d.", max(allowed, 1)))
	}
	return Holds.seen("%d %s", allowed, seen)
}

func testBadToken(ctx context.Context, p *prober) Finding {
	a := p.call(ctx, 1, p.prefix+events(false, "", 1, 0), nonsense, nil)[0]
	return judge(a, a.Status == http.StatusUnauthorized)
}

func testBadPath(ctx context.Context, p *prober) Finding {
	a := p.get(ctx, p.prefix+"/"+nonsense)
	return judge(a, a.Status == http.StatusNotFound)
}
