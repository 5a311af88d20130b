package auth

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestValidateNamesEveryMistake(t *testing.T) {
	err := Config{
		SecretKey:        "short",
		SecretKeySecrets: []string{"relay-key", secretOne, secretOne, "projects/p/locations/evil.example:/secrets/s"},
		JWKSHosts:        []string{"https://visibility.amp.cisco.com", "Visibility.amp.cisco.com", "127.0.0.1", "none"},
		Audiences:        []string{" "},
		APIHosts:         []string{"https://gateway.example", "Gateway.example", "gateway.example/", "u:p@gateway.example", ""},
		APIURL:           "http://gateway.example",
		PlatformURL:      "http://127.0.0.1",
		Limit:            1001,
	}.Validate()
	require.Error(t, err)
	assert.Equal(t, []string{
		"SECRET_KEY: the key has 5 bytes and must have at least 32",
		"SECRET_KEY_SECRET: a name must read projects/P/secrets/S or projects/P/locations/L/secrets/S, with or without /versions/V",
		"SECRET_KEY_SECRET: projects/p/secrets/relay-key is there twice",
		"SECRET_KEY_SECRET: the location of a secret's name has a character that is not allowed",
		`JWKS_HOSTS: "https://visibility.amp.cisco.com" is not a host name: a scheme or a path is not allowed`,
		`JWKS_HOSTS: "Visibility.amp.cisco.com" is not a host name: upper-case letters are not allowed`,
		`JWKS_HOSTS: "127.0.0.1" is not a host name: an IP address is not allowed`,
		`JWKS_HOSTS: "none" must be the only entry`,
		"JWT_AUDIENCE: an entry is empty",
		"API_HOSTS: an entry is not a host name with or without a port",
		`API_HOSTS: "Gateway.example" has upper-case letters`,
		"API_HOSTS: an entry is not a host name with or without a port",
		"API_HOSTS: an entry is not a host name with or without a port",
		"API_HOSTS: an entry is not a host name with or without a port",
		"API_URL: it must start with https://",
		"PLATFORM_URL: it must start with https://",
		"CTR_ENTITIES_LIMIT: must be from 1 to 1000",
	}, strings.Split(err.Error(), "\n"))
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config Config
		wrong  string // empty: nothing is
	}{
		{"the zero value has Cisco's keys", Config{}, ""},
		{"no door at all", Config{JWKSHosts: []string{"none"}}, "JWKS_HOSTS: is none and there is no SECRET_KEY"},
		{"HS256 only", Config{JWKSHosts: []string{"none"}, SecretKeyFile: "/secrets/key"}, ""},
		{"a key of 32 bytes", Config{SecretKey: strings.Repeat("k", 32)}, ""},
		{"a key of 31 bytes and a line break", Config{SecretKey: strings.Repeat("k", 31) + "\n"}, "SECRET_KEY: the key has 31 bytes"},
		{"a key of white space", Config{SecretKey: " "}, "SECRET_KEY: the key is empty"},
		{"a public key", Config{SecretKey: "-----BEGIN PUBLIC KEY-----\n" + strings.Repeat("x", 90)}, "SECRET_KEY: the key is a PEM file"},
		{"a gateway on loopback", Config{APIURL: "http://localhost:8080"}, ""},
		{"a gateway on IPv6 loopback", Config{APIURL: "http://[::1]:8080"}, ""},
		{"a gateway in the network over http", Config{APIURL: "http://10.0.0.1"}, "API_URL: it must start with https://"},
		{"a gateway with a path", Config{APIURL: "https://gateway.example/ioc"}, "API_URL: a path is not allowed"},
		{"a gateway with a password", Config{APIURL: "https://u:p@gateway.example"}, "API_URL: user information is not allowed"},
		{"a gateway that is no URL", Config{APIURL: "https://%zz"}, "API_URL: it is not a valid URL"},
		{"a user interface with a path", Config{PlatformURL: "https://qualys.example/portal"}, ""},
		{"the greatest limit", Config{Limit: 1000}, ""},
		{"a negative limit", Config{Limit: -1}, "CTR_ENTITIES_LIMIT: must be from 1 to 1000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.config.Validate()
			v, newErr := New(tt.config)
			if tt.wrong == "" {
				require.NoError(t, err)
				require.NoError(t, newErr)
				require.NoError(t, v.Close())
				return
			}
			require.ErrorContains(t, err, tt.wrong)
			require.ErrorContains(t, newErr, tt.wrong)
			require.Nil(t, v)
		})
	}
}

func TestParseSecretName(t *testing.T) {
	for _, tt := range []struct {
		name     string
		want     SecretName
		parent   string
		endpoint string
	}{
		{"projects/p/secrets/s", SecretName{Project: "p", Secret: "s"}, "projects/p/secrets/s", ""},
		{"projects/p/secrets/s/versions/3", SecretName{Project: "p", Secret: "s", Version: "3"}, "projects/p/secrets/s", ""},
		{
			"projects/123/locations/europe-west3/secrets/Relay_key-1/versions/current",
			SecretName{Project: "123", Location: "europe-west3", Secret: "Relay_key-1", Version: "current"},
			"projects/123/locations/europe-west3/secrets/Relay_key-1", "secretmanager.europe-west3.rep.googleapis.com:443",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseSecretName(tt.name)
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.name, got.String())
			assert.Equal(t, tt.parent, got.Parent())
			assert.Equal(t, tt.endpoint, got.Endpoint())
		})
	}
	for _, name := range []string{
		"", "s", "projects/p", "projects/p/secrets", "projects//secrets/s", "projects/p/secrets/", "secrets/s/projects/p",
		"projects/p/secrets/s/versions", "projects/p/secrets/s/versions/", "projects/p/secrets/s/versions/1/x", "projects/p/secrets/s/x/y",
		"projects/p/locations/l/secrets/s/versions/1:access", "projects/p/locations/l@evil/secrets/s", "projects/P/secrets/s",
		"projects/p/secrets/s s", "projects/p/projects/q/secrets/s", "//secretmanager.googleapis.com/projects/p/secrets/s",
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			_, err := ParseSecretName(name)
			require.Error(t, err)
		})
	}
}
