package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// repository returns the folder of go.mod, above the test's own.
func repository(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		require.NotEqual(t, dir, filepath.Dir(dir), "no go.mod above the test")
	}
}

// ignore is one pattern of a .gcloudignore.
type ignore struct {
	pattern  string
	anchored bool // holds a slash: matches from the root
	folder   bool // matches folders only
}

func (g ignore) matches(name string, dir bool) bool {
	if g.folder && !dir {
		return false
	}
	if !g.anchored {
		name = path.Base(name)
	}
	ok, _ := path.Match(g.pattern, name) // readIgnore has tried the pattern
	return ok
}

// readIgnore reads the part of .gcloudignore's language that this repository uses.
func readIgnore(t *testing.T, file string) []ignore {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var patterns []ignore
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, " \n")
		if other, ok := strings.CutPrefix(line, "#!include:"); ok {
			patterns = append(patterns, readIgnore(t, filepath.Join(filepath.Dir(file), other))...)
			continue
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		require.NotContains(t, line, "!", "exceptions are not understood here")
		require.NotContains(t, line, "**", "this is not understood here")
		pattern, folder := strings.CutSuffix(line, "/")
		anchored := strings.Contains(pattern, "/")
		pattern = strings.TrimPrefix(pattern, "/")
		_, err := path.Match(pattern, "")
		require.NoError(t, err, line)
		patterns = append(patterns, ignore{pattern, anchored, folder})
	}
	return patterns
}

// uploaded returns the files that "gcloud run deploy --source" sends, relative to the repository.
func uploaded(t *testing.T) []string {
	t.Helper()
	root := repository(t)
	patterns := readIgnore(t, filepath.Join(root, ".gcloudignore"))
	var files []string
	require.NoError(t, filepath.WalkDir(root, func(p string, entry fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		for _, pattern := range patterns {
			if pattern.matches(name, entry.IsDir()) {
				if entry.IsDir() {
					return filepath.SkipDir
				}
				return nil
			}
		}
		if !entry.IsDir() {
			files = append(files, name)
		}
		return nil
	}))
	return files
}

func TestTheUploadHoldsTheSourcesAndNothingElse(t *testing.T) {
	files := uploaded(t)
	for _, needed := range []string{"go.mod", "go.sum", "function.go", "cmd/relay/main.go", "relay/service.go", "qualys/event.go"} {
		assert.Contains(t, files, needed)
	}
	for _, file := range files {
		assert.NotRegexp(t, `_test\.go$|\.md$|\.ya?ml$|(^|/)testdata/|^\.|^cmd/relayctl/|^qualys/qualystest/`, file)
	}
}

func TestGcloudUploadsTheSameFiles(t *testing.T) {
	gcloud, err := exec.LookPath("gcloud")
	if err != nil {
		t.Skip("gcloud is not installed")
	}
	cmd := exec.CommandContext(t.Context(), gcloud, "meta", "list-files-for-upload", repository(t))
	cmd.Env = append(os.Environ(), "CLOUDSDK_CONFIG="+t.TempDir(), "CLOUDSDK_CORE_DISABLE_PROMPTS=1")
	out, err := cmd.Output()
	require.NoError(t, err)
	assert.ElementsMatch(t, uploaded(t), strings.Fields(string(out)))
}
