package caps_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

// Changes of a source's state.
func never(st *spend.SourceStatus)    { st.CoveredFrom, st.DataThrough = 0, time.Time{} }
func held(st *spend.SourceStatus)     { st.Held = true }
func disabled(st *spend.SourceStatus) { st.Enabled = false }
func isUsage(st *spend.SourceStatus)  { st.Usage = true }

func through(s string) func(*spend.SourceStatus) {
	return func(st *spend.SourceStatus) { st.DataThrough = at(s) }
}

func every(d time.Duration) func(*spend.SourceStatus) {
	return func(st *spend.SourceStatus) { st.Interval = d }
}

// allowed sets how old the data may grow.
func allowed(d time.Duration) func(*spend.SourceStatus) {
	return func(st *spend.SourceStatus) { st.MaxStaleness = d }
}

func eur(model, project, amount string) spend.Charge {
	c := usd(model, project, amount)
	c.Currency = "EUR"
	return c
}

// forget makes a new book that lacks some days, as after damage in the store.
func (w *world) forget(id spend.SourceID, from, to string) {
	old := w.book.Snapshot()
	w.book = rollup.NewBook()
	w.book.Update(func(tx *rollup.Tx) {
		for _, other := range old.Sources() {
			for d := date("2026-08-01"); d < date("2027-02-01"); d++ {
				st, ok := old.Statement(other, d)
				if ok && (other != id || d < date(from) || d >= date(to)) {
					tx.Replace(other, []spend.Statement{st})
				}
			}
		}
	})
}

func TestGaps(t *testing.T) {
	const now = "2026-11-23 10:00:00"
	month := global("50", "100")
	week, day, gpt, bot := month, month, month, month
	week.Period, day.Period = caps.Week, caps.Day
	gpt.Scope, gpt.Match = "gpt", caps.Match{Model: "gpt-*"}
	bot.Scope, bot.Match = "bot", caps.Match{Project: "bot"}
	anthropic := month
	anthropic.Scope = "anthropic"
	for _, tt := range []struct {
		name    string
		fill    func(*world)
		cap     caps.Cap
		known   bool
		gaps    map[caps.Reason]int
		through string // empty: zero
	}{
		{name: "nothing at all", fill: func(*world) {}, cap: month},
		{name: "all in order", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.source(claude, "2026-10-01", through("2026-11-23 08:00:00"))
		}, cap: month, known: true, through: "2026-11-23 08:00:00"},
		{name: "never pulled", fill: func(w *world) {
			w.source(openai, "2026-10-01", never)
		}, cap: month, gaps: map[caps.Reason]int{caps.NeverPulled: 1}},
		{name: "never pulled beside one in order", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.source(claude, "2026-10-01", never)
		}, cap: month, known: true, gaps: map[caps.Reason]int{caps.NeverPulled: 1}},
		{name: "never pulled and of no concern", fill: func(w *world) {
			w.source(openai, "2026-10-01", never)
			w.source(claude, "2026-10-01")
		}, cap: anthropic, known: true, through: "2026-11-23 09:50:00"},
		{name: "two never pulled", fill: func(w *world) {
			w.source(openai, "2026-10-01", never)
			w.source(lab, "2026-10-01", never)
		}, cap: month, gaps: map[caps.Reason]int{caps.NeverPulled: 2}},
		{name: "covered to the day", fill: func(w *world) {
			w.source(openai, "2026-11-01")
		}, cap: month, known: true, through: "2026-11-23 09:50:00"},
		{name: "covered but for a day", fill: func(w *world) {
			w.source(openai, "2026-11-02")
		}, cap: month, gaps: map[caps.Reason]int{caps.NeverPulled: 1}, through: "2026-11-23 09:50:00"},
		{name: "one covers, one not yet", fill: func(w *world) {
			w.source(openai, "2026-11-01")
			w.source(lab, "2026-11-02")
		}, cap: month, known: true, gaps: map[caps.Reason]int{caps.NeverPulled: 1}, through: "2026-11-23 09:50:00"},
		{name: "read anew with another filter, not even begun", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.statuses[0].CoveredFrom = 0
		}, cap: month, gaps: map[caps.Reason]int{caps.NeverPulled: 1}, through: "2026-11-23 09:50:00"},
		{name: "read anew with another filter, half-way", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.statuses[0].CoveredFrom = date("2026-11-10")
			w.source(claude, "2026-10-01")
		}, cap: month, known: true, gaps: map[caps.Reason]int{caps.NeverPulled: 1}, through: "2026-11-23 09:50:00"},
		{name: "the last day of the period is damaged", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.forget(openai, "2026-11-23", "2026-11-24")
		}, cap: day, gaps: map[caps.Reason]int{caps.NeverPulled: 1}, through: "2026-11-23 09:50:00"},
		{name: "a day needs less", fill: func(w *world) {
			w.source(openai, "2026-11-23")
		}, cap: day, known: true, through: "2026-11-23 09:50:00"},
		{name: "a day in the middle is damaged", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.forget(openai, "2026-11-10", "2026-11-11")
		}, cap: month, known: true, gaps: map[caps.Reason]int{caps.NeverPulled: 1}, through: "2026-11-23 09:50:00"},
		{name: "the first day is damaged", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.forget(openai, "2026-11-01", "2026-11-02")
		}, cap: month, gaps: map[caps.Reason]int{caps.NeverPulled: 1}, through: "2026-11-23 09:50:00"},
		{name: "a damaged day before the period", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.forget(openai, "2026-10-31", "2026-11-01")
		}, cap: month, known: true, through: "2026-11-23 09:50:00"},
		{name: "read to the second of its limit", fill: func(w *world) {
			w.source(openai, "2026-10-01", through("2026-11-23 04:00:00"))
		}, cap: month, known: true, through: "2026-11-23 04:00:00"},
		{name: "stale by a second, beside a fresh account", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.source(lab, "2026-10-01", through("2026-11-23 03:59:59"))
		}, cap: month, known: true, gaps: map[caps.Reason]int{caps.Stale: 1}, through: "2026-11-23 03:59:59"},
		{name: "stale and allowed to be", fill: func(w *world) {
			w.source(openai, "2026-10-01", through("2026-11-20 00:00:00"), allowed(0))
		}, cap: month, known: true, through: "2026-11-20 00:00:00"},
		{
			name: "stale since before the period", fill: func(w *world) {
				w.source(openai, "2026-10-01", through("2026-11-22 23:00:00"))
			}, cap: day,
			gaps:    map[caps.Reason]int{caps.Stale: 1, caps.NeverPulled: 1},
			through: "2026-11-22 23:00:00",
		},
		// Not stale, and yet of this week nothing was read for ten hours: that is no 0.
		{name: "late since before the period", fill: func(w *world) {
			w.source(openai, "2026-10-01", through("2026-11-22 23:00:00"), allowed(30*time.Hour))
		}, cap: week, gaps: map[caps.Reason]int{caps.NeverPulled: 1}, through: "2026-11-22 23:00:00"},
		{name: "late since before the period, beside one in order", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.source(claude, "2026-10-01", through("2026-11-22 23:59:59"), allowed(30*time.Hour))
		}, cap: week, known: true, gaps: map[caps.Reason]int{caps.NeverPulled: 1}, through: "2026-11-22 23:59:59"},
		{name: "closed days only, and all of them", fill: func(w *world) {
			w.source(claude, "2026-10-01", through("2026-11-23 00:00:00"), allowed(30*time.Hour))
		}, cap: week, known: true, through: "2026-11-23 00:00:00"},
		{name: "closed days only, and none for three weeks, allowed or not", fill: func(w *world) {
			w.source(claude, "2026-10-01", through("2026-11-01 00:00:00"), allowed(0))
		}, cap: month, gaps: map[caps.Reason]int{caps.NeverPulled: 1}, through: "2026-11-01 00:00:00"},
		{name: "polled rarely: its first pull of the period is still to come", fill: func(w *world) {
			w.source(openai, "2026-10-01", through("2026-11-22 23:00:00"), allowed(30*time.Hour), every(5*time.Hour))
		}, cap: week, known: true, through: "2026-11-22 23:00:00"},
		{name: "polled rarely, and stale", fill: func(w *world) {
			w.source(openai, "2026-10-01", through("2026-11-22 23:00:00"), every(5*time.Hour))
		}, cap: week, gaps: map[caps.Reason]int{caps.Stale: 1}, through: "2026-11-22 23:00:00"},
		{name: "held", fill: func(w *world) {
			w.source(openai, "2026-10-01", held)
			w.source(claude, "2026-10-01")
		}, cap: month, known: true, gaps: map[caps.Reason]int{caps.Held: 1}, through: "2026-11-23 09:50:00"},
		{
			name: "held, stale and incomplete at once", fill: func(w *world) {
				w.source(openai, "2026-11-05", held, through("2026-11-20 10:00:00"))
				w.source(claude, "2026-11-01")
			}, cap: month, known: true,
			gaps:    map[caps.Reason]int{caps.Held: 1, caps.Stale: 1, caps.NeverPulled: 1},
			through: "2026-11-20 10:00:00",
		},
		{name: "what is disabled holds nothing back", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.source(lab, "2026-10-01", disabled, through("2026-11-10 00:00:00"))
			w.source(claude, "2026-10-01", disabled, never)
		}, cap: month, known: true, through: "2026-11-23 09:50:00"},
		{name: "nothing enabled", fill: func(w *world) {
			w.source(openai, "2026-10-01", disabled)
		}, cap: month},
		{name: "usage feeds no cap", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.source(usage, "2026-10-01", isUsage, held, through("2026-11-10 00:00:00"))
		}, cap: month, known: true, through: "2026-11-23 09:50:00"},
		{name: "nothing but usage", fill: func(w *world) {
			w.source(usage, "2026-10-01", isUsage)
		}, cap: month},
		{name: "another currency", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.source(claude, "2026-10-01")
			w.spent(openai, "2026-11-03", usd("m", "", "1"), eur("gpt-5", "bot", "3"))
			w.spent(openai, "2026-11-04", eur("gpt-5", "bot", "3"))
		}, cap: month, known: true, gaps: map[caps.Reason]int{caps.Unconverted: 1}, through: "2026-11-23 09:50:00"},
		{name: "another currency of a model that matches", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.spent(openai, "2026-11-03", eur("gpt-5", "", "3"))
		}, cap: gpt, known: true, gaps: map[caps.Reason]int{caps.Unconverted: 1}, through: "2026-11-23 09:50:00"},
		{name: "another currency of a model that does not match", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.spent(openai, "2026-11-03", eur("claude", "", "3"))
		}, cap: gpt, known: true, through: "2026-11-23 09:50:00"},
		{name: "another currency in another project", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.spent(openai, "2026-11-03", eur("m", "search", "3"))
			w.spent(openai, "2026-10-31", eur("m", "bot", "3"))
		}, cap: bot, known: true, through: "2026-11-23 09:50:00"},
		{name: "another currency before the period", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.spent(openai, "2026-10-31", eur("m", "", "3"))
			w.spent(openai, "2026-11-01", usd("m", "", "3"))
		}, cap: month, known: true, through: "2026-11-23 09:50:00"},
		{name: "nothing of another currency", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.spent(openai, "2026-11-03", eur("m", "", "0"))
		}, cap: month, known: true, through: "2026-11-23 09:50:00"},
		{name: "another currency that adds up to nothing", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.spent(openai, "2026-11-03", eur("m", "", "3"))
			w.spent(openai, "2026-11-04", eur("m", "", "-3"))
		}, cap: month, known: true, gaps: map[caps.Reason]int{caps.Unconverted: 1}, through: "2026-11-23 09:50:00"},
		{name: "another currency given back", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.spent(openai, "2026-11-03", eur("m", "", "-3"))
		}, cap: month, known: true, gaps: map[caps.Reason]int{caps.Unconverted: 1}, through: "2026-11-23 09:50:00"},
		{name: "another currency of a retired account", fill: func(w *world) {
			w.source(openai, "2026-10-01")
			w.spent(lab, "2026-11-03", eur("m", "", "3"))
		}, cap: month, known: true, gaps: map[caps.Reason]int{caps.Unconverted: 1}, through: "2026-11-23 09:50:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(now)
			tt.fill(w)
			s := w.one(t, tt.cap)
			want := map[caps.Reason]int{
				caps.NeverPulled: 0, caps.Stale: 0, caps.Held: 0, caps.Unconverted: 0, caps.BudgetPeriod: 0,
			}
			sum := 0
			for r, n := range tt.gaps {
				want[r] = n
				sum += n
			}
			if d := cmp.Diff(want, s.Gaps); d != "" || s.HasGaps() != (sum > 0) {
				t.Errorf("gaps (-want +got), HasGaps = %t:\n%s", s.HasGaps(), d)
			}
			if s.Known != tt.known {
				t.Errorf("known = %t, want %t", s.Known, tt.known)
			}
			if !s.Known && (!s.Spend.IsZero() || s.Reached() != "" || len(s.TopModels) > 0 || s.Projected != nil) {
				t.Errorf("something follows from an unknown spend: %+v", s)
			}
			if (tt.through == "") != s.DataThrough.IsZero() ||
				tt.through != "" && !s.DataThrough.Equal(at(tt.through)) {
				t.Errorf("data through %s, want %q", s.DataThrough, tt.through)
			}
		})
	}
}

// The money of a retired account counts and its age does not.
func TestRetiredAccount(t *testing.T) {
	w := newWorld("2026-11-23 10:00:00")
	w.source(openai, "2026-10-01")
	w.spent(openai, "2026-11-20", usd("m", "", "1"))
	w.spent(lab, "2026-11-02", usd("m", "", "2")) // in no status: the configuration names it as retired
	s := w.one(t, global("0", "3"))
	if s.Spend.String() != "3" || s.Reached() != caps.Hard || s.HasGaps() ||
		!s.DataThrough.Equal(at("2026-11-23 09:50:00")) {
		t.Errorf("%+v", s)
	}
}

// A known spend that is too low is one all the same: a level that is reached with
// what is known stays reached.
func TestLowerBound(t *testing.T) {
	w := newWorld("2026-11-23 10:00:00")
	w.source(openai, "2026-10-01")
	w.source(claude, "2026-10-01", never)
	w.spent(openai, "2026-11-20", usd("m", "", "9"))
	if s := w.one(t, global("5", "9")); s.Reached() != caps.Hard || !s.HasGaps() || s.Projected != nil {
		t.Errorf("%+v", s)
	}
}
