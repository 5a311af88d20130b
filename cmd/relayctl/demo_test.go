package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheDemosLinesCanBePasted runs each curl line that the demo prints, in a shell, and looks at the page
// that it serves.
func TestTheDemosLinesCanBePasted(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"curl", "jq"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed")
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var stdout syncedBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"demo"}, strings.NewReader(""), &stdout, io.Discard, env())
	}()
	require.Eventually(t,
		func() bool { return regexp.MustCompile(`See it: .*\n`).MatchString(stdout.String()) },
		30*time.Second, 5*time.Millisecond)
	said := stdout.String()

	token := regexp.MustCompile(`(?m)^TOKEN=.+$`).FindString(said)
	require.NotEmpty(t, token)
	lines := regexp.MustCompile(`(?m)^curl .+$`).FindAllString(said, -1)
	require.Len(t, lines, 9)
	wants := []string{`"status": "ok"`, `"count": 7`, `"verdicts": {`, `/ioc/#/hunting?search=`,
		`"type": "markdown"`, `"type": "metric_group"`, `"label": "Malicious"`, `"version": "`, `"data": "hello"`}
	for i, line := range lines {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", token+"\n"+line).CombinedOutput()
		require.NoError(t, err, line)
		assert.Contains(t, string(out), wants[i], line)
		assert.Contains(t, string(out), "\n  ", "the answer is indented")
	}

	page := regexp.MustCompile(`\nSee it:  (\S+)\n$`).FindStringSubmatch(said)
	require.Len(t, page, 2)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page[1], http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	assert.Equal(t, "text/html; charset=utf-8", response.Header.Get("Content-Type"))
	stop()
	assert.Equal(t, exitDone, <-ended)
}

// syncedBuffer is written by a command while a test reads it.
type syncedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncedBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncedBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
