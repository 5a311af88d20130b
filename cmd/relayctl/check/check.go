// Package check finds out what is wrong between XDR, a relay and Qualys. It follows a request of XDR step
// by step and says of each step what was seen and, where it is not well, what that means and how it is
// fixed. The token is sent only to what proved to be a relay.
package check

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	Skipped Mark = "skipped" // because of the step that failed before it
)

// Result is a step of the report. Its texts are plain.
type Result struct {
	Step string `json:"step"`
	Mark Mark   `json:"mark"`
	Seen string `json:"seen"`
	errorhelp.Help
	Milliseconds float64 `json:"ms"`
}

// Error makes a Result what a step returns that did not end well.
func (r Result) Error() string { return r.Seen }

// bad is a failed step: what was seen, and the cause by its name in package errorhelp.
func bad(seen, cause string) Result {
	return Result{Mark: Failed, Seen: seen, Help: errorhelp.Cause(cause)}
}

// warning is bad for what works all the same.
func warning(seen, cause string) Result {
	return Result{Mark: Warning, Seen: seen, Help: errorhelp.Cause(cause)}
}

// Options say what to check.
type Options struct {
	URL     string // as the module in XDR has it
	Token   secret.Value
	NoToken bool                            // leave out the steps that need a token
	Timeout time.Duration                   // of each answer
	Now     func() time.Time                // the clock of this machine
	Waiting func(step string) (done func()) // is called when a step begins, and done when it ends
}

// checker takes the steps of a check.
type checker struct {
	Options

	client *relayclient.Client // from the first step on
	// The answer to the first request, and the local time before and after it.
	first           answer
	asked, answered time.Time
}

// step is a part of the check.
type step struct {
	name string
	take func(context.Context) (seen string, err error) // an error may be a Result
	side bool                                           // the steps after it do not build on it
}

// Run takes the steps in their order and tells each result when it is there. Where a step failed, those that
// build on it are skipped. The error is the context's or tell's.
func Run(ctx context.Context, o Options, tell func(Result) error) error {
	c := &checker{Options: o}
	steps := []step{
		{"url", c.checkForm, false},
		{"connection", c.checkConnection, false},
		{"clock", c.checkClock, true},
		{"version", c.checkVersion, false},
		{"watchdog", c.checkWatchdog, true},
		{"refusal", c.checkRefusal, false}, // where nothing refuses a forged token, the good one is not shown
		{"health", c.checkHealth, false},
		{"observe", c.checkObserve, false},
	}
	if o.NoToken {
		steps = steps[:len(steps)-2]
	}
	failed := ""
	for _, s := range steps {
		r := Result{Step: s.name, Mark: Skipped, Seen: fmt.Sprintf("because %q failed", failed)}
		if failed == "" {
			r = c.result(ctx, s)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.Mark == Failed && !s.side {
			failed = s.name
		}
		if err := tell(r); err != nil {
			return err
		}
	}
	return nil
}

// result takes a step.
func (c *checker) result(ctx context.Context, s step) Result {
	done, begin := c.Waiting(s.name), time.Now()
	seen, err := s.take(ctx)
	took := time.Since(begin)
	done()
	r := Result{Mark: OK, Seen: seen}
	if err != nil && !errors.As(err, &r) {
		r = c.unreached(err)
	}
	if r.Mark == OK && took > slow {
		r = warning(seen, "slow")
	}
	r.Step, r.Milliseconds = s.name, float64(took.Microseconds())/1000
	return r
}

// Write prints a step for a person.
func (r Result) Write(w io.Writer) error {
	out := paragraph(fmt.Sprintf("%-8s %-11s", r.Mark, r.Step),
		fmt.Sprintf("%s (%.0f ms)", r.Seen, r.Milliseconds))
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

// paragraph is text beside a label, in lines of 120 characters. Commands are not wrapped: they are pasted.
func paragraph(label, said string) string {
	const margin = 20
	if !strings.HasPrefix(said, "$ ") {
		said = text.WrapSoft(said, 119-margin)
	}
	out := ""
	for line := range strings.SplitSeq(said, "\n") {
		out += fmt.Sprintf("%*s %s\n", margin, label, strings.TrimRight(line, " "))
		label = ""
	}
	return out
}

// Summary is the last line of a report, and whether all is well.
func Summary(results []Result) (line string, well bool) {
	count := make(map[Mark]int)
	for _, r := range results {
		count[r.Mark]++
	}
	line = plain.Count(count[OK], "step") + " ok"
	if n := count[Warning]; n > 0 {
		line += ", " + plain.Count(n, "warning")
	}
	if n := count[Failed]; n > 0 {
		line += fmt.Sprintf(", %d failed, %d skipped", n, count[Skipped])
	}
	return line + ".", count[Failed] == 0
}
