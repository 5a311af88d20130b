package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"text/tabwriter"

	"qualysrelay.example/cmd/relayctl/moduletype"
	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/xdr"
)

type moduleCommand struct {
	Render moduleRenderCommand `cmd:"" default:"withargs" help:"Render the module type for Cisco XDR (\"relayctl module\" does it too)."`
	Push   modulePushCommand   `cmd:"" help:"Create or update the module type in XDR."`
	List   moduleListCommand   `cmd:"" help:"List the module types in XDR."`
	Delete moduleDeleteCommand `cmd:"" help:"Delete the module type in XDR."`
}

// regionFlag is the region of XDR.
type regionFlag struct {
	Region string `help:"Region of XDR: us (the default), eu or apjc." enum:"us,eu,apjc" default:"us"`
}

// moduleFlags are what a module type depends on.
type moduleFlags struct {
	URL string `help:"The relay's URL, as XDR reaches it (RELAY_URL)." from:"RELAY_URL" required:"" placeholder:"URL"`
	Alg string `help:"Who signs: XDR (RS256, the default) or you (HS256)." enum:"RS256,HS256" default:"RS256"`
}

// options checks the flags: XDR calls the relay over the internet.
func (f moduleFlags) options(title, region string) (moduletype.Options, error) {
	u, err := relayclient.ParseURL("--url", f.URL)
	if err != nil {
		return moduletype.Options{}, err
	}
	_, noName := netip.ParseAddr(u.Hostname())
	switch {
	case u.Scheme != "https" || noName == nil || !strings.Contains(u.Hostname(), "."):
		err = fmt.Errorf("--url %q must be https and have a public host name: "+
			"XDR calls it over the internet", f.URL)
	case strings.TrimSpace(title) == "":
		err = errors.New("--title must not be empty")
	}
	return moduletype.Options{
		Title: title, URL: strings.TrimRight(f.URL, "/"), Audience: "https://" + u.Host,
		Region: region, ByXDR: f.Alg == "RS256",
	}, err
}

type moduleRenderCommand struct {
	moduleFlags
	regionFlag
	Title    string `help:"Name of the module type in XDR (${default})." default:"Qualys EDR" placeholder:"TEXT"`
	EmbedKey bool   `help:"HS256 only: put the signing key into the module type and let XDR sign. Needs --out."`
	KeyFile  string `help:"Signing key for --embed-key; else SECRET_KEY, else asked for." placeholder:"FILE"`
	outFlags
}

func (c *moduleRenderCommand) Run(ctx context.Context, p *program) error {
	switch {
	case c.EmbedKey && (c.Alg != "HS256" || c.Out == ""):
		return errors.New("--embed-key needs --alg HS256 and --out: the module type will hold the signing " +
			"key, which must not end up on a screen or in a log")
	case c.KeyFile != "" && !c.EmbedKey:
		return errors.New("--key-file belongs to --embed-key: without it no key is needed")
	}
	o, err := c.options(c.Title, c.Region)
	if err == nil && c.EmbedKey {
		o.Key, err = p.signingKey(ctx, c.KeyFile)
	}
	if err != nil {
		return err
	}
	doc, err := o.Render()
	if err == nil {
		err = c.write(p, doc)
	}
	if err != nil {
		return err
	}
	steps, err := o.NextSteps(cmp.Or(c.Out, "the JSON above"))
	if err == nil {
		p.Note("%s", steps)
	}
	return err
}

type modulePushCommand struct {
	moduleFlags
	typeFlags
	changeFlags
}

func (c *modulePushCommand) Run(ctx context.Context, p *program, client *xdr.Client) error {
	o, err := c.options(c.Title, c.Region)
	if err != nil {
		return err
	}
	doc, err := o.Render()
	if err != nil {
		return err
	}
	stored, err := client.FindModuleType(ctx, c.ID, c.Title)
	if err != nil && (c.ID != "" || !errors.Is(err, xdr.ErrNoModuleType)) {
		return err
	}
	request, changes, err := xdr.Push(stored, doc)
	if err != nil {
		return err
	}
	switch {
	case stored == nil:
		p.Note("There is no module type %q yet. A new one for %s (%s) is to be created.", c.Title, o.URL, c.Alg)
	case len(changes) == 0:
		p.Note("The module type %q is as it should be.", stored.Text("title"))
		fmt.Fprintln(p.Out, plain.Text(stored.Text("id")))
		return nil
	default:
		p.Note("The module type %q (%s) is to be changed:", stored.Text("title"), stored.Text("id"))
		p.Note("%s", strings.Join(changes, "\n"))
	}
	var pushed xdr.ModuleType
	if sent, err := c.send(ctx, p, client, request, &pushed); !sent {
		return err
	}
	fmt.Fprintln(p.Out, plain.Text(pushed.Text("id")))
	if _, left, err := xdr.Push(pushed, doc); err == nil && len(left) > 0 {
		p.Note("note: XDR stored it otherwise:\n%s", strings.Join(left, "\n"))
	}
	if o.ByXDR {
		p.Note("The relay needs JWT_AUDIENCE=%s.", o.Audience)
	}
	return nil
}

type moduleListCommand struct{ xdrFlags }

func (c *moduleListCommand) Run(ctx context.Context, p *program, client *xdr.Client) error {
	all, err := client.ModuleTypes(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(p.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tTITLE\tENABLED\tURL")
	for _, t := range all {
		fmt.Fprintf(table, "%s\t%s\t%t\t%s\n", plain.Text(t.Text("id")), plain.Short(t.Text("title"), 60),
			t["enabled"] == true, plain.Short(t.Text("properties.url"), 100))
	}
	return table.Flush()
}

type moduleDeleteCommand struct {
	typeFlags
	changeFlags
}

func (c *moduleDeleteCommand) Run(ctx context.Context, p *program, client *xdr.Client) error {
	t, uses, err := c.find(ctx, client)
	if err != nil {
		return err
	}
	p.Note("The module type %q (%s) for %s is to be deleted.",
		t.Text("title"), t.Text("id"), t.Text("properties.url"))
	for _, i := range uses {
		p.Note("  The integration %q (%s) uses it.", i.Name, i.ID)
	}
	_, err = c.send(ctx, p, client, t.Delete(), nil)
	return err
}
