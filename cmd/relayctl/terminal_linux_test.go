package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// openTerminal is a pseudo-terminal: what the user types and sees is at one end, what relayctl has for its
// standard input at the other.
func openTerminal(t *testing.T) (user, tty *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here: ", err)
	}
	t.Cleanup(func() { user.Close() })
	var number uint32
	var locked int32
	control(t, user, syscall.TIOCSPTLCK, unsafe.Pointer(&locked))
	control(t, user, syscall.TIOCGPTN, unsafe.Pointer(&number))
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { tty.Close() })
	return user, tty
}

func control(t *testing.T, f *os.File, request uintptr, value unsafe.Pointer) {
	t.Helper()
	connection, err := f.SyscallConn()
	require.NoError(t, err)
	var errno syscall.Errno
	require.NoError(t, connection.Control(func(fd uintptr) {
		_, _,
			errno = syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(value))
	}))
	require.Zero(t, errno)
}

// echoes tells whether the terminal shows what is typed.
func echoes(t *testing.T, tty *os.File) bool {
	var state syscall.Termios
	control(t, tty, syscall.TCGETS, unsafe.Pointer(&state))
	return state.Lflag&syscall.ECHO != 0
}

// awaitPrompt reads until relayctl asks, and until it has turned the echo off.
func awaitPrompt(t *testing.T, from io.Reader, tty *os.File, prompt string) {
	t.Helper()
	var seen []byte
	for one := make([]byte, 1); !bytes.HasSuffix(seen, []byte(prompt)); {
		_, err := from.Read(one)
		require.NoError(t, err, "%s", seen)
		seen = append(seen, one...)
	}
	for echoes(t, tty) {
		runtime.Gosched()
	}
}

func TestAPasswordIsNotEchoed(t *testing.T) {
	user, tty := openTerminal(t)
	stderr, prompts := io.Pipe()
	var stdout bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(t.Context(), []string{"token", "--user", "acme_ab1"}, tty, &stdout, prompts,
			env("SECRET_KEY", testKey))
		prompts.Close()
	}()
	awaitPrompt(t, stderr, tty, "Qualys password: ")
	_, err := user.WriteString("canary-password\n")
	require.NoError(t, err)
	said, err := io.ReadAll(stderr)
	require.NoError(t, err)
	require.Equal(t, exitDone, <-ended, "%s", said)
	assert.True(t, echoes(t, tty), "the terminal is as it was")
	assert.True(t, strings.HasPrefix(stdout.String(), "eyJ"))

	// What the user saw ends with what relayctl writes last.
	_, err = tty.WriteString("end")
	require.NoError(t, err)
	var shown []byte
	for one := make([]byte, 1); !bytes.HasSuffix(shown, []byte("end")); {
		_, err := user.Read(one)
		require.NoError(t, err)
		shown = append(shown, one...)
	}
	assert.NotContains(t, string(shown), "canary")
}

func TestCtrlCWhileAskedGivesTheTerminalItsEchoBack(t *testing.T) {
	user, tty := openTerminal(t)
	stderr, prompts := io.Pipe()
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"observe", "203.0.113.7"}, tty, io.Discard, prompts, env())
		prompts.Close()
	}()
	awaitPrompt(t, stderr, tty, "Configuration token: ")
	interrupt()
	said, err := io.ReadAll(stderr)
	require.NoError(t, err)
	assert.Equal(t, exitError, <-ended)
	assert.Equal(t, "\nrelayctl: error: interrupted\n", string(said))
	assert.True(t, echoes(t, tty))

	// The read that was given up still waits. It must end before the terminal is closed, or it reads from
	// whatever gets its descriptor next.
	_, err = user.WriteString("\n")
	require.NoError(t, err)
	stacks := make([]byte, 1<<20)
	require.Eventually(t, func() bool {
		return !bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("term.ReadPassword"))
	}, time.Minute, time.Millisecond)
}

func TestTheTableFitsTheTerminal(t *testing.T) {
	user, tty := openTerminal(t)
	size := struct{ rows, columns, x, y uint16 }{24, 80, 0, 0}
	control(t, tty, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
	shown := make(chan string)
	go func() {
		content, _ := io.ReadAll(user) // an error once the other end is closed
		shown <- string(content)
	}()
	code := run(t.Context(), []string{"demo", "--once"}, strings.NewReader(""), tty, io.Discard, env())
	require.NoError(t, tty.Close())
	require.Equal(t, exitDone, code)
	_, table, _ := strings.Cut(<-shown, "\r\n\r\n")
	require.Contains(t, table, "Observable")
	for line := range strings.SplitSeq(table, "\r\n") {
		assert.LessOrEqual(t, utf8.RuneCountInString(line), 80, line)
	}
	assert.Contains(t, table, "sha256:d41f7ab5902c6e38f4b17d0a5e93c8262b7f10e9d6c5a4831e0f9b27c8d3a645",
		"the judged hash is there whole")
}
