package ingest_test

import (
	"context"
	"testing"
	"time"

	"github.com/aispend/aispend/spend"
)

// TestVanishedMoneyIsHeld: a whole window that turns empty is believed after an
// hour and at least three complete walks, across a restart, and then followed.
func TestVanishedMoneyIsHeld(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := loaded(t, r)
		through := r.status().DataThrough
		s.set(func(s *script) { clear(s.bill) })
		time.Sleep(2 * quarter)
		st := r.status()
		if !st.Held || !st.Up || st.LastOutcome != spend.Held || !st.DataThrough.Equal(through) {
			t.Errorf("after two empty walks: %+v", st)
		}
		r.wantTotal(november, "3.5")
		r.restart(0) // the hold lies in the ledger
		if st := r.status(); !st.Held {
			t.Error("a restart forgot the hold")
		}
		s.set(func(s *script) {
			s.before = func(context.Context, walk, int) error { return refuse(spend.Decode) }
		})
		time.Sleep(quarter) // a failed walk neither counts nor clears
		s.set(func(s *script) { s.before = nil })
		time.Sleep(quarter)
		r.wantTotal(november, "3.5")
		if st := r.status(); !st.Held {
			t.Error("released before an hour was over")
		}
		time.Sleep(2 * quarter)
		r.wantTotal(november, "0")
		if st := r.status(); st.Held || !st.Up || st.LastOutcome != spend.OK {
			t.Errorf("after the hour: %+v", st)
		}
		r.wantRevised("0", "3.5")
		n := r.seen.outcomes()
		if n[spend.Held] < 3 || n[spend.Decode] != 1 {
			t.Errorf("outcomes %v", n)
		}
	})
}

// TestHoldIsClearedByMoney: one walk that finds money again ends the hold, and the
// count starts anew.
func TestHoldIsClearedByMoney(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := loaded(t, r)
		was := s.bill
		empty := map[spend.Day][]row{}
		for range 2 {
			s.set(func(s *script) { s.bill = empty })
			time.Sleep(4 * quarter) // four empty walks over 45 minutes
			if !r.status().Held {
				t.Fatal("not held")
			}
			s.set(func(s *script) { s.bill = was })
			time.Sleep(quarter)
			if r.status().Held {
				t.Fatal("still held")
			}
			r.wantTotal(november, "3.5")
		}
		r.wantRevised("0", "0")
	})
}

// TestHoldOfThePreviousMonth: the previous month, once held, is walked
// again on the interval, not in a loop, and released on its own.
func TestHoldOfThePreviousMonth(t *testing.T) {
	story(t, "2026-12-01T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		r.cfgs[0].Lookback = oneDay
		s.bill[day("2026-11-10")] = []row{usd("m", "5")}
		s.bill[day("2026-12-01")] = []row{usd("m", "1")}
		r.start()
		time.Sleep(minute)
		s.set(func(s *script) { delete(s.bill, day("2026-11-10")) })
		n := len(s.seen())
		r.skip(14 * hour)
		time.Sleep(90 * minute)
		var previous []time.Time
		for _, w := range s.seen()[n:] {
			if w.Window == november {
				previous = append(previous, w.Began)
			}
		}
		if len(previous) != 5 || previous[4].Sub(previous[0]) != hour {
			t.Errorf("November was read at %v, want five times in an hour", previous)
		}
		r.wantTotal(november, "0")
		r.wantTotal(win("2026-12-01", "2027-01-01"), "1")
	})
}

// TestHoldOutlivesTheFifth: the last reading of a month that closes finds it empty.
// The hold does not stay for a month because nobody looks any more.
func TestHoldOutlivesTheFifth(t *testing.T) {
	story(t, "2026-12-04T22:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		r.cfgs[0].Lookback = oneDay
		s.bill[day("2026-11-10")] = []row{usd("m", "5")}
		s.bill[day("2026-12-01")] = []row{usd("m", "1")}
		r.start()
		time.Sleep(minute)
		s.set(func(s *script) { delete(s.bill, day("2026-11-10")) })
		r.skip(25*hour + quarter)
		if !r.status().Held {
			t.Fatalf("not held: %+v", r.status())
		}
		time.Sleep(2 * hour) // over midnight
		if st := r.status(); st.Held || !st.Up {
			t.Errorf("on the sixth: %+v", st)
		}
		r.wantTotal(november, "0")
	})
}

// TestFirstLoadOfAnEmptyAccountIsNotHeld.
func TestFirstLoadOfAnEmptyAccountIsNotHeld(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		r.add(acme)
		r.start()
		time.Sleep(hour + quarter)
		if n := r.seen.outcomes(); n[spend.Held] != 0 || n[spend.OK] == 0 {
			t.Errorf("outcomes %v", n)
		}
		if st := r.status(); st.DataThrough.IsZero() || !st.HistoryDone {
			t.Errorf("status %+v", st)
		}
	})
}

// TestHoldEndsWithItsDays: while the present fails the previous month is found empty and
// held. Then a present that covers the month is read: nothing is left to be held.
func TestHoldEndsWithItsDays(t *testing.T) {
	story(t, "2026-11-28T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		r.cfgs[0].Lookback = 40 * oneDay
		s.bill[day("2026-11-10")] = []row{usd("m", "5")}
		r.start()
		time.Sleep(minute)
		refuseDay(s, day("2026-12-01"), refuse(spend.Schema))
		s.set(func(s *script) { delete(s.bill, day("2026-11-10")) })
		r.skip(3 * oneDay)
		time.Sleep(2 * minute)
		if !r.status().Held {
			t.Fatalf("not held: %+v", r.status())
		}
		s.set(func(s *script) { s.bill[day("2026-12-01")] = []row{usd("m", "1")} })
		heal(s)
		time.Sleep(quarter)
		if st := r.status(); st.Held || !st.Up {
			t.Errorf("the present was read: %+v", st)
		}
		r.wantTotal(november, "0")
	})
}

// TestLostDaysAreHeldEachForItself: two windows of days known by half turn out to be empty.
// Neither lets the other wait for ever.
func TestLostDaysAreHeldEachForItself(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		r.add(acme)
		r.opts.InitialHistory = 60 * oneDay
		r.start()
		time.Sleep(minute)
		r.stop()
		var half []spend.Statement
		for _, d := range []spend.Day{day("2026-10-05"), day("2026-10-09")} {
			half = append(half, spend.Statement{
				Day: d, ReadAt: d.Time().Add(hour),
				Charges: []spend.Charge{{Model: "m", Currency: spend.USD, Gross: spend.MustMoney("1")}},
			})
		}
		if err := r.store.Amend(t.Context(), acme, half); err != nil {
			t.Fatal(err)
		}
		r.close()
		r.open()
		r.start()
		r.wantTotal(win("2026-10-01", "2026-11-01"), "2")
		time.Sleep(hour)
		r.wantTotal(win("2026-10-01", "2026-11-01"), "2")
		if !r.status().Held {
			t.Fatal("not held")
		}
		time.Sleep(hour)
		r.wantTotal(win("2026-10-01", "2026-11-01"), "0")
		if st := r.status(); st.Held || !st.Up {
			t.Errorf("after two hours: %+v", st)
		}
	})
}

// TestPartsOfAFirstLoadAreHeld: what parts have brought is money that was there, although
// nothing counts as covered before the last of them.
func TestPartsOfAFirstLoadAreHeld(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		billed(s, win("2026-11-01", "2026-11-24"), "1")
		heavy(s, 12, around(day("2026-11-02"), spend.Network)) // which lets no history in
		r.start()
		time.Sleep(minute / 2)
		r.wantTotal(november, "12")
		s.set(func(s *script) { clear(s.bill) })
		heal(s)
		time.Sleep(hour)
		r.wantTotal(november, "12")
		if !r.status().Held {
			t.Error("not held")
		}
		time.Sleep(hour)
		r.wantTotal(november, "0")
		if st := r.status(); st.Held || !st.Up {
			t.Errorf("after two hours: %+v", st)
		}
	})
}

// TestPartWithMoneyEndsItsHold: also if another part fails then, so that what was counted
// before does not count when the part is found empty once more.
func TestPartWithMoneyEndsItsHold(t *testing.T) {
	story(t, "2026-11-24T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		billed(s, win("2026-11-01", "2026-11-25"), "1")
		r.start()
		time.Sleep(minute)
		newest := win("2026-11-13", "2026-11-25")
		empty := func() {
			s.set(func(s *script) {
				for d := newest.From; d < newest.To; d++ {
					delete(s.bill, d)
				}
			})
		}
		s.set(func(s *script) {
			s.before = func(_ context.Context, w walk, _ int) error {
				if w.Window.Days() > 12 {
					return refuse(spend.TooLarge)
				}
				return around(day("2026-11-02"), spend.Schema)(w)
			}
		})
		empty()
		time.Sleep(2 * quarter)
		if !r.status().Held {
			t.Fatalf("not held: %+v", r.status())
		}
		billed(s, newest, "1")
		time.Sleep(quarter)
		if st := r.status(); st.Held || st.Up {
			t.Errorf("money was found: %+v", st)
		}
		empty()
		time.Sleep(hour)
		r.wantTotal(november, "24")
		if !r.status().Held {
			t.Errorf("not held again: %+v", r.status())
		}
	})
}
