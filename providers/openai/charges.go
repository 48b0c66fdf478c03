package openai

import (
	"slices"

	"github.com/aispend/aispend/providers/internal/daily"
	"github.com/aispend/aispend/spend"
)

// costs reads the rows of /v1/organization/costs. Amounts are dollars, as
// numbers or as strings, with any number of decimals (apis page 1.2).
type costs struct {
	filter []string
	labels daily.Labels
	items  map[string]item // by line_item as received
	rows   []spend.Charge
	// Of the page being read: a row has a line_item; a row with money has none.
	named, bare bool
}

// item is a line_item seen before: its label and that of its model.
type item struct{ label, model string }

func newCosts(w spend.Window, projects []string) *daily.Decoder {
	return daily.NewDecoder(layout("openai costs"), w, &costs{filter: projects, items: map[string]item{}})
}

// Row reads one row. Money never depends on the line_item being understood.
func (c *costs) Row(r *daily.Reader) {
	var (
		amount spend.Money
		it     item
		charge spend.Charge
		named  bool
	)
	r.Object()
	for r.Member() {
		switch string(r.Name()) {
		case "amount":
			amount, charge.Currency = readAmount(r)
		case "line_item":
			if text, ok := r.Text(); ok && len(text) > 0 {
				it, named = c.item(text), true
			}
		case "project_id":
			project, _ := r.Text()
			charge.Project = c.labels.Of(project)
			checkFilter(r, c.filter, project)
		case "object", "api_key_id", "quantity", "quantity_unit", "user_id", "api_source",
			"project_name", "organization_id", "organization_name", "user_email", "api_key_name":
			r.Skip()
		default:
			r.SkipUnknown()
		}
	}
	if r.Err() == nil && charge.Currency == "" {
		r.Fail("has no amount")
	}
	if r.Err() != nil {
		return
	}
	if charge.Project == "" {
		checkFilter(r, c.filter, nil)
	}
	c.named = c.named || named
	c.bare = c.bare || !named && !amount.IsZero()
	charge.Item, charge.Model = it.label, it.model
	charge.Gross, charge.Credits = daily.Split(amount)
	c.rows = append(c.rows, charge)
}

// readAmount reads {"value": 1.25, "currency": "usd"}, of which neither may be missing.
func readAmount(r *daily.Reader) (value spend.Money, currency string) {
	hasValue := false
	r.Object()
	for r.Member() {
		switch string(r.Name()) {
		case "value":
			value, hasValue = r.Money(), true
		case "currency":
			currency = r.Currency()
		default:
			r.SkipUnknown()
		}
	}
	switch {
	case r.Err() != nil:
	case !hasValue:
		r.Fail(`has no "value"`)
	case currency == "":
		r.Fail(`has no "currency"`)
	}
	return value, currency
}

// checkFilter makes sure that a filter was obeyed: a server that ignores
// project_ids would otherwise put the whole organisation's money into this block.
func checkFilter(r *daily.Reader, filter []string, project []byte) {
	if len(filter) > 0 && r.Err() == nil && !slices.Contains(filter, string(project)) {
		r.Fail("is of a project that project_ids does not name: the filter was ignored")
	}
}

// item returns what a line_item stands for.
func (c *costs) item(text []byte) item {
	it, ok := c.items[string(text)]
	if !ok {
		it = item{label: c.labels.Of(text), model: c.labels.Of([]byte(parseLineItem(string(text)).Model))}
		c.items[string(text)] = it
	}
	return it
}

// Take returns the charges of the rows since the last Take.
func (c *costs) Take() spend.Statement {
	st := spend.Statement{Charges: spend.MergeCharges(c.rows)}
	c.rows = c.rows[:0]
	return st
}

// PageEnd refuses a page whose money carries no line_item at all: the grouping
// that was asked for has been ignored, and every model would be lost.
func (c *costs) PageEnd(r *daily.Reader) {
	if c.bare && !c.named {
		r.Fail("no row with money has a line_item: the grouping that was asked for was ignored")
	}
	c.bare, c.named = false, false
}

// Notices counts the labels that had to be changed.
func (c *costs) Notices(n map[string]int) { c.labels.Notices(n) }
