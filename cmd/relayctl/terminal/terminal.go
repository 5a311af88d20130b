// Package terminal is how a command talks to its user: prompts, secrets typed without echo, text on
// standard input, the width of the screen, and a line that shows what is waited for.
package terminal

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/secret"
)

// Streams are the standard streams of a command. Any of them may be a terminal.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// file is the stream's file if it is a terminal, else nil.
func file(stream any) *os.File {
	if f, ok := stream.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// Interactive tells whether somebody can be asked: standard input is a terminal.
func (s Streams) Interactive() bool { return file(s.In) != nil }

// Width is how many columns the terminal of the standard output has, or 0 where that is a pipe or a file.
func (s Streams) Width() int {
	tty := file(s.Out)
	if tty == nil {
		return 0
	}
	width, _, _ := term.GetSize(int(tty.Fd()))
	return cmp.Or(width, 80) // some terminals do not know theirs
}

// Note tells the user something that is not the result, or nothing where the text is empty.
func (s Streams) Note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); text != "" {
		fmt.Fprintln(s.Err, plain.Lines(text))
	}
}

// Ask reads a line of the standard input, without its end. A terminal shows the prompt first. Where the input
// has ended, the line is empty.
func (s Streams) Ask(ctx context.Context, prompt string) (string, error) {
	if s.Interactive() {
		fmt.Fprint(s.Err, prompt)
	}
	line, err := wait(ctx, s.readLine)
	if err != nil {
		fmt.Fprintln(s.Err) // the error is not written behind the prompt
	}
	return string(line), err
}

// AskSecret is Ask without echo on a terminal.
func (s Streams) AskSecret(ctx context.Context, prompt string) (secret.Value, error) {
	tty := file(s.In)
	if tty == nil {
		line, err := s.Ask(ctx, prompt)
		return secret.Value(line), err
	}
	fd := int(tty.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	fmt.Fprint(s.Err, prompt)
	defer fmt.Fprintln(s.Err)
	typed, err := wait(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	if ctx.Err() != nil {
		_ = term.Restore(fd, before) // the read still waits: give the terminal its echo back for it
	}
	return secret.Value(typed), err
}

// ReadText reads the whole standard input, at most limit bytes, as UTF-8 (see plain.Decode).
func (s Streams) ReadText(ctx context.Context, limit int64) ([]byte, error) {
	content, err := wait(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(s.In, limit+1)) })
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("standard input is larger than %d bytes", limit)
	}
	return plain.Decode(content), err
}

// wait gives up waiting for the user when the context ends: a read from a terminal cannot be cancelled. The
// end of the input is no error.
func wait(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	done := make(chan func() ([]byte, error), 1)
	go func() {
		content, err := read()
		if errors.Is(err, io.EOF) {
			err = nil
		}
		done <- func() ([]byte, error) { return content, err }
	}()
	select {
	case result := <-done:
		return result()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// readLine takes byte by byte: what follows the line belongs to the next reader.
func (s Streams) readLine() ([]byte, error) {
	var line []byte
	for b := make([]byte, 1); len(line) < secret.MaxSize; {
		n, err := s.In.Read(b)
		if n == 1 && b[0] == '\n' {
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		line = append(line, b[:n]...)
		if err != nil {
			return line, err
		}
	}
	return nil, errors.New("a line of the standard input is too long")
}

// Progress shows on a terminal what is waited for. The function that it returns clears the line.
func (s Streams) Progress(what string) (done func()) {
	if file(s.Err) == nil {
		return func() {}
	}
	fmt.Fprintf(s.Err, "%s…", what)
	return func() { fmt.Fprint(s.Err, "\r\x1b[K") }
}
