// Package secret holds keys, tokens and passwords: values that do not show themselves, the files that they
// are read from and written to, and Google's Secret Manager.
package secret

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"qualysrelay.example/cmd/relayctl/plain"
)

// MaxSize is the longest token or key that is read, in bytes; the relay refuses longer tokens.
const MaxSize = 16 << 10

const redacted = "[redacted]"

// Value is a secret. It shows itself only where it is converted to a string on purpose.
type Value string

// Format redacts the value under every verb of fmt.
func (Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText redacts the value in JSON.
func (Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue redacts the value in logs.
func (Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// NewKey is a new 256-bit signing key as 64 hexadecimal digits.
func NewKey() Value {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return Value(hex.EncodeToString(key))
}

// ReadFile reads a token from a small file, in an encoding of Windows too. White space around it, such as
// the newline that editors add, and a byte order mark are not part of it.
func ReadFile(path string) (Value, error) {
	content, err := ReadRaw(path)
	text := bytes.TrimSpace(plain.Decode([]byte(content)))
	switch {
	case err != nil:
		return "", err
	case len(text) > MaxSize:
		return "", fmt.Errorf("%s is too large for a secret", path)
	case len(text) == 0:
		return "", fmt.Errorf("%s is empty", path)
	}
	return Value(text), nil
}

// ReadRaw reads a small file as it is; only the beginning of a larger one.
func ReadRaw(path string) (Value, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, 2*MaxSize+2)) // UTF-16 takes two bytes for each character
	return Value(content), err
}

// WriteFile writes a file that only its owner can read. It appears whole or not at all, and an existing one
// is replaced only with force.
func WriteFile(path string, content []byte, force bool) error {
	if !force {
		// Taking the name first decides the race with another process that wants the same file.
		reserved, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, os.ErrExist) {
			return fmt.Errorf("%s exists already; --force replaces it", path)
		}
		if err != nil {
			return err
		}
		reserved.Close()
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".relayctl-*") // made with mode 0600
	if err == nil {
		defer os.Remove(f.Name()) // where it was not renamed
		_, err = f.Write(content)
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil && !force {
		os.Remove(path)
	}
	return err
}
