package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/xdr"
)

type modulePushCommand struct {
	moduleFlags
	xdrFlags
	ID string `name:"id" help:"Id of the module type to update, instead of its title." placeholder:"ID"`
	changeFlags
}

func (c *modulePushCommand) Run(ctx context.Context, p *program) error {
	o, err := c.options(c.Region, false)
	if err != nil {
		return err
	}
	doc, err := o.Render()
	if err != nil {
		return err
	}
	client, err := c.client(ctx, p)
	if err != nil {
		return err
	}
	stored, err := client.FindModuleType(ctx, c.ID, c.Title)
	if err != nil {
		return err
	}
	request, changes, err := xdr.Push(stored, doc)
	if err != nil {
		return err
	}
	question := "Create it?"
	switch {
	case stored == nil:
		p.Note("There is no module type %q yet. A new one for %s (%s) is to be created.", c.Title, o.URL, c.Alg)
	case len(changes) == 0:
		p.Note("The module type %q is as it should be.", stored.Title)
		fmt.Fprintln(p.Out, plain.Text(stored.ID))
		return nil
	default:
		question = "Change it?"
		p.Note("The module type %q (%s) is to be changed:", stored.Title, stored.ID)
		p.Note("%s", strings.Join(changes, "\n"))
	}
	var pushed xdr.ModuleType
	if sent, err := c.send(ctx, p, client, request, question, &pushed); !sent {
		return err
	}
	fmt.Fprintln(p.Out, plain.Text(pushed.ID))
	if _, left, err := xdr.Push(&pushed, doc); err == nil && len(left) > 0 {
		p.Note("note: XDR stored it otherwise:\n%s", strings.Join(left, "\n"))
	}
	if o.ByXDR() {
		p.Note("The relay needs JWT_AUDIENCE=%s.", o.Audience)
	}
	if stored == nil {
		p.Note("Next: relayctl instance add --region %s", c.Region)
	}
	return nil
}

type moduleListCommand struct{ xdrFlags }

func (c *moduleListCommand) Run(ctx context.Context, p *program) error {
	client, err := c.client(ctx, p)
	if err != nil {
		return err
	}
	all, err := client.ModuleTypes(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(p.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tTITLE\tENABLED\tCHANGED\tURL")
	for _, t := range all {
		changed, _, _ := strings.Cut(cmp.Or(t.UpdatedAt, t.CreatedAt), "T")
		fmt.Fprintf(table, "%s\t%s\t%t\t%s\t%s\n", plain.Text(t.ID), plain.Short(t.Title, 60), t.Enabled,
			plain.Short(changed, 10), plain.Short(t.Property("url"), 100))
	}
	return table.Flush()
}

type moduleDeleteCommand struct {
	typeFlags
	changeFlags
}

func (c *moduleDeleteCommand) Run(ctx context.Context, p *program) error {
	client, t, uses, err := c.find(ctx, p)
	if err != nil {
		return err
	}
	p.Note("The module type %q (%s) for %s is to be deleted.", t.Title, t.ID, t.Property("url"))
	for _, i := range uses {
		p.Note("  The integration %q (%s) uses it.", i.Name, i.ID)
	}
	sent, err := c.send(ctx, p, client, t.Delete(), "Delete it?", nil)
	if sent {
		p.Note("Deleted.")
	}
	return err
}
