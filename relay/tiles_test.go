package relay

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys/qualystest"
)

// afterTheStory is an evening elsewhere: in UTC it is the next day, 03:30:45.
func afterTheStory() time.Time {
	return time.Date(2026, 3, 18, 20, 30, 45, 678e6, time.FixedZone("", -7*3600))
}

func newTiles(t *testing.T, fake *qualystest.Server, pairs ...string) *testRelay {
	t.Helper()
	c, err := ConfigFromEnv(env(append([]string{"API_URL", fake.URL, "PLATFORM_URL", "https://console.example"}, pairs...)...))
	require.NoError(t, err)
	c.Now = afterTheStory
	return newRelayOf(t, fake, c)
}

// show posts to tile-data.
func (r *testRelay) show(id, period string) answer {
	r.t.Helper()
	return r.post("/tiles/tile-data", r.token, fmt.Sprintf(`{"tile_id":%q,"period":%q}`, id, period))
}

// golden compares an answer with testdata/NAME.golden.json.
func golden(t *testing.T, name, body string) {
	t.Helper()
	var indented bytes.Buffer
	require.NoError(t, json.Indent(&indented, []byte(body), "", "  "))
	indented.WriteByte('\n')
	file := filepath.Join("testdata", name+".golden.json")
	if flag.Lookup("update").Value.String() == "true" {
		require.NoError(t, os.WriteFile(file, indented.Bytes(), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), indented.String())
}

func TestTilesOfTheStory(t *testing.T) {
	t.Parallel()
	heads := newTiles(t, qualystest.New(t, qualystest.Config{})).post("/tiles", tokenFor(t, qualystest.User, qualystest.Password), "")
	golden(t, "tiles", heads.body)
	for name, tt := range map[string]struct {
		id, period string
		calls      int // the login is one
		config     qualystest.Config
	}{
		"metrics":             {"qualys-detections", "last_7_days", 5, qualystest.Config{}},
		"chart":               {"qualys-detections-over-time", "last_7_days", 7, qualystest.Config{}},
		"chart of all events": {"qualys-detections-over-time", "last_7_days", 8, qualystest.Config{BucketsIgnoreFilter: true}},
		"donut":               {"qualys-detections-by-type", "last_7_days", 7, qualystest.Config{}},
		"donut of verdicts":   {"qualys-detections-by-type", "last_7_days", 7, qualystest.Config{IgnoreGroupBy: true}},
		"newest":              {"qualys-newest-malicious", "last_7_days", 2, qualystest.Config{}},
		"newest without any":  {"qualys-newest-malicious", "last_hour", 2, qualystest.Config{}},
		"donut without any":   {"qualys-detections-by-type", "last_hour", 7, qualystest.Config{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.config.Events = qualystest.Story()
			r := newTiles(t, qualystest.New(t, tt.config))
			got := r.show(tt.id, tt.period)
			golden(t, "tile_"+strings.ReplaceAll(name, " ", "_"), got.body)
			assert.Equal(t, tt.calls, r.fake.Calls())
			assert.Equal(t, got.body, r.show(tt.id, tt.period).body)
			assert.Equal(t, tt.calls, r.fake.Calls(), "the second answer is from the cache")
			assert.Contains(t, r.post("/tiles/tile", r.token, fmt.Sprintf(`{"tile_id":%q}`, tt.id)).body, tt.id)
		})
	}
}

// Every bucket of a period is there, and its edges are those of UTC.
func TestTilePeriods(t *testing.T) {
	t.Parallel()
	r := newTiles(t, qualystest.New(t, qualystest.Config{Events: qualystest.Story()}))
	for _, tt := range []struct {
		period, from, firstBar, lastBar string
		bars                            int
	}{
		{"last_hour", "2026-03-19T02:30:00.000Z", "2026-03-19 02:30", "2026-03-19 03:25", 12},
		{"last_24_hours", "2026-03-18T03:30:00.000Z", "2026-03-18 03:00", "2026-03-19 03:00", 25},
		{"last_7_days", "2026-03-12T03:30:00.000Z", "2026-03-12", "2026-03-19", 8},
		{"last_30_days", "2026-02-17T03:30:00.000Z", "2026-02-17", "2026-03-19", 31},
		{"last_60_days", "2026-01-18T03:30:00.000Z", "2026-01-18", "2026-03-19", 61},
		{"last_90_days", "2025-12-19T03:30:00.000Z", "2025-12-19", "2026-03-19", 91},
	} {
		t.Run(tt.period, func(t *testing.T) {
			a := r.show("qualys-detections-over-time", tt.period)
			require.Empty(t, a.Errors)
			var got struct {
				Data struct {
					ObservedTime struct {
						Start string `json:"start_time"`
						End   string `json:"end_time"`
					} `json:"observed_time"`
					Data []struct {
						Key    int64
						Label  string
						Values []struct{ Value int64 }
					}
				}
			}
			require.NoError(t, json.Unmarshal([]byte(a.body), &got))
			assert.Equal(t, tt.from, got.Data.ObservedTime.Start)
			assert.Equal(t, "2026-03-19T03:30:00.000Z", got.Data.ObservedTime.End)
			bars := got.Data.Data
			require.Len(t, bars, tt.bars)
			assert.Equal(t, tt.firstBar, bars[0].Label)
			assert.Equal(t, tt.lastBar, bars[len(bars)-1].Label)
			for _, bar := range bars {
				require.Len(t, bar.Values, 3)
				assert.True(t, strings.HasPrefix(time.UnixMilli(bar.Key).UTC().Format(time.DateTime), bar.Label))
			}
		})
	}
}

// An event on the edge of a period is in one of two periods that follow each other.
func TestTileEdges(t *testing.T) {
	t.Parallel()
	at := func(text string) qualystest.Event {
		return qualystest.File(`C:\`+text, "", "").At(text).Verdict("MALICIOUS", 9, "")
	}
	r := newTiles(t, qualystest.New(t, qualystest.Config{Events: []qualystest.Event{
		at("2026-03-18T03:29:59.999Z"), at("2026-03-18T03:30:00Z"), at("2026-03-19T03:29:59.999Z"), at("2026-03-19T03:30:00Z"),
	}}))
	assert.Contains(t, r.show("qualys-detections", "last_24_hours").body, `"label":"Malicious","value":2,`)
	chart := r.show("qualys-detections-over-time", "last_24_hours").body
	assert.Contains(t, chart, `"label":"2026-03-18 03:00","value":1,`)
	assert.Contains(t, chart, `"label":"2026-03-19 03:00","value":1,`)
}

func TestTileRequests(t *testing.T) {
	t.Parallel()
	r := newTiles(t, qualystest.New(t, qualystest.Config{}))
	for _, tt := range []struct{ name, path, body, want string }{
		{"nothing", "/tiles/tile", "", `{"body":"is not JSON: unexpected end of JSON input"}`},
		{"a list", "/tiles/tile", "[]", `{"body":"must be an object"}`},
		{"null", "/tiles/tile", "null", `{"body":"must be an object"}`},
		{"two objects", "/tiles/tile", `{"tile_id":"qualys-detections"} {}`, `{"body":"is not JSON: invalid character '{' after top-level value"}`},
		{"no id", "/tiles/tile", `{}`, `{"tile_id":"is missing"}`},
		{"a dash", "/tiles/tile", `{"tile-id":"qualys-detections"}`, `{"tile-id":"is not known","tile_id":"is missing"}`},
		{"an empty id", "/tiles/tile", `{"tile_id":""}`, `{"tile_id":"must not be blank"}`},
		{"a number", "/tiles/tile", `{"tile_id":1}`, `{"tile_id":"must be a string"}`},
		{"an unknown id", "/tiles/tile", `{"tile_id":"x"}`, `{"tile_id":"must be one of qualys-detections, qualys-detections-over-time, qualys-detections-by-type, qualys-newest-malicious"}`},
		{"a period where none is", "/tiles/tile", `{"tile_id":"qualys-detections","period":"last_hour"}`, `{"period":"is not known"}`},
		{"no period", "/tiles/tile-data", `{"tile_id":"qualys-detections"}`, `{"period":"is missing"}`},
		{"an empty period", "/tiles/tile-data", `{"tile_id":"qualys-detections","period":" "}`, `{"period":"must not be blank"}`},
		{"an unknown period", "/tiles/tile-data", `{"tile_id":"qualys-detections","period":"last_year"}`, `{"period":"must be one of last_hour, last_24_hours, last_7_days, last_30_days, last_60_days, last_90_days"}`},
		{"all at once", "/tiles/tile-data", `{"tile_id":"x","period":null,"mid":1}`,
			`{"mid":"is not known","period":"must be a string","tile_id":"must be one of qualys-detections, qualys-detections-over-time, qualys-detections-by-type, qualys-newest-malicious"}`},
		{"a long key", "/tiles/tile", `{"tile_id":"qualys-detections","` + strings.Repeat("k", 5000) + `":1}`,
			`{"` + strings.Repeat("k", 100) + `":"is not known"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := r.post(tt.path, r.token, tt.body)
			require.Len(t, a.Errors, 1)
			assert.Equal(t, Error{Severity: Fatal, Code: CodeInvalidArgument, Message: "Invalid JSON payload received. " + tt.want}, a.Errors[0])
		})
	}
	for _, path := range []string{"/tiles", "/tiles/tile", "/tiles/tile-data"} {
		assert.Equal(t, []Code{CodeAuthorization}, r.post(path, "", "{").codes(), "the token comes before the body")
	}
	assert.Zero(t, r.fake.Calls())
}

func TestATileAnswersWhatItHas(t *testing.T) {
	t.Parallel()
	const remediated = "indicator.score: [1 .. 1]"
	bad := qualystest.Status(http.StatusForbidden, `{"message":"not yours"}`)
	for name, tt := range map[string]struct {
		id     string
		fault  qualystest.Fault
		has    string // "": no data
		hasNot string
		errors int
	}{
		"metrics":              {"qualys-detections", qualystest.Fault{Contains: remediated, Do: bad}, `"Suspicious"`, `"Remediated"`, 1},
		"no metrics":           {"qualys-detections", qualystest.Fault{On: qualystest.Count, Do: bad}, "", "", 1},
		"chart":                {"qualys-detections-over-time", qualystest.Fault{Contains: remediated, Do: bad}, `"suspicious"`, `"remediated"`, 1},
		"chart, one call":      {"qualys-detections-over-time", qualystest.Fault{Contains: remediated, Times: 1, Do: bad}, `"suspicious"`, `"remediated"`, 1},
		"no chart":             {"qualys-detections-over-time", qualystest.Fault{On: qualystest.Count, Do: bad}, "", "", 1},
		"a chart of nonsense":  {"qualys-detections-over-time", qualystest.Fault{On: qualystest.Count, Do: qualystest.Status(200, `{"1_2":3}`)}, "", "", 1},
		"donut":                {"qualys-detections-by-type", qualystest.Fault{Contains: remediated, Do: bad}, `"Suspicious"`, `"Remediated"`, 1},
		"no donut":             {"qualys-detections-by-type", qualystest.Fault{On: qualystest.Count, Do: bad}, "", "", 1},
		"donut without groups": {"qualys-detections-by-type", qualystest.Fault{Contains: remediated, Nth: 2, Do: bad}, `"Remediated"`, `"segments"`, 1},
		"newest":               {"qualys-newest-malicious", qualystest.Fault{On: qualystest.Search, Do: bad}, "", "", 1},
		"login":                {"qualys-newest-malicious", qualystest.Fault{On: qualystest.Login, Do: bad}, "", "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := qualystest.New(t, qualystest.Config{Events: qualystest.Story()})
			r := newTiles(t, fake, "QUALYS_CONCURRENCY", "1") // in order
			fake.Inject(tt.fault)
			a := r.show(tt.id, "last_7_days")
			assert.Len(t, a.Errors, tt.errors)
			assert.LessOrEqual(t, fake.Calls(), 8)
			if tt.has == "" {
				assert.NotContains(t, a.body, `"data"`)
				return
			}
			assert.Contains(t, a.body, tt.has)
			assert.NotContains(t, a.body, tt.hasNot)
		})
	}
}

// A gateway whose buckets add up to nothing that was counted gets no chart.
func TestAChartThatDoesNotAddUpIsNotShown(t *testing.T) {
	t.Parallel()
	fake := qualystest.New(t, qualystest.Config{Events: qualystest.Story()})
	r := newTiles(t, fake)
	fake.Inject(qualystest.Fault{On: qualystest.Count, Contains: "[2 .. 7]", Do: qualystest.Status(200, `{"count":77}`)})
	a := r.show("qualys-detections-over-time", "last_7_days")
	assert.NotContains(t, a.body, `"suspicious"`)
	fake = qualystest.New(t, qualystest.Config{Events: qualystest.Story(), BucketsIgnoreFilter: true})
	r = newTiles(t, fake)
	fake.Inject(qualystest.Fault{On: qualystest.Count, Nth: 7, Do: qualystest.Status(200, `{"count":77}`)})
	a = r.show("qualys-detections-over-time", "last_7_days")
	require.Len(t, a.Errors, 1)
	assert.Contains(t, a.Errors[0].Message, "do not add up")
	assert.NotContains(t, a.body, `"data"`)
}

func TestNamesInATileStayText(t *testing.T) {
	t.Parallel()
	hostile := "a`b|c\n| x | [click](mailto:evil) |\u202e<img src=x>"
	fake := qualystest.New(t, qualystest.Config{Events: []qualystest.Event{
		qualystest.File(`C:\`+hostile, "", "").On(qualystest.Host{Name: hostile}).At("2026-03-18T03:30:00Z").Verdict("MALICIOUS", 9, "").Current(),
	}})
	r := newTiles(t, fake)
	a := r.show("qualys-newest-malicious", "last_7_days")
	var got struct{ Data struct{ Data []string } }
	require.NoError(t, json.Unmarshal([]byte(a.body), &got))
	require.Len(t, got.Data.Data, 3)
	row := got.Data.Data[2]
	const name = "a'b¦c\uFFFD¦ x ¦ [click](mailto:evil) ¦\uFFFD<img src=x>"
	assert.True(t, strings.HasPrefix(row, "| 2026-03-18 03:30:00 | `"+name+"` | `File created: "+name+"` | [Open](https://console.example/"), row)
	assert.Equal(t, 5, strings.Count(row, "|"))
	assert.Equal(t, 4, strings.Count(row, "`"))
}
