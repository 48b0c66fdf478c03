package rollup_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

// An old snapshot answers as it always did, while readers and writers are at work.
func TestSnapshotNeverChanges(t *testing.T) {
	book := rollup.NewBook()
	fill := func(round int) {
		book.Update(func(tx *rollup.Tx) {
			var stmts []spend.Statement
			for d := range spend.Day(20) {
				model := fmt.Sprintf("model-%d-%d", round, d) // new names every time
				stmts = append(stmts, stmt(day1+d, charge(model, "p", "i", "1.5"), charge("", "", "", fmt.Sprint(round))))
			}
			tx.ReplaceWindow(costs, spend.Window{From: day1, To: day1 + 20}, day1.Time(), stmts)
			tx.SetThrough(costs, day1.Time().Add(time.Duration(round)*time.Hour))
			tx.ForgetBefore(day1 + spend.Day(round%5))
		})
	}
	q := rollup.Query{GroupBy: []rollup.Dim{rollup.ByDay, rollup.ByModel}}
	var wg sync.WaitGroup
	for round := range 60 {
		fill(round)
		old := book.Snapshot()
		want := mustQuery(t, old, q)
		wg.Go(func() {
			for range 5 {
				got, err := old.Query(q)
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("snapshot %d changed: %v\n%s", old.Version(), err, diff)
				}
				if _, ok := old.Statement(costs, day1+19); !ok {
					t.Errorf("snapshot %d lost a day", old.Version())
				}
			}
		})
	}
	wg.Wait()
}

// What Query and Statement hand out, and what Replace was given, is the caller's.
func TestSnapshotSharesNothing(t *testing.T) {
	book := rollup.NewBook()
	in := []spend.Statement{{
		Day: day1, Charges: []spend.Charge{charge("a", "", "", "1")}, Usage: []spend.Usage{{Model: "a", Input: 1}},
	}}
	book.Update(func(tx *rollup.Tx) { tx.Replace(costs, in) })
	want, _ := book.Snapshot().Statement(costs, day1)
	in[0].Charges[0].Model, in[0].Usage[0].Input = "changed", 99
	got, _ := book.Snapshot().Statement(costs, day1)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a change of the argument shows:\n%s", diff)
	}
	got.Charges[0].Model, got.Usage[0].Input = "changed", 99
	got, _ = book.Snapshot().Statement(costs, day1)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a change of the answer shows:\n%s", diff)
	}
}

func TestUpdateThatPanicsPublishesNothing(t *testing.T) {
	book := rollup.NewBook()
	book.Update(func(tx *rollup.Tx) {
		tx.Replace(costs,
			[]spend.Statement{stmt(day1, charge("a", "", "", "1"))})
	})
	before := book.Snapshot()
	func() {
		defer func() { _ = recover() }()
		book.Update(func(tx *rollup.Tx) {
			tx.Replace(costs, []spend.Statement{stmt(day1, charge("b", "", "", "2"))})
			panic("half-way")
		})
	}()
	if book.Snapshot() != before {
		t.Error("a snapshot was published")
	}
	if got := mustQuery(t, before, rollup.Query{}).Totals.Cost; !got.Equal(money("1")) {
		t.Errorf("total = %s, want 1", got)
	}
	book.Update(func(tx *rollup.Tx) { tx.SetThrough(costs, day1.Time()) }) // the lock is free
}

func TestEmptyBook(t *testing.T) {
	s := rollup.NewBook().Snapshot()
	got := mustQuery(t, s, rollup.Query{GroupBy: []rollup.Dim{rollup.ByModel, rollup.ByItem}, Model: "other"})
	if len(got.Rows) != 0 || got.Totals.HasCost || len(got.DataThrough) != 0 || s.Version() != 0 {
		t.Errorf("Query of an empty book = %+v at version %d", got, s.Version())
	}
	if _, ok := s.Statement(costs, day1); ok {
		t.Error("an empty book has a statement")
	}
	if _, ok := s.ExpectedDaily("openai", day1); ok {
		t.Error("an empty book expects something")
	}
}

func TestQueryErrors(t *testing.T) {
	s := rollup.NewBook().Snapshot()
	for _, q := range []rollup.Query{
		{GroupBy: []rollup.Dim{"colour"}},
		{GroupBy: []rollup.Dim{""}},
		{GroupBy: []rollup.Dim{rollup.ByDay, rollup.ByModel, rollup.ByDay}},
		{Window: spend.Window{From: day1 + 1, To: day1}},
	} {
		if _, err := s.Query(q); !errors.Is(err, rollup.ErrBadQuery) {
			t.Errorf("Query(%+v): %v, want ErrBadQuery", q, err)
		}
	}
}

// A day that is known to be empty is no row, but it is a statement.
func TestKnownEmptyDay(t *testing.T) {
	book := rollup.NewBook()
	readAt := day1.Time().Add(time.Hour)
	book.Update(func(tx *rollup.Tx) {
		tx.ReplaceWindow(costs, spend.Window{From: day1, To: day1 + 2}, readAt, []spend.Statement{
			stmt(day1+1, charge("a", "", "", "0")), stmt(day1+2, charge("a", "", "", "5")),
		})
	})
	s := book.Snapshot()
	got := mustQuery(t, s, rollup.Query{GroupBy: []rollup.Dim{rollup.ByDay}})
	want := []rollup.Row{{Day: day1 + 1, HasCost: true}} // a charge of 0 is a row
	if diff := cmp.Diff(want, got.Rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	for d, want := range map[spend.Day]bool{day1 - 1: false, day1: true, day1 + 1: true, day1 + 2: false} {
		usd, at, ok := s.DayTotal(costs, d)
		if ok != want || !usd.IsZero() || want && !at.Equal(readAt) {
			t.Errorf("DayTotal(%s) = %s, %s, %t, want ok = %t", d, usd, at, ok, want)
		}
	}
}

// Renaming onto a name that is taken never happens; if it does, nothing is counted twice.
func TestRenameOntoTaken(t *testing.T) {
	book := rollup.NewBook()
	taken := costs
	taken.Account = "acme"
	book.Update(func(tx *rollup.Tx) {
		tx.Replace(costs, []spend.Statement{
			stmt(day1, charge("a", "", "", "1")),
			stmt(day1+1, charge("a", "", "", "2")),
		})
		tx.Replace(taken, []spend.Statement{stmt(day1+1, charge("a", "", "", "40"))})
		tx.Rename("openai", "default", "acme")
		tx.Rename("openai", "acme", "acme")
	})
	s := book.Snapshot()
	if diff := cmp.Diff([]spend.SourceID{taken}, s.Sources()); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	if got := mustQuery(t, s, rollup.Query{}).Totals.Cost; !got.Equal(money("41")) {
		t.Errorf("total = %s, want 41", got)
	}
	if got := s.Charges("openai"); got != 2 {
		t.Errorf("Charges = %d, want 2", got)
	}
}
