package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	hookPath = "/hard-cap"
	maxBody  = 64 << 10 // bytes of a delivery

	// budget is how long the actions of one delivery may take. aispend gives up
	// waiting earlier and tries again, which then finds them done.
	budget = 50 * time.Second
	// busyFor is when a delivery may come back that met another one at work.
	busyFor = 5 * time.Second
)

// server takes deliveries, one at a time.
type server struct {
	log     *slog.Logger
	secrets func() ([][]byte, error)
	plan    plan
	seen    *seen // nil in a dry run without a file
	apply   bool
	now     func() time.Time

	working sync.Mutex
}

// answer is what a delivery is answered with.
type answer struct {
	status     int
	text       string
	retryAfter time.Duration // 0: not told
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := s.deliver(w, r)
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	if a.retryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((a.retryAfter+time.Second-1)/time.Second), 10))
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.text+"\n") // the sender may be gone: it will come back
}

// deliver checks everything about a delivery before anything in it is believed.
func (s *server) deliver(w http.ResponseWriter, r *http.Request) answer {
	if r.URL.Path != hookPath {
		return answer{status: http.StatusNotFound, text: "not found"}
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return answer{status: http.StatusMethodNotAllowed, text: "only POST"}
	}
	refuse := func(status int, text string, err error) answer {
		s.log.Warn("delivery refused", "status", status, "remote", r.RemoteAddr, "err", err)
		return answer{status: status, text: text}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return refuse(http.StatusRequestEntityTooLarge, "too large", err)
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "unreadable", err)
	}
	secrets, err := s.secrets()
	if err != nil {
		return refuse(http.StatusInternalServerError, "no signing secret", err)
	}
	id, err := verify(secrets, r.Header, body, s.now())
	if err != nil {
		return refuse(http.StatusUnauthorized, "not signed as it must be", err)
	}
	e, err := parseEvent(body)
	if err == nil && e.ID != id {
		err = errors.New("the id in the body is not webhook-id")
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "not an event for this program", err)
	}
	if !s.working.TryLock() {
		s.log.Info("delivery put off", "id", id)
		return answer{http.StatusServiceUnavailable, "at work", busyFor}
	}
	defer s.working.Unlock()
	// A sender that gives up must not stop the work half-way.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), budget)
	defer cancel()
	return s.handle(ctx, e)
}

// handle decides and acts on an event that is known to come from aispend.
func (s *server) handle(ctx context.Context, e event) answer {
	log := s.log.With("id", e.ID)
	if s.seen != nil && s.seen.has(e.ID) {
		log.Info("delivery known", "decision", "nothing: its actions are done")
		return answer{status: http.StatusOK, text: "done before"}
	}
	actions := s.pick(log, e)
	if len(actions) == 0 {
		return answer{status: http.StatusOK, text: "nothing to do"}
	}
	if !s.apply {
		for _, a := range actions {
			log.Info("dry run", "decision", "nothing is called", "would_call", a.String())
		}
		return answer{status: http.StatusOK, text: "dry run"}
	}
	if failed := act(ctx, log, actions); failed != nil {
		return *failed
	}
	if err := s.seen.add(e.ID, s.now()); err != nil {
		log.Error("delivery not remembered", "err", err)
		return answer{status: http.StatusInternalServerError, text: "done, and not remembered"}
	}
	log.Info("delivery done", "decision", "remembered", "actions", len(actions))
	return answer{status: http.StatusOK, text: "done"}
}

// pick returns the actions that the plan has for the breaches, each once.
func (s *server) pick(log *slog.Logger, e event) []action {
	var out []action
	have := map[string]bool{}
	for _, b := range e.Breaches {
		log := log.With("scope", b.Scope, "level", b.Level, "period", b.Period, "period_start", b.PeriodStart,
			"threshold", b.Threshold.String(), "total", b.Total.String())
		n := 0
		for _, r := range s.plan.rules {
			if !r.matches(b) {
				continue
			}
			n++
			if name := r.action.String(); !have[name] {
				have[name] = true
				out = append(out, r.action)
			}
		}
		if n == 0 {
			log.Warn("breach ignored", "decision", "nothing: the plan has no action for it")
			continue
		}
		log.Info("breach accepted", "decision", "act", "actions", n)
	}
	return out
}

// act does everything, also after a failure: the sooner a key is off, the better.
// It returns nil if all is done, else what to answer so that the sender tries
// again.
func act(ctx context.Context, log *slog.Logger, actions []action) *answer {
	var failed *answer
	for _, a := range actions {
		outcome, err := a.do(ctx)
		if err == nil {
			log.Info("action done", "decision", "called", "call", a.String(), "outcome", outcome)
			continue
		}
		log.Error("action failed", "decision", "try again", "call", a.String(), "err", err)
		if failed == nil {
			failed = &answer{status: http.StatusBadGateway, text: "an action failed"}
		}
		var s *statusError
		if errors.As(err, &s) && (s.code == http.StatusTooManyRequests || s.retryAfter > 0) {
			failed.status = http.StatusServiceUnavailable
			failed.retryAfter = max(failed.retryAfter, s.retryAfter)
		}
	}
	return failed
}
