//go:build unix

package auth

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A pipe with a name shows when the relay reads: opening it waits for the other side.
func TestKeyFileThatIsWrittenWhileItIsReadIsLeftForTheNextTime(t *testing.T) {
	w := newWorld(t)
	c := w.config
	c.SecretKeyFile = filepath.Join(t.TempDir(), "key")
	require.NoError(t, syscall.Mkfifo(c.SecretKeyFile, 0o600))
	v := w.verifier(t, c)
	answer := make(chan error, 1)
	go func() {
		_, err := v.Verify(t.Context(), hsToken(canaryKey))
		answer <- err
	}()
	pipe, err := os.OpenFile(c.SecretKeyFile, os.O_WRONLY, 0)
	require.NoError(t, err)
	later := time.Now().Add(time.Hour)
	require.NoError(t, os.Chtimes(c.SecretKeyFile, later, later))
	_, err = pipe.WriteString(canaryKey)
	require.NoError(t, err)
	require.NoError(t, pipe.Close())
	err = <-answer
	require.ErrorIs(t, err, ErrKeyUnavailable)
	assert.ErrorContains(t, err, "the file changes while it is read")
}
