package qualystest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Op is a kind of call.
type Op string

// The kinds of calls.
const (
	Login  Op = "login"
	Search Op = "search"
	Count  Op = "count"

	SearchAfter Op = "searchAfter" // GET /events/searchAfter, by the parameters that are documented
)

// State is a dataset that a search or a count is for.
type State int

// The datasets.
const (
	AnyState     State = iota
	CurrentState       // state=true
	HistoryState       // no state
)

// Fault says what shall happen, to which calls, and how often. A field that is zero leaves it open.
type Fault struct {
	On       Op
	State    State
	Contains string // the query contains this text: the fault is one of a value
	User     string
	Nth      int // the first of these calls that it happens to, from 1
	Times    int // to how many of them in a row; 0: from there on always
	Do       Behaviour
}

// Once is Times for a fault that goes away by itself.
const Once = 1

type fault struct {
	Fault
	seen int
}

// Inject adds a fault; of several that fit a call the first one added applies. The returned function takes
// it away again.
func (s *Server) Inject(f Fault) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := &fault{Fault: f}
	s.faults = append(s.faults, held)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = slices.DeleteFunc(s.faults, func(f *fault) bool { return f == held })
	}
}

// fault returns what shall happen to the request, nil for nothing. It is called with s.mu held.
func (s *Server) fault(r Request) *Behaviour {
	for _, f := range s.faults {
		if f.On != "" && f.On != r.Op || f.User != "" && f.User != r.User ||
			!strings.Contains(r.Filter, f.Contains) {
			continue
		}
		if f.State != AnyState && (r.Op == Login || r.Current != (f.State == CurrentState)) {
			continue
		}
		f.seen++
		first := max(f.Nth, 1)
		if f.seen >= first && (f.Times == 0 || f.seen < first+f.Times) {
			return &f.Do
		}
	}
	return nil
}

// Behaviour is what a fault does to a call.
type Behaviour struct {
	name string
	run  func(*exchange)
}

// String names the behaviour, for the name of a test.
func (b Behaviour) String() string { return b.name }

// exchange is one call that a fault happens to.
type exchange struct {
	s      *Server
	w      http.ResponseWriter
	r      *http.Request
	normal func(http.ResponseWriter)
}

// hang waits until the client goes away or the server closes.
func (x *exchange) hang() {
	select {
	case <-x.r.Context().Done():
	case <-x.s.closing:
	}
}

// sleep waits for so long, and returns false where the client or the server has gone before.
func (x *exchange) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.r.Context().Done():
	case <-x.s.closing:
	}
	return false
}

// abort ends the connection in the middle of the answer.
func (x *exchange) abort() { panic(http.ErrAbortHandler) }

// start sends the header and the beginning of a body.
func (x *exchange) start(body string) {
	x.w.Header().Set("Content-Type", "application/json")
	x.w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(x.w, body)
	_ = http.NewResponseController(x.w).Flush()
}

// Status answers with a status, a body, and headers in pairs of a name and a value.
func Status(code int, body string, headers ...string) Behaviour {
	return Behaviour{"status " + strconv.Itoa(code), func(x *exchange) {
		for i := 0; i+1 < len(headers); i += 2 {
			x.w.Header().Set(headers[i], headers[i+1])
		}
		x.w.WriteHeader(code)
		_, _ = io.WriteString(x.w, body)
	}}
}

// body200 answers 200 with a JSON body.
func body200(name, body string) Behaviour {
	b := Status(http.StatusOK, body, "Content-Type", "application/json")
	b.name = name
	return b
}

// Empty answers 200 with nothing.
func Empty() Behaviour { return body200("empty", "") }

// Null answers null.
func Null() Behaviour { return body200("null", "null") }

// Object answers with an object in place of the list.
func Object() Behaviour {
	return body200("object", `{"events":[],"message":"this is not the list that was asked for"}`)
}

// HTML answers 200 with a maintenance page.
func HTML() Behaviour {
	b := Status(http.StatusOK, "<!DOCTYPE html>\n"+
		"<html><head><title>Maintenance</title><style>p { color: red }</style></head>\n"+
		"<body><p>The platform is down for <b>maintenance</b> &amp; will be back soon.</p></body></html>\n",
		"Content-Type", "text/html")
	b.name = "HTML"
	return b
}

// Redirect answers 302.
func Redirect(to string) Behaviour {
	b := Status(http.StatusFound, "", "Location", to)
	b.name = "redirect"
	return b
}

// OddElements puts elements that are no events, and events of odd fields, before the events of the real
// answer.
func OddElements() Behaviour {
	return Behaviour{"odd elements", func(x *exchange) {
		answer := x.record()
		x.start(`[null,7,"text",true,[],[null,{"id":"in a list"}],` +
			`{"id":null,"type":7,"dateTime":{},"score":[],"indicator2":[null,"x",{"verdict":null}],"file":null,` +
			`"asset":{"interfaces":[null,3]}}`)
		if events := bytes.TrimPrefix(answer, []byte("[")); len(events) > 1 {
			_, _ = io.WriteString(x.w, ",")
			_, _ = x.w.Write(events)
		} else {
			_, _ = io.WriteString(x.w, "]")
		}
	}}
}

// record returns the body of the real answer.
func (x *exchange) record() []byte {
	rec := recorder{header: make(http.Header)}
	x.normal(&rec)
	return rec.body
}

type recorder struct {
	header http.Header
	body   []byte
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(int)     {}
func (r *recorder) Write(b []byte) (int, error) {
	r.body = append(r.body, b...)
	return len(b), nil
}

// Truncated announces the real answer, and ends the connection halfway.
func Truncated() Behaviour {
	return Behaviour{"truncated", func(x *exchange) {
		answer := x.record()
		x.w.Header().Set("Content-Length", strconv.Itoa(len(answer)+1))
		x.start(string(answer[:len(answer)/2]))
		x.abort()
	}}
}

// Reset resets the connection in place of an answer. Go's transport by itself sends a GET again that was
// reset on a connection which had served before: the server sees that one twice.
func Reset() Behaviour {
	return Behaviour{"reset", func(x *exchange) {
		conn, _, err := http.NewResponseController(x.w).Hijack()
		if err != nil { // HTTP/2: the stream is reset
			x.abort()
		}
		if inner, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
			conn = inner.NetConn()
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // close with RST
		}
		_ = conn.Close()
	}}
}

// NotHTTP answers with something else than HTTP. It needs HTTP/1.
func NotHTTP() Behaviour {
	return Behaviour{"not HTTP", func(x *exchange) {
		conn, _, err := http.NewResponseController(x.w).Hijack()
		if err != nil {
			x.abort()
		}
		_, _ = io.WriteString(conn, "220 mail.example ESMTP\r\n\r\n")
		_ = conn.Close()
	}}
}

// HangBeforeHeader never answers.
func HangBeforeHeader() Behaviour {
	return Behaviour{"hang before the header", func(x *exchange) {
		x.hang()
		x.abort()
	}}
}

// HangInBody sends the beginning of a list and no more.
func HangInBody() Behaviour {
	return Behaviour{"hang in the body", func(x *exchange) {
		x.start(`[{"id":"F_`)
		x.hang()
		x.abort()
	}}
}

// Drip sends a list whose spaces come one by one, at such intervals, and never end.
func Drip(interval time.Duration) Behaviour {
	return Behaviour{"a byte at a time", func(x *exchange) {
		x.start("[")
		for x.sleep(interval) {
			if _, err := io.WriteString(x.w, " "); err != nil {
				break
			}
			_ = http.NewResponseController(x.w).Flush()
		}
		x.abort()
	}}
}

// Huge sends a list of events of so many bytes, without holding it in memory.
func Huge(size int64) Behaviour {
	return Behaviour{"huge body", func(x *exchange) {
		e := File(`C:\huge\again.bin`, "", "").JSON()
		block := bytes.Repeat(append(e, ','), 64)
		x.start("[")
		for sent := int64(0); sent < size; sent += int64(len(block)) {
			if _, err := x.w.Write(block); err != nil {
				return
			}
		}
		_, _ = io.WriteString(x.w, "{}]")
	}}
}

// list sends a list of n copies of an event without holding it in memory; n < 0: without end.
func (x *exchange) list(w io.Writer, event []byte, n int) {
	_, _ = io.WriteString(w, "[")
	for i := 0; i != n; i++ {
		if i > 0 {
			_, _ = io.WriteString(w, ",")
		}
		if _, err := w.Write(event); err != nil || x.gone() {
			return
		}
	}
	_, _ = io.WriteString(w, "]")
}

func (x *exchange) gone() bool { return x.r.Context().Err() != nil }

// Endless sends events without end.
func Endless() Behaviour {
	return Behaviour{"endless list", func(x *exchange) {
		x.start("")
		x.list(x.w, File(`C:\endless\again.bin`, "", "").JSON(), -1)
	}}
}

// EndlessText sends an event with a text that never ends, packed where the client takes gzip: a megabyte
// on the wire becomes a gigabyte.
func EndlessText() Behaviour {
	return Behaviour{"endless text", func(x *exchange) {
		w := io.Writer(x.w)
		if strings.Contains(x.r.Header.Get("Accept-Encoding"), "gzip") {
			x.w.Header().Set("Content-Encoding", "gzip")
			zip := gzip.NewWriter(x.w)
			defer func() { _ = zip.Close() }()
			w = zip
		}
		block := bytes.Repeat([]byte("A"), 64<<10)
		_, err := io.WriteString(w, `[{"id":"P_1","type":"PROCESS","process":{"arguments":"`)
		for err == nil && !x.gone() {
			_, err = w.Write(block)
		}
	}}
}

// Heavy sends so many events with command lines of so many bytes.
func Heavy(events, commandLine int) Behaviour {
	return Behaviour{"heavy events", func(x *exchange) {
		x.start("")
		x.list(x.w, Process(`C:\heavy.exe`, strings.Repeat("a", commandLine), "").JSON(), events)
	}}
}

// EmptyEntries sends so many events, each of so many empty entries.
func EmptyEntries(events, entries int) Behaviour {
	return Behaviour{"empty entries", func(x *exchange) {
		x.start("")
		x.list(x.w, []byte(`{"id":"F_1","indicator2":[{}`+strings.Repeat(",{}", entries-1)+`]}`), events)
	}}
}

// Wrapped gives the real answer the way the FIM API's second version lists events:
// {"sortValues":[…],"data":{event}}, and the list itself as the member of an object where a name is given
// ("data", "events").
func Wrapped(list string) Behaviour {
	return Behaviour{"wrapped " + list, func(x *exchange) {
		var events []json.RawMessage
		_ = json.Unmarshal(x.record(), &events) // our own list
		type hit struct {
			SortValues []int           `json:"sortValues"`
			Data       json.RawMessage `json:"data"`
		}
		hits := make([]hit, len(events))
		for i, e := range events {
			hits[i] = hit{[]int{i}, e}
		}
		if list == "" {
			writeJSON(x.w, http.StatusOK, hits)
			return
		}
		writeJSON(x.w, http.StatusOK, map[string]any{list: hits, "count": len(hits)})
	}}
}

// TokenAs answers a login with a form of the token that the server then takes, without quotes around it:
// an opaque one, one of five parts.
func TokenAs(form func(jwt string) string) Behaviour {
	return Behaviour{"token in another form", func(x *exchange) {
		user := x.r.PostForm.Get("username")
		text := form(x.s.IssueToken(user))
		x.s.accept(strings.Trim(text, `"`), user)
		x.w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(x.w, text)
	}}
}

// simpleReturn answers in the XML of Qualys's older APIs, as graph-qualys recorded it.
func simpleReturn(status, code int, text, key, value string, headers ...string) Behaviour {
	items := ""
	if key != "" {
		items = "<ITEM_LIST><ITEM><KEY>" + key + "</KEY><VALUE>" + value + "</VALUE></ITEM></ITEM_LIST>"
	}
	b := Status(status, fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8" ?>
<!DOCTYPE SIMPLE_RETURN SYSTEM "https://qualysapi.example/api/2.0/simple_return.dtd">
<SIMPLE_RETURN>
  <RESPONSE><DATETIME>2026-03-17T18:29:09Z</DATETIME><CODE>%d</CODE><TEXT>%s</TEXT>%s</RESPONSE>
</SIMPLE_RETURN>
`, code, text, items), append([]string{"Content-Type", "text/xml"}, headers...)...)
	b.name = fmt.Sprintf("%d with code %d", status, code)
	return b
}

// TooManyCalls answers 409 with code 1960: other calls have to finish first.
func TooManyCalls(toFinish int) Behaviour {
	n := strconv.Itoa(toFinish)
	text := "This API cannot be run again until " + n + " currently running API instance has finished."
	return simpleReturn(http.StatusConflict, 1960, text, "CALLS_TO_FINISH", n)
}

// LimitReached answers 409 with code 1965 and the headers of a rate limit.
func LimitReached(seconds int) Behaviour {
	n := strconv.Itoa(seconds)
	text := "This API cannot be run again for another " + n + " seconds."
	return simpleReturn(http.StatusConflict, 1965, text, "SECONDS_TO_WAIT", n,
		"X-RateLimit-Limit", "300", "X-RateLimit-Remaining", "0")
}

// NotRegistered answers 409 with code 2003: the account may not use the API yet.
func NotRegistered() Behaviour {
	return simpleReturn(http.StatusConflict, 2003,
		"Registration must be completed before API requests will be served for this account", "", "")
}

// SecureID answers 409 with code 2011: the account needs a second factor.
func SecureID() Behaviour {
	return simpleReturn(http.StatusConflict, 2011,
		"SecureID authentication is required for this account, so API access is blocked", "", "")
}

// AccountExpired answers 200 with code 2001.
func AccountExpired() Behaviour {
	return simpleReturn(http.StatusOK, 2001, "This account has expired.", "", "")
}

// InvalidCredentials answers 200 with the XML of QPS.
func InvalidCredentials() Behaviour {
	b := Status(http.StatusOK, `<?xml version="1.0" encoding="UTF-8"?>
<ServiceResponse xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <responseCode>INVALID_CREDENTIALS</responseCode>
  <responseErrorDetails>
    <errorMessage>Authentication failed</errorMessage>
    <errorResolution>Verify both, user and password credentials.</errorResolution>
  </responseErrorDetails>
</ServiceResponse>`, "Content-Type", "application/xml")
	b.name = "200 with INVALID_CREDENTIALS"
	return b
}

// Slow gives the real answer, later.
func Slow(d time.Duration) Behaviour {
	return Behaviour{"slow", func(x *exchange) {
		if !x.sleep(d) {
			x.abort()
		}
		x.normal(x.w)
	}}
}

// Hold gives the real answer when the channel is closed (or sends).
func Hold(until <-chan struct{}) Behaviour {
	return Behaviour{"held", func(x *exchange) {
		select {
		case <-until:
			x.normal(x.w)
		case <-x.r.Context().Done():
			x.abort()
		case <-x.s.closing:
			x.abort()
		}
	}}
}

// DeadURL returns the URL of a gateway where nobody listens, so that connections are refused.
func DeadURL(tb TB) string {
	tb.Helper()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("qualystest: %v", err)
		return ""
	}
	_ = listener.Close()
	return "http://" + listener.Addr().String()
}
