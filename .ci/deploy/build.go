package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"cloud.google.com/go/cloudbuild/apiv1/v2/cloudbuildpb"
	"google.golang.org/protobuf/encoding/protojson"
	"mvdan.cc/sh/v3/syntax"
	"sigs.k8s.io/yaml"
)

// Build is a parsed cloudbuild.yaml.
type Build struct {
	*cloudbuildpb.Build
	tree map[string]any // the same as generic JSON: substitutions may stand in any string
}

// ParseBuild reads a cloudbuild.yaml as strictly as Cloud Build's own schema does: unknown or repeated fields, wrong case,
// unknown enum values and wrong types are errors.
func ParseBuild(text []byte) (*Build, error) {
	text, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, fmt.Errorf("cloudbuild.yaml: %w", err)
	}
	b := &Build{Build: &cloudbuildpb.Build{}}
	if err := protojson.Unmarshal(text, b.Build); err != nil {
		return nil, fmt.Errorf("cloudbuild.yaml: %w", err)
	}
	if err := json.Unmarshal(text, &b.tree); err != nil {
		return nil, fmt.Errorf("cloudbuild.yaml: %w", err)
	}
	return b, nil
}

// Check finds what the schema cannot: references that lead nowhere and combinations that Cloud Build refuses.
func (b *Build) Check(functions []string) []error {
	var problems []error
	bad := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("cloudbuild.yaml: "+format, args...))
	}
	b.checkSubstitutions(bad)
	b.checkSteps(bad)
	b.checkSecrets(bad)
	b.checkAccount(bad)
	b.checkSmoke(functions, bad)
	return problems
}

type report func(format string, args ...any)

// Built-in substitutions that are set in every build. The others (COMMIT_SHA, SHORT_SHA, BRANCH_NAME ...) are empty when a
// build is submitted by hand.
var always = regexp.MustCompile(`^(PROJECT_ID|PROJECT_NUMBER|BUILD_ID|LOCATION|SERVICE_ACCOUNT|SERVICE_ACCOUNT_EMAIL)$`)

var (
	userName  = regexp.MustCompile(`^_[A-Z0-9_]+$`)
	reference = regexp.MustCompile(`\$\$|\$([A-Za-z_][A-Za-z0-9_]*)|\$\{([A-Za-z_][A-Za-z0-9_]*)([^}]*)\}`)
)

// references returns the substitutions that a string uses; "$$" is a literal dollar.
func references(s string) []string {
	var names []string
	for _, m := range reference.FindAllStringSubmatch(s, -1) {
		if name := m[1] + m[2]; name != "" {
			names = append(names, name)
		}
	}
	return names
}

func (b *Build) checkSubstitutions(bad report) {
	used := map[string]bool{}
	use := func(where, s string) {
		for _, name := range references(s) {
			used[name] = true
			switch {
			case strings.HasPrefix(name, "_"):
				if _, ok := b.Substitutions[name]; !ok {
					bad("%s uses $%s, which substitutions does not declare", where, name)
				}
			case !always.MatchString(name):
				bad("%s uses $%s, which is unknown, or empty in a build that is submitted by hand", where, name)
			}
		}
	}
	for name, value := range ordered(b.tree) {
		switch name {
		case "steps", "substitutions":
		default:
			visitStrings(name, value, use)
		}
	}
	steps, _ := b.tree["steps"].([]any)
	for i, step := range b.Steps {
		fields, _ := steps[i].(map[string]any)
		for name, value := range ordered(fields) {
			if name != "script" { // Cloud Build leaves scripts alone
				visitStrings(stepName(i, step)+"."+name, value, use)
			}
		}
		mapped := b.GetOptions().GetAutomapSubstitutions()
		if step.AutomapSubstitutions != nil {
			mapped = step.GetAutomapSubstitutions()
		}
		for _, name := range scriptVariables(step.Script) {
			if _, declared := b.Substitutions[name]; !declared {
				continue // a variable of the script's own
			}
			if mapped {
				used[name] = true
			} else if !setsEnv(step, name) {
				bad("the script of %s reads $%s: Cloud Build does not substitute in scripts, pass it in env", stepName(i, step), name)
			}
		}
	}
	for name, value := range ordered(b.Substitutions) {
		if !userName.MatchString(name) {
			bad("substitution %s: a name is an underscore and capitals, digits or underscores", name)
			used[name] = true // once is enough
		}
		use("substitution "+name, value)
		if len(references(value)) > 0 && !b.GetOptions().GetDynamicSubstitutions() {
			bad("substitution %s uses another one, which needs options.dynamicSubstitutions", name)
		}
		if _, err := b.expand("${"+name+"}", nil); err != nil {
			bad("substitution %s: %v", name, err)
		}
	}
	for name := range ordered(b.Substitutions) {
		if !used[name] {
			bad("substitution %s is declared and never used, which Cloud Build refuses", name)
		}
	}
}

// expand puts substitutions into s as Cloud Build does: values override the declared defaults.
func (b *Build) expand(s string, values map[string]string) (string, error) {
	return b.expandWithin(s, values, nil)
}

func (b *Build) expandWithin(s string, values map[string]string, open []string) (string, error) {
	var errs []error
	s = reference.ReplaceAllStringFunc(s, func(match string) string {
		if match == "$$" {
			return "$"
		}
		m := reference.FindStringSubmatch(match)
		name := m[1] + m[2]
		if m[3] != "" {
			errs = append(errs, fmt.Errorf("%s: operations within a substitution are not understood here", match))
			return match
		}
		if slices.Contains(open, name) {
			errs = append(errs, fmt.Errorf("$%s is defined by itself", name))
			return match
		}
		value, ok := values[name]
		if !ok {
			value, ok = b.Substitutions[name]
		}
		if !ok {
			value = strings.ToLower(strings.ReplaceAll(name, "_", "-")) // a stand-in for a built-in
		}
		value, err := b.expandWithin(value, values, append(slices.Clip(open), name))
		errs = append(errs, err)
		return value
	})
	return s, errors.Join(errs...)
}

func (b *Build) checkSteps(bad report) {
	seen := map[string]bool{"-": true}
	for i, step := range b.Steps {
		where := stepName(i, step)
		if step.Name == "" {
			bad("%s has no image (name)", where)
		}
		for _, id := range step.WaitFor {
			if !seen[id] {
				bad("%s waits for %q, which is not an earlier step", where, id)
			}
		}
		if step.Id != "" && seen[step.Id] {
			bad("%s: the id is used twice", where)
		}
		seen[step.Id] = true
		if step.Script == "" {
			continue
		}
		if step.Entrypoint != "" || len(step.Args) > 0 {
			bad("%s has a script and also an entrypoint or args", where)
		}
		if !strings.HasPrefix(step.Script, "#!/usr/bin/env bash\n") {
			bad("%s: the script does not begin with #!/usr/bin/env bash, so it would run under sh", where)
		}
		if !strings.Contains("\n"+step.Script, "\nset -euo pipefail\n") {
			bad("%s: the script does not set -euo pipefail, so a failed command would not fail the build", where)
		}
		if _, err := parseScript(where, step.Script); err != nil {
			bad("%v", err)
		}
	}
}

func (b *Build) checkSecrets(bad report) {
	available := map[string]bool{}
	for _, s := range b.GetAvailableSecrets().GetSecretManager() {
		available[s.Env] = false
	}
	for _, s := range b.GetAvailableSecrets().GetInline() {
		for env := range s.EnvMap {
			available[env] = false
		}
	}
	for i, step := range b.Steps {
		for _, env := range step.SecretEnv {
			if _, ok := available[env]; !ok {
				bad("%s: secretEnv %s is not in availableSecrets", stepName(i, step), env)
				continue
			}
			available[env] = true
		}
	}
	for env, used := range ordered(available) {
		if !used {
			bad("availableSecrets: no step asks for %s", env)
		}
	}
}

var accountName = regexp.MustCompile(`^projects/[^/]+/serviceAccounts/[^/]+$`)

func (b *Build) checkAccount(bad report) {
	if b.ServiceAccount == "" {
		return
	}
	if !accountName.MatchString(b.ServiceAccount) {
		bad("serviceAccount %q is not of the form projects/PROJECT/serviceAccounts/ADDRESS", b.ServiceAccount)
	}
	o := b.GetOptions()
	switch {
	case b.LogsBucket != "":
	case o.GetLogging() == cloudbuildpb.BuildOptions_CLOUD_LOGGING_ONLY, o.GetLogging() == cloudbuildpb.BuildOptions_NONE:
	case o.GetDefaultLogsBucketBehavior() == cloudbuildpb.BuildOptions_REGIONAL_USER_OWNED_BUCKET:
	default:
		bad("serviceAccount needs logsBucket, options.logging CLOUD_LOGGING_ONLY or NONE, or options.defaultLogsBucketBehavior")
	}
}

// checkSmoke holds the cases of a "case $target in" in a script against the registered functions: a function without a case
// could not be deployed on its own.
func (b *Build) checkSmoke(functions []string, bad report) {
	for i, step := range b.Steps {
		file, err := parseScript(stepName(i, step), step.Script)
		if err != nil {
			continue // checkSteps has said it
		}
		syntax.Walk(file, func(node syntax.Node) bool {
			clause, ok := node.(*syntax.CaseClause)
			if !ok || wordText(clause.Word) != "$target" {
				return true
			}
			var cases []string
			for _, item := range clause.Items {
				for _, pattern := range item.Patterns {
					cases = append(cases, pattern.Lit())
				}
			}
			for _, name := range functions {
				if !slices.Contains(cases, name) {
					bad("%s has no case for the function %s", stepName(i, step), name)
				}
			}
			for _, name := range cases {
				if name != "*" && !slices.Contains(functions, name) {
					bad("%s has a case for %q, which is not a registered function", stepName(i, step), name)
				}
			}
			return true
		})
	}
}

func stepName(i int, step *cloudbuildpb.BuildStep) string {
	if step.Id != "" {
		return "step " + step.Id
	}
	return fmt.Sprintf("step %d", i+1)
}

func setsEnv(step *cloudbuildpb.BuildStep, name string) bool {
	return slices.ContainsFunc(step.Env, func(e string) bool { return strings.HasPrefix(e, name+"=") })
}

// visitStrings calls f for each string below value with its place.
func visitStrings(where string, value any, f func(where, s string)) {
	switch v := value.(type) {
	case string:
		f(where, v)
	case []any:
		for i, e := range v {
			visitStrings(fmt.Sprintf("%s[%d]", where, i), e, f)
		}
	case map[string]any:
		for name, e := range ordered(v) {
			visitStrings(where+"."+name, e, f)
		}
	}
}

// ordered ranges over a map by its keys' order, so that mistakes are always listed the same way.
func ordered[V any](m map[string]V) func(yield func(string, V) bool) {
	return func(yield func(string, V) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(key, m[key]) {
				return
			}
		}
	}
}
