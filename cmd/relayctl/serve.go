package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// serve answers on a loopback address until the context ends, and tells its URL once it listens. At the end
// it waits for nobody: who works with the page has ended it.
func serve(ctx context.Context, address string, handler http.Handler, ready func(url string)) error {
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
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	ready("http://" + bound.String())
	select {
	case err = <-ended:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}
