// Package probe tests at a live gateway what the relay's client believes about Qualys. It only reads, with
// 60 calls at most, one after the other but for four that are made at once, and keeps to Qualys's rate limit.
// It searches for values of events that it found. What it prints and what it writes to the report is made of
// names of keys, types, lengths, numbers and statuses: no value of an event and no word of an answer.
package probe

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/secret"
)

// Options are what a probe needs.
type Options struct {
	Gateway  *url.URL
	User     string
	Password secret.Value

	Timeout time.Duration                        // of each call
	Testing func(belief string) (done func())    // called around each test
	Wait    func(context.Context, time.Duration) // before each call; nil: by the clock
}

// Outcome is what a test found out about a belief.
type Outcome string

// The outcomes.
const (
	Holds        Outcome = "holds"
	DoesNotHold  Outcome = "does not hold"
	CouldNotTell Outcome = "could not tell"
)

// Belief is something that the relay's client takes for granted.
type Belief struct {
	Name    string `json:"belief"`
	Says    string `json:"says"`
	Follows string `json:"follows"` // for the relay, where it does not hold

	test test
}

// test finds out about a belief. It need not name the belief in what it returns.
type test func(context.Context, *prober) Finding

// Finding is a belief and what the probe found out about it.
type Finding struct {
	Belief
	Outcome Outcome `json:"outcome"`
	Seen    string  `json:"seen"`
}

// seen makes a finding. The tests use it with numbers, statuses and names of keys only (answer.String,
// keyName), so that no value gets into one.
func (o Outcome) seen(format string, args ...any) Finding {
	return Finding{Outcome: o, Seen: fmt.Sprintf(format, args...)}
}

// Result is what a probe found out.
type Result struct {
	Findings []Finding
	Outcomes map[Outcome]int // how many findings there are of each
	Calls    int             // how many were made

	prober *prober
}

// Run probes a gateway. It returns an error where Qualys cannot be reached or refuses the login, which is
// tried only once, since accounts are locked after a few; and the context's error where that ends.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Wait == nil {
		o.Wait = func(ctx context.Context, d time.Duration) {
			select {
			case <-time.After(d):
			case <-ctx.Done():
			}
		}
	}
	p := &prober{
		Options: o, belief: "login",
		client:  relayclient.New(o.Gateway, "", o.Timeout),
		headers: make(http.Header), claims: make(jwt.MapClaims),
	}
	if err := p.logIn(ctx); err != nil {
		return nil, err
	}
	result := &Result{Outcomes: make(map[Outcome]int), prober: p}
	for _, b := range beliefs() {
		p.belief = b.Name
		done, stopped := o.Testing(b.Says), p.stopped
		f := b.test(ctx, p)
		done()
		for _, a := range p.calls { // the later tests need no other events than the sample
			if a != p.history && a != p.current {
				a.events = nil
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		f.Belief = b
		if f.Outcome == CouldNotTell && stopped != "" {
			f.Seen = stopped
		}
		result.Findings = append(result.Findings, f)
		result.Outcomes[f.Outcome]++
	}
	result.Calls = len(p.calls)
	return result, nil
}

// logIn returns why there is nothing to probe with.
func (p *prober) logIn(ctx context.Context) error {
	form := url.Values{"username": {p.User}, "password": {string(p.Password)}, "token": {"true"}}
	a := p.call(ctx, 1, relayclient.Request{
		Path: "/auth", Body: []byte(form.Encode()),
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
	})[0]
	switch {
	case a.Status == http.StatusUnauthorized || a.Status == http.StatusBadRequest:
		return fmt.Errorf("the login is refused with %d: the user or the password is wrong, or the account "+
			"is locked or must not use the API; it is tried only once", a.Status)
	case a.Failure != "" || a.Status/100 != 2:
		return fmt.Errorf("the login at %s failed: %w", p.Gateway, cmp.Or(a.cause, errors.New(a.String())))
	}
	return nil
}

// Table shows the findings to a person, in at most width columns.
func (r *Result) Table(width int) string {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Options = table.Options{SeparateHeader: true}
	t.Style().Box.PaddingLeft, t.Style().Box.PaddingRight = "", "  "
	t.Style().Format.Header = text.FormatDefault
	t.SuppressTrailingSpaces()
	t.AppendHeader(table.Row{"Belief", "Outcome", "What was seen, and what follows for the relay"})
	says, rest := width/3, width-width/3-len(CouldNotTell)-6
	for _, f := range r.Findings {
		seen := text.WrapSoft(f.Seen, rest)
		if f.Outcome == DoesNotHold {
			seen += "\n" + text.WrapSoft("=> "+f.Follows, rest)
		}
		t.AppendRow(table.Row{text.WrapSoft(f.Says, says), f.Outcome, seen})
	}
	return t.Render()
}

// Report returns the findings, the calls and the keys of the events as JSON, for a bug report.
func (r *Result) Report(version string) []byte {
	events := make(values)
	for _, e := range r.prober.events {
		if kind := e.text("type"); slices.Contains(types(), kind) {
			for key, list := range e.values {
				events[kind+" "+key] = append(events[kind+" "+key], list...)
			}
		}
	}
	doc, _ := json.MarshalIndent(map[string]any{
		"version": version, "beliefs": r.Findings, "calls": r.prober.calls,
		"token": make(values).add("", map[string]any(r.prober.claims)), "events": events,
	}, "", " ")
	return append(doc, '\n')
}
