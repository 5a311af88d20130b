// Package check finds out what is wrong between XDR, a relay and Qualys. It follows a request of XDR step
// by step and says of each step what was seen and, where it is not well, what that means and how it is
// fixed. The token is sent only to what proved to be a relay.
package check

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
	"unicode/utf8"

	"qualysrelay.example/cmd/relayctl/errorhelp"
	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/secret"
)

// Mark is how a step ended.
type Mark string

// The marks.
const (
	OK      Mark = "ok"
	Warning Mark = "warning" // it works, but not as well as it should, or not for long
	Failed  Mark = "failed"
	Skipped Mark = "skipped" // Seen says why
)

// Result is a step of the report. Its texts are plain.
type Result struct {
	Step         string   `json:"step"`
	Mark         Mark     `json:"mark"`
	Seen         string   `json:"seen"`
	Means        string   `json:"means,omitempty"`
	Fix          []string `json:"fix,omitempty"` // one thing to do each; a command begins with "$ "
	Milliseconds float64  `json:"ms"`

	After   string `json:"after,omitempty"` // the failed step because of which this one was skipped
	NoToken bool   `json:"-"`               // it was skipped for want of a token
}

func good(format string, args ...any) Result {
	return Result{Mark: OK, Seen: fmt.Sprintf(format, args...)}
}

func skipped(reason string) Result { return Result{Mark: Skipped, Seen: reason} }

// bad is a failed step: what was seen, and the cause by its name in package errorhelp.
func bad(seen, cause string) Result {
	help := errorhelp.Cause(cause)
	return Result{Mark: Failed, Seen: seen, Means: help.Means, Fix: help.Fix}
}

// warning is bad for what works all the same.
func warning(seen, cause string) Result {
	r := bad(seen, cause)
	r.Mark = Warning
	return r
}

// slowAnswer is how long an answer may take before the report warns.
const slowAnswer = 10 * time.Second

// timed adds how long the step took, and what that means where it was long.
func (r Result) timed(took time.Duration) Result {
	r.Milliseconds = float64(took.Microseconds()) / 1000
	if took <= slowAnswer || r.Mark != OK && r.Mark != Warning {
		return r
	}
	cause := "slow start"
	if r.Step == stepHealth || r.Step == stepObserve {
		cause = "slow search"
	}
	help := errorhelp.Cause(cause)
	r.Mark, r.Means = Warning, strings.TrimSpace(r.Means+" "+help.Means)
	r.Fix = append(r.Fix, help.Fix...)
	return r
}

// Options say what to check.
type Options struct {
	URL     string // as the module in XDR has it
	Token   secret.Value
	Timeout time.Duration    // of each answer
	Now     func() time.Time // the clock of this machine
	// Waiting, where it is not nil, is called when a step begins, and what it returns when the step ends.
	Waiting func(step string) func()
}

// checker takes the steps of a check.
type checker struct {
	Options

	// For tests, which have an authority and name servers of their own.
	roots    *x509.CertPool
	resolver *net.Resolver

	client *relayclient.Client // from the first step on
	dates  *datesSeen          // nil while nothing answered
}

// datesSeen is what the clock is judged by: the server's Date, and the local time before and after.
type datesSeen struct {
	date       string
	begin, end time.Time
}

func newChecker(o Options) *checker {
	if o.Waiting == nil {
		o.Waiting = func(string) func() { return func() {} }
	}
	return &checker{Options: o, resolver: net.DefaultResolver}
}

// Run takes the steps in their order and tells each result when it is there. A step that builds on one that
// failed is skipped. The error is the context's or tell's.
func Run(ctx context.Context, o Options, tell func(Result) error) error {
	return newChecker(o).run(ctx, tell)
}

func (c *checker) run(ctx context.Context, tell func(Result) error) error {
	defer func() {
		if c.client != nil {
			c.client.Transport.CloseIdleConnections()
		}
	}()
	blocked := make(map[string]string) // by step: the one that failed
	for _, step := range []struct {
		name, after string
		take        func(context.Context) Result
		withToken   bool
	}{
		{stepURL, "", c.checkForm, false},
		{stepName, stepURL, c.checkName, false},
		{stepConnection, stepName, c.checkConnection, false},
		{stepVersion, stepConnection, c.checkVersion, false},
		{stepWatchdog, stepVersion, c.checkWatchdog, false},
		{stepClock, stepConnection, c.checkClock, false},
		{stepRefusal, stepVersion, c.checkRefusal, false},
		// where nothing refuses a forged token, the good one is not shown
		{stepHealth, stepRefusal, c.checkHealth, true},
		{stepObserve, stepHealth, c.checkObserve, true},
		{stepSlashes, stepVersion, c.checkSlashes, false},
	} {
		var r Result
		var took time.Duration
		if culprit := blocked[step.after]; culprit != "" {
			blocked[step.name] = culprit
			r = skipped(`because "` + culprit + `" failed`)
			r.After = culprit
		} else if step.withToken && c.Token == "" {
			r = skipped(`no token: give --token-file, or set RELAY_TOKEN ("relayctl token" makes one)`)
			r.NoToken = true
		} else {
			done, begin := c.Waiting(step.name), time.Now()
			if r = step.take(ctx); r.Mark == Failed {
				blocked[step.name] = step.name
			}
			took = time.Since(begin)
			done()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		r.Step = step.name
		if err := tell(r.timed(took)); err != nil {
			return err
		}
	}
	return nil
}

// send makes one call, and notes what the clock is judged by.
func (c *checker) send(ctx context.Context, r relayclient.Request) (relayclient.Response, error) {
	local := c.Now()
	got, err := c.client.Send(ctx, r)
	if err == nil && c.dates == nil {
		c.dates = &datesSeen{got.Header.Get("Date"), local, c.Now()}
	}
	return got, err
}

const (
	reportWidth = 120                    // where its lines end, except commands, which are to be pasted
	margin      = "                    " // the indentation of a report's text
)

// Write prints a step for a person.
func (r Result) Write(w io.Writer) error {
	if r.Mark != Skipped {
		r.Seen += fmt.Sprintf(" (%.0f ms)", r.Milliseconds)
	}
	out := fmt.Sprintf("%-8s %-11s", r.Mark, r.Step) + wrapped(r.Seen)
	if r.Means != "" {
		out += fmt.Sprintf("%*s", len(margin), "means:") + wrapped(r.Means)
	}
	label := "fix:"
	for _, line := range r.Fix {
		out += fmt.Sprintf("%*s", len(margin), label)
		if strings.HasPrefix(line, "$ ") {
			out += " " + line + "\n"
		} else {
			out += wrapped(line)
		}
		label = ""
	}
	_, err := io.WriteString(w, out)
	return err
}

// wrapped is text that begins behind the margin.
func wrapped(text string) string {
	var b strings.Builder
	column := len(margin)
	for i, word := range strings.Fields(text) {
		length := 1 + utf8.RuneCountInString(word)
		if i > 0 && column+length > reportWidth {
			b.WriteString("\n" + margin)
			column = len(margin)
		}
		b.WriteString(" " + word)
		column += length
	}
	return b.String() + "\n"
}

// Summary is the last line of a report, and whether all that was to be checked is well. withoutToken says
// that the steps that need a token were not wanted.
func Summary(results []Result, withoutToken bool) (text string, well bool) {
	marks := make(map[Mark]int)
	var unchecked []string // for want of a token
	for _, r := range results {
		marks[r.Mark]++
		if r.NoToken && !withoutToken {
			unchecked = append(unchecked, r.Step)
		}
	}
	text = plain.Count(marks[OK], "step") + " ok"
	if n := marks[Failed]; n > 0 {
		text = fmt.Sprintf("%s of %d failed", plain.Count(n, "step"), len(results))
	}
	if n := marks[Warning]; n > 0 {
		text += ", " + plain.Count(n, "warning")
	}
	if n := marks[Skipped]; n > 0 {
		text += fmt.Sprintf(", %d skipped", n)
	}
	text += "."
	if len(unchecked) > 0 {
		text += " Not checked, for want of a token: " + strings.Join(unchecked, " and ") +
			". --no-token leaves them out."
	}
	return text, marks[Failed] == 0 && len(unchecked) == 0
}
