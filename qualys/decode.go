package qualys

import (
	"bufio"
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
	read  int64 // bytes so far
	mark  int64 // where the element at hand began, or a bit before
	held  int64 // bytes that are counted for the largest element
	err   error // why reading ended, but for the end of the body
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
		// The buffer of the JSON library grows by doubling, and for a moment there are the old one and the
		// new one.
		if tooMuch := a.grant.take(a.ctx, 3*(element-a.held)); tooMuch != nil {
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
	var p Page
	r := bufio.NewReader(a)
	first, err := firstByte(r)
	switch {
	case errors.Is(err, io.EOF):
		return p, &refusal{what: "the answer is empty"}
	case err != nil:
		return p, err
	case first == '[':
		d := jsontext.NewDecoder(r, lenient)
		if err = a.list(d, size, &p); err == nil {
			_, err = d.ReadToken()
		}
	case first == '{':
		d := jsontext.NewDecoder(r, lenient)
		if err = a.object(d, size, &p); err == nil {
			_, err = d.ReadToken()
		}
	default:
		text, err := readShort(r)
		if err != nil {
			return p, err
		}
		what := "the answer is not JSON"
		if jsontext.Value(text).IsValid() {
			what = "the answer is not a list of events"
		}
		return p, &refusal{what, text}
	}
	var ours *refusal
	switch {
	case errors.Is(err, io.EOF): // behind the last bracket, where it belongs
		size := int64(0)
		for _, e := range p.Events {
			size += int64(e.Size)
		}
		a.grant.keep(size)
		p.grant = a.grant
		return p, nil
	case a.err != nil:
		return p, a.err
	case err == nil:
		return p, &refusal{what: "the answer is not JSON"} // something follows
	case errors.As(err, &ours), errors.As(err, new(*Error)):
		return p, err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return p, io.ErrUnexpectedEOF
	}
	return p, &refusal{what: "the answer is not JSON"}
}

func firstByte(r *bufio.Reader) (byte, error) {
	for {
		c, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, r.UnreadByte()
		}
	}
}

// list reads the elements of a list into p.
func (a *answer) list(d *jsontext.Decoder, size int, p *Page) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for elements := 1; ; elements++ {
		a.mark = a.read
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
		raw, err := d.ReadValue()
		if err != nil {
			return err
		}
		p.Full = elements == size
		e := new(Event)
		if e.UnmarshalJSON(raw) != nil {
			p.Unreadable++
			continue
		}
		if err := a.grant.take(a.ctx, int64(e.Size)); err != nil {
			return err
		}
		p.Events = append(p.Events, e)
	}
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
		a.mark = a.read
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

// count reads {"count": N}, where N may be in a string.
func (a *answer) count() (int64, error) {
	body, err := readShort(a)
	if err != nil {
		return 0, err
	}
	var v struct {
		Count string `json:"count"`
	}
	err = json.Unmarshal(body, &v, lenient)
	n, ok := integer(v.Count)
	if err != nil || !ok || n < 0 {
		return 0, &refusal{"the answer is not a count", body}
	}
	return n, nil
}

// readShort reads what is enough of a text for people.
func readShort(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, maxErrorBody))
}
