package collector_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/collector"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

// someBudgets are one with everything, one that only notifications tell of, in another
// currency, and a spend cap that only the Budgets API tells of.
func someBudgets(now time.Time) []spend.Budget {
	const account = "01AAAA-BBBBBB-CCCCC1"
	half, one, limit, capped := money("0.5"), money("1"), money("2500.5"), money("300")
	start := time.Date(2026, 11, 1, 7, 0, 0, 0, time.UTC)
	return []spend.Budget{
		{BillingAccount: account, ID: "de72f49d", Notices: []spend.BudgetNotice{
			{PublishedAt: now.Add(-900 * time.Hour), IntervalStart: start.AddDate(0, -1, 0), Currency: "USD", Spend: money("999")},
			{
				PublishedAt: now.Add(-40 * time.Minute), IntervalStart: start, DisplayName: "AI monthly", Currency: "USD",
				Spend: money("1250.02"), Limit: limit, AlertThreshold: &half, ForecastThreshold: &one,
			},
		}, Settings: &spend.BudgetSettings{DisplayName: "AI, monthly", Limit: &limit, Currency: "USD"}},
		{BillingAccount: account, ID: "e0", Notices: []spend.BudgetNotice{{
			PublishedAt: now.Add(-time.Hour), IntervalStart: start, DisplayName: "pilot", Currency: "JPY",
			Spend: money("88123"), Limit: money("150000"),
		}}},
		{BillingAccount: account, ID: "f0", Settings: &spend.BudgetSettings{
			DisplayName: "Gemini hard cap", Limit: &capped, Currency: "USD", SpendCap: "ENFORCED",
		}},
	}
}

func TestBudgets(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	status := func(change func(*spend.SourceStatus)) spend.SourceStatus {
		st := spend.SourceStatus{
			ID: vertexBudget, Enabled: true, BudgetSource: true,
			Counted: "billingAccounts/01AAAA-BBBBBB-CCCCC1/budgets/de72f49d", Budgets: someBudgets(now),
		}
		change(&st)
		return st
	}
	book := rollup.NewBook()
	write(book, vertexExport, day(t, "2026-11-21"), []spend.Charge{
		{Model: "m", Currency: "EUR", Rate: money("0.8"), Gross: money("1000"), Credits: money("-20")},
		{Item: "Tax", Currency: "USD", Tax: true, Gross: money("7")},
	})
	const difference = "aispend_budget_difference_usd{"
	for _, tt := range []struct {
		name   string
		book   *rollup.Book
		change func(*spend.SourceStatus)
		want   []string
		not    []string
	}{
		{"beside an export", book, func(*spend.SourceStatus) {}, []string{
			`aispend_budget_difference_usd{account="default",budget="de72f49d",provider="vertex"} 25.02`,
			`aispend_budget_spend{account="default",budget="e0",currency="JPY",provider="vertex"} 88123`,
			`aispend_budget_spend_cap_state{account="default",budget="f0",provider="vertex",state="enforced"} 1`,
			`aispend_budget_spend_cap_state{account="default",budget="f0",provider="vertex",state="configured"} 0`,
			`aispend_budget_limit{account="default",budget="f0",currency="USD",provider="vertex"} 300`,
		}, []string{`aispend_budget_spend{account="default",budget="f0"`, `budget="e0",provider="vertex",state=`, " 999"}},
		{
			"of gross cost", book, func(st *spend.SourceStatus) { st.Budgets[0].Settings.Credits = "EXCLUDE_ALL_CREDITS" },
			[]string{`aispend_budget_difference_usd{account="default",budget="de72f49d",provider="vertex"} 0.02`},
			nil,
		},
		{"budgets only", book, func(st *spend.SourceStatus) { st.BudgetOnly = true }, nil, []string{difference}},
		{"no budget is named", book, func(st *spend.SourceStatus) { st.Counted = "" }, nil, []string{difference}},
		{"nothing is billed yet", rollup.NewBook(), func(*spend.SourceStatus) {}, nil, []string{difference}},
		{"of last month", book, func(st *spend.SourceStatus) {
			st.Budgets[0].Notices = st.Budgets[0].Notices[:1]
		}, nil, []string{difference}},
		{"twice", book, func(st *spend.SourceStatus) { st.Budgets = append(st.Budgets, st.Budgets...) }, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := collector.New(collector.Options{
				Snapshots: tt.book.Snapshot, Now: func() time.Time { return now },
				Statuses: func() []spend.SourceStatus { return []spend.SourceStatus{status(tt.change)} },
			})
			page := text(t, gather(t, c.Gatherer(), isOurs))
			lint(t, page)
			for _, line := range tt.want {
				if !strings.Contains(page, "\n"+line+"\n") {
					t.Errorf("no line %s", line)
				}
			}
			for _, piece := range tt.not {
				if strings.Contains(page, piece) {
					t.Errorf("%q is on the page", piece)
				}
			}
			if t.Failed() {
				t.Log(page)
			}
		})
	}
}
