package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"qualysrelay.example/cmd/relayctl/check"
	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/secret"
)

type checkCommand struct {
	Relay     string        `arg:"" optional:"" name:"url" help:"The relay's URL, as the module in XDR has it; else --url."`
	URL       string        `help:"The relay's URL (RELAY_URL, ${default})." from:"RELAY_URL" default:"http://127.0.0.1:8080" placeholder:"URL"`
	TokenFile string        `help:"Configuration token (RELAY_TOKEN_FILE); else RELAY_TOKEN." from:"RELAY_TOKEN_FILE" placeholder:"FILE"`
	NoToken   bool          `help:"Leave out what needs a token: health and observe."`
	Timeout   time.Duration `help:"How long to wait for each answer (${default})." default:"60s" placeholder:"TIME"`
	JSON      bool          `name:"json" help:"Print the steps as a JSON list."`
}

func (c *checkCommand) Run(ctx context.Context, p *program) error {
	if c.Timeout <= 0 {
		return errNoTime
	}
	var token secret.Value
	if !c.NoToken {
		var err error
		if token, err = p.configurationToken(c.TokenFile); err != nil {
			return err
		}
	}
	results := []check.Result{} // an empty list, not null, in JSON
	var skipped []string
	err := check.Run(ctx, check.Options{
		URL: cmp.Or(c.Relay, c.URL), Token: token, NoToken: c.NoToken, Timeout: c.Timeout, Now: p.now,
		Waiting: func(step string) func() { return p.Progress("Checking the " + step) },
	}, func(r check.Result) error {
		results = append(results, r)
		switch {
		case c.JSON:
			return nil
		case r.Mark == check.Skipped: // they are told together
			skipped = append(skipped, r.Step)
			return nil
		}
		return r.Write(p.Out)
	})
	if err != nil {
		return err
	}
	if c.JSON {
		doc, err := json.MarshalIndent(results, "", "  ")
		if err != nil {
			return err
		}
		if _, err := p.Out.Write(append(plain.JSON(doc), '\n')); err != nil {
			return err
		}
	}
	if len(skipped) > 0 {
		fmt.Fprintf(p.Out, "skipped  %s: %s\n", results[len(results)-1].Seen, strings.Join(skipped, ", "))
	}
	text, well := check.Summary(results)
	if !well {
		return &answerNo{text}
	}
	p.Note("%s", text)
	return nil
}
