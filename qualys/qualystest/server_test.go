package qualystest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reports stands for the test that a strict server fails.
type reports struct {
	mu    sync.Mutex
	texts []string
}

func (r *reports) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.texts = append(r.texts, fmt.Sprintf(format, args...))
}

func (r *reports) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	texts := r.texts
	r.texts = nil
	return texts
}

func listen(t *testing.T, c qualystest.Config) (*qualystest.Server, *reports) {
	t.Helper()
	var r reports
	s, err := qualystest.Listen(c, r.add)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s, &r
}

func httpClient(t *testing.T) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// send sends a request as written, and returns the status and the body.
func send(t *testing.T, method, url, body string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := httpClient(t).Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(answer)
}

const form, formType = "username=quays3ex&token=true&password=", "application/x-www-form-urlencoded"

func TestTheServerIsStrict(t *testing.T) {
	s, mistakes := listen(t, qualystest.Config{Events: qualystest.Story()})
	bearer := "Bearer " + s.IssueToken(qualystest.User)
	good := form + url.QueryEscape(qualystest.Password)
	const sort = "&sort=" + "%5B%7B%22event.datetime%22%3A%22desc%22%7D%5D"
	const buckets = "/ioc/events/count/time-buckets?fromDate=1773705600&toDate=1773788399&bucketCount=24"
	search := func(rest string) string { return "/ioc/events?pageSize=10" + sort + rest }
	query := func(qql string) string { return search("&filter=" + url.QueryEscape(qql)) }
	tests := []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		mistake                  string // "": none
	}{
		{"a login", "POST", "/auth", good, []string{"Content-Type", formType}, 201, ""},
		{"a login with a charset", "POST", "/auth", good, []string{"Content-Type", formType + "; charset=utf-8"}, 201, ""},
		{"a login with a wrong password", "POST", "/auth", form + "x", []string{"Content-Type", formType}, 401, ""},
		{"a login of an unknown user", "POST", "/auth", "username=x&token=true&password=x", []string{"Content-Type", formType}, 401, ""},
		{"a login without a user", "POST", "/auth", "username=&token=true&password=x", []string{"Content-Type", formType}, 400, ""},
		{"a login with GET", "GET", "/auth", "", nil, 405, "login with GET"},
		{"a login with the password in the URL", "POST", "/auth?password=x", good, []string{"Content-Type", formType}, 400, "query in the URL"},
		{"a login without a type", "POST", "/auth", good, nil, 415, `content type ""`},
		{"a login with JSON", "POST", "/auth", "{}", []string{"Content-Type", "application/json"}, 415, "application/json"},
		{"a login that is not encoded", "POST", "/auth", "username=%zz", []string{"Content-Type", formType}, 400, "not encoded"},
		{"a login whose plus was not encoded", "POST", "/auth", form + strings.ReplaceAll(qualystest.Password, " ", "+"), []string{"Content-Type", formType}, 400, "not encoded"},
		{"a login without token=true", "POST", "/auth", "username=a&password=b", []string{"Content-Type", formType}, 400, "0 values of token"},
		{"a login with token=false", "POST", "/auth", "username=a&password=b&token=false", []string{"Content-Type", formType}, 400, "other fields"},
		{"a login with one field more", "POST", "/auth", good + "&x=y", []string{"Content-Type", formType}, 400, "other fields"},
		{"a login with a token", "POST", "/auth", good, []string{"Content-Type", formType, "Authorization", bearer}, 400, "Authorization header"},
		{"a search", "GET", search(""), "", []string{"Authorization", bearer}, 200, ""},
		{"a search on the other path", "GET", strings.Replace(search("&state=true&pageNumber=0"), "/ioc/", "/ioc/v1/", 1), "", []string{"Authorization", bearer}, 200, ""},
		{"an unknown path", "GET", "/ioc/event", "", []string{"Authorization", bearer}, 404, "unknown path"},
		{"a trailing slash", "GET", "/ioc/events/", "", []string{"Authorization", bearer}, 404, "unknown path"},
		{"a search with POST", "POST", search(""), "", []string{"Authorization", bearer}, 405, "search with POST"},
		{"a search with a body", "GET", search(""), "x", []string{"Authorization", bearer}, 400, "a body"},
		{"a search without a token", "GET", search(""), "", nil, 401, "without a bearer token"},
		{"a search with another scheme", "GET", search(""), "", []string{"Authorization", "Basic eDp5"}, 401, "without a bearer token"},
		{"a search with two headers", "GET", search(""), "", []string{"Authorization", bearer, "Authorization", bearer}, 401, "without a bearer token"},
		{"a search with a foreign token", "GET", search(""), "", []string{"Authorization", "Bearer a.b.c"}, 401, "never issued"},
		{"a page size of zero", "GET", "/ioc/events?pageSize=0" + sort, "", []string{"Authorization", bearer}, 400, `pageSize "0"`},
		{"a page size over 1000", "GET", "/ioc/events?pageSize=1001" + sort, "", []string{"Authorization", bearer}, 400, `pageSize "1001"`},
		{"no page size", "GET", "/ioc/events?" + sort, "", []string{"Authorization", bearer}, 400, "no pageSize or no sort"},
		{"a negative page", "GET", search("&pageNumber=-1"), "", []string{"Authorization", bearer}, 400, `pageNumber "-1"`},
		{"state=false", "GET", search("&state=false"), "", []string{"Authorization", bearer}, 400, `state "false"`},
		{"another sort", "GET", "/ioc/events?pageSize=10&sort=asc", "", []string{"Authorization", bearer}, 400, `sort "asc"`},
		{"no sort", "GET", "/ioc/events?pageSize=10", "", []string{"Authorization", bearer}, 400, "no pageSize or no sort"},
		{"an unknown parameter", "GET", search("&token=x"), "", []string{"Authorization", bearer}, 400, `unknown parameter "token"`},
		{"a parameter twice", "GET", search("&pageSize=10"), "", []string{"Authorization", bearer}, 400, "2 values of pageSize"},
		{"a query that is not encoded", "GET", search("&filter=%zz"), "", []string{"Authorization", bearer}, 400, "not encoded"},
		{"a URL that is too long", "GET", query(`file.name: "` + strings.Repeat("x", 9000) + `"`), "", []string{"Authorization", bearer}, 414, "a URL of"},
		{"time buckets", "GET", buckets, "", []string{"Authorization", bearer}, 200, ""},
		{"time buckets in an order", "GET", buckets + sort, "", []string{"Authorization", bearer}, 400, "other parameters"},
		{"time buckets without an end", "GET", strings.Replace(buckets, "&toDate=1773788399", "", 1), "", []string{"Authorization", bearer}, 400, "other parameters"},
		{"a search by time", "GET", search("&fromDate=1773705600"), "", []string{"Authorization", bearer}, 400, `unknown parameter "fromDate"`},
		{"a count by time", "GET", "/ioc/events/count?fromDate=1773705600" + sort, "", []string{"Authorization", bearer}, 400, "fromDate outside of time-buckets"},
		{"a count by host", "GET", "/ioc/events/count?groupBy=host" + sort, "", []string{"Authorization", bearer}, 400, `groupBy "host"`},
		{"an empty filter", "GET", search("&filter="), "", []string{"Authorization", bearer}, 400, "an empty filter"},
		{"a good filter", "GET", query(`file.name: "x"`), "", []string{"Authorization", bearer}, 200, ""},
		{"a malformed filter", "GET", query(`file.name: "x`), "", []string{"Authorization", bearer}, 400, "no closing quote"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := s.Stats().Mistakes
			status, body := send(t, tt.method, s.URL+tt.path, tt.body, tt.headers...)
			assert.Equal(t, tt.status, status, body)
			texts := mistakes.take()
			if tt.mistake == "" {
				assert.Empty(t, texts)
				assert.Equal(t, before, s.Stats().Mistakes)
				return
			}
			require.Len(t, texts, 1)
			assert.Contains(t, texts[0], tt.mistake)
			assert.Contains(t, texts[0], fmt.Sprint("answered ", tt.status))
			assert.Equal(t, before+1, s.Stats().Mistakes)
		})
	}
}

func TestParseQuery(t *testing.T) {
	tests := []struct {
		name, qql, err string
		terms          []qualystest.Term
	}{
		{"one", `file.name: "a b"`, "", []qualystest.Term{{Field: "file.name", Value: "a b", Quote: '"'}}},
		{"no space", `file.name:"a"`, "", []qualystest.Term{{Field: "file.name", Value: "a", Quote: '"'}}},
		{"three kinds of quotes", "file.name: \"a\" or handle.name: `b` OR process.name: 'c'", "",
			[]qualystest.Term{{Field: "file.name", Value: "a", Quote: '"'}, {Field: "handle.name", Value: "b", Quote: '`'}, {Field: "process.name", Value: "c", Quote: '\''}}},
		{"parentheses", `(file.name: "a" or (file.name: "b")) and(file.name: "c")`, "",
			[]qualystest.Term{{Field: "file.name", Value: "a", Quote: '"'}, {Field: "file.name", Value: "b", Quote: '"'}, {Field: "file.name", Value: "c", Quote: '"'}}},
		{"words inside of a value", `file.name: "a or file.name: b"`, "", []qualystest.Term{{Field: "file.name", Value: "a or file.name: b", Quote: '"'}}},
		{"a score", "indicator.score: [8 .. 10]", "", []qualystest.Term{{Field: "indicator.score", Value: "8", To: "10", Quote: '['}}},
		{"times", `event.datetime: ["2026-03-01T00:00:00.000Z" .. "2026-03-02T00:00:00.000Z"]`, "", []qualystest.Term{
			{Field: "event.datetime", Value: "2026-03-01T00:00:00.000Z", To: "2026-03-02T00:00:00.000Z", Quote: '['}}},
		{"a type", "type: 'file'", "", []qualystest.Term{{Field: "type", Value: "file", Quote: '\''}}},
		{"a score in words", "indicator.score: [eight .. 10]", "has an end that is none", nil},
		{"a time without quotes", "event.datetime: [2026 .. 2027]", "has an end that is none", nil},
		{"a time in another layout", `event.datetime: ["2026-03-01" .. "2026-03-02"]`, "has an end that is none", nil},
		{"an open range", "indicator.score: [1 .. 2", "is not a range", nil},
		{"no range", "indicator.score: 8", "is not a range", nil},
		{"a swallowed quote", `file.name: "a\" or file.name: "b"`, "query goes on", nil},
		{"a backslash at the end", `file.name: "C:\"`, "no closing quote", nil},
		{"empty", "", "lacks a term", nil},
		{"no term behind or", `file.name: "a" or `, "lacks a term", nil},
		{"no word between", `file.name: "a" file.name: "b"`, "query goes on", nil},
		{"no quotes", `file.name: a`, "is not quoted", nil},
		{"no value", `file.name:`, "is not quoted", nil},
		{"an empty value", `file.name: ""`, "is empty", nil},
		{"an unknown token", `file.title: "a"`, "unknown token", nil},
		{"a token in another case", `File.Name: "a"`, "unknown token", nil},
		{"an open parenthesis", `(file.name: "a"`, "lacks a closing parenthesis", nil},
		{"a parenthesis too many", `file.name: "a")`, "query goes on", nil},
		{"too deep", strings.Repeat("(", 100_000), "too deep", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q, err := qualystest.ParseQuery(tt.qql)
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.terms, q.Terms())
		})
	}
}

func decode(t *testing.T, body []byte) (events []*qualys.Event) {
	t.Helper()
	s := qualystest.New(t, qualystest.Config{})
	s.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(200, string(body))})
	page, err := login(t, s).Events(t.Context(), s.Tenant(), qualys.EventQuery{PageSize: 1000})
	require.NoError(t, err)
	return page.Events
}

// find searches the way the relay does, but with a query as written.
func find(t *testing.T, s *qualystest.Server, current bool, qql string) (ids []string) {
	t.Helper()
	params := url.Values{"pageSize": {"1000"}, "sort": {`[{"event.datetime":"desc"}]`}, "filter": {qql}}
	if current {
		params.Set("state", "true")
	}
	status, body := send(t, "GET", s.URL+"/ioc/events?"+params.Encode(), "", "Authorization", "Bearer "+s.IssueToken(qualystest.User))
	require.Equal(t, 200, status, body)
	events := decode(t, []byte(body))
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	return ids
}

func TestSearching(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{Events: []qualystest.Event{
		qualystest.File(`C:\A\setup.exe`, "aa11", "bb22").ID("setup").At("2026-01-02T00:00:00Z"),
		qualystest.File(`C:\A\Setup.exe.bak`, "aa12", "bb23").ID("backup").At("2026-01-03T00:00:00Z"),
		qualystest.File(`C:\A\setup.exe`, "aa11", "bb22").ID("current").Current(),
		qualystest.Network("curl", "192.0.2.1", "198.51.100.2", "a.example").ID("two"),
		qualystest.Network("curl", "192.0.2.1", "198.51.100.23", "b.example").ID("twenty-three").At("2026-01-05T00:00:00Z"),
		qualystest.Mutex(`Global\x`, "curl").ID("mutex").Verdict("SUSPICIOUS", 7, ""),
		qualystest.Registry("HKCU", "n", "d", "reg.exe").Image(`C:\reg.exe`, "dd44").ID("registry"),
		qualystest.Process(`C:\A\run.exe`, "", "cc33").ID("process"),
		qualystest.Raw(`{"id":"raw","score":[]}`, "file.name", "odd.bin", "file.name", "second.bin"),
	}})
	tests := []struct {
		name, qql string
		current   bool
		want      []string
	}{
		{"the last one by prefix", `file.fullPath: "setup.exe\C:\A"`, false, []string{"setup"}},
		{"a type", "type: 'network'", false, []string{"twenty-three", "two"}},
		{"a time", `event.datetime: ["2026-01-02T00:00:00.000Z" .. "2026-01-03T00:00:00.000Z"]`, false, []string{"backup", "setup"}},
		{"a score", "indicator.score: [0 .. 10]", false, []string{"mutex"}},
		{"another score", "indicator.score: [0 .. 6]", false, nil},
		{"double quotes match the beginning in any case, newest first", `file.name: "SETUP"`, false, []string{"backup", "setup"}},
		{"double quotes match the whole", `file.name: "setup.exe.bak"`, false, []string{"backup"}},
		{"but no more than the whole", `file.name: "setup.exe.bak2"`, false, nil},
		{"backticks match exactly", "file.name: `setup.exe`", false, []string{"setup"}},
		{"in the same case", "file.name: `SETUP.EXE`", false, nil},
		{"single quotes too", "file.name: 'setup.exe'", false, []string{"setup"}},
		{"the current state is apart", `file.name: "setup"`, true, []string{"current"}},
		{"folders", `file.fullPath: "C:\A"`, false, []string{"backup", "setup"}},
		{"hashes", `file.hash.md5: "bb22" or file.hash.sha256: "cc33"`, false, []string{"setup", "process"}},
		{"the hash of an image", `file.hash.sha256: "dd44"`, false, []string{"registry"}},
		{"prefixes of addresses", `network.remote.address.ip: "198.51.100.2"`, false, []string{"twenty-three", "two"}},
		{"local addresses", "network.local.address.ip: `192.0.2.1`", false, []string{"twenty-three", "two"}},
		{"names", `network.remote.address.fqdn: "a.example"`, false, []string{"two"}},
		{"mutexes", `handle.name: "global\x"`, false, []string{"mutex"}},
		{"processes", `process.name: "reg.exe" or process.name: "run"`, false, []string{"registry", "process"}},
		{"and", `process.name: "curl" and network.remote.address.ip: "198.51.100.2"`, false, []string{"twenty-three", "two"}},
		{"and binds closer than or", `file.name: "setup.exe" and file.name: "x" or handle.name: "Global"`, false, []string{"mutex"}},
		{"several values of a field", `file.name: "second.bin"`, false, []string{"raw"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, find(t, s, tt.current, tt.qql)) })
	}
}

func login(t *testing.T, s *qualystest.Server) *qualys.Client {
	c := qualys.NewClient(qualys.Options{})
	t.Cleanup(c.Close)
	require.NoError(t, c.Check(t.Context(), s.Tenant()))
	return c
}

func TestFaultsHappenToTheCallsThatTheyAreFor(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{Events: qualystest.Story()})
	other := s.AddUser("other", "secret")
	c := login(t, s)
	filter, err := qualys.Match(qualys.FieldFileName, "poison.exe")
	require.NoError(t, err)
	status := func(tenant qualys.Tenant, q qualys.EventQuery) int {
		_, err := c.Events(t.Context(), tenant, q)
		var e *qualys.Error
		if errors.As(err, &e) {
			return e.Status
		}
		assert.NoError(t, err)
		return 200
	}
	plain, poison, current := qualys.EventQuery{}, qualys.EventQuery{Filter: filter}, qualys.EventQuery{Active: true}
	tests := []struct {
		name  string
		fault qualystest.Fault
		calls []qualys.EventQuery
		want  []int
	}{
		{"always", qualystest.Fault{}, []qualys.EventQuery{plain, poison, current}, []int{418, 418, 418}},
		{"once", qualystest.Fault{Times: qualystest.Once}, []qualys.EventQuery{plain, plain, plain}, []int{418, 200, 200}},
		{"the second", qualystest.Fault{Nth: 2, Times: 1}, []qualys.EventQuery{plain, plain, plain}, []int{200, 418, 200}},
		{"from the second on", qualystest.Fault{Nth: 2}, []qualys.EventQuery{plain, plain, plain}, []int{200, 418, 418}},
		{"twice", qualystest.Fault{Times: 2}, []qualys.EventQuery{plain, plain, plain}, []int{418, 418, 200}},
		{"by state", qualystest.Fault{State: qualystest.CurrentState}, []qualys.EventQuery{plain, current, plain}, []int{200, 418, 200}},
		{"by the other state", qualystest.Fault{State: qualystest.HistoryState, Times: 1}, []qualys.EventQuery{current, plain, plain}, []int{200, 418, 200}},
		{"by the query", qualystest.Fault{Contains: "poison"}, []qualys.EventQuery{plain, poison, current, poison}, []int{200, 418, 200, 418}},
		{"by the user", qualystest.Fault{User: "other"}, []qualys.EventQuery{plain, plain}, []int{200, 200}},
		{"logins", qualystest.Fault{On: qualystest.Login}, []qualys.EventQuery{plain}, []int{200}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.fault.Do = qualystest.Status(418, "")
			remove := s.Inject(tt.fault)
			var got []int
			for _, q := range tt.calls {
				got = append(got, status(s.Tenant(), q))
			}
			assert.Equal(t, tt.want, got)
			if tt.fault.User != "" {
				assert.Equal(t, 418, status(other, plain))
			}
			remove()
			assert.Equal(t, 200, status(s.Tenant(), poison), "it is gone")
		})
	}
	s.Inject(qualystest.Fault{Times: 1, Do: qualystest.Status(500, "")})
	s.Inject(qualystest.Fault{Do: qualystest.Status(503, "")})
	assert.Equal(t, []int{500, 503}, []int{status(s.Tenant(), plain), status(s.Tenant(), plain)}, "one after the other")
}

func TestAMalformedQueryThatAFaultAnswersIsNoMistake(t *testing.T) {
	s, mistakes := listen(t, qualystest.Config{})
	s.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(400, "asked for")})
	status, body := send(t, "GET", s.URL+"/ioc/events?pageSize=1&sort=%5B%7B%22event.datetime%22%3A%22desc%22%7D%5D&filter=x", "",
		"Authorization", "Bearer "+s.IssueToken("x"))
	assert.Equal(t, 400, status)
	assert.Equal(t, "asked for", body)
	assert.Empty(t, mistakes.take())
}

func TestHangingCallsEndWithTheServer(t *testing.T) {
	for _, b := range []qualystest.Behaviour{
		qualystest.HangBeforeHeader(), qualystest.HangInBody(), qualystest.Drip(time.Hour), qualystest.Slow(time.Hour), qualystest.Hold(nil),
		qualystest.Huge(1 << 62),
	} {
		t.Run(b.String(), func(t *testing.T) {
			s, _ := listen(t, qualystest.Config{})
			s.Inject(qualystest.Fault{Do: b})
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://")) // a client that never goes away, and never reads
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			_, err = fmt.Fprintf(conn, "POST /auth HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 32\r\n\r\nusername=a&password=b&token=true", formType)
			require.NoError(t, err)
			require.NoError(t, s.Wait(t.Context(), func(st qualystest.Stats) bool { return st.Open == 1 }))
			s.Close()
			assert.Zero(t, s.Stats().Open)
		})
	}
	t.Run("delay", func(t *testing.T) {
		s, _ := listen(t, qualystest.Config{})
		c := qualys.NewClient(qualys.Options{})
		defer c.Close()
		require.NoError(t, c.Check(t.Context(), s.Tenant()))
		s.SetDelay(time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_ = s.Wait(ctx, func(st qualystest.Stats) bool { return st.Open == 1 })
			cancel()
		}()
		_, err := c.Events(ctx, s.Tenant(), qualys.EventQuery{})
		require.ErrorIs(t, err, context.Canceled)
		require.NoError(t, s.Wait(t.Context(), func(st qualystest.Stats) bool { return st.Open == 0 }), "the client going away is enough")
	})
}

func TestStatsAndWait(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{})
	c := login(t, s)
	release := make(chan struct{})
	s.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Hold(release)})
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() {
			_, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{Active: i < 2})
			assert.NoError(t, err)
		})
	}
	require.NoError(t, s.Wait(t.Context(), func(st qualystest.Stats) bool { return st.InFlight == 5 }))
	close(release)
	wg.Wait()
	require.NoError(t, s.Wait(t.Context(), func(st qualystest.Stats) bool { return st.Open == 0 }))
	st := s.Stats()
	st.Connections = 0
	assert.Equal(t, qualystest.Stats{Calls: 6, Logins: 1, Searches: 5, Current: 2, History: 3, MaxInFlight: 5}, st)
	assert.Equal(t, []int{6, 1, 5}, []int{s.Calls(), s.Logins(), s.Searches()})
	assert.Len(t, s.Requests(), 6)
	assert.Len(t, s.Filters(), 5)
	s.ResetStats()
	assert.Equal(t, qualystest.Stats{}, s.Stats())
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Wait(ended, func(qualystest.Stats) bool { return false }), context.Canceled)
}

func TestTokensEnd(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{TokenLife: -time.Second})
	c := login(t, s)
	_, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
	require.EqualError(t, err, "qualys: events: account (status 401)")
	s.SetTokenLife(time.Hour)
	c = login(t, s)
	_, err = c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
	require.NoError(t, err)
	s.RevokeTokens()
	s.SetHeader("X-RateLimit-Limit", "300")
	page, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
	require.NoError(t, err)
	assert.Equal(t, 300, page.Limits.Limit)
	s.SetHeader("X-RateLimit-Limit", "")
	page, err = c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
	require.NoError(t, err)
	assert.False(t, page.Limits.Known)
}

func TestDeadURLRefuses(t *testing.T) {
	_, err := net.Dial("tcp", strings.TrimPrefix(qualystest.DeadURL(t), "http://"))
	require.ErrorContains(t, err, "refused")
}

func TestEventsThatAreStillTrueAreLinked(t *testing.T) {
	for _, e := range []qualystest.Event{
		qualystest.File(`C:\a.exe`, "aa", "bb"), qualystest.Process(`C:\a.exe`, "", "aa"), qualystest.Network("a.exe", "192.0.2.1", "192.0.2.2", ""),
		qualystest.Mutex("m", "a.exe"), qualystest.Registry("HKCU", "n", "d", "a.exe"), qualystest.File(`C:\a.exe`, "aa", "bb").ID("F_own"),
	} {
		pair := e.Both()
		events := decode(t, qualystest.Body(pair...))
		now, past := events[0], events[1]
		assert.True(t, pair[0].IsCurrent())
		assert.False(t, pair[1].IsCurrent())
		assert.Equal(t, past.ID, now.TimeSeriesID)
		assert.NotEqual(t, past.ID, now.ID)
		assert.Empty(t, past.TimeSeriesID)
		assert.True(t, past.ProcessedTime.IsZero())
		assert.True(t, now.ProcessedTime.After(now.Time))
	}
}

func TestAnEventIsItsOwnHoweverOftenItIsMade(t *testing.T) {
	base := qualystest.File(`C:\a.exe`, "aa", "bb")
	first := base.JSON()
	changed := base.At("2026-05-05T05:05:05Z").Verdict("KNOWN", 0, "").Verdict("MALICIOUS", 8, "Win32.Worm.X").Judged("cc").Actor(`C:\b.exe`).Score("null").
		Action("DELETED").On(qualystest.Host{Name: "H"}).Current()
	assert.Equal(t, first, base.JSON())
	assert.NotEqual(t, first, changed.JSON())
	events := decode(t, qualystest.Body(changed))
	e := events[0]
	assert.Equal(t, []qualys.Indicator{
		{Score: qualys.Score{Known: true}, SHA256: "aa", Verdict: "KNOWN"},
		{Score: qualys.Score{Value: 8, Known: true}, SHA256: "cc", Verdict: "MALICIOUS", FamilyName: "X", ThreatName: "Win32.Worm.X", Category: "Worm"},
	}, e.Indicators)
	assert.Equal(t, qualys.Score{}, e.Score)
	assert.Equal(t, "DELETED", e.Action)
	assert.Equal(t, "H", e.Asset.HostName)
	assert.Equal(t, `C:\b.exe`, e.Actor.ImageFullPath)
}

func TestTheStory(t *testing.T) {
	story := qualystest.Story()
	assert.GreaterOrEqual(t, len(story), 25)
	events := decode(t, qualystest.Body(story...))
	require.Len(t, events, len(story))
	seen := make(map[string]int)
	ids := make(map[string]bool)
	inHistory := make(map[string]bool)
	for i, e := range events {
		seen[e.Type]++
		seen[e.Asset.HostName]++
		seen[fmt.Sprint("current ", story[i].IsCurrent())]++
		for _, in := range e.Indicators {
			seen[in.Verdict]++
			assertHash(t, in.SHA256, 64)
		}
		seen[fmt.Sprint("score ", e.Score)]++
		assert.False(t, ids[e.ID], "%s twice", e.ID)
		ids[e.ID] = true
		assert.Regexp(t, `^[FPNMR]_[0-9a-f-]{36}_`, e.ID)
		assert.Equal(t, 2026, e.Time.Year())
		if !story[i].IsCurrent() {
			inHistory[e.ID] = true
		}
		if e.File != nil {
			assertHash(t, e.File.SHA256, 64)
			assertHash(t, e.File.MD5, 32)
		}
		if e.Network != nil {
			assertDocumentation(t, e.Network.LocalIP)
			assertDocumentation(t, e.Network.RemoteIP)
			assert.True(t, e.Network.RemoteDNS == "" || strings.HasSuffix(e.Network.RemoteDNS, ".example"), e.Network.RemoteDNS)
		}
		for _, in := range e.Asset.Interfaces {
			assertDocumentation(t, in.IPAddress)
		}
	}
	linked := 0
	for i, e := range events {
		if story[i].IsCurrent() && inHistory[e.TimeSeriesID] {
			linked++
		}
	}
	assert.GreaterOrEqual(t, linked, 5)
	for _, want := range []string{
		"FILE", "PROCESS", "NETWORK", "MUTEX", "REGISTRY", "KNOWN", "UNKNOWN", "SUSPICIOUS", "MALICIOUS", "REMEDIATED", "current true", "current false",
		"WS-FINANCE-07", "SRV-FILES-01", "LT-DESIGN-02", "score {0 false}",
	} {
		assert.Positive(t, seen[want], want)
	}
	for n := range 11 {
		if n != 3 { // of no detector today
			assert.Positive(t, seen[fmt.Sprintf("score {%d true}", n)], "score %d", n)
		}
	}
}

func assertHash(t *testing.T, hash string, digits int) {
	t.Helper()
	assert.True(t, hash == "" || regexp.MustCompile(fmt.Sprintf(`^[0-9a-f]{%d}$`, digits)).MatchString(hash), hash)
}

func assertDocumentation(t *testing.T, ip string) {
	t.Helper()
	if ip == "" {
		return
	}
	addr, err := netip.ParseAddr(ip)
	require.NoError(t, err)
	assert.True(t, slices.ContainsFunc([]string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "fe80::/10"},
		func(p string) bool { return netip.MustParsePrefix(p).Contains(addr) }), ip)
}

func TestTheStorysObservablesAreFound(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{Events: qualystest.Story()})
	queries := map[string]string{
		"ip": "network.local.address.ip: %[1]q or network.remote.address.ip: %[1]q", "ipv6": "network.local.address.ip: %[1]q or network.remote.address.ip: %[1]q",
		"domain": "network.remote.address.fqdn: %q", "hostname": "network.remote.address.fqdn: %q", "file_name": "file.name: %q",
		"file_path": "file.fullPath: %q", "mutex": "handle.name: %q", "md5": "file.hash.md5: %q", "sha256": "file.hash.sha256: %q", "process_name": "process.name: %q",
	}
	types := make(map[string]bool)
	for _, o := range qualystest.StoryObservables() {
		types[o.Type] = true
		qql := strings.ReplaceAll(fmt.Sprintf(queries[o.Type], o.Value), `\\`, `\`)
		found := append(find(t, s, true, qql), find(t, s, false, qql)...)
		assert.Equal(t, o.Label != "never seen", len(found) > 0, "%s %s", o.Type, o.Value)
	}
	assert.Len(t, types, len(queries), "each kind is asked for")
}

func TestGenerate(t *testing.T) {
	v := qualystest.Values{IPs: []string{"198.51.100.2", "198.51.100.23"}, Types: []string{"NETWORK", "MUTEX"}, Mutexes: []string{"m"}}
	for _, n := range []int{0, 1, 500} {
		events := qualystest.Generate(4, n, v)
		require.Len(t, events, n)
		assert.Equal(t, qualystest.Body(events...), qualystest.Body(qualystest.Generate(4, n, v)...))
	}
	assert.NotEqual(t, qualystest.Body(qualystest.Generate(4, 5, v)...), qualystest.Body(qualystest.Generate(5, 5, v)...))
	for _, e := range qualystest.Generate(4, 500, v) {
		for _, field := range []string{"network.local.address.ip", "network.remote.address.ip"} {
			for _, ip := range e.Fields[field] {
				assert.Contains(t, v.IPs, ip)
			}
		}
		assert.Empty(t, e.Fields["file.name"])
		assert.NotEmpty(t, e.Fields["process.name"])
	}
	body := qualystest.Body(qualystest.Generate(1, 1000, qualystest.Values{})...)
	assert.InDelta(t, 1300, len(body)/1000, 250, "bytes of an event")
	var docs []json.RawMessage
	require.NoError(t, json.Unmarshal(body, &docs))
	for state, current := range map[qualystest.State]bool{qualystest.CurrentState: true, qualystest.HistoryState: false} {
		events := qualystest.Generate(1, 50, qualystest.Values{State: state})
		times := make(map[string]bool)
		for _, e := range events {
			assert.Equal(t, current, e.IsCurrent())
			var doc struct{ DateTime, ID string }
			require.NoError(t, json.Unmarshal(e.JSON(), &doc))
			assert.False(t, times[doc.DateTime])
			times[doc.DateTime] = true
		}
	}
	assert.False(t, bytes.Contains(body, []byte("null")))
}
