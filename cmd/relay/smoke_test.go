package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// smoke runs the build's smoke test on revisions of services, and returns what it prints and what it has
// gcloud do.
func smoke(t *testing.T, candidates string) (out, gcloud string, err error) {
	t.Helper()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	script, err := filepath.Abs("../../.ci/build/smoke.sh")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "candidates"), []byte(candidates), 0o600))
	recorder := []byte("#!/bin/sh\necho \"$@\" >>calls\n")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "gcloud"), recorder, 0o700))
	cmd := exec.CommandContext(t.Context(), "bash", script)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "BUILD=0a1b2c3d-build", "REGION=us-central1",
		"PROJECT=p", "SMOKE_TRIES=2", "SMOKE_PAUSE=0"}
	text, err := cmd.CombinedOutput()
	calls, _ := os.ReadFile(filepath.Join(dir, "calls")) // there may be none
	return string(text), string(calls), err
}

func TestTheRelayPassesTheSmokeTestUnderEveryFunction(t *testing.T) {
	for _, name := range registered(t) {
		s := start(t, "FUNCTION_TARGET="+name)
		out, _, err := smoke(t, "relay-x "+name+" relay-x-b0a1b2c3d "+s.url+"\n")
		require.NoError(t, err, out)
		assert.Contains(t, out, "ok: relay-x ")
	}
}

const (
	html    = "text/html; charset=UTF-8"
	plain   = "application/json"
	observe = "/observe/observables"
)

// refusal is an answer's body with these pairs of code and message.
func refusal(pairs ...string) string {
	var list []string
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, fmt.Sprintf(`{"code":%q,"message":%q,"type":"fatal"}`, pairs[i], pairs[i+1]))
	}
	return `{"errors":[` + strings.Join(list, ",") + `]}`
}

// answer is how a fake relay answers one path, or every path where none is named.
type answer struct {
	path        string
	status      int // 0: the connection breaks
	contentType string
	body        string
}

// fake answers as the relay does but for one answer, and breaks its first connection, which the smoke test
// forgives.
func fake(t *testing.T, wrong answer) string {
	t.Helper()
	broken := make(chan bool, 1)
	broken <- true
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := map[string]answer{
			"/version":  {"", 200, plain, `{"version":"1.0.0"}`},
			"/watchdog": {"", 200, plain, fmt.Sprintf(`{"data":%q}`, r.Header.Get("Health-Check"))},
			observe:     {"", 200, plain, refusal("authorization error", "Authorization failed: no")},
		}[r.URL.Path]
		if wrong.path == "" || wrong.path == r.URL.Path {
			a = wrong
		}
		if wrong.path == "with a token" && r.Header.Get("Authorization") != "" {
			a = wrong
		}
		select {
		case <-broken:
			panic(http.ErrAbortHandler)
		default:
		}
		if a.status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", a.contentType)
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestTheSmokeTestRefusesWhatIsNoRelay(t *testing.T) {
	for name, c := range map[string]struct {
		answer
		want string
	}{
		"Google's page for a service that IAM guards": {
			answer{"", 403, html, "<html>Forbidden</html>"}, "POST /version: 403 text/html; charset=UTF-8: <html>"},
		"a page with status 200": {
			answer{"/version", 200, html, "<html>Welcome</html>"}, "POST /version: 200 text/html"},
		"the right words as another type": {
			answer{"/version", 200, "text/plain", `{"version":"1.0.0"}`}, "POST /version: 200 text/plain"},
		"a version that is none": {
			answer{"/version", 200, plain, `{"version":"unknown"}`}, "POST /version: 200"},
		"a version among other things": {
			answer{"/version", 200, plain, `{"data":{"version":"1.0.0"}}`}, "POST /version: 200"},
		"no watchdog": {
			answer{"/watchdog", 404, plain, `{"code":"not found"}`}, "GET /watchdog: 404"},
		"a watchdog that does not echo": {
			answer{"/watchdog", 200, plain, `{"data":"Invalid Health Check"}`}, "GET /watchdog: 200"},
		"a refusal by status": {
			answer{observe, 401, plain, refusal("authorization error", "Authorization failed: no")},
			"POST /observe/observables: 401"},
		"another relay's refusal": {
			answer{observe, 200, plain, refusal("authorization error", "Go away")}, "POST /observe/observables: 200"},
		"data for somebody without a token": {
			answer{observe, 200, plain, `{"data":{}}`}, "POST /observe/observables: 200"},
		"the right refusal, but behind another": {
			answer{observe, 200, plain, refusal("unknown", "x", "authorization error", "Authorization failed: no")},
			"POST /observe/observables: 200"},
		"IAM stopping tokens that Google did not sign": {
			answer{"with a token", 401, html, ""}, "POST /observe/observables: 401"},
		"a redirect":               {answer{"/version", 302, html, ""}, "POST /version: 302"},
		"a connection that breaks": {answer{"/version", 0, "", ""}, "POST /version: no answer"},
	} {
		out, gcloud, err := smoke(t, "relay relay relay-b0a1b2c3d "+fake(t, c.answer)+"\n")
		require.Error(t, err, name)
		assert.Contains(t, out, "FAILED: relay "+c.want, name)
		assert.Contains(t, gcloud, "update-traffic relay --region=us-central1 --remove-tags=b0a1b2c3d", name)
	}

	good := answer{path: "none"}
	out, gcloud, err := smoke(t, "relay relay relay-b0a1b2c3d "+fake(t, good)+"\n")
	require.NoError(t, err, out)
	assert.Equal(t, 4, strings.Count(out, "ok: "))
	assert.Empty(t, gcloud, "the tag is taken away when the traffic is shifted")

	bad := fake(t, answer{"", 500, plain, "no"})
	out, _, err = smoke(t, "relay relay r1 "+fake(t, good)+"\nother version r2 "+bad+"\n")
	require.Error(t, err, "the smoke test reaches every revision")
	assert.Contains(t, out, "FAILED: other POST /: 500")

	out, _, err = smoke(t, "")
	require.Error(t, err)
	assert.Contains(t, out, "nothing was deployed")
}

func TestTheAlertForRefusedKeysMatchesTheLog(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	filters := regexp.MustCompile(`error_codes="([^"]+)" AND jsonPayload.causes=~"([^"]+)"`)
	filter := filters.FindStringSubmatch(string(text))
	require.NotNil(t, filter)
	for token, want := range map[string]bool{
		"eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyIjoiYSIsInBhc3MiOiJiIn0.c21va2U": true, // signed with another key
		"nonsense": false,
	} {
		s := start(t)
		assert.Contains(t, s.request(t, http.MethodPost, "/health", token), filter[1])
		var causes []string
		for ; causes == nil; require.NoError(t, t.Context().Err()) { // the line may come after the answer
			line := regexp.MustCompile(`"error_codes":\["` + filter[1] + `"\],"causes":\["([^"]+)"`)
			causes = line.FindStringSubmatch(s.output.String())
		}
		assert.Equal(t, want, regexp.MustCompile(filter[2]).MatchString(causes[1]), causes[1])
	}
}
