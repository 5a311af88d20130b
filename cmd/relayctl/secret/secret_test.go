package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAPrivateFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	require.NoError(t, os.WriteFile(target, []byte("old"), 0o644))
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(target, link))

	require.ErrorContains(t, WriteFile(link, []byte("new"), false), "exists already")
	require.NoError(t, WriteFile(link, []byte("new"), true))
	info, err := os.Lstat(link)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode(), "a link is replaced, not followed")
	old, err := os.ReadFile(target)
	require.NoError(t, err)
	assert.Equal(t, "old", string(old))

	dangling := filepath.Join(dir, "dangling")
	require.NoError(t, os.Symlink(filepath.Join(dir, "nowhere"), dangling))
	require.ErrorContains(t, WriteFile(dangling, []byte("new"), false), "exists already")
	assert.NoFileExists(t, filepath.Join(dir, "nowhere"))

	wide := filepath.Join(dir, "wide")
	require.NoError(t, os.WriteFile(wide, []byte("old"), 0o666))
	require.NoError(t, WriteFile(wide, []byte("new"), true))
	info, err = os.Stat(wide)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode(), "an old file's mode is not kept")

	entries, err := filepath.Glob(filepath.Join(dir, ".relayctl-*"))
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestASecretFile(t *testing.T) {
	t.Parallel()
	write := func(content string) string {
		path := filepath.Join(t.TempDir(), "f")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	for _, content := range []string{" \tkey\r\n\n", "\xef\xbb\xbfkey", "\xff\xfek\x00", ""} {
		got, err := ReadFile(write(content))
		require.NoError(t, err)
		assert.Equal(t, content, string(got), "as it is")
	}
	_, err := ReadFile(t.TempDir())
	require.Error(t, err)
	_, err = ReadFile(write(strings.Repeat("x", 1<<20)))
	require.ErrorContains(t, err, "is too large for a secret")
}

func TestASecretDoesNotShow(t *testing.T) {
	t.Parallel()
	const canary = "canary-secret"
	for name, v := range map[string]any{
		"secret": Value(canary), "struct": struct{ S Value }{canary},
		"error": fmt.Errorf("%w %v", io.EOF, Value(canary)),
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			assert.NotContains(t, fmt.Sprintf(verb, v), canary, name+verb)
			assert.NotContains(t, fmt.Sprintf(verb, v), fmt.Sprintf("%x", canary), name+verb)
		}
	}
	doc, err := json.Marshal(map[string]Value{"a": canary})
	require.NoError(t, err)
	assert.NotContains(t, string(doc), canary)
	var logged bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
		slog.New(handler).Info("x", "a", Value(canary), "b", struct{ S Value }{canary})
	}
	assert.NotContains(t, logged.String(), canary)
	assert.Equal(t, 4, strings.Count(logged.String(), redacted), &logged)
}
