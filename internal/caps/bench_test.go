package caps_test

import (
	"fmt"
	"testing"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/spend"
)

// BenchmarkEvaluate judges twenty caps over a year of 500 models in 20 projects:
// once with the memory that a scrape has, once as after a pull.
func BenchmarkEvaluate(b *testing.B) {
	w := newWorld("2026-11-23 10:00:00")
	for _, id := range sources {
		w.source(id, "2025-11-23")
		for d := date("2025-11-23"); d <= spend.DayOf(w.now); d++ {
			var charges []spend.Charge
			for i := range 900 {
				charges = append(charges,
					usd(fmt.Sprint("model-", i%500), fmt.Sprint("project-", i%20), fmt.Sprintf("%d.%09d", i%7, i)))
			}
			w.spent(id, d.String(), charges...)
		}
	}
	list := []caps.Cap{global("1", "2")}
	for i := range 19 {
		list = append(list, caps.Cap{
			Scope: fmt.Sprint("cap ", i), Period: []caps.Period{caps.Day, caps.Week, caps.Month}[i%3], Hard: money("1"),
			Match: caps.Match{Project: []string{"", "project-3"}[i%2], Model: []string{"", "model-1*"}[i%2]},
		})
	}
	b.Run("scrape", func(b *testing.B) {
		var e caps.Evaluator
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.Evaluate(w.book.Snapshot(), w.statuses, list, w.now); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("after a pull", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w.evaluate(b, list...)
		}
	})
}
