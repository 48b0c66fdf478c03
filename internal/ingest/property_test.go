package ingest_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aispend/aispend/internal/ingest"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/spend"
)

// truth is the model: of each source and day, what the last complete walk said
// that the daemon says it applied. It knows nothing of pages, replays or slots.
type truth map[spend.SourceID]map[spend.Day]spend.Statement

func (m truth) walked(id spend.SourceID, w spend.Window, bill map[spend.Day][]row, gone map[spend.Day]bool) {
	if m[id] == nil {
		m[id] = map[spend.Day]spend.Statement{}
	}
	for d := w.From; d < w.To; d++ {
		m[id][d] = spend.Statement{Day: d}
		if !gone[d] {
			m[id][d] = statement(d, bill[d])
		}
	}
}

func (m truth) total() (sum spend.Money) {
	for _, days := range m {
		for _, st := range days {
			for _, c := range st.Charges {
				if c.Currency == spend.USD {
					sum = sum.Add(c.Cost())
				}
			}
		}
	}
	return sum
}

// differs compares a book with the model, day by day and as a sum.
func (m truth) differs(b *rollup.Book) string {
	snap := b.Snapshot()
	for id, days := range m {
		for d, want := range days {
			got, ok := snap.Statement(id, d)
			if !ok {
				return fmt.Sprintf("%s %s is not in the book", id, d)
			}
			got.ReadAt = want.ReadAt
			if fmt.Sprint(got) != fmt.Sprint(want) {
				return fmt.Sprintf("%s %s: book has %v, the last complete walk said %v", id, d, got, want)
			}
		}
	}
	res, err := snap.Query(rollup.Query{Window: win("2020-01-01", "2030-01-01"), GroupBy: []rollup.Dim{rollup.ByProvider}})
	if err != nil {
		return err.Error()
	}
	if !res.Totals.Cost.Equal(m.total()) {
		return fmt.Sprintf("total is %s, want %s", res.Totals.Cost, m.total())
	}
	return ""
}

// world is the daemon under test with its store, its clock and its two providers.
type world struct {
	dir     string
	clock   time.Time
	store   *badger.Store
	book    *rollup.Book
	runner  *ingest.Runner
	scripts []*script
	model   truth
	commit  uint64 // the newest one that the model knows
}

func (w *world) now() time.Time { return w.clock }

func (w *world) open(t rapid.TB) {
	s, err := openStore(w.dir, w.now, func(string) (uint64, error) { return 1 << 40, nil })
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	w.store, w.book = s, rollup.NewBook()
	if _, err := ingest.LoadBook(context.Background(), s, w.book); err != nil {
		t.Fatalf("loading: %v", err)
	}
	o := ingest.Options{Store: s, Book: w.book, Now: w.now, InitialHistory: 40 * oneDay}
	for _, sc := range w.scripts {
		o.Sources = append(o.Sources, ingest.SourceConfig{Source: sc, Lookback: 7 * oneDay, Enabled: true})
	}
	w.runner = ingest.New(o)
}

func (w *world) close(t rapid.TB) {
	if err := w.store.Close(); err != nil {
		t.Fatalf("closing: %v", err)
	}
}

var amounts = []string{
	"0", "1", "-1", "0.1", "12.5", "1e-7", "-0.000000000000000000000001", "0.0025945", "99999999999.99", "3E2",
	"0.00000000000000000000000000000000000000000000001", "41280.000000",
}

func genRows(t *rapid.T) []row {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) row {
		if rapid.IntRange(0, 9).Draw(t, "usage") == 0 {
			return row{Model: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "user"), Tokens: 7}
		}
		return row{
			Model:    rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "model"),
			Amount:   rapid.SampledFrom(amounts).Draw(t, "amount"),
			Currency: rapid.SampledFrom([]string{"USD", "USD", "USD", "EUR"}).Draw(t, "currency"),
		}
	}), 0, 4).Draw(t, "rows")
}

func dedupeUsage(rows []row) []row {
	seen := map[string]bool{}
	var out []row
	for _, r := range rows {
		if r.Tokens == 0 || !seen[r.Model] {
			out = append(out, r)
		}
		seen[r.Model] = seen[r.Model] || r.Tokens != 0
	}
	return out
}

// restate changes what a provider says about a few days: up, down, to nothing,
// below zero, and sometimes about all of them.
func (w *world) restate(t *rapid.T) {
	s := rapid.SampledFrom(w.scripts).Draw(t, "provider")
	if rapid.IntRange(0, 7).Draw(t, "vanish") == 0 {
		clear(s.bill)
		return
	}
	for range rapid.IntRange(1, 6).Draw(t, "days") {
		d := spend.DayOf(w.clock) - spend.Day(rapid.IntRange(0, 70).Draw(t, "ago"))
		s.bill[d] = dedupeUsage(genRows(t))
		s.gone[d] = rapid.IntRange(0, 5).Draw(t, "gone") == 0
	}
}

// pull walks one planned window, perhaps with trouble on the way.
func (w *world) pull(t *rapid.T) {
	s := rapid.SampledFrom(w.scripts).Draw(t, "provider")
	w.clock = w.clock.Add(time.Duration(rapid.IntRange(1, 60*60).Draw(t, "minutes")) * minute)
	fits := rapid.SampledFrom([]int{31, 31, 31, 10, 2, 0}).Draw(t, "fits")
	most := rapid.SampledFrom([]int{99, 99, 99, 13, 5, 1}).Draw(t, "days at once")
	bad := spend.Day(0)
	if rapid.IntRange(0, 3).Draw(t, "bad") == 0 {
		bad = spend.DayOf(w.clock) - spend.Day(rapid.IntRange(0, 40).Draw(t, "bad day"))
	}
	breaks := rapid.SampledFrom([]int{-1, -1, -1, -1, 0, 1}).Draw(t, "breaks")
	s.before = func(_ context.Context, wk walk, page int) error {
		if wk.Buckets > fits || wk.Window.Days() > most {
			return refuse(spend.TooLarge)
		}
		if wk.Window.Contains(bad) {
			return refuse(spend.Schema)
		}
		if page == breaks {
			return refuse(spend.Network)
		}
		return nil
	}
	s.twice = rapid.Bool().Draw(t, "twice")
	w.runner.PullOnce(context.Background(), s.id, rapid.IntRange(0, 2).Draw(t, "step"))
	w.note(t, s)
}

// note tells the model of the walks that the daemon says it applied since last time.
func (w *world) note(t rapid.TB, s *script) {
	newest := w.commit
	err := w.store.Pulls(context.Background(), s.id, time.Time{}, func(p store.Pull) bool {
		if p.Verdict == store.Applied && p.Commit > w.commit {
			w.model.walked(s.id, p.Window, s.bill, s.gone)
			newest = max(newest, p.Commit)
		}
		return true
	})
	if err != nil {
		t.Fatalf("listing the pulls: %v", err)
	}
	w.commit = newest
}

// heal lets the providers answer until nothing but the present is wanted, and sees that
// no day of what is covered is unknown, or known from before its end.
func (w *world) heal(t *rapid.T) {
	for _, s := range w.scripts {
		s.before, s.twice = nil, false
		done := false
		for range 12 {
			w.clock = w.clock.Add(31 * minute)
			res, _, _ := w.runner.PullOnce(context.Background(), s.id, 0)
			others := 0
			for more := true; more && others < 9; others++ {
				_, _, more = w.runner.PullOnce(context.Background(), s.id, 1)
			}
			w.note(t, s)
			if done = res.Outcome().Applied() && others == 1; done {
				break
			}
		}
		if !done {
			t.Fatalf("%s is not done: %+v", s.id, w.runner.Statuses())
		}
		w.wantWhole(t, s.id)
	}
}

// wantWhole checks a source that is healthy and has nothing to do but the present.
func (w *world) wantWhole(t *rapid.T, id spend.SourceID) {
	snap := w.book.Snapshot()
	for _, st := range w.runner.Statuses() {
		if st.ID != id {
			continue
		}
		if !st.Up || !st.HistoryDone || st.LastError != "" {
			t.Fatalf("healed: %+v", st)
		}
		for d := st.CoveredFrom; d < spend.DayOf(w.clock); d++ {
			if got, ok := snap.Statement(id, d); !ok || got.ReadAt.Before((d + 1).Time()) {
				t.Fatalf("%s of %s was read at %s", d, id, got.ReadAt)
			}
		}
	}
}

func (w *world) recompute(t *rapid.T, dry bool) {
	rep, err := w.runner.Recompute(context.Background(), ingest.RecomputeRequest{DryRun: dry})
	if err != nil || len(rep.Changes) != 0 || rep.Changed != 0 || rep.Kept != 0 || len(rep.Problems) != 0 {
		t.Fatalf("replaying says otherwise than the live rollup: %+v, %v", rep, err)
	}
}

// TestLiveRollupEqualsReplay: over random histories of restatements, vanished
// rows and days, repeated pages, failed, halved and partial walks and restarts, the live
// rollup, the last complete walks, a recompute and the reloaded store agree on
// every day, digit for digit.
//
// It does fail when replacement becomes addition. Done by hand on 2026-11-23: in
// apply (pull.go) let each statement of got keep the charges of prev[st.Day] in
// front of its own, in both Apply and ReplaceWindow: "book has ... the last
// complete walk said ..." after the second pull of a day. In ReplaceWindow alone:
// the same. In settle (recompute.go): TestRecomputeRepairsTheLedger fails.
func TestLiveRollupEqualsReplay(t *testing.T) {
	t.Parallel()
	root, runs := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		w := &world{dir: filepath.Join(root, strconv.Itoa(runs)), clock: at("2026-11-03T10:00:00Z"), model: truth{}}
		for _, account := range []string{"acme", "beta"} {
			id := spend.SourceID{Provider: "openai", Account: account, Source: "openai/costs"}
			w.scripts = append(w.scripts, newScript(id, w.now))
		}
		w.open(t)
		defer func() { w.close(t) }()
		for range 2 {
			w.restate(t)
		}
		t.Repeat(map[string]func(*rapid.T){
			"restate": w.restate,
			"pull":    w.pull,
			"pull2":   w.pull,
			"restart": func(t *rapid.T) { w.close(t); w.open(t) },
			"clock set back": func(t *rapid.T) {
				w.clock = w.clock.Add(-time.Duration(rapid.IntRange(1, 23*60).Draw(t, "minutes")) * minute)
			},
			"recompute": func(t *rapid.T) { w.recompute(t, false) },
			"": func(t *rapid.T) {
				if diff := w.model.differs(w.book); diff != "" {
					t.Fatal(diff)
				}
			},
		})
		w.heal(t)
		if diff := w.model.differs(w.book); diff != "" {
			t.Fatalf("healed: %s", diff)
		}
		w.recompute(t, true)
		w.close(t)
		w.open(t)
		if diff := w.model.differs(w.book); diff != "" {
			t.Fatalf("after a reload: %s", diff)
		}
	})
}
