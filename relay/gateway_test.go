package relay

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys/qualystest"
)

// TestWhatAPassingFaultCosts: it is repeated, and nobody reads of it.
func TestWhatAPassingFaultCosts(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]qualystest.Behaviour{
		"500 Internal Error": qualystest.Status(500, `{"_error":{"message":"Internal Error"}}`),
		"500, a page":        qualystest.Status(500, `<html>Internal Error</html>`),
		"500, nothing":       qualystest.Status(500, ""),
		"502":                qualystest.Status(502, "Bad Gateway"),
		"503":                qualystest.Status(503, ""),
		"504":                qualystest.Status(504, ""),
		"a reset":            qualystest.Reset(),
		"half an answer":     qualystest.Truncated(),
		"1960":               qualystest.TooManyCalls(1),
		"1965":               qualystest.LimitReached(1),
		"1960 with 400":      qualystest.Status(400, `{"code":1960,"message":"again"}`, "X-RateLimit-ToWait-Sec", "0.1"),
		"429":                qualystest.Status(429, "", "Retry-After", "1"),
		"429, no header":     qualystest.Status(429, ""),
		"409 with headers":   qualystest.Status(409, "", "X-RateLimit-Limit", "300", "X-RateLimit-ToWait-Sec", "0.1"),
	} {
		for _, asked := range [][]string{{"sha256", sha(1)}, {"sha256", sha(1), "sha256", sha(2), "ip", "192.0.2.1"}} {
			t.Run(fmt.Sprint(name, " ", len(asked)/2), func(t *testing.T) {
				t.Parallel()
				r := newRelay(t, []qualystest.Event{badFile(1)})
				r.fake.Inject(qualystest.Fault{On: qualystest.Search, Times: qualystest.Once, Do: do})
				a := r.query("/observe/observables", asked...)
				assert.Empty(t, a.Errors)
				assert.Equal(t, 1, a.Data.Sightings.Count)
			})
		}
	}
}

// TestTheAccountsRefusalIsNeverRepeated: each refused search is one call, with Qualys's words and the hint.
func TestTheAccountsRefusalIsNeverRepeated(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		do    qualystest.Behaviour
		words string
	}{
		"2003":           {qualystest.NotRegistered(), "Registration must be completed before API requests will be served for this account"},
		"2011":           {qualystest.SecureID(), "SecureID authentication is required for this account, so API access is blocked"},
		"2011 in JSON":   {qualystest.Status(409, `{"SIMPLE_RETURN":{"RESPONSE":{"CODE":2011,"TEXT":"blocked"}}}`), "blocked"},
		"2003, headers":  {qualystest.Status(409, `{"code":"2003","message":"not registered"}`, "X-RateLimit-Limit", "300"), "not registered"},
		"expired, a 200": {qualystest.AccountExpired(), "This account has expired."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, path := range []string{"/observe/observables", "/health"} {
				r := newRelay(t, nil)
				r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: test.do})
				a := r.query(path, "sha256", sha(1))
				require.Len(t, a.Errors, 1)
				assert.Equal(t, CodeAuthorization, a.Errors[0].Code)
				assert.Equal(t, Fatal, a.Errors[0].Severity)
				assert.Contains(t, a.Errors[0].Message, test.words)
				assert.Contains(t, a.Errors[0].Message, "Qualys accepts the relay's address")
				assert.LessOrEqual(t, r.fake.Searches(), 2, "one for each state")
				assert.Equal(t, 1, r.fake.Logins())
			}
		})
	}
}

// TestARefusedLogin: it is an authorization error with Qualys's words, in whatever form it comes.
func TestARefusedLogin(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		do    qualystest.Behaviour
		words string
	}{
		"expired, a 200 with XML":     {qualystest.AccountExpired(), "This account has expired."},
		"INVALID_CREDENTIALS":         {qualystest.InvalidCredentials(), "Authentication failed"},
		"the word alone":              {qualystest.Status(200, "INVALID_CREDENTIALS"), "INVALID_CREDENTIALS"},
		"the word in quotes":          {qualystest.Status(200, `"INVALID_CREDENTIALS"`), "INVALID_CREDENTIALS"},
		"the word in JSON":            {qualystest.Status(200, `{"responseCode":"INVALID_CREDENTIALS"}`), "INVALID_CREDENTIALS"},
		"the word in QPS's JSON":      {qualystest.Status(200, `{"ServiceResponse":{"responseCode":"INVALID_CREDENTIALS","responseErrorDetails":{"errorMessage":"no"}}}`), "no"},
		"a message":                   {qualystest.Status(200, `{"message":"This account has expired."}`), "This account has expired."},
		"FailedLoginException":        {qualystest.Status(401, `{"authentication_exceptions":["FailedLoginException"]}`), "FailedLoginException"},
		"AccountNotFoundException":    {qualystest.Status(401, `{"authentication_exceptions":["AccountNotFoundException"]}`), "AccountNotFoundException"},
		"401 without a word":          {qualystest.Status(401, ""), "401"},
		"400":                         {qualystest.Status(400, `{"message":"EmptyCredentialsException"}`), "EmptyCredentialsException"},
		"2011 with 409":               {qualystest.SecureID(), "SecureID authentication is required"},
		"2003 with 409":               {qualystest.NotRegistered(), "Registration must be completed"},
		"the account is locked, 2012": {qualystest.Status(409, `{"code":2012,"message":"locked"}`), "locked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRelay(t, []qualystest.Event{badFile(1)})
			r.fake.Inject(qualystest.Fault{On: qualystest.Login, Do: test.do})
			for _, path := range []string{"/observe/observables", "/deliberate/observables", "/health", "/observe/observables"} {
				a := r.query(path, "sha256", sha(1), "ip", "192.0.2.1")
				assert.Equal(t, []Code{CodeAuthorization}, a.codes(), "%s", a.body)
				require.NotEmpty(t, a.Errors)
				assert.Contains(t, a.Errors[0].Message, "Authorization failed: ")
				assert.Contains(t, a.Errors[0].Message, test.words)
			}
			assert.Equal(t, 1, r.fake.Logins(), "a refusal is remembered, since repeated logins lock accounts")
			assert.Zero(t, r.fake.Searches())
		})
	}
}

// TestTwentyObservesWithARefusedPassword make one login, at once and one after another, and do not keep the
// right password out.
func TestTwentyObservesWithARefusedPassword(t *testing.T) {
	t.Parallel()
	r := newRelay(t, []qualystest.Event{badFile(1)})
	wrong := tokenFor(t, qualystest.User, "guess")
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			a := r.post("/observe/observables", wrong, listOf("sha256", sha(i), "ip", "192.0.2.1"))
			assert.Equal(t, []Code{CodeAuthorization}, a.codes())
		})
	}
	group.Wait()
	for i := range 20 {
		path := []string{"/observe/observables", "/deliberate/observables", "/health"}[i%3]
		assert.Equal(t, []Code{CodeAuthorization}, r.post(path, wrong, listOf("sha256", sha(i))).codes())
	}
	assert.Equal(t, 1, r.fake.Logins())
	assert.Equal(t, 1, r.query("/observe/observables", "sha256", sha(1)).Data.Sightings.Count)
	assert.Equal(t, 2, r.fake.Logins())
}

// TestALoginThatFailsForAMoment is no refusal: it is tried again.
func TestALoginThatFailsForAMoment(t *testing.T) {
	t.Parallel()
	for _, do := range []qualystest.Behaviour{qualystest.Status(500, ""), qualystest.Status(503, ""), qualystest.Reset(), qualystest.HTML(), qualystest.Empty(), qualystest.Status(404, "")} {
		r := newRelay(t, []qualystest.Event{badFile(1)})
		remove := r.fake.Inject(qualystest.Fault{On: qualystest.Login, Do: do})
		a := r.query("/observe/observables", "sha256", sha(1))
		require.NotEmpty(t, a.Errors, do)
		assert.NotEqual(t, CodeAuthorization, a.Errors[0].Code, do)
		remove()
		a = r.query("/observe/observables", "sha256", sha(1))
		assert.Empty(t, a.Errors, do)
		assert.Equal(t, 1, a.Data.Sightings.Count, do)
	}
}

// TestATokenInAnyForm is used as it is.
func TestATokenInAnyForm(t *testing.T) {
	t.Parallel()
	opaque := strings.Repeat("0aZ-_+/=", 40)
	for name, form := range map[string]func(string) string{
		"opaque": func(string) string { return opaque }, "of five parts": func(jwt string) string { return jwt + ".fourth.fifth" }, "in quotes": func(jwt string) string { return `"` + jwt + `"` },
		"opaque in quotes": func(string) string { return `"` + opaque + `"` }, "letters": func(string) string { return strings.Repeat("abcXYZ", 30) }, "of two parts": func(string) string { return "first.second" }, "a UUID": func(string) string { return "3f6c1f0e-8a52-4d1b-9c77-51d0a4b7e907" },
		"hexadecimal": func(string) string { return sha(5) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRelay(t, []qualystest.Event{badFile(1)})
			r.fake.Inject(qualystest.Fault{On: qualystest.Login, Do: qualystest.TokenAs(form)})
			assert.JSONEq(t, `{"data":{"status":"ok"}}`, r.post("/health", r.token, "").body)
			assert.Equal(t, 1, r.query("/observe/observables", "sha256", sha(1)).Data.Sightings.Count)
			assert.Equal(t, 1, r.fake.Logins(), "it is kept")
			assert.NotContains(t, r.log.String(), opaque)
		})
	}
}

// TestHintsOfRefusals: 401 and 403 say what to check.
func TestHintsOfRefusals(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403} {
		for _, asked := range [][]string{{"sha256", sha(1)}, {"sha256", sha(1), "ip", "192.0.2.1", "domain", "c2.example"}} {
			r := newRelay(t, nil)
			r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(status, `{"message":"the module is not activated"}`)})
			for _, path := range []string{"/observe/observables", "/health"} {
				a := r.query(path, asked...)
				require.NotEmpty(t, a.Errors)
				for _, e := range a.Errors {
					assert.Equal(t, Fatal, e.Severity)
					for _, word := range []string{"account", "module", "address"} {
						assert.Contains(t, e.Message, word)
					}
				}
			}
			assert.LessOrEqual(t, r.fake.Logins(), 2, "one new login")
		}
	}
}

// TestTheGatewayOfOtherHosts: a token's API_URL that names the API server or the console of a platform.
func TestTheGatewayOfOtherHosts(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	for host, gateway := range map[string]string{
		"qualysapi.qualys.com": "gateway.qg1.apps.qualys.com", "qualysguard.qualys.com": "gateway.qg1.apps.qualys.com", "qualysapi.qualys.eu": "gateway.qg1.apps.qualys.eu",
		"qualysapi.qg2.apps.qualys.com": "gateway.qg2.apps.qualys.com", "qualysguard.gov1.qualys.us": "gateway.gov1.qualys.us", "QUALYSAPI.qg3.apps.qualys.it": "gateway.qg3.apps.qualys.it",
		"qualysapi.customer.example": "gateway.customer.example", "qualysguard.qg4.apps.qualys.com:443": "gateway.qg4.apps.qualys.com",
	} {
		a := r.post("/health", tokenFor(t, "u", "p", "API_URL", "https://"+host), "")
		require.Len(t, a.Errors, 1, host)
		assert.Equal(t, CodeAuthorization, a.Errors[0].Code)
		assert.Contains(t, a.Errors[0].Message, "https://"+gateway, host)
		_, err := ConfigFromEnv(env("API_URL", "https://"+host))
		require.Error(t, err)
		assert.Contains(t, err.Error(), "https://"+gateway)
	}
	assert.Zero(t, r.fake.Calls())
	a := r.post("/refer/observables", tokenFor(t, "u", "p", "API_URL", "https://gateway.gov1.qualys.us"), `[{"type":"ip","value":"192.0.2.1"}]`)
	assert.Empty(t, a.Errors, "GOV1 is a platform")
	assert.Contains(t, a.body, "https://qualysguard.gov1.qualys.us/ioc/")
}

// TestWhenToTryAgain is said, by whatever Qualys says it with, to the first who is refused and to the next.
func TestWhenToTryAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		do   qualystest.Behaviour
		want string
	}{
		"seconds":         {qualystest.Status(429, "", "Retry-After", "90"), "in 90 seconds."},
		"minutes":         {qualystest.Status(429, "", "X-RateLimit-ToWait-Sec", "900"), "in 15 minutes."},
		"an hour":         {qualystest.Status(409, "", "X-RateLimit-Limit", "300", "X-RateLimit-ToWait-Sec", "3540"), "in 59 minutes."},
		"SECONDS_TO_WAIT": {qualystest.LimitReached(600), "in 10 minutes."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRelay(t, nil)
			r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: test.do})
			for range 3 {
				for _, path := range []string{"/observe/observables", "/health"} {
					a := r.query(path, "sha256", sha(1), "ip", "192.0.2.1")
					require.NotEmpty(t, a.Errors)
					for _, e := range a.Errors {
						assert.Equal(t, CodeTooManyRequests, e.Code)
						assert.Contains(t, e.Message, test.want)
					}
				}
			}
			assert.LessOrEqual(t, r.fake.Searches(), 2, "the tenant is left alone")
			r.waitInFlight(0)
			assert.NotContains(t, r.log.String(), `"severity":"INFO"`)
			assert.Contains(t, r.log.String(), `"severity":"WARNING"`, "an operator wants to know")
		})
	}
}

// TestACachedAnswerIsGivenWhileQualysIsLimited: what is known needs no call.
func TestACachedAnswerIsGivenWhileQualysIsLimited(t *testing.T) {
	t.Parallel()
	r := newRelay(t, []qualystest.Event{badFile(1)})
	require.Equal(t, 1, r.query("/observe/observables", "sha256", sha(1)).Data.Sightings.Count)
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(http.StatusTooManyRequests, "", "Retry-After", "900")})
	require.NotEmpty(t, r.query("/observe/observables", "sha256", sha(2)).Errors)
	a := r.query("/observe/observables", "sha256", sha(1), "sha256", sha(2))
	assert.Equal(t, 1, a.Data.Sightings.Count)
	assert.Equal(t, []Code{CodeTooManyRequests}, a.codes())
}
