package deploy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAFailedBuildLeavesTheTrafficAndNoTag(t *testing.T) {
	s := newStage(t)
	setup := blocks(t)[:3]
	out, _, err := s.bash(t, strings.Join(setup, "\n"), "SMOKE=before")
	require.NoError(t, err, out)
	traffic := func() string {
		text, err := os.ReadFile(filepath.Join(s.cloud, "services/relay/traffic"))
		require.NoError(t, err)
		return string(text)
	}
	before := traffic()
	submit := func(substitutions string, env ...string) (string, []string, error) {
		command := strings.NewReplacer("$PROJECT", "my-project", "$REGION", "us-central1", ",_ENV=$RELAY_ENV", substitutions).Replace(setup[2])
		return s.bash(t, command, env...)
	}
	for name, c := range map[string]struct{ substitutions, fail, want string }{
		"services that cannot be listed":  {"", "run services list", "step deploy"},
		"a deployment that fails":         {"", "run deploy", "step deploy"},
		"the second deployment fails":     {",_FUNCTIONS=relay:relay relay-version:version", "run deploy relay-version", "step deploy"},
		"a tag without a URL":             {"", "run services describe", "step deploy"},
		"a function that is none":         {",_FUNCTIONS=relay:observe", "", "no function 'observe'"},
		"a configuration that is wrong":   {",_ENV=API_URL=http://gateway.example", "", "API_URL"},
		"a secret that is not there":      {",_KEY_FROM=file", "", "secrets relay-key"},
		"a way to the key that is none":   {",_KEY_FROM=env", "", "_KEY_FROM is none, file or api"},
		"a memory without a unit":         {",_MEMORY=512", "", "_MEMORY is a whole number"},
		"a revision that answers wrongly": {",_FUNCTIONS=relay:version", "", "step smoke"},
		"traffic that cannot be shifted":  {"", "run services update-traffic relay --region=us-central1 --to-revisions", "step shift"},
	} {
		out, calls, err := submit(c.substitutions, "FAIL="+c.fail)
		require.Error(t, err, name)
		assert.Contains(t, out, c.want, name)
		assert.Equal(t, before, traffic(), name)
		tags, err := os.ReadDir(filepath.Join(s.cloud, "services/relay/tags"))
		require.NoError(t, err)
		assert.Empty(t, tags, name)
		if c.fail == "run services list" {
			assert.NotContains(t, strings.Join(calls, "\n"), "run deploy", "a service that may exist must not be deployed as a new one")
		}
	}
	for substitutions, want := range map[string]string{
		",_KEY_FROM=api,_MEMORY=1Gi": `|GOMEMLIMIT=800MiB|SECRET_KEY_SECRET=projects/my-project/secrets/relay-key/versions/latest|LOG_LEVEL=info --clear-secrets`,
		",_ENV=":                     `FUNCTION_TARGET=relay|GOOGLE_CLOUD_PROJECT=my-project|GOMEMLIMIT=400MiB --clear-secrets`,
		",_FUNCTIONS=relayer:relay other:version": `run deploy relayer --image`, // not held back as an update of relay would be
	} {
		out, calls, err := submit(substitutions)
		require.NoError(t, err, out)
		assert.Contains(t, strings.ReplaceAll(strings.Join(calls, "\n"), `\`, ""), want)
	}
}

func TestTheSmokeTestRefusesWhatIsNoRelay(t *testing.T) {
	s := newStage(t)
	smoke := func(candidates string) (string, []string, error) {
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, "candidates"), []byte(candidates), 0o600))
		return s.bash(t, "bash .ci/build/smoke.sh", "BUILD=0a1b2c3d-build", "REGION=us-central1", "PROJECT=my-project")
	}
	const (
		html    = "text/html; charset=UTF-8"
		plain   = "application/json"
		observe = "/observe/observables"
	)
	type answer struct {
		path        string // empty: every path
		status      int
		contentType string
		body        string
	}
	var wrong answer
	first := true
	relay := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := answer{r.URL.Path, 200, plain, map[string]string{
			"/version": `{"version":"1.0.0"}`, "/watchdog": fmt.Sprintf(`{"data":%q}`, r.Header.Get("Health-Check")),
			observe: `{"errors":[{"code":"authorization error","message":"Authorization failed: no","type":"fatal"}]}`,
		}[r.URL.Path]}
		if wrong.path == "" || wrong.path == r.URL.Path {
			a = wrong
		}
		if a.status == 0 || first {
			first = false
			panic(http.ErrAbortHandler) // the first answer of each relay breaks off, and is forgiven
		}
		if a.status == 401 && a.path == "" && r.Header.Get("Authorization") == "" {
			a = answer{"", 200, plain, `{}`}
		}
		w.Header().Set("Content-Type", a.contentType)
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	}))
	defer relay.Close()
	one := "relay relay relay-b0a1b2c3d " + relay.URL + "\n"
	for name, c := range map[string]struct {
		answer
		want string
	}{
		"Google's page for a service that IAM guards": {answer{"", 403, html, "<html>Forbidden</html>"}, "POST /version: 403 text/html; charset=UTF-8: <html>"},
		"a page with status 200":                      {answer{"/version", 200, html, "<html>Welcome</html>"}, "POST /version: 200 text/html"},
		"the right words as another type":             {answer{"/version", 200, "text/plain", `{"version":"1.0.0"}`}, "POST /version: 200 text/plain"},
		"a version that is none":                      {answer{"/version", 200, plain, `{"version":"unknown"}`}, "POST /version: 200"},
		"a version among other things":                {answer{"/version", 200, plain, `{"data":{"version":"1.0.0"}}`}, "POST /version: 200"},
		"no watchdog":                                 {answer{"/watchdog", 404, plain, `{"code":"not found"}`}, "GET /watchdog: 404"},
		"a watchdog that does not echo":               {answer{"/watchdog", 200, plain, `{"data":"Invalid Health Check"}`}, "GET /watchdog: 200"},
		"a refusal by status":                         {answer{observe, 401, plain, `{"errors":[{"code":"authorization error","message":"Authorization failed: no"}]}`}, "POST /observe/observables: 401"},
		"another relay's refusal":                     {answer{observe, 200, plain, `{"errors":[{"code":"authorization error","message":"Go away"}]}`}, "POST /observe/observables: 200"},
		"data for somebody without a token":           {answer{observe, 200, plain, `{"data":{}}`}, "POST /observe/observables: 200"},
		"the right refusal, but behind another":       {answer{observe, 200, plain, `{"errors":[{"code":"unknown","message":"x"},{"code":"authorization error","message":"Authorization failed: no"}]}`}, "POST /observe/observables: 200"},
		"a redirect":                                  {answer{"/version", 302, html, ""}, "POST /version: 302"},
		"a connection that breaks":                    {answer{"/version", 0, "", ""}, "POST /version: no answer"},
	} {
		wrong, first = c.answer, true
		out, calls, err := smoke(one)
		require.Error(t, err, name)
		assert.Contains(t, out, "FAILED: relay "+c.want, name)
		assert.Contains(t, strings.Join(calls, "\n"), "update-traffic relay --region=us-central1 --remove-tags=b0a1b2c3d", name)
	}
	wrong, first = answer{path: "/nowhere"}, true
	out, _, err := smoke(one)
	require.NoError(t, err, out)
	out, _, err = smoke(one + "relay-version version relay-version-b0a1b2c3d " + relay.URL + "\n")
	require.Error(t, err, "the fake answers only at its paths")
	assert.Contains(t, out, "FAILED: relay-version POST /: 200")
	out, _, err = smoke("")
	require.Error(t, err)
	assert.Contains(t, out, "nothing was deployed")
}

func TestTheAlertForRefusedKeysMatchesTheLog(t *testing.T) {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	filter := regexp.MustCompile(`error_codes="([^"]+)" AND jsonPayload.causes=~"([^"]+)"`).FindSubmatch(text)
	require.NotNil(t, filter)
	url, output := serve(t, built(t), "relay")
	for token, want := range map[string]bool{
		"eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyIjoiYSIsInBhc3MiOiJiIn0.c21va2U": true, // signed with another key
		"nonsense": false,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/health", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		var causes [][]string
		for ; causes == nil; require.NoError(t, t.Context().Err()) { // the line may come after the answer
			log, err := os.ReadFile(output)
			require.NoError(t, err)
			causes = regexp.MustCompile(`"error_codes":\["`+string(filter[1])+`"\],"causes":\["([^"]+)"`).FindAllStringSubmatch(string(log), -1)
		}
		require.NoError(t, os.Truncate(output, 0))
		assert.Equal(t, want, regexp.MustCompile(string(filter[2])).MatchString(causes[0][1]), causes[0][1])
	}
}
