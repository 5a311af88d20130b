package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"qualysrelay.example/cmd/relayctl/moduletype"
	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/xdr"
)

// modulePushCommand makes the module type in XDR like the one that is rendered.
type modulePushCommand struct {
	moduleFlags
	xdrFlags
	ID string `name:"id" help:"Id of the module type to update, instead of its title." placeholder:"ID"`
	changeFlags
}

// Help is the command's manual.
func (modulePushCommand) Help() string {
	return `Renders the module type as "relayctl module" does and puts it into XDR. Your organisation's module
type with this title, or with --id, is updated: what would change is shown, and asked about. Where
there is none, it is created. Its id is printed.
` + xdrHelp + `
Exit codes: 0 it is as it should be, 1 you declined, 2 errors.

Example:

    relayctl module push --url https://relay-abc-ew.a.run.app --region eu`
}

// Run pushes the module type.
func (c *modulePushCommand) Run(ctx context.Context, p *program) error {
	if err := c.checkAudience(c.Alg == "RS256"); err != nil {
		return err
	}
	o, err := c.options(c.Region)
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
		p.Note("There is no module type %q yet. A new one for %s (%s) is to be created.",
			c.Title, o.URL, c.Alg)
	case len(changes) == 0:
		p.Note("The module type %q is as it should be.", stored.Title)
		fmt.Fprintln(p.Out, plain.Text(stored.ID))
		return nil
	default:
		question = "Change it?"
		p.Note("The module type %q (%s) is to be changed:", stored.Title, stored.ID)
		for _, change := range changes {
			change.Write(p.Err)
		}
	}
	var pushed xdr.ModuleType
	if sent, err := c.send(ctx, p, client, request, question, &pushed); !sent {
		return err
	}
	fmt.Fprintln(p.Out, plain.Text(pushed.ID))
	if _, left, err := xdr.Push(&pushed, doc); err == nil && len(left) > 0 {
		p.Note("note: XDR stored it otherwise:")
		for _, change := range left {
			change.Write(p.Err)
		}
	}
	if o.Signing == moduletype.ByXDR {
		p.Note("The relay needs JWT_AUDIENCE=%s.", o.Audience)
	}
	if stored == nil {
		p.Note("Next: relayctl instance add --region %s", c.Region)
	}
	return nil
}

// moduleListCommand lists module types.
type moduleListCommand struct{ xdrFlags }

// Help is the command's manual.
func (moduleListCommand) Help() string {
	return `Lists your organisation's module types.
` + xdrHelp + `

Example:

    relayctl module list --region eu`
}

// Run prints the table.
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
		fmt.Fprintf(table, "%s\t%s\t%t\t%s\t%s\n", plain.Text(t.ID), plain.Short(t.Title, 60),
			t.Enabled, plain.Short(changed, 10), plain.Short(t.Property("url"), 100))
	}
	return table.Flush()
}

// moduleDeleteCommand deletes the module type.
type moduleDeleteCommand struct {
	typeFlags
	xdrFlags
	changeFlags
}

// Help is the command's manual.
func (moduleDeleteCommand) Help() string {
	return `Deletes your organisation's module type with this title, or with --id, after it has asked.
Integrations that use it are named; delete those first, in XDR under Administration > Integrations.
` + xdrHelp + `
Exit codes: 0 it is deleted, 1 you declined, 2 errors.

Example:

    relayctl module delete --region eu`
}

// Run deletes it.
func (c *moduleDeleteCommand) Run(ctx context.Context, p *program) error {
	client, err := c.client(ctx, p)
	if err != nil {
		return err
	}
	t, err := c.find(ctx, client)
	if err != nil {
		return err
	}
	uses, err := client.Instances(ctx, t)
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
