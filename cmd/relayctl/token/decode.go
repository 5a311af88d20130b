package token

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"qualysrelay.example/cmd/relayctl/secret"
)

// Decode is a token's header and claims as indented JSON, with what is secret by its name masked, and its
// times in words, a line for each. The signature is not verified. What is not JSON as the relay reads it,
// such as a claim that is there twice, is an error.
func Decode(token secret.Value) (doc []byte, times []string, err error) {
	parts := strings.Split(string(token), ".")
	if len(parts) != 3 {
		return nil, nil, errors.New("not a JWT: it is not three parts joined by dots")
	}
	var object struct {
		Header map[string]any `json:"header"`
		Claims map[string]any `json:"claims"`
	}
	for i, into := range []*map[string]any{&object.Header, &object.Claims} {
		part, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(part, into)
		}
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return nil, nil, fmt.Errorf("not a JWT: part %d: %w", i+1, err)
		}
		if err != nil { // it may quote a part of a secret
			return nil, nil, fmt.Errorf("not a JWT: part %d is not a JSON object in base64url", i+1)
		}
		mask(*into)
	}
	doc, err = json.Marshal(object, json.Deterministic(true), jsontext.WithIndent("  "))
	return doc, timesIn(object.Claims), err
}

// secretName matches the names of claims that are not for showing.
var secretName = regexp.MustCompile(`(?i)pass|pwd|secret|token|key`)

// mask replaces what is not for showing in a value of JSON.
func mask(value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			if mask(member); secretName.MatchString(name) {
				v[name] = "********"
			}
		}
	case []any:
		for _, element := range v {
			mask(element)
		}
	}
}

// timesIn puts a token's time claims into words. Odd ones are only shown as they are.
func timesIn(claims map[string]any) (lines []string) {
	for _, c := range [][2]string{{"iat", "Issued:     "}, {"nbf", "Not before: "}, {"exp", "Expires:    "}} {
		if t, ok := claims[c[0]].(float64); ok && math.Abs(t) < 1e11 {
			lines = append(lines, c[1]+time.Unix(int64(t), 0).UTC().Format(time.RFC3339))
		}
	}
	if claims["exp"] == nil {
		lines = append(lines, "Expires:    never")
	}
	return lines
}
