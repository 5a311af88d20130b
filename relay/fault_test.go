package relay

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys/qualystest"
	"qualysrelay.example/relay/accesslog"
)

// faults are what can go wrong at Qualys, and what each means for an answer when it does not go away.
var faults = []struct {
	do            qualystest.Behaviour
	search, login Code // "": no error
	passes        bool // once is not enough for an error
	oneValue      bool // it may be the fault of one value: the others of the query are asked again
}{
	{qualystest.Reset(), CodeConnection, CodeConnection, true, false},
	{qualystest.HangBeforeHeader(), CodeTimeout, CodeTimeout, false, true},
	{qualystest.HangInBody(), CodeTimeout, CodeTimeout, false, true},
	{qualystest.Drip(time.Second), CodeTimeout, CodeTimeout, false, true},
	{qualystest.Truncated(), CodeUnknown, CodeUnknown, true, true},
	{qualystest.HTML(), CodeUnknown, CodeUnknown, false, true},
	{qualystest.Empty(), CodeUnknown, CodeUnknown, false, true},
	{qualystest.Null(), CodeUnknown, CodeUnknown, false, true},
	{qualystest.Object(), CodeUnknown, CodeAuthorization, false, true},
	{qualystest.OddElements(), CodeUnknown, CodeUnknown, false, true},
	{qualystest.Huge(1 << 30), CodeUnknown, CodeUnknown, false, true},
	{qualystest.Redirect("http://127.0.0.1:1/"), CodeUnknown, CodeUnknown, false, true},
	{qualystest.Status(400, `{"message":"no such token"}`), CodeInvalidArgument, CodeAuthorization, false, true},
	{qualystest.Status(401, `{"authentication_exceptions":["InvalidCredentialsException"]}`), CodeAuthorization, CodeAuthorization, true, false},
	{qualystest.Status(403, `{"message":"no module"}`), CodePermission, CodePermission, false, true},
	{qualystest.Status(404, "nothing here"), CodeUnknown, CodeUnknown, false, true},
	{qualystest.Status(409, "conflict"), CodeUnknown, CodeUnknown, false, true},
	{qualystest.Status(409, "", "X-RateLimit-Limit", "300", "X-RateLimit-ToWait-Sec", "900"), CodeTooManyRequests, CodeTooManyRequests, false, false},
	{qualystest.Status(418, "short and stout"), CodeUnknown, CodeUnknown, false, true},
	{qualystest.Status(429, "", "Retry-After", "900"), CodeTooManyRequests, CodeTooManyRequests, false, false},
	{qualystest.Status(500, "<html><b>boom</b></html>"), CodeUnknown, CodeUnknown, true, true},
	{qualystest.Status(502, ""), CodeUnknown, CodeUnknown, true, true},
	{qualystest.Status(503, ""), CodeUnavailable, CodeUnavailable, true, true},
	{qualystest.Status(504, ""), CodeUnknown, CodeUnknown, true, true},
}

// TestEveryFault drives each fault on a login and on each of the two searches, once and always, alone
// and beside a healthy observable. Whatever happens, the answer is there in time, valid, with its code
// and with what was healthy; and nothing is left behind.
func TestEveryFault(t *testing.T) {
	t.Parallel()
	var group sync.WaitGroup
	slots := make(chan struct{}, 12)
	var heavy []faultCase // one after another, since they leave no processor for others
	for i := range faults {
		for _, on := range []string{"login", "current state", "history"} {
			for _, times := range []int{qualystest.Once, 0} {
				for _, beside := range []bool{false, true} {
					c := faultCase{i, on, times, beside}
					switch {
					case on == "login" && beside:
						continue // it concerns everyone
					case on == "login" && faults[i].login == CodeTimeout && testing.Short():
						continue // a login that is given up goes on for 15 s
					case faults[i].do.String() == "huge body":
						heavy = append(heavy, c)
						continue
					}
					group.Go(func() {
						slots <- struct{}{}
						defer func() { <-slots }()
						t.Run(c.String(), func(t *testing.T) { c.run(t, 4*time.Second) })
					})
				}
			}
		}
	}
	group.Wait()
	for _, c := range heavy {
		t.Run(c.String(), func(t *testing.T) { c.run(t, time.Minute) })
	}
	http.DefaultClient.CloseIdleConnections()
}

// faultCase is one cell of the matrix.
type faultCase struct {
	fault  int // in faults
	on     string
	times  int
	beside bool // a healthy observable
}

func (c faultCase) String() string {
	return fmt.Sprintf("%d %s/%s/times %d/beside %t", c.fault, faults[c.fault].do, c.on, c.times, c.beside)
}

// want is the code that the answer must have; "" for none.
func (c faultCase) want() Code {
	fault := faults[c.fault]
	want := fault.search
	if c.on == "login" {
		want = fault.login
	}
	if c.times == qualystest.Once && (fault.passes && (c.on != "login" || want != CodeAuthorization) || c.beside && fault.oneValue) {
		return ""
	}
	return want
}

func (c faultCase) run(t *testing.T, deadline time.Duration) {
	fault := faults[c.fault]
	long := "2026-01-01T00:00:00Z"
	r := newRelay(t, []qualystest.Event{badFile(1).Current(), badFile(1).At(long), badFile(2).Current(), badFile(2).At(long)}, "REQUEST_TIMEOUT", deadline.String())
	injected := qualystest.Fault{On: qualystest.Search, Times: c.times, Do: fault.do, Contains: sha(2), State: qualystest.CurrentState}
	switch c.on {
	case "login":
		injected.On, injected.Contains, injected.State = qualystest.Login, "", qualystest.AnyState
	case "history":
		injected.State = qualystest.HistoryState
	}
	r.fake.Inject(injected)
	asked := []string{"sha256", sha(2)}
	if c.beside {
		asked = append(asked, "sha256", sha(1))
	}
	a := r.query("/observe/observables", asked...)

	want := c.want()
	if want == "" {
		assert.Empty(t, a.Errors)
	} else {
		assert.Contains(t, a.codes(), want)
	}
	if c.beside {
		healthy := countFor(a, sha(1))
		switch {
		case fault.search == CodeTooManyRequests: // it may come before the other search is sent
		case fault.oneValue || want == "" && fault.search != "":
			assert.Equal(t, 2, healthy, "%s", a.body)
		default:
			assert.GreaterOrEqual(t, healthy, 1, "the other search's events are there: %s", a.body)
		}
	}
	assert.Less(t, a.took, deadline+testPatience, "the answer came")
	assert.NotContains(t, a.body+r.log.String(), qualystest.Password)
	assert.NotContains(t, a.body, "<b>")
	require.NoError(t, r.fake.Wait(t.Context(), func(s qualystest.Stats) bool { return s.Open == 0 }), "no call is left open")
}

func countFor(a answer, value string) int {
	count := 0
	for _, s := range a.Data.Sightings.Docs {
		if strings.Contains(fmt.Sprint(s["observables"]), value) {
			count++
		}
	}
	return count
}

func TestARefusedConnection(t *testing.T) {
	t.Parallel()
	dead := qualystest.DeadURL(t)
	r := newRelayAt(t, qualystest.New(t, qualystest.Config{}), "API_URL", dead)
	for _, path := range []string{"/observe/observables", "/health"} {
		a := r.query(path, "sha256", sha(1))
		require.Len(t, a.Errors, 1)
		assert.Equal(t, Error{Severity: Failure, Code: CodeConnection, Message: "Unable to connect to Qualys IOC, validate the configured API URL: " + dead}, a.Errors[0])
	}
}

func TestACertificateOfAnUnknownAuthority(t *testing.T) {
	t.Parallel()
	fake := qualystest.New(t, qualystest.Config{TLS: true})
	r := newRelayAt(t, fake, "API_URL", fake.URL)
	a := r.query("/observe/observables", "sha256", sha(1))
	require.Len(t, a.Errors, 1)
	assert.Equal(t, Fatal, a.Errors[0].Severity)
	assert.Equal(t, CodeUnknown, a.Errors[0].Code)
	assert.True(t, strings.HasPrefix(a.Errors[0].Message, "Unable to verify SSL certificate: "), a.Errors[0].Message)
}

// TestTheErrorTable holds the words that the analyst reads, row by row.
func TestTheErrorTable(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		fault qualystest.Fault
		want  Error
	}{
		"wrong credentials": {
			qualystest.Fault{On: qualystest.Login, Do: qualystest.Status(401, `{"authentication_exceptions":["InvalidCredentialsException"]}`)},
			Error{Severity: Fatal, Code: CodeAuthorization, Message: "Authorization failed: InvalidCredentialsException"},
		},
		"400 of a login": {
			qualystest.Fault{On: qualystest.Login, Do: qualystest.Status(400, `{"message":"username is empty"}`)},
			Error{Severity: Fatal, Code: CodeAuthorization, Message: "Authorization failed: username is empty"},
		},
		"403": {
			qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(403, `{"message":"EDR is not in your subscription"}`)},
			Error{Severity: Fatal, Code: CodePermission, Message: unexpected + "EDR is not in your subscription" + checkHint},
		},
		"429": {
			qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(429, "", "Retry-After", "900")},
			Error{Severity: Warning, Code: CodeTooManyRequests, Message: "Too many requests to Qualys IOC have been made. Please try again later. Qualys takes requests again in 15 minutes."},
		},
		"503": {
			qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(503, "down")},
			Error{Severity: Failure, Code: CodeUnavailable, Message: "Service temporarily unavailable. Please try again later."},
		},
		"400 of a search": {
			qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(400, `{"message":"invalid query"}`)},
			Error{Severity: Warning, Code: CodeInvalidArgument, Message: `Qualys IOC refused to search for the SHA256 "` + sha(1) + `": invalid query`},
		},
		"500": {
			qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(500, "<html><h1>Internal</h1> <script>x()</script>\nerror</html>")},
			Error{Severity: Failure, Code: CodeUnknown, Message: unexpected + "Internal error"},
		},
		"a login that hangs": {
			qualystest.Fault{On: qualystest.Login, Do: qualystest.HangBeforeHeader()},
			Error{Severity: Warning, Code: CodeTimeout, Message: lateAnswer},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRelay(t, nil, "REQUEST_TIMEOUT", "1s")
			r.fake.Inject(row.fault)
			a := r.query("/observe/observables", "sha256", sha(1))
			require.Len(t, a.Errors, 1, "duplicates are reported once")
			assert.Equal(t, row.want, a.Errors[0])
			if row.fault.On == qualystest.Login || row.want.Code != CodeInvalidArgument { // health asks for no observable
				assert.Equal(t, row.want.Code, r.post("/health", r.token, "").Errors[0].Code)
			}
		})
	}
}

func TestOurOwnKeyIsNobodysBusiness(t *testing.T) {
	t.Parallel()
	c, err := ConfigFromEnv(env("SECRET_KEY", "", "SECRET_KEY_FILE", t.TempDir()+"/missing"))
	require.NoError(t, err)
	log := new(strings.Builder)
	s, err := New(c, accesslog.New(log, c.LogLevel, ""))
	require.NoError(t, err)
	w := call(t, s, "POST", "/health", "", "Authorization", "Bearer "+tokenFor(t, "u", "p"))
	assert.JSONEq(t, `{"errors":[{"type":"fatal","code":"unknown","message":"`+ownFault+`"}]}`, w.Body.String())
	line := lastLine(t, log)
	assert.Equal(t, "ERROR", line["severity"])
	assert.Contains(t, line["stack_trace"], "missing")
	s.Close()
}

// TestNoSecretLeaves marks every secret that the relay meets and looks for the marks in everything that
// it writes: answers, log lines, errors.
func TestNoSecretLeaves(t *testing.T) {
	t.Parallel()
	const password = "CANARY-password&=+% ü"
	fake := qualystest.New(t, qualystest.Config{Users: map[string]string{"canary-user": password}, Events: []qualystest.Event{badFile(1)}})
	r := newRelayAt(t, fake, "API_URL", fake.URL, "REQUEST_TIMEOUT", "1s", "LOG_LEVEL", "debug", "SEARCH_CACHE", "0")
	token := tokenFor(t, "canary-user", password)
	session := fake.IssueToken("canary-user")
	echo := func(secret string) string { return `{"message":"you sent ` + secret + `"}` }
	secrets := []string{"CANARY", "%26%3D%2B%25", token, strings.Split(token, ".")[2], session, testKey}

	var said strings.Builder
	ask := func() {
		said.WriteString(r.post("/observe/observables", token, `[{"type":"sha256","value":"`+sha(1)+`"}]`).body)
		said.WriteString(r.post("/health", token, "").body)
		said.WriteString(r.post("/deliberate/observables", token, `[{"type":"sha256","value":"`+sha(1)+`"}]`).body)
		said.WriteString(r.post("/refer/observables", token, `{`).body)
		said.WriteString(r.post("/observe/observables", token+"x", `[]`).body)
		said.WriteString(r.post("/observe/observables", tokenFor(t, "canary-user", password, "API_URL", "https://CANARY:CANARY@evil.example"), `[]`).body)
	}
	ask()
	said.WriteString(r.post("/observe/observables", tokenFor(t, "canary-user", "CANARY-other"), `[{"type":"ip","value":"192.0.2.1"}]`).body)
	for _, on := range []qualystest.Op{qualystest.Login, qualystest.Search} {
		for _, do := range []qualystest.Behaviour{
			qualystest.Status(400, echo(password)), qualystest.Status(401, echo(password)), qualystest.Status(403, echo(password)), qualystest.Status(500, "password="+password),
			qualystest.Status(500, "CANARY-password%26%3D%2B%25+%C3%BC and CANARY-password%26%3D%2B%25%20%C3%BC"), qualystest.HTML(), qualystest.Reset(), qualystest.Truncated(),
			qualystest.Redirect("http://127.0.0.1:1/?password=" + "x"), qualystest.HangBeforeHeader(),
		} {
			remove := fake.Inject(qualystest.Fault{On: on, Do: do})
			ask()
			fake.RevokeTokens()
			remove()
		}
	}
	r.relay.requests.shut(t.Context(), time.Minute) // the last lines are written after the answers
	for _, secret := range secrets {
		assert.NotContains(t, said.String(), secret)
		assert.NotContains(t, r.log.String(), secret)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, secret := range secrets {
			assert.NotContains(t, fmt.Sprintf(verb, r.relay.config), secret, verb)
		}
	}
}

func TestDuplicateErrorsAreReportedOnceAndTheListIsBounded(t *testing.T) {
	t.Parallel()
	r := &request{}
	for i := range 20_000 {
		r.fail(context.DeadlineExceeded, observableNumber(i))
	}
	r.fail(fullAnswer(observableNumber(1), 100), observableNumber(1))
	assert.Len(t, r.errors, 2, "duplicates take no space")
	for i := range 20_000 {
		r.fail(fullAnswer(observableNumber(i), 100), observableNumber(i))
	}
	list := r.errors
	assert.Contains(t, list[len(list)-1].Message, "more errors than are shown")
	size := 0
	for _, e := range list {
		size += len(e.Message)
	}
	assert.LessOrEqual(t, size-len(list[len(list)-1].Message), maxErrorBytes)
	assert.Len(t, slices.DeleteFunc(list, func(e *Error) bool { return e.Code != CodeTimeout }), 1)
}
