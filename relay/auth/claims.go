package auth

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

const lastDate = 253402300799 // the end of the year 9999 as a NumericDate

// Claims are what a verified token says. They hide themselves from fmt, JSON and slog.
type Claims struct {
	redacted

	User     string // of Qualys, not empty
	Password string // not empty

	settings object
}

// Setting returns a claim that may override a setting of the environment: a string without the white
// space around it, or the digits of a number. ok is false for what a form field that was left blank
// becomes: absent, null or blank. Every other type is an [*Error].
func (c Claims) Setting(name string) (value string, ok bool, err error) {
	switch raw := c.settings[name]; raw.Kind() {
	case jsontext.KindInvalid, jsontext.KindNull: // absent, null
	case jsontext.KindNumber:
		value = string(raw)
	case jsontext.KindString:
		value, _ = c.settings.text(name)
		value = strings.TrimSpace(value)
	default:
		return "", false, refuse(msgWrongPayload, name+" must be a string")
	}
	return value, value != "", nil
}

// redacted hides a struct that embeds it from every verb of fmt, from JSON and its like, and from slog.
type redacted struct{}

const hidden = "(redacted)"

func (redacted) Format(w fmt.State, _ rune)   { _, _ = io.WriteString(w, hidden) }
func (redacted) MarshalText() ([]byte, error) { return []byte(hidden), nil }
func (redacted) LogValue() slog.Value         { return slog.StringValue(hidden) }

// object is a JSON object by its exact keys: the header of a token, or its payload.
type object map[string]jsontext.Value

// readObject reads exactly one JSON object. It is strict: a key that is there twice, at any depth, is an
// error, since two readers of the token could disagree about its value.
func readObject(data []byte) (o object, err error) {
	err = json.Unmarshal(data, &o)
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
	if found && (raw.Kind() != jsontext.KindString || json.Unmarshal(raw, &s) != nil) {
		return "", false
	}
	return s, true
}

// required returns a claim that must be a string and not empty.
func (o object) required(name string) (string, error) {
	s, _ := o.text(name)
	if s == "" {
		return "", refuse(msgWrongPayload, name+" must be a string and not empty")
	}
	return s, nil
}

// date reads a NumericDate; nil: absent. golang-jwt's own reading has no bounds.
func (o object) date(name string) (*jwt.NumericDate, error) {
	raw, ok := o[name]
	if !ok {
		return nil, nil
	}
	seconds, err := strconv.ParseFloat(string(raw), 64) // of all JSON, it takes numbers only
	if err != nil || seconds < 0 || seconds > lastDate {
		return nil, refuse(msgWrongPayload, name+" must be a number of seconds since 1970")
	}
	return &jwt.NumericDate{Time: time.UnixMilli(int64(seconds * 1000))}, nil
}
