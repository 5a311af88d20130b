package terminal

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/cmd/relayctl/secret"
)

func TestALineLeavesTheRestToTheNextReader(t *testing.T) {
	t.Parallel()
	var prompts strings.Builder
	p := Streams{In: strings.NewReader("user\r\npass word \nrest"), Err: &prompts}
	for _, want := range []string{"user", "pass word ", "rest", "", ""} {
		line, err := p.Ask(t.Context(), "? ")
		require.NoError(t, err)
		assert.Equal(t, want, line)
	}
	assert.Empty(t, prompts.String(), "only a terminal is asked")
	p.In = strings.NewReader("user\nsecret\n")
	_, err := p.Ask(t.Context(), "? ")
	require.NoError(t, err)
	typed, err := p.AskSecret(t.Context(), "? ")
	require.NoError(t, err)
	assert.Equal(t, "secret", string(typed))
	p.In = strings.NewReader(strings.Repeat("a", secret.MaxSize+1))
	_, err = p.Ask(t.Context(), "? ")
	require.ErrorContains(t, err, "too long")
}

func TestABrokenInputIsAnError(t *testing.T) {
	t.Parallel()
	p := Streams{In: iotest.ErrReader(io.ErrClosedPipe), Err: io.Discard}
	_, err := p.Ask(t.Context(), "? ")
	require.ErrorIs(t, err, io.ErrClosedPipe)
	_, err = p.ReadText(t.Context(), 10)
	require.ErrorIs(t, err, io.ErrClosedPipe)
}

func TestWaitingForInputEndsWithTheContext(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := Streams{In: r, Err: io.Discard}
	_, err := p.ReadText(ctx, 10)
	require.ErrorIs(t, err, context.Canceled)
	_, err = p.Ask(ctx, "? ")
	require.ErrorIs(t, err, context.Canceled)
}

func TestInputHasALimit(t *testing.T) {
	t.Parallel()
	p := Streams{In: strings.NewReader("1234567890")}
	got, err := p.ReadText(t.Context(), 10)
	require.NoError(t, err)
	assert.Equal(t, "1234567890", string(got))
	p.In = strings.NewReader("12345678901")
	_, err = p.ReadText(t.Context(), 10)
	require.ErrorContains(t, err, "larger than 10 bytes")
}

func TestProgressIsForATerminal(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	Streams{Err: &out}.Progress("Asking")()
	assert.Empty(t, out.String())
}

func TestTextOfWindowsIsRead(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"evil.example\r\n", "\xef\xbb\xbfevil.example\r\n",
		utf16("evil.example\r\n")} {
		got, err := Streams{In: strings.NewReader(content)}.ReadText(t.Context(), 100)
		require.NoError(t, err)
		assert.Equal(t, "evil.example\r\n", string(got))
	}
}

// utf16 is ASCII text as Windows PowerShell redirects it.
func utf16(s string) string {
	out := "\xff\xfe"
	for _, r := range s {
		out += string(r) + "\x00"
	}
	return out
}

func TestAPipeHasNoWidth(t *testing.T) {
	t.Parallel()
	assert.Zero(t, Streams{Out: io.Discard}.Width())
	assert.False(t, Streams{In: strings.NewReader("")}.Interactive())
}
