package xdr_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/cmd/relayctl/moduletype"
	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/cmd/relayctl/xdr"
	"qualysrelay.example/cmd/relayctl/xdr/xdrtest"
)

// start is a fake XDR, and a client of it.
func start(t *testing.T, config xdrtest.Config) (*xdrtest.Server, *xdr.Client) {
	t.Helper()
	server := xdrtest.New(t, config)
	return server, xdr.New(
		t.Context(), xdrtest.Host, xdrtest.ClientID, xdrtest.ClientSecret, xdrtest.Transport(server.URL))
}

// kind is who signs, and with what.
type kind struct {
	alg string
	key secret.Value
}

var byXDR = kind{"RS256", ""}

func render(t *testing.T, by kind) []byte {
	t.Helper()
	o := moduletype.Options{
		Title: "Qualys EDR", URL: "https://relay.example", Audience: "https://relay.example",
		Region: "eu", ByXDR: by.alg == "RS256", Key: by.key,
	}
	doc, err := o.Render()
	require.NoError(t, err)
	return doc
}

// push pushes a document and returns what it changed.
func push(t *testing.T, client *xdr.Client, doc []byte) []string {
	t.Helper()
	stored, err := client.FindModuleType(t.Context(), "", "Qualys EDR")
	if !errors.Is(err, xdr.ErrNoModuleType) {
		require.NoError(t, err)
	}
	request, changes, err := xdr.Push(stored, doc)
	require.NoError(t, err)
	if len(changes) > 0 {
		require.NoError(t, client.Send(t.Context(), request, nil))
	}
	return changes
}

// TestAPushMakesTheModuleTypeLikeTheRenderedOne goes from each kind of module type to each other one: XDR's
// is then the same in every field, and another push has nothing to do.
func TestAPushMakesTheModuleTypeLikeTheRenderedOne(t *testing.T) {
	t.Parallel()
	kinds := []kind{byXDR, {"HS256", ""}, {"HS256", "canary-shared-key"}}
	for _, from := range kinds {
		for _, to := range kinds {
			t.Run(fmt.Sprint(from, to), func(t *testing.T) {
				t.Parallel()
				_, client := start(t, xdrtest.Config{})
				push(t, client, render(t, from))
				changes := push(t, client, render(t, to))
				assert.Equal(t, from == to, len(changes) == 0)
				assert.NotContains(t, fmt.Sprint(changes), "canary")
				assert.Empty(t, push(t, client, render(t, to)))

				var want map[string]any
				require.NoError(t, json.Unmarshal(render(t, to), &want))
				stored, err := client.FindModuleType(t.Context(), "", "Qualys EDR")
				require.NoError(t, err)
				for name := range want {
					assert.Equal(t, want[name], stored[name], name)
				}
			})
		}
	}
}

func TestAPushLeavesAloneWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	server, client := start(t, xdrtest.Config{})
	server.AddType(map[string]any{
		"title": "Qualys EDR", "default_name": "Qualys EDR", "logo_dark": "data:image/png;base64,AA==",
		"properties": map[string]any{"proxy": "x"},
	})
	assert.NotEmpty(t, push(t, client, render(t, byXDR)))
	stored, err := client.FindModuleType(t.Context(), "", "Qualys EDR")
	require.NoError(t, err)
	assert.Equal(t, "data:image/png;base64,AA==", stored["logo_dark"])
	assert.Equal(t, "x", stored["properties"].(map[string]any)["proxy"])
}

func TestChangesAreShownFromWhereTheyBegin(t *testing.T) {
	t.Parallel()
	doc := func(text string) xdr.ModuleType {
		t.Helper()
		server, client := start(t, xdrtest.Config{})
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &fields))
		stored, err := client.FindModuleType(t.Context(), server.AddType(fields), "")
		require.NoError(t, err)
		return stored
	}
	const long = "a text that is longer than what is shown of it where it is the same, "
	for name, c := range map[string]struct{ are, wanted, shown string }{
		"a text": {
			`{"tips":"` + long + `b\nc"}`, `{"tips":"` + long + `d\nc"}`,
			"  tips\n    - at is shown of it where it is the same, b\\nc\"\n" +
				"    + at is shown of it where it is the same, d\\nc\"\n",
		},
		"lists": {
			`{"flags":["x","y"],"capabilities":[{"id":"health"}]}`,
			`{"flags":["y","x"],"capabilities":[{"id":"health"},{"id":"tiles"}]}`,
			"  capabilities\n    - [{\"id\":\"health\"}]\n    + [{\"id\":\"health\"},{\"id\":\"tiles\"}]\n" +
				"  flags\n    - [\"x\",\"y\"]\n    + [\"y\",\"x\"]\n",
		},
		"a field that is": {`{"enabled":true}`, `{"enabled":true}`, ""},
		"a new field":     {`{}`, `{"tips":"a"}`, "  tips\n    - null\n    + \"a\"\n"},
		"a key": {
			`{"properties":{"configuration-token-key":"canary"}}`, `{"properties":{}}`,
			"  properties.configuration-token-key\n    - \"[redacted]\"\n    + null\n",
		},
		"what a terminal would obey": {
			`{"tips":"a\u001b[2J\u202e"}`, `{"tips":"b"}`,
			"  tips\n    - \"a\\u001b[2J\\u202e\"\n    + \"b\"\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, changes, err := xdr.Push(doc(c.are), []byte(c.wanted))
			require.NoError(t, err)
			assert.Equal(t, c.shown, strings.Join(append(changes, ""), "\n"))
		})
	}
}

func TestListsAreReadToTheirEnd(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]xdrtest.Config{
		"pages as large as asked for": {},
		"smaller pages":               {PageSize: 7},
		"no pages":                    {NoOffset: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, client := start(t, config)
			count := 60
			for i := range count {
				server.AddType(map[string]any{"title": fmt.Sprint("Type ", i), "default_name": "x"})
			}
			all, err := client.ModuleTypes(t.Context())
			require.NoError(t, err)
			assert.Len(t, all, count, "without Cisco's own")
			last, err := client.FindModuleType(t.Context(), "", "Type 59")
			require.NoError(t, err)
			require.NotNil(t, last)
		})
	}
	server, client := start(t, xdrtest.Config{PageSize: 1})
	for range 60 {
		server.AddType(map[string]any{"title": "x", "default_name": "x"})
	}
	_, err := client.ModuleTypes(t.Context())
	require.EqualError(t, err, "cannot list the module types: there are more than 50 pages of them")
}

func TestAnAccessTokenThatExpiresIsReplaced(t *testing.T) {
	t.Parallel()
	server, client := start(t, xdrtest.Config{TokenLife: time.Second}) // oauth2 renews it ten seconds earlier
	server.AddType(map[string]any{"title": "x", "default_name": "x"})
	for range 2 {
		_, err := client.ModuleTypes(t.Context())
		require.NoError(t, err)
	}
	logins := strings.Count(strings.Join(server.TakeCalls(), "\n"), "/iroh/oauth2/token")
	assert.Equal(t, 4, logins, "one for each page of two lists")
}

// TestEachStatusSaysWhatToDo answers one call after the login with a status, and an update with the same.
func TestEachStatusSaysWhatToDo(t *testing.T) {
	t.Parallel()
	const maybe = `It may have been done all the same: before you try again, look with "relayctl module ` +
		`list" or "relayctl instance health"`
	for name, c := range map[string]struct {
		status       int
		header, body string
		read, change string // what an error says about it
	}{
		"bad request": {400, "", `{"error":"bad","error_description":"disallowed\n key"}`,
			`400 Bad Request {"error":"bad","error_description":"disallowed\n key"}. ` +
				"--dry-run", "--dry-run prints the request"},
		"unauthorized": {401, "", `{"error":"missing scopes"}`,
			`401 Unauthorized {"error":"missing scopes"}. The API client must`, `have the scope "integration"`},
		"forbidden": {403, "", "<html>no</html>",
			"403 Forbidden <html>no</html>. The API client must belong to an administrator", "Cisco's own"},
		"not found": {404, "", "", "404 Not Found", "404"},
		"conflict": {409, "", `{"message":"in use"}`,
			`409 Conflict {"message":"in use"}`, "in use"},
		"too many": {429, "120", "", "429 Too Many Requests. Your organisation has used up its calls of " +
			"this hour; Retry-After: 120", "120"},
		"too many, no time": {429, "", "",
			"429 Too Many Requests. Your organisation has used up its calls of this hour", "Retry-After: not said"},
		"redirect": {302, "", "", "302 Found", "302"},
		"failure": {500, "", "trace",
			"500 Internal Server Error trace", maybe},
		"unavailable": {503, "", "", "503 Service Unavailable", maybe},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, client := start(t, xdrtest.Config{Instead: func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/iroh/oauth2/token" {
					return false
				}
				w.Header().Set("Location", "https://elsewhere.example")
				w.Header().Set("Retry-After", c.header)
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
				return true
			}})
			_, err := client.ModuleTypes(t.Context())
			require.ErrorContains(t, err, "cannot list the module types: XDR answered "+c.read)
			change, _, err := xdr.Push(nil, render(t, byXDR))
			require.NoError(t, err)
			err = client.Send(t.Context(), change, nil)
			require.ErrorContains(t, err, "cannot create the module type: XDR answered")
			require.ErrorContains(t, err, c.change)
			for _, call := range server.TakeCalls() {
				assert.NotContains(t, call, "elsewhere")
			}
		})
	}
}

func TestALoginThatFails(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		400: "cannot log in to visibility.eu.amp.cisco.com: it answered 400 Bad Request. An API client is " +
			"refused where its id or its secret is wrong, or where it was made in another region",
		401: "it answered 401 Unauthorized",
		403: "it answered 403 Forbidden",
		200: "cannot log in to visibility.eu.amp.cisco.com: oauth2: server response missing access_token",
		302: "it answered 302 Found",
		429: "it answered 429 Too Many Requests",
		502: "it answered 502 Bad Gateway",
	} {
		_, client := start(t, xdrtest.Config{Instead: func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(`{"error_description":"` + xdrtest.ClientSecret + `"}`))
			return true
		}})
		_, err := client.ModuleTypes(t.Context())
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "canary")
	}
}

func TestAScopeThatIsMissing(t *testing.T) {
	t.Parallel()
	_, client := start(t, xdrtest.Config{ReadOnly: true})
	_, err := client.ModuleTypes(t.Context())
	require.NoError(t, err)
	change, _, err := xdr.Push(nil, render(t, byXDR))
	require.NoError(t, err)
	err = client.Send(t.Context(), change, nil)
	require.ErrorContains(t, err, "cannot create the module type: XDR answered 401 Unauthorized ")
	require.ErrorContains(t, err, "missing scopes: /iroh/iroh-int/module-type:write")
	require.ErrorContains(t, err, `must belong to an administrator and have the scope "integration"`)
}

// TestAConnectionThatBreaks leaves open whether a change was made, before the response and in the middle of
// it.
func TestAConnectionThatBreaks(t *testing.T) {
	t.Parallel()
	for _, begin := range []string{"", "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"} {
		_, client := start(t, xdrtest.Config{Instead: func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/iroh/oauth2/token" {
				return false
			}
			connection, _, err := http.NewResponseController(w).Hijack()
			if assert.NoError(t, err) {
				_, _ = connection.Write([]byte(begin))
				connection.Close()
			}
			return true
		}})
		change, _, err := xdr.Push(nil, render(t, byXDR))
		require.NoError(t, err)
		err = client.Send(t.Context(), change, &struct{}{})
		require.ErrorContains(t, err, "cannot create the module type: ")
		require.ErrorContains(t, err, "It may have been done all the same")
		_, err = client.ModuleTypes(t.Context())
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "It may have been done")
	}
}

func TestAnInterruptEndsACall(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	_, client := start(t, xdrtest.Config{Instead: func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/iroh/oauth2/token" {
			return false
		}
		interrupt()
		<-r.Context().Done()
		return true
	}})
	_, err := client.ModuleTypes(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestAResponseIsLimited(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		write func(w http.ResponseWriter)
		want  string
	}{
		"too large": {func(w http.ResponseWriter) {
			block := bytes.Repeat([]byte(" "), 1<<20)
			var err error
			blocks := 0
			for ; blocks < 256 && err == nil; blocks++ {
				_, err = w.Write(block)
			}
			assert.Less(t, blocks, 64, "nobody reads on")
		}, "not as its API promises: unexpected end of JSON input"},
		"not JSON": {func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>")) },
			"cannot list the module types: XDR answered 200 OK, but not as its API promises: " +
				"invalid character '<'"},
		"another form": {func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"types":[]}`)) },
			"not as its API promises: json: cannot"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, client := start(t, xdrtest.Config{Instead: func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/iroh/oauth2/token" {
					return false
				}
				c.write(w)
				return true
			}})
			_, err := client.ModuleTypes(t.Context())
			require.ErrorContains(t, err, c.want)
		})
	}
}

// TestNoSecretIsShown has an XDR that repeats what it is sent, in every kind of error: first everything, then the
// body, which nothing but the kind of request tells to be secret.
func TestNoSecretIsShown(t *testing.T) {
	t.Parallel()
	for i, status := range []int{200, 302, 400, 401, 403, 404, 409, 429, 500, 400, 409, 500} {
		login := true
		_, client := start(t, xdrtest.Config{Instead: func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/iroh/oauth2/token" && login {
				login = false
				return false
			}
			_, password, _ := r.BasicAuth()
			all := fmt.Sprint(password, r.Header, xdrtest.Password)
			if i > 8 {
				all = "disallowed value " + xdrtest.Password
				if r.URL.Path != "/iroh/iroh-int/module-instance" {
					return false
				}
			}
			answer, _ := json.Marshal(map[string]any{"error": all, "error_description": all, "message": all,
				"errors": []any{map[string]any{"type": "fatal", "code": all, "message": all}}})
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write(answer)
			return true
		}})
		password := secret.Value(xdrtest.Password)
		form := []any{map[string]any{"key": "custom_pass"}}
		add, err := xdr.ModuleType{"id": "x", "configuration_spec": form}.
			AddInstance("x", map[string]any{"custom_pass": password})
		require.NoError(t, err)

		var said bytes.Buffer
		_, err = client.ModuleTypes(t.Context())
		fmt.Fprintln(&said, err)
		fmt.Fprintln(&said, client.Send(t.Context(), add, nil))
		found, _, err := client.Health(t.Context(), xdr.Instance{ID: "x"}, password)
		fmt.Fprintln(&said, found, err)
		require.NoError(t, client.Show(&said, add))
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			fmt.Fprintf(&said, verb+verb, client, *client)
			fmt.Fprintf(&said, verb, add.Body)
		}
		assert.NotContains(t, said.String(), "canary", "%d", status)
		assert.Contains(t, said.String(), `"custom_pass": "[redacted]"`)
	}
}

func TestHealthIsWellOnlyWhereXDRSaysSo(t *testing.T) {
	t.Parallel()
	const ok = `"data":{"data":{"status":"ok"}}`
	for body, well := range map[string]bool{
		`{"data":{"module":"x","data":{"status":"ok"}}}`:                                       true,
		`{` + ok + `,"errors":[{"type":"warning","code":"module-timeout","message":"slow"}]}`:  true,
		`{` + ok + `,"errors":[{"type":"fatal","code":"authorization error","message":"no"}]}`: false,
		`{"data":{"data":{"status":"unknown"}}}`:                                               false,
		`{"data":{"data":{"status":"error"}}}`:                                                 false,
		`{"errors":[]}`:                                                                        false,
		`{}`:                                                                                   false,
	} {
		_, client := start(t, xdrtest.Config{Instead: func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/iroh/iroh-enrich/health/x" {
				return false
			}
			_, _ = w.Write([]byte(body))
			return true
		}})
		_, ok, err := client.Health(t.Context(), xdr.Instance{ID: "x"}, "")
		require.NoError(t, err)
		assert.Equal(t, well, ok, body)
	}
}

// TestAnIntegration adds one that works, after the form has refused a setting that it does not have. The
// module type cannot be deleted then.
func TestAnIntegration(t *testing.T) {
	t.Parallel()
	_, client := start(t, xdrtest.Config{})
	push(t, client, render(t, byXDR))
	stored, err := client.FindModuleType(t.Context(), "", "Qualys EDR")
	require.NoError(t, err)
	settings := map[string]any{
		"custom_user": xdrtest.User, "custom_pass": secret.Value(xdrtest.Password), "custom_API_URL": "https://x",
	}
	_, err = xdr.ModuleType{"title": "Other", "configuration_spec": []any{"odd", map[string]any{"key": "url"}}}.
		AddInstance("Mine", settings)
	require.ErrorContains(t, err, `the form of the module type "Other" has no custom_API_URL`)
	var added xdr.Instance
	request, err := stored.AddInstance("Mine", settings)
	require.NoError(t, err)
	require.NoError(t, client.Send(t.Context(), request, &added))
	uses, err := client.Instances(t.Context(), stored)
	require.NoError(t, err)
	assert.Equal(t, []xdr.Instance{{ID: added.ID, Name: "Mine", ModuleTypeID: stored.Text("id")}}, uses)
	found, ok, err := client.Health(t.Context(), added, "")
	require.NoError(t, err)
	assert.True(t, ok, found)
	assert.ErrorContains(t, client.Send(t.Context(), stored.Delete(), nil), "409 Conflict")
}

func TestWhichModuleType(t *testing.T) {
	t.Parallel()
	server, client := start(t, xdrtest.Config{})
	cisco := server.AddType(map[string]any{"title": "Qualys EDR", "visibility": "global"})
	_, err := client.FindModuleType(t.Context(), cisco, "")
	require.ErrorContains(t, err, `your organisation has no module type "`+cisco)
	for range 2 {
		server.AddType(map[string]any{"title": "Twin", "default_name": "Twin"})
	}
	_, err = client.FindModuleType(t.Context(), "", "Twin")
	require.ErrorContains(t, err, `2 module types have the title "Twin"; choose one with --id`)
}
