package caps_test

import (
	"testing"
	"time"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

const budgetName = "billingAccounts/01AAAA-BBBBBB-CCCCC1/budgets/b1"

var (
	budgetID = spend.SourceID{Provider: "vertex", Account: "default", Source: "vertex/budget"}
	exportID = spend.SourceID{Provider: "vertex", Account: "default", Source: "vertex/bigquery"}
)

// budgetStatus is a source whose one budget stands at 40 USD since Pacific midnight of
// November 1st.
func budgetStatus() spend.SourceStatus {
	published := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	return spend.SourceStatus{
		ID: budgetID, Enabled: true, BudgetSource: true, BudgetOnly: true, Counted: budgetName,
		Interval: 15 * time.Minute, MaxStaleness: 12 * time.Hour, DataThrough: published, LastApplied: published,
		Budgets: []spend.Budget{
			{BillingAccount: "01AAAA-BBBBBB-CCCCC1", ID: "b0", Notices: []spend.BudgetNotice{{
				PublishedAt: published, IntervalStart: time.Date(2026, 11, 1, 7, 0, 0, 0, time.UTC), Currency: "USD",
				Spend: spend.MustMoney("999"), Limit: spend.MustMoney("1"),
			}}},
			{BillingAccount: "01AAAA-BBBBBB-CCCCC1", ID: "b1", Notices: []spend.BudgetNotice{{
				PublishedAt: published, IntervalStart: time.Date(2026, 11, 1, 7, 0, 0, 0, time.UTC), Currency: "USD",
				Spend: spend.MustMoney("40.25"), Limit: spend.MustMoney("100"),
			}}},
		},
	}
}

func TestCapsThatCountABudget(t *testing.T) {
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	vertexMonth := caps.Cap{Scope: "vertex", Period: caps.Month, Soft: spend.MustMoney("40.25"), Hard: spend.MustMoney("50")}
	with := func(change func(*caps.Cap)) caps.Cap {
		c := vertexMonth
		change(&c)
		return c
	}
	notice := func(change func(*spend.BudgetNotice)) func(*spend.SourceStatus) {
		return func(st *spend.SourceStatus) { change(&st.Budgets[1].Notices[0]) }
	}
	for _, tt := range []struct {
		name   string
		cap    caps.Cap
		change func(*spend.SourceStatus)
		now    time.Time
		spend  string // empty: not known
		basis  string
		gaps   map[caps.Reason]int
	}{
		{"a month of vertex", vertexMonth, nil, noon, "40.25", "budget", nil},
		{"a month of everything", with(func(c *caps.Cap) { c.Scope = "global" }), nil, noon, "40.25", "budget", nil},
		{
			"nobody said that it counts", vertexMonth, func(st *spend.SourceStatus) { st.Counted = "" }, noon, "", "charges",
			map[caps.Reason]int{caps.BudgetPeriod: 1},
		},
		{
			"another budget's name", vertexMonth, func(st *spend.SourceStatus) { st.Counted += "2" }, noon, "", "charges",
			map[caps.Reason]int{caps.BudgetPeriod: 1},
		},
		{"no notification yet", vertexMonth, func(st *spend.SourceStatus) {
			st.Budgets[1].Notices, st.DataThrough = nil, time.Time{}
		}, noon, "", "charges", map[caps.Reason]int{caps.BudgetPeriod: 1}},
		{
			"another currency", vertexMonth, notice(func(n *spend.BudgetNotice) { n.Currency = "EUR" }), noon, "", "charges",
			map[caps.Reason]int{caps.BudgetPeriod: 1},
		},
		{"last month's total", vertexMonth, notice(func(n *spend.BudgetNotice) {
			n.IntervalStart = time.Date(2026, 10, 1, 7, 0, 0, 0, time.UTC)
		}), noon, "", "charges", map[caps.Reason]int{caps.BudgetPeriod: 1}},
		{"the first instant of the month", vertexMonth, notice(func(n *spend.BudgetNotice) {
			n.IntervalStart = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
		}), noon, "40.25", "budget", nil},
		{"a clock ahead of ours", vertexMonth, notice(func(n *spend.BudgetNotice) {
			n.IntervalStart = time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
		}), noon, "", "charges", map[caps.Reason]int{caps.BudgetPeriod: 1}},
		{"the month is new in UTC only", vertexMonth, func(st *spend.SourceStatus) {
			st.Budgets[1].Notices[0].PublishedAt = time.Date(2026, 12, 1, 2, 30, 0, 0, time.UTC)
		}, time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC), "", "charges", map[caps.Reason]int{caps.BudgetPeriod: 1}},
		{"stale", vertexMonth, nil, noon.Add(10 * time.Hour), "40.25", "budget", map[caps.Reason]int{caps.Stale: 1}},
		{
			"a day", with(func(c *caps.Cap) { c.Period = caps.Day }), nil, noon, "", "charges",
			map[caps.Reason]int{caps.BudgetPeriod: 1},
		},
		{
			"a day of everything", with(func(c *caps.Cap) { c.Scope, c.Period = "global", caps.Day }), nil, noon, "", "charges",
			map[caps.Reason]int{caps.BudgetPeriod: 1},
		},
		{
			"a match", with(func(c *caps.Cap) { c.Scope, c.Match = "own", caps.Match{Provider: "vertex"} }), nil, noon, "", "charges",
			map[caps.Reason]int{caps.BudgetPeriod: 1},
		},
		{
			"beside an export it feeds nothing", vertexMonth, func(st *spend.SourceStatus) { st.BudgetOnly = false }, noon, "",
			"charges", nil,
		},
		{"another provider", with(func(c *caps.Cap) { c.Scope = "openai" }), nil, noon, "", "charges", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := budgetStatus()
			if tt.change != nil {
				tt.change(&st)
			}
			all, err := caps.Evaluate(rollup.NewBook().Snapshot(), []spend.SourceStatus{st}, []caps.Cap{tt.cap}, tt.now)
			if err != nil {
				t.Fatal(err)
			}
			got := all[0]
			if got.Known != (tt.spend != "") || got.Known && got.Spend.String() != tt.spend || got.Projected != nil {
				t.Errorf("known %v, spend %s, projected %v", got.Known, got.Spend, got.Projected)
			}
			if got.Basis() != tt.basis || got.Known != (len(got.Budgets) == 1) {
				t.Errorf("basis %q of %d budgets", got.Basis(), len(got.Budgets))
			}
			for _, r := range caps.Reasons() {
				if got.Gaps[r] != tt.gaps[r] {
					t.Errorf("gap %s: %d, want %d", r, got.Gaps[r], tt.gaps[r])
				}
			}
			if soft, _ := got.Level(caps.Soft); soft.Reached != got.Known {
				t.Errorf("the soft level of %s: %+v", soft.Limit, soft)
			}
			if hard, _ := got.Level(caps.Hard); hard.Reached || got.Known && hard.Percent != 80.5 {
				t.Errorf("the hard level: %+v", hard)
			}
		})
	}
}

// Charges of one account and the budget of another add up; the older of the two says
// how far the data reaches.
func TestCapOfChargesAndABudget(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	book := rollup.NewBook()
	first := spend.Date(2026, 11, 1)
	book.Update(func(tx *rollup.Tx) {
		tx.ReplaceWindow(exportID, spend.Window{From: first, To: first + 24}, now, []spend.Statement{{
			Day: first + 3, Charges: []spend.Charge{{
				Model: "gemini-3-pro", Currency: "EUR", Rate: spend.MustMoney("0.8"), Gross: spend.MustMoney("8"),
			}},
		}})
	})
	other := budgetStatus()
	other.ID.Account = "second"
	export := spend.SourceStatus{
		ID: exportID, Enabled: true, Interval: time.Hour, MaxStaleness: 48 * time.Hour, Lag: 48 * time.Hour,
		CoveredFrom: first, DataThrough: now.Add(-20 * time.Hour), LastApplied: now,
	}
	all, err := caps.Evaluate(book.Snapshot(), []spend.SourceStatus{export, other}, []caps.Cap{
		{Scope: "vertex", Period: caps.Month, Hard: spend.MustMoney("50")},
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	got := all[0]
	if !got.Known || got.Spend.String() != "50.25" || !got.Levels[0].Reached || got.Basis() != "charges and budget" ||
		got.HasGaps() || got.Projected != nil {
		t.Errorf("%+v", got)
	}
	if !got.DataThrough.Equal(export.DataThrough) {
		t.Errorf("data through %s", got.DataThrough)
	}
}

// A provider whose data is normally a day late is no gap when a month begins.
func TestLagIsNoGap(t *testing.T) {
	first := spend.Date(2026, 12, 1)
	for _, tt := range []struct {
		through, now time.Duration // since the month began
		known        bool
		gaps         int
	}{
		{-6 * time.Hour, time.Hour, true, 0},
		{-6 * time.Hour, 30 * time.Hour, true, 0},
		{-6 * time.Hour, 43 * time.Hour, false, 1}, // stale
		{time.Hour, 47 * time.Hour, true, 0},
	} {
		book := rollup.NewBook()
		book.Update(func(tx *rollup.Tx) {
			tx.ReplaceWindow(exportID, spend.Window{From: first - 40, To: first + 2}, first.Time(), nil)
		})
		now := first.Time().Add(tt.now)
		all, err := caps.Evaluate(book.Snapshot(), []spend.SourceStatus{{
			ID: exportID, Enabled: true, Interval: time.Hour, MaxStaleness: 48 * time.Hour, Lag: 48 * time.Hour,
			CoveredFrom: first - 40, DataThrough: first.Time().Add(tt.through), LastApplied: now,
		}}, []caps.Cap{{Scope: "vertex", Period: caps.Month, Hard: spend.MustMoney("50")}}, now)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, g := range all[0].Gaps {
			n += g
		}
		if all[0].Known != tt.known || n != tt.gaps {
			t.Errorf("through %s at %s: known %v, gaps %v", tt.through, tt.now, all[0].Known, all[0].Gaps)
		}
	}
}
