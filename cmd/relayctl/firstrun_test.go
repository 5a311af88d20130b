package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheFirstRunOfTheREADME runs the six commands of the README as they are there, with built
// programs for "go run", ports that are free for those that are written, and in an empty folder.
func TestTheFirstRunOfTheREADME(t *testing.T) {
	if testing.Short() {
		t.Skip("builds two programs")
	}
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)<!-- first run -->\n```sh\n(.*?)```").FindSubmatch(readme)
	require.NotNil(t, block)
	commands := strings.Split(strings.TrimSpace(string(block[1])), "\n")
	require.Len(t, commands, 6)

	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "../relay", ".")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	gateway, port := freeAddress(t), freeAddress(t)
	_, relayPort, _ := strings.Cut(port, ":")
	run := strings.NewReplacer("go run ./cmd/relayctl", "./relayctl", "go run ./cmd/relay", "./relay",
		"127.0.0.1:9090", gateway)
	command := func(ctx context.Context, line string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "sh", "-c", "exec env "+run.Replace(line))
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "PORT=" + relayPort,
			"RELAY_URL=http://" + port}
		return cmd
	}
	var said []string
	for i, line := range commands {
		if i == 1 || i == 2 { // they keep running
			running, stop := context.WithCancel(t.Context())
			cmd := command(running, line)
			require.NoError(t, cmd.Start(), line)
			t.Cleanup(func() { stop(); _ = cmd.Wait() })
			address := []string{"", gateway, port}[i]
			require.Eventually(t, func() bool {
				conn, err := net.Dial("tcp", address)
				if err == nil {
					conn.Close()
				}
				return err == nil
			}, 30*time.Second, 10*time.Millisecond, line)
			said = append(said, "")
			continue
		}
		out, err := command(t.Context(), line).CombinedOutput()
		require.NoError(t, err, "%s\n%s", line, out)
		said = append(said, string(out))
	}
	assert.Contains(t, said[4], "ok       health      token, Qualys login and search ok")
	assert.Contains(t, said[4], "8 steps ok.")
	assert.Regexp(t, `ip:198\.51\.100\.23 +2 \(1 active\)`, said[5])
	assert.FileExists(t, filepath.Join(dir, "relay.jwt"))
}

// freeAddress is an address of this machine where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

// TestTheGatewayAlone starts the fake gateway and logs in to it as it says.
func TestTheGatewayAlone(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	var stdout syncedBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"demo", "--gateway"}, strings.NewReader(""), &stdout, &syncedBuffer{},
			env())
	}()
	require.Eventually(t, func() bool { return strings.Count(stdout.String(), "\n") == 3 }, 30*time.Second,
		5*time.Millisecond)
	settings := make(map[string]string)
	for _, line := range regexp.MustCompile(`(?m)^export (\w+)=(.+)$`).FindAllStringSubmatch(stdout.String(), -1) {
		settings[line[1]] = line[2]
	}
	relay := startServer(t, testRelay(t, "API_URL", settings["API_URL"]).ServeHTTP)
	var token syncedBuffer
	require.Equal(t, exitDone, run(t.Context(), []string{"token"}, strings.NewReader(""), &token,
		&syncedBuffer{},
		env("SECRET_KEY", testKey, "QUALYS_USER", settings["QUALYS_USER"], "QUALYS_PASSWORD",
			settings["QUALYS_PASSWORD"])))
	var seen syncedBuffer
	require.Equal(t, exitDone, run(t.Context(), []string{"check", relay.URL}, strings.NewReader(""), &seen,
		&seen,
		env("RELAY_TOKEN", token.String())), "%s", &seen)
	stop()
	assert.Equal(t, exitDone, <-ended)
	_, err := http.Get(settings["API_URL"])
	require.Error(t, err, "nobody listens any more")
}
