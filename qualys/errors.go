package qualys

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
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
	KindReset      Kind = "reset"    // the connection ended before there was a status
	KindTLS        Kind = "tls"      // certificate or handshake
	KindTimeout    Kind = "timeout"  // our own timeout for the header or the body
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

// refusal is the one place where a status, and what the body says, become an Error. what is the message
// where the body says nothing.
func (a *answer) refusal(what string, body []byte) *Error {
	r := parseReply(body)
	e := &Error{Op: a.op, Status: a.resp.StatusCode, Code: r.code, Limits: a.limits}
	e.Kind = kindOf(e.Op, e.Status, r, e.Limits)
	if e.Kind == KindRateLimited && r.wait > 0 {
		e.Limits.Wait, e.Limits.Known = max(e.Limits.Wait, r.wait), true
	}
	text := plain(r.text, a.secrets...)
	if e.Kind == KindUnreadable && !r.structured && text != "" {
		text = what + ": " + text
	}
	status := strings.TrimSpace(fmt.Sprintf("HTTP %d %s", e.Status, http.StatusText(e.Status)))
	e.Message = cmp.Or(text, what, status)
	return e
}

// kindOf decides by Qualys's code before the status: 409 is both a rate limit and an account that may not
// use the API. The codes are those of Qualys's older APIs (recorded by graph-qualys); the gateway is
// documented to answer 429.
func kindOf(op string, status int, r reply, limits RateLimits) Kind {
	success := status/100 == 2
	switch {
	case r.code == 1960, r.code == 1965, status == http.StatusTooManyRequests,
		status == http.StatusConflict && r.code == 0 && limits.Known:
		return KindRateLimited
	case op == OpLogin && (success && r.structured && r.text != "" || status == http.StatusBadRequest),
		status == http.StatusUnauthorized, r.word == "INVALID_CREDENTIALS":
		return KindUnauthorized
	case 2000 <= r.code && r.code < 2100 && (success || status == http.StatusConflict):
		return KindAccount
	case success:
		return KindUnreadable
	case status == http.StatusBadRequest:
		return KindBadQuery
	case status == http.StatusForbidden:
		return KindForbidden
	case status == http.StatusNotFound && op != OpLogin:
		return KindNotFound
	case status == http.StatusServiceUnavailable:
		return KindUnavailable
	}
	return KindUnexpected
}

// othersEnd is the message for a call that is canceled by the end of another one on its connection.
const othersEnd = "the connection was closed by another call's end"

// networkError makes an Error of a failure before the header had come. The text of the transport's errors
// names hosts and addresses, not URLs.
func networkError(op string, err error, secrets ...string) *Error {
	kind, text := KindUnexpected, err.Error() // an answer that is not HTTP
	certificate, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	netOp, isOp := errors.AsType[*net.OpError](err)
	var timeout interface{ Timeout() bool }
	switch {
	case isCertificate:
		kind, text = KindTLS, certificate.Err.Error()
	case errors.As(err, new(tls.RecordHeaderError)), errors.As(err, new(x509.UnknownAuthorityError)),
		isOp && (netOp.Op == "remote error" || netOp.Op == "local error"): // a TLS alert, theirs or ours
		kind = KindTLS
	case errors.Is(err, context.Canceled): // not of our context
		kind, text = KindReset, othersEnd
	case errors.As(err, new(*net.DNSError)), isOp && (netOp.Op == "dial" || netOp.Op == "proxyconnect"),
		strings.Contains(text, "TLS handshake timeout"):
		kind = KindConnect
	case errors.As(err, &timeout) && timeout.Timeout():
		kind = KindTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed),
		// The transport's own types for a lost connection are not exported, only their texts are stable.
		strings.HasPrefix(text, "http2: "), strings.HasPrefix(text, "stream error: "),
		strings.Contains(text, "server closed idle connection"):
		kind = KindReset
	}
	return &Error{Op: op, Kind: kind, Message: cmp.Or(plain(text, secrets...), "connection failed")}
}
