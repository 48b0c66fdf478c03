package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/aispend/aispend/internal/store"
)

const typeProblem = "application/problem+json"

const internalDetail = "something went wrong inside aispend; its log has the details"

// problem is the body of every error (RFC 9457). Type is always about:blank, so
// Title is the status' own text. Parameter names the query parameter to change.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Parameter string `json:"parameter,omitempty"`
}

// httpError is an error that knows its answer. Detail is shown to the caller and
// tells what to do; err is for the log only.
type httpError struct {
	status     int
	detail     string
	parameter  string
	challenge  string // WWW-Authenticate
	retryAfter int    // seconds; 0 for none
	logged     bool
	err        error
}

// Error returns the detail and the cause.
func (e *httpError) Error() string {
	if e.err == nil {
		return e.detail
	}
	return e.detail + ": " + e.err.Error()
}

// Unwrap returns the cause.
func (e *httpError) Unwrap() error { return e.err }

func problemf(status int, format string, args ...any) error {
	return &httpError{status: status, detail: fmt.Sprintf(format, args...)}
}

// badParam is a 400 about one query parameter.
func badParam(name, format string, args ...any) error {
	return &httpError{status: http.StatusBadRequest, parameter: name, detail: fmt.Sprintf(format, args...)}
}

// errorTable maps the errors of the rest of the daemon to answers; the first match
// wins. An error that is not in it is a 500 without details.
func errorTable() []struct {
	is     error
	status int
	detail string
} {
	return []struct {
		is     error
		status int
		detail string
	}{
		{store.ErrNotFound, http.StatusNotFound, "no such page; it may have expired (storage.raw_retention)"},
		{
			store.ErrBadCursor, http.StatusBadRequest,
			"this cursor was not handed out by this list; start again without one",
		},
		{store.ErrPagesMissing, http.StatusConflict, "raw pages that this needs have expired or are damaged"},
		{
			store.ErrLowSpace, http.StatusInsufficientStorage,
			"not enough free disk space to write; free some under --storage.path and try again",
		},
		{
			store.ErrCorrupt, http.StatusInternalServerError,
			"the store is damaged at what this needs; GET /status and the log say more",
		},
		{ErrBusy, http.StatusConflict, "a recompute is running; wait until it has ended"},
		{context.DeadlineExceeded, http.StatusServiceUnavailable, "it took too long; ask for less, or later"},
		{context.Canceled, http.StatusServiceUnavailable, "the request was cancelled, or the daemon is stopping"},
	}
}

// toHTTP returns err as an httpError.
func toHTTP(err error) *httpError {
	if he, ok := errors.AsType[*httpError](err); ok {
		return he
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &httpError{status: http.StatusRequestEntityTooLarge, detail: "the body is too large; send none"}
	}
	for _, row := range errorTable() {
		if errors.Is(err, row.is) {
			return &httpError{status: row.status, detail: row.detail, err: err}
		}
	}
	return &httpError{status: http.StatusInternalServerError, detail: internalDetail, err: err}
}

// fail logs err, once, and answers with its problem. When a part of the answer is
// already out, it cuts the connection instead.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, route string, err error) {
	he := toHTTP(err)
	gone := errors.Is(err, errGone)
	s.logFailure(r, route, he, gone || r.Context().Err() != nil, err)
	if rec, ok := w.(*recorder); gone || ok && rec.code != 0 {
		panic(http.ErrAbortHandler)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // "<token>" is read by people, and nosniff keeps it JSON
	if err := enc.Encode(problem{
		Type: "about:blank", Title: http.StatusText(he.status), Status: he.status,
		Detail: he.detail, Parameter: he.parameter,
	}); err != nil { // five plain fields; cannot happen
		b.Reset()
	}
	body := b.Bytes()
	h := w.Header()
	h.Del("Content-Disposition")
	h.Set("Content-Type", typeProblem)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.ContentLength != 0 {
		// Or net/http would wait for the rest of the body before it lets this out.
		h.Set("Connection", "close")
	}
	if he.challenge != "" {
		h.Set("WWW-Authenticate", he.challenge)
	}
	if he.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(he.retryAfter))
	}
	w.WriteHeader(he.status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}

// logFailure keeps the log quiet about mistakes of clients, audible about refused
// ones and loud about our own.
func (s *Server) logFailure(r *http.Request, route string, he *httpError, gone bool, err error) {
	log := s.log.With("route", route, "method", r.Method, "code", he.status, "remote", r.RemoteAddr)
	switch {
	case he.logged:
	case gone:
		log.Debug("client went away", "err", err)
	case he.status >= http.StatusInternalServerError && he.retryAfter == 0:
		log.Error("request failed", "err", err)
	case he.status == http.StatusUnauthorized, he.status == http.StatusForbidden, he.retryAfter > 0:
		log.Warn("request refused", "err", err)
	default:
		log.Debug("bad request", "err", err)
	}
}
