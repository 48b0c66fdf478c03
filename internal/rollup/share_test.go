package rollup

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/spend"
)

var shareID = spend.SourceID{Provider: "openai", Account: "default", Source: "openai/costs"}

func shareStatement(d spend.Day, model string) spend.Statement {
	return spend.Statement{
		Day: d, ReadAt: time.Unix(1, 0),
		Charges: []spend.Charge{
			{
				Model: model, Project: "p " + model, Item: "i " + model, Currency: spend.USD,
				Gross: spend.MustMoney("1.5"),
			},
			{Model: model, Project: "q " + model, Item: "j " + model, Currency: "EUR", Gross: spend.MustMoney("2")},
		},
		Usage: []spend.Usage{{Model: "u " + model, Project: "r " + model, Input: 3}},
	}
}

// An update copies the days it sets and nothing else.
func TestUpdateSharesUntouchedDays(t *testing.T) {
	const days = 90
	book := NewBook()
	other := shareID
	other.Account = "other"
	book.Update(func(tx *Tx) {
		for d := range spend.Day(days) {
			tx.Replace(shareID, []spend.Statement{shareStatement(20000+d, "m")})
			tx.Replace(other, []spend.Statement{shareStatement(20000+d, "m")})
		}
	})
	old := book.Snapshot()
	book.Update(func(tx *Tx) {
		tx.Replace(shareID, []spend.Statement{shareStatement(20010, "n"), shareStatement(20089, "n")})
	})
	now := book.Snapshot()
	var changed []spend.Day
	for i, p := range now.sources[0].parts {
		if old.sources[0].parts[i] != p {
			changed = append(changed, now.sources[0].days[i])
		}
	}
	if diff := cmp.Diff([]spend.Day{20010, 20089}, changed); diff != "" {
		t.Errorf("changed days (-want +got):\n%s", diff)
	}
	if old.sources[1] != now.sources[1] {
		t.Error("a source that was not touched was copied")
	}
}

// Names that are in no row any more are forgotten, and no answer changes.
func TestNamesAreForgotten(t *testing.T) {
	book := NewBook()
	const days = 600
	for d := range spend.Day(days) {
		book.Update(func(tx *Tx) {
			tx.Replace(shareID, []spend.Statement{shareStatement(20000+d, fmt.Sprint("model ", d))})
		})
	}
	old := book.Snapshot()
	const keep = 20000 + days - 10
	book.Update(func(tx *Tx) { tx.ForgetBefore(keep) })
	now := book.Snapshot()
	if before, after := len(old.names.items), len(now.names.items); before < 2*days || after > 30 {
		t.Errorf("names of items: %d before, %d after", before, after)
	}
	for _, s := range []*Snapshot{old, now} {
		for d := range spend.Day(days) {
			got, ok := s.Statement(shareID, 20000+d)
			if wantOK := s == old || 20000+d >= keep; ok != wantOK {
				t.Fatalf("statement of %s: %t, want %t", 20000+d, ok, wantOK)
			}
			if diff := cmp.Diff(shareStatement(20000+d, fmt.Sprint("model ", d)), got); ok && diff != "" {
				t.Fatalf("statement of %s (-want +got):\n%s", 20000+d, diff)
			}
		}
	}
	book.Update(func(tx *Tx) {
		tx.Replace(shareID, []spend.Statement{shareStatement(keep, "brand new")})
	})
	res, err := book.Snapshot().Query(Query{GroupBy: []Dim{ByModel}, Model: "brand new"})
	if err != nil || len(res.Rows) != 1 || res.Rows[0].Model != "brand new" {
		t.Errorf("after the names were forgotten: %+v, %v", res.Rows, err)
	}
}
