package console_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/cmd/relayctl/console"
	"qualysrelay.example/cmd/relayctl/console/consoletest"
	"qualysrelay.example/cmd/relayctl/relayclient"
)

// relay is a client of a relay that answers so.
func relay(t *testing.T, answer http.HandlerFunc) *relayclient.Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	require.NoError(t, err)
	return relayclient.New(base, "token", time.Minute)
}

// says is a relay that always answers the same.
func says(t *testing.T, body string) *relayclient.Client {
	return relay(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
}

// page is a console that runs, and the token of its page.
type page struct {
	url, host, token string
}

func open(t *testing.T, to *relayclient.Client) page {
	t.Helper()
	handler := console.New(to, console.Example{Label: `A "mail"`, Text: "hxxp://evil[.]example\n<script>"})
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	status, _, body := page{url: server.URL}.send(t, http.MethodGet, "/", "", nil)
	require.Equal(t, http.StatusOK, status)
	token := regexp.MustCompile(`name="console-token" content="([A-Z2-7]{20,})"`).FindStringSubmatch(body)
	require.Len(t, token, 2, "the page holds its token")
	return page{url: server.URL, host: strings.TrimPrefix(server.URL, "http://"), token: token[1]}
}

// send sends a request as the page would; header changes that. The header Host sets the name that the page
// is asked under.
func (p page) send(t *testing.T, method, path, body string, header map[string]string) (int, http.Header,
	string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, p.url+path, strings.NewReader(body))
	require.NoError(t, err)
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("X-Console-Token", p.token)
		request.Header.Set("Origin", p.url)
		request.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for name, value := range header {
		switch {
		case name == "Host":
			request.Host = value
		case value == "":
			request.Header.Del(name)
		default:
			request.Header.Set(name, value)
		}
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, response.Header, string(got)
}

// silent is a relay that must not be asked.
func silent(t *testing.T) *relayclient.Client {
	return relay(t, func(http.ResponseWriter, *http.Request) { t.Error("the relay was asked") })
}

func TestPage(t *testing.T) {
	client := silent(t)
	p := open(t, client)
	status, header, body := p.send(t, http.MethodGet, "/", "", nil)
	require.Equal(t, http.StatusOK, status)

	assert.Contains(t, body, "<bdi>"+client.Base.String()+"</bdi>")
	assert.Contains(t, body, "data-text=\"hxxp://evil[.]example\n&lt;script&gt;\"")
	assert.Contains(t, body, "A &#34;mail&#34;")
	assert.Equal(t, "no-store", header.Get("Cache-Control"))
	assert.Equal(t, "text/html; charset=utf-8", header.Get("Content-Type"))
	assert.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
	assert.Equal(t, "no-referrer", header.Get("Referrer-Policy"))
	assert.Equal(t, "same-origin", header.Get("Cross-Origin-Opener-Policy"))
	assert.Equal(t, "same-origin", header.Get("Cross-Origin-Resource-Policy"))
	assert.Equal(t, "DENY", header.Get("X-Frame-Options"))
	policy := header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'",
		"img-src 'self' data:", "connect-src 'self'", "frame-ancestors 'none'",
		"require-trusted-types-for 'script'"} {
		assert.Contains(t, policy, part)
	}
	assert.NotContains(t, policy, "unsafe")
	assert.Empty(t, header.Values("Access-Control-Allow-Origin"))
}

func TestAPageOfAnotherProcessHasAnotherToken(t *testing.T) {
	first, second := open(t, silent(t)), open(t, silent(t))
	assert.NotEqual(t, first.token, second.token)
}

func TestAssets(t *testing.T) {
	p := open(t, silent(t))
	for path, kind := range map[string]string{
		"/assets/main.js": "text/javascript; charset=utf-8", "/assets/style.css": "text/css; charset=utf-8",
		"/assets/icon.svg":                     "image/svg+xml",
		"/assets/vendor/cytoscape.esm.min.mjs": "text/javascript; charset=utf-8",
		"/assets/vendor/cytoscape.LICENSE":     "text/plain; charset=utf-8",
	} {
		status, header, body := p.send(t, http.MethodGet, path, "", nil)
		assert.Equal(t, http.StatusOK, status, path)
		assert.Equal(t, kind, header.Get("Content-Type"), path)
		assert.NotEmpty(t, body, path)
	}
	for _, path := range []string{"/assets/..%2fconsole.go", "/assets/nothing.js", "/index.html"} {
		status, _, _ := p.send(t, http.MethodGet, path, "", nil)
		assert.Equal(t, http.StatusNotFound, status, path)
	}
	_, _, template := p.send(t, http.MethodGet, "/assets/index.html", "", nil)
	assert.NotContains(t, template, p.token)
}

func TestGuard(t *testing.T) {
	const find = `{"text":"203.0.113.7"}`
	p := open(t, silent(t))
	_, port, err := net.SplitHostPort(p.host)
	require.NoError(t, err)
	other := open(t, silent(t))

	for name, c := range map[string]struct {
		header map[string]string
		want   int
	}{
		"the page itself": {nil, http.StatusOK},
		"a tool without browser headers": {map[string]string{"Origin": "", "Sec-Fetch-Site": ""},
			http.StatusOK},
		"the page as localhost": {map[string]string{"Host": "localhost:" + port,
			"Origin": "http://localhost:" + port}, http.StatusOK},
		"the page as [::1]": {map[string]string{"Host": "[::1]:" + port,
			"Origin": "http://[::1]:" + port}, http.StatusOK},
		"a name that points here": {map[string]string{"Host": "rebound.example:" + port,
			"Origin": ""}, http.StatusForbidden},
		"a name that points here, with its origin": {map[string]string{"Host": "rebound.example:" + port,
			"Origin": "http://rebound.example:" + port}, http.StatusForbidden},
		"a name that begins like loopback": {map[string]string{"Host": "127.0.0.1.example:" + port,
			"Origin": ""}, http.StatusForbidden},
		"a name under localhost": {map[string]string{"Host": "evil.localhost:" + port,
			"Origin": ""}, http.StatusForbidden},
		"another port": {map[string]string{"Host": "localhost:1",
			"Origin": ""}, http.StatusForbidden},
		"no port": {map[string]string{"Host": "localhost", "Origin": ""},
			http.StatusForbidden},
		"another address": {map[string]string{"Host": "192.0.2.1:" + port,
			"Origin": ""}, http.StatusForbidden},
		"another origin": {map[string]string{"Origin": "https://evil.example"},
			http.StatusForbidden},
		"an origin without a name": {map[string]string{"Origin": "null"},
			http.StatusForbidden},
		"another service of this machine": {map[string]string{"Origin": "http://localhost:8080"},
			http.StatusForbidden},
		"the same name over TLS": {map[string]string{"Origin": "https://" + p.host},
			http.StatusForbidden},
		"localhost from 127.0.0.1": {map[string]string{"Origin": "http://localhost:" +
			port}, http.StatusForbidden},
		"another site": {map[string]string{"Sec-Fetch-Site": "cross-site",
			"Origin": ""}, http.StatusForbidden},
		"the same site, which ignores ports": {map[string]string{"Sec-Fetch-Site": "same-site",
			"Origin": ""}, http.StatusForbidden},
		"no token": {map[string]string{"X-Console-Token": ""},
			http.StatusForbidden},
		"a wrong token": {map[string]string{"X-Console-Token": p.token[1:]},
			http.StatusForbidden},
		"the token of another console": {map[string]string{"X-Console-Token": other.token},
			http.StatusForbidden},
		"the token, but from another origin": {map[string]string{"Origin": "https://evil.example"},
			http.StatusForbidden},
		"the token, but under a name that was bound": {map[string]string{"Host": "rebound.example",
			"Origin": "http://rebound.example"}, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			status, header, body := p.send(t, http.MethodPost, "/api/find", find, c.header)
			assert.Equal(t, c.want, status)
			assert.NotEmpty(t, header.Get("Content-Security-Policy"))
			if status != http.StatusOK {
				assert.NotContains(t, body, "203.0.113.7")
				assert.NotContains(t, body, p.token)
			}
		})
	}

	t.Run("the page and its files are guarded alike", func(t *testing.T) {
		for _, path := range []string{"/", "/assets/main.js"} {
			for _, header := range []map[string]string{{"Host": "rebound.example:" + port},
				{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}} {
				status, _, body := p.send(t, http.MethodGet, path, "", header)
				assert.Equal(t, http.StatusForbidden, status)
				assert.NotContains(t, body, p.token)
			}
		}
	})
	t.Run("other methods do not reach anything", func(t *testing.T) {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete,
			http.MethodOptions} {
			status, header, _ := p.send(t, method, "/api/investigate", "",
				map[string]string{"X-Console-Token": p.token})
			assert.Equal(t, http.StatusMethodNotAllowed, status, method)
			assert.Empty(t, header.Get("Access-Control-Allow-Origin"))
		}
	})
	t.Run("without a listener nothing is answered", func(t *testing.T) {
		handler := console.New(silent(t))
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "http://localhost:80/", nil))
		assert.Equal(t, http.StatusForbidden, recorder.Code)
	})
}

func TestFind(t *testing.T) {
	p := open(t, silent(t))
	t.Run("finds what the text holds", func(t *testing.T) {
		status, header, body := p.send(t, http.MethodPost, "/api/find",
			`{"text":"hxxp://evil[.]example/a 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"}`, nil)
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, "no-store", header.Get("Cache-Control"))
		assert.JSONEq(t, `{"observables":[{"type":"domain","value":"evil.example"}],"skipped":[
			{"text":"2fd4e1c67a2d28fced849ee1bb76e7391b93eb12","reason":"Qualys has no SHA-1 of files"}]}`, body)
	})
	t.Run("finds nothing in nothing", func(t *testing.T) {
		_, _, body := p.send(t, http.MethodPost, "/api/find", `{"text":""}`, nil)
		assert.JSONEq(t, `{"observables":[],"skipped":[]}`, body)
	})
	t.Run("cuts what does not fit into one investigation", func(t *testing.T) {
		var text strings.Builder
		for i := range 510 {
			fmt.Fprintf(&text, "host-%d.example ", i)
		}
		_, _, body := p.send(t, http.MethodPost, "/api/find", `{"text":"`+text.String()+`"}`, nil)
		var got struct {
			Observables []any
			More        int
		}
		require.NoError(t, json.Unmarshal([]byte(body), &got))
		assert.Len(t, got.Observables, 500)
		assert.Equal(t, 10, got.More)
	})
	t.Run("finds the observables of the story in its report", func(t *testing.T) {
		text, err := json.Marshal(map[string]string{"text": consoletest.Report})
		require.NoError(t, err)
		_, _, body := p.send(t, http.MethodPost, "/api/find", string(text), nil)
		for _, value := range []string{
			"cdn.glasswing.example", "198.51.100.23", "198.51.100.2", `Global\\GLW-7f3a-once`,
			`C:\\Users\\mira\\AppData\\Local\\Temp\\glw\\update.exe`,
		} {
			assert.Contains(t, body, `"`+value+`"`)
		}
	})
}

func TestABadRequestIsRefusedInPlainWords(t *testing.T) {
	p := open(t, silent(t))
	for name, c := range map[string]struct{ path, body, message string }{
		"no JSON":                 {"/api/find", `text`, "Refused: invalid character"},
		"another type":            {"/api/investigate", `{"observables":"x"}`, "Refused: json: cannot unmarshal"},
		"a text that is too long": {"/api/find", `{"text":"` + strings.Repeat("x", 1<<20) + `"}`, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, body := p.send(t, http.MethodPost, c.path, c.body, nil)
			assert.Equal(t, http.StatusBadRequest, status)
			assert.Contains(t, body, c.message)
		})
	}
}

// investigation is what the page gets, as far as the tests look.
type investigation struct {
	Observe, Deliberate, Refer json.RawMessage
	Problems                   []struct {
		Endpoints                           []string
		Type, Code, Heading, Message, Means string
		Fix                                 []string
	}
	Cost struct {
		Milliseconds float64
		Calls        int
		Parts        []struct {
			Endpoint                    string
			Status, Calls, Bytes        int
			Milliseconds, Relay, Qualys float64
		}
	}
}

func (p page) investigate(t *testing.T) investigation {
	t.Helper()
	status, header, body := p.send(t, http.MethodPost, "/api/investigate",
		`{"observables":[{"type":"ip","value":"198.51.100.23"}]}`, nil)
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, "no-store", header.Get("Cache-Control"))
	var got investigation
	require.NoError(t, json.Unmarshal([]byte(body), &got))
	return got
}

func TestInvestigate(t *testing.T) {
	got := open(t, consoletest.Relay{}.Start(t)).investigate(t)

	assert.Contains(t, string(got.Observe), `"sightings"`)
	assert.Contains(t, string(got.Deliberate), `"data"`)
	assert.Contains(t, string(got.Refer), "https://qualysguard.example/")
	assert.Empty(t, got.Problems)
	require.Len(t, got.Cost.Parts, 3)
	assert.Equal(t, "/observe/observables", got.Cost.Parts[0].Endpoint)
	assert.Positive(t, got.Cost.Parts[0].Relay)
	assert.Positive(t, got.Cost.Parts[0].Qualys)
	assert.GreaterOrEqual(t, got.Cost.Parts[0].Calls, 2, "both states, and a login where nobody was before")
	assert.Equal(t, len(got.Observe), got.Cost.Parts[0].Bytes)
	assert.Zero(t, got.Cost.Parts[2].Calls)
	assert.Equal(t, got.Cost.Calls, got.Cost.Parts[0].Calls+got.Cost.Parts[1].Calls)
}

func TestErrorsOfTheRelayAreExplained(t *testing.T) {
	t.Run("Qualys is down", func(t *testing.T) {
		got := open(t, consoletest.Down().Start(t)).investigate(t)
		require.NotEmpty(t, got.Problems)
		p := got.Problems[0]
		assert.Equal(t, "observe", p.Endpoints[0])
		assert.Equal(t, "error", p.Type)
		assert.Equal(t, "connection error", p.Code)
		assert.Equal(t, "Connection error", p.Heading)
		assert.NotEmpty(t, p.Means)
		assert.NotEmpty(t, p.Fix)
	})
	t.Run("without PLATFORM_URL links are missing, and nothing else", func(t *testing.T) {
		got := open(t, consoletest.WithoutPlatform().Start(t)).investigate(t)
		require.Len(t, got.Problems, 1)
		assert.Equal(t, []string{"refer"}, got.Problems[0].Endpoints)
		assert.Equal(t, "note", got.Problems[0].Type)
		assert.Equal(t, "No links to Qualys", got.Problems[0].Heading)
	})
	t.Run("an error of several answers is reported once", func(t *testing.T) {
		got := open(t, says(t, `{"errors":[{"type":"fatal","code":"authorization error","message":"no"},
			{"type":"odd","code":"new","message":"x"}]}`)).investigate(t)
		require.Len(t, got.Problems, 2)
		assert.Equal(t, []string{"observe", "deliberate", "refer"}, got.Problems[0].Endpoints)
		assert.Equal(t, "error", got.Problems[1].Type)
		assert.Equal(t, "New", got.Problems[1].Heading)
	})
	t.Run("errors in another form are not a relay's", func(t *testing.T) {
		got := open(t, says(t, `{"errors":"out of order"}`)).investigate(t)
		require.Len(t, got.Problems, 1)
		assert.Equal(t, `The answer is not a relay's: {"errors":"out of order"}`, got.Problems[0].Message)
	})
}

func TestTheThreeQuestionsAreAskedSideBySide(t *testing.T) {
	arrived := make(chan string, 3)
	all := make(chan struct{})
	p := open(t, relay(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.JSONEq(t, `[{"type":"ip","value":"198.51.100.23"}]`, string(body))
		arrived <- r.URL.Path
		select { // none is answered before all have come
		case <-all:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, `{"data":{}}`)
	}))
	go func() {
		var paths []string
		for range 3 {
			paths = append(paths, <-arrived)
		}
		slices.Sort(paths)
		assert.Equal(t, []string{"/deliberate/observables", "/observe/observables", "/refer/observables"},
			paths)
		close(all)
	}()
	cost, slowest := p.investigate(t).Cost, 0.0
	for _, part := range cost.Parts {
		assert.Positive(t, part.Milliseconds)
		slowest = max(slowest, part.Milliseconds)
	}
	assert.InDelta(t, slowest, cost.Milliseconds, 1e-9, "the time of the slowest")
}

func TestAFailedQuestionLeavesTheOthersStanding(t *testing.T) {
	const observe, deliberate = "/observe/observables", "/deliberate/observables"
	for name, c := range map[string]struct {
		path    string
		status  int // 0: the connection ends
		body    string
		message string
	}{
		"an old relay knows no verdicts": {deliberate, 404, "no", "The relay answered with HTTP 404: no"},
		"the relay fails": {observe, 502, "<h1>Bad\nGateway</h1>",
			"The relay answered with HTTP 502: <h1>Bad Gateway</h1>"},
		"the relay says nothing":  {observe, 500, "", "The relay answered with HTTP 500: "},
		"the answer is not JSON":  {observe, 200, "Sign in", "The answer is not a relay's: Sign in"},
		"the answer is a list":    {observe, 200, "[]", "The answer is not a relay's: []"},
		"the answer is null":      {observe, 200, "null", "The answer is not a relay's: null"},
		"the answer says nothing": {observe, 200, "{}", "The answer is not a relay's: {}"},
		"the answer is cut short": {observe, 200, `{"data":`, `The answer is not a relay's: {"data":`},
		"a long failure is cut": {observe, 500, strings.Repeat("ä", 5000),
			"The relay answered with HTTP 500: " + strings.Repeat("ä", 300) + "…"},
		"the connection ends":     {observe, 0, "", "The request to the relay failed: "},
		"the connection ends too": {deliberate, 0, "", "The request to the relay failed: "},
	} {
		t.Run(name, func(t *testing.T) {
			got := open(t, relay(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path != c.path:
					_, _ = io.WriteString(w, `{"data":{}}`)
				case c.status == 0:
					panic(http.ErrAbortHandler)
				default:
					w.WriteHeader(c.status)
					_, _ = io.WriteString(w, c.body)
				}
			})).investigate(t)
			require.Len(t, got.Problems, 1)
			assert.Equal(t, []string{strings.Split(c.path, "/")[1]}, got.Problems[0].Endpoints)
			assert.Equal(t, "error", got.Problems[0].Type)
			if c.status == 0 {
				assert.Contains(t, got.Problems[0].Message, c.message)
			} else {
				assert.Equal(t, c.message, got.Problems[0].Message)
			}
			assert.JSONEq(t, `{"data":{}}`, string(got.Refer))
			if c.path == observe {
				assert.Equal(t, "null", string(got.Observe))
				assert.JSONEq(t, `{"data":{}}`, string(got.Deliberate))
			}
		})
	}
}
