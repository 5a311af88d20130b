package main

import (
	"context"
	"fmt"

	"qualysrelay.example/cmd/relayctl/console"
	"qualysrelay.example/cmd/relayctl/relayclient"
)

// consoleCommand serves the investigation page.
type consoleCommand struct {
	connection
	Listen string `help:"Loopback address to serve on; port 0 takes a free one (${default})." default:"127.0.0.1:0" placeholder:"ADDRESS"`
}

// Help is the command's manual.
func (consoleCommand) Help() string {
	return `Serves a page on this machine only: paste text, see what the relay knows about the observables in
it. The token stays in this process; the page never sees it. Ctrl-C ends it.

Example:

    relayctl console --url https://relay-abc-ew.a.run.app --token-file relay.jwt`
}

// Run serves until it is interrupted.
func (c *consoleCommand) Run(ctx context.Context, p *program) error {
	if !relayclient.IsLoopbackAddress(c.Listen) {
		return fmt.Errorf("--listen %q is not a loopback address: the page acts with your token, so that it "+
			"is for this machine only", c.Listen)
	}
	client, err := c.client(ctx, p)
	if err != nil {
		return err
	}
	handler, err := console.New(console.Options{
		Ask: func(ctx context.Context, path string, body []byte) (console.Reply, error) {
			return askConsole(ctx, client, path, body)
		},
		RelayURL: client.Base.String(),
	})
	if err != nil {
		return err
	}
	return serve(ctx, c.Listen, handler, func(url string) { fmt.Fprintln(p.Out, url+"/") })
}

// askConsole is the console's way to the relay.
func askConsole(ctx context.Context, client *relayclient.Client, path string, body []byte) (console.Reply,
	error) {
	got, err := client.Post(ctx, path, body)
	return console.Reply{Body: got.Body, Header: got.Header, Duration: got.Duration, Status: got.Status}, err
}
