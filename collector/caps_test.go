package collector_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/aispend/aispend/collector"
	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

// capped is a page over a book with caps that are judged at a settable time.
type capped struct {
	*fixture
	caps     []caps.Cap
	statuses []spend.SourceStatus
}

func (c *capped) page(t tb) []*dto.MetricFamily {
	t.Helper()
	var e caps.Evaluator
	o := c.options()
	o.Caps = func() ([]caps.Status, error) { return e.Evaluate(c.book.Snapshot(), c.statuses, c.caps, c.now) }
	return gather(t, collector.New(o).Gatherer(), isCap)
}

func isCap(name string) bool { return strings.HasPrefix(name, "aispend_cap_") }

func newCapped(now string) *capped {
	c := &capped{fixture: newFixture(now)}
	c.source(openaiCosts, -30)
	c.source(claudeCosts, -30)
	return c
}

// source adds a source whose history begins so many days before today, all of
// them empty.
func (c *capped) source(id spend.SourceID, from int) {
	today := spend.DayOf(c.now)
	w := spend.Window{From: today + spend.Day(from), To: today + 1}
	c.statuses = append(c.statuses, spend.SourceStatus{
		ID: id, Enabled: true, Up: true, MaxStaleness: 6 * time.Hour, CoveredFrom: w.From,
		DataThrough: c.now.Add(-5 * time.Minute),
	})
	c.book.Update(func(tx *rollup.Tx) { tx.ReplaceWindow(id, w, c.now, nil) })
}

// someCap has a sample for every family of a cap.
func someCap() caps.Status {
	projected := money("120.5")
	return caps.Status{
		Cap:    caps.Cap{Scope: "openai", Period: caps.Month, Hard: money("100")},
		Window: spend.Window{From: spend.Date(2026, time.November, 1), To: spend.Date(2026, time.December, 1)},
		Known:  true, Spend: money("99.99"), Projected: &projected,
		Levels: []caps.LevelStatus{
			{Level: caps.Hard, Limit: money("100"), Exhaustion: spend.Date(2026, time.November, 24).Time()},
		},
		DataThrough: spend.Date(2026, time.November, 23).Time(),
		TopModels:   []caps.ModelSpend{{Model: "gpt-5", Spend: money("99.99")}},
		Budgets:     []caps.BudgetSpend{{Budget: spend.Budget{ID: "de72f49d"}, Spend: money("12.5")}},
	}
}

func TestCapsGolden(t *testing.T) {
	c := newCapped("2026-11-23T10:00:00Z")
	for d := day(t, "2026-10-24"); d < day(t, "2026-11-23"); d++ {
		write(c.book, openaiCosts, d, []spend.Charge{usd("gpt-5", "p", "10"), usd("gpt-5-mini", "q", "-0.25")})
		write(c.book, claudeCosts, d, []spend.Charge{usd("claude-opus-4-1", "", "4"), usd("", "", "1")})
	}
	write(c.book, openaiCosts, day(t, "2026-11-23"), []spend.Charge{usd("gpt-5", "p", "2.5")})
	c.caps = []caps.Cap{
		{Scope: "global", Period: caps.Month, Soft: money("300"), Hard: money("400")},
		{Scope: "openai", Period: caps.Week, Hard: money("50"), Gross: true},
		{Scope: "openai", Period: caps.Day, Soft: money("2.5")},
		{Scope: "vertex", Period: caps.Month, Hard: money("9")}, // no source
		{Scope: "anthropic", Period: caps.Month},                // off
		{
			Scope: "Opus & friends", Period: caps.Month, Match: caps.Match{Model: "claude-opus*"},
			Soft: money("100.01"),
		},
	}
	page := text(t, c.page(t))
	lint(t, page)
	golden(t, "caps.prom", page)
}

// The page follows the clock between two pulls and the settings at once.
func TestCapsFollowTheClock(t *testing.T) {
	const spent = "aispend_cap_spend_usd{period=day,scope=openai}"
	const limit = "aispend_cap_limit_usd{level=hard,period=day,scope=openai}"
	c := newCapped("2026-11-30T23:59:59Z")
	write(c.book, openaiCosts, day(t, "2026-11-30"), []spend.Charge{usd("gpt-5", "", "3")})
	c.caps = []caps.Cap{{Scope: "openai", Period: caps.Day, Hard: money("3")}}
	if got := samples(c.page(t)); got[spent] != 3 || got[limit] != 3 {
		t.Errorf("at the last second: %v", got)
	}
	c.now = c.now.Add(time.Second)
	got := samples(c.page(t))
	if v, ok := got[spent]; !ok || v != 0 {
		t.Errorf("spend at the first second of the next day: %v, %t", v, ok)
	}
	if got["aispend_cap_period_start_timestamp_seconds{period=day,scope=openai}"] != float64(c.now.Unix()) {
		t.Errorf("at the first second of the next day: %v", got)
	}
	c.caps = nil
	if got := c.page(t); len(got) != 0 {
		t.Errorf("without caps: %v", got)
	}
}

// Before the first pull the spend has no series and every gap has one.
func TestCapsOfAnEmptyLedger(t *testing.T) {
	c := &capped{fixture: newFixture("2026-11-23T10:00:00Z")}
	c.statuses = []spend.SourceStatus{{ID: openaiCosts, Enabled: true}}
	c.caps = []caps.Cap{{Scope: "global", Period: caps.Month, Soft: money("1"), Hard: money("2")}}
	got := samples(c.page(t))
	for name, want := range map[string]float64{
		"aispend_cap_data_gaps{period=month,reason=never_pulled,scope=global}":  1,
		"aispend_cap_data_gaps{period=month,reason=stale,scope=global}":         0,
		"aispend_cap_data_gaps{period=month,reason=held,scope=global}":          0,
		"aispend_cap_data_gaps{period=month,reason=unconverted,scope=global}":   0,
		"aispend_cap_data_gaps{period=month,reason=budget_period,scope=global}": 0,
		"aispend_cap_data_through_timestamp_seconds{period=month,scope=global}": 0,
		"aispend_cap_limit_usd{level=soft,period=month,scope=global}":           1,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s = %v, %t, want %v", name, v, ok, want)
		}
	}
	for name := range got {
		if strings.Contains(name, "spend_usd") || strings.Contains(name, "exhaustion") {
			t.Errorf("%s = %v, and nothing was ever read", name, got[name])
		}
	}
}

// Absurd amounts stay numbers that can be compared.
func TestCapsAreNeverNaN(t *testing.T) {
	c := newCapped("2026-11-23T10:00:00Z")
	for d := day(t, "2026-11-01"); d <= day(t, "2026-11-23"); d++ {
		write(c.book, openaiCosts, d, []spend.Charge{
			{Model: "gpt-5", Currency: spend.USD, Gross: money("1").Shift(320)},
		})
	}
	c.caps = []caps.Cap{{
		Scope: "global", Period: caps.Month, Soft: money("0.000000000000000000001"),
		Hard: money("9").Shift(321),
	}}
	found := 0
	for name, v := range samples(c.page(t)) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.Errorf("%s = %v", name, v)
		}
		if v == math.MaxFloat64 {
			found++
		}
	}
	if found < 3 {
		t.Errorf("%d series beyond float64: this test compares nothing", found)
	}
}

// Caps that cannot be judged cost their own families only.
func TestCapsFail(t *testing.T) {
	f := newFixture("2026-11-23T10:00:00Z")
	world(t, f)
	o := f.options()
	o.Caps = func() ([]caps.Status, error) { return nil, errors.New("no caps today") }
	page, err := collector.New(o).Gatherer().Gather()
	if err == nil || !strings.Contains(err.Error(), "gathering caps: no caps today") {
		t.Errorf("err = %v", err)
	}
	if len(family(page, "aispend_month_cost_usd").Metric) == 0 {
		t.Error("the rest of the page is gone")
	}
}
