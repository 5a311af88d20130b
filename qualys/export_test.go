package qualys

import (
	"context"
	"io"
)

// Waiters returns how many calls wait for the tenant's login.
func (c *Client) Waiters(t Tenant) int {
	c.tokens.mu.Lock()
	defer c.tokens.mu.Unlock()
	if l := c.tokens.logins[t.Key()]; l != nil {
		return l.waiters
	}
	return 0
}

// ReadEvents reads an answer of at most size events as Events does.
func ReadEvents(ctx context.Context, body io.Reader, size int) (Page, error) {
	a := &answer{ctx: ctx, body: body, grant: &grant{limit: 24 << 20}}
	return a.events(size)
}
