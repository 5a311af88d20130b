package qualys_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
)

// TestRecordedErrorBodies answers with what Qualys was seen to answer.
func TestRecordedErrorBodies(t *testing.T) {
	const tooMany, expired = "This API cannot be run again until 1 currently running API instance has finished.", "This account has expired."
	tests := []struct {
		name    string
		on      qualystest.Op
		do      qualystest.Behaviour
		kind    qualys.Kind
		code    int
		message string
		wait    time.Duration
	}{
		{"concurrency limit", qualystest.Search, qualystest.TooManyCalls(1), qualys.KindRateLimited, 1960, tooMany, 0},
		{"rate limit", qualystest.Search, qualystest.LimitReached(86274), qualys.KindRateLimited, 1965,
			"This API cannot be run again for another 86274 seconds.", 86274 * time.Second},
		{"rate limit at the login", qualystest.Login, qualystest.LimitReached(7), qualys.KindRateLimited, 1965,
			"This API cannot be run again for another 7 seconds.", 7 * time.Second},
		{"several items", qualystest.Search, qualystest.Status(409, "<SIMPLE_RETURN><RESPONSE><CODE>1965</CODE><TEXT>later</TEXT><ITEM_LIST>"+
			"<ITEM><KEY>SECONDS_TO_WAIT</KEY><VALUE>11</VALUE></ITEM><ITEM><KEY>CALLS_TO_FINISH</KEY><VALUE>1</VALUE></ITEM>"+
			"</ITEM_LIST></RESPONSE></SIMPLE_RETURN>"), qualys.KindRateLimited, 1965, "later", 11 * time.Second},
		{"absurd wait", qualystest.Search, qualystest.LimitReached(1 << 30), qualys.KindRateLimited, 1965,
			"This API cannot be run again for another 1073741824 seconds.", 7 * 24 * time.Hour},
		{"the longer wait", qualystest.Search, qualystest.Status(409, `{"code":1965,"message":"later"}`, "X-RateLimit-ToWait-Sec", "9"),
			qualys.KindRateLimited, 1965, "later", 9 * time.Second},
		{"rate headers and no code", qualystest.Search, qualystest.Status(409, "", "X-RateLimit-ToWait-Sec", "3"), qualys.KindRateLimited, 0,
			"HTTP 409 Conflict", 3 * time.Second},
		{"rate headers and an account's code", qualystest.Search,
			qualystest.Status(409, `{"errorCode":"2003","message":"Registration"}`, "X-RateLimit-Remaining", "299"),
			qualys.KindAccount, 2003, "Registration", 0},
		{"a code beside a message", qualystest.Search, qualystest.Status(409, `{"message":"later","_error":{"code":1965}}`),
			qualys.KindRateLimited, 1965, "later", 0},
		{"another code", qualystest.Search, qualystest.Status(409, `{"code":77,"message":"no"}`), qualys.KindUnexpected, 77, "no", 0},
		{"not registered", qualystest.Search, qualystest.NotRegistered(), qualys.KindAccount, 2003,
			"Registration must be completed before API requests will be served for this account", 0},
		{"second factor", qualystest.Search, qualystest.SecureID(), qualys.KindAccount, 2011,
			"SecureID authentication is required for this account, so API access is blocked", 0},
		{"second factor at the login", qualystest.Login, qualystest.SecureID(), qualys.KindAccount, 2011,
			"SecureID authentication is required for this account, so API access is blocked", 0},
		{"expired", qualystest.Login, qualystest.AccountExpired(), qualys.KindUnauthorized, 2001, expired, 0},
		{"expired, told by a search", qualystest.Search, qualystest.AccountExpired(), qualys.KindAccount, 2001, expired, 0},
		{"invalid credentials", qualystest.Login, qualystest.InvalidCredentials(), qualys.KindUnauthorized, 0,
			"Authentication failed Verify both, user and password credentials.", 0},
		{"invalid credentials as JSON", qualystest.Login, qualystest.Status(200, `{"ServiceResponse":{"responseCode":"INVALID_CREDENTIALS"}}`),
			qualys.KindUnauthorized, 0, "INVALID_CREDENTIALS", 0},
		{"invalid credentials as a word", qualystest.Login, qualystest.Status(200, "INVALID_CREDENTIALS\n"), qualys.KindUnauthorized, 0,
			"INVALID_CREDENTIALS", 0},
		{"invalid credentials as a code", qualystest.Login, qualystest.Status(500, `{"code":"INVALID_CREDENTIALS","message":"no"}`),
			qualys.KindUnauthorized, 0, "no", 0},
		{"a 200 with exceptions", qualystest.Login, qualystest.Status(200, `{"authentication_exceptions":["AccountLockedException"]}`),
			qualys.KindUnauthorized, 0, "AccountLockedException", 0},
		{"bad parameter", qualystest.Search, qualystest.Status(400, "<SIMPLE_RETURN><RESPONSE><CODE>1905</CODE><TEXT>parameter has invalid value</TEXT></RESPONSE></SIMPLE_RETURN>"),
			qualys.KindBadQuery, 1905, "parameter has invalid value", 0},
		{"bad parameter at the login", qualystest.Login, qualystest.Status(400, "EmptyCredentials"), qualys.KindUnauthorized, 0, "EmptyCredentials", 0},
		{"a maintenance page at the login", qualystest.Login, qualystest.HTML(), qualys.KindUnreadable, 0, "the answer to the login is not a token", 0},
		{"a page that begins with its title", qualystest.Login, qualystest.Status(200, "<!doctype html><title>Sorry</title><p>Back soon"),
			qualys.KindUnreadable, 0, "the answer to the login is not a token", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := qualystest.New(t, qualystest.Config{Events: qualystest.Story()})
			s.Inject(qualystest.Fault{On: tt.on, Do: tt.do})
			_, err := newClient(t, qualys.Options{}).Events(t.Context(), s.Tenant(), qualys.EventQuery{})
			e := asError(t, err)
			assert.Equal(t, tt.kind, e.Kind)
			assert.Equal(t, tt.code, e.Code)
			assert.Equal(t, tt.message, e.Message)
			assert.Equal(t, tt.wait, e.Limits.Wait)
			assert.False(t, e.Transient())
			assert.NotContains(t, e.Error(), tt.message)
			assert.Equal(t, 1, s.Logins())
		})
	}
}

func TestErrorSaysWhatCanBeLogged(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{})
	s.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.LimitReached(5)})
	_, err := newClient(t, qualys.Options{}).Events(t.Context(), s.Tenant(), qualys.EventQuery{})
	require.EqualError(t, err, "qualys: events: rate limited (status 409, code 1965)")
	assert.NoError(t, errors.Unwrap(err))
}

func TestWhatIsNoListIsAnError(t *testing.T) {
	for name, tt := range map[string]struct{ body, message string }{
		"nothing":                    {"", "the answer is empty"},
		"white space":                {" \r\n ", "the answer is empty"},
		"an empty object":            {"{}", "the answer is not a list of events: {}"},
		"null":                       {"null", "the answer is not a list of events: null"},
		"a number":                   {"7", "the answer is not a list of events: 7"},
		"a string":                   {`"no module"`, "the answer is not a list of events: no module"},
		"a message":                  {`{"message":"no module"}`, "no module"},
		"a message beside no events": {`{"data":[],"message":"no module"}`, "no module"},
		"a message beside null":      {`{"events":null,"_error":{"message":"no module"}}`, "no module"},
		"a data object":              {`{"data":{"id":"F_1"}}`, `the answer is not a list of events: {"data":{"id":"F_1"}}`},
		"a text":                     {"no module", "the answer is not a list of events: no module"},
		"a page":                     {"<html><title>Sign in</title>", "the answer is not a list of events: Sign in"},
		"something behind it":        {"[] []", "the answer is not a list of events"},
		"broken":                     {`[{"id":"F_1"},}`, "the answer is not a list of events"},
		"broken in an event":         {`[{"id":"F_1" "x"}]`, "the answer is not a list of events"},
		"cut short":                  {`[{"id":"F_1"}`, "the answer is cut short"},
		"an object cut short":        {`{"data":[{"id":"F_1"}]`, "the answer is cut short"},
		"XML":                        {"<SIMPLE_RETURN><RESPONSE><TEXT>no module</TEXT></RESPONSE></SIMPLE_RETURN>", "no module"},
	} {
		t.Run(name, func(t *testing.T) {
			s := qualystest.New(t, qualystest.Config{})
			s.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(200, tt.body)})
			_, err := newClient(t, qualys.Options{}).Events(t.Context(), s.Tenant(), qualys.EventQuery{})
			e := asError(t, err)
			assert.Equal(t, qualys.KindUnreadable, e.Kind)
			assert.Equal(t, tt.message, e.Message)
		})
	}
}

func TestAnEmptyListInALongAnswerIsAnError(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{})
	body := `{"data":[],"trace":"` + strings.Repeat("at x ", 20_000) + `","message":"no module"}`
	s.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(200, body)})
	_, err := newClient(t, qualys.Options{}).Events(t.Context(), s.Tenant(), qualys.EventQuery{})
	e := asError(t, err)
	assert.Equal(t, qualys.KindUnreadable, e.Kind)
	assert.Contains(t, e.Message, "the answer is not a list of events")
}

func TestAPageOfARoundNumberMayBeCapped(t *testing.T) {
	for n, full := range map[int]bool{99: false, 100: true, 101: false, 500: true} {
		s := qualystest.New(t, qualystest.Config{Events: qualystest.Generate(1, n, qualystest.Values{State: qualystest.HistoryState})})
		page, err := newClient(t, qualys.Options{}).Events(t.Context(), s.Tenant(), qualys.EventQuery{PageSize: 1000})
		require.NoError(t, err)
		assert.Len(t, page.Events, n)
		assert.Equal(t, full, page.Full, n)
	}
}

func TestWrappedLists(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{Events: qualystest.Story()})
	c := newClient(t, qualys.Options{})
	want, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
	require.NoError(t, err)
	for _, list := range []string{"", "data", "events", "items"} {
		remove := s.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Wrapped(list)})
		got, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
		remove()
		require.NoError(t, err, list)
		assert.Equal(t, want.Events, got.Events)
		assert.Zero(t, got.Unreadable)
	}
}

func TestLoginTakesATokenInAnyForm(t *testing.T) {
	for name, form := range map[string]func(string) string{
		"in quotes":       func(jwt string) string { return `"` + jwt + `"` },
		"of five parts":   func(jwt string) string { return jwt + ".fourth.fifth" },
		"opaque":          func(string) string { return "9b2f-77:aa|opaque~token/1" },
		"of letters, dot": func(string) string { return "abc.def" },
		"of letters":      func(string) string { return strings.Repeat("abcXYZ", 30) },
	} {
		t.Run(name, func(t *testing.T) {
			s := qualystest.New(t, qualystest.Config{Events: qualystest.Story()})
			s.Inject(qualystest.Fault{On: qualystest.Login, Do: qualystest.TokenAs(form)})
			page, err := newClient(t, qualys.Options{}).Events(t.Context(), s.Tenant(), qualys.EventQuery{})
			require.NoError(t, err)
			assert.NotEmpty(t, page.Events)
		})
	}
}

func TestARefusedLoginIsRemembered(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{})
	c := newClient(t, qualys.Options{})
	wrong := s.Tenant()
	wrong.Password = "wrong"
	for range 20 {
		_, err := c.Events(t.Context(), wrong, qualys.EventQuery{})
		e := asError(t, err)
		assert.Equal(t, qualys.KindUnauthorized, e.Kind)
		assert.Equal(t, "InvalidCredentialsException", e.Message)
	}
	require.Error(t, c.Login(t.Context(), wrong))
	require.Error(t, c.Check(t.Context(), wrong), "asked less than a minute ago")
	assert.False(t, c.LoggedIn(wrong))
	assert.Equal(t, 1, s.Logins())
	require.NoError(t, c.Login(t.Context(), s.Tenant()), "the right password is another tenant")
}

func TestARefusalEnds(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{})
	remove := s.Inject(qualystest.Fault{On: qualystest.Login, Do: qualystest.InvalidCredentials()})
	synctest.Test(t, func(t *testing.T) {
		c := qualys.NewClient(qualys.Options{})
		pass := func(d time.Duration) {
			c.Close() // the bubble's clock stands still while a connection waits for its next use
			time.Sleep(d)
		}
		require.Error(t, c.Login(t.Context(), s.Tenant()))
		pass(59 * time.Second)
		require.Error(t, c.Check(t.Context(), s.Tenant()))
		assert.Equal(t, 1, s.Logins())
		pass(time.Second)
		require.Error(t, c.Check(t.Context(), s.Tenant()))
		require.Error(t, c.Check(t.Context(), s.Tenant()))
		assert.Equal(t, 2, s.Logins(), "once a minute")
		pass(10*time.Minute - time.Second)
		require.Error(t, c.Login(t.Context(), s.Tenant()))
		assert.Equal(t, 2, s.Logins())
		remove()
		pass(time.Second)
		require.NoError(t, c.Login(t.Context(), s.Tenant()))
		require.NoError(t, c.Check(t.Context(), s.Tenant()))
		assert.Equal(t, 3, s.Logins())
		c.Close()
	})
}

// TestAnAccountWithoutTheModule logs in once more, and then leaves it at that for a minute: the login is
// good.
func TestAnAccountWithoutTheModule(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{Events: qualystest.Story()})
	remove := s.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(401, `{"message":"no EDR module"}`)})
	c := newClient(t, qualys.Options{})
	for range 10 {
		_, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
		e := asError(t, err)
		assert.Equal(t, qualys.KindAccount, e.Kind)
		assert.Equal(t, "no EDR module", e.Message)
	}
	assert.Equal(t, 2, s.Logins())
	remove()
	_, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
	require.NoError(t, err, "the token is kept")
}

func TestCount(t *testing.T) {
	s := qualystest.New(t, qualystest.Config{Events: qualystest.Story()})
	c := newClient(t, qualys.Options{})
	s.SetHeader("X-RateLimit-Limit", "300")
	for _, active := range []bool{true, false} {
		page, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{Active: active, PageSize: 1000})
		require.NoError(t, err)
		n, limits, err := c.Count(t.Context(), s.Tenant(), qualys.EventQuery{Active: active}, qualys.Split{})
		require.NoError(t, err)
		assert.EqualValues(t, len(page.Events), n.N)
		assert.Equal(t, 300, limits.Limit)
	}
	day := time.Date(2026, 3, 17, 0, 0, 0, 0, time.UTC)
	network, err := qualys.EventType("NETWORK")
	require.NoError(t, err)
	file, err := qualys.EventType("file")
	require.NoError(t, err)
	bad := qualys.ScoreRange(8, 10)
	n, _, err := c.Count(t.Context(), s.Tenant(), qualys.EventQuery{
		Filter: qualys.And(qualys.Between(day, day.Add(24*time.Hour-time.Millisecond)), bad, qualys.Or(network, file))}, qualys.Split{})
	require.NoError(t, err)
	assert.EqualValues(t, 6, n.N)
	assert.Equal(t, `event.datetime: ["2026-03-17T00:00:00.000Z" .. "2026-03-17T23:59:59.999Z"] and indicator.score: [8 .. 10] and `+
		`(type: 'network' or type: 'file')`, s.Filters()[len(s.Filters())-1])
	_, err = qualys.EventType("file' or type: 'x")
	require.Error(t, err)

	for body, want := range map[string]int64{`{"count":12}`: 12, `{"count":"12"}`: 12, `{"count":0,"took":3}`: 0} {
		remove := s.Inject(qualystest.Fault{On: qualystest.Count, Do: qualystest.Status(200, body)})
		n, _, err := c.Count(t.Context(), s.Tenant(), qualys.EventQuery{}, qualys.Split{})
		remove()
		require.NoError(t, err)
		assert.Equal(t, qualys.Count{N: want}, n)
	}
	for body, message := range map[string]string{
		`{"count":-1}`: `the answer is not a count: {"count":-1}`, `{"count":null}`: `the answer is not a count: {"count":null}`, "": "the answer is not a count",
		`{"message":"no module"}`: "no module", "[1]": "the answer is not a count: [1]", "<p>down": "the answer is not a count: down",
	} {
		remove := s.Inject(qualystest.Fault{On: qualystest.Count, Do: qualystest.Status(200, body)})
		_, _, err := c.Count(t.Context(), s.Tenant(), qualys.EventQuery{}, qualys.Split{})
		remove()
		e := asError(t, err)
		assert.Equal(t, qualys.KindUnreadable, e.Kind)
		assert.Equal(t, qualys.OpCount, e.Op)
		assert.Equal(t, message, e.Message)
	}
	s.Inject(qualystest.Fault{On: qualystest.Count, Do: qualystest.Status(404, "")})
	_, _, err = c.Count(t.Context(), s.Tenant(), qualys.EventQuery{}, qualys.Split{})
	assert.Equal(t, qualys.KindNotFound, asError(t, err).Kind)
}

func TestATruncatedAnswerIsTransient(t *testing.T) {
	for _, op := range []qualystest.Op{qualystest.Search, qualystest.Count, qualystest.Login} {
		s := qualystest.New(t, qualystest.Config{Events: qualystest.Story()})
		s.Inject(qualystest.Fault{On: op, Times: qualystest.Once, Do: qualystest.Truncated()})
		c := newClient(t, qualys.Options{})
		search := func() error {
			_, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
			if op == qualystest.Count {
				_, _, err = c.Count(t.Context(), s.Tenant(), qualys.EventQuery{}, qualys.Split{})
			}
			return err
		}
		e := asError(t, search())
		assert.Equal(t, qualys.KindUnreadable, e.Kind)
		assert.Equal(t, "the answer is cut short", e.Message)
		assert.True(t, e.Transient())
		require.NoError(t, search())
	}
}

// counter is a budget that remembers the most that was held.
type counter struct {
	*semaphore.Weighted
	mu         sync.Mutex
	held, most int64
}

func newCounter(n int64) *counter { return &counter{Weighted: semaphore.NewWeighted(n)} }

func (c *counter) Acquire(ctx context.Context, n int64) error {
	err := c.Weighted.Acquire(ctx, n)
	if err == nil {
		c.add(n)
	}
	return err
}

func (c *counter) Release(n int64) {
	c.add(-n)
	c.Weighted.Release(n)
}

func (c *counter) add(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held += n
	c.most = max(c.most, c.held)
}

// TestHostileAnswersAreBounded gives the client what no gateway should answer, and looks at what it asks
// the budget for.
func TestHostileAnswersAreBounded(t *testing.T) {
	const mega = 1 << 20
	for _, tt := range []struct {
		do      qualystest.Behaviour
		size    int
		message string
	}{
		{qualystest.Endless(), 1000, "there are more events than the 1000 that were asked for"},
		{qualystest.EndlessText(), 1000, "one event is larger than 1048576 bytes"},
		{qualystest.EmptyEntries(10_000, 256), 1000, "there are more events than the 1000 that were asked for"},
		{qualystest.Heavy(1000, 1000_000), 1000, fmt.Sprintf("the answer is larger than %d bytes", 4*24*mega)},
		{qualystest.Status(200, "["+strings.Repeat(" ", 2*mega)+"]"), 1, "one event is larger than 1048576 bytes"},
		{qualystest.Status(200, strings.Repeat(" ", 2*mega)), 1, "one event is larger than 1048576 bytes"},
		{qualystest.Status(200, strings.Repeat(`{"a":`, 200_000)), 1, "the answer is not a list of events"},
		{qualystest.Status(200, `{"message":"`+strings.Repeat("a", 2*mega)), 1, "one event is larger than 1048576 bytes"},
		{qualystest.Status(200, `[`+strings.Repeat(`1,`, mega)+"1]"), 1000, "there are more events than the 1000 that were asked for"},
	} {
		t.Run(tt.do.String(), func(t *testing.T) {
			s := qualystest.New(t, qualystest.Config{})
			s.Inject(qualystest.Fault{On: qualystest.Search, Do: tt.do})
			budget := newCounter(400 * mega)
			c := newClient(t, qualys.Options{Memory: budget, Timeout: time.Minute})
			_, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{PageSize: tt.size})
			e := asError(t, err)
			assert.Equal(t, qualys.KindUnreadable, e.Kind)
			assert.Equal(t, tt.message, e.Message)
			assert.False(t, e.Transient())
			assert.Zero(t, budget.held)
			assert.LessOrEqual(t, budget.most, int64(25*mega))
		})
	}
}

func TestMemoryIsHeldUntilThePageIsReleased(t *testing.T) {
	const mega = 1 << 20
	s := qualystest.New(t, qualystest.Config{Events: qualystest.Generate(1, 1000, qualystest.Values{State: qualystest.HistoryState})})
	budget := newCounter(64 * mega)
	c := newClient(t, qualys.Options{Memory: budget})
	small, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{PageSize: 100})
	require.NoError(t, err)
	assert.Zero(t, budget.most, "the first 256 KiB are free")
	small.Release()
	page, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{PageSize: 1000})
	require.NoError(t, err)
	size := 0
	for _, e := range page.Events {
		size += e.Size
	}
	assert.Greater(t, size, mega/2)
	assert.Equal(t, int64((size-256<<10+mega-1)/mega*mega), budget.held)
	copied := page
	page.Release()
	copied.Release()
	page.Release()
	assert.Zero(t, budget.held)
	new(qualys.Page).Release()

	s.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Heavy(1000, 8000)})
	page, err = c.Events(t.Context(), s.Tenant(), qualys.EventQuery{PageSize: 1000})
	require.NoError(t, err)
	assert.InDelta(t, 9*mega, budget.held, mega)
	page.Release()
	s.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Heavy(1000, 30_000)})
	page, err = c.Events(t.Context(), s.Tenant(), qualys.EventQuery{PageSize: 1000})
	require.NoError(t, err)
	assert.InDelta(t, 9*mega, budget.held, mega, "long texts are cut")
	page.Release()
}

func TestNoMemoryIsAnError(t *testing.T) { // takes the three seconds that an answer waits
	t.Parallel()
	const mega = 1 << 20
	s := qualystest.New(t, qualystest.Config{})
	s.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Heavy(1000, 8000)})
	budget := newCounter(12 * mega)
	c := newClient(t, qualys.Options{Memory: budget})
	first, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{PageSize: 1000})
	require.NoError(t, err)
	_, err = c.Events(t.Context(), s.Tenant(), qualys.EventQuery{PageSize: 1000})
	e := asError(t, err)
	assert.Equal(t, qualys.KindMemory, e.Kind)
	assert.False(t, e.Transient())
	require.EqualError(t, err, "qualys: events: memory (status 200)")

	late, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = c.Events(late, s.Tenant(), qualys.EventQuery{PageSize: 1000})
	assert.Equal(t, context.DeadlineExceeded, err)

	done := make(chan error)
	go func() {
		second, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{PageSize: 1000})
		second.Release()
		done <- err
	}()
	first.Release()
	require.NoError(t, <-done, "what waits goes on when there is memory")
	assert.Zero(t, budget.held)
	assert.LessOrEqual(t, budget.most, int64(12*mega))
}

// TestDecodedSizeIsHonest compares what pages take by their own word with what the heap says.
func TestDecodedSizeIsHonest(t *testing.T) {
	for _, do := range []qualystest.Behaviour{
		qualystest.Heavy(300, 8000), qualystest.Heavy(300, 100), qualystest.Heavy(300, 30_000), qualystest.EmptyEntries(300, 256),
		qualystest.Status(200, string(qualystest.Body(qualystest.Generate(2, 300, qualystest.Values{})...))),
	} {
		s := qualystest.New(t, qualystest.Config{})
		s.Inject(qualystest.Fault{On: qualystest.Search, Do: do})
		c := newClient(t, qualys.Options{})
		_, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{PageSize: 1000})
		require.NoError(t, err)
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before := heap()
		page, err := c.Events(t.Context(), s.Tenant(), qualys.EventQuery{PageSize: 1000})
		require.NoError(t, err)
		took := int64(heap()) - int64(before)
		size := int64(0)
		for _, e := range page.Events {
			size += int64(e.Size)
		}
		assert.Less(t, took, size+size/2+1<<20, do.String())
		runtime.KeepAlive(page)
	}
}
