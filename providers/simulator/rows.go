package simulator

import (
	"strconv"

	"github.com/aispend/aispend/spend"
)

const million = 1e6

// part is one billed component of a lane's work.
type part struct {
	name     string // input, cached input, ...; the token_type at Anthropic
	quantity float64
	dollars  float64
}

func tokens(name string, n int64, perMillion float64) part {
	return part{name: name, quantity: float64(n), dollars: float64(n) * perMillion / million}
}

// appendOpenAIRows adds the line items of one lane's day.
func appendOpenAIRows(rows []Row, d spend.Day, wk work, plain bool) []Row {
	l, m := wk.lane, wk.lane.model
	prefix, suffix := "", ""
	if l.tier != "default" {
		prefix = l.tier + " | "
	}
	if l.long {
		suffix = ", long context"
	}
	for i, p := range openAIParts(wk) {
		if p.quantity == 0 && !wk.zero {
			continue
		}
		h := wk.hash.text("row").num(uint64(i))
		r := Row{
			Provider: OpenAI, Day: d, Model: m.name, Project: l.proj.id, name: l.proj.name, key: l.key,
			Item: prefix + m.name + p.name + suffix, unit: unitOf(m),
			Literal: openAIAmount(h, p.dollars), quantity: strconv.FormatFloat(p.quantity, 'f', -1, 64),
		}
		if m.kind == tool {
			r.Item = m.display
		}
		r.Amount = parseLiteral(r.Literal)
		rows = append(rows, r)
		if plain || wk.zero {
			continue
		}
		if h.text("again").chance(0.03) { // a second row of the same line item and project
			r.key = l.proj.keys[1]
			r.Literal = openAIAmount(h.num(7), p.dollars/9)
			r.Amount = parseLiteral(r.Literal)
			rows = append(rows, r)
		}
		if h.text("credit").chance(0.004) {
			r.Literal = "-" + fixed(p.dollars*0.2+0.01, 4)
			r.Amount, r.quantity, r.unit = parseLiteral(r.Literal), "null", ""
			rows = append(rows, r)
		}
	}
	return rows
}

func unitOf(m *model) string {
	switch {
	case m.unit != "" || m.kind == tool:
		return m.unit
	default:
		return "tokens"
	}
}

func openAIParts(wk work) []part {
	m := wk.lane.model
	switch m.kind {
	case text:
		input, output := ", input", ", output"
		if m.verbose {
			input, output = ", input_tokens", ", output_tokens"
		}
		return []part{
			tokens(input, wk.in, m.in*priceFactor(wk)),
			tokens(", cached input", wk.cached, m.cached*priceFactor(wk)),
			tokens(output, wk.out, m.out*priceFactor(wk)),
			tokens(", cache writes", wk.write5m, m.write5m*priceFactor(wk)),
		}
	case audio:
		return []part{tokens(" audio, input", wk.in, m.in), tokens(" audio, output", wk.out, m.out)}
	case embedding:
		return []part{tokens(", input", wk.in, m.in)}
	case image:
		return []part{
			{name: " image, output", quantity: wk.units, dollars: wk.units * m.out},
			tokens(" text, cached input", wk.cached, m.cached),
		}
	case minutes:
		return []part{{name: ", audio", quantity: wk.units, dollars: wk.units * m.out}}
	default:
		return []part{{quantity: wk.units, dollars: wk.units * m.out}}
	}
}

func priceFactor(wk work) float64 {
	f := 1.0
	switch wk.lane.tier {
	case "batch":
		f = 0.5
	case "priority":
		f = 1.8
	}
	if wk.lane.long {
		f *= 2
	}
	return f
}

// appendAnthropicRows adds the report rows of one lane's day. The priority tier
// is not in the cost report (API page 2.3).
func appendAnthropicRows(rows []Row, d spend.Day, wk work, plain bool) []Row {
	l, m := wk.lane, wk.lane.model
	if l.tier == "priority" {
		return rows
	}
	base := Row{Provider: Anthropic, Day: d, Model: m.name, Project: l.proj.id, Item: m.display}
	if m.kind == tool {
		base.costType = m.cost
		return append(rows, base.cents(wk.hash, wk.units*m.out*100))
	}
	base.costType, base.tier, base.geo, base.context = "tokens", l.tier, l.geo, "0-200k"
	if l.long {
		base.context = "200k-1M"
	}
	for i, p := range []part{
		tokens("uncached_input_tokens", wk.in, m.in),
		tokens("output_tokens", wk.out, m.out),
		tokens("cache_read_input_tokens", wk.cached, m.cached),
		tokens("cache_creation.ephemeral_5m_input_tokens", wk.write5m, m.write5m),
		tokens("cache_creation.ephemeral_1h_input_tokens", wk.write1h, m.write1h),
	} {
		if p.quantity == 0 && (!wk.zero || i > 0) {
			continue
		}
		h := wk.hash.text("row").num(uint64(i))
		r := base
		r.tokenType = p.name
		r.Item = m.display + anthropicItem(p.name, l)
		rows = append(rows, r.cents(h, p.dollars*100*priceFactor(wk)))
		if !plain && !wk.zero && h.text("credit").chance(0.004) {
			r.Literal = quote("-" + fixed(p.dollars*20+1, 4))
			r.Amount = parseLiteral(r.Literal).Shift(-2)
			rows = append(rows, r)
		}
	}
	return rows
}

// cents returns the row with an amount.
func (r Row) cents(h hash, v float64) Row {
	r.Literal = anthropicAmount(h, v)
	r.Amount = parseLiteral(r.Literal).Shift(-2)
	return r
}

func anthropicItem(tokenType string, l *lane) string {
	s := " Usage"
	if l.tier == "batch" {
		s += " (Batch)"
	}
	switch tokenType {
	case "output_tokens":
		s += " - Output Tokens"
	case "cache_read_input_tokens":
		s += " - Input Tokens, Cache Hit"
	case "cache_creation.ephemeral_5m_input_tokens":
		s += " - Input Tokens, Cache Write 5m"
	case "cache_creation.ephemeral_1h_input_tokens":
		s += " - Input Tokens, Cache Write 1h"
	default:
		s += " - Input Tokens"
	}
	if l.long {
		s += ", Long Context"
	}
	return s
}
