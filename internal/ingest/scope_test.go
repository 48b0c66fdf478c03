package ingest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/ingest"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

// TestChangedFilterReadsTheHistoryAgain: a block that is split in two gives up
// some of its projects. What it had read of them would count twice, so all of its
// history is read again, over a restart too.
func TestChangedFilterReadsTheHistoryAgain(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		old := day("2026-09-15")
		s.bill[old] = []row{usd("m", "100")}
		s.bill[day("2026-11-22")] = []row{usd("m", "10")}
		r.opts.InitialHistory = 90 * oneDay
		r.start()
		time.Sleep(minute)
		all := spend.Window{From: day("2026-08-01"), To: day("2026-12-01")}
		r.wantTotal(all, "110")

		s.set(func(s *script) { // as the narrower filter sees it
			s.bill[old] = []row{usd("m", "60")}
			s.bill[day("2026-11-22")] = []row{usd("m", "6")}
		})
		r.cfgs[0].Scope = "proj_a,proj_b"
		r.opts.InitialHistory = 31 * oneDay // what was read further back is read again all the same
		r.restart(0)
		time.Sleep(minute)
		r.wantTotal(all, "66")
		walks := len(s.seen())
		r.restart(0)
		time.Sleep(minute)
		if n := len(s.seen()) - walks; n > 1 {
			t.Errorf("%d walks after a restart with the same filter", n)
		}
		if rep := r.recompute(ingest.RecomputeRequest{}); rep.Changed != 0 || rep.Kept != 0 {
			t.Errorf("a replay with the new filter: %+v", rep)
		}
		r.wantTotal(all, "66")
	})
}

// TestAnotherFilterIsNoRevision: what differs because something else was asked is
// neither late news about closed days nor a reason to hold a window back.
func TestAnotherFilterIsNoRevision(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := loaded(t, r)
		s.set(func(s *script) { clear(s.bill) }) // the narrower filter has no money at all
		r.cfgs[0].Scope = "proj_a"
		r.restart(0)
		time.Sleep(minute)
		r.wantTotal(november, "0")
		r.wantRevised("0", "0")
		if st := r.status(); st.Held || !st.HistoryDone {
			t.Errorf("status %+v", st)
		}
		s.set(func(s *script) { s.bill[day("2026-11-10")] = []row{usd("m", "2")} })
		time.Sleep(quarter)
		r.wantRevised("2", "0") // news about what this filter had said
	})
}

// TestReplayTakesNoPullOfAnotherFilter: neither a configured account whose filter
// changed nor a retired one that had a filter is replayed without it.
func TestReplayTakesNoPullOfAnotherFilter(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := r.add(acme)
		r.cfgs[0].Scope = "proj_a"
		s.bill[day("2026-11-22")] = []row{usd("m", "6")}
		r.start()
		time.Sleep(minute)
		s.set(func(s *script) { // what a decoder without the filter would make of the pages
			s.bill[day("2026-11-22")] = []row{usd("m", "10")}
		})
		r.cfgs = nil
		r.opts.Decoders = map[string]func(spend.Window) providers.Decoder{"openai/costs": s.NewDecoder}
		r.restart(0)
		rep := r.recompute(ingest.RecomputeRequest{})
		if rep.Changed != 0 || rep.Pulls != 0 || len(rep.Problems) == 0 || !strings.Contains(rep.Problems[0], "proj_a") {
			t.Errorf("report %+v", rep)
		}
		r.wantTotal(november, "6")
	})
}
