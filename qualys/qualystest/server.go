package qualystest

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"qualysrelay.example/qualys"
)

// The user that a server has unless it is told others. The password has what a form must encode.
const (
	User     = "quays3ex"
	Password = "p&ss + w=rd 100% Grüße/✓"
)

// TB is the part of testing.TB that the server needs. It is here so that programs can use this package
// without the testing flags.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Config is what a server starts with. The zero value will do.
type Config struct {
	Addr      string            // "127.0.0.1:0" where it is empty
	TLS       bool              // with a certificate that only Server.RootCAs vouches for
	Users     map[string]string // password of each user; nil: User and Password
	TokenLife time.Duration     // 0: four hours, as at Qualys
	Events    []Event           // for every user

	// What nobody outside of Qualys knows for sure, and a probe is to find out.
	ExactQuotes  bool     // double quotes match whole values, not tokens
	AnyToken     bool     // double quotes match values that have any of the tokens, not all
	LooseQuotes  bool     // backticks and single quotes match as double quotes do
	Escapes      bool     // a backslash in a value has to be doubled
	NoTokens     []string // search tokens that are refused as unknown ones are
	APIPath      string   // of the events API: "" is /ioc and /ioc/v1
	MaxPageSize  int      // events in an answer, whatever pageSize asks for; 0: 1000
	PagesFromOne bool     // the first page has number 1, and number 0 is the same
	OldestFirst  bool     // whatever sort asks for
	OneDataset   bool     // every search goes over the current state and the history, whatever state says

	BucketsIgnoreFilter bool // of a filter of time-buckets only the times are used, as Qualys documents
	IgnoreGroupBy       bool // a count that is to be grouped is one number
}

// Server is a fake gateway. Its methods are safe for concurrent use, while it serves as well.
type Server struct {
	URL     string         // "http://127.0.0.1:41234", the gateway of a qualys.Tenant
	RootCAs *x509.CertPool // vouches for the server's certificate; nil without TLS

	config  Config
	http    *http.Server
	report  func(format string, args ...any)
	serving sync.WaitGroup // of the loop that accepts connections
	closing chan struct{}  // closed by Close: what hangs lets go

	mu        sync.Mutex
	closed    bool
	handlers  int        // calls that are being answered
	idle      *sync.Cond // handlers went to 0
	users     map[string]string
	events    map[string]*datasets // by user; "" is everybody else's
	issued    map[string]*issued   // by token
	tokenLife time.Duration
	delay     time.Duration
	headers   http.Header
	faults    []*fault
	requests  []Request
	stats     Stats
	changed   chan struct{} // closed and replaced when stats change
}

// Stats counts what a server saw.
type Stats struct {
	Calls       int // requests of any kind
	Logins      int
	Searches    int
	Counts      int // calls of /events/count and /events/count/time-buckets
	Current     int // searches with state=true
	History     int // searches without
	InFlight    int // searches that have come and are not answered yet
	Open        int // calls of any kind that are not answered yet
	MaxInFlight int
	Mistakes    int // requests that were reported
	Connections int // that were opened
}

// Request is one call that a server saw.
type Request struct {
	Op         Op
	Path       string
	User       string // who logs in; whose token it is
	Filter     string // QQL
	Current    bool   // state=true
	PageSize   int
	PageNumber int
	After      string // searchAfterValues: where the page begins
	split      split
}

type issued struct {
	user    string
	expires time.Time
	revoked bool
}

// datasets are a user's events, newest first.
type datasets struct{ current, history []stored }

type stored struct {
	fields map[string][]string
	json   []byte
}

// New starts a server for a test, and closes it when the test ends. Each mistake in a request fails the
// test.
func New(tb TB, c Config) *Server {
	tb.Helper()
	s, err := Listen(c, tb.Errorf)
	if err != nil {
		tb.Fatalf("qualystest: %v", err)
		return nil
	}
	tb.Cleanup(s.Close)
	return s
}

// Listen starts a server for a program. report, where it is not nil, is called for each mistake in a
// request. The caller closes the server.
func Listen(c Config, report func(format string, args ...any)) (*Server, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", or(c.Addr, "127.0.0.1:0"))
	if err != nil {
		return nil, err
	}
	s := &Server{
		URL: "http://" + listener.Addr().String(), config: c, report: report,
		closing: make(chan struct{}), users: map[string]string{User: Password}, events: make(map[string]*datasets),
		issued: make(map[string]*issued), tokenLife: 4 * time.Hour, headers: make(http.Header),
		changed: make(chan struct{}),
	}
	s.idle = sync.NewCond(&s.mu)
	if c.Users != nil {
		s.users = make(map[string]string)
		for user, password := range c.Users {
			s.users[user] = password
		}
	}
	if c.TokenLife != 0 {
		s.tokenLife = c.TokenLife
	}
	s.SetEvents(c.Events...)
	s.http = &http.Server{Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: 10 * time.Second}
	s.http.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.count(func(c *Stats) { c.Connections++ })
		}
	}
	// Resets and foreign certificates are what the server is for.
	s.http.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	if c.TLS {
		certificate, pool, err := newCertificate()
		if err != nil {
			_ = listener.Close()
			return nil, err
		}
		s.URL, s.RootCAs = "https://"+listener.Addr().String(), pool
		s.http.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
		s.serving.Go(func() { _ = s.http.ServeTLS(listener, "", "") })
	} else {
		s.serving.Go(func() { _ = s.http.Serve(listener) })
	}
	return s, nil
}

// Close ends the server, what hangs in it too, and waits until no call is being answered any more.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
	s.mu.Unlock()
	_ = s.http.Close()
	s.serving.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.handlers > 0 {
		s.idle.Wait()
	}
}

// enter notes that a call is being answered, and leave that it no longer is.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.handlers++
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handlers--; s.handlers == 0 {
		s.idle.Broadcast()
	}
}

// Tenant returns the user named User (or, where there is none, the first one by name) as a tenant of this
// gateway.
func (s *Server) Tenant() qualys.Tenant {
	s.mu.Lock()
	defer s.mu.Unlock()
	user := User
	if _, ok := s.users[user]; !ok {
		names := make([]string, 0, len(s.users))
		for name := range s.users {
			names = append(names, name)
		}
		if len(names) > 0 {
			user = slices.Min(names)
		}
	}
	return qualys.Tenant{Gateway: s.URL, User: user, Password: s.users[user]}
}

// AddUser lets one more user log in, and returns the tenant.
func (s *Server) AddUser(user, password string) qualys.Tenant {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[user] = password
	return qualys.Tenant{Gateway: s.URL, User: user, Password: password}
}

// SetEvents replaces the events that every user has who was given none of their own.
func (s *Server) SetEvents(events ...Event) { s.SetEventsOf("", events...) }

// SetEventsOf gives a user events of their own.
func (s *Server) SetEventsOf(user string, events ...Event) {
	sorted := slices.Clone(events)
	slices.SortStableFunc(sorted, func(a, b Event) int { return b.time.Compare(a.time) })
	var d datasets
	for _, e := range sorted {
		one := stored{fields: e.searchable(), json: e.JSON()}
		if e.active {
			d.current = append(d.current, one)
		} else {
			d.history = append(d.history, one)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events[user] = &d
}

// SetDelay makes each answer, to a login too, wait for so long.
func (s *Server) SetDelay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// SetTokenLife sets how long the tokens of later logins live.
func (s *Server) SetTokenLife(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokenLife = d
}

// SetHeader adds a header to every answer to a search that is no fault's: a rate limit, say. An empty
// value takes it away.
func (s *Server) SetHeader(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if value == "" {
		s.headers.Del(name)
	} else {
		s.headers.Set(name, value)
	}
}

// RevokeTokens makes the server refuse all tokens that it has issued, with 401.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.issued {
		t.revoked = true
	}
}

// IssueToken returns a token of the user as a login would.
func (s *Server) IssueToken(user string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	expires := now.Add(s.tokenLife)
	// The claims of Qualys's own example. A map of these always marshals.
	claims, _ := json.Marshal(map[string]any{
		"sub": user, "iss": "qas", "aud": "qas", "loginResponse": "SUCCESSFUL", "usertype": "fo",
		"modulesAllowed": []string{"EDR"},
		"iat":            now.Unix(), "exp": expires.Unix(), "jti": rand.Text(),
	})
	encode := base64.RawURLEncoding.EncodeToString
	token := encode([]byte(`{"alg":"HS512","typ":"JWT"}`)) + "." + encode(claims) + "." +
		encode([]byte("not a real signature "+rand.Text()))
	s.issued[token] = &issued{user: user, expires: expires}
	return token
}

// accept makes the server take a token as the user's.
func (s *Server) accept(token, user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issued[token] = &issued{user: user, expires: time.Now().Add(s.tokenLife)}
}

// Stats returns the counts so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Calls returns the number of requests so far, of any kind.
func (s *Server) Calls() int { return s.Stats().Calls }

// Logins returns the number of logins so far, refused ones too.
func (s *Server) Logins() int { return s.Stats().Logins }

// Searches returns the number of searches so far, refused ones too.
func (s *Server) Searches() int { return s.Stats().Searches }

// maxRequests bounds the memory of a server that runs for long.
const maxRequests = 10_000

// Requests returns what came so far, in the order in which it came: the last 10,000 at least.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Filters returns the QQL of each search and count so far, in the order in which they came.
func (s *Server) Filters() []string {
	var filters []string
	for _, r := range s.Requests() {
		if r.Op != Login {
			filters = append(filters, r.Filter)
		}
	}
	return filters
}

// ResetStats forgets the requests so far, but for the ones in flight.
func (s *Server) ResetStats() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
	s.stats = Stats{InFlight: s.stats.InFlight, MaxInFlight: s.stats.InFlight, Open: s.stats.Open}
}

// Wait returns when the counts are as wanted, or with the context's error when it ends before.
func (s *Server) Wait(ctx context.Context, wanted func(Stats) bool) error {
	for {
		s.mu.Lock()
		stats, changed := s.stats, s.changed
		s.mu.Unlock()
		if wanted(stats) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// count changes the stats and wakes up who waits for them.
func (s *Server) count(change func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.stats)
	close(s.changed)
	s.changed = make(chan struct{})
}

// mistake refuses a request that no client of ours should send.
func (s *Server) mistake(w http.ResponseWriter, status int, format string, args ...any) {
	s.count(func(c *Stats) { c.Mistakes++ })
	text := fmt.Sprintf(format, args...)
	if s.report != nil {
		s.report("qualystest: answered %d: %s", status, text)
	}
	writeJSON(w, status, map[string]any{"message": text})
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		return
	}
	defer s.leave()
	s.count(func(c *Stats) { c.Calls++; c.Open++ })
	defer s.count(func(c *Stats) { c.Open-- })
	switch path := s.apiPath(r.URL.Path); path {
	case "/auth":
		s.count(func(c *Stats) { c.Logins++ })
		s.serveLogin(w, r)
	case "/events/count", "/events/count/time-buckets":
		s.count(func(c *Stats) { c.Counts++ })
		s.serveSearch(w, r, Count)
	case "/events/searchAfter":
		s.serveSearch(w, r, SearchAfter)
	case "/events":
		s.count(func(c *Stats) {
			c.Searches++
			if r.URL.Query().Get("state") == "true" {
				c.Current++
			} else {
				c.History++
			}
			c.InFlight++
			c.MaxInFlight = max(c.MaxInFlight, c.InFlight)
		})
		defer s.count(func(c *Stats) { c.InFlight-- })
		s.serveSearch(w, r, Search)
	default:
		s.mistake(w, http.StatusNotFound, "unknown path %q", r.URL.Path)
	}
}

// apiPath is the path within the events API; "" where it is not in it, but for the login's.
func (s *Server) apiPath(path string) string {
	if path == "/auth" {
		return path
	}
	prefixes := []string{"/ioc/v1", "/ioc"}
	if s.config.APIPath != "" {
		prefixes = []string{s.config.APIPath}
	}
	for _, prefix := range prefixes {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			return rest
		}
	}
	return ""
}

func (s *Server) serveLogin(w http.ResponseWriter, r *http.Request) {
	contentType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	switch {
	case r.Method != http.MethodPost:
		s.mistake(w, http.StatusMethodNotAllowed, "login with %s", r.Method)
		return
	case r.URL.RawQuery != "":
		s.mistake(w, http.StatusBadRequest, "login with a query in the URL")
		return
	case contentType != "application/x-www-form-urlencoded":
		s.mistake(w, http.StatusUnsupportedMediaType, "login with content type %q", contentType)
		return
	case r.Header.Get("Authorization") != "":
		s.mistake(w, http.StatusBadRequest, "login with an Authorization header")
		return
	}
	if err := r.ParseForm(); err != nil {
		s.mistake(w, http.StatusBadRequest, "login with a form that is not encoded")
		return
	}
	for _, name := range [...]string{"username", "password", "token"} {
		if len(r.PostForm[name]) != 1 {
			s.mistake(w, http.StatusBadRequest, "login with %d values of %s", len(r.PostForm[name]), name)
			return
		}
	}
	if len(r.PostForm) != 3 || r.PostForm.Get("token") != "true" {
		s.mistake(w, http.StatusBadRequest, "login with other fields than username, password and token=true")
		return
	}
	user := r.PostForm.Get("username")
	request := Request{Op: Login, Path: r.URL.Path, User: user}
	s.answer(w, r, request, func(w http.ResponseWriter) {
		s.mu.Lock()
		password, known := s.users[user]
		s.mu.Unlock()
		switch {
		case user == "":
			refuse(w, http.StatusBadRequest, "EmptyCredentialsException")
		case !known || password != r.PostForm.Get("password"):
			refuse(w, http.StatusUnauthorized, "InvalidCredentialsException")
		default:
			w.Header().Set("Content-Type", "text/plain;charset=ISO-8859-1")
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(s.IssueToken(user)))
		}
	})
}

func (s *Server) serveSearch(w http.ResponseWriter, r *http.Request, op Op) {
	if r.Method != http.MethodGet {
		s.mistake(w, http.StatusMethodNotAllowed, "search with %s", r.Method)
		return
	}
	if len(r.RequestURI) > 8<<10 {
		s.mistake(w, http.StatusRequestURITooLong, "search with a URL of %d bytes", len(r.RequestURI))
		return
	}
	request, err := searchRequest(r, op)
	if err != nil {
		s.mistake(w, http.StatusBadRequest, "search with %v", err)
		return
	}
	bearer, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	token := s.issued[bearer]
	valid := token != nil && !token.revoked && time.Now().Before(token.expires)
	if token != nil {
		request.User = token.user
	}
	s.mu.Unlock()
	switch {
	case !isBearer || len(r.Header["Authorization"]) != 1:
		s.mistake(w, http.StatusUnauthorized, "search without a bearer token")
		return
	case token == nil:
		s.mistake(w, http.StatusUnauthorized, "search with a token that was never issued")
		return
	}
	s.answer(w, r, request, func(w http.ResponseWriter) {
		if !valid {
			message := "Unauthorized: the token is expired or revoked"
			writeJSON(w, http.StatusUnauthorized, map[string]any{"message": message})
			return
		}
		body, next, err := s.search(request)
		if err != nil {
			s.mistake(w, http.StatusBadRequest, "search with a malformed query: %v", err)
			return
		}
		s.mu.Lock()
		for name, values := range s.headers {
			w.Header()[name] = values
		}
		s.mu.Unlock()
		if request.Op == SearchAfter && next != "" {
			w.Header().Set("searchAfterValue", next)
		}
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
		_, _ = w.Write(body) //nolint:gosec // JSON of the test's own events, to a client of ours
	})
}

// searchRequest reads the parameters, each of which must be there as the relay sends it.
func searchRequest(r *http.Request, op Op) (Request, error) {
	q := Request{Op: op, Path: r.URL.Path}
	params, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, errors.New("a query string that is not encoded")
	}
	if r.ContentLength != 0 {
		return q, errors.New("a body")
	}
	buckets := strings.HasSuffix(q.Path, "/time-buckets")
	if op == Count {
		if q.split, err = splitOf(params, buckets); err != nil {
			return q, err
		}
	}
	for name, values := range params {
		if len(values) != 1 {
			return q, fmt.Errorf("%d values of %s", len(values), name)
		}
		v := values[0]
		if op == Count && (name == "pageSize" || name == "pageNumber") {
			return q, fmt.Errorf("count with %s", name)
		}
		if op == SearchAfter && (name == "state" || name == "sort") ||
			op != SearchAfter && name == "searchAfterValues" {
			return q, fmt.Errorf("%s with %s", op, name)
		}
		switch name {
		case "filter":
			if q.Filter = v; v == "" {
				return q, errors.New("an empty filter")
			}
		case "pageSize":
			if q.PageSize, err = strconv.Atoi(v); err != nil || q.PageSize < 1 || q.PageSize > 1000 {
				return q, fmt.Errorf("pageSize %q", v)
			}
		case "pageNumber":
			if q.PageNumber, err = strconv.Atoi(v); err != nil || q.PageNumber < 0 {
				return q, fmt.Errorf("pageNumber %q", v)
			}
		case "state":
			if q.Current = v == "true"; !q.Current {
				return q, fmt.Errorf("state %q", v)
			}
		case "sort":
			if v != `[{"event.datetime":"desc"}]` {
				return q, fmt.Errorf("sort %q", v)
			}
		case "searchAfterValues":
			q.After = v
		default:
			return q, fmt.Errorf("an unknown parameter %q", name)
		}
	}
	if op != SearchAfter && (!params.Has("pageSize") && op == Search || !buckets && !params.Has("sort")) {
		return q, errors.New("no pageSize or no sort")
	}
	return q, nil
}

// search returns the page of events that the query finds, and where the next one begins; or how many it
// finds.
func (s *Server) search(r Request) (body []byte, next string, err error) {
	var query Query
	if r.Filter != "" {
		if query, err = ParseQuery(r.Filter); err != nil {
			return nil, "", err
		}
		for _, t := range query.Terms() {
			if slices.Contains(s.config.NoTokens, t.Field) {
				return nil, "", fmt.Errorf("query has an unknown token %q", t.Field)
			}
		}
	}
	if r.split.buckets > 0 && s.config.BucketsIgnoreFilter {
		query = query.times()
	}
	counted := tally{split: r.split}
	if s.config.IgnoreGroupBy {
		counted.split.byType = false
	}
	s.mu.Lock()
	d := s.events[r.User]
	if d == nil {
		d = s.events[""]
	}
	s.mu.Unlock()
	set := d.history
	if r.Current {
		set = d.current
	}
	if s.config.OneDataset {
		set = slices.Concat(d.current, d.history)
	}
	if s.config.OldestFirst {
		set = slices.Clone(set)
		slices.Reverse(set)
	}
	size, number := or(r.PageSize, 10), r.PageNumber
	if s.config.MaxPageSize > 0 {
		size = min(size, s.config.MaxPageSize)
	}
	if s.config.PagesFromOne {
		number = max(number-1, 0)
	}
	body = []byte{'['}
	found, first := 0, number*size
	if r.After != "" { // the last event of the page before, behind a time as at Qualys
		_, index, _ := strings.Cut(r.After, ",")
		if first, err = strconv.Atoi(index); err != nil {
			return nil, "", errors.New("searchAfterValues that no answer had")
		}
	}
	for _, e := range set {
		if r.Filter != "" && !query.matches(e.fields, &s.config) {
			continue
		}
		if r.Op == Count {
			counted.add(e)
			continue
		}
		if found++; found <= first {
			continue
		}
		if found > first+size {
			next = fmt.Sprintf("%d,%d", startOf2026.UnixMilli(), first+size)
			break
		}
		if len(body) > 1 {
			body = append(body, ',')
		}
		body = append(body, e.json...)
	}
	if r.Op == Count {
		return counted.json(), "", nil
	}
	return append(body, ']'), next, nil
}

// answer notes the request, waits for the delay, and answers: the way a fault wants it, or else with
// normal.
func (s *Server) answer(
	w http.ResponseWriter, r *http.Request, request Request, normal func(http.ResponseWriter),
) {
	s.mu.Lock()
	if s.requests = append(s.requests, request); len(s.requests) > 2*maxRequests {
		s.requests = slices.Delete(s.requests, 0, maxRequests)
	}
	delay := s.delay
	behaviour := s.fault(request)
	s.mu.Unlock()
	x := &exchange{s: s, w: w, r: r, normal: normal}
	if delay > 0 && !x.sleep(delay) {
		panic(http.ErrAbortHandler)
	}
	if behaviour != nil {
		behaviour.run(x)
		return
	}
	normal(w)
}

// refuse answers a login.
func refuse(w http.ResponseWriter, status int, exception string) {
	writeJSON(w, status, map[string]any{"authentication_exceptions": []string{exception}})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, _ := json.Marshal(v) // of strings only
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
