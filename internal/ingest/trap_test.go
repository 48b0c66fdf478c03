package ingest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/spend"
)

// The traps are those of shared/apis/openai-anthropic.md section 4 that ingest
// has to avoid; the others belong to the vendors' packages.

// TestTrap11_RereadReplaces: adding re-read buckets doubles on every poll.
func TestTrap11_RereadReplaces(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		loaded(t, r)
		time.Sleep(4 * quarter)
		if n := r.seen.outcomes()[spend.OK]; n != 4 {
			t.Fatalf("%d polls, want 4", n)
		}
		r.wantTotal(november, "3.5")
		r.restart(0)
		r.wantTotal(november, "3.5")
	})
}

// TestTrap12_PageByPage: committing page by page shows half a month.
func TestTrap12_PageByPage(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := loaded(t, r)
		s.set(func(s *script) {
			clear(s.bill)
			s.bill[day("2026-11-20")] = []row{usd("m", "100")}
			s.before = func(_ context.Context, w walk, page int) error {
				if w.Buckets > 2 {
					return refuse(spend.TooLarge) // twelve pages
				}
				if page > 0 {
					r.wantTotal(november, "3.5")
				}
				if page == 11 && w.Began.Before(at("2026-11-23T10:16:00Z")) {
					return refuse(spend.Network)
				}
				time.Sleep(time.Second)
				return nil
			}
		})
		time.Sleep(quarter)
		r.wantTotal(november, "3.5") // broken off at the last page
		time.Sleep(2 * minute)
		r.wantTotal(november, "100")
	})
}

// TestTrap24_EmptyTodayIsNoLoss: an empty day that is still running is shown as
// what it is; the month stays.
func TestTrap24_EmptyTodayIsNoLoss(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := loaded(t, r)
		s.set(func(s *script) { s.bill[day("2026-11-23")] = []row{usd("m", "2")} })
		time.Sleep(quarter)
		r.wantTotal(november, "5.5")
		s.set(func(s *script) { delete(s.bill, day("2026-11-23")) })
		time.Sleep(quarter)
		r.wantTotal(november, "3.5")
		if st, ok := r.book.Snapshot().Statement(acme, day("2026-11-23")); !ok || !st.Empty() {
			t.Errorf("today: %+v, %t; want a day known to be empty", st, ok)
		}
		r.wantRevised("0", "0") // the day is not over
		if st := r.status(); st.Held {
			t.Error("one empty day holds the window")
		}
	})
}

// TestTrap25_StaleSuccess: a refused key keeps the last numbers but nothing that
// looks healthy.
func TestTrap25_StaleSuccess(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := loaded(t, r)
		before := r.status()
		s.set(func(s *script) {
			s.before = func(context.Context, walk, int) error { return refuse(spend.Auth) }
		})
		time.Sleep(hour)
		r.wantTotal(november, "3.5")
		st := r.status()
		if st.Up || st.LastOutcome != spend.Auth || st.LastError == "" ||
			!st.LastSuccess.Equal(before.LastSuccess) || !st.DataThrough.Equal(before.DataThrough) {
			t.Errorf("status %+v\nbefore %+v", st, before)
		}
		if diff := cmp.Diff(map[spend.Outcome]int{spend.Auth: 4}, r.seen.outcomes()); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
	})
}

// TestThousandRereadsLeaveSumsExact: 90 days of awkward decimals, read a thousand
// times, also through restarts.
func TestThousandRereadsLeaveSumsExact(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := &world{dir: dir, clock: at("2026-11-23T10:00:00Z"), model: truth{}}
	s := newScript(acme, w.now)
	w.scripts = []*script{s}
	var want spend.Money
	for d := day("2026-08-01"); d <= day("2026-11-23"); d++ {
		for i := range 3 {
			amount := fmt.Sprintf("%d.%07d%d1e-%d", i, int(d)*7919%10000000, i, int(d)%23)
			s.bill[d] = append(s.bill[d], usd(fmt.Sprint("m", i%2), amount))
			want = want.Add(spend.MustMoney(amount))
		}
	}
	w.open(t)
	rereads := 1000
	if testing.Short() {
		rereads = 50
	}
	for i := range rereads {
		w.clock = w.clock.Add(minute)
		step := 0
		if i < 10 {
			step = min(1, i) // the first load
		}
		res, _, ok := w.runner.PullOnce(t.Context(), acme, step)
		if ok && res.Outcome() != spend.OK {
			t.Fatalf("pull %d: %+v", i, res)
		}
		if i%250 == 249 {
			w.close(t)
			w.open(t)
		}
	}
	defer w.close(t)
	want = spend.Money{}
	for d := day("2026-10-01"); d <= day("2026-11-23"); d++ {
		for _, r := range s.bill[d] {
			want = want.Add(spend.MustMoney(r.Amount))
		}
	}
	if got := total(t, w.book, win("2026-10-01", "2026-12-01")); got != want.String() {
		t.Errorf("total is %s, want %s", got, want)
	}
}
