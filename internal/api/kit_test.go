package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/api"
	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

const (
	adminToken = "admin-canary-7f3a"
	readToken  = "read-canary-91bc"
	wrongToken = "wrong-canary-55de"
)

var (
	openaiCosts = spend.SourceID{Provider: "openai", Account: "acme", Source: "openai/costs"}
	openaiUsage = spend.SourceID{Provider: "openai", Account: "acme", Source: "openai/usage"}
	anthropic   = spend.SourceID{Provider: "anthropic", Account: "default", Source: "anthropic/cost_report"}
)

// noon is "now" of every test: 2026-11-23 12:00 UTC.
func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func day(s string) spend.Day {
	d, err := spend.ParseDay(s)
	if err != nil {
		panic(err)
	}
	return d
}

// kit is an API over a real rollup.Book and settable dependencies.
type kit struct {
	t        *testing.T
	book     *rollup.Book
	archive  *pages
	statuses []spend.SourceStatus
	caps     []caps.Cap
	stats    store.Stats
	tokens   api.Tokens
	ready    bool
	seen     observations
	log      lockedBuffer
	hook     hook
	deps     api.Deps
	srv      *api.Server
}

// newKit builds an API; change may alter the dependencies before.
func newKit(t *testing.T, change ...func(*api.Deps)) *kit {
	t.Helper()
	k := &kit{t: t, book: rollup.NewBook(), archive: &pages{}, ready: true}
	k.deps = api.Deps{
		Snapshot: k.book.Snapshot,
		Statuses: func() []spend.SourceStatus { return k.statuses },
		Caps: func() ([]caps.Status, error) {
			return caps.Evaluate(k.book.Snapshot(), k.statuses, k.caps, noon())
		},
		Archive:   k.archive,
		Stats:     func() store.Stats { return k.stats },
		Recompute: func(context.Context, api.RecomputeRequest) (r api.RecomputeReport, err error) { return r, nil },
		Reload:    func(context.Context) error { return nil },
		Config:    func() any { return map[string]any{"web": map[string]string{"admin_token": "<secret>"}} },
		Tokens:    func() api.Tokens { return k.tokens },
		Ready:     func() bool { return k.ready },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "aispend_demo 0\n")
		}),
		Providers: map[string][]string{
			"openai":    {"openai/costs", "openai/usage"},
			"anthropic": {"anthropic/cost_report", "anthropic/usage_report"},
		},
		TestAlert: func(_ context.Context, level string) api.TestAlert {
			return api.TestAlert{
				Labels: map[string]string{"level": level}, StartsAt: noon(), EndsAt: noon().Add(time.Minute),
				Answers: []api.AlertAnswer{{URL: "http://am:9093", Accepted: true, Version: "0.31.1"}},
			}
		},
		Hook:    &k.hook,
		Version: "1.2.3", Started: noon().Add(-time.Hour), Now: noon, Observer: &k.seen,
		Logger: slog.New(slog.NewTextHandler(&k.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&k.deps)
	}
	srv, err := api.New(k.deps)
	if err != nil {
		t.Fatal(err)
	}
	k.srv = srv
	return k
}

// put makes the statements all that the source has said.
func (k *kit) put(id spend.SourceID, through time.Time, stmts ...spend.Statement) {
	k.book.Update(func(tx *rollup.Tx) {
		tx.Replace(id, stmts)
		tx.SetThrough(id, through)
	})
}

func (k *kit) do(method, target, token string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	k.t.Helper()
	r := httptest.NewRequestWithContext(k.t.Context(), method, target, http.NoBody)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	k.srv.ServeHTTP(w, r)
	return w
}

func (k *kit) get(target string) *httptest.ResponseRecorder {
	k.t.Helper()
	return k.do(http.MethodGet, target, adminToken)
}

// problem is what every error answers.
type problem struct {
	Type, Title, Detail, Parameter string
	Status                         int
}

// wantProblem checks that w is a well-formed problem of the status.
func wantProblem(t *testing.T, w *httptest.ResponseRecorder, status int) problem {
	t.Helper()
	if w.Code != status {
		t.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("content type %q, want application/problem+json", ct)
	}
	var p problem
	dec := json.NewDecoder(bytes.NewReader(w.Body.Bytes()))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		t.Fatalf("decoding problem %q: %v", w.Body, err)
	}
	if p.Status != status || p.Type != "about:blank" || p.Title != http.StatusText(status) || p.Detail == "" {
		t.Errorf("incomplete problem: %+v", p)
	}
	return p
}

func wantOK(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Fatalf("status %d, want 200: %s", w.Code, w.Body)
	}
}

func charge(model, gross, credits string) spend.Charge {
	return spend.Charge{
		Model: model, Currency: spend.USD,
		Gross: spend.MustMoney(gross), Credits: spend.MustMoney(credits),
	}
}

// pages is an archive in memory: the consumer-side interface, not a store.
type pages struct {
	items []store.RawPage
	asked store.RawQuery
	err   error
}

func (p *pages) RawPages(_ context.Context, q store.RawQuery) (store.RawList, error) {
	p.asked = q
	return store.RawList{Items: p.items, Cursor: "next-1"}, p.err
}

func (p *pages) RawPage(_ context.Context, provider, id string) (store.RawPage, error) {
	for _, item := range p.items {
		if item.ID == id && item.Source.Provider == provider {
			return item, p.err
		}
	}
	return store.RawPage{}, fmt.Errorf("page %s: %w", id, store.ErrNotFound)
}

type observations struct {
	mu  sync.Mutex
	all []string
}

func (o *observations) Observe(route string, code int, seconds float64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, fmt.Sprintf("%s %d", route, code))
	if seconds < 0 {
		o.all = append(o.all, "negative duration")
	}
}

func (o *observations) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.all) == 0 {
		return ""
	}
	return o.all[len(o.all)-1]
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func mustContain(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in:\n%s", p, text)
		}
	}
}
