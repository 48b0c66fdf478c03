package rollup_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

// ledger fills a source with one charge a day for the n days before today; the
// cost of day today-i is i. The days in without have no statement.
func ledger(tx *rollup.Tx, id spend.SourceID, today spend.Day, n int, without ...int) {
	for i := 1; i <= n; i++ {
		if !slices.Contains(without, i) {
			tx.Replace(id, []spend.Statement{stmt(today-spend.Day(i), charge("m", "", "", strconv.Itoa(i)))})
		}
	}
}

func TestExpectedDaily(t *testing.T) {
	today := day1
	second := costs
	second.Account = "second"
	for _, tt := range []struct {
		name string
		fill func(*rollup.Tx)
		want string // empty: none
	}{
		{"nothing", func(*rollup.Tx) {}, ""},
		{"two closed days", func(tx *rollup.Tx) { ledger(tx, costs, today, 2) }, ""},
		{"three closed days", func(tx *rollup.Tx) { ledger(tx, costs, today, 3) }, "2"},
		{"five closed days", func(tx *rollup.Tx) { ledger(tx, costs, today, 5) }, "3"},
		{"the last seven of twenty", func(tx *rollup.Tx) { ledger(tx, costs, today, 20) }, "4"},
		{"three weekdays of 21", func(tx *rollup.Tx) { ledger(tx, costs, today, 21) }, "14"}, // 7, 14, 21
		{"four weekdays of 28", func(tx *rollup.Tx) { ledger(tx, costs, today, 28) }, "17.5"},
		{"four weekdays of 90", func(tx *rollup.Tx) { ledger(tx, costs, today, 90) }, "17.5"},
		{"a gap that matters, recent", func(tx *rollup.Tx) { ledger(tx, costs, today, 10, 4) }, ""},
		{"a gap that does not, recent", func(tx *rollup.Tx) { ledger(tx, costs, today, 10, 8) }, "4"},
		{"a gap that matters, weekday", func(tx *rollup.Tx) { ledger(tx, costs, today, 90, 14) }, ""},
		{"a gap that does not, weekday", func(tx *rollup.Tx) { ledger(tx, costs, today, 90, 13) }, "17.5"},
		{"today does not count", func(tx *rollup.Tx) {
			ledger(tx, costs, today, 3)
			tx.Replace(costs, []spend.Statement{stmt(today, charge("m", "", "", "1000"))})
		}, "2"},
		{"rounded half-even at 18 places", func(tx *rollup.Tx) {
			for i := spend.Day(1); i <= 3; i++ {
				tx.Replace(costs, []spend.Statement{stmt(today-i, charge("m", "", "", "0.1"))})
			}
			tx.Replace(costs, []spend.Statement{stmt(today-1, charge("m", "", "", "0.2"))})
		}, "0.133333333333333333"},
		{"two accounts", func(tx *rollup.Tx) {
			ledger(tx, costs, today, 5)
			ledger(tx, second, today, 5)
		}, "6"},
		{"a gap in the second account", func(tx *rollup.Tx) {
			ledger(tx, costs, today, 90)
			ledger(tx, second, today, 90, 14)
		}, ""},
		{"a second account that is not pulled yet", func(tx *rollup.Tx) {
			ledger(tx, costs, today, 5)
			tx.SetThrough(second, today.Time())
		}, ""},
		{"a retired account that ended", func(tx *rollup.Tx) {
			ledger(tx, costs, today, 5)
			ledger(tx, second, today, 5, 1, 2)
			tx.SetRetired(second, true)
		}, "5.4"}, // 15 + (3+4+5), over 5
		{"a retired account with a gap inside", func(tx *rollup.Tx) {
			ledger(tx, costs, today, 5)
			ledger(tx, second, today, 5, 1, 2, 4)
			tx.SetRetired(second, true)
		}, ""},
		{"another provider does not matter", func(tx *rollup.Tx) {
			ledger(tx, costs, today, 5)
			ledger(tx, claude, today, 5, 3)
		}, "3"},
		{"usage does not matter", func(tx *rollup.Tx) {
			ledger(tx, costs, today, 5)
			tx.Replace(usage, []spend.Statement{{Day: today - 30, Usage: []spend.Usage{{Model: "m", Input: 5}}}})
		}, "3"},
		{"other currencies do not count", func(tx *rollup.Tx) {
			ledger(tx, costs, today, 5)
			tx.Replace(costs, []spend.Statement{{Day: today - 1, Charges: []spend.Charge{
				{Model: "m", Currency: "EUR", Gross: money("1000")}, {Model: "m", Currency: spend.USD, Gross: money("1")},
			}}})
		}, "3"},
		{"money in no currency but others", func(tx *rollup.Tx) {
			for i := spend.Day(1); i <= 5; i++ {
				tx.Replace(costs, []spend.Statement{{Day: today - i, Charges: []spend.Charge{
					{Model: "m", Currency: "EUR", Gross: money("1000")},
				}}})
			}
		}, ""},
		{"days known to be empty", func(tx *rollup.Tx) {
			tx.ReplaceWindow(costs, spend.Window{From: today - 5, To: today}, today.Time(), nil)
		}, "0"},
		{"usage that is always empty does not matter", func(tx *rollup.Tx) {
			ledger(tx, costs, today, 5)
			tx.ReplaceWindow(usage, spend.Window{From: today - 3, To: today}, today.Time(), nil)
		}, "3"},
		{"nor does usage that was never pulled", func(tx *rollup.Tx) {
			ledger(tx, costs, today, 5)
			tx.SetThrough(usage, today.Time())
		}, "3"},
		{"an empty day counts as 0", func(tx *rollup.Tx) {
			ledger(tx, costs, today, 3)
			tx.ReplaceWindow(costs, spend.Window{From: today - 3, To: today - 2}, today.Time(), nil)
		}, "1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			book := rollup.NewBook()
			book.Update(tt.fill)
			got, ok := book.Snapshot().ExpectedDaily("openai", today)
			switch {
			case ok != (tt.want != ""):
				t.Errorf("ExpectedDaily = %s, %t, want %q", got, ok, tt.want)
			case ok && !got.Equal(money(tt.want)):
				t.Errorf("ExpectedDaily = %s, want %s", got, tt.want)
			}
		})
	}
}
