package simulator

import (
	"bytes"
	"strconv"
	"time"

	"github.com/aispend/aispend/spend"
)

// page is one response before it is spelled out. Members hold raw JSON, and an
// empty string leaves the member out, so that faults can break any of them.
type page struct {
	provider string
	head     string // members before data, as `"object": "page", `
	dataKey  string
	buckets  []bucket
	hasMore  string
	nextPage string
	extra    string // further members, as `, "a": 1`
	pad      int    // bytes of white space before each bucket

	// What faults on cursors need to know.
	cursor func(days int) string // a valid token days after the window's first day
	offset int                   // of this page, in days
	limit  int
}

type bucket struct {
	day     spend.Day
	start   time.Time
	end     time.Time
	rowsKey string
	rows    []wireRow
	extra   string
}

// wireRow is one result. Money is apart from the other fields because the vendors
// nest it differently; usage rows have none.
type wireRow struct {
	model    string
	money    bool
	value    string // raw JSON; "" leaves it out
	currency string // raw JSON; "" leaves it out
	amount   string // raw JSON in place of the whole amount; "-" leaves it out
	fields   []field
}

type field struct{ key, raw string }

func (r *wireRow) set(key, raw string) {
	for i := range r.fields {
		if r.fields[i].key == key {
			r.fields[i].raw = raw
			return
		}
	}
	r.fields = append(r.fields, field{key, raw})
}

func (r *wireRow) get(key string) string {
	for _, f := range r.fields {
		if f.key == key {
			return f.raw
		}
	}
	return ""
}

// render spells the page out, without any conversion of amounts.
func (p *page) render() []byte {
	b := append([]byte("{"), p.head...)
	if p.dataKey != "" {
		b = appendKey(b, p.dataKey)
		b = append(b, '[')
		for i := range p.buckets {
			if i > 0 {
				b = append(b, ", "...)
			}
			for range p.pad {
				b = append(b, ' ')
			}
			b = p.appendBucket(b, &p.buckets[i])
		}
		b = append(b, "], "...)
	}
	if p.hasMore != "" {
		b = append(appendKey(b, "has_more"), p.hasMore...)
		b = append(b, ", "...)
	}
	if p.nextPage != "" {
		b = append(appendKey(b, "next_page"), p.nextPage...)
	}
	b = append(bytes.TrimSuffix(b, []byte(", ")), p.extra...)
	return append(b, "}\n"...)
}

func (p *page) appendBucket(b []byte, bk *bucket) []byte {
	if p.provider == OpenAI {
		b = append(b, `{"object": "bucket", "start_time": `...)
		b = strconv.AppendInt(b, bk.start.Unix(), 10)
		b = append(b, `, "end_time": `...)
		b = strconv.AppendInt(b, bk.end.Unix(), 10)
	} else {
		b = append(b, `{"starting_at": "`...)
		b = bk.start.UTC().AppendFormat(b, time.RFC3339)
		b = append(b, `", "ending_at": "`...)
		b = bk.end.UTC().AppendFormat(b, time.RFC3339)
		b = append(b, '"')
	}
	b = append(b, bk.extra...)
	if bk.rowsKey != "" {
		b = append(b, ", "...)
		b = append(appendKey(b, bk.rowsKey), '[')
		for i := range bk.rows {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = p.appendRow(b, &bk.rows[i])
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func (p *page) appendRow(b []byte, r *wireRow) []byte {
	b = append(b, '{')
	first := true
	put := func(key, raw string) {
		if raw == "" || raw == "-" {
			return
		}
		if !first {
			b = append(b, ", "...)
		}
		first = false
		b = append(appendKey(b, key), raw...)
	}
	fields := r.fields
	if p.provider == OpenAI && len(fields) > 0 { // object comes first
		put(fields[0].key, fields[0].raw)
		fields = fields[1:]
	}
	switch {
	case !r.money:
	case p.provider == OpenAI && r.amount == "":
		put("amount", moneyObject(r.value, r.currency))
	case p.provider == OpenAI:
		put("amount", r.amount)
	default:
		put("currency", r.currency)
		put("amount", orDefault(r.amount, r.value))
	}
	for _, f := range fields {
		put(f.key, f.raw)
	}
	return append(b, '}')
}

func moneyObject(value, currency string) string {
	s := "{"
	if value != "" {
		s += `"value": ` + value
	}
	if currency != "" {
		if value != "" {
			s += ", "
		}
		s += `"currency": ` + currency
	}
	return s + "}"
}

func appendKey(b []byte, key string) []byte {
	b = append(b, '"')
	b = append(b, key...)
	return append(b, `": `...)
}
