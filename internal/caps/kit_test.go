package caps_test

import (
	"time"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

var (
	openai = spend.SourceID{Provider: "openai", Account: "acme", Source: "openai/costs"}
	lab    = spend.SourceID{Provider: "openai", Account: "lab", Source: "openai/costs"}
	usage  = spend.SourceID{Provider: "openai", Account: "acme", Source: "openai/usage"}
	claude = spend.SourceID{Provider: "anthropic", Account: "default", Source: "anthropic/cost_report"}
)

// tb is what *testing.T and *rapid.T have in common.
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func money(s string) spend.Money { return spend.MustMoney(s) }

// at reads a time, given as "2026-11-23 10:00:00".
func at(s string) time.Time {
	t, err := time.Parse(time.DateTime, s)
	if err != nil {
		panic(err)
	}
	return t
}

func date(s string) spend.Day {
	d, err := spend.ParseDay(s)
	if err != nil {
		panic(err)
	}
	return d
}

// usd is a charge; a negative amount is a credit.
func usd(model, project, amount string) spend.Charge {
	c := spend.Charge{Model: model, Project: project, Currency: spend.USD}
	if m := money(amount); m.Sign() < 0 {
		c.Credits = m
	} else {
		c.Gross = m
	}
	return c
}

// world is a ledger with the states of its sources, seen at a moment.
type world struct {
	book     *rollup.Book
	statuses []spend.SourceStatus
	now      time.Time
}

func newWorld(now string) *world { return &world{book: rollup.NewBook(), now: at(now)} }

// source adds a source that is in order: read without a gap from the day covered
// on, and 10 minutes ago for the last time. All its days are empty.
func (w *world) source(id spend.SourceID, covered string, change ...func(*spend.SourceStatus)) {
	st := spend.SourceStatus{
		ID: id, Interval: 15 * time.Minute, MaxStaleness: 6 * time.Hour, Enabled: true, Up: true,
		CoveredFrom: date(covered), DataThrough: w.now.Add(-10 * time.Minute),
	}
	for _, f := range change {
		f(&st)
	}
	w.statuses = append(w.statuses, st)
	w.book.Update(func(tx *rollup.Tx) {
		tx.SetThrough(id, st.DataThrough)
		if st.CoveredFrom != 0 && !st.DataThrough.IsZero() {
			w := spend.Window{From: st.CoveredFrom, To: spend.DayOf(st.DataThrough) + 1}
			tx.ReplaceWindow(id, w, st.DataThrough, nil)
		}
	})
}

func (w *world) spent(id spend.SourceID, day string, charges ...spend.Charge) {
	w.book.Update(func(tx *rollup.Tx) {
		tx.Replace(id, []spend.Statement{{Day: date(day), Charges: spend.MergeCharges(charges)}})
	})
}

func (w *world) evaluate(t tb, list ...caps.Cap) []caps.Status {
	t.Helper()
	out, err := caps.Evaluate(w.book.Snapshot(), w.statuses, list, w.now)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (w *world) one(t tb, c caps.Cap) caps.Status {
	t.Helper()
	out := w.evaluate(t, c)
	if len(out) != 1 {
		t.Fatalf("%d statuses for one cap", len(out))
	}
	return out[0]
}

// global is a monthly cap over everything.
func global(soft, hard string) caps.Cap {
	return caps.Cap{Scope: caps.ScopeGlobal, Period: caps.Month, Soft: money(soft), Hard: money(hard)}
}
