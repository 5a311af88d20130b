package check

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
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

// Names of the steps, in their order.
const (
	stepURL        = "url"
	stepName       = "name"
	stepConnection = "connection"
	stepVersion    = "version"
	stepWatchdog   = "watchdog"
	stepClock      = "clock"
	stepRefusal    = "refusal"
	stepHealth     = "health"
	stepObserve    = "observe"
	stepSlashes    = "slashes"
)

const (
	nameTimeout = 10 * time.Second    // for a name, or a connection with its handshake
	expiresSoon = 14 * 24 * time.Hour // of a certificate
	clockLeeway = time.Minute         // that the relay gives the times in a token
	clockKept   = 10 * time.Second    // a clock that is kept is off by less
)

// checkForm looks at the form of the URL.
func (c *checker) checkForm(context.Context) Result {
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
		return r
	}
	base := *u
	base.Path, base.RawPath = strings.TrimRight(u.Path, "/"), ""
	c.client = relayclient.New(&base, c.Token, c.Timeout)
	if c.roots != nil {
		c.client.Transport.TLSClientConfig = &tls.Config{RootCAs: c.roots, MinVersion: tls.VersionTLS12}
	}
	switch seen := plain.Short(c.URL, 200); {
	case base.Path != "":
		return warning(seen+": it has a path", "url with path")
	case u.Path != "":
		return warning(seen+": it ends with a slash", "url with slash")
	case base.Scheme == "http":
		return good("%s: this machine, without TLS; XDR cannot reach it", seen)
	default:
		return good("%s", seen)
	}
}

// proxy is the proxy that requests go through by the environment (HTTPS_PROXY); "" is none.
func (c *checker) proxy() string {
	if c.client.Transport.Proxy == nil {
		return ""
	}
	u, err := c.client.Transport.Proxy(&http.Request{URL: c.client.Base})
	if err != nil || u == nil {
		return ""
	}
	return plain.Text(u.Host) // without its credentials
}

// checkName resolves the host's name.
func (c *checker) checkName(ctx context.Context) Result {
	host := c.client.Base.Hostname()
	if proxy := c.proxy(); proxy != "" {
		return skipped("the proxy " + proxy + " resolves it")
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return reachable(addr.String()+", no name", []netip.Addr{addr})
	}
	ctx, cancel := context.WithTimeout(ctx, min(c.Timeout, nameTimeout))
	defer cancel()
	addrs, err := c.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return c.unreached(err)
	}
	var names []string
	for _, addr := range addrs {
		names = append(names, addr.Unmap().String())
	}
	return reachable(plain.Short(host, 100)+" is "+plain.Short(strings.Join(names, ", "), 120), addrs)
}

// reachable warns of addresses that exist inside of a network only.
func reachable(seen string, addrs []netip.Addr) Result {
	for _, a := range addrs {
		if a = a.Unmap(); !a.IsPrivate() && !a.IsLinkLocalUnicast() {
			return good("%s", seen)
		}
	}
	return warning(seen, "private address")
}

// checkConnection connects and, for https, looks at the certificate.
func (c *checker) checkConnection(ctx context.Context) Result {
	base := c.client.Base
	if proxy := c.proxy(); proxy != "" {
		return skipped("the proxy " + proxy + ` makes it; "version" tells whether it can`)
	}
	port := cmp.Or(base.Port(), map[string]string{"http": "80", "https": "443"}[base.Scheme])
	ctx, cancel := context.WithTimeout(ctx, min(c.Timeout, nameTimeout))
	defer cancel()
	conn, err := c.client.Transport.DialContext(ctx, "tcp", net.JoinHostPort(base.Hostname(), port))
	if err != nil {
		return c.unreached(err)
	}
	defer conn.Close()
	if base.Scheme == "http" {
		return good("connected to %s", conn.RemoteAddr())
	}
	secured := tls.Client(conn, &tls.Config{ServerName: base.Hostname(), RootCAs: c.roots,
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}})
	if err := secured.HandshakeContext(ctx); err != nil {
		return c.unreached(err)
	}
	state := secured.ConnectionState()
	leaf := state.PeerCertificates[0]
	seen := fmt.Sprintf("%s with %s; the certificate of %s, by %s, is valid until %s",
		tls.VersionName(state.Version), conn.RemoteAddr(), namesOf(leaf), issuerOf(leaf),
		leaf.NotAfter.UTC().Format(time.DateOnly))
	if left := leaf.NotAfter.Sub(c.Now()); left < expiresSoon {
		seen += ", for " + plain.Count(max(0, int(left.Hours()/24)), "day") + " more"
		return warning(seen, "certificate expires")
	}
	return good("%s", seen)
}

// checkVersion asks for the version, to see whether this is a relay.
func (c *checker) checkVersion(ctx context.Context) Result {
	got, err := c.send(ctx, relayclient.Request{Path: relayclient.PathVersion})
	if err != nil {
		return c.unreached(err)
	}
	var answer struct{ Version string }
	if got.Status == http.StatusOK && json.Unmarshal(got.Body, &answer) == nil && answer.Version != "" {
		seen := "relay " + c.client.Quote(answer.Version, 40)
		if answer.Version != relay.Version {
			seen += "; this relayctl is made for " + relay.Version
		}
		return good("%s", seen)
	}
	if _, ok := envelopeOf(got); ok || got.Status == http.StatusMethodNotAllowed && isRelayStatus(got) {
		return bad(c.described(got), "another function")
	}
	return c.stranger(got)
}

// envelope makes one call and reads the relay's envelope; wrong is the result where there is none.
func (c *checker) envelope(ctx context.Context, r relayclient.Request) (
	got relayclient.Response, e envelope, wrong *Result,
) {
	got, err := c.send(ctx, r)
	if err != nil {
		return got, e, new(c.unreached(err))
	}
	e, ok := envelopeOf(got)
	if !ok {
		wrong = new(c.stranger(got))
	}
	return got, e, wrong
}

// checkWatchdog lets the relay repeat a header.
func (c *checker) checkWatchdog(ctx context.Context) Result {
	sent := rand.Text()
	_, e, wrong := c.envelope(ctx, relayclient.Request{
		Method: http.MethodGet, Path: relayclient.PathWatchdog, Header: http.Header{"Health-Check": {sent}},
	})
	if wrong != nil {
		return *wrong
	}
	var echo string
	switch _ = json.Unmarshal(e.Data, &echo); {
	case echo == sent:
		return good("the Health-Check header came back")
	case len(e.Errors) > 0 && e.Errors[0].Code == string(relay.CodeHealthCheck):
		return bad("the relay did not see the Health-Check header", "removed header")
	}
	return bad("another Health-Check header came back than was sent", "cache in front")
}

// checkClock holds the Date of the answers against the clock of this machine. A Date has whole seconds, and
// is of some moment of the exchange.
func (c *checker) checkClock(context.Context) Result {
	if c.dates == nil {
		return skipped("nothing answered")
	}
	date, err := http.ParseTime(c.dates.date)
	if err != nil {
		return warning("the answers have no Date header that can be read", "no date")
	}
	off := time.Duration(0) // positive: this machine is ahead
	if d := c.dates.begin.Sub(date.Add(time.Second)); d > 0 {
		off = d
	} else if d := c.dates.end.Sub(date); d < 0 {
		off = d
	}
	distance := off.Abs().Round(time.Second)
	if distance <= clockKept {
		return good("this machine and the server agree to within %s",
			plain.Count(max(1, int(distance.Seconds())), "second"))
	}
	direction, cause := "behind", "clock behind"
	if off > 0 {
		direction, cause = "ahead of", "clock ahead"
	}
	seen := fmt.Sprintf("this machine is %s %s the server", distance, direction)
	if distance <= clockLeeway {
		return warning(seen, "clock within the leeway")
	}
	return bad(seen, cause)
}

// Words of the relay's refusals (package relay/auth) that decide what is told.
const (
	saysNoHeader = "Authorization header is missing"
	saysNoKey    = "<SECRET_KEY> is missing"
)

// checkRefusal wants a refusal, in the relay's own words, of a request without a token and of a forged
// token, which is as it should be but for the key that signed it.
func (c *checker) checkRefusal(ctx context.Context) Result {
	refusal, wrong := c.refusal(ctx, "without a token", nil)
	switch {
	case wrong != nil:
		return *wrong
	case !strings.Contains(refusal, saysNoHeader):
		return bad("a request without Authorization header was answered: "+c.client.Quote(refusal, 200),
			"added authorization")
	}
	forged, err := token.Claims{User: "relayctl-check", Password: "none"}.Sign(secret.NewKey(), time.Now())
	if err != nil {
		return skipped(err.Error()) // HMAC takes every key
	}
	refusal, wrong = c.refusal(ctx, "with a forged token",
		http.Header{"Authorization": {"Bearer " + string(forged)}})
	switch {
	case wrong != nil:
		return *wrong
	case strings.Contains(refusal, saysNoHeader):
		return bad("a request with an Authorization header was answered: "+c.client.Quote(refusal, 200),
			"removed authorization")
	case strings.Contains(refusal, saysNoKey):
		return good("no token and a forged one were refused; the relay has no key for HS256, so that it " +
			"accepts tokens of XDR (RS256) only")
	}
	return good("no token and a forged one were refused")
}

// refusal sends a request that must be refused, and returns what the relay says to that; else what is wrong.
func (c *checker) refusal(ctx context.Context, what string, header http.Header) (
	said string, wrong *Result,
) {
	_, e, wrong := c.envelope(ctx, relayclient.Request{Path: relayclient.PathHealth, Header: header})
	switch {
	case wrong != nil:
		return "", wrong
	case len(e.Errors) == 0:
		return "", new(bad("a request "+what+" was answered as if it had a good one", "no verification"))
	case e.Errors[0].Code != string(relay.CodeAuthorization):
		return "", new(c.explain(e.Errors[0]))
	}
	return e.Errors[0].Message, nil
}

// checkHealth shows the token: the relay verifies it, logs in to Qualys and makes the smallest search there
// is.
func (c *checker) checkHealth(ctx context.Context) Result {
	got, e, wrong := c.envelope(ctx, relayclient.Request{Path: relayclient.PathHealth, Token: true})
	if wrong != nil {
		return *wrong
	}
	if len(e.Errors) > 0 {
		return c.explain(e.Errors[0])
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
	if err := json.Unmarshal(e.Data, &health); err != nil || health.Status != "ok" {
		return bad(c.described(got), "odd health")
	}
	seen, scarce := "token, Qualys login and search ok", false
	for _, name := range slices.Sorted(maps.Keys(health.Quotas)) {
		used, limit := health.Quotas[name].Values.Used, health.Quotas[name].Values.Limit
		seen += fmt.Sprintf("; %d of %d calls used", used, limit)
		scarce = scarce || limit > 0 && used >= limit/10*9
	}
	seen += timingOf(got)
	if scarce {
		return warning(seen, "scarce calls")
	}
	return good("%s", seen)
}

// checkObserve makes a search as XDR does, for an address that is in no network (RFC 5737).
func (c *checker) checkObserve(ctx context.Context) Result {
	const searched = "ip:192.0.2.1"
	got, e, wrong := c.envelope(ctx, relayclient.Request{
		Path: relayclient.PathObserve, Body: []byte(`[{"type":"ip","value":"192.0.2.1"}]`), Token: true,
	})
	if wrong != nil {
		return *wrong
	}
	if err := ctimschema.Validate("ObserveResponse", got.Body); err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return bad("the answer for "+searched+" is not CTIM: "+c.client.Quote(first, 300), "not CTIM")
	}
	if len(e.Errors) > 0 {
		return c.explain(e.Errors[0])
	}
	r, err := report.Read(nil, got.Body)
	if err != nil {
		return bad(c.client.Quote(err.Error(), 300), "not CTIM")
	}
	return good("%s: %s, valid CTIM%s", searched, plain.Count(len(r.Events), "event"), timingOf(got))
}

// checkSlashes shows what becomes of a module URL that was saved with a slash at its end.
func (c *checker) checkSlashes(ctx context.Context) Result {
	const path = "/" + relayclient.PathVersion
	got, err := c.send(ctx, relayclient.Request{Path: path})
	if err != nil {
		return c.unreached(err)
	}
	seen := fmt.Sprintf("%s is answered with HTTP %d", path, got.Status)
	switch {
	case got.Status == http.StatusOK:
		return good("%s is answered like %s", path, relayclient.PathVersion)
	case got.Status >= 300 && got.Status < 400:
		seen = fmt.Sprintf("%s is redirected (%d) to %s", path, got.Status,
			c.client.Quote(got.Header.Get("Location"), 100))
		if strings.HasSuffix(c.URL, "/") {
			return warning(seen, "redirected slashes")
		}
	}
	return good("%s: keep the module's URL without a slash at its end", seen)
}

// timingOf is where the relay's time went, in words.
func timingOf(a relayclient.Response) string {
	t, ok := a.Timing()
	if !ok {
		return ""
	}
	return fmt.Sprintf("; relay %.0f ms, Qualys %.0f ms in %s", t.Total, t.Qualys, plain.Count(t.Calls, "call"))
}

func namesOf(certificate *x509.Certificate) string {
	names := slices.Clone(certificate.DNSNames)
	for _, ip := range certificate.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		names = []string{"nobody"}
	}
	return plain.Short(strings.Join(names, ", "), 100)
}

// issuerOf is the authority's name.
func issuerOf(certificate *x509.Certificate) string {
	name := certificate.Issuer.CommonName
	if organization := strings.Join(certificate.Issuer.Organization, ", "); organization != "" {
		name = strings.TrimSpace(name + " (" + organization + ")")
	}
	return plain.Short(name, 60)
}
