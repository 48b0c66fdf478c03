package anthropic_test

import (
	"encoding/json"
	"flag"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/anthropic"
	"github.com/aispend/aispend/providers/providertest"
	"github.com/aispend/aispend/spend"
)

// Read by providertest.Golden.
var _ = flag.Bool("update", false, "write the golden files")

// fixtureWindow covers the days of the fixture pages.
func fixtureWindow() spend.Window {
	return spend.Window{From: spend.Date(2026, 11, 18), To: spend.Date(2026, 11, 24)}
}

// open returns a function that opens one of the block's sources.
func open(
	name string, workspaces ...string,
) func(testing.TB, string, string, providers.Env) providers.Source {
	return func(t testing.TB, baseURL, key string, env providers.Env) providers.Source {
		t.Helper()
		s := anthropic.Type().NewSettings().(*anthropic.Settings)
		s.APIKey, s.BaseURL, s.WorkspaceIDs = secret.New(key), baseURL, workspaces
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		sources, err := s.Open(env)
		if err != nil {
			t.Fatal(err)
		}
		for _, src := range sources {
			if src.ID() == (spend.SourceID{Provider: "anthropic", Account: env.Account, Source: name}) {
				return src
			}
		}
		t.Fatalf("no source %s", name)
		return nil
	}
}

func decode(t *testing.T, src providers.Source, pages ...[]byte) providers.Result {
	t.Helper()
	res, err := providertest.Decode(src, fixtureWindow(), pages...)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// offline opens a source that is not asked for anything.
func offline(t *testing.T, name string, workspaces ...string) providers.Source {
	t.Helper()
	return open(name, workspaces...)(t, anthropic.DefaultBaseURL, "sk-ant-admin-x", providers.Env{})
}

func costPages(t *testing.T) [][]byte {
	return providertest.Pages(t, "cost_report_grouped_page1.json", "cost_report_grouped_page2.json",
		"cost_report_grouped_page3.json")
}

func usagePages(t *testing.T) [][]byte {
	return providertest.Pages(t, "usage_report_messages_page1.json", "usage_report_messages_page2.json")
}

func errorAnswers(t *testing.T) []providertest.Answer {
	answers := providertest.ErrorFiles(t, map[string]spend.Outcome{
		"400_end_before_start.json": spend.Server,
		"401_invalid_key.json":      spend.Auth,
		"403_permission.json":       spend.Permission,
		"404_not_found.json":        spend.NotFound,
		"429_rate_limit.json":       spend.RateLimited,
		"500_api_error.json":        spend.Server,
		"504_timeout.json":          spend.Server,
		"529_overloaded.json":       spend.Server,
	})
	return answers
}

func TestCostReportConformance(t *testing.T) {
	providertest.Run(t, providertest.Case{
		Open: open("anthropic/cost_report"), KeyHeader: "X-Api-Key", Window: fixtureWindow(),
		Pages: costPages(t),
		Days: map[string]string{
			"2026-11-18": "104.33727020123", "2026-11-19": "0", "2026-11-20": "412.8030000000000000004",
			"2026-11-21": "-2.505", "2026-11-22": "7.1544", "2026-11-23": "0.032",
		},
		Foreign: providertest.File(t, "malformed", "currency_eur.json"),
		Malformed: providertest.MalformedFiles(t, map[string]spend.Outcome{
			"amount_missing.json":             spend.Schema,
			"amount_not_numeric.json":         spend.Schema,
			"amount_null.json":                spend.Schema,
			"amount_number.json":              "", // accepted as cents: TestAmountSpellings
			"amount_object_shape.json":        spend.Schema,
			"currency_eur.json":               "", // kept in its own currency: Foreign
			"grouping_ignored.json":           spend.Schema,
			"has_more_without_next_page.json": spend.Pagination,
			"missing_data.json":               spend.Schema,
			"new_enum_values.json":            "", // growth: TestNewEnumValues
			"same_cursor_forever.json":        spend.Pagination,
		}),
		Errors: errorAnswers(t),
	})
}

func TestUsageReportConformance(t *testing.T) {
	row := func(name, counts string) providertest.Malformed {
		return providertest.Malformed{Name: name, Want: spend.Schema, Body: usagePage(counts)}
	}
	const creation = `"cache_creation": {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 0}`
	providertest.Run(t, providertest.Case{
		Open: open("anthropic/usage_report"), KeyHeader: "X-Api-Key", Window: fixtureWindow(),
		Pages: usagePages(t),
		// 18,068,740 + 500 + 200 + 49,515, then 1,500 + 1,000 + 500, then 7,777 + 888.
		Days:   map[string]string{"2026-11-18": "18130620", "2026-11-19": "0", "2026-11-20": "80"},
		Errors: errorAnswers(t),
		Malformed: []providertest.Malformed{
			row("input missing", `"output_tokens": 1, "cache_read_input_tokens": 0, `+creation),
			row("old input name", `"input_tokens": 1, "output_tokens": 1, "cache_read_input_tokens": 0, `+creation),
			row("creation missing", `"uncached_input_tokens": 1, "output_tokens": 1, "cache_read_input_tokens": 0`),
			row("creation is a number",
				`"uncached_input_tokens": 1, "output_tokens": 1, "cache_read_input_tokens": 0, "cache_creation": 0`),
			row("negative",
				`"uncached_input_tokens": -1, "output_tokens": 1, "cache_read_input_tokens": 0, `+creation),
			row("null", `"uncached_input_tokens": null, "output_tokens": 1, "cache_read_input_tokens": 0, `+creation),
		},
	})
}

func usagePage(row string) []byte {
	return []byte(`{"data": [{"starting_at": "2026-11-20T00:00:00Z", "ending_at": "2026-11-21T00:00:00Z",
		"results": [{` + row + `}]}], "has_more": false, "next_page": null}`)
}

func TestGoldens(t *testing.T) {
	for name, res := range map[string]providers.Result{
		"cost_report_grouped":   decode(t, offline(t, "anthropic/cost_report"), costPages(t)...),
		"usage_report_messages": decode(t, offline(t, "anthropic/usage_report"), usagePages(t)...),
	} {
		t.Run(name, func(t *testing.T) {
			if n := res.Notices["unknown_field"]; n > 0 {
				t.Errorf("%d unknown fields on pages of the documented shape", n)
			}
			providertest.Golden(t, name, res.Statements)
		})
	}
}

func TestExpectedTotals(t *testing.T) {
	var expected map[string]struct {
		Days map[string]struct {
			Total  string            `json:"total_usd"`
			Models map[string]string `json:"by_model_usd"`
		} `json:"by_day"`
		Total string `json:"total_usd"`
	}
	if err := json.Unmarshal(providertest.File(t, "expected.json"), &expected); err != nil {
		t.Fatal(err)
	}
	want := expected["anthropic/cost_report_grouped_page{1,2,3}.json"]
	var total spend.Money
	for _, st := range decode(t, offline(t, "anthropic/cost_report"), costPages(t)...).Statements {
		models := map[string]spend.Money{}
		var day spend.Money
		for _, c := range st.Charges {
			name := c.Model
			if name == "" {
				name = "(none)"
			}
			models[name] = models[name].Add(c.Cost())
			day = day.Add(c.Cost())
		}
		got := map[string]string{}
		for m, v := range models {
			got[m] = v.String()
		}
		if diff := cmp.Diff(want.Days[st.Day.String()].Models, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", st.Day, diff)
		}
		if w := want.Days[st.Day.String()].Total; w != day.String() {
			t.Errorf("%s: %s, want %s", st.Day, day, w)
		}
		total = total.Add(day)
	}
	if total.String() != want.Total {
		t.Errorf("total %s, want %s", total, want.Total)
	}
}

func TestAmountSpellings(t *testing.T) {
	page := string(providertest.File(t, "malformed", "amount_number.json"))
	for literal, want := range map[string]string{
		`100.5`: "1.005", `"100.5"`: "1.005", `1e-7`: "0.000000001", `"1234.567890123"`: "12.34567890123",
		`"-250.5"`: "-2.505", `"0"`: "0", `0`: "0", `"41280.000000"`: "412.8",
	} {
		res := decode(t, offline(t, "anthropic/cost_report"), []byte(strings.Replace(page, "100.5", literal, 1)))
		if got := res.Statements[0].Charges[0].Cost().String(); got != want {
			t.Errorf("%s cents are %s USD, want %s", literal, got, want)
		}
	}
}

func TestNewEnumValues(t *testing.T) {
	page := providertest.File(t, "malformed", "new_enum_values.json")
	got := decode(t, offline(t, "anthropic/cost_report"), page).Statements[0].Charges
	if len(got) != 1 || got[0].Cost().String() != "1" || got[0].Model != "claude-opus-5-5" {
		t.Errorf("got %+v", got)
	}
}

func TestWorkspaceFilter(t *testing.T) {
	const a, b = "wrkspc_01EXAMPLEaaaaaaaaaaaaaaaa", "wrkspc_01EXAMPLEbbbbbbbbbbbbbbbb"
	sum := func(workspaces ...string) (string, int) {
		res := decode(t, offline(t, "anthropic/cost_report", workspaces...), costPages(t)...)
		var total spend.Money
		for _, st := range res.Statements {
			for _, c := range st.Charges {
				total = total.Add(c.Cost())
			}
		}
		return total.String(), res.Notices["row_outside_filter"]
	}
	for _, tt := range []struct {
		workspaces []string
		total      string
		outside    int
	}{
		{nil, "521.8216702012300000004", 0},
		{[]string{a}, "12.45567900123", 10},
		{[]string{b}, "412.8030000000000000004", 11},
		{[]string{anthropic.DefaultWorkspace}, "96.5629912", 5},
		{[]string{anthropic.DefaultWorkspace, a, b}, "521.8216702012300000004", 0},
	} {
		if total, outside := sum(tt.workspaces...); total != tt.total || outside != tt.outside {
			t.Errorf("%v: %s, %d rows outside; want %s, %d", tt.workspaces, total, outside, tt.total, tt.outside)
		}
	}
	// A filter that leaves nothing must still know every day of the walk.
	res := decode(t, offline(t, "anthropic/usage_report", b), usagePages(t)...)
	if len(res.Statements) != 3 || res.Notices["row_outside_filter"] != 4 {
		t.Errorf("%d days, notices %v", len(res.Statements), res.Notices)
	}
}

func TestPriorityTierIsUncosted(t *testing.T) {
	const counts = `"uncached_input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 3,
		"cache_creation": {"ephemeral_1h_input_tokens": 4, "ephemeral_5m_input_tokens": 5},
		"model": "m", "service_tier": `
	for tier, want := range map[string]int64{
		`"priority"`: 132, `"priority_on_demand"`: 0, `"standard"`: 0, `"flex"`: 0,
		`"batch"`: 0, `null`: 0, `"new_tier"`: 0,
	} {
		u := decode(t, offline(t, "anthropic/usage_report"), usagePage(counts+tier)).Statements[0].Usage[0]
		if u.Uncosted != want || u.Tokens() != 132 || u.HasRequests {
			t.Errorf("%s: %+v, want %d uncosted of 132 tokens and no requests", tier, u, want)
		}
	}
}
