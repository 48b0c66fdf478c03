package simulator

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/aispend/aispend/spend"
)

// Row is one cost row of the ground truth, as it appears on the wire when cost is
// grouped by everything that it can usefully be grouped by.
type Row struct {
	Provider string
	Day      spend.Day
	Model    string // empty on rows that name no model
	Project  string // project or workspace id; empty for none or the default one
	Item     string // line_item or description
	Literal  string // the amount as the page spells it: a JSON value
	Amount   spend.Money

	key       string
	name      string // of the project
	tokenType string
	costType  string
	context   string
	tier      string
	geo       string
	quantity  string // raw JSON
	unit      string
}

// OpenAICost returns the cost rows of a day as openai/costs reports them at time
// at, in page order. Amount is in dollars, exact.
func (w *World) OpenAICost(d spend.Day, at time.Time) []Row {
	var rows []Row
	for _, wk := range w.day(w.vendors[OpenAI], d, at) {
		rows = appendOpenAIRows(rows, d, wk, w.opt.Plain)
	}
	return w.revised(OpenAI, d, rows)
}

// AnthropicCost returns the cost rows of a day as anthropic/cost_report reports
// them at time at, in page order. Amount is in dollars, exact; Literal is in cents.
func (w *World) AnthropicCost(d spend.Day, at time.Time) []Row {
	var rows []Row
	for _, wk := range w.day(w.vendors[Anthropic], d, at) {
		rows = appendAnthropicRows(rows, d, wk, w.opt.Plain)
	}
	return w.revised(Anthropic, d, rows)
}

// Cost returns OpenAICost, AnthropicCost or VertexCost.
func (w *World) Cost(provider string, d spend.Day, at time.Time) []Row {
	switch provider {
	case Anthropic:
		return w.AnthropicCost(d, at)
	case Vertex:
		return w.VertexCost(d, at)
	default:
		return w.OpenAICost(d, at)
	}
}

// Total returns the exact cost of a provider over a window as reported at time
// at, net of credits, in dollars. Faults do not change it.
func (w *World) Total(provider string, win spend.Window, at time.Time) spend.Money {
	var sum spend.Money
	for d := win.From; d < win.To; d++ {
		for _, r := range w.Cost(provider, d, at) {
			sum = sum.Add(r.Amount)
		}
	}
	return sum
}

// Charges returns the cost rows of a day added up by model, project and item,
// sorted by these: what a decoder should make of that day's bucket.
func (w *World) Charges(provider string, d spend.Day, at time.Time) []spend.Charge {
	if provider == Vertex {
		return w.VertexCharges(d, at)
	}
	return chargesOf(w.Cost(provider, d, at))
}

func chargesOf(rows []Row) []spend.Charge {
	type key struct{ model, project, item string }
	sums := map[key]*spend.Charge{}
	for _, r := range rows {
		k := key{r.Model, r.Project, r.Item}
		c := sums[k]
		if c == nil {
			c = &spend.Charge{Model: r.Model, Project: r.Project, Item: r.Item, Currency: spend.USD}
			sums[k] = c
		}
		if r.Amount.Sign() < 0 {
			c.Credits = c.Credits.Add(r.Amount)
		} else {
			c.Gross = c.Gross.Add(r.Amount)
		}
	}
	out := make([]spend.Charge, 0, len(sums))
	for _, c := range sums {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b spend.Charge) int {
		return cmp.Or(
			strings.Compare(a.Model, b.Model),
			strings.Compare(a.Project, b.Project),
			strings.Compare(a.Item, b.Item),
		)
	})
	return out
}

// Usage returns a day's tokens and requests as the main usage source of a
// provider (completions, messages) reports them at time at, added up by model and
// project and sorted by these. Vertex has no source of usage and none of it.
func (w *World) Usage(provider string, d spend.Day, at time.Time) []spend.Usage {
	if provider == Vertex {
		return nil
	}
	type key struct{ model, project string }
	sums := map[key]*spend.Usage{}
	for _, wk := range w.day(w.vendors[provider], d, at) {
		if !wk.counted() {
			continue
		}
		k := key{wk.lane.model.name, wk.lane.proj.id}
		u := sums[k]
		if u == nil {
			u = &spend.Usage{Model: k.model, Project: k.project, HasRequests: provider == OpenAI}
			sums[k] = u
		}
		u.Input += wk.in
		u.Output += wk.out
		u.CacheRead += wk.cached
		u.CacheWrite += wk.write5m + wk.write1h
		if provider == OpenAI {
			u.Requests += wk.requests
		} else if wk.lane.tier == "priority" {
			u.Uncosted += wk.in + wk.out + wk.cached + wk.write5m + wk.write1h
		}
	}
	out := make([]spend.Usage, 0, len(sums))
	for _, u := range sums {
		out = append(out, *u)
	}
	slices.SortFunc(out, func(a, b spend.Usage) int {
		return cmp.Or(strings.Compare(a.Model, b.Model), strings.Compare(a.Project, b.Project))
	})
	return out
}

// counted reports whether the work shows up in the main usage report.
func (wk work) counted() bool {
	return !wk.zero && (wk.lane.model.kind == text || wk.lane.model.kind == audio)
}
