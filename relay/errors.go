package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
	"qualysrelay.example/relay/auth"
	"qualysrelay.example/relay/search"
)

// Code is the cause of a failure in the words that Cisco's relays use.
type Code string

// The codes of the error table.
const (
	CodeAuthorization   Code = "authorization error"
	CodeInvalidArgument Code = "invalid argument"
	CodePermission      Code = "permission denied"
	CodeTooManyRequests Code = "too many requests"
	CodeUnavailable     Code = "service unavailable"
	CodeConnection      Code = "connection error"
	CodeTimeout         Code = "gateway timeout"
	CodeHealthCheck     Code = "health check failed"
	CodeCut             Code = "too-many-messages-warning"
	CodeUnknown         Code = "unknown"
)

// Severity is the type of an error on the wire. Cisco's enrich API (ModuleErrorMessage) knows these three only.
type Severity string

// The severities.
const (
	Fatal   Severity = "fatal"   // the module cannot work until somebody changes its settings
	Failure Severity = "error"   // this time it did not work
	Warning Severity = "warning" // the answer is good, but not all there is
)

// Error is a failure as the analyst reads it. Its cause goes to the log only.
type Error struct {
	Severity Severity `json:"type"`
	Code     Code     `json:"code"`
	Message  string   `json:"message"`

	cause error
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

const (
	ownFault   = "The relay could not process the request. Its log has the cause."
	lateAnswer = "Qualys IOC did not answer in time. The answer holds what was found until then."

	maxErrorBytes = 512 << 10 // of all errors in one answer
	maxQuoted     = 100       // characters of an observable's value in a message
)

// errorsOf translates whatever a handler returned: the one place that knows the error table. Equal errors are said once.
func errorsOf(err error, gateway string) []*Error {
	var list []*Error
	seen := make(map[Error]bool)
	size := 0
	all, several := err.(problems) //nolint:errorlint // it is never wrapped
	if !several && err != nil {
		all = problems{err}
	}
	for _, one := range all {
		e := translate(one, gateway)
		said := Error{Severity: e.Severity, Code: e.Code, Message: e.Message}
		if seen[said] {
			continue
		}
		if size += len(e.Message); size > maxErrorBytes {
			return append(list, &Error{Severity: Warning, Code: CodeCut, Message: "There are more errors than are shown. Ask about less at once."})
		}
		seen[said] = true
		list = append(list, e)
	}
	return list
}

// problems are several failures of one request. (errors.Join would not do: what it joins cannot be told from what an error wraps.)
type problems []error

func (p problems) Error() string { return errors.Join(p...).Error() }

// errorOrNil is nil where there is no problem.
func (p problems) errorOrNil() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// aboutError is a failure that concerns one observable.
type aboutError struct {
	observable search.Observable
	err        error
}

func (e aboutError) Error() string { return e.err.Error() }
func (e aboutError) Unwrap() error { return e.err }

func translate(err error, gateway string) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*auth.Error](err); ok {
		return &Error{Fatal, CodeAuthorization, e.Message, err}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &Error{Warning, CodeTimeout, lateAnswer, err}
	}
	about := ""
	if e, ok := errors.AsType[aboutError](err); ok {
		about = named(e.observable)
	}
	switch {
	case errors.Is(err, qualys.ErrUnquotable):
		return &Error{Warning, CodeInvalidArgument, "The " + about + " cannot be searched: it is blank, or holds a control character or all three quotation marks that a Qualys query knows.", err}
	case errors.Is(err, search.ErrTooLong):
		return &Error{Warning, CodeInvalidArgument, "The " + about + " cannot be searched: it is too long for a Qualys query.", err}
	}
	if e, ok := errors.AsType[*qualys.Error](err); ok {
		return translateQualys(e, about, gateway)
	}
	return &Error{Fatal, CodeUnknown, ownFault, err}
}

func translateQualys(e *qualys.Error, about, gateway string) *Error {
	unexpected := "Unexpected response from Qualys IOC: " + e.Message
	switch e.Kind {
	case qualys.KindUnauthorized:
		return &Error{Fatal, CodeAuthorization, "Authorization failed: " + e.Message, e}
	case qualys.KindForbidden:
		return &Error{Fatal, CodePermission, unexpected, e}
	case qualys.KindRateLimited:
		return &Error{Warning, CodeTooManyRequests, "Too many requests to Qualys IOC have been made. Please try again later.", e}
	case qualys.KindUnavailable:
		return &Error{Failure, CodeUnavailable, "Service temporarily unavailable. Please try again later.", e}
	case qualys.KindBadQuery:
		if about == "" {
			return &Error{Failure, CodeUnknown, unexpected, e}
		}
		return &Error{Warning, CodeInvalidArgument, "Qualys IOC refused to search for the " + about + ": " + e.Message, e}
	case qualys.KindConnect, qualys.KindReset:
		return &Error{Failure, CodeConnection, "Unable to connect to Qualys IOC, validate the configured API URL: " + gateway, e}
	case qualys.KindTLS:
		return &Error{Fatal, CodeUnknown, "Unable to verify SSL certificate: " + e.Message, e}
	case qualys.KindTimeout:
		return &Error{Warning, CodeTimeout, lateAnswer, e}
	default:
		return &Error{Failure, CodeUnknown, unexpected, e}
	}
}

// invalidBody is the failure of a request body. problems is anything that JSON can hold.
func invalidBody(problems any) error {
	text, err := json.Marshal(problems)
	if err != nil {
		return err
	}
	return &Error{Severity: Fatal, Code: CodeInvalidArgument, Message: "Invalid JSON payload received. " + string(text)}
}

// cutShort says that an observable has more events than the answer shows.
func cutShort(o search.Observable, shown int) error {
	return &Error{
		Severity: Warning, Code: CodeCut,
		Message: fmt.Sprintf("There are more results for the %s than the %d newest that are shown.", named(o), shown),
	}
}

// named is an observable as a message names it: SHA256 "0123…".
func named(o search.Observable) string {
	return ctim.ObservableType(o.Type).Name() + " " + quoted(o.Value)
}

// quoted is a value in quotation marks, on one line and cut to a length that can be read.
func quoted(value string) string {
	value = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(value, "\uFFFD"))
	if runes := []rune(value); len(runes) > maxQuoted {
		value = string(runes[:maxQuoted]) + "…"
	}
	return `"` + value + `"`
}
