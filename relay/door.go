package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"
)

// payload is the data of an answer: pieces of JSON text that are written one after another, so that a large answer is held once.
type payload interface{ Parts([][]byte) [][]byte }

// statusError is a failure that does not answer HTTP 200: the request reached no endpoint.
type statusError struct {
	status          int
	message, reason string
}

func (e *statusError) Error() string { return e.message }

// panicError is a panic of a handler, with its stack for the log.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// serve is the door that every request passes: it sets the limits, runs the endpoint, writes the answer once, and logs one line.
func (s *Service) serve(w http.ResponseWriter, r *http.Request, e endpoint) {
	rec := newRecord(r, e.name)
	if !s.drain.enter() {
		refusal := &statusError{http.StatusServiceUnavailable, "The relay is shutting down.", "Try again."}
		rec.finish(refusal.status, write(w, refusal.status, encodeStatus(refusal)))
		rec.log(r.Context(), s.log)
		return
	}
	defer s.drain.leave()

	deadline := rec.started.Add(s.config.RequestTimeout)
	ctx, cancel := context.WithDeadline(r.Context(), deadline)
	defer cancel()
	ctx, stop := s.drain.bound(ctx)
	defer stop()
	conn := http.NewResponseController(w)
	_ = conn.SetWriteDeadline(deadline.Add(writeTime)) // a writer that cannot, such as a recorder, has no connection to hold
	if r.Body != http.NoBody {
		_ = conn.SetReadDeadline(deadline)
	}
	ctx, span := s.telemetry.request(ctx, r, rec)
	r = r.WithContext(ctx)
	body := &timedBody{ReadCloser: r.Body, conn: conn}
	r.Body = http.MaxBytesReader(w, body, maxBody)

	status, parts := s.respond(r, e, rec)
	if r.ContentLength != 0 && !body.read {
		_ = conn.SetReadDeadline(time.Now().Add(discardTime)) // the server reads the rest before it answers
	}
	w.Header().Set("Server-Timing", rec.serverTiming())
	rec.finish(status, write(w, status, parts...))
	span.end(rec)
	rec.log(ctx, s.log)
	s.telemetry.flush()
}

const (
	writeTime   = 5 * time.Second // for writing an answer after the deadline of the request
	discardTime = time.Second     // for the rest of a body that no handler wanted
)

// timedBody is a request body with a deadline, which ends with the body: the connection is read on for signs that the caller has gone away.
type timedBody struct {
	io.ReadCloser
	conn *http.ResponseController
	read bool // to its end
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) && !b.read {
		b.read = true
		_ = b.conn.SetReadDeadline(time.Time{})
	}
	return n, err
}

// respond calls the endpoint and makes its answer. A panic in either becomes an error of ours.
func (s *Service) respond(r *http.Request, e endpoint, rec *record) (status int, parts [][]byte) {
	defer func() {
		if value := recover(); value != nil {
			status, parts = s.answer(nil, &panicError{value, debug.Stack()}, rec)
		}
	}()
	if r.Method != e.method {
		return s.answer(nil, &statusError{http.StatusMethodNotAllowed, "This endpoint takes " + e.method + " requests only.", r.Method + " is not allowed."}, rec)
	}
	data, err := e.handle(s, r, rec)
	return s.answer(data, err, rec)
}

// answer makes the one envelope. Data that is there stays, whatever failed beside it.
func (s *Service) answer(data payload, err error, rec *record) (int, [][]byte) {
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.status, [][]byte{encodeStatus(e)}
	}
	if bare, ok := data.(bareJSON); ok {
		return http.StatusOK, [][]byte{bare}
	}
	rec.problems = errorsOf(err, rec.gateway)
	parts := [][]byte{[]byte("{")}
	if data != nil {
		parts = data.Parts(append(parts, []byte(`"data":`)))
	}
	if len(rec.problems) > 0 {
		if data != nil {
			parts = append(parts, []byte(","))
		}
		parts = append(parts, []byte(`"errors":`), encode(rec.problems))
	}
	return http.StatusOK, append(parts, []byte("}"))
}

func encodeStatus(e *statusError) []byte {
	return encode(map[string]any{"code": e.status, "message": e.message, "reason": e.reason})
}

// encode writes what cannot fail to encode: our own structs and maps of strings.
func encode(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// write sends the whole answer and returns its size. It is flushed, so that a shutdown right after it loses nothing.
func write(w http.ResponseWriter, status int, parts ...[]byte) (size int) {
	for _, part := range parts {
		size += len(part)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(size))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	for _, part := range parts {
		if _, err := w.Write(part); err != nil { //nolint:gosec // it is JSON, and says so
			return size // the caller went away
		}
	}
	_ = http.NewResponseController(w).Flush() // where it cannot, the server does so itself
	return size
}

// milliseconds as Server-Timing and the log have them.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
