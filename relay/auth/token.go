package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// token is a JWT whose structure has been checked and whose signature has not.
type token struct {
	alg       string // HS256 or RS256
	kid       string // not empty when alg is RS256
	claims    object
	signed    string // what the signature is over
	signature []byte
}

// parseToken takes a JWT apart, more strictly than a library that has to serve
// everybody: no padding, no duplicate keys, no header parameter that names or
// brings a key.
func parseToken(raw string) (token, error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return token{}, refuse(msgWrongJWT, "three parts with dots between them are expected")
	}
	// Strict: no second spelling for the same bytes. The decoder would skip line
	// breaks, but the header has been split at white space.
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return token{}, refuse(msgWrongJWT, "a part is not base64url without padding")
		}
	}
	header, err := decodeObject(decoded[0])
	if err != nil {
		return token{}, refuse(msgWrongJWT, "header "+err.Error())
	}
	t := token{signed: raw[:len(parts[0])+1+len(parts[1])], signature: decoded[2]}
	if t.alg, t.kid, err = checkHeader(header); err != nil {
		return token{}, err
	}
	if t.claims, err = decodeObject(decoded[1]); err != nil {
		return token{}, refuse(msgWrongPayload, "payload "+err.Error())
	}
	return t, nil
}

// checkHeader accepts the header parameters of an HS256 or RS256 JWS that
// leaves the choice of the key to the relay.
func checkHeader(header object) (alg, kid string, err error) {
	alg, ok, err := header.text("alg")
	switch {
	case err != nil || !ok:
		return "", "", refuse(msgWrongJWT, "alg in JWT header must be a string")
	case alg != jwt.SigningMethodHS256.Alg() && alg != jwt.SigningMethodRS256.Alg():
		return "", "", refuse("Algorithm of JWT must be HS256 or RS256", `"`+shown(alg)+`" is not accepted`)
	}
	for _, name := range []string{"jku", "jwk", "x5u", "x5c"} {
		if _, ok := header[name]; ok {
			return "", "", refuse(name + " in JWT header is not accepted. Keys never come from the token")
		}
	}
	if _, ok := header["crit"]; ok {
		return "", "", refuse("crit in JWT header is not accepted. No extension is supported")
	}
	kid, _, err = header.text("kid")
	switch {
	case err != nil:
		return "", "", refuse(msgWrongJWT, "kid in JWT header must be a string")
	case kid == "" && alg == jwt.SigningMethodRS256.Alg():
		return "", "", refuse("kid is missing in JWT header")
	}
	return alg, kid, nil
}

// object is a JSON object by its exact keys; encoding/json's structs would
// match them in any case.
type object map[string]json.RawMessage

// decodeObject reads exactly one JSON object. A key that is there twice is an
// error, since two readers of the token could disagree about its value. The
// errors read as the end of a sentence and quote nothing.
func decodeObject(data []byte) (object, error) {
	errNotObject := errors.New("is not a JSON object")
	if !utf8.Valid(data) {
		return nil, errNotObject
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, errNotObject
	}
	o := object{}
	for dec.More() {
		key, err := dec.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return nil, errNotObject
		}
		if _, twice := o[name]; twice {
			return nil, errors.New("has the same key twice")
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, errNotObject
		}
		o[name] = value
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return nil, errNotObject
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotObject
	}
	return o, nil
}

// text returns the string under the key; ok is false when the key is absent.
// Every other type, null included, is an error.
func (o object) text(name string) (s string, ok bool, err error) {
	raw, ok := o[name]
	if !ok {
		return "", false, nil
	}
	if raw[0] != '"' {
		return "", true, errors.New("not a string")
	}
	err = json.Unmarshal(raw, &s)
	return s, true, err
}
