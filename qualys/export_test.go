package qualys

import (
	"context"
	"io"
)

// ReadEvents reads an answer of at most size events as Events does.
func ReadEvents(ctx context.Context, body io.Reader, size int) (Page, error) {
	a := &answer{ctx: ctx, body: body, grant: &grant{limit: 24 << 20}}
	return a.events(size)
}
