package deploy

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAFailedBuildLeavesTheTrafficAndNoTag(t *testing.T) {
	s := newStage(t)
	setup := blocks(t)[:3]
	out, _, err := s.bash(t, strings.Join(setup, "\n"))
	require.NoError(t, err, out)
	relay := s.tools + "/cloud/services/relay"
	traffic := func() string { return run(t, relay, "grep", "-r", "", "traffic", "tags") }
	before := traffic()
	submit := func(substitutions string, env ...string) (string, []string, error) {
		command := strings.Replace(setup[2], ",_ENV=$RELAY_ENV", substitutions, 1)
		return s.bash(t, "PROJECT=my-project REGION=us-central1\n"+command, env...)
	}
	for name, c := range map[string]struct{ substitutions, fail, want string }{
		"services that cannot be listed":  {"", "run services list", "step deploy"},
		"a deployment that fails":         {"", "run deploy", "step deploy"},
		"the second deployment fails":     {",_FUNCTIONS=relay:relay other:version", "run deploy other", "step deploy"},
		"a tag without a URL":             {"", "run services describe", "step deploy"},
		"a function that is none":         {",_FUNCTIONS=relay:observe", "", "no function 'observe'"},
		"a configuration that is wrong":   {",_ENV=API_URL=http://gateway.example", "", "API_URL"},
		"a secret that is not there":      {",_KEY_FROM=file", "", "secrets relay-key"},
		"a way to the key that is none":   {",_KEY_FROM=env", "", "_KEY_FROM is none, file or api"},
		"a memory without a unit":         {",_MEMORY=512", "", "_MEMORY is a whole number"},
		"a revision that answers wrongly": {"", "curl", "step smoke"},
		"traffic that cannot be shifted":  {"", "run services update-traffic relay --region=us-central1 --to", "step shift"},
	} {
		out, calls, err := submit(c.substitutions, "FAIL="+c.fail)
		require.Error(t, err, name)
		assert.Contains(t, out, c.want, name)
		assert.Equal(t, before, traffic(), name)
		if c.fail == "run services list" {
			assert.NotContains(t, strings.Join(calls, "\n"), "run deploy", "the service may be there, and have traffic")
		}
	}
	for substitutions, want := range map[string]string{
		",_KEY_FROM=api":                          "|SECRET_KEY_SECRET=projects/my-project/secrets/relay-key/versions/latest|LOG_LEVEL=info --clear",
		",_MEMORY=1Gi,_ENV=":                      "|GOOGLE_CLOUD_PROJECT=my-project|GOMEMLIMIT=800MiB --clear-secrets",
		",_FUNCTIONS=relayer:relay other:version": "run deploy relayer --image", // new, though relay is there
	} {
		out, calls, err := submit(substitutions)
		require.NoError(t, err, out)
		assert.Contains(t, strings.ReplaceAll(strings.Join(calls, "\n"), `\`, ""), want)
	}
}
