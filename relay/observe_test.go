package relay

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
	"qualysrelay.example/relay/mapping"
	"qualysrelay.example/relay/search"
)

func sha(i int) string { return fmt.Sprintf("%064x", i+1) }

func badFile(i int) qualystest.Event {
	return qualystest.File(fmt.Sprintf(`C:\Data\file-%03d.exe`, i), sha(i), fmt.Sprintf("%032x", i+1)).
		At(fmt.Sprintf("2026-03-01T10:%02d:00Z", i%60)).Verdict("MALICIOUS", 8, "Win32.Trojan.Glasswing")
}

func TestObserveTellsTheStory(t *testing.T) {
	t.Parallel()
	r := newRelay(t, qualystest.Story())
	found := make(map[string]int)
	for _, o := range qualystest.StoryObservables() {
		a := r.query("/observe/observables", o.Type, o.Value)
		assert.Empty(t, a.Errors, "%s %s", o.Type, o.Value)
		found[o.Type] += a.Data.Sightings.Count
		assert.Equal(t, a.body, r.query("/observe/observables", o.Type, o.Value).body, "the same question has the same bytes for an answer")
		for _, s := range a.Data.Sightings.Docs {
			assert.Contains(t, s["observables"], map[string]any{"type": o.Type, "value": o.Value})
		}
	}
	for _, promised := range []string{"ip", "domain", "file_name", "file_path", "mutex", "md5", "sha256"} {
		assert.Positive(t, found[promised], promised)
	}
}

func TestTheVerdictOnAProcessNeverLandsOnTheAddressThatItCalled(t *testing.T) {
	t.Parallel()
	r := newRelay(t, []qualystest.Event{
		qualystest.Network("evil.exe", "192.0.2.17", "198.51.100.23", "c2.example").Verdict("MALICIOUS", 10, "Win32.Trojan.Glasswing").Judged(sha(1)),
		qualystest.Network("agent.exe", "192.0.2.17", "198.51.100.23", "").At("2026-05-01T00:00:00Z").Verdict("KNOWN", 0, "").Judged(sha(2)),
	})
	for _, o := range [][2]string{{"ip", "198.51.100.23"}, {"domain", "c2.example"}, {"ip", "192.0.2.17"}} {
		a := r.query("/observe/observables", o[0], o[1])
		require.Positive(t, a.Data.Judgements.Count, o)
		for _, j := range a.Data.Judgements.Docs {
			observable, ok := j["observable"].(map[string]any)
			require.True(t, ok)
			assert.Equal(t, "sha256", observable["type"], "asked %v", o)
		}
	}
}

func TestUnsupportedTypesAreSkipped(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	assert.JSONEq(t, `{"data":{}}`, r.query("/observe/observables", "url", "https://c2.example", "email", "a@c2.example").body)
	assert.JSONEq(t, `{"data":{}}`, r.query("/observe/observables").body)
	assert.JSONEq(t, `{"data":{}}`, r.query("/deliberate/observables").body)
	assert.Zero(t, r.fake.Calls())
}

func TestAValueWithAllQuotesIsAWarningBesideTheOthers(t *testing.T) {
	t.Parallel()
	r := newRelay(t, []qualystest.Event{badFile(1)})
	a := r.query("/observe/observables", "file_name", "a\"b`c'd", "sha256", sha(1), "mutex", "line\nbreak")
	assert.Equal(t, 1, a.Data.Sightings.Count)
	assert.Equal(t, []Code{CodeInvalidArgument, CodeInvalidArgument}, a.codes())
	assert.Equal(t, Warning, a.Errors[0].Severity)
	assert.Contains(t, a.Errors[0].Message, "file name \"a\"b`c'd\"")
}

func TestAThousandObservables(t *testing.T) {
	t.Parallel()
	r := newRelay(t, []qualystest.Event{badFile(3), badFile(999)})
	var asked []string
	for i := range 1000 {
		asked = append(asked, "sha256", sha(i))
	}
	a := r.query("/observe/observables", asked...)
	assert.Empty(t, a.Errors)
	assert.Equal(t, 2, a.Data.Sightings.Count)
	assert.Equal(t, 40, r.fake.Searches())
}

func TestTheLimitIsPerObservableAndSaid(t *testing.T) {
	t.Parallel()
	var events []qualystest.Event
	for i := range 30 {
		events = append(events, qualystest.File(`C:\Data\same.exe`, sha(1), "").At(fmt.Sprintf("2026-03-01T10:%02d:00Z", i)).
			Verdict("MALICIOUS", 8, "a").Verdict("SUSPICIOUS", 5, "b"))
	}
	events = append(events, badFile(7))
	r := newRelay(t, events, "CTR_ENTITIES_LIMIT", "20")
	a := r.query("/observe/observables", "sha256", sha(1), "sha256", sha(7))
	assert.Equal(t, []Code{CodeTruncated}, a.codes())
	assert.Equal(t, Warning, a.Errors[0].Severity)
	assert.Equal(t, `There are more results for the SHA256 "`+sha(1)+`" than the 20 newest that are shown.`, a.Errors[0].Message)
	assert.Equal(t, 21, a.Data.Sightings.Count)
	assert.Equal(t, 21, a.Data.Judgements.Count)
	assert.Equal(t, 21, a.Data.Indicators.Count)
	known := make(map[any]bool)
	for _, docs := range [][]map[string]any{a.Data.Sightings.Docs, a.Data.Indicators.Docs, a.Data.Judgements.Docs} {
		for _, doc := range docs {
			known[doc["id"]] = true
		}
	}
	for _, relationship := range a.Data.Relationships.Docs {
		assert.True(t, known[relationship["source_ref"]] && known[relationship["target_ref"]], "both ends are in the answer")
	}
}

func TestTheTokensLimitOverridesTheEnvironments(t *testing.T) {
	t.Parallel()
	r := newRelay(t, []qualystest.Event{badFile(1), badFile(1).At("2026-04-01T00:00:00Z")})
	r.token = tokenFor(t, qualystest.User, qualystest.Password, "CTR_ENTITIES_LIMIT", "1")
	a := r.query("/observe/observables", "sha256", sha(1))
	assert.Equal(t, 1, a.Data.Sightings.Count)
	assert.Equal(t, []Code{CodeTruncated}, a.codes())
}

func TestDeliberate(t *testing.T) {
	t.Parallel()
	r := newRelay(t, []qualystest.Event{
		badFile(1), badFile(2).Verdict("KNOWN", 0, ""),
		qualystest.Network("evil.exe", "192.0.2.17", "198.51.100.23", "").Verdict("MALICIOUS", 10, "x").Judged(sha(3)),
	})
	a := r.query("/deliberate/observables", "sha256", sha(1), "sha256", sha(2), "sha256", sha(5), "ip", "198.51.100.23", "md5", fmt.Sprintf("%032x", 2))
	assert.Empty(t, a.Errors)
	require.Equal(t, 3, a.Data.Verdicts.Count)
	names := make(map[string]any)
	for _, v := range a.Data.Verdicts.Docs {
		observable, ok := v["observable"].(map[string]any)
		require.True(t, ok)
		names[fmt.Sprint(observable["value"])] = v["disposition_name"]
		assert.Contains(t, a.body, fmt.Sprintf(`"id":%q`, v["judgement_id"]))
	}
	assert.Equal(t, map[string]any{sha(1): "Malicious", sha(2): "Clean", fmt.Sprintf("%032x", 2): "Malicious"}, names)
}

func TestRefer(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	var got struct{ Data []pivot }
	a := r.query("/refer/observables", "sha256", sha(1), "url", "https://c2.example", "file_path", `C:\a b\"x".exe`, "sha256", sha(1))
	require.NoError(t, json.Unmarshal([]byte(a.body), &got))
	require.Len(t, got.Data, 2)
	assert.Equal(t, pivot{
		ID: "ref-qualys-search-sha256-" + sha(1), Title: "Search for this SHA256", Description: "Look up this SHA256 in Qualys IOC",
		URL:        "https://console.example/ioc/#/hunting?search=file.hash.sha256%3A%20%22" + sha(1) + "%22",
		Categories: []string{"Search", "Qualys"},
	}, got.Data[0])
	assert.Zero(t, r.fake.Calls())
	assert.Equal(t, []Code{CodeInvalidArgument}, r.query("/refer/observables", "file_path", `C:\`+strings.Repeat("x", 2100)).codes(), "a link that is too long for CTIM")

	assert.NotEmpty(t, r.post("/refer/observables", "", `[{"type":"ip","value":"192.0.2.1"}]`).body, "no token is needed")
	many := strings.Repeat(`,{"type":"ip","value":"192.0.2.1"}`, 101)[1:]
	assert.Contains(t, r.post("/refer/observables", "", "["+many+"]").body, "has more than 100 observables", "without a token")
	assert.Empty(t, r.post("/refer/observables", r.token, "["+many+"]").Errors)
	large := `[{"type":"file_name","value":"` + strings.Repeat("x", 64<<10) + `"}]`
	assert.Contains(t, r.post("/refer/observables", "", large).body, "is larger than 65536 bytes", "without a token")
	assert.Equal(t, []Code{CodeAuthorization}, r.post("/refer/observables", "nonsense", `[]`).codes(), "but one that is sent is checked")
	bare := newRelayAt(t, r.fake, "API_URL", r.fake.URL)
	assert.Equal(t, []Code{CodeInvalidArgument}, bare.post("/refer/observables", "", `[{"type":"ip","value":"192.0.2.1"}]`).codes())
	assert.Contains(t, bare.post("/refer/observables", tokenFor(t, "u", "p", "PLATFORM_URL", "https://other.example"), `[{"type":"ip","value":"192.0.2.1"}]`).body, "https://other.example/ioc/")
}

func TestHealth(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	assert.JSONEq(t, `{"data":{"status":"ok"}}`, r.post("/health", r.token, "").body)
	r.fake.SetHeader("X-RateLimit-Limit", "300")
	r.fake.SetHeader("X-RateLimit-Remaining", "290")
	r.fake.SetHeader("X-RateLimit-Window-Sec", "3600")
	assert.JSONEq(t, `{"data":{"status":"ok","quotas":{"qualys-api":{"description":"Calls to the Qualys API in 1h0m0s",
		"values":{"bucket_unit":"hour","bucket_limit":300,"current_bucket_consumption":10}}}}}`, r.post("/health", r.token, "").body)
	assert.Equal(t, []Code{CodeAuthorization}, r.post("/health", tokenFor(t, qualystest.User, "wrong"), "").codes())
	assert.Equal(t, []Code{CodeAuthorization}, r.post("/health", "", "").codes())
}

func TestBadInputIsSaidClearly(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	for name, test := range map[string]struct {
		header, body, message string
		code                  Code
	}{
		"no header":             {"", `[]`, "Authorization failed: Authorization header is missing", CodeAuthorization},
		"the wrong scheme":      {"Basic abc", `[]`, "Authorization failed: Wrong authorization type", CodeAuthorization},
		"not a JWT":             {"Bearer nonsense", `[]`, "Authorization failed: Wrong JWT structure", CodeAuthorization},
		"a wrong signature":     {"Bearer " + r.token[:len(r.token)-6] + "AAAAAA", `[]`, "Authorization failed: Failed to decode JWT with provided key", CodeAuthorization},
		"no user":               {"Bearer " + tokenFor(t, "", "p"), `[]`, "Authorization failed: Wrong JWT payload structure", CodeAuthorization},
		"the token comes first": {"", `{`, "Authorization failed: Authorization header is missing", CodeAuthorization},
		"not JSON":              {"Bearer " + r.token, `[{`, `Invalid JSON payload received. {"body":"is not JSON: `, CodeInvalidArgument},
		"an object":             {"Bearer " + r.token, `{}`, `Invalid JSON payload received. {"body":"must be a list of observables"}`, CodeInvalidArgument},
		"a missing value":       {"bearer " + r.token, `[{"type":"ip"}]`, `Invalid JSON payload received. {"0":{"value":"is missing"}}`, CodeInvalidArgument},
		"a body over the limit": {"Bearer " + r.token, "[" + strings.Repeat(" ", maxBody) + "]", `Invalid JSON payload received. {"body":"is larger than 1048576 bytes"}`, CodeInvalidArgument},
		"nested brackets":       {"Bearer " + r.token, strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), `Invalid JSON payload received. {"0":"must be an object`, CodeInvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/observe/observables", strings.NewReader(test.body))
			require.NoError(t, err)
			if test.header != "" {
				request.Header.Set("Authorization", test.header)
			}
			response, err := http.DefaultClient.Do(request)
			require.NoError(t, err)
			defer func() { require.NoError(t, response.Body.Close()) }()
			require.Equal(t, http.StatusOK, response.StatusCode)
			var got struct{ Errors []Error }
			require.NoError(t, json.NewDecoder(response.Body).Decode(&got))
			require.Len(t, got.Errors, 1)
			assert.Equal(t, test.code, got.Errors[0].Code)
			assert.Equal(t, Fatal, got.Errors[0].Severity)
			assert.True(t, strings.HasPrefix(got.Errors[0].Message, test.message), "%s", got.Errors[0].Message)
		})
	}
	t.Cleanup(func() { assert.Zero(t, r.fake.Calls()) })
}

func TestTheServerTimingTellsWhatItCost(t *testing.T) {
	t.Parallel()
	s, _ := quiet(t)
	assert.Regexp(t, `^total;dur=[0-9.]+, qualys;dur=0.0;desc="0 calls", cache;desc="0 hits"$`, call(t, s, "POST", "/version", "").Header().Get("Server-Timing"))
}

func observableNumber(i int) ctim.Observable {
	return ctim.Observable{Type: "sha256", Value: sha(i)}
}

func TestAnAnswerThatIsFullSaysWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	var events []*qualys.Event
	for i := range 20 {
		events = append(events, &qualys.Event{
			ID: fmt.Sprintf("F_%d", i), Type: "FILE", Time: time.Date(2026, 3, 1, 10, i, 0, 0, time.UTC), File: &qualys.File{SHA256: sha(1), Name: "a.exe"},
		})
	}
	const small = 10_000 // bytes, in place of maxAnswer
	r := &request{Request: httptest.NewRequestWithContext(t.Context(), "POST", "/", nil), account: Account{Limit: 100}}
	e := &entities{request: r, bundle: ctim.NewBundle(small)}
	result := search.Result{Observable: observableNumber(1), Events: events}
	assert.False(t, e.addResult(result, mapping.New(result.Observable, "")), "it takes no more")
	shown := e.bundle.Counts()["sighting"]
	assert.Positive(t, shown)
	assert.Less(t, shown, len(events))
	assert.LessOrEqual(t, e.bundle.Len(), small)
	require.Len(t, r.errors, 1)
	assert.Contains(t, r.errors[0].Error(), fmt.Sprintf("it holds %d results for the SHA256", shown))
}
