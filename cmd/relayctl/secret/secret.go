// Package secret holds keys, tokens and passwords: values that do not show themselves, the files that they
// are read from and written to, and Google's Secret Manager.
package secret

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// MaxSize is the longest token or key that is read, in bytes; the relay refuses longer tokens.
const MaxSize = 16 << 10

const redacted = "[redacted]"

// Value is a secret. It shows itself only where it is converted to a string on purpose.
type Value string

// Format redacts the value under every verb of fmt.
func (Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText redacts the value in JSON and in logs.
func (Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// NewKey is a new 256-bit signing key as 64 hexadecimal digits.
func NewKey() Value {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return Value(fmt.Sprintf("%x", key))
}

// ReadFile reads a file as it is. One that is too large for a secret is an error.
func ReadFile(path string) (Value, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	const most = 2*MaxSize + 2 // UTF-16 takes two bytes for each character
	content, err := io.ReadAll(io.LimitReader(f, most+1))
	if len(content) > most {
		return "", fmt.Errorf("%s is too large for a secret", path)
	}
	return Value(content), err
}

// WriteFile writes a file that only its owner can read. It appears whole or not at all, and an existing one
// is replaced only with force.
func WriteFile(path string, content []byte, force bool) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".relayctl-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if force {
		return os.Rename(f.Name(), path)
	}
	err = os.Link(f.Name(), path) // unlike Rename, it fails where the name is taken
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s exists already; --force replaces it", path)
	}
	return err
}
