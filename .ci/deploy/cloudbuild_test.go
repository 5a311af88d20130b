package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// project reads the cloudbuild.yaml of this repository.
func project(t *testing.T) *Build {
	t.Helper()
	text, err := os.ReadFile("../../cloudbuild.yaml")
	require.NoError(t, err)
	build, err := ParseBuild(text)
	require.NoError(t, err)
	return build
}

// rehearse returns the commands that change something, in order.
func rehearse(t *testing.T, s Scenario) ([]Command, error) {
	t.Helper()
	commands, err := project(t).Rehearse(t.Context(), s)
	return slices.DeleteFunc(commands, func(c Command) bool {
		return c.Has("run", "services", "list") || c.Has("run", "services", "describe")
	}), err
}

// value is what a flag of a command says; the command must have it.
func value(t *testing.T, c Command, name string) string {
	t.Helper()
	v, ok := c.Flag(name)
	require.True(t, ok, "%s has no --%s", c, name)
	return v
}

func TestTheBuildHasNoMistakes(t *testing.T) {
	commands, problems := Project{Functions: functions()}.checkBuild(t.Context(), "../../cloudbuild.yaml")
	require.Empty(t, problems)
	require.NotEmpty(t, commands)

	t.Run("gcloud takes each of its commands", func(t *testing.T) {
		problems, err := gcloud(t).Lint(t.Context(), commands)
		require.NoError(t, err)
		require.Empty(t, problems)
	})
}

func TestTheStepsRunInOrder(t *testing.T) {
	var ids []string
	for i, step := range project(t).Steps {
		if i > 0 {
			assert.Equal(t, []string{ids[i-1]}, step.WaitFor, step.Id)
		}
		assert.False(t, step.AllowFailure, step.Id)
		assert.Empty(t, step.AllowExitCodes, step.Id)
		ids = append(ids, step.Id)
	}
	assert.Equal(t, []string{"test", "build", "push", "deploy", "smoke", "shift"}, ids)
}

func TestAnUpdateDeploysTheBuiltImageWithoutTrafficAndThenShiftsToThatRevision(t *testing.T) {
	commands, err := rehearse(t, Scenario{})
	require.NoError(t, err)
	require.Len(t, commands, 2)
	deploy, shift := commands[0], commands[1]

	require.True(t, deploy.Has("run", "deploy", "relay"), deploy)
	for _, plain := range []string{"no-traffic", "no-invoker-iam-check", "quiet"} {
		assert.Empty(t, value(t, deploy, plain), plain)
	}
	assert.Equal(t, "candidate", value(t, deploy, "tag"))
	assert.Equal(t, "relay-run@project-id.iam.gserviceaccount.com", value(t, deploy, "service-account"))
	assert.Equal(t, "^|^FUNCTION_TARGET=relay|GOOGLE_CLOUD_PROJECT=project-id|SECRET_KEY_FILE=/secrets/relay/key|LOG_LEVEL=info", value(t, deploy, "set-env-vars"))
	assert.Equal(t, "/secrets/relay/key=relay-key:latest", value(t, deploy, "set-secrets"))

	build := project(t)
	image := value(t, deploy, "image")
	assert.Equal(t, "us-central1-docker.pkg.dev/project-id/relay/relay:build-id", image)
	for _, arg := range []string{build.Steps[1].Args[1], build.Steps[2].Args[1], build.Images[0]} {
		same, err := build.expand(arg, nil)
		require.NoError(t, err)
		assert.Equal(t, image, same, "built, pushed and deployed is one image")
	}

	require.True(t, shift.Has("run", "services", "update-traffic", "relay"), shift)
	assert.Equal(t, "relay-"+value(t, deploy, "revision-suffix")+"=100", value(t, shift, "to-revisions"))
}

func TestTheFirstDeploymentGoesWithoutTheFlagThatGcloudRefuses(t *testing.T) {
	commands, err := rehearse(t, Scenario{New: true})
	require.NoError(t, err)
	_, held := commands[0].Flag("no-traffic")
	assert.False(t, held)
}

func TestTheKeyCanBeReadThroughTheAPI(t *testing.T) {
	commands, err := rehearse(t, Scenario{Substitutions: map[string]string{"_KEY_FROM": "api"}})
	require.NoError(t, err)
	assert.Contains(t, value(t, commands[0], "set-env-vars"), "|SECRET_KEY_SECRET=projects/project-id/secrets/relay-key/versions/latest|")
	assert.Empty(t, value(t, commands[0], "clear-secrets"))
}

func TestARelayWithoutAKeyOfItsOwnMountsNoSecret(t *testing.T) {
	commands, err := rehearse(t, Scenario{Substitutions: map[string]string{"_KEY_FROM": "none"}})
	require.NoError(t, err)
	assert.NotContains(t, value(t, commands[0], "set-env-vars"), "SECRET_KEY")
	assert.Empty(t, value(t, commands[0], "clear-secrets"))
}

func TestFurtherVariablesMayHoldCommasOrBeEmpty(t *testing.T) {
	for extra, want := range map[string]string{
		"": "^|^FUNCTION_TARGET=relay|GOOGLE_CLOUD_PROJECT=project-id|SECRET_KEY_FILE=/secrets/relay/key",
		"API_HOSTS=a.example,b.example|LOG_LEVEL=debug": "^|^FUNCTION_TARGET=relay|GOOGLE_CLOUD_PROJECT=project-id|SECRET_KEY_FILE=/secrets/relay/key|API_HOSTS=a.example,b.example|LOG_LEVEL=debug",
	} {
		commands, err := rehearse(t, Scenario{Substitutions: map[string]string{"_ENV": extra}})
		require.NoError(t, err)
		assert.Equal(t, want, value(t, commands[0], "set-env-vars"))
	}
}

func TestTheSameImageServesEachFunctionOnItsOwn(t *testing.T) {
	var pairs, services []string
	for _, name := range functions() {
		service := "relay-" + strings.ToLower(name)
		services, pairs = append(services, service), append(pairs, service+":"+name)
	}
	commands, err := rehearse(t, Scenario{Substitutions: map[string]string{"_FUNCTIONS": strings.Join(pairs, " ")}})
	require.NoError(t, err)
	require.Len(t, commands, 2*len(services))
	for i, name := range functions() {
		deploy, shift := commands[i], commands[len(services)+i]
		assert.True(t, deploy.Has("run", "deploy", services[i]), "every service is deployed before any traffic shifts: %s", deploy)
		assert.Contains(t, value(t, deploy, "set-env-vars"), "FUNCTION_TARGET="+name+"|")
		assert.Equal(t, value(t, commands[0], "image"), value(t, deploy, "image"))
		assert.True(t, shift.Has("run", "services", "update-traffic", services[i]), shift)
	}
}

func TestAFailureEndsTheBuildBeforeAnyTrafficShifts(t *testing.T) {
	for name, s := range map[string]Scenario{
		"the list of services cannot be read": {Fail: []string{"run", "services", "list"}},
		"the deployment fails":                {Fail: []string{"run", "deploy"}},
		"the second deployment fails": {
			Substitutions: map[string]string{"_FUNCTIONS": "relay:relay relay-version:version"},
			Fail:          []string{"run", "deploy", "relay-version"},
		},
		"the tag's URL cannot be read":            {Fail: []string{"run", "services", "describe"}},
		"another build has taken the tag":         {TagLost: true},
		"the way to the key is none that we know": {Substitutions: map[string]string{"_KEY_FROM": "env"}},
	} {
		t.Run(name, func(t *testing.T) {
			commands, err := rehearse(t, s)
			require.ErrorIs(t, err, ErrStep)
			assert.False(t, slices.ContainsFunc(commands, func(c Command) bool { return c.Has("run", "services", "update-traffic") }))
			if s.Fail != nil && s.Fail[len(s.Fail)-1] == "list" {
				assert.Empty(t, commands, "a service that may exist must not be deployed as a new one, with traffic")
			}
		})
	}
}

func TestAFailedShiftFailsTheBuild(t *testing.T) {
	_, err := rehearse(t, Scenario{Fail: []string{"run", "services", "update-traffic"}})
	require.ErrorIs(t, err, ErrStep)
}
