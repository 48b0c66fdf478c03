package rollup

import (
	"time"

	"github.com/aispend/aispend/spend"
)

// part is one source's statement of one day, in columns. It is immutable and
// shared between snapshots. A charge takes 28 bytes, 20 more if it has credits,
// and about 100 more if it was billed in another currency.
type part struct {
	readAt time.Time
	total  sums // over everything in USD, and over the usage

	// The charges whose USD have the fixed form: row i has ids[i], ids[n+i] and
	// ids[2n+i] as model, project and item, where n is len(gross).
	ids   []uint32
	gross []spend.Fixed
	// The rows among them that have credits.
	credits []credit
	// The rows among them that were billed in another currency, as they were billed.
	native []native

	rest  []restCharge
	usage []usageRow
}

type credit struct {
	row    uint32
	amount spend.Fixed
}

type native struct {
	row                  uint32
	currency             string
	rate, gross, credits spend.Money
}

// restCharge is a charge that does not fit the columns: it is tax, there is no rate
// for its currency, or an amount in USD has no fixed form.
type restCharge struct {
	model, project, item uint32
	charge               spend.Charge // without these names
	usdGross, usdCredits spend.Money
	converted            bool
}

// cost reports whether the charge is part of the sums of cost.
func (c *restCharge) cost() bool { return c.converted && !c.charge.Tax }

type usageRow struct {
	model, project uint32
	counts
}

// newPart copies a statement. Only the Book's names are shared with it.
func newPart(st spend.Statement, n *names) *part {
	p := &part{readAt: st.ReadAt}
	columns := 0
	for _, c := range st.Charges {
		if fitsColumns(c) {
			columns++
		}
	}
	if columns > 0 {
		p.ids = make([]uint32, 3*columns)
		p.gross = make([]spend.Fixed, 0, columns)
	}
	for _, c := range st.Charges {
		p.addCharge(c, columns, n)
	}
	if len(st.Usage) > 0 {
		p.usage = make([]usageRow, 0, len(st.Usage))
	}
	for _, u := range st.Usage {
		row := usageRow{n.models.id(u.Model), n.projects.id(u.Project), countsOf(u)}
		p.usage = append(p.usage, row)
		p.total.addUsage(row.counts)
	}
	return p
}

func (p *part) addCharge(c spend.Charge, columns int, n *names) {
	model, project, item := n.models.id(c.Model), n.projects.id(c.Project), n.items.id(c.Item)
	usdGross, usdCredits, converted := c.USD()
	if converted && !c.Tax {
		p.total.addCharge(model, usdGross, usdCredits)
	}
	if !fitsColumns(c) {
		c.Model, c.Project, c.Item = "", "", ""
		p.rest = append(p.rest, restCharge{model, project, item, c, usdGross, usdCredits, converted})
		return
	}
	gross, _ := usdGross.Fixed()
	credits, _ := usdCredits.Fixed()
	i := len(p.gross)
	p.ids[i], p.ids[columns+i], p.ids[2*columns+i] = model, project, item
	p.gross = append(p.gross, gross)
	if !credits.IsZero() {
		p.credits = append(p.credits, credit{uint32(i), credits})
	}
	if c.Currency != spend.USD || !c.Rate.IsZero() {
		p.native = append(p.native, native{uint32(i), c.Currency, c.Rate, c.Gross, c.Credits})
	}
}

// fitsColumns reports whether a charge is cost whose USD have the fixed form.
func fitsColumns(c spend.Charge) bool {
	gross, credits, ok := c.USD()
	_, gok := gross.Fixed()
	_, cok := credits.Fixed()
	return ok && gok && cok && !c.Tax
}

// columns returns the ids of the charges in gross.
func (p *part) columns() (model, project, item []uint32) {
	n := len(p.gross)
	return p.ids[:n:n], p.ids[n : 2*n : 2*n], p.ids[2*n:]
}

func (p *part) chargeRows() int { return len(p.gross) + len(p.rest) }

func (p *part) usageRows() int { return len(p.usage) }

// statement is the way back from the columns.
func (p *part) statement(day spend.Day, v view) spend.Statement {
	var charges []spend.Charge
	model, project, item := p.columns()
	for i, gross := range p.gross {
		charges = append(charges, spend.Charge{
			Model: v.models[model[i]], Project: v.projects[project[i]], Item: v.items[item[i]],
			Currency: spend.USD, Gross: gross.Money(),
		})
	}
	for _, c := range p.credits {
		charges[c.row].Credits = c.amount.Money()
	}
	for _, n := range p.native {
		c := &charges[n.row]
		c.Currency, c.Rate, c.Gross, c.Credits = n.currency, n.rate, n.gross, n.credits
	}
	for _, r := range p.rest {
		c := r.charge
		c.Model, c.Project, c.Item = v.models[r.model], v.projects[r.project], v.items[r.item]
		charges = append(charges, c)
	}
	var usage []spend.Usage
	for _, u := range p.usage {
		usage = append(usage, u.usage(v))
	}
	return spend.Statement{
		Day: day, ReadAt: p.readAt,
		Charges: spend.MergeCharges(charges), Usage: spend.MergeUsage(usage),
	}
}

func (u usageRow) usage(v view) spend.Usage {
	return spend.Usage{
		Model: v.models[u.model], Project: v.projects[u.project],
		Input: u.input, Output: u.output, CacheRead: u.cacheRead, CacheWrite: u.cacheWrite,
		Requests: u.requests, HasRequests: u.hasRequests, Uncosted: u.uncosted,
	}
}
