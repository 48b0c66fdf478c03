package bigquery_test

import (
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/providers/vertex"
	"github.com/aispend/aispend/spend"
)

type sums struct {
	Gross   string `json:"gross_usd"`
	Credits string `json:"credits_usd"`
	Net     string `json:"net_usd"`
	Rows    int64
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
	Native []struct {
		Day, Service, SKU, Currency, Gross, Credits, Model, FX string

		Account   string `json:"billing_account_id"`
		ServiceID string `json:"service_id"`
		SKUID     string `json:"sku_id"`
		Invoice   string `json:"invoice_month"`
		NetUSD    string `json:"net_usd"`
		Rows      int64
	} `json:"native_by_utc_day_sku_invoice"`
	Total   string            `json:"grand_total_net_usd"`
	Wrong   map[string]any    `json:"wrong_answers"`
	Seen30  map[string]string `json:"utc_day_2026-09-30_as_seen"`
	SeenOct map[string]string `json:"utc_day_2026-10-05_as_seen"`
}

func expectations(t testing.TB) (e expected) {
	t.Helper()
	if err := json.Unmarshal(read(t, "export/expected_totals.json"), &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// wide holds all days of the fixtures, in either zone.
func wide() spend.Window {
	return spend.Window{From: spend.Date(2026, 9, 20), To: spend.Date(2026, 11, 10)}
}

func rat(t testing.TB, s string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatalf("no number: %q", s)
	}
	return r
}

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
		out[key(r)] = total{s.gross.Add(gross), s.credits.Add(credits), s.rows + r.Lines}
	}
	return out
}

// compare returns how many cells were compared.
func compare(t *testing.T, what string, got map[string]total, want map[string]sums) int {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d cells, want %d", what, len(got), len(want))
	}
	for k, w := range want {
		g := got[k]
		if !near(t, g.gross, w.Gross) || !near(t, g.credits, w.Credits) || !near(t, g.gross.Add(g.credits), w.Net) || g.rows != w.Rows {
			t.Errorf("%s %s: %s %s of %d rows, want %+v", what, k, g.gross, g.credits, g.rows, w)
		}
	}
	return len(want)
}

func split(rows []vertex.Charged) (cost, tax []vertex.Charged) {
	for _, r := range rows {
		if r.Tax() {
			tax = append(tax, r)
		} else {
			cost = append(cost, r)
		}
	}
	return cost, tax
}

// TestDaemonsQuery compares every cell of expected_totals.json with what the daemon's own query,
// client, decoder and rules make of the fixture's rows.
func TestDaemonsQuery(t *testing.T) {
	l := newLab(t)
	want := expectations(t)
	for _, tt := range []struct{ name, info string }{
		{"gcp_billing_export_v1_01AAAA_BBBBBB_CCCCC2", "bigquery/tables_get_standard_ingestion_time.json"},
		{"gcp_billing_export_resource_v1_01AAAA_BBBBBB_CCCCC2", "bigquery/tables_get_detailed_column_partition.json"},
		{"billing_view", "bigquery/tables_get_view.json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l.t = t
			began := time.Now()
			c := l.client(l.create(exportTable{name: tt.name, info: read(t, tt.info)}), vertex.DefaultSelection())
			t.Logf("loaded after %s", time.Since(began).Round(time.Millisecond))
			began = time.Now()
			export, all := l.walk(c, wide(), vertex.UTC)
			t.Logf("answered after %s: %d rows", time.Since(began).Round(time.Millisecond), len(export.Rows))
			cost, tax := split(all)
			day := func(r vertex.Charged) string { return r.Day.String() }
			n := compare(t, "day", sumBy(cost, day), want.ByUTCDay)
			n += compare(t, "model", sumBy(cost, func(r vertex.Charged) string { return r.Model }), want.ByModel)
			n += compare(t, "service", sumBy(cost, func(r vertex.Charged) string { return r.SKU.Service }), want.ByService)
			n += compare(t, "invoice month", sumBy(cost, func(r vertex.Charged) string { return r.InvoiceMonth }), want.ByInvoice)
			n += compare(t, "account", sumBy(cost, func(r vertex.Charged) string { return r.BillingAccount }), want.ByAccount)
			n += compare(t, "tax", sumBy(tax, func(r vertex.Charged) string { return r.CostType }), want.Tax)
			cells := map[string]sums{}
			for _, c := range want.ByDayModel {
				cells[c.Day+" "+c.Model] = c.sums
			}
			n += compare(t, "day and model", sumBy(cost, func(r vertex.Charged) string { return day(r) + " " + r.Model }), cells)
			n += natives(t, cost, want)
			t.Logf("%d cells compared", n)
			wrongAnswers(t, cost, want)
			freshness(t, export, want)

			_, pacific := l.walk(c, wide(), vertex.Pacific)
			pacificCost, _ := split(pacific)
			t.Logf("%d Pacific days compared", compare(t, "Pacific day", sumBy(pacificCost, day), want.ByPacificDay))
		})
	}
}

// natives compares native amounts to the digit.
func natives(t *testing.T, rows []vertex.Charged, want expected) int {
	t.Helper()
	type key struct{ day, account, service, sku, text, currency, rate, invoice, model string }
	type cell struct{ gross, credits, usd spend.Money }
	got := map[key]cell{}
	for _, r := range rows {
		k := key{
			r.Day.String(), r.BillingAccount, r.SKU.ServiceID, r.SKU.ID, r.SKU.Text, r.Currency, r.Rate.String(), r.InvoiceMonth, r.Model,
		}
		gross, credits, _ := r.Charge().USD()
		c := got[k]
		got[k] = cell{c.gross.Add(r.Gross), c.credits.Add(r.Credits), c.usd.Add(gross).Add(credits)}
	}
	if len(got) != len(want.Native) {
		t.Errorf("%d native cells, want %d", len(got), len(want.Native))
	}
	for _, w := range want.Native {
		k := key{w.Day, w.Account, w.ServiceID, w.SKUID, w.SKU, w.Currency, spend.MustMoney(w.FX).String(), w.Invoice, w.Model}
		g, ok := got[k]
		if !ok || !g.gross.Equal(spend.MustMoney(w.Gross)) || !g.credits.Equal(spend.MustMoney(w.Credits)) || !near(t, g.usd, w.NetUSD) {
			t.Errorf("%+v: %s %s %s USD (found: %v), want %+v", k, g.gross, g.credits, g.usd, ok, w)
		}
	}
	return len(want.Native)
}

// wrongAnswers makes sure that the sum is none of the known mistakes.
func wrongAnswers(t *testing.T, cost []vertex.Charged, want expected) {
	t.Helper()
	var net spend.Money
	for _, s := range sumBy(cost, func(vertex.Charged) string { return "" }) {
		net = net.Add(s.gross).Add(s.credits)
	}
	if !near(t, net, want.Total) {
		t.Errorf("net total %s, want %s", net, want.Total)
	}
	n := 0
	for name, v := range want.Wrong {
		if s, ok := v.(string); ok && name != "_note" {
			n++
			if near(t, net, s) {
				t.Errorf("net total %s is the wrong answer %q", net, name)
			}
		}
	}
	if n < 11 {
		t.Errorf("only %d wrong answers compared", n)
	}
}

// freshness compares what is said of all rows read.
func freshness(t *testing.T, export vertex.Export, want expected) {
	t.Helper()
	rows := exportRows(t)
	var newest, oldest time.Time
	for _, r := range rows {
		if at := moment(t, r["export_time"].(string)); at.After(newest) {
			newest = at
		}
		if at := moment(t, r["usage_start_time"].(string)); oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	if !export.Through.Equal(newest) || !export.First.Equal(oldest) {
		t.Errorf("through %s, first %s; want %s, %s", export.Through, export.First, newest, oldest)
	}
	var ai int64
	for _, r := range export.Rows {
		ai += r.Lines
	}
	if ai != want.AI || ai+export.Other != int64(len(rows)) {
		t.Errorf("%d rows are AI and %d are not, want %d of %d", ai, export.Other, want.AI, len(rows))
	}
}

// TestQueryAsSeenAtATime loads only what was exported until then: late rows and corrections
// change days that were read before.
func TestQueryAsSeenAtATime(t *testing.T) {
	l := newLab(t)
	e := expectations(t)
	i := 0
	for day, seen := range map[string]map[string]string{"2026-09-30": e.Seen30, "2026-10-05": e.SeenOct} {
		for at, want := range seen {
			i++
			tb := l.create(exportTable{
				name: "as_seen_" + string(rune('a'+i)), info: read(t, "bigquery/tables_get_view.json"), until: moment(t, at),
			})
			first, err := spend.ParseDay(day)
			if err != nil {
				t.Fatal(err)
			}
			_, all := l.walk(l.client(tb, vertex.DefaultSelection()), spend.Window{From: first, To: first + 1}, vertex.UTC)
			cost, _ := split(all)
			s := sumBy(cost, func(vertex.Charged) string { return "" })[""]
			if !near(t, s.gross.Add(s.credits), want) {
				t.Errorf("%s as of %s: %s, want %s", day, at, s.gross.Add(s.credits), want)
			}
		}
	}
	if i < 4 {
		t.Errorf("only %d moments compared", i)
	}
}

// TestWindowsAndSelections: bounds are half-open, a window before the export is empty, and a
// selection selects.
func TestWindowsAndSelections(t *testing.T) {
	l := newLab(t)
	want := expectations(t)
	tb := l.create(exportTable{name: "export", info: read(t, "bigquery/tables_get_view.json")})
	c := l.client(tb, vertex.DefaultSelection())
	day := func(r vertex.Charged) string { return r.Day.String() }
	for _, first := range []spend.Day{spend.Date(2026, 9, 30), spend.Date(2026, 10, 5)} {
		_, all := l.walk(c, spend.Window{From: first, To: first + 2}, vertex.UTC)
		cost, _ := split(all)
		compare(t, "window of two days", sumBy(cost, day), map[string]sums{
			first.String(): want.ByUTCDay[first.String()], (first + 1).String(): want.ByUTCDay[(first + 1).String()],
		})
	}
	later, _ := l.walk(c, spend.Window{From: spend.Date(2026, 12, 1), To: spend.Date(2026, 12, 2)}, vertex.UTC)
	if len(later.Rows) != 0 || !later.Through.IsZero() || !later.First.IsZero() {
		t.Errorf("after the export: %d rows, through %s", len(later.Rows), later.Through)
	}
	only, all := l.walk(l.client(tb, vertex.Selection{ServicePattern: "^Claude Opus 5$"}), wide(), vertex.UTC)
	cost, _ := split(all)
	compare(t, "one service", sumBy(cost, func(r vertex.Charged) string { return r.SKU.Service }),
		map[string]sums{"Claude Opus 5": want.ByService["Claude Opus 5"]})
	if only.Other+want.ByService["Claude Opus 5"].Rows != int64(len(exportRows(t))) {
		t.Errorf("%d other rows", only.Other)
	}
}

// TestTheEngineChecks proves that a wrong query would not pass: types and names are checked, and
// the mistake that everybody makes gives another sum.
func TestTheEngineChecks(t *testing.T) {
	l := newLab(t)
	tb := l.create(exportTable{name: "export", info: read(t, "bigquery/tables_get_view.json")})
	selector, err := vertex.NewSelector(vertex.DefaultSelection())
	if err != nil {
		t.Fatal(err)
	}
	q := vertex.Query{Table: tb, Window: wide(), Selector: selector}
	ask := func(change func(sql string) string) (int, string) {
		t.Helper()
		body, err := q.Body("", 1_000_000_000, false)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(body, &m); err != nil {
			t.Fatal(err)
		}
		sql := m["query"].(string)
		if m["query"] = change(sql); m["query"] == sql {
			t.Fatal("nothing was changed")
		}
		status, answer := l.call(http.MethodPost, "queries", m)
		return status, string(answer)
	}
	for name, change := range map[string][2]string{
		"a misspelt column":      {"usage_start_time,\n    export_time\n  FROM", "usage_start_tyme,\n    export_time\n  FROM"},
		"a misspelt field":       {"sku.description) AS sku", "sku.descripton) AS sku"},
		"a date against strings": {"DATE(usage_start_time, @tz) AS usage_day", "IF(DATE(usage_start_time, @tz) BETWEEN @service_pattern AND @sku_pattern, 1, 2) AS usage_day"},
		"a sum of text":          {"SUM(gross) AS gross", "SUM(sku) AS gross"},
		"a column not grouped":   {"COUNT(*) AS row_count", "export_time AS row_count"},
	} {
		if status, body := ask(func(sql string) string { return strings.Replace(sql, change[0], change[1], 1) }); status == http.StatusOK {
			t.Errorf("%s is accepted: %.300s", name, body)
		} else {
			t.Logf("%s: %.200s", name, body)
		}
	}
	// The join with the credits multiplies cost.
	status, body := l.call(http.MethodPost, "queries", map[string]any{"useLegacySql": false, "query": "SELECT SUM(CAST(cost AS NUMERIC)) AS a FROM `" +
		tb.String() + "` LEFT JOIN UNNEST(credits) AS c"})
	status2, body2 := l.call(http.MethodPost, "queries", map[string]any{"useLegacySql": false, "query": "SELECT SUM(CAST(cost AS NUMERIC)) AS a FROM `" +
		tb.String() + "`"})
	first := func(b []byte) string {
		var p struct {
			Rows []struct{ F []struct{ V string } }
		}
		if err := json.Unmarshal(b, &p); err != nil || len(p.Rows) != 1 {
			t.Fatalf("%v %s", err, b)
		}
		return p.Rows[0].F[0].V
	}
	if status != http.StatusOK || status2 != http.StatusOK || rat(t, first(body)).Cmp(rat(t, first(body2))) == 0 {
		t.Errorf("%d %s and %d %s", status, body, status2, body2)
	}
}
