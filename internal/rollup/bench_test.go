package rollup_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

// The shape of measured.md e: 365 days of 480 models in 40 projects, sparse, in
// all a million rows.
const (
	benchDays     = 365
	benchModels   = 480
	benchProjects = 40
	benchRowsADay = 2740
)

var benchFrom = spend.Date(2025, time.November, 23)

func benchBook(b *testing.B) *rollup.Book {
	b.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	providers := []spend.SourceID{costs, claude}
	book := rollup.NewBook()
	for d := range spend.Day(benchDays) {
		book.Update(func(tx *rollup.Tx) {
			for _, id := range providers {
				tx.Replace(id, []spend.Statement{benchStatement(rnd, benchFrom+d, benchRowsADay/len(providers))})
			}
		})
	}
	return book
}

func benchStatement(rnd *rand.Rand, day spend.Day, rows int) spend.Statement {
	st := spend.Statement{Day: day}
	for range rows {
		model := fmt.Sprintf("model-%d", rnd.IntN(benchModels))
		st.Charges = append(st.Charges, spend.Charge{
			Model: model, Project: fmt.Sprintf("project-%d", rnd.IntN(benchProjects)),
			Item: model + ", input", Currency: "USD",
			Gross: spend.MustMoney(fmt.Sprintf("%.9f", rnd.Float64()*10)),
		})
	}
	st.Charges = spend.MergeCharges(st.Charges)
	return st
}

func BenchmarkQuery(b *testing.B) {
	before := heap()
	book := benchBook(b)
	rows := book.Snapshot().Charges("openai") + book.Snapshot().Charges("anthropic")
	perRow := float64(heap()-before) / float64(rows)
	to := benchFrom + benchDays
	for _, bm := range []struct {
		name string
		q    rollup.Query
	}{
		{"7d by provider", rollup.Query{
			Window:  spend.Window{From: to - 7, To: to},
			GroupBy: []rollup.Dim{rollup.ByProvider},
		}},
		{"90d by model", rollup.Query{
			Window:  spend.Window{From: to - 90, To: to},
			GroupBy: []rollup.Dim{rollup.ByModel},
		}},
		{"90d by model, one project", rollup.Query{
			Window: spend.Window{From: to - 90, To: to}, GroupBy: []rollup.Dim{rollup.ByModel}, Project: "project-7",
		}},
		{"90d by provider, model, day", rollup.Query{
			Window:  spend.Window{From: to - 90, To: to},
			GroupBy: []rollup.Dim{rollup.ByProvider, rollup.ByModel, rollup.ByDay},
		}},
		{"90d by model, project", rollup.Query{
			Window: spend.Window{From: to - 90, To: to}, GroupBy: []rollup.Dim{rollup.ByModel, rollup.ByProject},
		}},
		{"365d by provider", rollup.Query{GroupBy: []rollup.Dim{rollup.ByProvider}}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := book.Snapshot().Query(bm.q); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(perRow, "heap-B/row")
		})
	}
	runtime.KeepAlive(book)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A pull that touches 2 days of a ledger of 90.
func BenchmarkUpdate(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var all []spend.Statement
	for d := range spend.Day(90) {
		all = append(all, benchStatement(rnd, benchFrom+d, 120))
	}
	book := rollup.NewBook()
	book.Update(func(tx *rollup.Tx) { tx.Replace(costs, all) })
	b.ReportAllocs()
	for b.Loop() {
		book.Update(func(tx *rollup.Tx) { tx.Replace(costs, all[88:]) })
	}
}
