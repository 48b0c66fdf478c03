package vertex

import (
	"fmt"
	"strings"

	"github.com/aispend/aispend/spend"
)

// Charged is a row with the model that it bills and its money in USD.
type Charged struct {
	Row
	Model string // spend.OtherModel where the SKU names none
	// USDGross and USDCredits are Gross and Credits by the row's own rate, each rounded
	// once, half-even at 18 places; both are 0 for a row that is not Converted.
	USDGross, USDCredits spend.Money
}

// Charge names the models of rows and converts their money. An error is a rate so
// absurd that the result is out of range.
func (m *Mapper) Charge(rows []Row) ([]Charged, error) {
	out := make([]Charged, len(rows))
	for i, r := range rows {
		c := Charged{Row: r, Model: m.Model(r.SKU)}
		switch {
		case r.Currency == spend.USD:
			c.USDGross, c.USDCredits = r.Gross, r.Credits
		case r.Converted():
			var err1, err2 error
			c.USDGross, err1 = quo(r.Gross, r.Rate)
			c.USDCredits, err2 = quo(r.Credits, r.Rate)
			if err1 != nil || err2 != nil {
				return nil, spend.Classify(spend.Schema, fmt.Errorf(
					"converting the money of SKU id %q to USD: it is out of range", clean(r.SKU.ID)))
			}
		}
		out[i] = c
	}
	return out, nil
}

// Statements is a draft of what the ledger gets: a statement for every day of the
// window, since a complete answer also says which days are empty, with a charge per
// model, project and SKU. Tax is left out. Money that cannot be converted stays in its
// own currency.
func Statements(w spend.Window, rows []Charged) []spend.Statement {
	days := make([][]spend.Charge, w.Days())
	for _, r := range rows {
		if r.Tax() || !w.Contains(r.Day) {
			continue
		}
		days[r.Day-w.From] = append(days[r.Day-w.From], r.charge())
	}
	out := make([]spend.Statement, len(days))
	for i, charges := range days {
		out[i] = spend.Statement{Day: w.From + spend.Day(i), Charges: spend.MergeCharges(charges)}
	}
	return out
}

func (c Charged) charge() spend.Charge {
	out := spend.Charge{
		Project: clean(c.Project), Item: clean(strings.TrimSpace(c.SKU.ID + " " + c.SKU.Text)),
		Currency: spend.USD, Gross: c.USDGross, Credits: c.USDCredits,
	}
	if c.Model != spend.OtherModel {
		out.Model = c.Model
	}
	if !c.Converted() {
		out.Currency, out.Gross, out.Credits = c.Currency, c.Gross, c.Credits
	}
	return out
}

func clean(s string) string {
	label, _ := spend.CleanLabel(s)
	return label
}
