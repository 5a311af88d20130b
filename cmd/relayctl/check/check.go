// Package check finds out what is wrong between XDR, a relay and Qualys. It follows a request of XDR step
// by step and says of each step what was seen and, where it is not well, what that means and how it is
// fixed. The token is sent only to what proved to be a relay.
package check

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

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

// Error makes a Result what a step returns that did not end well.
func (r Result) Error() string { return r.Seen }

// bad is a failed step: what was seen, and the cause by its name in package errorhelp.
func bad(seen, cause string) Result { return explained(Failed, seen, errorhelp.Cause(cause)) }

// warning is bad for what works all the same.
func warning(seen, cause string) Result { return explained(Warning, seen, errorhelp.Cause(cause)) }

func skipped(reason string) Result { return Result{Mark: Skipped, Seen: reason} }

func explained(mark Mark, seen string, help errorhelp.Help) Result {
	return Result{Mark: mark, Seen: seen, Means: help.Means, Fix: help.Fix}
}

// timed adds how long the step took, and where that was more than 10 s, what slow means: a name in package
// errorhelp.
func (r Result) timed(took time.Duration, slow string) Result {
	r.Milliseconds = float64(took.Microseconds()) / 1000
	if took > 10*time.Second && (r.Mark == OK || r.Mark == Warning) {
		help := errorhelp.Cause(slow)
		r.Mark, r.Means = Warning, strings.TrimSpace(r.Means+" "+help.Means)
		r.Fix = append(r.Fix, help.Fix...)
	}
	return r
}

// Options say what to check.
type Options struct {
	URL     string // as the module in XDR has it
	Token   secret.Value
	Timeout time.Duration                   // of each answer
	Now     func() time.Time                // the clock of this machine
	Waiting func(step string) (done func()) // is called when a step begins, and done when it ends
}

// checker takes the steps of a check.
type checker struct {
	Options

	// For tests, which have an authority and name servers of their own.
	roots    *x509.CertPool
	resolver *net.Resolver

	client *relayclient.Client // from the first step on
	proxy  string              // that requests go through by the environment (HTTPS_PROXY)
	// What the clock is judged by: the Date of the first answer, and the local time before and after it.
	date            string
	asked, answered time.Time // zero while nothing answered
}

// Run takes the steps in their order and tells each result when it is there. A step that builds on one that
// failed is skipped. The error is the context's or tell's.
func Run(ctx context.Context, o Options, tell func(Result) error) error {
	return (&checker{Options: o}).run(ctx, tell)
}

// step is a part of the check.
type step struct {
	name, after string // after: the step that must not have failed, nor been skipped because of another
	withToken   bool
	take        func(context.Context) (seen string, err error) // an error may be a Result
}

func (c *checker) run(ctx context.Context, tell func(Result) error) error {
	blocked := make(map[string]string) // by step: the one that failed
	for _, s := range []step{
		{"url", "", false, c.checkForm},
		{"name", "url", false, c.checkName},
		{"connection", "name", false, c.checkConnection},
		{"version", "connection", false, c.checkVersion},
		{"watchdog", "version", false, c.checkWatchdog},
		{"clock", "connection", false, c.checkClock},
		{"refusal", "version", false, c.checkRefusal},
		// where nothing refuses a forged token, the good one is not shown
		{"health", "refusal", true, c.checkHealth},
		{"observe", "health", true, c.checkObserve},
		{"slashes", "version", false, c.checkSlashes},
	} {
		r := c.result(ctx, s, blocked[s.after])
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.Mark == Failed {
			blocked[s.name] = s.name
		} else if r.After != "" {
			blocked[s.name] = r.After
		}
		if err := tell(r); err != nil {
			return err
		}
	}
	return nil
}

// result takes a step, unless another one failed that it builds on.
func (c *checker) result(ctx context.Context, s step, failed string) Result {
	switch {
	case failed != "":
		return Result{Step: s.name, Mark: Skipped, Seen: `because "` + failed + `" failed`, After: failed}
	case s.withToken && c.Token == "":
		return Result{Step: s.name, Mark: Skipped, NoToken: true,
			Seen: `no token: give --token-file, or set RELAY_TOKEN ("relayctl token" makes one)`}
	}
	done, begin := c.Waiting(s.name), time.Now()
	seen, err := s.take(ctx)
	took := time.Since(begin)
	done()
	r := Result{Mark: OK, Seen: seen}
	if err != nil && !errors.As(err, &r) {
		r = c.unreached(err)
	}
	r.Step = s.name
	if s.withToken {
		return r.timed(took, "slow search")
	}
	return r.timed(took, "slow start")
}

// Write prints a step for a person.
func (r Result) Write(w io.Writer) error {
	if r.Mark != Skipped {
		r.Seen += fmt.Sprintf(" (%.0f ms)", r.Milliseconds)
	}
	out := paragraph(fmt.Sprintf("%-8s %-11s", r.Mark, r.Step), r.Seen)
	if r.Means != "" {
		out += paragraph("means:", r.Means)
	}
	label := "fix:"
	for _, line := range r.Fix {
		out += paragraph(label, line)
		label = ""
	}
	_, err := io.WriteString(w, out)
	return err
}

// margin is the indentation of a report's text.
const margin = 20

// paragraph is text beside a label, in lines of 120 characters. Commands are not wrapped: they are pasted.
func paragraph(label, said string) string {
	lines := []string{said}
	if !strings.HasPrefix(said, "$ ") {
		lines = strings.Split(text.WrapSoft(strings.Join(strings.Fields(said), " "), 119-margin), "\n")
	}
	out := ""
	for _, line := range lines {
		out += fmt.Sprintf("%*s %s\n", margin, label, strings.TrimRight(line, " "))
		label = ""
	}
	return out
}

// Summary is the last line of a report, and whether all that was to be checked is well. withoutToken says
// that the steps that need a token were not wanted.
func Summary(results []Result, withoutToken bool) (line string, well bool) {
	marks := make(map[Mark]int)
	var unchecked []string // for want of a token
	for _, r := range results {
		marks[r.Mark]++
		if r.NoToken && !withoutToken {
			unchecked = append(unchecked, r.Step)
		}
	}
	line = plain.Count(marks[OK], "step") + " ok"
	if n := marks[Failed]; n > 0 {
		line = fmt.Sprintf("%s of %d failed", plain.Count(n, "step"), len(results))
	}
	if n := marks[Warning]; n > 0 {
		line += ", " + plain.Count(n, "warning")
	}
	if n := marks[Skipped]; n > 0 {
		line += fmt.Sprintf(", %d skipped", n)
	}
	line += "."
	if len(unchecked) > 0 {
		line += " Not checked, for want of a token: " + strings.Join(unchecked, " and ") +
			". --no-token leaves them out."
	}
	return line, marks[Failed] == 0 && len(unchecked) == 0
}
