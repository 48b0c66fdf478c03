package config_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/aispend/aispend/internal/config"
)

// TestViewLoadsAgain: what GET /config shows is a file that means the same, for
// any configuration whose secrets are in files.
func TestViewLoadsAgain(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		root := drawConfig(rt)
		first := mustParse(rt, root)
		shown := first.Redacted()
		for _, p := range shown.Providers {
			delete(p, "sources") // the view's own, see viewProvider
		}
		second := mustParse(rt, shown)
		if diff := cmp.Diff(marshal(rt, first.Redacted()), marshal(rt, second.Redacted())); diff != "" {
			rt.Errorf("(-first +second):\n%s", diff)
		}
	})
}

func marshal(rt *rapid.T, v any) string {
	b, err := yaml.Marshal(v)
	if err != nil {
		rt.Fatal(err)
	}
	return string(b)
}

func mustParse(rt *rapid.T, v any) *config.Config {
	text := marshal(rt, v)
	loaded, err := config.Parse("aispend.yml", []byte(text), fakeTypes())
	if err != nil {
		rt.Fatalf("%v\n%s", err, text)
	}
	return loaded.Config
}

type section map[string]any

// drawConfig draws a valid configuration.
func drawConfig(rt *rapid.T) section {
	days := func(low, high int, label string) string {
		return fmt.Sprintf("%dd", rapid.IntRange(low, high).Draw(rt, label))
	}
	span := func(label string) string {
		n := rapid.IntRange(1, 3000).Draw(rt, label)
		return rapid.SampledFrom([]string{
			fmt.Sprintf("%ds", n), fmt.Sprintf("%dm%ds", n/60, n%60+1), fmt.Sprintf("%dm", n/60+1),
		}).Draw(rt, label+" form")
	}
	root := section{
		"storage": section{"raw_retention": days(1, 400, "raw"), "history": days(401, 3650, "history")},
		"ingest": section{
			"interval": span("interval"), "lookback": days(1, 400, "lookback"),
			"initial_history": days(1, 400, "initial"), "timeout": span("timeout"),
		},
		"metrics": section{
			"daily_window": days(0, 400, "window"), "max_series": rapid.IntRange(1, 1<<40).Draw(rt, "series"),
			"by_project": rapid.Bool().Draw(rt, "by project"),
		},
		"web":       section{"admin_token_file": "testdata/secrets/tokens", "metrics_open": rapid.Bool().Draw(rt, "open")},
		"providers": drawBlocks(rt, span),
		"caps":      drawCaps(rt),
		"links":     section{"external_url": "https://a.example.com/x?y=1"},
		"hard_cap":  section{"inbound_token_file": "testdata/secrets/one", "dry_run": rapid.Bool().Draw(rt, "dry")},
	}
	return root
}

func drawBlocks(rt *rapid.T, span func(string) string) []section {
	account := rapid.StringMatching(`[A-Za-z0-9_.-]{1,64}`)
	names := rapid.SliceOfNDistinct(account, 2, 2, rapid.ID[string]).Draw(rt, "accounts")
	blocks := []section{
		{"type": "openai", "account": names[0], "api_key_file": "testdata/secrets/one"},
		{"type": "openai", "account": names[1], "api_key_file": "testdata/secrets/two"},
	}
	for _, b := range blocks {
		if rapid.Bool().Draw(rt, "settings") {
			b["interval"], b["timeout"], b["max_staleness"] = span("i"), span("t"), "36h"
			b["project_ids"] = rapid.SliceOf(rapid.StringMatching(`proj_[a-z0-9]{1,8}`)).Draw(rt, "projects")
			b["export"] = section{"key_file": "testdata/secrets/two", "rows": rapid.IntRange(14, 99).Draw(rt, "rows")}
		}
		if rapid.Bool().Draw(rt, "off") {
			b["enabled"] = false
		}
	}
	return blocks
}

func drawCaps(rt *rapid.T) []section {
	var caps []section
	amount := rapid.StringMatching(`[1-9][0-9]{0,11}(\.[0-9]{0,17}[1-9])?`)
	for _, scope := range rapid.SliceOfDistinct(rapid.StringMatching(`[a-z]([ a-z0-9-]{0,20}[a-z])?`), rapid.ID[string]).Draw(rt, "scopes") {
		limit := section{
			"scope":  scope,
			"period": rapid.SampledFrom([]string{"day", "week", "month"}).Draw(rt, "period"),
			"cost":   rapid.SampledFrom([]string{"net", "gross"}).Draw(rt, "cost"),
		}
		limit[rapid.SampledFrom([]string{"soft_usd", "hard_usd"}).Draw(rt, "level")] = amount.Draw(rt, "amount")
		if scope != "openai" && scope != "anthropic" && scope != "vertex" && scope != "global" {
			limit["match"] = section{"model": rapid.StringMatching(`[a-z*]([a-z0-9.*:/ -]{0,20}[a-z*])?`).Draw(rt, "model")}
		}
		caps = append(caps, limit)
	}
	return caps
}
