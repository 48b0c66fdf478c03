package ingest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/spend"
)

// TestRefusedHistoryIsAskedForLessAndLess: days that the provider refuses, say from
// before the organisation existed. They are asked for up to once a day, never taken
// for read, and stay in sight; everything else goes on.
func TestRefusedHistoryIsAskedForLessAndLess(t *testing.T) {
	for _, outcome := range []spend.Outcome{spend.Server, spend.Schema} {
		t.Run(string(outcome), func(t *testing.T) {
			story(t, "2026-11-20T10:00:00Z", func(t *testing.T, r *rig) {
				s := r.add(acme)
				r.opts.InitialHistory = 90 * oneDay
				s.before = func(_ context.Context, w walk, _ int) error {
					if w.Window.From < day("2026-09-01") {
						return refuse(outcome)
					}
					return nil
				}
				r.start()
				time.Sleep(75 * hour)
				var gaps []time.Duration
				var last time.Time
				present := 0
				for _, w := range s.seen() {
					switch {
					case w.Window.From >= day("2026-11-01"):
						present++
						continue
					case w.Window.From >= day("2026-09-01"):
						continue
					case !last.IsZero():
						gaps = append(gaps, w.Began.Sub(last))
					}
					last = w.Began
				}
				for i, g := range gaps {
					if g > 26*hour || i > 0 && g < gaps[i-1] && gaps[i-1] < 22*hour {
						t.Errorf("waits %v, want ever longer ones up to a day", gaps)
					}
				}
				if n := len(gaps); n < 7 || n > 14 || gaps[n-1] < 18*hour {
					t.Errorf("%d waits in three days, the last of %s", n, gaps[n-1])
				}
				if present < 290 {
					t.Errorf("%d pulls of the present in three days", present)
				}
				st := r.status()
				if !st.Up || st.LastOutcome != spend.OK || !strings.Contains(st.LastError, "scripted") || !st.LastErrorAt.Equal(last) {
					t.Errorf("status %+v, want up and the error of %s in sight", st, last)
				}
				if st.HistoryDone || st.CoveredFrom != day("2026-09-01") {
					t.Errorf("covered from %s, done %t", st.CoveredFrom, st.HistoryDone)
				}
				if _, ok := r.book.Snapshot().Statement(acme, day("2026-08-30")); ok {
					t.Error("a refused day has a statement")
				}
				if n := r.seen.outcomes()[outcome]; n != len(gaps)+1 {
					t.Errorf("%d refusals counted, want %d", n, len(gaps)+1)
				}
				heal(s)
				r.restart(0) // a restart asks at once
				time.Sleep(minute)
				if st := r.status(); !st.HistoryDone || st.LastError != "" || !st.Up {
					t.Errorf("healed: %+v", st)
				}
			})
		})
	}
}

// TestLostDaysWaitEachForItself: one that cannot be read again does not keep another from it,
// nor out of sight.
func TestLostDaysWaitEachForItself(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		billed(s, win("2026-09-01", "2026-11-24"), "1")
		r.opts.InitialHistory = 80 * oneDay
		r.start()
		time.Sleep(minute)
		r.stop()
		r.book = bookWithout(bookWithout(r.book, acme, day("2026-10-10")), acme, day("2026-09-10"))
		refuseDay(s, day("2026-10-10"), refuse(spend.Schema))
		r.start()
		time.Sleep(hour)
		r.wantTotal(win("2026-09-04", "2026-12-01"), "80")
		if _, ok := r.book.Snapshot().Statement(acme, day("2026-09-10")); !ok {
			t.Error("10 September waits for 10 October")
		}
		if st := r.status(); !strings.Contains(st.LastError, "scripted schema") {
			t.Errorf("status %+v", st)
		}
		heal(s)
		time.Sleep(2 * hour)
		r.wantTotal(win("2026-09-04", "2026-12-01"), "81")
		if st := r.status(); st.LastError != "" || !st.Up {
			t.Errorf("status %+v", st)
		}
	})
}

// TestOldFailureIsForgottenWithItsWindow: what went wrong with the previous month is no
// news once nobody asks for it.
func TestOldFailureIsForgottenWithItsWindow(t *testing.T) {
	story(t, "2026-12-05T22:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		r.cfgs[0].Lookback = oneDay
		r.start()
		time.Sleep(minute)
		r.stop()
		r.offset.Add(int64(30 * oneDay)) // 4 January, 22:00
		refuseDay(s, day("2026-12-02"), nil)
		r.start()
		time.Sleep(minute)
		refuseDay(s, day("2026-12-10"), refuse(spend.Schema))
		time.Sleep(3 * hour)
		if st := r.status(); !strings.Contains(st.LastError, "scripted schema") {
			t.Errorf("on the fifth: %+v", st)
		}
		time.Sleep(24 * hour)
		if st := r.status(); st.LastError != "" || !st.Up {
			t.Errorf("on the sixth: %+v", st)
		}
	})
}
