package auth

import (
	"errors"
	"strings"
)

// ErrKeyUnavailable says that the relay's own HS256 key cannot be read: the file or the secret is
// missing, empty, too short, or cannot be reached, and no earlier key is at hand. The errors that wrap it
// tell why. Their text is for the operator's log and not for the caller.
var ErrKeyUnavailable = errors.New("auth: the signing key cannot be read")

// Error is the refusal of a request. Message is safe to show to the caller.
type Error struct {
	Message string // starts with [Prefix]
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Prefix begins the message of each [Error].
const Prefix = "Authorization failed: "

// Messages that Cisco's relays use, word for word, since users search for them. Where more can be said,
// it follows after a colon.
const (
	msgNoHeader      = "Authorization header is missing"
	msgWrongType     = "Wrong authorization type"
	msgWrongJWT      = "Wrong JWT structure"
	msgWrongPayload  = "Wrong JWT payload structure"
	msgWrongAudience = "Wrong configuration-token-audience"
	msgNoSecretKey   = "<SECRET_KEY> is missing"
	msgKidNotFound   = "kid from JWT header not found in API response"
	msgWrongKey      = "Failed to decode JWT with provided key"
	msgWrongKeyRS256 = msgWrongKey +
		". Make sure domain in custom_jwks_host corresponds to your SecureX instance region."
	msgNoJWKSHost = "jwks_host is missing in JWT payload. " +
		"Make sure custom_jwks_host field is present in module_type"
	msgWrongJWKSHost = "Wrong jwks_host in JWT payload. " +
		"Make sure domain follows the visibility.<region>.cisco.com structure"
)

// refuse returns an error with the message, and with details after a colon.
func refuse(message string, details ...string) *Error {
	return &Error{Prefix + strings.Join(append([]string{message}, details...), ": ")}
}
