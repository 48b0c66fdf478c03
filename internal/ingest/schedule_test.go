package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/ingest"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// story runs a test of timing: its clock jumps from one timer to the next.
func story(t *testing.T, start string, f func(t *testing.T, r *rig)) {
	t.Helper()
	t.Parallel() // most of the time goes to the disk
	synctest.Test(t, func(t *testing.T) { f(t, newRig(t, start)) })
}

// windows describes walks shortly.
func windows(walks []walk) []string {
	var out []string
	for _, w := range walks {
		out = append(out, w.Window.String())
	}
	return out
}

// TestFirstLoad: the month so far at once, then whole months, newest first, each
// a pull of its own, without waiting for the interval.
func TestFirstLoad(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		r.opts.InitialHistory = 90 * oneDay
		for d := day("2026-08-01"); d <= day("2026-11-23"); d++ {
			s.bill[d] = []row{usd("m", "1.1")}
		}
		r.start()
		time.Sleep(5 * time.Second)
		want := []string{
			"2026-11-01..2026-11-23", "2026-10-01..2026-10-31", "2026-09-01..2026-09-30", "2026-08-25..2026-08-31",
		}
		if diff := cmp.Diff(want, windows(s.seen())); diff != "" {
			t.Errorf("walks (-want +got):\n%s", diff)
		}
		r.wantTotal(win("2026-01-01", "2027-01-01"), "100.1") // 91 days
		var kinds []string
		for _, p := range r.pulls(acme) {
			kinds = append(kinds, fmt.Sprint(p.Kind, " ", p.Verdict, " ", p.Outcome))
		}
		wantKinds := []string{"current applied ok", "history applied ok", "history applied ok", "history applied ok"}
		if diff := cmp.Diff(wantKinds, kinds); diff != "" {
			t.Errorf("pull records (-want +got):\n%s", diff)
		}
		if st := r.status(); !st.HistoryDone || st.CoveredFrom != day("2026-08-25") || !st.Up {
			t.Errorf("status %+v", st)
		}
		r.wantRevised("0", "0")
	})
}

// TestPresentIsRefreshedWhileHistoryLoads: months that take longer than the
// interval do not keep the present waiting, and a restart goes on in the middle.
func TestPresentIsRefreshedWhileHistoryLoads(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		r.opts.InitialHistory = 365 * oneDay
		s.before = func(_ context.Context, w walk, _ int) error {
			if w.Window.To < day("2026-11-24") {
				time.Sleep(4 * minute) // per page of 31 days
			}
			return nil
		}
		r.start()
		time.Sleep(18 * minute)
		// 0:00 present, then months until 15:00 is over, then the present again.
		want := []string{
			"2026-11-01..2026-11-23", "2026-10-01..2026-10-31", "2026-09-01..2026-09-30", "2026-08-01..2026-08-31",
			"2026-07-01..2026-07-31", "2026-11-01..2026-11-23", "2026-06-01..2026-06-30",
		}
		if diff := cmp.Diff(want, windows(s.seen())); diff != "" {
			t.Errorf("walks (-want +got):\n%s", diff)
		}
		r.restart(time.Second) // cuts June off
		time.Sleep(10 * time.Second)
		if got := windows(s.seen())[len(want):]; !slices.Equal(got, []string{"2026-06-01..2026-06-30"}) {
			t.Errorf("after the restart: %v, want June again", got)
		}
	})
}

// TestPreviousMonthOnceADay: while a bill closes, the whole previous month is
// read once on each of the first five days and never afterwards.
func TestPreviousMonthOnceADay(t *testing.T) {
	story(t, "2026-11-30T20:00:00Z", func(t *testing.T, r *rig) {
		r.add(acme)
		r.cfgs[0].Interval = 10 * time.Second
		r.start()
		time.Sleep(minute)
		var days []string
		for range 9 * 2 {
			r.skip(12*hour - minute)
			time.Sleep(minute)
		}
		for _, p := range r.pulls(acme) {
			if p.Kind == ingest.KindPreviousMonth {
				days = append(days, spend.DayOf(p.Started).String())
				if p.Window != win("2026-11-01", "2026-12-01") {
					t.Errorf("window %s", p.Window)
				}
			}
		}
		want := []string{"2026-12-01", "2026-12-02", "2026-12-03", "2026-12-04", "2026-12-05"}
		if diff := cmp.Diff(want, days); diff != "" {
			t.Errorf("November was read on (-want +got):\n%s", diff)
		}
	})
}

// TestLatePreviousMonthReachesTheLedger: what the bill of the previous month says
// days after its end is followed, though the lookback is shorter.
func TestLatePreviousMonthReachesTheLedger(t *testing.T) {
	story(t, "2026-11-30T22:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		r.cfgs[0].Lookback = oneDay
		s.bill[day("2026-11-10")] = []row{usd("m", "5")}
		r.start()
		time.Sleep(minute)
		r.skip(oneDay)
		s.set(func(s *script) { s.bill[day("2026-11-10")] = []row{usd("m", "6.5")} })
		r.skip(oneDay)
		time.Sleep(minute)
		r.wantTotal(win("2026-11-01", "2026-12-01"), "6.5")
		r.wantRevised("1.5", "0")
	})
}

// TestMidnightDuringAPull, of a month's last day: the walk under way keeps the window
// that it began with; what is walked again after it asks for the new day.
func TestMidnightDuringAPull(t *testing.T) {
	story(t, "2026-11-30T23:43:30Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		s.bill[day("2026-11-30")] = []row{usd("m", "2")}
		r.start()
		time.Sleep(minute)
		n := len(s.seen())
		s.set(func(s *script) {
			s.bill[day("2026-12-01")] = []row{usd("m", "1")}
			s.before = func(_ context.Context, w walk, _ int) error {
				time.Sleep(3 * minute)
				if w.Buckets == 31 {
					return refuse(spend.TooLarge)
				}
				return nil
			}
		})
		time.Sleep(21 * minute) // from 23:58:30 to 00:04:30
		// November once more, because it is now the previous month.
		want := []string{"2026-11-01..2026-11-30", "2026-11-23..2026-12-01", "2026-11-01..2026-11-30"}
		if got := windows(s.seen()[n:]); !slices.Equal(got, want) {
			t.Errorf("walks %v, want %v", got, want)
		}
		if got := r.status().DataThrough; !got.Equal(s.seen()[n+1].Began) {
			t.Errorf("data through %s", got)
		}
		r.wantTotal(win("2026-11-01", "2026-12-01"), "2")
		r.wantTotal(win("2026-12-01", "2026-12-02"), "1")
	})
}

// TestDowntimeWidensTheWindow: after days off, the next pull reaches back to the
// lookback before the last applied one, in one window.
func TestDowntimeWidensTheWindow(t *testing.T) {
	story(t, "2026-10-20T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		s.bill[day("2026-10-19")] = []row{usd("m", "1")}
		r.start()
		time.Sleep(minute)
		s.set(func(s *script) { s.bill[day("2026-10-14")] = []row{usd("m", "2")} })
		n := len(s.seen())
		r.restart(34 * oneDay)
		time.Sleep(minute)
		if got := windows(s.seen()[n:]); !slices.Equal(got, []string{"2026-10-13..2026-11-23"}) {
			t.Errorf("walks after the downtime: %v", got)
		}
		r.wantTotal(win("2026-10-01", "2026-12-01"), "3")
	})
}

// TestPollsKeepTheirInterval: the interval counts from start to start.
func TestPollsKeepTheirInterval(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		s.before = func(context.Context, walk, int) error { time.Sleep(2 * minute); return nil }
		r.start()
		time.Sleep(hour + 10*minute)
		var starts []time.Duration
		first := s.seen()[0].Began
		for _, w := range s.seen() {
			if w.Window.Contains(day("2026-11-23")) {
				starts = append(starts, w.Began.Sub(first))
			}
		}
		want := []time.Duration{0, quarter, 2 * quarter, 3 * quarter, 4 * quarter}
		if diff := cmp.Diff(want, starts); diff != "" {
			t.Errorf("starts (-want +got):\n%s", diff)
		}
	})
}

// TestRestartsDoNotHammer: a daemon that is restarted every minute pulls the
// present once in an interval, and a walk that takes the daemon down is not
// repeated at once.
func TestRestartsDoNotHammer(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		r.start()
		for range 29 {
			time.Sleep(30 * time.Second)
			r.restart(30 * time.Second)
		}
		time.Sleep(30 * time.Second)
		present := 0
		for _, w := range s.seen() {
			if w.Window.Contains(day("2026-11-23")) {
				present++
			}
		}
		if present != 2 {
			t.Errorf("%d pulls of the present in 29.5 minutes of restarts, want 2", present)
		}
	})
}

func TestPullCutOffByAKillIsNotRepeatedAtOnce(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		// What a kill leaves behind: a pull that began and never ended.
		w, err := r.store.Begin(t.Context(), store.Pull{
			Source: acme, Window: win("2026-11-01", "2026-11-24"), Kind: ingest.KindCurrent, Buckets: 31, Started: r.now(),
		})
		if err != nil {
			t.Fatal(err)
		}
		big := make([]byte, 400<<10) // more than the store buffers
		_, _ = rand.NewChaCha8([32]byte{}).Read(big)
		if err := w.Page(t.Context(), spend.Page{Status: 200, FetchedAt: r.now(), Body: big}); err != nil {
			t.Fatal(err)
		}
		r.restart(10 * time.Second)
		time.Sleep(49 * time.Second)
		if n := len(s.seen()); n != 0 {
			t.Errorf("%d walks within a minute of the one that was cut off", n)
		}
		time.Sleep(5 * time.Second)
		if n := len(s.seen()); n == 0 {
			t.Error("no walk after the backoff")
		}
	})
}

// TestEachSourceHasItsOwnLoop: a source that hangs in its timeout and one that
// panics leave the others on their interval.
func TestEachSourceHasItsOwnLoop(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		hangs := r.add(acme)
		panics := r.add(spend.SourceID{Provider: "anthropic", Account: "default", Source: "anthropic/cost_report"})
		works := r.add(spend.SourceID{Provider: "openai", Account: "beta", Source: "openai/costs"})
		r.cfgs[0].Timeout = 300 * hour
		hangs.before = func(ctx context.Context, _ walk, _ int) error { <-ctx.Done(); return ctx.Err() }
		panics.decode = func() { panic("index out of range") }
		works.bill[day("2026-11-22")] = []row{usd("m", "2.5")}
		r.start()
		time.Sleep(hour + minute)
		if n := len(works.seen()); n != 6 { // the month, one of history, and four polls
			t.Errorf("%d walks of the working source in an hour, want 6", n)
		}
		r.wantTotal(win("2026-11-01", "2026-12-01"), "2.5")
		statuses := r.runner.Statuses()
		if !statuses[0].Pulling || statuses[1].Up || statuses[1].LastOutcome != spend.Decode || !statuses[2].Up {
			t.Errorf("statuses: %+v", statuses)
		}
	})
}

// TestStartsAreSpread: sources that were read before do not all fire at once.
func TestStartsAreSpread(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		var scripts []*script
		for i := range 4 {
			scripts = append(scripts, r.add(spend.SourceID{
				Provider: "openai", Account: fmt.Sprint(i), Source: "openai/costs",
			}))
		}
		var n atomic.Int64
		r.opts.Rand = func() float64 { return float64(n.Add(1)%10) / 10 }
		r.start()
		time.Sleep(10 * time.Second)
		r.restart(hour)
		began := r.now()
		time.Sleep(10 * time.Second)
		starts := map[time.Time]bool{}
		for i, s := range scripts {
			walks := s.seen()
			start := walks[len(walks)-1].Began
			if d := start.Sub(began); d < 0 || d > 5*time.Second {
				t.Errorf("source %d starts after %s, want 0..5s", i, d)
			}
			starts[start] = true
		}
		if len(starts) != len(scripts) {
			t.Errorf("%d different starts of %d sources", len(starts), len(scripts))
		}
	})
}

// TestDisabledSourceIsShownAndNeverPulled.
func TestDisabledSourceIsShownAndNeverPulled(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		r.cfgs[0].Enabled = false
		r.start()
		time.Sleep(hour)
		if n := len(s.seen()); n != 0 {
			t.Errorf("%d walks of a source that is not enabled", n)
		}
		if st := r.status(); st.ID != acme || st.Enabled || st.Interval != quarter {
			t.Errorf("status %+v", st)
		}
		if !slices.Equal(r.seen.registered, []spend.SourceID{acme}) {
			t.Errorf("registered %v", r.seen.registered)
		}
	})
}

// TestRetryAfterIsKept: what the provider asks for, between one second and one
// hour, and never less than the backoff.
func TestRetryAfterIsKept(t *testing.T) {
	for _, tt := range []struct{ asked, least, most time.Duration }{
		{0, 45 * time.Second, minute},
		{time.Second, 45 * time.Second, minute},
		{10 * minute, 10 * minute, 10 * minute},
		{240 * hour, hour, hour},
	} {
		t.Run(tt.asked.String(), func(t *testing.T) {
			story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
				s := r.add(acme)
				s.before = func(_ context.Context, _ walk, _ int) error {
					return &spend.PullError{Outcome: spend.RateLimited, RetryAfter: tt.asked, Err: errors.New("429")}
				}
				r.start()
				for len(s.seen()) < 2 {
					time.Sleep(minute)
				}
				w := s.seen()
				if d := w[1].Began.Sub(w[0].Began); d < tt.least || d > tt.most {
					t.Errorf("second walk %s after the first, want %s..%s", d, tt.least, tt.most)
				}
			})
		})
	}
}

// TestBackoffGrowsToTheInterval: what time may heal is tried after a minute, then
// more and more slowly, and at once on the interval again when it is healed.
func TestBackoffGrowsToTheInterval(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		s.before = func(context.Context, walk, int) error { return refuse(spend.Network) }
		r.opts.Rand = func() float64 { return 0 }
		r.start()
		time.Sleep(70 * minute)
		var gaps []time.Duration
		w := s.seen()
		for i := range w[1:] {
			gaps = append(gaps, w[i+1].Began.Sub(w[i].Began))
		}
		want := []time.Duration{minute, 2 * minute, 4 * minute, 8 * minute, quarter, quarter, quarter}
		if diff := cmp.Diff(want, gaps); diff != "" {
			t.Errorf("waits between walks (-want +got):\n%s", diff)
		}
	})
}

// TestRotatedKeyPullsAtOnce: a refused key waits for the interval, and another
// fingerprint ends the wait within seconds, without a restart.
func TestRotatedKeyPullsAtOnce(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		var print atomic.Value
		print.Store("old")
		r.cfgs[0].CredentialChanged = func() string { return print.Load().(string) }
		s.before = func(context.Context, walk, int) error {
			if print.Load() == "new" {
				return nil
			}
			return refuse(spend.Auth)
		}
		r.start()
		time.Sleep(10 * minute)
		if n := len(s.seen()); n != 1 {
			t.Fatalf("%d walks with the refused key in 10 minutes, want 1", n)
		}
		print.Store("new")
		time.Sleep(6 * time.Second)
		if st := r.status(); !st.Up || st.LastError != "" {
			t.Errorf("six seconds after the rotation: %+v", st)
		}
		if diff := cmp.Diff(map[spend.Outcome]int{spend.Auth: 1, spend.OK: 2}, r.seen.outcomes()); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
	})
}
