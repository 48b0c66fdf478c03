package ingest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// billed lets every day of w cost amount.
func billed(s *script, w spend.Window, amount string) {
	s.set(func(s *script) {
		for d := w.From; d < w.To; d++ {
			s.bill[d] = []row{usd("m", amount)}
		}
	})
}

// heavy makes walks over more than most days with money too large, in pages of any
// size, and those that trouble finds fault with fail.
func heavy(s *script, most int, trouble func(w walk) error) {
	s.set(func(s *script) {
		s.before = func(_ context.Context, w walk, _ int) error {
			days := 0
			s.set(func(s *script) {
				for d := range s.bill {
					if w.Window.Contains(d) {
						days++
					}
				}
			})
			if days > most {
				return refuse(spend.TooLarge)
			}
			if trouble != nil {
				return trouble(w)
			}
			return nil
		}
	})
}

// around finds fault with windows that hold d.
func around(d spend.Day, o spend.Outcome) func(walk) error {
	return func(w walk) error {
		if w.Window.Contains(d) {
			return refuse(o)
		}
		return nil
	}
}

// applied lists the windows of a source that the ledger took, oldest pull first.
func (r *rig) applied(kind string) []string {
	r.t.Helper()
	var out []string
	for _, p := range r.pulls(acme) {
		if p.Verdict == store.Applied && p.Kind == kind {
			out = append(out, p.Window.String())
		}
	}
	return out
}

// TestTooLargeAWindowIsReadInParts: when even one bucket per page does not help, fewer
// days do, newest first. Together they are one pull of the present; for history each
// part is progress.
func TestTooLargeAWindowIsReadInParts(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		billed(s, win("2026-09-01", "2026-11-24"), "1")
		heavy(s, 8, nil)
		r.start()
		time.Sleep(minute)
		var sizes []string
		for _, w := range s.seen()[:7] {
			sizes = append(sizes, fmt.Sprint(w.Window, " by ", w.Buckets))
		}
		whole := "2026-11-01..2026-11-23 by "
		want := []string{
			whole + "31", whole + "15", whole + "7", whole + "3", whole + "1",
			"2026-11-12..2026-11-23 by 1", "2026-11-18..2026-11-23 by 1",
		}
		if diff := cmp.Diff(want, sizes); diff != "" {
			t.Errorf("walks (-want +got):\n%s", diff)
		}
		want = []string{
			"2026-11-18..2026-11-23", "2026-11-12..2026-11-17", "2026-11-06..2026-11-11", "2026-11-01..2026-11-05",
		}
		if diff := cmp.Diff(want, r.applied("current")); diff != "" {
			t.Errorf("parts of the present (-want +got):\n%s", diff)
		}
		r.wantTotal(november, "23")
		if diff := cmp.Diff([]string{"2026-10-24..2026-10-31", "2026-10-16..2026-10-23"}, r.applied("history")[:2]); diff != "" {
			t.Errorf("parts of history (-want +got):\n%s", diff)
		}
		r.wantTotal(win("2026-10-01", "2026-11-01"), "31")
		if n := r.seen.outcomes(); n[spend.OK] != 1+len(r.applied("history")) || len(n) != 1 {
			t.Errorf("outcomes %v: the present is one pull, whatever its parts", n)
		}
		st := r.status()
		if !st.Up || !st.HistoryDone || !st.DataThrough.Equal(s.seen()[6].Began) {
			t.Errorf("status %+v, want data through the walk that brought today", st)
		}
		n := len(s.seen())
		time.Sleep(quarter)
		if diff := cmp.Diff(want, windows(s.seen()[n:])); diff != "" {
			t.Errorf("walks of the next pull (-want +got):\n%s", diff)
		}
		r.wantRevised("0", "0")
	})
}

// TestSumTooLargeSparesThePages: after most of a big walk it is clear that fewer
// buckets per page cannot help, since the sum stays.
func TestSumTooLargeSparesThePages(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		billed(s, win("2026-10-20", "2026-11-24"), "1")
		r.start()
		time.Sleep(minute)
		r.cfgs[0].Lookback = 34 * oneDay // two pages
		r.restart(0)
		r.runner.SetHeavyWalk(1)
		s.set(func(s *script) {
			s.before = func(_ context.Context, w walk, page int) error {
				if page == 1 && w.Window.Days() > 31 {
					return refuse(spend.TooLarge)
				}
				return nil
			}
		})
		n := len(s.seen())
		time.Sleep(quarter)
		want := []string{"35 by 31", "18 by 31", "17 by 31"}
		var got []string
		for _, w := range s.seen()[n:] {
			got = append(got, fmt.Sprint(w.Window.Days(), " by ", w.Buckets))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("walks (-want +got):\n%s", diff)
		}
	})
}

// TestOneDayTooLarge is the end of it: the error names the day, and how far the data
// reaches says that not all of it was read, whatever the newer parts brought.
func TestOneDayTooLarge(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		billed(s, win("2026-10-01", "2026-11-24"), "1")
		r.start()
		time.Sleep(minute)
		before := r.status()
		billed(s, win("2026-11-01", "2026-11-24"), "2")
		heavy(s, 8, around(day("2026-11-10"), spend.TooLarge))
		r.seen.outcomes()
		time.Sleep(quarter)
		st := r.status()
		if st.Up || st.LastOutcome != spend.TooLarge || !strings.Contains(st.LastError, "2026-11-10 alone") ||
			!st.DataThrough.Equal(before.DataThrough) || !st.LastSuccess.Equal(before.LastSuccess) {
			t.Errorf("status %+v\nbefore %+v", st, before)
		}
		if diff := cmp.Diff(map[spend.Outcome]int{spend.TooLarge: 1}, r.seen.outcomes()); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
		r.wantTotal(november, "36") // the 11th and later are new
		pulls := r.pulls(acme)
		last := pulls[len(pulls)-1]
		if last.Verdict != store.Failed || last.Window != win("2026-11-10", "2026-11-11") || !strings.Contains(last.Detail, "alone") {
			t.Errorf("last record %+v", last)
		}
		r.restart(0)
		if st := r.status(); st.Up || !st.DataThrough.Equal(before.DataThrough) {
			t.Errorf("after a restart: %+v", st)
		}
		heal(s)
		time.Sleep(quarter)
		r.wantTotal(november, "46")
		if st := r.status(); !st.Up || !st.DataThrough.After(before.DataThrough) {
			t.Errorf("healed: %+v", st)
		}
	})
}

// TestPartsKeepWhereTheWindowBegins: after a downtime the day on which the daemon was
// stopped is known by half only. Newer parts do not let it be forgotten.
func TestPartsKeepWhereTheWindowBegins(t *testing.T) {
	story(t, "2026-10-20T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		s.bill[day("2026-10-20")] = []row{usd("m", "1")}
		r.start()
		time.Sleep(minute)
		through := r.status().DataThrough
		r.stop()
		r.offset.Add(int64(34 * oneDay)) // 23 November
		billed(s, win("2026-10-13", "2026-11-24"), "2")
		heavy(s, 21, around(day("2026-10-14"), spend.Decode))
		n := len(s.seen())
		r.start()
		time.Sleep(hour)
		for _, w := range s.seen()[n:] {
			if w.Window.To == day("2026-11-24") && w.Window.From != day("2026-10-13") && w.Window.Days() != 21 {
				t.Errorf("walk of %s", w.Window)
			}
		}
		r.wantTotal(win("2026-11-03", "2026-12-01"), "42")
		if st := r.status(); !st.DataThrough.Equal(through) || st.Up {
			t.Errorf("status %+v, want data through %s", st, through)
		}
		heal(s)
		time.Sleep(quarter)
		r.wantTotal(win("2026-10-13", "2026-12-01"), "84")
		if st := r.status(); !st.Up || !st.DataThrough.After(at("2026-11-23T10:00:00Z")) {
			t.Errorf("healed: %+v", st)
		}
	})
}

// TestCurrencyOfAPart: a pull in parts is counted as currency whichever part brought it.
func TestCurrencyOfAPart(t *testing.T) {
	for _, d := range []string{"2026-11-02", "2026-11-22"} {
		t.Run(d, func(t *testing.T) {
			story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
				s := r.add(acme)
				billed(s, win("2026-11-01", "2026-11-24"), "1")
				s.bill[day(d)] = []row{{Model: "m", Amount: "8", Currency: "EUR"}}
				heavy(s, 12, nil)
				r.start()
				time.Sleep(minute)
				if st := r.status(); st.LastOutcome != spend.OK || r.seen.outcomes()[spend.Currency] != 1 {
					t.Errorf("status %+v", st) // history, after it, was in USD
				}
				r.wantTotal(november, "22")
			})
		})
	}
}

// TestDayKnownByHalf: parts of a present that was never read whole, history behind them,
// and then days off over the end of the month. The last day that a part brought is
// read again although the ledger has something to say about it.
func TestDayKnownByHalf(t *testing.T) {
	story(t, "2026-11-30T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		billed(s, win("2026-10-01", "2026-12-01"), "1")
		heavy(s, 12, around(day("2026-11-20"), spend.TooLarge))
		r.start()
		time.Sleep(hour)
		r.wantTotal(win("2026-10-01", "2026-12-01"), "41") // October, and the 21st to the 30th
		if st := r.status(); st.Up || !st.DataThrough.IsZero() || !st.HistoryDone {
			t.Errorf("status %+v", st)
		}
		r.stop()
		r.offset.Add(int64(10 * oneDay))
		billed(s, win("2026-11-30", "2026-12-11"), "5")
		heal(s)
		r.start()
		time.Sleep(hour)
		r.wantTotal(november, "34")
		r.wantTotal(win("2026-12-01", "2027-01-01"), "50")
	})
}

// TestDataThroughOverParts: the newest bucket counts, in whichever part it lies.
func TestDataThroughOverParts(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		billed(s, win("2026-11-01", "2026-11-11"), "1")
		for d := day("2026-11-11"); d <= day("2026-11-23"); d++ {
			s.gone[d] = true
		}
		heavy(s, 8, nil)
		r.start()
		time.Sleep(minute)
		if n := len(r.applied("current")); n < 2 {
			t.Fatalf("%d parts", n)
		}
		if got := r.status().DataThrough; !got.Equal(at("2026-11-11T00:00:00Z")) {
			t.Errorf("data through %s, want the end of the 10th", got)
		}
		r.wantTotal(november, "10")
	})
}

// TestPartsOverMidnight: a pull in parts keeps the window that its newest part had.
func TestPartsOverMidnight(t *testing.T) {
	story(t, "2026-11-23T23:40:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		billed(s, win("2026-10-01", "2026-11-24"), "1")
		r.start()
		time.Sleep(minute)
		heavy(s, 8, func(walk) error { time.Sleep(20 * time.Second); return nil })
		n := len(s.seen())
		time.Sleep(13*minute + 30*time.Second + 10*minute) // from 23:55
		got := windows(s.seen()[n:])
		want := []string{"2026-11-18..2026-11-23", "2026-11-12..2026-11-17", "2026-11-06..2026-11-11", "2026-11-01..2026-11-05"}
		if len(got) < 9 || !slices.Equal(got[6:10], want) {
			t.Errorf("walks %v, want at last %v", got, want)
		}
		records, err := r.store.Sources(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began := s.seen()[n+6].Began
		if st := records[0].State; !st.LastApplied.Equal(began) || !st.DataThrough.Equal(began) || !r.status().Up {
			t.Errorf("present read at %s, data through %s, want %s, when the newest part began",
				st.LastApplied, st.DataThrough, began)
		}
	})
}

// TestEmptyPartIsHeld: a part that turns empty could be the beginning of a window that
// did. It is looked at three times over an hour and then followed; the other parts
// neither end nor restart that.
func TestEmptyPartIsHeld(t *testing.T) {
	for _, tt := range []struct {
		name   string
		gone   spend.Window
		counts int // applied parts of the present meanwhile
	}{
		{"the newest", win("2026-11-13", "2026-11-24"), 0},
		{"the oldest", win("2026-11-01", "2026-11-13"), 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			story(t, "2026-11-24T10:00:00Z", func(t *testing.T, r *rig) {
				s := r.add(acme)
				billed(s, win("2026-11-01", "2026-11-25"), "1")
				s.set(func(s *script) { delete(s.bill, day("2026-11-24")) })
				r.start()
				time.Sleep(minute)
				through := r.status().DataThrough
				s.set(func(s *script) {
					for d := tt.gone.From; d < tt.gone.To; d++ {
						delete(s.bill, d)
					}
					s.before = func(_ context.Context, w walk, _ int) error {
						if w.Window.Days() > 12 {
							return refuse(spend.TooLarge)
						}
						return nil
					}
				})
				n := len(r.applied("current"))
				time.Sleep(4*quarter - minute)
				if st := r.status(); !st.Held || !st.Up || st.LastOutcome != spend.Held || !st.DataThrough.Equal(through) {
					t.Errorf("status %+v", st)
				}
				r.wantTotal(november, "23")
				if got := len(r.applied("current")) - n; got != tt.counts-tt.counts/4 {
					t.Errorf("%d parts applied meanwhile, want %d", got, tt.counts-tt.counts/4)
				}
				time.Sleep(2 * quarter)
				r.wantTotal(november, fmt.Sprint(23-tt.gone.Days()))
				if st := r.status(); st.Held || !st.Up || !st.DataThrough.After(through) {
					t.Errorf("after more than an hour: %+v", st)
				}
			})
		})
	}
}

// TestWindowThatTurnsEmptyWasReadInParts: an account that shrinks to nothing is walked
// whole again, and its window is held as a whole. The walk of the newest part that came
// first tells nothing of the other days: they too are looked at over an hour.
func TestWindowThatTurnsEmptyWasReadInParts(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		billed(s, win("2026-11-01", "2026-11-24"), "1")
		heavy(s, 12, nil)
		r.start()
		time.Sleep(minute)
		r.wantTotal(november, "23")
		s.set(func(s *script) { clear(s.bill) })
		n := len(s.seen())
		time.Sleep(5 * quarter)
		if got := windows(s.seen()[n:])[:2]; got[0] == got[1] {
			t.Errorf("walks %v, want a part and then the whole", got)
		}
		r.wantTotal(november, "23")
		if !r.status().Held {
			t.Fatal("not held")
		}
		time.Sleep(quarter)
		r.wantTotal(november, "0")
		if st := r.status(); st.Held || !st.Up {
			t.Errorf("status %+v", st)
		}
		applied := r.applied("current")
		if got := applied[len(applied)-1]; got != "2026-11-01..2026-11-23" {
			t.Errorf("believed of %s, want the whole window", got)
		}
	})
}

// TestPreviousMonthInParts counts as read when all its parts were.
func TestPreviousMonthInParts(t *testing.T) {
	story(t, "2026-12-02T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		r.cfgs[0].Lookback = oneDay
		billed(s, win("2026-11-01", "2026-12-03"), "1")
		r.start()
		time.Sleep(minute)
		heavy(s, 8, around(day("2026-11-03"), spend.Schema))
		r.offset.Add(int64(oneDay))
		time.Sleep(hour)
		if n := len(r.applied("previous_month")); n < 3 {
			t.Errorf("%d parts of November, want those after the 3rd", n)
		}
		heal(s)
		heavy(s, 8, nil)
		time.Sleep(hour)
		n := len(r.applied("previous_month"))
		if got := r.applied("previous_month")[n-1]; !strings.HasPrefix(got, "2026-11-01..") {
			t.Errorf("the last part is %s", got)
		}
		time.Sleep(hour)
		if got := len(r.applied("previous_month")); got != n {
			t.Errorf("November was read again in %d parts on the same day", got-n)
		}
		if st := r.status(); !st.Up || st.LastError != "" {
			t.Errorf("status %+v", st)
		}
	})
}

// TestHeldPartOfThePreviousMonth: pulls of the present between its walks do not end the
// hold, and neither does the fifth of the month.
func TestHeldPartOfThePreviousMonth(t *testing.T) {
	story(t, "2026-12-04T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		r.cfgs[0].Lookback = oneDay
		billed(s, win("2026-11-01", "2026-12-05"), "1")
		r.start()
		time.Sleep(minute)
		r.offset.Add(int64(13 * hour)) // 4 December, 23:01
		time.Sleep(quarter)
		s.set(func(s *script) {
			for d := day("2026-11-16"); d < day("2026-12-01"); d++ {
				delete(s.bill, d)
			}
			s.before = func(_ context.Context, w walk, _ int) error {
				if w.Window.Days() > 16 {
					return refuse(spend.TooLarge)
				}
				return nil
			}
		})
		r.offset.Add(int64(24 * hour)) // 5 December, 23:16
		time.Sleep(40 * minute)
		if st := r.status(); !st.Held {
			t.Errorf("on the fifth: %+v", st)
		}
		r.wantTotal(november, "30")
		time.Sleep(hour)
		if st := r.status(); st.Held || !st.Up {
			t.Errorf("on the sixth: %+v", st)
		}
		r.wantTotal(november, "15")
	})
}

// TestHistoryEndsAtADayTooLarge: what is newer counts as covered, the day and what is
// older do not.
func TestHistoryEndsAtADayTooLarge(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		billed(s, win("2026-10-01", "2026-11-24"), "1")
		heavy(s, 100, around(day("2026-10-10"), spend.TooLarge))
		r.start()
		time.Sleep(2 * hour)
		st := r.status()
		if st.CoveredFrom != day("2026-10-11") || st.HistoryDone || !strings.Contains(st.LastError, "2026-10-10 alone") {
			t.Errorf("status %+v", st)
		}
		r.wantTotal(win("2026-01-01", "2027-01-01"), "44")
	})
}

// TestSizesThatWorkedOutliveAFailure: a limit, a key or an outage between two parts is no
// reason to look for the sizes again, all the way down from a walk of everything.
func TestSizesThatWorkedOutliveAFailure(t *testing.T) {
	for _, o := range []spend.Outcome{spend.RateLimited, spend.Auth, spend.Server} {
		t.Run(string(o), func(t *testing.T) {
			story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
				s := r.add(acme)
				billed(s, win("2026-11-01", "2026-11-24"), "1")
				heavy(s, 6, around(day("2026-11-02"), o))
				r.start()
				time.Sleep(minute / 2)
				n := len(s.seen())
				heavy(s, 6, nil)
				time.Sleep(quarter + 2*minute)
				want := []string{
					"2026-11-18..2026-11-23 1", "2026-11-12..2026-11-17 1", "2026-11-06..2026-11-11 1",
					"2026-11-01..2026-11-05 1",
				}
				var got []string
				for _, w := range s.seen()[n:][:4] {
					got = append(got, fmt.Sprint(w.Window, " ", w.Buckets))
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("walks of the next pull (-want +got):\n%s", diff)
				}
			})
		})
	}
}
