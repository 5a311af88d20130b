package auth

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
)

const (
	// MinKeyLength is the fewest bytes that an HS256 key may have: as many as the hash has (RFC 7518,
	// 3.2).
	MinKeyLength = 32
	maxKeyFile   = 64 << 10 // Secret Manager's limit for a secret
)

// ParseKey is the HS256 key in what an operator stored. One line end behind it is not part of it: editors
// and echo put it there. Anything else around it is refused, since only one of those who read the key would
// take it for part of the key, and all that anyone would see is a signature that does not fit.
func ParseKey(raw []byte) ([]byte, error) {
	key := bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte("\n")), []byte("\r"))
	starts := func(with string) bool { return bytes.HasPrefix(key, []byte(with)) }
	fault := ""
	switch {
	case len(bytes.TrimSpace(key)) == 0:
		fault = "is empty"
	case starts("\xef\xbb\xbf"), starts("\xff\xfe"), starts("\xfe\xff"):
		fault = "begins with a byte order mark (BOM), which is not part of a key"
	case len(bytes.TrimSpace(key)) < len(key):
		fault = "has white space around it, which is not part of a key"
	case starts("-----BEGIN"):
		fault = "is a PEM file, and HS256 needs a shared secret"
	case len(key) < MinKeyLength:
		fault = fmt.Sprintf("has %d bytes and must have at least %d", len(key), MinKeyLength)
	}
	if fault != "" {
		return nil, errors.New("the key " + fault)
	}
	return bytes.Clone(key), nil
}

// sharedSecret is the HS256 key in what a source gave.
func sharedSecret(raw []byte, version string) ([]key, error) {
	secret, err := ParseKey(raw)
	return []key{{value: secret, version: version}}, err
}

// readFixed reads the key of the environment.
func readFixed(secret string) readKeys {
	return func(context.Context) ([]key, error) { return sharedSecret([]byte(secret), "") }
}

// readFile reads a file that holds a key, such as a mounted secret. It is read twice and taken when both
// agree, since it may be replaced meanwhile. What the file system says of its time is not relied on: some
// mounts report another one at each look.
func readFile(path string) readKeys {
	return func(context.Context) ([]key, error) {
		content, err := os.ReadFile(path)
		again, errAgain := os.ReadFile(path)
		switch {
		case err != nil || errAgain != nil:
			return nil, cmp.Or(err, errAgain)
		case len(content) > maxKeyFile:
			return nil, fmt.Errorf("the file is longer than %d bytes", maxKeyFile)
		case !bytes.Equal(content, again):
			return nil, errors.New("the file changes while it is read")
		}
		return sharedSecret(content, "")
	}
}
