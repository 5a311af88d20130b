package relay

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The packages and what each may import. A package that is not listed may import any.
func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	const module = "qualysrelay.example"
	packages := map[string]struct {
		ours   []string // packages of this module that it may import
		others []string // modules beside the standard library; nil: any
	}{
		"/ctim": {nil, []string{"github.com/google/uuid", "github.com/goccy/go-json", "golang.org/x/"}},
		"/qualys": {nil, []string{
			"github.com/go-json-experiment/json", "github.com/hashicorp/golang-lru/v2", "golang.org/x/",
		}},
		"/qualys/qualystest": {[]string{"/qualys"}, []string{"golang.org/x/"}},
		"/relay/auth":        {nil, nil},
		"/relay/search":      {[]string{"/qualys", "/ctim"}, nil},
		"/relay/accesslog":   {nil, nil},
		"/relay/telemetry":   {[]string{"/qualys"}, nil},
		"/relay/mapping":     {[]string{"/qualys", "/ctim"}, []string{}},
		"/relay": {[]string{
			"/relay/auth", "/relay/search", "/relay/mapping", "/relay/accesslog", "/relay/telemetry", "/qualys", "/ctim",
		}, nil},
		"": {[]string{"/relay", "/relay/accesslog"}, []string{"github.com/GoogleCloudPlatform/functions-framework-go"}},
	}
	for name, may := range packages {
		t.Run("package"+name, func(t *testing.T) {
			t.Parallel()
			for _, imported := range imports(t, module+name) {
				inside, isOurs := strings.CutPrefix(imported, module)
				switch {
				case isOurs:
					assert.Contains(t, may.ours, inside, "%s imports %s", module+name, imported)
				case strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") && may.others != nil:
					allowed := false
					for _, other := range may.others {
						allowed = allowed || strings.HasPrefix(imported, other)
					}
					assert.True(t, allowed, "%s imports %s", module+name, imported)
				}
			}
		})
	}
	t.Run("relayctl does not start the service", func(t *testing.T) {
		t.Parallel()
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", module+"/cmd/relayctl").Output()
		require.NoError(t, err)
		assert.NotContains(t, strings.Fields(string(out)), module)
	})
}

func imports(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{join .Imports "\n"}}`, pkg).Output()
	require.NoError(t, err, "go list %s", pkg)
	return strings.Fields(string(out))
}
