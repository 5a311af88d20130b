// Package consoletest gives the console's tests something to ask: the relay itself, over a fake Qualys
// gateway that holds the story of the demo, in each state in which an analyst may meet it. What the page is
// tested with is thus what the relay answers today.
package consoletest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"qualysrelay.example/cmd/relayctl/demo"
	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/qualys/qualystest"
)

// Relay is a relay that a console can ask. The zero value works, and tells the story.
type Relay struct {
	Settings map[string]string                       // of the relay, beside those that every one has
	Qualys   qualystest.Config                       // the fake gateway, beside its events
	Gateway  func(s *qualystest.Server)              // what happens at Qualys
	Rewrite  func(path string, answer []byte) []byte // what the relay answers instead; nil stands for 404
}

// Partial truncates what it finds, knows no verdicts and no tiles, and cannot get everything from Qualys.
func Partial() Relay {
	return Relay{Settings: map[string]string{"CTR_ENTITIES_LIMIT": "3"},
		Rewrite: func(path string, answer []byte) []byte {
			if path == relayclient.PathDeliberate || path == relayclient.PathTiles {
				return nil
			}
			return answer
		},
		Gateway: func(s *qualystest.Server) {
			s.Inject(qualystest.Fault{
				On: qualystest.Search, Contains: "pool.glasswing.example",
				Do: qualystest.Status(500, "Internal Server Error"),
			})
		}}
}

// Down has no Qualys to ask.
func Down() Relay { return Relay{Gateway: (*qualystest.Server).Close} }

// WithoutPlatform does not know PLATFORM_URL.
func WithoutPlatform() Relay { return Relay{Settings: map[string]string{"PLATFORM_URL": ""}} }

// Report is a text that an analyst would paste to get the story.
const Report = `Incident 2026-0317: a user opened "Invoice-2026-0317.exe" from a mail.
It dropped C:\Users\mira\AppData\Local\Temp\glw\update.exe
(d41f7ab5902c6e38f4b17d0a5e93c8262b7f10e9d6c5a4831e0f9b27c8d3a645), which holds mutex:Global\GLW-7f3a-once
and calls hxxps://cdn[.]glasswing[.]example/gate at 198[.]51[.]100[.]23; a miner joins pool.glasswing[.]example.
A tool on the share: 71d0c4a8e3b95f260d8f1a7c6e2b9340. Seen beside it, probably harmless: 198.51.100.2.`

// Start starts the relay until the test ends, and returns a client of it. What the relay sends to Qualys must
// be what Qualys takes, or the test fails.
func (r Relay) Start(tb qualystest.TB) *relayclient.Client {
	tb.Helper()
	r.Qualys.Events, r.Qualys.Users = qualystest.Story(), map[string]string{demo.User: demo.Password}
	gateway := qualystest.New(tb, r.Qualys)
	service, token, err := demo.Relay(gateway.URL, r.Settings, io.Discard)
	if err != nil {
		tb.Fatalf("consoletest: %v", err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if r.Rewrite == nil {
			service.ServeHTTP(w, request)
			return
		}
		recorder := httptest.NewRecorder()
		service.ServeHTTP(recorder, request)
		answer := r.Rewrite(request.URL.Path, recorder.Body.Bytes())
		if answer == nil {
			http.NotFound(w, request)
			return
		}
		w.Header().Set("Server-Timing", recorder.Header().Get("Server-Timing"))
		_, _ = w.Write(answer)
	}))
	tb.Cleanup(service.Close) // after the server
	tb.Cleanup(server.Close)
	if r.Gateway != nil {
		r.Gateway(gateway)
	}
	base := &url.URL{Scheme: "http", Host: server.Listener.Addr().String()}
	return relayclient.New(base, token, time.Minute)
}
