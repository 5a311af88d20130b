// Package consoletest is a relay for the console's tests: a real HTTP server with canned answers. They tell one story, an opened mail attachment
// and what it did on three hosts, and its variations: nothing found, half of it with errors, an attacker's values, and far too much.
package consoletest

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"qualysrelay.example/cmd/relayctl/console"
)

//go:embed testdata
var canned embed.FS

// Answers is what a relay says, whatever it is asked. A nil answer is HTTP 404, as of a relay that does not know the endpoint.
type Answers struct {
	Observe    []byte
	Deliberate []byte
	Refer      []byte
}

// Report is the text that an analyst would paste to get the story.
func Report() string { return string(file("report.txt")) }

// Story is the whole story: 21 sightings on 3 hosts.
func Story() Answers {
	return Answers{Observe: file("observe.json"), Deliberate: file("deliberate.json"), Refer: file("refer.json")}
}

// Empty is the answer about things that nobody has seen.
func Empty() Answers {
	return Answers{Observe: []byte(`{"data":{}}`), Deliberate: []byte(`{"data":{}}`), Refer: file("refer.json")}
}

// Partial is the beginning of the story beside errors, from an old relay that knows no verdicts.
func Partial() Answers {
	answer := story()
	keep(answer, 7)
	answer["errors"] = []any{
		map[string]any{"type": "warning", "code": "too-many-messages-warning", "message": "More than 7 results for domain cdn-update.example; shown: 7."},
		map[string]any{"type": "warning", "code": "too many requests", "message": "Too many requests to Qualys IOC have been made. Please try again later."},
		map[string]any{"type": "error", "code": "unknown", "message": "Unexpected response from Qualys IOC: 500 Internal Server Error"},
	}
	return Answers{Observe: encode(answer), Refer: file("refer.json")}
}

// HostileScript is what the hostile answer tries to run: it would set globalThis.hostile.
const HostileScript = `<img src=x onerror="globalThis.hostile=1"><script>globalThis.hostile=1</script><svg onload=globalThis.hostile=1>`

// Hostile is the story with an attacker's values in it: markup wherever a text is free, a file name of 10,000 letters, marks that turn the reading
// direction, addresses that are scripts.
func Hostile() Answers {
	answer := story()
	long := strings.Repeat("a", 9_996) + ".exe"
	turned := "invoice\u202efdp.exe"
	for i, s := range docs(answer, "sightings") {
		s["title"] = HostileScript
		s["description"] = HostileScript
		s["source_uri"] = "javascript:globalThis.hostile=1"
		s["external_references"] = []any{map[string]any{"source_name": HostileScript, "url": "data:text/html,%3Cscript%3Eparent.hostile=1%3C/script%3E"}}
		value := []string{HostileScript, long, turned, "\u200f" + HostileScript}[i%4]
		s["observables"] = []any{map[string]any{"type": "file_name", "value": value}}
		s["relations"] = []any{relation("file_name", value, "File_Name_Of<b>", "process_name", "__proto__"), relation("process_name", "constructor", "Connected_To", "domain", HostileScript)}
		for _, target := range s["targets"].([]any) {
			target.(map[string]any)["observables"] = []any{map[string]any{"type": "hostname", "value": HostileScript + turned}}
			target.(map[string]any)["os"] = HostileScript
		}
	}
	for _, j := range docs(answer, "judgements") {
		j["reason"] = HostileScript
		j["observable"] = map[string]any{"type": "file_name", "value": HostileScript}
	}
	for _, i := range docs(answer, "indicators") {
		i["title"] = HostileScript
		i["tags"] = []any{HostileScript, "\u202e" + HostileScript}
	}
	answer["errors"] = []any{map[string]any{"type": "error", "code": HostileScript, "message": HostileScript}}
	return Answers{
		Observe:    encode(answer),
		Deliberate: []byte(`{"data":{}}`),
		Refer: encode(map[string]any{"data": []any{
			map[string]any{"id": "1", "title": HostileScript, "description": HostileScript, "url": "javascript:globalThis.hostile=1"},
			map[string]any{"id": "2", "title": HostileScript, "description": HostileScript, "url": "https://qualys.example/?" + strings.Repeat("x", 1500)},
		}}),
	}
}

// Many is the story told n times over, on 200 hosts and along 30 days.
func Many(n int) Answers {
	answer := story()
	originals := docs(answer, "sightings")
	start := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	sightings := make([]any, 0, n)
	for i := range n {
		s := maps.Clone(originals[i%len(originals)])
		at := start.Add(-time.Duration(i) * 30 * 24 * time.Hour / time.Duration(n)).Format("2006-01-02T15:04:05.000Z")
		s["id"] = fmt.Sprintf("transient:sighting-%d", i)
		s["observed_time"] = map[string]any{"start_time": at, "end_time": at}
		s["timestamp"] = at
		s["severity"] = []string{"Low", "None", "Medium", "Low", "High", "Unknown"}[i*7%6]
		s["targets"] = []any{map[string]any{
			"type": "endpoint", "os": "Microsoft Windows 11 Pro", "observed_time": s["observed_time"],
			"observables": []any{map[string]any{"type": "hostname", "value": fmt.Sprintf("WS-%03d", i*13%200)}, map[string]any{"type": "ip", "value": fmt.Sprintf("192.0.2.%d", i*13%200)}},
		}}
		process := fmt.Sprintf("worker-%02d.exe", i%37)
		s["relations"] = []any{
			relation("process_name", process, "Connected_To", "ip", fmt.Sprintf("198.51.100.%d", i%90)),
			relation("process_name", process, "Connected_To", "domain", fmt.Sprintf("host-%d.example", i%55)),
		}
		sightings = append(sightings, s)
	}
	answer["data"].(map[string]any)["sightings"] = map[string]any{"count": n, "docs": sightings}
	return Answers{Observe: encode(answer), Deliberate: file("deliberate.json"), Refer: file("refer.json")}
}

// Handler is the relay: POST with JSON observables, HTTP 200, and its own account of the time in Server-Timing.
func (a Answers) Handler() http.Handler {
	mux := http.NewServeMux()
	for path, answer := range map[string][]byte{"/observe/observables": a.Observe, "/deliberate/observables": a.Deliberate, "/refer/observables": a.Refer} {
		if answer == nil {
			continue
		}
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			var asked []struct{ Type, Value string }
			body := answer
			if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || len(asked) == 0 {
				body = []byte(`{"errors":[{"type":"fatal","code":"invalid argument","message":"Invalid JSON payload received. {}"}]}`)
			}
			switch path {
			case "/observe/observables":
				w.Header().Set("Server-Timing", `total;dur=184.2, qualys;dur=171.8;desc="2 calls"`)
			case "/deliberate/observables":
				w.Header().Set("Server-Timing", `total;dur=96.4, qualys;dur=90.1;desc="1 call"`)
			default:
				w.Header().Set("Server-Timing", `total;dur=0.3`)
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(body)
		})
	}
	return mux
}

// Ask is the console's way to a relay at url.
func Ask(url string) func(ctx context.Context, path string, body []byte) (console.Reply, error) {
	return func(ctx context.Context, path string, body []byte) (console.Reply, error) {
		started := time.Now()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+path, bytes.NewReader(body))
		if err != nil {
			return console.Reply{}, err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return console.Reply{}, err
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		return console.Reply{Body: answer, Header: response.Header, Duration: time.Since(started), Status: response.StatusCode}, err
	}
}

func file(name string) []byte {
	content, err := canned.ReadFile("testdata/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	return content
}

func story() map[string]any {
	var answer map[string]any
	if err := json.Unmarshal(file("observe.json"), &answer); err != nil {
		panic(err) // it is embedded
	}
	return answer
}

func encode(answer map[string]any) []byte {
	encoded, err := json.Marshal(answer)
	if err != nil {
		panic(err) // it was JSON before
	}
	return encoded
}

// docs are the documents of a kind, to be changed in place.
func docs(answer map[string]any, kind string) []map[string]any {
	list := answer["data"].(map[string]any)[kind].(map[string]any)["docs"].([]any)
	found := make([]map[string]any, 0, len(list))
	for _, d := range list {
		found = append(found, d.(map[string]any))
	}
	return found
}

// keep cuts the answer to its oldest n sightings and what belongs to them.
func keep(answer map[string]any, n int) {
	data := answer["data"].(map[string]any)
	put := func(kind string, of []any) { data[kind] = map[string]any{"count": len(of), "docs": of} }
	all := docs(answer, "sightings")
	var sightings []any
	events := map[any]bool{}
	for _, s := range all[len(all)-n:] {
		sightings = append(sightings, s)
		events[s["external_ids"].([]any)[0]] = true
	}
	put("sightings", sightings)
	ids := map[any]bool{}
	for _, s := range sightings {
		ids[s.(map[string]any)["id"]] = true
	}
	for _, kind := range []string{"indicators", "judgements"} {
		var of []any
		for _, d := range docs(answer, kind) {
			if events[d["external_ids"].([]any)[0]] {
				of = append(of, d)
				ids[d["id"]] = true
			}
		}
		put(kind, of)
	}
	put("relationships", slices.DeleteFunc(slices.Clone(data["relationships"].(map[string]any)["docs"].([]any)), func(d any) bool {
		r := d.(map[string]any)
		return !ids[r["source_ref"]] || !ids[r["target_ref"]]
	}))
}

func relation(fromType, from, name, toType, to string) map[string]any {
	return map[string]any{"origin": "Qualys IOC", "relation": name, "source": map[string]any{"type": fromType, "value": from}, "related": map[string]any{"type": toType, "value": to}}
}
