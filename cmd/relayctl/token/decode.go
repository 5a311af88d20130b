package token

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"

	"qualysrelay.example/cmd/relayctl/secret"
)

// Decode is a token's header and claims as indented JSON, with what is secret by its name masked, and its
// times in words, a line for each. The signature is not verified.
func Decode(token secret.Value) (doc []byte, times []string, err error) {
	parts := strings.Split(string(token), ".")
	if len(parts) != 3 {
		return nil, nil, errors.New("not a JWT: it is not three parts joined by dots")
	}
	for i, name := range []string{"header", "payload"} {
		part, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return nil, nil, fmt.Errorf("not a JWT: its %s is not base64url", name)
		}
		if part = bytes.TrimSpace(part); !bytes.HasPrefix(part, []byte("{")) || !json.Valid(part) {
			return nil, nil, fmt.Errorf("not a JWT: its %s is not a JSON object", name)
		}
		parts[i] = string(part)
	}
	doc, err = mask(fmt.Sprintf(`{"header":%s,"claims":%s}`, parts[0], parts[1]))
	return doc, timesIn(parts[1]), err
}

// secretName matches the names of claims that are not for showing.
var secretName = regexp.MustCompile(`(?i)pass|pwd|secret|token|key`)

// mask indents a JSON document and replaces the values that are not for showing. What the relay refuses, such
// as a key that is there twice, it keeps: the reader of a refused token must see it.
func mask(doc string) ([]byte, error) {
	var out bytes.Buffer
	lenient := []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
	dec := jsontext.NewDecoder(strings.NewReader(doc), lenient...)
	enc := jsontext.NewEncoder(&out, append(lenient, jsontext.WithIndent("  "))...)
	for {
		token, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return bytes.TrimSpace(out.Bytes()), nil
		}
		if err == nil {
			// The length of an object counts names and values: odd after a name.
			kind, length := dec.StackIndex(dec.StackDepth())
			hide := kind == '{' && length%2 == 1 && secretName.MatchString(token.String())
			err = enc.WriteToken(token)
			if err == nil && hide {
				err = errors.Join(dec.SkipValue(), enc.WriteToken(jsontext.String("********")))
			}
		}
		if err != nil {
			return nil, errors.New("not a JWT: it is not JSON as tokens have it")
		}
	}
}

// timesIn puts a token's time claims into words. Odd ones are only shown as they are.
func timesIn(payload string) (lines []string) {
	var claims jwt.MapClaims
	if json.Unmarshal([]byte(payload), &claims) != nil {
		return nil
	}
	for _, t := range []struct {
		words string
		read  func() (*jwt.NumericDate, error)
	}{
		{"Issued:     ", claims.GetIssuedAt},
		{"Not before: ", claims.GetNotBefore},
		{"Expires:    ", claims.GetExpirationTime},
	} {
		if date, err := t.read(); err == nil && date != nil && 0 < date.Year() && date.Year() < 10000 {
			lines = append(lines, t.words+date.UTC().Format(time.RFC3339))
		}
	}
	if claims["exp"] == nil {
		lines = append(lines, "Expires:    never")
	}
	return lines
}
