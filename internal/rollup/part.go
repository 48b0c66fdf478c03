package rollup

import (
	"time"

	"github.com/aispend/aispend/spend"
)

// part is one source's statement of one day, in columns. It is immutable and
// shared between snapshots. A charge takes 28 bytes, and 20 more if it has credits.
type part struct {
	readAt time.Time
	total  sums // over everything in USD, and over the usage

	// The charges in USD that have the fixed form: row i has ids[i], ids[n+i] and
	// ids[2n+i] as model, project and item, where n is len(gross).
	ids   []uint32
	gross []spend.Fixed
	// The rows among them that have credits.
	credits []credit

	rest  []restCharge
	usage []usageRow
}

type credit struct {
	row    uint32
	amount spend.Fixed
}

// restCharge is a charge that does not fit the columns: its currency is not USD,
// or an amount has no fixed form.
type restCharge struct {
	model, project, item uint32
	currency             string
	gross, credits       spend.Money
}

type usageRow struct {
	model, project uint32
	counts
}

// newPart copies a statement. Only the Book's names are shared with it.
func newPart(st spend.Statement, n *names) *part {
	p := &part{readAt: st.ReadAt}
	columns := 0
	for _, c := range st.Charges {
		if _, _, ok := fixedUSD(c); ok {
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
	if c.Currency == spend.USD {
		p.total.addCharge(model, c.Gross, c.Credits)
	}
	gross, credits, ok := fixedUSD(c)
	if !ok {
		p.rest = append(p.rest, restCharge{model, project, item, c.Currency, c.Gross, c.Credits})
		return
	}
	i := len(p.gross)
	p.ids[i], p.ids[columns+i], p.ids[2*columns+i] = model, project, item
	p.gross = append(p.gross, gross)
	if !credits.IsZero() {
		p.credits = append(p.credits, credit{uint32(i), credits})
	}
}

// fixedUSD returns a charge's amounts if it fits the columns.
func fixedUSD(c spend.Charge) (gross, credits spend.Fixed, ok bool) {
	gross, gok := c.Gross.Fixed()
	credits, cok := c.Credits.Fixed()
	return gross, credits, gok && cok && c.Currency == spend.USD
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
	for _, c := range p.rest {
		charges = append(charges, spend.Charge{
			Model: v.models[c.model], Project: v.projects[c.project], Item: v.items[c.item],
			Currency: c.currency, Gross: c.gross, Credits: c.credits,
		})
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
