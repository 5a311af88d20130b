package auth

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"
)

// NoJWKSHosts turns RS256 off, as the only entry of [Config.JWKSHosts].
const NoJWKSHosts = "none"

// CiscoJWKSHosts returns the hosts whose keys sign the tokens of Cisco XDR, in North America, Europe and
// Asia. They are the default of [Config.JWKSHosts].
func CiscoJWKSHosts() []string {
	return []string{"visibility.amp.cisco.com", "visibility.eu.amp.cisco.com", "visibility.apjc.amp.cisco.com"}
}

// Config says which tokens are accepted. The zero value accepts what Cisco's keys have signed for the URL
// that the request came to. It hides itself from fmt and JSON, and shows slog what is no secret.
type Config struct {
	redacted

	// The HS256 key: itself (SECRET_KEY), or else a file that holds it and nothing else and is read again
	// when it changes (SECRET_KEY_FILE), or else in Secret Manager (SECRET_KEY_SECRET, see
	// [ParseSecretName]), where a signature by any of several is good.
	SecretKey        string
	SecretKeyFile    string
	SecretKeySecrets []string

	JWKSHosts []string // that may sign RS256 tokens (JWKS_HOSTS); [CiscoJWKSHosts]. [NoJWKSHosts] alone: none
	Audiences []string // that a token may be for (JWT_AUDIENCE); the URL that the request came to

	Logger *slog.Logger     // is told when keys change and when they cannot be read; none
	Now    func() time.Time // time.Now

	// For tests: what connects to JWKS hosts, the roots that they are verified with, and the options of the
	// Secret Manager client.
	JWKSDialContext      func(ctx context.Context, network, addr string) (net.Conn, error)
	JWKSRootCAs          *x509.CertPool
	SecretManagerOptions []SecretManagerOption
}

// Validate names every mistake at once, by environment variable. It reads no file and opens no
// connection.
func (c Config) Validate() error {
	_, _, err := c.check()
	return err
}

// check returns the secrets and JWKS hosts that the Config names.
func (c Config) check() (names []SecretName, hosts []string, err error) {
	var errs []error
	wrong := func(variable, format string, args ...any) {
		errs = append(errs, fmt.Errorf(variable+": "+format, args...))
	}
	if _, err := newSecret([]byte(c.SecretKey), ""); err != nil && c.SecretKey != "" {
		wrong("SECRET_KEY", "%w", err)
	}
	for _, text := range c.SecretKeySecrets {
		name, err := ParseSecretName(text)
		if err != nil {
			wrong("SECRET_KEY_SECRET", "%w", err)
		} else if slices.Contains(names, name) {
			wrong("SECRET_KEY_SECRET", "%s is there twice", name)
		}
		names = append(names, name)
	}
	hosts = c.JWKSHosts
	switch {
	case len(hosts) == 0:
		hosts = CiscoJWKSHosts()
	case len(hosts) == 1 && hosts[0] == NoJWKSHosts:
		hosts = nil
		if c.SecretKey == "" && c.SecretKeyFile == "" && len(names) == 0 {
			wrong("JWKS_HOSTS", "is none and there is no SECRET_KEY, SECRET_KEY_FILE or SECRET_KEY_SECRET, "+
				"so no token could be verified")
		}
	}
	for _, host := range hosts {
		if host == NoJWKSHosts {
			wrong("JWKS_HOSTS", `"none" must be the only entry`)
		} else if fault := hostFault(host); fault != "" {
			wrong("JWKS_HOSTS", "%q is not a host name: %s", host, fault)
		}
	}
	for _, audience := range c.Audiences {
		if strings.Trim(audience, " \t/") == "" {
			wrong("JWT_AUDIENCE", "an entry is empty")
		}
	}
	return names, hosts, errors.Join(errs...)
}

// LogValue tells where the keys come from, and no key.
func (c Config) LogValue() slog.Value {
	key := "none"
	switch {
	case c.SecretKey != "":
		key = "SECRET_KEY"
	case c.SecretKeyFile != "":
		key = "SECRET_KEY_FILE " + c.SecretKeyFile
	case len(c.SecretKeySecrets) > 0:
		key = "SECRET_KEY_SECRET " + strings.Join(c.SecretKeySecrets, ",")
	}
	hosts := cmp.Or(strings.Join(c.JWKSHosts, ","), strings.Join(CiscoJWKSHosts(), ","))
	audiences := cmp.Or(strings.Join(c.Audiences, ","), "the URL of the request")
	return slog.GroupValue(
		slog.String("hs256_key", key), slog.String("jwks_hosts", hosts), slog.String("audiences", audiences))
}
