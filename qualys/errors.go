package qualys

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
)

// Kind says what went wrong with a call, in the terms in which the relay answers.
type Kind string

// The kinds of errors.
const (
	KindUnauthorized Kind = "unauthorized" // 400 or 401 from /auth; 401 from a search after one new login
	KindForbidden    Kind = "forbidden"    // 403
	KindRateLimited  Kind = "rate limited" // 429, and 409 with rate headers, which is what Qualys's older APIs send
	KindUnavailable  Kind = "unavailable"  // 503
	KindBadQuery     Kind = "bad query"    // 400 from a search
	KindNotFound     Kind = "not found"    // 404 from a search
	KindUnexpected   Kind = "unexpected"   // 500, a redirect, every other status
	KindUnreadable   Kind = "unreadable"   // not JSON, cut short, not a list, too large; a login without a token
	KindConnect      Kind = "connect"      // refused, DNS, timeout while connecting
	KindReset        Kind = "reset"        // the connection ended before there was a status
	KindTLS          Kind = "tls"          // certificate or handshake
	KindTimeout      Kind = "timeout"      // our own timeout for the header or the body
	KindCanceled     Kind = "canceled"     // in a Call only: the caller's context ended. Methods return the context's error itself
)

// The operations that an Error and a Call name.
const (
	OpLogin  = "login"
	OpEvents = "events"
)

// Error is a failed call. Neither its text nor its cause holds a credential, a token, or the URL with the query.
type Error struct {
	Op      string // OpLogin or OpEvents
	Kind    Kind
	Status  int    // HTTP status; 0 where there was none
	Message string // Qualys's or the network's reason: one plain line of at most 300 characters, never empty
	Limits  RateLimits

	cause error
}

// Error returns op, kind, status and message on one line.
func (e *Error) Error() string {
	s := "qualys: " + e.Op + ": " + string(e.Kind)
	if e.Status != 0 {
		s += " (" + strconv.Itoa(e.Status) + ")"
	}
	return s + ": " + e.Message
}

// Unwrap returns the network's error, nil where Qualys answered.
func (e *Error) Unwrap() error { return e.cause }

// Transient reports whether the same call may well succeed in a moment: the connection was reset, or a gateway on the way answered 502, 503 or 504.
// A rate limit is not: it has its own wait.
func (e *Error) Transient() bool {
	switch e.Status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return e.Kind == KindUnexpected || e.Kind == KindUnavailable
	}
	return e.Kind == KindReset
}

// statusError is the one place where a status becomes an Error.
func statusError(op string, resp *http.Response, body []byte, secrets ...string) *Error {
	e := &Error{Op: op, Status: resp.StatusCode, Kind: KindUnexpected, Limits: rateLimits(resp.Header)}
	switch status := resp.StatusCode; {
	case status == http.StatusUnauthorized, status == http.StatusBadRequest && op == OpLogin:
		e.Kind = KindUnauthorized
	case status == http.StatusBadRequest:
		e.Kind = KindBadQuery
	case status == http.StatusForbidden:
		e.Kind = KindForbidden
	case status == http.StatusNotFound && op == OpEvents:
		e.Kind = KindNotFound
	case status == http.StatusTooManyRequests, status == http.StatusConflict && e.Limits.Known:
		e.Kind = KindRateLimited
	case status == http.StatusServiceUnavailable:
		e.Kind = KindUnavailable
	}
	e.Message = reason(body, secrets...)
	if e.Message == "" {
		e.Message = strings.TrimSpace("HTTP " + strconv.Itoa(e.Status) + " " + http.StatusText(e.Status))
	}
	return e
}

// networkError makes an Error of a failure before the header had come. The text of the transport's errors names hosts and addresses, not URLs.
func networkError(op string, err error, secrets ...string) *Error {
	e := &Error{Op: op, cause: err}
	var (
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		authority   x509.UnknownAuthorityError
		dns         *net.DNSError
		netOp       *net.OpError
		timeout     interface{ Timeout() bool }
	)
	text := err.Error()
	switch isOp := errors.As(err, &netOp); {
	case errors.As(err, &certificate):
		e.Kind, text = KindTLS, certificate.Err.Error()
	case errors.As(err, &record), errors.As(err, &authority),
		isOp && (netOp.Op == "remote error" || netOp.Op == "local error"): // a TLS alert, theirs or ours
		e.Kind = KindTLS
	case errors.As(err, &dns), isOp && (netOp.Op == "dial" || netOp.Op == "proxyconnect"), strings.Contains(text, "TLS handshake timeout"):
		e.Kind = KindConnect
	case errors.As(err, &timeout) && timeout.Timeout():
		e.Kind = KindTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, net.ErrClosed), strings.HasPrefix(text, "http2: "), strings.HasPrefix(text, "stream error: "), strings.Contains(text, "server closed idle connection"):
		// The transport's own types for a lost HTTP/2 or idle connection are not exported, only their texts are stable.
		e.Kind = KindReset
	default: // an answer that is not HTTP
		e.Kind = KindUnexpected
	}
	if e.Message = plain(text, secrets...); e.Message == "" {
		e.Message = "connection failed"
	}
	return e
}
