package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"qualysrelay.example/ctim/ctimschema"
	"qualysrelay.example/relay"
)

// Names of the steps.
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
	connectTimeout = 10 * time.Second    // for a name, a connection, a handshake
	expiresSoon    = 14 * 24 * time.Hour // of a certificate
	clockLeeway    = time.Minute         // that the relay gives the times in a token
	clockDoubt     = 10 * time.Second    // more than a clock that is kept should be off
)

// checker takes the steps of a check.
type checker struct {
	raw      string                           // the URL as it was given
	connect  func(base *url.URL) *relayClient // a function, as it holds the token
	hasToken bool
	redact   func(string) string // takes the token out of what a server sent
	timeout  time.Duration
	now      func() time.Time
	waiting  func(step string) (done func()) // tells the user what is waited for

	// For tests, which have an authority and name servers of their own.
	roots    *x509.CertPool
	resolver *net.Resolver

	client *relayClient // from the first step on
	dates  *datesSeen   // nil while nothing answered
}

// datesSeen is what the clock is judged by: the server's Date, and the local time before and after.
type datesSeen struct {
	date       string
	begin, end time.Time
}

func newChecker(raw string, token secret, timeout time.Duration, now func() time.Time) *checker {
	return &checker{
		raw:      raw,
		connect:  func(base *url.URL) *relayClient { return newRelayClient(base, token, timeout) },
		hasToken: token != "",
		redact: func(s string) string {
			if token == "" {
				return s
			}
			return strings.ReplaceAll(s, string(token), redacted)
		},
		timeout: timeout,
		now:     now,
		waiting: func(string) func() { return func() {} },

		resolver: net.DefaultResolver,
	}
}

// run takes the steps in their order and tells each result. A step that builds on one that failed is skipped. The error is the context's or tell's.
func (c *checker) run(ctx context.Context, tell func(checkResult) error) error {
	defer func() {
		if c.client != nil {
			c.client.http.CloseIdleConnections()
		}
	}()
	blocked := make(map[string]string) // by step: the one that failed
	for _, step := range []struct {
		name, after string
		take        func(context.Context) checkResult
	}{
		{stepURL, "", c.checkForm},
		{stepName, stepURL, c.checkName},
		{stepConnection, stepName, c.checkConnection},
		{stepVersion, stepConnection, c.checkVersion},
		{stepWatchdog, stepVersion, c.checkWatchdog},
		{stepClock, stepConnection, c.checkClock},
		{stepRefusal, stepVersion, c.checkRefusal},
		{stepHealth, stepRefusal, c.checkHealth}, // where nothing refuses a forged token, the good one is not shown
		{stepObserve, stepHealth, c.checkObserve},
		{stepSlashes, stepVersion, c.checkSlashes},
	} {
		var r checkResult
		var took time.Duration
		if culprit := blocked[step.after]; culprit != "" {
			blocked[step.name] = culprit
			r = skipped(`because "` + culprit + `" failed`)
		} else {
			done := c.waiting(step.name)
			begin := time.Now()
			r = step.take(ctx)
			took = time.Since(begin)
			done()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.Mark == markFailed {
			blocked[step.name] = step.name
		}
		r.Step = step.name
		if err := tell(r.timed(took)); err != nil {
			return err
		}
	}
	return nil
}

// checkForm looks at the form of the URL.
func (c *checker) checkForm(context.Context) checkResult {
	u, err := checkURL("the URL", c.raw)
	if err != nil {
		seen := plain(err.Error())
		if strings.Contains(c.raw, "@") { // a password may be before it
			seen = "the URL holds an @, as if there were credentials in it, or is none"
		}
		return bad(seen, "XDR puts the endpoints' paths after the module's URL, and the token, with the Qualys password in it, into each request: "+
			"only https keeps it from others on the way.",
			"Give the relay's URL like https://relay-abc-ew.a.run.app. On Cloud Run:", cmdURL)
	}
	base := *u
	base.Path, base.RawPath = strings.TrimRight(u.Path, "/"), ""
	c.client = c.connect(&base)
	if transport, ok := c.client.http.Transport.(*http.Transport); ok && c.roots != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: c.roots, MinVersion: tls.VersionTLS12}
	}
	switch seen := short(c.raw, 200); {
	case base.Path != "":
		return doubtful(seen+": it has a path", "XDR puts /observe/observables and the other paths after it. The relay knows them at the root only.",
			fmt.Sprintf("Unless something before the relay takes the path away, put %s://%s into the module.", base.Scheme, plain(base.Host)))
	case u.Path != "":
		return doubtful(seen+": it ends with a slash", `XDR puts /observe/observables after it, which makes "//observe/observables". The functions framework answers that `+
			`with a redirect (307), and a POST may not survive one; see "slashes".`,
			fmt.Sprintf("Put %s://%s into the module, without the slash.", base.Scheme, plain(base.Host)))
	case base.Scheme == "http":
		return good("%s: this machine, without TLS; XDR cannot reach it", seen)
	default:
		return good("%s", seen)
	}
}

// proxy is the proxy that requests go through by the environment (HTTPS_PROXY); "" is none.
func (c *checker) proxy() string {
	transport, ok := c.client.http.Transport.(*http.Transport)
	if !ok || transport.Proxy == nil {
		return ""
	}
	u, err := transport.Proxy(&http.Request{URL: c.client.base})
	if err != nil || u == nil {
		return ""
	}
	return plain(u.Host) // without its credentials
}

// checkName resolves the host's name.
func (c *checker) checkName(ctx context.Context) checkResult {
	host := c.client.base.Hostname()
	if proxy := c.proxy(); proxy != "" {
		return skipped("the proxy " + proxy + " resolves it")
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return reachable(addr.String()+", no name", []netip.Addr{addr})
	}
	ctx, cancel := context.WithTimeout(ctx, min(c.timeout, connectTimeout))
	defer cancel()
	addrs, err := c.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return c.unreached(err)
	}
	var names []string
	for _, addr := range addrs {
		names = append(names, addr.Unmap().String())
	}
	return reachable(short(host, 100)+" is "+short(strings.Join(names, ", "), 120), addrs)
}

// reachable doubts addresses that exist inside of a network only.
func reachable(seen string, addrs []netip.Addr) checkResult {
	if !slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !a.Unmap().IsPrivate() && !a.Unmap().IsLinkLocalUnicast() }) {
		return doubtful(seen, "This is a private address: it is reached from your network, and not by XDR, which calls from the internet.",
			"Look up the name from outside. XDR needs a public address, such as a Cloud Run URL or a load balancer's.")
	}
	return good("%s", seen)
}

// checkConnection connects and, for https, looks at the certificate.
func (c *checker) checkConnection(ctx context.Context) checkResult {
	base := c.client.base
	transport, ok := c.client.http.Transport.(*http.Transport)
	if proxy := c.proxy(); proxy != "" || !ok {
		return skipped("the proxy " + proxy + ` makes it; "version" tells whether it can`)
	}
	port := base.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[base.Scheme]
	}
	ctx, cancel := context.WithTimeout(ctx, min(c.timeout, connectTimeout))
	defer cancel()
	conn, err := transport.DialContext(ctx, "tcp", net.JoinHostPort(base.Hostname(), port))
	if err != nil {
		return c.unreached(err)
	}
	defer conn.Close()
	if base.Scheme == "http" {
		return good("connected to %s", conn.RemoteAddr())
	}
	secured := tls.Client(conn, &tls.Config{ServerName: base.Hostname(), RootCAs: c.roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}})
	if err := secured.HandshakeContext(ctx); err != nil {
		return c.unreached(err)
	}
	state := secured.ConnectionState()
	leaf := state.PeerCertificates[0]
	left := leaf.NotAfter.Sub(c.now())
	seen := fmt.Sprintf("%s with %s; the certificate of %s, by %s, is valid until %s",
		tls.VersionName(state.Version), conn.RemoteAddr(), namesOf(leaf), short(issuerOf(leaf), 60), leaf.NotAfter.UTC().Format(time.DateOnly))
	if left < expiresSoon {
		return doubtful(seen, fmt.Sprintf("It expires in %s. From then on XDR cannot connect.", count(max(0, int(left.Hours()/24)), "day")),
			"Renew it. Google renews the certificates of Cloud Run and its managed ones by itself; one that it did not renew has a domain whose DNS does not point there any more.")
	}
	return good("%s", seen)
}

// checkVersion asks for the version, to see whether this is a relay.
func (c *checker) checkVersion(ctx context.Context) checkResult {
	got, err := c.send(ctx, http.MethodPost, pathVersion, nil, nil)
	if err != nil {
		return c.unreached(err)
	}
	var said struct{ Version string }
	if got.Status == http.StatusOK && json.Unmarshal(got.Body, &said) == nil && said.Version != "" {
		seen := "relay " + c.remote(said.Version, 40)
		if said.Version != relay.Version {
			seen += "; this relayctl is made for " + relay.Version
		}
		return good("%s", seen)
	}
	if _, ok := envelopeOf(got); ok || got.Status == http.StatusMethodNotAllowed && isRelayStatus(got) {
		return bad(c.described(got), "A relay's function for another endpoint may be here. XDR needs all endpoints under one URL.",
			`Deploy the function "relay", which serves them all (--function=relay, or with the image of another):`, cmdFunction)
	}
	return c.stranger(got)
}

// checkWatchdog lets the relay repeat a header.
func (c *checker) checkWatchdog(ctx context.Context) checkResult {
	sent := rand.Text()
	got, err := c.send(ctx, http.MethodGet, pathWatchdog, func(h http.Header) { h.Set("Health-Check", sent) }, nil)
	if err != nil {
		return c.unreached(err)
	}
	said, ok := envelopeOf(got)
	if !ok {
		return c.stranger(got)
	}
	var echo string
	switch _ = json.Unmarshal(said.Data, &echo); {
	case echo == sent:
		return good("the Health-Check header came back")
	case len(said.Errors) > 0 && said.Errors[0].Code == string(relay.CodeHealthCheck):
		return bad("the relay did not see the Health-Check header", "Something between you and the relay takes headers away that it does not know.",
			"Let the load balancer or proxy before the relay pass all request headers.")
	default:
		return bad("another Health-Check header came back than was sent", "A cache between you and the relay answers in its place, perhaps for other tenants too.",
			"Take the relay out of the CDN or cache. Its answers say Cache-Control: no-store.")
	}
}

// checkClock holds the Date of the answers against the clock of this machine. A Date has whole seconds, and is of some moment of the exchange.
func (c *checker) checkClock(context.Context) checkResult {
	if c.dates == nil {
		return skipped("nothing answered")
	}
	date, err := http.ParseTime(c.dates.date)
	if err != nil {
		return doubtful("the answers have no Date header that can be read", "Whether this machine's clock agrees with the relay's cannot be told.")
	}
	off := time.Duration(0) // positive: this machine is ahead
	if d := c.dates.begin.Sub(date.Add(time.Second)); d > 0 {
		off = d
	} else if d := c.dates.end.Sub(date); d < 0 {
		off = d
	}
	distance := off.Abs().Round(time.Second)
	if distance <= clockDoubt {
		return good("this machine and the server agree to within %s", count(max(1, int(distance.Seconds())), "second"))
	}
	direction := "behind"
	if off > 0 {
		direction = "ahead of"
	}
	seen := fmt.Sprintf("this machine is %s %s the server", distance, direction)
	const mend = "Set the clock of this machine, and let it be kept (timedatectl set-ntp true). Google keeps the relay's."
	if distance <= clockLeeway {
		return doubtful(seen, "The relay allows a minute for the times in tokens, so this works yet.", mend)
	}
	means := "The relay allows a minute for the times in tokens. Tokens that are made here expire earlier than they say."
	if off > 0 {
		means = `The relay allows a minute for the times in tokens. One that is made here is refused at first: "JWT was issued in the future".`
	}
	return bad(seen, means, mend)
}

// checkRefusal wants a refusal, in the relay's own words, of a request without a token and of a forged token.
func (c *checker) checkRefusal(ctx context.Context) checkResult {
	without, said := c.refusal(ctx, nil)
	if without != nil {
		return *without
	}
	if !strings.Contains(said, saysNoHeader) {
		return bad("a request without Authorization header was answered: "+c.remote(said, 200),
			"Something before the relay puts an Authorization header of its own into the requests, in place of XDR's.",
			"Take that out. API Gateway and Identity-Aware Proxy do so (and move XDR's to X-Forwarded-Authorization): the relay must not be behind them.")
	}
	forged, said := c.refusal(ctx, func(h http.Header) { h.Set("Authorization", "Bearer "+forgedToken()) })
	switch {
	case forged != nil:
		return *forged
	case strings.Contains(said, saysNoHeader):
		return bad("a request with an Authorization header was answered: "+c.remote(said, 200), "Something before the relay takes the Authorization header away.",
			"Let the load balancer or proxy before the relay pass it. API Gateway and Identity-Aware Proxy move it to X-Forwarded-Authorization: the relay must not be behind them.")
	case strings.Contains(said, saysNoKey):
		return good("no token and a forged one were refused; the relay has no key for HS256, so that it takes tokens of XDR (RS256) only")
	}
	return good("no token and a forged one were refused")
}

// refusal sends a request that must be refused, and returns what the relay says to that; else what is wrong.
func (c *checker) refusal(ctx context.Context, header func(http.Header)) (wrong *checkResult, said string) {
	got, err := c.send(ctx, http.MethodPost, pathHealth, header, nil)
	if err != nil {
		r := c.unreached(err)
		return &r, ""
	}
	answer, ok := envelopeOf(got)
	switch {
	case !ok:
		r := c.stranger(got)
		return &r, ""
	case len(answer.Errors) == 0:
		what := "without a token"
		if header != nil {
			what = "with a forged token"
		}
		r := bad("a request "+what+" was answered as if it were a good one", "What answers here verifies no token: it is not this relay, or something before it puts a good token in.",
			"Find out what is at this URL before XDR sends it a Qualys password.")
		return &r, ""
	case answer.Errors[0].Code != string(relay.CodeAuthorization):
		r := c.explain(answer.Errors[0])
		return &r, ""
	}
	return nil, answer.Errors[0].Message
}

// forgedToken is a token as it should be, signed with a key that nobody has.
func forgedToken() string {
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"user": "relayctl-check", "pass": "none"}).SignedString([]byte(newKey()))
	if err != nil {
		panic(err) // HMAC takes every key
	}
	return token
}

const noTokenGiven = `no token: give --token-file, or set RELAY_TOKEN ("relayctl token" makes one)`

// checkHealth shows the token: the relay verifies it, logs in to Qualys and makes the smallest search there is.
func (c *checker) checkHealth(ctx context.Context) checkResult {
	if !c.hasToken {
		return skipped(noTokenGiven)
	}
	got, err := c.send(ctx, http.MethodPost, pathHealth, c.client.authorize, nil)
	if err != nil {
		return c.unreached(err)
	}
	answer, ok := envelopeOf(got)
	if !ok {
		return c.stranger(got)
	}
	if len(answer.Errors) > 0 {
		return c.explain(answer.Errors[0])
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
	if err := json.Unmarshal(answer.Data, &health); err != nil || health.Status != "ok" {
		return bad(c.described(got), "The relay does not say that it is well, and no error either: this is not this version's answer.", logsMend, cmdLogs)
	}
	seen, scarce := "token, Qualys login and search ok", false
	for _, name := range slices.Sorted(maps.Keys(health.Quotas)) {
		used, limit := health.Quotas[name].Values.Used, health.Quotas[name].Values.Limit
		seen += fmt.Sprintf("; %d of %d calls used", used, limit)
		scarce = scarce || limit > 0 && used >= limit/10*9
	}
	seen += timingOf(got)
	if scarce {
		return doubtful(seen, `Nearly all calls that Qualys allows are used up. When they are, analysts see "too many requests".`, quotaMend)
	}
	return good("%s", seen)
}

// checkObserve makes a search as XDR does, for an address that is in no network (RFC 5737).
func (c *checker) checkObserve(ctx context.Context) checkResult {
	if !c.hasToken {
		return skipped(noTokenGiven)
	}
	asked := observable{"ip", "192.0.2.1"}
	body, err := json.Marshal([]observable{asked})
	if err != nil {
		return bad(err.Error(), "")
	}
	got, err := c.send(ctx, http.MethodPost, pathObserve, c.client.authorize, body)
	if err != nil {
		return c.unreached(err)
	}
	answer, ok := envelopeOf(got)
	if !ok {
		return c.stranger(got)
	}
	if err := ctimschema.Validate("ObserveResponse", got.Body); err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return bad("the answer for "+asked.String()+" is not CTIM: "+c.remote(first, 300), "XDR may drop the answer, or parts of it.",
			"Update the relay. If it is the newest, report it with this line.")
	}
	if len(answer.Errors) > 0 {
		return c.explain(answer.Errors[0])
	}
	s, err := summarise([]observable{asked}, got.Body)
	if err != nil {
		return bad(c.remote(err.Error(), 300), "")
	}
	return good("%s: %s, valid CTIM%s", asked, count(len(s.Sightings), "sighting"), timingOf(got))
}

// checkSlashes shows what becomes of a module URL that was saved with a slash at its end.
func (c *checker) checkSlashes(ctx context.Context) checkResult {
	got, err := c.send(ctx, http.MethodPost, "/"+pathVersion, nil, nil)
	if err != nil {
		return c.unreached(err)
	}
	switch location := got.Header.Get("Location"); {
	case got.Status == http.StatusOK:
		return good("/%s is answered like %s", pathVersion, pathVersion)
	case got.Status >= 300 && got.Status < 400 && strings.HasSuffix(c.raw, "/"):
		return doubtful(fmt.Sprintf("/%s is redirected (%d) to %s", pathVersion, got.Status, c.remote(location, 100)),
			"With the URL as you gave it, XDR's requests end here.", "Put the URL into the module without the slash at its end.")
	case got.Status >= 300 && got.Status < 400:
		return good("/%s is redirected (%d) to %s: keep the module's URL without a slash at its end", pathVersion, got.Status, c.remote(location, 100))
	default:
		return good("/%s is answered with HTTP %d: keep the module's URL without a slash at its end", pathVersion, got.Status)
	}
}

// send asks, without following redirects, and reads the whole answer.
func (c *checker) send(ctx context.Context, method, path string, header func(http.Header), body []byte) (answer, error) {
	target := *c.client.base
	target.Path += path // not joined: two slashes are two
	request, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "relayctl")
	if header != nil {
		header(request.Header)
	}
	begin, local := time.Now(), c.now()
	response, err := c.client.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	if c.dates == nil {
		c.dates = &datesSeen{response.Header.Get("Date"), local, c.now()}
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, c.client.limit))
	if err != nil {
		return answer{}, err
	}
	return answer{Status: response.StatusCode, Header: response.Header, Body: content, Duration: time.Since(begin)}, nil
}

// timings is the relay's Server-Timing header.
var timings = regexp.MustCompile(`^total;dur=([0-9]{1,9})(?:\.[0-9]+)?, qualys;dur=([0-9]{1,9})(?:\.[0-9]+)?;desc="([0-9]{1,6}) calls"`)

// timingOf is where the relay's time went, in words.
func timingOf(a answer) string {
	found := timings.FindStringSubmatch(a.Header.Get("Server-Timing"))
	if found == nil {
		return ""
	}
	calls, _ := strconv.Atoi(found[3])
	return fmt.Sprintf("; relay %s ms, Qualys %s ms in %s", found[1], found[2], count(calls, "call"))
}

func namesOf(certificate *x509.Certificate) string {
	names := slices.Clone(certificate.DNSNames)
	for _, ip := range certificate.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		names = []string{"nobody"}
	}
	return short(strings.Join(names, ", "), 100)
}

// issuerOf is the authority's name.
func issuerOf(certificate *x509.Certificate) string {
	switch issuer := certificate.Issuer; {
	case issuer.CommonName != "" && len(issuer.Organization) > 0:
		return issuer.CommonName + " (" + issuer.Organization[0] + ")"
	case len(issuer.Organization) > 0:
		return issuer.Organization[0]
	default:
		return issuer.CommonName
	}
}
