package collector_test

import (
	"testing"
	"time"

	"github.com/aispend/aispend/collector"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

func TestSourcesFollowTheConfiguration(t *testing.T) {
	f := newFixture("2026-11-23T12:00:00Z")
	statuses := []spend.SourceStatus{{ID: openaiCosts, Up: true}, {ID: claudeCosts, Enabled: true}}
	o := f.options()
	o.Statuses = func() []spend.SourceStatus { return statuses }
	g := collector.New(o).Gatherer()
	const claude = "{account=default,provider=anthropic,source=anthropic/cost_report}"
	if v, ok := samples(gather(t, g, isOurs))["aispend_source_enabled"+claude]; !ok || v != 1 {
		t.Fatalf("enabled = %v, there %v", v, ok)
	}
	statuses = statuses[:1]
	for k := range samples(gather(t, g, isOurs)) {
		if len(k) > len(claude) && k[len(k)-len(claude):] == claude {
			t.Errorf("%s is still there after a reload removed the source", k)
		}
	}
}

// What has never happened is 0, which is infinitely old: an absent series would
// never fire a rule, and the zero time is no sensible number.
func TestNeverIsZero(t *testing.T) {
	f := newFixture("2026-11-23T12:00:00Z")
	o := f.options()
	o.Statuses = func() []spend.SourceStatus { return []spend.SourceStatus{{ID: openaiCosts}} }
	o.Reload = func() collector.Reload { return collector.Reload{} }
	got := samples(gather(t, collector.New(o).Gatherer(), isOurs))
	const source = "{account=acme,provider=openai,source=openai/costs}"
	for _, k := range []string{
		"aispend_data_through_timestamp_seconds" + source, "aispend_pull_last_success_timestamp_seconds" + source,
		"aispend_source_up" + source, "aispend_source_held" + source, "aispend_source_enabled" + source,
		"aispend_config_last_reload_success_timestamp_seconds{}", "aispend_config_last_reload_successful{}",
	} {
		if v, ok := got[k]; !ok || v != 0 {
			t.Errorf("%s = %v, there %v, want 0", k, v, ok)
		}
	}
}

func TestTheSameSourceTwiceIsOneSeries(t *testing.T) {
	f := newFixture("2026-11-23T12:00:00Z")
	o := f.options()
	o.Statuses = func() []spend.SourceStatus {
		return []spend.SourceStatus{{ID: openaiCosts, Interval: time.Hour}, {ID: openaiCosts, Interval: time.Minute}}
	}
	mf := family(gather(t, collector.New(o).Gatherer(), isOurs), "aispend_source_poll_interval_seconds")
	if len(mf.Metric) != 1 || mf.Metric[0].GetGauge().GetValue() != 3600 {
		t.Errorf("want the first of the two: %v", mf)
	}
}

func TestCorruptStoreShows(t *testing.T) {
	f := newFixture("2026-11-23T12:00:00Z")
	o := f.options()
	o.Store = func() store.Stats { return store.Stats{Corrupt: true} }
	got := samples(gather(t, collector.New(o).Gatherer(), isOurs))
	if got["aispend_store_corrupt{}"] != 1 {
		t.Errorf("aispend_store_corrupt = %v, want 1", got["aispend_store_corrupt{}"])
	}
}

// A pull that is applied between two parts of one scrape must not date old money
// anew: what the page says about freshness is never newer than its money.
func TestFreshnessIsNeverNewerThanTheMoney(t *testing.T) {
	f := newFixture("2026-11-23T12:00:00Z")
	write(f.book, openaiCosts, day(t, "2026-11-23"), []spend.Charge{usd("gpt-5", "", "1")})
	o := f.options()
	o.Statuses = func() []spend.SourceStatus {
		write(f.book, openaiCosts, day(t, "2026-11-23"), []spend.Charge{usd("gpt-5", "", "900")})
		return []spend.SourceStatus{{ID: openaiCosts, DataThrough: f.now}}
	}
	got := samples(gather(t, collector.New(o).Gatherer(), isOurs))
	if v := got["aispend_today_cost_usd{model=gpt-5,provider=openai}"]; v != 900 {
		t.Errorf("data through %s beside a cost of %v, want 900", f.now, v)
	}
}
