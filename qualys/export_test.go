package qualys

import (
	"context"
	"crypto/tls"
	"crypto/x509"
)

// Trust has the client trust a server's own authority.
func (c *Client) Trust(roots *x509.CertPool) {
	c.transport.TLSClientConfig = &tls.Config{RootCAs: roots}
}

// Login makes sure of a token as Events does.
func (c *Client) Login(ctx context.Context, t Tenant) error {
	_, err := c.token(ctx, t, t.Key(), false)
	return err
}
