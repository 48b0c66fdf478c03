package anthropic

import (
	"github.com/aispend/aispend/providers/internal/daily"
	"github.com/aispend/aispend/spend"
)

// costs reads the rows of /v1/organizations/cost_report. Amounts are cents, with
// any number of decimals: "123.45" is 1.2345 USD (apis page 2.3, confirmed by two
// reconciliations). A JSON number is taken as cents too: the spelling does not
// change the unit.
type costs struct {
	filter  []string
	labels  daily.Labels
	rows    []spend.Charge
	outside int
	// Of the page being read: a row has a description; a row with money has none.
	named, bare bool
}

func newCosts(w spend.Window, workspaces []string) *daily.Decoder {
	return daily.NewDecoder(layout("anthropic cost_report"), w, &costs{filter: workspaces})
}

// Row reads one row. Enumerations (cost_type, token_type, tiers) grow, so they are
// not looked at.
func (c *costs) Row(r *daily.Reader) {
	var (
		cents     spend.Money
		hasAmount bool
		covered   = covers(c.filter, nil)
		charge    spend.Charge
		named     bool
	)
	r.Object()
	for r.Member() {
		switch string(r.Name()) {
		case "amount":
			cents, hasAmount = r.Money(), true
		case "currency":
			charge.Currency = r.Currency()
		case "description":
			text, _ := r.Text()
			charge.Item, named = c.labels.Of(text), len(text) > 0
		case "model":
			text, _ := r.Text()
			charge.Model = c.labels.Of(text)
		case "workspace_id":
			id, _ := r.Text()
			charge.Project, covered = c.labels.Of(id), covers(c.filter, id)
		case "cost_type", "context_window", "service_tier", "token_type", "inference_geo":
			r.Skip()
		default:
			r.SkipUnknown()
		}
	}
	switch {
	case r.Err() != nil:
		return
	case !hasAmount:
		r.Fail("has no amount")
		return
	case charge.Currency == "":
		r.Fail("has no currency")
		return
	}
	c.named = c.named || named
	c.bare = c.bare || !named && !cents.IsZero()
	if !covered {
		c.outside++
		return
	}
	charge.Gross, charge.Credits = daily.Split(cents.Shift(-2))
	c.rows = append(c.rows, charge)
}

// Take returns the charges of the rows since the last Take.
func (c *costs) Take() spend.Statement {
	st := spend.Statement{Charges: spend.MergeCharges(c.rows)}
	c.rows = c.rows[:0]
	return st
}

// PageEnd refuses a page whose money carries no description at all: the grouping
// that was asked for has been ignored, and with it every model is lost.
func (c *costs) PageEnd(r *daily.Reader) {
	if c.bare && !c.named {
		r.Fail("no row with money has a description: the grouping that was asked for was ignored")
	}
	c.bare, c.named = false, false
}

// Notices counts what was odd.
func (c *costs) Notices(n map[string]int) {
	c.labels.Notices(n)
	if c.outside > 0 {
		n[daily.NoticeOutsideFilter] = c.outside
	}
}
