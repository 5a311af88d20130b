package auth

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"unicode"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fuzzed is a Verifier with both algorithms, whose JWKS hosts cannot be reached.
func fuzzed(f *testing.F) *Verifier {
	v, err := New(Config{
		SecretKey: canaryKey, Now: newClock().Now,
		JWKSDialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no network here")
		},
	})
	require.NoError(f, err)
	return v
}

// checkAnswer holds what is true of every answer, whatever the request was.
func checkAnswer(t *testing.T, claims Claims, err error) {
	if err != nil {
		var refused *Error
		require.ErrorAs(t, err, &refused)
		assert.True(t, strings.HasPrefix(refused.Message, "Authorization failed: "))
		assert.Less(t, len(refused.Message), 300)
		for _, r := range refused.Message {
			require.True(t, r < unicode.MaxASCII && unicode.IsPrint(r), "%q in a message", r)
		}
		requireNoCanary(t, refused.Message)
		require.Equal(t, Claims{}, claims, "claims beside an error")
		return
	}
	assert.NotEmpty(t, claims.User)
	assert.NotEmpty(t, claims.Password)
	for _, name := range []string{"API_URL", "PLATFORM_URL", "CTR_ENTITIES_LIMIT"} {
		value, ok, err := claims.Setting(name)
		assert.Equal(t, ok, value != "")
		assert.Equal(t, strings.TrimSpace(value), value)
		if err != nil {
			assert.ErrorAs(t, err, new(*Error))
			assert.False(t, ok)
		}
	}
}

// FuzzHeader: whatever the Authorization header is, a token is accepted only if
// the library alone, held to HS256, accepts it too.
func FuzzHeader(f *testing.F) {
	v := fuzzed(f)
	good := signHS(canaryKey, hsHeader(), hsClaims())
	for _, seed := range []string{
		"", "Bearer", "Bearer ", "Basic dTpw", "Bearer " + good, "bearer  " + good + " ",
		"Bearer " + good + " x", good,
		"Bearer a.b.c", "Bearer ..", "Bearer " + strings.ToUpper(good), "Bearer " + good[:len(good)-1],
		"Bearer " + encode(fields{"alg": "none"}) + "." + encode(hsClaims()) + ".",
	} {
		f.Add(seed)
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithStrictDecoding(),
		jwt.WithLeeway(leeway), jwt.WithTimeFunc(v.now), jwt.WithIssuedAt())
	f.Fuzz(func(t *testing.T, header string) {
		claims, err := v.Verify(t.Context(), request(header))
		checkAnswer(t, claims, err)
		if err == nil {
			words := strings.Fields(header)
			token := words[len(words)-1]
			_, err := parser.Parse(token, func(*jwt.Token) (any, error) { return []byte(canaryKey), nil })
			require.NoError(t, err)
		}
	})
}

// FuzzToken: header and payload are anything at all, well signed.
func FuzzToken(f *testing.F) {
	v := fuzzed(f)
	const user = `"user":"u","pass":"p"`
	for _, payload := range []string{
		`{` + user + `}`, `{` + user + `,"API_URL":"https://gateway.qg2.apps.qualys.eu/"}`,
		`{` + user + `,"API_URL":"https://127.0.0.1"}`,
		`{` + user + `,"PLATFORM_URL":"https://ui.example/x/"}`,
		`{` + user + `,"CTR_ENTITIES_LIMIT":"20"}`, `{` + user + `,"CTR_ENTITIES_LIMIT":1e3}`,
		`{` + user + `,"exp":1e10,"nbf":0,"iat":1.5}`, `{` + user + `,"exp":1}`,
		`{` + user + `,"aud":"everyone"}`, `{` + user + `,"user":"x"}`,
		`{` + user + `,"jwks_host":"visibility.amp.cisco.com","aud":"https://relay.example.com"}`,
		`{"user":null}`, `[]`, `{`, ``,
	} {
		f.Add(`{"alg":"HS256"}`, payload)
	}
	for _, header := range []string{
		`{"alg":"RS256","kid":"k"}`, `{"alg":"none"}`, `{"alg":"HS256","crit":[]}`, `{"alg":1}`,
		`{"alg":"HS256","alg":"HS256"}`, `{}`, ``,
	} {
		f.Add(header, `{`+user+`,"jwks_host":"visibility.amp.cisco.com","aud":"https://relay.example.com"}`)
	}
	f.Fuzz(func(t *testing.T, header, payload string) {
		claims, err := v.Verify(t.Context(), bearing(signHS(canaryKey, header, payload)))
		checkAnswer(t, claims, err)
	})
}

// A read that panics is a failed read: it neither ends the process nor leaves its waiters behind, and the
// value of the panic is not repeated.
func TestReadThatPanicsFails(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(t, w.config)
	panicking := func(context.Context) ([]key, error) { panic(canaryKey) }
	v.secrets[0].read = panicking
	for range 2 {
		_, err := v.Verify(t.Context(), hsToken(canaryKey))
		require.ErrorIs(t, err, ErrKeyUnavailable)
		require.ErrorContains(t, err, "panic while reading a key: string")
		requireNoCanary(t, err.Error())
	}
	assert.Equal(t, 1, strings.Count(w.logs.String(), "panic while reading a key: string"), "read once")

	v.hosts[jwksName].read = panicking
	_, err := v.Verify(t.Context(), rsToken())
	requireRefused(t, err, msgWrongJWKSHost+": visibility.amp.cisco.com did not answer with a key set")
	assert.Equal(t, 2, strings.Count(w.logs.String(), "panic while reading a key: string"))
}
