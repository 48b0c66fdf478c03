package vertex_test

import (
	"encoding/json"
	"math/big"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/providers/vertex"
	"github.com/aispend/aispend/spend"
)

// fixtureWindow holds all days of the fixtures, in either zone.
func fixtureWindow() spend.Window {
	return spend.Window{From: spend.Date(2026, 9, 20), To: spend.Date(2026, 11, 10)}
}

type sums struct {
	Gross   string `json:"gross_usd"`
	Credits string `json:"credits_usd"`
	Net     string `json:"net_usd"`
	Rows    int64
}

type nativeCell struct {
	Day, Service, SKU, Currency, Gross, Credits, Model string

	Account    string `json:"billing_account_id"`
	ServiceID  string `json:"service_id"`
	SKUID      string `json:"sku_id"`
	Invoice    string `json:"invoice_month"`
	FX         string
	NetUSD     string `json:"net_usd"`
	Rows       int64
	LastExport string `json:"last_export"`
}

type expected struct {
	AI           int64           `json:"rows_ai"`
	ByUTCDay     map[string]sums `json:"by_utc_day"`
	ByPacificDay map[string]sums `json:"by_pacific_day"`
	ByModel      map[string]sums `json:"by_model"`
	ByService    map[string]sums `json:"by_service"`
	ByInvoice    map[string]sums `json:"by_invoice_month"`
	ByAccount    map[string]sums `json:"by_account"`
	Tax          map[string]sums
	ByDayModel   []struct {
		Day, Model string
		sums
	} `json:"by_utc_day_model"`
	Native  []nativeCell      `json:"native_by_utc_day_sku_invoice"`
	Total   string            `json:"grand_total_net_usd"`
	Wrong   map[string]any    `json:"wrong_answers"`
	Seen30  map[string]string `json:"utc_day_2026-09-30_as_seen"`
	SeenOct map[string]string `json:"utc_day_2026-10-05_as_seen"`
}

func expectations(t testing.TB) (e expected) {
	t.Helper()
	b, err := os.ReadFile("testdata/export/expected_totals.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// walk decodes pages and prices their rows.
func walk(t testing.TB, w spend.Window, pages ...[]byte) (vertex.Export, []vertex.Charged) {
	t.Helper()
	d := vertex.NewRowDecoder(w)
	for _, p := range pages {
		if err := d.Page(p); err != nil {
			t.Fatal(err)
		}
	}
	out, err := d.Export()
	if err != nil {
		t.Fatal(err)
	}
	return out, mapper(t).Charge(out.Rows)
}

// near reports whether two amounts of USD are the same within 1e-6.
func near(t testing.TB, got spend.Money, want string) bool {
	t.Helper()
	diff := new(big.Rat).Sub(rat(t, got.String()), rat(t, want))
	return diff.Abs(diff).Cmp(rat(t, "0.000001")) <= 0
}

type total struct {
	gross, credits spend.Money
	rows           int64
}

func sumBy(rows []vertex.Charged, key func(vertex.Charged) string) map[string]total {
	out := map[string]total{}
	for _, r := range rows {
		s := out[key(r)]
		gross, credits, _ := r.Charge().USD()
		s.gross, s.credits = s.gross.Add(gross), s.credits.Add(credits)
		s.rows += r.Lines
		out[key(r)] = s
	}
	return out
}

func compareSums(t *testing.T, what string, got map[string]total, want map[string]sums) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d entries, want %d", what, len(got), len(want))
	}
	for k, w := range want {
		g := got[k]
		if !near(t, g.gross, w.Gross) || !near(t, g.credits, w.Credits) || !near(t, g.gross.Add(g.credits), w.Net) || g.rows != w.Rows {
			t.Errorf("%s %s: %s %s of %d rows, want %+v", what, k, g.gross, g.credits, g.rows, w)
		}
	}
}

func costs(rows []vertex.Charged) []vertex.Charged {
	return slices.DeleteFunc(slices.Clone(rows), func(r vertex.Charged) bool { return r.Tax() })
}

func TestTotalsOfTheFixtures(t *testing.T) {
	want := expectations(t)
	pages := bodies(result(answer(t, exportRows(t), question{window: fixtureWindow(), zone: "UTC"}), 50))
	export, all := walk(t, fixtureWindow(), pages...)
	rows := costs(all)
	day := func(c vertex.Charged) string { return c.Day.String() }
	compareSums(t, "day", sumBy(rows, day), want.ByUTCDay)
	compareSums(t, "model", sumBy(rows, func(c vertex.Charged) string { return c.Model }), want.ByModel)
	compareSums(t, "service", sumBy(rows, func(c vertex.Charged) string { return c.SKU.Service }), want.ByService)
	compareSums(t, "invoice", sumBy(rows, func(c vertex.Charged) string { return c.InvoiceMonth }), want.ByInvoice)
	compareSums(t, "account", sumBy(rows, func(c vertex.Charged) string { return c.BillingAccount }), want.ByAccount)
	tax := slices.DeleteFunc(slices.Clone(all), func(r vertex.Charged) bool { return !r.Tax() })
	compareSums(t, "tax", sumBy(tax, func(c vertex.Charged) string { return c.CostType }), want.Tax)
	cells := map[string]sums{}
	for _, c := range want.ByDayModel {
		cells[c.Day+" "+c.Model] = c.sums
	}
	compareSums(t, "cell", sumBy(rows, func(c vertex.Charged) string { return day(c) + " " + c.Model }), cells)
	var n int64
	for _, r := range all {
		n += r.Lines
	}
	if n != want.AI || export.Other != int64(len(exportRows(t)))-want.AI {
		t.Errorf("%d rows are AI and %d are not, want %d", n, export.Other, want.AI)
	}
	if newest := moment(t, "2026-11-06 17:20:03.627814 UTC"); !export.Through.Equal(newest) {
		t.Errorf("data through %s, want %s", export.Through, newest)
	}
}

// Native amounts are compared to the digit, USD within 1e-6, for each cell of day, SKU,
// account and invoice month.
func TestNativeCellsOfTheFixtures(t *testing.T) {
	pages := bodies(result(answer(t, exportRows(t), question{window: fixtureWindow(), zone: "UTC"}), 50))
	_, all := walk(t, fixtureWindow(), pages...)
	type key struct{ day, account, service, sku, text, currency, rate, invoice, model string }
	type cell struct{ gross, credits, usd spend.Money }
	got := map[key]cell{}
	for _, r := range costs(all) {
		k := key{
			r.Day.String(), r.BillingAccount, r.SKU.ServiceID, r.SKU.ID, r.SKU.Text, r.Currency, r.Rate.String(),
			r.InvoiceMonth, r.Model,
		}
		c := got[k]
		gross, credits, _ := r.Charge().USD()
		got[k] = cell{c.gross.Add(r.Gross), c.credits.Add(r.Credits), c.usd.Add(gross).Add(credits)}
	}
	want := expectations(t).Native
	if len(got) != len(want) || len(want) != 279 {
		t.Errorf("%d cells, want %d", len(got), len(want))
	}
	for _, w := range want {
		k := key{w.Day, w.Account, w.ServiceID, w.SKUID, w.SKU, w.Currency, w.FX, w.Invoice, w.Model}
		g, ok := got[k]
		if !ok || !g.gross.Equal(spend.MustMoney(w.Gross)) || !g.credits.Equal(spend.MustMoney(w.Credits)) ||
			!near(t, g.usd, w.NetUSD) {
			t.Errorf("%+v: %s %s %s USD, want %+v", k, g.gross, g.credits, g.usd, w)
		}
	}
}

func TestPacificDaysOfTheFixtures(t *testing.T) {
	pages := bodies(result(answer(t, exportRows(t), question{window: fixtureWindow(), zone: "America/Los_Angeles"}), 64))
	_, all := walk(t, fixtureWindow(), pages...)
	got := sumBy(costs(all), func(c vertex.Charged) string { return c.Day.String() })
	want := expectations(t)
	compareSums(t, "pacific day", got, want.ByPacificDay)
	if near(t, got["2026-09-30"].gross, want.ByUTCDay["2026-09-30"].Gross) {
		t.Error("a Pacific day equals the UTC day: the fixtures cannot tell the two apart")
	}
}

// The ledger's statements hold the same money, and none of the known mistakes.
func TestStatementsHoldTheMoney(t *testing.T) {
	want := expectations(t)
	pages := bodies(result(answer(t, exportRows(t), question{window: fixtureWindow(), zone: "UTC"}), 50))
	_, all := walk(t, fixtureWindow(), pages...)
	var sum, tax spend.Money
	statements := vertex.Statements(fixtureWindow(), all)
	if len(statements) != fixtureWindow().Days() {
		t.Fatalf("%d statements for %d days", len(statements), fixtureWindow().Days())
	}
	for i, st := range statements {
		if st.Day != fixtureWindow().From+spend.Day(i) {
			t.Fatalf("statement %d is of %s", i, st.Day)
		}
		var cost spend.Money
		for _, c := range st.Charges {
			gross, credits, ok := c.USD()
			if !ok {
				t.Errorf("%s: a charge in %s without a rate", st.Day, c.Currency)
			}
			if c.Tax {
				tax = tax.Add(gross).Add(credits)
				continue
			}
			cost = cost.Add(gross).Add(credits)
		}
		if w, ok := want.ByUTCDay[st.Day.String()]; ok && !near(t, cost, w.Net) || !ok && !cost.IsZero() {
			t.Errorf("%s: %s, want %+v", st.Day, cost, w)
		}
		sum = sum.Add(cost)
	}
	if !near(t, sum, want.Total) || !near(t, tax, want.Tax["tax"].Net) {
		t.Errorf("all days: %s and %s of tax, want %s", sum, tax, want.Total)
	}
	checked := 0
	for name, wrong := range want.Wrong {
		s, ok := wrong.(string)
		if !ok || name == "_note" {
			continue
		}
		checked++
		if near(t, sum, s) {
			t.Errorf("all days: %s is the wrong answer %q", sum, name)
		}
	}
	if checked < 11 {
		t.Errorf("only %d wrong answers were compared", checked)
	}
}

// What no rule knows stays unattributed, and a row of another window is no reason to fail.
func TestStatementsOfOtherMoney(t *testing.T) {
	w := spend.Window{From: spend.Date(2026, 10, 1), To: spend.Date(2026, 10, 2)}
	row := func(day spend.Day, text, kind string) vertex.Charged {
		var c vertex.Charged
		c.Gross, c.Credits, c.Rate = spend.MustMoney("2"), spend.MustMoney("-0.5"), spend.MustMoney("1")
		c.Day, c.SKU, c.CostType, c.Currency = day, vertex.SKU{ID: "A-1", Text: text}, kind, spend.USD
		c.Model, c.Project = mapper(t).Model(c.SKU), "acme"
		return c
	}
	got := vertex.Statements(w, []vertex.Charged{
		row(w.From, "Something new", "regular"), row(w.From, "Gemini 3 Flash", "adjustment"),
		row(w.From-1, "Gemini 3 Flash", "regular"), row(w.To, "Gemini 3 Flash", "regular"), row(w.From, "Tax", "tax"),
	})
	charge := func(model, item string) spend.Charge {
		return spend.Charge{
			Model: model, Project: "acme", Item: item, Currency: spend.USD,
			Gross: spend.MustMoney("2"), Credits: spend.MustMoney("-0.5"),
		}
	}
	tax := charge("", "A-1 Tax")
	tax.Tax = true
	want := []spend.Statement{{Day: w.From, Charges: []spend.Charge{
		charge("", "A-1 Something new"), tax, charge("gemini-3-flash", "A-1 Gemini 3 Flash"),
	}}}
	if diff := cmp.Diff(want, got, cmp.Comparer(spend.Money.Equal)); diff != "" {
		t.Error(diff)
	}
}

// Late rows and corrections change a day that was read before.
func TestDaysFollowLateRowsAndCorrections(t *testing.T) {
	e := expectations(t)
	for day, seen := range map[string]map[string]string{"2026-09-30": e.Seen30, "2026-10-05": e.SeenOct} {
		if len(seen) < 2 {
			t.Fatalf("%s: nothing to compare", day)
		}
		for at, want := range seen {
			q := question{window: fixtureWindow(), zone: "UTC", asOf: moment(t, at)}
			_, all := walk(t, fixtureWindow(), bodies(result(answer(t, exportRows(t), q), 70))...)
			got := sumBy(costs(all), func(c vertex.Charged) string { return c.Day.String() })[day]
			if net := got.gross.Add(got.credits); !near(t, net, want) {
				t.Errorf("%s as of %s: %s, want %s", day, at, net, want)
			}
		}
	}
}

// A window without any AI row still tells how far the data reaches.
func TestQuietWindowTellsHowFreshItIs(t *testing.T) {
	w := spend.Window{From: spend.Date(2026, 11, 20), To: spend.Date(2026, 11, 24)}
	pages := bodies(result(answer(t, exportRows(t), question{window: w, zone: "UTC"}), 50))
	export, all := walk(t, w, pages...)
	if len(all) != 0 || !export.Through.Equal(time.Date(2026, 11, 6, 17, 20, 3, 627814000, time.UTC)) {
		t.Errorf("%d rows, through %s", len(all), export.Through)
	}
}
