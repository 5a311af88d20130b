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

	"qualysrelay.example/ctim"
	"qualysrelay.example/relay/accesslog"
	"qualysrelay.example/relay/search"
	"qualysrelay.example/relay/telemetry"
)

const (
	writeTime   = 5 * time.Second // for writing an answer after the deadline of the request
	discardTime = time.Second     // for the rest of a body that no handler wanted
)

// request is one HTTP request in its handler, and what its log line will tell.
type request struct {
	*http.Request
	conn    *http.ResponseController
	line    accesslog.Line
	stats   search.Stats
	memory  answerMemory
	account Account // of the token

	errors     []*Error       // of the answer
	reported   map[Error]bool // those errors, without their causes
	errorBytes int            // of their messages
}

// bareJSON is an answer without an envelope.
type bareJSON struct{ value any }

// statusError is a failure that does not answer HTTP 200: the request reached no endpoint.
type statusError struct {
	Status  int    `json:"code"`
	Message string `json:"message"`
	Reason  string `json:"reason"`
}

func (e *statusError) Error() string { return e.Message }

// serve sets the limits of a request, calls the endpoint, writes the answer, and logs one line.
func (s *Service) serve(w http.ResponseWriter, r *http.Request, e endpoint) {
	ctx := accesslog.WithTrace(r.Context(), r.Header)
	req := &request{line: accesslog.Line{Endpoint: e.name, Request: r, Started: time.Now()}}
	deadline := req.line.Started.Add(s.config.RequestTimeout)
	conn := http.NewResponseController(w)
	_ = conn.SetWriteDeadline(deadline.Add(writeTime)) // a test's recorder cannot, and has no connection
	if refusal := s.requests.enter(); refusal != nil {
		discardBody(w, r, conn)
		s.finish(ctx, w, req, func(telemetry.Outcome) {}, refusal.Status, encode(refusal))
		return
	}
	defer s.requests.leave()

	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	ctx, stop := s.requests.bound(ctx)
	defer stop()
	if r.Body != http.NoBody {
		_ = conn.SetReadDeadline(deadline)
	}
	body := &timedBody{ReadCloser: r.Body, conn: conn}
	ctx, count := s.telemetry.Request(ctx, e.name)
	req.Request = r.WithContext(ctx)
	req.Body = http.MaxBytesReader(w, body, maxBody)
	req.conn, req.memory.pool = conn, s.answers
	defer req.memory.release()

	status, parts := s.respond(req, e)
	if !body.read {
		discardBody(w, r, conn)
	}
	if status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", e.method)
	}
	s.finish(ctx, w, req, count, status, parts...)
}

// discardBody has the connection closed behind the answer, so that net/http does not wait for the rest of the
// body before it answers, and bounds how long it reads on after that.
func discardBody(w http.ResponseWriter, r *http.Request, conn *http.ResponseController) {
	if r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
		_ = conn.SetReadDeadline(time.Now().Add(discardTime))
	}
}

// finish writes the answer and the log line. Spans and metrics leave before the last part of the answer:
// after it, the instance may have no processor.
func (s *Service) finish(
	ctx context.Context, w http.ResponseWriter, r *request, count func(telemetry.Outcome),
	status int, parts ...[]byte,
) {
	line := &r.line
	line.Status, line.Upstream = status, accesslog.Upstream(r.stats)
	for _, part := range parts {
		line.Size += len(part)
	}
	h := w.Header()
	h.Set("Server-Timing", line.ServerTiming())
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(line.Size))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	last := len(parts) - 1
	for _, part := range parts[:last] {
		_, _ = w.Write(part) // an error says that the caller went away
	}
	count(telemetry.Outcome{
		Status: status, Codes: line.Codes(), Observables: line.Asked(), RateWaits: line.Upstream.Waits,
		Batches: line.Upstream.Batches, Took: time.Since(line.Started), AnswerFailed: line.Stack != "",
	})
	s.telemetry.Flush()
	_, _ = w.Write(parts[last])
	// A shutdown right after this loses nothing. Where w cannot be flushed, the server does so itself.
	_ = http.NewResponseController(w).Flush()
	line.Took = time.Since(line.Started)
	line.Write(ctx, s.log)
}

// timedBody is a request body with a deadline, which ends with the body: the connection is read on for
// signs that the caller has gone away.
type timedBody struct {
	io.ReadCloser
	conn *http.ResponseController
	read bool // to its end
}

// Read is the body's, and takes the deadline off at its end.
func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) && !b.read {
		b.read = true
		_ = b.conn.SetReadDeadline(time.Time{})
	}
	return n, err
}

// respond verifies the token, calls the endpoint, and makes its answer. A panic becomes an error of ours.
func (s *Service) respond(r *request, e endpoint) (status int, parts [][]byte) {
	defer func() {
		if value := recover(); value != nil {
			err := fmt.Errorf("panic: %v", value)
			r.line.Stack = err.Error() + "\n\n" + string(debug.Stack())
			status, parts = envelope(r, nil, err)
		}
	}()
	if r.Method != e.method {
		return envelope(r, nil, &statusError{http.StatusMethodNotAllowed,
			"This endpoint takes " + e.method + " requests only.", "The request has another method."})
	}
	if e.access == withToken {
		if err := s.authorize(r); err != nil {
			return envelope(r, nil, err)
		}
	}
	data, err := e.handle(s, r)
	return envelope(r, data, err)
}

// authorize verifies the token of the request and makes an account of its claims.
func (s *Service) authorize(r *request) error {
	ctx, end := s.telemetry.Span(r.Context(), "key")
	claims, err := s.verifier.Verify(ctx, r.Request)
	end(err)
	if err != nil {
		return err
	}
	r.account, err = s.config.Account(claims)
	r.line.Gateway = r.account.Tenant.Gateway
	return err
}

// envelope makes the answer from what a handler returned. Data that is there stays, whatever failed
// beside it.
func envelope(r *request, data any, err error) (status int, parts [][]byte) {
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.Status, [][]byte{encode(e)}
	}
	if bare, ok := data.(bareJSON); ok {
		return http.StatusOK, [][]byte{encode(bare.value)}
	}
	if err != nil {
		r.fail(err, ctim.Observable{})
	}
	failed := r.errors
	bundle, isBundle := data.(*ctim.Bundle)
	parts = [][]byte{[]byte("{")}
	switch {
	case data == nil, isBundle && bundle.Empty() && len(failed) > 0: // not {}, which would mean "nothing found"
	case isBundle:
		parts = bundle.Parts(append(parts, []byte(`"data":`)))
	default:
		parts = append(parts, []byte(`"data":`), encode(data))
	}
	if len(failed) > 0 {
		if len(parts) > 1 {
			parts = append(parts, []byte(","))
		}
		parts = append(parts, []byte(`"errors":`), encode(failed))
	}
	return http.StatusOK, append(parts, []byte("}"))
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
