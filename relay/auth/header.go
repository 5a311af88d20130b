package auth

import (
	"net/http"
	"strings"
)

// maxToken is the most bytes that the Authorization header may have.
const maxToken = 16 << 10

// bearer returns the JWT of the one Authorization header. The scheme may be
// written in any case (RFC 9110, section 11.1). More than one header or more
// than one token is refused rather than chosen from: a proxy in front may have
// looked at the other one.
func bearer(h http.Header) (string, error) {
	values := h.Values("Authorization")
	switch {
	case len(values) == 0:
		return "", refuse(msgNoHeader)
	case len(values) > 1:
		return "", refuse("More than one Authorization header")
	case len(values[0]) > maxToken:
		return "", refuse("JWT is too long. At most 16 KiB are accepted")
	}
	words := strings.Fields(values[0])
	switch {
	case len(words) == 0:
		return "", refuse(msgNoHeader)
	case !strings.EqualFold(words[0], "Bearer"):
		return "", refuse(msgWrongType)
	case len(words) == 1:
		return "", refuse(msgWrongType, "JWT is missing after Bearer")
	case len(words) > 2:
		return "", refuse(msgWrongType, "one JWT is expected after Bearer")
	}
	return words[1], nil
}
