package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/cmd/relayctl/token"
	"qualysrelay.example/qualys/qualystest"
	"qualysrelay.example/relay"
)

var update = flag.Bool("update", false, "write the transcripts' reports and the documents' tables")

const (
	testKey     = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	canaryToken = "canary-token"

	// googleForbidden is what Cloud Run answers where its IAM check is on.
	googleForbidden = "<html><head>\n<title>403 Forbidden</title>\n</head>\n<body><h1>Error: " +
		"Forbidden</h1></body></html>\n"
)

// The transcripts under testdata/check show reports as a user sees them. In them,
//
// - RELAY_URL is a relay on this machine with a fake Qualys behind it, and relay.jwt holds a token that it
// takes; old.jwt has expired and
//
//	other.jwt is signed with another key.
//
// - GOOGLE is a service that Google's IAM check guards, WEBSITE is a web site, CLOSED a port where nobody
// listens, PROXY a proxy that refuses.
// - qualys STATUS BODY lets the fake Qualys answer so to the searches of the next run; qualys allows N lets
// it say that N of 300 calls are left.
// - settle FILE writes the last output to FILE, with the durations and ports that differ from run to run
// replaced.
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
			proxy := startServer(tb, func(w http.ResponseWriter,
				_ *http.Request) {
				w.WriteHeader(http.StatusForbidden)
			})
			e.Setenv("RELAY_URL", startServer(tb,
				at(testNow(), testRelay(tb, "API_URL", gateway.URL, "SEARCH_CACHE", "0s"))).URL)
			e.Setenv("GOOGLE", startServer(tb, at(testNow(),
				page(http.StatusForbidden, "Google Frontend", googleForbidden))).URL)
			e.Setenv("WEBSITE", startServer(tb, at(testNow(),
				page(http.StatusOK, "nginx", "<!doctype html><title>Acme \x1b[31mStore</title>"))).URL)
			e.Setenv("CLOSED", qualystest.DeadURL(tb))
			e.Setenv("PROXY", proxy.URL)
			for name, token := range map[string]secret.Value{
				"relay.jwt": testToken(tb, testKey, 0),
				"old.jwt":   testToken(tb, testKey, time.Hour),
				"other.jwt": testToken(tb, secret.Value(strings.Repeat("0f", 32)), 0),
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
	gateway.Inject(qualystest.Fault{On: qualystest.Search, Times: qualystest.Once,
		Do: qualystest.Status(status, args[1])})
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
	assert.Equal(t, exitError, run(ctx, []string{"check", server.URL}, strings.NewReader(""), &stdout,
		&stderr, env()))
	assert.Equal(t, "relayctl: error: interrupted\n", stderr.String())
	assert.Contains(t, stdout.String(), "ok       url", "what was seen until then is told")
	assert.NotContains(t, stdout.String(), "connection")
	assert.Equal(t, int32(1), arrived.Load())
}

func TestCheckSaysThatItCouldNotWrite(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"check", "x"}, {"check", "x", "--json"}} {
		assert.Equal(t, exitError, run(t.Context(), args, strings.NewReader(""), brokenWriter{}, io.Discard,
			env()))
	}
}

// testToken is a token of the fake gateway's user. The relay's clock is the real one: where the token
// expires, it has.
func testToken(tb testing.TB, key secret.Value, expires time.Duration) secret.Value {
	tb.Helper()
	signed, err := token.Claims{User: qualystest.User, Password: qualystest.Password,
		Expires: expires}.Sign(key, testNow())
	require.NoError(tb, err)
	return signed
}

// testRelay is a relay with the key testKey and settings in pairs of a name and a value.
func testRelay(tb testing.TB, settings ...string) http.Handler {
	tb.Helper()
	config, err := relay.ConfigFromEnv(env(append([]string{"SECRET_KEY", testKey, "LOG_LEVEL", "error"},
		settings...)...))
	require.NoError(tb, err)
	service, err := relay.New(config, slog.New(slog.DiscardHandler))
	require.NoError(tb, err)
	tb.Cleanup(service.Close)
	return service
}

// startServer serves until the test ends.
func startServer(tb testing.TB, handler http.HandlerFunc) *httptest.Server {
	server := httptest.NewServer(handler)
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
func page(status int, server, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", server)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}
