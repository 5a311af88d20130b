package relay

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"qualysrelay.example/ctim/ctimschema"
	"qualysrelay.example/qualys/qualystest"
	"qualysrelay.example/relay/accesslog"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		if err := serveAsChild(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Bool("update", false, "rewrite the golden files")
	goleak.VerifyTestMain(m)
}

// testRelay is a relay over HTTP in front of a fake gateway.
type testRelay struct {
	t     *testing.T
	fake  *qualystest.Server
	relay *Service
	url   string
	log   *syncedLog
	token string // of the fake's first user
}

// newRelay starts both. pairs are environment variables beside the test's own.
func newRelay(t *testing.T, events []qualystest.Event, pairs ...string) *testRelay {
	t.Helper()
	fake := qualystest.New(t, qualystest.Config{Events: events})
	return newRelayAt(t, fake, append([]string{"API_URL", fake.URL, "PLATFORM_URL", "https://console.example"}, pairs...)...)
}

func newRelayAt(t *testing.T, fake *qualystest.Server, pairs ...string) *testRelay {
	t.Helper()
	c, err := ConfigFromEnv(env(pairs...))
	require.NoError(t, err)
	return newRelayOf(t, fake, c)
}

func newRelayOf(t *testing.T, fake *qualystest.Server, c Config) *testRelay {
	t.Helper()
	log := new(syncedLog)
	s, err := New(c, accesslog.New(log, c.LogLevel, "some-project"))
	require.NoError(t, err)
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.Close()
		s.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return &testRelay{t: t, fake: fake, relay: s, url: server.URL, log: log, token: tokenFor(t, qualystest.User, qualystest.Password)}
}

func tokenFor(t *testing.T, user, password string, claims ...string) string {
	t.Helper()
	all := jwt.MapClaims{"user": user, "pass": password}
	for i := 0; i < len(claims); i += 2 {
		all[claims[i]] = claims[i+1]
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, all).SignedString([]byte(testKey))
	require.NoError(t, err)
	return token
}

// syncedLog is a log that requests write at the same time.
type syncedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *syncedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *syncedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// answer is an envelope as XDR reads it.
type answer struct {
	Data struct {
		Sightings, Indicators, Judgements, Relationships, Verdicts struct {
			Count int
			Docs  []map[string]any
		}
	}
	Errors []Error
	body   string
	took   time.Duration
}

// codes are the codes of the errors, in order.
func (a answer) codes() []Code {
	var codes []Code
	for _, e := range a.Errors {
		codes = append(codes, e.Code)
	}
	return codes
}

// query posts observables as pairs of a type and a value. The answer has to be HTTP 200 and valid.
func (r *testRelay) query(path string, observables ...string) answer {
	r.t.Helper()
	list := make([]map[string]string, 0, len(observables)/2)
	for i := 0; i < len(observables); i += 2 {
		list = append(list, map[string]string{"type": observables[i], "value": observables[i+1]})
	}
	body, err := json.Marshal(list)
	require.NoError(r.t, err)
	return r.post(path, r.token, string(body))
}

func (r *testRelay) post(path, token, body string) answer {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+path, strings.NewReader(body))
	require.NoError(r.t, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	began := time.Now()
	response, err := http.DefaultClient.Do(request)
	require.NoError(r.t, err)
	defer func() { require.NoError(r.t, response.Body.Close()) }()
	got, err := io.ReadAll(response.Body)
	require.NoError(r.t, err)
	require.Equal(r.t, http.StatusOK, response.StatusCode, "%s", got)
	definition := map[string]string{
		"/observe/observables": "ObserveResponse", "/deliberate/observables": "DeliberateResponse", "/refer/observables": "ReferResponse", "/health": "HealthResponse",
		"/tiles": "TilesResponse", "/tiles/tile": "TileResponse", "/tiles/tile-data": "TileDataResponse",
	}[path]
	require.NoError(r.t, ctimschema.Validate(definition, got))
	a := answer{body: string(got), took: time.Since(began)}
	if path == "/observe/observables" || path == "/deliberate/observables" {
		require.NoError(r.t, json.Unmarshal(got, &a))
	} else {
		var problems struct{ Errors []Error }
		require.NoError(r.t, json.Unmarshal(got, &problems))
		a.Errors = problems.Errors
	}
	return a
}

const (
	testPatience = 10 * time.Second // for what happens at once on any machine
	testTick     = time.Millisecond
)

// postStatus posts and reads the answer to its end.
func postStatus(ctx context.Context, url, token, body string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}
