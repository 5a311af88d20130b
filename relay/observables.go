package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"

	"qualysrelay.example/ctim"
	"qualysrelay.example/relay/search"
)

const (
	maxBody        = 1 << 20  // bytes of a request body
	maxObservables = 1000     // of one request
	freeBody       = 64 << 10 // bytes of a body that need no memory of the budget
	decodingFactor = 8        // bytes of memory for a byte of a body, while it is decoded
	// Where no token is asked for, the caller may be anybody.
	maxBodyWithoutToken        = 64 << 10
	maxObservablesWithoutToken = 100

	maxProblems = 20 // that one answer names
)

// observables reads the body of the request, of at most maxBytes and most observables, and notes in its log
// line what was asked. A large body waits for memory.
func (s *Service) observables(r *request, maxBytes int64, most int) ([]ctim.Observable, error) {
	r.Body = http.MaxBytesReader(nil, r.Body, maxBytes)
	size := maxBytes
	if r.ContentLength >= 0 {
		size = min(size, r.ContentLength)
	}
	if size > freeBody {
		need := size * decodingFactor
		if s.events.Acquire(r.Context(), need) != nil {
			return nil, search.ErrMemory
		}
		defer s.events.Release(need)
	}
	observables, err := decodeObservables(r.Body, most)
	if err != nil {
		return nil, err
	}
	r.line.Observables = make(map[string]int)
	for _, o := range observables {
		name := "unsupported" // a type is the caller's text: only known ones become a name in a log
		if search.Supported(o.Type) {
			name = string(o.Type)
		}
		r.line.Observables[name]++
		if s.log.Enabled(r.Context(), slog.LevelDebug) {
			r.line.Values = append(r.line.Values, string(o.Type)+":"+o.Value)
		}
	}
	return observables, nil
}

// decodeObservables reads a JSON list of at most most objects with a type and a value, both strings that
// are not blank. Further keys are ignored. The list is read element by element, and no further than
// most. The error names each wrong entry by its place in the list.
func decodeObservables(r io.Reader, most int) ([]ctim.Observable, error) {
	body := json.NewDecoder(r)
	start, err := body.Token()
	switch {
	case errors.Is(err, io.EOF):
		return nil, invalidBody(bodyProblem("is empty, not a list of observables"))
	case err != nil:
		return nil, unreadableBody(err)
	case start != json.Delim('['):
		return nil, invalidBody(bodyProblem("must be a list of observables"))
	}
	observables := make([]ctim.Observable, 0, 16)
	problems := make(map[string]any)
	for i := 0; body.More(); i++ {
		if i == most {
			return nil, invalidBody(bodyProblem(fmt.Sprintf("has more than %d observables", most)))
		}
		var entry json.RawMessage
		if err := body.Decode(&entry); err != nil {
			return nil, unreadableBody(err)
		}
		o, problem := decodeObservable(entry)
		if problem != nil && len(problems) < maxProblems {
			problems[strconv.Itoa(i)] = problem
		}
		observables = append(observables, o)
	}
	if _, err := body.Token(); err != nil { // the end of the list
		return nil, unreadableBody(err)
	}
	if err := endOfBody(body); err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return nil, invalidBody(problems)
	}
	return observables, nil
}

// endOfBody fails where anything follows what was read.
func endOfBody(body *json.Decoder) error {
	switch _, err := body.Token(); {
	case err == nil:
		return invalidBody(bodyProblem("is not JSON: there is text after its end"))
	case !errors.Is(err, io.EOF):
		return unreadableBody(err)
	}
	return nil
}

// unreadableBody is the failure of a body that is too large, incomplete, or no JSON.
func unreadableBody(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return invalidBody(bodyProblem(fmt.Sprintf("is larger than %d bytes", tooLarge.Limit)))
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return invalidBody(bodyProblem("is not JSON: " + err.Error()))
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return invalidBody(bodyProblem("is not JSON: it ends too early"))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return invalidBody(bodyProblem("did not arrive in time"))
	}
	return invalidBody(bodyProblem("could not be read to its end"))
}

func bodyProblem(text string) map[string]string { return map[string]string{"body": text} }

func decodeObservable(entry json.RawMessage) (ctim.Observable, any) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(entry, &fields) != nil || fields == nil {
		return ctim.Observable{}, "must be an object with a type and a value"
	}
	problems := make(map[string]string)
	o := ctim.Observable{
		Type:  ctim.ObservableType(textField(fields, "type", problems)),
		Value: textField(fields, "value", problems),
	}
	if len(problems) > 0 {
		return ctim.Observable{}, problems
	}
	return o, nil
}

// textField is a field that must be a string and not blank. What is wrong with it becomes the problem of its
// name.
func textField(fields map[string]json.RawMessage, name string, problems map[string]string) string {
	raw, ok := fields[name]
	if !ok {
		problems[name] = "is missing"
		return ""
	}
	var value *string
	if json.Unmarshal(raw, &value) != nil || value == nil {
		problems[name] = "must be a string"
		return ""
	}
	if strings.TrimSpace(*value) == "" {
		problems[name] = "must not be blank"
	}
	return *value
}
