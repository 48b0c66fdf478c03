package rollup_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

var (
	costs  = spend.SourceID{Provider: "openai", Account: "default", Source: "openai/costs"}
	usage  = spend.SourceID{Provider: "openai", Account: "default", Source: "openai/usage"}
	claude = spend.SourceID{Provider: "anthropic", Account: "acme", Source: "anthropic/cost_report"}
	day1   = spend.Date(2026, time.November, 18)
)

func money(s string) spend.Money { return spend.MustMoney(s) }

func charge(model, project, item, gross string) spend.Charge {
	return spend.Charge{Model: model, Project: project, Item: item, Currency: "USD", Gross: money(gross)}
}

func stmt(d spend.Day, charges ...spend.Charge) spend.Statement {
	return spend.Statement{Day: d, Charges: charges}
}

func mustQuery(t *testing.T, s *rollup.Snapshot, q rollup.Query) rollup.Result {
	t.Helper()
	r, err := s.Query(q)
	if err != nil {
		t.Fatalf("Query(%+v): %v", q, err)
	}
	return r
}

func TestReplaceIsNotAdd(t *testing.T) {
	b := rollup.NewBook()
	for _, gross := range []string{"10", "7.5"} {
		b.Update(func(tx *rollup.Tx) {
			tx.Replace(costs, []spend.Statement{stmt(day1, charge("gpt", "p", "i", gross))})
		})
	}
	got := mustQuery(t, b.Snapshot(), rollup.Query{}).Totals.Cost
	if !got.Equal(money("7.5")) {
		t.Errorf("total after the second statement = %s, want 7.5", got)
	}
	if n := b.Snapshot().Charges("openai"); n != 1 {
		t.Errorf("Charges = %d, want 1", n)
	}
	if v := b.Snapshot().Version(); v != 2 {
		t.Errorf("Version = %d, want 2", v)
	}
}

func TestQueryMergesCostAndUsage(t *testing.T) {
	b := rollup.NewBook()
	through := day1.Time().Add(5 * time.Hour)
	b.Update(func(tx *rollup.Tx) {
		tx.Replace(costs, []spend.Statement{
			stmt(day1, charge("gpt", "p", "gpt, input", "1.25"), charge("gpt", "p", "gpt, output", "2"),
				charge("", "p", "tax", "0.5")),
			stmt(day1+1, spend.Charge{Model: "gpt", Currency: "USD", Gross: money("3"), Credits: money("-1")}),
			stmt(day1+2, spend.Charge{Model: "gpt", Currency: "EUR", Gross: money("9")}),
		})
		tx.Replace(usage, []spend.Statement{{Day: day1, Usage: []spend.Usage{
			{Model: "gpt", Project: "p", Input: 7, Output: 5, Requests: 2, HasRequests: true},
		}}})
		tx.SetThrough(costs, through)
	})
	got := mustQuery(t, b.Snapshot(), rollup.Query{GroupBy: []rollup.Dim{rollup.ByDay, rollup.ByModel}})
	want := rollup.Result{
		Rows: []rollup.Row{
			{
				Day: day1, Model: "gpt", HasCost: true, HasUsage: true, Cost: money("3.25"), Gross: money("3.25"),
				Input: 7, Output: 5, Requests: 2, HasRequests: true,
			},
			{
				Day: day1, Model: "other", HasCost: true, Cost: money("0.5"), Gross: money("0.5"),
				Unattributed: money("0.5"),
			},
			{Day: day1 + 1, Model: "gpt", HasCost: true, Cost: money("2"), Gross: money("3"), Credits: money("-1")},
		},
		Totals: rollup.Row{
			HasCost: true, HasUsage: true, Cost: money("5.75"), Gross: money("6.75"), Credits: money("-1"),
			Unattributed: money("0.5"), Input: 7, Output: 5, Requests: 2, HasRequests: true,
		},
		Unconverted: []rollup.Apart{
			{Provider: "openai", Account: "default", Source: "openai/costs", Currency: "EUR", Cost: money("9")},
		},
		DataThrough: map[spend.SourceID]time.Time{costs: through, usage: {}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Query (-want +got):\n%s", diff)
	}
}
