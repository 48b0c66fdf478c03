package collector_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"pgregory.net/rapid"

	"github.com/aispend/aispend/collector"
	"github.com/aispend/aispend/spend"
)

func TestClockDecidesThePeriods(t *testing.T) {
	for _, tc := range []struct {
		name, now string
		days      map[string]string // day to cost
		want      map[string]float64
	}{
		{
			name: "middle of a month", now: "2026-11-23T12:00:00Z",
			days: map[string]string{"2026-10-31": "1", "2026-11-01": "2", "2026-11-22": "4", "2026-11-23": "8"},
			want: map[string]float64{"today": 8, "yesterday": 4, "month": 14, "previous_month": 1},
		},
		{
			name: "last second of a month", now: "2026-11-30T23:59:59Z",
			days: map[string]string{"2026-11-29": "1", "2026-11-30": "2", "2026-12-01": "4"},
			want: map[string]float64{"today": 2, "yesterday": 1, "month": 3},
		},
		{
			name: "first instant of the next month", now: "2026-12-01T00:00:00Z",
			days: map[string]string{"2026-11-29": "1", "2026-11-30": "2", "2026-12-01": "4"},
			want: map[string]float64{"today": 4, "yesterday": 2, "month": 4, "previous_month": 3},
		},
		{
			name: "29 February", now: "2028-02-29T10:00:00Z",
			days: map[string]string{"2028-01-31": "1", "2028-02-28": "2", "2028-02-29": "4", "2028-03-01": "8"},
			want: map[string]float64{"today": 4, "yesterday": 2, "month": 6, "previous_month": 1},
		},
		{
			name: "1 March after 29 February", now: "2028-03-01T10:00:00Z",
			days: map[string]string{"2028-01-31": "1", "2028-02-28": "2", "2028-02-29": "4", "2028-03-01": "8"},
			want: map[string]float64{"today": 8, "yesterday": 4, "month": 8, "previous_month": 6},
		},
		{
			name: "new year", now: "2027-01-01T00:30:00Z",
			days: map[string]string{"2026-12-01": "1", "2026-12-31": "2", "2027-01-01": "4", "2026-01-01": "8"},
			want: map[string]float64{"today": 4, "yesterday": 2, "month": 4, "previous_month": 3},
		},
		{
			name: "nothing read of today yet", now: "2026-11-23T00:00:01Z",
			days: map[string]string{"2026-11-22": "4"},
			want: map[string]float64{"yesterday": 4, "month": 4},
		},
		{
			name: "the provider's clock ahead of ours", now: "2026-11-23T23:59:00Z",
			days: map[string]string{"2026-11-23": "1", "2026-11-24": "2"},
			want: map[string]float64{"today": 1, "month": 3},
		},
		{
			name: "our clock ahead of UTC", now: "2026-12-01T01:00:00+02:00",
			days: map[string]string{"2026-11-30": "2"},
			want: map[string]float64{"today": 2, "month": 2},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(tc.now)
			for d, cost := range tc.days {
				write(f.book, openaiCosts, day(t, d), []spend.Charge{usd("gpt-5", "", cost)})
			}
			page := f.spending(t)
			for _, period := range []string{"today", "yesterday", "month", "previous_month"} {
				mf := family(page, "aispend_"+period+"_cost_usd")
				want, ok := tc.want[period]
				switch {
				case !ok && len(mf.Metric) != 0:
					t.Errorf("%s = %v, want no series", period, mf.Metric)
				case ok && (len(mf.Metric) != 1 || mf.Metric[0].GetGauge().GetValue() != want):
					t.Errorf("%s = %v, want %v", period, mf.Metric, want)
				}
			}
		})
	}
}

func TestMonthRollsOverWithoutAPull(t *testing.T) {
	f := newFixture("2026-11-30T23:59:00Z")
	write(f.book, openaiCosts, day(t, "2026-11-30"), []spend.Charge{usd("gpt-5", "", "2")})
	g := collector.New(f.options()).Gatherer()
	const month, previous = "aispend_month_cost_usd{model=gpt-5,provider=openai}",
		"aispend_previous_month_cost_usd{model=gpt-5,provider=openai}"
	if got := samples(gather(t, g, isOurs)); got[month] != 2 {
		t.Fatalf("before midnight: %v", got)
	}
	f.now = f.now.Add(2 * time.Minute)
	got := samples(gather(t, g, isOurs))
	if _, there := got[month]; there || got[previous] != 2 {
		t.Errorf("after midnight: month there %v, previous month %v, want absent and 2", there, got[previous])
	}
}

func TestDailyWindow(t *testing.T) {
	f := newFixture("2026-11-23T12:00:00Z")
	today := day(t, "2026-11-23")
	for i := range spend.Day(10) {
		write(f.book, openaiCosts, today-i, []spend.Charge{usd("gpt-5", "", "1")})
	}
	write(f.book, openaiCosts, today+1, []spend.Charge{usd("gpt-5", "", "1")})
	for window, want := range map[int]int{0: 0, 1: 1, 7: 7, 400: 10} {
		f.settings.DailyWindow = window
		mf := family(f.spending(t), "aispend_daily_cost_usd")
		if len(mf.Metric) != want {
			t.Errorf("window %d: %d days, want %d", window, len(mf.Metric), want)
		}
		if want > 0 && label(mf.Metric[want-1], "day") != "2026-11-23" {
			t.Errorf("window %d ends with %v", window, mf.Metric[want-1])
		}
	}
}

func TestGoneFromTheLedgerIsGoneFromThePage(t *testing.T) {
	f := newFixture("2026-11-23T12:00:00Z")
	d := day(t, "2026-11-23")
	g := collector.New(f.options()).Gatherer()
	write(f.book, openaiCosts, d, []spend.Charge{usd("gpt-5", "p", "2"), usd("gpt-9", "p", "1")})
	if page := text(t, gather(t, g, isOurs)); !strings.Contains(page, "gpt-9") {
		t.Fatalf("gpt-9 is not on the page:\n%s", page)
	}
	write(f.book, openaiCosts, d, []spend.Charge{usd("gpt-5", "p", "2")})
	if page := text(t, gather(t, g, isOurs)); strings.Contains(page, "gpt-9") || !strings.Contains(page, "gpt-5") {
		t.Errorf("the removed model should be gone, the other there:\n%s", page)
	}
	write(f.book, openaiCosts, d, nil)
	if page := text(t, gather(t, g, isOurs)); strings.Contains(page, "gpt-") {
		t.Errorf("a day known to be empty still has series:\n%s", page)
	}
}

func TestProjectsAreOptIn(t *testing.T) {
	f := newFixture("2026-11-23T12:00:00Z")
	world(t, f)
	if mf := family(f.spending(t), "aispend_project_month_cost_usd"); len(mf.Metric) != 0 {
		t.Errorf("projects without asking: %v", mf)
	}
	f.settings.ByProject = true
	if mf := family(f.spending(t), "aispend_project_month_cost_usd"); len(mf.Metric) != 7 {
		t.Errorf("%d projects, want 7", len(mf.Metric))
	}
}

func TestMaxSeriesHoldsOnThePage(t *testing.T) {
	f := newFixture("2026-11-23T12:00:00Z")
	for d := range spend.Day(5) {
		var charges []spend.Charge
		var usage []spend.Usage
		for i := range 50 {
			model := fmt.Sprintf("m%02d", i)
			charges = append(charges, usd(model, "", fmt.Sprintf("%d.01", i+1)))
			usage = append(usage, spend.Usage{Model: model, Input: int64(i), Requests: 1, HasRequests: true})
		}
		write(f.book, openaiCosts, day(t, "2026-11-19")+d, charges)
		write(f.book, openaiUsage, day(t, "2026-11-19")+d, nil, usage...)
	}
	f.settings.MaxSeries = 0
	whole := f.spending(t)
	f.settings.MaxSeries = 200
	folded := f.spending(t)

	if n := modelSeries(folded); n > 200 || n < 150 {
		t.Errorf("%d series with a model label, want just below 200", n)
	}
	saved := family(folded, "aispend_series_folded").Metric[0].GetGauge().GetValue()
	if want := modelSeries(whole) - modelSeries(folded); int(saved) != want {
		t.Errorf("aispend_series_folded = %v, want %d", saved, want)
	}
	page := text(t, folded)
	if !strings.Contains(page, `model="m49"`) || strings.Contains(page, `model="m00"`) {
		t.Error("the dearest model should keep its name and the cheapest lose it")
	}
	for k, want := range sumsOverModels(whole) {
		if got := sumsOverModels(folded)[k]; !near(got, want) {
			t.Errorf("%s: sum %v, was %v", k, got, want)
		}
	}
	lint(t, page)
}

// A model counts by what it cost over all the days on the page, not today alone.
func TestFoldingLooksBack(t *testing.T) {
	f := newFixture("2026-11-23T12:00:00Z")
	f.settings = collector.Settings{DailyWindow: 1, MaxSeries: 7}
	write(f.book, openaiCosts, day(t, "2026-10-01"), []spend.Charge{usd("dear-once", "", "1000")})
	write(f.book, openaiCosts, day(t, "2026-11-23"), []spend.Charge{
		usd("dear-once", "", "1"), usd("cheap-a", "", "2"), usd("cheap-b", "", "3"),
	})
	page := text(t, f.spending(t))
	if !strings.Contains(page, `model="dear-once"`) || strings.Contains(page, `model="cheap-a"`) {
		t.Errorf("dear-once should keep its name, the others fold:\n%s", page)
	}
}

func modelSeries(families []*dto.MetricFamily) (n int) {
	for _, mf := range families {
		for _, m := range mf.Metric {
			if label(m, "model") != "" {
				n++
			}
		}
	}
	return n
}

// sumsOverModels adds up what differs in nothing but the model.
func sumsOverModels(families []*dto.MetricFamily) map[string]float64 {
	out := map[string]float64{}
	for _, mf := range families {
		for _, m := range mf.Metric {
			if label(m, "model") == "" {
				continue
			}
			k := fmt.Sprint(mf.GetName(), label(m, "provider"), label(m, "day"), label(m, "token_type"))
			out[k] += m.GetGauge().GetValue()
		}
	}
	return out
}

// Whatever names a provider sends, once they went through CleanLabel as at
// decode, the page parses, lints, and adds up to the ledger.
func TestHostileNamesNeverCostTheScrape(t *testing.T) {
	nasty := rapid.OneOf(
		rapid.SampledFrom([]string{
			"", "other", "folded", "gpt-5", "\x00", "\x7f", "\xff\xfe", "a\nb", `"`, `\`, "\u200d", "\u202e", "}", "#",
			strings.Repeat("x", 500), strings.Repeat("x", 501), " gpt-5", "gpt-5 ", "le", "NaN",
		}),
		rapid.String(),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) string { return string(b) }),
	)
	amount := rapid.SampledFrom([]string{
		"0", "0.1", "-0.3", "1e-18", "123456789.123456789", "1e30", "-5", "0.30000000000000004",
	})
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture("2026-11-23T12:00:00Z")
		f.settings.ByProject = true
		f.settings.MaxSeries = rapid.SampledFrom([]int{0, 1, 20}).Draw(rt, "max_series")
		var want spend.Money
		for range rapid.IntRange(1, 4).Draw(rt, "days") {
			id := rapid.SampledFrom([]spend.SourceID{openaiCosts, labCosts, claudeCosts}).Draw(rt, "source")
			id.Account = nasty.Draw(rt, "account") // straight from the configuration
			var charges []spend.Charge
			var usage []spend.Usage
			for range rapid.IntRange(0, 5).Draw(rt, "rows") {
				model, _ := spend.CleanLabel(nasty.Draw(rt, "model"))
				project, _ := spend.CleanLabel(nasty.Draw(rt, "project"))
				charges = append(charges, usd(model, project, amount.Draw(rt, "amount")))
				usage = append(usage, spend.Usage{Model: model, Project: project, Output: 5, Uncosted: 2})
			}
			write(f.book, id, day(t, "2026-11-23"), charges, usage...)
		}
		for _, id := range f.book.Snapshot().Sources() {
			st, _ := f.book.Snapshot().Statement(id, day(t, "2026-11-23"))
			for _, c := range st.Charges {
				want = want.Add(c.Cost())
			}
		}
		page := text(rt, f.spending(rt))
		parsed := parse(rt, page)
		lint(rt, page)
		for _, name := range []string{
			"aispend_daily_cost_usd", "aispend_today_cost_usd", "aispend_month_cost_usd",
			"aispend_account_month_cost_usd", "aispend_project_month_cost_usd",
		} {
			sum, size := 0.0, 0.0
			for _, m := range parsed[name].GetMetric() {
				v := m.GetGauge().GetValue()
				if math.IsNaN(v) || math.IsInf(v, 0) {
					rt.Fatalf("%s has a value no rule can compare: %v", name, v)
				}
				sum, size = sum+v, size+math.Abs(v)
			}
			if math.Abs(sum-want.Float64()) > 1e-12*(size+1e-18) {
				rt.Errorf("%s adds up to %v, the ledger to %s", name, sum, want)
			}
		}
	})
}
