package ingest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// TestHalving: a page that is too large, and a walk that takes too long, are
// walked again with half the buckets; only the final outcome is counted.
func TestHalving(t *testing.T) {
	tests := []struct {
		name    string
		fits    int // most buckets that work
		outcome spend.Outcome
		sizes   []int
		want    spend.Outcome
	}{
		{"fits at once", 31, spend.TooLarge, []int{31}, spend.OK},
		{"too large above 8", 8, spend.TooLarge, []int{31, 15, 7}, spend.OK},
		{"one bucket fits", 1, spend.TooLarge, []int{31, 15, 7, 3, 1}, spend.OK},
		{"not even one bucket fits", 0, spend.TooLarge, []int{31, 15, 7, 3, 1}, spend.TooLarge},
		{"too slow above 15", 15, spend.Timeout, []int{31, 15}, spend.OK},
		{"always too slow", 0, spend.Timeout, []int{31, 15, 7, 3, 1}, spend.Timeout},
		{"another failure is not walked again", 0, spend.Server, []int{31}, spend.Server},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
				s := r.add(acme)
				s.bill[day("2026-11-20")] = []row{usd("m", "1")}
				s.before = func(ctx context.Context, w walk, _ int) error {
					switch {
					case w.Buckets <= tt.fits:
						return nil
					case tt.outcome == spend.Timeout:
						<-ctx.Done()
						return spend.Classify(spend.Network, ctx.Err())
					}
					return refuse(tt.outcome)
				}
				r.opts.InitialHistory = oneDay
				r.start()
				time.Sleep(26 * minute) // five timeouts of five minutes
				var sizes []int
				for _, w := range s.seen() {
					if w.Window.From == day("2026-11-01") && len(sizes) < len(tt.sizes) {
						sizes = append(sizes, w.Buckets)
					}
				}
				if diff := cmp.Diff(tt.sizes, sizes); diff != "" {
					t.Errorf("buckets (-want +got):\n%s", diff)
				}
				for i, p := range r.pulls(acme)[:len(tt.sizes)] {
					want, outcome := store.Failed, tt.outcome
					if i == len(tt.sizes)-1 && tt.want == spend.OK {
						want, outcome = store.Applied, spend.OK
					}
					if p.Verdict != want || p.Outcome != outcome || p.Buckets != tt.sizes[i] {
						t.Errorf("record of attempt %d: %+v", i, p)
					}
					if tt.outcome == spend.Timeout && want == store.Failed && p.Finished.Sub(p.Started) != 5*minute {
						t.Errorf("attempt %d took %s, want its own five minutes", i, p.Finished.Sub(p.Started))
					}
				}
				if n := r.seen.outcomes(); tt.want == spend.OK && n[tt.outcome] != 0 {
					t.Errorf("walks that were repeated are counted: %v", n)
				}
			})
		})
	}
}

// TestWorkingSizeIsRememberedForTheDay: until midnight UTC, then the most again.
func TestWorkingSizeIsRememberedForTheDay(t *testing.T) {
	story(t, "2026-11-23T23:20:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		s.before = func(_ context.Context, w walk, _ int) error {
			if w.Buckets > 10 {
				return refuse(spend.TooLarge)
			}
			return nil
		}
		r.start()
		time.Sleep(hour)
		var got []string
		for _, w := range s.seen() {
			if w.Window.Contains(day("2026-11-23")) {
				got = append(got, fmt.Sprint(w.Began.UTC().Format("15:04 "), w.Buckets))
			}
		}
		want := []string{
			"23:20 31", "23:20 15", "23:20 7", "23:35 7", "23:50 7", "00:05 31", "00:05 15", "00:05 7",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("walks (-want +got):\n%s", diff)
		}
	})
}

// TestTimeoutBoundsTheWholeWalk: pages that each come in time do not add up to
// more than the timeout.
func TestTimeoutBoundsTheWholeWalk(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		s.before = func(ctx context.Context, w walk, _ int) error {
			select {
			case <-time.After(4 * minute):
				return nil
			case <-ctx.Done():
				return spend.Classify(spend.Network, ctx.Err())
			}
		}
		r.cfgs[0].Timeout = 10 * minute
		s.bill[day("2026-11-20")] = []row{usd("m", "1")}
		r.start()
		time.Sleep(10 * minute)
		first := r.pulls(acme)[0]
		if first.Pages != 1 || first.Outcome != spend.OK {
			t.Fatalf("one page in 4 of 10 minutes: %+v", first)
		}
		// A window of two pages fits, one of three does not.
		r.cfgs[0].Lookback = 80 * oneDay
		r.restart(0)
		time.Sleep(quarter + 10*minute)
		pulls := r.pulls(acme)
		last := pulls[len(pulls)-1]
		if last.Outcome != spend.Timeout || last.Pages != 2 || last.Finished.Sub(last.Started) != 10*minute {
			t.Errorf("three pages of 4 minutes: %+v, want a timeout after 10", last)
		}
	})
}
