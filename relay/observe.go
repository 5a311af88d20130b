package relay

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
	"qualysrelay.example/relay/auth"
	"qualysrelay.example/relay/mapping"
	"qualysrelay.example/relay/search"
)

// maxAnswer is the most bytes of entities in one answer: Cloud Run sends no more than 32 MB, and the errors need room.
const maxAnswer = 29 << 20

// observe answers with what Qualys saw of each observable: sightings, indicators, judgements, and how they hang together.
func (s *Service) observe(r *http.Request, rec *record) (payload, error) {
	claims, observables, err := s.admit(r, rec)
	if err != nil {
		return nil, err
	}
	results, failed := s.search(r, rec, claims, observables)
	_, end := s.telemetry.span(r.Context(), "mapping")
	defer end(nil)
	bundle := ctim.NewBundle(maxAnswer)
	for i, result := range results {
		if shown, cut := addResult(bundle, result, claims); cut {
			failed = append(failed, cutShort(result.Observable, shown))
		}
		results[i].Events = nil // the bundle has them now
	}
	return answerOf(bundle, failed, rec)
}

// answerOf leaves the data out where there is none and something failed.
func answerOf(bundle *ctim.Bundle, failed problems, rec *record) (payload, error) {
	rec.entities(bundle)
	if bundle.Empty() && len(failed) > 0 {
		return nil, failed
	}
	return bundle, failed.errorOrNil()
}

// asked is a result's observable as CTIM has it, and the page that shows its search.
func asked(result search.Result, claims auth.Claims) (o ctim.Observable, page string) {
	return ctim.Observable{Type: ctim.ObservableType(result.Observable.Type), Value: result.Observable.Value}, qualys.HuntingURL(claims.PlatformURL, result.Filter)
}

// addResult maps one observable's events into the bundle. It tells how many it could show, and whether anything had to be left out.
func addResult(bundle *ctim.Bundle, result search.Result, claims auth.Claims) (shown int, cut bool) {
	o, source := asked(result, claims)
	judgements := 0
	for _, event := range result.Events {
		entities := mapping.Map(o, source, event)
		if room := claims.Limit - judgements; len(entities.Judgements) > room {
			keepJudgements(&entities, room)
			cut = true
		}
		judgements += len(entities.Judgements)
		if !bundle.Add(entities) {
			return shown, true
		}
		shown++
	}
	return shown, cut || result.Cut
}

// keepJudgements leaves the first n judgements, and no relationship to another.
func keepJudgements(e *ctim.Entities, n int) {
	dropped := make(map[string]bool)
	for _, j := range e.Judgements[n:] {
		dropped[j.ID] = true
	}
	e.Judgements = e.Judgements[:n]
	e.Relationships = slices.DeleteFunc(e.Relationships, func(r *ctim.Relationship) bool {
		return dropped[r.SourceRef] || dropped[r.TargetRef]
	})
}

// deliberate answers with Qualys's own verdict on each file hash that it judged.
func (s *Service) deliberate(r *http.Request, rec *record) (payload, error) {
	claims, observables, err := s.admit(r, rec)
	if err != nil {
		return nil, err
	}
	var hashes []search.Observable
	for _, o := range observables {
		if o.Type == "md5" || o.Type == "sha256" {
			hashes = append(hashes, o)
		}
	}
	results, failed := s.search(r, rec, claims, hashes)
	bundle := ctim.NewBundle(maxAnswer)
	for _, result := range results {
		o, source := asked(result, claims)
		var judgements []*ctim.Judgement
		for _, event := range result.Events {
			judgements = append(judgements, mapping.Map(o, source, event).Judgements...)
		}
		if verdict, judgement := mapping.Verdict(o, judgements); verdict != nil && !bundle.AddVerdict(verdict, judgement) {
			failed = append(failed, cutShort(result.Observable, 0))
		}
	}
	return answerOf(bundle, failed, rec)
}

// admit checks the token, then the body: whoever may not ask learns nothing of what was wrong with the question.
func (s *Service) admit(r *http.Request, rec *record) (auth.Claims, []search.Observable, error) {
	claims, err := s.authorize(r, rec)
	if err != nil {
		return auth.Claims{}, nil, err
	}
	observables, err := s.observables(r, rec, maxObservables)
	return claims, observables, err
}

func (s *Service) authorize(r *http.Request, rec *record) (auth.Claims, error) {
	ctx, end := s.telemetry.span(r.Context(), "key")
	claims, err := s.verifier.Verify(ctx, r)
	end(err)
	rec.gateway = claims.Tenant.Gateway
	return claims, err
}

func (s *Service) observables(r *http.Request, rec *record, most int) ([]search.Observable, error) {
	observables, err := decodeObservables(r, most)
	rec.asked(observables)
	return observables, err
}

// search finds the events and turns what failed into errors that name their observable. What was found beside a failure stays.
func (s *Service) search(r *http.Request, rec *record, claims auth.Claims, observables []search.Observable) ([]search.Result, problems) {
	results, stats := s.searcher.Search(r.Context(), claims.Tenant, observables, claims.Limit)
	rec.cost(stats)
	var failed problems
	for _, result := range results {
		rec.events += len(result.Events)
		for _, err := range result.Errs {
			failed = append(failed, aboutError{result.Observable, err})
		}
	}
	return results, failed
}

// escape makes any value fit for an id.
func escape(value string) string { return strings.ReplaceAll(url.QueryEscape(value), "+", "%20") }
