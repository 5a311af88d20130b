package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"qualysrelay.example/cmd/relayctl/console"
)

// shutdownTime is how long requests may still run after Ctrl-C.
const shutdownTime = 3 * time.Second

// consoleCommand serves the investigation page.
type consoleCommand struct {
	connection
	Listen string `help:"Loopback address to serve on; port 0 takes a free one (${default})." default:"127.0.0.1:0" placeholder:"ADDRESS"`
}

// Help is the command's manual.
func (consoleCommand) Help() string {
	return `Serves a page on this machine only: paste text, see what the relay knows about the observables in it. The token stays in
this process; the page never sees it. Ctrl-C ends it.

Example:

    relayctl console --url https://relay-abc-ew.a.run.app --token-file relay.jwt`
}

// Run serves until it is interrupted.
func (c *consoleCommand) Run(ctx context.Context, p *program) error {
	if !isLoopbackAddress(c.Listen) {
		return fmt.Errorf("--listen %q is not a loopback address: the page acts with your token, so that it is for this machine only", c.Listen)
	}
	client, err := c.client(ctx, p)
	if err != nil {
		return err
	}
	handler, err := console.New(console.Options{Ask: client.askConsole, RelayURL: client.base.String()})
	if err != nil {
		return err
	}
	return p.serve(ctx, c.Listen, handler, func(url string) { fmt.Fprintln(p.stdout, url) })
}

// askConsole is the console's way to the relay.
func (c *relayClient) askConsole(ctx context.Context, path string, body []byte) (console.Reply, error) {
	got, err := c.ask(ctx, path, body)
	return console.Reply{Body: got.Body, Header: got.Header, Duration: got.Duration, Status: got.Status}, err
}

// serve answers on a loopback address until the context ends, and tells its URL once it listens.
func (p *program) serve(ctx context.Context, address string, handler http.Handler, ready func(url string)) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	bound := listener.Addr().(*net.TCPAddr)
	if !bound.IP.IsLoopback() { // a hosts file can call anything localhost
		listener.Close()
		return fmt.Errorf("%s is not an address of this machine's loopback interface", bound)
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	ready("http://" + bound.String() + "/")
	select {
	case err = <-ended:
		return err
	case <-ctx.Done():
	}
	// The context is over: its values go on, its end does not.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		server.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
