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

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"qualysrelay.example/cmd/relayctl/secret"
)

// masked stands for a value that is not shown. Its length says nothing.
const masked = "********"

// Decode is a token's header and claims as indented JSON, with what is secret by its name masked, and its
// times in words, a line for each. The signature is not verified.
func Decode(token secret.Value) (doc []byte, times []string, err error) {
	parts := strings.Split(string(token), ".")
	if len(parts) != 3 {
		return nil, nil, errors.New("not a JWT: it is not three parts joined by dots")
	}
	var out bytes.Buffer
	enc := jsontext.NewEncoder(&out, lenient(), jsontext.WithIndent("  "))
	_ = enc.WriteToken(jsontext.BeginObject) // into memory: no error
	_ = enc.WriteToken(jsontext.String("header"))
	if _, err := decodePart(enc, "header", parts[0]); err != nil {
		return nil, nil, err
	}
	_ = enc.WriteToken(jsontext.String("claims"))
	claims, err := decodePart(enc, "payload", parts[1])
	if err != nil {
		return nil, nil, err
	}
	_ = enc.WriteToken(jsontext.EndObject)
	return bytes.TrimSpace(out.Bytes()), timesIn(claims), nil
}

// lenient keeps what the relay refuses, such as a key that is there twice: the reader of a refused token
// must see it.
func lenient() jsontext.Options {
	return jsonv2.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// timesIn puts a token's time claims into words.
func timesIn(claims []byte) (lines []string) {
	var times struct{ Iat, Nbf, Exp *json.Number }
	if json.Unmarshal(claims, &times) != nil {
		return nil // odd types are shown as they are
	}
	for _, t := range []struct {
		word    string
		seconds *json.Number
	}{{"Issued:    ", times.Iat}, {"Not before:", times.Nbf}, {"Expires:   ", times.Exp}} {
		if t.seconds == nil {
			continue
		}
		if n, err := t.seconds.Float64(); err == nil && n > 0 && n < 1e11 {
			lines = append(lines, t.word+" "+time.Unix(int64(n), 0).UTC().Format(time.RFC3339))
		}
	}
	if times.Exp == nil {
		lines = append(lines, "Expires:    never")
	}
	return lines
}

// decodePart writes one part of a JWT, masked, and returns it as it is.
func decodePart(enc *jsontext.Encoder, name, part string) ([]byte, error) {
	doc, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return nil, fmt.Errorf("not a JWT: its %s is not base64url", name)
	}
	if doc = bytes.TrimSpace(doc); !bytes.HasPrefix(doc, []byte("{")) || !json.Valid(doc) {
		return nil, fmt.Errorf("not a JWT: its %s is not a JSON object", name)
	}
	dec := jsontext.NewDecoder(bytes.NewReader(doc), lenient())
	for {
		token, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return doc, nil
		}
		if err == nil {
			// The length of an object counts names and values: odd after a name.
			kind, length := dec.StackIndex(dec.StackDepth())
			hide := kind == '{' && length%2 == 1 && secretName.MatchString(token.String())
			err = enc.WriteToken(token)
			if err == nil && hide {
				err = errors.Join(dec.SkipValue(), enc.WriteToken(jsontext.String(masked)))
			}
		}
		if err != nil {
			return nil, fmt.Errorf("not a JWT: its %s is not JSON as tokens have it", name)
		}
	}
}

// secretName matches the names of claims that are not for showing.
var secretName = regexp.MustCompile(`(?i)pass|pwd|secret|token|key`)
