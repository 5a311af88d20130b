package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"qualysrelay.example/cmd/relayctl/console"
	"qualysrelay.example/cmd/relayctl/demo"
	"qualysrelay.example/cmd/relayctl/relayclient"
)

type demoCommand struct {
	Once    bool `help:"End after the table: 0 where all went well, else 1." xor:"mode"`
	Gateway bool `help:"Run the fake gateway alone, for a relay of your own, and print its URL, user and password." xor:"mode"`
	listenFlag
}

func (c *demoCommand) Run(ctx context.Context, p *program) error {
	if err := c.check(); err != nil {
		return err
	}
	address := "" // of the gateway: any that is free
	if c.Gateway {
		address = c.Listen
	}
	gateway, err := demo.Gateway(address, p.Note)
	if err != nil {
		return err
	}
	defer gateway.Close()
	if c.Gateway {
		fmt.Fprintf(p.Out, "export API_URL=%s\nexport QUALYS_USER=%s\nexport QUALYS_PASSWORD=%s\n",
			gateway.URL, demo.User, demo.Password)
		p.Note("The fake Qualys gateway listens. The lines above are for the relay and for " +
			"\"relayctl token\". Ctrl-C ends it.")
		<-ctx.Done()
		return nil
	}
	service, token, err := demo.Relay(gateway.URL, nil, os.Stderr)
	if err != nil {
		return err
	}
	defer service.Close()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return err
	}
	base := &url.URL{Scheme: "http", Host: listener.Addr().String()}
	client := relayclient.New(base, token, time.Minute)
	page := console.New(client,
		console.Example{Label: "The whole story", Text: demo.Report()},
		console.Example{Label: "An everyday address", Text: "198.51.100.2"},
		console.Example{Label: "Nothing known", Text: "203.0.113.77"},
	)
	mux := http.NewServeMux()
	for _, path := range []string{"/{$}", "/assets/", "/api/"} {
		mux.Handle(path, page)
	}
	mux.Handle("/", service)
	serving, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- serve(serving, listener, mux) }()

	fmt.Fprintf(p.Out, "A workstation met malware. This is what the relay at %s knows of it from a fake "+
		"Qualys gateway:\n\n", base)
	r, _, err := p.lookUp(ctx, client, demo.Observables())
	if err == nil {
		err = r.WriteTable(p.Out, p.Width())
	}
	if err == nil && p.outcome(r, client) != nil {
		err = &answerNo{"The relay could not answer all."}
	}
	if err != nil || c.Once {
		return err
	}
	fmt.Fprint(p.Out, "\nCommands to paste, one for each endpoint:\n\n")
	demo.WriteCommands(p.Out, base, token)
	fmt.Fprintf(p.Out, "\nCtrl-C ends the demo.\nSee it:  %s/\n", base)
	return <-ended
}
