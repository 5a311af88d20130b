package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const canaryToken = "canary-token"

// clientFor is a client of a server on this machine.
func clientFor(t *testing.T, server *httptest.Server, timeout time.Duration) *relayClient {
	t.Helper()
	base, err := checkURL("--url", server.URL)
	require.NoError(t, err)
	return newRelayClient(base, canaryToken, timeout)
}

func TestAskSendsTheTokenAndReadsEveryStatus(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, http.MethodPost, r.Method)
		assert.Equal(t, "/base/observe/observables", r.URL.Path)
		assert.Equal(t, "Bearer "+canaryToken, r.Header.Get("Authorization"))
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.JSONEq(t, `[{"type":"ip","value":"203.0.113.7"}]`, string(body))
		w.Header().Set("Server-Timing", "total;dur=1")
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("short and stout"))
	}))
	defer server.Close()
	base, err := checkURL("--url", server.URL+"/base/")
	require.NoError(t, err)
	client := newRelayClient(base, canaryToken, time.Minute)
	got, err := client.observables(t.Context(), pathObserve, []observable{{"ip", "203.0.113.7"}})
	require.NoError(t, err)
	assert.Equal(t, http.StatusTeapot, got.Status)
	assert.Equal(t, "short and stout", string(got.Body))
	assert.Equal(t, "total;dur=1", got.Header.Get("Server-Timing"))
	assert.Positive(t, got.Duration)
}

func TestTheTokenDoesNotFollowARedirect(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			var stolen atomic.Int32
			thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
			defer thief.Close()
			server := httptest.NewServer(http.RedirectHandler(thief.URL, status))
			defer server.Close()
			_, err := clientFor(t, server, time.Minute).ask(t.Context(), pathHealth, nil)
			require.ErrorContains(t, err, "the token is not sent there")
			assert.Zero(t, stolen.Load())
		})
	}
}

func TestTheTokenTravelsInTheClearToThisMachineOnly(t *testing.T) {
	t.Parallel()
	for raw, ok := range map[string]bool{
		"https://relay.example":            true,
		"https://relay.example/base":       true,
		"http://127.0.0.1:8080":            true,
		"http://localhost:8080":            true,
		"http://[::1]:8080":                true,
		"http://[::ffff:127.0.0.1]:8080":   true,
		"http://relay.example":             false,
		"http://10.0.0.1":                  false,
		"http://127.0.0.1.evil.example":    false,
		"http://localhost.evil.example":    false,
		"http://127.0.0.1@evil.example":    false,
		"https://user:pass@relay.example":  false,
		"https://relay.example?x=1":        false,
		"https://relay.example/#fragment":  false,
		"ftp://relay.example":              false,
		"relay.example":                    false,
		"https://":                         false,
		"https://:443":                     false,
		"https://relay.example/\x7f":       false,
		"file:///etc/passwd":               false,
		"http://0x7f.1":                    false,
		"http://[fe80::1]:8080":            false,
		"http://0.0.0.0:8080":              false,
		"http://169.254.169.254/computeMe": false,
	} {
		t.Run(raw, func(t *testing.T) {
			t.Parallel()
			_, err := checkURL("--url", raw)
			if ok {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "user:pass")
		})
	}
}

func TestALocalNameThatPointsElsewhereIsNotCalled(t *testing.T) {
	t.Parallel()
	require.NoError(t, onlyLoopback("tcp4", "127.0.0.1:8080", nil))
	require.NoError(t, onlyLoopback("tcp6", "[::1]:8080", nil))
	require.ErrorContains(t, onlyLoopback("tcp4", "192.0.2.1:8080", nil), "resolves to 192.0.2.1:8080")
}

func TestAnAnswerThatIsTooLargeIsNotReadToItsEnd(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil { // for ever
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	client := clientFor(t, server, time.Minute)
	client.limit = 1 << 20
	_, err := client.ask(t.Context(), pathObserve, nil)
	require.ErrorContains(t, err, "is larger than 1 MiB")
}

func TestNoAnswerInTime(t *testing.T) {
	t.Parallel()
	for name, flush := range map[string]bool{"before the header": false, "inside of the body": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if flush {
					_, _ = w.Write([]byte("{"))
					_ = http.NewResponseController(w).Flush()
				}
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
			}))
			defer server.Close()
			_, err := clientFor(t, server, 50*time.Millisecond).ask(t.Context(), pathObserve, nil)
			require.Error(t, err)
			assert.NotContains(t, err.Error(), canaryToken)
			assert.Contains(t, err.Error(), strings.TrimPrefix(server.URL, "http://"))
		})
	}
}

func TestCancelEndsACall(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	_, err := clientFor(t, server, time.Minute).ask(ctx, pathObserve, nil)
	require.ErrorIs(t, err, context.Canceled)
}

func TestCleanToken(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{" a.b.c\n": "a.b.c", "Bearer a.b.c": "a.b.c", "bearer  a.b.c": "a.b.c", "BEARER\u0020a": "a"} {
		got, err := cleanToken(secret(in))
		require.NoError(t, err, in)
		assert.Equal(t, want, string(got))
	}
	for _, in := range []string{"", "  ", "a b", "a\nb", "a\r\nX-Header: y", "a\x00", "ä.b.c", strings.Repeat("a", maxToken+1)} {
		_, err := cleanToken(secret(in))
		require.Error(t, err, "%q", in)
	}
}

func TestASecretDoesNotShow(t *testing.T) {
	t.Parallel()
	const canary = "canary-secret"
	base, err := url.Parse("https://relay.example")
	require.NoError(t, err)
	for name, v := range map[string]any{"secret": secret(canary), "client": newRelayClient(base, canary, time.Minute), "struct": struct{ S secret }{canary}, "error": fmt.Errorf("%w %v", io.EOF, secret(canary))} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			assert.NotContains(t, fmt.Sprintf(verb, v), canary, name+verb)
			assert.NotContains(t, fmt.Sprintf(verb, v), fmt.Sprintf("%x", canary), name+verb)
		}
	}
	doc, err := json.Marshal(map[string]secret{"a": canary})
	require.NoError(t, err)
	assert.NotContains(t, string(doc), canary)
	assert.Equal(t, redacted, secret(canary).LogValue().String())
}
