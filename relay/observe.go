package relay

import (
	"fmt"
	"slices"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
	"qualysrelay.example/relay/mapping"
	"qualysrelay.example/relay/search"
)

// observe answers with what Qualys saw of each observable: sightings, indicators, judgements, and their
// relationships.
func (s *Service) observe(r *request) (any, error) {
	observables, err := s.observables(r, maxBody, maxObservables)
	if err != nil {
		return nil, err
	}
	return s.search(r, observables, (*entities).addResult), nil
}

// entities is the data of observe or deliberate while it grows.
type entities struct {
	request *request
	bundle  *ctim.Bundle
}

// search searches for observables, and adds to the data what the result of each one says, until add returns
// false: the answer takes no more.
func (s *Service) search(
	r *request, observables []ctim.Observable, add func(*entities, search.Result, *mapping.Mapper) bool,
) *ctim.Bundle {
	r.memory.expect(len(observables) * r.account.Limit)
	e := &entities{request: r, bundle: ctim.NewBundle(maxAnswer)}
	limit := r.account.Limit
	for result := range s.searcher.Search(r.Context(), r.account.Tenant, observables, limit, &r.stats) {
		e.addErrors(result)
		// The page of the Qualys console that shows the search, where it is known.
		huntingURL := qualys.HuntingURL(r.account.PlatformURL, result.Filter)
		if !add(e, result, mapping.New(result.Observable, huntingURL)) {
			break
		}
	}
	r.line.Entities = e.bundle.Counts()
	return e.bundle
}

// addErrors takes what failed in the search of one observable.
func (e *entities) addErrors(result search.Result) {
	e.request.line.Events += len(result.Events)
	for _, err := range result.Errs {
		e.request.fail(err, result.Observable)
	}
	if result.Unreadable > 0 {
		e.request.fail(failure(CodeUnknown, nil, fmt.Sprintf(
			"%s%d of the events that it sent for the %s could not be read.",
			unexpected, result.Unreadable, named(result.Observable))), result.Observable)
	}
}

// addResult maps the events of one observable into the answer. It returns false where the answer takes
// no more.
func (e *entities) addResult(result search.Result, mapper *mapping.Mapper) bool {
	shown, judgements, undated := 0, 0, 0
	truncated := result.Truncated
	for _, event := range result.Events {
		found := mapper.Map(event)
		if found.Sighting == nil {
			undated++
		}
		if room := e.request.account.Limit - judgements; len(found.Judgements) > room {
			keepJudgements(&found, room)
			truncated = true
		}
		judgements += len(found.Judgements)
		if !e.add(result.Observable, shown, found) {
			return false
		}
		shown++
	}
	if undated > 0 {
		e.request.fail(warning(CodeUnknown, nil, fmt.Sprintf(
			"%s%d events about the %s have no time that could be read. They have no sighting in the answer.",
			unexpected, undated, named(result.Observable))), result.Observable)
	}
	if truncated && (shown > 0 || len(result.Errs) == 0) { // otherwise the error says it
		e.request.fail(truncatedResult(result, shown), result.Observable)
	}
	return true
}

// add adds what was found to the answer. Where the answer takes no more, an error says how many results it
// shows of the observable, and add returns false.
func (e *entities) add(o ctim.Observable, shown int, found ctim.Entities) bool {
	err := e.request.memory.reserve(e.request.Context(), e.bundle.Len())
	if err == nil && !e.bundle.Add(found) {
		err = fullAnswer(o, shown)
	}
	if err != nil {
		e.request.fail(err, o)
	}
	return err == nil
}

// keepJudgements leaves the first n judgements, and no relationship to another.
func keepJudgements(e *ctim.Entities, n int) {
	dropped := make(map[string]bool)
	for _, j := range e.Judgements[n:] {
		dropped[j.ID] = true
	}
	e.Judgements = e.Judgements[:n]
	e.Relationships = slices.DeleteFunc(e.Relationships, func(r ctim.Relationship) bool {
		return dropped[r.SourceRef] || dropped[r.TargetRef]
	})
}
