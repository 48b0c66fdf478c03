package providertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/spend"
)

// patience bounds what must happen promptly; it decides failures only.
const patience = 20 * time.Second

// answerer may answer the request for a page itself, and then returns true.
type answerer func(w http.ResponseWriter, r *http.Request, page int) bool

// server serves the case's pages by their tokens and remembers the requests.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
}

func (c Case) serve(t *testing.T, before answerer) *server {
	t.Helper()
	index := cursors(t, c.Pages)
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r)
		s.mu.Unlock()
		page, ok := index[r.URL.Query().Get("page")]
		if !ok || !strings.Contains(r.Header.Get(c.KeyHeader), Canary) {
			http.Error(w, "the test's server does not know this token or key", http.StatusTeapot)
			return
		}
		if before != nil && before(w, r, page) {
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Request-Id", fmt.Sprintf("req_%d", page))
		_, _ = w.Write(c.Pages[page]) // the client may have gone
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) seen() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.requests...)
}

func (c Case) verbatim(t *testing.T) {
	s := c.serve(t, nil)
	_, pages, err := Pull(t.Context(), c.source(t, s.URL), c.request())
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) != len(c.Pages) {
		t.Fatalf("emitted %d pages, want %d", len(pages), len(c.Pages))
	}
	for i, p := range pages {
		if !bytes.Equal(p.Body, c.Pages[i]) {
			t.Errorf("page %d is not byte for byte what was served", i)
		}
		if p.Seq != i || p.Status != http.StatusOK || p.FetchedAt.IsZero() || p.Redacted {
			t.Errorf("page %d: seq %d, status %d, fetched %v, redacted %v",
				i, p.Seq, p.Status, p.FetchedAt, p.Redacted)
		}
		for _, name := range []string{"Content-Type", "Date", "Request-Id"} {
			if p.Header[name] == "" {
				t.Errorf("page %d lost the header %s", i, name)
			}
		}
	}
	noSecret(t, nil, pages)
}

// pinned compares the queries of a walk: all but the token must stay the same.
func (c Case) pinned(t *testing.T) {
	s := c.serve(t, nil)
	src := c.source(t, s.URL)
	if _, _, err := Pull(t.Context(), src, c.request()); err != nil {
		t.Fatal(err)
	}
	requests := s.seen()
	first := requests[0].URL.Query()
	for i, r := range requests {
		q := r.URL.Query()
		q.Del("page")
		if diff := cmp.Diff(first, q); diff != "" {
			t.Errorf("request %d asks for something else than the first (-first +this):\n%s", i, diff)
		}
		if r.UserAgent() != "aispend/test" || r.Method != http.MethodGet {
			t.Errorf("request %d: %s as %q", i, r.Method, r.UserAgent())
		}
	}
}

func (c Case) emitError(t *testing.T) {
	s := c.serve(t, nil)
	full := &spend.PullError{Outcome: spend.StoreFailed, Err: errors.New("disk full")}
	err := c.source(t, s.URL).Fetch(t.Context(), c.request(), func(spend.Page) error { return full })
	if !errors.Is(err, full) || spend.OutcomeOf(err, "") != spend.StoreFailed {
		t.Errorf("got %v, want the error of emit", err)
	}
	if n := len(s.seen()); n != 1 {
		t.Errorf("%d requests after emit refused the first page", n)
	}
	plain := errors.New("no class")
	err = c.source(t, s.URL).Fetch(t.Context(), c.request(), func(spend.Page) error { return plain })
	if !errors.Is(err, plain) || spend.OutcomeOf(err, "") != spend.Incomplete {
		t.Errorf("got %v (%s), want the error of emit as incomplete", err, spend.OutcomeOf(err, ""))
	}
}

// hang answers the second page never.
func hang(_ http.ResponseWriter, r *http.Request, page int) bool {
	if page == 1 {
		<-r.Context().Done()
	}
	return page == 1
}

// slowBody begins an answer and never ends it.
func slowBody(w http.ResponseWriter, r *http.Request, page int) bool {
	if page == 1 {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"data": [`))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	return page == 1
}

func (c Case) cancelled(t *testing.T) {
	for name, before := range map[string]answerer{"no answer": hang, "half a body": slowBody} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			s := c.serve(t, func(w http.ResponseWriter, r *http.Request, page int) bool {
				if page == 1 {
					cancel()
				}
				return before(w, r, page)
			})
			_, pages, err := Pull(ctx, c.source(t, s.URL), c.request())
			if o := spend.OutcomeOf(err, ""); o != spend.Incomplete || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v (%s), want incomplete", err, o)
			}
			if len(pages) != 1 {
				t.Errorf("%d pages reached emit, want the one that was whole", len(pages))
			}
		})
	}
}

func (c Case) timeout(t *testing.T) {
	for name, before := range map[string]answerer{"no answer": hang, "half a body": slowBody} {
		t.Run(name, func(t *testing.T) {
			s := c.serve(t, before)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, _, err := Pull(ctx, c.source(t, s.URL), c.request())
			if o := spend.OutcomeOf(err, ""); o != spend.Timeout {
				t.Errorf("got %v (%s), want timeout", err, o)
			}
			noSecret(t, err, nil)
		})
	}
}

// brokenOff serves less than Content-Length says, once: the next try heals it,
// and the torn body must not have reached emit.
func (c Case) brokenOff(t *testing.T) {
	tries := 0
	s := c.serve(t, func(w http.ResponseWriter, _ *http.Request, page int) bool {
		if page != 1 {
			return false
		}
		tries++
		if tries > 1 {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", fmt.Sprint(len(c.Pages[1])))
		_, _ = w.Write(c.Pages[1][:len(c.Pages[1])/2])
		panic(http.ErrAbortHandler)
	})
	_, pages, err := Pull(t.Context(), c.source(t, s.URL), c.request())
	if err != nil {
		t.Fatalf("not healed by another try: %v", err)
	}
	if len(pages) != len(c.Pages) || tries != 2 {
		t.Errorf("%d pages after %d tries, want %d after 2", len(pages), tries, len(c.Pages))
	}
}

// redirect answers with every kind of redirect to another host, which must never be asked.
func (c Case) redirect(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			t.Errorf("%d was followed to %s", status, r.URL.Path)
		}))
		s := c.serve(t, func(w http.ResponseWriter, r *http.Request, _ int) bool {
			http.Redirect(w, r, thief.URL+"/stolen", status)
			return true
		})
		_, pages, err := Pull(t.Context(), c.source(t, s.URL), c.request())
		if o := spend.OutcomeOf(err, ""); o != spend.Server || !strings.Contains(err.Error(), "redirect") ||
			!strings.Contains(err.Error(), "base_url") {
			t.Errorf("%d: got %v (%s), want outcome server that names the redirect and base_url", status, err, o)
		}
		if err != nil && strings.Contains(err.Error(), "stolen") {
			t.Errorf("%d: the error repeats the target: %v", status, err)
		}
		noSecret(t, err, pages)
		thief.Close()
	}
}

// errorAnswers serves each error of the vendor, with the key echoed in it.
func (c Case) errorAnswers(t *testing.T) {
	echo := Answer{
		Name: "401 that echoes the key", Status: 401, Want: spend.Auth,
		Body: []byte(`{"error": {"type": "invalid_request_error", "code": "` + Canary +
			`", "message": "bad key ` + Canary + `"}}`),
	}
	for _, a := range append(c.Errors, echo) {
		t.Run(a.Name, func(t *testing.T) {
			s := c.serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("X-Request-Id", "echo-"+Canary)
				for k, v := range a.Header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(a.Status)
				_, _ = w.Write(a.Body)
				return true
			})
			// No retry fits before this deadline, so that the class of the answer itself shows.
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, pages, err := Pull(ctx, c.source(t, s.URL), c.request())
			if o := spend.OutcomeOf(err, ""); o != a.Want {
				t.Errorf("got %v (%s), want %s", err, o, a.Want)
			}
			if len(pages) == 0 || pages[0].Status != a.Status {
				t.Fatalf("the answer did not reach emit: %d pages", len(pages))
			}
			noSecret(t, err, pages)
			noBody(t, err, a.Body)
		})
	}
}

func (c Case) html(t *testing.T) {
	const login = "<html><body>please log in</body></html>"
	for _, ctype := range []string{"text/html", "application/json", ""} {
		s := c.serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			w.Header()["Content-Type"] = []string{ctype}
			_, _ = w.Write([]byte(login))
			return true
		})
		_, pages, err := Pull(t.Context(), c.source(t, s.URL), c.request())
		if o := spend.OutcomeOf(err, ""); o != spend.Schema {
			t.Errorf("content type %q: got %v (%s), want schema", ctype, err, o)
		}
		if len(pages) != 1 || string(pages[0].Body) != login {
			t.Errorf("content type %q: the body was not kept", ctype)
		}
		noBody(t, err, []byte("please log in"))
	}
}

// noSecret fails if the key, or a recognisable part of it, is in an error or a page.
func noSecret(t *testing.T, err error, pages []spend.Page) {
	t.Helper()
	part := Canary[len(Canary)-12:]
	if err != nil && strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), part) {
		t.Errorf("the error holds the key: %v", err)
	}
	if err != nil && strings.Contains(err.Error(), "?") && strings.Contains(err.Error(), "=") {
		t.Errorf("the error holds a query string: %v", err)
	}
	for _, p := range pages {
		if strings.Contains(fmt.Sprint(p.URL, p.Header), part) || bytes.Contains(p.Body, []byte(part)) {
			t.Errorf("page %d holds the key: %s %v %q", p.Seq, p.URL, p.Header, p.Body)
		}
		if bytes.Contains(p.Body, []byte("<secret>")) != p.Redacted {
			t.Errorf("page %d: redacted is %v for %q", p.Seq, p.Redacted, p.Body)
		}
	}
}

// noBody fails if an error repeats a piece of a body.
func noBody(t *testing.T, err error, body []byte) {
	t.Helper()
	for len(body) >= 24 && err != nil {
		if strings.Contains(err.Error(), string(body[:24])) {
			t.Errorf("the error repeats the body: %v", err)
			return
		}
		body = body[8:]
	}
}
