package relay

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"qualysrelay.example/relay/accesslog"
)

// quiet is a service that needs no Qualys, with its log in the builder.
func quiet(t *testing.T, pairs ...string) (*Service, *strings.Builder) {
	t.Helper()
	c, err := ConfigFromEnv(env(pairs...))
	require.NoError(t, err)
	log := new(strings.Builder)
	s, err := New(c, accesslog.New(log, slog.LevelDebug, "some-project"))
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s, log
}

func call(t *testing.T, h http.Handler, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestVersionIsBare(t *testing.T) {
	t.Parallel()
	s, _ := quiet(t)
	w := call(t, s, "POST", "/version", "")
	assert.Equal(t, 200, w.Code)
	assert.JSONEq(t, `{"version":"`+Version+`"}`, w.Body.String())
	assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
}

func TestWatchdogGivesBackItsHeader(t *testing.T) {
	t.Parallel()
	s, _ := quiet(t)
	assert.JSONEq(t, `{"data":"are you \"there\"?"}`, call(t, s, "GET", "/watchdog", "", "Health-Check", `are you "there"?`).Body.String())
	w := call(t, s, "GET", "/watchdog", "")
	assert.Equal(t, 200, w.Code)
	assert.Contains(t, w.Body.String(), `"code":"health check failed"`)
}

func TestRouting(t *testing.T) {
	t.Parallel()
	s, _ := quiet(t)
	tests := map[string]struct {
		method, path string
		status       int
	}{
		"a path":                  {"POST", "/version", 200},
		"a trailing slash":        {"POST", "/version/", 200},
		"doubled slashes":         {"POST", "//version", 200},
		"a query is ignored":      {"POST", "/version?x=1", 200},
		"an unknown path":         {"POST", "/versions", 404},
		"a path below":            {"POST", "/version/x", 404},
		"the root":                {"POST", "/", 404},
		"another case":            {"POST", "/Version", 404},
		"the wrong method":        {"GET", "/version", 405},
		"HEAD":                    {"HEAD", "/watchdog", 405},
		"OPTIONS":                 {"OPTIONS", "/observe/observables", 405},
		"the wrong method, again": {"POST", "/watchdog", 405},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := call(t, s, test.method, test.path, "")
			require.Equal(t, test.status, w.Code)
			if test.status == 200 {
				return
			}
			var answer struct {
				Code            int
				Message, Reason string
			}
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
			assert.Equal(t, test.status, answer.Code)
			assert.NotEmpty(t, answer.Message)
			assert.NotEmpty(t, answer.Reason)
		})
	}
}

func TestASingleFunctionAnswersAtEveryPath(t *testing.T) {
	t.Parallel()
	s, _ := quiet(t)
	functions := s.Functions()
	require.Len(t, functions, 10)
	for _, path := range []string{"/", "/version", "/anything/else"} {
		assert.Equal(t, 200, call(t, functions["version"], "POST", path, "").Code, path)
	}
	assert.Contains(t, call(t, functions["observeObservables"], "POST", "/", "[]").Body.String(), "Authorization header is missing")
	assert.Equal(t, 405, call(t, functions["health"], "GET", "/", "").Code)
}

func TestAPanicAnswersOurError(t *testing.T) {
	t.Parallel()
	s, log := quiet(t)
	broken := endpoint{"broken", "/broken", "POST", anybody, func(*Service, *request) (any, error) { panic("a bug at 12:00") }}
	late := endpoint{"late", "/late", "POST", anybody, func(*Service, *request) (any, error) { return func() {}, nil }}
	w := call(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, late) }), "POST", "/", "")
	assert.Contains(t, w.Body.String(), ownFault, "what cannot be encoded")
	w = call(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, broken) }), "POST", "/", "")
	assert.Equal(t, 200, w.Code)
	assert.JSONEq(t, `{"errors":[{"type":"fatal","code":"unknown","message":"`+ownFault+`"}]}`, w.Body.String())
	line := lastLine(t, log)
	assert.Equal(t, "ERROR", line["severity"])
	assert.Contains(t, line["stack_trace"], "a bug at 12:00")
	assert.Contains(t, line["stack_trace"], "handler_test.go")
}

func lastLine(t *testing.T, log *strings.Builder) map[string]any {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	var line map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &line))
	return line
}

func TestShuttingDownFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	s, _ := quiet(t)
	arrived, finish := make(chan struct{}), make(chan struct{})
	slow := endpoint{"slow", "/slow", "POST", anybody, func(*Service, *request) (any, error) {
		close(arrived)
		<-finish
		return "done", nil
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			s.serve(w, r, slow)
			return
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	answers := make(chan string, 1)
	go func() {
		answers <- post(t, server.URL+"/slow")
	}()
	<-arrived
	shut := make(chan struct{})
	go func() {
		s.requests.shut(t.Context(), time.Minute)
		close(shut)
	}()
	require.Eventually(t, func() bool { return strings.Contains(post(t, server.URL+"/version"), "shutting down") }, testPatience, testTick)
	select {
	case <-shut:
		t.Fatal("it shut down with a request in flight")
	default:
	}
	close(finish)
	<-shut
	assert.JSONEq(t, `{"data":"done"}`, <-answers)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.requests.shut(ctx, time.Minute) // returns, as its context is over
}

func post(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("[]"))
	if err != nil {
		return err.Error()
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

func TestTheLogLineHasCloudLoggingsFields(t *testing.T) {
	t.Parallel()
	s, log := quiet(t)
	call(t, s, "POST", "/observe/observables?token=canary-in-a-query", "[]", "X-Module-Instance-Id", "instance-1", "User-Agent", "XDR",
		"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	line := lastLine(t, log)
	assert.Equal(t, "WARNING", line["severity"])
	assert.Contains(t, line["message"], "observeObservables 200")
	assert.Equal(t, "projects/some-project/traces/4bf92f3577b34da6a3ce929d0e0e4736", line["logging.googleapis.com/trace"])
	assert.Equal(t, "00f067aa0ba902b7", line["logging.googleapis.com/spanId"])
	assert.Equal(t, true, line["logging.googleapis.com/trace_sampled"])
	assert.Equal(t, map[string]any{"endpoint": "observeObservables", "module_instance": "instance-1"}, line["logging.googleapis.com/labels"])
	request, ok := line["httpRequest"].(map[string]any)
	require.True(t, ok)
	assert.Equal(t, "POST", request["requestMethod"])
	assert.Equal(t, "/observe/observables", request["requestUrl"])
	assert.InDelta(t, 200, request["status"], 0)
	assert.Regexp(t, `^\d+\.\d+s$`, request["latency"])
	assert.Equal(t, []any{"authorization error"}, line["error_codes"])
	assert.NotContains(t, log.String(), "canary")
}
