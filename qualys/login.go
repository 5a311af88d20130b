package qualys

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	tokenLife    = 4 * time.Hour   // of a token that does not say, as Qualys documents it
	maxTokenLife = 24 * time.Hour  // where the token says more than is believable
	maxMargin    = 5 * time.Minute // before its end a token is no longer used, a tenth of its life at most
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

// tokens holds what is known of each tenant's login, and the logins under way.
type tokens struct {
	mu     sync.Mutex
	held   *simplelru.LRU[TenantKey, token]
	logins map[TenantKey]*login
}

func newTokens() tokens {
	held, _ := simplelru.NewLRU[TenantKey, token](maxTenants, nil) // fails for a size below one
	return tokens{held: held, logins: make(map[TenantKey]*login)}
}

// token is the outcome of a login: a token, or Qualys's refusal.
type token struct {
	text    string
	refusal error     // text is empty
	since   time.Time // wall clock, as until: the monotonic one stands still while an instance is frozen
	until   time.Time
	renewed bool // it replaces one that Qualys refused, and was not accepted yet
}

// login is a login under way, shared by all calls that need its token.
type login struct {
	done    chan struct{} // closed when text and err are set
	text    string
	err     error
	waiters int                // guarded by tokens.mu
	cancel  context.CancelFunc // called when the last waiter gives up
	renews  bool               // a token that Qualys refused
}

func (ts *tokens) get(key TenantKey) (token, bool) {
	tok, _ := ts.held.Get(key)
	return tok, wallClock().Before(tok.until)
}

// refused notes that Qualys did not accept a token, and reports whether a new login is worth it: not
// where the token is itself the new one that replaced a refused one a moment ago. Searches that are
// refused together log in once.
func (ts *tokens) refused(key TenantKey, text string) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	tok, _ := ts.held.Get(key)
	if tok.text != text || tok.until.IsZero() { // another search has noted it
		return true
	}
	if tok.renewed && wallClock().Sub(tok.since) < recheckAfter {
		return false
	}
	tok.until, tok.renewed = time.Time{}, true // the next login renews it
	ts.held.Add(key, tok)
	return true
}

// accepted notes that Qualys took the token.
func (ts *tokens) accepted(key TenantKey, text string) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if tok, _ := ts.held.Get(key); tok.text == text && tok.renewed && !tok.until.IsZero() {
		tok.renewed = false
		ts.held.Add(key, tok)
	}
}

// LoggedIn reports whether a token that is still good is at hand, so that Events will not log in first.
func (c *Client) LoggedIn(t Tenant) bool {
	c.tokens.mu.Lock()
	defer c.tokens.mu.Unlock()
	tok, ok := c.tokens.get(t.Key())
	return ok && tok.refusal == nil
}

// Login makes sure of a token; it does nothing when LoggedIn. Each tenant has one login at a time: calls
// that come meanwhile wait for it and share its outcome, and one that gives up leaves it to the others. A
// refusal by Qualys (KindUnauthorized, KindAccount) is remembered for ten minutes, during which Login,
// Events and Count return it without a call.
func (c *Client) Login(ctx context.Context, t Tenant) error {
	_, err := c.token(ctx, t, t.Key(), false)
	return err
}

// Check is Login, but for a refusal that is older than a minute it asks Qualys again.
func (c *Client) Check(ctx context.Context, t Tenant) error {
	_, err := c.token(ctx, t, t.Key(), true)
	return err
}

func (c *Client) token(ctx context.Context, t Tenant, key TenantKey, again bool) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	ts := &c.tokens
	ts.mu.Lock()
	tok, ok := ts.get(key)
	again = again && tok.refusal != nil && wallClock().Sub(tok.since) >= recheckAfter
	if ok && !again {
		ts.mu.Unlock()
		return tok.text, tok.refusal
	}
	l := ts.logins[key]
	if l == nil {
		// The login belongs to all who wait: it keeps the first one's values (a trace), not its end. Its
		// own timeouts bound it.
		loginCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		l = &login{done: make(chan struct{}), cancel: cancel, renews: tok.renewed}
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
	text, err := c.login(ctx, t)
	now := wallClock()
	tok := token{text: text, since: now, renewed: l.renews}
	var refusal *Error
	refused := errors.As(err, &refusal) && (refusal.Kind == KindUnauthorized || refusal.Kind == KindAccount)
	if refused {
		tok.refusal, tok.until = refusal, now.Add(refusalLife)
	} else if err == nil {
		tok.until = now.Add(life(text))
	}
	c.tokens.mu.Lock()
	if err == nil || refused {
		c.tokens.held.Add(key, tok)
	}
	if c.tokens.logins[key] == l {
		delete(c.tokens.logins, key)
	}
	c.tokens.mu.Unlock()
	l.text, l.err = text, err
	close(l.done)
}

// login gets a token from the gateway. Both values are form-encoded: a password with "& + % =" works.
func (c *Client) login(ctx context.Context, t Tenant) (text string, err error) {
	_, err = c.exchange(ctx, request{
		op: OpLogin, method: http.MethodPost, url: t.Gateway + "/auth",
		header:  http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		form:    url.Values{"username": {t.User}, "password": {t.Password}, "token": {"true"}},
		secrets: []string{t.Password},
	}, func(a *answer) error {
		body, err := readShort(a)
		if err != nil {
			return err
		}
		if text = strings.Trim(strings.TrimSpace(string(body)), `"`); isToken(text) {
			return nil
		}
		text = ""
		const what = "the answer to the login is not a token"
		if r := parseReply(body); !r.structured && r.word == "" {
			return &refusal{what: what} // it may hold a token all the same, and is not shown
		}
		return &refusal{what, body}
	})
	return text, err
}

// isToken takes any line of printable ASCII without white space: the token is Qualys's (a JWT of three
// parts, encrypted ones of five) and opaque. Not taken are markup, JSON, and a bare word: a message in
// its place.
func isToken(s string) bool {
	return s != "" && len(s) <= maxToken && !strings.ContainsRune("<{[", rune(s[0])) && !isWord(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// life is how long from now the token may be used: by its exp claim, read unverified, where it is a JWT.
func life(token string) time.Duration {
	left := tokenLife
	var claims struct {
		Exp string `json:"exp"`
	}
	if parts := strings.Split(token, "."); len(parts) == 3 {
		payload, _ := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
		_ = json.Unmarshal(payload, &claims, lenient)
		if exp, err := strconv.ParseFloat(claims.Exp, 64); err == nil && exp > 0 {
			seconds := exp - float64(wallClock().Unix())
			seconds = min(max(seconds, minTokenLife.Seconds()), maxTokenLife.Seconds())
			left = time.Duration(seconds * float64(time.Second))
		}
	}
	return left - min(left/10, maxMargin)
}

func wallClock() time.Time { return time.Now().Round(0) }
