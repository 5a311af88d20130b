package check

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"time"

	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/report"
	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/cmd/relayctl/token"
	"qualysrelay.example/ctim/ctimschema"
	"qualysrelay.example/relay"
)

const (
	slow        = 10 * time.Second    // longer than a step should take
	expiresSoon = 14 * 24 * time.Hour // of a certificate
	clockLeeway = time.Minute         // that the relay gives the times in a token
	clockKept   = 10 * time.Second    // a clock that is kept is off by less
)

// checkForm looks at the form of the URL.
func (c *checker) checkForm(context.Context) (string, error) {
	u, err := relayclient.ParseURL("the URL", c.URL)
	if err != nil {
		return "", bad(plain.Text(err.Error()), "bad url")
	}
	c.client = relayclient.New(u, c.Token, c.Timeout)
	seen := plain.Short(c.URL, 200)
	switch {
	case u.Path != "":
		return "", warning(seen+": it has a path, or a slash at its end", "url with path")
	case u.Scheme == "http":
		seen += ": this machine, without TLS; XDR cannot reach it"
	}
	return seen, nil
}

// checkConnection sends the first request, and looks at where it went and at the certificate.
func (c *checker) checkConnection(ctx context.Context) (seen string, err error) {
	var peer net.Addr // the relay, or a proxy
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) { peer = got.Conn.RemoteAddr() },
	})
	c.asked = c.Now()
	c.first, err = c.send(traced, relayclient.Request{Path: relayclient.PathVersion})
	c.answered = c.Now()
	if err != nil {
		return "", err
	}
	seen = fmt.Sprintf("connected to %s", peer)
	if c.proxied() {
		seen = fmt.Sprintf("connected through the proxy %s", peer)
	}
	if state := c.first.TLS; state != nil {
		leaf := state.PeerCertificates[0]
		seen += fmt.Sprintf(" with %s; the certificate %s, is valid until %s", tls.VersionName(state.Version),
			origin(leaf), leaf.NotAfter.UTC().Format(time.DateOnly))
		if leaf.NotAfter.Sub(c.Now()) < expiresSoon {
			return "", warning(seen, "certificate expires")
		}
	}
	if !c.proxied() && isPrivate(peer) {
		return "", warning(seen, "private address")
	}
	return seen, nil
}

// proxied tells whether requests go through a proxy of the environment.
func (c *checker) proxied() bool {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: c.client.Base})
	return err != nil || proxy != nil
}

// isPrivate tells whether an address exists inside of a network only.
func isPrivate(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && (tcp.IP.IsPrivate() || tcp.IP.IsLinkLocalUnicast())
}

// answer is a response, and what a relay would say in it: an envelope, its version, or a status of its own,
// which it gives for paths and methods that it does not know. The fields are empty in a response of something
// else.
type answer struct {
	relayclient.Response `json:"-"`

	Data            json.RawMessage
	Errors          []report.Error
	Version         string
	Code            int
	Message, Reason string
}

// isEnvelope tells whether the relay answered what was asked.
func (a answer) isEnvelope() bool {
	return a.Status == http.StatusOK && (a.Data != nil || len(a.Errors) > 0)
}

// isRelay tells whether a relay answered, whatever was asked.
func (a answer) isRelay() bool {
	return a.isEnvelope() || a.Code == a.Status && a.Message != "" && a.Reason != ""
}

// send makes one call.
func (c *checker) send(ctx context.Context, r relayclient.Request) (answer, error) {
	got, err := c.client.Send(ctx, r)
	a := answer{}
	if json.Unmarshal(got.Body, &a) != nil {
		a = answer{} // something else that is JSON, or like it
	}
	a.Response = got
	return a, err
}

// envelope makes one call that a relay answers with an envelope. Another answer is an error, and so is an
// error in the envelope, but for the code that is expected; "" is none.
func (c *checker) envelope(ctx context.Context, r relayclient.Request, expected relay.Code) (answer, error) {
	a, err := c.send(ctx, r)
	switch {
	case err != nil:
		return a, err
	case !a.isEnvelope():
		return a, c.stranger(a)
	case len(a.Errors) > 0 && (expected == "" || a.Errors[0].Code != string(expected)):
		return a, c.explain(a.Errors[0])
	}
	return a, nil
}

// checkClock holds the Date of the first answer against the clock of this machine. A Date has whole seconds,
// and is of some moment of the exchange.
func (c *checker) checkClock(context.Context) (string, error) {
	date, err := http.ParseTime(c.first.Header.Get("Date"))
	if err != nil {
		return "", warning("the answer has no Date header that can be read", "no date")
	}
	ahead, behind := c.asked.Sub(date.Add(time.Second)), date.Sub(c.answered)
	distance := max(0, ahead, behind).Round(time.Second)
	seen := fmt.Sprintf("this machine is %s behind the server", distance)
	if ahead > 0 {
		seen = fmt.Sprintf("this machine is %s ahead of the server", distance)
	}
	switch {
	case distance <= clockKept:
		return "this machine and the server agree to within " +
			plain.Count(max(1, int(distance.Seconds())), "second"), nil
	case distance <= clockLeeway:
		return "", warning(seen, "clock")
	}
	return "", bad(seen, "clock")
}

// checkVersion looks whether the first answer is a relay's.
func (c *checker) checkVersion(context.Context) (string, error) {
	a := c.first
	switch {
	case a.Status != http.StatusOK || a.Version == "":
		return "", c.stranger(a)
	case a.Version != relay.Version:
		return fmt.Sprintf("relay %s; this relayctl is made for %s", c.client.Quote(a.Version, 40),
			relay.Version), nil
	}
	return "relay " + a.Version, nil
}

// checkWatchdog lets the relay repeat a header.
func (c *checker) checkWatchdog(ctx context.Context) (string, error) {
	sent := rand.Text()
	a, err := c.envelope(ctx, relayclient.Request{
		Method: http.MethodGet, Path: relayclient.PathWatchdog, Header: http.Header{"Health-Check": {sent}},
	}, "")
	switch {
	case err != nil:
		return "", err
	case string(a.Data) != `"`+sent+`"`:
		return "", bad("another Health-Check header came back than was sent", "cache in front")
	}
	return "the Health-Check header came back", nil
}

// checkRefusal wants a refusal of a request without a token, in the relay's own words (package relay/auth),
// and of a forged token, which is as it should be but for the key that signed it.
func (c *checker) checkRefusal(ctx context.Context) (string, error) {
	forged, err := token.Claims{User: "relayctl-check", Password: "none"}.Sign(secret.NewKey(), time.Now())
	if err != nil {
		return "", err // HMAC takes every key
	}
	last := ""
	for _, header := range []http.Header{nil, {"Authorization": {"Bearer " + string(forged)}}} {
		a, err := c.envelope(ctx, relayclient.Request{Path: relayclient.PathHealth, Header: header},
			relay.CodeAuthorization)
		if err != nil {
			return "", err
		}
		what := "a request without Authorization header"
		if header != nil {
			what = "a request with a forged token"
		}
		if len(a.Errors) == 0 {
			return "", bad(what+" was answered as if it had a good one", "no verification")
		}
		last = c.client.Quote(a.Errors[0].Message, 200)
		if missing := strings.Contains(last, "Authorization header is missing"); missing != (header == nil) {
			return "", bad(what+" was answered: "+last, "changed authorization")
		}
	}
	if strings.Contains(last, "<SECRET_KEY> is missing") {
		return "no token and a forged one were refused; the relay has no key for HS256, so that it accepts " +
			"tokens of XDR (RS256) only", nil
	}
	return "no token and a forged one were refused", nil
}

// checkHealth shows the token: the relay verifies it, logs in to Qualys and makes the smallest search there
// is.
func (c *checker) checkHealth(ctx context.Context) (string, error) {
	if c.Token == "" {
		return "", bad(`no token: give --token-file, or set RELAY_TOKEN ("relayctl token" makes one)`, "no token")
	}
	a, err := c.envelope(ctx, relayclient.Request{Path: relayclient.PathHealth, Token: true}, "")
	if err != nil {
		return "", err
	}
	var health struct {
		Status string
		Quotas map[string]struct {
			Values struct {
				Limit int `json:"bucket_limit"`
				Used  int `json:"current_bucket_consumption"`
			}
		}
	}
	if err := json.Unmarshal(a.Data, &health); err != nil || health.Status != "ok" {
		return "", bad(c.described(a), "odd answer")
	}
	seen, scarce := "token, Qualys login and search ok", false
	for _, name := range slices.Sorted(maps.Keys(health.Quotas)) {
		used, limit := health.Quotas[name].Values.Used, health.Quotas[name].Values.Limit
		seen += fmt.Sprintf("; %d of %d calls used", used, limit)
		scarce = scarce || limit > 0 && used >= limit/10*9
	}
	seen += timingOf(a.Response)
	if scarce {
		return "", warning(seen, "scarce calls")
	}
	return seen, nil
}

// checkObserve makes a search as XDR does, for an address that is in no network (RFC 5737).
func (c *checker) checkObserve(ctx context.Context) (string, error) {
	a, err := c.envelope(ctx, relayclient.Request{
		Path: relayclient.PathObserve, Body: []byte(`[{"type":"ip","value":"192.0.2.1"}]`), Token: true,
	}, "")
	if err != nil {
		return "", err
	}
	r, err := report.Read(nil, a.Body)
	if err == nil {
		err = ctimschema.Validate("ObserveResponse", a.Body)
	}
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return "", bad("the answer for ip:192.0.2.1 is not CTIM: "+c.client.Quote(first, 300), "odd answer")
	}
	return fmt.Sprintf("ip:192.0.2.1: %s, valid CTIM%s", plain.Count(len(r.Events), "event"),
		timingOf(a.Response)), nil
}

// timingOf is where the relay's time went, in words.
func timingOf(a relayclient.Response) string {
	t := a.Timing()
	if t == (relayclient.Timing{}) {
		return ""
	}
	return fmt.Sprintf("; relay %.0f ms, Qualys %.0f ms in %s", t.Total, t.Qualys,
		plain.Count(t.Calls, "call"))
}
