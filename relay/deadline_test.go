package relay

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys/qualystest"
)

// sendSlowly writes the beginning of a request to a connection, then a piece each time that the answer
// is not there yet, and returns the answer.
func sendSlowly(t *testing.T, url, head, piece string) (status int, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte(head))
	require.NoError(t, err)
	answered := make(chan struct{})
	defer close(answered)
	if piece != "" {
		go func() {
			for {
				select {
				case <-answered:
					return
				case <-time.After(50 * time.Millisecond):
					_, _ = conn.Write([]byte(piece)) // until the relay closes the connection
				}
			}
		}()
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	text := new(strings.Builder)
	_, err = bufio.NewReader(response.Body).WriteTo(text)
	require.NoError(t, err)
	return response.StatusCode, text.String()
}

// TestABodyThatDoesNotArrive holds a connection open at each endpoint, with and without a token.
func TestABodyThatDoesNotArrive(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil, "REQUEST_TIMEOUT", "1s")
	const late = `{"body":"did not arrive in time"}`
	for name, test := range map[string]struct {
		method, path, token, beginning, piece, want string
	}{
		"nothing, refer":                     {"POST", "/refer/observables", "", "", "", late},
		"nothing, observe":                   {"POST", "/observe/observables", r.token, "", "", late},
		"nothing, deliberate":                {"POST", "/deliberate/observables", r.token, "", "", late},
		"a part":                             {"POST", "/observe/observables", r.token, `[{"type":"ip",`, "", late},
		"a trickle":                          {"POST", "/observe/observables", r.token, `[`, " ", late},
		"nothing, no token":                  {"POST", "/observe/observables", "", "", "", "Authorization header is missing"},
		"a trickle, no token":                {"POST", "/observe/observables", "", "[", " ", "Authorization header is missing"},
		"nothing, health":                    {"POST", "/health", r.token, "", "", `"status":"ok"`},
		"nothing, version":                   {"POST", "/version", "", "", "", Version},
		"nothing, watchdog":                  {"GET", "/watchdog", "", "", "", "health check failed"},
		"nothing, at a path that is not":     {"POST", "/x", "", "", "", "nothing at this path"},
		"nothing, with a method that is not": {"PUT", "/version", "", "", "", "POST requests only"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: relay.example\r\nContent-Length: 1000\r\n", test.method, test.path)
			if test.token != "" {
				head += "Authorization: Bearer " + test.token + "\r\n"
			}
			began := time.Now()
			_, body := sendSlowly(t, r.url, head+"\r\n"+test.beginning, test.piece)
			assert.Contains(t, strings.ReplaceAll(body, `\"`, `"`), test.want)
			assert.Less(t, time.Since(began), testPatience)
		})
	}
	t.Cleanup(func() {
		r.relay.requests.shut(context.Background(), time.Minute) // a line is written after the answer
		lines := strings.Count(r.log.String(), "\n")
		assert.Equal(t, 12, lines, "each is logged")
	})
}

// TestStrangersLeaveRoomForOthers opens as many connections without a token as there are places for requests, and sends no
// body on them.
func TestStrangersLeaveRoomForOthers(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	head := "POST /refer/observables HTTP/1.1\r\nHost: relay.example\r\nContent-Length: 1000\r\n\r\n"
	var turnedAway, late atomic.Int64
	var group sync.WaitGroup
	for range maxRequests {
		group.Go(func() {
			switch status, body := sendSlowly(t, r.url, head, ""); {
			case status == http.StatusServiceUnavailable:
				turnedAway.Add(1)
			case strings.Contains(body, "did not arrive in time"):
				late.Add(1)
			}
		})
	}
	require.Eventually(t, func() bool { return turnedAway.Load() == maxRequests-maxStrangers }, testPatience, testTick)
	assert.Empty(t, r.query("/observe/observables", "ip", "192.0.2.1").Errors, "there is room for a request with a token")
	group.Wait()
	assert.EqualValues(t, maxStrangers, late.Load())
}

// TestShutdownWritesPartialAnswers ends requests that wait for a gateway that hangs, as SIGTERM does.
func TestShutdownWritesPartialAnswers(t *testing.T) {
	t.Parallel()
	r := newRelay(t, []qualystest.Event{badFile(1).Current()})
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: qualystest.HistoryState, Do: qualystest.HangBeforeHeader()})
	const requests = 100
	var group sync.WaitGroup
	answers := make([]answer, requests)
	for i := range requests {
		group.Go(func() { answers[i] = r.query("/observe/observables", "sha256", sha(1)) })
	}
	require.Eventually(t, func() bool {
		return len(r.relay.requests.slots) == requests
	}, testPatience, testTick)
	require.NoError(t, r.fake.Wait(t.Context(), func(s qualystest.Stats) bool { return s.Searches > 1 }))
	r.relay.requests.shut(t.Context(), 0)
	group.Wait()
	for _, a := range answers {
		require.Len(t, a.Errors, 1, "%s", a.body)
		assert.Equal(t, *errShutdown, a.Errors[0])
	}
	response, err := http.Post(r.url+"/version", "", nil)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
	require.Eventually(t, func() bool { return strings.Contains(r.log.String(), "version 503") }, testPatience, testTick,
		"what is turned away is logged, after its answer")
}

// TestAPartialAnswerMayBeLarge: what was found by the deadline is in the answer, though memory is no longer
// waited for then.
func TestAPartialAnswerMayBeLarge(t *testing.T) {
	t.Parallel()
	var events []qualystest.Event
	for i := range 100 {
		e := badFile(1).At(fmt.Sprintf("2026-03-%02dT10:%02d:00Z", 1+i/60, i%60)).Current()
		events = append(events, e)
	}
	r := newRelay(t, events, "REQUEST_TIMEOUT", "1s")
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: qualystest.HistoryState, Do: qualystest.HangBeforeHeader()})
	a := r.query("/observe/observables", "sha256", sha(1))
	assert.Equal(t, len(events), a.Data.Sightings.Count)
	assert.Greater(t, len(a.body), freeAnswer)
	require.Len(t, a.Errors, 1)
	assert.Equal(t, lateAnswer, a.Errors[0].Message)
}
