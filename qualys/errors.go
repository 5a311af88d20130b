package qualys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
)

// Kind says what went wrong with a call, in the terms in which the relay answers.
type Kind string

// The kinds of errors.
const (
	// Qualys refused the login: 400, 401, or an account's text in a 200 from /auth.
	KindUnauthorized Kind = "unauthorized"
	// The login is good, the account is not: 401 from a search after one new login, codes 2000 to 2099.
	KindAccount     Kind = "account"
	KindForbidden   Kind = "forbidden"    // 403
	KindRateLimited Kind = "rate limited" // 429, codes 1960 and 1965, 409 with rate headers and no code
	KindUnavailable Kind = "unavailable"  // 503
	KindBadQuery    Kind = "bad query"    // 400 from a search
	KindNotFound    Kind = "not found"    // 404 from a search: a wrong path, or no EDR API on the platform
	KindUnexpected  Kind = "unexpected"   // 500, a redirect, every other status; an answer that is not HTTP
	// A 2xx that is empty, not JSON, cut short, not a list, too large; a login without a token.
	KindUnreadable Kind = "unreadable"
	KindConnect    Kind = "connect"  // refused, DNS, timeout while connecting
	KindReset      Kind = "reset"    // the connection ended, or otherwise failed, before there was a status
	KindTLS        Kind = "tls"      // certificate or handshake
	KindTimeout    Kind = "timeout"  // our own, Options.Timeout
	KindMemory     Kind = "memory"   // Options.Memory had none for the answer in time
	KindCanceled   Kind = "canceled" // in a Call: the caller's context ended, whose error methods return
)

// The operations that an Error and a Call name.
const (
	OpLogin  = "login"
	OpEvents = "events"
	OpCount  = "count"
)

// Error is a failed call. It never holds a credential, a token, or the URL with the query.
type Error struct {
	Op      string // OpLogin, OpEvents or OpCount
	Kind    Kind
	Status  int    // HTTP status; 0 where there was none
	Code    int    // Qualys's own number in the answer, such as 1965; 0 where there was none
	Message string // Qualys's or the network's words: one plain line of at most 300 characters, never empty
	Limits  RateLimits

	cutShort bool // the connection ended within the answer
}

// Error returns op, kind, status and code, and nothing that Qualys wrote: an answer may quote the values
// of a query, and errors go to logs.
func (e *Error) Error() string {
	s := fmt.Sprintf("qualys: %s: %s", e.Op, e.Kind)
	switch {
	case e.Code != 0:
		s += fmt.Sprintf(" (status %d, code %d)", e.Status, e.Code)
	case e.Status != 0:
		s += fmt.Sprintf(" (status %d)", e.Status)
	}
	return s
}

// Transient reports whether the same call may well succeed in a moment: the connection ended before or in
// the answer, Qualys answered 500 ("Internal Error", which its own Splunk add-on repeats), or a gateway
// on the way answered 502, 503 or 504. A rate limit is not: it has its own wait.
func (e *Error) Transient() bool {
	failed := e.Kind == KindUnexpected || e.Kind == KindUnavailable
	return failed && slices.Contains([]int{500, 502, 503, 504}, e.Status) || e.Kind == KindReset || e.cutShort
}

// refusal makes an Error of a status and of what the body says. what is the message where the body says
// nothing.
func (a *answer) refusal(what string, body []byte) *Error {
	if len(body) >= maxErrorBody {
		body = nil // it may be cut inside of a secret
	}
	r := parseReply(body)
	e := &Error{Kind: a.kindOf(r), Code: r.code, Message: plain(r.text, a.secrets...)}
	if e.Kind == KindRateLimited && r.wait > a.limits.Wait {
		a.limits.Wait, a.limits.Known = r.wait, true
	}
	if e.Kind == KindUnreadable && !r.structured && e.Message != "" {
		e.Message = what + ": " + e.Message
	}
	status := strings.TrimSpace(fmt.Sprintf("HTTP %d %s", a.status, http.StatusText(a.status)))
	e.Message = cmp.Or(e.Message, what, status)
	return e
}

// kindOf decides by Qualys's code before the status: 409 is both a rate limit and an account that may not
// use the API. The codes are those of Qualys's older APIs (recorded by graph-qualys); the gateway is
// documented to answer 429.
func (a *answer) kindOf(r reply) Kind {
	success, isLogin := a.status/100 == 2, a.op == OpLogin
	switch {
	case r.code == 1960, r.code == 1965, a.status == http.StatusTooManyRequests,
		a.status == http.StatusConflict && r.code == 0 && a.limits.Known:
		return KindRateLimited
	case isLogin && (success && r.structured || a.status == http.StatusBadRequest),
		a.status == http.StatusUnauthorized, r.denied:
		return KindUnauthorized
	case 2000 <= r.code && r.code < 2100 && (success || a.status == http.StatusConflict):
		return KindAccount
	case success:
		return KindUnreadable
	case a.status == http.StatusBadRequest:
		return KindBadQuery
	case a.status == http.StatusForbidden:
		return KindForbidden
	case a.status == http.StatusNotFound && !isLogin:
		return KindNotFound
	case a.status == http.StatusServiceUnavailable:
		return KindUnavailable
	}
	return KindUnexpected
}

// failure makes an Error of whatever ended an exchange.
func (a *answer) failure(err error) *Error {
	e, ok := errors.AsType[*Error](err)
	switch {
	case ok:
	case a.ctx.Err() != nil: // not the caller's
		e = &Error{Kind: KindTimeout, Message: "timeout: the whole answer did not arrive in time"}
	case errors.Is(err, context.Canceled):
		e = &Error{Kind: KindReset, Message: "the connection was closed by another call's end"}
	case a.status != 0:
		e = &Error{Kind: KindUnreadable, Message: "the answer is cut short", cutShort: true}
	default:
		message := cmp.Or(plain(err.Error(), a.secrets...), "connection failed")
		e = &Error{Kind: networkKind(err), Message: message}
	}
	e.Op, e.Status, e.Limits = a.op, a.status, a.limits
	return e
}

// networkKind finds the kind of a failure before the header had come. Only their texts tell many of the
// transport's errors apart; those name hosts and addresses, not URLs.
func networkKind(err error) Kind {
	text := err.Error()
	netOp, isOp := errors.AsType[*net.OpError](err)
	switch {
	case errors.As(err, new(*net.DNSError)), isOp && (netOp.Op == "dial" || netOp.Op == "proxyconnect"),
		strings.HasPrefix(text, "net/http: TLS handshake timeout"): // first, since a name can be like any text
		return KindConnect
	// The transport says that the connection is broken of one that was lost, too.
	case strings.Contains(text, "connection broken") && !isOp && !strings.HasSuffix(text, "EOF"),
		strings.Contains(text, "malformed"), strings.Contains(text, "response header"): // or too large a one
		return KindUnexpected
	case strings.Contains(text, "tls: "): // a certificate, the handshake, an alert of theirs or ours
		return KindTLS
	}
	return KindReset
}
