// Package terminal is how a command talks to its user: prompts, secrets typed without echo, text on
// standard input, the width of the screen, and a line that shows what is waited for.
package terminal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

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
	width, _, err := term.GetSize(int(tty.Fd()))
	if err != nil || width <= 0 {
		return 80
	}
	return width
}

// Note tells the user something that is not the result, or nothing where the text is empty.
func (s Streams) Note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); text != "" {
		fmt.Fprintln(s.Err, plain.Lines(text))
	}
}

// Ask reads a line that the user types after the prompt.
func (s Streams) Ask(ctx context.Context, prompt string) (string, error) {
	fmt.Fprint(s.Err, prompt)
	line, err := waitFor(ctx, s.ReadLine)
	if err != nil {
		fmt.Fprintln(s.Err)
	}
	return line, err
}

// AskSecret reads a line from the terminal without echo.
func (s Streams) AskSecret(ctx context.Context, prompt string) (secret.Value, error) {
	tty := file(s.In)
	if tty == nil {
		return "", errors.New("standard input is not a terminal")
	}
	fd := int(tty.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	fmt.Fprint(s.Err, prompt)
	defer fmt.Fprintln(s.Err)
	typed, err := waitFor(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	if ctx.Err() != nil {
		_ = term.Restore(fd, before) // the read still waits: give the terminal its echo back for it
	}
	return secret.Value(typed), err
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

// ReadLine reads one line of the standard input, without its end. It takes byte by byte: what follows
// belongs to the next reader.
func (s Streams) ReadLine() (string, error) {
	var line []byte
	for b := make([]byte, 1); len(line) < secret.MaxSize; {
		n, err := s.In.Read(b)
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

// ReadText reads the whole standard input, at most limit bytes, as UTF-8 (see plain.Decode).
func (s Streams) ReadText(ctx context.Context, limit int64) ([]byte, error) {
	content, err := waitFor(ctx, func() ([]byte, error) {
		return io.ReadAll(io.LimitReader(s.In, limit+1))
	})
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("standard input is larger than %d bytes", limit)
	}
	return plain.Decode(content), nil
}

// Progress shows on a terminal what is waited for, and for how long already. The function that it returns
// clears the line.
func (s Streams) Progress(what string) (done func()) {
	if file(s.Err) == nil {
		return func() {}
	}
	return showProgress(s.Err, what)
}

func showProgress(w io.Writer, what string) (done func()) {
	ended := make(chan struct{})
	var shown sync.WaitGroup
	shown.Go(func() {
		for begin := time.Now(); ; {
			fmt.Fprintf(w, "\r%s… %ds", what, int(time.Since(begin).Seconds()))
			select {
			case <-time.After(time.Second):
			case <-ended:
				fmt.Fprint(w, "\r\x1b[K")
				return
			}
		}
	})
	return func() {
		close(ended)
		shown.Wait()
	}
}
