package probe_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"qualysrelay.example/cmd/relayctl/probe"
	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/qualys/qualystest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a gateway and what it serves.
type fake struct {
	*qualystest.Server
	events []qualystest.Event
}

// gateway starts a fake. What it takes for mistakes is what the probe tries on purpose.
func gateway(t *testing.T, c qualystest.Config) fake {
	t.Helper()
	if c.Events == nil {
		c.Events = events()
	}
	s, err := qualystest.Listen(c, nil)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return fake{s, c.Events}
}

// events are the story, and a connection with ports.
func events() []qualystest.Event {
	const connection = `{"id":"N_1","type":"NETWORK","dateTime":"2026-03-20T00:00:00.000+0000",` +
		`"process":{"processName":"telnet.exe"},"network":{"remoteIP":"203.0.113.200","localPort":49152,"remotePort":23}}`
	return append(qualystest.Story(),
		qualystest.Raw(connection, "process.name", "telnet.exe").At("2026-03-20T00:00:00Z"))
}

// probed probes the gateway at a URL, and holds what is true of every probe: few calls, only such as read,
// and no value in what it says.
func probed(t *testing.T, s fake, o probe.Options) *probe.Result {
	t.Helper()
	if o.Gateway == nil {
		o.Gateway = parsed(t, s.URL)
	}
	o.User, o.Password = qualystest.User, secret.Value(qualystest.Password)
	o.Timeout, o.Testing = cmp.Or(o.Timeout, time.Minute), func(string) func() { return func() {} }
	if o.Wait == nil {
		o.Wait = func(context.Context, time.Duration) {}
	}
	r, err := probe.Run(t.Context(), o)
	require.NoError(t, err)
	assert.LessOrEqual(t, s.Calls(), 60)
	assert.LessOrEqual(t, r.Calls, 60)
	assert.Equal(t, 1, s.Logins())
	report := r.Report("1.2.3")
	require.True(t, json.Valid(report))
	table := r.Table(100)
	assertNoValues(t, string(report)+table, s)
	for _, line := range strings.Split(table, "\n") {
		assert.LessOrEqual(t, len([]rune(line)), 100, line)
	}
	return r
}

// assertNoValues holds that a text has no text and no longer number of the events that the fake serves, and
// no credential.
func assertNoValues(t *testing.T, text string, s fake) {
	t.Helper()
	values := map[string]bool{qualystest.User: true, qualystest.Password: true, url.QueryEscape(qualystest.Password): true}
	var collect func(v any)
	collect = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, inner := range v {
				collect(inner)
			}
		case []any:
			for _, inner := range v {
				collect(inner)
			}
		case string:
			values[v] = len(v) > 2
		case float64:
			values[fmt.Sprint(int64(v))] = v > 9999
		}
	}
	for _, e := range s.events {
		var doc any
		require.NoError(t, json.Unmarshal(e.JSON(), &doc))
		collect(doc)
	}
	for _, ours := range []string{"FILE", "PROCESS", "NETWORK", "MUTEX", "REGISTRY", "EDR"} {
		delete(values, ours)
	}
	require.Greater(t, len(values), 2)
	word := func(c byte) bool { return regexp.MustCompile(`\w`).MatchString(string(c)) }
	for value, wanted := range values {
		quoted, _ := json.Marshal(value)
		for _, form := range []string{value, strings.Trim(string(quoted), `"`)} {
			at := strings.Index(text, form)
			if wanted && at >= 0 && (at == 0 || !word(text[at-1]) || !word(form[0])) &&
				(at+len(form) == len(text) || !word(text[at+len(form)])) {
				t.Errorf("%q is in what the probe says: …%s…", value, text[max(at-80, 0):at+len(form)])
			}
		}
	}
}

func parsed(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	require.NoError(t, err)
	return u
}

func outcomes(r *probe.Result, o probe.Outcome) []string {
	names := []string{}
	for _, f := range r.Findings {
		if f.Outcome == o {
			names = append(names, f.Name)
		}
	}
	return names
}

func finding(t *testing.T, r *probe.Result, name string) probe.Finding {
	t.Helper()
	i := slices.IndexFunc(r.Findings, func(f probe.Finding) bool { return f.Name == name })
	require.GreaterOrEqual(t, i, 0, "no belief %q", name)
	return r.Findings[i]
}

func TestEveryBeliefHoldsAtTheFake(t *testing.T) {
	t.Parallel()
	many := append(events(), qualystest.Generate(1, 1100, qualystest.Values{State: qualystest.HistoryState})...)
	s := gateway(t, qualystest.Config{Events: many})
	s.SetHeader("X-RateLimit-Limit", "300")
	s.SetHeader("X-RateLimit-Remaining", "250")
	r := probed(t, s, probe.Options{})
	assert.Empty(t, outcomes(r, probe.DoesNotHold))
	assert.Equal(t, []string{"handle.name"}, outcomes(r, probe.CouldNotTell), "no event shows the name of its mutex")
	for _, f := range r.Findings {
		assert.NotEmpty(t, f.Seen, f.Name)
	}
	t.Logf("%d beliefs, %d calls", len(r.Findings), r.Calls)
}

// raw is one event in the history, with a document of its own.
func raw(document string, fields ...string) []qualystest.Event {
	return append(events(), qualystest.Raw(document, fields...))
}

// onlyType are the events without those of a type, and one of it with a document of its own.
func onlyType(kind, object string) []qualystest.Event {
	all := slices.DeleteFunc(events(), func(e qualystest.Event) bool {
		return strings.Contains(string(e.JSON()), `"type":"`+kind+`"`)
	})
	document := `{"id":"X_1","type":"` + kind + `","dateTime":"2026-01-01T00:00:00.000+0000",` + object + `}`
	return append(all, qualystest.Raw(document))
}

// otherIDs are events of which the history has other ids than the current state names.
func otherIDs() (all []qualystest.Event) {
	for i, path := range []string{`C:\one\first.exe`, `C:\two\second.exe`} {
		both := qualystest.File(path, strings.Repeat(fmt.Sprint(i), 64), "").Both()
		all = append(all, both[0], both[1].ID(fmt.Sprintf("F_another_%d", i)))
	}
	return all
}

func manyEvents() []qualystest.Event {
	return qualystest.Generate(1, 300, qualystest.Values{State: qualystest.HistoryState})
}

// TestTheProbeFindsEveryFalseBelief has, for each belief, a variant of the fake in which it is false.
func TestTheProbeFindsEveryFalseBelief(t *testing.T) {
	t.Parallel()
	type variant struct {
		config  qualystest.Config
		fault   qualystest.Fault
		header  [2]string
		front   func(*http.Response) // changes answers
		follows string               // is in what follows
	}
	answers := func(op qualystest.Op, contains string, do qualystest.Behaviour) qualystest.Fault {
		return qualystest.Fault{On: op, Contains: contains, Do: do}
	}
	empty := qualystest.Status(200, "[]", "Content-Type", "application/json")
	tooMany := qualystest.Status(200, "["+strings.Repeat(`{"id":"X_1"},`, 1000)+`{"id":"X_1"}]`)
	bad := qualystest.Status(400, `{"message":"canary words of Qualys"}`)
	status := func(path string, from, to int) func(*http.Response) {
		return func(r *http.Response) {
			if strings.HasSuffix(r.Request.URL.Path, path) && r.StatusCode == from {
				r.StatusCode = to
			}
		}
	}
	const odd = `{"id":"F_odd","type":"FILE","dateTime":"2026-01-01T00:00:00.000+0000","file":{"fileName":"odd.exe"}}`
	variants := map[string][]variant{
		"login": {
			{fault: answers(qualystest.Login, "", qualystest.Status(201, `{"token":"canary.a.b"}`))},
			{fault: answers(qualystest.Login, "", qualystest.AccountExpired())},
		},
		"token life": {{config: qualystest.Config{TokenLife: time.Hour}}},
		"path": {{config: qualystest.Config{APIPath: "/ioc/v1"}, follows: "set API_PATH=/ioc/v1."},
			{config: qualystest.Config{APIPath: "/edr"}, follows: "set API_PATH"},
			{front: status("/events", 200, 403), follows: "role"}},
		"list": {
			{fault: answers(qualystest.Search, "", qualystest.Wrapped("data"))},
			{fault: answers(qualystest.Search, "", qualystest.Wrapped(""))},
			{fault: answers(qualystest.Search, "", qualystest.OddElements())},
			{fault: answers(qualystest.Search, "", qualystest.HTML())},
		},
		"nothing found": {{fault: answers(qualystest.Search, "zqxjkvw", qualystest.Status(404, ""))},
			{fault: answers(qualystest.Search, "zqxjkvw", qualystest.Empty())}},
		"state": {{config: qualystest.Config{OneDataset: true}}},
		"link":  {{config: qualystest.Config{Events: otherIDs()}}},
		"sort":  {{config: qualystest.Config{OldestFirst: true}}},
		"page size": {
			{config: qualystest.Config{Events: manyEvents(), MaxPageSize: 200}},
			{config: qualystest.Config{Events: events(), MaxPageSize: 5}, follows: "CTR_ENTITIES_LIMIT"},
			{fault: answers(qualystest.Search, "", tooMany), follows: "refuses a page with more"},
			{front: func(r *http.Response) {
				if size := r.Request.URL.Query().Get("pageSize"); size == "1000" || size == "500" {
					r.StatusCode = 400
				}
			}},
		},
		"page number": {{config: qualystest.Config{PagesFromOne: true}},
			{front: func(r *http.Response) {
				if r.Request.URL.Query().Get("pageNumber") == "1" {
					r.StatusCode = 400
				}
			}}},
		"searchAfter":   {{fault: answers(qualystest.SearchAfter, "", qualystest.Status(404, ""))}},
		"tokens":        {{config: qualystest.Config{ExactQuotes: true}}},
		"prefix":        {{config: qualystest.Config{ExactQuotes: true}}},
		"all tokens":    {{config: qualystest.Config{AnyToken: true}}},
		"case":          {{config: qualystest.Config{ExactQuotes: true}}},
		"backticks":     {{fault: answers("", "`", empty)}},
		"exact":         {{config: qualystest.Config{LooseQuotes: true}}},
		"single quotes": {{fault: answers("", "name: '", bad)}},
		"inner quotes":  {{fault: answers("", "`zqxjkvw\"", bad)}},
		"backslash":     {{config: qualystest.Config{Escapes: true}}},
		"or":            {{fault: answers("", `" or `, empty)}, {config: qualystest.Config{}, fault: answers("", `" or `, bad)}},
		"tiles": {{config: qualystest.Config{NoTokens: []string{"type"}}},
			{config: qualystest.Config{NoTokens: []string{"event.datetime"}}},
			{config: qualystest.Config{NoTokens: []string{"indicator.score"}}}},
		"mutex": {{config: qualystest.Config{Events: raw(`{"id":"M_1","type":"MUTEX","handle":{"name":"canary"}}`,
			"handle.name", "canary")}, follows: "right mutex"}},
		"ports": {{config: qualystest.Config{Events: raw(
			`{"id":"N_2","type":"NETWORK","network":{"remoteIP":"203.0.113.9","srcPort":4711}}`)}}},
		"dates": {{config: qualystest.Config{Events: raw(strings.Replace(odd, "2026-01-01T00:00:00.000+0000", "01/02/26 9:30", 1))}},
			{config: qualystest.Config{Events: raw(strings.Replace(odd, ".000+0000", "Z", 1))}, follows: "ISO"}},
		"ids":          {{config: qualystest.Config{Events: raw(strings.Replace(odd, `"F_odd"`, "null", 1))}}},
		"rate headers": {{header: [2]string{"X-RateLimit-Remaining", "canary"}}, {header: [2]string{"RateLimit-Policy", "canary"}}},
		"concurrency": {{header: [2]string{"X-Concurrency-Limit-Limit", "2"}, follows: "QUALYS_CONCURRENCY"},
			{fault: qualystest.Fault{Contains: `process.name: "zqxjkvw"`, Nth: 2, Do: qualystest.TooManyCalls(1)},
				follows: "QUALYS_CONCURRENCY"}},
		"bad query":     {{fault: answers("", `file.name: "`, empty)}},
		"unknown field": {{fault: answers("", "zqxjkvw.name", empty)}},
		"bad token":     {{front: status("/events", 401, 403)}},
		"bad path":      {{front: status("/zqxjkvw", 404, 200)}},
	}
	for _, f := range []string{
		"network.local.address.ip", "network.remote.address.ip", "network.remote.address.fqdn", "file.name", "file.fullPath",
		"file.hash.md5", "file.hash.sha256", "handle.name", "process.name",
	} {
		variants[f] = []variant{{config: qualystest.Config{NoTokens: []string{f}}}, {fault: answers("", f+`: "`, empty)}}
	}
	for _, f := range []string{
		"FILE file.fullPath", "FILE file.fileName", "FILE file.sha256 file.md5", "PROCESS process.processName",
		"PROCESS process.fullPath", "PROCESS process.pid", "NETWORK network.remoteIP", "NETWORK process.processName",
		"MUTEX process.processName", "REGISTRY registry.key", "REGISTRY registry.valueName",
	} {
		kind, _, _ := strings.Cut(f, " ")
		object := fmt.Sprintf(`"%s":{"other":"canary"}`, strings.ToLower(kind))
		variants[f] = []variant{{config: qualystest.Config{Events: onlyType(kind, object)}}}
	}
	variants["handle.name"][1].config.Events = raw(
		`{"id":"M_1","type":"MUTEX","dateTime":"2026-03-20T00:00:00.000+0000","handle":{"name":"canary"}}`)
	for _, f := range probed(t, gateway(t, qualystest.Config{}), probe.Options{}).Findings {
		assert.NotEmpty(t, variants[f.Name], "no variant in which %q is false", f.Name)
	}

	for name, list := range variants {
		for i, v := range list {
			t.Run(fmt.Sprintf("%s %d", name, i), func(t *testing.T) {
				t.Parallel()
				s := gateway(t, v.config)
				if v.fault.Do.String() != "" {
					s.Inject(v.fault)
				}
				if v.header[0] != "" {
					s.SetHeader(v.header[0], v.header[1])
				}
				var o probe.Options
				if v.front != nil {
					o.Gateway = front(t, s.URL, v.front)
				}
				r := probed(t, s, o)
				f := finding(t, r, name)
				assert.Equal(t, probe.DoesNotHold, f.Outcome, "%+v", f)
				assert.NotEmpty(t, f.Follows)
				assert.Contains(t, f.Follows, v.follows)
				report := r.Report("")
				assert.NotContains(t, string(report), "canary")
				t.Logf("%s: %s => %s; also %v", name, f.Seen, f.Follows, outcomes(r, probe.DoesNotHold))
			})
		}
	}
}

// front is a proxy that changes what the gateway answers.
func front(t *testing.T, target string, change func(*http.Response)) *url.URL {
	t.Helper()
	u := parsed(t, target)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	server := httptest.NewServer(&httputil.ReverseProxy{
		Transport:      transport,
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(u) },
		ModifyResponse: func(r *http.Response) error { change(r); return nil },
	})
	t.Cleanup(server.Close)
	return parsed(t, server.URL)
}

func TestARateLimitIsKept(t *testing.T) {
	t.Parallel()
	var waits []time.Duration
	wait := func(_ context.Context, d time.Duration) {
		if d > 0 {
			waits = append(waits, d)
		}
	}
	s := gateway(t, qualystest.Config{})
	s.Inject(qualystest.Fault{On: qualystest.Search, Times: 1, Do: qualystest.Status(429, "", "X-RateLimit-ToWait-Sec", "30")})
	s.Inject(qualystest.Fault{On: qualystest.SearchAfter, Times: 1, Do: qualystest.TooManyCalls(1)})
	r := probed(t, s, probe.Options{Wait: wait})
	assert.Equal(t, []time.Duration{30 * time.Second, 5 * time.Second}, waits)
	assert.Equal(t, probe.Holds, finding(t, r, "path").Outcome)
	assert.Equal(t, probe.Holds, finding(t, r, "searchAfter").Outcome)

	waits = nil
	s.SetHeader("X-RateLimit-Remaining", "0")
	s.SetHeader("X-RateLimit-ToWait-Sec", "7")
	s.ResetStats()
	probed(t, s, probe.Options{Wait: wait})
	assert.Greater(t, len(waits), 20, "before each call")

	waits = nil
	s.SetHeader("X-RateLimit-ToWait-Sec", "900")
	s.ResetStats()
	r = probed(t, s, probe.Options{Wait: wait})
	assert.Empty(t, waits)
	assert.Equal(t, 2, r.Calls)
	assert.Contains(t, finding(t, r, "searchAfter").Seen, "15m0s")
	assert.Equal(t, probe.CouldNotTell, finding(t, r, "searchAfter").Outcome)
}

func TestAProbeWithoutALogin(t *testing.T) {
	t.Parallel()
	s := gateway(t, qualystest.Config{})
	good := probe.Options{
		Gateway: parsed(t, s.URL), User: qualystest.User, Password: secret.Value(qualystest.Password), Timeout: time.Minute,
	}
	wrong := good
	wrong.Password = "wrong"
	_, err := probe.Run(t.Context(), wrong)
	require.ErrorContains(t, err, "the login is refused with 401")
	assert.Equal(t, 1, s.Calls(), "accounts are locked after a few refusals")

	dead := good
	dead.Gateway = parsed(t, qualystest.DeadURL(t))
	_, err = probe.Run(t.Context(), dead)
	require.ErrorContains(t, err, "connection refused")

	remove := s.Inject(qualystest.Fault{On: qualystest.Login, Do: qualystest.Status(503, "")})
	_, err = probe.Run(t.Context(), good)
	require.ErrorContains(t, err, "503")
	remove()

	remove = s.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(503, "")})
	s.ResetStats()
	r := probed(t, s, probe.Options{})
	assert.Empty(t, outcomes(r, probe.DoesNotHold))
	assert.Equal(t, []string{"login", "token life"}, outcomes(r, probe.Holds))
	remove()

	ended, cancel := context.WithCancel(t.Context())
	good.Testing = func(string) func() { cancel(); return func() {} }
	_, err = probe.Run(ended, good)
	require.ErrorIs(t, err, context.Canceled)
}

// TestHostileAnswers holds that no answer makes a probe hang, grow or go elsewhere.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	elsewhere := gateway(t, qualystest.Config{})
	t.Cleanup(func() { assert.Zero(t, elsewhere.Calls()) })
	var keys, lengths strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&keys, `,"key%d":"canary"`, i)
		fmt.Fprintf(&lengths, `,"canary%*d"`, i, i)
	}
	for name, c := range map[string]struct {
		do      qualystest.Behaviour
		seen    string
		timeout time.Duration
	}{
		"no answer":         {qualystest.HangBeforeHeader(), "no whole answer", time.Second},
		"half an answer":    {qualystest.HangInBody(), "no whole answer", time.Second},
		"an endless list":   {qualystest.Endless(), "larger than 24 MiB", 0},
		"an endless text":   {qualystest.EndlessText(), "larger than 24 MiB", 0},
		"a reset":           {qualystest.Reset(), "no whole answer", 0},
		"a redirect":        {qualystest.Redirect(elsewhere.URL + "/ioc/events"), "302 with 0 bytes", 0},
		"a refused account": {qualystest.SecureID(), "409 with ", 0},
		"no JSON":           {qualystest.Status(200, "canary", "Content-Type", "canary/canary"), "200 with 6 bytes", 0},
		"many keys": {qualystest.Status(418, "{"+keys.String()[1:]+"}"),
			"418 with key0, key1, key10, key100, key1000, key1001, key1002, key1003", 0},
		"many lengths":       {qualystest.Status(418, `{"x":[`+lengths.String()[1:]+"]}"), "418 with x[]", 0},
		"many levels":        {qualystest.Status(418, strings.Repeat(`{"x":[`, 4000)+strings.Repeat("]}", 4000)), "418 with x", 0},
		"keys that are data": {qualystest.Status(418, `{"C:\\canary.exe":1,"x":{"canary@mail":null}}`), "418 with (other), x", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := gateway(t, qualystest.Config{})
			s.Inject(qualystest.Fault{On: qualystest.SearchAfter, Do: c.do})
			r := probed(t, s, probe.Options{Timeout: cmp.Or(c.timeout, 10*time.Second)})
			assert.Contains(t, finding(t, r, "searchAfter").Seen, c.seen)
			report := r.Report("")
			assert.Less(t, len(report), 1<<18)
			assert.NotContains(t, string(report), "canary")
		})
	}
}

func TestAnAccountWithoutEvents(t *testing.T) {
	t.Parallel()
	r := probed(t, gateway(t, qualystest.Config{Events: []qualystest.Event{}}), probe.Options{})
	assert.Empty(t, outcomes(r, probe.DoesNotHold))
	for _, f := range r.Findings {
		assert.NotContains(t, f.Seen, "used up", f.Name)
	}
	t.Logf("%d calls", r.Calls)
}

func TestAGatewayWithoutAList(t *testing.T) {
	t.Parallel()
	s := gateway(t, qualystest.Config{})
	s.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.HTML()})
	r := probed(t, s, probe.Options{})
	assert.Equal(t, []string{"list"}, outcomes(r, probe.DoesNotHold), "nothing follows from what cannot be tested")
	assert.Equal(t, []string{"login", "token life", "path"}, outcomes(r, probe.Holds))
}
