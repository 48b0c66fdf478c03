package main

import (
	"slices"
	"strconv"
	"strings"
)

// change is one way to make an expression wrong.
type change struct {
	what string // for people
	expr string
}

// changes returns every change to an expression that the tests should notice.
func changes(expr string) []change {
	m := &mutator{expr: expr, tokens: scan(expr)}
	for i, t := range m.tokens {
		switch {
		case t.kind == quoted || t.ranging:
		case t.matching:
			m.matcher(i)
		case t.kind == symbol:
			m.operator(i)
		default:
			m.word(i)
		}
	}
	return m.out
}

type mutator struct {
	expr   string
	tokens []token
	out    []change
}

// swap are the words and operators that are exchanged; several ways are separated
// by a space.
var swap = map[string]string{
	">": "<= >=", ">=": "< >", "<": ">= <=", "<=": "> <", "==": "!=", "!=": "==",
	"max": "min", "min": "max", "max_over_time": "min_over_time", "min_over_time": "max_over_time",
	"clamp_min": "clamp_max", "avg_over_time": "max_over_time", "-": "+", "/": "*",
}

// grouping are the keywords that a list of labels follows.
var grouping = []string{"by", "on", "without", "ignoring"}

func (m *mutator) operator(i int) { m.swap(i) }

func (m *mutator) word(i int) {
	t := m.tokens[i]
	m.swap(i)
	switch {
	case slices.Contains(grouping, t.text):
		m.labels(i)
	case t.text == "last_over_time":
		m.unbridge(i)
	case t.text == "abs":
		m.add("remove abs", t.from, t.to, "")
	case t.text == "offset":
		m.add("remove offset "+m.tokens[i+1].text, t.from, m.tokens[i+1].to, "")
	case slices.Contains(setOperators, t.text):
		m.clause(i)
	default:
		m.number(i)
	}
}

func (m *mutator) swap(i int) {
	t := m.tokens[i]
	for by := range strings.FieldsSeq(swap[t.text]) {
		m.add(t.text+" becomes "+by, t.from, t.to, by)
	}
}

// labels drops each label of a list.
func (m *mutator) labels(i int) {
	open := i + 1
	for j := open + 1; j < closing(m.tokens, open); j++ {
		t := m.tokens[j]
		if t.kind != word {
			continue
		}
		from, to := t.from, t.to
		if m.tokens[j+1].text == "," {
			to = m.tokens[j+1].to
		} else if m.tokens[j-1].text == "," {
			from = m.tokens[j-1].from
		}
		m.add("drop "+t.text+" from "+m.tokens[i].text, from, to, "")
	}
}

// unbridge makes last_over_time(x[10m]) the sample of now, and shrinks the range of
// a subquery to one step.
func (m *mutator) unbridge(i int) {
	end := closing(m.tokens, i+1)
	for j := end - 1; j > i; j-- {
		if m.tokens[j].text != "[" {
			continue
		}
		last := closing(m.tokens, j)
		inside := m.expr[m.tokens[j].to:m.tokens[last].from]
		if _, step, isSubquery := strings.Cut(inside, ":"); isSubquery {
			m.add("remove the bridge of the sum", m.tokens[j].to, m.tokens[last].from, step+":"+step)
			return
		}
		whole := "(" + m.expr[m.tokens[i+1].to:m.tokens[j].from] + m.expr[m.tokens[last].to:m.tokens[end].to]
		m.add("remove last_over_time", m.tokens[i].from, m.tokens[end].to, whole)
		return
	}
}

// clause removes what a set operator adds, and of an or also what was there before.
func (m *mutator) clause(i int) {
	t := m.tokens[i]
	last := m.tokens[operandEnd(m.tokens, i)-1]
	m.add("remove "+t.text+" ...", t.from, last.to, "")
	if t.text == "or" {
		first := i + 1
		if slices.Contains(grouping, m.tokens[first].text) {
			first = closing(m.tokens, first+1) + 1
		}
		m.add("remove ... or", m.tokens[operandStart(m.tokens, i)].from, m.tokens[first].from, "")
	}
}

// number doubles and halves a threshold.
func (m *mutator) number(i int) {
	t := m.tokens[i]
	n, err := strconv.ParseFloat(t.text, 64) //nolint:forbidigo // a threshold, no money
	// Inf, NaN and the argument of vector() are no thresholds.
	if err != nil || n == 0 || t.text[0] > '9' || i > 1 && m.tokens[i-2].text == "vector" {
		return
	}
	for what, by := range map[string]float64{"double": 2, "halve": 0.5} {
		m.add(what+" "+t.text, t.from, t.to, strconv.FormatFloat(n*by, 'g', -1, 64))
	}
}

// matcher drops a label matcher of a selector.
func (m *mutator) matcher(i int) {
	t := m.tokens[i]
	if t.kind != word {
		return
	}
	last := m.tokens[i+2] // name, operator, string
	to := last.to
	if m.tokens[i+3].text == "," {
		to = m.tokens[i+3].to
	}
	m.add("drop matcher "+m.expr[t.from:last.to], t.from, to, "")
}

func (m *mutator) add(what string, from, to int, by string) {
	m.out = append(m.out, change{what, m.expr[:from] + by + m.expr[to:]})
}
