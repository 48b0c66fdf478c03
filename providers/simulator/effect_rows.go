package simulator

import (
	"fmt"
	"slices"
	"strings"
)

// Amount spells the amount of a page's first row as raw JSON: `null`, `"NaN"`,
// `"1_000"`, `""`, `1e400`, `-5`. Empty leaves the amount's value out. At OpenAI
// this is amount.value, at Anthropic amount.
func Amount(raw string) Effect {
	return firstRow("amount", func(_ *page, r *wireRow) { r.value = raw })
}

// AmountMember spells the whole amount member of a page's first row as raw JSON;
// empty leaves it out.
func AmountMember(raw string) Effect {
	if raw == "" {
		raw = "-"
	}
	return firstRow("amount member", func(_ *page, r *wireRow) { r.amount = raw })
}

// AmountsAsStrings turns every amount into a string of the same digits.
func AmountsAsStrings() Effect {
	return eachRow("amounts as strings", func(_ *page, r *wireRow) {
		if !strings.HasPrefix(r.value, `"`) {
			r.value = quote(r.value)
		}
	})
}

// AmountsAsNumbers turns every amount into a number of the same digits.
func AmountsAsNumbers() Effect {
	return eachRow("amounts as numbers", func(_ *page, r *wireRow) { r.value = strings.Trim(r.value, `"`) })
}

// NegateAmounts turns every amount into its negative.
func NegateAmounts() Effect {
	return eachRow("negative amounts", func(_ *page, r *wireRow) {
		quoted := strings.HasPrefix(r.value, `"`)
		s := strings.Trim(r.value, `"`)
		if rest, ok := strings.CutPrefix(s, "-"); ok {
			s = rest
		} else {
			s = "-" + s
		}
		if quoted {
			s = quote(s)
		}
		r.value = s
	})
}

// Currency spells the currency of a page's first row as raw JSON (`"EUR"`); empty
// leaves it out.
func Currency(raw string) Effect {
	return firstRow("currency", func(_ *page, r *wireRow) { r.currency = raw })
}

// FirstField spells a field of a page's first row as raw JSON; empty leaves it
// out. For token counts: FirstField("input_tokens", `"12"`).
func FirstField(key, raw string) Effect {
	return firstRow("field "+key, func(_ *page, r *wireRow) { r.set(key, raw) })
}

// Field spells a field of every row as raw JSON; empty leaves it out.
func Field(key, raw string) Effect {
	return eachRow("field "+key, func(_ *page, r *wireRow) { r.set(key, raw) })
}

// NewFields adds unknown members to the page, every bucket and every row.
func NewFields() Effect {
	return onPage("new fields", func(p *page) {
		p.extra += `, "warnings": [], "schema_version": "2027-01-01"`
		for i := range p.buckets {
			b := &p.buckets[i]
			b.extra += `, "completeness": {"state": "partial"}`
			for j := range b.rows {
				b.rows[j].set("discount", `{"list": "1.5", "percent": 3}`)
			}
		}
	})
}

// NewEnumValues puts unknown values where the documents enumerate the known ones.
func NewEnumValues() Effect {
	return eachRow("new enum values", func(p *page, r *wireRow) {
		if p.provider == OpenAI {
			setKnown(r, "quantity_unit", `"thoughts"`)
			setKnown(r, "service_tier", `"ultra"`)
			return
		}
		setKnown(r, "cost_type", `"agent_minutes"`)
		setKnown(r, "token_type", `"thinking_tokens"`)
		setKnown(r, "context_window", `"1M-2M"`)
		setKnown(r, "service_tier", `"ultra"`)
		setKnown(r, "inference_geo", `"moon"`)
	})
}

func setKnown(r *wireRow, key, raw string) {
	if old := r.get(key); old != "" && old != "null" {
		r.set(key, raw)
	}
}

// IgnoreGrouping answers as if group_by had not been asked for, without adding
// the rows up: every dimension is null.
func IgnoreGrouping() Effect {
	return eachRow("grouping ignored", func(_ *page, r *wireRow) {
		for _, key := range []string{
			"line_item", "project_id", "api_key_id", "workspace_id", "description", "cost_type",
			"context_window", "model", "service_tier", "token_type", "inference_geo", "batch",
		} {
			if r.get(key) != "" {
				r.set(key, "null")
			}
		}
	})
}

// RenameModel calls a model by another name wherever it appears. The new name
// goes to the wire as its bytes: control characters and quotes are escaped,
// invalid UTF-8 is not.
func RenameModel(from, to string) Effect {
	return eachRow("renamed model", func(_ *page, r *wireRow) {
		if r.model == from {
			r.rename(from, to)
		}
	})
}

// rename replaces the model in every text that names it.
func (r *wireRow) rename(from, to string) {
	to = strings.TrimSuffix(strings.TrimPrefix(quote(to), `"`), `"`)
	for i, f := range r.fields {
		if f.key == "model" || f.key == "line_item" || f.key == "description" {
			r.fields[i].raw = strings.ReplaceAll(f.raw, from, to)
		}
	}
}

// DropModel leaves out every row of a model.
func DropModel(name string) Effect {
	return onPage("vanished model", func(p *page) {
		for i := range p.buckets {
			b := &p.buckets[i]
			b.rows = slices.DeleteFunc(b.rows, func(r wireRow) bool { return r.model == name })
		}
	})
}

// ManyModels gives n rows more to every bucket that has rows: copies of its first
// row that names a model, each of a model of its own ("sim-model-00001", ...).
// They cost ManyModelsAmount each.
func ManyModels(n int) Effect {
	return onPage("many models", func(p *page) {
		for i := range p.buckets {
			b := &p.buckets[i]
			k := slices.IndexFunc(b.rows, func(r wireRow) bool { return r.model != "" })
			if k < 0 {
				continue
			}
			for j := range n {
				r := b.rows[k]
				r.fields = slices.Clone(r.fields)
				r.value = quote(ManyModelsAmount)
				r.model = fmt.Sprintf("sim-model-%05d", j+1)
				r.rename(b.rows[k].model, r.model)
				b.rows = append(b.rows, r)
			}
		}
	})
}

// ManyModelsAmount is the amount of each row that ManyModels adds, in the unit of
// the provider.
const ManyModelsAmount = "0.001"
