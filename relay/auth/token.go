package auth

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

const (
	hs256     = "HS256"
	rs256     = "RS256"
	maxHeader = 16 << 10 // bytes of the Authorization header; golang-jwt has no limit
)

// token is a JWT whose signature has not been verified yet.
type token struct {
	*jwt.Token
	payload object
	signed  string // what the signature is for
	kid     string // the name of the key for RS256; "": HS256
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
	case len(words) == 1:
		return "", refuse(msgWrongType, "JWT is missing after Bearer")
	case len(words) > 2:
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
	parser, t := jwt.NewParser(jwt.WithStrictDecoding()), &token{}
	parsed, parts, malformed := parser.ParseUnverified(raw, &t.payload)
	if parsed == nil {
		return nil, refuse(msgWrongJWT, "three parts with dots between them are expected")
	}
	t.Token, t.signed = parsed, parts[0]+"."+parts[1]
	if _, ok := errors.AsType[base64.CorruptInputError](malformed); ok {
		return nil, refuse(msgWrongJWT, "a part is not base64url without padding")
	}
	var header object
	data, _ := parser.DecodeSegment(parts[0]) // it has been decoded before
	if err := header.UnmarshalJSON(data); err != nil {
		return nil, refuse(msgWrongJWT, "header "+err.Error())
	}
	if err := t.checkHeader(header); err != nil {
		return nil, err
	}
	if malformed != nil {
		return nil, refusal(malformed)
	}
	return t, nil
}

// checkHeader refuses other algorithms, and what golang-jwt lets through in the header of a token, as
// TestWhatGolangJWTLetsThrough shows: parameters that name or bring a key, and extensions that must be
// understood.
func (t *token) checkHeader(header object) error {
	for _, name := range []string{"jku", "jwk", "x5u", "x5c"} {
		if _, ok := header[name]; ok {
			return refuse(name + " in JWT header is not accepted. Keys never come from the token")
		}
	}
	const algorithms = "Algorithm of JWT must be HS256 or RS256"
	kid, kidOK := header.text("kid")
	alg, _ := header.text("alg")
	switch {
	case header["crit"] != nil:
		return refuse("crit in JWT header is not accepted. No extension is supported")
	case !kidOK:
		return refuse(msgWrongJWT, "kid in JWT header must be a string")
	case header["alg"].Kind() != jsontext.KindString:
		return refuse(msgWrongJWT, "alg in JWT header must be a string")
	case alg == rs256 && kid == "":
		return refuse("kid is missing in JWT header")
	case alg == rs256:
		t.kid = kid
	case alg != hs256 && quotable(alg):
		return refuse(algorithms, `"`+alg+`" is not accepted`)
	case alg != hs256:
		return refuse(algorithms)
	}
	return nil
}

// refusal puts an error of golang-jwt about the payload in the words of the relay.
func refusal(err error) error {
	if refused, ok := errors.AsType[*Error](err); ok { // from the methods of object
		return refused
	}
	for _, row := range []struct {
		is    error
		words string
	}{
		{jwt.ErrTokenExpired, "JWT has expired"},
		{jwt.ErrTokenNotValidYet, "JWT is not valid yet"},
		{jwt.ErrTokenUsedBeforeIssued, "JWT was issued in the future. Check the clock of its issuer"},
		{jwt.ErrTokenRequiredClaimMissing, msgWrongAudience + ": aud is missing in JWT payload"},
		{errSameKeyTwice, msgWrongPayload + ": payload has the same key twice"},
	} {
		if errors.Is(err, row.is) {
			return refuse(row.words)
		}
	}
	return refuse(msgWrongPayload, "payload is not a JSON object")
}
