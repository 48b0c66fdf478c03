// Package daily reads what the reports of OpenAI and Anthropic have in common:
// pages of daily buckets of rows, chained by a page token. It owns the rules
// that make such pages safe to bill by: what must be present, which days a
// bucket may name, when a bucket may repeat and when a walk is complete. A
// vendor adds how its rows read.
package daily

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

// Names of the notices in a Result.
const (
	NoticeUnknownField  = "unknown_field"         // members that this version does not know
	NoticeOutside       = "bucket_outside_window" // buckets of days that were not asked for
	NoticeDuplicate     = "bucket_repeated"       // buckets given twice with equal content
	NoticeMissing       = "bucket_missing"        // days between the first and the last bucket without one
	NoticeSanitised     = "label_sanitised"       // distinct names that had to be made printable
	NoticeOutsideFilter = "row_outside_filter"    // rows of projects that the block leaves to others
	NoticeNoModel       = "usage_without_model"   // usage rows that name no model
)

// Rows is what a vendor adds to a Decoder: it reads rows and gathers those of
// one bucket. It is used by one goroutine.
type Rows interface {
	// Row reads one row, an object. It reports a bad one through r.Fail.
	Row(r *Reader)
	// Take returns what the rows since the last Take say, merged and sorted; Day is not set.
	Take() spend.Statement
	// PageEnd is called after the last bucket of a page, for checks that need all of its rows.
	PageEnd(r *Reader)
	// Notices adds the vendor's notices.
	Notices(n map[string]int)
}

// Layout is how a vendor spells a bucket.
type Layout struct {
	What       string // "openai costs", for errors
	Start, End string // names of the bucket's bounds
	Bound      func(*Reader) time.Time
	Ignore     []string // known members that say nothing of use
}

// Decoder implements providers.Decoder for pages of daily buckets.
type Decoder struct {
	layout  Layout
	window  spend.Window
	rows    Rows
	reader  Reader
	days    map[spend.Day]spend.Statement
	pages   int
	ended   bool // some page said that it was the last
	notices map[string]int
	err     error
}

var _ providers.Decoder = (*Decoder)(nil)

// NewDecoder returns a decoder for one walk of the window.
func NewDecoder(l Layout, w spend.Window, rows Rows) *Decoder {
	return &Decoder{
		layout: l, window: w, rows: rows,
		days: map[spend.Day]spend.Statement{}, notices: map[string]int{},
	}
}

// Page decodes one body. After an error the walk is lost: every later call
// returns the same error.
func (d *Decoder) Page(body []byte) error {
	d.pages++
	if d.err != nil {
		return d.err
	}
	d.reader.Reset(body)
	env := envelope(&d.reader, d.buckets)
	if err := d.reader.Err(); err != nil {
		d.err = &spend.PullError{
			Outcome: spend.OutcomeOf(err, spend.Schema),
			Err:     fmt.Errorf("decoding %s, page %d: %w", d.layout.What, d.pages, err),
		}
		return d.err
	}
	d.ended = d.ended || !env.more
	return nil
}

// buckets reads the array "data".
func (d *Decoder) buckets() {
	r := &d.reader
	if !r.Array() {
		return
	}
	for r.Element() {
		d.bucket()
	}
	d.rows.PageEnd(r)
}

func (d *Decoder) bucket() {
	r := &d.reader
	var start, end time.Time
	var hasStart, hasEnd, hasRows bool
	r.Object()
	for r.Member() {
		switch name := r.Name(); string(name) {
		case d.layout.Start:
			start, hasStart = d.layout.Bound(r), true
		case d.layout.End:
			end, hasEnd = d.layout.Bound(r), true
		case "results":
			hasRows = true
			r.Array()
			for r.Element() {
				d.rows.Row(r)
			}
		default:
			d.other(name)
		}
	}
	if r.Err() != nil {
		return
	}
	switch {
	case !hasStart || !hasEnd:
		r.Fail("has no %s and %s", d.layout.Start, d.layout.End)
	case !hasRows:
		r.Fail(`has no "results" (an older form of the API called it "result")`)
	default:
		d.put(start, end)
	}
}

// put files the rows of the bucket just read under its day.
func (d *Decoder) put(start, end time.Time) {
	st := d.rows.Take()
	st.Day = spend.DayOf(start)
	if !start.Equal(st.Day.Time()) || !end.Equal((st.Day + 1).Time()) {
		d.reader.Fail("is not exactly one UTC day from midnight to midnight")
		return
	}
	if !d.window.Contains(st.Day) {
		d.notices[NoticeOutside]++
		return
	}
	if old, ok := d.days[st.Day]; ok {
		if !equal(old, st) {
			d.reader.Fail("gives day %s a second time with other content", st.Day)
			return
		}
		d.notices[NoticeDuplicate]++
	}
	d.days[st.Day] = st
}

// other passes over a member that is not read.
func (d *Decoder) other(name []byte) {
	for _, known := range d.layout.Ignore {
		if string(name) == known {
			d.reader.Skip()
			return
		}
	}
	d.reader.SkipUnknown()
}

// Result returns the walk's statements, ascending by day.
func (d *Decoder) Result() (providers.Result, error) {
	if d.err != nil {
		return providers.Result{}, d.err
	}
	if !d.ended {
		return providers.Result{}, spend.Classify(spend.Incomplete, fmt.Errorf(
			"decoding %s: none of %d pages says that it is the last", d.layout.What, d.pages))
	}
	res := providers.Result{Notices: maps.Clone(d.notices)}
	for _, day := range slices.Sorted(maps.Keys(d.days)) {
		res.Statements = append(res.Statements, d.days[day])
	}
	if n := len(res.Statements); n > 0 {
		// Both vendors give quiet days an empty bucket, so a gap is odd; it is known
		// to be empty all the same, since the walk was complete.
		gap := int(res.Statements[n-1].Day-res.Statements[0].Day) + 1 - n
		if gap > 0 {
			res.Notices[NoticeMissing] = gap
		}
	}
	if d.reader.Unknown > 0 {
		res.Notices[NoticeUnknownField] = d.reader.Unknown
	}
	d.rows.Notices(res.Notices)
	return res, nil
}

func equal(a, b spend.Statement) bool {
	sameCharge := func(x, y spend.Charge) bool {
		return x.Model == y.Model && x.Project == y.Project && x.Item == y.Item && x.Currency == y.Currency &&
			x.Gross.Equal(y.Gross) && x.Credits.Equal(y.Credits)
	}
	return slices.Equal(a.Usage, b.Usage) && slices.EqualFunc(a.Charges, b.Charges, sameCharge)
}
