package relay

import (
	"net/http"
	"net/url"

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

// refer links each observable to its search in the Qualys console. It calls nobody. A token is verified
// where one is sent; without one, the limits are tighter, so that strangers leave room for others.
func (s *Service) refer(r *request) (any, error) {
	platformURL := s.config.PlatformURL
	maxBytes, most := int64(maxBodyWithoutToken), maxObservablesWithoutToken
	if len(r.Header.Values("Authorization")) > 0 {
		if err := s.authorize(r); err != nil {
			return nil, err
		}
		platformURL, maxBytes, most = r.account.PlatformURL, maxBody, maxObservables
	} else {
		if !s.strangers.TryAcquire(1) {
			return nil, &statusError{http.StatusServiceUnavailable, "The relay has too many requests without a token.",
				"Try again, or send a token."}
		}
		defer s.strangers.Release(1)
		late := r.line.Started.Add(min(strangersTime, s.config.RequestTimeout))
		_ = r.conn.SetReadDeadline(late)
	}
	observables, err := s.observables(r, maxBytes, most)
	if err != nil {
		return nil, err
	}
	if platformURL == "" {
		return nil, &Error{
			Severity: Fatal, Code: CodeInvalidArgument,
			Message: "The address of the Qualys console is not known: set PLATFORM_URL in the module's settings or " +
				"in the relay's environment.",
		}
	}
	pivots := make([]pivot, 0, len(observables))
	seen := make(map[ctim.Observable]bool)
	for _, o := range observables {
		if !search.Supported(o.Type) || seen[o] {
			continue
		}
		seen[o] = true
		filter, err := search.Filter(o)
		if err != nil {
			r.fail(err, o)
			continue
		}
		link := ctim.URI(qualys.HuntingURL(platformURL, filter))
		if link == "" { // longer than the 2048 characters that CTIM allows
			r.fail(search.ErrTooLong, o)
			continue
		}
		name := o.Type.Name()
		pivots = append(pivots, pivot{
			ID:          "ref-qualys-search-" + string(o.Type) + "-" + url.PathEscape(o.Value),
			Title:       "Search for this " + name,
			Description: "Look up this " + name + " in Qualys IOC",
			URL:         link,
			Categories:  []string{"Search", "Qualys"},
		})
	}
	return pivots, nil
}
