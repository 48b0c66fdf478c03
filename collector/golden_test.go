package collector_test

import (
	"testing"
	"time"

	"github.com/aispend/aispend/collector"
	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// world fills a fixture with one of everything the ledger can hold: two
// providers, two accounts, rows without a model, credits, another currency,
// projects, usage with and without requests, uncosted tokens.
func world(t tb, f *fixture) {
	t.Helper()
	b := f.book
	write(b, openaiCosts, day(t, "2026-10-31"), []spend.Charge{usd("gpt-5", "proj_1", "7.25")})
	for i := range 4 {
		write(b, openaiCosts, day(t, "2026-11-19")+spend.Day(i), []spend.Charge{
			usd("", "", "0.5"),
			usd("gpt-5", "proj_1", "10.10"),
			usd("gpt-5", "proj_2", "0.000000000000000001"),
			usd("gpt-5-mini", "proj_1", "0.06"),
			usd("gpt-5-mini", "proj_1x", "-0.01"),
			{Model: "gpt-5", Project: "proj_1", Currency: "EUR", Gross: money("3.33")},
		})
	}
	write(b, openaiCosts, day(t, "2026-11-23"), []spend.Charge{usd("gpt-5", "proj_1", "1.5")})
	write(b, labCosts, day(t, "2026-11-22"), []spend.Charge{usd("gpt-5", "proj_9", "2")})
	write(b, openaiUsage, day(t, "2026-11-22"), nil, spend.Usage{
		Model: "gpt-5", Project: "proj_1", Input: 1000, Output: 200, CacheRead: 300, Requests: 7, HasRequests: true,
	})
	write(b, openaiUsage, day(t, "2026-11-23"), nil, spend.Usage{
		Model: "gpt-5", Project: "proj_1", Input: 10, Output: 2, Requests: 1, HasRequests: true,
	})
	write(b, claudeCosts, day(t, "2026-11-20"), []spend.Charge{usd("claude-opus-4-1", "wrkspc_1", "0.1")})
	write(b, claudeCosts, day(t, "2026-11-21"), []spend.Charge{usd("claude-opus-4-1", "wrkspc_1", "0.2")})
	write(b, claudeCosts, day(t, "2026-11-22"), []spend.Charge{usd("claude-opus-4-1", "wrkspc_1", "123.456789")})
	write(b, vertexExport, day(t, "2026-11-21"), []spend.Charge{
		{Model: "gemini-2.5-flash", Project: "acme", Currency: "EUR", Rate: money("0.8"), Gross: money("8"), Credits: money("-0.4")},
		{Item: "9-9-9 Something new", Project: "acme", Currency: "EUR", Rate: money("0.8"), Gross: money("0.2")},
		{Item: "Tax", Currency: "EUR", Rate: money("0.8"), Tax: true, Gross: money("1.6")},
		{Model: "veo-fast", Currency: "JPY", Gross: money("150")},
	})
	write(b, claudeUsage, day(t, "2026-11-22"), nil,
		spend.Usage{Model: "claude-opus-4-1", Input: 9, Output: 8, CacheRead: 7, CacheWrite: 6},
		spend.Usage{Model: "claude-sonnet-4-5", Input: 100, Output: 50, Uncosted: 150},
	)
}

func TestSpendGolden(t *testing.T) {
	f := newFixture("2026-11-23T10:00:00Z")
	f.settings.ByProject = true
	world(t, f)
	page := text(t, f.spending(t))
	lint(t, page)
	golden(t, "spend.prom", page)
}

// fullOptions has every part that a daemon has.
func fullOptions(t tb) collector.Options {
	t.Helper()
	f := newFixture("2026-11-23T10:00:00Z")
	world(t, f)
	f.settings.Demo = true
	f.settings.ByProject = true
	f.settings.CapsConfigured = 4
	f.settings.ExternalURL = "https://aispend.example.com"
	f.settings.DashboardURL = `https://grafana.example.com/d/x?var-a="b"`
	pulls := collector.NewPullMetrics()
	for _, id := range []spend.SourceID{openaiCosts, claudeCosts} {
		pulls.Register(id)
	}
	pulls.PullEnded(openaiCosts, spend.OK, 1.5)
	pulls.PullEnded(openaiCosts, spend.RateLimited, 31)
	pulls.PageFetched(openaiCosts)
	pulls.PageFetched(openaiCosts)
	pulls.Revised("openai", money("0.1"), money("0.02"))
	pulls.Revised("openai", money("0.2"), money("0"))
	pulls.ClockSkew("openai", -1500*time.Millisecond)
	o := f.options()
	o.Pulls = pulls
	o.Statuses = func() []spend.SourceStatus {
		return []spend.SourceStatus{
			{
				ID: openaiCosts, Interval: 15 * time.Minute, MaxStaleness: 6 * time.Hour, Enabled: true, Up: true,
				LastSuccess: f.now.Add(-time.Minute), DataThrough: f.now.Add(-2 * time.Minute),
			},
			{ID: claudeCosts, Interval: time.Hour, MaxStaleness: 30 * time.Hour, Enabled: true, Held: true},
			{
				ID: vertexBudget, Interval: 15 * time.Minute, MaxStaleness: 12 * time.Hour, Enabled: true, Up: true,
				LastSuccess: f.now.Add(-time.Minute), DataThrough: f.now.Add(-40 * time.Minute), BudgetSource: true,
				Counted: "billingAccounts/01AAAA-BBBBBB-CCCCC1/budgets/de72f49d", Budgets: someBudgets(f.now),
			},
		}
	}
	o.Store = func() store.Stats {
		return store.Stats{
			RawPages: map[string]int{"openai": 12, "anthropic": 3}, LSMBytes: 1 << 20, VlogBytes: 512,
			FreeBytes: 5e9, ReserveBytes: 1e9,
		}
	}
	o.Caps = func() ([]caps.Status, error) { return []caps.Status{someCap()}, nil }
	o.Hook = func() (collector.Hook, error) {
		return collector.Hook{
			Deliveries: map[string]uint64{"ok": 3, "retried": 41, "rejected": 1, "cancelled": 2, "dead": 0},
			Pending:    1, OldestPending: f.now.Add(-7 * time.Minute),
			Delivered: []collector.HookDelivered{
				{Scope: "openai", Period: "month", Delivered: true},
				{Scope: "global", Period: "day"},
			},
		}, nil
	}
	o.Reload = func() collector.Reload {
		return collector.Reload{Successful: true, LastSuccess: f.now.Add(-time.Hour)}
	}
	return o
}

func TestLiveGolden(t *testing.T) {
	o := fullOptions(t)
	o.Snapshots = rollup.NewBook().Snapshot // spend.prom has the ledger's families
	page := text(t, gather(t, collector.New(o).Gatherer(), isOurs))
	lint(t, page)
	golden(t, "live.prom", page)
}
