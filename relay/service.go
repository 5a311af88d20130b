package relay

import (
	"log/slog"
	"net/http"
	"os"
	"path"
	"strings"

	"qualysrelay.example/qualys"
	"qualysrelay.example/relay/auth"
	"qualysrelay.example/relay/search"
)

// Version is the relay's own.
const Version = "1.0.0"

// Service answers XDR. It is safe for use by many requests at once; nothing of one tenant reaches another.
type Service struct {
	config    Config
	log       *slog.Logger
	verifier  *auth.Verifier
	client    *qualys.Client
	searcher  *search.Searcher
	telemetry *telemetry
	drain     *drain
}

// endpoint is one row of the contract with XDR.
type endpoint struct {
	name   string // under which the function is registered
	path   string
	method string
	handle func(*Service, *http.Request, *record) (payload, error)
}

// endpoints is the only route table.
func endpoints() []endpoint {
	return []endpoint{
		{"health", "/health", http.MethodPost, (*Service).health},
		{"observeObservables", "/observe/observables", http.MethodPost, (*Service).observe},
		{"deliberateObservables", "/deliberate/observables", http.MethodPost, (*Service).deliberate},
		{"referObservables", "/refer/observables", http.MethodPost, (*Service).refer},
		{"version", "/version", http.MethodPost, (*Service).version},
		{"watchdog", "/watchdog", http.MethodGet, (*Service).watchdog},
	}
}

// New builds the relay. It opens no connection and starts nothing: the first request does what it needs.
func New(c Config) (*Service, error) {
	log := newLogger(os.Stderr, c.LogLevel, c.ProjectID)
	c.Auth.Logger = log
	verifier, err := auth.New(c.Auth)
	if err != nil {
		return nil, err
	}
	telemetry := newTelemetry(c.Telemetry, log)
	client := qualys.NewClient(qualys.Options{PathPrefix: c.APIPath, UserAgent: "qualys-relay/" + Version, Observe: telemetry.call})
	return &Service{
		config:    c,
		log:       log,
		verifier:  verifier,
		client:    client,
		searcher:  search.New(client, search.Options{Concurrency: c.Concurrency, CacheTTL: c.SearchCache, Span: telemetry.span}),
		telemetry: telemetry,
		drain:     newDrain(),
	}, nil
}

// Close gives back connections and sends what telemetry is left.
func (s *Service) Close() error {
	s.client.Close()
	s.telemetry.close()
	return s.verifier.Close()
}

// Functions are the service's HTTP functions by the name under which they are registered: one for each endpoint, and "relay" for all of them.
func (s *Service) Functions() map[string]http.HandlerFunc {
	functions := map[string]http.HandlerFunc{"relay": s.ServeHTTP}
	for _, e := range endpoints() {
		functions[e.name] = func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, e) }
	}
	return functions
}

// ServeHTTP answers every endpoint by its path. A trailing or doubled slash is tolerated: module URLs are often saved with one.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked := path.Clean("/" + r.URL.Path)
	for _, e := range endpoints() {
		if e.path == asked {
			s.serve(w, r, e)
			return
		}
	}
	s.serve(w, r, endpoint{name: "none", method: r.Method, handle: notFound})
}

func notFound(_ *Service, _ *http.Request, _ *record) (payload, error) {
	var paths []string
	for _, e := range endpoints() {
		paths = append(paths, e.path)
	}
	return nil, &statusError{http.StatusNotFound, "There is nothing at this path.", "The relay serves " + strings.Join(paths, ", ") + "."}
}
