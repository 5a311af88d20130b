package relay

import (
	"net/http"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
	"qualysrelay.example/relay/search"
)

// pivot is a link that XDR offers beside an observable.
type pivot struct {
	ID          string   `json:"id"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	URL         string   `json:"url"`
	Categories  []string `json:"categories"`
}

// refer links each observable to its search in the Qualys console. It calls nobody; a token is checked where one is sent.
func (s *Service) refer(r *http.Request, rec *record) (payload, error) {
	platform, most := s.config.Auth.PlatformURL, maxObservablesWithoutToken
	if len(r.Header.Values("Authorization")) > 0 {
		claims, err := s.authorize(r, rec)
		if err != nil {
			return nil, err
		}
		platform, most = claims.PlatformURL, maxObservables
	} else {
		r.Body = http.MaxBytesReader(nil, r.Body, maxBodyWithoutToken)
	}
	observables, err := s.observables(r, rec, most)
	if err != nil {
		return nil, err
	}
	if platform == "" {
		return nil, &Error{
			Severity: Fatal, Code: CodeInvalidArgument,
			Message: "The address of the Qualys console is not known: set PLATFORM_URL in the module's settings or in the relay's environment.",
		}
	}
	pivots := make([]pivot, 0, len(observables))
	var failed problems
	seen := make(map[search.Observable]bool)
	for _, o := range observables {
		if !o.Supported() || seen[o] {
			continue
		}
		seen[o] = true
		filter, err := o.Filter()
		if err != nil {
			failed = append(failed, aboutError{o, err})
			continue
		}
		link := ctim.URI(qualys.HuntingURL(platform, filter))
		if link == "" { // longer than the 2048 characters that CTIM allows
			failed = append(failed, aboutError{o, search.ErrTooLong})
			continue
		}
		name := ctim.ObservableType(o.Type).Name()
		pivots = append(pivots, pivot{
			ID:          "ref-qualys-search-" + o.Type + "-" + escape(o.Value),
			Title:       "Search for this " + name,
			Description: "Look up this " + name + " in Qualys IOC",
			URL:         link,
			Categories:  []string{"Search", "Qualys"},
		})
	}
	return jsonPayload{pivots}, failed.errorOrNil()
}
