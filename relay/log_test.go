package relay

import (
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys/qualystest"
)

// update rewrites the golden files: go test ./relay -update
func update() bool { return flag.Lookup("update").Value.String() == "true" }

// TestTheLogLines holds the lines of a good, a partial and a refused request, but for times, sizes and
// addresses.
func TestTheLogLines(t *testing.T) {
	t.Parallel()
	r := newRelay(t, []qualystest.Event{badFile(1), badFile(2).Current()})
	asked := 0
	ask := func(token, body string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/observe/observables", strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("X-Module-Instance-Id", "0f5d7a52-6a0e-4bd0-9a51-9a5a8a2f9b11")
		request.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
		request.Header.Set("User-Agent", "XDR")
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		asked++ // the line is written after the answer
		require.Eventually(t, func() bool { return strings.Count(r.log.String(), "observeObservables 200") == asked }, testPatience, testTick)
	}
	ask(r.token, `[{"type":"sha256","value":"`+sha(1)+`"},{"type":"md5","value":"00000000000000000000000000000003"},{"type":"url","value":"https://c2.example"}]`)
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: qualystest.HistoryState, Do: qualystest.Status(http.StatusForbidden, `{"message":"no access to the history"}`)})
	ask(r.token, `[{"type":"sha256","value":"`+sha(2)+`"}]`)
	ask("nonsense", `[]`)

	got := r.log.String()
	for pattern, instead := range map[string]string{
		`"time":"[^"]+"`: `"time":"2026-03-17T10:00:00Z"`, `in \d+ ms`: `in 52 ms`, `"latency":"[^"]+"`: `"latency":"0.052000s"`,
		`"responseSize":"\d+"`: `"responseSize":"8412"`, `"milliseconds":[\d.]+`: `"milliseconds":101.5`, `http://127.0.0.1:\d+`: `https://gateway.qg1.apps.qualys.com`,
	} {
		got = regexp.MustCompile(pattern).ReplaceAllString(got, instead)
	}
	path := filepath.Join("testdata", "log.golden.jsonl")
	if update() {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
	assert.NotContains(t, got, sha(1), "values are for the debug level")
}

// TestShortValuesChangeNoText asks about values that occur in every text. When values were replaced in
// texts, four of these made the log line of one request take all memory, and Qualys's words reached the
// analyst in pieces.
func TestShortValuesChangeNoText(t *testing.T) {
	t.Parallel()
	const tooMuch = 256 << 20 // bytes
	c := startChild(t, "PLATFORM_URL", "https://console.example", "API_URL", "http://127.0.0.1:1")
	long := `{"type":"` + strings.Repeat("a", 400) + `","value":"a"}`
	status, err := postStatus(t.Context(), c.url+"/refer/observables", "", `[{"type":"ip","value":"'\"`+"`"+`"},`+strings.Repeat(long+",", 3)+long+`]`)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, status)
	assert.Less(t, c.peak(t), tooMuch)

	r := newRelay(t, nil)
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(http.StatusForbidden, `{"message":"User has no access"}`)})
	a := r.query("/observe/observables", "file_name", "s")
	require.Len(t, a.Errors, 1)
	assert.Equal(t, "Unexpected response from Qualys IOC: User has no access"+checkHint, a.Errors[0].Message)
	var fifty []string
	for letter := range 50 {
		fifty = append(fifty, []string{"file_name", "process_name"}[letter/25], string(rune('a'+letter%25)))
	}
	a = r.query("/observe/observables", fifty...)
	for _, e := range a.Errors { // of joined queries, which name no value, and of single ones
		assert.Contains(t, []string{"Unexpected response from Qualys IOC: HTTP 403 Forbidden" + checkHint,
			"Unexpected response from Qualys IOC: User has no access" + checkHint}, e.Message)
	}
}

// TestValuesStayOutOfLogsAndSpans has Qualys repeat the query in its refusal, which names the observable.
func TestValuesStayOutOfLogsAndSpans(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
	r := newRelay(t, nil, "OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
	const value = "salaries-of-the-board.xlsx"
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(http.StatusBadRequest, `{"message":"cannot parse file.name: `+value+`"}`)})
	a := r.query("/observe/observables", "file_name", value)
	assert.Contains(t, a.body, value, "the analyst, who asked, may read it")
	r.relay.requests.shut(t.Context(), time.Minute)
	assert.Contains(t, r.log.String(), "events: bad query (status 400)")
	assert.NotContains(t, r.log.String(), "cannot parse", "the log has the status, never Qualys's words")
	assert.NotContains(t, r.log.String(), value)
	c.mu.Lock()
	defer c.mu.Unlock()
	require.NotEmpty(t, c.spans)
	for _, span := range c.spans {
		assert.NotContains(t, span.String(), value)
	}
}
