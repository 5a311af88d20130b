package main

import (
	"context"
	"errors"
	"fmt"

	"qualysrelay.example/cmd/relayctl/console"
	"qualysrelay.example/cmd/relayctl/demo"
	"qualysrelay.example/cmd/relayctl/relayclient"
)

type demoCommand struct {
	Once    bool   `help:"End after the table: 0 where all went well, else 1." xor:"mode"`
	Gateway bool   `help:"Run the fake gateway alone, for a relay of your own, and print its URL, user and password." xor:"mode"`
	Listen  string `help:"Loopback address to serve on; port 0 takes a free one (${default})." default:"127.0.0.1:0" placeholder:"ADDRESS"`
}

func (c *demoCommand) Run(ctx context.Context, p *program) error {
	if !relayclient.IsLoopbackAddress(c.Listen) {
		return fmt.Errorf("--listen %q is not a loopback address: the demo is for this machine only", c.Listen)
	}
	if c.Gateway {
		return c.runGateway(ctx, p)
	}
	d, err := demo.New(p.now(), p.Note)
	if err != nil {
		return err
	}
	defer d.Close()
	page := console.New(console.Options{
		Ask: func(ctx context.Context, path string, body []byte) (relayclient.Response, error) {
			return d.Client.Post(ctx, path, body)
		},
		RelayURL: "the demo's relay",
		Examples: []console.Example{
			{Label: "The whole story", Text: demo.Report()},
			{Label: "A report with defanged addresses", Text: "The loader calls " +
				"hxxps://cdn[.]glasswing[.]example/ at 198.51.100[.]23 and mines at pool[.]glasswing[.]example."},
			{Label: "An everyday address", Text: "198.51.100.2"},
			{Label: "Nothing known", Text: "203.0.113.77"},
		},
	})
	serving, stop := context.WithCancel(ctx)
	defer stop()
	var told error
	err = serve(serving, c.Listen, d.Handler(page), func(address string) {
		if told = d.Connect(address); told == nil {
			told = c.tell(ctx, p, d)
		}
		if c.Once || told != nil {
			stop()
		}
	})
	return errors.Join(told, err)
}

// runGateway serves the fake gateway until Ctrl-C.
func (c *demoCommand) runGateway(ctx context.Context, p *program) error {
	gateway, err := demo.Gateway(c.Listen, p.Note)
	if err != nil {
		return err
	}
	defer gateway.Close()
	fmt.Fprintf(p.Out, "export API_URL=%s\nexport QUALYS_USER=%s\nexport QUALYS_PASSWORD=%s\n",
		gateway.URL, demo.GatewayUser, demo.GatewayPassword)
	p.Note("The fake Qualys gateway listens. The lines above are for the relay and for \"relayctl token\". " +
		"Ctrl-C ends it.")
	<-ctx.Done()
	return nil
}

// tell prints what the relay knows about the story, then how to look further.
func (c *demoCommand) tell(ctx context.Context, p *program, d *demo.Demo) error {
	fmt.Fprintf(p.Out, "A workstation met malware. This is what the relay at %s knows of it from a fake "+
		"Qualys gateway:\n\n", d.Client.Base)
	r, err := d.Look(ctx)
	if err == nil {
		err = r.WriteTable(p.Out, p.Width())
	}
	if err != nil {
		return err
	}
	if p.tellErrors(r.Errors, d.Client); len(r.Errors) > 0 || !r.Found() {
		return &answerNo{"The relay could not answer all."}
	}
	if c.Once {
		return nil
	}
	fmt.Fprint(p.Out, "\nCommands to paste, one for each endpoint:\n\n")
	d.WriteCommands(p.Out)
	_, err = fmt.Fprintf(p.Out, "\nCtrl-C ends the demo.\nSee it:  %s/\n", d.Client.Base)
	return err
}
