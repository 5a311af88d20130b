package relay

import (
	"cmp"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"qualysrelay.example/qualys"
	"qualysrelay.example/relay/auth"
	"qualysrelay.example/relay/search"
	"qualysrelay.example/relay/telemetry"
)

// Service answers XDR. It is safe for use by many requests at once; nothing of one tenant reaches another.
type Service struct {
	config    Config
	log       *slog.Logger
	verifier  *auth.Verifier
	client    *qualys.Client
	searcher  *search.Searcher
	telemetry *telemetry.Telemetry
	budget
	requests  *requests
	strangers *semaphore.Weighted // requests without a token that read a body
}

// endpoint is one row of the contract with XDR.
type endpoint struct {
	name   string // under which the function is registered
	path   string
	method string
	access access
	handle func(*Service, *request) (any, error)
}

// access says who is answered.
type access int

const (
	withToken access = iota // the token is verified before the handler is called
	anybody                 // the handler verifies a token if it wants one
)

// endpoints is the only route table.
func endpoints() []endpoint {
	return []endpoint{
		{"health", "/health", http.MethodPost, withToken, (*Service).health},
		{"observeObservables", "/observe/observables", http.MethodPost, withToken, (*Service).observe},
		{"deliberateObservables", "/deliberate/observables", http.MethodPost, withToken, (*Service).deliberate},
		{"referObservables", "/refer/observables", http.MethodPost, anybody, (*Service).refer},
		{"tiles", "/tiles", http.MethodPost, withToken, (*Service).tiles},
		{"tile", "/tiles/tile", http.MethodPost, withToken, (*Service).tile},
		{"tileData", "/tiles/tile-data", http.MethodPost, withToken, (*Service).tileData},
		{"version", "/version", http.MethodPost, anybody, (*Service).version},
		{"watchdog", "/watchdog", http.MethodGet, anybody, (*Service).watchdog},
	}
}

// New builds the relay. It opens no connection and starts nothing: the first request does what it needs.
// The errors are those of the configuration.
func New(c Config, log *slog.Logger) (*Service, error) {
	c.Auth.Logger = log
	if c.Now == nil {
		c.Now = time.Now
	}
	verifier, err := auth.New(c.Auth)
	if err != nil {
		return nil, err
	}
	tel := telemetry.New(c.Telemetry, Version, log)
	budget := newBudget(c.MemoryLimit)
	client := qualys.NewClient(qualys.Options{
		PathPrefix: c.APIPath,
		UserAgent:  "qualys-relay/" + Version,
		Observe:    tel.Call,
		Memory:     budget.events,
	})
	return &Service{
		config:   c,
		log:      log,
		verifier: verifier,
		client:   client,
		searcher: search.New(client, search.Options{
			Concurrency:     c.Concurrency,
			CacheTTL:        c.SearchCache,
			CacheBytes:      budget.cache,
			Memory:          budget.events,
			MaxRequestBytes: maxUnread,
			Span:            tel.Span,
		}),
		telemetry: tel,
		budget:    budget,
		requests:  newRequests(),
		strangers: semaphore.NewWeighted(maxStrangers),
	}, nil
}

// Start prepares the process to be the relay's: it sets the memory limit of the configuration, logs one
// line about what runs and where it listens, and ends the process on SIGTERM after the requests in
// flight have been answered. port is the functions framework's, which listens.
func (s *Service) Start(port string) {
	debug.SetMemoryLimit(s.config.MemoryLimit)
	version, commit, goVersion := Build()
	s.log.Info("the relay starts",
		slog.String("port", cmp.Or(port, "8080")),
		slog.String("version", version), slog.String("commit", commit), slog.String("go", goVersion),
		slog.Any("configuration", s.config))
	s.exitOnSIGTERM()
}

// Close gives back connections and sends what telemetry is left.
func (s *Service) Close() {
	s.client.Close()
	s.telemetry.Close()
}

// Functions are the service's HTTP functions by the name under which they are registered: one for each
// endpoint, and "relay" for all of them.
func (s *Service) Functions() map[string]http.HandlerFunc {
	functions := map[string]http.HandlerFunc{"relay": s.ServeHTTP}
	for _, e := range endpoints() {
		functions[e.name] = func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, e) }
	}
	return functions
}

// ServeHTTP answers every endpoint by its path. A trailing or doubled slash is tolerated: module URLs
// are often saved with one.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	clean := path.Clean("/" + r.URL.Path)
	for _, e := range endpoints() {
		if e.path == clean {
			s.serve(w, r, e)
			return
		}
	}
	s.serve(w, r, endpoint{name: "none", method: r.Method, access: anybody, handle: notFound})
}

func notFound(*Service, *request) (any, error) {
	var paths []string
	for _, e := range endpoints() {
		paths = append(paths, e.path)
	}
	return nil, &statusError{http.StatusNotFound,
		"There is nothing at this path.", "The relay serves " + strings.Join(paths, ", ") + "."}
}
