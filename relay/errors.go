package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"strings"
	"time"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
	"qualysrelay.example/relay/accesslog"
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
	CodeTruncated       Code = "too-many-messages-warning"
	CodeUnknown         Code = "unknown"
)

// Severity is the type of an error in an answer. Cisco's enrich API (ModuleErrorMessage) knows these
// three only.
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

const (
	ownFault   = "The relay could not process the request. Its log has the cause."
	lateAnswer = "Qualys IOC did not answer in time. The answer holds what was found until then."
	noMemory   = "The relay had no memory left for the whole answer. " + sendFewer
	sendFewer  = "Send fewer observables, or lower CTR_ENTITIES_LIMIT."
	unexpected = "Unexpected response from Qualys IOC: "
	checkHint  = ". Check that the account may use the API, that its subscription has the EDR module, and " +
		"that Qualys accepts the relay's address."
	rateLimited = "Too many requests to Qualys IOC have been made. Please try again later."

	maxErrorBytes = 512 << 10 // of all errors in one answer
	maxQuoted     = 100       // characters of an observable's value in a message
)

// fail adds an error to the answer. about is the observable that it concerns; where it concerns all of the
// request, about is empty. Duplicates are reported once. Behind maxErrorBytes, one error says that there are
// more.
func (r *request) fail(err error, about ctim.Observable) {
	e := translate(err, about, r.line.Gateway)
	key := Error{e.Severity, e.Code, e.Message, nil}
	if r.errorBytes > maxErrorBytes || r.reported[key] {
		return
	}
	if r.errorBytes += len(e.Message); r.errorBytes > maxErrorBytes {
		e = warning(CodeTruncated, nil, "There are more errors than are shown. Send fewer observables.")
	}
	if r.reported == nil {
		r.reported = make(map[Error]bool)
	}
	r.reported[key] = true
	r.errors = append(r.errors, e)
	r.log(e)
}

// translate is the error table: from a cause to what the analyst reads.
func translate(err error, observable ctim.Observable, gateway string) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*auth.Error](err); ok {
		return fatal(CodeAuthorization, err, e.Message)
	}
	about := ""
	if observable.Type != "" {
		about = named(observable)
	}
	if e, ok := errors.AsType[*qualys.Error](err); ok {
		return translateQualys(e, about, gateway)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return warning(CodeTimeout, err, lateAnswer)
	case errors.Is(err, search.ErrMemory):
		return warning(CodeTimeout, err, noMemory)
	case errors.Is(err, qualys.ErrUnquotable):
		return warning(CodeInvalidArgument, err, "The "+about+" cannot be searched: it is blank, or holds a "+
			"control character or all three quotation marks that a Qualys query knows.")
	case errors.Is(err, search.ErrTooLong):
		return warning(CodeInvalidArgument, err,
			"The "+about+" cannot be searched: it is too long for a Qualys query.")
	}
	return fatal(CodeUnknown, err, ownFault)
}

func translateQualys(e *qualys.Error, about, gateway string) *Error {
	switch e.Kind {
	case qualys.KindUnauthorized:
		return fatal(CodeAuthorization, e, auth.Prefix+e.Message)
	case qualys.KindAccount:
		return fatal(CodeAuthorization, e, auth.Prefix+strings.TrimSuffix(e.Message, ".")+checkHint)
	case qualys.KindForbidden:
		return fatal(CodePermission, e, unexpected+strings.TrimSuffix(e.Message, ".")+checkHint)
	case qualys.KindRateLimited:
		return warning(CodeTooManyRequests, e, rateLimited+nextTry(e.Limits.Wait))
	case qualys.KindUnavailable:
		return failure(CodeUnavailable, e, "Service temporarily unavailable. Please try again later.")
	case qualys.KindBadQuery:
		if about == "" {
			return failure(CodeUnknown, e, unexpected+e.Message)
		}
		return warning(CodeInvalidArgument, e, "Qualys IOC refused to search for the "+about+": "+e.Message)
	case qualys.KindNotFound:
		return fatal(CodeUnknown, e, unexpected+strings.TrimSuffix(e.Message, ".")+". The events API was not "+
			"found: check API_PATH, and that the subscription has the EDR module.")
	case qualys.KindConnect, qualys.KindReset:
		return failure(CodeConnection, e,
			"Unable to connect to Qualys IOC, validate the configured API URL: "+gateway)
	case qualys.KindTLS:
		return fatal(CodeUnknown, e, "Unable to verify SSL certificate: "+e.Message)
	case qualys.KindTimeout:
		return warning(CodeTimeout, e, lateAnswer)
	case qualys.KindMemory:
		return warning(CodeTimeout, e, noMemory)
	default:
		return failure(CodeUnknown, e, unexpected+e.Message)
	}
}

func fatal(code Code, cause error, message string) *Error { return &Error{Fatal, code, message, cause} }
func failure(code Code, cause error, message string) *Error {
	return &Error{Failure, code, message, cause}
}
func warning(code Code, cause error, message string) *Error {
	return &Error{Warning, code, message, cause}
}

// nextTry says when Qualys takes requests again, rounded up.
func nextTry(wait time.Duration) string {
	in := func(n float64, unit string) string {
		if n > 1 {
			unit += "s"
		}
		return fmt.Sprintf(" Qualys takes requests again in %.0f %s.", n, unit)
	}
	switch {
	case wait <= 0:
		return ""
	case wait <= 2*time.Minute:
		return in(math.Ceil(wait.Seconds()), "second")
	case wait <= 2*time.Hour:
		return in(math.Ceil(wait.Minutes()), "minute")
	}
	return in(math.Ceil(wait.Hours()), "hour")
}

// invalidBody is the failure of a request body. problems are maps of strings.
func invalidBody(problems any) error {
	return fatal(CodeInvalidArgument, nil, "Invalid JSON payload received. "+string(encode(problems)))
}

// truncatedResult says that an observable has more events than the answer shows, or may have.
func truncatedResult(result search.Result, shown int) error {
	text := fmt.Sprintf("There are more results for the %s than the %d newest that are shown.",
		named(result.Observable), shown)
	if shown == len(result.Events) && result.Examined > 0 {
		text = fmt.Sprintf("There may be more results for the %s: Qualys IOC has many events that are only "+
			"similar. %d events were looked at, and %d of them are about it.",
			named(result.Observable), result.Examined, shown)
	}
	return warning(CodeTruncated, nil, text)
}

// fullAnswer says where an answer that takes no more has ended.
func fullAnswer(o ctim.Observable, shown int) error {
	return warning(CodeTruncated, nil, fmt.Sprintf("The answer is full: it holds %d results for the %s, and "+
		"none for the observables after it. %s", shown, named(o), sendFewer))
}

// named is an observable as a message names it: SHA256 "0123…".
func named(o ctim.Observable) string { return o.Type.Name() + " " + quoted(o.Value) }

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

// log puts an error of the answer into the log line: no word of Qualys, no value of an observable, and a
// stack where the failure is the relay's own.
func (r *request) log(e *Error) {
	line := accesslog.Error{Code: string(e.Code), Cause: string(e.Code), Level: slog.LevelInfo}
	if e.cause != nil {
		line.Cause = e.cause.Error()
	}
	if e.Severity != Warning || e.Code != CodeTruncated && e.Code != CodeInvalidArgument {
		line.Level = slog.LevelWarn // a result that is cut, or one bad value, is nobody's fault
	}
	r.line.Errors = append(r.line.Errors, line)
	if e.Message == ownFault && r.line.Stack == "" {
		r.line.Stack = line.Cause + "\n\n" + string(debug.Stack())
	}
}
