package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"qualysrelay.example/cmd/relayctl/ioc"
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
	// value is a finding as the page has it; left is what it does not ask, and why.
	type value struct {
		observable
		Note string `json:"note,omitempty"`
	}
	type left struct {
		Text   string `json:"text"`
		Reason string `json:"reason"`
	}
	found, skipped := ioc.Extract(in.Text)
	values, leave := []value{}, []left{}
	for _, f := range found[:min(len(found), maxObservables)] {
		values = append(values, value{observable{string(f.Observable.Type), f.Observable.Value}, f.Note})
	}
	for _, s := range skipped[:min(len(skipped), maxObservables)] {
		leave = append(leave, left(s))
	}
	respond(w, http.StatusOK, struct {
		Observables []value `json:"observables"`
		Skipped     []left  `json:"skipped"`
		More        int     `json:"more,omitempty"` // found, but too many to ask for at once
	}{values, leave, max(0, len(found)-maxObservables)})
}

// observable is what the relay takes.
type observable struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// investigation is what the page gets: the relay's answers as they came, and what went wrong on the way to them.
type investigation struct {
	Observe    json.RawMessage `json:"observe"` // null where there is none
	Deliberate json.RawMessage `json:"deliberate"`
	Refer      json.RawMessage `json:"refer"`
	Problems   []problem       `json:"problems"`
	Cost       cost            `json:"cost"`
}

// problem is a question that got no usable answer.
type problem struct {
	Endpoint string `json:"endpoint"`
	Type     string `json:"type"` // CTIM's words: error, or warning where the rest tells enough
	Message  string `json:"message"`
}

// cost is what an investigation took. The questions are asked side by side, so its time is that of the slowest.
type cost struct {
	Milliseconds float64 `json:"milliseconds"`
	Calls        int     `json:"calls"` // to Qualys, as the relay counted them
	Parts        []part  `json:"parts"`
}

// part is one question's share.
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
		Observables []observable `json:"observables"`
	}
	if !decode(w, r, &in) {
		return
	}
	if n := len(in.Observables); n == 0 || n > maxObservables {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("An investigation takes 1 to %d observables, not %d.", maxObservables, n))
		return
	}
	for _, o := range in.Observables {
		if o.Type == "" || o.Value == "" {
			refuse(w, http.StatusBadRequest, "An observable needs a type and a value.")
			return
		}
	}
	body, err := json.Marshal(in.Observables)
	if err != nil { // strings always encode
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	respond(w, http.StatusOK, c.ask(r.Context(), body))
}

// ask puts the three questions side by side. One that fails leaves the others' answers standing.
func (c *console) ask(ctx context.Context, body []byte) investigation {
	var (
		out       investigation
		endpoints = [...]string{"/observe/observables", "/deliberate/observables", "/refer/observables"}
		answers   = [...]*json.RawMessage{&out.Observe, &out.Deliberate, &out.Refer}
		problems  [len(endpoints)]string
		parts     [len(endpoints)]part
		group     sync.WaitGroup
	)
	for i, endpoint := range endpoints {
		group.Go(func() {
			started := time.Now()
			reply, err := c.options.Ask(ctx, endpoint, body)
			if reply.Duration == 0 {
				reply.Duration = time.Since(started)
			}
			parts[i] = measure(endpoint, reply)
			*answers[i], problems[i] = read(reply, err)
		})
	}
	group.Wait()

	out.Problems = []problem{}
	for i, message := range problems {
		if message != "" {
			kind := "error"
			if i > 0 { // without verdicts and links, the sightings still tell the story
				kind = "warning"
			}
			out.Problems = append(out.Problems, problem{Endpoint: endpoints[i], Type: kind, Message: message})
		}
		out.Cost.Milliseconds = max(out.Cost.Milliseconds, parts[i].Elapsed)
		out.Cost.Calls += parts[i].Calls
	}
	out.Cost.Parts = parts[:]
	return out
}

// read takes the JSON object out of a reply, or says in plain words why there is none.
func read(reply Reply, err error) (json.RawMessage, string) {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, "The relay did not answer in time."
	case err != nil:
		return nil, "The relay could not be asked: " + line(err.Error())
	case reply.Status == http.StatusNotFound || reply.Status == http.StatusMethodNotAllowed:
		return nil, fmt.Sprintf("The relay does not answer this question (HTTP %d). It may be older than this console, or its URL incomplete.", reply.Status)
	case reply.Status != http.StatusOK:
		return nil, fmt.Sprintf("The relay answered with HTTP %d instead of 200: %s", reply.Status, line(string(reply.Body)))
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(reply.Body, &object) != nil || object == nil {
		return nil, "The relay's answer is not a JSON object: " + line(string(reply.Body))
	}
	return reply.Body, ""
}

// line makes text from elsewhere fit for a message: one line, 300 characters at most.
func line(s string) string {
	const limit = 300
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s[:min(len(s), 8*limit)], "")), " ")
	if s == "" {
		return "(empty)"
	}
	if runes := []rune(s); len(runes) > limit {
		s = string(runes[:limit]) + "…"
	}
	return s
}

// decode reads the body of a page's request, or answers what is wrong with it.
func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		_, err = dec.Token()
		if errors.Is(err, io.EOF) {
			return true
		}
		err = errors.Join(errors.New("more than one JSON value"), err)
	}
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
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
	respond(w, status, struct {
		Error string `json:"error"`
	}{message})
}
