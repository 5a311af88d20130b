package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/probe"
	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/qualys"
	"qualysrelay.example/relay"
)

// probeCommand tests at a live gateway what the relay believes about Qualys.
type probeCommand struct {
	Gateway string        `help:"The Qualys gateway (API_URL)." from:"API_URL" required:"" placeholder:"URL"`
	Report  string        `help:"Write what was found to this file too, as JSON without any value." placeholder:"FILE"`
	Force   bool          `help:"Replace the report if it exists."`
	Timeout time.Duration `help:"How long to wait for each answer (${default})." default:"60s" placeholder:"TIME"`
}

// Run probes the gateway and prints the table.
func (c *probeCommand) Run(ctx context.Context, p *program) error {
	gateway, err := relayclient.ParseURL("--gateway", c.Gateway)
	if err != nil {
		return err
	}
	if host := qualys.GatewayOf(gateway.Hostname()); host != "" {
		return fmt.Errorf("--gateway %s is not the gateway; did you mean https://%s?", c.Gateway, host)
	}
	if c.Timeout <= 0 {
		return errNoTime
	}
	if _, err := os.Lstat(c.Report); c.Report != "" && err == nil && !c.Force {
		return fmt.Errorf("%s exists already; --force replaces it", c.Report)
	}
	user, password, err := p.credentials(ctx, p.getenv("QUALYS_USER"))
	if err != nil {
		return err
	}
	result, err := probe.Run(ctx, probe.Options{
		Gateway: gateway, User: user, Password: password, Timeout: c.Timeout,
		Testing: func(belief string) func() { return p.Progress("Testing: " + belief) },
	})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(p.Out, result.Table(cmp.Or(min(p.Width(), 140), 108))); err != nil {
		return err
	}
	if c.Report != "" {
		if err := secret.WriteFile(c.Report, result.Report(relay.Version), c.Force); err != nil {
			return err
		}
		p.Note("Wrote the report to %s.", c.Report)
	}
	summary := fmt.Sprintf("%s: %d hold, %d do not hold, %d could not be tested; %s.",
		plain.Count(len(result.Findings), "belief"), result.Outcomes[probe.Holds], result.Outcomes[probe.DoesNotHold],
		result.Outcomes[probe.CouldNotTell], plain.Count(result.Calls, "call"))
	if result.Outcomes[probe.DoesNotHold] > 0 {
		return &answerNo{summary}
	}
	p.Note("%s", summary)
	return nil
}
