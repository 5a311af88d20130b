package auth

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Claims are what a verified token says. They hide themselves from every verb of fmt, from JSON and from
// slog.
type Claims struct {
	User     string // of Qualys, not empty
	Password string // not empty

	settings object
}

// Setting returns a claim that may override a setting of the environment: a string without the white space
// around it, or the digits of a number. ok is false for what a form field that was left blank becomes:
// absent, null or blank. Every other type is an [*Error].
func (c Claims) Setting(name string) (value string, ok bool, err error) {
	raw, ok := c.settings[name]
	if !ok {
		return "", false, nil
	}
	switch raw.Kind() {
	case 'n':
	case '0':
		value = string(raw)
	default:
		if value, err = c.settings.text(name); err != nil {
			return "", false, refuse(msgWrongPayload, name+" must be a string")
		}
		value = strings.TrimSpace(value)
	}
	return value, value != "", nil
}

// String tells nothing of the claims.
func (Claims) String() string { return "auth.Claims(redacted)" }

// Format writes String for every verb.
func (c Claims) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, c.String()) }

// MarshalText makes encoding/json and its like write String.
func (c Claims) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// LogValue makes slog write String.
func (c Claims) LogValue() slog.Value { return slog.StringValue(c.String()) }
