package secret

import (
	"encoding/json"
	"fmt"
	"io"
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
	got, err := ReadFile(write(" \tkey\r\n\n"))
	require.NoError(t, err)
	assert.Equal(t, "key", string(got))
	_, err = ReadFile(write("\n"))
	require.ErrorContains(t, err, "is empty")
	_, err = ReadFile(write(strings.Repeat("a", MaxSize+1)))
	require.ErrorContains(t, err, "too large")
	_, err = ReadFile(t.TempDir())
	require.Error(t, err)
}

func TestASecretFileOfWindows(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"UTF-8 with a byte order mark": "\xef\xbb\xbfkey\r\n",
		"UTF-16, little endian":        "\xff\xfek\x00e\x00y\x00\r\x00\n\x00",
		"UTF-16, big endian":           "\xfe\xff\x00k\x00e\x00y",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "f")
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			got, err := ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, "key", string(got))
		})
	}
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
	assert.Equal(t, redacted, Value(canary).LogValue().String())
}
