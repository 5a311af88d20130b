package qualys

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxElement = 1 << 20  // bytes of the JSON of one event, which is held while it is read
	smallEvent = 64 << 10 // bytes of it that are not worth counting

	maxDecoded = 24 << 20 // bytes that an answer takes in memory
	// Bytes of it before it is decoded, without a compression: what of it is unknown or cut is not held.
	maxWire = 4 * maxDecoded
)

// answer is the body of an answer that is being read. It bounds how much is read, in all and for each
// element.
type answer struct {
	request
	ctx    context.Context //nolint:containedctx // of the call that reads it: io.Reader has no place for one
	status int             // 0 before there is one, as of the two below
	limits RateLimits
	body   io.Reader
	grant  *grant
	read   int64        // bytes so far
	raw    bytes.Buffer // the last of them, from where the element at hand begins
	held   int64        // bytes that are counted for the largest element
}

func (a *answer) Read(p []byte) (int, error) {
	switch {
	case a.read > maxWire:
		return 0, unreadable("the answer is larger than %d bytes", maxWire)
	case a.raw.Len() > maxElement:
		return 0, unreadable("one event is larger than %d bytes", maxElement)
	}
	n, err := a.body.Read(p)
	a.raw.Write(p[:n])
	a.read += int64(n)
	if element := int64(a.raw.Len()); element > max(a.held, smallEvent) {
		// Both a.raw and, for one long text, the buffer of the JSON library grow by doubling, and for a moment
		// there are the old one and the new one.
		if tooMuch := a.grant.take(a.ctx, 5*(element-a.held)); tooMuch != nil {
			return 0, tooMuch
		}
		a.held = element
	}
	return n, err
}

// short reads what is enough of a text for people. It reads at least once: a body that has failed before
// says so again.
func (a *answer) short() ([]byte, error) {
	_, err := io.CopyN(io.Discard, a, int64(max(maxErrorBody-a.raw.Len(), 1)))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return a.raw.Bytes()[:min(a.raw.Len(), maxErrorBody)], err
}

func unreadable(format string, args ...any) *Error {
	return &Error{Kind: KindUnreadable, Message: fmt.Sprintf(format, args...)}
}

// events reads a page of at most size events. The errors are an *Error, and what reading the body
// returned.
func (a *answer) events(size int) (Page, error) {
	r := pageReader{answer: a, in: newEventReader(a), size: size, page: Page{Limits: a.limits}}
	if a.status == http.StatusNoContent { // no events, to Qualys's own Splunk add-on
		return r.page, nil
	}
	err := r.read()
	if err == nil {
		_, err = r.in.ReadToken()
	}
	switch {
	case errors.Is(err, io.EOF):
		a.grant.keep(r.kept)
		r.page.grant = a.grant
		r.page.Full = r.elements() == size
		return r.page, nil
	case err == nil, // there is something behind it
		errors.As(err, new(*jsontext.SyntacticError)) && !errors.Is(err, io.ErrUnexpectedEOF):
		return Page{}, a.refusal(notEvents, nil)
	}
	return Page{}, err
}

const notEvents = "the answer is not a list of events"

// pageReader reads a page while it arrives.
type pageReader struct {
	*answer
	in   *eventReader
	size int // events that were asked for
	page Page
	kept int64 // bytes that its events take
}

func (r *pageReader) elements() int { return len(r.page.Events) + r.page.Unreadable }

func (r *pageReader) read() error {
	switch r.in.PeekKind() {
	case '[':
		return r.in.each(r.element)
	case '{':
		return r.object()
	}
	text, err := r.short()
	switch {
	case err != nil:
		return err
	case len(bytes.TrimSpace(text)) == 0:
		return r.refusal("the answer is empty", nil)
	}
	return r.refusal(notEvents, text)
}

// element reads an element of the list of events.
func (r *pageReader) element() error {
	start := r.in.InputOffset()
	r.raw.Next(r.raw.Len() - int(r.answer.read-start)) // what lies before it
	e, err := r.in.event()
	switch {
	case err != nil:
		return err
	case r.elements() == r.size:
		return unreadable("there are more events than the %d that were asked for", r.size)
	case e == nil:
		r.page.Unreadable++
		return nil
	}
	if e.Key = e.ID; e.ID == "" {
		raw := bytes.TrimLeft(r.raw.Bytes()[:r.in.InputOffset()-start], " \t\r\n,")
		e.Key = fmt.Sprintf("sha256:%x", sha256.Sum256(raw))
	}
	r.page.Events = append(r.page.Events, e)
	r.kept += int64(e.Size)
	return r.grant.take(r.ctx, int64(e.Size))
}

// object reads an answer that is an object: its list of events, which one integration expects as "data",
// "events" or "items", or what it says instead. An empty list beside a message is a refusal too, and so is
// one beside more than a message needs.
func (r *pageReader) object() error {
	found := false
	err := r.in.each(func() error {
		name, err := r.in.ReadToken()
		if err != nil {
			return err
		}
		key := name.String()
		if r.in.PeekKind() != '[' || key != "data" && key != "events" && key != "items" {
			return r.in.SkipValue()
		}
		found = true
		return r.in.each(r.element)
	})
	if err != nil || r.elements() > 0 {
		return err
	}
	said := r.raw.Bytes() // whole, as there was no element
	if !found || len(said) > maxErrorBody || parseReply(said).structured {
		return r.refusal(notEvents, said[:min(len(said), maxErrorBody)])
	}
	return nil
}
