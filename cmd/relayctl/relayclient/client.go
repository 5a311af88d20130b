// Package relayclient calls a relay: with a token that leaves the process only towards that relay, over
// https or to this machine, and never along a redirect.
package relayclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/ctim"
)

// maxBody is the largest response that is read, in bytes. The relay keeps its own under 30 MiB.
const maxBody = 64 << 20

// connectTimeout is for a connection, and again for its TLS handshake.
const connectTimeout = 10 * time.Second

// Endpoints of the relay.
const (
	PathHealth     = "/health"
	PathObserve    = "/observe/observables"
	PathDeliberate = "/deliberate/observables"
	PathRefer      = "/refer/observables"
	PathTiles      = "/tiles"
	PathTile       = "/tiles/tile"
	PathTileData   = "/tiles/tile-data"
	PathVersion    = "/version"
	PathWatchdog   = "/watchdog"
)

// CleanToken takes a token as it was pasted, with or without the scheme, and refuses what cannot stand in a
// header.
func CleanToken(token secret.Value) (secret.Value, error) {
	text := strings.TrimSpace(string(token))
	if scheme, rest, found := strings.Cut(text, " "); found && strings.EqualFold(scheme, "Bearer") {
		text = strings.TrimSpace(rest)
	}
	switch {
	case text == "":
		return "", errors.New("the token is empty")
	case len(text) > secret.MaxSize:
		return "", errors.New("the token is too long")
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return "", errors.New("the token holds white space or characters that are not ASCII: " +
			"it must be one line of three parts joined by dots")
	}
	return secret.Value(text), nil
}

// Client calls one relay with one token. It is safe for concurrent use.
type Client struct {
	Base      *url.URL
	Transport *http.Transport

	authorize func(http.Header)      // functions, because fmt shows what unexported fields hold
	repeats   func(text string) bool // whether a text holds the token
	http      *http.Client
	limit     int64 // bytes of a response
}

// New is a client for a base URL that ParseURL took. Without a token, it cannot be authorized. timeout is
// for each exchange as a whole.
func New(base *url.URL, token secret.Value, timeout time.Duration) *Client {
	dialer := &net.Dialer{Timeout: connectTimeout}
	if base.Scheme == "http" {
		dialer.Control = onlyLoopback // "localhost" is whatever the resolver says
	}
	transport := &http.Transport{
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: timeout,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   16,
	}
	if base.Scheme == "https" {
		transport.Proxy = http.ProxyFromEnvironment // sees the host only: it tunnels
	}
	return &Client{
		Base:      base,
		Transport: transport,
		authorize: func(h http.Header) { h.Set("Authorization", "Bearer "+string(token)) },
		repeats:   func(text string) bool { return repeats(text, string(token)) },
		limit:     maxBody,
		http: &http.Client{
			Transport:     transport,
			Timeout:       timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// onlyLoopback keeps a connection without encryption on this machine.
func onlyLoopback(_, address string, _ syscall.RawConn) error {
	if !IsLoopbackAddress(address) {
		return errors.New("plain http is for this machine only, and the name resolves to " + address)
	}
	return nil
}

// repeats tells whether a text holds the token, or the part of it that has the password, or its signature.
func repeats(text, token string) bool {
	_, secrets, _ := strings.Cut(token, ".") // the header is none
	return slices.ContainsFunc(append(strings.Split(secrets, "."), token), func(part string) bool {
		return part != "" && strings.Contains(text, part)
	})
}

// Quote makes text of the other side fit for a message: plain, on one line, at most n characters. A text
// that repeats the token is left out.
func (c *Client) Quote(text string, n int) string {
	if c.repeats(text) {
		return "(not shown: it repeats the token)"
	}
	return plain.OneLine(text, n)
}

// Request is one call.
type Request struct {
	Method string // POST where it is empty
	Path   string // put after the base as it is: two slashes stay two
	Header http.Header
	Body   []byte
	Token  bool // with the client's token
}

// Response is what a relay sent.
type Response struct {
	Status   int
	Header   http.Header
	Body     []byte
	Duration time.Duration // from the request to the last byte
}

// Timing is how long the relay took and what Qualys had of that, in milliseconds.
type Timing struct {
	Total, Qualys float64
	Calls         int // to Qualys
}

var metrics = regexp.MustCompile(`\b(total|qualys);dur=(\d{1,9}(?:\.\d{1,9})?)(?:;desc="(\d{1,6}) calls?")?`)

// Timing is what the relay says about its time in Server-Timing headers; false where it says nothing.
func (r Response) Timing() (t Timing, ok bool) {
	for _, m := range metrics.FindAllStringSubmatch(strings.Join(r.Header.Values("Server-Timing"), ", "), -1) {
		ok = true
		milliseconds, _ := strconv.ParseFloat(m[2], 64)
		if m[1] == "total" {
			t.Total = milliseconds
		} else {
			t.Qualys = milliseconds
			t.Calls, _ = strconv.Atoi(m[3])
		}
	}
	return t, ok
}

// Send makes one call and reads the whole response, whatever its status. Redirects are not followed.
func (c *Client) Send(ctx context.Context, r Request) (Response, error) {
	target := *c.Base
	target.Path, target.RawPath = strings.TrimRight(target.Path, "/")+r.Path, ""
	if r.Method == "" {
		r.Method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, target.String(), bytes.NewReader(r.Body))
	if err != nil {
		return Response{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "relayctl")
	for name, values := range r.Header {
		request.Header[name] = values
	}
	if r.Token {
		c.authorize(request.Header)
	}
	begin := time.Now()
	response, err := c.http.Do(request)
	if err != nil {
		return Response{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, c.limit+1))
	if err != nil {
		return Response{}, err
	}
	if int64(len(content)) > c.limit {
		return Response{}, fmt.Errorf("the response of %s is larger than %d MiB", c.Base.Host, c.limit>>20)
	}
	return Response{Status: response.StatusCode, Header: response.Header, Body: content,
		Duration: time.Since(begin)}, nil
}

// Post sends a body with the token to an endpoint. A redirect is an error: the token is not carried to
// another place.
func (c *Client) Post(ctx context.Context, path string, body []byte) (Response, error) {
	got, err := c.Send(ctx, Request{Path: path, Body: body, Token: true})
	if err != nil {
		return got, c.unreachable(err)
	}
	if got.Status >= 300 && got.Status < 400 {
		return got, fmt.Errorf("%s redirects to %q; the token is not sent there. "+
			"Give the URL of the relay itself", c.Base.Host, c.Quote(got.Header.Get("Location"), 200))
	}
	return got, nil
}

// Observe looks observables up and returns the relay's envelope as it came. What is not an envelope is an
// error.
func (c *Client) Observe(ctx context.Context, observables []ctim.Observable) (Response, error) {
	body, err := json.Marshal(observables)
	if err != nil {
		return Response{}, err
	}
	got, err := c.Post(ctx, PathObserve, body)
	if err == nil {
		err = c.problem(got)
	}
	return got, err
}

// unreachable says in words why there was no response.
func (c *Client) unreachable(err error) error {
	if urlError, ok := errors.AsType[*url.Error](err); ok {
		if urlError.Timeout() {
			return fmt.Errorf("no answer from %s in %s; --timeout waits longer", c.Base.Host, c.http.Timeout)
		}
		err = urlError.Err
	}
	return fmt.Errorf("cannot reach the relay at %s: %w", c.Base.Host, err)
}

// problem is the error of a response that is not the relay's envelope: the relay answers 200 to everything
// that it understood.
func (c *Client) problem(r Response) error {
	const refused = ". The relay itself never says this: something in front of it refused the call. " +
		"Cloud Run must allow unauthenticated calls (the relay checks the token)"
	const elsewhere, silent = ". Is this URL a relay?", ". The relay did not get to answer; its log may say why"
	hint := map[int]string{
		401: refused, 403: refused, 404: elsewhere, 405: elsewhere,
		429: silent, 502: silent, 503: silent, 504: silent,
	}[r.Status]
	if r.Status == http.StatusOK {
		return nil
	}
	var said struct{ Message string }
	if json.Unmarshal(r.Body, &said) == nil && said.Message != "" {
		hint = ": " + c.Quote(said.Message, 300) + hint
	}
	return fmt.Errorf("the relay answered %d %s%s", r.Status, http.StatusText(r.Status), hint)
}
