package vertex_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/aispend/aispend/providers/vertex"
	"github.com/aispend/aispend/spend"
)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata/bigquery", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	page1     = "01_jobs_query_page1.json"
	page2     = "02_getQueryResults_page2.json"
	page3     = "03_getQueryResults_page3_last.json"
	waiting1  = "10_jobs_query_incomplete.json"
	waiting2  = "11_getQueryResults_incomplete.json"
	afterWait = "12_getQueryResults_first_after_wait.json"
	dryRun    = "20_jobs_query_dry_run.json"
	empty     = "21_jobs_query_empty.json"
	cacheHit  = "22_jobs_query_cache_hit_single_page.json"
	noJob     = "23_jobs_query_optional_job_creation_no_jobReference.json"
	truncated = "24_getQueryResults_truncated_totalRows_mismatch.json"
	tableInfo = "tables_get_standard_ingestion_time.json"
)

func TestCannedPages(t *testing.T) {
	var whole string
	if err := json.Unmarshal(fixture(t, "expected_net_native_sum.json"), &whole); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		pages   []string
		sum     string
		outcome spend.Outcome
	}{
		{"three pages", []string{page1, page2, page3}, whole, spend.OK},
		{"in any order", []string{page3, page1, page2}, whole, spend.OK},
		{"each given twice", []string{page1, page1, page2, page3, page2, page3}, whole, spend.OK},
		{"after waiting", []string{tableInfo, waiting1, waiting2, afterWait, page2, page3}, whole, spend.OK},
		{"the first page from both calls", []string{page1, afterWait, page2, page3}, whole, spend.OK},
		{"a cache hit", []string{cacheHit}, whole, spend.OK},
		{"without a job", []string{noJob}, whole, spend.OK},
		{"empty", []string{empty}, "0", spend.OK},
		{"the first page is missing", []string{page2, page3}, "", spend.Incomplete},
		{"the middle page is missing", []string{page1, page3}, "", spend.Incomplete},
		{"the last page is missing", []string{page1, page2}, "", spend.Incomplete},
		{"truncated", []string{truncated}, "", spend.Incomplete},
		{"still running", []string{waiting1, waiting2}, "", spend.Incomplete},
		{"no answer at all", nil, "", spend.Incomplete},
		{"only the table", []string{tableInfo}, "", spend.Incomplete},
		{"a dry run", []string{dryRun}, "", spend.Schema},
		{"an empty and a full result", []string{empty, page1, page2, page3}, "", spend.Pagination},
		{"an error for a page", []string{page1, "error_503_backendError.json"}, "", spend.Schema},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := vertex.NewFixtureDecoder(fixtureWindow())
			var first error
			for _, name := range tt.pages {
				if err := d.Page(fixture(t, name)); err != nil && first == nil {
					first = err
				}
			}
			out, err := d.Export()
			if got := spend.OutcomeOf(err, "no class"); got != tt.outcome {
				t.Fatalf("outcome %s, want %s: %v", got, tt.outcome, err)
			}
			if first != nil && !errors.Is(err, first) {
				t.Errorf("the error %v became %v", first, err)
			}
			if err != nil {
				return
			}
			var sum spend.Money
			for _, r := range out.Rows {
				sum = sum.Add(r.Gross).Add(r.Credits)
			}
			if !sum.Equal(spend.MustMoney(tt.sum)) {
				t.Errorf("net native sum %s, want %s", sum, tt.sum)
			}
		})
	}
}

// The last row of the canned pages has no rate: its money stays in euros.
func TestMoneyWithoutRateStaysApart(t *testing.T) {
	d := vertex.NewFixtureDecoder(fixtureWindow())
	if err := d.Page(fixture(t, cacheHit)); err != nil {
		t.Fatal(err)
	}
	out, err := d.Export()
	if err != nil {
		t.Fatal(err)
	}
	charged := mapper(t).Charge(out.Rows)
	var native, apart spend.Money
	for _, r := range charged {
		if !r.Charge().Converted() {
			native = native.Add(r.Gross).Add(r.Credits)
		}
	}
	for _, st := range vertex.Statements(fixtureWindow(), charged) {
		for _, c := range st.Charges {
			if !c.Converted() {
				apart = apart.Add(c.Cost())
			}
		}
	}
	if native.IsZero() || !apart.Equal(native) {
		t.Errorf("%s EUR apart, want %s", apart, native)
	}
}

// costRow is a row of the answer to be bent.
func costRow(day string, n int) []*string {
	cells := []string{
		"cost", day, "202610", "01AAAA-BBBBBB-CCCCC2", "acme", "C7E2-9256-1C43", "Vertex AI", "SYN0-" + strconv.Itoa(n),
		"Gemini 3 Flash Text Input", "regular", "EUR", "0.8", "4", "-1", "10.0", "1", "1790670718081930", "1790661600000000",
	}
	out := make([]*string, len(cells))
	for i := range cells {
		out[i] = &cells[i]
	}
	return out
}

func columnAt(name string) int {
	return slices.IndexFunc(resultColumns, func(c [2]string) bool { return c[0] == name })
}

func TestRowsAreReadStrictly(t *testing.T) {
	const rate, gross = "fx", "gross"
	tests := []struct {
		column  string
		value   *string
		outcome spend.Outcome
		usd     string // of gross; empty: not converted
		notice  string
	}{
		{rate, ptr("1.0"), spend.OK, "4", ""},
		{rate, ptr("1"), spend.OK, "4", ""},
		{rate, ptr("1.1E-2"), spend.OK, "363.636363636363636364", ""},
		{rate, ptr("1.1e-02"), spend.OK, "363.636363636363636364", ""},
		{rate, ptr("1.5E+2"), spend.OK, "0.026666666666666667", ""},
		{rate, nil, spend.OK, "", ""},
		{rate, ptr("0.0"), spend.OK, "", vertex.NoticeBadRate},
		{rate, ptr("-0.8"), spend.OK, "", vertex.NoticeBadRate},
		{rate, ptr("NaN"), spend.OK, "", vertex.NoticeBadRate},
		{rate, ptr("Infinity"), spend.OK, "", vertex.NoticeBadRate},
		{rate, ptr(""), spend.OK, "", vertex.NoticeBadRate},
		{gross, ptr("0.000000001"), spend.OK, "0.00000000125", ""},
		{gross, ptr("-99999999999999999999999999999.999999999"), spend.OK, "-124999999999999999999999999999.99999999875", ""},
		{gross, nil, spend.Schema, "", ""},
		{gross, ptr(""), spend.Schema, "", ""},
		{gross, ptr("4,00"), spend.Schema, "", ""},
		{gross, ptr("NaN"), spend.Schema, "", ""},
		{"credits", nil, spend.Schema, "", ""},
		{"credits", ptr("2"), spend.OK, "5", ""}, // a claw-back
		{"kind", ptr("sum"), spend.Schema, "", ""},
		{"kind", nil, spend.Schema, "", ""},
		{"usage_day", nil, spend.Schema, "", ""},
		{"usage_day", ptr("2026-10-1"), spend.Schema, "", ""},
		{"usage_day", ptr("20261001"), spend.Schema, "", ""},
		{"currency", nil, spend.Schema, "", ""},
		{"currency", ptr("eur"), spend.Schema, "", ""},
		{"currency", ptr("EURO"), spend.Schema, "", ""},
		{"project_id", nil, spend.OK, "5", ""},
		{"sku", nil, spend.OK, "5", ""},
		{"usage_amount", nil, spend.OK, "5", ""},
		{"usage_amount", ptr("NaN"), spend.OK, "5", ""},
		{"row_count", nil, spend.Schema, "", ""},
		{"row_count", ptr("-1"), spend.Schema, "", ""},
		{"last_export_us", nil, spend.OK, "5", ""},
		{"last_export_us", ptr("1790670718"), spend.Schema, "", ""}, // seconds
		{"last_export_us", ptr("1.790670718E9"), spend.Schema, "", ""},
		{"last_export_us", ptr("9790670718081930"), spend.Schema, "", ""}, // the year 2280
		{"first_usage_us", nil, spend.OK, "5", ""},
		{"first_usage_us", ptr("1790661600"), spend.Schema, "", ""},
	}
	for _, tt := range tests {
		row := costRow("2026-10-01", 1)
		row[columnAt(tt.column)] = tt.value
		shown := "null"
		if tt.value != nil {
			shown = *tt.value
		}
		d := vertex.NewRowDecoder(fixtureWindow())
		err := d.Page(result([][]*string{row}, 10)[0].bytes())
		if got := spend.OutcomeOf(err, "no class"); got != tt.outcome {
			t.Errorf("%s %s: outcome %s, want %s: %v", tt.column, shown, got, tt.outcome, err)
			continue
		}
		if err != nil {
			if !strings.Contains(err.Error(), strings.TrimSuffix(tt.column, "s")) {
				t.Errorf("%s %s: the error does not name the column: %v", tt.column, shown, err)
			}
			continue
		}
		out, err := d.Export()
		if err != nil {
			t.Fatal(err)
		}
		usd, _, ok := mapper(t).Charge(out.Rows)[0].Charge().USD()
		if ok != (tt.usd != "") || ok && !usd.Equal(spend.MustMoney(tt.usd)) {
			t.Errorf("%s %s: converted %v to %s, want %q", tt.column, shown, ok, usd, tt.usd)
		}
		if tt.notice != "" && out.Notices[tt.notice] != 1 || tt.notice == "" && len(out.Notices) != 0 {
			t.Errorf("%s %s: notices %v", tt.column, shown, out.Notices)
		}
	}
}

// What an absurd rate would make of money is no figure anybody should see.
func TestRateThatIsNone(t *testing.T) {
	for rate, usable := range map[string]bool{
		"1e-99": false, "0.00000099": false, "0.000001": true, "0.011": true, "1e9": true, "1000000001": false, "1e98": false,
		"0.0": false, "-0.9": false, "NaN": false,
	} {
		row := costRow("2026-10-01", 1)
		row[columnAt("fx")] = ptr(rate)
		export, charged := walk(t, fixtureWindow(), result([][]*string{row}, 10)[0].bytes())
		if c := charged[0].Charge(); c.Converted() != usable || !c.Gross.Equal(spend.MustMoney("4")) {
			t.Errorf("%s: %+v", rate, c)
		}
		if n := export.Notices[vertex.NoticeBadRate]; n > 0 == usable {
			t.Errorf("%s: notice %d", rate, n)
		}
	}
}

func TestDollarsNeedNoRate(t *testing.T) {
	for _, rate := range []*string{nil, ptr("1.0"), ptr("0.0")} {
		row := costRow("2026-10-01", 1)
		row[columnAt("currency")], row[columnAt("fx")] = ptr("USD"), rate
		_, charged := walk(t, fixtureWindow(), result([][]*string{row}, 10)[0].bytes())
		c := charged[0].Charge()
		if gross, credits, ok := c.USD(); !ok || !gross.Equal(spend.MustMoney("4")) ||
			!credits.Equal(spend.MustMoney("-1")) || !c.Rate.IsZero() {
			t.Errorf("%+v", c)
		}
	}
}

// A page whose shape is wrong is refused, whatever it resembles.
func TestPagesAreReadStrictly(t *testing.T) {
	schema := func(bend func(f []map[string]string) []map[string]string) func(body) {
		return func(b body) {
			f := b["schema"].(map[string]any)["fields"].([]map[string]string)
			b["schema"] = map[string]any{"fields": bend(f)}
		}
	}
	tests := []struct {
		name    string
		bend    func(body)
		text    func([]byte) []byte
		outcome spend.Outcome
		want    string
	}{
		{name: "as it should be", outcome: spend.OK},
		{name: "trailing garbage", text: func(b []byte) []byte { return append(b, '{') }, outcome: spend.Decode},
		{name: "broken off", text: func(b []byte) []byte { return b[:len(b)-2] }, outcome: spend.Decode},
		{name: "nothing", text: func([]byte) []byte { return nil }, outcome: spend.Decode},
		{name: "HTML", text: func([]byte) []byte { return []byte("<html>") }, outcome: spend.Schema, want: "HTML"},
		{name: "an error with 200", bend: func(b body) { b["error"] = map[string]any{"code": 500} }, outcome: spend.Schema, want: "error"},
		{name: "only an error", text: func([]byte) []byte { return []byte(`{"error":{"code":404}}`) }, outcome: spend.Schema, want: "error"},
		{name: "another kind", bend: func(b body) { b["kind"] = "bigquery#job" }, outcome: spend.Schema},
		{name: "no kind", bend: func(b body) { delete(b, "kind") }, outcome: spend.Schema},
		{name: "no jobComplete", bend: func(b body) { delete(b, "jobComplete") }, outcome: spend.Schema, want: "jobComplete"},
		{name: "rows of a running job", bend: func(b body) { b["jobComplete"] = false }, outcome: spend.Schema, want: "not complete"},
		{name: "no totalRows", bend: func(b body) { delete(b, "totalRows") }, outcome: spend.Schema, want: "totalRows"},
		{name: "no schema", bend: func(b body) { delete(b, "schema") }, outcome: spend.Schema, want: "schema"},
		{name: "no rows key", bend: func(b body) { delete(b, "rows") }, outcome: spend.Incomplete, want: "missing"},
		{name: "fewer rows than said", bend: func(b body) { b["totalRows"] = "3" }, outcome: spend.Incomplete, want: "1 of 3"},
		{name: "more rows than said", bend: func(b body) { b["totalRows"] = "1" }, outcome: spend.Pagination},
		{name: "another page follows", bend: func(b body) { b["pageToken"] = "T" }, outcome: spend.Incomplete, want: "last"},
		{name: "a row without cells", bend: func(b body) { b["rows"] = []any{map[string]any{}} }, outcome: spend.Schema},
		{name: "too few cells", bend: func(b body) {
			b["rows"] = []any{map[string]any{"f": []any{map[string]any{"v": "cost"}}}}
		}, outcome: spend.Schema, want: "1 cells"},
		{name: "a cell without a value", bend: func(b body) {
			b["rows"] = []any{map[string]any{"f": []any{map[string]any{}}}}
		}, outcome: spend.Schema},
		{name: "a cell without a value in a whole row", bend: func(b body) {
			cells := b["rows"].([]any)[0].(map[string]any)["f"].([]any)
			cells[columnAt("project_id")] = map[string]any{}
		}, outcome: spend.Schema, want: "no value"},
		{name: "a number for a string", bend: func(b body) {
			b["rows"] = []any{map[string]any{"f": []any{map[string]any{"v": 4.5}}}}
		}, outcome: spend.Schema},
		{name: "a column is missing", bend: schema(func(f []map[string]string) []map[string]string {
			f[12] = map[string]string{"name": "brutto", "type": "NUMERIC"}
			return f
		}), outcome: spend.Schema, want: "no column gross"},
		{name: "money as a float", bend: schema(func(f []map[string]string) []map[string]string {
			f[12] = map[string]string{"name": "gross", "type": "FLOAT"}
			return f
		}), outcome: spend.Schema, want: "column gross is not of type"},
		{name: "a column named twice", bend: schema(func(f []map[string]string) []map[string]string {
			return append(f, f[3])
		}), outcome: spend.Schema, want: "twice"},
		{name: "the newer names of types", bend: schema(func(f []map[string]string) []map[string]string {
			f[11], f[15] = map[string]string{"name": "fx", "type": "FLOAT64"}, map[string]string{"name": "row_count", "type": "INT64"}
			return f
		}), outcome: spend.OK},
	}
	for _, tt := range tests {
		b := result([][]*string{costRow("2026-10-01", 1), costRow("2026-10-02", 1)}, 10)[0]
		if tt.bend != nil {
			tt.bend(b)
		}
		raw := b.bytes()
		if tt.text != nil {
			raw = tt.text(raw)
		}
		d := vertex.NewRowDecoder(fixtureWindow())
		_ = d.Page(raw)
		_, err := d.Export()
		if got := spend.OutcomeOf(err, "no class"); got != tt.outcome {
			t.Errorf("%s: outcome %s, want %s: %v", tt.name, got, tt.outcome, err)
		}
		if err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %q does not say %q", tt.name, err, tt.want)
		}
	}
}

// A column that Google or a later query adds is passed over and counted; the order
// of columns is the page's own.
func TestColumnsAreFoundByName(t *testing.T) {
	rows := [][]*string{costRow("2026-10-01", 1), costRow("2026-10-01", 2), costRow("2026-10-02", 1)}
	pages := result(rows, 2)
	_, want := walk(t, fixtureWindow(), bodies(pages)...)

	fields := pages[1]["schema"].(map[string]any)["fields"].([]map[string]string)
	slices.Reverse(fields)
	row := pages[1]["rows"].([]any)[0].(map[string]any)
	cells := row["f"].([]any)
	slices.Reverse(cells)
	pages[1]["schema"] = map[string]any{"fields": append(fields, map[string]string{"name": "new", "type": "STRING"})}
	row["f"] = append(cells, map[string]any{"v": "x"})
	export, got := walk(t, fixtureWindow(), bodies(pages)...)
	if diff := cmp.Diff(want, got, cmp.Comparer(spend.Money.Equal)); diff != "" {
		t.Error(diff)
	}
	if export.Notices["unknown_field"] != 1 {
		t.Errorf("notices %v", export.Notices)
	}
}

func TestPagesThatDoNotBelongTogether(t *testing.T) {
	rows := [][]*string{costRow("2026-10-01", 1), costRow("2026-10-01", 2), costRow("2026-10-02", 1)}
	changed := costRow("2026-10-01", 1)
	changed[columnAt("gross")] = ptr("5")
	tests := []struct {
		name string
		bend func(pages []body) []body
	}{
		{"two jobs", func(p []body) []body {
			p[1]["jobReference"] = map[string]string{"projectId": "acme-billing", "jobId": "job_2", "location": "EU"}
			return p
		}},
		{"two totals", func(p []body) []body { p[1]["totalRows"] = "4"; return p }},
		{"a row with other content", func(p []body) []body {
			again := result([][]*string{changed, rows[1], rows[2]}, 2)
			return append(p, again[0])
		}},
	}
	for _, tt := range tests {
		for _, reverse := range []bool{false, true} {
			pages := tt.bend(result(rows, 2))
			if reverse {
				slices.Reverse(pages)
			}
			d := vertex.NewRowDecoder(fixtureWindow())
			for _, p := range pages {
				_ = d.Page(p.bytes())
			}
			_, err := d.Export()
			if got := spend.OutcomeOf(err, "no class"); got != spend.Pagination {
				t.Errorf("%s: outcome %s: %v", tt.name, got, err)
			}
		}
	}
}

// NULL and the empty text are two groups of one query.
func TestNullIsNotEmpty(t *testing.T) {
	a, b := costRow("2026-10-01", 1), costRow("2026-10-01", 1)
	a[columnAt("project_id")], b[columnAt("project_id")] = nil, ptr("")
	if export, _ := walk(t, fixtureWindow(), result([][]*string{a, b}, 10)[0].bytes()); len(export.Rows) != 2 {
		t.Errorf("%d rows", len(export.Rows))
	}
}

func TestRowsOutsideTheWindowAreLeftOut(t *testing.T) {
	w := spend.Window{From: spend.Date(2026, 10, 1), To: spend.Date(2026, 10, 2)}
	rows := [][]*string{costRow("2026-09-30", 1), costRow("2026-10-01", 1), costRow("2026-10-02", 1)}
	export, all := walk(t, w, result(rows, 10)[0].bytes())
	if len(all) != 1 || all[0].Day != w.From || export.Notices["bucket_outside_window"] != 2 {
		t.Errorf("%d rows, notices %v", len(all), export.Notices)
	}
}

// However the pages are cut, ordered and repeated, the sum over models is the sum over
// the cells of the pages, and a page less is never a result.
func TestSumOverModelsEqualsSumOverCells(t *testing.T) {
	source := answer(t, exportRows(t), question{window: fixtureWindow(), zone: "UTC"})
	names := rapid.SampledFrom(strings.Split("Gemini 9 Flash Text Input,Strange new thing,Claude Opus 7 Input Tokens,,Veo 4", ","))
	rapid.Check(t, func(rt *rapid.T) {
		rows := make([][]*string, 0, 40)
		for i := range rapid.IntRange(0, 40).Draw(rt, "rows") {
			r := slices.Clone(source[rapid.IntRange(0, len(source)-2).Draw(rt, "row")])
			r[columnAt("sku")], r[columnAt("sku_id")] = ptr(names.Draw(rt, "sku")), ptr(strconv.Itoa(i))
			rows = append(rows, r)
		}
		pages := bodies(result(rows, rapid.IntRange(1, 20).Draw(rt, "size")))
		want := nativeSums(rt, pages)
		given := slices.Concat(pages, pages[:rapid.IntRange(0, len(pages)).Draw(rt, "again")])
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		rng.Shuffle(len(given), func(i, j int) { given[i], given[j] = given[j], given[i] })
		_, all := walk(t, fixtureWindow(), given...)
		got := map[string]*big.Rat{}
		for _, byModel := range nativeByModel(all) {
			for currency, sum := range byModel {
				if got[currency] == nil {
					got[currency] = new(big.Rat)
				}
				got[currency].Add(got[currency], rat(rt, sum.String()))
			}
		}
		if len(got) != len(want) {
			rt.Fatalf("%v, want %v", got, want)
		}
		for currency, sum := range want {
			if got[currency].Cmp(sum) != 0 {
				rt.Fatalf("%s %s, want %s", got[currency], currency, sum)
			}
		}
		gone := rapid.IntRange(0, len(pages)-1).Draw(rt, "gone")
		d := vertex.NewRowDecoder(fixtureWindow())
		for i, p := range pages {
			if i != gone {
				_ = d.Page(p)
			}
		}
		if _, err := d.Export(); spend.OutcomeOf(err, "no class") != spend.Incomplete {
			rt.Fatalf("without page %d: %v", gone, err)
		}
	})
}

func nativeByModel(rows []vertex.Charged) map[string]map[string]spend.Money {
	out := map[string]map[string]spend.Money{}
	for _, r := range rows {
		if out[r.Model] == nil {
			out[r.Model] = map[string]spend.Money{}
		}
		out[r.Model][r.Currency] = out[r.Model][r.Currency].Add(r.Gross).Add(r.Credits)
	}
	return out
}

// nativeSums adds up the raw cells of pages by currency.
func nativeSums(t interface{ Fatalf(string, ...any) }, pages [][]byte) map[string]*big.Rat {
	out := map[string]*big.Rat{}
	for _, raw := range pages {
		var p struct {
			Rows []struct{ F []struct{ V *string } }
		}
		if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&p); err != nil {
			t.Fatalf("%v", err)
		}
		for _, r := range p.Rows {
			if *r.F[0].V != "cost" {
				continue
			}
			currency := *r.F[columnAt("currency")].V
			if out[currency] == nil {
				out[currency] = new(big.Rat)
			}
			for _, name := range []string{"gross", "credits"} {
				out[currency].Add(out[currency], rat(t, *r.F[columnAt(name)].V))
			}
		}
	}
	return out
}

func FuzzPage(f *testing.F) {
	for _, name := range []string{waiting1, empty, truncated, tableInfo, "error_404_notFound_table.json"} {
		f.Add(fixture(f, name))
	}
	f.Add(result([][]*string{costRow("2026-10-01", 1)}, 10)[0].bytes())
	m := mapper(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		d := vertex.NewRowDecoder(fixtureWindow())
		_ = d.Page(b)
		_ = d.Page(b)
		out, err := d.Export()
		if err != nil {
			var pe *spend.PullError
			if !errors.As(err, &pe) || pe.Outcome == "" {
				t.Fatalf("an error without a class: %v", err)
			}
			return
		}
		for _, st := range vertex.Statements(fixtureWindow(), m.Charge(out.Rows)) {
			for _, c := range st.Charges {
				c.USD()
			}
		}
	})
}
