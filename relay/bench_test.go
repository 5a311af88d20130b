package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
)

// BenchmarkObserve compares the relay with a server that asks the same two questions and passes the
// answers through unread. Each request asks about one new hash, of which there are 1 or 100 events in
// each state; nothing is cached, all of them are mapped. The clients, the upstream and the server under
// test share this process and its processors, so the difference between the two is the relay's own work.
// Run it with a fixed count, such as -bench Observe -benchtime 2s -count 5, and compare medians of one
// run.
//
// bytes/answer is the size of the answer, calls/op the event calls that one request took: requests that
// wait for a free call leave together.
func BenchmarkObserve(b *testing.B) {
	for _, server := range []struct {
		name  string
		start func(b *testing.B, upstream string) (url string)
	}{{"relay", startRelay}, {"bare", startBare}} {
		b.Run(server.name, func(b *testing.B) {
			for _, events := range []int{1, 100} {
				b.Run(strconv.Itoa(events), func(b *testing.B) { benchmarkObserve(b, events, server.start) })
			}
		})
	}
}

func benchmarkObserve(b *testing.B, events int, start func(b *testing.B, upstream string) string) {
	upstream := startFastUpstream(b, events)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	b.Cleanup(client.CloseIdleConnections)
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"user": qualystest.User, "pass": qualystest.Password}).SignedString([]byte(testKey))
	require.NoError(b, err)
	address := start(b, upstream.url) + "/observe/observables"
	var asked, answered atomic.Int64
	ask := func() error {
		body := strings.NewReader(fmt.Sprintf(`[{"type":"sha256","value":"%064x"}]`, asked.Add(1)))
		request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, address, body)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		n, err := io.Copy(io.Discard, response.Body)
		answered.Add(n)
		if floor := int64(2 * events * 1000); err == nil && (response.StatusCode != http.StatusOK || n < floor) {
			return fmt.Errorf("status %d with %d bytes, fewer than the %d of the events", response.StatusCode, n, floor)
		}
		return err
	}
	require.NoError(b, ask()) // logs in, opens the first connections
	answered.Store(0)
	upstream.calls.Store(0)
	const clientsPerProcessor = 4
	b.SetParallelism(clientsPerProcessor)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := ask(); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(answered.Load())/float64(b.N), "bytes/answer")
	b.ReportMetric(float64(upstream.calls.Load())/float64(b.N), "calls/op")
}

func startRelay(b *testing.B, upstream string) string {
	c, err := ConfigFromEnv(env("API_URL", upstream, "PLATFORM_URL", "https://console.example", "SEARCH_CACHE", "0", "CTR_ENTITIES_LIMIT", "200"))
	require.NoError(b, err)
	s, err := New(c, slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	b.Cleanup(s.Close)
	return listen(b, s)
}

// startBare is the least that a server in the relay's place can do.
func startBare(b *testing.B, upstream string) string {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	b.Cleanup(client.CloseIdleConnections)
	get := func(ctx context.Context, query string) (*http.Response, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, upstream+"/ioc/events?pageSize=201&pageNumber=0"+query, http.NoBody)
		if err != nil {
			return nil, err
		}
		request.Header.Set("Authorization", "Bearer "+upstreamToken)
		return client.Do(request)
	}
	return listen(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked []struct{ Type, Value string }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || len(asked) != 1 {
			http.Error(w, "not one observable", http.StatusBadRequest)
			return
		}
		filter, err := qualys.Match(qualys.FieldSHA256, asked[0].Value)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		query := "&sort=" + url.QueryEscape(`[{"event.datetime":"desc"}]`) + "&filter=" + url.QueryEscape(filter.String())
		var answers [2]*http.Response
		var errs [2]error
		var both sync.WaitGroup
		for i, state := range []string{"&state=true", ""} {
			both.Go(func() { answers[i], errs[i] = get(r.Context(), state+query) })
		}
		both.Wait()
		for _, answer := range answers {
			if answer != nil {
				defer func() { _ = answer.Body.Close() }()
			}
		}
		if err := errors.Join(errs[:]...); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.FormatInt(answers[0].ContentLength+answers[1].ContentLength, 10))
		for _, answer := range answers {
			_, _ = io.Copy(w, answer.Body) // a client that went away fails on its own side
		}
	}))
}

// listen serves on loopback until the end of the test.
func listen(tb testing.TB, h http.Handler) (url string) {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	tb.Cleanup(func() {
		require.NoError(tb, server.Close())
		require.ErrorIs(tb, <-served, http.ErrServerClosed)
	})
	return "http://" + listener.Addr().String()
}

// fastUpstream answers every search for hashes with as many events for each hash, from memory: next to
// nothing beside the work of who asks. The strict fake would take more time than the relay.
type fastUpstream struct {
	url    string
	calls  atomic.Int64               // searches
	events map[string][]eventTemplate // by the value of state
}

const upstreamToken = "aGVhZGVy.cGF5bG9hZA.c2lnbmF0dXJl" // in the form of a JWT; nobody looks inside

// eventTemplate is an event's document without the hash that it is about, which goes between each two
// pieces.
type eventTemplate [][]byte

func startFastUpstream(tb testing.TB, events int) *fastUpstream {
	tb.Helper()
	u := &fastUpstream{events: map[string][]eventTemplate{
		"true": eventTemplates(tb, 1, events, qualystest.CurrentState),
		"":     eventTemplates(tb, 2, events, qualystest.HistoryState),
	}}
	u.url = listen(tb, u)
	return u
}

func eventTemplates(tb testing.TB, seed uint64, n int, state qualystest.State) []eventTemplate {
	tb.Helper()
	hole := strings.Repeat("0", 64)
	var out []eventTemplate
	for i, e := range slices.Backward(qualystest.Generate(seed, n, qualystest.Values{SHA256s: []string{hole}, Types: []string{"FILE", "PROCESS"}, State: state})) {
		// The id holds the hash too: events of two hashes are two events.
		pieces := bytes.Split(e.ID(fmt.Sprintf("F_%s_%d_%d", hole, seed, i)).JSON(), []byte(hole))
		require.Greater(tb, len(pieces), 2)
		out = append(out, pieces)
	}
	return out
}

func (u *fastUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/auth" {
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, upstreamToken)
		return
	}
	u.calls.Add(1)
	query := r.URL.Query()
	room, err := strconv.Atoi(query.Get("pageSize"))
	if err != nil {
		http.Error(w, "no page size", http.StatusBadRequest)
		return
	}
	if query.Get("pageNumber") != "0" {
		room = 0
	}
	body := []byte{'['}
	if templates := u.events[query.Get("state")]; room > 0 && len(templates) > 0 {
		const roughly = 1600 // bytes of an event
		body = slices.Grow(body, roughly*min(room, len(templates)))
		parts := strings.Split(query.Get("filter"), `"`)
		for i := 1; i < len(parts); i += 2 { // what is between quotes
			for _, template := range templates[:min(room, len(templates))] {
				if len(body) > 1 {
					body = append(body, ',')
				}
				for j, piece := range template {
					if j > 0 {
						body = append(body, parts[i]...)
					}
					body = append(body, piece...)
				}
				room--
			}
		}
	}
	body = append(body, ']')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}
