package openai_test

import (
	"encoding/json"
	"flag"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/providers/openai"
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
	name string, change ...func(*openai.Settings),
) func(testing.TB, string, string, providers.Env) providers.Source {
	return func(t testing.TB, baseURL, key string, env providers.Env) providers.Source {
		t.Helper()
		s := &openai.Settings{APIKey: secret.New(key), BaseURL: baseURL}
		for _, fn := range change {
			fn(s)
		}
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		sources, err := s.Open(env)
		if err != nil {
			t.Fatal(err)
		}
		for _, src := range sources {
			if src.ID() == (spend.SourceID{Provider: "openai", Account: env.Account, Source: name}) {
				return src
			}
		}
		t.Fatalf("no source %s", name)
		return nil
	}
}

// decode decodes fixture pages with one of the sources.
func decode(t *testing.T, source string, files ...string) (providers.Result, error) {
	t.Helper()
	src := open(source)(t, openai.DefaultBaseURL, "sk-admin-x", providers.Env{})
	return providertest.Decode(src, fixtureWindow(), providertest.Pages(t, files...)...)
}

func errorOutcomes() map[string]spend.Outcome {
	return map[string]spend.Outcome{
		"400_api_key_floor.json":      spend.Server,
		"400_limit.json":              spend.Server,
		"400_stale_page_token.json":   spend.Server,
		"401_invalid_key.json":        spend.Auth,
		"401_missing_scopes.json":     spend.Permission,
		"403_missing_scopes.json":     spend.Permission,
		"429_insufficient_quota.json": spend.RateLimited,
		"429_rate_limit.json":         spend.RateLimited,
		"500_server_error.json":       spend.Server,
		"502_cloudflare.html":         spend.Server,
	}
}

func costsCase(t *testing.T) providertest.Case {
	return providertest.Case{
		Open: open("openai/costs"), KeyHeader: "Authorization", Window: fixtureWindow(),
		Pages: providertest.Pages(t,
			"costs_grouped_page1.json", "costs_grouped_page2.json", "costs_grouped_page3.json"),
		Days: map[string]string{
			"2026-11-18": "18.232098725", "2026-11-19": "0", "2026-11-20": "17.19221916666666667",
			"2026-11-21": "4.29", "2026-11-22": "43.745000000000001", "2026-11-23": "1.25",
		},
		Foreign: providertest.File(t, "malformed", "currency_eur.json"),
		Malformed: providertest.MalformedFiles(t, map[string]spend.Outcome{
			"amount_missing.json":             spend.Schema,
			"amount_null.json":                spend.Schema,
			"bucket_not_midnight.json":        spend.Schema,
			"currency_eur.json":               "", // kept in its own currency: Foreign
			"currency_missing.json":           spend.Schema,
			"grouping_ignored.json":           spend.Schema,
			"has_more_without_next_page.json": spend.Pagination,
			"missing_data.json":               spend.Schema,
			"old_result_key.json":             spend.Schema,
			"same_cursor_forever.json":        spend.Pagination,
			"truncated_body.json":             spend.Decode,
			"value_empty_string.json":         spend.Schema,
			"value_missing.json":              spend.Schema,
			"value_nan_string.json":           spend.Schema,
			"value_not_numeric.json":          spend.Schema,
			"value_underscore_string.json":    spend.Schema,
		}),
		Errors: providertest.ErrorFiles(t, errorOutcomes()),
	}
}

func TestCostsConformance(t *testing.T) { providertest.Run(t, costsCase(t)) }

func TestUsageConformance(t *testing.T) {
	providertest.Run(t, providertest.Case{
		Open: open("openai/usage"), KeyHeader: "Authorization", Window: fixtureWindow(),
		Pages: providertest.Pages(t, "usage_completions_page1.json", "usage_completions_page2.json"),
		// 17,283,950 + 19,999 + 160,000 + 1,020,000 + 11, cached tokens counted once.
		Days:   map[string]string{"2026-11-18": "18483960", "2026-11-19": "0", "2026-11-20": "6000"},
		Errors: providertest.ErrorFiles(t, errorOutcomes()),
		Malformed: []providertest.Malformed{
			usageRow("requests missing", `"input_tokens": 1, "output_tokens": 1`),
			usageRow("input missing", `"output_tokens": 1, "num_model_requests": 1`),
			usageRow("null output", `"input_tokens": 1, "output_tokens": null, "num_model_requests": 1`),
			usageRow("negative", `"input_tokens": -1, "output_tokens": 1, "num_model_requests": 1`),
			usageRow("fraction", `"input_tokens": 1.5, "output_tokens": 1, "num_model_requests": 1`),
			usageRow("overflow", `"input_tokens": 9223372036854775807, "output_tokens": 1, "num_model_requests": 1`),
			usageRow("cached above input",
				`"input_tokens": 1, "input_cached_tokens": 2, "output_tokens": 1, "num_model_requests": 1`),
			usageRow("parts do not add up",
				`"input_tokens": 9, "input_cached_tokens": 2, "input_uncached_tokens": 8, "output_tokens": 1,
				"num_model_requests": 1`),
		},
	})
}

// usageRow is a usage page with one row, to be refused.
func usageRow(name, counts string) providertest.Malformed {
	body := `{"object": "page", "data": [{"object": "bucket", "start_time": 1795132800, "end_time": 1795219200,
		"results": [{` + counts + `}]}], "has_more": false, "next_page": null}`
	return providertest.Malformed{Name: name, Want: spend.Schema, Body: []byte(body)}
}

func TestGoldens(t *testing.T) {
	tests := map[string]struct {
		source string
		files  []string
	}{
		"costs_grouped": {"openai/costs", []string{
			"costs_grouped_page1.json", "costs_grouped_page2.json", "costs_grouped_page3.json",
		}},
		"costs_restated":    {"openai/costs", []string{"costs_grouped_page3_restated.json"}},
		"costs_wire_extras": {"openai/costs", []string{"costs_wire_extras.json"}},
		"usage_completions": {"openai/usage", []string{
			"usage_completions_page1.json", "usage_completions_page2.json",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			res, err := decode(t, tt.source, tt.files...)
			if err != nil {
				t.Fatal(err)
			}
			if len(res.Notices) > 0 {
				t.Errorf("notices %v on pages of the documented shape", res.Notices)
			}
			providertest.Golden(t, name, res.Statements)
		})
	}
}

// totals are sums as expected.json spells them.
type totals struct {
	Days map[string]struct {
		Total  string            `json:"total_usd"`
		Models map[string]string `json:"by_model_usd"`
	} `json:"by_day"`
	Total string `json:"total_usd"`
}

func sumUp(t *testing.T, got *totals, st spend.Statement) {
	t.Helper()
	models := map[string]spend.Money{}
	var day spend.Money
	for _, c := range st.Charges {
		model := c.Model
		if model == "" {
			model = "(none)"
		}
		models[model] = models[model].Add(c.Cost())
		day = day.Add(c.Cost())
	}
	entry := got.Days[st.Day.String()]
	entry.Total, entry.Models = day.String(), map[string]string{}
	for m, v := range models {
		entry.Models[m] = v.String()
	}
	got.Days[st.Day.String()] = entry
	got.Total = spend.MustMoney(got.Total).Add(day).String()
}

func TestExpectedTotals(t *testing.T) {
	var want map[string]json.RawMessage
	if err := json.Unmarshal(providertest.File(t, "expected.json"), &want); err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string][]string{
		"openai/costs_grouped_page{1,2,3}.json": {
			"costs_grouped_page1.json", "costs_grouped_page2.json", "costs_grouped_page3.json",
		},
		// The restated page replaces its two days: it takes the place of page 3.
		"openai/ then page3_restated replaces its two days": {
			"costs_grouped_page1.json", "costs_grouped_page2.json", "costs_grouped_page3_restated.json",
		},
	} {
		res, err := decode(t, "openai/costs", files...)
		if err != nil {
			t.Fatal(err)
		}
		got := totals{Total: "0"}
		if err := json.Unmarshal([]byte(`{"by_day": {}}`), &got); err != nil {
			t.Fatal(err)
		}
		for _, st := range res.Statements {
			sumUp(t, &got, st)
		}
		var exp totals
		if err := json.Unmarshal(want[name], &exp); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(exp, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestLineItems(t *testing.T) {
	var want struct {
		Cases []struct {
			Item  *string `json:"line_item"`
			Model *string `json:"model"`
			Kind  *string `json:"kind"`
			Tier  *string `json:"tier"`
		} `json:"line_item_parse"`
	}
	if err := json.Unmarshal(providertest.File(t, "expected.json"), &want); err != nil {
		t.Fatal(err)
	}
	if len(want.Cases) != 21 {
		t.Fatalf("%d cases, want the 21 of the fixtures", len(want.Cases))
	}
	or := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	for _, c := range want.Cases {
		model, kind, tier := openai.ParseLineItem(or(c.Item))
		if model != or(c.Model) || kind != or(c.Kind) || tier != or(c.Tier) {
			t.Errorf("%q: model %q, kind %q, tier %q; want %q, %q, %q",
				or(c.Item), model, kind, tier, or(c.Model), or(c.Kind), or(c.Tier))
		}
	}
	// Beyond the fixtures: batch has no confirmed spelling, so any one word may be a tier.
	for item, want := range map[string]string{
		"batch | gpt-5.5-2026-04-23, input": "gpt-5.5-2026-04-23",
		"some thing | gpt-5.5, input":       "",
		", input":                           "",
		"text, input":                       "text",
		" audio, input":                     "audio",
		"gpt-5.5 text audio, input":         "",
	} {
		if got, _, _ := openai.ParseLineItem(item); got != want {
			t.Errorf("%q: model %q, want %q", item, got, want)
		}
	}
}
