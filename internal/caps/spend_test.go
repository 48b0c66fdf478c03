package caps_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

// company is a ledger of two OpenAI accounts and Anthropic in November 2026, with
// two days of October.
func company() *world {
	w := newWorld("2026-11-23 10:00:00")
	for _, id := range []spend.SourceID{openai, lab, claude} {
		w.source(id, "2026-10-01")
	}
	w.spent(openai, "2026-10-31", usd("gpt-5", "search", "1000"))
	w.spent(openai, "2026-11-01", usd("gpt-5", "search", "1"), usd("gpt-5-mini", "bot", "2"), usd("", "", "4"))
	w.spent(openai, "2026-11-22", usd("gpt-5", "bot", "8"), usd("other", "bot", "0.5"), usd("gpt-5", "search", "-3"))
	w.spent(openai, "2026-11-23", usd("gpt-5-mini", "search", "16"))
	w.spent(lab, "2026-11-23", usd("gpt-5", "lab", "32"))
	w.spent(claude, "2026-11-23", usd("claude-opus", "search", "64"))
	return w
}

func TestSelection(t *testing.T) {
	w := company()
	for _, tt := range []struct {
		name string
		cap  caps.Cap
		want string
	}{
		{"everything", caps.Cap{Scope: "global"}, "124.5"},
		{"a provider", caps.Cap{Scope: "openai"}, "60.5"},
		{"the other provider", caps.Cap{Scope: "anthropic"}, "64"},
		{"before credits", caps.Cap{Scope: "openai", Gross: true}, "63.5"},
		{"a provider by match", caps.Cap{Scope: "x", Match: caps.Match{Provider: "openai"}}, "60.5"},
		{"an account", caps.Cap{Scope: "x", Match: caps.Match{Account: "lab"}}, "32"},
		{"a project, whoever bills it", caps.Cap{Scope: "x", Match: caps.Match{Project: "search"}}, "78"},
		{"a project of a provider", caps.Cap{
			Scope: "x", Match: caps.Match{Provider: "openai", Project: "search"},
		}, "14"},
		{"a model", caps.Cap{Scope: "x", Match: caps.Match{Model: "gpt-5"}}, "38"},
		{"models by a pattern", caps.Cap{Scope: "x", Match: caps.Match{Model: "gpt-5*"}}, "56"},
		{"models by their end", caps.Cap{Scope: "x", Match: caps.Match{Model: "*-mini"}}, "18"},
		{"no model", caps.Cap{Scope: "x", Match: caps.Match{Model: "other"}}, "4.5"},
		{"no model by a pattern", caps.Cap{Scope: "x", Match: caps.Match{Model: "oth*"}}, "4.5"},
		{"any model", caps.Cap{Scope: "x", Match: caps.Match{Provider: "openai", Model: "*"}}, "60.5"},
		{"nothing", caps.Cap{Scope: "x", Match: caps.Match{Model: "gpt-6*"}}, "0"},
		{"no such project", caps.Cap{Scope: "x", Match: caps.Match{Project: "none"}}, "0"},
		{"all of it", caps.Cap{
			Scope: "x", Match: caps.Match{Provider: "openai", Account: "acme", Project: "bot", Model: "gpt*"},
		}, "10"},
		{"a built-in scope ignores a match", caps.Cap{Scope: "openai", Match: caps.Match{Account: "lab"}}, "60.5"},
		{"a day", caps.Cap{Scope: "openai", Period: caps.Day}, "48"},
		{"a week", caps.Cap{Scope: "global", Period: caps.Week}, "112"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.cap
			c.Hard = money("100")
			if c.Period == "" {
				c.Period = caps.Month
			}
			if s := w.one(t, c); !s.Known || s.Spend.String() != tt.want {
				t.Errorf("spend = %s (known: %t), want %s", s.Spend, s.Known, tt.want)
			}
		})
	}
}

func TestLevels(t *testing.T) {
	const spent = "123.45678901234567890123" // 20 decimals
	for _, tt := range []struct {
		name, soft, hard string
		reached          caps.Level
		percent          []float64
	}{
		{"below both", "124", "248", "", []float64{99.56, 49.78}},
		{"between", "100", "200", caps.Soft, []float64{123.45, 61.72}},
		{"above both", "50", "100", caps.Hard, []float64{246.91, 123.45}},
		{"only soft", "100", "0", caps.Soft, []float64{123.45}},
		{"only soft, below", "200", "0", "", []float64{61.72}},
		{"only hard", "0", "100", caps.Hard, []float64{123.45}},
		{"only hard, below", "0", "200", "", []float64{61.72}},
		{"equal to the last digit", "0", spent, caps.Hard, []float64{100}},
		{"short by the last digit", "0", "123.45678901234567890124", "", []float64{99.99}},
		{"over by the last digit", "0", "123.45678901234567890122", caps.Hard, []float64{100}},
		{"one limit for both", spent, spent, caps.Hard, []float64{100, 100}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld("2026-11-23 10:00:00")
			w.source(openai, "2026-10-01")
			w.spent(openai, "2026-11-02", usd("m", "", "123"))
			w.spent(openai, "2026-11-20", usd("m", "", "0.45678901234567890123"))
			s := w.one(t, global(tt.soft, tt.hard))
			if s.Reached() != tt.reached || s.Spend.String() != spent {
				t.Errorf("reached %q with %s, want %q", s.Reached(), s.Spend, tt.reached)
			}
			var got []float64
			for _, l := range s.Levels {
				got = append(got, l.Percent)
			}
			if d := cmp.Diff(tt.percent, got); d != "" {
				t.Errorf("percent (-want +got):\n%s", d)
			}
		})
	}
}

func TestCapsThatAreOff(t *testing.T) {
	w := company()
	soft := caps.Cap{Scope: "openai", Period: caps.Day, Soft: money("1")}
	got := w.evaluate(t, global("0", "0"), soft, global("0", "0"))
	if len(got) != 1 || got[0].Scope != "openai" || len(got[0].Levels) != 1 ||
		got[0].Levels[0].Level != caps.Soft {
		t.Errorf("%+v", got)
	}
}

func TestCredits(t *testing.T) {
	for _, tt := range []struct {
		name, charged, credited string
		gross                   bool
		want                    string
		reached                 caps.Level
		percent                 float64
	}{
		{"net below the limit", "60", "-20", false, "40", "", 80},
		{"gross above it", "60", "-20", true, "60", caps.Hard, 120},
		{"more credits than charges", "5", "-9.5", false, "-4.5", "", -9},
		{"nothing", "0", "0", false, "0", "", 0},
		{"credits alone, gross", "0", "-7", true, "0", "", 0},
		{"a little less than nothing", "0", "-0.000001", false, "-0.000001", "", -0.01},
	} {
		w := newWorld("2026-11-23 10:00:00")
		w.source(openai, "2026-10-01")
		w.spent(openai, "2026-11-20", usd("m", "", tt.charged), usd("m", "", tt.credited))
		c := global("0", "50")
		c.Gross = tt.gross
		s := w.one(t, c)
		if !s.Known || s.Spend.String() != tt.want || s.Reached() != tt.reached || s.Levels[0].Percent != tt.percent {
			t.Errorf("%s: %s, %q, %v %%", tt.name, s.Spend, s.Reached(), s.Levels[0].Percent)
		}
	}
}

func TestTopModels(t *testing.T) {
	w := newWorld("2026-11-23 10:00:00")
	w.source(openai, "2026-10-01")
	w.source(claude, "2026-10-01")
	w.spent(openai, "2026-11-02", usd("a", "", "5"), usd("b", "", "7"), usd("", "", "6"), usd("d", "", "0"))
	w.spent(openai, "2026-11-03", usd("c", "", "7"), usd("e", "", "-1"), usd("other", "", "3"))
	w.spent(claude, "2026-11-03", usd("a", "", "1"))
	w.spent(openai, "2026-10-03", usd("old", "", "100"))
	want := []caps.ModelSpend{
		{Model: "other", Spend: money("9")}, {Model: "b", Spend: money("7")}, {Model: "c", Spend: money("7")},
	}
	if d := cmp.Diff(want, w.one(t, global("1", "2")).TopModels); d != "" {
		t.Errorf("top models (-want +got):\n%s", d)
	}
	for model, what := range map[string]string{"e": "gave money back", "d": "cost nothing"} {
		c := caps.Cap{Scope: "x", Period: caps.Month, Hard: money("1"), Match: caps.Match{Model: model}}
		if got := w.one(t, c).TopModels; len(got) != 0 {
			t.Errorf("a model that %s is on top: %v", what, got)
		}
	}
}

// A week that reaches back into another month, and year, has all its days.
func TestWeekOverTheTurnOfTheYear(t *testing.T) {
	w := newWorld("2027-01-03 23:59:59") // Sunday of week 53
	w.source(openai, "2026-12-01")
	w.spent(openai, "2026-12-27", usd("m", "", "1000"))
	w.spent(openai, "2026-12-28", usd("m", "", "1"))
	w.spent(openai, "2026-12-31", usd("m", "", "2"))
	w.spent(openai, "2027-01-01", usd("m", "", "4"))
	w.spent(openai, "2027-01-03", usd("m", "", "8"))
	c := global("0", "100")
	c.Period = caps.Week
	if s := w.one(t, c); !s.Known || s.Spend.String() != "15" {
		t.Errorf("spend = %s (known: %t), want 15", s.Spend, s.Known)
	}
}

func TestLeapDay(t *testing.T) {
	w := newWorld("2028-02-29 23:59:59")
	w.source(openai, "2028-01-01")
	w.spent(openai, "2028-02-01", usd("m", "", "1"))
	w.spent(openai, "2028-02-29", usd("m", "", "2"))
	w.spent(openai, "2028-03-01", usd("m", "", "4")) // the provider's clock is ahead
	if s := w.one(t, global("0", "9")); s.Spend.String() != "3" || s.Window.Days() != 29 {
		t.Errorf("spend = %s over %s, want 3", s.Spend, s.Window)
	}
	w.now = at("2028-03-01 00:00:00")
	if s := w.one(t, global("0", "9")); s.Spend.String() != "4" || s.Start() != w.now {
		t.Errorf("spend = %s over %s, want 4", s.Spend, s.Window)
	}
}

// The clock alone turns the period over, at the very second, and a cap that was
// reached is reached no more.
func TestRollover(t *testing.T) {
	for period, now := range map[caps.Period]string{
		caps.Month: "2026-11-30 23:59:59", caps.Week: "2026-11-29 23:59:59", caps.Day: "2026-11-28 23:59:59",
	} {
		w := newWorld(now)
		w.source(openai, "2026-10-01")
		w.spent(openai, spend.DayOf(w.now).String(), usd("m", "", "7"))
		c := global("0", "7")
		c.Period = period
		if s := w.one(t, c); s.Reached() != caps.Hard || s.Spend.String() != "7" {
			t.Errorf("%s, last second: %s, %q", period, s.Spend, s.Reached())
		}
		w.now = w.now.Add(1e9)
		s := w.one(t, c)
		if s.Reached() != "" || !s.Known || !s.Spend.IsZero() || len(s.TopModels) != 0 || s.HasGaps() {
			t.Errorf("%s, first second: %+v", period, s)
		}
		if !s.Start().Equal(w.now) || s.DataThrough.After(w.now) {
			t.Errorf("%s, first second: begins %s, data through %s", period, s.Start(), s.DataThrough)
		}
	}
}

// The 0 with which a period begins is believed for two intervals, in which a first
// pull should have come. A daemon that was down at midnight shows none.
func TestNoPullSinceTheRollover(t *testing.T) {
	w := newWorld("2026-11-30 23:59:59")
	w.source(openai, "2026-10-01", allowed(48*time.Hour)) // every 15 minutes
	w.source(claude, "2026-10-01", disabled)
	w.spent(openai, "2026-11-30", usd("m", "", "7"))
	for now, known := range map[string]bool{
		"2026-12-01 00:00:00": true, "2026-12-01 00:30:00": true,
		"2026-12-01 00:30:01": false, "2026-12-02 12:00:00": false,
	} {
		w.now = at(now)
		s := w.one(t, global("0", "7"))
		if s.Known != known || s.HasGaps() == known || s.Gaps[caps.Stale] != 0 {
			t.Errorf("%s: known = %t, gaps %v", now, s.Known, s.Gaps)
		}
	}
}

// A bill that is lowered takes the level back.
func TestRevision(t *testing.T) {
	w := company()
	if got := w.one(t, global("0", "124.5")).Reached(); got != caps.Hard {
		t.Errorf("before: %q", got)
	}
	w.spent(claude, "2026-11-23", usd("claude-opus", "search", "63.999999999999999999"))
	if got := w.one(t, global("0", "124.5")).Reached(); got != "" {
		t.Errorf("after: %q", got)
	}
	w.book.Update(func(tx *rollup.Tx) {
		tx.ReplaceWindow(claude, spend.Window{From: date("2026-11-23"), To: date("2026-11-24")}, w.now, nil)
	})
	if got := w.one(t, global("0", "124.5")).Spend.String(); got != "60.5" {
		t.Errorf("after the day became empty: %s", got)
	}
}
