package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"qualysrelay.example/cmd/relayctl/ioc"
	"qualysrelay.example/ctim/ctimschema"
)

// wideNote is how much of a value a note shows, in characters.
const wideNote = 160

// maxText is the most text that is searched for observables, in bytes.
const maxText = 1 << 20

// observeCommand asks a relay about observables.
type observeCommand struct {
	Observables []string `arg:"" optional:"" name:"observable" help:"TYPE:VALUE, or a value alone; without any, text on standard input is searched for them."`

	connection
	JSON     bool `name:"json" help:"Print the answer as the relay sent it." xor:"form"`
	CSV      bool `name:"csv" help:"Print a line for each sighting." xor:"form"`
	Validate bool `help:"Check the answer against the CTIM schema."`
}

// Help is the command's manual.
func (observeCommand) Help() string {
	return "Types: " + strings.Join(ioc.Types(), ", ") + `.
Values alone are recognised by their form, also defanged (hxxp, [.]). A token is never taken from standard input: that is for text.
Exit codes: 0 found, 1 nothing found, 2 errors (also an answer that is incomplete and found nothing).

Examples:

    relayctl observe --token-file relay.jwt ip:203.0.113.7 evil[.]example
    relayctl observe --csv < report.txt > sightings.csv`
}

// Run asks and shows.
func (c *observeCommand) Run(ctx context.Context, p *program) error {
	asked, err := c.asked(ctx, p)
	if err != nil {
		return err
	}
	client, err := c.client(ctx, p)
	if err != nil {
		return err
	}
	done := p.progress(fmt.Sprintf("Asking %s about %s", client.base.Host, count(len(asked), "observable")))
	got, err := client.observables(ctx, pathObserve, asked)
	done()
	if err != nil {
		return err
	}
	if err := got.problem(); err != nil {
		return err
	}
	s, err := summarise(asked, got.Body)
	if err != nil {
		return err
	}
	if err := c.show(p, s, got); err != nil {
		return err
	}
	p.tellErrors(s.Errors)
	if c.Validate {
		if err := ctimschema.Validate("ObserveResponse", got.Body); err != nil {
			return err
		}
		p.note("The answer is valid CTIM.")
	}
	return s.verdictOfRun()
}

// verdictOfRun is the error that gives the exit code. Warnings beside a finding are no reason to fail; a warning and nothing found is: something
// may have been missed.
func (s *summary) verdictOfRun() error {
	serious := slices.ContainsFunc(s.Errors, func(e relayError) bool { return e.Type != "warning" })
	switch {
	case serious && s.found():
		return errors.New("the answer is incomplete")
	case serious:
		return errors.New("the relay could not answer")
	case s.found():
		return nil
	case len(s.Errors) > 0:
		return errors.New("nothing was found, and the answer is incomplete")
	default:
		return &answerNo{"Nothing was found."}
	}
}

// asked collects the observables from the arguments, else from text on standard input.
func (c *observeCommand) asked(ctx context.Context, p *program) ([]observable, error) {
	var found []ioc.Finding
	var skipped []ioc.Skipped
	if len(c.Observables) == 0 {
		if p.terminal() != nil {
			p.note("Paste text, then press Ctrl-D.")
		}
		input, err := p.readInput(ctx, maxText)
		if err != nil {
			return nil, err
		}
		text, err := ioc.DecodeText(input)
		if err != nil {
			return nil, err
		}
		if found, skipped = ioc.Extract(text); len(found)+len(skipped) == 0 {
			return nil, &answerNo{"There are no observables in the text."}
		}
	}
	for _, arg := range c.Observables {
		f, s := ioc.Parse(arg)
		if len(f)+len(s) == 0 {
			return nil, fmt.Errorf("cannot tell what %q is; write TYPE:VALUE with one of the types %s", arg, strings.Join(ioc.Types(), ", "))
		}
		found, skipped = append(found, f...), append(skipped, s...)
	}
	for _, s := range skipped {
		p.note("note: %s is left out: %s", short(s.Text, wideNote), s.Reason)
	}
	var asked []observable
	for _, f := range found {
		o := observable{string(f.Observable.Type), f.Observable.Value}
		if f.Note != "" {
			p.note("note: %s: %s", short(o.String(), wideNote), f.Note)
		}
		if !slices.ContainsFunc(asked, o.is) {
			asked = append(asked, o)
		}
	}
	if len(asked) == 0 {
		return nil, &answerNo{"Nothing is left to ask about."}
	}
	return asked, nil
}

func (c *observeCommand) show(p *program, s summary, got answer) error {
	switch {
	case c.JSON:
		body := got.Body
		if terminalOf(p.stdout) != nil {
			body = append(plainJSON(body), '\n')
		}
		_, err := p.stdout.Write(body)
		return err
	case c.CSV:
		return writeCSV(p.stdout, s)
	default:
		p.note("%s, %s", count(len(s.Sightings), "sighting"), got.Duration.Round(time.Millisecond))
		return writeTable(p.stdout, s.Findings)
	}
}

// Widths of the table's columns, in characters: it fits into 120.
const (
	wideObservable = 46
	wideVerdict    = 34
	wideHost       = 24
	manyHosts      = 3
)

// writeTable shows findings to a person.
func writeTable(w io.Writer, findings []finding) error {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.AppendHeader(table.Row{"Observable", "Sightings", "Severity", "Verdict", "Hosts"})
	for _, f := range findings {
		t.AppendRow(table.Row{short(f.Observable.String(), wideObservable), sightingsCell(f), short(f.Severity, 10), verdictCell(f), hostsCell(f.Hosts)})
	}
	_, err := fmt.Fprintln(w, t.Render())
	return err
}

func sightingsCell(f finding) string {
	if f.Active > 0 {
		return fmt.Sprintf("%d (%d active)", f.Sightings, f.Active)
	}
	return strconv.Itoa(f.Sightings)
}

// verdictCell never shows a verdict as the observable's where Qualys judged something else: an address is not clean because a clean process called it.
func verdictCell(f finding) string {
	v := f.Verdict
	if v.Disposition == "" {
		return ""
	}
	cell := v.Disposition
	if v.Reason != "" {
		cell += ": " + v.Reason
	}
	if v.About.is(f.Observable) {
		return short(cell, wideVerdict)
	}
	return "not judged; judged with it:\n" + short(cell, wideVerdict) + "\n" + short(v.About.String(), wideVerdict)
}

func hostsCell(hosts []string) string {
	var lines []string
	for i, host := range hosts {
		if i == manyHosts {
			lines = append(lines, fmt.Sprintf("and %d more", len(hosts)-i))
			break
		}
		lines = append(lines, short(host, wideHost))
	}
	return strings.Join(lines, "\n")
}

// writeCSV writes a line for each sighting and observable asked for.
func writeCSV(w io.Writer, s summary) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"observed", "type", "value", "severity", "confidence", "resolution", "active", "hosts", "title", "verdict", "reason", "id", "source_uri"})
	for _, f := range s.Findings {
		for i := range s.Sightings {
			seen := &s.Sightings[i]
			if !slices.ContainsFunc(seen.Observables, f.Observable.is) {
				continue
			}
			line := []string{seen.ObservedTime.Start, f.Observable.Type, f.Observable.Value, seen.Severity, seen.Confidence, seen.Resolution,
				strconv.FormatBool(seen.active()), strings.Join(seen.hosts(), " "), seen.Title, f.Verdict.Disposition, f.Verdict.Reason, seen.ID, seen.SourceURI}
			for i, cell := range line {
				line[i] = csvCell(cell)
			}
			_ = out.Write(line)
		}
	}
	out.Flush()
	return out.Error() // of any of the writes
}

// csvCell makes a value safe for terminals and for spreadsheets, which run cells that begin like a formula.
func csvCell(s string) string {
	s = plain(s)
	if s != "" && strings.ContainsRune("=+-@", rune(s[0])) {
		return "'" + s
	}
	return s
}

// tellErrors says what went wrong, in words.
func (p *program) tellErrors(list []relayError) {
	words := map[string]string{"fatal": "Failed", "error": "Failed for now", "warning": "Warning"}
	hints := map[string]string{
		"authorization error":       "Look at the token with \"relayctl token verify\". If it is taken, Qualys refused the user or the password.",
		"permission denied":         "The Qualys user lacks the EDR role or API access.",
		"too many requests":         "Qualys limits how often it is asked. Wait, then ask again.",
		"connection error":          "The gateway URL is wrong, or Qualys cannot be reached from where the relay runs.",
		"gateway timeout":           "Qualys was slow. Ask again, or about less at once.",
		"too-many-messages-warning": "Raise the limit (CTR_ENTITIES_LIMIT), or look in the Qualys console.",
	}
	for _, e := range list {
		word := words[e.Type]
		if word == "" {
			word = short(e.Type, 20)
		}
		p.note("%s: %s", word, short(e.Message, 600))
		if hint := hints[e.Code]; hint != "" {
			p.note("  %s", hint)
		}
	}
}

// progress shows on a terminal what is waited for, and for how long already. The function that it returns clears the line.
func (p *program) progress(what string) (done func()) {
	if terminalOf(p.stderr) == nil {
		return func() {}
	}
	return showProgress(p.stderr, what)
}

func showProgress(w io.Writer, what string) (done func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		begin := time.Now()
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			fmt.Fprintf(w, "\r%s… %ds", what, int(time.Since(begin).Seconds()))
			select {
			case <-tick.C:
			case <-stop:
				fmt.Fprint(w, "\r\x1b[K")
				return
			}
		}
	}()
	return func() { close(stop); <-stopped }
}

// count is a number of things in words.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}
