package auth

import (
	"cmp"
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"strings"
	"time"

	"google.golang.org/api/option"
)

const (
	noHosts    = "none" // turns RS256 off, as the only entry of JWKS_HOSTS
	ciscoHosts = "visibility.amp.cisco.com,visibility.eu.amp.cisco.com,visibility.apjc.amp.cisco.com"
)

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

	JWKSHosts []string // that may sign RS256 tokens (JWKS_HOSTS), or "none"; those of Cisco XDR
	Audiences []string // that a token may be for (JWT_AUDIENCE); the URL that the request came to

	Logger *slog.Logger     // is told when keys change and when they cannot be read; none
	Now    func() time.Time // time.Now

	// For tests: what connects to JWKS hosts, the roots that they are verified with, and the options of the
	// Secret Manager client.
	JWKSDialContext      func(ctx context.Context, network, addr string) (net.Conn, error)
	JWKSRootCAs          *x509.CertPool
	SecretManagerOptions []option.ClientOption
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
	return slog.GroupValue(
		slog.String("hs256_key", key),
		slog.String("jwks_hosts", cmp.Or(strings.Join(c.JWKSHosts, ","), ciscoHosts)),
		slog.String("audiences", cmp.Or(strings.Join(c.Audiences, ","), "the URL of the request")))
}
