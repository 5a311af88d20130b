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
	"net/url"
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
	raw      string                                  // the URL as it was given
	connect  func(base *url.URL) *relayclient.Client // a function, as it holds the token
	hasToken bool
	timeout  time.Duration
	now      func() time.Time
	waiting  func(step string) (done func())

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
	c := &checker{
		raw: o.URL,
		connect: func(base *url.URL) *relayclient.Client {
			return relayclient.New(base, o.Token,
				o.Timeout)
		},
		hasToken: o.Token != "",
		timeout:  o.Timeout,
		now:      o.Now,
		waiting:  o.Waiting,
		resolver: net.DefaultResolver,
	}
	if c.waiting == nil {
		c.waiting = func(string) func() { return func() {} }
	}
	return c
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
	}{
		{stepURL, "", c.checkForm},
		{stepName, stepURL, c.checkName},
		{stepConnection, stepName, c.checkConnection},
		{stepVersion, stepConnection, c.checkVersion},
		{stepWatchdog, stepVersion, c.checkWatchdog},
		{stepClock, stepConnection, c.checkClock},
		{stepRefusal, stepVersion, c.checkRefusal},
		// where nothing refuses a forged token, the good one is not shown
		{stepHealth, stepRefusal, c.checkHealth},
		{stepObserve, stepHealth, c.checkObserve},
		{stepSlashes, stepVersion, c.checkSlashes},
	} {
		var r Result
		var took time.Duration
		if culprit := blocked[step.after]; culprit != "" {
			blocked[step.name] = culprit
			r = skipped(`because "` + culprit + `" failed`)
			r.After = culprit
		} else {
			done := c.waiting(step.name)
			begin := time.Now()
			r = step.take(ctx)
			took = time.Since(begin)
			done()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.Mark == Failed {
			blocked[step.name] = step.name
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
	local := c.now()
	got, err := c.client.Send(ctx, r)
	if err == nil && c.dates == nil {
		c.dates = &datesSeen{got.Header.Get("Date"), local, c.now()}
	}
	return got, err
}

const (
	// where lines of the report end, except commands, which are to be pasted
	reportWidth = 120
	margin      = "                     " // the indentation of a report's text
)

// Write prints a step for a person.
func (r Result) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%-8s %-11s", r.Mark, r.Step) // all labels are as wide
	seen := r.Seen
	if r.Mark != Skipped {
		seen += fmt.Sprintf(" (%.0f ms)", r.Milliseconds)
	}
	writeWrapped(&b, seen)
	if r.Means != "" {
		b.WriteString("              means:")
		writeWrapped(&b, r.Means)
	}
	for i, line := range r.Fix {
		if i == 0 {
			b.WriteString("                fix:")
		} else {
			b.WriteString(margin[1:])
		}
		if strings.HasPrefix(line, "$ ") {
			b.WriteString(" " + line + "\n")
			continue
		}
		writeWrapped(&b, line)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeWrapped ends a line that is as wide as margin already but for its last space.
func writeWrapped(b *strings.Builder, text string) {
	column := len(margin) - 1
	for i, word := range strings.Fields(text) {
		if i > 0 && column+1+utf8.RuneCountInString(word) > reportWidth {
			b.WriteString("\n" + margin[1:])
			column = len(margin) - 1
		}
		b.WriteString(" " + word)
		column += 1 + utf8.RuneCountInString(word)
	}
	b.WriteString("\n")
}

// Summary is the last line of a report, and whether all that was to be checked is well. withoutToken says
// that the steps that need a token were not wanted.
func Summary(results []Result, withoutToken bool) (text string, well bool) {
	marks := make(map[Mark]int)
	var unchecked []string // for want of a token
	for _, r := range results {
		marks[r.Mark]++
		if r.NoToken {
			unchecked = append(unchecked, r.Step)
		}
	}
	if n := marks[Failed]; n > 0 {
		text = fmt.Sprintf("%s of %d failed", plain.Count(n, "step"), len(results))
	} else {
		text = plain.Count(marks[OK], "step") + " ok"
	}
	if n := marks[Warning]; n > 0 {
		text += ", " + plain.Count(n, "warning")
	}
	if n := marks[Skipped]; n > 0 {
		text += fmt.Sprintf(", %d skipped", n)
	}
	text += "."
	well = marks[Failed] == 0
	if len(unchecked) > 0 && !withoutToken {
		well = false
		text += " Not checked, for want of a token: " + strings.Join(unchecked, " and ") +
			". --no-token leaves them out."
	}
	return text, well
}
