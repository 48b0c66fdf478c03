package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/api"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// recomputeKit remembers what was asked for, and answers rep and err.
func recomputeKit(t *testing.T, asked *[]api.RecomputeRequest, rep api.RecomputeReport, err error) *kit {
	k := newKit(t, func(d *api.Deps) {
		d.Recompute = func(_ context.Context, req api.RecomputeRequest) (api.RecomputeReport, error) {
			*asked = append(*asked, req)
			return rep, err
		}
	})
	k.tokens = api.Tokens{Admin: []string{adminToken}}
	return k
}

func TestRecompute(t *testing.T) {
	window := func(from, to string) *spend.Window {
		return &spend.Window{From: day(from), To: day(to) + 1}
	}
	for _, tc := range []struct {
		query string
		want  api.RecomputeRequest
	}{
		{"", api.RecomputeRequest{}},
		{"?dry_run", api.RecomputeRequest{DryRun: true}},
		{"?dry_run=1", api.RecomputeRequest{DryRun: true}},
		{"?dry_run=true&provider=openai", api.RecomputeRequest{DryRun: true, Provider: "openai"}},
		{"?dry_run=false", api.RecomputeRequest{}},
		{"?from=2026-11-01&to=2026-11-02", api.RecomputeRequest{Window: window("2026-11-01", "2026-11-02")}},
		{"?from=2026-11-20", api.RecomputeRequest{Window: window("2026-11-20", "2026-11-23")}},
		{"?from=2026-12-01", api.RecomputeRequest{Window: window("2026-12-01", "2026-12-01")}},
	} {
		for _, path := range []string{"/recompute", "/admin/recompute"} {
			var asked []api.RecomputeRequest
			k := recomputeKit(t, &asked, api.RecomputeReport{}, nil)
			wantOK(t, k.do(http.MethodPost, path+tc.query, adminToken))
			if diff := cmp.Diff([]api.RecomputeRequest{tc.want}, asked); diff != "" {
				t.Errorf("%s%s (-want +got):\n%s", path, tc.query, diff)
			}
		}
	}
}

func TestBadRecomputeRunsNothing(t *testing.T) {
	var asked []api.RecomputeRequest
	k := recomputeKit(t, &asked, api.RecomputeReport{}, nil)
	body := func(text string) func(*http.Request) {
		return func(r *http.Request) {
			r2, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(text))
			r.Body, r.ContentLength = r2.Body, r2.ContentLength
		}
	}
	chunked := func(r *http.Request) { body(`{"dry_run":true}`)(r); r.ContentLength = -1 }
	nothing := func(*http.Request) {}
	for _, tc := range []struct {
		query  string
		change func(*http.Request)
		detail string
	}{
		{"?dry_run=yes", nothing, "true, false"},
		{"?dryrun=true", nothing, "dry_run"},
		{"?dry_run=true&dry_run=false", nothing, "2 times"},
		{"?provider=all", nothing, "anthropic, openai"},
		{"?to=2026-11-01", nothing, "without from"},
		{"?from=2026-11-02&to=2026-11-01", nothing, "after"},
		{"", body(`{"dry_run":true}`), "no body"},
		{"", chunked, "no body"},
	} {
		w := k.do(http.MethodPost, "/recompute"+tc.query, adminToken, tc.change)
		mustContain(t, wantProblem(t, w, http.StatusBadRequest).Detail, tc.detail)
	}
	wantProblem(t, k.do(http.MethodGet, "/recompute", adminToken), http.StatusMethodNotAllowed)
	wantProblem(t, k.do(http.MethodHead, "/recompute", adminToken), http.StatusMethodNotAllowed)
	if len(asked) != 0 {
		t.Errorf("a bad request recomputed: %+v", asked)
	}
}

func TestRecomputeReportsTheExactDifference(t *testing.T) {
	var asked []api.RecomputeRequest
	k := recomputeKit(t, &asked, api.RecomputeReport{
		Sources: 2, Pulls: 3, Days: 31, DaysKept: 4, DaysChanged: 1,
		Changes: []api.RecomputeChange{{
			Provider: "openai", Model: "gpt-5", Day: day("2026-11-01"), Currency: "USD",
			Before: spend.MustMoney("10.0000000000000000001"), After: spend.MustMoney("9"),
		}, {
			Provider: "openai", Model: "gpt-5", Day: day("2026-11-01"), TokensBefore: 0, TokensAfter: 6,
		}},
		Problems: []string{"openai/costs (acme): pull 01JD: its pages cannot be decoded"},
	}, nil)
	w := k.do(http.MethodPost, "/recompute?dry_run&from=2026-11-01&to=2026-11-30&provider=openai", adminToken)
	wantOK(t, w)
	want := `{"dry_run":true,"provider":"openai","window":{"from":"2026-11-01","to":"2026-11-30"},` +
		`"sources":2,"pulls":3,"days_replayed":31,"days_kept":4,"days_changed":1,` +
		`"changes":[{"provider":"openai","model":"gpt-5","day":"2026-11-01","currency":"USD",` +
		`"cost_before":10.0000000000000000001,"cost_after":9,"cost_diff":-1.0000000000000000001},` +
		`{"provider":"openai","model":"gpt-5","day":"2026-11-01","tokens_before":0,"tokens_after":6}],` +
		`"problems":["openai/costs (acme): pull 01JD: its pages cannot be decoded"]}` + "\n"
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestRecomputeErrors(t *testing.T) {
	for _, tc := range []struct {
		err    error
		status int
	}{
		{api.ErrBusy, http.StatusConflict},
		{store.ErrLowSpace, http.StatusInsufficientStorage},
		{context.Canceled, http.StatusServiceUnavailable},
		{errors.New("cause-canary"), http.StatusInternalServerError},
	} {
		var asked []api.RecomputeRequest
		k := recomputeKit(t, &asked, api.RecomputeReport{}, tc.err)
		w := k.do(http.MethodPost, "/recompute", adminToken)
		if p := wantProblem(t, w, tc.status); strings.Contains(p.Detail, "canary") {
			t.Errorf("the cause was served: %q", p.Detail)
		}
	}
}

func TestOneRecomputeAtATime(t *testing.T) {
	started, finish := make(chan struct{}), make(chan struct{})
	k := newKit(t, func(d *api.Deps) {
		d.Recompute = func(context.Context, api.RecomputeRequest) (r api.RecomputeReport, err error) {
			started <- struct{}{}
			<-finish
			return r, nil
		}
	})
	k.tokens = api.Tokens{Admin: []string{adminToken}}
	first := make(chan int)
	go func() { first <- k.do(http.MethodPost, "/recompute", adminToken).Code }()
	<-started
	p := wantProblem(t, k.do(http.MethodPost, "/admin/recompute?dry_run", adminToken), http.StatusConflict)
	mustContain(t, p.Detail, "another recompute")
	close(finish)
	if code := <-first; code != http.StatusOK {
		t.Errorf("the first one got %d", code)
	}
	go func() { <-started }()
	wantOK(t, k.do(http.MethodPost, "/recompute", adminToken))
}
