package relay

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys/qualystest"
)

func ofKind(kind string) qualystest.Event {
	switch kind {
	case "FILE":
		return qualystest.File(`C:\Temp\svchost.exe`, sha(1), fmt.Sprintf("%032x", 2))
	case "PROCESS":
		return qualystest.Process(`C:\Temp\svchost.exe`, "-k", sha(1))
	case "NETWORK":
		return qualystest.Network("svchost.exe", "192.0.2.17", "198.51.100.23", "c2.example").Image(`C:\Temp\svchost.exe`, sha(1))
	case "MUTEX":
		return qualystest.Mutex(`Global\m`, "svchost.exe").Image(`C:\Temp\svchost.exe`, sha(1))
	}
	return qualystest.Registry(`HKLM\Run`, "a", "b", "svchost.exe").Image(`C:\Temp\svchost.exe`, sha(1))
}

// TestSeverityAndTitleComeFromTheEvent goes through every score and verdict.
func TestSeverityAndTitleComeFromTheEvent(t *testing.T) {
	t.Parallel()
	var events []qualystest.Event
	type want struct{ severity, title string }
	wants := make(map[string]want)
	for _, kind := range []string{"FILE", "PROCESS", "NETWORK", "MUTEX", "REGISTRY"} {
		for score := range 11 {
			for _, verdict := range []string{"MALICIOUS", "SUSPICIOUS", "KNOWN"} {
				id := fmt.Sprintf("%s_%d_%s", kind, score, verdict)
				// The entry's own score is another one.
				events = append(events, ofKind(kind).ID(id).Verdict(verdict, 10-score, "x").Judged(sha(1)).Score(fmt.Sprintf(`"%d"`, score)))
				w := want{severity: []string{"None", "High", "Low", "Low", "Low", "Medium", "Medium", "Medium", "High", "High", "High"}[score]}
				level := []string{"Known Good", "Remediated", "Suspicious Low", "Suspicious Low", "Suspicious Low", "Suspicious Medium", "Suspicious Medium", "Suspicious Medium",
					"Malicious", "Malicious", "Malicious"}[score]
				if verdict == "MALICIOUS" {
					level = "Malicious"
				}
				w.title = level + " " + kind[:1] + strings.ToLower(kind[1:]) + " event"
				wants[id] = w
			}
		}
	}
	r := newRelay(t, events, "CTR_ENTITIES_LIMIT", "1000")
	a := r.query("/observe/observables", "sha256", sha(1))
	assert.Empty(t, a.Errors)
	require.Equal(t, len(events), a.Data.Indicators.Count)
	idOf := func(doc map[string]any) string { return doc["external_ids"].([]any)[0].(string) }
	for _, indicator := range a.Data.Indicators.Docs {
		id := idOf(indicator)
		assert.Equal(t, wants[id].title, indicator["title"], id)
		assert.Equal(t, wants[id].severity, indicator["severity"], id)
		description := fmt.Sprint(indicator["description"])
		assert.NotContains(t, description, "2 to 7")
		if strings.HasSuffix(id, "MALICIOUS") {
			assert.NotContains(t, description, "uspicious", id)
		}
	}
	require.Equal(t, len(events), a.Data.Judgements.Count)
	for _, judgement := range a.Data.Judgements.Docs {
		assert.Equal(t, wants[idOf(judgement)].severity, judgement["severity"], idOf(judgement))
	}
	for _, sighting := range a.Data.Sightings.Docs {
		assert.Equal(t, wants[idOf(sighting)].severity, sighting["severity"], idOf(sighting))
	}
}

// TestOnlyHashesAreJudged asks for everything that the events name.
func TestOnlyHashesAreJudged(t *testing.T) {
	t.Parallel()
	var events []qualystest.Event
	for _, kind := range []string{"FILE", "PROCESS", "NETWORK", "MUTEX", "REGISTRY"} {
		for _, verdict := range []string{"MALICIOUS", "KNOWN", "REMEDIATED", "SUSPICIOUS", "UNKNOWN", "NEW"} {
			events = append(events, ofKind(kind).Verdict(verdict, 8, "x"), ofKind(kind).Verdict(verdict, 8, "y").Judged(sha(2)), ofKind(kind).Verdict(verdict, 8, "z").Judged(""))
		}
	}
	r := newRelay(t, events, "CTR_ENTITIES_LIMIT", "1000")
	for _, asked := range [][]string{
		{"file_name", "svchost.exe"}, {"process_name", "svchost.exe"}, {"file_path", `C:\Temp\svchost.exe`}, {"ip", "198.51.100.23"}, {"ip", "192.0.2.17"}, {"domain", "c2.example"},
		{"mutex", `Global\m`}, {"sha256", sha(1)}, {"md5", fmt.Sprintf("%032x", 2)}, {"hostname", "c2.example"},
	} {
		a := r.query("/observe/observables", asked...)
		assert.Empty(t, a.Errors)
		require.Positive(t, a.Data.Sightings.Count, "%v", asked)
		for _, j := range a.Data.Judgements.Docs {
			observable, ok := j["observable"].(map[string]any)
			require.True(t, ok)
			assert.Contains(t, []any{"sha256", "md5"}, observable["type"], "%v", asked)
		}
		if a = r.query("/deliberate/observables", asked...); asked[0] != "sha256" && asked[0] != "md5" {
			assert.JSONEq(t, `{"data":{}}`, a.body)
		}
	}
}

// TestPublishedEvents answers with the events of Qualys's documents, whose kinds were mapped wrongly.
func TestPublishedEvents(t *testing.T) {
	t.Parallel()
	answerTo := func(name, field, value, kind string) answer {
		text, err := os.ReadFile(filepath.Join("testdata", "published", name))
		require.NoError(t, err)
		var documents []json.RawMessage
		require.NoError(t, json.Unmarshal(text, &documents))
		var events []qualystest.Event
		for _, document := range documents {
			events = append(events, qualystest.Raw(string(document), field, value))
		}
		return newRelay(t, events).query("/observe/observables", kind, value)
	}
	const eicar = "3247bcfd60f6dd25f34cb74b5889ab10ef1b3ec72b4d4b3d95b5b25b534560b8"
	targetOf := func(a answer) (values []string, os string) {
		target, ok := a.Data.Sightings.Docs[0]["targets"].([]any)[0].(map[string]any)
		require.True(t, ok)
		for _, o := range target["observables"].([]any) {
			observable, ok := o.(map[string]any)
			require.True(t, ok)
			values = append(values, fmt.Sprint(observable["type"], " ", observable["value"]))
		}
		return values, fmt.Sprint(target["os"])
	}

	a := answerTo("linux-asset.json", "file.hash.sha256", eicar, "sha256")
	assert.Empty(t, a.Errors)
	values, system := targetOf(a)
	assert.Equal(t, []string{"hostname edr-rhel9", "ip 192.0.2.20", "mac_address 00:00:5E:00:53:02", "ipv6 fe80::250:56ff:fe00:5302"}, values)
	assert.Equal(t, "LINUX", system)

	a = answerTo("masked-interface.json", "file.hash.sha256", eicar, "sha256")
	assert.Empty(t, a.Errors)
	values, _ = targetOf(a)
	assert.Equal(t, []string{"hostname edr-rhel9", "ipv6 fe80::250:56ff:fe00:5302", "mac_address 00:00:5E:00:53:02"}, slices.Sorted(slices.Values(values)))
	assert.NotContains(t, a.body, "X0")

	a = answerTo("file-2025.json", "file.hash.sha256", eicar, "sha256")
	assert.Empty(t, a.Errors)
	assert.Equal(t, "Malicious File event", a.Data.Indicators.Docs[0]["title"])
	assert.Equal(t, "Medium", a.Data.Judgements.Docs[0]["severity"])

	a = answerTo("registry-mutex-rated.json", "process.name", "evil.exe", "process_name")
	assert.Empty(t, a.Errors)
	var titles []string
	for _, indicator := range a.Data.Indicators.Docs {
		titles = append(titles, fmt.Sprint(indicator["title"]))
	}
	assert.ElementsMatch(t, []string{"Malicious Registry event", "Malicious Mutex event"}, titles)

	a = answerTo("scoring-table.json", "process.name", "eicar.com", "process_name")
	assert.Empty(t, a.Errors)
	for _, indicator := range a.Data.Indicators.Docs {
		assert.NotContains(t, indicator["title"], "Suspicious", "%v", indicator["external_ids"])
	}
}

// TestBothHostNames are in the target where they differ, once where they do not.
func TestBothHostNames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ host, netbios, want string }{
		{"dc.corp.example", "DC", "DC dc.corp.example"}, {"ws-1", "WS-1", "WS-1"}, {"ws-1", "", "ws-1"}, {"", "WS-1", "WS-1"},
	} {
		document := fmt.Sprintf(`{"id":"F_1","type":"FILE","dateTime":"2026-03-17T12:19:31.000+0000","file":{"sha256":%q},"asset":{"hostName":%q,"netBiosName":%q,"platform":"WINDOWS"}}`,
			sha(1), test.host, test.netbios)
		a := newRelay(t, []qualystest.Event{qualystest.Raw(document, "file.hash.sha256", sha(1))}).query("/observe/observables", "sha256", sha(1))
		require.Equal(t, 1, a.Data.Sightings.Count)
		target, ok := a.Data.Sightings.Docs[0]["targets"].([]any)[0].(map[string]any)
		require.True(t, ok)
		assert.Equal(t, "WINDOWS", target["os"])
		var names []string
		for _, o := range target["observables"].([]any) {
			names = append(names, fmt.Sprint(o.(map[string]any)["value"]))
		}
		assert.Equal(t, test.want, strings.Join(names, " "))
	}
}

// TestBytesOfAnAnswer: an analyst's browser and the network carry it.
func TestBytesOfAnAnswer(t *testing.T) {
	t.Parallel()
	const most, events = 5500, 100
	for _, kind := range []string{"FILE", "PROCESS", "NETWORK", "MUTEX", "REGISTRY"} {
		var list []qualystest.Event
		for i := range events {
			list = append(list, ofKind(kind).ID(fmt.Sprintf("%s_7d6f0e9c-1d4b-4a1f-9a53-2b8c4d1e7f60_%d", kind[:1], -5_000_000_000_000+i)).Verdict("MALICIOUS", 8, "Win32.Worm.Kolab").Judged(sha(1)))
		}
		a := newRelay(t, list, "PLATFORM_URL", "https://qualysguard.qg2.apps.qualys.com").query("/observe/observables", "sha256", sha(1))
		require.Equal(t, events, a.Data.Sightings.Count)
		assert.Less(t, len(a.body)/events, most, kind)
		assert.Equal(t, events, a.Data.Judgements.Count)
	}
}

// TestHostileEventsMakeAValidAnswer has the gateway, or an attacker on an endpoint, choose each field.
func TestHostileEventsMakeAValidAnswer(t *testing.T) {
	t.Parallel()
	for i, odd := range []string{
		`null`, `7`, `-1`, `1e400`, `""`, `" "`, `"\u0000"`, `"\ud800"`, `"<script>"`, `"` + strings.Repeat("x", 9000) + `"`, `"` + strings.Repeat(`\u00fc`, 3000) + `"`, `[]`, `{}`, `[{}]`, `true`,
		`"2026-03-17T12:19:31Z"`, `"198.51.100.23"`, `{"a":{"b":[1]}}`, `"\u202e\u2028"`, `"a\nb"`,
	} {
		document := strings.ReplaceAll(`{"id":ODD,"type":"FILE","action":ODD,"dateTime":"2026-03-17T12:19:31Z","eventProcessedTime":ODD,"score":ODD,"timeSeriesId":ODD,"eventSource":ODD,
			"file":{"fileName":ODD,"fullPath":ODD,"md5":ODD,"sha256":"HASH"},"process":{"processName":ODD,"fullPath":ODD,"arguments":ODD,"userName":ODD,"pid":ODD,"parentPid":ODD,"processFile":{"sha256":ODD,"md5":ODD}},
			"network":{"localIP":ODD,"remoteIP":ODD,"remoteDns":ODD,"localPort":ODD,"remotePort":ODD,"protocol":ODD,"direction":ODD},"registry":{"key":ODD,"valueName":ODD,"valueData":ODD,"value":ODD},
			"actor":{"processName":ODD,"imageFullPath":ODD,"processId":ODD},"indicator2":[{"score":ODD,"sha256":ODD,"verdict":ODD,"familyName":ODD,"threatName":ODD,"category":ODD},ODD],
			"asset":{"agentId":ODD,"hostName":ODD,"netBiosName":ODD,"fullOSName":ODD,"platform":ODD,"interfaces":[{"ipAddress":ODD,"macAddress":ODD},ODD]}}`, "ODD", odd)
		document = strings.ReplaceAll(document, "HASH", sha(1))
		for j := range 2 {
			kind := []string{"FILE", "PROCESS", "NETWORK", "MUTEX", "REGISTRY", "OTHER"}[(i+3*j)%6]
			r := newRelay(t, nil)
			r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(200, "["+strings.Replace(document, `"FILE"`, `"`+kind+`"`, 1)+"]")})
			a := r.query("/observe/observables", "sha256", sha(1))
			assert.Empty(t, a.Errors, "%s %.40s", kind, odd)
			assert.Positive(t, a.Data.Sightings.Count, "%s %.40s", kind, odd)
			r.query("/deliberate/observables", "sha256", sha(1))
		}
	}
}
