package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxCalls  = 60
	maxBody   = 24 << 20        // bytes of an answer, unpacked
	maxWait   = 2 * time.Minute // for a rate limit; where Qualys asks for more, the probe ends
	limitWait = 5 * time.Second // where a refusal does not say how long
)

// caller makes the calls: raw ones, since what package qualys makes of an answer is what the probe is to
// test. It follows no redirect and keeps to the calls that are left and to Qualys's rate limit.
type caller struct {
	gateway   string
	token     string
	timeout   time.Duration // of a call
	transport *http.Transport
	wait      func(context.Context, time.Duration) error
	belief    string // that is tested at the moment

	mu      sync.Mutex
	pause   time.Duration      // before the next call
	stopped string             // why there are no more calls
	answers map[string]*answer // to each GET; the same one is not made twice
	calls   []Call
	headers http.Header // that have to do with rate limits, of all answers
}

// Call is one call as the report has it.
type Call struct {
	Belief  string `json:"belief"`            // that it was made for
	Op      string `json:"op"`                // the path behind the gateway or the API path
	Status  int    `json:"status,omitempty"`  // none where there was no answer
	Type    string `json:"type,omitempty"`    // the media type
	Bytes   int    `json:"bytes"`             // of the body
	Events  int    `json:"events,omitempty"`  // in the body
	Keys    shapes `json:"keys,omitempty"`    // of a body that is not a list of events
	Failure string `json:"failure,omitempty"` // why there is no answer
}

// answer is what came back. What is said about it is made of its status, of its kind and of names of keys.
type answer struct {
	status  int // 0: there was none
	header  http.Header
	body    []byte
	doc     any      // the body's JSON, nil where it is none
	isList  bool     // of events
	wrapped bool     // the list was inside of an object, or its events inside of others
	events  []*event // of the list
	odd     int      // elements of the list that are no events
	asked   int      // events that were asked for, of a first page
	failure string   // why there was no answer, in words of ours
	cause   error    // of the failure
}

func newCaller(o Options) *caller {
	c := &caller{
		gateway: strings.TrimRight(o.Gateway, "/"), timeout: cmp.Or(o.Timeout, time.Minute), wait: o.Wait,
		answers: make(map[string]*answer), headers: make(http.Header),
		transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
		},
	}
	if c.wait == nil {
		c.wait = sleep
	}
	return c
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// get makes a call, or returns the answer of the same call before. A call that a rate limit refuses is
// made once more.
func (c *caller) get(ctx context.Context, op, path string, params url.Values) *answer {
	target := path + "?" + params.Encode()
	if known := c.answers[target]; known != nil {
		return known
	}
	a := c.call(ctx, op, target, c.token, nil)
	if a.limited() {
		a = c.call(ctx, op, target, c.token, nil)
	}
	if a.status != 0 && !a.limited() {
		c.answers[target] = a
	}
	return a
}

// call makes one call: a login where there is a form. It may be used concurrently.
func (c *caller) call(ctx context.Context, op, target, token string, form url.Values) *answer {
	c.mu.Lock()
	if len(c.calls) == maxCalls && c.stopped == "" {
		c.stopped = fmt.Sprintf("the %d calls are used up", maxCalls)
	}
	if c.stopped != "" {
		defer c.mu.Unlock()
		return &answer{failure: c.stopped}
	}
	at, pause := len(c.calls), c.pause
	c.calls, c.pause = append(c.calls, Call{Belief: c.belief, Op: op}), 0
	c.mu.Unlock()
	if pause > 0 && c.wait(ctx, pause) != nil {
		return &answer{failure: "interrupted"}
	}
	a := c.exchange(ctx, target, token, form)
	if a.failure == "" && json.Unmarshal(a.body, &a.doc) == nil {
		a.readList()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[at].describe(a)
	c.noteLimits(a)
	if a.isList {
		a.body = nil // it is not held twice
	}
	return a
}

// exchange sends a request and reads the answer within the limits.
func (c *caller) exchange(ctx context.Context, target, token string, form url.Values) *answer {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	method, body := http.MethodGet, io.Reader(nil)
	header := http.Header{"Authorization": {"Bearer " + token}, "Accept": {"application/json"}}
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
		header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	}
	header.Set("User-Agent", "relayctl-probe")
	// The text of an error is not used: it may hold a URL with a query.
	failed := func(what string) string {
		if ctx.Err() != nil {
			return "no answer in time"
		}
		return what
	}
	req, err := http.NewRequestWithContext(ctx, method, c.gateway+target, body)
	if err != nil {
		return &answer{failure: "the URL is not valid", cause: err}
	}
	req.Header = header
	resp, err := c.transport.RoundTrip(req) // unlike an http.Client, it follows and adds nothing
	if err != nil {
		return &answer{failure: failed("no answer"), cause: err}
	}
	defer resp.Body.Close()
	a := &answer{status: resp.StatusCode, header: resp.Header}
	if a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1)); err != nil {
		a.failure = failed("the answer is cut short")
	} else if len(a.body) > maxBody {
		a.failure = fmt.Sprintf("the answer is larger than %d MiB", maxBody>>20)
	}
	return a
}

// readList finds the events, as the client does, in a list or in an object that holds one.
func (a *answer) readList() {
	list, isList := a.doc.([]any)
	object, _ := a.doc.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !isList && a.status/100 == 2 {
			list, isList = object[name].([]any)
			a.wrapped = isList
		}
	}
	a.isList = isList
	for _, element := range list {
		doc, _ := element.(map[string]any)
		if inner, ok := doc["data"].(map[string]any); ok {
			doc, a.wrapped = inner, true
		}
		if e := newEvent(doc); e != nil {
			a.events = append(a.events, e)
		} else {
			a.odd++
		}
	}
}

func (c *Call) describe(a *answer) {
	c.Status, c.Type, c.Bytes = a.status, a.mediaType(), len(a.body)
	c.Events, c.Failure = len(a.events), a.failure
	if !a.isList && a.doc != nil {
		c.Keys = make(shapes)
		c.Keys.add(a.doc)
	}
}

// noteLimits keeps what an answer says about the rate limit. It is called with c.mu held.
func (c *caller) noteLimits(a *answer) {
	for name, values := range a.header {
		if isLimitHeader(name) {
			c.headers[name] = values
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
		c.stopped = fmt.Sprintf("the rate limit is reached, and Qualys asks to wait for %s", wait)
	}
	c.pause = max(c.pause, wait)
}

// number reads a header. What is not a number from 0 on counts as absent.
func number(h http.Header, name string) (int, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(h.Get(name)), 10, 31)
	return int(n), err == nil
}

// limited reports whether a rate limit refused the call. A 409 may have codes that are about the account.
func (a *answer) limited() bool {
	account := strings.Contains(string(a.body), ">2003<") || strings.Contains(string(a.body), ">2011<")
	return a.status == http.StatusTooManyRequests || a.status == http.StatusConflict && !account
}

// served reports whether the answer is a list of events, of which there may be none.
func (a *answer) served() bool {
	return a.failure == "" && (a.isList && a.status/100 == 2 || a.status == http.StatusNoContent)
}

// mediaType names the usual ones: a header can hold anything.
func (a *answer) mediaType() string {
	switch kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type")); kind {
	case "application/json", "text/plain", "text/html", "application/xml", "text/xml":
		return kind
	case "":
		return "no type"
	}
	return "another type"
}

// String describes the answer without any value of it: "400, application/json with message".
func (a *answer) String() string {
	if a.failure != "" {
		return a.failure
	}
	text := fmt.Sprintf("%d, %s", a.status, a.mediaType())
	switch doc := a.doc.(type) {
	case map[string]any:
		var names []string
		for _, name := range slices.Sorted(maps.Keys(doc)) {
			names = append(names, keyName(name))
		}
		return text + " with " + list(names)
	case []any:
		return fmt.Sprintf("%s with a list of %d", text, len(doc))
	}
	return fmt.Sprintf("%s, %d bytes", text, len(a.body))
}
