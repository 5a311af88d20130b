package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The functions of this project. The test of cmd/relay runs the same checks with the names that the relay really registers.
func functions() []string {
	return []string{"health", "observeObservables", "deliberateObservables", "referObservables", "version", "watchdog", "relay"}
}

// broken calls f with each file of a folder of testdata and the message that its first line wants; an empty message means
// that nothing is wrong.
func broken(t *testing.T, pattern string, f func(t *testing.T, path, want string)) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", pattern))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	first := regexp.MustCompile(`^(?:# want: (.*)|<!-- want: (.*) -->)\n`)
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), func(t *testing.T) {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			m := first.FindStringSubmatch(string(text))
			require.NotNil(t, m, "the first line tells what is wanted")
			f(t, path, m[1]+m[2])
		})
	}
}

// requireOnly holds that exactly one mistake was found, the wanted one, or none.
func requireOnly(t *testing.T, want string, problems []error) {
	t.Helper()
	if want == "" {
		require.Empty(t, problems)
		return
	}
	require.Len(t, problems, 1)
	// protobuf puts a no-break space into its messages, at random, so that nobody compares them.
	require.Contains(t, strings.ReplaceAll(problems[0].Error(), "\u00a0", " "), want)
}

func TestEachMistakeInABuildIsNamed(t *testing.T) {
	broken(t, "build/*.yaml", func(t *testing.T, path, want string) {
		_, problems := Project{Functions: []string{"relay", "version"}}.checkBuild(t.Context(), path)
		requireOnly(t, want, problems)
	})
}

func TestEachMistakeInADocumentIsNamed(t *testing.T) {
	broken(t, "docs/*.md", func(t *testing.T, path, want string) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		_, problems := RehearseDoc(t.Context(), filepath.Base(path), string(text))
		problems = append(problems, CheckTargets(filepath.Base(path), string(text), functions())...)
		requireOnly(t, want, problems)
	})
}

func TestTheCommandsOfADocumentHaveTheirVariablesReplaced(t *testing.T) {
	text, err := os.ReadFile("testdata/docs/sound.md")
	require.NoError(t, err)
	commands, problems := RehearseDoc(t.Context(), "sound.md", string(text))
	require.Empty(t, problems)
	var got []string
	for _, c := range commands {
		got = append(got, c.String())
	}
	assert.Equal(t, []string{
		"sound.md:7:1: gcloud config set project demo",
		"sound.md:13:29: gcloud secrets create relay-key --data-file=-",
		"sound.md:15:12: gcloud projects describe demo --format=value(projectNumber)",
		"sound.md:16:3: gcloud run deploy relay --source=. --function=relay --region=us-central1 --service-account=relay-run@demo.iam.gserviceaccount.com",
	}, got)
}

func gcloud(t *testing.T) Gcloud {
	t.Helper()
	g, err := FindGcloud()
	if err != nil {
		t.Skip(err)
	}
	return g
}

func TestGcloudRefusesEachBrokenCommand(t *testing.T) {
	g := gcloud(t)
	var all []Command
	wants := map[string]string{}
	broken(t, "lint/*.md", func(t *testing.T, path, want string) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		commands, problems := RehearseDoc(t.Context(), path, string(text))
		require.Empty(t, problems)
		require.Len(t, commands, 1)
		all = append(all, commands...)
		wants[path] = want
	})
	text, err := os.ReadFile("testdata/docs/sound.md")
	require.NoError(t, err)
	sound, _ := RehearseDoc(t.Context(), "sound.md", string(text))

	problems, err := g.Lint(t.Context(), append(all, sound...)) // in one run: starting gcloud is slow
	require.NoError(t, err)
	require.Len(t, problems, len(wants), "one for each broken command and none for the sound ones: %v", problems)
	for path, want := range wants {
		assert.True(t, slices.ContainsFunc(problems, func(p error) bool {
			return strings.HasPrefix(p.Error(), path) && strings.Contains(p.Error(), want)
		}), "%s: want %q in %v", path, want, problems)
	}
}

func TestALinterThatDoesNotAnswerIsAMistake(t *testing.T) {
	script := filepath.Join(t.TempDir(), "gcloud")
	commands := []Command{{Where: "README.md:1:1", Args: []string{"gcloud", "run", "services", "list"}}}
	for name, c := range map[string]struct{ body, want string }{
		"it crashes":             {"echo boom >&2; exit 1", "exit status 1: boom"},
		"it prints no JSON":      {"echo ERROR", "invalid character"},
		"it leaves one out":      {"echo {}", "gcloud says nothing about it"},
		"it lacks the beta ones": {`echo '{"1":[{"success":false,"error_message":"Invalid choice: '"'beta'"'"}]}'`, "Invalid choice: 'beta'"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n"+c.body+"\n"), 0o700))
			problems, err := Gcloud{script}.Lint(t.Context(), commands)
			require.ErrorContains(t, errors.Join(append(problems, err)...), c.want)
		})
	}
}

func TestABetaCommandPassesWhereOnlyItsTrackIsMissing(t *testing.T) {
	script := filepath.Join(t.TempDir(), "gcloud")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\necho '{\"1\":[{\"success\":false,\"error_message\":\"Invalid choice: '\"'beta'\"'\"}]}'\n"), 0o700))
	problems, err := Gcloud{script}.Lint(t.Context(), []Command{{Where: "README.md:1:1", Args: []string{"gcloud", "beta", "run", "services", "logs", "tail", "relay"}}})
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestTheProgramTellsMistakesByItsExitStatus(t *testing.T) {
	dir := t.TempDir()
	sound, err := os.ReadFile("testdata/build/sound.yaml")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cloudbuild.yaml"), sound, 0o600))
	call := func(args ...string) (int, string) {
		var out strings.Builder
		status := run(t.Context(), append([]string{"-dir", dir}, args...), &out, &out)
		return status, out.String()
	}

	status, out := call("-functions", "relay,version")
	assert.Equal(t, 1, status)
	assert.Contains(t, out, "README.md: no such file", "the README is part of what is checked")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "README.md"), []byte("# Relay\n"), 0o600))
	status, out = call("-functions", "relay,version")
	assert.Equal(t, 0, status, out)

	status, out = call("-functions", "relay,version", "testdata/docs/unknown-function.md")
	assert.Equal(t, 1, status)
	assert.Contains(t, out, `the function "observe" is not registered`)

	status, out = call()
	assert.Equal(t, 2, status)
	assert.Contains(t, out, "usage:")
}
