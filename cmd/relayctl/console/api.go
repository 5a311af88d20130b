package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
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

func (c *console) find(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Text string `json:"text"`
	}
	if !decode(w, r, &in) {
		return
	}
	found, skipped := ioc.Extract(in.Text)
	respond(w, http.StatusOK, struct {
		Observables []ioc.Finding `json:"observables"`
		Skipped     []ioc.Skipped `json:"skipped"`
		More        int           `json:"more,omitempty"` // found, but too many for one investigation
	}{
		append([]ioc.Finding{}, found[:min(len(found), maxObservables)]...),
		append([]ioc.Skipped{}, skipped[:min(len(skipped), maxObservables)]...),
		max(0, len(found)-maxObservables),
	})
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

func (c *console) investigate(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Observables []ctim.Observable `json:"observables"`
	}
	if !decode(w, r, &in) {
		return
	}
	if n := len(in.Observables); n == 0 || n > maxObservables {
		refuse(w, http.StatusBadRequest,
			fmt.Sprintf("An investigation takes 1 to %d observables, not %d.", maxObservables, n))
		return
	}
	incomplete := func(o ctim.Observable) bool { return o.Type == "" || o.Value == "" }
	if slices.ContainsFunc(in.Observables, incomplete) {
		refuse(w, http.StatusBadRequest, "An observable needs a type and a value.")
		return
	}
	body, _ := json.Marshal(in.Observables) // strings always encode
	respond(w, http.StatusOK, c.query(r.Context(), body))
}

// query sends the three requests side by side. One that fails leaves the others' answers as they are.
func (c *console) query(ctx context.Context, body []byte) investigation {
	endpoints := [...]string{"observe", "deliberate", "refer"}
	out := investigation{Problems: []*problem{}}
	answers := [...]*json.RawMessage{&out.Observe, &out.Deliberate, &out.Refer}
	var problems [len(endpoints)][]*problem
	parts := make([]part, len(endpoints))
	var group sync.WaitGroup
	for i, endpoint := range endpoints {
		group.Go(func() {
			*answers[i], problems[i], parts[i] = c.ask(ctx, endpoint, "/"+endpoint+"/observables", body)
		})
	}
	group.Wait()
	for i, p := range parts {
		for _, problem := range problems[i] {
			out.add(problem)
		}
		out.Cost.Milliseconds = max(out.Cost.Milliseconds, p.Elapsed)
		out.Cost.Calls += p.Calls
	}
	out.Cost.Parts = parts
	return out
}

// ask sends one request, and reads its answer.
func (c *console) ask(
	ctx context.Context, endpoint, path string, body []byte,
) (json.RawMessage, []*problem, part) {
	started := time.Now()
	reply, err := c.options.Ask(ctx, path, body)
	if reply.Duration == 0 {
		reply.Duration = time.Since(started)
	}
	timing, _ := reply.Timing()
	answer, problems := c.read(endpoint, reply, err)
	return answer, problems, part{path, reply.Status, float64(reply.Duration.Microseconds()) / 1000,
		timing.Total, timing.Qualys, timing.Calls, len(reply.Body)}
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

// read takes the JSON object out of a reply and the problems that it tells of, or says in plain words why
// there is none.
func (c *console) read(endpoint string, reply relayclient.Response, err error) (
	json.RawMessage, []*problem,
) {
	fail := func(format string, args ...any) (json.RawMessage, []*problem) {
		lost := map[string]string{"observe": "No events", "deliberate": "No verdicts",
			"refer": "No links to Qualys", "tiles": "No tiles", "tile": "No data"}
		return nil, []*problem{{Endpoints: []string{endpoint}, Type: "error", Heading: lost[endpoint],
			Message: fmt.Sprintf(format, args...)}}
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fail("The relay did not answer in time.")
	case err != nil:
		return fail("The request to the relay failed: %s", line(err.Error()))
	case reply.Status == http.StatusNotFound || reply.Status == http.StatusMethodNotAllowed:
		return fail("The relay has no such endpoint (HTTP %d). "+
			"It may be older than this console, or its URL incomplete.", reply.Status)
	case reply.Status != http.StatusOK:
		return fail("The relay answered with HTTP %d instead of 200: %s", reply.Status,
			line(string(reply.Body)))
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(reply.Body, &object) != nil || object == nil {
		return fail("The relay's answer is not a JSON object: %s", line(string(reply.Body)))
	}
	var errs []report.Error
	if raw, ok := object["errors"]; ok && json.Unmarshal(raw, &errs) != nil {
		errs = []report.Error{{Type: "error", Code: "unknown", Message: line(string(raw))}}
	}
	relay, _ := url.Parse(c.options.RelayURL)
	local := relay != nil && relayclient.IsLoopback(relay.Hostname())
	var problems []*problem
	for _, e := range errs {
		p := &problem{errorhelp.For(e.Code, e.Message, local), []string{endpoint}, e.Type, e.Code,
			heading(e.Code), e.Message}
		switch {
		case endpoint == "refer" && strings.Contains(e.Message, "PLATFORM_URL"): // the search did not fail
			p.Type, p.Heading, p.Help = "note", "No links to Qualys", errorhelp.Help{}
		case e.Type != "fatal" && e.Type != "warning":
			p.Type = "error"
		}
		problems = append(problems, p)
	}
	return reply.Body, problems
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

// decode reads the body of a page's request, or answers what is wrong with it.
func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		if _, err = dec.Token(); errors.Is(err, io.EOF) {
			return true
		}
		err = errors.Join(errors.New("more than one JSON value"), err)
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		refuse(w, http.StatusRequestEntityTooLarge, "The text is longer than 1 MiB.")
		return false
	}
	refuse(w, http.StatusBadRequest, "Not the JSON that this endpoint takes: "+line(err.Error()))
	return false
}

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

func refuse(w http.ResponseWriter, status int, message string) {
	respond(w, status, map[string]string{"error": message})
}
