//go:debug x509usefallbackroots=1

package check

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/cmd/relayctl/errorhelp"
	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/qualys/qualystest"
	"qualysrelay.example/relay"
)

// Names of the steps.
const (
	stepURL        = "url"
	stepConnection = "connection"
	stepVersion    = "version"
	stepWatchdog   = "watchdog"
	stepClock      = "clock"
	stepRefusal    = "refusal"
	stepHealth     = "health"
	stepObserve    = "observe"
)

const checkKey = "5f2ad0c1e7b94863a1d5e0f3c2b7988866d1a4f0937e5bc2d8e6f1a07b3c9d42"

// googleForbidden is what Cloud Run answers where its IAM check is on.
const googleForbidden = "<html><head>\n<title>403 Forbidden</title>\n</head>\n<body><h1>Error: " +
	"Forbidden</h1>\n" +
	"<h2>Your client does not have permission to get URL <code>/version</code> from this " +
	"server.</h2></body></html>\n"

// checkRelay is a relay with the key checkKey and settings in pairs of a name and a value.
func checkRelay(tb testing.TB, settings ...string) http.Handler {
	tb.Helper()
	config, err := relay.ConfigFromEnv(environment(append([]string{"SECRET_KEY", checkKey, "LOG_LEVEL",
		"error"}, settings...)...))
	require.NoError(tb, err)
	service, err := relay.New(config, slog.New(slog.DiscardHandler))
	require.NoError(tb, err)
	tb.Cleanup(service.Close)
	return service
}

// environment has the variables in pairs of a name and a value.
func environment(pairs ...string) func(string) string {
	values := make(map[string]string)
	for i := 0; i+1 < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return values[name] }
}

// startServer serves until the test ends.
func startServer(tb testing.TB, handler http.HandlerFunc) *httptest.Server {
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that shall fail
	server.Start()
	tb.Cleanup(server.Close)
	return server
}

// page answers everything alike.
func page(status int, server, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", server)
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// checkToken is a token of the fake gateway's user, with claims added; nil takes one out.
func checkToken(tb testing.TB, key string, claims jwt.MapClaims) secret.Value {
	tb.Helper()
	all := jwt.MapClaims{"user": qualystest.User, "pass": qualystest.Password}
	for name, value := range claims {
		all[name] = value
		if value == nil {
			delete(all, name)
		}
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, all).SignedString([]byte(key))
	require.NoError(tb, err)
	return secret.Value(token)
}

func options(target string, token secret.Value) Options {
	return Options{URL: target, Token: token, NoToken: token == "", Timeout: time.Minute, Now: time.Now,
		Waiting: func(string) func() { return func() {} }}
}

// checked are the results of a check by step. No result holds the token or the password.
func checked(t *testing.T, target string, token secret.Value, adjust ...func(*Options)) map[string]Result {
	t.Helper()
	o := options(target, token)
	for _, change := range adjust {
		change(&o)
	}
	results := make(map[string]Result)
	require.NoError(t, Run(t.Context(), o, func(r Result) error {
		results[r.Step] = r
		return nil
	}))
	if o.NoToken {
		require.Len(t, results, 6)
	} else {
		require.Len(t, results, 8)
	}
	doc, err := json.Marshal(results)
	require.NoError(t, err)
	if token != "" {
		assert.NotContains(t, string(doc), string(token))
	}
	assert.NotContains(t, string(doc), qualystest.Password)
	for _, r := range results {
		if r.Mark == Failed || r.Mark == Warning {
			assert.NotEmpty(t, r.Means, "%s tells what it means", r.Step)
		}
		if r.Mark == Failed {
			assert.NotEmpty(t, r.Fix, "%s tells how to fix it", r.Step)
		}
	}
	return results
}

// assertFailed holds a failed step, and that those which build on it were skipped for that reason.
func assertFailed(t *testing.T, results map[string]Result, step, seen, means string, skippedSteps ...string) {
	t.Helper()
	r := results[step]
	assert.Equal(t, Failed, r.Mark, "%+v", results)
	assert.Contains(t, r.Seen, seen)
	assert.Contains(t, r.Means, means)
	for _, name := range skippedSteps {
		assert.Equal(t, Result{Step: name, Mark: Skipped, Seen: `because "` + step + `" failed`}, results[name])
	}
	failed := 0
	for _, other := range results {
		if other.Mark == Failed {
			failed++
		}
	}
	assert.Equal(t, 1, failed, "one cause is told once: %+v", results)
}

func TestCheckTellsWhatIsWrongWithATokenFromQualysRefusing(t *testing.T) {
	t.Parallel()
	gateway := qualystest.New(t, qualystest.Config{})
	target := startServer(t, checkRelay(t, "API_URL", gateway.URL).ServeHTTP).URL
	bare := startServer(t, checkRelay(t).ServeHTTP).URL
	keyless := startServer(t, checkRelay(t, "SECRET_KEY", "", "API_URL", gateway.URL).ServeHTTP).URL
	hour := time.Now().Add(time.Hour).Unix()
	for _, tt := range []struct {
		name, target string
		token        secret.Value
		means        string
	}{
		{"it has expired", target, checkToken(t, checkKey, jwt.MapClaims{"exp": 1}), "too old now"},
		{"it is for later", target, checkToken(t, checkKey, jwt.MapClaims{"nbf": hour}), "for later"},
		{"its maker's clock is ahead", target, checkToken(t, checkKey, jwt.MapClaims{"iat": hour}),
			"ahead by more than a minute"},
		{"another key signed it", target, checkToken(t, strings.Repeat("0f", 32), nil), "another key"},
		{"it is for another relay", target, checkToken(t, checkKey,
			jwt.MapClaims{"aud": "https://other.example"}), "another relay"},
		{"the relay has no key", keyless, checkToken(t, checkKey, nil), "has no key for those"},
		{"its gateway is not trusted", target, checkToken(t, checkKey,
			jwt.MapClaims{"API_URL": "https://evil.example"}), "does not trust"},
		{"its gateway has a path", target, checkToken(t, checkKey,
			jwt.MapClaims{"API_URL": "https://gateway.qg1.apps.qualys.com/ioc"}),
			"not a token as the relay needs it"},
		{"nobody names a gateway", bare, checkToken(t, checkKey, nil),
			"nor the relay names the Qualys gateway"},
		{"it has no password", target, checkToken(t, checkKey, jwt.MapClaims{"pass": nil}),
			"not a token as the relay needs it"},
		{"its limit is odd", target, checkToken(t, checkKey, jwt.MapClaims{"CTR_ENTITIES_LIMIT": 0}),
			"not a token as the relay needs it"},
		{"it is not signed", target, "eyJhbGciOiJub25lIn0.eyJ1c2VyIjoidSIsInBhc3MiOiJwIn0.",
			"not a token as the relay needs it"},
		{"it is no token", target, "canary", "not a token as the relay needs it"},
		{"it names no key host", target,
			"eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJ1c2VyIjoidSIsInBhc3MiOiJwIn0.AAAA",
			"for the key that signed it"},
		{"it names no key", target, "eyJhbGciOiJSUzI1NiJ9.eyJ1c2VyIjoidSIsInBhc3MiOiJwIn0.AAAA",
			"of another region of XDR"},
		{"Qualys refuses the password", target, checkToken(t, checkKey,
			jwt.MapClaims{"pass": "canary-password"}), "Qualys refused the user name or the password"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			results := checked(t, tt.target, tt.token)
			assertFailed(t, results, stepHealth, "authorization error: Authorization failed: ", tt.means,
				stepObserve)
			assert.Equal(t, strings.Contains(tt.name, "Qualys"),
				strings.HasPrefix(results[stepHealth].Means, "The relay accepted the token"))
			assert.NotContains(t, fmt.Sprint(results), "canary-password")
		})
	}
}

func TestCheckTellsWhatIsWrongAtQualys(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		fault       qualystest.Behaviour
		seen, means string
	}{
		{"the user may not search", qualystest.Status(403, `{"message":"Access denied"}`),
			"permission denied", "not search events"},
		{"the rate limit is used up", qualystest.Status(429, ``, "X-RateLimit-ToWait-Sec", "3000"),
			"too many requests", "limit is used up"},
		{"maintenance", qualystest.Status(503, ``), "service unavailable", "maintenance"},
		{"a web page", qualystest.HTML(), "unknown: Unexpected response", "API_URL or API_PATH is wrong"},
		{"a redirect", qualystest.Redirect("https://qualysguard.example/"), "unknown: Unexpected response",
			"API_URL or API_PATH is wrong"},
		{"no answer in time", qualystest.HangBeforeHeader(), "gateway timeout", "REQUEST_TIMEOUT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			timeout := "20s" // the relay tries again after some faults
			if tt.means == "REQUEST_TIMEOUT" {
				timeout = "1s"
			}
			gateway := qualystest.New(t, qualystest.Config{})
			gateway.Inject(qualystest.Fault{On: qualystest.Search, Do: tt.fault})
			target := startServer(t, checkRelay(t, "API_URL", gateway.URL, "REQUEST_TIMEOUT", timeout).ServeHTTP).URL
			results := checked(t, target, checkToken(t, checkKey, nil))
			assertFailed(t, results, stepHealth, tt.seen, tt.means, stepObserve)
		})
	}
	t.Run("nobody listens at the gateway", func(t *testing.T) {
		t.Parallel()
		target := startServer(t, checkRelay(t, "API_URL", qualystest.DeadURL(t), "REQUEST_TIMEOUT",
			"1s").ServeHTTP).URL
		assertFailed(t, checked(t, target, checkToken(t, checkKey, nil)), stepHealth,
			"connection error: Unable to connect to Qualys IOC", "cannot connect to Qualys", stepObserve)
	})
	t.Run("the gateway's certificate is not trusted", func(t *testing.T) {
		t.Parallel()
		gateway := qualystest.New(t, qualystest.Config{TLS: true})
		target := startServer(t, checkRelay(t, "API_URL", gateway.URL).ServeHTTP).URL
		assertFailed(t, checked(t, target, checkToken(t, checkKey, nil)), stepHealth,
			"unknown: Unable to verify SSL certificate", "sent no password", stepObserve)
	})
	t.Run("only the search of an observable fails", func(t *testing.T) {
		t.Parallel()
		gateway := qualystest.New(t, qualystest.Config{})
		gateway.Inject(qualystest.Fault{On: qualystest.Search, Contains: "192.0.2.1",
			Do: qualystest.Status(500, "oops")})
		target := startServer(t, checkRelay(t, "API_URL", gateway.URL, "REQUEST_TIMEOUT", "20s").ServeHTTP).URL
		assertFailed(t, checked(t, target, checkToken(t, checkKey, nil)), stepObserve,
			"unknown: Unexpected response from Qualys IOC: oops", "API_URL or API_PATH")
	})
}

func TestCheckSeesThatTheRelayCannotReadItsKey(t *testing.T) {
	t.Parallel()
	target := startServer(t, checkRelay(t, "SECRET_KEY", "", "SECRET_KEY_FILE",
		filepath.Join(t.TempDir(), "missing"), "API_URL",
		"https://gateway.qg1.apps.qualys.com").ServeHTTP).URL
	results := checked(t, target, checkToken(t, checkKey, nil))
	assertFailed(t, results, stepRefusal, "unknown: ", "cannot read its signing key", stepHealth, stepObserve)
	fix := strings.Join(results[stepRefusal].Fix, "\n")
	assert.Contains(t, fix, "missing key file")
	assert.NotContains(t, fix, "gcloud", "a relay on this machine is not on Cloud Run")
	assert.NotContains(t, fix, "SECRET_KEY_SECRET")
}

// TestCheckLooksThroughWhatIsInFrontOfTheRelay puts proxies in front of a good relay.
func TestCheckLooksThroughWhatIsInFrontOfTheRelay(t *testing.T) {
	t.Parallel()
	gateway := qualystest.New(t, qualystest.Config{})
	good := checkRelay(t, "API_URL", gateway.URL)
	token := checkToken(t, checkKey, nil)
	for _, tt := range []struct {
		name              string
		change            func(*http.Request)
		step, seen, means string
	}{
		{"it strips the Authorization header", func(r *http.Request) { r.Header.Del("Authorization") },
			stepRefusal, "a request with a forged token was answered: Authorization failed: Authorization header is",
			"removes the Authorization header"},
		{"it moves the Authorization header", func(r *http.Request) {
			r.Header.Set("X-Forwarded-Authorization", r.Header.Get("Authorization"))
			r.Header.Set("Authorization", "Bearer of.another.service")
		}, stepRefusal, "a request without Authorization header was answered: Authorization failed: ",
			"one of its own"},
		{"it puts a good token in", func(r *http.Request) {
			r.Header.Set("Authorization",
				"Bearer "+string(token))
		}, stepRefusal, "a request without Authorization header was answered as if",
			"verifies no token"},
		{"it strips unknown headers", func(r *http.Request) { r.Header.Del("Health-Check") }, stepWatchdog,
			"health check failed: ", "without the header that it returns"},
		{"it caches", func(r *http.Request) { r.Header.Set("Health-Check", "of somebody else") },
			stepWatchdog, "another Health-Check header", "A cache"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			target := startServer(t, func(w http.ResponseWriter,
				r *http.Request) {
				tt.change(r)
				good.ServeHTTP(w, r)
			}).URL
			var after []string
			if tt.step == stepRefusal {
				after = []string{stepHealth, stepObserve}
			}
			assertFailed(t, checked(t, target, token), tt.step, tt.seen, tt.means, after...)
		})
	}
	t.Run("a real reverse proxy is passed", func(t *testing.T) {
		t.Parallel()
		inner, err := url.Parse(startServer(t, good.ServeHTTP).URL)
		require.NoError(t, err)
		for _, r := range checked(t, startServer(t,
			httputil.NewSingleHostReverseProxy(inner).ServeHTTP).URL, token) {
			assert.Equal(t, OK, r.Mark, "%+v", r)
		}
	})
	t.Run("the path that it adds is kept", func(t *testing.T) {
		t.Parallel()
		target := startServer(t, http.StripPrefix("/relay", good).ServeHTTP).URL
		results := checked(t, target+"/relay", token)
		assert.Equal(t, Warning, results[stepURL].Mark)
		assert.Contains(t, results[stepURL].Seen, "it has a path")
		assert.Equal(t, OK, results[stepObserve].Mark)
	})
}

func TestCheckExplainsWhatIsNotARelay(t *testing.T) {
	t.Parallel()
	all := []string{stepWatchdog, stepRefusal, stepHealth, stepObserve}
	service := checkRelay(t).(*relay.Service)
	functions := service.Functions()
	for _, tt := range []struct {
		name        string
		answer      http.HandlerFunc
		seen, means string
		fix         string // a command of it
	}{
		{"Google's IAM check without a token", page(403, "Google Frontend", googleForbidden),
			`HTTP 403 Forbidden by Google Frontend, with "<html><head> <title>403 Forbidden</title>`,
			"Google's IAM check", "--no-invoker-iam-check"},
		{"Google's IAM check with a token", page(401, "Google Frontend", ""),
			`HTTP 401 Unauthorized by Google Frontend, with ""`, "Google's IAM check", "--no-invoker-iam-check"},
		{"no such service", page(404, "Google Frontend", "<title>404 Page not found</title>"),
			"404 Page not found", "not the answer of a relay", "--ingress=all"},
		{"no instance is free", page(429, "Google Frontend", "Rate exceeded."), `with "Rate exceeded."`,
			"no instance free", "--max-instances"},
		{"the container does not start", page(503, "Google Frontend", "Service Unavailable"), "HTTP 503",
			"does not start", "logs read relay"},
		{"a firewall", page(403, "cloudflare", "<title>Attention Required!</title>"), "by cloudflare",
			"Something in front of the relay", ""},
		{"a firewall that limits", page(429, "awselb/2.0", ""), "HTTP 429", "limits how often", ""},
		{"a web site", page(200, "nginx", "<!doctype html>\n<title>Acme</title>"),
			`HTTP 200 OK by nginx, with "<!doctype html> <title>Acme</title>"`, "not the answer of a relay",
			"gcloud run services describe relay"},
		{"another service", page(200, "", `{"status":"up"}`), `with "{"status":"up"}"`,
			"not the answer of a relay", "gcloud run services describe relay"},
		{"another service's list", page(200, "", `[{"version":"1"}]`), `with "[{"version":"1"}]"`,
			"not the answer of a relay", "gcloud run services describe relay"},
		{"a version of another kind", page(200, "", `{"version":2,"data":{}}`), `HTTP 200`,
			"not the answer of a relay", "gcloud run services describe relay"},
		{"another service without the path", page(404, "", `{"message":"no route"}`), "no route",
			"not the answer of a relay", "gcloud run services describe relay"},
		{"another service's method", page(405, "", `{"message":"no"}`), "HTTP 405",
			"not the answer of a relay", "gcloud run services describe relay"},
		{"an odd status", page(418, "", "short and stout"), "HTTP 418", "not the answer of a relay",
			"gcloud run services describe relay"},
		{"Identity-Aware Proxy", page(302, "", "", "Location",
			"https://accounts.google.com/o/oauth2/v2/auth?client_id=x"),
			"HTTP 302 Found, redirected to https://accounts.google.com", "a login page", "--no-iap"},
		{"a redirect on the spot", page(307, "", "", "Location", "/v2/version"),
			"redirected to /v2/version", "somewhere else", "gcloud run services describe relay"},
		{"a relay at another path", functions["health"], "HTTP 200", "function for another endpoint",
			"FUNCTION_TARGET=relay"},
		{"a relay's watchdog alone", functions["watchdog"], "HTTP 405", "function for another endpoint",
			"FUNCTION_TARGET=relay"},
		{"a relay under a path", func(w http.ResponseWriter, r *http.Request) {
			r.URL.Path = "/relay" + r.URL.Path
			service.ServeHTTP(w, r)
		}, "There is nothing at this path.", "the URL has a path", ""},
		{"a relay that ends",
			page(503, "", `{"code":503,"message":"The relay is shutting down.","reason":"Try again."}`),
			"shutting down", "being stopped", ""},
		{"escape sequences", page(200, "evil\u202egnp.exe", "<title>\x1b[2J\u202egnp.exe</title>"),
			`by evil\u202egnp.exe, with "<title>\x1b[2J\u202egnp.exe</title>"`, "not the answer of a relay", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, func(w http.ResponseWriter, r *http.Request) {
				assert.Empty(t, r.Header.Get("Authorization"), "the token is not sent to what is not a relay")
				tt.answer(w, r)
			})
			results := checked(t, server.URL, checkToken(t, checkKey, nil))
			assertFailed(t, results, stepVersion, tt.seen, tt.means, all...)
			if tt.fix != "" {
				assert.Contains(t, strings.Join(results[stepVersion].Fix, "\n"), tt.fix)
			}
			assert.Equal(t, OK, results[stepClock].Mark, "the clock can be compared with any server's")
		})
	}
}

func TestCheckDoesNotRepeatTheToken(t *testing.T) {
	t.Parallel()
	good := checkRelay(t)
	for name, answer := range map[string]http.HandlerFunc{
		"in a page": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "<title>%s</title>", r.Header.Get("Authorization"))
		},
		"in a text": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%990s %s", "", r.Header.Get("Authorization"))
		},
		"in a message": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"errors":[{"type":"fatal","code":"unknown","message":%q}]}`,
				r.Header.Get("Authorization"))
		},
		"in a redirect": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/?"+r.Header.Get("Authorization"))
			w.WriteHeader(http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token := secret.Value("canary-token")
			server := startServer(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.Header.Get("Authorization"), string(token)) {
					answer(w, r)
					return
				}
				good.ServeHTTP(w, r)
			})
			results := checked(t, server.URL, token)
			assert.Equal(t, Failed, results[stepHealth].Mark)
			assert.NotContains(t, fmt.Sprint(results), "canary")
		})
	}
}

func TestCheckLooksAtTheURL(t *testing.T) {
	t.Parallel()
	for raw, seen := range map[string]string{
		"relay.example":                         `the URL "relay.example" is not a URL; did you mean https://relay.example?`,
		"http://relay.example":                  "must be https",
		"ftp://relay.example":                   "must be https",
		"https://relay.example?x=1":             "query",
		"https://ana:canary@relay.example":      "must not hold credentials",
		"https://ana:canary@relay.example:port": "must not hold credentials",
		"\x1b[2J":                               `\x1b[2J`,
	} {
		t.Run(raw, func(t *testing.T) {
			t.Parallel()
			results := checked(t, raw, "")
			assertFailed(t, results, stepURL, seen, "only https", stepConnection, stepClock, stepVersion,
				stepWatchdog, stepRefusal)
			assert.NotContains(t, fmt.Sprint(results), "canary")
		})
	}
}

func TestCheckExplainsANameThatIsNotKnown(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("a", 64) + ".example" // a label has 63 characters at most (RFC 1035)
	assertFailed(t, checked(t, "https://"+name, ""), stepConnection, "no such host", "The name is not known",
		stepClock, stepVersion)
}

func TestAPrivateAddressIsToldFromAPublicOne(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{"192.0.2.7": false, "10.1.2.3": true, "::ffff:10.1.2.3": true,
		"169.254.1.1": true, "fd00::1": true, "127.0.0.1": false, "2001:db8::1": false} {
		assert.Equal(t, want, isPrivate(&net.TCPAddr{IP: net.ParseIP(address)}), address)
	}
	assert.False(t, isPrivate(nil))
}

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority() *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA",
			Organization: []string{"Acme"}}, NotBefore: time.Now().AddDate(-2, 0, 0),
		NotAfter: time.Now().AddDate(9, 0, 0),
		IsCA:     true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &authority{certificate, key}
}

// trusted is the authority that this process trusts, in place of the system's (x509usefallbackroots).
var trusted = sync.OnceValue(func() *authority {
	a, roots := newAuthority(), x509.NewCertPool()
	roots.AddCert(a.certificate)
	x509.SetFallbackRoots(roots)
	return a
})

// serve serves over TLS with a certificate for 127.0.0.1 that is valid from one day to another, relative to
// now.
func (a *authority) serve(t *testing.T, from, until int, handler http.Handler,
	adjust ...func(*tls.Config)) *httptest.Server {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().AddDate(0, 0, from),
		NotAfter:    time.Now().AddDate(0, 0, until).Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &a.key.PublicKey, a.key)
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: a.key}}}
	for _, change := range adjust {
		change(server.TLS)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestCheckLooksAtTheCertificate(t *testing.T) {
	t.Parallel()
	gateway := qualystest.New(t, qualystest.Config{})
	good, ca, token := checkRelay(t, "API_URL", gateway.URL), trusted(), checkToken(t, checkKey, nil)
	after := []string{stepClock, stepVersion, stepHealth, stepObserve}
	t.Run("it is good", func(t *testing.T) {
		t.Parallel()
		results := checked(t, ca.serve(t, -1, 60, good).URL, token)
		for _, r := range results {
			assert.Equal(t, OK, r.Mark, "%+v", r)
		}
		assert.Regexp(t, `^connected to 127\.0\.0\.1:\d+ with TLS 1\.3; `+
			`the certificate of 127\.0\.0\.1, by CN=Test CA,O=Acme, is valid until \d{4}-\d\d-\d\d$`,
			results[stepConnection].Seen)
	})
	t.Run("it expires soon", func(t *testing.T) {
		t.Parallel()
		results := checked(t, ca.serve(t, -80, 10, good).URL, token)
		assert.Equal(t, Warning, results[stepConnection].Mark)
		assert.Contains(t, results[stepConnection].Means, "cannot connect from then on")
		assert.Equal(t, OK, results[stepObserve].Mark)
	})
	t.Run("it has expired", func(t *testing.T) {
		t.Parallel()
		assertFailed(t, checked(t, ca.serve(t, -90, -1, good).URL, token), stepConnection,
			"has expired", "while they are valid", after...)
	})
	t.Run("it is not valid yet", func(t *testing.T) {
		t.Parallel()
		assertFailed(t, checked(t, ca.serve(t, 1, 90, good).URL, token), stepConnection,
			"is not yet valid", "while they are valid", after...)
	})
	t.Run("nobody knows its authority", func(t *testing.T) {
		t.Parallel()
		assertFailed(t, checked(t, newAuthority().serve(t, -1, 60, good).URL, token), stepConnection,
			"signed by unknown authority", "public authorities only", after...)
	})
	t.Run("it is for another name", func(t *testing.T) {
		t.Parallel()
		target := strings.Replace(ca.serve(t, -1, 60, good).URL, "127.0.0.1", "localhost", 1)
		assertFailed(t, checked(t, target, token), stepConnection,
			"is not valid for any names, but wanted to match localhost (the certificate of 127.0.0.1, by ",
			"the name that it calls", after...)
	})
	t.Run("there is none", func(t *testing.T) {
		t.Parallel()
		target := strings.Replace(startServer(t, good.ServeHTTP).URL, "http:", "https:", 1)
		assertFailed(t, checked(t, target, token), stepConnection,
			"server gave HTTP response to HTTPS client", "does not speak TLS", after...)
	})
	t.Run("the server has none for this name", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewUnstartedServer(good)
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config,
			error) {
			return nil, io.ErrUnexpectedEOF
		}}
		server.StartTLS()
		defer server.Close()
		assertFailed(t, checked(t, server.URL, token), stepConnection, "remote error: tls: internal error",
			"has no certificate for this name", after...)
	})
	t.Run("the server wants one of its callers", func(t *testing.T) {
		t.Parallel()
		server := ca.serve(t, -1, 60, good, func(c *tls.Config) {
			c.ClientAuth,
				c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12
		})
		assertFailed(t, checked(t, server.URL, token), stepConnection, "remote error: tls: ",
			"wants one of its callers", after...)
	})
}

func TestCheckExplainsThatNothingAnswers(t *testing.T) {
	t.Parallel()
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		assertFailed(t, checked(t, qualystest.DeadURL(t), ""), stepConnection, "connection refused",
			"nothing listens", stepClock, stepVersion)
	})
	short := func(o *Options) { o.Timeout = 200 * time.Millisecond }
	t.Run("no answer comes", func(t *testing.T) {
		t.Parallel()
		server := startServer(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		assertFailed(t, checked(t, server.URL, "", short), stepConnection, "no answer from 127.0.0.1:",
			"Nothing answered in time", stepClock, stepVersion)
	})
	t.Run("an answer does not end", func(t *testing.T) {
		t.Parallel()
		server := startServer(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "{")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		assertFailed(t, checked(t, server.URL, "", short), stepConnection, "", "Nothing answered in time",
			stepVersion)
	})
	t.Run("the connection breaks", func(t *testing.T) {
		t.Parallel()
		server := startServer(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		assertFailed(t, checked(t, server.URL, ""), stepConnection, "EOF", "The connection broke", stepVersion)
	})
}

func TestCheckComparesTheClocks(t *testing.T) {
	t.Parallel()
	date := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	clock := func(header string, asked, answered time.Time) Result {
		c := &checker{Options: options("", ""), asked: asked, answered: answered}
		c.first.Header = http.Header{"Date": {header}}
		return c.result(t.Context(), step{take: c.checkClock})
	}
	for _, tt := range []struct {
		name  string
		ahead time.Duration // of the local clock, when the request was sent
		took  time.Duration
		want  Mark
		seen  string
	}{
		{"they agree", 300 * time.Millisecond, 50 * time.Millisecond, OK,
			"this machine and the server agree to within 1 second"},
		{"a slow answer is not a wrong clock", -40 * time.Second, 41 * time.Second, OK,
			"this machine and the server agree to within 1 second"},
		{"some seconds are nothing", 9 * time.Second, 0, OK,
			"this machine and the server agree to within 8 seconds"},
		{"inside of the leeway it is ahead", 31 * time.Second, 0, Warning,
			"this machine is 30s ahead of the server"},
		{"inside of the leeway it is behind", -30 * time.Second, 0, Warning,
			"this machine is 30s behind the server"},
		{"it is ahead", 5*time.Minute + time.Second, 0, Failed, "this machine is 5m0s ahead of the server"},
		{"it is behind", -25 * time.Hour, time.Second, Failed, "this machine is 24h59m59s behind the server"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			begin := date.Add(tt.ahead)
			got := clock(date.Format(http.TimeFormat), begin, begin.Add(tt.took))
			assert.Equal(t, tt.want, got.Mark)
			assert.Equal(t, tt.seen, got.Seen)
		})
	}
	got := clock("yesterday", date, date)
	assert.Equal(t, Warning, got.Mark, "no date is no reason to fail")
}

func TestCheckSaysWhatSlowAnswersMean(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // with a clock of its own
		takes := func(long time.Duration) Result {
			c := &checker{Options: options("", "")}
			return c.result(t.Context(), step{take: func(context.Context) (string, error) {
				time.Sleep(long)
				return "all is well", nil
			}})
		}
		quick := takes(10 * time.Second)
		assert.Equal(t, OK, quick.Mark)
		assert.InDelta(t, 10000, quick.Milliseconds, 0)
		r := takes(10*time.Second + time.Millisecond)
		assert.Equal(t, Warning, r.Mark)
		assert.Equal(t, "all is well", r.Seen)
		assert.Contains(t, r.Means, "25 to 50 s")
	})
}

func TestCheckShowsQuotas(t *testing.T) {
	t.Parallel()
	for remaining, want := range map[string]Mark{"31": OK, "30": Warning} {
		gateway := qualystest.New(t, qualystest.Config{})
		gateway.SetHeader("X-RateLimit-Limit", "300")
		gateway.SetHeader("X-RateLimit-Remaining", remaining)
		gateway.SetHeader("X-RateLimit-Window-Sec", "3600")
		target := startServer(t, checkRelay(t, "API_URL", gateway.URL).ServeHTTP).URL
		results := checked(t, target, checkToken(t, checkKey, nil))
		assert.Equal(t, want, results[stepHealth].Mark, results[stepHealth])
		assert.Contains(t, results[stepHealth].Seen, "of 300 calls used")
		assert.Equal(t, OK, results[stepObserve].Mark, "a warning stops nothing")
	}
}

func TestCheckFindsAnAnswerThatIsNotCTIM(t *testing.T) {
	t.Parallel()
	gateway := qualystest.New(t, qualystest.Config{})
	good := checkRelay(t, "API_URL", gateway.URL)
	for name, answer := range map[string]string{
		stepObserve: `{"data":{"sightings":{"count":1,"docs":[{"type":"sighting"}]}}}`,
		stepHealth:  `{"data":{"status":"canary"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, step, seen := relayclient.PathObserve, stepObserve,
				"the answer for ip:192.0.2.1 is not CTIM: not a CTIM ObserveResponse: /data/sightings/docs/0"
			if name == stepHealth {
				path, step, seen = relayclient.PathHealth, stepHealth, `with "{"data":{"status":"canary"}}"`
			}
			token := checkToken(t, checkKey, nil)
			server := startServer(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == path && r.Header.Get("Authorization") == "Bearer "+string(token) {
					_, _ = io.WriteString(w, answer)
					return
				}
				good.ServeHTTP(w, r)
			})
			assertFailed(t, checked(t, server.URL, token), step, seen, "")
		})
	}
}

func TestAnErrorWithoutACodeIsNotOverlooked(t *testing.T) {
	t.Parallel()
	good := checkRelay(t)
	server := startServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == relayclient.PathHealth && r.Header.Get("Authorization") == "Bearer canary-token" {
			_, _ = io.WriteString(w, `{"data":{"status":"ok"},"errors":[{"message":"it broke"}]}`)
			return
		}
		good.ServeHTTP(w, r)
	})
	assertFailed(t, checked(t, server.URL, "canary-token"), stepHealth, "it broke", "", stepObserve)
}

func TestACheckHoldsNoTokenToPrint(t *testing.T) {
	t.Parallel()
	c := &checker{Options: options("https://relay.example", "canary-token")}
	_, err := c.checkForm(t.Context())
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		assert.NotContains(t, fmt.Sprintf(verb, c), "canary")
	}
}

func TestAReportIsWrappedForReading(t *testing.T) {
	t.Parallel()
	command := "$ " + strings.Repeat("command ", 20) + "end"
	r := Result{Step: "version", Mark: Warning, Seen: strings.Repeat("seen ", 30), Milliseconds: 1.6,
		Help: errorhelp.Help{Means: "It means", Fix: []string{strings.Repeat("fix ", 30), command}}}
	var out strings.Builder
	require.NoError(t, r.Write(&out))
	lines := strings.Split(out.String(), "\n")
	assert.Equal(t, []string{
		"warning  version     " + strings.TrimSpace(strings.Repeat("seen ", 20)),
		"                     " + strings.Repeat("seen ", 10) + "(2 ms)",
		"              means: It means",
		"                fix: " + strings.TrimSpace(strings.Repeat("fix ", 25)),
		"                     " + strings.TrimSpace(strings.Repeat("fix ", 5)),
		"                     " + command, "",
	}, lines)
}

func TestACheckEndsWithItsContextOrItsReader(t *testing.T) {
	t.Parallel()
	o := options("relay.example", "")
	broken := func(Result) error { return io.ErrClosedPipe }
	require.ErrorIs(t, Run(t.Context(), o, broken), io.ErrClosedPipe)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, Run(ctx, o, broken), context.Canceled)
}

func TestTheSummaryCountsTheSteps(t *testing.T) {
	t.Parallel()
	well := Result{Step: "version", Mark: OK}
	for name, c := range map[string]struct {
		of   []Result
		text string
		well bool
	}{
		"all is well":       {[]Result{well, well}, "2 steps ok.", true},
		"a warning is well": {[]Result{well, {Mark: Warning}}, "1 step ok, 1 warning.", true},
		"a step failed": {[]Result{well, {Mark: Failed}, {Mark: Skipped}, {Mark: Skipped}},
			"1 step ok, 1 failed, 2 skipped.", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, well := Summary(c.of)
			assert.Equal(t, c.text, text)
			assert.Equal(t, c.well, well)
		})
	}
}

func TestWithoutATokenNotAllIsChecked(t *testing.T) {
	t.Parallel()
	target := startServer(t, checkRelay(t).ServeHTTP).URL
	wanted := func(o *Options) { o.NoToken = false }
	assertFailed(t, checked(t, target, "", wanted), stepHealth, "no token: give --token-file", "cannot be told",
		stepObserve)
}

// TestEveryCauseIsExplained compares the causes that the code names with those that help.txt has.
func TestEveryCauseIsExplained(t *testing.T) {
	t.Parallel()
	help, err := os.ReadFile(filepath.Join("..", "errorhelp", "help.txt"))
	require.NoError(t, err)
	var explained []string
	for _, head := range regexp.MustCompile(`(?m)^== ([^|\n]+)$`).FindAllSubmatch(help, -1) {
		explained = append(explained, string(head[1]))
	}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var code strings.Builder
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			code.Write(content)
		}
	}
	for _, name := range explained {
		if name != "unknown error" { // of package errorhelp itself
			assert.Contains(t, code.String(), `"`+name+`"`, "help.txt explains what nothing sees")
		}
	}
	named := regexp.MustCompile(`(?:bad|warning)\(.*, "([^"]+)"\)\n|cause :?= .*"([^"]+)"\n`)
	for _, name := range named.FindAllStringSubmatch(code.String(), -1) {
		assert.Contains(t, explained, name[1]+name[2], "help.txt does not explain it")
	}
}
