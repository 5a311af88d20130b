package auth

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"hash/crc32"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Marked secrets: none of them may show up anywhere.
const (
	canaryKey      = "canary-key-1-0123456789abcdef0123456789abcdef"
	canaryKey2     = "canary-key-2-0123456789abcdef0123456789abcdef"
	canaryPassword = "canary-password"
	canaryUser     = "canary-user"
)

const (
	relayURL  = "https://relay.example.com"
	jwksName  = "visibility.amp.cisco.com"
	secretOne = "projects/p/secrets/relay-key"
)

// The keys are expensive to make and never change.
var (
	rsaKey     = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) })
	foreignRSA = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) })
	shortRSA   = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(1024) })
)

func newRSA(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

type fields = map[string]any

// with returns the fields changed: a nil removes one.
func with(base fields, changes fields) fields {
	out := maps.Clone(base)
	for k, v := range changes {
		if out[k] = v; v == nil {
			delete(out, k)
		}
	}
	return out
}

func hsHeader() fields { return fields{"alg": "HS256", "typ": "JWT"} }
func rsHeader() fields { return fields{"alg": "RS256", "typ": "JWT", "kid": "k1"} }

func hsClaims() fields {
	return fields{"user": canaryUser, "pass": canaryPassword}
}

func rsClaims() fields {
	return fields{"user": canaryUser, "pass": canaryPassword, "jwks_host": jwksName, "aud": relayURL}
}

// encode turns fields, or JSON text as it is, into a segment.
func encode(part any) string {
	if text, ok := part.(string); ok {
		return base64.RawURLEncoding.EncodeToString([]byte(text))
	}
	data, err := json.Marshal(part)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

// signHS makes an HS256 JWT by hand, whatever its header says.
func signHS(key string, header, claims any) string {
	signed := encode(header) + "." + encode(claims)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// signRS makes an RS256 JWT by hand, whatever its header says.
func signRS(key *rsa.PrivateKey, header, claims any) string {
	signed := encode(header) + "." + encode(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// request is what XDR sends, with these Authorization headers.
func request(headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, relayURL+"/observe/observables", nil)
	for _, h := range headers {
		r.Header.Add("Authorization", h)
	}
	return r
}

func bearing(token string) *http.Request { return request("Bearer " + token) }

// clock is a clock that only a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// logs collects what a Verifier logs.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// authority signs the certificates of the TLS servers of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &authority{cert, key, pool}
}

func (a *authority) issue(t testing.TB, host string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// tlsHost is a TLS server on loopback that the name of a host leads to.
type tlsHost struct {
	addr  string
	conns atomic.Int64 // connections
	hits  atomic.Int64 // requests
}

func newTLSHost(t testing.TB, a *authority, name string, h http.Handler) *tlsHost {
	host := &tlsHost{}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host.hits.Add(1)
		h.ServeHTTP(w, r)
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{a.issue(t, name)}}
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			host.conns.Add(1)
		}
	}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	host.addr = srv.Listener.Addr().String()
	return host
}

// dialing leads the names to the hosts, and every other address nowhere.
func dialing(hosts map[string]*tlsHost) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		host := hosts[addr]
		if host == nil {
			return nil, &net.OpError{
				Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: addr, IsNotFound: true},
			}
		}
		return (&net.Dialer{}).DialContext(ctx, network, host.addr)
	}
}

// jwk is the public half of a key as it is published.
func jwk(kid string, key *rsa.PrivateKey) fields {
	return fields{
		"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256",
		"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
	}
}

// keySetHandler publishes keys that a test may change.
type keySetHandler struct {
	mu   sync.Mutex
	keys []fields
	next http.HandlerFunc // answers instead, when set
}

func (k *keySetHandler) publish(keys ...fields) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys = keys
}

func (k *keySetHandler) instead(f http.HandlerFunc) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.next = f
}

func (k *keySetHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	keys, next := k.keys, k.next
	k.mu.Unlock()
	switch {
	case next != nil:
		next(w, r)
	case r.Method != http.MethodGet || r.URL.String() != "/.well-known/jwks" || r.Host != jwksName:
		http.Error(w, "not what a relay requests: "+r.Method+" "+r.Host+r.URL.String(), http.StatusNotImplemented)
	default:
		_ = json.NewEncoder(w).Encode(fields{"keys": keys})
	}
}

// secretServer is Secret Manager's gRPC service in this process.
type secretServer struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer
	addr  string
	calls atomic.Int64
	conns atomic.Int64

	mu     sync.Mutex
	names  []string
	values map[string]string // by resource name
	answer func(ctx context.Context, name string, call int) (
		*version, error,
	)
}

func newSecretServer(t testing.TB) *secretServer {
	s := &secretServer{values: map[string]string{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.addr = listener.Addr().String()
	srv := grpc.NewServer()
	secretmanagerpb.RegisterSecretManagerServiceServer(srv, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(countingListener{listener, &s.conns})
	}()
	t.Cleanup(func() {
		srv.Stop()
		<-done
	})
	return s
}

// countingListener counts the connections that it accepts.
type countingListener struct {
	net.Listener
	conns *atomic.Int64
}

func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.conns.Add(1)
	}
	return conn, err
}

// put stores a value under a name with a version.
func (s *secretServer) put(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[name] = value
}

// respond makes the server answer by f; the first call is 1. Nil for the stored values.
func (s *secretServer) respond(f secretAnswer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
	s.calls.Store(0)
}

func (s *secretServer) AccessSecretVersion(
	ctx context.Context, req *secretmanagerpb.AccessSecretVersionRequest,
) (*version, error) {
	call := s.calls.Add(1)
	s.mu.Lock()
	s.names = append(s.names, req.GetName())
	value, answer := s.values[req.GetName()], s.answer
	s.mu.Unlock()
	if answer != nil {
		return answer(ctx, req.GetName(), int(call))
	}
	return soundAnswer(req.GetName(), value), nil
}

type (
	version      = secretmanagerpb.AccessSecretVersionResponse
	secretAnswer = func(ctx context.Context, name string, call int) (*version, error)
)

// soundAnswer is a sound answer.
func soundAnswer(name, value string) *version {
	sum := int64(crc32.Checksum([]byte(value), crc32.MakeTable(crc32.Castagnoli)))
	return &version{
		Name: strings.Replace(name, "/latest", "/7", 1),
		Payload: &secretmanagerpb.SecretPayload{
			Data: []byte(value), DataCrc32C: &sum,
		},
	}
}

// options make the real client talk to the server.
func (s *secretServer) options() []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(s.addr), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
}

// world is a relay's surroundings: every service that a Verifier could reach.
type world struct {
	clock   *clock
	logs    *logs
	secrets *secretServer
	keys    *keySetHandler
	jwks    *tlsHost // visibility.amp.cisco.com
	canary  *tlsHost // must never be reached
	config  Config   // both algorithms, with keys of Secret Manager and JWKS
}

func newWorld(t testing.TB) *world {
	w := &world{clock: newClock(), logs: &logs{}, secrets: newSecretServer(t), keys: &keySetHandler{}}
	ca := newAuthority(t)
	w.keys.publish(jwk("k1", rsaKey()))
	w.jwks = newTLSHost(t, ca, jwksName, w.keys)
	w.canary = newTLSHost(t, ca, "canary.example.com", http.NotFoundHandler())
	w.secrets.put(secretOne+"/versions/latest", canaryKey)
	w.config = Config{
		SecretKeySecrets: []string{secretOne},
		Logger:           w.logs.logger(),
		Now:              w.clock.Now,
		JWKSRootCAs:      ca.pool,
		JWKSDialContext: dialing(
			map[string]*tlsHost{
				jwksName + ":443": w.jwks, "canary.example.com:443": w.canary, w.canary.addr: w.canary,
			},
		),
		SecretManagerOptions: w.secrets.options(),
	}
	t.Cleanup(func() { requireNoCanary(t, w.logs.String()) })
	return w
}

// verifier makes one that is closed at the end of the test.
func (w *world) verifier(t testing.TB, c Config) *Verifier {
	v, err := New(c)
	require.NoError(t, err)
	return v
}

// requireNoCanary looks for marked secrets.
func requireNoCanary(t testing.TB, text string) {
	t.Helper()
	for _, canary := range []string{canaryKey, canaryKey2, canaryPassword, canaryUser} {
		require.NotContains(t, text, canary)
	}
}

// requireRefused expects the refusal with exactly this message.
func requireRefused(t testing.TB, err error, message string) {
	t.Helper()
	var refused *Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "Authorization failed: "+message, refused.Message)
	require.NotErrorIs(t, err, ErrKeyUnavailable)
}
