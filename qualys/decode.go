package qualys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxElement = 1 << 20  // bytes of the JSON of one event, which is held while it is read
	smallEvent = 64 << 10 // bytes of it that are not worth counting

	// An answer may be so many times its limit of memory before it is decoded: what of it is unknown or
	// cut is not held.
	maxWireFactor = 4
)

// answer is a body that is being read. It bounds how much is read, in all and for each element, and
// remembers what went wrong.
type answer struct {
	ctx   context.Context //nolint:containedctx // of the call that reads it: io.Reader has no place for one
	body  io.Reader
	grant *grant
	read  int64        // bytes so far
	mark  int64        // where the element at hand began, or a bit before
	held  int64        // bytes that are counted for the largest element
	raw   bytes.Buffer // and its JSON, for what cannot be read in one pass
	start int64        // the offset at which raw begins
	wire  wireEvent    // the element at hand
	err   error        // why reading ended, but for the end of the body
}

func (a *answer) Read(p []byte) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	n, err := a.body.Read(p)
	a.read += int64(n)
	element := a.read - a.mark
	switch {
	case a.read > a.grant.limit*maxWireFactor:
		err = tooLarge(a.grant.limit * maxWireFactor)
	case element > maxElement:
		err = &Error{Kind: KindUnreadable, Message: fmt.Sprintf("one event is larger than %d bytes", maxElement)}
	case element > max(a.held, smallEvent):
		// Both a.raw and, for one long text, the buffer of the JSON library grow by doubling, and for a moment
		// there are the old one and the new one.
		if tooMuch := a.grant.take(a.ctx, 5*(element-a.held)); tooMuch != nil {
			err = tooMuch
		}
		a.held = element
	}
	if err != nil && !errors.Is(err, io.EOF) {
		a.err = err
	}
	return n, err
}

// refusal is the content of a 2xx that is no list of events (or no token, no count).
type refusal struct {
	what string // "the answer is not JSON"
	body []byte // its beginning
}

func (r *refusal) Error() string { return r.what }

// events reads a page of at most size events. The errors are a *refusal, an *Error, and what reading the
// body returned.
func (a *answer) events(size int) (Page, error) {
	r := pageReader{answer: a, size: size}
	err := json.UnmarshalRead(io.TeeReader(a, &a.raw), &r, usual) // it reuses decoders
	var said *refusal
	var ours *Error
	switch {
	case err == nil:
		size := int64(0)
		for _, e := range r.page.Events {
			size += int64(e.Size)
		}
		a.grant.keep(size)
		r.page.grant = a.grant
		return r.page, nil
	case a.err != nil:
		return Page{}, a.err
	case !r.isContainer:
		return Page{}, a.text()
	case errors.As(err, &said):
		return Page{}, said
	case errors.As(err, &ours):
		return Page{}, ours
	case errors.Is(err, io.ErrUnexpectedEOF):
		return Page{}, io.ErrUnexpectedEOF
	}
	return Page{}, &refusal{what: "the answer is not JSON"}
}

// pageReader is a page as a type of the JSON library.
type pageReader struct {
	*answer
	size        int
	page        Page
	isContainer bool // the answer is a list or an object
}

func (r *pageReader) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	switch d.PeekKind() {
	case '[':
		r.isContainer = true
		return r.list(d, r.size, &r.page)
	case '{':
		r.isContainer = true
		return r.object(d, r.size, &r.page)
	}
	return errNotEvent
}

// text is the error for an answer that is neither a list nor an object.
func (a *answer) text() error {
	if a.err != nil {
		return a.err
	}
	text, err := readShort(io.MultiReader(&a.raw, a))
	if err != nil {
		return err
	}
	switch text = bytes.TrimSpace(text); {
	case len(text) == 0:
		return &refusal{what: "the answer is empty"}
	case jsontext.Value(text).IsValid():
		return &refusal{"the answer is not a list of events", text}
	}
	return &refusal{"the answer is not JSON", text}
}

// list reads the elements of a list into p.
func (a *answer) list(d *jsontext.Decoder, size int, p *Page) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for elements := 1; ; elements++ {
		a.begin(d)
		switch d.PeekKind() {
		case ']':
			_, err := d.ReadToken()
			return err
		case jsontext.KindInvalid:
		default:
			if elements > size {
				message := fmt.Sprintf("there are more events than the %d that were asked for", size)
				return &Error{Kind: KindUnreadable, Message: message}
			}
		}
		e, err := a.event(d)
		if err != nil {
			return err
		}
		p.Full = elements == size
		if e == nil {
			p.Unreadable++
			continue
		}
		if err := a.grant.take(a.ctx, int64(e.Size)); err != nil {
			return err
		}
		p.Events = append(p.Events, e)
	}
}

// begin is called before each element.
func (a *answer) begin(d *jsontext.Decoder) {
	a.mark = a.read
	a.raw.Next(int(d.InputOffset() - a.start))
	a.start = d.InputOffset()
}

// event reads the next value, which is nil where it is no event.
func (a *answer) event(d *jsontext.Decoder) (*Event, error) {
	if d.PeekKind() != '{' {
		return nil, d.SkipValue()
	}
	depth := d.StackDepth()
	w := &a.wire
	*w = wireEvent{}
	err := json.UnmarshalDecode(d, w)
	isOdd := errors.As(err, new(*json.SemanticError))
	if err != nil && !isOdd {
		return nil, err
	}
	for d.StackDepth() > depth { // behind what is odd
		if _, err := d.ReadToken(); err != nil {
			return nil, err
		}
	}
	raw := bytes.TrimLeft(a.raw.Bytes()[:d.InputOffset()-a.start], " \t\r\n,")
	if !isOdd {
		return w.event(raw), nil
	}
	e := new(Event)
	if e.UnmarshalJSON(raw) != nil {
		return nil, nil
	}
	return e, nil
}

// object reads an answer that is an object: its list of events, which one integration expects as "data",
// "events" or "items", or what it says instead. An empty list beside a message is a refusal too.
func (a *answer) object(d *jsontext.Decoder, size int, p *Page) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	said := []byte{'{'} // the members that may say something
	found := false
	for d.PeekKind() != '}' {
		a.begin(d)
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		key := name.String()
		isList := key == "data" || key == "events" || key == "items"
		if isList && !found && d.PeekKind() == '[' {
			found = true
			if err := a.list(d, size, p); err != nil {
				return err
			}
			continue
		}
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		if len(said)+len(key)+len(value) < maxErrorBody/2 {
			if len(said) > 1 {
				said = append(said, ',')
			}
			said, _ = jsontext.AppendQuote(said, key) // the decoder let only valid text through
			said = append(append(said, ':'), value...)
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	said = append(said, '}')
	if !found || len(p.Events) == 0 && p.Unreadable == 0 && parseReply(said).structured {
		return &refusal{"the answer is not a list of events", said}
	}
	return nil
}

// readShort reads what is enough of a text for people.
func readShort(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, maxErrorBody))
}
