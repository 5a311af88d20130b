package relay

import (
	"slices"

	"qualysrelay.example/ctim"
	"qualysrelay.example/relay/mapping"
	"qualysrelay.example/relay/search"
)

// deliberate answers with Qualys's own verdict on each file hash that it judged.
func (s *Service) deliberate(r *request) (any, error) {
	observables, err := s.observables(r, maxBody, maxObservables)
	if err != nil {
		return nil, err
	}
	hashes := slices.DeleteFunc(observables, func(o ctim.Observable) bool {
		return o.Type != ctim.ObservableMD5 && o.Type != ctim.ObservableSHA256
	})
	return s.search(r, hashes, (*entities).addVerdict), nil
}

// addVerdict adds the verdict on one hash, and the judgement that it comes from. It returns false where
// the answer takes no more.
func (e *entities) addVerdict(result search.Result, mapper *mapping.Mapper) bool {
	var judgements []*ctim.Judgement
	for _, event := range result.Events {
		judgements = append(judgements, mapper.Map(event).Judgements...)
	}
	verdict, judgement := ctim.VerdictOf(result.Observable, judgements)
	if verdict == nil {
		return true
	}
	found := ctim.Entities{Verdict: verdict, Judgements: []*ctim.Judgement{judgement}}
	return e.add(result.Observable, 0, found)
}
