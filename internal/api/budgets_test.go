package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/spend"
)

// withBudget adds an account of which only one budget is known.
func withBudget(k *kit) {
	half, limit := spend.MustMoney("0.5"), spend.MustMoney("2500.5")
	id := spend.SourceID{Provider: "vertex", Account: "eu", Source: "vertex/budget"}
	published := noon().Add(-90 * time.Minute)
	k.statuses = append(k.statuses, spend.SourceStatus{
		ID: id, Enabled: true, Up: true, LastOutcome: spend.OK, MaxStaleness: 12 * time.Hour, DataThrough: published,
		LastApplied: noon(), BudgetSource: true, BudgetOnly: true, HistoryDone: true,
		Counted: "billingAccounts/01AAAA-BBBBBB-CCCCC1/budgets/de72f49d",
		Budgets: []spend.Budget{
			{BillingAccount: "01AAAA-BBBBBB-CCCCC1", ID: "de72f49d", Notices: []spend.BudgetNotice{{
				PublishedAt: published, IntervalStart: time.Date(2026, 11, 1, 7, 0, 0, 0, time.UTC),
				DisplayName: "AI monthly", Currency: "USD", Spend: spend.MustMoney("1250.02"), Limit: limit, AlertThreshold: &half,
			}}, Settings: &spend.BudgetSettings{Thresholds: []spend.BudgetThreshold{{Ratio: half}, {Ratio: half, Forecast: true}}}},
			{BillingAccount: "01AAAA-BBBBBB-CCCCC1", ID: "f0", Settings: &spend.BudgetSettings{
				DisplayName: "hard cap", Limit: &limit, Currency: "EUR", SpendCap: "AWAITING_NEXT_PERIOD",
			}},
		},
	})
}

func TestBudgetsInStatus(t *testing.T) {
	k := newKit(t)
	withBudget(k)
	w := k.get("/status")
	wantOK(t, w)
	body := strings.Join(strings.Fields(w.Body.String()), "")
	for _, want := range []string{
		`"problems":[],`, `"history":{"done":true,"days_read":0,"days_total":0}`,
		`"budgets":[{"provider":"vertex","account":"eu","budget":"de72f49d","billing_account":"01AAAA-BBBBBB-CCCCC1",` +
			`"display_name":"AImonthly","basis":"budgetnotification,intervaltodate","counted":true,"currency":"USD","spend":1250.02,` +
			`"limit":2500.5,"interval_start":"2026-11-01T07:00:00Z","published_at":"2026-11-23T10:30:00Z",` +
			`"threshold_exceeded_ratio":0.5,"forecast_threshold_exceeded_ratio":null,` +
			`"thresholds":[{"ratio":0.5,"forecast":false},{"ratio":0.5,"forecast":true}]},` +
			`{"provider":"vertex","account":"eu","budget":"f0","billing_account":"01AAAA-BBBBBB-CCCCC1","display_name":"hardcap",` +
			`"basis":"budgetsettings","counted":false,"currency":"EUR","spend":null,"limit":2500.5,"interval_start":null,` +
			`"published_at":null,"threshold_exceeded_ratio":null,"forecast_threshold_exceeded_ratio":null,` +
			`"spend_cap_state":"awaiting_next_period"}]`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
}

// What a cap is made of is said; the budget is in no figure of /spend.
func TestBudgetsInCapsAndNotInSpend(t *testing.T) {
	k := newKit(t)
	exactCaps(k)
	withBudget(k)
	k.caps = []caps.Cap{
		{Scope: "vertex", Period: caps.Month, Hard: spend.MustMoney("1250.02")},
		{Scope: "global", Period: caps.Month, Hard: spend.MustMoney("5000")},
	}
	body := k.get("/caps").Body.String()
	budget := `"budgets":[{"provider":"vertex","account":"eu","budget":"de72f49d","display_name":"AI monthly","spend_usd":1250.02,` +
		`"interval_start":"2026-11-01T07:00:00Z","published_at":"2026-11-23T10:30:00Z"}]`
	for _, want := range []string{
		`"spend_usd":1250.02,"limits":{"soft":null,"hard":1250.02},"percent":{"soft":null,"hard":100},"level_reached":"hard"`,
		`"top_models":[],"basis":"budget",` + budget,
		`"spend_usd":1721.5200000000000000000023,`,
		`"basis":"charges and budget",` + budget,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	if got := k.get("/spend").Body.String(); strings.Contains(got, "vertex") || strings.Contains(got, "1250") {
		t.Errorf("the budget is in /spend:\n%s", got)
	}
}

// Money of another currency takes part by its rate, without one and as tax it stays apart.
func TestSpendOfOtherMoney(t *testing.T) {
	k := newKit(t)
	row := func(currency, rate string, tax bool) spend.Charge {
		return spend.Charge{
			Model: "gemini-3-pro", Currency: currency, Rate: spend.MustMoney(rate), Tax: tax,
			Gross: spend.MustMoney("9"), Credits: spend.MustMoney("-0.9"),
		}
	}
	k.put(spend.SourceID{Provider: "vertex", Account: "eu", Source: "vertex/bigquery"}, noon(), spend.Statement{
		Day:     day("2026-11-03"),
		Charges: spend.MergeCharges([]spend.Charge{row("EUR", "0.9", false), row("EUR", "0", false), row("EUR", "0.9", true), row("JPY", "0", true)}),
	})
	body := k.get("/spend?from=2026-11-01&to=2026-11-23&groupBy=model").Body.String()
	want := `{"model":"gemini-3-pro","cost_usd":9,"gross_usd":10,"credits_usd":-1}],
"totals":{"cost_usd":9,"gross_usd":10,"credits_usd":-1},` +
		`"unconverted":[{"provider":"vertex","account":"eu","source":"vertex/bigquery","currency":"EUR","cost":8.1}],` +
		`"tax":[{"provider":"vertex","account":"eu","source":"vertex/bigquery","currency":"JPY","cost":8.1},` +
		`{"provider":"vertex","account":"eu","source":"vertex/bigquery","currency":"USD","cost":9}],`
	if !strings.Contains(body, want) {
		t.Errorf("body\n%s\nwant\n%s", body, want)
	}
}
