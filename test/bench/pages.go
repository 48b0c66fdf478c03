package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/aispend/aispend/spend"
)

const (
	pageProjects = 40
	pageModels   = 12
	pageBytes    = 51 << 10 // what the figures of measured stores refer to
	secondsADay  = 86400
)

// pager makes pages of openai/costs, grouped by project and line item, of about
// pageBytes each. Equal seeds make equal pages.
type pager struct {
	rng *rand.Rand
	// noise is how many random hexadecimal digits each row carries: without any a
	// page shrinks to a seventh, as the real ones are expected to.
	noise int
}

func newPager(seed uint64, noise int) *pager {
	return &pager{rng: rand.New(rand.NewPCG(seed, 1)), noise: noise}
}

// page returns a page that has one bucket, of the given day.
func (p *pager) page(day spend.Day, more bool) []byte {
	b := make([]byte, 0, pageBytes+512)
	b = append(b, `{"object": "page", "data": [{"object": "bucket", `...)
	b = fmt.Appendf(b, `"start_time": %d, "end_time": %d, "results": [`,
		int64(day)*secondsADay, int64(day+1)*secondsADay)
	for row := p.rng.IntN(pageProjects); len(b) < pageBytes; row++ {
		if b[len(b)-1] == '}' {
			b = append(b, ", "...)
		}
		b = p.row(b, row)
	}
	next := "null"
	if more {
		next = fmt.Sprintf(`"page_%016x"`, p.rng.Uint64())
	}
	return fmt.Appendf(b, `]}], "has_more": %t, "next_page": %s}`, more, next)
}

// row appends the n-th row of a bucket: project and line item differ from row to row.
func (p *pager) row(b []byte, n int) []byte {
	kinds := [...]string{"input", "cached input", "output"}
	project, n := n%pageProjects, n/pageProjects
	b = append(b, `{"object": "organization.costs.result", "amount": {"value": `...)
	b = p.amount(b)
	b = append(b, `, "currency": "usd"}, "line_item": "gpt-`...)
	b = strconv.AppendInt(b, int64(n/len(kinds)%pageModels), 10)
	b = append(b, `.5-2026-04-23, `...)
	b = append(b, kinds[n%len(kinds)]...)
	b = append(b, `", "project_id": "proj_`...)
	b = append(b, "AbCdEfGhIjKlMnOp"...)
	b = strconv.AppendInt(b, int64(100+project), 10)
	b = append(b, `", "api_key_id": `...)
	if p.noise == 0 {
		b = append(b, "null"...)
	} else {
		b = append(b, `"key_`...)
		for range (p.noise + 15) / 16 {
			b = fmt.Appendf(b, "%016x", p.rng.Uint64())
		}
		b = append(b, '"')
	}
	b = append(b, `, "quantity": `...)
	b = strconv.AppendInt(b, p.rng.Int64N(10_000_000), 10)
	return append(b, `, "quantity_unit": "tokens"}`...)
}

// amount appends an amount: a third each of 16-digit floats, 6 and 9 decimals.
func (p *pager) amount(b []byte) []byte {
	b = strconv.AppendInt(b, p.rng.Int64N(50), 10)
	b = append(b, '.')
	switch p.rng.IntN(3) {
	case 0:
		return fmt.Appendf(b, "%015d", p.rng.Int64N(1e15))
	case 1:
		return fmt.Appendf(b, "%06d", p.rng.Int64N(1e6))
	default:
		return fmt.Appendf(b, "%09d", p.rng.Int64N(1e9))
	}
}

// told returns a day as a pull of today brings it: the same as last time if it
// has been closed for a while.
func (p *pager) told(day, today spend.Day, rows int) spend.Statement {
	if day <= today-houseOpen {
		p = newPager(uint64(day), 0)
	}
	return p.statement(day, rows)
}

// statement returns a day of about as many charges as rows: models of several
// projects, as a daemon's ledger holds them.
func (p *pager) statement(day spend.Day, rows int) spend.Statement {
	const projects = 5
	charges := make([]spend.Charge, rows)
	var text []byte
	for i := range charges {
		text = p.amount(text[:0])
		charges[i] = spend.Charge{
			Model: fmt.Sprintf("model-%03d", i/projects), Project: fmt.Sprintf("proj_%d", i%projects),
			Item: fmt.Sprintf("model-%03d, output", i/projects), Currency: spend.USD,
			Gross: spend.MustMoney(string(text)),
		}
	}
	return spend.Statement{Day: day, Charges: spend.MergeCharges(charges)}
}
