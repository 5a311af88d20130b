package qualys

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"
)

// Options configure a Client. The zero value of each means its default.
type Options struct {
	PathPrefix    string         // of the events API: "/ioc" (default) or "/ioc/v1", documented both
	HeaderTimeout time.Duration  // from the request being sent to the answer's header; 10 s
	BodyTimeout   time.Duration  // for the whole body, however slowly it trickles; 15 s
	MaxBody       int64          // bytes of a decoded answer; 24 MiB. Before, it may have four times as many
	Memory        Memory         // bounds what all answers hold at once; nil: unbounded
	MemoryWait    time.Duration  // how long an answer waits for memory in all; 3 s
	UserAgent     string         // "qualysrelay"
	RootCAs       *x509.CertPool // nil: the system's
	Observe       func(Call)     // called after each HTTP exchange, from its goroutine; nil: nobody looks
}

// Call is one HTTP exchange as Options.Observe sees it. It holds nothing secret.
type Call struct {
	Op       string // OpLogin, OpEvents or OpCount
	Status   int    // 0 where there was no answer
	Duration time.Duration
	Kind     Kind // "" for success, KindCanceled where the caller's context ended
}

// Client calls the Qualys gateways. It is meant to be one for each process: it shares one transport and
// holds the tokens of all tenants, each apart. It is safe for concurrent use. NewClient makes it without
// touching the network.
//
// Redirects are never followed, since they would carry the Authorization header to wherever an answer
// points. HTTPS_PROXY and its like are honoured, as anywhere in Go; credentials pass such a proxy inside
// of TLS.
type Client struct {
	opts      Options
	transport *http.Transport
	tokens    tokens
	logins    singleflight.Group // by TenantKey
}

// NewClient returns a client. It starts nothing: connections and logins are made by the calls that need
// them.
func NewClient(o Options) *Client {
	o.PathPrefix = "/" + strings.Trim(cmp.Or(o.PathPrefix, "/ioc"), "/")
	o.HeaderTimeout = cmp.Or(o.HeaderTimeout, 10*time.Second)
	o.BodyTimeout = cmp.Or(o.BodyTimeout, 15*time.Second)
	o.MaxBody = cmp.Or(o.MaxBody, 24<<20)
	o.MemoryWait = cmp.Or(o.MemoryWait, 3*time.Second)
	o.UserAgent = cmp.Or(o.UserAgent, "qualysrelay")
	return &Client{
		opts: o,
		transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
			TLSHandshakeTimeout:    connectTimeout,
			ResponseHeaderTimeout:  o.HeaderTimeout,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConns:           256,
			MaxIdleConnsPerHost:    32, // a few tenants of one platform with four calls each
			IdleConnTimeout:        90 * time.Second,
			ForceAttemptHTTP2:      true,
			// An instance that Cloud Run froze wakes up with a connection that may be long dead: find out
			// before a request waits on it in vain.
			HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
		},
		tokens: newTokens(),
	}
}

// Close closes idle connections. The client stays usable.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// EventQuery is one page of one search.
type EventQuery struct {
	Filter     Filter // empty: every event
	Active     bool   // true: the current state of each object (state=true); false: the history of occurrences
	PageSize   int    // 1 to 1000; 0 means 100
	PageNumber int    // from 0
}

// Page is the answer to an EventQuery, newest event first.
type Page struct {
	Events     []*Event // nil where there are none
	Full       bool     // as many elements as were asked for or as the gateway gives: there may be more
	Unreadable int      // elements of the answer that are no events
	Limits     RateLimits

	grant *grant
}

// Release gives the page's memory back to Options.Memory. Call it when the events are no longer held;
// only the first call does anything.
func (p *Page) Release() {
	if p.grant != nil {
		p.grant.release()
	}
}

const (
	connectTimeout  = 5 * time.Second // for the TCP connection, and again for the TLS handshake
	defaultPageSize = 100
	maxPageSize     = 1000 // the largest in use by a published integration; Qualys names no limit
)

// Events searches once. It logs in where no token is at hand; when Qualys refuses the token it logs in
// once more and searches again once, then reports KindAccount. Other failures are an *Error, and not
// tried again here. When ctx ends first, the error is the context's own. The caller releases the page;
// after an error there is nothing to release.
func (c *Client) Events(ctx context.Context, t Tenant, q EventQuery) (Page, error) {
	size := min(max(cmp.Or(q.PageSize, defaultPageSize), 1), maxPageSize)
	params := fmt.Sprintf("?pageSize=%d&pageNumber=%d&sort=%s", size, max(q.PageNumber, 0), sortNewestFirst)
	var page Page
	limits, err := c.search(ctx, t, q, OpEvents, "/events"+params, func(a *answer) (err error) {
		page, err = a.events(size)
		return err
	})
	if err != nil {
		return Page{}, err
	}
	page.Limits = limits
	// No largest size is published: pages of a thousand are in use, but a round number could be the gateway's
	// own limit, whatever was asked for.
	if n := len(page.Events) + page.Unreadable; n > 0 && n%100 == 0 {
		page.Full = true
	}
	for _, e := range page.Events {
		e.Active = q.Active
	}
	return page, nil
}

// sortNewestFirst is [{"event.datetime":"desc"}], encoded. The default order is not documented, so it is
// always sent.
const sortNewestFirst = "%5B%7B%22event.datetime%22%3A%22desc%22%7D%5D"

// search makes one call of the events API, again with a new token where Qualys refuses the one at hand.
func (c *Client) search(
	ctx context.Context, t Tenant, q EventQuery, op, path string, read func(*answer) error,
) (RateLimits, error) {
	key := t.Key()
	url := t.Gateway + c.opts.PathPrefix + path
	if q.Active {
		url += "&state=true"
	}
	if q.Filter.qql != "" {
		url += "&filter=" + q.Filter.encode()
	}
	for first := true; ; first = false {
		bearer, err := c.token(ctx, t, key, false)
		if err != nil {
			return RateLimits{}, err
		}
		limits, err := c.exchange(ctx, request{
			op: op, method: http.MethodGet, url: url, secrets: []string{t.Password, bearer},
			header: http.Header{"Authorization": {"Bearer " + bearer}, "Accept": {"application/json"}},
		}, read)
		var e *Error
		if !errors.As(err, &e) || e.Kind != KindUnauthorized {
			c.tokens.used(key, bearer, true)
			return limits, err
		}
		if !c.tokens.used(key, bearer, false) || !first {
			e.Kind = KindAccount
			return RateLimits{}, e
		}
	}
}

// request is what exchange needs to know of one call.
type request struct {
	op      string
	method  string
	url     string
	header  http.Header
	form    url.Values // sent as the body where it is not nil
	secrets []string   // kept out of errors
}

// errBodyTimeout is the cause with which exchange ends a body that takes too long.
var errBodyTimeout = errors.New("timeout while reading the body")

// exchange is the one way to the network: it sends the request, has a 2xx read within the limits, and
// turns every failure into an *Error or the context's own error.
func (c *Client) exchange(
	ctx context.Context, r request, read func(*answer) error,
) (limits RateLimits, err error) {
	call := Call{Op: r.op}
	start := time.Now()
	defer func() {
		// A dialer may report a timeout a moment before the context whose deadline it has.
		if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
			<-ctx.Done()
		}
		if err != nil && ctx.Err() != nil {
			err = ctx.Err()
		}
		if c.opts.Observe == nil {
			return
		}
		call.Duration = time.Since(start)
		if e, ok := errors.AsType[*Error](err); ok {
			call.Kind = e.Kind
		} else if err != nil {
			call.Kind = KindCanceled
		}
		c.opts.Observe(call)
	}()

	bodyCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var send io.Reader
	if r.form != nil {
		send = strings.NewReader(r.form.Encode())
	}
	req, err := http.NewRequestWithContext(bodyCtx, r.method, r.url, send)
	if err != nil || req.URL.Host == "" { // its text would hold the URL
		return RateLimits{}, &Error{Op: r.op, Kind: KindConnect, Message: "the URL of the gateway is not valid"}
	}
	req.Header = r.header
	req.Header.Set("User-Agent", c.opts.UserAgent)

	// The transport, not an http.Client: nothing is followed, added or remembered.
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return RateLimits{}, networkError(r.op, err, r.secrets...)
	}
	defer func() { _ = resp.Body.Close() }()
	call.Status = resp.StatusCode
	timer := time.AfterFunc(c.opts.BodyTimeout, func() { cancel(errBodyTimeout) })
	defer timer.Stop()

	a := &answer{request: r, ctx: bodyCtx, resp: resp,
		grant: &grant{memory: c.opts.Memory, wait: c.opts.MemoryWait, limit: c.opts.MaxBody}}
	if resp.StatusCode/100 != 2 {
		body, _ := a.short() // where it is late or cut, the status alone says what happened
		return RateLimits{}, a.refusal("", body)
	}
	limits = rateLimits(resp.Header)
	if resp.StatusCode == http.StatusNoContent && r.op != OpLogin { // no events, to Qualys's own Splunk add-on
		return limits, nil
	}
	if err = read(a); err == nil {
		return limits, nil
	}
	a.grant.release()
	e, ok := errors.AsType[*Error](err)
	switch {
	case ok:
	case errors.Is(context.Cause(bodyCtx), errBodyTimeout):
		e = &Error{Kind: KindTimeout, Message: errBodyTimeout.Error()}
	case errors.Is(err, context.Canceled):
		e = &Error{Kind: KindReset, Message: othersEnd}
	default:
		e = &Error{Kind: KindUnreadable, Message: "the answer is cut short", cutShort: true}
	}
	e.Op, e.Status = r.op, resp.StatusCode
	if !e.Limits.Known { // else by the answer itself
		e.Limits = limits
	}
	return RateLimits{}, e
}
