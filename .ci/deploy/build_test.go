package deploy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/cloudbuild/apiv1/v2/cloudbuildpb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"sigs.k8s.io/yaml"
)

// parseBuild reads a cloudbuild.yaml as strictly as Cloud Build's own schema: unknown or repeated fields,
// wrong case, unknown enum values and wrong types are errors. So is what the schema cannot see and Cloud
// Build refuses or, worse, takes: substitutions that are not declared or not used, environment that a
// script does not read, and a service account of one's own without a place for logs.
func parseBuild(root string, text []byte) (*cloudbuildpb.Build, error) {
	text, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, err
	}
	b := &cloudbuildpb.Build{}
	if err := protojson.Unmarshal(text, b); err != nil {
		return nil, err
	}
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	used := references(string(text))
	for _, name := range used {
		// The others that Cloud Build has (COMMIT_SHA, BRANCH_NAME) are empty when a build is submitted by
		// hand.
		if _, declared := b.Substitutions[name]; !declared && name != "PROJECT_ID" && name != "BUILD_ID" {
			bad("$%s is used and not declared", name)
		}
	}
	for name, value := range b.Substitutions {
		if !slices.Contains(used, name) {
			bad("%s is declared and not used", name)
		}
		if len(references(value)) > 0 && !b.GetOptions().GetDynamicSubstitutions() {
			bad("%s uses another substitution, which needs dynamicSubstitutions", name)
		}
	}
	var ids []string
	for _, s := range b.Steps {
		if slices.Contains(ids, s.Id) || s.Id == "" || s.Name == "" {
			bad("step %q: an id of its own and an image are needed", s.Id)
		}
		ids = append(ids, s.Id)
		if s.Entrypoint != "bash" {
			continue
		}
		script, err := os.ReadFile(filepath.Join(root, s.Args[0]))
		untag, err2 := os.ReadFile(filepath.Join(root, ".ci/build/untag.sh")) // which the others call
		problems = append(problems, err, err2)
		for _, e := range s.Env {
			if name, _, _ := strings.Cut(e, "="); !slices.Contains(references(string(script)+string(untag)), name) {
				bad("%s does not read %s", s.Args[0], name)
			}
		}
	}
	if b.ServiceAccount != "" && b.GetOptions().GetLogging() != cloudbuildpb.BuildOptions_CLOUD_LOGGING_ONLY {
		bad("serviceAccount needs options.logging")
	}
	return b, errors.Join(problems...)
}

var reference = regexp.MustCompile(`\$\{?(\w+)\}?`)

func references(s string) (names []string) {
	for _, m := range reference.FindAllStringSubmatch(s, -1) {
		names = append(names, m[1])
	}
	return names
}

func TestTheBuildIsOne(t *testing.T) {
	text, err := os.ReadFile("../../cloudbuild.yaml")
	require.NoError(t, err)
	_, err = parseBuild("../..", text)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "GOOGLE_RUNTIME_VERSION", "a pinned version stops building one day")
	for name, change := range map[string][2]string{
		"a field in the wrong case":              {"entrypoint: pack", "entryPoint: pack"},
		"a duration in minutes":                  {"timeout: 1800s", "timeout: 30m"},
		"an unknown enum value":                  {"CLOUD_LOGGING_ONLY", "CLOUD_ONLY"},
		"a repeated field":                       {"timeout: 1800s", "timeout: 1800s\ntimeout: 60s"},
		"a substitution that is not declared":    {"--builder=${_BUILDER}", "--builder=${_BUILDERS}"},
		"a built-in that is empty by hand":       {"BUILD=${BUILD_ID}", "BUILD=${SHORT_SHA}"},
		"a substitution that is not used":        {"_MIN: '0'", "_MIN: '0'\n  _MAX: '1'"},
		"substitutions in each other":            {"  dynamicSubstitutions: true\n", ""},
		"a repeated id":                          {"id: smoke", "id: deploy"},
		"a script that is not there":             {"build/shift.sh", "build/shifts.sh"},
		"an environment that no script reads":    {"- MIN=${_MIN}", "- MINIMUM=${_MIN}"},
		"an account of its own without its logs": {"CLOUD_LOGGING_ONLY", "LEGACY"},
	} {
		require.Contains(t, string(text), change[0], name)
		_, err := parseBuild("../..", []byte(strings.Replace(string(text), change[0], change[1], 1)))
		assert.Error(t, err, name)
	}
}
