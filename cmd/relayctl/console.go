package main

import (
	"context"
	"fmt"
	"net"

	"qualysrelay.example/cmd/relayctl/console"
)

type consoleCommand struct {
	connection
	listenFlag
}

func (c *consoleCommand) Run(ctx context.Context, p *program) error {
	if err := c.check(); err != nil {
		return err
	}
	client, err := c.client(ctx, p)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.Out, "http://%s/\n", listener.Addr())
	return serve(ctx, listener, console.New(client))
}
