package main

import (
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/relay"
)

// generatedMain is the program that the Go functions buildpack writes where the root package registers its functions itself: it
// imports that package for its init and starts the framework. Only the address differs: on Cloud Run it listens on every interface.
const generatedMain = `package main

import (
	"log"
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	_ "qualysrelay.example"
)

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	if err := funcframework.StartHostPort("127.0.0.1", port); err != nil {
		log.Fatal(err)
	}
}
`

const functionsPackage = "github.com/GoogleCloudPlatform/functions-framework-go/functions"

// upload copies what goes up to Google into a folder.
func upload(t *testing.T, dir string) {
	t.Helper()
	root := repository(t)
	for _, name := range uploaded(t) {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		require.NoError(t, err)
		target := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(target), 0o700))
		require.NoError(t, os.WriteFile(target, text, 0o600))
	}
}

// goTool runs the go command in a folder. It has no network and may not change go.mod: all that a build needs is there already.
func goTool(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false", "GOPROXY=off", "GOWORK=off")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "go %s: %s", strings.Join(args, " "), stderr.String())
	return string(out)
}

// rootPackage reads the root as the buildpack does before anything else: every Go file in it, tests and files for other systems
// included, must name one package. It returns that name, and what the package imports outside its tests.
func rootPackage(t *testing.T, dir string) (string, []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	names := map[string]string{}
	var imports []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		require.NoError(t, err)
		names[parsed.Name.Name] = filepath.Base(file)
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, spec := range parsed.Imports {
			imports = append(imports, strings.Trim(spec.Path.Value, `"`))
		}
	}
	require.Len(t, names, 1, "the buildpack takes one package in the root: %v", names)
	return slices.Collect(maps.Keys(names))[0], imports
}

func TestTheBuildpackAcceptsTheRoot(t *testing.T) {
	copied := t.TempDir()
	upload(t, copied)
	for name, dir := range map[string]string{"as Cloud Build has it, with tests": repository(t), "as a source deployment uploads it": copied} {
		t.Run(name, func(t *testing.T) {
			pkg, imports := rootPackage(t, dir)
			assert.NotEqual(t, "main", pkg, "the generated program could not import it")
			assert.Contains(t, imports, functionsPackage, "without it the buildpack takes its other template, which wants an exported function")
		})
	}

	var module struct {
		Module    struct{ Path string }
		Go        string
		Toolchain *string
	}
	require.NoError(t, json.Unmarshal([]byte(goTool(t, copied, "mod", "edit", "-json")), &module))
	first, _, _ := strings.Cut(module.Module.Path, "/")
	assert.Contains(t, first, ".", "the buildpack wants a dot in the first element of the module path")
	assert.Equal(t, "1.26.0", module.Go, "a later patch release may be missing in Google's image")
	assert.Nil(t, module.Toolchain)

	mains := goTool(t, copied, "list", "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{end}}`, "./...")
	assert.Equal(t, []string{"qualysrelay.example/cmd/relay"}, strings.Fields(mains),
		"with two programs a deployment that forgets --function would build neither and look successful")
	goTool(t, copied, "vet", "./...") // every package that goes up is whole without what stays at home
}

// programs uploads, writes the buildpack's main program and builds it, with the flags of cloudbuild.yaml, and cmd/relay beside it.
func programs(t *testing.T) (generated, own string) {
	t.Helper()
	source, out := t.TempDir(), t.TempDir()
	upload(t, source)
	app := filepath.Join(source, "functions.local", "app")
	require.NoError(t, os.MkdirAll(app, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(app, "main.go"), []byte(generatedMain), 0o600))
	goTool(t, source, "build", "-ldflags=-s -w", "-o", out+string(filepath.Separator), "./functions.local/app", "./cmd/relay")
	return filepath.Join(out, "app"), filepath.Join(out, "relay")
}

// registered returns the names of the functions that the relay registers.
func registered(t *testing.T) []string {
	t.Helper()
	config, err := relay.ConfigFromEnv(func(string) string { return "" })
	require.NoError(t, err)
	service, err := relay.New(config)
	require.NoError(t, err)
	defer func() { _ = service.Close() }()
	return slices.Sorted(maps.Keys(service.Functions()))
}

func TestTheProgramThatTheBuildpackMakes(t *testing.T) {
	program, own := programs(t)
	unauthorized := `{"errors":[{"code":"authorization error","message":"Authorization failed: Authorization header is missing","type":"fatal"}]}`
	version := fmt.Sprintf(`{"version":%q}`, relay.Version)

	t.Run("serves every endpoint under the one function relay", func(t *testing.T) {
		s := start(t, program, "FUNCTION_TARGET=relay")
		assert.JSONEq(t, version, s.ask(t, http.MethodPost, "/version"))
		assert.JSONEq(t, `{"data":"beat"}`, s.ask(t, http.MethodGet, "/watchdog"))
		for _, path := range []string{"/health", "/observe/observables", "/deliberate/observables", "/observe/observables/"} {
			assert.JSONEq(t, unauthorized, s.ask(t, http.MethodPost, path), path)
		}
	})

	// One function gets every path. Each is asked at a path of its own making, so that a function that looked at the path would fail.
	for name, want := range map[string]struct{ method, body string }{
		"version":               {http.MethodPost, version},
		"watchdog":              {http.MethodGet, `{"data":"beat"}`},
		"health":                {http.MethodPost, unauthorized},
		"observeObservables":    {http.MethodPost, unauthorized},
		"deliberateObservables": {http.MethodPost, unauthorized},
	} {
		t.Run("serves the function "+name+" alone at every path", func(t *testing.T) {
			s := start(t, program, "FUNCTION_TARGET="+name)
			assert.JSONEq(t, want.body, s.ask(t, want.method, "/"))
			assert.JSONEq(t, want.body, s.ask(t, want.method, "/any/path"))
		})
	}

	t.Run("serves the function referObservables alone at every path", func(t *testing.T) {
		s := start(t, program, "FUNCTION_TARGET=referObservables", "PLATFORM_URL=https://qualysguard.qg2.apps.qualys.com")
		assert.Contains(t, s.ask(t, http.MethodPost, "/any/path"), "https://qualysguard.qg2.apps.qualys.com/")
	})

	t.Run("has its like in cmd/relay, which serves every endpoint by default", func(t *testing.T) {
		s := start(t, own)
		assert.JSONEq(t, version, s.ask(t, http.MethodPost, "/version"))
		assert.JSONEq(t, unauthorized, s.ask(t, http.MethodPost, "/observe/observables"))
	})

	t.Run("serves every function at its name where none is chosen", func(t *testing.T) {
		s := start(t, program)
		assert.JSONEq(t, version, s.ask(t, http.MethodPost, "/version"))
		assert.JSONEq(t, unauthorized, s.ask(t, http.MethodPost, "/observeObservables"))
	})

	t.Run("does not start with a function that is not registered", func(t *testing.T) {
		status, stderr := fails(t, program, "FUNCTION_TARGET=observe")
		assert.Equal(t, 1, status)
		assert.Contains(t, stderr, `no matching function found with name: "observe"`)
	})

	t.Run("does not start with a wrong configuration and names each mistake", func(t *testing.T) {
		status, stderr := fails(t, program, "FUNCTION_TARGET=relay", "SECRET_KEY=short", "API_URL=http://qualys.example", "CTR_ENTITIES_LIMIT=all")
		assert.Equal(t, 2, status)
		for _, name := range []string{"SECRET_KEY", "API_URL", "CTR_ENTITIES_LIMIT"} {
			assert.Contains(t, stderr, name)
		}
		assert.NotContains(t, stderr, "short")
	})

	t.Run("lets a request in flight finish on SIGTERM", func(t *testing.T) { drains(t, program) })

	t.Run("passes its smoke test under every function", func(t *testing.T) {
		for _, name := range registered(t) {
			s := start(t, program, "FUNCTION_TARGET="+name)
			out, err := smoke(t, fmt.Sprintf("relay-%s %s relay-bnew %s\n", strings.ToLower(name), name, s.url))
			require.NoError(t, err, out)
			assert.Contains(t, out, "ok: relay-"+strings.ToLower(name)+" ")
		}
	})
}

// drains sends SIGTERM while a request waits for Qualys.
func drains(t *testing.T, program string) {
	arrived, release := make(chan struct{}), make(chan struct{})
	open := sync.OnceFunc(func() { close(release) })
	defer open()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"user": "alice", "pass": "wonderland"}).SignedString([]byte(secretKey))
	require.NoError(t, err)
	var once sync.Once
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(arrived) })
		<-release
		if strings.HasSuffix(r.URL.Path, "/auth") {
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, token) // Qualys's own tokens are JWTs too
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer gateway.Close()
	defer open() // before the gateway closes, which waits for its requests

	s := start(t, program, "FUNCTION_TARGET=relay", "API_URL="+gateway.URL)
	type answer struct {
		status int
		body   string
		err    error
	}
	answers := make(chan answer, 1)
	go func() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/observe/observables", strings.NewReader(`[{"type":"ip","value":"192.0.2.1"}]`))
		if err != nil {
			answers <- answer{err: err}
			return
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			answers <- answer{err: err}
			return
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		answers <- answer{resp.StatusCode, string(body), err}
	}()
	select {
	case <-arrived:
	case a := <-answers:
		t.Fatalf("the relay answered without asking Qualys: %+v", a)
	case <-t.Context().Done():
		t.Fatal("no request reached Qualys")
	}

	require.NoError(t, s.process.Signal(syscall.SIGTERM))
	for { // new requests are turned away once the signal has been seen
		resp, err := http.Post(s.url+"/version", "application/json", nil)
		if err != nil {
			break
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusServiceUnavailable {
			break
		}
		require.NoError(t, t.Context().Err())
	}
	open()
	a := <-answers
	require.NoError(t, a.err)
	assert.Equal(t, http.StatusOK, a.status)
	assert.JSONEq(t, `{"data":{}}`, a.body)
	<-s.done
	assert.Equal(t, 0, s.status(), s.stderr.String())
}
