package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"qualysrelay.example/cmd/relayctl/errorhelp"
	"qualysrelay.example/cmd/relayctl/ioc"
	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/report"
	"qualysrelay.example/ctim"
	"qualysrelay.example/ctim/ctimschema"
)

// maxText is the most text that is searched for observables, in bytes.
const maxText = 1 << 20

type observeCommand struct {
	Observables []string `arg:"" optional:"" name:"observable" help:"TYPE:VALUE, or a value alone; without any, text on standard input is searched for them."`

	connection
	Events   bool `help:"Print a line for each event: what happened, when and where." xor:"form"`
	JSON     bool `name:"json" help:"Print the answer as the relay sent it." xor:"form"`
	CSV      bool `name:"csv" help:"Print a line for each observable and event that it found." xor:"form"`
	Validate bool `help:"Check the answer against the CTIM schema."`
}

func (c *observeCommand) Run(ctx context.Context, p *program) error {
	asked, left, err := c.observables(ctx, p)
	if err != nil {
		return err
	}
	if len(asked) == 0 {
		return &answerNo{"There is nothing to search for."}
	}
	client, err := c.client(ctx, p)
	if err != nil {
		return err
	}
	r, body, err := p.lookUp(ctx, client, asked)
	if err != nil {
		return err
	}
	r.Findings = append(r.Findings, left...)
	switch {
	case c.JSON && p.Width() > 0:
		_, err = fmt.Fprintf(p.Out, "%s\n", plain.JSON(body))
	case c.JSON:
		_, err = p.Out.Write(body)
	case c.CSV:
		err = r.WriteCSV(p.Out)
	case c.Events:
		err = r.WriteEvents(p.Out, p.Width())
	default:
		p.Note("%s", plain.Count(len(r.Events), "event"))
		err = r.WriteTable(p.Out, p.Width())
	}
	if err != nil {
		return err
	}
	p.Note("%s", r.Note())
	answered := p.outcome(r, client)
	if c.Validate {
		if err := ctimschema.Validate("ObserveResponse", body); err != nil {
			return err
		}
		p.Note("The answer is valid CTIM.")
	}
	return answered
}

// lookUp asks the relay about observables. It returns the answer as it came, too.
func (p *program) lookUp(ctx context.Context, client *relayclient.Client, asked []ctim.Observable) (
	*report.Report, []byte, error) {
	defer p.Progress("Asking " + client.Base.Host)()
	got, err := client.Observe(ctx, asked)
	if err != nil {
		return nil, nil, err
	}
	r, err := report.Read(asked, got.Body)
	return r, got.Body, err
}

// observables collects them from the arguments, else from text on standard input. left is what cannot be
// searched for.
func (c *observeCommand) observables(ctx context.Context, p *program) (asked []ctim.Observable,
	left []report.Finding, err error) {
	var found []ioc.Finding
	var skipped []ioc.Skipped
	for _, arg := range c.Observables {
		f, s := ioc.Parse(arg)
		if len(f)+len(s) == 0 {
			return nil, nil, fmt.Errorf("cannot tell what %q is; write TYPE:VALUE with one of the types %s",
				arg, strings.Join(ioc.Types(), ", "))
		}
		found, skipped = append(found, f...), append(skipped, s...)
	}
	if len(c.Observables) == 0 {
		if p.Interactive() {
			p.Note("Paste text, then press Ctrl-D.")
		}
		input, err := p.ReadText(ctx, maxText)
		if err != nil {
			return nil, nil, err
		}
		found, skipped = ioc.Extract(string(input))
	}
	for _, f := range found {
		if f.Note != "" {
			p.Note("note: %s: %s", report.Name(f.Observable), f.Note)
		}
		if !slices.ContainsFunc(asked, func(o ctim.Observable) bool { return report.Same(o, f.Observable) }) {
			asked = append(asked, f.Observable)
		}
	}
	for _, s := range skipped {
		p.Note("note: %s is not searched for: %s", plain.Short(s.Text, 200), s.Reason)
		left = append(left, report.Finding{Observable: ctim.Observable{Value: s.Text}, Skipped: s.Reason})
	}
	return asked, left, nil
}

// outcome tells the errors and how to fix them, and returns the error that gives the exit code. A warning
// beside a finding is no reason to fail; one beside nothing found is: something may have been missed.
func (p *program) outcome(r *report.Report, client *relayclient.Client) error {
	words := map[string]string{"error": "Failed for now", "warning": "Warning"}
	for _, e := range r.Errors {
		p.Note("%s: %s", cmp.Or(words[e.Type], "Failed"), client.Quote(e.Message, 600))
		help := errorhelp.For(e.Code, e.Message, relayclient.IsLoopback(client.Base.Hostname()))
		for _, line := range append([]string{help.Means}, help.Fix...) {
			p.Note("  %s", line)
		}
	}
	serious := slices.ContainsFunc(r.Errors, func(e report.Error) bool { return e.Type != "warning" })
	switch {
	case r.Found() && !serious:
		return nil
	case len(r.Errors) > 0:
		return errors.New("the answer is incomplete")
	}
	return &answerNo{"Nothing was found."}
}
