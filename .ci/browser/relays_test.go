package browser

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/cmd/relayctl/console/consoletest"
	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/ctim/ctimschema"
	"qualysrelay.example/qualys/qualystest"
)

// Two answers are made up from the story's, as no fake gateway would get them through the relay: an
// attacker's, and one of a thousand events.

// script is what the hostile answer tries to run: it would set globalThis.hostile.
const script = `<img src=x onerror="globalThis.hostile=1"><script>globalThis.hostile=1</script>` +
	`<svg onload=globalThis.hostile=1>`

// hostile answers with an attacker's values: markup wherever a text is free, a file name of 10,000 letters,
// marks that turn the reading direction, addresses that are scripts.
func hostile() consoletest.Relay {
	long := strings.Repeat("a", 9_996) + ".exe"
	turned := "invoice\u202efdp.exe"
	change := func(answer map[string]any) {
		for i, s := range docs(answer, "sightings") {
			s["title"] = script
			s["description"] = script + " **" + script + "** `" + script +
				"`\n\n- [x](javascript:globalThis.hostile=1)"
			s["source_uri"] = "javascript:globalThis.hostile=1"
			s["external_references"] = []any{map[string]any{
				"source_name": script, "url": "data:text/html,%3Cscript%3Eparent.hostile=1%3C/script%3E",
			}}
			value := []string{script, long, turned, "=cmd|' /C calc'!A0", "\u200f" + script}[i%5]
			s["observables"] = []any{named("file_name", value)}
			s["relations"] = []any{
				relation("file_name", value, "File_Name_Of<b>", "process_name", "__proto__"),
				relation("process_name", "constructor", "Connected_To", "domain", script),
			}
			for _, target := range s["targets"].([]any) {
				target.(map[string]any)["observables"] = []any{named("hostname", script+turned)}
				target.(map[string]any)["os"] = script
			}
		}
		for _, j := range docs(answer, "judgements") {
			j["reason"] = script
			j["observable"] = named("file_name", script)
		}
		for _, i := range docs(answer, "indicators") {
			i["title"] = script
			i["description"] = script
			i["tags"] = []any{script, "\u202e" + script}
		}
		answer["errors"] = []any{map[string]any{"type": "error", "code": script, "message": script}}
	}
	refer := encode(map[string]any{"data": []any{
		map[string]any{"id": "ref-x-search-ip-%", "title": script, "description": "",
			"url": "javascript:globalThis.hostile=1"},
		map[string]any{"id": "2", "title": script, "description": script, "url": "https://qualys.example/?" +
			strings.Repeat("x", 1500)},
	}})
	tile := encode(map[string]any{
		"data": map[string]any{
			"keys": script, "labels": []any{script}, "data": []any{
				"| " + script + " | `" + script + turned + "` | [x](javascript:globalThis.hostile=1) | [" +
					script + "](https://qualys.example/) |",
				"**" + script + "** [x](javascript:globalThis.hostile=1)", 7, nil,
			},
		},
		"errors": []any{map[string]any{"type": "error", "code": script, "message": script}},
	})
	return consoletest.Relay{Rewrite: func(path string, answer []byte) []byte {
		switch path {
		case relayclient.PathObserve:
			return changed(answer, change)
		case relayclient.PathRefer:
			return refer
		case relayclient.PathTileData:
			return tile
		}
		return answer
	}}
}

// many answers with the story told until there are n events, on 200 hosts and along 30 days.
func many(n int) consoletest.Relay {
	change := func(answer map[string]any) {
		originals := docs(answer, "sightings")
		start := time.Date(2026, 3, 23, 10, 0, 0, 0, time.UTC)
		sightings := make([]any, 0, n)
		for i := range n {
			s := maps.Clone(originals[i%len(originals)])
			at := start.Add(-time.Duration(i) * 30 * 24 * time.Hour / time.Duration(n)).
				Format("2006-01-02T15:04:05.000Z")
			s["id"] = fmt.Sprintf("transient:sighting-%d", i)
			s["external_ids"] = []any{fmt.Sprintf("event-%d", i)}
			s["observed_time"] = map[string]any{"start_time": at, "end_time": at}
			s["severity"] = []string{"Low", "None", "Medium", "Low", "High", "Unknown"}[i*7%6]
			s["targets"] = []any{map[string]any{
				"type": "endpoint", "os": "Microsoft Windows 11 Pro", "observed_time": s["observed_time"],
				"observables": []any{
					named("hostname", fmt.Sprintf("WS-%03d", i*13%200)),
					named("ip", fmt.Sprintf("192.0.2.%d", i*13%200)),
				},
			}}
			process := fmt.Sprintf("worker-%02d.exe", i%37)
			s["relations"] = []any{
				relation("process_name", process, "Connected_To", "ip", fmt.Sprintf("198.51.100.%d", i%90)),
				relation("process_name", process, "Connected_To", "domain",
					fmt.Sprintf("host-%d.example", i%55)),
			}
			sightings = append(sightings, s)
		}
		answer["data"].(map[string]any)["sightings"] = map[string]any{"count": n, "docs": sightings}
	}
	return consoletest.Relay{Rewrite: func(path string, answer []byte) []byte {
		if path == relayclient.PathObserve {
			return changed(answer, change)
		}
		return answer
	}}
}

// changed is a relay's answer after the change.
func changed(body []byte, change func(answer map[string]any)) []byte {
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil {
		panic(err) // the relay answers with JSON
	}
	change(answer)
	return encode(answer)
}

// undivided has a Qualys whose counts divide as little as its documentation promises.
func undivided() consoletest.Relay {
	return consoletest.Relay{Qualys: qualystest.Config{BucketsIgnoreFilter: true, IgnoreGroupBy: true}}
}

func encode(answer map[string]any) []byte {
	encoded, err := json.Marshal(answer)
	if err != nil {
		panic(err) // strings encode
	}
	return encoded
}

// docs are the documents of a kind, to be changed in place.
func docs(answer map[string]any, kind string) []map[string]any {
	data, _ := answer["data"].(map[string]any)
	bundle, _ := data[kind].(map[string]any)
	list, _ := bundle["docs"].([]any) // nothing where the relay found nothing
	found := make([]map[string]any, 0, len(list))
	for _, d := range list {
		found = append(found, d.(map[string]any))
	}
	return found
}

func named(kind, value string) map[string]any { return map[string]any{"type": kind, "value": value} }

func relation(fromType, from, name, toType, to string) map[string]any {
	return map[string]any{
		"origin": "Qualys IOC", "relation": name, "source": named(fromType, from),
		"related": named(toType, to),
	}
}

func TestEveryAnswerIsOneThatTheRelayMayGive(t *testing.T) {
	for name, relay := range map[string]consoletest.Relay{"hostile": hostile(), "many": many(50)} {
		t.Run(name, func(t *testing.T) {
			client := relay.Start(t)
			body := []byte(`[{"type":"ip","value":"198.51.100.23"},{"type":"domain","value":"pool.glasswing.example"}]`)
			observed, err := client.Post(t.Context(), relayclient.PathObserve, body)
			require.NoError(t, err)
			assert.NoError(t, ctimschema.Validate("ObserveResponse", observed.Body), "%s", observed.Body)
			referred, err := client.Post(t.Context(), relayclient.PathRefer, body)
			require.NoError(t, err)
			assert.NoError(t, ctimschema.Validate("ReferResponse", referred.Body), "%s", referred.Body)
		})
	}
}
