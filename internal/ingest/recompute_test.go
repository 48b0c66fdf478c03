package ingest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/ingest"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

var moneyOf = cmp.Comparer(func(a, b spend.Money) bool { return a.Equal(b) })

func (r *rig) recompute(req ingest.RecomputeRequest) ingest.RecomputeReport {
	r.t.Helper()
	rep, err := r.runner.Recompute(context.Background(), req)
	if err != nil {
		r.t.Fatalf("recompute: %v", err)
	}
	return rep
}

// amend writes wrong statements past every pull, into ledger and book.
func (r *rig) amend(id spend.SourceID, st ...spend.Statement) {
	r.t.Helper()
	if err := r.store.Amend(context.Background(), id, st); err != nil {
		r.t.Fatal(err)
	}
	r.book.Update(func(tx *rollup.Tx) { tx.Replace(id, st) })
}

func changed(model, d, before, after string) ingest.Change {
	return ingest.Change{
		Provider: "openai", Model: model, Day: day(d), Currency: spend.USD,
		Before: spend.MustMoney(before), After: spend.MustMoney(after),
	}
}

// TestRecomputeRepairsTheLedger: what the ledger says wrongly is put right from
// the raw pages, with the exact difference; a dry run only tells it.
func TestRecomputeRepairsTheLedger(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		loaded(t, r)
		r.amend(acme,
			statement(day("2026-11-20"), []row{usd("m", "1000.0000000000000000001"), usd("n", "1.5")}),
			statement(day("2026-11-21"), []row{usd("ghost", "7")}),
			statement(day("2026-11-22"), nil))
		wrong := r.total(november)
		want := []ingest.Change{
			changed("ghost", "2026-11-21", "7", "0"),
			changed("m", "2026-11-20", "1000.0000000000000000001", "1"),
			changed("m", "2026-11-22", "0", "1"),
		}
		dry := r.recompute(ingest.RecomputeRequest{DryRun: true})
		if diff := cmp.Diff(want, dry.Changes, moneyOf); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		if !dry.DryRun || dry.Sources != 1 || dry.Pulls != 2 || dry.Changed != 3 || dry.Kept != 0 {
			t.Errorf("report %+v", dry)
		}
		r.wantTotal(november, wrong)
		rep := r.recompute(ingest.RecomputeRequest{})
		if diff := cmp.Diff(want, rep.Changes, moneyOf); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		r.wantTotal(november, "3.5")
		if rep := r.recompute(ingest.RecomputeRequest{}); len(rep.Changes) != 0 || rep.Changed != 0 {
			t.Errorf("a second recompute changes %+v", rep)
		}
		r.wantRevised("0", "0")
		st, _ := r.book.Snapshot().Statement(acme, day("2026-11-20"))
		if applied := r.pulls(acme)[0].Started; !st.ReadAt.Equal(applied) {
			t.Errorf("replayed day was read at %s, want the pull's %s", st.ReadAt, applied)
		}
		r.restart(0)
		r.wantTotal(november, "3.5")
	})
}

// TestRecomputeSelects: by provider and by window; the rest is not looked at.
func TestRecomputeSelects(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		loaded(t, r)
		r.amend(acme, statement(day("2026-11-20"), nil), statement(day("2026-11-22"), nil))
		if rep := r.recompute(ingest.RecomputeRequest{Provider: "anthropic"}); rep.Sources != 0 {
			t.Errorf("another provider: %+v", rep)
		}
		w := win("2026-11-21", "2026-11-23")
		rep := r.recompute(ingest.RecomputeRequest{Provider: "openai", Window: &w})
		if rep.Days != 2 || rep.Changed != 1 {
			t.Errorf("report %+v", rep)
		}
		r.wantTotal(november, "1")
	})
}

// TestRecomputeTakesTheNewestAppliedPull: neither older pulls, nor failed or held
// ones, nor the order of pages decide.
func TestRecomputeTakesTheNewestAppliedPull(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := loaded(t, r)
		s.set(func(s *script) { s.bill[day("2026-11-20")] = []row{usd("m", "4")} })
		time.Sleep(quarter) // applied: 5
		s.set(func(s *script) { clear(s.bill) })
		time.Sleep(quarter) // held
		s.set(func(s *script) {
			s.bill[day("2026-11-20")] = []row{usd("m", "99")}
			s.mangle = func(p *spend.Page) {
				p.Body = []byte(strings.Replace(string(p.Body), `"More":false`, `"More":true`, 1))
			}
		})
		time.Sleep(quarter) // failed
		r.wantTotal(november, "5")
		if rep := r.recompute(ingest.RecomputeRequest{}); rep.Changed != 0 {
			t.Errorf("the replay follows another pull than the ledger: %+v", rep)
		}
		r.wantTotal(november, "5")
	})
}

// TestRecomputeWithoutRawPages: days whose pages have expired stay as they are.
func TestRecomputeWithoutRawPages(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := loaded(t, r)
		s.set(func(s *script) { s.before = func(context.Context, walk, int) error { return refuse(spend.Server) } })
		r.skip(95 * oneDay)
		if err := r.store.Expire(context.Background(), r.now()); err != nil {
			t.Fatal(err)
		}
		rep := r.recompute(ingest.RecomputeRequest{})
		if rep.Pulls != 0 || rep.Changed != 0 || rep.Kept == 0 {
			t.Errorf("report %+v", rep)
		}
		r.wantTotal(november, "3.5")
	})
}

// TestRecomputeOfARetiredAccount: an account that is not configured any more is
// replayed by the decoder of its source.
func TestRecomputeOfARetiredAccount(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := loaded(t, r)
		r.cfgs = nil
		r.restart(0)
		r.amend(acme, statement(day("2026-11-20"), nil))
		rep := r.recompute(ingest.RecomputeRequest{})
		if len(rep.Problems) != 1 || !strings.Contains(rep.Problems[0], "openai/costs (acme)") || rep.Changed != 0 {
			t.Errorf("without a decoder: %+v", rep)
		}
		r.opts.Decoders = map[string]func(spend.Window) providers.Decoder{"openai/costs": s.NewDecoder}
		r.restart(0)
		if rep := r.recompute(ingest.RecomputeRequest{}); rep.Changed != 1 || len(rep.Problems) != 0 {
			t.Errorf("with a decoder: %+v", rep)
		}
		r.wantTotal(november, "3.5")
	})
}

// TestRecomputeKeepsDaysItCannotRead: a decoder that has become stricter loses no
// money, and no older pull takes the newest one's place.
func TestRecomputeKeepsDaysItCannotRead(t *testing.T) {
	for _, how := range []string{"error", "panic"} {
		t.Run(how, func(t *testing.T) {
			story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
				s := loaded(t, r)
				s.set(func(s *script) { s.bill[day("2026-11-22")] = []row{usd("m", "2")} })
				time.Sleep(quarter)
				r.opts.Decoders = map[string]func(spend.Window) providers.Decoder{
					"openai/costs": func(w spend.Window) providers.Decoder { return picky{s.NewDecoder(w), how} },
				}
				r.cfgs = nil
				r.restart(0)
				rep := r.recompute(ingest.RecomputeRequest{})
				if rep.Changed != 0 || len(rep.Problems) == 0 || rep.Kept == 0 {
					t.Errorf("report %+v", rep)
				}
				r.wantTotal(november, "4.5")
			})
		})
	}
}

// picky refuses every page.
type picky struct {
	providers.Decoder
	how string
}

func (p picky) Page([]byte) error {
	if p.how == "panic" {
		panic("unheard of")
	}
	return spend.Classify(spend.Schema, errors.New("unheard of"))
}

// TestRecomputeAndPullDoNotInterleave: a pull that ends while its source is being
// replayed waits, and its word is the last.
func TestRecomputeAndPullDoNotInterleave(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := loaded(t, r)
		r.amend(acme, statement(day("2026-11-22"), nil))
		s.set(func(s *script) { s.bill[day("2026-11-22")] = []row{usd("m", "8")} })
		replaying, release := make(chan struct{}), make(chan struct{})
		first := true
		s.set(func(s *script) {
			s.decode = func() {
				if first {
					first = false
					close(replaying)
					<-release
				}
			}
		})
		done := make(chan ingest.RecomputeReport)
		go func() { done <- r.recompute(ingest.RecomputeRequest{}) }()
		<-replaying
		s.set(func(s *script) { s.decode = nil })
		time.Sleep(quarter) // the walk ends meanwhile
		synctest.Wait()
		if !r.status().Pulling {
			t.Error("the pull did not wait for the replay")
		}
		close(release)
		if rep := <-done; rep.Changed != 1 {
			t.Errorf("report %+v", rep)
		}
		synctest.Wait()
		r.wantTotal(november, "10.5")
	})
}

// TestRecomputeOfUsage: tokens are told too, and never as money.
func TestRecomputeOfUsage(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		id := spend.SourceID{Provider: "openai", Account: "acme", Source: "openai/usage"}
		s := r.add(id)
		s.bill[day("2026-11-20")] = []row{{Model: "m", Tokens: 70}}
		r.start()
		time.Sleep(minute)
		r.amend(id, spend.Statement{Day: day("2026-11-20"), Usage: []spend.Usage{{Model: "m", Input: 50}}})
		want := []ingest.Change{{
			Provider: "openai", Model: "m", Day: day("2026-11-20"), TokensBefore: 50, TokensAfter: 70,
		}}
		if diff := cmp.Diff(want, r.recompute(ingest.RecomputeRequest{}).Changes, moneyOf); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
	})
}

// TestKickPullsNow: somebody who cannot wait for the interval.
func TestKickPullsNow(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		s := loaded(t, r)
		n := len(s.seen())
		if !r.runner.Kick(acme) || r.runner.Kick(spend.SourceID{Provider: "nobody"}) {
			t.Error("the wrong source was kicked")
		}
		time.Sleep(time.Second)
		if got := windows(s.seen()[n:]); !slices.Equal(got, []string{"2026-11-01..2026-11-23"}) {
			t.Errorf("walks %v", got)
		}
	})
}
