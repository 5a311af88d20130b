package main

import (
	"bytes"
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
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys/qualystest"
	"qualysrelay.example/relay"
)

const checkKey = "5f2ad0c1e7b94863a1d5e0f3c2b7988866d1a4f0937e5bc2d8e6f1a07b3c9d42"

// googleForbidden is what Cloud Run answers where its IAM check is on.
const googleForbidden = "<html><head>\n<title>403 Forbidden</title>\n</head>\n<body><h1>Error: Forbidden</h1>\n" +
	"<h2>Your client does not have permission to get URL <code>/version</code> from this server.</h2></body></html>\n"

// The transcripts under testdata/check show reports as a user sees them. In them,
//
//   - RELAY_URL is a relay on this machine with a fake Qualys behind it, and relay.jwt holds a token that it takes; old.jwt has expired and
//     other.jwt is signed with another key.
//   - GOOGLE is a service that Google's IAM check guards, WEBSITE is a web site, CLOSED a port where nobody listens, PROXY a proxy that refuses.
//   - qualys STATUS BODY lets the fake Qualys answer so to the searches of the next run; qualys allows N lets it say that N of 300 calls are left.
//   - settle FILE writes the last output to FILE, with the durations and ports that differ from run to run replaced.
//   - The clock stands at 2026-03-01T12:00:00Z for relayctl, and so it does for the servers.
func TestCheckTranscripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "check"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup: func(e *testscript.Env) error {
			tb := e.T().(testing.TB)
			gateway := qualystest.New(tb, qualystest.Config{Events: qualystest.Story()})
			e.Values["gateway"] = gateway
			proxy := startServer(tb, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
			e.Setenv("RELAY_URL", startServer(tb, at(testNow(), checkRelay(tb, "API_URL", gateway.URL, "SEARCH_CACHE", "0s"))).URL)
			e.Setenv("GOOGLE", startServer(tb, at(testNow(), page(http.StatusForbidden, "Google Frontend", googleForbidden))).URL)
			e.Setenv("WEBSITE", startServer(tb, at(testNow(), page(http.StatusOK, "nginx", "<!doctype html><title>Acme \x1b[31mStore</title>"))).URL)
			e.Setenv("CLOSED", qualystest.DeadURL(tb))
			e.Setenv("PROXY", proxy.URL)
			for name, token := range map[string]secret{
				"relay.jwt": checkToken(tb, checkKey, nil),
				"old.jwt":   checkToken(tb, checkKey, jwt.MapClaims{"exp": testNow().Unix()}),
				"other.jwt": checkToken(tb, strings.Repeat("0f", 32), nil),
			} {
				if err := os.WriteFile(filepath.Join(e.WorkDir, name), []byte(token), 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  scriptExits,
			"settle": scriptSettle,
			"qualys": scriptQualys,
		},
	})
}

// scriptSettle is the command settle.
func scriptSettle(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: settle FILE")
	}
	said := ts.ReadFile("stdout")
	said = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(said, "127.0.0.1:8080")
	said = regexp.MustCompile(`relay \d+ ms, Qualys \d+ ms`).ReplaceAllString(said, "relay 7 ms, Qualys 6 ms")
	said = regexp.MustCompile(`\(\d+ ms\)`).ReplaceAllString(said, "(8 ms)")
	said = regexp.MustCompile(`"ms": [0-9.]+`).ReplaceAllString(said, `"ms": 8.001`)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(said), 0o600))
}

// scriptQualys is the command qualys.
func scriptQualys(ts *testscript.TestScript, neg bool, args []string) {
	gateway := ts.Value("gateway").(*qualystest.Server)
	if len(args) != 2 || neg {
		ts.Fatalf("usage: qualys STATUS BODY, or qualys allows N")
	}
	if args[0] == "allows" {
		gateway.SetHeader("X-RateLimit-Limit", "300")
		gateway.SetHeader("X-RateLimit-Remaining", args[1])
		gateway.SetHeader("X-RateLimit-Window-Sec", "3600")
		return
	}
	status, err := strconv.Atoi(args[0])
	ts.Check(err)
	gateway.Inject(qualystest.Fault{On: qualystest.Search, Times: qualystest.Once, Do: qualystest.Status(status, args[1])})
}

// checkRelay is a relay with the key checkKey and settings in pairs of a name and a value.
func checkRelay(tb testing.TB, settings ...string) http.Handler {
	tb.Helper()
	config, err := relay.ConfigFromEnv(env(append([]string{"SECRET_KEY", checkKey, "LOG_LEVEL", "error"}, settings...)...))
	require.NoError(tb, err)
	service, err := relay.New(config)
	require.NoError(tb, err)
	tb.Cleanup(func() { assert.NoError(tb, service.Close()) })
	return service
}

// startServer serves until the test ends.
func startServer(tb testing.TB, handler http.HandlerFunc) *httptest.Server {
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that shall fail
	server.Start()
	tb.Cleanup(server.Close)
	return server
}

// at lets a server have a clock of its own.
func at(now time.Time, next http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", now.Format(http.TimeFormat))
		next.ServeHTTP(w, r)
	}
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
func checkToken(tb testing.TB, key string, claims jwt.MapClaims) secret {
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
	return secret(token)
}

// checked are the results of a check by step. No result holds the token or the password.
func checked(t *testing.T, target string, token secret, adjust ...func(*checker)) map[string]checkResult {
	t.Helper()
	ch := newChecker(target, token, time.Minute, time.Now)
	for _, change := range adjust {
		change(ch)
	}
	results := make(map[string]checkResult)
	require.NoError(t, ch.run(t.Context(), func(r checkResult) error {
		results[r.Step] = r
		return nil
	}))
	require.Len(t, results, 10)
	doc, err := json.Marshal(results)
	require.NoError(t, err)
	if token != "" {
		assert.NotContains(t, string(doc), string(token))
	}
	assert.NotContains(t, string(doc), qualystest.Password)
	for _, r := range results {
		if r.Mark == markFailed || r.Mark == markWarning {
			assert.NotEmpty(t, r.Means, "%s tells what it means", r.Step)
		}
		if r.Mark == markFailed {
			assert.NotEmpty(t, r.Mend, "%s tells how to mend it", r.Step)
		}
	}
	return results
}

// assertFailed holds a failed step, and that those which build on it were skipped for that reason.
func assertFailed(t *testing.T, results map[string]checkResult, step, seen, means string, skippedSteps ...string) {
	t.Helper()
	r := results[step]
	assert.Equal(t, markFailed, r.Mark, "%+v", results)
	assert.Contains(t, r.Seen, seen)
	assert.Contains(t, r.Means, means)
	for _, name := range skippedSteps {
		assert.Equal(t, checkResult{Step: name, Mark: markSkipped, Seen: `because "` + step + `" failed`}, results[name])
	}
	failed := 0
	for _, other := range results {
		if other.Mark == markFailed {
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
		token        secret
		means        string
	}{
		{"it has expired", target, checkToken(t, checkKey, jwt.MapClaims{"exp": 1}), "too old now"},
		{"it is for later", target, checkToken(t, checkKey, jwt.MapClaims{"nbf": hour}), "for later"},
		{"its maker's clock is ahead", target, checkToken(t, checkKey, jwt.MapClaims{"iat": hour}), "ahead by more than a minute"},
		{"another key signed it", target, checkToken(t, strings.Repeat("0f", 32), nil), "another key"},
		{"it is for another relay", target, checkToken(t, checkKey, jwt.MapClaims{"aud": "https://other.example"}), "another relay"},
		{"the relay has no key", keyless, checkToken(t, checkKey, nil), "no key for HS256"},
		{"its gateway is not trusted", target, checkToken(t, checkKey, jwt.MapClaims{"API_URL": "https://evil.example"}), "does not trust"},
		{"its gateway has a path", target, checkToken(t, checkKey, jwt.MapClaims{"API_URL": "https://gateway.qg1.apps.qualys.com/ioc"}), "not as the relay needs it"},
		{"nobody names a gateway", bare, checkToken(t, checkKey, nil), "which Qualys gateway"},
		{"it has no password", target, checkToken(t, checkKey, jwt.MapClaims{"pass": nil}), "not as the relay needs it"},
		{"its limit is odd", target, checkToken(t, checkKey, jwt.MapClaims{"CTR_ENTITIES_LIMIT": 0}), "not as the relay needs it"},
		{"it is not signed", target, "eyJhbGciOiJub25lIn0.eyJ1c2VyIjoidSIsInBhc3MiOiJwIn0.", "not as the relay needs it"},
		{"it is no token", target, "canary", "not as the relay needs it"},
		{"it names no key host", target, "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJ1c2VyIjoidSIsInBhc3MiOiJwIn0.AAAA", "the host that has the key"},
		{"it names no key", target, "eyJhbGciOiJSUzI1NiJ9.eyJ1c2VyIjoidSIsInBhc3MiOiJwIn0.AAAA", "XDR's region"},
		{"Qualys refuses the password", target, checkToken(t, checkKey, jwt.MapClaims{"pass": "canary-password"}), "Qualys refused the user name or the password"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			results := checked(t, tt.target, tt.token)
			assertFailed(t, results, stepHealth, "authorization error: Authorization failed: ", tt.means, stepObserve)
			assert.Equal(t, strings.Contains(tt.name, "Qualys"), strings.HasPrefix(results[stepHealth].Means, "The relay took the token"))
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
		{"the user may not search", qualystest.Status(403, `{"message":"Access denied"}`), "permission denied", "not search events"},
		{"the rate limit is used up", qualystest.Status(429, ``, "X-RateLimit-ToWait-Sec", "3000"), "too many requests", "limit is used up"},
		{"maintenance", qualystest.Status(503, ``), "service unavailable", "maintenance"},
		{"a web page", qualystest.HTML(), "unknown: Unexpected response", "API_URL or API_PATH is wrong"},
		{"a redirect", qualystest.Redirect("https://qualysguard.example/"), "unknown: Unexpected response", "API_URL or API_PATH is wrong"},
		{"no answer in time", qualystest.HangBeforeHeader(), "gateway timeout", "REQUEST_TIMEOUT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			gateway := qualystest.New(t, qualystest.Config{})
			gateway.Inject(qualystest.Fault{On: qualystest.Search, Do: tt.fault})
			target := startServer(t, checkRelay(t, "API_URL", gateway.URL, "REQUEST_TIMEOUT", "1s").ServeHTTP).URL
			results := checked(t, target, checkToken(t, checkKey, nil))
			assertFailed(t, results, stepHealth, tt.seen, tt.means, stepObserve)
			assert.Equal(t, markOK, results[stepSlashes].Mark)
		})
	}
	t.Run("nobody listens at the gateway", func(t *testing.T) {
		t.Parallel()
		target := startServer(t, checkRelay(t, "API_URL", qualystest.DeadURL(t), "REQUEST_TIMEOUT", "1s").ServeHTTP).URL
		assertFailed(t, checked(t, target, checkToken(t, checkKey, nil)), stepHealth, "connection error: Unable to connect to Qualys IOC", "cannot connect to Qualys", stepObserve)
	})
	t.Run("the gateway's certificate is not trusted", func(t *testing.T) {
		t.Parallel()
		gateway := qualystest.New(t, qualystest.Config{TLS: true})
		target := startServer(t, checkRelay(t, "API_URL", gateway.URL).ServeHTTP).URL
		assertFailed(t, checked(t, target, checkToken(t, checkKey, nil)), stepHealth, "unknown: Unable to verify SSL certificate", "sent no password", stepObserve)
	})
	t.Run("only the search of an observable fails", func(t *testing.T) {
		t.Parallel()
		gateway := qualystest.New(t, qualystest.Config{})
		gateway.Inject(qualystest.Fault{On: qualystest.Search, Contains: "192.0.2.1", Do: qualystest.Status(500, "oops")})
		target := startServer(t, checkRelay(t, "API_URL", gateway.URL, "REQUEST_TIMEOUT", "1s").ServeHTTP).URL
		assertFailed(t, checked(t, target, checkToken(t, checkKey, nil)), stepObserve, "unknown: Unexpected response from Qualys IOC: oops", "API_URL or API_PATH")
	})
}

func TestCheckSeesThatTheRelayCannotReadItsKey(t *testing.T) {
	t.Parallel()
	target := startServer(t, checkRelay(t, "SECRET_KEY", "", "SECRET_KEY_FILE", filepath.Join(t.TempDir(), "missing"), "API_URL", "https://gateway.qg1.apps.qualys.com").ServeHTTP).URL
	results := checked(t, target, checkToken(t, checkKey, nil))
	assertFailed(t, results, stepRefusal, "unknown: ", "cannot read its key", stepHealth, stepObserve)
	assert.Contains(t, results[stepRefusal].Mend, cmdAccessor)
}

// TestCheckLooksThroughWhatStandsBeforeTheRelay puts proxies before a good relay.
func TestCheckLooksThroughWhatStandsBeforeTheRelay(t *testing.T) {
	t.Parallel()
	gateway := qualystest.New(t, qualystest.Config{})
	good := checkRelay(t, "API_URL", gateway.URL)
	token := checkToken(t, checkKey, nil)
	for _, tt := range []struct {
		name              string
		change            func(*http.Request)
		step, seen, means string
	}{
		{"it strips the Authorization header", func(r *http.Request) { r.Header.Del("Authorization") }, stepRefusal, "a request with an Authorization header", "takes the Authorization header away"},
		{"it moves the Authorization header", func(r *http.Request) {
			r.Header.Set("X-Forwarded-Authorization", r.Header.Get("Authorization"))
			r.Header.Set("Authorization", "Bearer of.another.service")
		}, stepRefusal, "a request without Authorization header was answered: Authorization failed: ", "header of its own"},
		{"it puts a good token in", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+string(token)) }, stepRefusal, "a request without a token was answered as if", "verifies no token"},
		{"it strips unknown headers", func(r *http.Request) { r.Header.Del("Health-Check") }, stepWatchdog, "did not see the Health-Check header", "takes headers away"},
		{"it caches", func(r *http.Request) { r.Header.Set("Health-Check", "of somebody else") }, stepWatchdog, "another Health-Check header", "A cache"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			target := startServer(t, func(w http.ResponseWriter, r *http.Request) { tt.change(r); good.ServeHTTP(w, r) }).URL
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
		for _, r := range checked(t, startServer(t, httputil.NewSingleHostReverseProxy(inner).ServeHTTP).URL, token) {
			assert.Equal(t, markOK, r.Mark, "%+v", r)
		}
	})
	t.Run("the path that it adds is kept", func(t *testing.T) {
		t.Parallel()
		target := startServer(t, http.StripPrefix("/relay", good).ServeHTTP).URL
		results := checked(t, target+"/relay", token)
		assert.Equal(t, markWarning, results[stepURL].Mark)
		assert.Contains(t, results[stepURL].Seen, "it has a path")
		assert.Equal(t, markOK, results[stepObserve].Mark)
	})
}

func TestCheckExplainsWhatIsNotARelay(t *testing.T) {
	t.Parallel()
	all := []string{stepWatchdog, stepRefusal, stepHealth, stepObserve, stepSlashes}
	service := checkRelay(t).(*relay.Service)
	functions := service.Functions()
	for _, tt := range []struct {
		name        string
		answer      http.HandlerFunc
		seen, means string
		mend        string // a command of it
	}{
		{"Google's IAM check without a token", page(403, "Google Frontend", googleForbidden), `HTTP 403 Forbidden by Google Frontend, with the page "403 Forbidden"`, "Google's IAM check", cmdNoIAM},
		{"Google's IAM check with a token", page(401, "Google Frontend", ""), "HTTP 401 Unauthorized by Google Frontend, without a body", "Google's IAM check", cmdNoIAM},
		{"no such service", page(404, "Google Frontend", "<title>404 Page not found</title>"), "404 Page not found", "no such service", cmdIngress},
		{"no instance is free", page(429, "Google Frontend", "Rate exceeded."), `with "Rate exceeded."`, "no instance free", cmdCapacity},
		{"the container does not start", page(503, "Google Frontend", "Service Unavailable"), "HTTP 503", "does not start", cmdLogs},
		{"a firewall", page(403, "cloudflare", "<title>Attention Required!</title>"), "by cloudflare", "a proxy, load balancer or firewall", ""},
		{"a firewall that limits", page(429, "awselb/2.0", ""), "HTTP 429", "limits how often", ""},
		{"a web site", page(200, "nginx", "<!doctype html><html><TITLE lang=en>Caf&eacute;\n Acme</TITLE>"), `HTTP 200 OK by nginx, with the page "Café Acme"`, "not the answer of a relay", cmdURL},
		{"another service", page(200, "", `{"status":"up"}`), `with "{"status":"up"}"`, "not the answer of a relay", cmdURL},
		{"another service without the path", page(404, "", `{"message":"no route"}`), `with "no route"`, "it is not a relay", cmdURL},
		{"another service's method", page(405, "", `{"message":"no"}`), "HTTP 405", "it is not a relay", cmdURL},
		{"an odd status", page(418, "", "short and stout"), "HTTP 418", "never answers with this status", cmdURL},
		{"Identity-Aware Proxy", page(302, "", "", "Location", "https://accounts.google.com/o/oauth2/v2/auth?client_id=x"), "redirected to https://accounts.google.com", "Identity-Aware Proxy", ""},
		{"a redirect to elsewhere", page(308, "", "", "Location", "https://elsewhere.example/version"), "redirected to https://elsewhere.example", "somewhere else", cmdURL},
		{"a redirect on the spot", page(307, "", "", "Location", "/v2/version"), "redirected to /v2/version", "wants another path", ""},
		{"a relay at another path", functions["health"], "HTTP 200", "function for another endpoint", cmdFunction},
		{"a relay's watchdog alone", functions["watchdog"], "HTTP 405", "function for another endpoint", cmdFunction},
		{"a relay under a path", func(w http.ResponseWriter, r *http.Request) {
			r.URL.Path = "/relay" + r.URL.Path
			service.ServeHTTP(w, r)
		}, "There is nothing at this path.", "not at this path", ""},
		{"a relay that ends", page(503, "", `{"code":503,"message":"The relay is shutting down.","reason":"Try again."}`), "shutting down", "being stopped", ""},
		{"escape sequences", page(200, "evil\u202egnp.exe", "<title>\x1b[2J\u202egnp.exe</title>"), `by evil\u202egnp.exe, with the page "\x1b[2J\u202egnp.exe"`, "not the answer of a relay", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, func(w http.ResponseWriter, r *http.Request) {
				assert.Empty(t, r.Header.Get("Authorization"), "the token is not sent to what is not a relay")
				tt.answer(w, r)
			})
			results := checked(t, server.URL, checkToken(t, checkKey, nil))
			assertFailed(t, results, stepVersion, tt.seen, tt.means, all...)
			if tt.mend != "" {
				assert.Contains(t, results[stepVersion].Mend, tt.mend)
			}
			assert.Equal(t, markOK, results[stepClock].Mark, "the clock can be compared with any server's")
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
			fmt.Fprintf(w, `{"errors":[{"type":"fatal","code":"unknown","message":%q}]}`, r.Header.Get("Authorization"))
		},
		"in a redirect": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/?"+r.Header.Get("Authorization"))
			w.WriteHeader(http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token := secret("canary-token")
			server := startServer(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.Header.Get("Authorization"), string(token)) {
					answer(w, r)
					return
				}
				good.ServeHTTP(w, r)
			})
			results := checked(t, server.URL, token)
			assert.Equal(t, markFailed, results[stepHealth].Mark)
			assert.NotContains(t, fmt.Sprint(results), "canary")
		})
	}
}

func TestCheckLooksAtTheURL(t *testing.T) {
	t.Parallel()
	for raw, seen := range map[string]string{
		"relay.example":                         `the URL "relay.example" is not a URL like https://host`,
		"http://relay.example":                  "must be https",
		"ftp://relay.example":                   "must be https",
		"https://relay.example?x=1":             "query",
		"https://ana:canary@relay.example":      "the URL holds an @",
		"https://ana:canary@relay.example:port": "the URL holds an @",
		"\x1b[2J":                               `\x1b[2J`,
	} {
		t.Run(raw, func(t *testing.T) {
			t.Parallel()
			results := checked(t, raw, "")
			assertFailed(t, results, stepURL, seen, "only https", stepName, stepConnection, stepVersion, stepWatchdog, stepClock, stepRefusal, stepHealth, stepObserve, stepSlashes)
			assert.NotContains(t, fmt.Sprint(results), "canary")
		})
	}
}

func TestCheckResolvesTheName(t *testing.T) {
	t.Parallel()
	after := []string{stepConnection, stepVersion}
	t.Run("no such name", func(t *testing.T) {
		t.Parallel()
		results := checked(t, "https://relay.example", "", nameServer(t, 3, nil))
		assertFailed(t, results, stepName, "no such host", "There is no such name", after...)
	})
	t.Run("the name server fails", func(t *testing.T) {
		t.Parallel()
		results := checked(t, "https://relay.example", "", nameServer(t, 2, nil))
		assertFailed(t, results, stepName, "server misbehaving", "could not be looked up", after...)
	})
	t.Run("a public address is good, a private one is none of XDR's", func(t *testing.T) {
		t.Parallel()
		for address, want := range map[string]mark{"192.0.2.7": markOK, "10.1.2.3": markWarning, "169.254.1.1": markWarning, "127.0.0.1": markOK} {
			ch := newChecker("https://relay.example", "", time.Minute, time.Now)
			nameServer(t, 0, net.ParseIP(address).To4())(ch)
			require.Equal(t, markOK, ch.checkForm(t.Context()).Mark)
			got := ch.checkName(t.Context())
			assert.Equal(t, want, got.Mark, address)
			assert.Equal(t, "relay.example is "+address, got.Seen)
		}
	})
}

// nameServer lets the checker ask a name server on this machine, which gives every name the address or else the error code (RFC 1035, section 4.1.1).
func nameServer(t *testing.T, code byte, address net.IP) func(*checker) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			question := buffer[12 : 12+bytes.IndexByte(buffer[12:n], 0)+5]                   // the name, its type and class
			reply := []byte{buffer[0], buffer[1], 0x81, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0} // a response, to one question
			reply = append(reply, question...)
			if isA := question[len(question)-3] == 1; isA && address != nil {
				reply[7] = 1 // answer: the name at offset 12, type A, class IN, for 60 s
				reply = append(append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4), address...)
			}
			_, _ = conn.WriteTo(reply, from)
		}
	}()
	return func(c *checker) {
		c.resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
		}}
	}
}

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA", Organization: []string{"Acme"}}, NotBefore: time.Now().AddDate(-2, 0, 0), NotAfter: time.Now().AddDate(9, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{certificate, key}
}

// trusted lets a checker know the authority.
func (a *authority) trusted(c *checker) {
	c.roots = x509.NewCertPool()
	c.roots.AddCert(a.certificate)
}

// serve serves over TLS with a certificate for 127.0.0.1 that is valid from one day to another, relative to now.
func (a *authority) serve(t *testing.T, from, until int, handler http.Handler, adjust ...func(*tls.Config)) *httptest.Server {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().AddDate(0, 0, from), NotAfter: time.Now().AddDate(0, 0, until).Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
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
	good, ca, token := checkRelay(t, "API_URL", gateway.URL), newAuthority(t), checkToken(t, checkKey, nil)
	after := []string{stepVersion, stepClock, stepHealth, stepObserve}
	t.Run("it is good", func(t *testing.T) {
		t.Parallel()
		results := checked(t, ca.serve(t, -1, 60, good).URL, token, ca.trusted)
		for _, r := range results {
			assert.Equal(t, markOK, r.Mark, "%+v", r)
		}
		assert.Regexp(t, `^TLS 1\.3 with 127\.0\.0\.1:\d+; the certificate of 127\.0\.0\.1, by Test CA \(Acme\), is valid until \d{4}-\d\d-\d\d$`, results[stepConnection].Seen)
	})
	t.Run("it expires soon", func(t *testing.T) {
		t.Parallel()
		results := checked(t, ca.serve(t, -80, 10, good).URL, token, ca.trusted)
		assert.Equal(t, markWarning, results[stepConnection].Mark)
		assert.Contains(t, results[stepConnection].Means, "expires in 10 days")
		assert.Equal(t, markOK, results[stepObserve].Mark)
	})
	t.Run("it has expired", func(t *testing.T) {
		t.Parallel()
		assertFailed(t, checked(t, ca.serve(t, -90, -1, good).URL, token, ca.trusted), stepConnection, "the certificate has expired (of 127.0.0.1, by Test CA (Acme), valid from ", "refuses to connect", after...)
	})
	t.Run("it is not valid yet", func(t *testing.T) {
		t.Parallel()
		assertFailed(t, checked(t, ca.serve(t, 1, 90, good).URL, token, ca.trusted), stepConnection, "not valid yet", "clock is behind", after...)
	})
	t.Run("nobody knows its authority", func(t *testing.T) {
		t.Parallel()
		assertFailed(t, checked(t, ca.serve(t, -1, 60, good).URL, token), stepConnection, "of an authority that is not known here", "public authorities only", after...)
	})
	t.Run("it is for another name", func(t *testing.T) {
		t.Parallel()
		target := strings.Replace(ca.serve(t, -1, 60, good).URL, "127.0.0.1", "localhost", 1)
		assertFailed(t, checked(t, target, token, ca.trusted), stepConnection, "for another name (of 127.0.0.1, by Test CA (Acme)", "the name that it calls", after...)
	})
	t.Run("there is none", func(t *testing.T) {
		t.Parallel()
		target := strings.Replace(startServer(t, good.ServeHTTP).URL, "http:", "https:", 1)
		assertFailed(t, checked(t, target, token), stepConnection, "first record does not look like a TLS handshake", "does not speak TLS", after...)
	})
	t.Run("the server has none for this name", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewUnstartedServer(good)
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, io.ErrUnexpectedEOF }}
		server.StartTLS()
		defer server.Close()
		assertFailed(t, checked(t, server.URL, token), stepConnection, "remote error: tls: internal error", "ended the TLS handshake", after...)
	})
	t.Run("the server wants one of its callers", func(t *testing.T) {
		t.Parallel()
		server := ca.serve(t, -1, 60, good, func(c *tls.Config) { c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12 })
		assertFailed(t, checked(t, server.URL, token, ca.trusted), stepConnection, "remote error: tls: ", "wants one of its callers", after...)
	})
}

func TestCheckExplainsThatNothingAnswers(t *testing.T) {
	t.Parallel()
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		assertFailed(t, checked(t, qualystest.DeadURL(t), ""), stepConnection, "connection refused", "nothing listens", stepVersion)
	})
	short := func(c *checker) {
		c.connect = func(base *url.URL) *relayClient { return newRelayClient(base, "", 50*time.Millisecond) }
	}
	t.Run("no answer comes", func(t *testing.T) {
		t.Parallel()
		server := startServer(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		results := checked(t, server.URL, "", short)
		assertFailed(t, results, stepVersion, "", "no whole answer in time", stepRefusal)
		assert.Equal(t, markSkipped, results[stepClock].Mark)
		assert.Equal(t, "nothing answered", results[stepClock].Seen)
	})
	t.Run("an answer does not end", func(t *testing.T) {
		t.Parallel()
		server := startServer(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "{")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		assertFailed(t, checked(t, server.URL, "", short), stepVersion, "", "no whole answer in time", stepRefusal)
	})
	t.Run("the connection breaks", func(t *testing.T) {
		t.Parallel()
		server := startServer(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		assertFailed(t, checked(t, server.URL, ""), stepVersion, "EOF", "The connection broke", stepRefusal)
	})
}

func TestCheckComparesTheClocks(t *testing.T) {
	t.Parallel()
	date := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		ahead time.Duration // of the local clock, when the request was sent
		took  time.Duration
		want  mark
		seen  string
	}{
		{"they agree", 300 * time.Millisecond, 50 * time.Millisecond, markOK, "this machine and the server agree to within 1 second"},
		{"a slow answer is not a wrong clock", -40 * time.Second, 41 * time.Second, markOK, "this machine and the server agree to within 1 second"},
		{"some seconds are nothing", 9 * time.Second, 0, markOK, "this machine and the server agree to within 8 seconds"},
		{"inside of the leeway it is ahead", 31 * time.Second, 0, markWarning, "this machine is 30s ahead of the server"},
		{"inside of the leeway it is behind", -30 * time.Second, 0, markWarning, "this machine is 30s behind the server"},
		{"it is ahead", 5*time.Minute + time.Second, 0, markFailed, "this machine is 5m0s ahead of the server"},
		{"it is behind", -25 * time.Hour, time.Second, markFailed, "this machine is 24h59m59s behind the server"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			begin := date.Add(tt.ahead)
			c := &checker{dates: &datesSeen{date.Format(http.TimeFormat), begin, begin.Add(tt.took)}}
			got := c.checkClock(t.Context())
			assert.Equal(t, tt.want, got.Mark)
			assert.Equal(t, tt.seen, got.Seen)
		})
	}
	c := &checker{dates: &datesSeen{date: "yesterday"}}
	assert.Equal(t, markWarning, c.checkClock(t.Context()).Mark, "no date is no reason to fail")
}

func TestCheckSaysWhatSlowAnswersMean(t *testing.T) {
	t.Parallel()
	quick := good("all is well").timed(slowAnswer)
	assert.Equal(t, markOK, quick.Mark)
	assert.InDelta(t, 10000, quick.Milliseconds, 0)
	for step, mend := range map[string]string{stepVersion: cmdKeepWarm, stepObserve: "REQUEST_TIMEOUT"} {
		r := good("all is well")
		r.Step = step
		r = r.timed(slowAnswer + time.Millisecond)
		assert.Equal(t, markWarning, r.Mark)
		assert.Contains(t, r.Means, "25 to 50 s")
		assert.Contains(t, strings.Join(r.Mend, "\n"), mend)
	}
	failed := bad("it broke", "m", "n").timed(time.Minute)
	assert.Equal(t, markFailed, failed.Mark)
	assert.Equal(t, "m", failed.Means)
}

func TestCheckShowsQuotas(t *testing.T) {
	t.Parallel()
	for remaining, want := range map[string]mark{"31": markOK, "30": markWarning} {
		gateway := qualystest.New(t, qualystest.Config{})
		gateway.SetHeader("X-RateLimit-Limit", "300")
		gateway.SetHeader("X-RateLimit-Remaining", remaining)
		gateway.SetHeader("X-RateLimit-Window-Sec", "3600")
		target := startServer(t, checkRelay(t, "API_URL", gateway.URL).ServeHTTP).URL
		results := checked(t, target, checkToken(t, checkKey, nil))
		assert.Equal(t, want, results[stepHealth].Mark, results[stepHealth])
		assert.Contains(t, results[stepHealth].Seen, "of 300 calls used")
		assert.Equal(t, markOK, results[stepObserve].Mark, "a warning stops nothing")
	}
}

func TestCheckFindsAnAnswerThatIsNotCTIM(t *testing.T) {
	t.Parallel()
	gateway := qualystest.New(t, qualystest.Config{})
	good := checkRelay(t, "API_URL", gateway.URL)
	for name, answer := range map[string]string{
		"stepObserve": `{"data":{"sightings":{"count":1,"docs":[{"type":"sighting"}]}}}`,
		"stepHealth":  `{"data":{"status":"canary"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, step, seen := pathObserve, stepObserve, "the answer for ip:192.0.2.1 is not CTIM: not a CTIM ObserveResponse: /data/sightings/docs/0"
			if name == "stepHealth" {
				path, step, seen = pathHealth, stepHealth, `with "{"data":{"status":"canary"}}"`
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

func TestCheckShowsWhatBecomesOfTwoSlashes(t *testing.T) {
	t.Parallel()
	gateway := qualystest.New(t, qualystest.Config{})
	good := checkRelay(t, "API_URL", gateway.URL)
	mux := http.NewServeMux() // as in the functions framework
	mux.Handle("/", good)
	strict := func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "//") {
			http.NotFound(w, r)
			return
		}
		good.ServeHTTP(w, r)
	}
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		slash   string
		want    mark
		seen    string
	}{
		{"the relay takes them", good.ServeHTTP, "", markOK, "//version is answered like /version"},
		{"the framework redirects", mux.ServeHTTP, "", markOK, "//version is redirected (307) to /version: keep the module's URL without a slash"},
		{"the framework redirects, and the URL has one", mux.ServeHTTP, "/", markWarning, "//version is redirected (307) to /version"},
		{"something refuses them", strict, "", markOK, "//version is answered with HTTP 404"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			results := checked(t, startServer(t, tt.handler).URL+tt.slash, "")
			assert.Equal(t, tt.want, results[stepSlashes].Mark)
			assert.Contains(t, results[stepSlashes].Seen, tt.seen)
			if tt.slash != "" {
				assert.Equal(t, markWarning, results[stepURL].Mark)
			}
		})
	}
}

func TestCheckEndsWhenItIsInterrupted(t *testing.T) {
	t.Parallel()
	var arrived atomic.Int32
	ctx, interrupt := context.WithCancel(t.Context())
	server := startServer(t, func(_ http.ResponseWriter, r *http.Request) {
		arrived.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		interrupt()
		<-r.Context().Done()
	})
	var stdout, stderr bytes.Buffer
	assert.Equal(t, exitError, run(ctx, []string{"check", server.URL}, strings.NewReader(""), &stdout, &stderr, env()))
	assert.Equal(t, "relayctl: error: interrupted\n", stderr.String())
	assert.Contains(t, stdout.String(), "ok       connection", "what was seen until then is told")
	assert.NotContains(t, stdout.String(), "version")
	assert.Equal(t, int32(1), arrived.Load())
}

// brokenPipe is an output that nobody reads.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestCheckSaysThatItCouldNotWrite(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"check", "x"}, {"check", "x", "--json"}} {
		assert.Equal(t, exitError, run(t.Context(), args, strings.NewReader(""), brokenPipe{}, io.Discard, env()))
	}
}

func TestACheckHoldsNoTokenToPrint(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		assert.NotContains(t, fmt.Sprintf(verb, newChecker("https://relay.example", "canary-token", time.Minute, time.Now)), "canary")
	}
}
