package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/julienschmidt/httprouter"
)

// contentSecurityPolicy lets the page load its style sheet and nothing else; it
// has no script, no form and no frame.
const contentSecurityPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; " +
	"form-action 'none'; frame-ancestors 'none'; base-uri 'none'"

const (
	typeJSON = "application/json; charset=utf-8"
	typeYAML = "application/yaml; charset=utf-8"
	typeText = "text/plain; charset=utf-8"
	typeHTML = "text/html; charset=utf-8"
	typeCSV  = "text/csv; charset=utf-8; header=present"

	typeMetrics = "text/plain; version=0.0.4; charset=utf-8"
)

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := &recorder{ResponseWriter: w, route: OtherRoute}
	start := s.now()
	defer func() {
		if s.deps.Observer != nil {
			s.deps.Observer.Observe(rec.route, rec.status(), s.now().Sub(start).Seconds())
		}
	}()
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	s.router.ServeHTTP(rec, r)
}

// serve is the way of every routed request; see the package comment.
func (s *Server) serve(rt route) httprouter.Handle {
	return func(w http.ResponseWriter, r *http.Request, ps httprouter.Params) {
		if rec, ok := w.(*recorder); ok {
			rec.route = rt.Pattern
		}
		if err := s.answer(w, r, rt, ps); err != nil {
			s.fail(w, r, rt.Pattern, err)
		}
	}
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, rt route, ps httprouter.Params) error {
	if rt.Method != http.MethodGet {
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		if err := s.origin.Check(r); err != nil {
			return problemf(http.StatusForbidden, "a web page of another origin may not call this route")
		}
	}
	if err := s.authorize(rt.Who, r); err != nil {
		return err
	}
	a, err := rt.handle(s, r, ps)
	if err != nil {
		return err
	}
	if a.contentType != "" {
		w.Header().Set("Content-Type", a.contentType)
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	release, err := s.classes[rt.class].acquire(r.Context())
	if err != nil {
		return err
	}
	defer release()
	return a.do(w, r)
}

// answer is a request that passed all checks: its content type, and the work,
// which writes status and body. An error of do before its first byte becomes a
// problem; after it the connection is cut, so that nobody takes a part for the whole.
type answer struct {
	contentType string
	do          func(http.ResponseWriter, *http.Request) error
}

// jsonAnswer answers with whatever do returns. Only for answers small enough to
// be held in memory.
func jsonAnswer[T any](do func(context.Context) (T, error)) answer {
	return answer{typeJSON, func(w http.ResponseWriter, r *http.Request) error {
		v, err := do(r.Context())
		if err != nil {
			return err
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			return fmt.Errorf("encoding the answer: %w", err)
		}
		return send(w, b.Bytes())
	}}
}

// with answers with another status than 200.
func (a answer) with(status int) answer {
	do := a.do
	a.do = func(w http.ResponseWriter, r *http.Request) error { return do(&withStatus{w, status}, r) }
	return a
}

// withStatus writes its status with the first byte.
type withStatus struct {
	http.ResponseWriter
	status int
}

// Write sends the status first.
func (w *withStatus) Write(b []byte) (int, error) {
	if w.status != 0 {
		w.WriteHeader(w.status)
		w.status = 0
	}
	return w.ResponseWriter.Write(b)
}

func textAnswer(contentType, text string) answer {
	return answer{contentType, func(w http.ResponseWriter, _ *http.Request) error {
		return send(w, []byte(text))
	}}
}

// errGone marks a write that failed: the client went away or is too slow.
var errGone = errors.New("client is gone")

func send(w http.ResponseWriter, b []byte) error {
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	return nil
}

// panicked is the router's PanicHandler.
func (s *Server) panicked(w http.ResponseWriter, r *http.Request, v any) {
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler) // net/http's own way to cut a connection
	}
	route := OtherRoute
	if rec, ok := w.(*recorder); ok {
		route = rec.route
	}
	s.log.Error("panic while answering", "route", route, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	s.fail(w, r, route, &httpError{status: http.StatusInternalServerError, detail: internalDetail, logged: true})
}

// failing adapts an error to the handlers that httprouter calls without a route.
func (s *Server) failing(why func(*http.Request, http.Header) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, OtherRoute, why(r, w.Header()))
	})
}

// recorder remembers the route and the status of an answer.
type recorder struct {
	http.ResponseWriter
	route string
	code  int
}

func (w *recorder) status() int {
	if w.code == 0 {
		return http.StatusOK
	}
	return w.code
}

// WriteHeader keeps the first final status.
func (w *recorder) WriteHeader(code int) {
	if w.code == 0 && code >= http.StatusOK {
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write counts as status 200 if nothing else was said.
func (w *recorder) Write(b []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
