package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"qualysrelay.example/cmd/relayctl/errorhelp"
	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/cmd/relayctl/token"
	"qualysrelay.example/cmd/relayctl/xdr"
)

// instanceCommand groups what can be done with integrations, which the API calls module instances.
type instanceCommand struct {
	Add    instanceAddCommand    `cmd:"" help:"Add the integration and check its health."`
	Health instanceHealthCommand `cmd:"" help:"Let XDR check the health of the integrations."`
}

// Help is the group's manual.
func (instanceCommand) Help() string {
	return `An integration is a module type with the settings that somebody filled in; the API calls it a
module instance.

Examples:

    relayctl instance add --region eu --user acme_ab1 --api-url https://gateway.qg1.apps.qualys.com
    relayctl instance health --region eu`
}

// instanceAddCommand adds an integration.
type instanceAddCommand struct {
	typeFlags
	xdrFlags
	Name        string `help:"Name of the integration; without it, the module type's." placeholder:"TEXT"`
	User        string `help:"Qualys user name (QUALYS_USER)." from:"QUALYS_USER" placeholder:"NAME"`
	APIURL      string `name:"api-url" help:"Qualys gateway." placeholder:"URL"`
	PlatformURL string `name:"platform-url" help:"Qualys console, for links out of an investigation." placeholder:"URL"`
	Limit       int    `help:"Most sightings, indicators and judgements for each observable." placeholder:"N"`
	TokenFile   string `help:"HS256: the configuration token (RELAY_TOKEN_FILE); else RELAY_TOKEN, else asked for." from:"RELAY_TOKEN_FILE" placeholder:"FILE"`
	DryRun      bool   `help:"Print the request, without the secrets in it, instead of sending it."`
}

// Help is the command's manual.
func (instanceAddCommand) Help() string {
	return `Fills in the form of the module type, as XDR does under Administration > Integrations, and runs
the health check. With RS256 the form asks for the Qualys user, password (QUALYS_PASSWORD, else asked
for without echo, else from standard input) and gateway; with HS256 for the configuration token. They
are sent to XDR, which keeps them.
` + xdrHelp + `
Exit codes: 0 it works, 1 it was added and does not work, 2 errors.

Example:

    relayctl instance add --region eu --user acme_ab1 --api-url https://gateway.qg1.apps.qualys.com`
}

// Run adds the integration.
func (c *instanceAddCommand) Run(ctx context.Context, p *program) error {
	note, err := token.Claims{APIURL: c.APIURL, PlatformURL: c.PlatformURL, Limit: c.Limit}.Validate()
	if err != nil {
		return err
	}
	client, err := c.client(ctx, p)
	if err != nil {
		return err
	}
	t, err := c.find(ctx, client)
	if err != nil {
		return err
	}
	name := cmp.Or(c.Name, t.DefaultName, t.Title)
	others, err := client.Instances(ctx, t)
	if err != nil {
		return err
	}
	for _, i := range others {
		if i.Name == name {
			return fmt.Errorf("there is an integration %q already (%s); edit it in XDR, "+
				"or give another --name", name, i.ID)
		}
	}
	if note != "" {
		p.Note("%s", note)
	}
	settings, credential, err := c.settings(ctx, p, t)
	if err != nil {
		return err
	}
	request, err := t.AddInstance(name, settings)
	if err != nil {
		return err
	}
	if c.DryRun {
		return client.Show(p.Out, request)
	}
	var added xdr.Instance
	if err := client.Send(ctx, request, &added); err != nil {
		return err
	}
	p.Note("Added the integration %q.", name)
	added.Name = name
	return p.checkHealth(ctx, client, []xdr.Instance{added}, credential)
}

// settings are what the module type's form asks for, and the secret among them.
func (c *instanceAddCommand) settings(
	ctx context.Context, p *program, t *xdr.ModuleType,
) (map[string]any, secret.Value, error) {
	if t.Property("auth-type") == "bearer" {
		if c.APIURL != "" || c.PlatformURL != "" || c.Limit != 0 {
			return nil, "", errors.New("--api-url, --platform-url and --limit are part of the token here: " +
				"give them to \"relayctl token\"")
		}
		token, err := p.needToken(ctx, c.TokenFile)
		return map[string]any{"url": t.Property("url"), "token": token}, token, err
	}
	if c.APIURL == "" {
		return nil, "", errors.New("--api-url is missing: the gateway of your Qualys platform")
	}
	user, password, err := p.credentials(ctx, c.User)
	settings := map[string]any{
		"custom_user": user, "custom_pass": password, "custom_API_URL": strings.TrimRight(c.APIURL, "/"),
	}
	if c.PlatformURL != "" {
		settings["custom_PLATFORM_URL"] = strings.TrimRight(c.PlatformURL, "/")
	}
	if c.Limit != 0 {
		settings["custom_CTR_ENTITIES_LIMIT"] = c.Limit
	}
	return settings, password, err
}

// instanceHealthCommand checks integrations.
type instanceHealthCommand struct {
	Integration string `arg:"" optional:"" help:"Name or id of an integration; without it, all of the module type."`
	typeFlags
	xdrFlags
}

// Help is the command's manual.
func (instanceHealthCommand) Help() string {
	return `Lets XDR call the relay with the settings of each integration of the module type, and tells what
came back.
` + xdrHelp + `
Exit codes: 0 all work, 1 one does not, or there is none, 2 errors.

Example:

    relayctl instance health --region eu`
}

// Run checks the integrations.
func (c *instanceHealthCommand) Run(ctx context.Context, p *program) error {
	client, err := c.client(ctx, p)
	if err != nil {
		return err
	}
	t, err := c.find(ctx, client)
	if err != nil {
		return err
	}
	all, err := client.Instances(ctx, t)
	if err != nil {
		return err
	}
	var chosen []xdr.Instance
	for _, i := range all {
		if c.Integration == "" || c.Integration == i.ID || c.Integration == i.Name {
			chosen = append(chosen, i)
		}
	}
	if len(chosen) == 0 {
		return &answerNo{fmt.Sprintf("The module type %q has no such integration; "+
			"\"relayctl instance add\" adds one.", t.Title)}
	}
	return p.checkHealth(ctx, client, chosen)
}

// checkHealth tells the health of each integration.
func (p *program) checkHealth(
	ctx context.Context, client *xdr.Client, all []xdr.Instance, secrets ...secret.Value,
) error {
	well := true
	for _, i := range all {
		done := p.Progress("XDR checks " + plain.Short(i.Name, 60))
		health, err := client.Health(ctx, i, secrets...)
		done()
		if err != nil {
			return err
		}
		word := "ok"
		if !health.OK() {
			word, well = "failed", false
		}
		fmt.Fprintf(p.Out, "%-7s %s %s\n", word, plain.Text(i.ID), plain.Text(i.Name))
		for _, e := range health.Errors {
			fmt.Fprintf(p.Out, "        %s\n", plain.Short(e.Code+": "+e.Message, 600))
			help := errorhelp.For(e.Code, e.Message, false)
			for _, line := range append([]string{help.Means}, help.Fix...) {
				fmt.Fprintf(p.Out, "        %s\n", line)
			}
		}
		if !health.OK() && len(health.Errors) == 0 {
			fmt.Fprintf(p.Out, "        XDR says %q and gives no reason.\n", health.Status)
		}
	}
	if !well {
		return &answerNo{}
	}
	return nil
}
