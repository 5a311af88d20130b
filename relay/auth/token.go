package auth

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

const (
	maxHeader = 16 << 10     // bytes of the Authorization header; golang-jwt has no limit
	lastDate  = 253402300799 // the end of the year 9999 as a NumericDate
	notBase64 = "a part is not base64url without padding"
)

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

// checkHeader refuses what golang-jwt lets through in the header of a token, as
// TestWhatGolangJWTLetsThrough shows: a parameter that is there twice, parameters that name or bring a
// key, and extensions that must be understood.
func checkHeader(p *jwt.Parser, segment string) (kid string, err error) {
	data, err := p.DecodeSegment(segment)
	if err != nil {
		return "", refuse(msgWrongJWT, notBase64)
	}
	header, err := decodeObject(data)
	if err != nil {
		return "", refuse(msgWrongJWT, "header "+err.Error())
	}
	for _, name := range []string{"jku", "jwk", "x5u", "x5c"} {
		if _, ok := header[name]; ok {
			return "", refuse(name + " in JWT header is not accepted. Keys never come from the token")
		}
	}
	if _, ok := header["crit"]; ok {
		return "", refuse("crit in JWT header is not accepted. No extension is supported")
	}
	kid, ok := header.text("kid")
	if !ok {
		return "", refuse(msgWrongJWT, "kid in JWT header must be a string")
	}
	if alg, _ := header.text("alg"); alg == rs256 && kid == "" {
		return "", refuse("kid is missing in JWT header")
	}
	return kid, nil
}

// refusal puts an error of golang-jwt in the words of the relay.
func refusal(token *jwt.Token, err error) error {
	if refused, ok := errors.AsType[*Error](err); ok { // from the methods of payload
		return refused
	}
	if _, ok := errors.AsType[base64.CorruptInputError](err); ok {
		return refuse(msgWrongJWT, notBase64)
	}
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed): // the header has been read before
		return refuse(msgWrongPayload, "payload is not a JSON object")
	case errors.Is(err, jwt.ErrTokenExpired):
		return refuse("JWT has expired")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return refuse("JWT is not valid yet")
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return refuse("JWT was issued in the future. Check the clock of its issuer")
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return refuse(msgWrongAudience, "aud is missing in JWT payload")
	}
	return refusedAlg(token) // one that golang-jwt does not know
}

// refusedAlg refuses every algorithm but HS256 and RS256.
func refusedAlg(token *jwt.Token) error {
	const expected = "Algorithm of JWT must be HS256 or RS256"
	switch alg, ok := token.Header["alg"].(string); {
	case !ok:
		return refuse(msgWrongJWT, "alg in JWT header must be a string")
	case quotable(alg):
		return refuse(expected, `"`+alg+`" is not accepted`)
	}
	return refuse(expected)
}

// object is a JSON object by its exact keys.
type object map[string]jsontext.Value

// decodeObject reads exactly one JSON object. A key that is there twice, at any depth, is an error, since
// two readers of the token could disagree about its value. Errors read as the end of a sentence and quote
// nothing.
func decodeObject(data []byte) (object, error) {
	var o object
	err := json.Unmarshal(data, &o)
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return nil, errors.New("has the same key twice")
	case err != nil || o == nil:
		return nil, errors.New("is not a JSON object")
	}
	return o, nil
}

// text returns the string under the key, "" when the key is absent. ok is false for every other type,
// null included.
func (o object) text(name string) (s string, ok bool) {
	raw, found := o[name]
	if !found {
		return "", true
	}
	ok = raw.Kind() == jsontext.KindString && json.Unmarshal(raw, &s) == nil
	return s, ok
}

// payload is what a token claims, in the form that golang-jwt validates.
type payload struct{ object }

// UnmarshalJSON reads the payload more strictly than golang-jwt would, which takes the last of two equal
// keys.
func (p *payload) UnmarshalJSON(data []byte) (err error) {
	if p.object, err = decodeObject(data); err != nil {
		return refuse(msgWrongPayload, "payload "+err.Error())
	}
	return nil
}

func (p payload) GetExpirationTime() (*jwt.NumericDate, error) { return p.date("exp") }
func (p payload) GetNotBefore() (*jwt.NumericDate, error)      { return p.date("nbf") }
func (p payload) GetIssuedAt() (*jwt.NumericDate, error)       { return p.date("iat") }
func (p payload) GetIssuer() (string, error)                   { return "", nil } // anybody
func (p payload) GetSubject() (string, error)                  { return "", nil } // anybody

// date reads a NumericDate. golang-jwt's own reading takes 0 for an absent date, so that a token that
// expired in 1970 would never expire, and has no bounds.
func (p payload) date(name string) (*jwt.NumericDate, error) {
	raw, ok := p.object[name]
	if !ok {
		return nil, nil
	}
	seconds, err := strconv.ParseFloat(string(raw), 64) // of all JSON, it takes numbers only
	if err != nil || seconds < 0 || seconds > lastDate {
		return nil, refuse(msgWrongPayload, name+" must be a number of seconds since 1970")
	}
	return &jwt.NumericDate{Time: time.UnixMilli(int64(seconds * 1000))}, nil
}

// GetAudience returns the audiences in the form of sameAudience.
func (p payload) GetAudience() (jwt.ClaimStrings, error) {
	var list jwt.ClaimStrings
	if raw, ok := p.object["aud"]; ok && list.UnmarshalJSON(raw) != nil {
		return nil, refuse(msgWrongAudience, "aud in JWT payload must be a string or a list of strings")
	}
	for i := range list {
		list[i] = sameAudience(list[i])
	}
	return list, nil
}

// sameAudience makes audiences equal that differ in a trailing slash or in the case of letters only: they
// are URLs without a path, and modules are registered with the one or the other.
func sameAudience(s string) string { return strings.ToLower(strings.TrimSuffix(s, "/")) }

// credential returns a claim that must be a string and not empty.
func (p payload) credential(name string) (string, error) {
	s, ok := p.text(name)
	if !ok {
		return "", refuse(msgWrongPayload, name+" must be a string")
	}
	if s == "" {
		return "", refuse(msgWrongPayload, name+" is missing or empty")
	}
	return s, nil
}
