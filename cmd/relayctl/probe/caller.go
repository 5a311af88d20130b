package probe

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	maxCalls  = 60
	maxBody   = 24 << 20        // bytes of an answer, unpacked
	maxText   = 16 << 10        // bytes of an answer that is kept as text; a token is not longer
	maxWait   = 2 * time.Minute // for a rate limit; where Qualys asks for more, the probe ends
	limitWait = 5 * time.Second // where a refusal does not say how long
)

// prober makes the calls, and holds what the tests of the beliefs share. The calls are raw ones, since what
// package qualys makes of an answer is what the probe is to test.
type prober struct {
	Options
	transport *http.Transport // unlike an http.Client, it follows and adds nothing
	belief    string          // that is tested at the moment

	pause   time.Duration      // before the next call
	stopped string             // why there are no more calls
	calls   []*answer          // all that were made
	answers map[string]*answer // to each GET; the same one is not made twice
	headers http.Header        // that have to do with rate limits, of all answers

	login            *answer
	token            string
	claims           jwt.MapClaims     // of the token
	prefix           string            // of the API paths: the first that answers
	pageSize         int               // the largest that is served, of those that are tried
	current, history *answer           // the first pages of that size
	events           []*event          // the sample: theirs, and a few of each type that those lack
	keys             map[string]shapes // of the sample, by type
}

// answer is what came back. What is said about it is made of its status, of its kind and of names of keys.
// The exported fields are in the report.
type answer struct {
	Belief   string `json:"belief"`             // that the call was made for
	Op       string `json:"op"`                 // the path behind the gateway
	Status   int    `json:"status,omitempty"`   // 0: there was no answer
	Type     string `json:"type,omitempty"`     // the media type
	Bytes    int    `json:"bytes"`              // of the body
	Elements int    `json:"elements,omitempty"` // of a list
	Keys     shapes `json:"keys,omitempty"`     // of an object that is not a list of events
	Failure  string `json:"failure,omitempty"`  // why there is no answer, in words of ours

	header http.Header
	text   string   // of the body, where it is not too long
	isList bool     // of events, which may be inside of an object
	events []*event // the elements of the list that are events
	odd    int      // elements that are no events, or inside of other objects
	cause  error    // of the failure
}

// get makes a call, or returns the answer of the same call before. A call that a rate limit refuses is
// made once more.
func (p *prober) get(ctx context.Context, target string) *answer {
	a := p.answers[target]
	for tries := 0; a == nil || a.limited() && tries < 2; tries++ {
		a = p.call(ctx, 1, target, p.token, nil)[0]
	}
	if a.Status != 0 && !a.limited() {
		p.answers[target] = a
	}
	return a
}

// call makes a call n times at once, within the limits: a login where there is a form.
func (p *prober) call(ctx context.Context, n int, target, token string, form url.Values) []*answer {
	if len(p.calls)+n > maxCalls {
		p.stopped = cmp.Or(p.stopped, fmt.Sprintf("the %d calls are used up", maxCalls))
	}
	path, _, _ := strings.Cut(target, "?")
	answers := make([]*answer, n)
	for i := range answers {
		answers[i] = &answer{Belief: p.belief, Op: path, Failure: p.stopped}
	}
	if p.stopped != "" {
		return answers
	}
	if p.pause > 0 {
		p.Wait(ctx, p.pause)
		p.pause = 0
	}
	p.calls = append(p.calls, answers...)
	var calls sync.WaitGroup
	for _, a := range answers {
		calls.Go(func() { p.exchange(ctx, a, target, token, form) })
	}
	calls.Wait()
	for _, a := range answers {
		p.noteLimits(a)
	}
	return answers
}

// usualType are the media types that are named: a header can hold anything.
var usualType = regexp.MustCompile(`^(application/json|application/xml|text/plain|text/html|text/xml)\b`)

func (p *prober) exchange(ctx context.Context, a *answer, target, token string, form url.Values) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	method := http.MethodGet
	header := http.Header{"Authorization": {"Bearer " + token}, "Accept": {"application/json"}}
	if form != nil {
		method = http.MethodPost
		header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	}
	header.Set("User-Agent", "relayctl-probe")
	var resp *http.Response
	var body []byte
	req, err := http.NewRequestWithContext(ctx, method, p.Gateway+target, strings.NewReader(form.Encode()))
	if err == nil {
		req.Header = header
		resp, err = p.transport.RoundTrip(req)
	}
	if err == nil {
		defer resp.Body.Close()
		a.Status, a.header = resp.StatusCode, resp.Header
		a.Type = cmp.Or(usualType.FindString(resp.Header.Get("Content-Type")), "no usual type")
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	}
	if a.Bytes = len(body); a.Bytes <= maxText {
		a.text = string(body)
	}
	// The text of an error is not used: it may hold a URL with a query.
	switch a.cause = err; {
	case err != nil && ctx.Err() != nil:
		a.Failure = "no answer in time"
	case err != nil:
		a.Failure = "no whole answer"
	case a.Bytes > maxBody:
		a.Failure = fmt.Sprintf("the answer is larger than %d MiB", maxBody>>20)
	default:
		a.read(body)
	}
}

// read finds the events, as the client does, in a list or in an object that holds one.
func (a *answer) read(body []byte) {
	var doc any
	if json.Unmarshal(body, &doc) != nil {
		return
	}
	list, isBare := doc.([]any)
	a.isList = isBare
	object, _ := doc.(map[string]any)
	for _, name := range [...]string{"data", "events", "items"} {
		if !a.isList && a.Status/100 == 2 {
			list, a.isList = object[name].([]any)
		}
	}
	if object != nil && !a.isList {
		a.Keys = make(shapes)
		a.Keys.add(valuesOf(object))
	}
	a.Elements = len(list)
	for _, element := range list {
		wrapper, _ := element.(map[string]any)
		inner, isInside := wrapper["data"].(map[string]any)
		if isInside {
			element = inner
		}
		e := newEvent(element)
		if e != nil {
			a.events = append(a.events, e)
		}
		if e == nil || isInside || !isBare {
			a.odd++
		}
	}
}

var limitHeader = regexp.MustCompile(`(?i)^retry-?after$|rate-?limit|concurrency`)

// noteLimits keeps what an answer says about the rate limit.
func (p *prober) noteLimits(a *answer) {
	for name, values := range a.header {
		if limitHeader.MatchString(name) {
			p.headers[name] = values
		}
	}
	remaining, counted := number(a.header, "X-RateLimit-Remaining")
	if !a.limited() && (!counted || remaining > 0) {
		return
	}
	wait := limitWait
	for _, name := range [...]string{"X-RateLimit-Window-Sec", "Retry-After", "X-RateLimit-ToWait-Sec"} {
		if n, told := number(a.header, name); told {
			wait = time.Duration(n) * time.Second
		}
	}
	if wait > maxWait {
		p.stopped = fmt.Sprintf("the rate limit is reached, and Qualys asks to wait for %s", wait)
	}
	p.pause = max(p.pause, wait)
}

// number reads a header. What is not a number from 0 on counts as absent.
func number(h http.Header, name string) (int, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(h.Get(name)), 10, 31)
	return int(n), err == nil
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

// String describes the answer without any value of it: "400, application/json with message".
func (a *answer) String() string {
	text := fmt.Sprintf("%d, %s", a.Status, a.Type)
	switch {
	case a.Failure != "":
		return a.Failure
	case a.odd > 0:
		return fmt.Sprintf("%s with a list of %d, of which %d are no bare events", text, a.Elements, a.odd)
	case a.isList:
		return fmt.Sprintf("%s with a list of %d", text, a.Elements)
	case a.Keys != nil:
		return text + " with " + list(a.Keys.names())
	}
	return fmt.Sprintf("%s, %d bytes", text, a.Bytes)
}
