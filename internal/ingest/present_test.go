package ingest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/spend"
)

// refuseDay makes every walk fail that asks for d.
func refuseDay(s *script, d spend.Day, err error) {
	s.set(func(s *script) {
		s.before = func(_ context.Context, w walk, _ int) error {
			if w.Window.Contains(d) {
				return err
			}
			return nil
		}
	})
}

// heal ends refuseDay.
func heal(s *script) { s.set(func(s *script) { s.before = nil }) }

// TestBadDayStarvesNothingElse: one day of the present cannot be read, from the very
// first pull on. The months before it are loaded all the same, nothing that tells
// the health of the source is any better for it, and nothing is missing afterwards.
func TestBadDayStarvesNothingElse(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		r.opts.InitialHistory = 90 * oneDay
		for d := day("2026-08-01"); d <= day("2026-11-23"); d++ {
			s.bill[d] = []row{usd("m", "1")}
		}
		refuseDay(s, day("2026-11-20"), refuse(spend.Schema))
		r.start()
		time.Sleep(quarter - minute)
		want := []string{
			"2026-11-01..2026-11-23", "2026-10-01..2026-10-31", "2026-09-01..2026-09-30", "2026-08-25..2026-08-31",
		}
		if diff := cmp.Diff(want, windows(s.seen())); diff != "" {
			t.Errorf("walks (-want +got):\n%s", diff)
		}
		r.wantTotal(win("2026-01-01", "2027-01-01"), "68")
		unread := func(why string) {
			t.Helper()
			st := r.status()
			if st.Up || st.LastOutcome != spend.Schema || !strings.Contains(st.LastError, "scripted schema") ||
				!st.LastSuccess.IsZero() || !st.DataThrough.IsZero() {
				t.Errorf("%s: status %+v", why, st)
			}
		}
		unread("with all months loaded")
		if diff := cmp.Diff(map[spend.Outcome]int{spend.Schema: 1, spend.OK: 3}, r.seen.outcomes()); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
		r.restart(0)
		unread("after a restart")
		heal(s)
		time.Sleep(2 * minute)
		r.wantTotal(win("2026-01-01", "2027-01-01"), "91")
		st := r.status()
		if !st.Up || st.LastError != "" || st.CoveredFrom != day("2026-08-25") || !st.HistoryDone ||
			!st.DataThrough.Equal(s.seen()[len(s.seen())-1].Began) {
			t.Errorf("healed: %+v", st)
		}
		r.wantRevised("0", "0")
	})
}

// TestMonthThatNobodyCouldRead: the present fails over the end of a month and heals in
// the next one. What it left out is read, whole.
func TestMonthThatNobodyCouldRead(t *testing.T) {
	story(t, "2026-11-30T23:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		for d := day("2026-10-01"); d <= day("2026-12-01"); d++ {
			s.bill[d] = []row{usd("m", "1")}
		}
		refuseDay(s, day("2026-11-30"), refuse(spend.Decode))
		r.start()
		time.Sleep(90 * minute)
		r.wantTotal(win("2026-01-01", "2027-01-01"), "32") // October, and December so far
		heal(s)
		time.Sleep(hour)
		r.wantTotal(win("2026-01-01", "2027-01-01"), "62")
	})
}

// TestPreviousMonthWhileThePresentFails: the present has failed for weeks, so its window
// has grown over the previous month, whose bill closes meanwhile.
func TestPreviousMonthWhileThePresentFails(t *testing.T) {
	story(t, "2026-11-05T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		s.bill[day("2026-11-03")] = []row{usd("m", "5")}
		r.start()
		time.Sleep(minute)
		through := r.status().DataThrough
		s.set(func(s *script) {
			s.bill[day("2026-11-03")] = []row{usd("m", "6")}
			s.bill[day("2026-11-29")] = []row{usd("m", "10")}
		})
		refuseDay(s, day("2026-12-01"), refuse(spend.Schema))
		n := len(s.seen())
		r.offset.Add(int64(26 * oneDay))
		time.Sleep(quarter)
		want := []string{"2026-10-29..2026-12-01", "2026-11-01..2026-11-30"}
		if got := windows(s.seen()[n:]); !slices.Equal(got, want) {
			t.Errorf("walks %v, want %v", got, want)
		}
		r.wantTotal(november, "16")
		if st := r.status(); st.Up || !st.DataThrough.Equal(through) || st.LastOutcome != spend.Schema {
			t.Errorf("status %+v, data through before %s", st, through)
		}
	})
}

// TestOnlyAFaultOfTheWindowLetsOthersIn: while the key is refused, the provider asks
// for a rest or cannot be reached, nothing but the present is asked for.
func TestOnlyAFaultOfTheWindowLetsOthersIn(t *testing.T) {
	pause := func(o spend.Outcome) error {
		return &spend.PullError{Outcome: o, RetryAfter: 5 * minute, Err: errors.New("later")}
	}
	tests := []struct {
		name   string
		err    error
		others bool
	}{
		{"schema", refuse(spend.Schema), true},
		{"decode", refuse(spend.Decode), true},
		{"pagination", refuse(spend.Pagination), true},
		{"incomplete", refuse(spend.Incomplete), true},
		{"too large", refuse(spend.TooLarge), true},
		{"auth", refuse(spend.Auth), false},
		{"permission", refuse(spend.Permission), false},
		{"not found", refuse(spend.NotFound), false},
		{"rate limited", refuse(spend.RateLimited), false},
		{"network", refuse(spend.Network), false},
		{"timeout", refuse(spend.Timeout), false},
		{"store", refuse(spend.StoreFailed), false},
		{"server that asks for a rest", pause(spend.Server), false},
		{"schema of one that asks for a rest", pause(spend.Schema), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
				s := r.add(acme)
				refuseDay(s, day("2026-11-20"), tt.err)
				r.start()
				time.Sleep(hour)
				october := slices.ContainsFunc(s.seen(), func(w walk) bool { return w.Window == win("2026-10-01", "2026-11-01") })
				if october != tt.others {
					t.Errorf("October was asked for: %t, want %t", october, tt.others)
				}
				if st := r.status(); st.Up || st.LastOutcome != spend.OutcomeOf(tt.err, "") {
					t.Errorf("status %+v", st)
				}
			})
		})
	}
}

// TestServerErrorLetsOthersInOnceItLasts: a status like 500 may be an outage, in which
// more requests only hurt. It is the fault of a window when the backoff did not heal it.
func TestServerErrorLetsOthersInOnceItLasts(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		refuseDay(s, day("2026-11-20"), refuse(spend.Server))
		r.start()
		time.Sleep(12 * minute)
		if got := windows(s.seen()); len(got) != 4 || got[3] != got[0] {
			t.Errorf("walks in the first minutes: %v, want the present only", got)
		}
		time.Sleep(5 * minute)
		if got := windows(s.seen()); len(got) != 6 || got[5] != "2026-10-01..2026-10-31" {
			t.Errorf("walks after the backoff: %v, want October at last", got)
		}
	})
}

// TestOthersGoOnWhenThePresentHeals: what failed along with the present does not wait
// for a backoff of its own.
func TestOthersGoOnWhenThePresentHeals(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		s.before = func(context.Context, walk, int) error { return refuse(spend.Schema) } // a proxy's page
		r.start()
		time.Sleep(8 * hour)
		heal(s)
		time.Sleep(quarter + minute)
		if st := r.status(); !st.Up || !st.HistoryDone || st.LastError != "" {
			t.Errorf("status %+v", st)
		}
	})
}

// TestKickedPresentComesFirst: somebody who asks for the present gets it also while
// it fails and others have their turn.
func TestKickedPresentComesFirst(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		refuseDay(s, day("2026-11-20"), refuse(spend.Schema))
		r.start()
		time.Sleep(minute)
		n := len(s.seen())
		r.runner.Kick(acme)
		time.Sleep(time.Second)
		if got := windows(s.seen()[n:]); len(got) == 0 || got[0] != "2026-11-01..2026-11-23" {
			t.Errorf("walks %v", got)
		}
	})
}
