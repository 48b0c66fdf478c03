package ingest_test

import (
	"context"
	"testing"
	"time"

	"github.com/aispend/aispend/spend"
)

// hurryEvery asks for data from since on, each second for as long as it takes.
func (r *rig) hurryEvery(since time.Time, seconds int) {
	for range seconds {
		r.runner.Hurry(acme, since)
		time.Sleep(time.Second)
	}
}

// TestHurryPullsOnce: however often somebody asks, one pull that begins after since is
// enough, and it shows in the status when it was applied.
func TestHurryPullsOnce(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		r.start()
		time.Sleep(minute)
		n, since := len(s.seen()), r.now()
		r.runner.Hurry(acme, since.Add(-2*minute)) // the first pull is newer
		time.Sleep(time.Second)
		if got := len(s.seen()); got != n {
			t.Errorf("%d pulls for data that is there", got-n)
		}
		since = r.now()
		if !r.status().LastApplied.Before(since) {
			t.Fatalf("status %+v before the pull", r.status())
		}
		r.hurryEvery(since, 60)
		if got := len(s.seen()); got != n+1 {
			t.Errorf("%d pulls, want one", got-n)
		}
		if st := r.status(); st.LastApplied.Before(since) {
			t.Errorf("status %+v after the pull", st)
		}
		r.runner.Hurry(spend.SourceID{Provider: "nobody"}, r.now())
	})
}

// TestHurryDuringAPull: one that began before since is followed by another, one that
// began after it is waited for.
func TestHurryDuringAPull(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		r.start()
		time.Sleep(minute)
		s.set(func(s *script) {
			s.before = func(context.Context, walk, int) error { time.Sleep(30 * time.Second); return nil }
		})
		n := len(s.seen())
		r.runner.Kick(acme)
		time.Sleep(10 * time.Second)
		since := r.now() // the pull under way began before
		r.hurryEvery(since, 40)
		if got := s.seen()[n:]; len(got) != 2 || !got[0].Began.Before(since) || got[1].Began.Before(since) {
			t.Errorf("pulls %+v, since %s", got, since)
		}
		r.hurryEvery(since, 120)
		if got := len(s.seen()) - n; got != 2 {
			t.Errorf("%d pulls, want 2", got)
		}
	})
}

// TestHurryDoesNotHammer: a provider that fails is asked once a minute, one that asked
// for a rest has it.
func TestHurryDoesNotHammer(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		r.start()
		time.Sleep(minute)
		s.set(func(s *script) {
			s.before = func(context.Context, walk, int) error { return refuse(spend.Server) }
		})
		n, since := len(s.seen()), r.now()
		r.hurryEvery(since, 600)
		if got := len(s.seen()) - n; got < 9 || got > 11 {
			t.Errorf("%d pulls in ten minutes, want one a minute", got)
		}
		heal(s)
		time.Sleep(minute)
		r.hurryEvery(since, 2)
		if st := r.status(); st.LastApplied.Before(since) || !st.Up {
			t.Errorf("status %+v", st)
		}
		s.set(func(s *script) {
			s.before = func(context.Context, walk, int) error {
				return &spend.PullError{Outcome: spend.RateLimited, RetryAfter: 10 * minute, Err: refuse(spend.RateLimited)}
			}
		})
		n = len(s.seen())
		r.hurryEvery(r.now(), 590)
		if got := len(s.seen()) - n; got != 1 {
			t.Errorf("%d pulls during the rest that the provider asked for", got-1)
		}
	})
}

// TestHurryComesBeforeHistory: whoever waits for the present does not wait for years
// of history.
func TestHurryComesBeforeHistory(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		r.opts.InitialHistory = 365 * oneDay
		s.set(func(s *script) {
			s.before = func(context.Context, walk, int) error { time.Sleep(20 * time.Second); return nil }
		})
		r.start()
		time.Sleep(minute)
		n := len(s.seen())
		if w := windows(s.seen()); w[n-1] == "2026-11-01..2026-11-23" || r.status().HistoryDone {
			t.Fatalf("walks %v: history should be read now", w)
		}
		r.runner.Hurry(acme, r.now())
		time.Sleep(time.Minute)
		got := windows(s.seen()[n:])
		if len(got) < 2 || got[0] != "2026-11-01..2026-11-23" || got[1] == got[0] {
			t.Errorf("walks after the hurry: %v", got)
		}
	})
}
