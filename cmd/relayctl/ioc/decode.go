package ioc

import (
	"bytes"
	"errors"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// DecodeText turns the content of a file or of standard input into text: UTF-8 with or without a byte order
// mark, or UTF-16 with one, as Windows writes it. Bytes that are not valid become U+FFFD. NUL characters
// are an error: the content is UTF-16 without a mark, or no text.
func DecodeText(b []byte) (string, error) {
	text, _, err := transform.Bytes(unicode.BOMOverride(unicode.UTF8.NewDecoder()), b)
	if err != nil {
		return "", err
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return "", errors.New("not text: it holds NUL bytes (save it as UTF-8, or as UTF-16 with a byte order mark)")
	}
	return string(text), nil
}
