//go:build unix

package auth

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A pipe with a name shows when the relay reads: opening it waits for the other side. While the relay
// reads the one key from it, a file with another one takes its place.
func TestKeyFileThatIsReplacedWhileItIsReadIsLeftForTheNextTime(t *testing.T) {
	w := newWorld(t)
	c := w.config
	c.SecretKeyFile = filepath.Join(t.TempDir(), "key")
	require.NoError(t, syscall.Mkfifo(c.SecretKeyFile, 0o600))
	v := w.verifier(t, c)
	result := make(chan error, 1)
	go func() {
		_, err := v.Verify(t.Context(), hsToken(canaryKey))
		result <- err
	}()
	pipe, err := os.OpenFile(c.SecretKeyFile, os.O_WRONLY, 0)
	require.NoError(t, err)
	writeKey(t, c.SecretKeyFile, canaryKey2)
	_, err = pipe.WriteString(canaryKey)
	require.NoError(t, err)
	require.NoError(t, pipe.Close())
	err = <-result
	require.ErrorIs(t, err, ErrKeyUnavailable)
	require.ErrorContains(t, err, "the file changes while it is read")

	w.clock.advance(time.Second)
	_, err = v.Verify(t.Context(), hsToken(canaryKey2))
	require.NoError(t, err)
}
