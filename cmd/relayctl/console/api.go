package console

import (
	"context"
	"encoding/json"
	"errors"
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
	maxObservables = 500     // in one investigation
)

// answer makes a handler of what takes the page's JSON and returns what the page gets, or why the request is
// refused.
func answer[In, Out any](serve func(context.Context, In) (out Out, refused string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		decoder.DisallowUnknownFields()
		err := decoder.Decode(&in)
		if err == nil && decoder.More() {
			err = errors.New("more than one JSON value")
		}
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			respond(w, http.StatusRequestEntityTooLarge, refusal("The text is longer than 1 MiB."))
			return
		}
		if err != nil {
			respond(w, http.StatusBadRequest,
				refusal("Not the JSON that this endpoint takes: "+line(err.Error())))
			return
		}
		out, refused := serve(r.Context(), in)
		if refused != "" {
			respond(w, http.StatusBadRequest, refusal(refused))
			return
		}
		respond(w, http.StatusOK, out)
	}
}

// refusal is what the page gets in place of an answer.
func refusal(message string) any { return map[string]string{"error": message} }

func respond(w http.ResponseWriter, status int, payload any) {
	body, err := json.Marshal(payload)
	if err != nil { // a relay's answer is checked before it gets here
		status, body = http.StatusInternalServerError, []byte(`{"error":"The answer cannot be encoded."}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// findings are the observables in a text.
type findings struct {
	Observables []ioc.Finding `json:"observables"`
	Skipped     []ioc.Skipped `json:"skipped"`
	More        int           `json:"more,omitempty"` // found, but too many for one investigation
}

func find(_ context.Context, in struct {
	Text string `json:"text"`
}) (findings, string) {
	found, skipped := ioc.Extract(in.Text)
	return findings{
		append([]ioc.Finding{}, found[:min(len(found), maxObservables)]...),
		append([]ioc.Skipped{}, skipped[:min(len(skipped), maxObservables)]...),
		max(0, len(found)-maxObservables),
	}, ""
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
}) (*investigation, string) {
	if n := len(in.Observables); n == 0 || n > maxObservables {
		return nil, fmt.Sprintf("An investigation takes 1 to %d observables, not %d.", maxObservables, n)
	}
	for _, o := range in.Observables {
		if o.Type == "" || o.Value == "" {
			return nil, "An observable needs a type and a value."
		}
	}
	body, _ := json.Marshal(in.Observables) // strings always encode
	var replies [3]reply
	var group sync.WaitGroup
	for i, path := range []string{relayclient.PathObserve, relayclient.PathDeliberate, relayclient.PathRefer} {
		group.Go(func() { replies[i] = c.ask(ctx, path, body) })
	}
	group.Wait()
	out := &investigation{Observe: replies[0].Answer, Deliberate: replies[1].Answer, Refer: replies[2].Answer,
		Problems: []*problem{}}
	for _, r := range replies {
		for _, p := range r.Problems {
			out.add(p)
		}
		out.Cost.Parts = append(out.Cost.Parts, r.Cost)
		out.Cost.Milliseconds = max(out.Cost.Milliseconds, r.Cost.Elapsed)
		out.Cost.Calls += r.Cost.Calls
	}
	return out, ""
}

// add reports a problem of several answers once.
func (v *investigation) add(p *problem) {
	for _, known := range v.Problems {
		if known.Type == p.Type && known.Code == p.Code && known.Message == p.Message {
			if !slices.Contains(known.Endpoints, p.Endpoints[0]) {
				known.Endpoints = append(known.Endpoints, p.Endpoints[0])
			}
			return
		}
	}
	v.Problems = append(v.Problems, p)
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

// ask sends one request.
func (c *console) ask(ctx context.Context, path string, body []byte) reply {
	started := time.Now()
	got, err := c.Ask(ctx, path, body)
	elapsed, timing := time.Since(started), got.Timing()
	out := reply{Cost: part{path, got.Status, float64(elapsed.Microseconds()) / 1000, timing.Total, timing.Qualys,
		timing.Calls, len(got.Body)}}
	var object map[string]json.RawMessage
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		out.fail("The relay did not answer in time.")
	case err != nil:
		out.fail("The request to the relay failed: %s", line(err.Error()))
	case got.Status == http.StatusNotFound || got.Status == http.StatusMethodNotAllowed:
		out.fail("The relay has no such endpoint (HTTP %d). "+
			"It may be older than this console, or its URL incomplete.", got.Status)
	case got.Status != http.StatusOK:
		out.fail("The relay answered with HTTP %d instead of 200: %s", got.Status, line(string(got.Body)))
	case json.Unmarshal(got.Body, &object) != nil || object == nil:
		out.fail("The relay's answer is not a JSON object: %s", line(string(got.Body)))
	default:
		out.Answer = got.Body
		out.Problems = c.problems(path, object["errors"])
	}
	return out
}

// fail says in plain words why there is no answer.
func (r *reply) fail(format string, args ...any) {
	endpoint := endpoints[r.Cost.Endpoint]
	r.Answer, r.Problems = nil, []*problem{{Endpoints: []string{endpoint.name}, Type: "error",
		Heading: endpoint.missing, Message: fmt.Sprintf(format, args...)}}
}

// problems are the errors of an answer.
func (c *console) problems(path string, list json.RawMessage) []*problem {
	var errs []report.Error
	if len(list) > 0 && json.Unmarshal(list, &errs) != nil {
		errs = []report.Error{{Type: "error", Code: "unknown", Message: line(string(list))}}
	}
	var problems []*problem
	for _, e := range errs {
		p := &problem{errorhelp.For(e.Code, e.Message, c.local), []string{endpoints[path].name}, e.Type, e.Code,
			heading(e.Code), e.Message}
		switch {
		case path == relayclient.PathRefer && strings.Contains(e.Message, "PLATFORM_URL"):
			// the search did not fail
			p.Type, p.Heading, p.Help = "note", endpoints[path].missing, errorhelp.Help{}
		case e.Type != "fatal" && e.Type != "warning":
			p.Type = "error"
		}
		problems = append(problems, p)
	}
	return problems
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

// line makes text from elsewhere fit for a message.
func line(s string) string {
	if s = plain.OneLine(s, 301); s == "" {
		return "(empty)"
	}
	return s
}
