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
	"slices"
	"strings"
	"sync"
	"time"

	"qualysrelay.example/qualys"
)

func testToken(_ context.Context, p *prober) verdict {
	token := strings.Trim(strings.TrimSpace(string(p.login.body)), `"`)
	unusable := func(r rune) bool { return r <= ' ' || r > '~' }
	if token == "" || len(token) > maxToken || strings.ContainsAny(token[:1], "<{[") ||
		strings.ContainsFunc(token, unusable) || !strings.ContainsAny(token, ".-0123456789") {
		p.stopped = "there is no token"
		return fails("%s", p.login)
	}
	p.token = token
	parts := strings.Split(token, ".")
	if len(parts) == 3 {
		payload, _ := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
		_ = json.Unmarshal(payload, &p.claims)
	}
	return holds("%d, %d characters in %d parts", p.login.status, len(token), len(parts))
}

func testTokenLife(_ context.Context, p *prober) verdict {
	exp, ends := p.claims["exp"].(float64)
	if p.token == "" {
		return p.lacking("")
	}
	if !ends {
		return unclear("the token does not say; the relay takes four hours")
	}
	begins, told := p.claims["iat"].(float64)
	if date, err := http.ParseTime(p.login.header.Get("Date")); !told && err == nil {
		begins = float64(date.Unix())
	}
	const most = 1000 * time.Hour
	life := time.Duration(min(max(exp-begins, 0), most.Seconds())) * time.Second
	if (life - 4*time.Hour).Abs() > 5*time.Minute {
		return fails("%s", life)
	}
	return holds("%s", life)
}

// testPath looks whether the events are at a path; other is where they may be, too.
func testPath(path, other string) func(context.Context, *prober) verdict {
	params := page(1, 0)
	params.Set("state", "true")
	return func(ctx context.Context, p *prober) verdict {
		a := p.get(ctx, path+"/events", path+"/events", params)
		b := p.get(ctx, other+"/events", other+"/events", params)
		v := judge(a, a.status/100 == 2)
		switch {
		case v.outcome == Holds:
			p.prefix = cmp.Or(p.prefix, path)
			return v
		case b.status/100 == 2:
			p.prefix = cmp.Or(p.prefix, other)
			return v.so("Set API_PATH=" + other + ".")
		}
		p.stopped = cmp.Or(p.stopped, "the events API does not answer")
		if a.status == http.StatusUnauthorized || a.status == http.StatusForbidden {
			return v.so("Has the subscription EDR, and the user its role and API access?")
		}
		return v.so("Neither path answers: find it on the gateway's page /apidocs/ioc, and set API_PATH.")
	}
}

func testList(ctx context.Context, p *prober) verdict {
	elements, odd := 0, 0
	for _, active := range [...]bool{true, false} {
		a := p.firstPage(ctx, active)
		if v := judge(a, a.served() && !a.wrapped); v.outcome != Holds {
			return v
		}
		elements, odd = elements+len(a.events)+a.odd, odd+a.odd
	}
	if odd > 0 {
		return fails("%d of %d elements are no events", odd, elements)
	}
	return holds("%d events", elements)
}

func testNothing(ctx context.Context, p *prober) verdict {
	a := p.search(ctx, true, term(qualys.FieldFileName, `"`, nonsense), somePage, 0)
	return judge(a, a.served() && len(a.events) == 0)
}

func testState(ctx context.Context, p *prober) verdict {
	current, history := p.firstPage(ctx, true), p.firstPage(ctx, false)
	if len(current.events) == 0 || len(history.events) == 0 {
		return p.lacking("of one of the two datasets")
	}
	linked := 0
	for _, e := range history.events {
		if e.TimeSeriesID != "" {
			linked++
		}
	}
	if both := overlap(current, history); both+linked > 0 {
		return fails("of %d historical events, %d are in the current state too, and %d have a timeSeriesId",
			len(history.events), both, linked)
	}
	return holds("%d current and %d historical events, none in both", len(current.events), len(history.events))
}

// overlap counts the events that are in both answers.
func overlap(a, b *answer) int {
	ids := make(map[string]bool)
	for _, e := range a.events {
		ids[e.Key] = true
	}
	n := 0
	for _, e := range b.events {
		if ids[e.Key] {
			n++
		}
	}
	return n
}

func testLink(ctx context.Context, p *prober) verdict {
	var linked []*event
	links := make(map[string]bool)
	current, history := p.firstPage(ctx, true).events, p.firstPage(ctx, false).events
	for _, e := range current {
		if e.TimeSeriesID != "" {
			linked = append(linked, e)
			links[e.TimeSeriesID] = true
		}
	}
	switch {
	case len(current) == 0:
		return p.lacking("in the current state")
	case len(linked) == 0:
		return fails("none of %d current events has a timeSeriesId", len(current))
	}
	// The two pages may be of different times: look the newest current events up in the history.
	for _, e := range linked[:min(len(linked), 3)] {
		found, _, _ := p.find(ctx, false, around(e).String())
		history = append(history, found...)
	}
	matched, others := 0, 0
	for _, h := range history {
		if links[h.ID] {
			matched++
		} else if slices.ContainsFunc(linked, h.sameAs) {
			others++
		}
	}
	switch {
	case matched > 0:
		return holds("%d historical events have the id that a current one names", matched)
	case others > 0:
		return fails("%d historical events are like a current one and have another id than it names", others)
	}
	return unclear("the history has none of the occurrences that were looked for")
}

func testSort(ctx context.Context, p *prober) verdict {
	looked := 0
	for _, active := range [...]bool{true, false} {
		events := slices.DeleteFunc(slices.Clone(p.firstPage(ctx, active).events),
			func(e *event) bool { return e.Time.IsZero() })
		for i := 1; i < len(events); i++ {
			if events[i].Time.After(events[i-1].Time) {
				return fails("event %d of %d is newer than the one before it", i+1, len(events))
			}
			looked++
		}
	}
	if looked == 0 {
		return p.lacking("to compare with another one")
	}
	return holds("%d events", looked+1)
}

// largerSet is the dataset of which the first page has more events.
func (p *prober) largerSet(ctx context.Context) (active bool) {
	return len(p.firstPage(ctx, true).events) >= len(p.firstPage(ctx, false).events)
}

func testPageSize(ctx context.Context, p *prober) verdict {
	active := p.largerSet(ctx)
	a := p.firstPage(ctx, active)
	got := len(a.events) + a.odd
	switch {
	case !a.served():
		return unclear("%s", a)
	case got > a.asked:
		return fails("%d events came where %d were asked for", got, a.asked).so("The relay refuses such an answer.")
	case a.asked < largestPage:
		return fails("%d are refused, %d are not", largestPage, a.asked)
	case got == largestPage:
		return holds("%d events", got)
	}
	total, _ := countIn(p.count(ctx, active, ""))
	if next := p.search(ctx, active, "", a.asked, 1); total > got || overlap(a, next) < len(next.events) {
		return fails("%d events came where %d were asked for, and there are more", got, a.asked)
	}
	return unclear("there are only %d events", got)
}

func testPages(ctx context.Context, p *prober) verdict {
	active := p.largerSet(ctx)
	if len(p.firstPage(ctx, active).events) < 4 {
		return p.lacking("in two pages")
	}
	first, second := p.search(ctx, active, "", 2, 0), p.search(ctx, active, "", 2, 1)
	if v := judge(first, first.served()); v.outcome != Holds {
		return v
	}
	if v := judge(second, second.served()); v.outcome != Holds {
		return v
	}
	if n := overlap(first, second); n > 0 || len(second.events) != 2 {
		return fails("page 1 has %d events of 2, and %d of them are on page 0 too", len(second.events), n)
	}
	return holds("pages 0 and 1 have different events")
}

func testSearchAfter(ctx context.Context, p *prober) verdict {
	const path = "/events/searchAfter"
	first := p.get(ctx, path, p.prefix+path, url.Values{"pageSize": {"2"}, "pageNumber": {"0"}})
	value := ""
	for _, name := range [...]string{"searchAfterValue", "searchAfterValues"} { // it is documented as both
		value += first.header.Get(name)
	}
	switch v := judge(first, first.served() && value != ""); {
	case first.served() && value == "" && len(p.firstPage(ctx, false).events) <= 2:
		return p.lacking("for a second page")
	case v.outcome != Holds:
		return v
	}
	second := p.get(ctx, path, p.prefix+path, url.Values{"pageSize": {"2"}, "searchAfterValues": {value}})
	v := judge(second, len(second.events) > 0 && overlap(first, second) == 0)
	v.seen += " as the second page"
	return v
}

func (p *prober) count(ctx context.Context, active bool, qql string) *answer {
	params := url.Values{"sort": {newestFirst}}
	if active {
		params.Set("state", "true")
	}
	if qql != "" {
		params.Set("filter", qql)
	}
	return p.get(ctx, "/events/count", p.prefix+"/events/count", params)
}

func countIn(a *answer) (int, bool) {
	doc, _ := a.doc.(map[string]any)
	n, ok := doc["count"].(float64)
	return int(n), ok && a.status/100 == 2
}

func testCount(ctx context.Context, p *prober) verdict {
	for _, f := range searchFields() {
		s, picked := p.pick(ctx, f, anyValue)
		if !picked {
			continue
		}
		qql := term(f, `"`, s.value)
		found, _, _ := p.find(ctx, s.Active, qql)
		if len(found) == 0 || len(found) >= somePage {
			continue
		}
		a := p.count(ctx, s.Active, qql)
		n, ok := countIn(a)
		if v := judge(a, ok); v.outcome != Holds {
			return v
		}
		if n != len(found) {
			return fails("the count is %d where a search finds %d", n, len(found))
		}
		return holds("%d, as many as a search finds", n)
	}
	return p.lacking("to compare with a search")
}

// limitHeaders are those that the client reads, and those that are known to be beside them.
var limitHeaders = [...]string{
	"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Window-Sec", "X-Ratelimit-Towait-Sec",
	"X-Concurrencylimit-Limit", "X-Concurrency-Limit-Limit", "X-Concurrencylimit-Running",
	"X-Concurrency-Limit-Running", "Retry-After",
}

func isLimitHeader(name string) bool {
	name = strings.ToLower(strings.ReplaceAll(name, "-", ""))
	return name == "retryafter" || strings.Contains(name, "ratelimit") || strings.Contains(name, "concurrency")
}

func testRateHeaders(_ context.Context, p *prober) verdict {
	var read, unread []string
	for _, name := range slices.Sorted(maps.Keys(p.headers)) {
		n, isNumber := number(p.headers, name)
		switch {
		case !slices.Contains(limitHeaders[:], name):
			unread = append(unread, keyName(name))
		case !isNumber:
			unread = append(unread, name+" that is no number")
		default:
			read = append(read, fmt.Sprintf("%s %d", name, n))
		}
	}
	switch {
	case len(unread) > 0:
		return fails("%s", list(append(unread, read...)))
	case len(read) == 0:
		return unclear("no answer had any")
	}
	return holds("%s", list(read))
}

func testConcurrency(ctx context.Context, p *prober) verdict {
	for _, name := range [...]string{"X-Concurrency-Limit-Limit", "X-Concurrencylimit-Limit"} {
		if n, told := number(p.headers, name); told && n < concurrency {
			return fails("%s is %d", name, n).so(fmt.Sprintf("Set QUALYS_CONCURRENCY=%d.", max(n, 1)))
		}
	}
	answers := make([]*answer, concurrency)
	var calls sync.WaitGroup
	for i := range answers {
		params := page(1, i)
		params.Set("filter", term(qualys.FieldProcessName, `"`, nonsense))
		calls.Go(func() { answers[i] = p.call(ctx, "/events", p.prefix+"/events?"+params.Encode(), p.token, nil) })
	}
	calls.Wait()
	served, limited := 0, 0
	for _, a := range answers {
		if a.served() {
			served++
		} else if a.limited() {
			limited++
		}
	}
	switch {
	case limited > 0:
		return fails("%d of %d calls at once are refused", limited, concurrency).so(
			fmt.Sprintf("Set QUALYS_CONCURRENCY=%d.", max(served, 1)))
	case served < concurrency:
		return unclear("%d of %d calls at once are served", served, concurrency)
	}
	return holds("%d calls at once are served", served)
}

// testRefused looks whether a query is refused with 400.
func testRefused(qql string) func(context.Context, *prober) verdict {
	return func(ctx context.Context, p *prober) verdict {
		a := p.search(ctx, true, qql, 1, 0)
		return judge(a, a.status == http.StatusBadRequest)
	}
}

func testBadToken(ctx context.Context, p *prober) verdict {
	a := p.call(ctx, "/events", p.prefix+"/events?"+page(1, 0).Encode(), nonsense, nil)
	return judge(a, a.status == http.StatusUnauthorized)
}

func testBadPath(ctx context.Context, p *prober) verdict {
	a := p.get(ctx, "/"+nonsense, p.prefix+"/"+nonsense, nil)
	return judge(a, a.status == http.StatusNotFound)
}
