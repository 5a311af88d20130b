// Package probe tests at a live gateway what the relay's client believes about Qualys. Much of that is
// taken from documentation that is incomplete and from integrations of others; one run with a real account
// tells what is wrong with it.
//
// A probe only reads. It makes 60 calls at most, one after the other but for four that are made at once,
// and keeps to Qualys's rate limit. It searches for values of events that it found. What it prints and
// what it writes to the report is made of names of keys, types, lengths, numbers and statuses: no value of
// an event and no word of an answer is in it.
package probe

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/qualys"
)

// Options are what a probe needs.
type Options struct {
	Gateway  string // the gateway's URL
	User     string
	Password secret.Value
	RootCAs  *x509.CertPool // nil: the system's

	Timeout time.Duration                              // of each call; 0: a minute
	Wait    func(context.Context, time.Duration) error // for a rate limit; nil: by the clock
	Testing func(belief string) (done func())          // called around each test; nil: nobody looks
}

// Outcome is what a test found out about a belief.
type Outcome string

// The outcomes.
const (
	Holds        Outcome = "holds"
	DoesNotHold  Outcome = "does not hold"
	CouldNotTell Outcome = "could not tell"
)

// Finding is a belief and what the probe found out about it.
type Finding struct {
	Name    string  `json:"belief"`
	Says    string  `json:"says"`
	Outcome Outcome `json:"outcome"`
	Seen    string  `json:"seen"`
	Follows string  `json:"follows,omitempty"` // for the relay, where the belief does not hold
}

// Result is what a probe found out.
type Result struct {
	Findings []Finding

	gateway string
	calls   []Call
	claims  shapes            // of the token
	events  map[string]shapes // by type
}

// Run probes a gateway. It returns an error where Qualys cannot be reached or refuses the login, which is
// tried only once, since accounts are locked after a few; and the context's error where that ends.
func Run(ctx context.Context, o Options) (*Result, error) {
	p := &prober{caller: newCaller(o)}
	defer p.transport.CloseIdleConnections()
	p.belief = "login"
	p.login = p.call(ctx, "/auth", "/auth", "", url.Values{
		"username": {o.User}, "password": {string(o.Password)}, "token": {"true"},
	})
	if err := p.loginError(ctx); err != nil {
		return nil, err
	}
	result := &Result{gateway: platformOf(p.gateway), claims: make(shapes), events: make(map[string]shapes)}
	for _, b := range beliefs() {
		p.belief = b.name
		done := func() {}
		if o.Testing != nil {
			done = o.Testing(b.says)
		}
		v := b.test(ctx, p)
		done()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		f := Finding{Name: b.name, Says: b.says, Outcome: v.outcome, Seen: v.seen}
		if v.outcome == DoesNotHold {
			if f.Follows = b.follows; v.follows != "" {
				f.Follows = v.follows
			}
		}
		result.Findings = append(result.Findings, f)
	}
	result.calls = p.calls
	result.claims.add(p.claims)
	for _, e := range p.events {
		kind := strings.ToUpper(e.Type)
		if !slices.Contains(eventTypes(), kind) {
			kind = "other"
		}
		if result.events[kind] == nil {
			result.events[kind] = make(shapes)
		}
		result.events[kind].add(e.doc)
	}
	return result, nil
}

// loginError is why there is nothing to probe with.
func (p *prober) loginError(ctx context.Context) error {
	switch a := p.login; {
	case ctx.Err() != nil:
		return ctx.Err()
	case a.status == 0:
		return fmt.Errorf("%s cannot be reached (%s): %w", p.gateway, a.failure, a.cause)
	case a.status == http.StatusUnauthorized || a.status == http.StatusBadRequest:
		return fmt.Errorf("the login is refused with %d: the user or the password is wrong, or the account "+
			"is locked or must not use the API; it is tried only once", a.status)
	case a.failure != "" || a.status/100 != 2:
		return errors.New("the login failed: " + a.String())
	}
	return nil
}

// platformOf is the name of a shared platform: the host name of a private one is its owner's.
func platformOf(gateway string) string {
	for _, platform := range qualys.Platforms() {
		if strings.EqualFold(platform.Gateway, gateway) {
			return platform.Name
		}
	}
	return "not a shared platform"
}

// Count returns how many beliefs have the outcome.
func (r *Result) Count(o Outcome) int {
	n := 0
	for _, f := range r.Findings {
		if f.Outcome == o {
			n++
		}
	}
	return n
}

// Calls returns how many calls were made.
func (r *Result) Calls() int { return len(r.calls) }

// WriteTable shows the findings to a person, in at most width columns.
func (r *Result) WriteTable(w io.Writer, width int) error {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.Options{SeparateHeader: true, SeparateColumns: false}
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Box.MiddleHorizontal = "─"
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	const outcomes = len(CouldNotTell)
	says := (width - outcomes - 6) * 2 / 5
	rest := width - outcomes - 6 - says
	t.AppendHeader(table.Row{"Belief", "Outcome", "What was seen, and what follows for the relay"})
	for _, f := range r.Findings {
		seen := text.WrapSoft(f.Seen, rest)
		if f.Follows != "" {
			seen += "\n" + text.WrapSoft("=> "+f.Follows, rest)
		}
		t.AppendRow(table.Row{text.WrapSoft(f.Says, says), string(f.Outcome), seen})
	}
	_, err := io.WriteString(w, t.Render()+"\n")
	return err
}

// Report returns the findings, the calls and the keys of the events as JSON, for a bug report.
func (r *Result) Report(version string) ([]byte, error) {
	doc, err := json.MarshalIndent(map[string]any{
		"version": version, "gateway": r.gateway, "beliefs": r.Findings, "calls": r.calls, "token": r.claims,
		"events": r.events,
	}, "", " ")
	return append(doc, '\n'), err
}
