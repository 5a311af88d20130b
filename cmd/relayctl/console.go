package main

import (
	"context"
	"fmt"

	"qualysrelay.example/cmd/relayctl/console"
	"qualysrelay.example/cmd/relayctl/relayclient"
)

type consoleCommand struct {
	connection
	Listen string `help:"Loopback address to serve on; port 0 takes a free one (${default})." default:"127.0.0.1:0" placeholder:"ADDRESS"`
}

func (c *consoleCommand) Run(ctx context.Context, p *program) error {
	if !relayclient.IsLoopbackAddress(c.Listen) {
		return fmt.Errorf("--listen %q is not a loopback address: the page acts with your token, so that it "+
			"is for this machine only", c.Listen)
	}
	client, err := c.client(ctx, p)
	if err != nil {
		return err
	}
	handler := console.New(console.Options{Ask: client.Post, RelayURL: client.Base.String()})
	return serve(ctx, c.Listen, handler, func(url string) { fmt.Fprintln(p.Out, url+"/") })
}
