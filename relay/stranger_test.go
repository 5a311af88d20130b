package relay

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys/qualystest"
)

// exchange writes a text to a connection of its own and reads what comes back until the relay closes it.
// It fails where that takes long.
func exchange(t *testing.T, address, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(testPatience)))
	_, err = io.WriteString(conn, text)
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.Status + " " + string(body)
}

// TestATurnedAwayRequestIsNotHeld: what is refused before its turn has a deadline, too.
func TestATurnedAwayRequestIsNotHeld(t *testing.T) {
	t.Parallel()
	for name, rest := range map[string]string{
		"no body": "\r\n", "a body that does not come": "Content-Length: 100\r\n\r\n", "a part of it": "Content-Length: 100\r\n\r\n[",
		"chunks that do not come": "Transfer-Encoding: chunked\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, full := range []bool{false, true} {
				r := newRelay(t, nil, "REQUEST_TIMEOUT", "1s")
				if full {
					for range maxRequests {
						r.relay.requests.slots <- struct{}{}
					}
				} else {
					r.relay.requests.shut(t.Context(), time.Minute)
				}
				assert.Contains(t, exchange(t, r.url, "POST /refer/observables HTTP/1.1\r\nHost: relay.example\r\n"+rest), "503 Service Unavailable")
				require.Eventually(t, func() bool { return strings.Contains(r.log.String(), "referObservables 503") }, testPatience, testTick)
			}
		})
	}
}

// TestWhatIsNoRequest is garbage that a stranger sends.
func TestWhatIsNoRequest(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil, "REQUEST_TIMEOUT", "1s")
	for name, text := range map[string]string{
		"no HTTP":               "hello\r\n\r\n",
		"TLS":                   "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 \r\n\r\n",
		"a negative length":     "POST /version HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"two lengths":           "POST /version HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"length and chunks":     "POST /refer/observables HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
		"a chunk of no size":    "POST /refer/observables HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n",
		"a huge chunk":          "POST /refer/observables HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nffffffffffffffff\r\n[",
		"headers over a MiB":    "POST /version HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 1<<20+8<<10) + "\r\n\r\n",
		"a long path":           "POST /" + strings.Repeat("a/../", 20_000) + "version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"an absolute URL":       "POST http://evil.example/version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"an endless token":      "POST /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + strings.Repeat("a.", 200_000) + "\r\n\r\n",
		"many authorizations":   "POST /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + strings.Repeat("Authorization: Bearer a.b.c\r\n", 1000) + "\r\n",
		"a control in a header": "POST /version HTTP/1.1\r\nHost: x\r\nUser-Agent: a\x00b\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := exchange(t, r.url, text)
			assert.NotContains(t, answer, "500")
		})
	}
	t.Cleanup(func() {
		for line := range strings.Lines(r.log.String()) {
			assert.Less(t, len(line), 4096, "a line is bounded whatever the caller sends")
		}
		assert.NotContains(t, r.log.String(), `"severity":"ERROR"`)
	})
}

// TestTooManyObservables: more than can be searched is refused before any work.
func TestTooManyObservables(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	r.fake.Inject(qualystest.Fault{Do: qualystest.HangBeforeHeader()})
	for _, n := range []int{1001, 29_000} {
		for _, value := range []string{`{"type":"ip","value":"192.0.2.1"}`, `{"type":"url","value":"x"}`, `null`, `[]`, `1`} {
			body := "[" + strings.Repeat(value+",", n-1) + value + "]"
			for _, path := range []string{"/observe/observables", "/deliberate/observables", "/refer/observables"} {
				a := r.post(path, r.token, body)
				require.Len(t, a.Errors, 1)
				assert.Equal(t, CodeInvalidArgument, a.Errors[0].Code)
				assert.Contains(t, a.Errors[0].Message, "more than 1000 observables")
			}
		}
	}
	assert.Zero(t, r.fake.Calls())
}

// TestAThousandObservablesAndAGatewayThatHangs: there is no work after the deadline.
func TestAThousandObservablesAndAGatewayThatHangs(t *testing.T) {
	t.Parallel()
	for _, do := range []qualystest.Behaviour{qualystest.HangBeforeHeader(), qualystest.HangInBody(), qualystest.Drip(50 * time.Millisecond)} {
		t.Run(do.String(), func(t *testing.T) {
			t.Parallel()
			r := newRelay(t, nil, "REQUEST_TIMEOUT", "1s")
			r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: do})
			var asked []string
			for n := range 1000 {
				asked = append(asked, []string{"sha256", "mutex"}[n%2], sha(n))
			}
			a := r.query("/observe/observables", asked...)
			require.Len(t, a.Errors, 1, "duplicates are reported once")
			assert.Equal(t, CodeTimeout, a.Errors[0].Code)
			require.NoError(t, r.fake.Wait(t.Context(), func(s qualystest.Stats) bool { return s.Open == 0 }))
			searches := r.fake.Searches()
			r.waitInFlight(0)
			assert.Equal(t, searches, r.fake.Searches())
			assert.Contains(t, r.log.String(), `"severity":"WARNING"`)
		})
	}
}

// TestShortValuesOfManyTypes are what made the log line and the joined queries grow when values were
// replaced in texts.
func TestShortValuesOfManyTypes(t *testing.T) {
	t.Parallel()
	const tooMuch = 128 << 20 // bytes
	fake := qualystest.New(t, qualystest.Config{})
	fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(http.StatusForbidden, `{"message":"User has no access to type ip, md5 [file_name] [ip]"}`)})
	for _, level := range []string{"info", "debug"} {
		c := startChild(t, "PLATFORM_URL", "https://console.example", "API_URL", fake.URL, "LOG_LEVEL", level)
		token := tokenFor(t, qualystest.User, qualystest.Password)
		for _, kind := range []string{"ip", "file_name", "file_path", "mutex", "domain", "md5", "sha256", "process_name", strings.Repeat("a", 400), "[", "type", "["} {
			var list []string
			for i := range 90 {
				list = append(list, kind, string(rune('!'+i)))
			}
			for _, path := range []string{"/refer/observables", "/observe/observables", "/deliberate/observables"} {
				status, err := postStatus(t.Context(), c.url+path, token, listOf(list...))
				require.NoError(t, err, "%s", c.log)
				assert.Equal(t, http.StatusOK, status)
			}
		}
		assert.Less(t, c.peak(t), tooMuch)
		for line := range strings.Lines(c.log.String()) {
			assert.Less(t, len(line), 64<<10)
		}
	}
}

// TestValuesInAnySpellingStayOutOfTheLog has Qualys repeat the values in spellings of its own.
func TestValuesInAnySpellingStayOutOfTheLog(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
	r := newRelay(t, nil, "OTEL_EXPORTER_OTLP_ENDPOINT", c.url, "SEARCH_CACHE", "0")
	const path = `C:\Users\Grüße\salaries & more.xlsx`
	echoes := []string{
		"board-salaries.example.", "BOARD-SALARIES.example", "2001:db8:0:0:0:0:0:77", "2001:0db8:0000:0000:0000:0000:0000:0077", url.QueryEscape(path), url.PathEscape(path),
		strings.ReplaceAll(path, `\`, `\\`), "salaries &amp; more.xlsx", "salaries",
	}
	text := strings.Join(echoes, " ")
	bodies := []string{`{"message":` + fmt.Sprintf("%q", text) + `}`, text, "<html>" + text}
	var group sync.WaitGroup
	for i, op := range []qualystest.Op{qualystest.Search, qualystest.Login} {
		for j, status := range []int{200, 302, 400, 401, 403, 404, 409, 429, 500, 503} {
			for k, body := range bodies {
				user := fmt.Sprint("user-", i, j, k)
				r.fake.AddUser(user, qualystest.Password)
				r.fake.Inject(qualystest.Fault{On: op, User: user, Do: qualystest.Status(status, body, "Location", "https://board-salaries.example/"+url.PathEscape(path), "Retry-After", "900")})
				token := tokenFor(t, user, qualystest.Password)
				group.Go(func() {
					r.post("/observe/observables", token, listOf("file_path", path, "domain", "Board-Salaries.example", "ip", "2001:db8::77"))
					r.post("/deliberate/observables", token, listOf("sha256", sha(77)))
					r.post("/refer/observables", "", listOf("file_path", path, "domain", "Board-Salaries.example", "ip", "2001:db8::77"))
				})
			}
		}
	}
	group.Wait()
	r.post("/observe/observables", r.token, `[{"type":"board-salaries","value":"board-salaries.example"},{"type":7,"board-salaries.example":"salaries"}]`)
	r.post("/observe/observables", r.token, `[{"type":"board-salaries.example" salaries`)
	r.relay.requests.shut(t.Context(), time.Minute)
	for _, mark := range []string{"salaries", "SALARIES", "::77", ":0077", ":0:77", "alaries", sha(77)} {
		assert.NotContains(t, strings.ToLower(r.log.String()), strings.ToLower(mark))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	require.NotEmpty(t, c.spans)
	for _, span := range c.spans {
		for _, mark := range []string{"alaries", "::77", ":0077", ":0:77", sha(77)} {
			assert.NotContains(t, span.String(), mark)
		}
	}
}

// TestAKeyFileWithAByteOrderMark is named in the log, and is the relay's own fault.
func TestAKeyFileWithAByteOrderMark(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"a byte order mark": "\ufeff" + testKey, "UTF-16": "\xff\xfea\x00b\x00" + strings.Repeat("c\x00", 40)} {
		file := filepath.Join(t.TempDir(), "key")
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		r := newRelay(t, nil, "SECRET_KEY", "", "SECRET_KEY_FILE", file)
		a := r.post("/health", r.token, "")
		require.Len(t, a.Errors, 1, name)
		assert.Equal(t, ownFault, a.Errors[0].Message)
		r.waitInFlight(0)
		assert.Contains(t, strings.ToLower(r.log.String()), "byte order mark", name)
		assert.NotContains(t, r.log.String(), testKey)

		require.NoError(t, os.WriteFile(file, []byte(testKey), 0o600))
		require.NoError(t, os.Chtimes(file, time.Time{}, time.Now().Add(time.Hour)))
	}
}

// TestAllowIsNamed where the method is another one, by the service and by single functions.
func TestAllowIsNamed(t *testing.T) {
	t.Parallel()
	s, _ := quiet(t)
	for _, e := range endpoints() {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "X"} {
			if method == e.method {
				continue
			}
			for _, h := range []http.Handler{s, s.Functions()[e.name]} {
				w := call(t, h, method, e.path, "")
				assert.Equal(t, http.StatusMethodNotAllowed, w.Code)
				assert.Equal(t, e.method, w.Header().Get("Allow"))
			}
		}
	}
}

// TestHealthCountsItsLogin in the log line, once.
func TestHealthCountsItsLogin(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	for i, want := range []string{`"upstream":{"calls":2,"logins":1,`, `"upstream":{"calls":1,"logins":0,`} {
		r.post("/health", r.token, "")
		require.Eventually(t, func() bool { return strings.Count(r.log.String(), "\n") == i+1 }, testPatience, testTick)
		assert.Contains(t, r.log.String(), want)
	}
}

// TestATraceOfTheCallers is in the line where it is valid.
func TestATraceOfTheCallers(t *testing.T) {
	t.Parallel()
	zero := strings.Repeat("0", 32)
	for header, valid := range map[string]bool{
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": true, "00-" + zero + "-00f067aa0ba902b7-01": false, "00-4bf92f3577b34da6a3ce929d0e0e4736-" + zero[:16] + "-01": false,
		"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": false, "00-4bf92f35": false, "": false, strings.Repeat("0", 9000): false,
	} {
		s, log := quiet(t)
		call(t, s, "POST", "/version", "", "Traceparent", header)
		line := lastLine(t, log)
		_, there := line["logging.googleapis.com/trace"]
		assert.Equal(t, valid, there, header)
	}
}

// TestLargeHeadersAreNotEchoed: what a stranger sends is not held several times over.
func TestLargeHeadersAreNotEchoed(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("\xff", 1_000_000)
	r := newRelay(t, nil)
	const connection = "Host: x\r\nConnection: close\r\n"
	for name, text := range map[string]string{
		"Health-Check": "GET /watchdog HTTP/1.1\r\n" + connection + "Health-Check: " + large + "\r\n\r\n",
		"User-Agent":   "POST /health HTTP/1.1\r\n" + connection + "User-Agent: " + large + "\r\nX-Module-Instance-Id: x\r\n\r\n",
		"a token":      "POST /health HTTP/1.1\r\n" + connection + "Authorization: Bearer " + large + "\r\n\r\n",
		"a scheme":     "POST /health HTTP/1.1\r\n" + connection + "Authorization: " + large + " x\r\n\r\n",
		"a method":     strings.Repeat("X", 1_000_000) + " /version HTTP/1.1\r\n" + connection + "\r\n",
		"a path":       "POST /" + strings.Repeat("x", 1_000_000) + " HTTP/1.1\r\n" + connection + "\r\n",
		"a query":      "POST /version?" + strings.Repeat("x", 1_000_000) + " HTTP/1.1\r\n" + connection + "\r\n",
	} {
		assert.Less(t, len(exchange(t, r.url, text)), 2048, name)
	}
	r.waitInFlight(0)
	for line := range strings.Lines(r.log.String()) {
		assert.Less(t, len(line), 4096)
	}
	assert.JSONEq(t, `{"errors":[{"type":"fatal","code":"health check failed","message":"Invalid Health Check: the Health-Check header is larger than 1024 bytes."}]}`,
		call(t, r.relay, "GET", "/watchdog", "", "Health-Check", strings.Repeat("x", maxHealthCheck+1)).Body.String())
}

// TestManyLargeHeaders come at once, to a relay in a process of its own.
func TestManyLargeHeaders(t *testing.T) {
	t.Parallel()
	if testing.Short() || raceDetectorOn() {
		t.Skip("the race detector multiplies the memory")
	}
	c := startChild(t, "GOMEMLIMIT", memoryLimit)
	large := strings.Repeat("\xff", 1_000_000)
	var group, arrived sync.WaitGroup
	const requests = 100
	arrived.Add(requests)
	for range requests {
		group.Go(func() {
			conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
			if !assert.NoError(t, err) {
				arrived.Done()
				return
			}
			defer func() { _ = conn.Close() }()
			_, err = io.WriteString(conn, "GET /watchdog HTTP/1.1\r\nHost: x\r\nHealth-Check: "+large+"\r\n")
			arrived.Done()
			arrived.Wait()
			assert.NoError(t, err)
			_, err = io.WriteString(conn, "\r\n")
			assert.NoError(t, err)
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if assert.NoError(t, err) {
				assert.NoError(t, response.Body.Close())
			}
		})
	}
	group.Wait()
	peak := c.peak(t)
	t.Logf("peak %d MiB", peak>>20)
	assert.Less(t, peak, instanceMemory)
}
