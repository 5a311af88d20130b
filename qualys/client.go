package qualys

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options configure a Client. The zero value of each means its default.
type Options struct {
	PathPrefix     string         // of the events API: "/ioc" (default) or "/ioc/v1", both documented since EDR 3.7.1
	ConnectTimeout time.Duration  // for the TCP connection, and again for the TLS handshake; 5 s
	HeaderTimeout  time.Duration  // from the request being sent to the answer's header; 10 s
	BodyTimeout    time.Duration  // for the whole body, however slowly it trickles; 15 s
	MaxBody        int64          // bytes of an answer, after decompression; 32 MiB
	UserAgent      string         // "qualysrelay"
	RootCAs        *x509.CertPool // nil: the system's
	Observe        func(Call)     // called after each HTTP exchange, from its goroutine; nil: nobody looks
}

// Call is one HTTP exchange as Options.Observe sees it. It holds nothing secret.
type Call struct {
	Op       string // OpLogin or OpEvents
	Active   bool   // the search was for the current state
	Status   int    // 0 where there was no answer
	Duration time.Duration
	Bytes    int  // of the body
	Kind     Kind // "" for success, KindCanceled where the caller's context ended
}

// Client calls the Qualys gateways. It is meant to be one for each process: it shares one transport and holds the tokens of all tenants, each
// apart. It is safe for concurrent use. NewClient makes it without touching the network.
//
// Redirects are never followed, since they would carry the Authorization header to wherever an answer points. HTTPS_PROXY and its like are
// honoured, as anywhere in Go; credentials pass such a proxy inside of TLS.
type Client struct {
	opts      Options
	transport *http.Transport
	tokens    tokens
	buffers   sync.Pool // of *bytes.Buffer, for bodies
}

// maxPooledBuffer is the largest body buffer that is kept for the next answer: about 2,500 events.
const maxPooledBuffer = 4 << 20

// NewClient returns a client. It starts nothing: connections and logins are made by the calls that need them.
func NewClient(o Options) *Client {
	o.PathPrefix = "/" + strings.Trim(defaulted(o.PathPrefix, "/ioc"), "/")
	o.ConnectTimeout = defaulted(o.ConnectTimeout, 5*time.Second)
	o.HeaderTimeout = defaulted(o.HeaderTimeout, 10*time.Second)
	o.BodyTimeout = defaulted(o.BodyTimeout, 15*time.Second)
	o.MaxBody = defaulted(o.MaxBody, 32<<20)
	o.UserAgent = defaulted(o.UserAgent, "qualysrelay")
	return &Client{
		opts: o,
		transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: o.ConnectTimeout, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
			TLSHandshakeTimeout:    o.ConnectTimeout,
			ResponseHeaderTimeout:  o.HeaderTimeout,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConns:           256,
			MaxIdleConnsPerHost:    32, // a few tenants of one platform with four calls each
			IdleConnTimeout:        90 * time.Second,
			ForceAttemptHTTP2:      true,
			// An instance that Cloud Run froze wakes up with a connection that may be long dead: find out before a request waits on it in vain.
			HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
		},
		tokens:  tokens{held: make(map[TenantKey]token), logins: make(map[TenantKey]*login)},
		buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}
}

func defaulted[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
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
	Events []*Event // nil where there are none
	Full   bool     // as many as were asked for, so that there may be more
	Limits RateLimits
}

const (
	defaultPageSize = 100
	maxPageSize     = 1000 // the largest in use by a published integration; Qualys names no limit
)

// Events searches once. It logs in where no token is at hand; when Qualys refuses the token it logs in once more and asks again once, then
// reports KindUnauthorized. Other failures are an *Error, and not tried again here. When ctx ends first, the error is the context's own.
func (c *Client) Events(ctx context.Context, t Tenant, q EventQuery) (Page, error) {
	key := t.Key()
	bearer, err := c.token(ctx, t, key)
	if err != nil {
		return Page{}, err
	}
	page, err := c.events(ctx, t, bearer, q)
	if e := (*Error)(nil); errors.As(err, &e) && e.Kind == KindUnauthorized {
		c.tokens.drop(key, bearer)
		if bearer, err = c.token(ctx, t, key); err != nil {
			return Page{}, err
		}
		page, err = c.events(ctx, t, bearer, q)
	}
	return page, err
}

func (c *Client) events(ctx context.Context, t Tenant, bearer string, q EventQuery) (Page, error) {
	size := min(max(defaulted(q.PageSize, defaultPageSize), 1), maxPageSize)
	var u strings.Builder
	u.WriteString(t.Gateway)
	u.WriteString(c.opts.PathPrefix)
	u.WriteString("/events?pageSize=")
	u.WriteString(strconv.Itoa(size))
	u.WriteString("&pageNumber=")
	u.WriteString(strconv.Itoa(max(q.PageNumber, 0)))
	if q.Active {
		u.WriteString("&state=true")
	}
	u.WriteString("&sort=" + sortNewestFirst)
	if q.Filter.qql != "" {
		u.WriteString("&filter=")
		u.WriteString(q.Filter.encode())
	}
	header := http.Header{"Authorization": {"Bearer " + bearer}, "Accept": {"application/json"}}
	var page Page
	var err error
	page.Limits, err = c.exchange(ctx, request{op: OpEvents, method: http.MethodGet, url: u.String(), header: header, active: q.Active,
		maxBody: c.opts.MaxBody, secrets: []string{t.Password, bearer}}, func(body []byte) (err error) {
		var elements int
		page.Events, elements, err = decodeEvents(body)
		page.Full = elements >= size
		return err
	})
	if err != nil {
		return Page{}, err
	}
	for _, e := range page.Events {
		e.Active = q.Active
	}
	return page, nil
}

// sortNewestFirst is [{"event.datetime":"desc"}], encoded. The default order is not documented, so it is always sent.
const sortNewestFirst = "%5B%7B%22event.datetime%22%3A%22desc%22%7D%5D"

// request is what exchange needs to know of one call.
type request struct {
	op      string
	method  string
	url     string
	header  http.Header
	form    url.Values // sent as the body where it is not nil
	active  bool
	maxBody int64
	secrets []string // kept out of errors
}

// errBodyTimeout is the cause with which exchange ends a body that takes too long.
var errBodyTimeout = errors.New("timeout while reading the body")

// exchange is the one door to the network: it sends the request, reads the answer within the limits, and turns every failure into an *Error or
// the context's own error. decode gets the body of a 2xx, and must not keep it.
func (c *Client) exchange(ctx context.Context, r request, decode func(body []byte) error) (limits RateLimits, err error) {
	call := Call{Op: r.op, Active: r.active}
	start := time.Now()
	defer func() {
		if c.opts.Observe == nil {
			return
		}
		call.Duration = time.Since(start)
		if e := (*Error)(nil); errors.As(err, &e) {
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
		if ended := ended(ctx); ended != nil {
			return RateLimits{}, ended
		}
		return RateLimits{}, networkError(r.op, err, r.secrets...)
	}
	defer func() { _ = resp.Body.Close() }()
	call.Status = resp.StatusCode
	timer := time.AfterFunc(c.opts.BodyTimeout, func() { cancel(errBodyTimeout) })
	defer timer.Stop()

	limit := r.maxBody
	success := resp.StatusCode/100 == 2
	if !success {
		limit = maxErrorBody
	}
	buf := c.buffers.Get().(*bytes.Buffer)
	buf.Reset()
	defer func() {
		if buf.Cap() <= maxPooledBuffer {
			c.buffers.Put(buf)
		}
	}()
	whole, err := readBody(buf, resp, limit)
	call.Bytes = buf.Len()
	if err != nil {
		if ended := ended(ctx); ended != nil {
			return RateLimits{}, ended
		}
	}
	if !success { // also where the body is late or cut: the status alone says what happened
		return RateLimits{}, statusError(r.op, resp, buf.Bytes(), r.secrets...)
	}

	e := &Error{Op: r.op, Kind: KindUnreadable, Status: resp.StatusCode, Limits: rateLimits(resp.Header), cause: err}
	switch {
	case err != nil && errors.Is(context.Cause(bodyCtx), errBodyTimeout):
		e.Kind, e.Message = KindTimeout, errBodyTimeout.Error()
	case err != nil:
		e.Message = "the answer is cut short"
	case !whole:
		e.Message = fmt.Sprintf("the answer is larger than %d bytes", limit)
	default:
		if err = decode(buf.Bytes()); err == nil {
			return e.Limits, nil
		}
		e.cause, e.Message = err, err.Error()
		if text := excerpt(r.op, buf.Bytes(), r.secrets); text != "" {
			e.Message = plain(e.Message+": "+text, r.secrets...)
		}
	}
	return RateLimits{}, e
}

// excerpt is what an answer that is no JSON says to people, such as a maintenance page. A login's answer is never shown: it may hold a token.
func excerpt(op string, body []byte, secrets []string) string {
	body = bytes.TrimSpace(body)
	if op != OpEvents || len(body) == 0 || strings.IndexByte(`[{"`, body[0]) >= 0 {
		return ""
	}
	return plain(string(body[:min(len(body), maxErrorBody)]), secrets...)
}

// readBody reads at most limit bytes into buf and reports whether that was all.
func readBody(buf *bytes.Buffer, resp *http.Response, limit int64) (whole bool, err error) {
	if n := resp.ContentLength; n > limit {
		limit = min(limit, maxErrorBody) // too large in any case: its beginning is enough for an error
	} else if n > 0 {
		buf.Grow(int(n) + bytes.MinRead) // MinRead spares ReadFrom its last growth
	}
	n, err := buf.ReadFrom(io.LimitReader(resp.Body, limit+1))
	if n > limit {
		buf.Truncate(int(limit))
		return false, nil
	}
	return true, err
}

// ended returns the context's error where it has ended. A dialer that races with the context's deadline may report its own timeout a moment
// before the context does; it is the context's all the same.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return nil
}
