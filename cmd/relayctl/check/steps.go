package check

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
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
	nameTimeout = 10 * time.Second    // for a name, or a connection with its handshake
	expiresSoon = 14 * 24 * time.Hour // of a certificate
	clockLeeway = time.Minute         // that the relay gives the times in a token
	clockKept   = 10 * time.Second    // a clock that is kept is off by less
)

// checkForm looks at the form of the URL.
func (c *checker) checkForm(context.Context) (string, error) {
	u, err := relayclient.ParseURL("the URL", c.URL)
	if err != nil {
		seen := plain.Text(err.Error())
		if strings.Contains(c.URL, "@") { // a password may be in front of it
			seen = "the URL holds an @, as if there were credentials in it, or is none"
		}
		r := bad(seen, "bad url")
		if suggestion := relayclient.Suggest(c.URL); suggestion != "" {
			r.Fix[0] = "Did you mean " + plain.Text(suggestion) + "? On Cloud Run, the relay's URL is:"
		}
		return "", r
	}
	base := *u
	base.Path, base.RawPath = strings.TrimRight(u.Path, "/"), ""
	c.client = relayclient.New(&base, c.Token, c.Timeout)
	c.client.Transport.TLSClientConfig = &tls.Config{RootCAs: c.roots, MinVersion: tls.VersionTLS12}
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: &base}); err == nil && proxy != nil {
		c.proxy = plain.Text(proxy.Host) // without its credentials
	}
	seen := plain.Short(c.URL, 200)
	switch {
	case base.Path != "":
		return "", warning(seen+": it has a path", "url with path")
	case u.Path != "":
		return "", warning(seen+": it ends with a slash", "url with slash")
	case base.Scheme == "http":
		seen += ": this machine, without TLS; XDR cannot reach it"
	}
	return seen, nil
}

// checkName resolves the host's name, and warns of addresses that exist inside of a network only.
func (c *checker) checkName(ctx context.Context) (seen string, err error) {
	if c.proxy != "" {
		return "", skipped("the proxy " + c.proxy + " resolves it")
	}
	host := c.client.Base.Hostname()
	addr, err := netip.ParseAddr(host)
	addrs, seen := []netip.Addr{addr}, addr.String()+", no name"
	if err != nil {
		ctx, cancel := context.WithTimeout(ctx, min(c.Timeout, nameTimeout))
		defer cancel()
		if addrs, err = c.resolver.LookupNetIP(ctx, "ip", host); err != nil {
			return "", err
		}
		var names []string
		for _, addr := range addrs {
			names = append(names, addr.Unmap().String())
		}
		seen = plain.Short(host, 100) + " is " + plain.Short(strings.Join(names, ", "), 120)
	}
	for _, a := range addrs {
		if a = a.Unmap(); !a.IsPrivate() && !a.IsLinkLocalUnicast() {
			return seen, nil
		}
	}
	return "", warning(seen, "private address")
}

// checkConnection connects and, for https, looks at the certificate.
func (c *checker) checkConnection(ctx context.Context) (string, error) {
	if c.proxy != "" {
		return "", skipped("the proxy " + c.proxy + ` makes it; "version" tells whether it can`)
	}
	base := c.client.Base
	port := cmp.Or(base.Port(), map[string]string{"http": "80", "https": "443"}[base.Scheme])
	ctx, cancel := context.WithTimeout(ctx, min(c.Timeout, nameTimeout))
	defer cancel()
	conn, err := c.client.Transport.DialContext(ctx, "tcp", net.JoinHostPort(base.Hostname(), port))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if base.Scheme == "http" {
		return fmt.Sprintf("connected to %s", conn.RemoteAddr()), nil
	}
	secured := tls.Client(conn, &tls.Config{ServerName: base.Hostname(), RootCAs: c.roots,
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}})
	if err := secured.HandshakeContext(ctx); err != nil {
		return "", err
	}
	state := secured.ConnectionState()
	leaf := state.PeerCertificates[0]
	seen := fmt.Sprintf("%s with %s; the certificate %s, is valid until %s", tls.VersionName(state.Version),
		conn.RemoteAddr(), origin(leaf), leaf.NotAfter.UTC().Format(time.DateOnly))
	if left := leaf.NotAfter.Sub(c.Now()); left < expiresSoon {
		seen += ", for " + plain.Count(max(0, int(left.Hours()/24)), "day") + " more"
		return "", warning(seen, "certificate expires")
	}
	return seen, nil
}

// answer is a response, and what a relay would say in it.
type answer struct {
	relayclient.Response
	said
}

// said are the fields of all documents of a relay: an envelope, its version, or a status of its own, which
// it gives for paths and methods that it does not know. They are empty in a response of something else.
type said struct {
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

// isStatus tells whether the relay itself gave the status.
func (a answer) isStatus() bool { return a.Code == a.Status && a.Message != "" && a.Reason != "" }

// send makes one call, and notes what the clock is judged by.
func (c *checker) send(ctx context.Context, r relayclient.Request) (a answer, err error) {
	begin := c.Now()
	if a.Response, err = c.client.Send(ctx, r); err != nil {
		return a, err
	}
	if c.answered.IsZero() {
		c.date, c.asked, c.answered = a.Header.Get("Date"), begin, c.Now()
	}
	if json.Unmarshal(a.Body, &a.said) != nil {
		a.said = said{}
	}
	return a, nil
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

// checkVersion asks for the version, to see whether this is a relay.
func (c *checker) checkVersion(ctx context.Context) (string, error) {
	a, err := c.send(ctx, relayclient.Request{Path: relayclient.PathVersion})
	switch {
	case err != nil:
		return "", err
	case a.isEnvelope() || a.Status == http.StatusMethodNotAllowed && a.isStatus():
		return "", bad(c.described(a), "another function")
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
	}, relay.CodeHealthCheck)
	switch {
	case err != nil:
		return "", err
	case len(a.Errors) > 0:
		return "", bad("the relay did not see the Health-Check header", "removed header")
	case string(a.Data) != `"`+sent+`"`:
		return "", bad("another Health-Check header came back than was sent", "cache in front")
	}
	return "the Health-Check header came back", nil
}

// checkClock holds the Date of an answer against the clock of this machine. A Date has whole seconds, and is
// of some moment of the exchange.
func (c *checker) checkClock(context.Context) (string, error) {
	if c.answered.IsZero() {
		return "", skipped("nothing answered")
	}
	date, err := http.ParseTime(c.date)
	if err != nil {
		return "", warning("the answers have no Date header that can be read", "no date")
	}
	ahead, behind := c.asked.Sub(date.Add(time.Second)), date.Sub(c.answered)
	distance := max(0, ahead, behind).Round(time.Second)
	if distance <= clockKept {
		return "this machine and the server agree to within " +
			plain.Count(max(1, int(distance.Seconds())), "second"), nil
	}
	seen, cause := fmt.Sprintf("this machine is %s behind the server", distance), "clock behind"
	if ahead > 0 {
		seen, cause = fmt.Sprintf("this machine is %s ahead of the server", distance), "clock ahead"
	}
	if distance <= clockLeeway {
		return "", warning(seen, "clock within the leeway")
	}
	return "", bad(seen, cause)
}

// Words of the relay's refusals (package relay/auth) that decide what is told.
const (
	saysNoHeader = "Authorization header is missing"
	saysNoKey    = "<SECRET_KEY> is missing"
)

// checkRefusal wants a refusal, in the relay's own words, of a request without a token and of a forged
// token, which is as it should be but for the key that signed it.
func (c *checker) checkRefusal(ctx context.Context) (string, error) {
	forged, err := token.Claims{User: "relayctl-check", Password: "none"}.Sign(secret.NewKey(), time.Now())
	if err != nil {
		return "", err // HMAC takes every key
	}
	bare, err := c.refusal(ctx, "without a token", nil)
	if err != nil {
		return "", err
	}
	if !strings.Contains(bare, saysNoHeader) {
		return "", bad("a request without Authorization header was answered: "+c.client.Quote(bare, 200),
			"added authorization")
	}
	said, err := c.refusal(ctx, "with a forged token",
		http.Header{"Authorization": {"Bearer " + string(forged)}})
	switch {
	case err != nil:
		return "", err
	case strings.Contains(said, saysNoHeader):
		return "", bad("a request with an Authorization header was answered: "+c.client.Quote(said, 200),
			"removed authorization")
	case strings.Contains(said, saysNoKey):
		return "no token and a forged one were refused; the relay has no key for HS256, so that it accepts " +
			"tokens of XDR (RS256) only", nil
	}
	return "no token and a forged one were refused", nil
}

// refusal sends a request that must be refused, and returns what the relay says to that.
func (c *checker) refusal(ctx context.Context, what string, header http.Header) (string, error) {
	a, err := c.envelope(ctx, relayclient.Request{Path: relayclient.PathHealth, Header: header},
		relay.CodeAuthorization)
	switch {
	case err != nil:
		return "", err
	case len(a.Errors) == 0:
		return "", bad("a request "+what+" was answered as if it had a good one", "no verification")
	}
	return a.Errors[0].Message, nil
}

// checkHealth shows the token: the relay verifies it, logs in to Qualys and makes the smallest search there
// is.
func (c *checker) checkHealth(ctx context.Context) (string, error) {
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
		return "", bad(c.described(a), "odd health")
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
		return "", bad("the answer for ip:192.0.2.1 is not CTIM: "+c.client.Quote(first, 300), "not CTIM")
	}
	return fmt.Sprintf("ip:192.0.2.1: %s, valid CTIM%s", plain.Count(len(r.Events), "event"),
		timingOf(a.Response)), nil
}

// checkSlashes shows what becomes of a module URL that was saved with a slash at its end.
func (c *checker) checkSlashes(ctx context.Context) (string, error) {
	const path = "/" + relayclient.PathVersion
	a, err := c.send(ctx, relayclient.Request{Path: path})
	if err != nil {
		return "", err
	}
	seen := fmt.Sprintf("%s is answered with HTTP %d", path, a.Status)
	switch {
	case a.Status == http.StatusOK:
		return fmt.Sprintf("%s is answered like %s", path, relayclient.PathVersion), nil
	case a.Status >= 300 && a.Status < 400:
		seen = fmt.Sprintf("%s is redirected (%d) to %s", path, a.Status,
			c.client.Quote(a.Header.Get("Location"), 100))
		if strings.HasSuffix(c.URL, "/") {
			return "", warning(seen, "redirected slashes")
		}
	}
	return seen + ": keep the module's URL without a slash at its end", nil
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
