package qualys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"
)

// Options configure a Client. The zero value of each means its default.
type Options struct {
	PathPrefix string        // of the events API: "/ioc" (default) or "/ioc/v1", documented both
	Timeout    time.Duration // of an HTTP exchange, however slowly its answer trickles; 15 s
	Memory     Memory        // bounds what all answers hold at once; nil: unbounded
	UserAgent  string
	Observe    func(Call) // called after each HTTP exchange, from its goroutine; nil: nobody looks
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
	logins    singleflight.Group // by TenantKey
	largest   sync.Map           // from a gateway to the most elements (int) that a page of it had

	mu     sync.Mutex
	tokens *simplelru.LRU[TenantKey, token]
}

// NewClient returns a client. It starts nothing: connections and logins are made by the calls that need
// them.
func NewClient(o Options) *Client {
	o.PathPrefix = "/" + strings.Trim(cmp.Or(o.PathPrefix, "/ioc"), "/")
	o.Timeout = cmp.Or(o.Timeout, 15*time.Second)
	tokens, _ := simplelru.NewLRU[TenantKey, token](maxTenants, nil) // fails for a size below one
	return &Client{
		opts: o,
		transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:    connectTimeout,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConnsPerHost:    32, // a few tenants of one platform with four calls each
			IdleConnTimeout:        90 * time.Second,
			ForceAttemptHTTP2:      true,
			// An instance that Cloud Run froze wakes up with a connection that may be long dead: find out
			// before a request waits on it in vain.
			HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
		},
		tokens: tokens,
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
		p.grant.keep(0)
	}
}

const (
	connectTimeout = 5 * time.Second // for the TCP connection, and again for the TLS handshake
	maxPageSize    = 1000            // the largest in use by a published integration; Qualys names no limit
)

// Events searches once. It logs in where no token is at hand; when Qualys refuses the token it logs in
// once more and searches again once, then reports KindAccount. Other failures are an *Error, and not
// tried again here. When ctx ends first, the error is the context's own. The caller releases the page;
// after an error there is nothing to release.
func (c *Client) Events(ctx context.Context, t Tenant, q EventQuery) (page Page, err error) {
	size := min(max(cmp.Or(q.PageSize, 100), 1), maxPageSize)
	path := fmt.Sprintf("/events?pageSize=%d&pageNumber=%d&sort=%s", size, max(q.PageNumber, 0), sortNewestFirst)
	err = c.search(ctx, t, q, OpEvents, path, func(a *answer) (err error) {
		page, err = a.events(size)
		return err
	})
	page.Full = page.Full || c.mayBeCapped(t.Gateway, len(page.Events)+page.Unreadable)
	for _, e := range page.Events {
		e.Active = q.Active
	}
	return page, err
}

// mayBeCapped reports whether a page of n elements may be as large as the gateway makes them, though more was
// asked for. No largest size is published: pages of a thousand are in use, but a round number that no page of
// this gateway has passed yet could be its own limit.
func (c *Client) mayBeCapped(gateway string, n int) bool {
	const round = 100
	largest, _ := c.largest.Load(gateway)
	most, _ := largest.(int)
	if n > most {
		c.largest.Store(gateway, n) // of two at once one counts: the next page makes up for it
	}
	return n > 0 && n%round == 0 && n >= most
}

// sortNewestFirst is [{"event.datetime":"desc"}], encoded. The default order is not documented, so it is
// always sent.
const sortNewestFirst = "%5B%7B%22event.datetime%22%3A%22desc%22%7D%5D"

// search makes one call of the events API, again with a new token where Qualys refuses the one at hand.
func (c *Client) search(
	ctx context.Context, t Tenant, q EventQuery, op, path string, read func(*answer) error,
) error {
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
			return err
		}
		err = c.exchange(ctx, request{
			op: op, url: url, secrets: []string{t.Password, bearer},
			header: http.Header{"Authorization": {"Bearer " + bearer}, "Accept": {"application/json"}},
		}, read)
		if err == nil {
			c.accept(key, bearer)
		}
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Kind != KindUnauthorized {
			return err
		}
		if !c.renew(key, bearer) || !first {
			e.Kind = KindAccount
			return e
		}
	}
}

// request is what exchange needs to know of one call.
type request struct {
	op      string
	url     string
	header  http.Header
	form    url.Values // posted where it is not nil
	secrets []string   // kept out of errors
}

// exchange is one HTTP exchange, of which Options.Observe is told. Every failure is an *Error or the
// context's own error.
func (c *Client) exchange(ctx context.Context, r request, read func(*answer) error) error {
	start := time.Now()
	bounded, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	a := &answer{request: r, ctx: bounded, grant: &grant{memory: c.opts.Memory}}
	err := c.send(a, read)
	// A dialer may report a timeout a moment before the context whose deadline it has.
	if deadline, _ := bounded.Deadline(); !time.Now().Before(deadline) {
		<-bounded.Done()
	}
	kind := Kind("")
	if err != nil {
		a.grant.keep(0)
		failure := a.failure(err)
		if kind, err = failure.Kind, failure; ctx.Err() != nil {
			kind, err = KindCanceled, ctx.Err()
		}
	}
	if c.opts.Observe != nil {
		c.opts.Observe(Call{Op: r.op, Status: a.status, Duration: time.Since(start), Kind: kind})
	}
	return err
}

// send is the one way to the network. It has a 2xx read within the limits.
func (c *Client) send(a *answer, read func(*answer) error) error {
	method := http.MethodGet
	if a.form != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(a.ctx, method, a.url, strings.NewReader(a.form.Encode()))
	if err != nil || req.URL.Host == "" { // its text would hold the URL
		return &Error{Kind: KindConnect, Message: "the URL of the gateway is not valid"}
	}
	req.Header = a.header
	req.Header.Set("User-Agent", c.opts.UserAgent)

	// The transport, not an http.Client: nothing is followed, added or remembered.
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	a.status, a.body, a.limits = resp.StatusCode, resp.Body, LimitsOf(resp.Header)
	if a.status/100 != 2 {
		body, err := a.short()
		if err != nil {
			body = nil // where it is late or cut, maybe inside of a secret, the status says what happened
		}
		return a.refusal("", body)
	}
	return read(a)
}
