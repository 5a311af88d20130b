package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"qualysrelay.example/cmd/relayctl/relayclient"
)

// listenFlag is the flag of the commands that serve something on this machine.
type listenFlag struct {
	Listen string `help:"Loopback address to serve on; port 0 takes a free one (${default})." default:"127.0.0.1:0" placeholder:"ADDRESS"`
}

// check refuses an address that others can reach: what is served acts with the user's token.
func (f *listenFlag) check() error {
	if !relayclient.IsLoopbackAddress(f.Listen) {
		return fmt.Errorf("--listen %q is not a loopback address: this is for this machine only", f.Listen)
	}
	return nil
}

// serve answers until the context ends. It then waits for nobody: who works with the page has ended it.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
