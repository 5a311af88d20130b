// Package deploy rehearses the deployment as far as that goes without Google Cloud: cloudbuild.yaml is
// parsed as a Build, and the shell blocks of cmd/relay/README.md and the build's scripts run with a
// stand-in for gcloud (gcloud.sh). It is a module of its own, so that what it needs stays out of the
// service's dependencies.
package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The test binary is also what the stand-in for gcloud runs as Cloud Build.
func TestMain(m *testing.M) {
	if substitutions, ok := os.LookupEnv("BUILD_WITH"); !ok {
		m.Run()
	} else if err := build(substitutions); err != nil {
		log.Fatalln("Cloud Build:", err)
	}
}

// build runs the scripts of cloudbuild.yaml one after another in the working folder, but for the tests.
func build(substitutions string) error {
	text, err := os.ReadFile("cloudbuild.yaml")
	b, wrong := parseBuild(".", text)
	if err := errors.Join(err, wrong); err != nil {
		return err
	}
	values := b.Substitutions
	id := fmt.Sprintf("PROJECT_ID=my-project,BUILD_ID=%08x-build,", rand.Uint32())
	for pair := range strings.SplitSeq(id+substitutions, ",") {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	for _, step := range b.Steps {
		if step.Entrypoint != "bash" || step.Id == "test" {
			continue
		}
		cmd := exec.Command("bash", step.Args...)
		cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdout, os.Stderr, os.Environ()
		for _, e := range step.Env {
			for reference.MatchString(e) {
				e = reference.ReplaceAllStringFunc(e, func(m string) string { return values[strings.Trim(m, "${}")] })
			}
			cmd.Env = append(cmd.Env, e)
		}
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("step %s: %w", step.Id, err)
		}
	}
	return nil
}

// run runs a program in a folder and returns its standard output.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false", "GOWORK=off",
		"CLOUDSDK_CONFIG="+t.TempDir(), "CLOUDSDK_CORE_DISABLE_PROMPTS=1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s %v: %s%s", name, args, out, stderr.String())
	return string(out)
}

// copied copies what git has, but for what the file ignore excludes, into a new folder.
func copied(t *testing.T, ignore string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	run(t, "../..", "bash", "-euo", "pipefail", "-c", `git ls-files -co --exclude-standard |
		grep -vxFf <(git ls-files -d; git ls-files -coi --exclude-from="$0" --exclude-from=.gitignore) |
		tar -cT- | tar -xC "$1"`, ignore, dir)
	return dir
}

// built builds the relay from what goes up to Google.
func built(t *testing.T) string {
	t.Helper()
	dir := copied(t, ".gcloudignore")
	files := run(t, dir, "find", ".", "-type", "f", "-printf", "%P\n")
	assert.NotRegexp(t, `_test\.go\b|\.md\b|testdata/|cmd/relayctl/|qualystest/|\.ci/(deploy|browser)/`, files)
	if gcloud, err := exec.LookPath("gcloud"); err == nil {
		uploaded := run(t, ".", gcloud, "meta", "list-files-for-upload", dir)
		assert.ElementsMatch(t, strings.Fields(files), strings.Fields(uploaded))
	}
	mains := run(t, dir, "go", "list", "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{end}}`, "./...")
	assert.Equal(t, "qualysrelay.example/cmd/relay\n", mains, "of two, a deployment without --function builds none")
	run(t, dir, "go", "vet", "./...") // each package that goes up is whole without what stays
	run(t, dir, "go", "build", "-ldflags=-s -w", "-o", "relay.exe", "./cmd/relay")
	return filepath.Join(dir, "relay.exe")
}

// serve starts the program with one function and returns its URL.
func serve(t *testing.T, program, target string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = []string{"FUNCTION_TARGET=" + target, "PORT=" + address[strings.LastIndex(address, ":")+1:]}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Wait() }) // the test's context has ended it
	for connected := false; !connected; require.NoError(t, t.Context().Err()) {
		if conn, err := net.Dial("tcp", address); err == nil {
			connected = conn.Close() == nil
		}
	}
	return "http://" + address
}

// stage is where a rehearsal plays: a copy of the repository, and the tools that stand in for others. In
// tools, cloud is what the stand-in for gcloud has made, calls are its calls, and relays the URLs where
// each function is served.
type stage struct {
	dir, tools string
	env        []string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	program, tools := built(t), t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(tools, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(tools, name), []byte(text), 0o700))
	}
	write("cloud/projects my-project", "")
	for _, function := range []string{"relay", "version", "health", "observeObservables"} {
		write("relays/"+function, serve(t, program, function)+"\n")
	}
	// The URL that Cloud Run would give the service leads to the relay here.
	write("curl", `#!/usr/bin/env bash
[[ ${FAIL:-} != curl ]] || exit 7
url=$(<"$STAGE/relays/relay")
PATH=${PATH#*:} exec curl "${@/#'https://relay-123456789.us-central1.run.app'/$url}"`)
	self, err := os.Executable()
	require.NoError(t, err)
	write("gcloud", "#!/bin/sh\nexec "+strings.TrimSpace(run(t, ".", "pwd"))+"/gcloud.sh \"$@\"\n")
	return &stage{copied(t, ".gitignore"), tools, append(os.Environ(), "PATH="+tools+":"+os.Getenv("PATH"),
		"STAGE="+tools, "RELAY="+program, "BUILDER="+self, "SMOKE_TRIES=2", "SMOKE_PAUSE=0", "GOFLAGS=-buildvcs=false")}
}

// bash runs a script on the stage, and returns its output and the calls of gcloud in it.
func (s *stage) bash(t *testing.T, script string, env ...string) (out string, calls []string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", ">$STAGE/calls\n"+script)
	cmd.Dir, cmd.Env = s.dir, slices.Concat(s.env, env)
	text, err := cmd.CombinedOutput()
	return string(text), strings.Split(strings.TrimSpace(run(t, s.tools, "cat", "calls")), "\n"), err
}

// blocks are the shell blocks of the page, in order.
func blocks(t *testing.T) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile("../../cmd/relay/README.md")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		assert.NotRegexp(t, `(?m)(^|\s)#`, m[1], "an interactive zsh takes a comment for words of the command")
		blocks = append(blocks, m[1])
	}
	return blocks
}

func TestThePageFromNothingToNothingTwice(t *testing.T) {
	s := newStage(t)
	var calls []string
	for range 2 {
		out, round, err := s.bash(t, strings.Join(blocks(t), "\n"))
		require.NoError(t, err, out)
		assert.Equal(t, 3*4+2, strings.Count(out, "ok: "), "three builds of the relay, one of two services:\n%s", out)
		assert.Equal(t, "./projects my-project\n", run(t, s.tools+"/cloud", "find", ".", "-type", "f"), "all is removed")
		once := map[string]bool{}
		for _, call := range round {
			if !regexp.MustCompile(` (list|describe|read|update-traffic) `).MatchString(call + " ") {
				assert.False(t, once[call], "twice: %s", call)
			}
			once[call] = true
		}
		calls = append(calls, round...)
	}
	gcloud, err := exec.LookPath("gcloud")
	if err != nil {
		t.Log("gcloud is not installed: its own parser, which needs no login, has not read the commands")
		return
	}
	entries := []map[string]string{}
	for _, call := range calls { // without a #, which the parser would take for a comment
		entries = append(entries, map[string]string{"command_string": call, "id": call})
	}
	list, err := json.Marshal(entries)
	file := filepath.Join(t.TempDir(), "commands.json")
	require.NoError(t, errors.Join(err, os.WriteFile(file, list, 0o600)))
	var verdicts map[string][]struct {
		Success bool
		Message string `json:"error_message"`
	}
	out := run(t, ".", gcloud, "meta", "lint-gcloud-commands", "--serialize", "--commands-file="+file)
	require.NoError(t, json.Unmarshal([]byte(out), &verdicts))
	apart := regexp.MustCompile(`^Invalid choice: '(alpha|beta)'`) // these are installed by themselves
	for _, call := range calls {
		if v := verdicts[call]; assert.NotEmpty(t, v, call) && !apart.MatchString(v[0].Message) {
			assert.True(t, v[0].Success, "%s: %s", call, v[0].Message)
		}
	}
}
