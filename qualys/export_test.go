package qualys

import "time"

// ParseTime lets the reference decoder of the tests read times as the package does; the times have tests of their own.
func ParseTime(s string) time.Time { return parseTime([]byte(s)) }

// Waiters returns how many calls wait for the tenant's login.
func (c *Client) Waiters(t Tenant) int {
	c.tokens.mu.Lock()
	defer c.tokens.mu.Unlock()
	if l := c.tokens.logins[t.Key()]; l != nil {
		return l.waiters
	}
	return 0
}
