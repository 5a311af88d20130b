package relay

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"qualysrelay.example/qualys/qualystest"
)

const (
	instanceMemory = 512 << 20 // bytes: the smallest instance that the documents advise
	memoryLimit    = "400MiB"  // its GOMEMLIMIT
)

// load is what many callers, or a gateway, do to the relay at once.
type load struct {
	requests int
	path     string
	token    bool
	body     func(request int) string // of each request
	upstream http.HandlerFunc
	limit    int      // CTR_ENTITIES_LIMIT
	errors   []string // codes that an answer may have
}

// TestMemoryOfEachLoad runs the relay in a process of its own with the documented GOMEMLIMIT, and reads
// the most memory that it ever held from the kernel. Every request is answered, with its data or with an
// error that says why not. Upstream and clients stay in this process.
func TestMemoryOfEachLoad(t *testing.T) {
	if testing.Short() || raceDetectorOn() {
		t.Skip("it takes a while, and the race detector multiplies the memory")
	}
	memory := []string{string(CodeTimeout), string(CodeTruncated)}
	twenty := func(request int) string {
		var list strings.Builder
		for i := range 20 {
			fmt.Fprintf(&list, `,{"type":"sha256","value":"%064x"}`, request*20+i+1)
		}
		return "[" + list.String()[1:] + "]"
	}
	one := func(request int) string { return fmt.Sprintf(`[{"type":"sha256","value":"%064x"}]`, request+1) }
	mebibyte := func(beginning, piece, end string) func(int) string {
		body := beginning + strings.Repeat(piece, (maxBody-len(beginning)-len(end))/len(piece)) + end
		return func(int) string { return body }
	}
	const observe = "/observe/observables"
	for name, l := range map[string]load{
		"10 requests of 20 observables, limit 1000, full pages": {10, observe, true, twenty, fullPages(0), 1000, memory},
		"40 requests of 20 observables, limit 100":              {40, observe, true, twenty, fullPages(0), 100, memory},
		"4 requests of 20, command lines of 8 KB":               {4, observe, true, twenty, fullPages(8 << 10), 1000, memory},
		"2 requests of 20, command lines of 30 KB":              {2, observe, true, twenty, fullPages(30 << 10), 1000, memory},
		"4 endless bodies":                                      {4, observe, true, one, endless, 100, []string{string(CodeUnknown)}},
		"a gzip answer that unpacks to more than a gigabyte":    {1, observe, true, one, gzipped(1 << 30), 100, []string{string(CodeUnknown)}},
		"a page of 10,000 events with 256 empty entries each":   {1, observe, true, one, emptyEntries, 100, []string{string(CodeUnknown)}},
		"40 bodies of 1 MiB to refer, no token": {40, "/refer/observables", false, mebibyte(`[`, `{"type":"ip","value":"192.0.2.1"},`, `{}]`), nil, 100,
			[]string{string(CodeInvalidArgument)}},
		"40 bodies of 1 MiB with empty objects": {40, observe, true, mebibyte(`[`, `{},`, `{}]`), nil, 100, []string{string(CodeInvalidArgument)}},
		"40 bodies of 1 MiB in one string":      {40, observe, true, mebibyte(`[{"type":"ip","value":"`, `x`, `"}]`), nil, 100, []string{string(CodeInvalidArgument)}},
		"40 bodies of 1 MiB in brackets":        {40, observe, true, mebibyte(``, `[`, ``), nil, 100, []string{string(CodeInvalidArgument)}},
	} {
		t.Run(name, l.run)
	}
}

func (l load) run(t *testing.T) {
	upstream := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/auth" {
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, upstreamToken)
			return
		}
		l.upstream(w, r)
	}))
	c := startChild(t, "API_URL", upstream, "PLATFORM_URL", "https://console.example", "GOMEMLIMIT", memoryLimit, "CTR_ENTITIES_LIMIT", strconv.Itoa(l.limit))
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	type outcome struct {
		bytes int64
		codes []string
	}
	outcomes := make([]outcome, l.requests)
	var group sync.WaitGroup
	for i := range l.requests {
		group.Go(func() {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+l.path, strings.NewReader(l.body(i)))
			if !assert.NoError(t, err) {
				return
			}
			if l.token {
				request.Header.Set("Authorization", "Bearer "+tokenFor(t, qualystest.User, qualystest.Password))
			}
			response, err := client.Do(request)
			if !assert.NoError(t, err, "%s", c.log) {
				return
			}
			defer func() { _ = response.Body.Close() }()
			assert.Equal(t, http.StatusOK, response.StatusCode)
			var answer struct {
				Data   json.RawMessage
				Errors []struct{ Code string }
			}
			counted := &countingReader{r: response.Body}
			assert.NoError(t, json.NewDecoder(counted).Decode(&answer))
			o := outcome{bytes: counted.n}
			for _, e := range answer.Errors {
				o.codes = append(o.codes, e.Code)
				assert.Contains(t, l.errors, e.Code)
			}
			assert.False(t, answer.Data == nil && o.codes == nil, "data or an error")
			outcomes[i] = o
		})
	}
	group.Wait()
	peak := c.peak(t)
	whole, size := 0, int64(0)
	codes := make(map[string]int)
	for _, o := range outcomes {
		size += o.bytes
		if o.codes == nil {
			whole++
		}
		slices.Sort(o.codes)
		for _, code := range slices.Compact(o.codes) {
			codes[code]++
		}
	}
	t.Logf("peak %d MiB; %d answers of %.1f MiB in all, %d without an error, errors %v", peak>>20, l.requests, float64(size)/(1<<20), whole, codes)
	assert.Less(t, peak, instanceMemory)
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// fullPages answers each search with as many events as it has room for, in turn about each of the hashes
// asked for, with a command line of that length.
func fullPages(commandLine int) http.HandlerFunc {
	arguments := strings.Repeat("x", commandLine)
	return func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		size, err := strconv.Atoi(query.Get("pageSize"))
		page, err2 := strconv.Atoi(query.Get("pageNumber"))
		hashes := strings.Split(query.Get("filter"), `"`) // every other piece is a hash
		if err != nil || err2 != nil || len(hashes) < 2 {
			http.Error(w, "not a search", http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, "[")
		for i := range size {
			hash := hashes[1+2*(i%(len(hashes)/2))]
			if i > 0 {
				_, _ = io.WriteString(w, ",")
			}
			fmt.Fprintf(w, `{"dateTime":"2026-03-17T12:19:31.000+0000","score":"8","process":{"processName":"invoice.exe","fullPath":"C:\\Temp\\invoice.exe",`+
				`"arguments":%q,"pid":4711,"userName":"EXAMPLE\\ana","processFile":{"sha256":%q,"md5":"00000000000000000000000000000003"}},`+
				`"indicator2":[{"sha256":%q,"verdict":"MALICIOUS","score":"8","threatName":"Win32.Worm.Kolab","familyName":"Kolab"}],`+
				`"id":"P_%s_%s_%d","type":"PROCESS","action":"RUNNING","asset":{"agentId":"7d6f0e9c","hostName":"ws-17.example","netBiosName":"WS-17",`+
				`"fullOSName":"Microsoft Windows 10","interfaces":[{"ipAddress":"192.0.2.17","macAddress":"00:00:5e:00:53:17"}]}}`,
				arguments, hash, hash, hash, query.Get("state"), page*size+i)
		}
		_, _ = io.WriteString(w, "]")
	}
}

func endless(w http.ResponseWriter, _ *http.Request) {
	piece := strings.Repeat(`{"id":"x","type":"FILE"},`, 1000)
	_, err := io.WriteString(w, "[")
	for err == nil {
		_, err = io.WriteString(w, piece)
	}
}

// gzipped answers with one string of that many bytes, compressed.
func gzipped(size int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, err := io.WriteString(z, `[{"id":"x","type":"FILE","action":"`)
		piece := strings.Repeat("x", 1<<20)
		for n := 0; n < size && err == nil; n += len(piece) {
			_, err = io.WriteString(z, piece)
		}
		_, _ = io.WriteString(z, `"}]`)
		_ = z.Close() // the relay may have gone away
	}
}

func emptyEntries(w http.ResponseWriter, r *http.Request) {
	if pageSize, err := url.QueryUnescape(r.URL.Query().Get("pageSize")); err != nil || pageSize == "" {
		http.Error(w, "not a search", http.StatusBadRequest)
		return
	}
	event := `{"id":"x","type":"FILE","indicator2":[{}` + strings.Repeat(",{}", 255) + `]}`
	_, err := io.WriteString(w, "["+event)
	for i := 1; i < 10_000 && err == nil; i++ {
		_, err = io.WriteString(w, ","+event)
	}
	_, _ = io.WriteString(w, "]")
}

func raceDetectorOn() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
