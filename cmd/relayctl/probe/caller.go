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
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/qualys"
)

const (
	maxCalls  = 60
	maxBody   = 24 << 20        // bytes of an answer, unpacked
	maxText   = 16 << 10        // bytes of it that are kept as text; a token is not longer
	maxWait   = 2 * time.Minute // for a rate limit; where Qualys asks for more, the probe ends
	limitWait = 5 * time.Second // where a refusal does not say how long

	newestFirst = "&sort=%5B%7B%22event.datetime%22%3A%22desc%22%7D%5D" // [{"event.datetime":"desc"}]
)

// prober makes the calls, and holds what the tests of the beliefs share. The calls are raw ones, since what
// package qualys makes of an answer is what the probe is to test.
type prober struct {
	Options
	client *relayclient.Client
	belief string // that is tested at the moment

	pause   time.Duration // before the next call
	stopped string        // why there are no more calls
	calls   []*answer     // all that were made
	headers http.Header   // that have to do with rate limits, of all answers

	token            string
	claims           jwt.MapClaims // of the token
	prefix           string        // of the API paths: the first that answers
	pageSize         int           // the largest that is served, of those that are tried
	current, history *answer       // the first pages of that size
	events           []*event      // the sample: theirs, and a few of each type that those lack
}

// answer is what came back. What is said about it is made of its status, of its kind and of names of keys.
// The exported fields are in the report.
type answer struct {
	Belief   string `json:"belief"`             // that the call was made for
	Op       string `json:"op"`                 // the path behind the gateway
	Status   int    `json:"status,omitempty"`   // 0: there was no answer
	Bytes    int    `json:"bytes"`              // of the body
	Elements int    `json:"elements,omitempty"` // of a list
	Keys     values `json:"keys,omitempty"`     // of an object that is not a list of events
	Failure  string `json:"failure,omitempty"`  // why there is no answer, in words of ours

	header http.Header
	text   string   // of the body, where it is not too long
	isList bool     // of events, which may be inside of an object
	events []*event // the elements of the list
	cause  error    // of the failure
}

// get makes a call of the events API n times at once; a single one once more where a rate limit refuses it.
func (p *prober) get(ctx context.Context, n int, path, query string) []*answer {
	r := relayclient.Request{
		Method: http.MethodGet, Path: p.prefix + path, Query: query,
		Header: http.Header{"Authorization": {"Bearer " + p.token}},
	}
	answers := p.call(ctx, n, r)
	if n == 1 && answers[0].limited() {
		answers = p.call(ctx, n, r)
	}
	return answers
}

// search looks in the current state or in the history, as the client does.
func (p *prober) search(ctx context.Context, active bool, qql string, size, number int) *answer {
	query := fmt.Sprintf("pageSize=%d&pageNumber=%d%s", size, number, newestFirst)
	if active {
		query += "&state=true"
	}
	if qql != "" {
		query += "&filter=" + url.QueryEscape(qql)
	}
	a := p.get(ctx, 1, "/events", query)[0]
	for _, e := range a.events {
		e.active = active
	}
	return a
}

// call makes a call n times at once, within the limits.
func (p *prober) call(ctx context.Context, n int, r relayclient.Request) []*answer {
	if len(p.calls)+n > maxCalls {
		p.stopped = cmp.Or(p.stopped, fmt.Sprintf("the %d calls are used up", maxCalls))
	}
	answers := make([]*answer, n)
	for i := range answers {
		answers[i] = &answer{Belief: p.belief, Op: r.Path, Failure: p.stopped}
	}
	if p.stopped != "" {
		return answers
	}
	p.Wait(ctx, p.pause)
	p.pause = 0
	p.calls = append(p.calls, answers...)
	var calls sync.WaitGroup
	for _, a := range answers {
		calls.Go(func() { a.take(p.client.Send(ctx, r)) })
	}
	calls.Wait()
	for _, a := range answers {
		p.noteLimits(a)
	}
	return answers
}

// take keeps what is needed of a response. It finds the events, as the client does, in a list or in an object
// that holds one, each bare or inside of another object.
func (a *answer) take(resp relayclient.Response, err error) {
	a.Status, a.Bytes, a.header, a.cause = resp.Status, len(resp.Body), resp.Header, err
	a.text = string(resp.Body[:min(a.Bytes, maxText)])
	var doc any
	switch { // the text of an error is not used: it may hold a URL with a query
	case a.Bytes > maxBody:
		a.Failure = fmt.Sprintf("the answer is larger than %d MiB", maxBody>>20)
	case err != nil:
		a.Failure = "no whole answer"
	default:
		_ = json.Unmarshal(resp.Body, &doc) // what is no JSON has no events
	}
	list, isBare := doc.([]any)
	if object, isObject := doc.(map[string]any); isObject {
		a.Keys = make(values).add("", object)
		for _, name := range [...]string{"data", "events", "items"} {
			if inner, ok := object[name].([]any); ok && a.Status/100 == 2 {
				list = inner
			}
		}
	}
	a.isList, a.Elements = list != nil, len(list)
	for _, element := range list[:min(len(list), largestPage)] {
		wrapper, _ := element.(map[string]any)
		inner, isInside := wrapper["data"].(map[string]any)
		if isInside {
			element = inner
		}
		a.events = append(a.events, &event{values: make(values).add("", element), wrapped: isInside || !isBare})
	}
}

var limitHeader = regexp.MustCompile(`(?i)^(x-)?(retry-?after|rate-?limit|concurrency)[a-z-]*$`)

// noteLimits keeps what an answer says about the rate limit.
func (p *prober) noteLimits(a *answer) {
	for name, values := range a.header {
		if limitHeader.MatchString(name) {
			p.headers[name] = values
		}
	}
	limits := qualys.LimitsOf(a.header)
	if !a.limited() && limits.Remaining != 0 {
		return
	}
	wait := cmp.Or(limits.Wait, limits.Window, limitWait)
	if wait > maxWait {
		p.stopped = fmt.Sprintf("the rate limit is reached, and Qualys asks to wait for %s", wait)
	}
	p.pause = max(p.pause, wait)
}

// limited reports whether a rate limit refused the call. A 409 may have codes that are about the account.
func (a *answer) limited() bool {
	account := strings.Contains(a.text, ">2003<") || strings.Contains(a.text, ">2011<")
	return a.Status == http.StatusTooManyRequests || a.Status == http.StatusConflict && !account
}

// served reports whether the answer is a list of events, of which there may be none.
func (a *answer) served() bool {
	return a.Failure == "" && (a.isList && a.Status/100 == 2 || a.Status == http.StatusNoContent)
}

// String describes the answer without any value of it: "400 with message".
func (a *answer) String() string {
	switch {
	case a.Failure != "":
		return a.Failure
	case a.isList:
		return fmt.Sprintf("%d with a list of %d", a.Status, a.Elements)
	case a.Keys != nil:
		return fmt.Sprintf("%d with %s", a.Status, list(slices.Sorted(maps.Keys(a.Keys))))
	}
	return fmt.Sprintf("%d with %d bytes", a.Status, a.Bytes)
}
