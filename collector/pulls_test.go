package collector_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aispend/aispend/collector"
	"github.com/aispend/aispend/spend"
)

func counted(t *testing.T, p *collector.PullMetrics) map[string]float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(p)
	return samples(gather(t, r, isOurs))
}

func pulls(id spend.SourceID, outcome string) string {
	return "aispend_pulls_total{account=" + id.Account + ",outcome=" + outcome +
		",provider=" + id.Provider + ",source=" + id.Source + "}"
}

func TestEveryOutcomeIsThereFromTheStart(t *testing.T) {
	p := collector.NewPullMetrics()
	p.Register(openaiCosts)
	got := counted(t, p)
	for _, o := range spend.Outcomes() {
		if v, ok := got[pulls(openaiCosts, string(o))]; !ok || v != 0 {
			t.Errorf("%s: there %v, value %v, want 0", o, ok, v)
		}
	}
	for _, want := range []string{
		"aispend_pages_total{account=acme,provider=openai,source=openai/costs}",
		"aispend_revised_usd_total{direction=up,provider=openai}",
		"aispend_revised_usd_total{direction=down,provider=openai}",
	} {
		if v, ok := got[want]; !ok || v != 0 {
			t.Errorf("%s: there %v, value %v, want 0", want, ok, v)
		}
	}
	for k := range got {
		if strings.HasPrefix(k, "aispend_provider_clock_skew") {
			t.Errorf("%s was never measured", k)
		}
	}
}

func TestPullsAreCounted(t *testing.T) {
	p := collector.NewPullMetrics()
	p.Register(openaiCosts)
	p.PullEnded(openaiCosts, spend.OK, 2)
	p.PullEnded(openaiCosts, spend.OK, math.NaN())
	p.PullEnded(openaiCosts, spend.Timeout, 300)
	p.PullEnded(openaiCosts, spend.Outcome("surprise"), math.Inf(1))
	p.PageFetched(openaiCosts)
	p.Revised("openai", money("0.1"), money("0"))
	p.Revised("openai", money("0.2"), money("-1.5"))
	p.ClockSkew("openai", 2500*time.Millisecond)
	p.Register(openaiCosts) // again: keeps the counts
	got := counted(t, p)
	for k, want := range map[string]float64{
		pulls(openaiCosts, "ok"):      2,
		pulls(openaiCosts, "timeout"): 1,
		pulls(openaiCosts, "network"): 0,
		"aispend_pages_total{account=acme,provider=openai,source=openai/costs}": 1,
		"aispend_revised_usd_total{direction=up,provider=openai}":               0.3, // 0.1+0.2 in floats is not
		"aispend_revised_usd_total{direction=down,provider=openai}":             1.5,
		"aispend_provider_clock_skew_seconds{provider=openai}":                  2.5,
	} {
		if v, ok := got[k]; !ok || v != want {
			t.Errorf("%s = %v (there: %v), want %v", k, v, ok, want)
		}
	}
	if _, ok := got[pulls(openaiCosts, "surprise")]; ok {
		t.Error("an outcome outside the closed set has a series")
	}
}

func TestRetainDropsWhatAReloadRemoved(t *testing.T) {
	p := collector.NewPullMetrics()
	for _, id := range []spend.SourceID{openaiCosts, claudeCosts, claudeUsage} {
		p.Register(id)
		p.PullEnded(id, spend.OK, 1)
	}
	p.ClockSkew("anthropic", time.Second)
	p.ClockSkew("openai", time.Second)

	p.Retain([]spend.SourceID{openaiCosts, openaiUsage})
	// Pulls of the old configuration that end late bring nothing back.
	p.PullEnded(claudeCosts, spend.OK, 1)
	p.PageFetched(claudeCosts)
	p.Revised("anthropic", money("1"), money("1"))
	p.ClockSkew("anthropic", time.Second)

	got := counted(t, p)
	for k := range got {
		if strings.Contains(k, "anthropic") {
			t.Errorf("%s is still there", k)
		}
	}
	if v := got[pulls(openaiCosts, "ok")]; v != 1 {
		t.Errorf("the remaining source lost its count: %v", v)
	}
	if _, ok := got[pulls(openaiUsage, "ok")]; !ok {
		t.Error("the new source is not registered")
	}
	if _, ok := got["aispend_provider_clock_skew_seconds{provider=openai}"]; !ok {
		t.Error("the remaining provider lost its clock skew")
	}
}

func TestUnregisteredSourcesAreNotCounted(t *testing.T) {
	p := collector.NewPullMetrics()
	p.PullEnded(openaiCosts, spend.OK, 1)
	p.PageFetched(openaiCosts)
	p.Revised("openai", money("1"), money("1"))
	if got := counted(t, p); len(got) != 0 {
		t.Errorf("series of nobody: %v", got)
	}
}

// WithLabelValues panics on invalid UTF-8: an account name must not.
func TestHostileAccountNames(t *testing.T) {
	p := collector.NewPullMetrics()
	for _, account := range []string{"\xff", "", strings.Repeat("x", 300), "a\nb\x00"} {
		id := openaiCosts
		id.Account = account
		p.Register(id)
		p.PullEnded(id, spend.OK, 1)
		p.PageFetched(id)
	}
	n := 0
	for k, v := range counted(t, p) {
		if strings.HasPrefix(k, "aispend_pages_total") && v == 1 {
			n++
		}
	}
	if n != 4 {
		t.Errorf("%d accounts counted, want 4", n)
	}
}
