package qualys

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
)

// ReadEvents reads an answer of at most size events as Events does.
func ReadEvents(ctx context.Context, body io.Reader, size int) (Page, error) {
	a := &answer{ctx: ctx, status: http.StatusOK, body: body, grant: new(grant)}
	return a.events(size)
}

// Trust has the client trust a server's own authority.
func (c *Client) Trust(roots *x509.CertPool) {
	c.transport.TLSClientConfig = &tls.Config{RootCAs: roots}
}

// Login makes sure of a token as Events does.
func (c *Client) Login(ctx context.Context, t Tenant) error {
	_, err := c.token(ctx, t, t.Key(), false)
	return err
}
