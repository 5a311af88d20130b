package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// checkCommand tells in one run what is wrong between XDR, the relay and Qualys.
type checkCommand struct {
	Relay     string        `arg:"" optional:"" name:"url" help:"The relay's URL, as the module in XDR has it; else --url."`
	URL       string        `help:"The relay's URL (RELAY_URL, ${default})." from:"RELAY_URL" default:"http://127.0.0.1:8080" placeholder:"URL"`
	TokenFile string        `help:"Configuration token (RELAY_TOKEN_FILE); else RELAY_TOKEN; else what needs one is skipped." from:"RELAY_TOKEN_FILE" placeholder:"FILE"`
	Timeout   time.Duration `help:"How long to wait for each answer (${default})." default:"60s" placeholder:"TIME"`
	JSON      bool          `name:"json" help:"Print the steps as a JSON list."`
}

// Help is the command's manual.
func (checkCommand) Help() string {
	return `Goes the way of a request of XDR, step by step: the URL, its name, TLS, the relay, the clock, a token that must be refused,
your token, Qualys, a search. Each step tells what was seen and, where it is not well, what that means and how to mend it.
The token is sent only to what proved to be a relay.
Exit codes: 0 all is well (warnings too), 1 a step failed, 2 errors.

Example:

    relayctl check https://relay-abc-ew.a.run.app --token-file relay.jwt`
}

// Run takes the steps and reports each when it is done.
func (c *checkCommand) Run(ctx context.Context, p *program) error {
	if c.Timeout <= 0 {
		return errors.New("--timeout must be longer than 0")
	}
	token, err := c.token(p)
	if err != nil {
		return err
	}
	results := []checkResult{} // an empty list, not null, in JSON
	ch := newChecker(cmp.Or(c.Relay, c.URL), token, c.Timeout, p.now)
	ch.waiting = func(step string) (done func()) { return p.progress("Checking the " + step) }
	err = ch.run(ctx, func(r checkResult) error {
		results = append(results, r)
		if c.JSON {
			return nil
		}
		return r.write(p.stdout)
	})
	if err != nil {
		return err
	}
	if c.JSON {
		doc, err := json.MarshalIndent(results, "", "  ")
		if err != nil {
			return err
		}
		if _, err := p.stdout.Write(append(plainJSON(doc), '\n')); err != nil {
			return err
		}
	}
	return verdictOfCheck(p, results)
}

// token reads the token where there is one. It is not asked for: without it there is still much to check.
func (c *checkCommand) token(p *program) (secret, error) {
	token := secret(strings.TrimSpace(p.getenv("RELAY_TOKEN")))
	if c.TokenFile != "" {
		var err error
		if token, err = readSecretFile(c.TokenFile); err != nil {
			return "", err
		}
	}
	if token == "" {
		return "", nil
	}
	return cleanToken(token)
}

// verdictOfCheck sums up, and is the error that gives the exit code.
func verdictOfCheck(p *program, results []checkResult) error {
	marks := make(map[mark]int)
	for _, r := range results {
		marks[r.Mark]++
	}
	rest := ""
	if n := marks[markWarning]; n > 0 {
		rest += ", " + count(n, "warning")
	}
	if n := marks[markSkipped]; n > 0 {
		rest += fmt.Sprintf(", %d skipped", n)
	}
	if n := marks[markFailed]; n > 0 {
		return &answerNo{fmt.Sprintf("%s of %d failed%s.", count(n, "step"), len(results), rest)}
	}
	p.note("%s ok%s.", count(marks[markOK], "step"), rest)
	return nil
}

// mark is how a step ended.
type mark string

const (
	markOK      mark = "ok"
	markWarning mark = "warning" // it works, but not as well as it should, or not for long
	markFailed  mark = "failed"
	markSkipped mark = "skipped" // Seen says why
)

// checkResult is a step of the report. Its texts are plain.
type checkResult struct {
	Step         string   `json:"step"`
	Mark         mark     `json:"mark"`
	Seen         string   `json:"seen"`
	Means        string   `json:"means,omitempty"`
	Mend         []string `json:"mend,omitempty"` // one thing to do each; a command begins with "$ "
	Milliseconds float64  `json:"ms"`
}

func good(format string, args ...any) checkResult {
	return checkResult{Mark: markOK, Seen: fmt.Sprintf(format, args...)}
}

func skipped(reason string) checkResult { return checkResult{Mark: markSkipped, Seen: reason} }

func bad(seen, means string, mend ...string) checkResult {
	return checkResult{Mark: markFailed, Seen: seen, Means: means, Mend: mend}
}

// doubtful is bad for what works all the same.
func doubtful(seen, means string, mend ...string) checkResult {
	return checkResult{Mark: markWarning, Seen: seen, Means: means, Mend: mend}
}

// slowAnswer is how long an answer may take before the report warns.
const slowAnswer = 10 * time.Second

// timed adds how long the step took, and what that means where it was long.
func (r checkResult) timed(took time.Duration) checkResult {
	r.Milliseconds = float64(took.Microseconds()) / 1000
	if took <= slowAnswer || r.Mark != markOK && r.Mark != markWarning {
		return r
	}
	r.Mark = markWarning
	r.Means = strings.TrimSpace(r.Means + " That was slow. Cisco does not publish how long XDR waits for a module; other relays reckon with 25 to 50 s. " +
		"After that the analyst sees a timeout and none of what was found.")
	switch r.Step {
	case stepHealth, stepObserve:
		r.Mend = append(r.Mend, "Ask Qualys whether the platform is slow today. REQUEST_TIMEOUT makes the relay answer earlier, with what it found until then.")
	default:
		r.Mend = append(r.Mend, "Check once more. If only the first run is slow, it is the start of an instance; one can be kept ready:", cmdKeepWarm)
	}
	return r
}

// reportWidth is where lines of the report end, except commands, which are to be pasted.
const reportWidth = 120

// write prints the step for a person.
func (r checkResult) write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%-8s %-11s", r.Mark, r.Step) // all labels are as wide
	seen := r.Seen
	if r.Mark != markSkipped {
		seen += fmt.Sprintf(" (%.0f ms)", r.Milliseconds)
	}
	writeWrapped(&b, seen)
	if r.Means != "" {
		b.WriteString("              means:")
		writeWrapped(&b, r.Means)
	}
	for i, line := range r.Mend {
		if i == 0 {
			b.WriteString("               mend:")
		} else {
			b.WriteString(checkMargin[1:])
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

// checkMargin is the indentation of a report's text.
const checkMargin = "                     "

// writeWrapped ends a line that is checkMargin wide already but for its last space.
func writeWrapped(b *strings.Builder, text string) {
	column := len(checkMargin) - 1
	for i, word := range strings.Fields(text) {
		if i > 0 && column+1+utf8.RuneCountInString(word) > reportWidth {
			b.WriteString("\n" + checkMargin[1:])
			column = len(checkMargin) - 1
		}
		b.WriteString(" " + word)
		column += 1 + utf8.RuneCountInString(word)
	}
	b.WriteString("\n")
}
