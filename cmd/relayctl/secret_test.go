package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadLineLeavesTheRestToTheNextReader(t *testing.T) {
	t.Parallel()
	p := &program{stdin: strings.NewReader("user\r\npass word \nrest")}
	for _, want := range []string{"user", "pass word ", "rest"} {
		line, err := p.readLine()
		require.NoError(t, err)
		assert.Equal(t, want, line)
	}
	_, err := p.readLine()
	require.ErrorIs(t, err, io.EOF)
	p.stdin = strings.NewReader(strings.Repeat("a", maxToken+1))
	_, err = p.readLine()
	require.ErrorContains(t, err, "too long")
}

func TestWaitingForInputEndsWithTheContext(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := &program{stdin: r, stderr: io.Discard}
	_, err := p.readInput(ctx, 10)
	require.ErrorIs(t, err, context.Canceled)
	_, err = p.ask(ctx, "? ")
	require.ErrorIs(t, err, context.Canceled)
}

func TestInputHasALimit(t *testing.T) {
	t.Parallel()
	p := &program{stdin: strings.NewReader("1234567890")}
	got, err := p.readInput(t.Context(), 10)
	require.NoError(t, err)
	assert.Equal(t, "1234567890", string(got))
	p.stdin = strings.NewReader("12345678901")
	_, err = p.readInput(t.Context(), 10)
	require.ErrorContains(t, err, "larger than 10 bytes")
}

func TestAPrivateFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	require.NoError(t, os.WriteFile(target, []byte("old"), 0o644))
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(target, link))

	require.ErrorContains(t, writePrivate(link, []byte("new"), false), "exists already")
	require.NoError(t, writePrivate(link, []byte("new"), true))
	info, err := os.Lstat(link)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode(), "a link is replaced, not followed")
	old, err := os.ReadFile(target)
	require.NoError(t, err)
	assert.Equal(t, "old", string(old))

	dangling := filepath.Join(dir, "dangling")
	require.NoError(t, os.Symlink(filepath.Join(dir, "nowhere"), dangling))
	require.ErrorContains(t, writePrivate(dangling, []byte("new"), false), "exists already")
	assert.NoFileExists(t, filepath.Join(dir, "nowhere"))

	wide := filepath.Join(dir, "wide")
	require.NoError(t, os.WriteFile(wide, []byte("old"), 0o666))
	require.NoError(t, writePrivate(wide, []byte("new"), true))
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
	got, err := readSecretFile(write(" \tkey\r\n\n"))
	require.NoError(t, err)
	assert.Equal(t, "key", string(got))
	_, err = readSecretFile(write("\n"))
	require.ErrorContains(t, err, "is empty")
	_, err = readSecretFile(write(strings.Repeat("a", maxToken+1)))
	require.ErrorContains(t, err, "too large")
	_, err = readSecretFile(t.TempDir())
	require.Error(t, err)
}

func TestLifetime(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{"90d": 90 * 24 * time.Hour, "1d": 24 * time.Hour, "12h": 12 * time.Hour, "1h30m": 90 * time.Minute, "1m": time.Minute} {
		var l lifetime
		require.NoError(t, l.UnmarshalText([]byte(in)), in)
		assert.Equal(t, want, time.Duration(l), in)
	}
	for _, in := range []string{"", "d", "-1d", "0d", "1.5d", "99999999999d", "59s", "-1h", "90", "soon", "1d12h"} {
		var l lifetime
		require.Error(t, l.UnmarshalText([]byte(in)), in)
	}
}
