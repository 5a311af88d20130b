// Package relayclient calls a relay: with a token that leaves the process only towards that relay, over
// https or to this machine, and never along a redirect.
package relayclient

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/ctim"
)

const (
	maxBody        = 64 << 20         // bytes of a response; the relay keeps its own under 30 MiB
	maxHeader      = 64 << 10         // bytes of a response's header
	connectTimeout = 10 * time.Second // for a connection, and again for its TLS handshake
)

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
	Base *url.URL

	token func() string // a function, because fmt shows what unexported fields hold
	http  *http.Client
}

// New is a client for a base URL that ParseURL took. Without a token, it cannot be authorized. timeout is
// for each exchange as a whole.
func New(base *url.URL, token secret.Value, timeout time.Duration) *Client {
	dialer := &net.Dialer{Timeout: connectTimeout}
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment, // sees the host only: it tunnels
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    connectTimeout,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: maxHeader,
	}
	if base.Scheme == "http" {
		transport.Proxy, dialer.Control = nil, onlyLoopback // "localhost" is whatever the resolver says
	}
	return &Client{Base: base, token: func() string { return string(token) }, http: &http.Client{
		Transport:     transport,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// onlyLoopback keeps a connection without encryption on this machine.
func onlyLoopback(_, address string, _ syscall.RawConn) error {
	if !IsLoopbackAddress(address) {
		return errors.New("plain http is for this machine only, and the name resolves to " + address)
	}
	return nil
}

// Quote makes text of the other side fit for a message: plain, on one line, at most n characters. A text
// that repeats the token, the part of it that has the password, or its signature, is left out.
func (c *Client) Quote(text string, n int) string {
	_, secrets, _ := strings.Cut(c.token(), ".") // the header is none
	for _, part := range append(strings.Split(secrets, "."), c.token()) {
		if part != "" && strings.Contains(text, part) {
			return "(not shown: it repeats the token)"
		}
	}
	return plain.OneLine(text, n)
}

// Request is one call.
type Request struct {
	Method string // POST where it is empty
	Path   string // put after the base as it is: two slashes stay two
	Query  string // encoded
	Header http.Header
	Body   []byte
	Token  bool // with the client's token
}

// Response is what a relay sent.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	TLS    *tls.ConnectionState // nil without TLS
}

// Timing is how long the relay took and what Qualys had of that, in milliseconds.
type Timing struct {
	Total, Qualys float64
	Calls         int // to Qualys
}

var metrics = regexp.MustCompile(`\b(total|qualys);dur=(\d{1,9}(?:\.\d{1,9})?)(?:;desc="(\d{1,6}) calls?")?`)

// Timing is what the relay says about its time in Server-Timing headers; zero where it says nothing.
func (r Response) Timing() (t Timing) {
	said := strings.Join(r.Header.Values("Server-Timing"), ", ")
	for _, m := range metrics.FindAllStringSubmatch(said, -1) {
		milliseconds, _ := strconv.ParseFloat(m[2], 64)
		if m[1] == "total" {
			t.Total = milliseconds
		} else {
			t.Qualys = milliseconds
			t.Calls, _ = strconv.Atoi(m[3])
		}
	}
	return t
}

// Send makes one call and reads the whole response, whatever its status. Redirects are not followed: the
// token is not carried to another place.
func (c *Client) Send(ctx context.Context, r Request) (Response, error) {
	target := *c.Base
	target.Path, target.RawPath = strings.TrimRight(target.Path, "/")+r.Path, ""
	target.RawQuery = r.Query
	request, err := http.NewRequestWithContext(ctx, cmp.Or(r.Method, http.MethodPost), target.String(),
		bytes.NewReader(r.Body))
	if err != nil {
		return Response{}, err
	}
	request.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"},
		"User-Agent": {"relayctl"}}
	maps.Copy(request.Header, r.Header)
	if r.Token {
		request.Header.Set("Authorization", "Bearer "+c.token())
	}
	response, err := c.http.Do(request)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without the URL
	}
	if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() {
		return Response{}, fmt.Errorf("no answer from %s in time; --timeout waits longer: %w", c.Base.Host, err)
	}
	if err != nil {
		return Response{}, fmt.Errorf("cannot reach %s: %w", c.Base.Host, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		err = fmt.Errorf("the response of %s was cut short: %w", c.Base.Host, err)
	} else if len(body) > maxBody {
		err = fmt.Errorf("the response of %s is larger than %d MiB", c.Base.Host, maxBody>>20)
	}
	return Response{response.StatusCode, response.Header, body, response.TLS}, err
}

// Post sends a body with the token to an endpoint.
func (c *Client) Post(ctx context.Context, path string, body []byte) (Response, error) {
	return c.Send(ctx, Request{Path: path, Body: body, Token: true})
}

// Observe looks observables up and returns the relay's envelope as it came. Every other answer is an error:
// the relay answers 200 to everything that it understood.
func (c *Client) Observe(ctx context.Context, observables []ctim.Observable) (Response, error) {
	body, err := json.Marshal(observables)
	if err != nil {
		return Response{}, err
	}
	got, err := c.Post(ctx, PathObserve, body)
	if err == nil && got.Status != http.StatusOK {
		err = fmt.Errorf("the relay answered %d %s. \"relayctl check\" says why", got.Status,
			http.StatusText(got.Status))
	}
	return got, err
}
