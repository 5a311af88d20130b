package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"qualysrelay.example/cmd/relayctl/errorhelp"
	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/cmd/relayctl/token"
	"qualysrelay.example/cmd/relayctl/xdr"
)

type instanceCommand struct {
	Add    instanceAddCommand    `cmd:"" help:"Add the integration and check its health."`
	Health instanceHealthCommand `cmd:"" help:"Let XDR check the health of the integrations."`
}

type instanceAddCommand struct {
	typeFlags
	Name string `help:"Name of the integration; without it, the module type's." placeholder:"TEXT"`
	User string `help:"Qualys user name (QUALYS_USER)." from:"QUALYS_USER" placeholder:"NAME"`
	token.Account
	TokenFile string `help:"HS256: the configuration token (RELAY_TOKEN_FILE); else RELAY_TOKEN, else asked for." from:"RELAY_TOKEN_FILE" placeholder:"FILE"`
	DryRun    bool   `help:"Print the request, without the secrets in it, instead of sending it."`
}

func (c *instanceAddCommand) Run(ctx context.Context, p *program, client *xdr.Client) error {
	t, others, err := c.find(ctx, client)
	if err != nil {
		return err
	}
	name := cmp.Or(c.Name, t.Text("default_name"), t.Text("title"))
	if slices.ContainsFunc(others, func(other xdr.Instance) bool { return other.Name == name }) {
		return fmt.Errorf("there is an integration %q already; edit it in XDR, or give another --name", name)
	}
	settings, credential, err := c.settings(ctx, p, t)
	if err != nil {
		return err
	}
	request, err := t.AddInstance(name, settings)
	if err != nil {
		return err
	}
	change := changeFlags{DryRun: c.DryRun, Yes: true}
	added := xdr.Instance{Name: name}
	if sent, err := change.send(ctx, p, client, request, &added); !sent {
		return err
	}
	p.Note("Added the integration %q.", name)
	return p.checkHealth(ctx, client, []xdr.Instance{added}, credential)
}

// settings are what the module type's form asks for, and the secret among them.
func (c *instanceAddCommand) settings(
	ctx context.Context, p *program, t xdr.ModuleType,
) (map[string]any, secret.Value, error) {
	if t.Text("properties.auth-type") == "bearer" {
		if c.Account != (token.Account{}) {
			return nil, "", errors.New("--api-url, --platform-url and --limit are part of the token here: " +
				`give them to "relayctl token"`)
		}
		token, err := p.needToken(ctx, c.TokenFile)
		return map[string]any{"url": t.Text("properties.url"), "token": token}, token, err
	}
	if c.APIURL == "" {
		return nil, "", errors.New("--api-url is missing: the gateway of your Qualys platform")
	}
	user, password, err := p.credentials(ctx, c.User)
	settings := make(map[string]any)
	for name, value := range (token.Claims{User: user, Password: password, Account: c.Account}).Named() {
		settings["custom_"+name] = value // XDR signs them as claims, without the prefix
	}
	return settings, password, err
}

type instanceHealthCommand struct{ typeFlags }

func (c *instanceHealthCommand) Run(ctx context.Context, p *program, client *xdr.Client) error {
	t, all, err := c.find(ctx, client)
	if err == nil && len(all) == 0 {
		err = &answerNo{fmt.Sprintf(`The module type %q has no integration; "relayctl instance add" adds one.`,
			t.Text("title"))}
	}
	if err != nil {
		return err
	}
	return p.checkHealth(ctx, client, all, "")
}

// checkHealth tells the health of each integration. The credential is that of an integration just added.
func (p *program) checkHealth(
	ctx context.Context, client *xdr.Client, all []xdr.Instance, credential secret.Value,
) error {
	var answer error
	for _, i := range all {
		done := p.Progress("XDR checks " + plain.Short(i.Name, 60))
		found, ok, err := client.Health(ctx, i, credential)
		done()
		if err != nil {
			return err
		}
		word := "ok"
		if !ok {
			word, answer = "failed", &answerNo{}
		}
		fmt.Fprintf(p.Out, "%-7s %s %s\n", word, plain.Text(i.ID), plain.Text(i.Name))
		for _, e := range found {
			help := errorhelp.For(e.Code, e.Message, false)
			lines := append([]string{plain.Short(e.Code+": "+e.Message, 600), help.Means}, help.Fix...)
			fmt.Fprintf(p.Out, "        %s\n", strings.Join(lines, "\n        "))
		}
		if !ok && len(found) == 0 {
			fmt.Fprintln(p.Out, "        XDR gives no reason.")
		}
	}
	return answer
}
