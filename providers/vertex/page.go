package vertex

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/aispend/aispend/providers/internal/daily"
	"github.com/aispend/aispend/spend"
)

// kinds of answers, as Google names them in every body.
const (
	kindTable   = "bigquery#table"
	kindQuery   = "bigquery#queryResponse"
	kindResults = "bigquery#getQueryResultsResponse"
)

// page is one answer of BigQuery, before its columns are understood.
type page struct {
	kind     string
	job      string // project, location and id of the job
	jobID    string
	location string
	complete bool
	total    int64  // rows of the whole result
	token    string // of the next page; empty on the last
	scanned  int64  // bytes that the query reads
	cacheHit bool
	fields   []field
	rows     [][]cell

	hasComplete, hasTotal, hasSchema, hasRows, isError bool
}

// want is what an answer is read for.
type want int

const (
	wantRows  want = iota // all of it
	wantNext              // what follows it
	wantBytes             // the estimate of a dry run, which has no rows and no totalRows
)

// readPage reads an answer and refuses every shape that could pass for an empty or a
// shorter result. Errors are *spend.PullError.
func readPage(r *daily.Reader, body []byte, w want) (page, error) {
	var p page
	r.Reset(body)
	r.Object()
	for r.Member() {
		p.member(r, w == wantRows)
	}
	r.End()
	if r.Err() == nil {
		if why := p.check(w); why != "" {
			r.Fail("%s", why)
		}
	}
	return p, r.Err()
}

func (p *page) member(r *daily.Reader, rows bool) {
	switch string(r.Name()) {
	case "kind":
		p.kind = str(r)
	case "error":
		p.isError = true
		r.Skip()
	case "jobReference":
		p.reference(r)
	case "jobComplete":
		p.complete, p.hasComplete = r.Bool(), true
	case "totalRows":
		p.total, p.hasTotal = r.Count()
	case "totalBytesProcessed":
		p.scanned, _ = r.Count()
	case "cacheHit":
		p.cacheHit = r.Bool()
	case "pageToken":
		p.token = str(r)
	case "schema":
		p.schema(r)
	case "rows":
		p.hasRows = true
		if rows {
			p.rows = readRows(r)
		} else {
			r.Skip()
		}
	default:
		r.Skip()
	}
}

func str(r *daily.Reader) string {
	s, _ := r.Text()
	return string(s)
}

func (p *page) reference(r *daily.Reader) {
	var project string
	r.Object()
	for r.Member() {
		switch string(r.Name()) {
		case "projectId":
			project = str(r)
		case "jobId":
			p.jobID = str(r)
		case "location":
			p.location = str(r)
		default:
			r.Skip()
		}
	}
	p.job = project + ":" + p.location + "." + p.jobID
}

// schema is of a query's answer here, and of a table in one of tables.get; only the
// first is read for rows.
func (p *page) schema(r *daily.Reader) {
	r.Object()
	for r.Member() {
		if string(r.Name()) != "fields" {
			r.Skip()
			continue
		}
		p.fields, p.hasSchema = fields(r), true
	}
}

// readRows reads [{"f":[{"v":"text"}, {"v":null}]}].
func readRows(r *daily.Reader) (rows [][]cell) {
	r.Array()
	for r.Element() {
		var row []cell
		r.Object()
		for r.Member() {
			if string(r.Name()) != "f" {
				r.SkipUnknown()
				continue
			}
			r.Array()
			for r.Element() {
				row = append(row, readCell(r))
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func readCell(r *daily.Reader) (c cell) {
	found := false
	r.Object()
	for r.Member() {
		if string(r.Name()) != "v" {
			r.SkipUnknown()
			continue
		}
		s, ok := r.Text() // every scalar is a string
		c, found = cell{text: string(s), null: !ok}, true
	}
	if !found {
		r.Fail("a cell has no value")
	}
	return c
}

// check says what the answer lacks, or nothing.
func (p *page) check(w want) string {
	switch {
	case p.isError:
		return "status 200 with an error object instead of a page"
	case p.kind == kindTable:
		return ""
	case p.kind != kindQuery && p.kind != kindResults:
		return "is no answer of a BigQuery query"
	case !p.hasComplete:
		return `the page has no "jobComplete"`
	case !p.complete && (p.hasRows || p.hasTotal):
		return "rows of a job that is not complete"
	case !p.complete:
		return ""
	case !p.hasSchema:
		return `the page has no "schema"`
	case !p.hasTotal && w != wantBytes:
		return `the page has no "totalRows" (is it of a dry run?)`
	}
	return ""
}

// binding says where the columns of one page are.
type binding struct {
	columns []column
	at      []int // of columns, in the page
	unknown int   // columns that nobody asked for
	width   int
}

// bind finds the columns of a page by name and checks their types.
func bind(want []column, have []field) (binding, error) {
	b := binding{columns: want, at: make([]int, len(want)), width: len(have)}
	for i, c := range want {
		b.at[i] = slices.IndexFunc(have, func(f field) bool { return f.name == c.name })
		if b.at[i] < 0 {
			return b, fmt.Errorf("the answer has no column %s", c.name)
		}
		if f := have[b.at[i]]; !slices.Contains(c.types, f.typ) {
			return b, fmt.Errorf("column %s is not of type %s", c.name, c.types[0])
		}
	}
	for i, f := range have {
		if slices.IndexFunc(have, func(o field) bool { return o.name == f.name }) != i {
			return b, fmt.Errorf("the answer names a column twice")
		}
	}
	b.unknown = len(have) - len(want)
	return b, nil
}

// row reads one row. key identifies it within the result, rest is all else of it.
func (b binding) row(cells []cell) (row rawRow, key, rest string, err error) {
	if len(cells) != b.width {
		return row, "", "", fmt.Errorf("has %d cells instead of %d", len(cells), b.width)
	}
	var k, v []byte
	for i, c := range b.columns {
		cl := cells[b.at[i]]
		if err := c.set(&row, cl); err != nil {
			return row, "", "", fmt.Errorf("%s %w", c.name, err)
		}
		if c.key {
			k = appendCell(k, cl)
		} else {
			v = appendCell(v, cl)
		}
	}
	if why := row.check(); why != "" {
		return row, "", "", fmt.Errorf("%s", why)
	}
	return row, string(k), string(v), nil
}

// appendCell spells a cell so that no two lists of cells have one spelling.
func appendCell(b []byte, c cell) []byte {
	if c.null {
		return append(b, 'n')
	}
	b = strconv.AppendInt(append(b, 's'), int64(len(c.text)), 10)
	return append(append(b, ':'), c.text...)
}

// following reads what an answer says of what follows it, or of what it would read.
func following(body []byte, w want) (page, error) {
	var r daily.Reader
	p, err := readPage(&r, body, w)
	if err != nil {
		return page{}, &spend.PullError{
			Outcome: spend.OutcomeOf(err, spend.Schema), Err: fmt.Errorf("reading the answer: %w", err),
		}
	}
	return p, nil
}
