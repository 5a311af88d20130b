package qualys

import (
	"context"
	"io"
	"net/http"
)

// ReadEvents reads an answer of at most size events as Events does.
func ReadEvents(ctx context.Context, body io.Reader, size int) (Page, error) {
	a := &answer{ctx: ctx, resp: &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body)}, grant: &grant{limit: 24 << 20}}
	return a.events(size)
}

// Login makes sure of a token as Events does.
func (c *Client) Login(ctx context.Context, t Tenant) error {
	_, err := c.token(ctx, t, t.Key(), false)
	return err
}
