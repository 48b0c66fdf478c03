package simulator_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/providers/vertex"
	"github.com/aispend/aispend/spend"
)

// vertexWorld starts a world with the real sources pointed at it.
func vertexWorld(t *testing.T, o simulator.Options) (*simulator.World, []providers.Source) {
	t.Helper()
	now := time.Date(2026, 11, 23, 14, 20, 0, 0, time.UTC)
	if o.Now == nil {
		o.Now = func() time.Time { return now }
	}
	w := simulator.New(o)
	servers, err := w.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = servers.Close() })
	s := vertex.Type().NewSettings().(*vertex.Settings)
	s.Credentials = secret.New(string(w.ServiceAccount(servers.Google)))
	s.BigQuery.Project, s.BigQuery.Dataset, s.BigQuery.Table = simulator.VertexProject, simulator.VertexDataset, simulator.VertexTable
	s.BigQuery.BaseURL = servers.Google
	s.Budget.Name, s.Budget.Subscription = simulator.VertexBudget, simulator.VertexSubscription
	s.Budget.BaseURL, s.Budget.PubSubBaseURL = servers.Google, servers.Google
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	sources, err := s.Open(providers.Env{Account: "acme", NoEnvProxy: true, Now: o.Now})
	if err != nil {
		t.Fatal(err)
	}
	return w, sources
}

func walkSource(ctx context.Context, s providers.Source, w spend.Window) (providers.Result, error) {
	d := s.NewDecoder(w)
	err := s.Fetch(ctx, providers.Request{Window: w, Buckets: 1}, func(p spend.Page) error {
		if p.Status != 200 {
			return nil
		}
		return d.Page(p.Body)
	})
	if err != nil {
		return providers.Result{}, err
	}
	return d.Result()
}

// What the real client and decoder make of the simulated export is its truth, to the digit.
func TestVertexTruth(t *testing.T) {
	for name, o := range map[string]simulator.Options{
		"dollars":        {Seed: 1},
		"euro":           {Seed: 2, Vertex: simulator.VertexOptions{Currency: "EUR", Rate: "0.8634", PageRows: 37, Polls: 3}},
		"without a rate": {Seed: 3, Tiny: true, Vertex: simulator.VertexOptions{Currency: "JPY"}},
		"plain":          {Seed: 4, Plain: true, Projects: 2},
	} {
		t.Run(name, func(t *testing.T) {
			w, sources := vertexWorld(t, o)
			for _, win := range []spend.Window{
				{From: spend.Date(2026, 10, 14), To: spend.Date(2026, 11, 24)},
				{From: spend.Date(2026, 11, 1), To: spend.Date(2026, 11, 2)},
			} {
				res, err := walkSource(t.Context(), sources[0], win)
				if err != nil {
					t.Fatal(err)
				}
				if len(res.Statements) != win.Days() || res.From != 0 || res.Through.After(w.Now()) || w.Now().Sub(res.Through) > 12*time.Hour {
					t.Fatalf("%d statements, from %s, through %s", len(res.Statements), res.From, res.Through)
				}
				money := 0
				for _, st := range res.Statements {
					want := w.Charges(simulator.Vertex, st.Day, w.Now())
					if diff := cmp.Diff(want, st.Charges, cmp.Comparer(spend.Money.Equal)); diff != "" {
						t.Fatalf("%s (-want +got):\n%s", st.Day, diff)
					}
					money += len(want)
				}
				if money < win.Days() {
					t.Errorf("%d charges in %d days", money, win.Days())
				}
			}
		})
	}
}

// The simulated catalogue holds every shape of name, and each means what it says.
func TestVertexModels(t *testing.T) {
	w, _ := vertexWorld(t, simulator.Options{Seed: 1})
	got := strings.Join(w.Models(simulator.Vertex), " ")
	want := "gemini-3-pro claude-opus-4-6 gemini-2.5-flash gemini-3-flash claude-sonnet-4-5 claude-opus-4-8 gemini-3.1-flash-image " +
		"llama-4-maverick veo-fast gemini-embedding-001"
	if got != want {
		t.Errorf("models %s", got)
	}
}

func TestVertexBudgets(t *testing.T) {
	w, sources := vertexWorld(t, simulator.Options{Seed: 1})
	budgets := sources[1].(*vertex.BudgetSource)
	day := spend.DayOf(w.Now())
	win := spend.Window{From: day, To: day + 1}
	res, err := walkSource(t.Context(), budgets, win)
	if err != nil || len(res.Budgets) != 1 {
		t.Fatalf("%+v %v", res, err)
	}
	at := w.Now().Truncate(30 * time.Minute)
	since, cost, amount := w.VertexBudgetAt(at)
	n, _ := res.Budgets[0].Notice()
	if !n.PublishedAt.Equal(at) || !n.IntervalStart.Equal(since) || !n.Spend.Equal(cost) || !n.Limit.Equal(amount) ||
		!res.Through.Equal(at) || res.Budgets[0].Settings == nil || !res.Budgets[0].Settings.Limit.Equal(amount) {
		t.Errorf("%+v, want %s of %s since %s", n, cost, amount, since)
	}
	if since.Hour() != 7 && since.Hour() != 8 {
		t.Errorf("the month begins at %s", since)
	}
	if len(w.Waiting()) == 0 || len(w.Acknowledged()) != 0 {
		t.Errorf("%d wait, %d are acknowledged", len(w.Waiting()), len(w.Acknowledged()))
	}
	// A lease that nobody settled ends, and the messages come again.
	w.Redeliver()
	again, err := walkSource(t.Context(), budgets, win)
	if err != nil || !cmp.Equal(spend.MergeBudgets(res.Budgets, again.Budgets)[0].Notices, res.Budgets[0].Notices) {
		t.Errorf("%+v %v", again, err)
	}
	if err := budgets.Settle(t.Context()); err != nil || len(w.Waiting()) != 0 {
		t.Errorf("%d wait, %v", len(w.Waiting()), err)
	}
}

func TestVertexFaults(t *testing.T) {
	win := spend.Window{From: spend.Date(2026, 11, 1), To: spend.Date(2026, 11, 24)}
	for _, tt := range []struct {
		do      simulator.Effect
		skip    int // requests after the token, the table and the dry run
		outcome spend.Outcome
		text    string
	}{
		{simulator.GoogleError(403, "accessDenied", "Access Denied: Table acme-billing:b.t: User does not have permission"), 0, spend.Permission, "roles/bigquery.dataViewer"},
		{simulator.GoogleError(404, "notFound", "Not found: Table"), 0, spend.NotFound, "the export is not there yet"},
		{simulator.GoogleError(403, "quotaExceeded", "Quota exceeded"), 2, spend.RateLimited, "quota"},
		{simulator.GoogleError(400, "invalidQuery", "Unrecognized name"), 2, spend.Server, "its columns have changed"},
		{simulator.LoseRow(), 2, spend.Incomplete, "rows are missing"},
		{simulator.EndEarly(), 2, spend.Incomplete, "rows are missing"},
		{simulator.Unfinished(), 2, spend.Timeout, ""},
		{simulator.HTML200(), 2, spend.Schema, ""},
		{simulator.Error200(), 2, spend.Schema, ""},
		{simulator.Rewrite(func(b []byte) []byte { return b[:len(b)/2] }), 2, spend.Decode, ""},
		{simulator.RewriteJSON("another job", func(m map[string]any) {
			if ref, ok := m["jobReference"].(map[string]any); ok && strings.HasSuffix(fmt.Sprint(m["kind"]), "getQueryResultsResponse") {
				ref["jobId"] = "job_of_somebody_else"
			}
		}), 2, spend.Pagination, "different jobs"},
	} {
		t.Run(tt.do.Name(), func(t *testing.T) {
			w, sources := vertexWorld(t, simulator.Options{Seed: 1, Tiny: true, Vertex: simulator.VertexOptions{PageRows: 20}})
			w.Inject(simulator.Fault{Source: "vertex/bigquery", Skip: tt.skip, Do: tt.do})
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := walkSource(ctx, sources[0], win)
			if err == nil || spend.OutcomeOf(err, spend.OK) != tt.outcome || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("outcome %s: %v", spend.OutcomeOf(err, spend.OK), err)
			}
		})
	}
}

// The limit of bytes is Google's to keep, and the error says what it would take.
func TestVertexBytesBilled(t *testing.T) {
	w, _ := vertexWorld(t, simulator.Options{Seed: 1})
	servers, err := w.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = servers.Close() }()
	s := vertex.Type().NewSettings().(*vertex.Settings)
	s.Credentials = secret.New(string(w.ServiceAccount(servers.Google)))
	s.BigQuery.Project, s.BigQuery.Dataset, s.BigQuery.Table = simulator.VertexProject, simulator.VertexDataset, simulator.VertexTable
	s.BigQuery.BaseURL, s.BigQuery.MaxBytesBilled = servers.Google, 1000
	sources, err := s.Open(providers.Env{Account: "acme", NoEnvProxy: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = walkSource(t.Context(), sources[0], spend.Window{From: spend.Date(2026, 11, 1), To: spend.Date(2026, 11, 24)})
	if err == nil || !strings.Contains(err.Error(), "bigquery.max_bytes_billed") {
		t.Error(err)
	}
}

func TestVertexTokens(t *testing.T) {
	w, sources := vertexWorld(t, simulator.Options{Seed: 1, Tiny: true})
	win := spend.Window{From: spend.Date(2026, 11, 20), To: spend.Date(2026, 11, 24)}
	if _, err := walkSource(t.Context(), sources[0], win); err != nil {
		t.Fatal(err)
	}
	w.EndTokens()
	if _, err := walkSource(t.Context(), sources[0], win); spend.OutcomeOf(err, spend.OK) != spend.Auth {
		t.Errorf("with an ended token: %v", err)
	}
	if _, err := walkSource(t.Context(), sources[0], win); err != nil {
		t.Errorf("with a new one: %v", err)
	}
	w.RotateKey(simulator.Vertex, "another-key")
	w.EndTokens()
	_, _ = walkSource(t.Context(), sources[0], win)
	if _, err := walkSource(t.Context(), sources[0], win); spend.OutcomeOf(err, spend.OK) != spend.Auth || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("with a revoked key: %v", err)
	}
}

// What is appended later changes the days that it is about, and when the table was changed.
func TestVertexAppends(t *testing.T) {
	now := time.Date(2026, 11, 23, 14, 20, 0, 0, time.UTC)
	w, sources := vertexWorld(t, simulator.Options{Seed: 1, Tiny: true, Now: func() time.Time { return now }})
	win := spend.Window{From: spend.Date(2026, 11, 20), To: spend.Date(2026, 11, 24)}
	before, err := walkSource(t.Context(), sources[0], win)
	if err != nil {
		t.Fatal(err)
	}
	mark := before.Mark
	err = sources[0].Fetch(t.Context(), providers.Request{Window: win, Buckets: 1, Mark: mark}, func(spend.Page) error { return nil })
	if err != providers.ErrUnchanged { //nolint:errorlint // it is the very value
		t.Errorf("an unchanged table: %v", err)
	}
	now = now.Add(time.Minute)
	w.AppendExport(simulator.AppendedRow{
		Start: time.Date(2026, 11, 21, 23, 59, 59, 0, time.UTC), SKU: "Gemini 9 Ultra Text Input - Predictions", SKUID: "SYN7-1",
		Model: "gemini-9-ultra", Project: "lab", Gross: spend.MustMoney("-1.25"), Credits: spend.MustMoney("0.5"),
	})
	after, err := walkSource(t.Context(), sources[0], win)
	if err != nil || after.Mark == mark || !after.Through.Equal(now) {
		t.Fatalf("mark %s, through %s, %v", after.Mark, after.Through, err)
	}
	if diff := cmp.Diff(w.Charges(simulator.Vertex, spend.Date(2026, 11, 21), now), after.Statements[1].Charges, cmp.Comparer(spend.Money.Equal)); diff != "" {
		t.Error(diff)
	}
}
