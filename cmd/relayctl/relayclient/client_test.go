package relayclient

import (
	"context"
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

	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/ctim"
)

const canaryToken = "canary-token"

// clientFor is a client of a server on this machine.
func clientFor(t *testing.T, server *httptest.Server, timeout time.Duration) *Client {
	t.Helper()
	base, err := ParseURL("--url", server.URL)
	require.NoError(t, err)
	return New(base, canaryToken, timeout)
}

func TestPostSendsTheTokenAndReadsEveryStatus(t *testing.T) {
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
	base, err := ParseURL("--url", server.URL+"/base/")
	require.NoError(t, err)
	client := New(base, canaryToken, time.Minute)
	got, err := client.Post(t.Context(), PathObserve, []byte(`[{"type":"ip","value":"203.0.113.7"}]`))
	require.NoError(t, err)
	assert.Equal(t, http.StatusTeapot, got.Status)
	assert.Equal(t, "short and stout", string(got.Body))
	assert.Equal(t, "total;dur=1", got.Header.Get("Server-Timing"))
}

func TestTheTokenDoesNotFollowARedirect(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			var stolen atomic.Int32
			thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter,
				*http.Request) {
				stolen.Add(1)
			}))
			defer thief.Close()
			server := httptest.NewServer(http.RedirectHandler(thief.URL, status))
			defer server.Close()
			got, err := clientFor(t, server, time.Minute).Post(t.Context(), PathHealth, nil)
			require.NoError(t, err)
			assert.Equal(t, status, got.Status)
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
		"https://user:pass@relay:port":     false,
		"user:pass@relay.example":          false,
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
			_, err := ParseURL("--url", raw)
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
	_, err := clientFor(t, server, time.Minute).Post(t.Context(), PathObserve, nil)
	require.ErrorContains(t, err, "is larger than 64 MiB")
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
			_, err := clientFor(t, server, 50*time.Millisecond).Post(t.Context(), PathObserve, nil)
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
	_, err := clientFor(t, server, time.Minute).Post(ctx, PathObserve, nil)
	require.ErrorIs(t, err, context.Canceled)
}

func TestCleanToken(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{" a.b.c\n": "a.b.c", "Bearer a.b.c": "a.b.c",
		"bearer  a.b.c": "a.b.c", "BEARER\u0020a": "a"} {
		got, err := CleanToken(secret.Value(in))
		require.NoError(t, err, in)
		assert.Equal(t, want, string(got))
	}
	for _, in := range []string{"", "  ", "a b", "a\nb", "a\r\nX-Header: y", "a\x00", "ä.b.c",
		strings.Repeat("a", secret.MaxSize+1)} {
		_, err := CleanToken(secret.Value(in))
		require.Error(t, err, "%q", in)
	}
}

func TestAClientDoesNotShowItsToken(t *testing.T) {
	t.Parallel()
	const canary = "canary-secret"
	base, err := url.Parse("https://relay.example")
	require.NoError(t, err)
	client := New(base, canary, time.Minute)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		assert.NotContains(t, fmt.Sprintf(verb, client), canary, verb)
		assert.NotContains(t, fmt.Sprintf(verb, *client), fmt.Sprintf("%x", canary), verb)
	}
}

func TestATextThatRepeatsTheTokenIsLeftOut(t *testing.T) {
	t.Parallel()
	base, err := url.Parse("https://relay.example")
	require.NoError(t, err)
	client := New(base, "eyJhbGciOiJIUzI1NiJ9.eyJwYXNzIjoiY2FuYXJ5In0.c2lnbmF0dXJl", time.Minute)
	for text, shown := range map[string]bool{
		"all is well":               true,
		"alg eyJhbGciOiJIUzI1NiJ9":  true, // the header is no secret
		"x eyJwYXNzIjoiY2FuYXJ5In0": false,
		"sig=c2lnbmF0dXJl;":         false,
		strings.Repeat(" ", 5000) + "eyJhbGciOiJIUzI1NiJ9.eyJwYXNzIjoiY2FuYXJ5In0.c2lnbmF0dXJl": false,
	} {
		got := client.Quote(text, 100)
		if shown {
			assert.Equal(t, text, got)
			continue
		}
		assert.Equal(t, "(not shown: it repeats the token)", got)
	}
	assert.Equal(t, "a b c…", New(base, "", time.Minute).Quote("a\n b\t\tc d e f", 6), "one line, cut")
}

func TestAURLIsSuggested(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"relay.example":           "https://relay.example",
		"relay.example:8443/base": "https://relay.example:8443/base",
		"localhost:8080":          "http://localhost:8080",
		"127.0.0.1:8080":          "http://127.0.0.1:8080",
		"https://relay.example":   "",
		"ftp://relay.example":     "",
		"a b":                     "",
		"":                        "",
	} {
		assert.Equal(t, want, suggest(raw), raw)
	}
	_, err := ParseURL("--url", "relay.example")
	require.EqualError(t, err, `--url "relay.example" is not a URL; did you mean https://relay.example?`)
}

func TestObserveTakesTheRelaysAnswerOnly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status     int
		body, want string
	}{
		"an envelope": {200, `{"data":{}}`, ""},
		"a refusal":   {403, "no", `the relay answered 403 Forbidden. "relayctl check" says why`},
		"the token":   {418, canaryToken, `the relay answered 418 I'm a teapot. "relayctl check" says why`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				assert.JSONEq(t, `[{"type":"ip","value":"203.0.113.7"}]`, string(body))
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			got, err := clientFor(t, server, time.Minute).Observe(t.Context(),
				[]ctim.Observable{{Type: ctim.ObservableIP, Value: "203.0.113.7"}})
			if c.want != "" {
				require.EqualError(t, err, c.want)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.body, string(got.Body))
		})
	}
}

func TestTiming(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]Timing{
		"": {}, "cache;dur=3": {}, "total;dur=x": {},
		`total;dur=31.5, qualys;dur=20;desc="3 calls"`: {Total: 31.5, Qualys: 20, Calls: 3},
		`qualys;dur=20.25;desc="1 call"`:               {Qualys: 20.25, Calls: 1},
	} {
		assert.Equal(t, want, Response{Header: http.Header{"Server-Timing": {header}}}.Timing(), header)
	}
	both := http.Header{"Server-Timing": {"total;dur=2", `qualys;dur=1;desc="2 calls"`}}
	assert.Equal(t, Timing{Total: 2, Qualys: 1, Calls: 2}, Response{Header: both}.Timing())
}
