// Package consoletest gives the console's tests something to ask: the relay itself, over a fake Qualys
// gateway that holds the story of the demo, in each state in which an analyst may meet it. What the page is
// tested with is thus what the relay answers today. Two answers are made up from the story's, as no fake
// gateway would get them through the relay: an attacker's, and one of a thousand events.
package consoletest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/token"
	"qualysrelay.example/qualys/qualystest"
	"qualysrelay.example/relay"
)

// Relay is a relay that a console can ask.
type Relay struct {
	settings map[string]string           // of the relay, beside those that every one has
	gateway  func(s *qualystest.Server)  // what happens at Qualys
	change   func(answer map[string]any) // of observe
	refer    []byte                      // in place of the relay's own answer
	tile     []byte                      // in place of each tile's data
	old      bool                        // it has no verdicts and no tiles
	plain    bool                        // Qualys divides no count by type, nor by time as it was asked to
}

// Story is a relay that works.
func Story() Relay { return Relay{} }

// Partial truncates what it finds, knows no verdicts, and cannot get everything from Qualys.
func Partial() Relay {
	return Relay{settings: map[string]string{"CTR_ENTITIES_LIMIT": "3"}, old: true,
		gateway: func(s *qualystest.Server) {
			s.Inject(qualystest.Fault{
				On: qualystest.Search, Contains: "pool.glasswing.example",
				Do: qualystest.Status(500, "Internal Server Error"),
			})
		}}
}

// Down has no Qualys to ask.
func Down() Relay { return Relay{gateway: (*qualystest.Server).Close} }

// WithoutPlatform does not know PLATFORM_URL.
func WithoutPlatform() Relay { return Relay{settings: map[string]string{"PLATFORM_URL": ""}} }

// Undivided has a Qualys whose counts divide as little as its documentation promises.
func Undivided() Relay { return Relay{plain: true} }

// Report is a text that an analyst would paste to get the story.
func Report() string {
	return `Incident 2026-0317: a user opened "Invoice-2026-0317.exe" from a mail.
It dropped C:\Users\mira\AppData\Local\Temp\glw\update.exe
(d41f7ab5902c6e38f4b17d0a5e93c8262b7f10e9d6c5a4831e0f9b27c8d3a645), which holds mutex:Global\GLW-7f3a-once
and calls hxxps://cdn[.]glasswing[.]example/gate at 198[.]51[.]100[.]23; a miner joins pool.glasswing[.]example.
A tool on the share: 71d0c4a8e3b95f260d8f1a7c6e2b9340. Seen beside it, probably harmless: 198.51.100.2.`
}

// Script is what the hostile answer tries to run: it would set globalThis.hostile.
const Script = `<img src=x onerror="globalThis.hostile=1"><script>globalThis.hostile=1</script>` +
	`<svg onload=globalThis.hostile=1>`

// Hostile answers with an attacker's values: markup wherever a text is free, a file name of 10,000 letters,
// marks that turn the reading direction, addresses that are scripts.
func Hostile() Relay {
	long := strings.Repeat("a", 9_996) + ".exe"
	turned := "invoice\u202efdp.exe"
	change := func(answer map[string]any) {
		for i, s := range docs(answer, "sightings") {
			s["title"] = Script
			s["description"] = Script + " **" + Script + "** `" + Script +
				"`\n\n- [x](javascript:globalThis.hostile=1)"
			s["source_uri"] = "javascript:globalThis.hostile=1"
			s["external_references"] = []any{map[string]any{
				"source_name": Script, "url": "data:text/html,%3Cscript%3Eparent.hostile=1%3C/script%3E",
			}}
			value := []string{Script, long, turned, "=cmd|' /C calc'!A0", "\u200f" + Script}[i%5]
			s["observables"] = []any{named("file_name", value)}
			s["relations"] = []any{
				relation("file_name", value, "File_Name_Of<b>", "process_name", "__proto__"),
				relation("process_name", "constructor", "Connected_To", "domain", Script),
			}
			for _, target := range s["targets"].([]any) {
				target.(map[string]any)["observables"] = []any{named("hostname", Script+turned)}
				target.(map[string]any)["os"] = Script
			}
		}
		for _, j := range docs(answer, "judgements") {
			j["reason"] = Script
			j["observable"] = named("file_name", Script)
		}
		for _, i := range docs(answer, "indicators") {
			i["title"] = Script
			i["description"] = Script
			i["tags"] = []any{Script, "\u202e" + Script}
		}
		answer["errors"] = []any{map[string]any{"type": "error", "code": Script, "message": Script}}
	}
	refer := encode(map[string]any{"data": []any{
		map[string]any{"id": "ref-x-search-ip-%", "title": Script, "description": "",
			"url": "javascript:globalThis.hostile=1"},
		map[string]any{"id": "2", "title": Script, "description": Script, "url": "https://qualys.example/?" +
			strings.Repeat("x", 1500)},
	}})
	tile := encode(map[string]any{
		"data": map[string]any{
			"keys": Script, "labels": []any{Script}, "data": []any{
				"| " + Script + " | `" + Script + turned + "` | [x](javascript:globalThis.hostile=1) | [" +
					Script + "](https://qualys.example/) |",
				"**" + Script + "** [x](javascript:globalThis.hostile=1)", 7, nil,
			},
		},
		"errors": []any{map[string]any{"type": "error", "code": Script, "message": Script}},
	})
	return Relay{change: change, refer: refer, tile: tile}
}

// Many answers with the story told until there are n events, on 200 hosts and along 30 days.
func Many(n int) Relay {
	return Relay{change: func(answer map[string]any) {
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
	}}
}

// Start starts the relay until the test ends, and returns a console's way to ask it. What the relay sends to
// Qualys must be what Qualys takes, or the test fails.
func (r Relay) Start(tb qualystest.TB) (ask func(ctx context.Context, path string,
	body []byte) (relayclient.Response, error)) {
	tb.Helper()
	gateway := qualystest.New(tb, qualystest.Config{
		Events: qualystest.Story(), BucketsIgnoreFilter: r.plain, IgnoreGroupBy: r.plain,
	})
	const key = "a key of at least thirty-two bytes, for tests"
	settings := map[string]string{
		"SECRET_KEY": key, "API_URL": gateway.URL, "PLATFORM_URL": "https://qualysguard.example",
		"LOG_LEVEL":    "error",
		"SEARCH_CACHE": "0",
	}
	maps.Copy(settings, r.settings)
	config, err := relay.ConfigFromEnv(func(name string) string { return settings[name] })
	if err != nil {
		tb.Fatalf("consoletest: %v", err)
	}
	config.Now = qualystest.StoryEnd
	service, err := relay.New(config, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatalf("consoletest: %v", err)
	}
	server := httptest.NewServer(r.disturb(service))
	tb.Cleanup(func() {
		server.Close()
		service.Close()
	})
	signed, err := token.Claims{User: qualystest.User, Password: qualystest.Password}.Sign(key, time.Now())
	if err != nil {
		tb.Fatalf("consoletest: %v", err)
	}
	base, err := relayclient.ParseURL("the relay's URL", server.URL)
	if err != nil {
		tb.Fatalf("consoletest: %v", err)
	}
	if r.gateway != nil {
		r.gateway(gateway)
	}
	return relayclient.New(base, signed, time.Minute).Post
}

// disturb changes what the relay answers.
func (r Relay) disturb(service http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", service)
	if r.old {
		mux.Handle("/deliberate/observables", http.NotFoundHandler())
		mux.Handle("/tiles", http.NotFoundHandler())
	}
	if r.refer != nil {
		mux.HandleFunc("/refer/observables",
			func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(r.refer) })
	}
	if r.tile != nil {
		mux.HandleFunc("/tiles/tile-data",
			func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(r.tile) })
	}
	if r.change != nil {
		mux.HandleFunc("/observe/observables", func(w http.ResponseWriter, request *http.Request) {
			recorder := httptest.NewRecorder()
			service.ServeHTTP(recorder, request)
			var answer map[string]any
			if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil {
				panic(err) // the relay answers with JSON
			}
			r.change(answer)
			_, _ = w.Write(encode(answer))
		})
	}
	return mux
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
