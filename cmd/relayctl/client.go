package main

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
	"strings"
	"syscall"
	"time"
)

// maxAnswer is the largest answer that is read, in bytes. The relay keeps its own under 30 MiB.
const maxAnswer = 64 << 20

// Endpoints of the relay.
const (
	pathHealth     = "/health"
	pathObserve    = "/observe/observables"
	pathDeliberate = "/deliberate/observables"
	pathRefer      = "/refer/observables"
	pathVersion    = "/version"
	pathWatchdog   = "/watchdog"
)

// connection are the flags of the commands that call a relay.
type connection struct {
	URL       string        `help:"The relay's URL (RELAY_URL, ${default})." from:"RELAY_URL" default:"http://127.0.0.1:8080" placeholder:"URL"`
	TokenFile string        `help:"Configuration token (RELAY_TOKEN_FILE); else RELAY_TOKEN, else asked for on a terminal." from:"RELAY_TOKEN_FILE" placeholder:"FILE"`
	Timeout   time.Duration `help:"How long to wait for an answer (${default})." default:"60s" placeholder:"TIME"`
}

// client is the relay that the flags name, with its token.
func (c *connection) client(ctx context.Context, p *program) (*relayClient, error) {
	base, err := checkURL("--url", c.URL)
	if err != nil {
		return nil, err
	}
	if c.Timeout <= 0 {
		return nil, errors.New("--timeout must be longer than 0")
	}
	token := secret(strings.TrimSpace(p.getenv("RELAY_TOKEN")))
	switch {
	case c.TokenFile != "":
		token, err = readSecretFile(c.TokenFile)
	case token == "" && p.terminal() != nil:
		token, err = p.askSecret(ctx, "Configuration token: ")
	case token == "":
		err = errors.New("no token: give --token-file, or set RELAY_TOKEN (\"relayctl token\" makes one)")
	}
	if err != nil {
		return nil, err
	}
	if token, err = cleanToken(token); err != nil {
		return nil, err
	}
	return newRelayClient(base, token, c.Timeout), nil
}

// cleanToken takes a token as it was pasted and refuses what cannot stand in a header.
func cleanToken(token secret) (secret, error) {
	text := strings.TrimSpace(string(token))
	if scheme, rest, found := strings.Cut(text, " "); found && strings.EqualFold(scheme, "Bearer") {
		text = strings.TrimSpace(rest)
	}
	switch {
	case text == "":
		return "", errors.New("the token is empty")
	case len(text) > maxToken:
		return "", errors.New("the token is too long")
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return "", errors.New("the token holds white space or characters that are not ASCII: it must be one line of three parts joined by dots")
	}
	return secret(text), nil
}

// relayClient calls one relay with one token. The token leaves the process only towards that relay: over https, or to this machine.
type relayClient struct {
	base      *url.URL
	authorize func(http.Header) // a function, because fmt shows what unexported fields hold
	http      *http.Client
	limit     int64 // bytes of an answer
}

// newRelayClient is a client for a base URL that checkURL took.
func newRelayClient(base *url.URL, token secret, timeout time.Duration) *relayClient {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if base.Scheme == "http" {
		dialer.Control = onlyLoopback // "localhost" is whatever the resolver says
	}
	transport := &http.Transport{
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: timeout,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   16,
	}
	if base.Scheme == "https" {
		transport.Proxy = http.ProxyFromEnvironment // sees the host only: it tunnels
	}
	return &relayClient{
		base:      base,
		authorize: func(h http.Header) { h.Set("Authorization", "Bearer "+string(token)) },
		limit:     maxAnswer,
		http: &http.Client{
			Transport:     transport,
			Timeout:       timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// onlyLoopback keeps a connection without encryption on this machine.
func onlyLoopback(_, address string, _ syscall.RawConn) error {
	if !isLoopbackAddress(address) {
		return errors.New("plain http is for this machine only, and the name resolves to " + address)
	}
	return nil
}

// answer is what a relay sent.
type answer struct {
	Status   int
	Header   http.Header
	Body     []byte
	Duration time.Duration // from the request to the last byte
}

// observables asks an endpoint that takes a list of observables.
func (c *relayClient) observables(ctx context.Context, path string, asked []observable) (answer, error) {
	body, err := json.Marshal(asked)
	if err != nil {
		return answer{}, err
	}
	return c.ask(ctx, path, body)
}

// ask posts to an endpoint and reads the whole answer, whatever its status. A redirect is an error: the token is not carried to another place.
func (c *relayClient) ask(ctx context.Context, path string, body []byte) (answer, error) {
	target := c.base.JoinPath(path)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	c.authorize(request.Header)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "relayctl")
	begin := time.Now()
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, c.unreachable(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, c.limit+1))
	if err != nil {
		return answer{}, c.unreachable(err)
	}
	if int64(len(content)) > c.limit {
		return answer{}, fmt.Errorf("the answer of %s is larger than %d MiB", c.base.Host, c.limit>>20)
	}
	got := answer{Status: response.StatusCode, Header: response.Header, Body: content, Duration: time.Since(begin)}
	if got.Status >= 300 && got.Status < 400 {
		return got, fmt.Errorf("%s redirects to %q; the token is not sent there. Give the URL of the relay itself", c.base.Host, response.Header.Get("Location"))
	}
	return got, nil
}

// unreachable says in words why there was no answer.
func (c *relayClient) unreachable(err error) error {
	if urlError, ok := errors.AsType[*url.Error](err); ok {
		if urlError.Timeout() {
			return fmt.Errorf("no answer from %s in %s; --timeout waits longer", c.base.Host, c.http.Timeout)
		}
		err = urlError.Err
	}
	return fmt.Errorf("cannot reach the relay at %s: %w", c.base.Host, err)
}

// problem is the error of an answer that is not the relay's envelope: the relay answers 200 to everything that it understood.
func (a answer) problem() error {
	if a.Status == http.StatusOK {
		return nil
	}
	hint := ""
	switch a.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		hint = ". The relay itself never says this: whatever stands before it refused the call. Cloud Run must allow unauthenticated calls (the relay checks the token)"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		hint = ". Is this URL a relay?"
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		hint = ". The relay did not get to answer; its log may say why"
	}
	var said struct{ Message string }
	if json.Unmarshal(a.Body, &said) == nil && said.Message != "" {
		return fmt.Errorf("the relay answered %d %s: %s%s", a.Status, http.StatusText(a.Status), short(said.Message, 300), hint)
	}
	return fmt.Errorf("the relay answered %d %s%s", a.Status, http.StatusText(a.Status), hint)
}
