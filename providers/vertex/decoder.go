package vertex

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aispend/aispend/providers/internal/daily"
	"github.com/aispend/aispend/spend"
)

// NoticeBadRate is the notice of rows whose rate is given but is no positive number. The
// others are those of package daily.
const NoticeBadRate = "rate_unusable"

// Export is what one complete walk says.
type Export struct {
	// Rows are those of the window, tax included, in the order of their day.
	Rows []Row
	// Through is the newest export_time over all rows that the query read, not only
	// those of AI: how far the data reaches. Zero if the table has none.
	Through time.Time
	// First is the oldest usage over all rows that the query read: where the export
	// begins, if that lies in the window. Zero if the table has none.
	First time.Time
	// Table is what tables.get said before the query; zero if it was not among the pages.
	Table TableInfo
	// Other is how many rows of the export were read and are not in Rows.
	Other   int64
	Notices map[string]int
}

// RowDecoder turns the status-200 bodies of one walk into an Export. It is pure and
// not safe for concurrent use.
//
// A page does not say where in the result it stands, and need not: the query groups
// its rows, so every row of a result has a key of its own, and as many different keys
// as totalRows says are the whole result. So the order of the pages does not matter, a
// page given twice counts once, and a missing page, a page of another job and a
// row that changed between two pages are found. Answers without rows (of tables.get, and of
// a job that still runs) are passed over.
type RowDecoder struct {
	window  spend.Window
	columns []column
	reader  daily.Reader
	rows    map[string]decoded
	pages   int
	job     string
	total   int64
	table   TableInfo
	started bool // some page carried a result
	ended   bool // some page had no further token
	notices map[string]int
	err     error
}

type decoded struct {
	row  rawRow
	rest string
}

// NewRowDecoder returns a decoder for one walk of the window.
func NewRowDecoder(w spend.Window) *RowDecoder { return newRowDecoder(w, columns()) }

func newRowDecoder(w spend.Window, want []column) *RowDecoder {
	return &RowDecoder{window: w, columns: want, rows: map[string]decoded{}, notices: map[string]int{}}
}

// Page decodes one body and keeps no reference to it. After an error the walk is lost:
// every later call returns the same error. Errors are *spend.PullError of outcome
// decode, schema or pagination.
func (d *RowDecoder) Page(body []byte) error {
	d.pages++
	if d.err != nil {
		return d.err
	}
	p, err := readPage(&d.reader, body, wantRows)
	switch {
	case err != nil:
	case p.kind == kindTable:
		err = d.describe(body)
	default:
		err = d.add(&p)
	}
	if err != nil {
		d.err = &spend.PullError{
			Outcome: spend.OutcomeOf(err, spend.Schema),
			Err:     fmt.Errorf("decoding vertex bigquery, page %d: %w", d.pages, err),
		}
	}
	return d.err
}

// describe takes what tables.get said.
func (d *RowDecoder) describe(body []byte) error {
	info, err := DecodeTable(body)
	if err == nil && info.LastModified.After(d.table.LastModified) {
		d.table = info
	}
	return err
}

// add takes a page's rows.
func (d *RowDecoder) add(p *page) error {
	if d.job != "" && p.job != "" && p.job != d.job {
		return spend.Classify(spend.Pagination, errors.New("pages of two different jobs"))
	}
	d.job = cmp.Or(d.job, p.job)
	if !p.complete { // a job that still runs
		return nil
	}
	if d.started && p.total != d.total {
		return spend.Classify(spend.Pagination, fmt.Errorf(
			"a page says that the result has %d rows, another one %d", p.total, d.total))
	}
	d.started, d.total = true, p.total
	d.ended = d.ended || p.token == ""
	b, err := bind(d.columns, p.fields)
	if err != nil {
		return err
	}
	d.notices[daily.NoticeUnknownField] = max(d.notices[daily.NoticeUnknownField], b.unknown)
	for i, cells := range p.rows {
		row, key, rest, err := b.row(cells)
		if err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
		if old, ok := d.rows[key]; ok && old.rest != rest {
			return spend.Classify(spend.Pagination, fmt.Errorf("row %d is given twice with other content", i))
		}
		d.rows[key] = decoded{row, rest}
	}
	return nil
}

// Export returns the walk's rows, or an error of outcome incomplete if rows are
// missing.
func (d *RowDecoder) Export() (Export, error) {
	if d.err != nil {
		return Export{}, d.err
	}
	if err := d.whole(); err != nil {
		return Export{}, &spend.PullError{
			Outcome: spend.OutcomeOf(err, spend.Incomplete), Err: fmt.Errorf("decoding vertex bigquery: %w", err),
		}
	}
	out := Export{Notices: maps.Clone(d.notices), Table: d.table}
	for _, key := range slices.Sorted(maps.Keys(d.rows)) {
		d.take(&out, d.rows[key].row)
	}
	slices.SortStableFunc(out.Rows, func(a, b Row) int { return cmp.Compare(a.Day, b.Day) })
	maps.DeleteFunc(out.Notices, func(_ string, n int) bool { return n == 0 })
	return out, nil
}

func (d *RowDecoder) take(out *Export, row rawRow) {
	if row.Export.After(out.Through) {
		out.Through = row.Export
	}
	if out.First.IsZero() || !row.First.IsZero() && row.First.Before(out.First) {
		out.First = row.First
	}
	switch {
	case row.kind == kindRest:
		out.Other = spend.AddCount(out.Other, row.Lines)
		return
	case !d.window.Contains(row.Day):
		out.Notices[daily.NoticeOutside]++
		out.Other = spend.AddCount(out.Other, row.Lines)
		return
	case row.badRate:
		out.Notices[NoticeBadRate]++
	}
	out.Rows = append(out.Rows, row.Row)
}

// whole says what is missing of the result, or nothing.
func (d *RowDecoder) whole() error {
	var text string
	switch n := int64(len(d.rows)); {
	case n < d.total:
		text = fmt.Sprintf("%d of %d rows are missing", d.total-n, d.total)
	case n > d.total:
		return spend.Classify(spend.Pagination, fmt.Errorf("%d rows instead of %d", n, d.total))
	case !d.ended:
		text = fmt.Sprintf("none of %d pages says that it is the last", d.pages)
	default:
		return nil
	}
	return spend.Classify(spend.Incomplete, errors.New(text))
}
