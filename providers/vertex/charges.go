package vertex

import (
	"strings"

	"github.com/aispend/aispend/spend"
)

// Charged is a row with the model that it bills.
type Charged struct {
	Row
	Model string // spend.OtherModel where the SKU names none
}

// Charge names the models of rows.
func (m *Mapper) Charge(rows []Row) []Charged {
	out := make([]Charged, len(rows))
	for i, r := range rows {
		out[i] = Charged{Row: r, Model: m.Model(r.SKU)}
	}
	return out
}

// Statements is what the ledger gets: a statement for every day of the window, since a
// complete answer also says which days are empty, with a charge per model, project and
// SKU. Money stays in its own currency beside the row's rate; tax is marked.
func Statements(w spend.Window, rows []Charged) []spend.Statement {
	days := make([][]spend.Charge, w.Days())
	for _, r := range rows {
		if w.Contains(r.Day) {
			days[r.Day-w.From] = append(days[r.Day-w.From], r.Charge())
		}
	}
	out := make([]spend.Statement, len(days))
	for i, charges := range days {
		out[i] = spend.Statement{Day: w.From + spend.Day(i), Charges: spend.MergeCharges(charges)}
	}
	return out
}

// Charge returns the row as the ledger keeps it: what the SKU says stays its item, so
// that money without a model can be told apart. The rate of dollars is 1 and is left
// out.
func (c Charged) Charge() spend.Charge {
	out := spend.Charge{
		Project: clean(c.Project), Item: clean(strings.TrimSpace(c.SKU.ID + " " + c.SKU.Text)),
		Currency: c.Currency, Rate: c.Rate, Tax: c.Tax(), Gross: c.Gross, Credits: c.Credits,
	}
	if c.Currency == spend.USD {
		out.Rate = spend.Money{}
	}
	if c.Model != spend.OtherModel {
		out.Model = c.Model
	}
	return out
}

func clean(s string) string {
	label, _ := spend.CleanLabel(s)
	return label
}
