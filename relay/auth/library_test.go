package auth

import (
	"crypto"
	"crypto/rsa"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// Each of these tokens is well signed and accepted by golang-jwt, with the options that the package uses.
// They are the reason for each check of the package's own: where one is no longer let through, that check
// can go.
func TestWhatLibrariesLetThrough(t *testing.T) {
	w := newWorld(t)
	c := w.config
	c.SecretKey = canaryKey
	v := w.verifier(t, c)
	header := func(changes fields) string { return signHS(canaryKey, with(hsHeader(), changes), hsClaims()) }
	claims := func(changes fields) string { return signHS(canaryKey, hsHeader(), with(hsClaims(), changes)) }
	text := func(header, payload string) string { return signHS(canaryKey, header, payload) }
	const (
		hs   = `{"alg":"HS256"}`
		user = `"user":"u","pass":"p"`
	)
	for name, token := range map[string]string{
		"a header parameter twice":           text(`{"alg":"none","alg":"HS256"}`, `{`+user+`}`),
		"a claim twice":                      text(hs, `{`+user+`,"user":"other"}`),
		"a claim twice in two spellings":     text(hs, `{`+user+`,"us\u0065r":"other"}`),
		"a header that is no UTF-8":          text("{\"alg\":\"HS256\",\"x\":\"\xff\"}", `{`+user+`}`),
		"a payload that is no UTF-8":         text(hs, "{"+user+",\"x\":\"\xff\"}"),
		"jku":                                header(fields{"jku": "https://evil.example/jwks"}),
		"jwk":                                header(fields{"jwk": jwk("k", foreignRSA())}),
		"x5u":                                header(fields{"x5u": "https://evil.example/cert"}),
		"x5c":                                header(fields{"x5c": []string{"MIIB"}}),
		"crit":                               header(fields{"crit": []string{"exp"}, "exp": 1}),
		"a kid that is a number":             header(fields{"kid": 1}),
		"expired in 1970":                    claims(fields{"exp": 0}),
		"expires after the year 9999":        claims(fields{"exp": 1e15}),
		"an audience where none is demanded": claims(fields{"aud": "https://other.example.com"}),
		"a token of 1 MiB":                   claims(fields{"x": strings.Repeat("x", 1<<20)}),
	} {
		t.Run(name, func(t *testing.T) {
			parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256", "RS256"}), jwt.WithStrictDecoding(),
				jwt.WithLeeway(leeway), jwt.WithIssuedAt(), jwt.WithTimeFunc(w.clock.Now))
			_, err := parser.Parse(token, func(*jwt.Token) (any, error) { return []byte(canaryKey), nil })
			require.NoError(t, err, "golang-jwt")

			_, err = v.Verify(t.Context(), bearing(token))
			require.ErrorAs(t, err, new(*Error))
		})
	}
	t.Run("a key of 1024 bits", func(t *testing.T) { // refused in parseKeySet
		key := shortRSA().Public()
		token := signRS(shortRSA(), rsHeader(), rsClaims())
		_, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return key, nil })
		require.NoError(t, err)
	})
	t.Run("an empty shared secret", func(t *testing.T) { // refused in ParseKey
		token := signHS("", hsHeader(), hsClaims())
		_, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return []byte{}, nil })
		require.NoError(t, err)
	})
	// Exponents that parseKeySet need not look at, since crypto/rsa refuses to verify with them.
	for name, exponent := range map[string]int{"even": 65536, "long": 1<<40 + 1} {
		t.Run("not "+name+" exponents", func(t *testing.T) {
			key := &rsa.PublicKey{N: rsaKey().N, E: exponent}
			err := rsa.VerifyPKCS1v15(key, crypto.SHA256, make([]byte, 32), make([]byte, 256))
			require.ErrorContains(t, err, "public exponent")
		})
	}
}
