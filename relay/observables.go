package relay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"qualysrelay.example/relay/search"
)

const (
	maxBody     = 1 << 20 // bytes of a request body
	maxProblems = 20      // that one answer names
)

// decodeObservables reads the body of a request: a JSON list of objects with a type and a value, both strings that are not blank. Further keys are
// passed over. The error names each wrong entry by its place in the list.
func decodeObservables(r *http.Request) ([]search.Observable, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, invalidBody(bodyProblem(fmt.Sprintf("is larger than %d bytes", tooLarge.Limit)))
		}
		return nil, invalidBody(bodyProblem("could not be read to its end"))
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, invalidBody(bodyProblem("is empty, not a list of observables"))
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(body, &entries); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return nil, invalidBody(bodyProblem("must be a list of observables, not a JSON " + wrong.Value))
		}
		return nil, invalidBody(bodyProblem("is not JSON: " + err.Error()))
	}
	if entries == nil {
		return nil, invalidBody(bodyProblem("must be a list of observables, not null"))
	}
	observables := make([]search.Observable, 0, len(entries))
	problems := make(map[string]any)
	for i, entry := range entries {
		o, problem := decodeObservable(entry)
		if problem != nil && len(problems) < maxProblems {
			problems[strconv.Itoa(i)] = problem
		}
		observables = append(observables, o)
	}
	if len(problems) > 0 {
		return nil, invalidBody(problems)
	}
	return observables, nil
}

func bodyProblem(text string) map[string]string { return map[string]string{"body": text} }

func decodeObservable(entry json.RawMessage) (search.Observable, any) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(entry, &fields) != nil || fields == nil {
		return search.Observable{}, "must be an object with a type and a value"
	}
	problems := make(map[string]string)
	text := func(name string) string {
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
	o := search.Observable{Type: text("type"), Value: text("value")}
	if len(problems) > 0 {
		return search.Observable{}, problems
	}
	return o, nil
}
