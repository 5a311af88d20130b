package auth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
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
// that the request came to. Its secrets do not show under any verb of fmt, in JSON or in slog.
type Config struct {
	// SecretKey is the HS256 key itself (SECRET_KEY).
	SecretKey string
	// SecretKeyFile is a file that holds the HS256 key and nothing else (SECRET_KEY_FILE). It counts when
	// SecretKey is empty, and is read again when it changes.
	SecretKeyFile string
	// SecretKeySecrets are Secret Manager names (SECRET_KEY_SECRET), see [ParseSecretName]. They count when
	// the other two are empty. A signature by any of these keys is good.
	SecretKeySecrets []string

	// JWKSHosts may sign RS256 tokens (JWKS_HOSTS). Default [CiscoJWKSHosts]; [NoJWKSHosts] alone for none.
	JWKSHosts []string
	// Audiences that a token may be for (JWT_AUDIENCE). By default, the URL that the request came to.
	Audiences []string

	// Logger is told when keys change and when they cannot be read. Nil for no log.
	Logger *slog.Logger
	// Now is the clock. Nil for time.Now.
	Now func() time.Time
	// JWKSRootCAs are the roots that JWKS hosts are verified with. Nil for the system's.
	JWKSRootCAs *x509.CertPool
	// JWKSDialContext connects to JWKS hosts. Nil for a plain dialer.
	JWKSDialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// SecretManagerOptions go to the Secret Manager client.
	SecretManagerOptions []SecretManagerOption
}

// Validate names every mistake at once, by environment variable. It reads no file and opens no connection.
func (c Config) Validate() error {
	_, _, err := c.check()
	return err
}

// check returns the secrets and JWKS hosts that the Config names.
func (c Config) check() (names []SecretName, hosts []string, err error) {
	var errs []error
	wrong := func(variable string, err error) { errs = append(errs, fmt.Errorf("%s: %w", variable, err)) }

	if c.SecretKey != "" {
		if _, err := newSecret([]byte(c.SecretKey), ""); err != nil {
			wrong("SECRET_KEY", err)
		}
	}
	for _, text := range c.SecretKeySecrets {
		name, err := ParseSecretName(text)
		switch {
		case err != nil:
			wrong("SECRET_KEY_SECRET", err)
		case slices.Contains(names, name):
			wrong("SECRET_KEY_SECRET", fmt.Errorf("%s is there twice", name))
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
			wrong("JWKS_HOSTS", errors.New("is none and there is no SECRET_KEY, SECRET_KEY_FILE or "+
				"SECRET_KEY_SECRET, so no token could be verified"))
		}
	}
	for _, host := range hosts {
		if host == NoJWKSHosts {
			wrong("JWKS_HOSTS", errors.New(`"none" must be the only entry`))
		} else if fault := hostFault(host); fault != "" {
			wrong("JWKS_HOSTS", fmt.Errorf("%q is not a host name: %s", host, fault))
		}
	}
	for _, audience := range c.Audiences {
		if strings.Trim(audience, " \t/") == "" {
			wrong("JWT_AUDIENCE", errors.New("an entry is empty"))
		}
	}
	return names, hosts, errors.Join(errs...)
}

// LogValue tells where the keys come from, and no key.
func (c Config) LogValue() slog.Value {
	key, hosts, audiences := "none", c.JWKSHosts, "the URL of the request"
	switch {
	case c.SecretKey != "":
		key = "SECRET_KEY"
	case c.SecretKeyFile != "":
		key = "SECRET_KEY_FILE " + c.SecretKeyFile
	case len(c.SecretKeySecrets) > 0:
		key = "SECRET_KEY_SECRET " + strings.Join(c.SecretKeySecrets, ",")
	}
	if len(hosts) == 0 {
		hosts = CiscoJWKSHosts()
	}
	if len(c.Audiences) > 0 {
		audiences = strings.Join(c.Audiences, ",")
	}
	return slog.GroupValue(
		slog.String("hs256_key", key),
		slog.String("jwks_hosts", strings.Join(hosts, ",")),
		slog.String("audiences", audiences),
	)
}

// String is the redacted form.
func (c Config) String() string { return c.LogValue().String() }

// Format writes String for every verb.
func (c Config) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, c.String()) }

// MarshalText makes encoding/json and its like write String.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
