package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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
		return &answerNo{"There is nothing left to search for."}
	}
	client, err := c.client(ctx, p)
	if err != nil {
		return err
	}
	done := p.Progress(fmt.Sprintf("Looking %s up at %s", plain.Count(len(asked), "observable"),
		client.Base.Host))
	begin := time.Now()
	got, err := client.Observe(ctx, asked)
	took := time.Since(begin)
	done()
	if err != nil {
		return err
	}
	r, err := report.Read(asked, got.Body)
	if err != nil {
		return err
	}
	r.Findings = append(r.Findings, left...)
	if err := c.show(p, r, got.Body, took); err != nil {
		return err
	}
	for _, note := range r.Notes() {
		p.Note("note: %s", note)
	}
	p.tellErrors(r.Errors, client)
	if c.Validate {
		if err := ctimschema.Validate("ObserveResponse", got.Body); err != nil {
			return err
		}
		p.Note("The answer is valid CTIM.")
	}
	return outcome(r)
}

// observables collects them from the arguments, else from text on standard input. left is what cannot be
// searched for.
func (c *observeCommand) observables(ctx context.Context, p *program) (asked []ctim.Observable,
	left []report.Finding, err error) {
	var found []ioc.Finding
	var skipped []ioc.Skipped
	if len(c.Observables) == 0 {
		if p.Interactive() {
			p.Note("Paste text, then press Ctrl-D.")
		}
		input, err := p.ReadText(ctx, maxText)
		if err != nil {
			return nil, nil, err
		}
		if found, skipped = ioc.Extract(string(input)); len(found)+len(skipped) == 0 {
			return nil, nil, &answerNo{"There are no observables in the text."}
		}
	}
	for _, arg := range c.Observables {
		f, s := ioc.Parse(arg)
		if len(f)+len(s) == 0 {
			return nil, nil, fmt.Errorf("cannot tell what %q is; write TYPE:VALUE with one of the types %s",
				arg, strings.Join(ioc.Types(), ", "))
		}
		found, skipped = append(found, f...), append(skipped, s...)
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

// show prints the result in the form that was asked for.
func (c *observeCommand) show(p *program, r *report.Report, body []byte, took time.Duration) error {
	switch {
	case c.JSON:
		if p.Width() > 0 {
			body = append(plain.JSON(body), '\n')
		}
		_, err := p.Out.Write(body)
		return err
	case c.CSV:
		return r.WriteCSV(p.Out)
	case c.Events:
		return r.WriteEvents(p.Out, p.Width())
	default:
		p.Note("%s, %s", plain.Count(len(r.Events), "event"), took.Round(time.Millisecond))
		return r.WriteTable(p.Out, p.Width())
	}
}

// outcome is the error that gives the exit code. Warnings beside a finding are no reason to fail; a warning
// and nothing found is: something may have been missed.
func outcome(r *report.Report) error {
	serious := slices.ContainsFunc(r.Errors, func(e report.Error) bool { return e.Type != "warning" })
	switch {
	case serious && r.Found():
		return errors.New("the answer is incomplete")
	case serious:
		return errors.New("the relay could not answer")
	case r.Found():
		return nil
	case len(r.Errors) > 0:
		return errors.New("nothing was found, and the answer is incomplete")
	default:
		return &answerNo{"Nothing was found."}
	}
}

// tellErrors says what went wrong, what that means and what to do.
func (p *program) tellErrors(list []report.Error, client *relayclient.Client) {
	words := map[string]string{"fatal": "Failed", "error": "Failed for now", "warning": "Warning"}
	for _, e := range list {
		word := words[e.Type]
		if word == "" {
			word = plain.Short(e.Type, 20)
		}
		p.Note("%s: %s", word, client.Quote(e.Message, 600))
		help := errorhelp.For(e.Code, e.Message, relayclient.IsLoopback(client.Base.Hostname()))
		p.Note("  %s", help.Means)
		for _, step := range help.Fix {
			p.Note("  %s", step)
		}
	}
}
