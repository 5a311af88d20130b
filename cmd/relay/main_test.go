package main

import (
	"bytes"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/relay"
)

const secretKey = "a-key-that-only-these-tests-use-0123456789"

// The test binary is also the relay: a process of its own, which no test has to build.
func TestMain(m *testing.M) {
	if os.Getenv("RELAY_PROCESS") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// buffer is written by a process while a test reads it.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// server is a relay in a process of its own.
type server struct {
	url    string
	cmd    *exec.Cmd
	output *buffer
	done   chan struct{} // closed when the process has ended
}

// launch starts the relay with no other environment than the relay's.
func launch(t *testing.T, env ...string) *server {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	s := &server{output: &buffer{}, done: make(chan struct{}), cmd: exec.CommandContext(t.Context(), self)}
	s.cmd.Env = append(
		[]string{"RELAY_PROCESS=yes", "SECRET_KEY=" + secretKey, "API_URL=http://127.0.0.1:1"}, env...)
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	require.NoError(t, s.cmd.Start())
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait() // ProcessState tells how it ended
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // where it has not ended yet
		<-s.done
	})
	return s
}

// start starts the relay and returns when it accepts connections.
func start(t *testing.T, env ...string) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	s := launch(t, append(env, "PORT="+address[strings.LastIndex(address, ":")+1:])...)
	s.url = "http://" + address
	again := time.NewTicker(2 * time.Millisecond) // another process tells by nothing else that it listens
	defer again.Stop()
	for {
		if conn, err := net.Dial("tcp", address); err == nil {
			require.NoError(t, conn.Close())
			return s
		}
		select {
		case <-s.done:
			require.FailNow(t, "it ended at once", s.output.String())
		case <-t.Context().Done():
			require.FailNow(t, "it does not listen", s.output.String())
		case <-again.C:
		}
	}
}

// fails starts a relay that must end by itself, and returns its status and what it says.
func fails(t *testing.T, env ...string) (int, string) {
	t.Helper()
	s := launch(t, env...)
	select {
	case <-s.done:
	case <-t.Context().Done():
		require.FailNow(t, "it does not end", s.output.String())
	}
	return s.cmd.ProcessState.ExitCode(), s.output.String()
}

// request sends one observable and returns the body of an answer that must be JSON with status 200.
func (s *server) request(t *testing.T, method, path, token string) string {
	t.Helper()
	body := io.Reader(strings.NewReader(`[{"type":"ip","value":"192.0.2.1"}]`))
	if method == http.MethodGet {
		body = nil
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, body)
	require.NoError(t, err)
	r.Header.Set("Health-Check", "beat")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, resp.StatusCode, "%s %s: %s", method, path, text)
	assert.Contains(t, resp.Header.Get("Content-Type"), "application/json", path)
	return string(text)
}

// registered returns the names of the functions that the relay registers.
func registered(t *testing.T) []string {
	t.Helper()
	config, err := relay.ConfigFromEnv(func(string) string { return "" })
	require.NoError(t, err)
	service, err := relay.New(config, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer service.Close()
	return slices.Sorted(maps.Keys(service.Functions()))
}

func TestTheRelayServesEveryEndpointByDefault(t *testing.T) {
	s := start(t)
	version := fmt.Sprintf(`{"version":%q}`, relay.Version)
	assert.JSONEq(t, version, s.request(t, http.MethodPost, "/version", ""))
	assert.JSONEq(t, `{"data":"beat"}`, s.request(t, http.MethodGet, "/watchdog", ""))
	for _, path := range []string{
		"/health", "/observe/observables", "/deliberate/observables", "/observe/observables/",
	} {
		assert.Contains(t, s.request(t, http.MethodPost, path, ""), "Authorization header is missing", path)
	}
}

// A function that is deployed alone gets every path, and must not look at it.
func TestEachFunctionServesAloneAtEveryPath(t *testing.T) {
	for _, name := range registered(t) {
		if name == "relay" {
			continue
		}
		s := start(t, "FUNCTION_TARGET="+name)
		method, want := http.MethodPost, "Authorization failed: "
		switch name {
		case "version":
			want = relay.Version
		case "watchdog":
			method, want = http.MethodGet, "beat"
		}
		for _, path := range []string{"/", "/any/path"} {
			assert.Contains(t, s.request(t, method, path, "a.b.c"), want, name)
		}
	}
}

func TestAWrongStartEndsAtOnceAndSaysWhy(t *testing.T) {
	status, output := fails(t, "FUNCTION_TARGET=observe")
	assert.Equal(t, 1, status)
	assert.Contains(t, output, `no matching function found with name: "observe"`)

	status, output = fails(t, "PORT=none")
	assert.Equal(t, 1, status)
	assert.Contains(t, output, "none")

	status, output = fails(t, "SECRET_KEY=short", "API_URL=http://qualys.example", "CTR_ENTITIES_LIMIT=all")
	assert.Equal(t, 2, status)
	for _, name := range []string{"SECRET_KEY", "API_URL", "CTR_ENTITIES_LIMIT"} {
		assert.Contains(t, output, name)
	}
	assert.NotContains(t, output, "short")
}

func TestARequestInFlightFinishesOnSIGTERM(t *testing.T) {
	arrived, release := make(chan struct{}, 64), make(chan struct{})
	open := sync.OnceFunc(func() { close(release) })
	claims := jwt.MapClaims{"user": "alice", "pass": "wonderland"}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secretKey))
	require.NoError(t, err)
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		if strings.HasSuffix(r.URL.Path, "/auth") {
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, token) // Qualys's own tokens are JWTs too
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer gateway.Close()
	defer open() // before the gateway closes, which waits for its requests

	s := start(t, "API_URL="+gateway.URL)
	go func() { // what the request in flight waits for
		<-arrived
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		for t.Context().Err() == nil {
			resp, err := http.Post(s.url+"/version", "application/json", nil)
			if err != nil {
				break
			}
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusServiceUnavailable {
				break
			}
		}
		open() // once new requests are turned away
	}()
	assert.JSONEq(t, `{"data":{}}`, s.request(t, http.MethodPost, "/observe/observables", token))
	<-s.done
	assert.Equal(t, 0, s.cmd.ProcessState.ExitCode(), s.output.String())
}

func TestSecretsStayAtHome(t *testing.T) {
	git, err := os.ReadFile("../../.gitignore")
	require.NoError(t, err)
	for _, pattern := range []string{".env*", "*.key", "*.key.old", "*.jwt", "module_type*.json"} {
		assert.Contains(t, strings.Split(string(git), "\n"), pattern)
	}
	google, err := os.ReadFile("../../.gcloudignore")
	require.NoError(t, err)
	assert.Contains(t, string(google), "\n#!include:.gitignore\n")
}

// The Go functions buildpack reads the root before it builds: every Go file in it, tests and files for
// other systems included, must name one package, which is not main and imports the framework's functions
// itself. The module path's first element needs a dot, and a later Go patch release may be missing in
// Google's image.
func TestTheBuildpackTakesTheRoot(t *testing.T) {
	files, err := filepath.Glob("../../*.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		require.NoError(t, err)
		assert.Equal(t, "function", parsed.Name.Name, file)
	}
	function, err := os.ReadFile("../../function.go")
	require.NoError(t, err)
	assert.Contains(t, string(function), `"github.com/GoogleCloudPlatform/functions-framework-go/functions"`)
	module, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	assert.Contains(t, string(module), "module qualysrelay.example\n\ngo 1.26.0\n")
	assert.NotContains(t, string(module), "\ntoolchain ")
}
