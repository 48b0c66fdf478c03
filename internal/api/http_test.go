package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/api"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

func TestNewNamesWhatIsMissing(t *testing.T) {
	_, err := api.New(api.Deps{Metrics: http.NotFoundHandler()})
	if err == nil {
		t.Fatal("an empty Deps was accepted")
	}
	mustContain(t, err.Error(), "Deps.Snapshot", "Deps.Tokens", "Deps.Archive")
	if strings.Contains(err.Error(), "Deps.Metrics") {
		t.Error("Metrics was set")
	}
}

func TestUnknownRoutesAndMethods(t *testing.T) {
	k := newKit(t)
	for _, path := range []string{
		"/nope", "/spend/", "/SPEND", "//spend", "/assets/", "/assets/page.html", "/..//spend",
	} {
		p := wantProblem(t, k.get(path), http.StatusNotFound)
		mustContain(t, p.Detail, "GET /")
		if got := k.seen.last(); got != "other 404" {
			t.Errorf("%s: observed %q", path, got)
		}
	}
	for _, tc := range []struct{ method, path, allow string }{
		{http.MethodPost, "/spend", "GET, HEAD, OPTIONS"},
		{http.MethodDelete, "/raw/openai", "GET, HEAD, OPTIONS"},
		{http.MethodGet, "/-/reload", "OPTIONS, POST"},
		{"BREW", "/", "GET, HEAD, OPTIONS"},
	} {
		w := k.do(tc.method, tc.path, "")
		mustContain(t, wantProblem(t, w, http.StatusMethodNotAllowed).Detail, tc.allow)
		if got := w.Header().Get("Allow"); got != tc.allow {
			t.Errorf("%s %s: Allow is %q, want %q", tc.method, tc.path, got, tc.allow)
		}
	}
	w := k.do(http.MethodOptions, "/recompute", "")
	if w.Code != http.StatusNoContent || w.Header().Get("Allow") != "OPTIONS, POST" {
		t.Errorf("OPTIONS: %d %v", w.Code, w.Header())
	}
}

// Every GET route has its HEAD, and HEAD touches nothing: each dependency that
// would do work fails the test.
func TestHeadDoesNoWork(t *testing.T) {
	worked := func(what string) { t.Errorf("HEAD called %s", what) }
	k := newKit(t, func(d *api.Deps) {
		d.Snapshot = func() *rollup.Snapshot { worked("Snapshot"); return rollup.NewBook().Snapshot() }
		d.Statuses = func() []spend.SourceStatus { worked("Statuses"); return nil }
		d.Stats = func() store.Stats { worked("Stats"); return store.Stats{} }
		d.Config = func() any { worked("Config"); return nil }
		d.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { worked("Metrics") })
		d.Archive = brokenArchive{worked}
	})
	k.tokens = api.Tokens{Admin: []string{adminToken}}
	for _, rt := range api.Routes() {
		if rt.Method != http.MethodGet {
			continue
		}
		w := k.do(http.MethodHead, target(rt.Pattern), adminToken)
		wantOK(t, w)
		if w.Body.Len() != 0 {
			t.Errorf("HEAD %s: body %q", rt.Pattern, w.Body)
		}
		if got := k.seen.last(); got != rt.Pattern+" 200" {
			t.Errorf("HEAD %s: observed %q", rt.Pattern, got)
		}
	}
	if w := k.do(http.MethodHead, "/spend?from=x", adminToken); w.Code != http.StatusBadRequest {
		t.Errorf("HEAD with a bad parameter: %d", w.Code)
	}
	k.ready = false
	if w := k.do(http.MethodHead, "/-/ready", ""); w.Code != http.StatusServiceUnavailable {
		t.Errorf("HEAD /-/ready before ready: %d", w.Code)
	}
}

type brokenArchive struct{ worked func(string) }

func (b brokenArchive) RawPages(context.Context, store.RawQuery) (l store.RawList, err error) {
	b.worked("RawPages")
	return l, nil
}

func (b brokenArchive) RawPage(context.Context, string, string) (p store.RawPage, err error) {
	b.worked("RawPage")
	return p, nil
}

func TestUnknownParametersAreRefusedEverywhere(t *testing.T) {
	k := newKit(t)
	k.tokens = api.Tokens{Admin: []string{adminToken}}
	k.archive.items = []store.RawPage{somePage()}
	for _, rt := range api.Routes() {
		w := k.do(rt.Method, target(rt.Pattern)+"?nonsense=1", adminToken)
		if p := wantProblem(t, w, http.StatusBadRequest); p.Parameter != "nonsense" {
			t.Errorf("%s: %+v", rt.Pattern, p)
		}
	}
	wantOK(t, k.get("/metrics?name[]=a&name[]=b"))
}

func TestSecurityHeaders(t *testing.T) {
	k := newKit(t)
	k.tokens = api.Tokens{Admin: []string{adminToken}}
	k.archive.items = []store.RawPage{somePage()}
	check := func(name string, h http.Header) {
		t.Helper()
		for header, want := range map[string]string{
			"X-Content-Type-Options": "nosniff",
			"Referrer-Policy":        "no-referrer",
			"X-Frame-Options":        "DENY",
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; " +
				"form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
		} {
			if got := h.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
	}
	for _, rt := range api.Routes() {
		w := k.do(rt.Method, target(rt.Pattern), adminToken)
		check(rt.Pattern, w.Header())
		want := "no-store"
		if rt.Pattern == "/assets/style.css" {
			want = "public, max-age=300"
		}
		if got := w.Header().Get("Cache-Control"); got != want {
			t.Errorf("%s: Cache-Control is %q, want %q", rt.Pattern, got, want)
		}
	}
	check("404", k.get("/nope").Header())
	check("401", k.do(http.MethodGet, "/raw/openai", "").Header())
}

func TestAPanicIsOneBadAnswer(t *testing.T) {
	k := newKit(t, func(d *api.Deps) { d.Config = func() any { panic("canary: out of cheese") } })
	w := k.get("/config")
	if p := wantProblem(t, w, http.StatusInternalServerError); strings.Contains(p.Detail, "canary") {
		t.Errorf("the panic was served: %q", p.Detail)
	}
	mustContain(t, k.log.String(), "level=ERROR", "out of cheese", "route=/config", "stack=")
	if got := k.seen.last(); got != "/config 500" {
		t.Errorf("observed %q", got)
	}
	if n := strings.Count(k.log.String(), "\n"); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

// A slot must come back when its request panics, or the route would close bit by bit.
func TestAPanicGivesItsSlotBack(t *testing.T) {
	k := newKit(t, func(d *api.Deps) {
		d.Limits = api.Limits{Spend: 1}
		d.Snapshot = func() *rollup.Snapshot { panic("no snapshot") }
	})
	for range 3 {
		wantProblem(t, k.get("/spend"), http.StatusInternalServerError)
	}
}

// brokenPipe takes the status and refuses the body.
type brokenPipe struct{ *httptest.ResponseRecorder }

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// A part of an answer must not look like the whole: the connection is cut.
func TestABrokenAnswerCutsTheConnection(t *testing.T) {
	for _, path := range []string{"/spend", "/spend?format=csv", "/status", "/config"} {
		k := ledger(t)
		func() {
			defer func() {
				if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // net/http compares so
					t.Errorf("%s: recovered %v", path, v)
				}
			}()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
			k.srv.ServeHTTP(brokenPipe{httptest.NewRecorder()}, r)
		}()
		if strings.Contains(k.log.String(), "level=ERROR") {
			t.Errorf("%s: a client that went away is no error: %s", path, k.log.String())
		}
	}
}

func TestHealthAndReadiness(t *testing.T) {
	k := newKit(t)
	k.ready = false
	wantOK(t, k.get("/-/healthy"))
	wantProblem(t, k.get("/-/ready"), http.StatusServiceUnavailable)
	k.ready = true
	w := k.get("/-/ready")
	wantOK(t, w)
	if diff := cmp.Diff("aispend is ready\n", w.Body.String()); diff != "" {
		t.Error(diff)
	}
}

func TestReload(t *testing.T) {
	var err error
	k := newKit(t, func(d *api.Deps) { d.Reload = func(context.Context) error { return err } })
	k.tokens = api.Tokens{Admin: []string{adminToken}}
	w := k.do(http.MethodPost, "/-/reload", adminToken)
	wantOK(t, w)
	if got := w.Body.String(); got != `{"reloaded":true}`+"\n" {
		t.Errorf("body %q", got)
	}
	err = errors.New("aispend.yml:7: web.admin_toke: unknown key; did you mean admin_token?")
	p := wantProblem(t, k.do(http.MethodPost, "/-/reload", adminToken), http.StatusInternalServerError)
	mustContain(t, p.Detail, "aispend.yml:7", "old one stays")
	err = fmt.Errorf("reloading: %w", api.ErrBusy)
	p = wantProblem(t, k.do(http.MethodPost, "/-/reload", adminToken), http.StatusConflict)
	mustContain(t, p.Detail, "a recompute is running")
}

func TestConfig(t *testing.T) {
	k := newKit(t)
	w := k.get("/config")
	wantOK(t, w)
	if got := w.Body.String(); got != `{"web":{"admin_token":"<secret>"}}`+"\n" {
		t.Errorf("json: %q", got)
	}
	w = k.do(http.MethodGet, "/config", "", func(r *http.Request) { r.Header.Set("Accept", "application/yaml") })
	if got := w.Body.String(); got != "web:\n  admin_token: <secret>\n" {
		t.Errorf("yaml: %q", got)
	}
	if h := w.Header(); h.Get("Content-Type") != "application/yaml; charset=utf-8" || h.Get("Vary") != "Accept" {
		t.Errorf("headers %v", w.Header())
	}
}

func TestMetricsKeepsItsOwnContentType(t *testing.T) {
	k := newKit(t, func(d *api.Deps) {
		d.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
			_, _ = w.Write([]byte("# EOF\n"))
		})
	})
	w := k.get("/metrics")
	if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, "application/openmetrics-text") {
		t.Errorf("content type %q", got)
	}
	if got := k.seen.last(); got != "/metrics 200" {
		t.Errorf("observed %q", got)
	}
}
