// Package xdrtest is a strict fake of the part of Cisco XDR that package xdr calls: a real HTTP server with
// the token endpoint, module types, module instances and the health check. What the published API (IROH-INT
// 1.0.107) does not allow is refused: other paths, methods, formats, query parameters and keys. Where that
// is silent, what the fake does is said at the place.
package xdrtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The API client that the server knows, and the Qualys user with whom an integration is healthy.
const (
	Host         = "visibility.eu.amp.cisco.com" // of its region; at other hosts the API client is unknown
	ClientID     = "client-4f0c2a51-8a54-4c1e-9d3e-6f1b2c3d4e5f"
	ClientSecret = "canary-client-secret_Zm9v"
	User         = "acme_ab1"
	Password     = `canary "password" & more`
)

// object is a JSON object.
type object = map[string]any

// Config changes what the server does. The zero value is a well-behaved XDR.
type Config struct {
	Scopes    []string      // of the API client; nil: integration
	TokenLife time.Duration // 0: ten minutes
	PageSize  int           // elements of a page, whatever the limit says; 0: as the limit says
	NoOffset  bool          // every page is the first
	Replace   bool          // a PATCH replaces the properties instead of merging them
	// Instead, if it is not nil, may answer a request to the API in place of the server.
	Instead func(w http.ResponseWriter, r *http.Request) bool
}

// Server is a fake XDR.
type Server struct {
	URL string

	config Config
	mu     sync.Mutex
	calls  []string
	types  []object
	insts  []object
	ids    int
	tokens map[string]time.Time // with their ends
}

// New starts a server that ends with the test. It has two module types of Cisco's own.
func New(t testing.TB, config Config) *Server {
	if config.Scopes == nil {
		config.Scopes = []string{"integration"}
	}
	config.TokenLife = cmp.Or(config.TokenLife, 10*time.Minute)
	s := &Server{config: config, tokens: make(map[string]time.Time)}
	for _, title := range []string{"Qualys EDR", "Talos Intelligence"} {
		s.AddType(object{"title": title, "default_name": title, "visibility": "global"})
	}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// Transport leads every request to a server, whatever its host is, and without TLS.
func Transport(serverURL string) http.RoundTripper { return transport(serverURL) }

type transport string

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	server, err := url.Parse(string(t))
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Host, r.URL.Scheme, r.URL.Host = r.URL.Host, server.Scheme, server.Host
	return http.DefaultTransport.RoundTrip(r)
}

// AddType stores a module type, of the organisation unless its visibility says otherwise, and returns its id.
func (s *Server) AddType(t object) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store(&s.types, object{"visibility": "org"}, t)["id"].(string)
}

// TakeCalls are the requests since the last time: method, path with query, and the body where there is one.
func (s *Server) TakeCalls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// Types are the stored module types.
func (s *Server) Types() []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.types)
}

// store stores an object that consists of the parts, and returns it.
func (s *Server) store(into *[]object, parts ...object) object {
	s.ids++
	stored := object{
		"id": fmt.Sprintf("00000000-0000-4000-8000-%012d", s.ids), "org_id": "org", "user_id": "user",
		"created_at": "2026-03-01T12:00:00.000Z", "enabled": true,
	}
	for _, part := range parts {
		maps.Copy(stored, part)
	}
	*into = append(*into, stored)
	return stored
}

// refusal is an error of the API, as its NormalizedError.
type refusal struct {
	status int
	text   string
}

func require(ok bool, status int, text string) {
	if !ok {
		panic(refusal{status, text})
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.calls = append(s.calls, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
	s.mu.Unlock()
	if s.config.Instead != nil && s.config.Instead(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	status, answer := s.answer(r, body)
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	if answer != nil {
		_ = json.NewEncoder(w).Encode(answer)
	}
}

// answer is the status and the body of the response.
func (s *Server) answer(r *http.Request, body []byte) (status int, answer any) {
	defer func() {
		if p := recover(); p != nil {
			refused, ok := p.(refusal)
			if !ok {
				panic(p)
			}
			status = refused.status
			answer = object{"error": "refused", "error_description": refused.text, "trace_id": "2e79"}
		}
	}()
	require(r.Header.Get("Accept") == "application/json", 406, "Accept is not application/json")
	if r.URL.Path == "/iroh/oauth2/token" {
		return s.login(r, string(body))
	}
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	require(bearer, 401, "No JWT found in HTTP Authorization header")
	require(time.Now().Before(s.tokens[token]), 401, "The JWT is unknown or has expired")
	var in object
	if len(body) > 0 {
		require(r.Header.Get("Content-Type") == "application/json", 415, "Content-Type is not JSON")
		require(json.Unmarshal(body, &in) == nil, 400, "the body is not a JSON object")
	}
	path, id := r.URL.Path, ""
	if i := strings.LastIndexByte(path, '/'); strings.Count(path, "/") == 4 {
		path, id = path[:i+1], path[i+1:]
	}
	s.authorize(r.Method, path)
	switch r.Method + " " + path {
	case "GET /iroh/iroh-int/module-type":
		return 200, s.page(s.types, r.URL.Query())
	case "POST /iroh/iroh-int/module-type":
		check(moduleType(), in, false)
		return 201, s.store(&s.types, object{"visibility": "org"}, in)
	case "GET /iroh/iroh-int/module-type/":
		return 200, find(s.types, id)
	case "PATCH /iroh/iroh-int/module-type/":
		stored := find(s.types, id)
		require(stored["visibility"] == "org", 403, "global types are changed with module-type-patch")
		check(moduleType(), in, true)
		if s.config.Replace && in["properties"] != nil {
			stored["properties"] = object{}
		}
		merge(stored, in)
		stored["updated_at"] = "2026-03-01T12:30:00.000Z"
		return 200, stored
	case "DELETE /iroh/iroh-int/module-type/":
		require(find(s.types, id)["visibility"] == "org", 403, "global types cannot be deleted")
		for _, i := range s.insts { // not documented; an integration without its type would be broken
			require(i["module_type_id"] != id, 409, "module instances use the module type")
		}
		s.types = slices.DeleteFunc(s.types, func(t object) bool { return t["id"] == id })
		return 204, nil
	case "GET /iroh/iroh-int/module-instance":
		return 200, s.page(s.insts, r.URL.Query())
	case "POST /iroh/iroh-int/module-instance":
		check(moduleInstance(), in, false)
		find(s.types, in["module_type_id"].(string))
		return 201, s.store(&s.insts, in)
	case "POST /iroh/iroh-enrich/health/":
		require(len(body) == 0, 400, "a health check has no body")
		return 200, health(find(s.insts, id))
	}
	return 404, object{"error": "no such route"}
}

// authorize refuses what the API client has no scope for. A scope has those below it, and both accesses where
// it names none. The health check needs the access read only.
func (s *Server) authorize(method, path string) {
	needs := "integration/" + strings.Split(path+"///", "/")[3]
	access := "write"
	if method == http.MethodGet || needs == "integration/health" {
		access = "read"
	}
	require(slices.ContainsFunc(s.config.Scopes, func(scope string) bool {
		name, granted, limited := strings.Cut(scope, ":")
		return strings.HasPrefix(needs+"/", name+"/") && (!limited || granted == access)
	}), 401, "missing scopes: "+needs+":"+access)
}

func (s *Server) login(r *http.Request, body string) (int, any) {
	require(r.Method == http.MethodPost, 405, "not a POST")
	require(r.Header.Get("Content-Type") == "application/x-www-form-urlencoded", 415, "not a form")
	require(body == "grant_type=client_credentials", 400, "unsupported grant")
	id, password, _ := r.BasicAuth()
	require(r.Host == Host && id == ClientID && password == ClientSecret, 401, "wrong password "+password)
	token := "canary-access-token_" + strconv.Itoa(len(s.tokens))
	s.tokens[token] = time.Now().Add(s.config.TokenLife)
	return 200, object{
		"access_token": token, "token_type": "bearer", "expires_in": int(s.config.TokenLife.Seconds()),
		"scope": strings.Join(s.config.Scopes, " "),
	}
}

// page is a part of a list.
func (s *Server) page(all []object, query url.Values) []object {
	const known = " query enabled record module_type_id sort_by sort_order offset limit "
	for name := range query {
		require(strings.Contains(known, " "+name+" "), 400, "unknown query parameter "+name)
	}
	if of := query.Get("module_type_id"); of != "" {
		all = slices.DeleteFunc(slices.Clone(all), func(o object) bool { return o["module_type_id"] != of })
	}
	offset, err := strconv.ParseUint(query.Get("offset"), 10, 16)
	require(err == nil, 400, "offset is not a number")
	limit, err := strconv.ParseUint(query.Get("limit"), 10, 16)
	require(err == nil, 400, "limit is not a number")
	if s.config.NoOffset {
		offset = 0
	}
	begin := min(int(offset), len(all))
	return append([]object{}, all[begin:min(begin+cmp.Or(s.config.PageSize, int(limit)), len(all))]...)
}

func find(all []object, id string) object {
	i := slices.IndexFunc(all, func(o object) bool { return o["id"] == id })
	require(i >= 0, 404, "not found")
	return all[i]
}

// merge is what a PATCH does: null clears, properties merge by their names, everything else is replaced.
func merge(stored, patch object) {
	for key, value := range patch {
		into, isObject := stored[key].(object)
		switch part, ok := value.(object); {
		case value == nil:
			delete(stored, key)
		case ok && isObject:
			merge(into, part)
		default:
			stored[key] = value
		}
	}
}

// health is what XDR says after it has called the relay: it works for one user.
func health(instance object) object {
	settings, _ := instance["settings"].(object)
	code, message := "authorization error", "Authorization failed: Qualys refused the login"
	switch {
	case settings["custom_user"] == User && settings["custom_pass"] == Password, settings["token"] != nil:
		return object{"data": object{"module": instance["name"], "data": object{"status": "ok"}}}
	case settings["custom_user"] == "echo": // a relay that says more than it may
		code, message = "unknown", fmt.Sprint("cannot log in with ", settings["custom_pass"])
	}
	return object{"errors": []object{
		{"module": instance["name"], "type": "fatal", "code": code, "message": message},
	}}
}
