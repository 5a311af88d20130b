package auth

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNewNamesEveryMistake(t *testing.T) {
	_, err := New(Config{
		SecretKey: "short",
		SecretKeySecrets: []string{
			"relay-key", secretOne, "projects/p/locations/evil.example:/secrets/s",
		},
		JWKSHosts: []string{
			"https://visibility.amp.cisco.com", "Visibility.amp.cisco.com", "127.0.0.1", "none",
		},
		Audiences: []string{" "},
	})
	require.Error(t, err)
	assert.Equal(t, []string{
		"SECRET_KEY_SECRET: a name must read projects/P/secrets/S or " +
			"projects/P/locations/L/secrets/S, with or without /versions/V",
		"SECRET_KEY_SECRET: a name must read projects/P/secrets/S or " +
			"projects/P/locations/L/secrets/S, with or without /versions/V",
		"SECRET_KEY: the key has 5 bytes and must have at least 32",
		`JWKS_HOSTS: "https://visibility.amp.cisco.com" must be a host name in lower case, without scheme, port and path, or none alone`,
		`JWKS_HOSTS: "Visibility.amp.cisco.com" must be a host name in lower case, without scheme, port and path, or none alone`,
		`JWKS_HOSTS: "127.0.0.1" must be a host name in lower case, without scheme, port and path, or none alone`,
		`JWKS_HOSTS: "none" must be a host name in lower case, without scheme, port and path, or none alone`,
		"JWT_AUDIENCE: an entry is empty",
	}, strings.Split(err.Error(), "\n"))
}

func TestNew(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config Config
		wrong  string // empty: nothing is
	}{
		{"the zero value has Cisco's keys", Config{}, ""},
		{"no key at all", Config{JWKSHosts: []string{"none"}}, "JWKS_HOSTS: is none and there is no SECRET_KEY"},
		{"HS256 only", Config{JWKSHosts: []string{"none"}, SecretKeyFile: "/secrets/key"}, ""},
		{
			"a secret that is there twice", Config{SecretKeySecrets: []string{secretOne, secretOne + "2", secretOne}},
			"SECRET_KEY_SECRET: " + secretOne + " is there twice",
		},
		{"a key of 32 bytes", Config{SecretKey: strings.Repeat("k", 32)}, ""},
		{
			"a key of 31 bytes and a line break", Config{SecretKey: strings.Repeat("k", 31) + "\n"},
			"SECRET_KEY: the key has 31 bytes",
		},
		{"a key of white space", Config{SecretKey: " "}, "SECRET_KEY: the key is empty"},
		{
			"a public key", Config{SecretKey: "-----BEGIN PUBLIC KEY-----\n" + strings.Repeat("x", 90)},
			"SECRET_KEY: the key is a PEM file",
		},
		{"a key with a line end", Config{SecretKey: strings.Repeat("k", 32) + "\r\n"}, ""},
		{
			"a key with two line ends", Config{SecretKey: strings.Repeat("k", 32) + "\n\n"},
			"SECRET_KEY: the key has white space around it",
		},
		{
			"a key behind a space", Config{SecretKey: " " + strings.Repeat("k", 32)},
			"SECRET_KEY: the key has white space around it",
		},
		{
			"a key behind a BOM", Config{SecretKey: "\ufeff" + strings.Repeat("k", 32)},
			"SECRET_KEY: the key begins with a byte order mark (BOM)",
		},
		{
			"a key in UTF-16", Config{SecretKey: "\xff\xfek\x00" + strings.Repeat("k\x00", 32)},
			"SECRET_KEY: the key begins with a byte order mark (BOM)",
		},
		{"an audience that is nothing", Config{Audiences: []string{"/"}}, "JWT_AUDIENCE: an entry is empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := New(tt.config)
			if tt.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.wrong)
			require.Nil(t, v)
		})
	}
}

// An entry of JWKS_HOSTS is a bare name: what a resolver or a URL could read otherwise is none.
func TestIsHost(t *testing.T) {
	for _, name := range []string{"visibility.amp.cisco.com", "localhost", "a_b.x-1.example", "127.0.0.1.example"} {
		assert.True(t, isHost(name), name)
	}
	for _, name := range []string{
		"", ".", "a..b", "a.example.", ".a.example", "A.example", "a.example:443", "u@a.example", "a.example/x",
		"https://a.example", "a.example?x", "a.example#x", `a.example\x`, "127.0.0.1", "[::1]", "::1", "2130706433",
		"0x7f.1", "0x7f000001", "a.example\n", " a.example", "visib\u0456lity.amp.cisco.com",
	} {
		assert.False(t, isHost(name), name)
	}
}

func TestParseSecretName(t *testing.T) {
	for _, tt := range []struct {
		name string
		want SecretName
	}{
		{"projects/p/secrets/s", SecretName{Parent: "projects/p/secrets/s"}},
		{"projects/p/secrets/s/versions/3", SecretName{Parent: "projects/p/secrets/s", Version: "3"}},
		{
			"projects/123/locations/europe-west3/secrets/Relay_key-1/versions/current",
			SecretName{
				Parent:   "projects/123/locations/europe-west3/secrets/Relay_key-1",
				Version:  "current",
				Endpoint: "secretmanager.europe-west3.rep.googleapis.com:443",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseSecretName(tt.name)
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
	for _, name := range []string{
		"", "s", "projects/p", "projects/p/secrets", "projects//secrets/s", "projects/p/secrets/",
		"secrets/s/projects/p",
		"projects/p/secrets/s/versions", "projects/p/secrets/s/versions/", "projects/p/secrets/s/versions/1/x",
		"projects/p/secrets/s/x/y",
		"projects/p/locations/l/secrets/s/versions/1:access", "projects/p/locations/l@evil/secrets/s",
		"projects/P/secrets/s",
		"projects/p/secrets/s s", "projects/p/projects/q/secrets/s",
		"//secretmanager.googleapis.com/projects/p/secrets/s",
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			_, err := ParseSecretName(name)
			require.Error(t, err)
		})
	}
}
