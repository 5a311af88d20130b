package qualys

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	tokenLife    = 4 * time.Hour   // of a token that does not say, as Qualys documents it
	minTokenLife = time.Minute     // where the token says less, or is over already: our clocks differ. A refused token is replaced anyway
	maxTokenLife = 24 * time.Hour  // where the token says more than is believable
	maxMargin    = 5 * time.Minute // how long before its end a token is no longer used, a tenth of its life at most
	maxLoginBody = 64 << 10        // bytes
	maxTenants   = 1024            // whose tokens are held at the same time
)

// tokens holds the token of each tenant, and the logins under way.
type tokens struct {
	mu     sync.Mutex
	held   map[TenantKey]token
	logins map[TenantKey]*login
}

type token struct {
	text  string
	until time.Time // wall clock: the monotonic one stands still while an instance is frozen
}

// login is a login under way, shared by all calls that need its token.
type login struct {
	done    chan struct{} // closed when text and err are set
	text    string
	err     error
	waiters int                // guarded by tokens.mu
	cancel  context.CancelFunc // called when the last waiter gives up
}

func (ts *tokens) get(key TenantKey) (string, bool) {
	tok, ok := ts.held[key]
	return tok.text, ok && wallClock().Before(tok.until)
}

// put holds a token, and makes room for it: first what is over goes, then what ends soonest.
func (ts *tokens) put(key TenantKey, tok token) {
	if _, ok := ts.held[key]; !ok && len(ts.held) >= maxTenants {
		now := wallClock()
		var soonest TenantKey
		var ends time.Time
		for k, held := range ts.held {
			if !now.Before(held.until) {
				delete(ts.held, k)
			} else if ends.IsZero() || held.until.Before(ends) {
				soonest, ends = k, held.until
			}
		}
		if len(ts.held) >= maxTenants {
			delete(ts.held, soonest)
		}
	}
	ts.held[key] = tok
}

// drop forgets a token that Qualys refused, unless another call has replaced it already: so searches that are refused together log in once.
func (ts *tokens) drop(key TenantKey, text string) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.held[key].text == text {
		delete(ts.held, key)
	}
}

// LoggedIn reports whether a token that is still good is at hand, so that Events will not log in first.
func (c *Client) LoggedIn(t Tenant) bool {
	c.tokens.mu.Lock()
	defer c.tokens.mu.Unlock()
	_, ok := c.tokens.get(t.Key())
	return ok
}

// Login makes sure of a token; it does nothing when LoggedIn. Each tenant has one login at a time: calls that come meanwhile wait for it and
// share its outcome, and one that gives up leaves it to the others.
func (c *Client) Login(ctx context.Context, t Tenant) error {
	_, err := c.token(ctx, t, t.Key())
	return err
}

func (c *Client) token(ctx context.Context, t Tenant, key TenantKey) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	ts := &c.tokens
	ts.mu.Lock()
	if text, ok := ts.get(key); ok {
		ts.mu.Unlock()
		return text, nil
	}
	l := ts.logins[key]
	if l == nil {
		// The login belongs to all who wait: it keeps the first one's values (a trace), not its end. Its own timeouts bound it.
		loginCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		l = &login{done: make(chan struct{}), cancel: cancel}
		ts.logins[key] = l
		go c.runLogin(loginCtx, t, key, l)
	}
	l.waiters++
	ts.mu.Unlock()

	select {
	case <-l.done:
		return l.text, l.err
	case <-ctx.Done():
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if l.waiters--; l.waiters == 0 {
		l.cancel()
		if ts.logins[key] == l { // who comes now needs a login of its own
			delete(ts.logins, key)
		}
	}
	return "", ctx.Err()
}

func (c *Client) runLogin(ctx context.Context, t Tenant, key TenantKey, l *login) {
	defer l.cancel()
	tok, err := c.login(ctx, t)
	c.tokens.mu.Lock()
	if err == nil {
		c.tokens.put(key, tok)
	}
	if c.tokens.logins[key] == l {
		delete(c.tokens.logins, key)
	}
	c.tokens.mu.Unlock()
	l.text, l.err = tok.text, err
	close(l.done)
}

// login asks the gateway for a token. Both values are form-encoded: a password with "& + % =" works.
func (c *Client) login(ctx context.Context, t Tenant) (tok token, err error) {
	_, err = c.exchange(ctx, request{
		op: OpLogin, method: http.MethodPost, url: t.Gateway + "/auth",
		header:  http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		form:    url.Values{"username": {t.User}, "password": {t.Password}, "token": {"true"}},
		maxBody: maxLoginBody, secrets: []string{t.Password},
	}, func(body []byte) error {
		text := strings.TrimSpace(string(body))
		if !looksLikeJWT(text) {
			return errors.New("the answer to the login is not a token")
		}
		tok = token{text: text, until: wallClock().Add(life(text))}
		return nil
	})
	return tok, err
}

// base64Alphabet is that of base64url, and what ordinary base64 has beside it.
const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/="

// looksLikeJWT asks for three parts of base64url. The relay cannot verify the token (HS512, Qualys's key) and needs not to.
func looksLikeJWT(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return false
	}
	for _, p := range parts {
		if p == "" || strings.Trim(p, base64Alphabet) != "" {
			return false
		}
	}
	return true
}

// life is how long from now the token may be used, by its exp claim, which is read unverified.
func life(jwt string) time.Duration {
	left := tokenLife
	var claims struct {
		Exp float64 `json:"exp"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.Split(jwt, ".")[1], "="))
	if err == nil && json.Unmarshal(payload, &claims) == nil && claims.Exp > 0 {
		seconds := claims.Exp - float64(wallClock().Unix())
		left = time.Duration(min(max(seconds, minTokenLife.Seconds()), maxTokenLife.Seconds()) * float64(time.Second))
	}
	return left - min(left/10, maxMargin)
}

func wallClock() time.Time { return time.Now().Round(0) }
