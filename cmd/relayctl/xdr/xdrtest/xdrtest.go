// Package xdrtest is a strict fake of the part of Cisco XDR that package xdr calls: a real HTTP server with
// the token endpoint, module types, module instances and the health check. What the published API (IROH-INT
// 1.0.107) does not allow is refused: other paths, methods, formats, query parameters and keys. Where that
// is silent, what the fake does is said at the place.
package xdrtest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
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
	ReadOnly  bool          // the API client's scope ends in :read
	TokenLife time.Duration // 0: ten minutes
	PageSize  uint          // elements of a page, whatever the limit says; 0: as the limit says
	NoOffset  bool          // every page is the first
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

// Transport leads every request to the server at the URL, whatever its host is, and without TLS.
func Transport(serverURL string) http.RoundTripper {
	return &http.Transport{DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(serverURL, "http://"))
	}}
}

// AddType stores a module type, the organisation's unless its visibility says otherwise, and returns its id.
func (s *Server) AddType(t object) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store(&s.types, t)["id"].(string)
}

// TakeCalls are the requests since the last time: method, path with query, and the body where there is one.
func (s *Server) TakeCalls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// store stores an object with what the server adds to it, and returns it.
func (s *Server) store(into *[]object, in object) object {
	s.ids++
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", s.ids)
	stored := object{"id": id, "org_id": "org", "user_id": "user", "enabled": true, "visibility": "org"}
	maps.Copy(stored, in)
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
	_ = json.NewEncoder(w).Encode(answer) // net/http lets no body go with a 204
}

// answer is the status and the body of the response.
func (s *Server) answer(r *http.Request, body []byte) (status int, answer any) {
	defer func() {
		if refused, ok := recover().(refusal); ok {
			status = refused.status
			answer = object{"error": "refused", "error_description": refused.text, "trace_id": "2e79"}
		}
	}()
	require(r.Header.Get("Accept") == "application/json", 406, "Accept is not application/json")
	if r.URL.Path == "/iroh/oauth2/token" {
		return s.login(r, string(body))
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	require(time.Now().Before(s.tokens[token]), 401, "The JWT is unknown or has expired")
	var in object
	isJSON := r.Header.Get("Content-Type") == "application/json" && json.Unmarshal(body, &in) == nil
	require(len(body) == 0 || isJSON, 400, "the body is not a JSON object")
	path, id := r.URL.Path, ""
	if i := strings.LastIndexByte(path, '/'); strings.Count(path, "/") == 4 {
		path, id = path[:i+1], path[i+1:]
	}
	changes := r.Method != http.MethodGet && path != "/iroh/iroh-enrich/health/"
	require(!changes || !s.config.ReadOnly, 401, "missing scopes: "+path+":write")
	switch r.Method + " " + path {
	case "GET /iroh/iroh-int/module-type":
		return 200, s.page(s.types, r.URL.Query())
	case "POST /iroh/iroh-int/module-type":
		check(in, moduleType, "title", "default_name")
		return 201, s.store(&s.types, in)
	case "PATCH /iroh/iroh-int/module-type/":
		stored := find(s.types, id)
		require(stored["visibility"] == "org", 403, "global types are changed with module-type-patch")
		check(in, moduleType)
		patch(stored, in)
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
		check(in, moduleInstance, "name", "module_type_id", "visibility")
		find(s.types, in["module_type_id"].(string))
		return 201, s.store(&s.insts, in)
	case "POST /iroh/iroh-enrich/health/":
		require(len(body) == 0, 400, "a health check has no body")
		return 200, health(find(s.insts, id))
	}
	return 404, object{"error": "no such route"}
}

// Keys of NewModuleTypeParams, PatchModuleTypeParams and NewModuleInstanceParams, as far as relays use them.
// What is in a module type is held against the API's schema by the tests of package moduletype.
const (
	moduleType = " title default_name short_description description tips logo enabled properties flags " +
		"capabilities product_categories external_references configuration_spec "
	moduleInstance = " name module_type_id visibility settings enabled "
)

// check refuses what has other keys than the known ones, or lacks one that it needs.
func check[V any](in map[string]V, known string, needs ...string) {
	for name := range in {
		require(strings.Contains(known, " "+name+" "), 400, "disallowed key "+name)
	}
	for _, name := range needs {
		_, ok := in[name]
		require(ok, 400, name+" is missing")
	}
}

func (s *Server) login(r *http.Request, body string) (int, any) {
	isForm := r.Header.Get("Content-Type") == "application/x-www-form-urlencoded"
	require(r.Method == http.MethodPost && isForm, 400, "not a POST of a form")
	require(body == "grant_type=client_credentials", 400, "unsupported grant")
	id, password, _ := r.BasicAuth()
	require(r.Host == Host && id == ClientID && password == ClientSecret, 401, "wrong password "+password)
	token := fmt.Sprint("canary-access-token_", len(s.tokens))
	s.tokens[token] = time.Now().Add(s.config.TokenLife)
	return 200, object{
		"access_token": token, "token_type": "bearer", "expires_in": int(s.config.TokenLife.Seconds()),
	}
}

// page is a part of a list.
func (s *Server) page(all []object, query url.Values) []object {
	check(query, " query enabled record module_type_id sort_by sort_order offset limit ")
	of := query.Get("module_type_id")
	all = slices.DeleteFunc(slices.Clone(all), func(o object) bool {
		return of != "" && o["module_type_id"] != of
	})
	var begin, limit uint
	_, err := fmt.Sscan(query.Get("offset")+" "+query.Get("limit"), &begin, &limit)
	require(err == nil, 400, "offset or limit is not a number")
	if s.config.NoOffset {
		begin = 0
	}
	all = all[min(begin, uint(len(all))):]
	return append([]object{}, all[:min(cmp.Or(s.config.PageSize, limit), uint(len(all)))]...)
}

func find(all []object, id string) object {
	i := slices.IndexFunc(all, func(o object) bool { return o["id"] == id })
	require(i >= 0, 404, "not found")
	return all[i]
}

// patch replaces fields, but merges properties by their names, where null clears.
func patch(stored, in object) {
	properties := make(object)
	for _, from := range []object{stored, in} {
		part, _ := from["properties"].(object)
		maps.Copy(properties, part)
	}
	maps.DeleteFunc(properties, func(_ string, value any) bool { return value == nil })
	maps.Copy(stored, in)
	stored["properties"] = properties
}

// health is what XDR says after it has called the relay: it works for one user.
func health(instance object) object {
	settings, _ := instance["settings"].(object)
	message := "Authorization failed: Qualys refused the login"
	switch {
	case settings["custom_user"] == User && settings["custom_pass"] == Password, settings["token"] != nil:
		return object{"data": object{"module": instance["name"], "data": object{"status": "ok"}}}
	case settings["custom_user"] == "echo": // a relay that says more than it may
		message = fmt.Sprint("cannot log in with ", settings["custom_pass"])
	}
	return object{"errors": []object{
		{"module": instance["name"], "type": "fatal", "code": "authorization error", "message": message},
	}}
}
