package relay

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"qualysrelay.example/relay/accesslog"
)

// childVariable makes the test binary a relay that is configured by its environment and serves until its
// standard input ends.
const childVariable = "RELAY_TEST_CHILD"

// child is a relay in a process of its own, for tests of what requests do to the process.
type child struct {
	url string
	log *syncedLog // its standard error
	pid int
}

// startChild starts a relay with the variables of env and with pairs. It ends with the test.
func startChild(t *testing.T, pairs ...string) *child {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the memory of the child is read from /proc")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=1", "SECRET_KEY="+testKey)
	for i := 0; i < len(pairs); i += 2 {
		cmd.Env = append(cmd.Env, pairs[i]+"="+pairs[i+1])
	}
	c := &child{log: new(syncedLog)}
	cmd.Stderr = c.log
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait() // a test that wants to know asks alive
	})
	lines := bufio.NewScanner(stdout)
	require.True(t, lines.Scan(), "the child prints its URL: %s", c.log)
	c.url, c.pid = lines.Text(), cmd.Process.Pid
	return c
}

// serveAsChild is the child's part of startChild.
func serveAsChild() error {
	c, err := ConfigFromEnv(os.Getenv)
	if err != nil {
		return err
	}
	s, err := New(c, accesslog.New(os.Stderr, c.LogLevel, ""))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "http://"+listener.Addr().String())
	go func() { _ = http.Serve(listener, s) }()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// peak is the most resident memory that the child has held so far, in bytes.
func (c *child) peak(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(c.pid) + "/status")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(status), "VmHWM:")
	require.True(t, found, "the child is alive: %s", c.log)
	kib, err := strconv.Atoi(strings.Fields(rest)[0]) // "123456 kB"
	require.NoError(t, err)
	return kib << 10
}
