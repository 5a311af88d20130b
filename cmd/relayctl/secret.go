package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"qualysrelay.example/relay/auth"
)

// maxToken is the longest token that is read; the relay refuses longer ones.
const maxToken = 16 << 10

const redacted = "[redacted]"

// secret is a key, a token or a password. It shows itself only where it is converted to a string on purpose.
type secret string

func (secret) String() string               { return redacted }
func (secret) GoString() string             { return redacted }
func (secret) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, redacted) }
func (secret) MarshalText() ([]byte, error) { return []byte(redacted), nil } //nolint:unparam // encoding.TextMarshaler
func (secret) LogValue() slog.Value         { return slog.StringValue(redacted) }

// terminal is the file of the standard input if that is a terminal, else nil.
func (p *program) terminal() *os.File { return terminalOf(p.stdin) }

// terminalOf is the stream's file if it is a terminal, else nil.
func terminalOf(stream any) *os.File {
	if f, ok := stream.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// ask reads a line that the user types after the prompt.
func (p *program) ask(ctx context.Context, prompt string) (string, error) {
	fmt.Fprint(p.stderr, prompt)
	line, err := waitFor(ctx, p.readLine)
	if err != nil {
		fmt.Fprintln(p.stderr)
	}
	return line, err
}

// askSecret reads a line from the terminal without echo.
func (p *program) askSecret(ctx context.Context, prompt string) (secret, error) {
	tty := p.terminal()
	if tty == nil {
		return "", errors.New("standard input is not a terminal")
	}
	fd := int(tty.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	fmt.Fprint(p.stderr, prompt)
	defer fmt.Fprintln(p.stderr)
	typed, err := waitFor(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	if ctx.Err() != nil {
		_ = term.Restore(fd, before) // the read still waits: give the terminal its echo back for it
	}
	return secret(typed), err
}

// waitFor gives up waiting for the user when the context ends: a read from a terminal cannot be cancelled.
func waitFor[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := read()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var zero T
		return zero, ctx.Err()
	}
}

// readLine reads one line of the standard input, without its end. It takes byte by byte: what follows belongs to the next reader.
func (p *program) readLine() (string, error) {
	var line []byte
	for b := make([]byte, 1); len(line) < maxToken; {
		n, err := p.stdin.Read(b)
		if n == 1 && b[0] == '\n' {
			return strings.TrimSuffix(string(line), "\r"), nil
		}
		line = append(line, b[:n]...)
		if err == io.EOF && len(line) > 0 {
			return string(line), nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", errors.New("a line of the standard input is too long")
}

// readInput reads the whole standard input, at most limit bytes.
func (p *program) readInput(ctx context.Context, limit int64) ([]byte, error) {
	text, err := waitFor(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(bufio.NewReader(p.stdin), limit+1)) })
	if err == nil && int64(len(text)) > limit {
		return nil, fmt.Errorf("standard input is larger than %d bytes", limit)
	}
	return text, err
}

// readSecretFile reads a secret from a small file; white space around it, such as the newline that editors add, is not part of it.
func readSecretFile(path string) (secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return "", err
	}
	content = bytes.TrimSpace(content)
	switch {
	case len(content) > maxToken:
		return "", fmt.Errorf("%s is too large for a secret", path)
	case len(content) == 0:
		return "", fmt.Errorf("%s is empty", path)
	}
	return secret(content), nil
}

// signingKey finds the HS256 key: in the file if there is one, else in SECRET_KEY, else it is asked for on a terminal.
func (p *program) signingKey(ctx context.Context, file string) (secret, error) {
	key, source := secret(strings.TrimSpace(p.getenv("SECRET_KEY"))), "SECRET_KEY"
	var err error
	switch {
	case file != "":
		source = file
		key, err = readSecretFile(file)
	case key == "" && p.terminal() != nil:
		source = "the key"
		key, err = p.askSecret(ctx, "Signing key: ")
	case key == "":
		err = errors.New("no signing key: give --key-file, or set SECRET_KEY")
	}
	if err != nil {
		return "", err
	}
	if len(key) < auth.MinKeyLength {
		return "", fmt.Errorf("%s holds %d bytes; a signing key has at least %d (\"relayctl key\" makes one)", source, len(key), auth.MinKeyLength)
	}
	return key, nil
}

// writePrivate writes a file that only its owner can read. It appears whole or not at all, and an existing one is replaced only with force.
func writePrivate(path string, content []byte, force bool) (err error) {
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
		err = writeAndRename(f, content, path)
	}
	if err != nil && !force {
		os.Remove(path)
	}
	return err
}

func writeAndRename(f *os.File, content []byte, path string) error {
	_, err := f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
