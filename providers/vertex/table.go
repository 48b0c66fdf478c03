package vertex

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aispend/aispend/providers/internal/daily"
	"github.com/aispend/aispend/spend"
)

// Partitioning says by what a table is divided, as tables.get tells it. It is never
// assumed: Google's own tables, copies and views differ.
type Partitioning int

// The ways in which an export table is divided.
const (
	NotPartitioned Partitioning = iota // a view, a plain copy, or by a column of no use here
	ByIngestion                        // by the pseudo column _PARTITIONTIME
	ByColumn                           // by one of the times of a row
)

// Partition is how to bound the partitions that a query reads.
type Partition struct {
	By     Partitioning
	Unit   string // HOUR, DAY, MONTH or YEAR
	Column string // of ByColumn
}

// predicate is the lower bound, with two days of slack: a partition's day seems to
// be the Pacific one (apis page, section 1), and rows arrive late, never early.
func (p Partition) predicate() string {
	const day = "DATE_SUB(@from_day, INTERVAL 2 DAY)"
	switch p.By {
	case ByIngestion:
		from := "TIMESTAMP(" + day + ")"
		if p.Unit == "MONTH" || p.Unit == "YEAR" {
			from = "TIMESTAMP_TRUNC(" + from + ", " + p.Unit + ")" // a partition begins with its month
		}
		return "(_PARTITIONTIME >= " + from + " OR _PARTITIONTIME IS NULL)"
	case ByColumn:
		return "`" + p.Column + "` >= TIMESTAMP(" + day + ")"
	}
	// No partitions to bound; a view can pass this on to the table under it.
	return "usage_start_time >= TIMESTAMP(" + day + ")"
}

// TableInfo is what tables.get says of an export table.
type TableInfo struct {
	View         bool   // LastModified is then the view's, not the data's
	Location     string // "EU"
	LastModified time.Time
	// Created is since when Google has been writing the table; zero if the table is not
	// one that Google writes.
	Created   time.Time
	Partition Partition
	Missing   []string // columns that the query needs and the table lacks
}

// Mark is what must be the same for the data to be the same; empty if the table
// cannot tell.
func (i TableInfo) Mark() string {
	if i.View || i.LastModified.IsZero() {
		return ""
	}
	return strconv.FormatInt(i.LastModified.UnixMilli(), 10)
}

// googlesOwn is how the names of tables begin that Google writes.
const googlesOwn = "gcp_billing_export_"

// columnsNeeded are the top-level columns that the query names.
func columnsNeeded() []string {
	return []string{
		"billing_account_id", "invoice", "service", "sku", "usage_start_time", "project", "cost", "currency",
		"currency_conversion_rate", "usage", "credits", "cost_type", "export_time",
	}
}

// rowTimes are columns of times at or after the usage, so that a lower bound on
// them loses no row of the days asked for.
func rowTimes() []string { return []string{"usage_start_time", "usage_end_time", "export_time"} }

// DecodeTable reads an answer of tables.get. Errors are *spend.PullError.
func DecodeTable(body []byte) (TableInfo, error) {
	var r daily.Reader
	r.Reset(body)
	t := tableReader{r: &r, columns: map[string]string{}}
	t.read()
	if err := r.Err(); err != nil {
		return TableInfo{}, &spend.PullError{
			Outcome: spend.OutcomeOf(err, spend.Schema), Err: fmt.Errorf("decoding tables.get: %w", err),
		}
	}
	return t.info, nil
}

type tableReader struct {
	r       *daily.Reader
	info    TableInfo
	kind    string
	typ     string
	id      string
	created time.Time
	part    *struct{ unit, column string }
	columns map[string]string // name -> type
}

func (t *tableReader) read() {
	r := t.r
	r.Object()
	for r.Member() {
		switch string(r.Name()) {
		case "kind":
			t.kind = t.text()
		case "type":
			t.typ = t.text()
		case "location":
			t.info.Location = t.text()
		case "lastModifiedTime":
			t.info.LastModified = t.moment()
		case "creationTime":
			t.created = t.moment()
		case "tableReference":
			t.reference()
		case "timePartitioning":
			t.timePartitioning()
		case "schema":
			t.schema()
		default:
			r.Skip()
		}
	}
	r.End()
	if r.Err() != nil {
		return
	}
	t.finish()
}

func (t *tableReader) text() string {
	s, _ := t.r.Text()
	return string(s)
}

func (t *tableReader) moment() time.Time {
	ms, err := strconv.ParseInt(t.text(), 10, 64)
	if err != nil {
		t.r.Fail("is not a number of milliseconds since 1970")
	}
	return time.UnixMilli(ms).UTC()
}

func (t *tableReader) reference() {
	t.r.Object()
	for t.r.Member() {
		if string(t.r.Name()) == "tableId" {
			t.id = t.text()
		} else {
			t.r.Skip()
		}
	}
}

func (t *tableReader) timePartitioning() {
	t.part = &struct{ unit, column string }{}
	t.r.Object()
	for t.r.Member() {
		switch string(t.r.Name()) {
		case "type":
			t.part.unit = t.text()
		case "field":
			t.part.column = t.text()
		default:
			t.r.Skip()
		}
	}
}

func (t *tableReader) schema() {
	t.r.Object()
	for t.r.Member() {
		if string(t.r.Name()) != "fields" {
			t.r.Skip()
			continue
		}
		for _, f := range fields(t.r) {
			t.columns[f.name] = f.typ
		}
	}
}

// finish says what all of it means.
func (t *tableReader) finish() {
	if t.kind != kindTable {
		t.r.Fail("is not the description of a table")
		return
	}
	if t.info.Location == "" {
		t.r.Fail("has no location")
		return
	}
	t.info.View = t.typ != "TABLE" && t.typ != "SNAPSHOT"
	if t.typ == "TABLE" && strings.HasPrefix(t.id, googlesOwn) {
		t.info.Created = t.created
	}
	for _, c := range columnsNeeded() {
		if t.columns[c] == "" {
			t.info.Missing = append(t.info.Missing, c)
		}
	}
	switch {
	case t.part == nil:
	case t.part.column == "":
		t.info.Partition = Partition{By: ByIngestion, Unit: unit(t.part.unit)}
	case slices.Contains(rowTimes(), t.part.column) && t.columns[t.part.column] == "TIMESTAMP":
		t.info.Partition = Partition{By: ByColumn, Unit: unit(t.part.unit), Column: t.part.column}
	}
}

// unit lets only known words into the text of a query.
func unit(s string) string {
	if slices.Contains([]string{"HOUR", "DAY", "MONTH", "YEAR"}, s) {
		return s
	}
	return "YEAR" // the bound that reads the most
}

// field is a column of a schema.
type field struct{ name, typ string }

// fields reads the array "fields" of a schema.
func fields(r *daily.Reader) (out []field) {
	r.Array()
	for r.Element() {
		var f field
		r.Object()
		for r.Member() {
			switch string(r.Name()) {
			case "name":
				s, _ := r.Text()
				f.name = string(s)
			case "type":
				s, _ := r.Text()
				f.typ = string(s)
			default:
				r.Skip()
			}
		}
		out = append(out, f)
	}
	return out
}
