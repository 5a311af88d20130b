package auth

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

const maxHeader = 16 << 10 // bytes of the Authorization header

// token is a JWT whose signature has not been verified yet.
type token struct {
	method    jwt.SigningMethod // HS256 or RS256
	kid       string            // the name of the key for RS256; "": HS256
	payload   object
	signed    string // what the signature is for
	signature []byte
}

// bearer returns the JWT of the one Authorization header. The scheme may be written in any case (RFC
// 9110, section 11.1). More than one header or more than one token is refused rather than chosen from: a
// proxy in front may have looked at the other one.
func bearer(h http.Header) (string, error) {
	header := h.Get("Authorization")
	words := strings.Fields(header)
	switch {
	case len(h.Values("Authorization")) > 1:
		return "", refuse("More than one Authorization header")
	case len(header) > maxHeader:
		return "", refuse("JWT is too long. At most 16 KiB are accepted")
	case len(words) == 0:
		return "", refuse(msgNoHeader)
	case !strings.EqualFold(words[0], "Bearer"):
		return "", refuse(msgWrongType)
	case len(words) != 2:
		return "", refuse(msgWrongType, "one JWT is expected after Bearer")
	}
	return words[1], nil
}

// parse reads the JWT of a request and refuses all but HS256 and RS256.
func parse(h http.Header) (*token, error) {
	raw, err := bearer(h)
	if err != nil {
		return nil, err
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, refuse(msgWrongJWT, "three parts with dots between them are expected")
	}
	var decoded [3][]byte
	for i, part := range parts {
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return nil, refuse(msgWrongJWT, "a part is not base64url without padding")
		}
	}
	t := &token{signed: parts[0] + "." + parts[1], signature: decoded[2]}
	header, err := readObject(decoded[0])
	if err != nil {
		return nil, refuse(msgWrongJWT, "header "+err.Error())
	}
	if err := t.readHeader(header); err != nil {
		return nil, err
	}
	if t.payload, err = readObject(decoded[1]); err != nil {
		return nil, refuse(msgWrongPayload, "payload "+err.Error())
	}
	return t, nil
}

// readHeader chooses the algorithm. It refuses parameters that name or bring a key, since keys never come
// from the token, and extensions that must be understood.
func (t *token) readHeader(header object) error {
	for _, name := range []string{"jku", "jwk", "x5u", "x5c", "crit"} {
		if _, ok := header[name]; ok {
			return refuse(name + " in JWT header is not accepted")
		}
	}
	kid, ok := header.text("kid")
	if !ok {
		return refuse(msgWrongJWT, "kid in JWT header must be a string")
	}
	switch alg, _ := header.text("alg"); {
	case alg == "HS256":
		t.method = jwt.SigningMethodHS256
	case alg == "RS256" && kid == "":
		return refuse("kid is missing in JWT header")
	case alg == "RS256":
		t.method, t.kid = jwt.SigningMethodRS256, kid
	default:
		return refuse("Algorithm of JWT must be HS256 or RS256")
	}
	return nil
}
