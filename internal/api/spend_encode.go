package api

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

// streamBuffer is how much of a large answer is held before it goes out.
const streamBuffer = 32 << 10

// dimValue returns the text of one dimension of a row.
func dimValue(d rollup.Dim, row rollup.Row) string {
	switch d {
	case rollup.ByProvider:
		return row.Provider
	case rollup.ByModel:
		return row.Model
	case rollup.ByDay:
		return row.Day.String()
	case rollup.ByMonth:
		return row.Month
	case rollup.ByProject:
		return row.Project
	case rollup.ByAccount:
		return row.Account
	case rollup.BySource:
		return row.Source
	case rollup.ByItem:
		return row.Item
	}
	return ""
}

// column is a figure of a row. Absent figures are left out of JSON and empty in
// CSV: a group that has usage but no billed row has no cost, which is not 0.
type column struct {
	name   string
	append func([]byte, rollup.Row) (out []byte, present bool)
}

func moneyColumn(name string, of func(rollup.Row) spend.Money) column {
	return column{name, func(b []byte, row rollup.Row) ([]byte, bool) {
		if !row.HasCost {
			return b, false
		}
		return of(row).AppendTo(b), true
	}}
}

func countColumn(name string, of func(rollup.Row) int64, has func(rollup.Row) bool) column {
	return column{name, func(b []byte, row rollup.Row) ([]byte, bool) {
		if !has(row) {
			return b, false
		}
		return strconv.AppendInt(b, of(row), 10), true
	}}
}

func columns() []column {
	usage := func(r rollup.Row) bool { return r.HasUsage }
	return []column{
		moneyColumn("cost_usd", func(r rollup.Row) spend.Money { return r.Cost }),
		moneyColumn("gross_usd", func(r rollup.Row) spend.Money { return r.Gross }),
		moneyColumn("credits_usd", func(r rollup.Row) spend.Money { return r.Credits }),
		countColumn("input_tokens", func(r rollup.Row) int64 { return r.Input }, usage),
		countColumn("output_tokens", func(r rollup.Row) int64 { return r.Output }, usage),
		countColumn("cache_read_tokens", func(r rollup.Row) int64 { return r.CacheRead }, usage),
		countColumn("cache_write_tokens", func(r rollup.Row) int64 { return r.CacheWrite }, usage),
		countColumn("requests", func(r rollup.Row) int64 { return r.Requests },
			func(r rollup.Row) bool { return r.HasRequests }),
		countColumn("uncosted_tokens", func(r rollup.Row) int64 { return r.Uncosted },
			func(r rollup.Row) bool { return r.Uncosted != 0 }),
	}
}

// jsonWriter builds JSON by appending; money never becomes a float on its way.
type jsonWriter struct {
	w   *bufio.Writer
	b   []byte
	err error
}

func newJSONWriter(w io.Writer) *jsonWriter {
	return &jsonWriter{w: bufio.NewWriterSize(w, streamBuffer)}
}

func (j *jsonWriter) raw(s string) { j.b = append(j.b, s...) }

// text appends a JSON string; invalid UTF-8 becomes U+FFFD, which cannot happen to
// labels, as they are cleaned when they come in.
func (j *jsonWriter) text(s string) { j.b, _ = jsontext.AppendQuote(j.b, s) }

func (j *jsonWriter) member(name, value string) {
	j.text(name)
	j.raw(":")
	j.text(value)
}

func (j *jsonWriter) time(t time.Time) {
	if t.IsZero() {
		j.raw("null")
		return
	}
	j.text(t.UTC().Format(time.RFC3339))
}

// flush hands what was built to the stream.
func (j *jsonWriter) flush() {
	if j.err == nil {
		_, j.err = j.w.Write(j.b)
	}
	j.b = j.b[:0]
}

func (j *jsonWriter) close() error {
	j.flush()
	if j.err == nil {
		j.err = j.w.Flush()
	}
	if j.err != nil {
		return fmt.Errorf("%w: %w", errGone, j.err)
	}
	return nil
}

// row appends one object: the dimensions, then the figures that are present.
func (j *jsonWriter) row(groupBy []rollup.Dim, cols []column, row rollup.Row) {
	sep := "{"
	for _, d := range groupBy {
		j.raw(sep)
		j.member(string(d), dimValue(d, row))
		sep = ","
	}
	for _, c := range cols {
		mark := len(j.b)
		j.raw(sep)
		j.text(c.name)
		j.raw(":")
		b, present := c.append(j.b, row)
		if !present {
			j.b = j.b[:mark]
			continue
		}
		j.b, sep = b, ","
	}
	if sep == "{" {
		j.raw(sep)
	}
	j.raw("}")
}

func writeSpendJSON(w io.Writer, q rollup.Query, res rollup.Result, reach map[string]time.Time) error {
	j := newJSONWriter(w)
	j.raw("{")
	j.member("from", q.Window.From.String())
	j.raw(",")
	j.member("to", (q.Window.To - 1).String())
	j.raw(`,"groupBy":[`)
	for i, d := range q.GroupBy {
		j.comma(i)
		j.text(string(d))
	}
	j.raw(`],"rows":[`)
	cols := columns()
	for i, row := range res.Rows {
		j.comma(i)
		j.raw("\n")
		j.row(q.GroupBy, cols, row)
		j.flush()
		if j.err != nil {
			break
		}
	}
	j.raw("],\n\"totals\":")
	j.row(nil, cols, res.Totals)
	j.raw(`,"unconverted":[`)
	for i, u := range res.Unconverted {
		j.comma(i)
		j.apart(u)
	}
	j.raw(`],"tax":[`)
	for i, u := range res.Tax {
		j.comma(i)
		j.apart(u)
	}
	j.raw(`],"data_through":{`)
	for i, key := range sortedKeys(reach) {
		j.comma(i)
		j.text(key)
		j.raw(":")
		j.time(reach[key])
	}
	j.raw("}}\n")
	return j.close()
}

func (j *jsonWriter) comma(i int) {
	if i > 0 {
		j.raw(",")
	}
}

func (j *jsonWriter) apart(u rollup.Apart) {
	j.raw("{")
	j.member("provider", u.Provider)
	j.raw(",")
	j.member("account", u.Account)
	j.raw(",")
	j.member("source", u.Source)
	j.raw(",")
	j.member("currency", u.Currency)
	j.raw(`,"cost":`)
	j.b = u.Cost.AppendTo(j.b)
	j.raw("}")
}

// writeSpendCSV writes RFC 4180: one header row, then the rows of the JSON form
// with empty fields for absent figures. Totals are left to the reader's sum.
func writeSpendCSV(w http.ResponseWriter, q rollup.Query, res rollup.Result) error {
	h := w.Header()
	h.Set("Content-Disposition",
		fmt.Sprintf(`attachment; filename="aispend-%s_%s.csv"`, q.Window.From, q.Window.To-1))
	// A file has no room for it, so the header says that money was left out.
	h.Set("Aispend-Unconverted", strconv.Itoa(len(res.Unconverted)))
	out := csv.NewWriter(bufio.NewWriterSize(w, streamBuffer))
	out.UseCRLF = true
	cols := columns()
	record := make([]string, 0, len(q.GroupBy)+len(cols))
	for _, d := range q.GroupBy {
		record = append(record, string(d))
	}
	for _, c := range cols {
		record = append(record, c.name)
	}
	err := out.Write(record)
	for i := 0; err == nil && i < len(res.Rows); i++ {
		record = csvRecord(record[:0], q.GroupBy, cols, res.Rows[i])
		err = out.Write(record)
	}
	if out.Flush(); err == nil {
		err = out.Error()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	return nil
}

func csvRecord(record []string, groupBy []rollup.Dim, cols []column, row rollup.Row) []string {
	for _, d := range groupBy {
		record = append(record, csvText(dimValue(d, row)))
	}
	var b []byte
	for _, c := range cols {
		b, _ = c.append(b[:0], row)
		record = append(record, string(b))
	}
	return record
}

// csvText keeps a spreadsheet from running a name as a formula: one that starts
// with = + - @ (also in their full-width forms) or white space that hides one gets
// an apostrophe in front. Numbers never pass here.
func csvText(s string) string {
	if first, _ := utf8.DecodeRuneInString(s); strings.ContainsRune("=+-@＝＋－＠\t\r\n", first) {
		return "'" + s
	}
	return s
}
