package main

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// readAll reads files that only other processes use, so that go test knows that its cached result depends on them.
func readAll(t *testing.T, paths ...string) {
	t.Helper()
	for _, root := range paths {
		require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			_, err = os.ReadFile(path)
			return err
		}))
	}
}

// The checks of the deployment need packages that the service does not, so they are a module of their own, which go test ./...
// does not enter.
func TestTheDeployment(t *testing.T) {
	root := repository(t)
	dir := filepath.Join(root, ".ci", "deploy")
	readAll(t, dir, filepath.Join(root, "cloudbuild.yaml"), filepath.Join(root, "README.md"))
	tool := func(t *testing.T, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "go %s\n%s", strings.Join(args, " "), out)
		t.Logf("go %s\n%s", strings.Join(args, " "), out)
	}

	t.Run("has checks that find each kind of mistake", func(t *testing.T) {
		tool(t, "test", "-count=1", "./...") // -count: the files that it reads are outside of its module, where the cache does not look
	})
	t.Run("has no mistake in cloudbuild.yaml and the documentation, and names registered functions only", func(t *testing.T) {
		tool(t, "run", ".", "-dir", root, "-functions", strings.Join(registered(t), ","))
	})
}

// smokeScript returns the script of the step smoke in cloudbuild.yaml.
func smokeScript(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository(t), "cloudbuild.yaml"))
	require.NoError(t, err)
	_, step, found := strings.Cut(string(text), "\n  - id: smoke\n")
	require.True(t, found)
	_, body, found := strings.Cut(step, "\n    script: |\n")
	require.True(t, found)
	var script strings.Builder
	for line := range strings.Lines(body) {
		code, ok := strings.CutPrefix(line, "      ")
		if !ok && strings.TrimSpace(line) != "" {
			break
		}
		script.WriteString(code)
	}
	return script.String()
}

// smoke runs the step's script on a list of candidates and returns all that it prints. It asks twice where the first answer is wrong.
func smoke(t *testing.T, candidates string) (string, error) {
	t.Helper()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	dir := t.TempDir()
	script, list := filepath.Join(dir, "script"), filepath.Join(dir, "candidates")
	require.NoError(t, os.WriteFile(script, []byte(smokeScript(t)), 0o600))
	require.NoError(t, os.WriteFile(list, []byte(candidates), 0o600))
	cmd := exec.CommandContext(t.Context(), "bash", script)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "CANDIDATES=" + list, "SMOKE_TRIES=2", "SMOKE_PAUSE=0"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// candidate answers as the relay does, but for the requests that other answers.
func candidate(t *testing.T, other func(w http.ResponseWriter, r *http.Request) bool) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if other(w, r) {
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		switch r.Method + " " + r.URL.Path {
		case "POST /version":
			_, _ = io.WriteString(w, `{"version":"1.0.0"}`)
		case "GET /watchdog":
			_, _ = fmt.Fprintf(w, `{"data":%q}`, r.Header.Get("Health-Check"))
		case "POST /observe/observables":
			_, _ = io.WriteString(w, `{"errors":[{"code":"authorization error","message":"Authorization failed: no","type":"fatal"}]}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// says answers the requests of one path in its own way.
func says(path string, status int, contentType, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != path {
			return false
		}
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return true
	}
}

func TestTheSmokeTestRefusesACandidateThatAnswersWrongly(t *testing.T) {
	const (
		forbidden = `<html><head><title>403 Forbidden</title></head><body><h1>Error: Forbidden</h1>Your client does not have permission.</body></html>`
		html      = "text/html; charset=UTF-8"
		plain     = "application/json"
		observe   = "/observe/observables"
	)
	for name, c := range map[string]struct {
		other func(http.ResponseWriter, *http.Request) bool
		want  string
	}{
		"Google's page for a service that IAM guards": {
			func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Content-Type", html)
				w.WriteHeader(http.StatusForbidden)
				_, _ = io.WriteString(w, forbidden)
				return true
			}, "POST /version: 403 text/html; charset=UTF-8: <html>",
		},
		"a page with status 200":                {says("/version", 200, html, "<html>Welcome</html>"), "POST /version: 200 text/html"},
		"the right words as another type":       {says("/version", 200, "text/plain", `{"version":"1.0.0"}`), "POST /version: 200 text/plain"},
		"a version that is none":                {says("/version", 200, plain, `{"version":"unknown"}`), "POST /version: 200"},
		"a version among other things":          {says("/version", 200, plain, `{"data":{"version":"1.0.0"}}`), "POST /version: 200"},
		"no watchdog":                           {says("/watchdog", 404, plain, `{"code":"not found"}`), "GET /watchdog: 404"},
		"a watchdog that does not listen":       {says("/watchdog", 200, plain, `{"data":"Invalid Health Check"}`), "GET /watchdog: 200"},
		"the health of an older relay":          {says("/watchdog", 200, plain, `{"data":{"status":"ok"}}`), "GET /watchdog: 200"},
		"a refusal by status":                   {says(observe, 401, plain, `{"errors":[{"code":"authorization error","message":"Authorization failed: no","type":"fatal"}]}`), "POST /observe/observables: 401"},
		"an older relay's refusal":              {says(observe, 200, plain, `{"errors":[{"code":"access denied","message":"Authorization failed: no","type":"fatal"}]}`), "POST /observe/observables: 200"},
		"another relay's refusal":               {says(observe, 200, plain, `{"errors":[{"code":"authorization error","message":"Go away","type":"fatal"}]}`), "POST /observe/observables: 200"},
		"data for somebody without a token":     {says(observe, 200, plain, `{"data":{}}`), "POST /observe/observables: 200"},
		"the right refusal, but behind another": {says(observe, 200, plain, `{"errors":[{"code":"unknown","message":"x"},{"code":"authorization error","message":"Authorization failed: no"}]}`), "POST /observe/observables: 200"},
		"IAM stopping tokens that Google did not sign": {
			func(w http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("Authorization") == "" {
					return false
				}
				w.Header().Set("Content-Type", html)
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}, "POST /observe/observables: 401",
		},
		"a redirect": {
			func(w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, "https://accounts.example/", http.StatusFound)
				return true
			}, "POST /version: 302",
		},
		"a connection that breaks": {func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, "POST /version: no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := smoke(t, "relay relay relay-bnew "+candidate(t, c.other)+"\n")
			require.Error(t, err, out)
			assert.Contains(t, out, "FAILED: relay "+c.want)
		})
	}
}

func TestTheSmokeTestTakesACandidateThatAnswersRightly(t *testing.T) {
	never := func(http.ResponseWriter, *http.Request) bool { return false }
	out, err := smoke(t, "relay relay relay-bnew "+candidate(t, never)+"\n")
	require.NoError(t, err, out)
	assert.Equal(t, 4, strings.Count(out, "ok: "), out)
}

func TestTheSmokeTestAsksAgainWhereTheURLIsNotKnownYet(t *testing.T) {
	unknown := make(chan struct{}, 1)
	unknown <- struct{}{}
	out, err := smoke(t, "relay relay relay-bnew "+candidate(t, func(w http.ResponseWriter, _ *http.Request) bool {
		select {
		case <-unknown:
			w.WriteHeader(http.StatusNotFound)
			return true
		default:
			return false
		}
	})+"\n")
	require.NoError(t, err, out)
}

func TestTheSmokeTestFailsWhereItTestsNothing(t *testing.T) {
	for list, want := range map[string]string{
		"": "nothing was deployed",
		"relay metrics relay-bnew http://127.0.0.1:1\n": "no smoke test for the function 'metrics'",
	} {
		out, err := smoke(t, list)
		require.Error(t, err)
		assert.Contains(t, out, want)
	}
}

func TestTheSmokeTestReachesEveryCandidate(t *testing.T) {
	never := func(http.ResponseWriter, *http.Request) bool { return false }
	good, bad := candidate(t, never), candidate(t, says("/version", 500, "text/plain", "no"))
	out, err := smoke(t, "relay relay relay-bnew "+good+"\nrelay-version version relay-version-bnew "+bad+"\n")
	require.Error(t, err)
	assert.Contains(t, out, "FAILED: relay-version POST /version: 500")
}
