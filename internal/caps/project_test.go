package caps_test

import (
	"testing"
	"time"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/spend"
)

// daily fills the days of w with what cost says of each, starting from first.
func (w *world) daily(id spend.SourceID, first string, cost func(d spend.Day) string) {
	for d := date(first); d < spend.DayOf(w.now); d++ {
		w.spent(id, d.String(), usd("m", "", cost(d)))
	}
}

func flat(amount string) func(spend.Day) string { return func(spend.Day) string { return amount } }

// byWeekday costs 1 on Sundays, 2 on Mondays and so on.
func byWeekday(d spend.Day) string { return string(rune('1' + int(d.Weekday()))) }

func TestProjection(t *testing.T) {
	for _, tt := range []struct {
		name string
		now  string
		fill func(*world)
		cap  caps.Cap
		want string // empty: none
	}{
		// 20 days at 3, then 10 more.
		{"flat", "2026-11-21 12:00:00", func(w *world) {
			w.source(openai, "2026-08-01")
			w.daily(openai, "2026-08-01", flat("3"))
		}, global("0", "1000"), "90"},
		{"today above the expectation", "2026-11-21 12:00:00", func(w *world) {
			w.source(openai, "2026-08-01")
			w.daily(openai, "2026-08-01", flat("3"))
			w.spent(openai, "2026-11-21", usd("m", "", "10"))
		}, global("0", "1000"), "97"},
		{"today below the expectation", "2026-11-21 12:00:00", func(w *world) {
			w.source(openai, "2026-08-01")
			w.daily(openai, "2026-08-01", flat("3"))
			w.spent(openai, "2026-11-21", usd("m", "", "2.9"))
		}, global("0", "1000"), "90"},
		{"closed days are actual", "2026-11-30 12:00:00", func(w *world) {
			w.source(openai, "2026-08-01")
			w.daily(openai, "2026-08-01", flat("0"))
			w.spent(openai, "2026-11-03", usd("m", "", "50"))
			w.spent(openai, "2026-11-24", usd("m", "", "8"))
			w.spent(openai, "2026-11-23", usd("m", "", "4")) // the only Monday of the four that cost anything
		}, global("0", "1000"), "63"},
		// A whole week, at each weekday's own price: 28.
		{"weekdays", "2026-11-25 12:00:00", func(w *world) {
			w.source(openai, "2026-08-01")
			w.daily(openai, "2026-08-01", byWeekday)
		}, caps.Cap{Scope: "global", Period: caps.Week, Hard: money("1")}, "28"},
		{"weekdays of 21 days", "2026-11-25 12:00:00", func(w *world) {
			w.source(openai, "2026-11-04")
			w.daily(openai, "2026-11-04", byWeekday)
		}, caps.Cap{Scope: "global", Period: caps.Week, Hard: money("1")}, "28"},
		// 2 + 3 on closed days, then five times the mean of the last 7 days, which is 4.
		{"20 days are too few for weekdays", "2026-11-25 12:00:00", func(w *world) {
			w.source(openai, "2026-11-05")
			w.daily(openai, "2026-11-05", byWeekday)
		}, caps.Cap{Scope: "global", Period: caps.Week, Hard: money("1")}, "25"},
		{"only four weeks back", "2026-11-30 12:00:00", func(w *world) {
			w.source(openai, "2026-08-01")
			w.daily(openai, "2026-08-01", func(d spend.Day) string {
				if d < date("2026-11-02") { // the Monday four weeks before today
					return "100"
				}
				return "2"
			})
		}, global("0", "1000"), "158"}, // 100 and 29 x 2
		{"three closed days", "2026-11-26 12:00:00", func(w *world) {
			w.source(openai, "2026-11-23")
			w.daily(openai, "2026-11-23", flat("3"))
		}, caps.Cap{Scope: "global", Period: caps.Week, Hard: money("1")}, "21"},
		{"two closed days", "2026-11-25 12:00:00", func(w *world) {
			w.source(openai, "2026-11-23")
			w.daily(openai, "2026-11-23", flat("3"))
		}, caps.Cap{Scope: "global", Period: caps.Week, Hard: money("1")}, ""},
		{"the first day of a period", "2026-12-01 00:00:00", func(w *world) {
			w.source(openai, "2026-08-01")
			w.daily(openai, "2026-08-01", flat("3"))
		}, global("0", "1000"), "93"},
		{"the last second of a period", "2026-11-30 23:59:59", func(w *world) {
			w.source(openai, "2026-08-01")
			w.daily(openai, "2026-08-01", flat("3"))
			w.spent(openai, "2026-11-30", usd("m", "", "3"))
		}, global("0", "1000"), "90"},
		{"a day", "2026-11-21 12:00:00", func(w *world) {
			w.source(openai, "2026-08-01")
			w.daily(openai, "2026-08-01", flat("3"))
		}, caps.Cap{Scope: "global", Period: caps.Day, Hard: money("1")}, ""},
		{"a mean that does not end", "2026-11-29 12:00:00", func(w *world) { // 3 days at 0.1, 0.1 and 0.2
			w.source(openai, "2026-11-26")
			w.daily(openai, "2026-11-26", flat("0.1"))
			w.spent(openai, "2026-11-28", usd("m", "", "0.2"))
		}, caps.Cap{Scope: "openai", Period: caps.Week, Hard: money("1")}, ""}, // the week began before
		{"a mean that does not end, rounded", "2026-11-26 12:00:00", func(w *world) {
			w.source(openai, "2026-11-23")
			w.daily(openai, "2026-11-23", flat("0.1"))
			w.spent(openai, "2026-11-25", usd("m", "", "0.2"))
		}, caps.Cap{Scope: "openai", Period: caps.Week, Hard: money("1")}, "0.933333333333333332"},
		{"a gap in the period", "2026-11-21 12:00:00", func(w *world) {
			w.source(openai, "2026-08-01")
			w.daily(openai, "2026-08-01", flat("3"))
			w.forget(openai, "2026-11-03", "2026-11-04")
		}, global("0", "1000"), ""},
		{"a gap in the four weeks", "2026-11-21 12:00:00", func(w *world) {
			w.source(openai, "2026-08-01")
			w.daily(openai, "2026-08-01", flat("3"))
			w.forget(openai, "2026-10-30", "2026-10-31")
		}, global("0", "1000"), ""},
		{"a gap further back", "2026-11-21 12:00:00", func(w *world) {
			w.source(openai, "2026-08-01")
			w.daily(openai, "2026-08-01", flat("3"))
			w.forget(openai, "2026-10-23", "2026-10-24")
		}, global("0", "1000"), "90"},
		{"yesterday is not read yet", "2026-11-21 03:00:00", func(w *world) {
			w.source(openai, "2026-08-01", through("2026-11-20 00:00:00"), allowed(48*time.Hour))
			w.daily(openai, "2026-08-01", flat("3"))
			w.forget(openai, "2026-11-20", "2026-11-22")
		}, global("0", "1000"), ""},
		{"yesterday is not read yet and no weekday needs it", "2026-11-30 03:00:00", func(w *world) {
			w.source(openai, "2026-08-01", through("2026-11-29 00:00:00"), allowed(48*time.Hour))
			w.daily(openai, "2026-08-01", flat("3"))
			w.forget(openai, "2026-11-29", "2026-12-01")
		}, global("0", "1000"), ""},
		{"a source with a shorter history", "2026-11-21 12:00:00", func(w *world) {
			w.source(openai, "2026-08-01")
			w.source(claude, "2026-11-01")
			w.daily(openai, "2026-08-01", flat("3"))
		}, global("0", "1000"), ""},
		{"a stale source", "2026-11-21 12:00:00", func(w *world) {
			w.source(openai, "2026-08-01", through("2026-11-21 01:00:00"))
			w.daily(openai, "2026-08-01", flat("3"))
		}, global("0", "1000"), ""},
		{"a held source", "2026-11-21 12:00:00", func(w *world) {
			w.source(openai, "2026-08-01", held)
			w.daily(openai, "2026-08-01", flat("3"))
		}, global("0", "1000"), ""},
		{"money in another currency", "2026-11-21 12:00:00", func(w *world) {
			w.source(openai, "2026-08-01")
			w.daily(openai, "2026-08-01", flat("3"))
			w.spent(openai, "2026-11-20", eur("m", "", "3"))
		}, global("0", "1000"), ""},
		// Its 30 on one of four Mondays also raise the two Mondays to come.
		{"a retired account that ended", "2026-11-21 12:00:00", func(w *world) {
			w.source(openai, "2026-08-01")
			w.daily(openai, "2026-08-01", flat("3"))
			w.spent(lab, "2026-11-02", usd("m", "", "30"))
		}, global("0", "1000"), "135"},
		{"net of credits", "2026-11-21 12:00:00", func(w *world) {
			w.source(openai, "2026-08-01")
			for d := date("2026-08-01"); d < date("2026-11-21"); d++ {
				w.spent(openai, d.String(), usd("m", "", "3"), usd("m", "", "-1"))
			}
		}, global("0", "1000"), "60"},
		{"the cap's own models", "2026-11-21 12:00:00", func(w *world) {
			w.source(openai, "2026-08-01")
			for d := date("2026-08-01"); d < date("2026-11-21"); d++ {
				w.spent(openai, d.String(), usd("a1", "", "3"), usd("b1", "", "100"))
			}
		}, caps.Cap{Scope: "x", Period: caps.Month, Hard: money("1"), Match: caps.Match{Model: "a*"}}, "90"},
		{"days that give money back grow nothing", "2026-11-21 12:00:00", func(w *world) {
			w.source(openai, "2026-08-01")
			w.daily(openai, "2026-08-01", flat("-1"))
		}, global("0", "1000"), "-20"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(tt.now)
			tt.fill(w)
			s := w.one(t, tt.cap)
			switch {
			case (s.Projected != nil) != (tt.want != ""):
				t.Errorf("projected %v, want %q (gaps %v)", s.Projected, tt.want, s.Gaps)
			case s.Projected != nil && s.Projected.String() != tt.want:
				t.Errorf("projected %s, want %s", s.Projected, tt.want)
			}
		})
	}
}

func TestExhaustion(t *testing.T) {
	const now = "2026-11-21 12:00:00" // 10 days at 24 are left, and 20 have cost 480
	for _, tt := range []struct {
		name, today string
		limit, want string // empty: none
	}{
		{"today", "0", "492", "2026-11-21 18:00:00"},
		{"at the end of today", "0", "504", "2026-11-21 23:59:59"},
		{"tomorrow", "0", "505", "2026-11-22 01:00:00"},
		{"a part of a second is a whole one", "0", "504.0000001", "2026-11-22 00:00:01"},
		{"on the last day", "0", "719", "2026-11-30 23:00:00"},
		{"in the last second", "0", "720", "2026-11-30 23:59:59"},
		{"a little before the last second is over", "0", "719.9999999", "2026-11-30 23:59:59"},
		{"not in this period", "0", "720.000000000000000001", ""},
		{"reached already", "1", "481", ""},
		{"reached long ago", "0", "3", ""},
		{"today has had its share", "24", "505", "2026-11-22 01:00:00"},
		{"today has had more", "30", "511", "2026-11-22 01:00:00"},
		{"half of today's share is left", "12", "498", "2026-11-21 18:00:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(now)
			w.source(openai, "2026-08-01")
			w.daily(openai, "2026-08-01", flat("24"))
			w.spent(openai, "2026-11-21", usd("m", "", tt.today))
			got := w.one(t, global("0", tt.limit)).Levels[0].Exhaustion
			if tt.want == "" {
				if !got.IsZero() {
					t.Errorf("exhausted at %s, want never", got)
				}
				return
			}
			if !got.Equal(at(tt.want)) {
				t.Errorf("exhausted at %s, want %s", got, tt.want)
			}
		})
	}
}

// Amounts beyond float64 have a time all the same.
func TestExhaustionOfAbsurdAmounts(t *testing.T) {
	w := newWorld("2026-11-21 12:00:00")
	w.source(openai, "2026-08-01")
	for d := date("2026-08-01"); d < date("2026-11-21"); d++ {
		w.spent(openai, d.String(), spend.Charge{Model: "m", Currency: spend.USD, Gross: money("1").Shift(400)})
	}
	s := w.one(t, caps.Cap{Scope: "global", Period: caps.Month, Hard: money("25").Shift(400)})
	if got := s.Levels[0].Exhaustion; got.Before(w.now) || !got.Before(s.End()) {
		t.Errorf("exhausted at %s", got)
	}
}
