package accesslog

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID  = "00f067aa0ba902b7"
)

// fields are the fields of the only line in a log.
func fields(t *testing.T, log *strings.Builder) map[string]any {
	t.Helper()
	var line map[string]any
	require.NoError(t, json.Unmarshal([]byte(log.String()), &line))
	return line
}

func TestTheTraceOfARequestIsInItsLines(t *testing.T) {
	t.Parallel()
	zeroTrace, zeroSpan := strings.Repeat("0", 32), strings.Repeat("0", 16)
	for name, test := range map[string]struct {
		header  string
		want    string // the trace; "": none
		sampled bool
	}{
		"sampled":            {"00-" + traceID + "-" + spanID + "-01", traceID, true},
		"not sampled":        {"00-" + traceID + "-" + spanID + "-00", traceID, false},
		"a later version":    {"01-" + traceID + "-" + spanID + "-01-more", traceID, true},
		"version ff":         {"ff-" + traceID + "-" + spanID + "-01", "", false},
		"a trace of zeroes":  {"00-" + zeroTrace + "-" + spanID + "-01", "", false},
		"a span of zeroes":   {"00-" + traceID + "-" + zeroSpan + "-01", "", false},
		"a short span":       {"00-" + traceID + "-short-01", "", false},
		"upper case":         {"00-" + strings.ToUpper(traceID) + "-" + spanID + "-01", "", false},
		"a line break":       {"00-" + traceID[:31] + "\n-" + spanID + "-01", "", false},
		"more in version 00": {"00-" + traceID + "-" + spanID + "-01-more", "", false},
		"no header":          {"", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{}
			if test.header != "" {
				header.Set("Traceparent", test.header)
			}
			ctx := WithTrace(context.Background(), header)
			for _, project := range []string{"", "some-project"} {
				log := new(strings.Builder)
				New(log, slog.LevelInfo, project).With("a", 1).InfoContext(ctx, "hello")
				line := fields(t, log)
				assert.InDelta(t, 1, line["a"], 0)
				if test.want == "" {
					assert.NotContains(t, line, "logging.googleapis.com/trace")
					continue
				}
				want := test.want
				if project != "" {
					want = "projects/some-project/traces/" + want
				}
				assert.Equal(t, want, line["logging.googleapis.com/trace"], "a logger made by With keeps the trace")
				assert.Equal(t, spanID, line["logging.googleapis.com/spanId"])
				assert.Equal(t, test.sampled, line["logging.googleapis.com/trace_sampled"])
			}
		})
	}
}

func TestALineHasTheWorstLevelOfItsErrors(t *testing.T) {
	t.Parallel()
	line := func(errors ...Error) *Line {
		return &Line{Endpoint: "health", Request: httptest.NewRequest(http.MethodPost, "/health", nil), Status: 200, Errors: errors}
	}
	turnedAway := line()
	turnedAway.Status = http.StatusServiceUnavailable
	panicked := line(Error{"unknown", "panic: x", slog.LevelWarn})
	panicked.Stack = "panic: x\n\ngoroutine 1"
	for name, test := range map[string]struct {
		line *Line
		want string
	}{
		"no error":            {line(), "INFO"},
		"a truncated answer":  {line(Error{"too-many-messages-warning", "", slog.LevelInfo}), "INFO"},
		"a timeout beside it": {line(Error{"too-many-messages-warning", "", slog.LevelInfo}, Error{"gateway timeout", "timeout", slog.LevelWarn}), "WARNING"},
		"turned away":         {turnedAway, "WARNING"},
		"a panic":             {panicked, "ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := new(strings.Builder)
			test.line.Write(t.Context(), New(log, slog.LevelInfo, ""))
			assert.Equal(t, test.want, fields(t, log)["severity"])
		})
	}
}

func TestALineTellsWhatTheRequestDid(t *testing.T) {
	t.Parallel()
	l := Line{
		Endpoint:    "observeObservables",
		Request:     httptest.NewRequest(http.MethodPost, "/observe/observables?x=1", nil),
		Gateway:     "https://gateway.example",
		Observables: map[string]int{"ip": 2, "md5": 1},
		Values:      []string{"ip:10.1.1.1"},
		Events:      7,
		Entities:    map[string]int{"sightings": 7},
		Upstream: Upstream{
			Calls: 4, Logins: 1, Waits: 2, CacheHits: 3, Time: 1500 * time.Microsecond, Batches: []int{2, 1},
		},
		Errors: []Error{{"unknown", "a", slog.LevelWarn}, {"gateway timeout", "b", slog.LevelWarn}, {"unknown", "c", 0}},
		Status: 200, Size: 5, Took: 12345678 * time.Nanosecond,
	}
	l.Request.Header.Set("User-Agent", "xdr")
	l.Request.Header.Set("X-Module-Instance-Id", "instance")
	log := new(strings.Builder)
	l.Write(t.Context(), New(log, slog.LevelInfo, ""))
	line := fields(t, log)
	delete(line, "time")
	assert.Equal(t, map[string]any{
		"severity": "WARNING",
		"message":  "observeObservables 200 in 12 ms, 3 observables, 7 events, 4 calls: unknown, gateway timeout",
		"httpRequest": map[string]any{
			"requestMethod": "POST", "requestUrl": "/observe/observables", "status": 200., "responseSize": "5",
			"userAgent": "xdr", "latency": "0.012346s",
		},
		"logging.googleapis.com/labels": map[string]any{
			"endpoint": "observeObservables", "module_instance": "instance",
		},
		"observables": map[string]any{"ip": 2., "md5": 1.},
		"events":      7.,
		"entities":    map[string]any{"sightings": 7.},
		"upstream": map[string]any{
			"calls": 4., "logins": 1., "milliseconds": 1.5, "rate_limit_waits": 2., "cache_hits": 3.,
			"batch_sizes": []any{2., 1.},
		},
		"gateway":     "https://gateway.example",
		"error_codes": []any{"unknown", "gateway timeout"},
		"causes":      []any{"a", "b", "c"},
	}, line)
	l.Started = time.Now().Add(-time.Hour)
	assert.Regexp(t, `^total;dur=3600\d{3}\.\d, qualys;dur=1\.5;desc="4 calls", cache;desc="3 hits"$`, l.ServerTiming())
}

// TestAPanicIsWrittenForErrorReporting, which groups by the stack behind the cause.
func TestAPanicIsWrittenForErrorReporting(t *testing.T) {
	t.Parallel()
	l := Line{Request: httptest.NewRequest(http.MethodPost, "/", nil), Stack: "panic: x\n\ngoroutine 1"}
	log := new(strings.Builder)
	l.Write(t.Context(), New(log, slog.LevelInfo, ""))
	line := fields(t, log)
	assert.Equal(t, "ERROR", line["severity"])
	assert.Equal(t, "panic: x\n\ngoroutine 1", line["stack_trace"])
}

// TestAGroupKeepsItsOwnNames: only slog's own attributes have other names at Cloud Logging.
func TestAGroupKeepsItsOwnNames(t *testing.T) {
	t.Parallel()
	log := new(strings.Builder)
	New(log, slog.LevelInfo, "").WithGroup("g").Info("hello", "msg", "a", "level", "b")
	line := fields(t, log)
	assert.Equal(t, "hello", line["message"])
	assert.Equal(t, map[string]any{"msg": "a", "level": "b"}, line["g"])
}

func TestTextsFromOutsideAreCut(t *testing.T) {
	t.Parallel()
	log := new(strings.Builder)
	l := Line{Endpoint: "none", Request: httptest.NewRequest(http.MethodPost, "/"+strings.Repeat("é", 5000), nil), Started: time.Now()}
	l.Request.Header.Set("User-Agent", strings.Repeat("x", 5000)+"\xff")
	for range 1000 {
		l.Errors = append(l.Errors, Error{"unknown", strings.Repeat("y", 1000), slog.LevelWarn})
	}
	l.Write(t.Context(), New(log, slog.LevelInfo, ""))
	assert.Less(t, len(log.String()), 8<<10)
	assert.True(t, utf8.ValidString(log.String()))
}

func TestValuesAreForTheDebugLevel(t *testing.T) {
	t.Parallel()
	l := Line{Request: httptest.NewRequest(http.MethodPost, "/", nil), Values: []string{"file_name:salaries.xlsx"}}
	for level, want := range map[slog.Level]bool{slog.LevelInfo: false, slog.LevelDebug: true} {
		log := new(strings.Builder)
		l.Write(t.Context(), New(log, level, ""))
		assert.Equal(t, want, strings.Contains(log.String(), "salaries"))
	}
}

func TestATerminalGetsReadableLines(t *testing.T) {
	t.Parallel()
	log := new(strings.Builder)
	l := Line{Endpoint: "health", Request: httptest.NewRequest(http.MethodPost, "/health", nil), Status: 200}
	l.Errors = []Error{{"authorization error", "no header", slog.LevelWarn}}
	l.Write(t.Context(), slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{ReplaceAttr: terminalAttr})))
	assert.Regexp(t, `^time=\d\d:\d\d:\d\d level=WARN msg="health 200 in 0 ms: authorization error" error_codes="\[authorization error\]" causes=`, log.String())
	for _, left := range []string{"httpRequest", "userAgent", "labels", "endpoint="} {
		assert.NotContains(t, log.String(), left)
	}
}
