package auth

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

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
