package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// env is an environment of pairs NAME, value.
func env(pairs ...string) func(string) string {
	values := make(map[string]string)
	for i := 0; i+1 < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return values[name] }
}

func TestConsoleServesUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	relay := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "Bearer "+canaryToken, r.Header.Get("Authorization"))
		_, _ = w.Write([]byte(`{"data":{}}`))
	}))
	defer relay.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	out, stdout := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"console", "--url", relay.URL}, strings.NewReader(""), stdout, &stderr,
			env("RELAY_TOKEN", canaryToken))
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	url := strings.TrimSpace(line)
	require.Regexp(t, `^http://127\.0\.0\.1:\d+/$`, url)

	response, err := http.Get(url)
	require.NoError(t, err)
	page, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusOK, response.StatusCode)
	assert.NotContains(t, string(page), canaryToken, "the page does not see the relay's token")

	// The page's question reaches the relay with the token, and the page gets the answer.
	pageToken := regexp.MustCompile(`content="([A-Z0-9]{26})"`).FindSubmatch(page)
	require.NotNil(t, pageToken)
	request, err := http.NewRequest(http.MethodPost, url+"api/investigate",
		strings.NewReader(`{"observables":[{"type":"ip","value":"203.0.113.7"}]}`))
	require.NoError(t, err)
	request.Header.Set("X-Console-Token", string(pageToken[1]))
	response, err = http.DefaultClient.Do(request)
	require.NoError(t, err)
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusOK, response.StatusCode, "%s", answer)
	assert.Contains(t, string(answer), `"observe":{"data":{}}`)

	interrupt()
	assert.Equal(t, exitDone, <-ended)
	assert.NotContains(t, stderr.String(), canaryToken)
	_, err = http.Get(url)
	require.Error(t, err, "nobody listens any more")
}

func TestConsoleIsForThisMachineOnly(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:0", ":8080", "[::]:0", "192.0.2.1:0", "relay.example:80",
		"127.0.0.1", "127.0.0.1.evil.example:80", ""} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"console", "--listen", address}, strings.NewReader(""), &stdout,
			&stderr, env("RELAY_TOKEN", canaryToken))
		assert.Equal(t, exitError, code, address)
		assert.Contains(t, stderr.String(), "is not a loopback address", address)
		assert.Empty(t, stdout.String(), address)
	}
}

func TestInterruptedCommandsSaySo(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	relay := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer relay.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	go func() { <-arrived; interrupt() }()
	var stdout, stderr bytes.Buffer
	code := run(ctx, []string{"observe", "--url", relay.URL, "203.0.113.7"}, strings.NewReader(""), &stdout,
		&stderr, env("RELAY_TOKEN", canaryToken))
	assert.Equal(t, exitError, code)
	assert.Equal(t, "relayctl: error: interrupted\n", stderr.String())
	assert.Empty(t, stdout.String())
}

func TestFlagsWinOverTheEnvironment(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 2)
	server := func(name string) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen <- name + " " + r.Header.Get("Authorization")
			_, _ = w.Write([]byte(`{"data":{}}`))
		}))
	}
	a, b := server("a"), server("b")
	defer a.Close()
	defer b.Close()
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("from-file\n"), 0o600))
	for _, c := range []struct {
		args []string
		env  func(string) string
		want string
	}{
		{[]string{"observe", "203.0.113.7"}, env("RELAY_URL", a.URL, "RELAY_TOKEN", "from-env"),
			"a Bearer from-env"},
		{[]string{"observe", "203.0.113.7"}, env("RELAY_URL", a.URL, "RELAY_TOKEN", "from-env",
			"RELAY_TOKEN_FILE", file), "a Bearer from-file"},
		{[]string{"observe", "--url", b.URL, "--token-file", file, "203.0.113.7"},
			env("RELAY_URL", a.URL, "RELAY_TOKEN", "from-env"), "b Bearer from-file"},
	} {
		code := run(t.Context(), c.args, strings.NewReader(""), io.Discard, io.Discard, c.env)
		assert.Equal(t, exitNo, code)
		assert.Equal(t, c.want, <-seen)
	}
}

// brokenWriter takes nothing, like a pipe whose reader went away.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestAResultThatCannotBeWrittenIsAnError(t *testing.T) {
	t.Parallel()
	relay := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"data":{"sightings":{"count":1,"docs":[{"observables":[{"type":"ip","value":"203.0.113.7"}]}]}}}`))
	}))
	defer relay.Close()
	for _, args := range [][]string{
		{"key"},
		{"module", "--url", "https://relay.example"},
		{"observe", "203.0.113.7"},
		{"observe", "--csv", "203.0.113.7"},
		{"observe", "--json", "203.0.113.7"},
		{"token", "--user", "u"},
	} {
		var stderr bytes.Buffer
		code := run(t.Context(), args, strings.NewReader("pass\n"), brokenWriter{}, &stderr,
			env("RELAY_URL", relay.URL, "RELAY_TOKEN", "t", "SECRET_KEY", testKey))
		assert.Equal(t, exitError, code, fmt.Sprint(args))
		assert.Contains(t, stderr.String(), io.ErrClosedPipe.Error(), fmt.Sprint(args))
	}
}
