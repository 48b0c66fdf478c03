package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// spy is an action that notes what became of it.
type spy struct {
	name string
	err  error

	entered chan struct{} // if not nil, do closes it and then waits for leave
	leave   chan struct{}

	mu    sync.Mutex
	calls int
	ctx   error // of the context when it was done
}

func (s *spy) String() string { return "call of " + s.name }

func (s *spy) do(ctx context.Context) (string, error) {
	if s.entered != nil {
		close(s.entered)
		<-s.leave
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	s.ctx = ctx.Err()
	return "done", s.err
}

func (s *spy) check(context.Context) (string, error) { return "", nil }

func (s *spy) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// rig is a server with spies for actions.
type rig struct {
	*server
	path string
	log  *bytes.Buffer
}

func newRig(t *testing.T, rules ...rule) *rig {
	t.Helper()
	g := &rig{path: filepath.Join(t.TempDir(), "seen.log"), log: &bytes.Buffer{}}
	g.server = &server{
		log: slog.New(slog.NewJSONHandler(g.log, nil)), plan: plan{rules}, apply: true,
		secrets: func() ([][]byte, error) { return parseSecrets(exampleSecret) },
		now:     func() time.Time { return exampleTime },
	}
	g.restart(t)
	return g
}

// restart forgets all that is not on the disk.
func (g *rig) restart(t *testing.T) {
	t.Helper()
	g.seen = reopen(t, g.path)
}

func delivery(t *testing.T, id, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, hookPath, strings.NewReader(body))
	r.Header.Set("webhook-id", id)
	r.Header.Set("webhook-timestamp", strconv.FormatInt(exampleTime.Unix(), 10))
	r.Header.Set("webhook-signature", sign(t, exampleSecret, id, exampleTime, body))
	return r
}

func (g *rig) send(t *testing.T, body string) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	g.ServeHTTP(rec, delivery(t, testID, body))
	return rec
}

func openAI(a action) rule { return rule{Scope: "openai", action: a} }

func TestADeliveryActsOnce(t *testing.T) {
	a, b, other := &spy{name: "a"}, &spy{name: "b"}, &spy{name: "other"}
	g := newRig(t, openAI(a), openAI(b), rule{Scope: "anthropic", action: other}, openAI(a))
	for i := range 4 {
		if rec := g.send(t, sample); rec.Code != http.StatusOK {
			t.Errorf("delivery %d: %d %s", i, rec.Code, rec.Body)
		}
		if a.count() != 1 || b.count() != 1 || other.count() != 0 {
			t.Errorf("after %d: %d, %d, %d calls", i, a.count(), b.count(), other.count())
		}
		g.restart(t)
	}
	next := strings.ReplaceAll(sample, testID, idOf(7)) // a raised limit has another id
	rec := httptest.NewRecorder()
	g.ServeHTTP(rec, delivery(t, idOf(7), next))
	if rec.Code != http.StatusOK || a.count() != 2 {
		t.Errorf("another id: %d, %d calls", rec.Code, a.count())
	}
}

func TestTheLogHasALineForEachDecision(t *testing.T) {
	g := newRig(t, openAI(&spy{name: "a"}))
	two := strings.Replace(sample, `"breaches":[`, `"breaches":[{"scope":"mine\n","level":"hard"},`, 1)
	g.send(t, two)
	g.send(t, two)
	log := g.log.String()
	if n := strings.Count(log, "\n"); n != 5 {
		t.Errorf("%d lines: %s", n, log)
	}
	for _, want := range []string{
		`"msg":"breach ignored"`, `"scope":"mine\n"`, `"msg":"breach accepted"`, `"total":"1003.52"`, `"threshold":"1000"`,
		`"msg":"action done"`, `"call":"call of a"`, `"msg":"delivery done"`, `"msg":"delivery known"`, `"id":"` + testID + `"`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("%s is not in %s", want, log)
		}
	}
}

func TestAFailedActionIsTriedAgainAndTheOthersAreDone(t *testing.T) {
	busy := func(code int, wait time.Duration) error {
		return fmt.Errorf("calling: %w", &statusError{who: "openai", code: code, retryAfter: wait})
	}
	for name, c := range map[string]struct {
		err    error
		status int
		retry  string
	}{
		"broken":                      {errors.New("broken"), 502, ""},
		"500":                         {busy(500, 0), 502, ""},
		"401":                         {busy(401, 0), 502, ""},
		"404":                         {busy(404, 0), 502, ""},
		"429":                         {busy(429, 0), 503, ""},
		"429 with a time":             {busy(429, 7*time.Second), 503, "7"},
		"429 with half a second":      {busy(429, 6500*time.Millisecond), 503, "7"},
		"503 with a time":             {busy(503, time.Minute), 503, "60"},
		"the actions took their time": {context.DeadlineExceeded, 502, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a, b, z := &spy{name: "a"}, &spy{name: "b", err: c.err}, &spy{name: "z"}
			g := newRig(t, openAI(a), openAI(b), openAI(z))
			rec := g.send(t, sample)
			if rec.Code != c.status || rec.Header().Get("Retry-After") != c.retry {
				t.Errorf("%d, Retry-After %q", rec.Code, rec.Header().Get("Retry-After"))
			}
			if a.count() != 1 || z.count() != 1 {
				t.Errorf("the others were called %d and %d times", a.count(), z.count())
			}
			g.restart(t)
			b.err = nil
			if rec = g.send(t, sample); rec.Code != http.StatusOK || b.count() != 2 {
				t.Errorf("again: %d, %d calls", rec.Code, b.count())
			}
			g.restart(t)
			if g.send(t, sample); b.count() != 2 || a.count() != 2 {
				t.Errorf("when done: %d and %d calls", b.count(), a.count())
			}
		})
	}
}

func TestTheLongestWaitIsPassedOn(t *testing.T) {
	wait := func(n time.Duration) *spy {
		return &spy{name: n.String(), err: &statusError{code: 429, retryAfter: n}}
	}
	g := newRig(t, openAI(wait(5*time.Second)), openAI(wait(90*time.Second)), openAI(&spy{name: "x", err: io.EOF}))
	if rec := g.send(t, sample); rec.Code != 503 || rec.Header().Get("Retry-After") != "90" {
		t.Errorf("%d, Retry-After %q", rec.Code, rec.Header().Get("Retry-After"))
	}
}

func TestWhatCannotBeRememberedIsDoneAgain(t *testing.T) {
	a := &spy{name: "a"}
	g := newRig(t, openAI(a))
	g.seen.path = filepath.Join(t.TempDir(), "none", "seen.log")
	if rec := g.send(t, sample); rec.Code != 500 || a.count() != 1 {
		t.Errorf("%d, %d calls", rec.Code, a.count())
	}
	g.seen.path = g.path
	if rec := g.send(t, sample); rec.Code != 200 || a.count() != 2 {
		t.Errorf("again: %d, %d calls", rec.Code, a.count())
	}
	if g.send(t, sample); a.count() != 2 {
		t.Errorf("when remembered: %d calls", a.count())
	}
}

func TestADryRunTouchesNothing(t *testing.T) {
	a := &spy{name: "a"}
	g := newRig(t, openAI(a))
	g.apply = false
	if rec := g.send(t, sample); rec.Code != 200 || a.count() != 0 {
		t.Errorf("%d, %d calls", rec.Code, a.count())
	}
	if !strings.Contains(g.log.String(), `"would_call":"call of a"`) {
		t.Error(g.log)
	}
	if _, err := os.Stat(g.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
	g.apply = true
	if rec := g.send(t, sample); rec.Code != 200 || a.count() != 1 {
		t.Errorf("in earnest: %d, %d calls", rec.Code, a.count())
	}
}

func TestBreachesThatAreNotNamedAreIgnored(t *testing.T) {
	a := &spy{name: "a"}
	for _, to := range []string{`"scope":"global"`, `"scope":"openai","level":"soft","x":"`} {
		g := newRig(t, openAI(a))
		body := strings.Replace(sample, `"scope":"openai"`, to, 1)
		if strings.Contains(to, "soft") {
			body = strings.Replace(sample, `"level":"hard"`, `"level":"soft"`, 1)
		}
		if rec := g.send(t, body); rec.Code != 200 || a.count() != 0 || g.seen.has(testID) {
			t.Errorf("%s: %d, %d calls", to, rec.Code, a.count())
		}
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	unsigned := func(r *http.Request) { r.Header.Del("webhook-signature") }
	for name, c := range map[string]struct {
		status int
		body   string
		edit   func(*http.Request)
	}{
		"GET":          {status: 405, edit: func(r *http.Request) { r.Method = http.MethodGet }},
		"PUT":          {status: 405, edit: func(r *http.Request) { r.Method = http.MethodPut }},
		"other path":   {status: 404, edit: func(r *http.Request) { r.URL.Path = "/hard-cap/" }},
		"unsigned":     {status: 401, edit: unsigned},
		"too large":    {status: 413, body: sample + strings.Repeat(" ", maxBody-len(sample)+1)},
		"other event":  {status: 400, body: strings.Replace(sample, "hard_cap", "hard_hat", 1)},
		"no JSON":      {status: 400, body: "hello"},
		"other id":     {status: 400, body: strings.Replace(sample, testID, idOf(1), 1)},
		"old":          {status: 401, edit: func(r *http.Request) { r.Header.Set("webhook-timestamp", "1614260000") }},
		"cut off body": {status: 400, edit: func(r *http.Request) { r.Body = io.NopCloser(broken{}) }},
	} {
		t.Run(name, func(t *testing.T) {
			a := &spy{name: "a"}
			g := newRig(t, openAI(a))
			if c.body == "" {
				c.body = sample
			}
			r := delivery(t, testID, c.body)
			if c.edit != nil {
				c.edit(r)
			}
			rec := httptest.NewRecorder()
			g.ServeHTTP(rec, r)
			if rec.Code != c.status || a.count() != 0 {
				t.Errorf("%d %s, %d calls", rec.Code, rec.Body, a.count())
			}
			if c.status == 405 && rec.Header().Get("Allow") != "POST" {
				t.Error("no Allow")
			}
			if strings.Contains(g.log.String()+rec.Body.String(), "MfKQ") {
				t.Error("the secret is shown")
			}
		})
	}
	g := newRig(t, openAI(&spy{name: "a"}))
	if rec := g.send(t, sample+strings.Repeat(" ", maxBody-len(sample))); rec.Code != 200 {
		t.Errorf("the largest body: %d", rec.Code)
	}
	g.secrets = func() ([][]byte, error) { return nil, errors.New("no file") }
	if rec := g.send(t, sample); rec.Code != 500 {
		t.Errorf("without a secret: %d", rec.Code)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestOneDeliveryAtATime(t *testing.T) {
	a := &spy{name: "a", entered: make(chan struct{}), leave: make(chan struct{})}
	g := newRig(t, openAI(a))
	first := make(chan int)
	ctx, giveUp := context.WithCancel(t.Context())
	go func() {
		rec := httptest.NewRecorder()
		g.ServeHTTP(rec, delivery(t, testID, sample).WithContext(ctx))
		first <- rec.Code
	}()
	<-a.entered
	giveUp() // the sender's patience is at an end
	rec := g.send(t, sample)
	if rec.Code != 503 || rec.Header().Get("Retry-After") != "5" {
		t.Errorf("meanwhile: %d, Retry-After %q", rec.Code, rec.Header().Get("Retry-After"))
	}
	close(a.leave)
	if code := <-first; code != 200 || a.ctx != nil {
		t.Errorf("the first: %d, context %v", code, a.ctx)
	}
	if rec = g.send(t, sample); rec.Code != 200 || a.count() != 1 {
		t.Errorf("afterwards: %d, %d calls", rec.Code, a.count())
	}
}
