package qualys_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"html"
	"log/slog"
	"net/url"
	"strconv"
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

func newClient(t *testing.T, o qualys.Options) *qualys.Client {
	t.Helper()
	c := qualys.NewClient(o)
	t.Cleanup(c.Close)
	return c
}

func match(t *testing.T, f qualys.Field, value string) qualys.Filter {
	t.Helper()
	filter, err := qualys.Match(f, value)
	require.NoError(t, err)
	return filter
}

func asError(t *testing.T, err error) *qualys.Error {
	t.Helper()
	var e *qualys.Error
	require.ErrorAs(t, err, &e)
	return e
}

func ids(p qualys.Page) (ids []string) {
	for _, e := range p.Events {
		ids = append(ids, e.ID)
	}
	return ids
}

func TestLoginEncodesTheForm(t *testing.T) {
	for name, password := range map[string]string{
		"form characters": "a&b+c%=d;e", "percent that looks encoded": "100%41", "spaces": " two  words ", "other letters": "Grüße/日本", "quotes": `"'` + "`",
	} {
		t.Run(name, func(t *testing.T) {
			s := qualystest.New(t, qualystest.Config{Users: map[string]string{"ana+b&c": password}})
			c := newClient(t, qualys.Options{})
			assert.False(t, c.LoggedIn(s.Tenant()))
			require.NoError(t, c.Login(t.Context(), s.Tenant()))
			assert.True(t, c.LoggedIn(s.Tenant()))
			require.NoError(t, c.Login(t.Context(), s.Tenant()))
			assert.Equal(t, 1, s.Logins())
		})
	}
}

func TestLoginTakesATokenInAnySuccess(t *testing.T) {
	for _, status := range []int{200, 201, 202} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			s := qualystest.New(t, qualystest.Config{})
			s.Inject(qualystest.Fault{On: qualystest.Login, Do: qualystest.Status(status, " \r\n"+s.IssueToken(qualystest.User)+"\r\n")})
			_, err := newClient(t, qualys.Options{}).Events(t.Context(), s.Tenant(), qualys.EventQuery{})
			require.NoError(t, err)
		})
	}
}

func TestLoginRefusesWhatIsNoToken(t *testing.T) {
	for name, body := range map[string]string{
		"nothing": "", "HTML": "<html>down</html>", "an object": `{"token":"a.b.c"}`, "a word": "MAINTENANCE", "a list": "[1]",
		"white space inside": "a.b c.d", "a header break": "a.b.c\r\nX-Evil: 1", "other letters": "a.b.ç", "too large": strings.Repeat("a", 70<<10) + ".b.c",
	} {
		t.Run(name, func(t *testing.T) {
			s := qualystest.New(t, qualystest.Config{})
			s.Inject(qualystest.Fault{On: qualystest.Login, Do: qualystest.Status(200, body)})
			c := newClient(t, qualys.Options{})
			e := asError(t, c.Login(t.Context(), s.Tenant()))
			assert.Equal(t, qualys.KindUnreadable, e.Kind)
			assert.Equal(t, qualys.OpLogin, e.Op)
			if len(body) > 0 && len(body) < 1000 {
				assert.NotContains(t, e.Error(), body)
			}
			assert.False(t, c.LoggedIn(s.Tenant()))
		})
	}
}

func TestLoginErrors(t *testing.T) {
	tests := []struct {
		status  int
		body    string
		headers []string
		kind    qualys.Kind
		message string
	}{
		{400, `{"authentication_exceptions":["EmptyCredentialsException"]}`, nil, qualys.KindUnauthorized, "EmptyCredentialsException"},
		{401, `{"authentication_exceptions":["InvalidCredentialsException","AccountLockedException"]}`, nil, qualys.KindUnauthorized,
			"InvalidCredentialsException, AccountLockedException"},
		{401, `{"message":"Bad credentials"}`, nil, qualys.KindUnauthorized, "Bad credentials"},
		{403, `{"_error":{"message":"API access is off"}}`, nil, qualys.KindForbidden, "API access is off"},
		{404, "", nil, qualys.KindUnexpected, "HTTP 404 Not Found"},
		{409, "", []string{"X-RateLimit-ToWait-Sec", "12"}, qualys.KindRateLimited, "HTTP 409 Conflict"},
		{429, "slow down", nil, qualys.KindRateLimited, "slow down"},
		{500, "<h1>Oops</h1><p>an error", nil, qualys.KindUnexpected, "Oops an error"},
		{503, "", nil, qualys.KindUnavailable, "HTTP 503 Service Unavailable"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status, tt.body), func(t *testing.T) {
			s := qualystest.New(t, qualystest.Config{})
			s.Inject(qualystest.Fault{On: qualystest.Login, Do: qualystest.Status(tt.status, tt.body, tt.headers...)})
			_, err := newClient(t, qualys.Options{}).Events(t.Context(), s.Tenant(), qualys.EventQuery{})
			e := asError(t, err)
			assert.Equal(t, tt.kind, e.Kind)
			assert.Equal(t, tt.status, e.Status)
			assert.Equal(t, qualys.OpLogin, e.Op)
			assert.Equal(t, tt.message, e.Message)
			assert.Equal(t, 1, s.Logins())
			assert.Zero(t, s.Searches())
		})
	}
}

func TestWrongCredentialsAreUnauthorized(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{})
	c := newClient(t, qualys.Options{})
	wrong := s.Tenant()
	wrong.Password = "wrong"
	e := asError(t, c.Login(t.Context(), wrong))
	assert.Equal(t, qualys.KindUnauthorized, e.Kind)
	require.EqualError(t, e, "qualys: login: unauthorized (status 401)")
	nobody := s.Tenant()
	nobody.User = ""
	assert.Equal(t, 400, asError(t, c.Login(t.Context(), nobody)).Status)
	require.NoError(t, c.Login(t.Context(), s.Tenant()), "the wrong ones leave the right one alone")
}

func TestLoginsAreShared(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{})
	c := newClient(t, qualys.Options{})
	release := make(chan struct{})
	s.Inject(qualystest.Fault{On: qualystest.Login, Do: qualystest.Hold(release)})
	var wg, started sync.WaitGroup
	started.Add(20)
	for range 20 {
		wg.Go(func() {
			started.Done()
			assert.NoError(t, c.Login(t.Context(), s.Tenant()))
		})
	}
	started.Wait()
	require.NoError(t, s.Wait(t.Context(), func(st qualystest.Stats) bool { return st.Logins > 0 }))
	close(release)
	wg.Wait()
	assert.Equal(t, 1, s.Logins())
}

func TestAFailedLoginIsSharedAndNotKept(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{})
	c := newClient(t, qualys.Options{})
	s.Inject(qualystest.Fault{On: qualystest.Login, Times: qualystest.Once, Do: qualystest.Status(503, "")})
	assert.Equal(t, qualys.KindUnavailable, asError(t, c.Login(t.Context(), s.Tenant())).Kind)
	require.NoError(t, c.Login(t.Context(), s.Tenant()))
	assert.Equal(t, 2, s.Logins())
}

func TestAWaiterThatGivesUpLeavesTheLoginToTheOthers(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{})
	c := newClient(t, qualys.Options{})
	release := make(chan struct{})
	s.Inject(qualystest.Fault{On: qualystest.Login, Do: qualystest.Hold(release)})
	first, giveUp := context.WithCancel(t.Context())
	errs, others := make(chan error, 1), make(chan error, 1)
	go func() { errs <- c.Login(first, s.Tenant()) }()
	require.NoError(t, s.Wait(t.Context(), func(st qualystest.Stats) bool { return st.Logins == 1 }))
	go func() { others <- c.Login(t.Context(), s.Tenant()) }()
	giveUp()
	require.ErrorIs(t, <-errs, context.Canceled)
	close(release)
	require.NoError(t, <-others)
	assert.Equal(t, 1, s.Logins())
}

func TestALoginThatNobodyWaitsForServesTheNextCall(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{})
	c := newClient(t, qualys.Options{})
	release := make(chan struct{})
	s.Inject(qualystest.Fault{On: qualystest.Login, Do: qualystest.Hold(release)})
	ctx, giveUp := context.WithCancel(t.Context())
	errs := make(chan error, 1)
	go func() { errs <- c.Login(ctx, s.Tenant()) }()
	require.NoError(t, s.Wait(t.Context(), func(st qualystest.Stats) bool { return st.Logins == 1 }))
	giveUp()
	require.ErrorIs(t, <-errs, context.Canceled)
	close(release)
	require.NoError(t, c.Login(t.Context(), s.Tenant()))
	assert.Equal(t, 1, s.Logins())
}

func TestEventsSearchesAsQualysWantsIt(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{Events: qualystest.Story()}) // which checks every parameter
	for _, prefix := range []string{"", "/ioc/v1", "ioc/v1/"} {
		c := newClient(t, qualys.Options{PathPrefix: prefix})
		s.ResetStats()
		q := qualys.EventQuery{Filter: match(t, qualys.FieldFileName, "update.exe"), Active: true, PageSize: 7, PageNumber: 0}
		page, err := c.Events(t.Context(), s.Tenant(), q)
		require.NoError(t, err)
		require.NotEmpty(t, page.Events)
		for _, e := range page.Events {
			assert.True(t, e.Active)
			assert.True(t, strings.HasPrefix(e.File.Name, "update.exe"))
		}
		path := map[bool]string{true: "/ioc/events", false: "/ioc/v1/events"}[prefix == ""]
		assert.Equal(t, []qualystest.Request{
			{Op: qualystest.Login, Path: "/auth", User: qualystest.User},
			{Op: qualystest.Search, Path: path, User: qualystest.User, Filter: `file.name: "update.exe"`, Current: true, PageSize: 7},
		}, s.Requests())
	}
}

func TestEventsComeNewestFirstInPages(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{Events: qualystest.Generate(3, 25, qualystest.Values{State: qualystest.HistoryState})})
	c := newClient(t, qualys.Options{})
	all, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{PageSize: 1000})
	require.NoError(t, err)
	require.Len(t, all.Events, 25)
	for i := 1; i < len(all.Events); i++ {
		assert.True(t, all.Events[i].Time.Before(all.Events[i-1].Time))
		assert.False(t, all.Events[i].Active)
	}
	var paged []string
	for n := range 4 {
		page, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{PageSize: 10, PageNumber: n})
		require.NoError(t, err)
		paged = append(paged, ids(page)...)
	}
	assert.Equal(t, ids(all), paged)
}

func TestPageSizeStaysInTheRange(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{})
	c := newClient(t, qualys.Options{})
	for _, size := range []int{-1, 0, 1, 1000, 5000} {
		_, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{PageSize: size, PageNumber: -1})
		require.NoError(t, err)
	}
	var sizes []int
	for _, r := range s.Requests()[1:] {
		sizes = append(sizes, r.PageSize)
	}
	assert.Equal(t, []int{1, 100, 1, 1000, 1000}, sizes)
}

func TestTenantsAreApart(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{})
	ana, ben := s.AddUser("ana", "secret-of-ana"), s.AddUser("ben", "secret-of-ben")
	s.SetEventsOf("ana", qualystest.File(`C:\ana.txt`, "", "").ID("ana's"))
	s.SetEventsOf("ben", qualystest.File(`C:\ben.txt`, "", "").ID("ben's"))
	c := newClient(t, qualys.Options{})
	var wg sync.WaitGroup
	for range 10 {
		for _, who := range []struct {
			tenant qualys.Tenant
			id     string
		}{{ana, "ana's"}, {ben, "ben's"}} {
			wg.Go(func() {
				page, err := c.Events(t.Context(), who.tenant, qualys.EventQuery{})
				if assert.NoError(t, err) {
					assert.Equal(t, []string{who.id}, ids(page))
				}
			})
		}
	}
	wg.Wait()
	assert.Equal(t, 2, s.Logins())
	ana.Password = "secret-of-ben"
	_, err := c.Events(t.Context(), ana, qualys.EventQuery{})
	assert.Equal(t, qualys.KindUnauthorized, asError(t, err).Kind, "ana's token is not for whoever knows her name")
}

func TestATokenThatIsNoLongerAcceptedIsReplaced(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{Events: qualystest.Story()})
	c := newClient(t, qualys.Options{})
	require.NoError(t, c.Login(t.Context(), s.Tenant()))
	for range 2 { // another instance of the relay may log in, too
		s.RevokeTokens()
		page, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
		require.NoError(t, err)
		assert.NotEmpty(t, page.Events)
	}
	assert.Equal(t, 3, s.Logins())
	assert.Equal(t, 4, s.Searches())
}

func TestSearchesThatAreRefusedTogetherLogInOnce(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{})
	c := newClient(t, qualys.Options{})
	require.NoError(t, c.Login(t.Context(), s.Tenant()))
	release := make(chan struct{})
	remove := s.Inject(qualystest.Fault{On: qualystest.Search, Times: 20, Do: qualystest.Hold(release)})
	defer remove()
	s.RevokeTokens()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
			assert.NoError(t, err)
		})
	}
	require.NoError(t, s.Wait(t.Context(), func(st qualystest.Stats) bool { return st.InFlight == 20 }))
	close(release)
	wg.Wait()
	assert.Equal(t, 2, s.Logins())
	assert.Equal(t, 40, s.Searches())
}

func TestATokenThatStaysRefusedIsReported(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{})
	refusal := qualystest.Status(401, `{"message":"no EDR module in the subscription"}`)
	c := newClient(t, qualys.Options{})
	for range 3 {
		remove := s.Inject(qualystest.Fault{On: qualystest.Search, Do: refusal})
		_, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
		require.EqualError(t, err, "qualys: events: account (status 401)")
		remove()
		remove = s.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(503, "")})
		_, err = c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
		require.EqualError(t, err, "qualys: events: unavailable (status 503)", "which tells nothing about the token")
		remove()
	}
	assert.Equal(t, 2, s.Logins())
}

func TestSearchErrors(t *testing.T) {
	const wait = "X-RateLimit-ToWait-Sec"
	tests := []struct {
		name      string
		status    int
		body      string
		headers   []string
		kind      qualys.Kind
		message   string
		transient bool
	}{
		{"bad query", 400, `{"message":"Invalid token"}`, nil, qualys.KindBadQuery, "Invalid token", false},
		{"forbidden", 403, `{"_error":"no"}`, nil, qualys.KindForbidden, "no", false},
		{"not found", 404, "", nil, qualys.KindNotFound, "HTTP 404 Not Found", false},
		{"conflict without headers", 409, "", nil, qualys.KindUnexpected, "HTTP 409 Conflict", false},
		{"conflict with headers", 409, "", []string{wait, "3"}, qualys.KindRateLimited, "HTTP 409 Conflict", false},
		{"teapot", 418, "short and stout", nil, qualys.KindUnexpected, "short and stout", false},
		{"too many requests", 429, "", nil, qualys.KindRateLimited, "HTTP 429 Too Many Requests", false},
		{"server error", 500, "<title>500</title>", nil, qualys.KindUnexpected, "500", true},
		{"bad gateway", 502, "", nil, qualys.KindUnexpected, "HTTP 502 Bad Gateway", true},
		{"unavailable", 503, "", nil, qualys.KindUnavailable, "HTTP 503 Service Unavailable", true},
		{"gateway timeout", 504, "", nil, qualys.KindUnexpected, "HTTP 504 Gateway Timeout", true},
		{"not modified", 304, "", nil, qualys.KindUnexpected, "HTTP 304 Not Modified", false},
		{"an error that is cut short", 503, "down", []string{"Content-Length", "100"}, qualys.KindUnavailable, "HTTP 503 Service Unavailable", true},
		{"a status without a name", 599, "", nil, qualys.KindUnexpected, "HTTP 599", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := qualystest.New(t, qualystest.Config{})
			s.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(tt.status, tt.body, tt.headers...)})
			_, err := newClient(t, qualys.Options{}).Events(t.Context(), s.Tenant(), qualys.EventQuery{Filter: match(t, qualys.FieldMutex, "canary-query")})
			e := asError(t, err)
			assert.Equal(t, tt.kind, e.Kind)
			assert.Equal(t, tt.status, e.Status)
			assert.Equal(t, qualys.OpEvents, e.Op)
			assert.Equal(t, tt.message, e.Message)
			assert.Equal(t, tt.transient, e.Transient())
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "canary-query")
			assert.Equal(t, 1, s.Searches())
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := qualystest.New(t, qualystest.Config{})
	for _, op := range []qualystest.Op{qualystest.Login, qualystest.Search} {
		s := qualystest.New(t, qualystest.Config{})
		s.Inject(qualystest.Fault{On: op, Do: qualystest.Redirect(elsewhere.URL + "/ioc/events")})
		_, err := newClient(t, qualys.Options{}).Events(t.Context(), s.Tenant(), qualys.EventQuery{})
		e := asError(t, err)
		assert.Equal(t, qualys.KindUnexpected, e.Kind)
		assert.Equal(t, "HTTP 302 Found", e.Message)
	}
	assert.Zero(t, elsewhere.Calls())
}

func TestAnswersWithoutEvents(t *testing.T) {
	for name, b := range map[string]qualystest.Behaviour{
		"no content": qualystest.Status(204, ""), "empty list": qualystest.Status(200, "[ ]"),
		"no type of content": qualystest.Status(200, "[]", "Content-Type", "text/plain"),
	} {
		t.Run(name, func(t *testing.T) {
			s := qualystest.New(t, qualystest.Config{})
			s.Inject(qualystest.Fault{On: qualystest.Search, Do: b})
			page, err := newClient(t, qualys.Options{}).Events(t.Context(), s.Tenant(), qualys.EventQuery{})
			require.NoError(t, err)
			assert.Empty(t, page.Events)
		})
	}
}

func TestOddElementsLeaveTheOthersWhole(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{Events: qualystest.Story()})
	c := newClient(t, qualys.Options{})
	want, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
	require.NoError(t, err)
	s.Inject(qualystest.Fault{Do: qualystest.OddElements()})
	got, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
	require.NoError(t, err)
	require.Len(t, got.Events, len(want.Events)+1)
	assert.Equal(t, want.Events, got.Events[1:])
	assert.Equal(t, 6, got.Unreadable)
	odd := *got.Events[0]
	assert.Regexp(t, "^sha256:[0-9a-f]{64}$", odd.Key)
	assert.Equal(t, qualys.Event{Type: "7", Key: odd.Key, Size: odd.Size}, odd)
}

func TestUnreadableAnswers(t *testing.T) {
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	_, err := zip.Write(bytes.Repeat([]byte(" "), 8<<20))
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	tests := []struct {
		name    string
		do      qualystest.Behaviour
		message string
	}{
		{"object", qualystest.Object(), "this is not the list that was asked for"},
		{"HTML", qualystest.HTML(), "the answer is not a list of events: Maintenance The platform is down for maintenance & will be back soon."},
		{"truncated", qualystest.Truncated(), "the answer is cut short"},
		{"truncated without a length", qualystest.Status(200, `[{"id":"F_1"},`), "the answer is cut short"},
		{"huge", qualystest.Huge(1 << 30), "there are more events than the 100 that were asked for"},
		{"huge by its own word", qualystest.Status(200, "["+strings.Repeat(" ", 2<<20)+"]", "Content-Length", fmt.Sprint(2<<20+2)), "one event is larger than 1048576 bytes"},
		{"huge when unpacked", qualystest.Status(200, bomb.String(), "Content-Encoding", "gzip"), "one event is larger than 1048576 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := qualystest.New(t, qualystest.Config{Events: qualystest.Story()})
			s.Inject(qualystest.Fault{On: qualystest.Search, Do: tt.do})
			c := newClient(t, qualys.Options{})
			_, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
			e := asError(t, err)
			assert.Equal(t, qualys.KindUnreadable, e.Kind)
			assert.Equal(t, 200, e.Status)
			assert.Equal(t, tt.message, e.Message)
			assert.Equal(t, e.Message == "the answer is cut short", e.Transient())
			require.NoError(t, s.Wait(t.Context(), func(st qualystest.Stats) bool { return st.Open == 0 }))
		})
	}
}

func TestAGzippedAnswerIsRead(t *testing.T) {
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, err := zip.Write(qualystest.Body(qualystest.Story()...))
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	s := qualystest.New(t, qualystest.Config{})
	s.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(200, packed.String(), "Content-Encoding", "gzip")})
	page, err := newClient(t, qualys.Options{}).Events(t.Context(), s.Tenant(), qualys.EventQuery{})
	require.NoError(t, err)
	assert.Len(t, page.Events, len(qualystest.Story()))
}

func TestOwnTimeouts(t *testing.T) {
	for _, op := range []qualystest.Op{qualystest.Login, qualystest.Search} {
		for _, b := range []qualystest.Behaviour{qualystest.HangBeforeHeader(), qualystest.HangInBody(), qualystest.Drip(time.Millisecond)} {
			t.Run(fmt.Sprint(op, " ", b), func(t *testing.T) {
				s := qualystest.New(t, qualystest.Config{})
				s.Inject(qualystest.Fault{On: op, Do: b})
				c := newClient(t, qualys.Options{Timeout: 100 * time.Millisecond})
				_, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
				e := asError(t, err)
				assert.Equal(t, qualys.KindTimeout, e.Kind)
				assert.Contains(t, e.Message, "timeout")
				assert.False(t, e.Transient())
				require.NoError(t, s.Wait(t.Context(), func(st qualystest.Stats) bool { return st.Open == 0 }), "the connection is given up")
			})
		}
	}
}

func TestAnEndedContextIsReportedAsItself(t *testing.T) {
	for _, op := range []qualystest.Op{qualystest.Login, qualystest.Search} {
		for _, b := range []qualystest.Behaviour{qualystest.HangBeforeHeader(), qualystest.HangInBody(), qualystest.Drip(time.Millisecond)} {
			t.Run(fmt.Sprint(op, " ", b, " cancelled"), func(t *testing.T) {
				s := qualystest.New(t, qualystest.Config{})
				s.Inject(qualystest.Fault{On: op, Do: b})
				c := newClient(t, qualys.Options{})
				ctx, cancel := context.WithCancel(t.Context())
				errs := make(chan error, 1)
				go func() {
					_, err := c.Events(ctx, s.Tenant(), qualys.EventQuery{})
					errs <- err
				}()
				require.NoError(t, s.Wait(t.Context(), func(st qualystest.Stats) bool { return st.Logins == 1 && (op == qualystest.Login || st.Searches == 1) }))
				cancel()
				assert.Equal(t, context.Canceled, <-errs)
				if op == qualystest.Search { // a login goes on, for the next call
					require.NoError(t, s.Wait(t.Context(), func(st qualystest.Stats) bool { return st.Open == 0 }))
				}
			})
			t.Run(fmt.Sprint(op, " ", b, " late"), func(t *testing.T) {
				s := qualystest.New(t, qualystest.Config{})
				s.Inject(qualystest.Fault{On: op, Do: b})
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				_, err := newClient(t, qualys.Options{}).Events(ctx, s.Tenant(), qualys.EventQuery{})
				assert.Equal(t, context.DeadlineExceeded, err)
			})
		}
	}
	s := qualystest.New(t, qualystest.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newClient(t, qualys.Options{}).Events(ctx, s.Tenant(), qualys.EventQuery{})
	assert.Equal(t, context.Canceled, err)
	assert.Zero(t, s.Calls())
}

func TestConnectionFaults(t *testing.T) {
	plain := qualystest.New(t, qualystest.Config{})
	foreign := qualystest.New(t, qualystest.Config{TLS: true})
	resetting := qualystest.New(t, qualystest.Config{})
	resetting.Inject(qualystest.Fault{Do: qualystest.Reset()})
	mail := qualystest.New(t, qualystest.Config{})
	mail.Inject(qualystest.Fault{Do: qualystest.NotHTTP()})
	trusted := qualystest.New(t, qualystest.Config{TLS: true})
	trusted.Inject(qualystest.Fault{Do: qualystest.Reset()})
	tests := []struct {
		name, gateway string
		roots         *x509.CertPool
		kind          qualys.Kind
		message       string
		transient     bool
	}{
		{"refused", qualystest.DeadURL(t), nil, qualys.KindConnect, "connection refused", false},
		{"reset", resetting.URL, nil, qualys.KindReset, "reset", true},
		{"reset over HTTP/2", trusted.URL, trusted.RootCAs, qualys.KindReset, "stream", true},
		{"unknown authority", foreign.URL, nil, qualys.KindTLS, "unknown authority", false},
		{"TLS to a plain server", "https" + strings.TrimPrefix(plain.URL, "http"), nil, qualys.KindTLS, "does not look like a TLS handshake", false},
		{"not HTTP", mail.URL, nil, qualys.KindUnexpected, "malformed", false},
		{"not a URL", "https://bad host/%zz", nil, qualys.KindConnect, "the URL of the gateway is not valid", false},
		{"no host", "", nil, qualys.KindConnect, "the URL of the gateway is not valid", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tenant := qualys.Tenant{Gateway: tt.gateway, User: qualystest.User, Password: qualystest.Password}
			c := newClient(t, qualys.Options{})
			c.Trust(tt.roots)
			_, err := c.Events(t.Context(), tenant, qualys.EventQuery{})
			e := asError(t, err)
			assert.Equal(t, tt.kind, e.Kind)
			assert.Contains(t, e.Message, tt.message)
			assert.Zero(t, e.Status)
			assert.Equal(t, tt.transient, e.Transient())
			assert.NotContains(t, err.Error(), "/auth")
		})
	}
}

func TestTLSWithItsOwnAuthority(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{TLS: true, Events: qualystest.Story()})
	c := newClient(t, qualys.Options{})
	c.Trust(s.RootCAs)
	page, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
	require.NoError(t, err)
	assert.NotEmpty(t, page.Events)
}

func TestRateLimitsComeWithSuccessAndFailure(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{})
	c := newClient(t, qualys.Options{})
	page, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
	require.NoError(t, err)
	assert.False(t, page.Limits.Known)
	s.SetHeader("X-RateLimit-Limit", "300")
	s.SetHeader("X-RateLimit-Remaining", "299")
	s.SetHeader("X-RateLimit-Window-Sec", "3600")
	s.SetHeader("X-ConcurrencyLimit-Limit", "2")
	page, err = c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
	require.NoError(t, err)
	assert.Equal(t, qualys.RateLimits{Limit: 300, Remaining: 299, Window: time.Hour, Concurrency: 2, Known: true}, page.Limits)
	s.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(429, "", "X-RateLimit-ToWait-Sec", "7", "X-RateLimit-Remaining", "0")})
	_, err = c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
	assert.Equal(t, qualys.RateLimits{Wait: 7 * time.Second, Known: true}, asError(t, err).Limits)
}

func TestNoErrorHoldsASecret(t *testing.T) {
	const password = `c4n<a>ry/+ "pass" wörd%`
	inJSON, err := json.Marshal(password)
	require.NoError(t, err)
	s := qualystest.New(t, qualystest.Config{Users: map[string]string{"quser": password}})
	token := s.IssueToken("quser")
	echoes := map[string]func(string) string{
		"as it is":           func(s string) string { return s },
		"in a form":          url.QueryEscape,
		"in a path":          url.PathEscape,
		"in lower case hex":  func(s string) string { return strings.ToLower(url.QueryEscape(s)) },
		"in HTML":            func(s string) string { return "<p>" + html.EscapeString(s) + "</p>" },
		"in broken JSON":     func(s string) string { b, _ := json.Marshal(s); return `{"message":` + string(b) },
		"in JSON":            func(s string) string { b, _ := json.Marshal(s); return `{"message":` + string(b) + "}" },
		"over two lines":     func(s string) string { return strings.ReplaceAll(s, " ", "\n") },
		"at the cut":         func(s string) string { return strings.Repeat("x", 290) + s },
		"where reading ends": func(s string) string { return strings.Repeat("\n", 64<<10-8) + s },
		"twice":              func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
		"in HTML in JSON":    func(s string) string { b, _ := json.Marshal(html.EscapeString(s)); return string(b) + "," },
		"in a URL in HTML":   func(s string) string { return html.EscapeString("?a=b&p=" + url.QueryEscape(s)) },
		"in ASCII only JSON": func(s string) string { return "{" + strings.Trim(strconv.QuoteToASCII(s), `"`) },
		"in Latin-1":         func(s string) string { return strings.ReplaceAll(s, "ö", "\xf6") },
		"in upper case":      strings.ToUpper,
		"in bold":            func(s string) string { return s[:3] + "<b>" + s[3:] + "</b>" },
		"in XML": func(s string) string {
			return "<SIMPLE_RETURN><RESPONSE><TEXT>for " + html.EscapeString(s) + "</TEXT></RESPONSE></SIMPLE_RETURN>"
		},
	}
	for _, op := range []qualystest.Op{qualystest.Login, qualystest.Search} {
		for name, echo := range echoes {
			t.Run(fmt.Sprint(op, " ", name), func(t *testing.T) {
				body := echo(password)
				if op == qualystest.Search {
					body += " " + echo(token)
				}
				remove := s.Inject(qualystest.Fault{On: op, Do: qualystest.Status(500, body)})
				defer remove()
				if op == qualystest.Search {
					defer s.Inject(qualystest.Fault{On: qualystest.Login, Do: qualystest.Status(200, token)})()
				}
				_, err := newClient(t, qualys.Options{}).Events(t.Context(), s.Tenant(), qualys.EventQuery{})
				e := asError(t, err)
				assert.Equal(t, 500, e.Status)
				encoded, _ := json.Marshal(e)
				shown := fmt.Sprintf("%v %+v %#v %s", err, err, err, encoded)
				for _, secret := range []string{"c4n", "wörd", "w%C3%B6rd", "w%c3%b6rd", token, token[:40], strings.Split(token, ".")[2], string(inJSON)} {
					assert.NotContains(t, shown, secret)
				}
				assert.Equal(t, "HTTP 500 Internal Server Error", e.Message, "such a text is left out whole")
			})
		}
	}
}

func TestATenantRedactsItself(t *testing.T) {
	tenant := qualys.Tenant{Gateway: "https://gateway.example", User: "canary-user", Password: "canary-pass"}
	var lines bytes.Buffer
	for _, h := range []slog.Handler{slog.NewJSONHandler(&lines, nil), slog.NewTextHandler(&lines, nil)} {
		slog.New(h).Info("x", slog.Any("tenant", tenant), slog.Any("pointer", &tenant), slog.Any("key", tenant.Key()))
	}
	asJSON, err := json.Marshal(map[string]any{"t": tenant, "p": &tenant})
	require.NoError(t, err)
	key := tenant.Key()
	shown := fmt.Sprintf("%v %+v %#v %s %q %d %x | %v %+v %#v", tenant, tenant, tenant, tenant, tenant, tenant, tenant, &tenant, struct{ T qualys.Tenant }{tenant}, []qualys.Tenant{tenant}) +
		lines.String() + string(asJSON)
	assert.NotContains(t, shown, "canary")
	assert.NotContains(t, shown, fmt.Sprintf("%x", "canary"))
	assert.Contains(t, shown, "gateway.example")
	assert.NotContains(t, fmt.Sprintf("%v %x %#v %d", key, key, key, key), fmt.Sprintf("%x", key[:2]))
}

func TestATenantsKeyIsItsOwn(t *testing.T) {
	keys := make(map[qualys.TenantKey]qualys.Tenant)
	for _, tenant := range []qualys.Tenant{
		{}, {"a", "b", "c"}, {"ab", "", "c"}, {"a", "bc", ""}, {"", "ab", "c"}, {"a", "b", ""}, {"a", "b", "d"}, {"x", "b", "c"}, {"a", "x", "c"},
	} {
		assert.NotContains(t, keys, tenant.Key())
		keys[tenant.Key()] = tenant
	}
}

func TestObserveSeesEachExchange(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{Events: qualystest.Story()})
	s.Inject(qualystest.Fault{On: qualystest.Search, Nth: 2, Times: qualystest.Once, Do: qualystest.Status(503, "down")})
	var calls []qualys.Call
	c := newClient(t, qualys.Options{Observe: func(c qualys.Call) {
		assert.Positive(t, c.Duration)
		c.Duration = 0
		calls = append(calls, c)
	}})
	_, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{Active: true})
	require.NoError(t, err)
	_, err = c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
	require.Error(t, err)
	s.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.HangBeforeHeader()})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_ = s.Wait(ctx, func(st qualystest.Stats) bool { return st.Searches == 3 })
		cancel()
	}()
	_, err = c.Events(ctx, s.Tenant(), qualys.EventQuery{})
	require.Error(t, err)
	assert.Equal(t, []qualys.Call{
		{Op: qualys.OpLogin, Status: 201}, {Op: qualys.OpEvents, Status: 200},
		{Op: qualys.OpEvents, Status: 503, Kind: qualys.KindUnavailable}, {Op: qualys.OpEvents, Kind: qualys.KindCanceled},
	}, calls)
}

func TestConnectionsAreKept(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{Events: qualystest.Story()})
	c := newClient(t, qualys.Options{})
	for _, b := range []qualystest.Behaviour{qualystest.Status(500, strings.Repeat("long ", 1000)), qualystest.Status(404, ""), qualystest.Object()} {
		defer s.Inject(qualystest.Fault{On: qualystest.Search, Times: qualystest.Once, Do: b})()
	}
	for range 5 {
		_, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
		_ = err // the first three fail, and leave the connection in order
	}
	assert.Equal(t, 1, s.Stats().Connections)
}

func TestPlatforms(t *testing.T) {
	seen := make(map[string]bool)
	for _, p := range qualys.Platforms() {
		for _, s := range []string{p.Gateway, p.UI} {
			u, err := url.Parse(s)
			require.NoError(t, err)
			assert.Equal(t, "https", u.Scheme)
			assert.Empty(t, u.Path)
			assert.False(t, seen[s], s)
			seen[s] = true
		}
		assert.False(t, seen[p.Name])
		seen[p.Name] = true
		assert.True(t, strings.HasPrefix(p.Gateway, "https://gateway."))
	}
	assert.Len(t, qualys.Platforms(), 14)
}

func TestGatewayOf(t *testing.T) {
	gateways := make(map[string]bool)
	for _, p := range qualys.Platforms() {
		gateways[strings.TrimPrefix(p.Gateway, "https://")] = true
		assert.Equal(t, strings.TrimPrefix(p.Gateway, "https://"), qualys.GatewayOf(strings.TrimPrefix(p.UI, "https://")), p.Name)
	}
	for host, want := range map[string]string{
		"qualysapi.qualys.com": "gateway.qg1.apps.qualys.com", "QualysAPI.Qualys.EU": "gateway.qg1.apps.qualys.eu",
		"qualysapi.qg3.apps.qualys.it": "gateway.qg3.apps.qualys.it", "qualysapi.gov1.qualys.us": "gateway.gov1.qualys.us",
		"qualysapi.customer.example": "gateway.customer.example", "gateway.qg1.apps.qualys.com": "", "qualysapi": "", "": "", "api.example": "",
	} {
		assert.Equal(t, want, qualys.GatewayOf(host), host)
		if strings.Contains(host, "qualys.") {
			assert.True(t, want == "" || gateways[want], want)
		}
	}
}
