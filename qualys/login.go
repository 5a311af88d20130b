package qualys

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	tokenLife    = 4 * time.Hour  // of a token that does not say, as Qualys documents it
	maxTokenLife = 24 * time.Hour // where the token says more than is believable
	// Where the token says less, or is over already: our clocks differ. A refused token is replaced
	// anyway.
	minTokenLife = time.Minute

	maxToken   = 16 << 10 // bytes
	maxTenants = 1024     // whose tokens and refusals are held at the same time

	// How long a refused login is remembered: accounts are locked after a few.
	refusalLife = 10 * time.Minute
	// After which Check tries a refused login again, and a new token that Qualys refused is renewed
	// again.
	recheckAfter = time.Minute
)

// token is the outcome of a login: a token, or Qualys's refusal.
type token struct {
	text    string
	refusal error     // text is empty
	since   time.Time // wall clock, as until: the monotonic one stands still while an instance is frozen
	until   time.Time
	renewed bool // it replaces one that Qualys refused, and was not accepted yet
}

// known returns what the last login gave, and whether that still holds: with again, a refusal does so for
// a minute only.
func (c *Client) known(key TenantKey, again bool) (token, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	tok, _ := c.tokens.Get(key)
	isOld := again && tok.refusal != nil && time.Since(tok.since) >= recheckAfter
	return tok, time.Now().Before(tok.until) && !isOld
}

// renew drops a token that Qualys refused. It reports whether a new login is worth it: not where the token
// came a moment ago in place of another one that was refused. Searches that are refused together log in once.
func (c *Client) renew(key TenantKey, refused string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	tok, _ := c.tokens.Get(key)
	if tok.text != refused { // another search has dropped it
		return true
	}
	if tok.renewed && time.Since(tok.since) < recheckAfter {
		return false
	}
	c.tokens.Add(key, token{renewed: true})
	return true
}

// accept notes that Qualys accepted a token: where it refuses it later, a new login is worth it at once.
func (c *Client) accept(key TenantKey, accepted string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if tok, _ := c.tokens.Get(key); tok.renewed && tok.text == accepted {
		tok.renewed = false
		c.tokens.Add(key, tok)
	}
}

// LoggedIn reports whether a token that is still good is at hand, so that Events will not log in first.
func (c *Client) LoggedIn(t Tenant) bool {
	tok, ok := c.known(t.Key(), false)
	return ok && tok.refusal == nil
}

// Check makes sure of a token; it does nothing when LoggedIn. Each tenant has one login at a time: calls
// that come meanwhile wait for it and share its outcome. It goes on when they give up, and the next call
// finds what it gave. A refusal by Qualys (KindUnauthorized, KindAccount) is remembered for ten minutes,
// during which Events and Count return it without a call; for one that is older than a minute Check asks
// Qualys again.
func (c *Client) Check(ctx context.Context, t Tenant) error {
	_, err := c.token(ctx, t, t.Key(), true)
	return err
}

func (c *Client) token(ctx context.Context, t Tenant, key TenantKey, again bool) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if tok, ok := c.known(key, again); ok {
		return tok.text, tok.refusal
	}
	// The login belongs to all who wait: it keeps the first one's values (a trace), not its end. Its own
	// timeouts bound it.
	loginCtx := context.WithoutCancel(ctx)
	done := c.logins.DoChan(string(key[:]), func() (any, error) {
		tok, ok := c.known(key, again)
		if ok { // another login ended a moment ago
			return tok.text, tok.refusal
		}
		text, err := c.login(loginCtx, t)
		now := time.Now().Round(0)
		next := token{text: text, since: now, until: now.Add(life(text)), renewed: tok.renewed}
		if err != nil {
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Kind != KindUnauthorized && e.Kind != KindAccount {
				return "", err
			}
			next.refusal, next.until = err, now.Add(refusalLife)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.tokens.Add(key, next)
		return text, err
	})
	select {
	case result := <-done:
		text, _ := result.Val.(string)
		return text, result.Err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// login gets a token from the gateway. Both values are form-encoded: a password with "& + % =" works.
func (c *Client) login(ctx context.Context, t Tenant) (text string, err error) {
	err = c.exchange(ctx, request{
		op: OpLogin, url: t.Gateway + "/auth",
		header:  http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		form:    url.Values{"username": {t.User}, "password": {t.Password}, "token": {"true"}},
		secrets: []string{t.Password},
	}, func(a *answer) error {
		body, err := a.short()
		if err != nil {
			return err
		}
		if text = strings.Trim(strings.TrimSpace(string(body)), `"`); isToken(text) {
			return nil
		}
		text = ""
		if r := parseReply(body); !r.structured && !r.denied {
			body = nil // it may hold a token all the same, and is not shown
		}
		return a.refusal("the answer to the login is not a token", body)
	})
	return text, err
}

// isToken takes any line of printable ASCII without white space that is no markup and no JSON: the token is
// Qualys's (a JWT of three parts, encrypted ones of five) and opaque. A short one without a digit or a dot is
// a word, which is a message in its place.
func isToken(s string) bool {
	isWord := len(s) <= 64 && !strings.ContainsAny(s, ".0123456789")
	isForeign := func(r rune) bool { return r <= ' ' || r > '~' }
	return !isWord && len(s) <= maxToken && !strings.ContainsAny(s[:1], "<{[") &&
		!strings.ContainsFunc(s, isForeign)
}

// life is how long from now the token is used: nine tenths of what its exp claim, read unverified, gives it
// where it is a JWT.
func life(token string) time.Duration {
	left := tokenLife
	var claims struct {
		Exp json.Number `json:"exp"` // which may stand in quotes
	}
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(token+".", ".")[1])
	_ = json.Unmarshal(payload, &claims) // what cannot be read is a token that does not say
	if exp, err := claims.Exp.Float64(); err == nil && exp > 0 {
		end := time.Unix(int64(min(exp, math.MaxInt32)), 0) // 2038
		left = min(max(time.Until(end), minTokenLife), maxTokenLife)
	}
	return left - left/10
}
