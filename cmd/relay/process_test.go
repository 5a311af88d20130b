package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const secretKey = "a-key-that-only-these-tests-use-0123456789"

// buffer is written by a process while a test reads it.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// server is a relay in a process of its own.
type server struct {
	url     string
	process *os.Process
	stderr  *buffer
	done    chan struct{} // closed when the process has ended
	cmd     *exec.Cmd
}

func (s *server) status() int { return s.cmd.ProcessState.ExitCode() }

// launch starts a program with no other environment than the relay's.
func launch(t *testing.T, program string, env ...string) *server {
	t.Helper()
	s := &server{stderr: &buffer{}, done: make(chan struct{}), cmd: exec.CommandContext(t.Context(), program)}
	s.cmd.Env = append([]string{"SECRET_KEY=" + secretKey, "API_URL=http://127.0.0.1:1"}, env...)
	s.cmd.Stderr = s.stderr
	require.NoError(t, s.cmd.Start())
	s.process = s.cmd.Process
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait() // status tells how it ended
	}()
	t.Cleanup(func() {
		_ = s.process.Kill() // where it has not ended yet
		<-s.done
	})
	return s
}

// start starts a program and returns when it accepts connections.
func start(t *testing.T, program string, env ...string) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)

	s := launch(t, program, append(env, "PORT="+port)...)
	s.url = "http://" + address
	again := time.NewTicker(2 * time.Millisecond) // another process tells by nothing else that it listens
	defer again.Stop()
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			require.NoError(t, conn.Close())
			return s
		}
		select {
		case <-s.done:
			require.FailNow(t, "it ended at once", s.stderr.String())
		case <-t.Context().Done():
			require.FailNow(t, "it does not listen", s.stderr.String())
		case <-again.C:
		}
	}
}

// fails starts a program that must end by itself, and returns its status and what it says.
func fails(t *testing.T, program string, env ...string) (int, string) {
	t.Helper()
	s := launch(t, program, append(env, "PORT=0")...)
	select {
	case <-s.done:
	case <-t.Context().Done():
		require.FailNow(t, "it does not end", s.stderr.String())
	}
	return s.status(), s.stderr.String()
}

// ask sends one observable, without a token, and returns the body of an answer that must be JSON with status 200.
func (s *server) ask(t *testing.T, method, path string) string {
	t.Helper()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(`[{"type":"ip","value":"192.0.2.1"}]`)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, body)
	require.NoError(t, err)
	r.Header.Set("Health-Check", "beat")
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	where := fmt.Sprintf("%s %s: %s", method, path, text)
	assert.Equal(t, http.StatusOK, resp.StatusCode, where)
	assert.True(t, strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json"), where)
	return string(text)
}
