package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"qualysrelay.example/cmd/relayctl/errorhelp"
	"qualysrelay.example/cmd/relayctl/ioc"
	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/report"
	"qualysrelay.example/ctim"
)

const (
	maxBody        = 1 << 20 // bytes of a request to the console: a long report, pasted whole
	maxObservables = 500     // that are found in a text
)

// answer makes a handler of what takes the page's JSON and returns what the page gets.
func answer[In, Out any](serve func(context.Context, In) Out) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in); err != nil {
			http.Error(w, "Refused: "+plain.OneLine(err.Error(), 300), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(serve(r.Context(), in)) // an error is the connection's
	}
}

// findings are the observables in a text.
type findings struct {
	Observables []ioc.Finding `json:"observables"`
	Skipped     []ioc.Skipped `json:"skipped"`
	More        int           `json:"more,omitempty"` // found, but too many
}

func find(_ context.Context, in struct {
	Text string `json:"text"`
}) findings {
	found, skipped := ioc.Extract(in.Text)
	return findings{
		append([]ioc.Finding{}, found[:min(len(found), maxObservables)]...),
		append([]ioc.Skipped{}, skipped[:min(len(skipped), maxObservables)]...),
		max(0, len(found)-maxObservables),
	}
}

// investigation is what the page gets: the relay's answers as they came, and what is wrong with them.
type investigation struct {
	Observe    json.RawMessage `json:"observe"` // null where there is none
	Deliberate json.RawMessage `json:"deliberate"`
	Refer      json.RawMessage `json:"refer"`
	Problems   []*problem      `json:"problems"`
	Cost       cost            `json:"cost"`
}

// problem is an error in the relay's answers, or a request that got no usable answer.
type problem struct {
	errorhelp.Help
	Endpoints []string `json:"endpoints"` // observe, deliberate, refer, tiles or tile
	Type      string   `json:"type"`      // fatal, error, warning; note: only links are missing
	Code      string   `json:"code"`      // the relay's; empty: no usable answer
	Heading   string   `json:"heading"`
	Message   string   `json:"message"`
}

// cost is what an investigation took. The requests are sent side by side: its time is that of the slowest.
type cost struct {
	Milliseconds float64 `json:"milliseconds"`
	Calls        int     `json:"calls"` // to Qualys, as the relay counted them
	Parts        []part  `json:"parts"`
}

// part is one request's share.
type part struct {
	Endpoint string  `json:"endpoint"`
	Status   int     `json:"status"`          // of HTTP; 0: no answer
	Elapsed  float64 `json:"milliseconds"`    // seen from here
	Relay    float64 `json:"relay,omitempty"` // milliseconds, as the relay measured them
	Qualys   float64 `json:"qualys,omitempty"`
	Calls    int     `json:"calls"`
	Bytes    int     `json:"bytes"`
}

// investigate sends the three requests side by side. One that fails leaves the others' answers as they are.
func (c *console) investigate(ctx context.Context, in struct {
	Observables []ctim.Observable `json:"observables"`
}) *investigation {
	var replies [3]reply
	var group sync.WaitGroup
	for i, path := range []string{relayclient.PathObserve, relayclient.PathDeliberate, relayclient.PathRefer} {
		group.Go(func() { replies[i] = c.ask(ctx, path, in.Observables) })
	}
	group.Wait()
	out := &investigation{Observe: replies[0].Answer, Deliberate: replies[1].Answer, Refer: replies[2].Answer,
		Problems: []*problem{}}
	for _, r := range replies {
		for _, p := range r.Problems {
			i := slices.IndexFunc(out.Problems, func(known *problem) bool {
				return known.Type == p.Type && known.Code == p.Code && known.Message == p.Message
			})
			if i < 0 {
				out.Problems = append(out.Problems, p)
			} else { // of several answers: reported once
				out.Problems[i].Endpoints = append(out.Problems[i].Endpoints, p.Endpoints...)
			}
		}
		out.Cost.Parts = append(out.Cost.Parts, r.Cost)
		out.Cost.Milliseconds = max(out.Cost.Milliseconds, r.Cost.Elapsed)
		out.Cost.Calls += r.Cost.Calls
	}
	return out
}

// endpoints are the names of endpoints on the page, and what is missing without their answer.
var endpoints = map[string]struct{ name, missing string }{
	relayclient.PathObserve:    {"observe", "No events"},
	relayclient.PathDeliberate: {"deliberate", "No verdicts"},
	relayclient.PathRefer:      {"refer", "No links to Qualys"},
	relayclient.PathTiles:      {"tiles", "No tiles"},
	relayclient.PathTileData:   {"tile", "No data"},
}

// reply is what a request to the relay brought.
type reply struct {
	Answer   json.RawMessage `json:"answer"` // a JSON object; null where there is none
	Problems []*problem      `json:"problems"`
	Cost     part            `json:"cost"`
}

// fail says in plain words why there is no answer.
func (r *reply) fail(message string) {
	endpoint := endpoints[r.Cost.Endpoint]
	r.Answer, r.Problems = nil, []*problem{{Endpoints: []string{endpoint.name}, Type: "error",
		Heading: endpoint.missing, Message: message}}
}

// ask sends one request.
func (c *console) ask(ctx context.Context, path string, payload any) (out reply) {
	body, _ := json.Marshal(payload) // strings always encode
	started := time.Now()
	got, err := c.relay.Post(ctx, path, body)
	elapsed, timing := time.Since(started), got.Timing()
	out.Cost = part{path, got.Status, float64(elapsed.Microseconds()) / 1000, timing.Total, timing.Qualys,
		timing.Calls, len(got.Body)}
	var envelope struct {
		Data   *json.RawMessage
		Errors []report.Error
	}
	switch {
	case err != nil:
		out.fail("The request to the relay failed: " + plain.OneLine(err.Error(), 301))
	case got.Status != http.StatusOK:
		out.fail(fmt.Sprintf("The relay answered with HTTP %d: %s", got.Status,
			plain.OneLine(string(got.Body), 301)))
	case json.Unmarshal(got.Body, &envelope) != nil, envelope.Data == nil && len(envelope.Errors) == 0:
		out.fail("The answer is not a relay's: " + plain.OneLine(string(got.Body), 301))
	default:
		out.Answer = got.Body
		for _, e := range envelope.Errors {
			out.Problems = append(out.Problems, c.problem(path, e))
		}
	}
	return out
}

// problem is an error of an answer.
func (c *console) problem(path string, e report.Error) *problem {
	help := errorhelp.For(e.Code, e.Message, relayclient.IsLoopback(c.relay.Base.Hostname()))
	p := &problem{help, []string{endpoints[path].name}, e.Type, e.Code, heading(e.Code), e.Message}
	switch {
	case path == relayclient.PathRefer && strings.Contains(e.Message, "PLATFORM_URL"):
		// the search did not fail
		p.Type, p.Heading, p.Help = "note", endpoints[path].missing, errorhelp.Help{}
	case e.Type != "fatal" && e.Type != "warning":
		p.Type = "error"
	}
	return p
}

// heading makes a title of an error's code.
func heading(code string) string {
	switch code {
	case "", "unknown":
		return "Unexpected failure"
	case "too-many-messages-warning":
		return "Truncated"
	}
	return strings.ToUpper(code[:1]) + code[1:]
}
