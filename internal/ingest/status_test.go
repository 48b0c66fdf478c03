package ingest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// TestPartIsNoSuccess: parts that a failure or a kill left alone are no applied pull, and
// no restart takes them for one.
func TestPartIsNoSuccess(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprint("killed ", killed), func(t *testing.T) {
			story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
				s := r.add(acme)
				billed(s, win("2026-10-01", "2026-11-24"), "1")
				heavy(s, 12, nil)
				r.start()
				time.Sleep(quarter + minute)
				before := r.status()
				r.restart(0)
				if st := r.status(); !st.Up || !st.LastSuccess.Equal(before.LastSuccess) {
					t.Fatalf("parts that came whole: last success %s, want %s", st.LastSuccess, before.LastSuccess)
				}
				heavy(s, 12, func(w walk) error {
					if w.Window.From != day("2026-11-01") {
						return nil
					}
					if killed {
						time.Sleep(hour)
					}
					return refuse(spend.Server)
				})
				n := len(r.applied("current"))
				time.Sleep(quarter)
				if len(r.applied("current")) == n {
					t.Fatal("no part was applied")
				}
				r.restart(0)
				st := r.status()
				if !st.LastSuccess.Equal(before.LastSuccess) || st.Up && !killed {
					t.Errorf("last success %s, up %t, want %s as before", st.LastSuccess, st.Up, before.LastSuccess)
				}
				if !st.DataThrough.Equal(before.DataThrough) {
					t.Errorf("data through %s, want %s", st.DataThrough, before.DataThrough)
				}
			})
		})
	}
}

// TestKilledWhileThePresentFails: a kill ends no failure, and what older days brought
// meanwhile is no success of the present.
func TestKilledWhileThePresentFails(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		billed(s, win("2026-10-01", "2026-11-24"), "1")
		heavy(s, 31, around(day("2026-11-02"), spend.Schema))
		r.start()
		time.Sleep(minute)
		before := r.status()
		if before.Up || !before.HistoryDone || !before.LastSuccess.IsZero() {
			t.Fatalf("status %+v", before)
		}
		r.stop()
		// As a kill between two parts leaves it.
		records, err := r.store.Sources(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w, err := r.store.Begin(t.Context(), store.Pull{
			Source: acme, Window: win("2026-11-13", "2026-11-24"), Kind: "current", Started: r.now(),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Apply(t.Context(), spend.OK, nil, records[0].State); err != nil {
			t.Fatal(err)
		}
		r.close()
		r.open()
		r.start()
		st := r.status()
		if st.Up || !st.LastSuccess.IsZero() || st.LastOutcome != spend.Schema || st.LastError != before.LastError {
			t.Errorf("status %+v\nbefore %+v", st, before)
		}
	})
}
