package qualys

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNetworkErrors(t *testing.T) {
	const broken = "net/http: HTTP/1.x transport connection broken: "
	tests := []struct {
		name    string
		err     error
		kind    Kind
		message string
	}{
		{"refused", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, KindConnect,
			"dial tcp: connect: connection refused"},
		{"connect timeout", &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}, KindConnect, "dial tcp: i/o timeout"},
		{"unknown host", &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "gateway.example", IsNotFound: true}}, KindConnect,
			"dial tcp: lookup gateway.example: no such host"},
		{"a host whose name is like another failure", &net.DNSError{Err: "no such host", Name: "malformed.example"}, KindConnect,
			"lookup malformed.example: no such host"},
		{"DNS timeout", &net.DNSError{Err: "i/o timeout", Name: "gateway.example", IsTimeout: true}, KindConnect, "lookup gateway.example: i/o timeout"},
		{"proxy", &net.OpError{Op: "proxyconnect", Net: "tcp", Err: errors.New("refused")}, KindConnect, "proxyconnect tcp: refused"},
		{"TLS handshake timeout", errors.New("net/http: TLS handshake timeout"), KindConnect, "net/http: TLS handshake timeout"},
		{"expired certificate", &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired, Detail: "since 2025"}}, KindTLS,
			"tls: failed to verify certificate: x509: certificate has expired or is not yet valid: since 2025"},
		{"TLS alert", &net.OpError{Op: "remote error", Err: errors.New("tls: handshake failure")}, KindTLS, "remote error: tls: handshake failure"},
		{"reset", &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, KindReset, "read tcp: read: connection reset by peer"},
		{"broken pipe", &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}, KindReset, "write tcp: write: broken pipe"},
		{"closed", io.EOF, KindReset, "EOF"},
		{"HTTP/2", errors.New("http2: client connection lost"), KindReset, "http2: client connection lost"},
		{"idle", errors.New("http: server closed idle connection"), KindReset, "http: server closed idle connection"},
		{"a neighbour's end", fmt.Errorf("roundtrip: %w", context.Canceled), KindReset, "the connection was closed by another call's end"},
		{"anything else", errors.New(`malformed HTTP response "220 <b>mail</b>"`), KindUnexpected, `malformed HTTP response "220 mail "`},
		{"too large a header", errors.New("net/http: server response headers exceeded 65536 bytes; aborted"), KindUnexpected,
			"net/http: server response headers exceeded 65536 bytes; aborted"},
		{"no valid HTTP", errors.New(broken + `bad Content-Length "abc"`), KindUnexpected, broken + `bad Content-Length "abc"`},
		{"cut in the header", fmt.Errorf(broken+"%w", io.ErrUnexpectedEOF), KindReset, broken + "unexpected EOF"},
		{"reset in the header", fmt.Errorf(broken+"%w", &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}), KindReset,
			broken + "read tcp: connection reset by peer"},
		{"a version of TLS", errors.New("tls: server selected unsupported protocol version 301"), KindTLS,
			"tls: server selected unsupported protocol version 301"},
		{"nothing to say", errors.New(""), KindReset, "connection failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, err := range []error{tt.err, fmt.Errorf("%w", tt.err)} {
				e := (&answer{request: request{op: OpEvents}, ctx: t.Context()}).failure(err)
				assert.Equal(t, tt.kind, e.Kind)
				assert.Equal(t, tt.message, e.Message)
				assert.Equal(t, tt.kind == KindReset, e.Transient())
			}
		})
	}
}

func TestRateLimitHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC()
		tests := []struct {
			name    string
			headers []string
			want    RateLimits
		}{
			{"none", nil, RateLimits{Remaining: -1}},
			{"all", []string{"X-RateLimit-Limit", "300", "X-RateLimit-Remaining", "12", "X-RateLimit-Window-Sec", "3600", "X-RateLimit-ToWait-Sec", "7",
				"X-ConcurrencyLimit-Limit", "2"}, RateLimits{Limit: 300, Remaining: 12, Window: time.Hour, Wait: 7 * time.Second, Concurrency: 2, Known: true}},
			{"the other spelling", []string{"X-Concurrency-Limit-Limit", " 4 "}, RateLimits{Remaining: -1, Concurrency: 4, Known: true}},
			{"nothing left", []string{"X-RateLimit-Remaining", "0"}, RateLimits{Known: true}},
			{"Retry-After in seconds", []string{"Retry-After", "2"}, RateLimits{Remaining: -1, Wait: 2 * time.Second, Known: true}},
			{"Retry-After as a date", []string{"Retry-After", now.Add(9 * time.Second).Format(http.TimeFormat)}, RateLimits{Remaining: -1}},
			{"the longer wait counts", []string{"Retry-After", "2", "X-RateLimit-ToWait-Sec", "5"}, RateLimits{Remaining: -1, Wait: 5 * time.Second, Known: true}},
			{"a fraction", []string{"Retry-After", "0.25"}, RateLimits{Remaining: -1, Wait: 250 * time.Millisecond, Known: true}},
			{"zero", []string{"X-RateLimit-ToWait-Sec", "0"}, RateLimits{Remaining: -1, Known: true}},
			{"absurd", []string{"Retry-After", "1e300"}, RateLimits{Remaining: -1, Wait: 7 * 24 * time.Hour, Known: true}},
			{"words", []string{"Retry-After", "soon", "X-RateLimit-Limit", "many", "X-RateLimit-Remaining", "-1", "X-RateLimit-ToWait-Sec", "NaN"},
				RateLimits{Remaining: -1}},
		}
		for _, tt := range tests {
			h := make(http.Header)
			for i := 0; i < len(tt.headers); i += 2 {
				h.Set(tt.headers[i], tt.headers[i+1])
			}
			assert.Equal(t, tt.want, LimitsOf(h), tt.name)
		}
	})
}

func TestReason(t *testing.T) {
	long := strings.Repeat("word ", 100)
	tests := []struct{ name, body, want string }{
		{"empty", "", ""},
		{"exceptions of a login", `{"authentication_exceptions":["InvalidCredentialsException"]}`, "InvalidCredentialsException"},
		{"message", `{"errorCode":7,"message":" No  such\ntoken "}`, "No such token"},
		{"_error as a string", `{"_error":"no"}`, "no"},
		{"_error as an object", `{"_error":{"code":5,"message":"no"}}`, "no"},
		{"error with a description", `{"error":"invalid_request","error_description":"no user"}`, "no user"},
		{"a list of them", `[{"message":"a"},{"message":"b"}]`, "a, b"},
		{"a string", `"no"`, "no"},
		{"JSON without a reason", `{"code":5}`, `{"code":5}`},
		{"message of another type", `{"message":5}`, `{"message":5}`},
		{"broken JSON", `{"message":"no`, `{"message":"no`},
		{"plain text", "  too\tmany\r\n\r\nrequests ", "too many requests"},
		{"HTML", "<html><head><style>p{}</style><script>alert('x<y')</script></head><body><!-- a > b --><p class=\"a\">Service&nbsp;down</p><br/>sorry", "Service down sorry"},
		{"escaped HTML", "&lt;script&gt;alert(1)&lt;/script&gt;no", "no"},
		{"an open tag", "no <script", "no"},
		{"no tags", "a < b and c <3 d", "a < b and c <3 d"},
		{"control characters", "a\x00b\x1b[31mc\u202ed\u200be\x7f", "a b [31mcde"},
		{"not UTF-8", "a\xffb", "a\ufffdb"},
		{"long", long, long[:299] + "…"},
		{"long in other letters", strings.Repeat("ü", 400), strings.Repeat("ü", 299) + "…"},
		{"a secret", "user hunter2 failed", ""},
		{"parts of a secret", "two biscuits with tea", "two biscuits with tea"},
		{"a secret, encoded", "password=tea%262%2Bbiscuits", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, plain(parseReply([]byte(tt.body)).text, "hunter2", "tea&2+biscuits", ""))
		})
	}
}

func FuzzReason(f *testing.F) {
	for _, s := range []string{"", "<p>hunter2</p>", `{"message":"hunter2"}`, "<scr<b>ipt>", "&lt;hunter&#50;", "hun<b>ter2", "\xff\u202e", `{"_error":[["hunter2"]]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got := plain(parseReply(body).text, "hunter2")
		assert.True(t, utf8.ValidString(got))
		assert.LessOrEqual(t, utf8.RuneCountInString(got), 300)
		assert.NotContains(t, got, "hunter2")
		assert.False(t, strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r == 0x7f }))
		assert.Equal(t, strings.TrimSpace(got), got)
		assert.NotContains(t, strings.ToLower(got), "<script")
	})
}

func TestANeighboursEndInTheBodyIsAReset(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	defer s.Close()
	c := NewClient(Options{})
	defer c.Close()
	err := c.exchange(t.Context(), request{op: OpEvents, url: s.URL, header: make(http.Header)}, func(*answer) error {
		return fmt.Errorf("read: %w", context.Canceled)
	})
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, KindReset, e.Kind)
	assert.True(t, e.Transient())
	require.NotErrorIs(t, err, context.Canceled)
}

// endless is a body that goes on for ever, and counts what was read of it.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, strings.Repeat(`{"id":"x"},`, len(p)/11+1))
	e.read += int64(n)
	return n, nil
}

// A gzip bomb is such a body: what Read gives is unpacked already.
func TestNoMoreOfABodyIsReadThanItsLimitAllows(t *testing.T) {
	for name, begin := range map[string]string{"a list": "[", "an object": `{"x":[`, "a text": `"`} {
		t.Run(name, func(t *testing.T) {
			body := new(endless)
			a := &answer{
				request: request{op: OpEvents}, ctx: t.Context(),
				status: 200, body: io.MultiReader(strings.NewReader(begin), body), grant: new(grant),
			}
			_, err := a.events(1000)
			require.Error(t, err)
			assert.LessOrEqual(t, body.read, int64(maxWire)+64<<10)
		})
	}
}
