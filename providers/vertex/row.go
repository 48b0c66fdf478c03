package vertex

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/aispend/aispend/spend"
)

// costTax marks tax in Row.CostType.
const costTax = "tax"

// Row is one row of the answer: what one SKU cost one project of one billing account
// on one day, in one currency at one rate, on one invoice.
type Row struct {
	Day            spend.Day
	InvoiceMonth   string // "202610"
	BillingAccount string // "01AAAA-BBBBBB-CCCCC1"
	Project        string // empty: none, as for tax and support
	SKU            SKU
	CostType       string // regular, tax, adjustment or rounding_error
	Currency       string // ISO 4217, upper case
	// Rate is how much of Currency a US dollar is; it is 0 where it is not known.
	Rate spend.Money
	// Gross and Credits are in Currency, exact. A correction makes Gross negative; a
	// claw-back makes Credits positive.
	Gross, Credits spend.Money
	// Usage is SUM(usage.amount): tokens only where the SKU says so, whatever the
	// export's unit says (apis page, section 2).
	Usage  spend.Money
	Lines  int64     // rows of the export behind this one
	Export time.Time // the newest export_time among them; zero if none is known
	First  time.Time // the oldest usage_start_time among them; zero if none is known
}

// Tax reports whether the row is tax, which is no cost of AI.
func (r Row) Tax() bool { return r.CostType == costTax }

// cell is one value of an answer, as its text.
type cell struct {
	text string
	null bool
}

// column is how one column of the answer is read. A column that is not in the answer
// is an error: what cannot be read must never count as 0.
type column struct {
	name  string
	types []string // both the names of GoogleSQL and the older ones of the REST API
	key   bool     // the answer is grouped by it
	set   func(row *rawRow, c cell) error
}

// rawRow is a Row with what only the decoder needs.
type rawRow struct {
	Row
	kind            string
	noDay, noAmount bool
	badRate         bool // a rate was given that is none
}

func text(set func(row *rawRow) *string) func(*rawRow, cell) error {
	return func(row *rawRow, c cell) error {
		*set(row) = c.text
		return nil
	}
}

func amount(set func(row *rawRow) *spend.Money) func(*rawRow, cell) error {
	return func(row *rawRow, c cell) error {
		if c.null {
			row.noAmount = true
			return nil
		}
		m, err := spend.ParseMoney(c.text)
		if err != nil {
			return errors.New("is not an amount")
		}
		*set(row) = m
		return nil
	}
}

// float reads a FLOAT as the decimal that its text is; what is no finite number is
// false. Nothing becomes a binary fraction here.
func float(c cell) (spend.Money, bool) {
	m, err := spend.ParseMoney(c.text)
	return m, err == nil && !c.null
}

// setRate takes a rate between a millionth and a billion for a dollar: what is beyond
// is none, since no currency is worth so much, or so little.
func setRate() func(*rawRow, cell) error {
	low, high := spend.MustMoney("0.000001"), spend.MustMoney("1000000000")
	return func(row *rawRow, c cell) error {
		m, ok := float(c)
		if ok && m.Cmp(low) >= 0 && m.Cmp(high) <= 0 {
			row.Rate = m
		}
		row.badRate = !c.null && row.Rate.IsZero()
		return nil
	}
}

func setUsage(row *rawRow, c cell) error {
	row.Usage, _ = float(c)
	return nil
}

func setDay(row *rawRow, c cell) error {
	if row.noDay = c.null; c.null {
		return nil
	}
	day, err := spend.ParseDay(c.text)
	if err != nil {
		return errors.New("is not a date of the form YYYY-MM-DD")
	}
	row.Day = day
	return nil
}

func setLines(row *rawRow, c cell) error {
	n, err := strconv.ParseInt(c.text, 10, 64)
	if err != nil || n < 0 {
		return errors.New("is not a count")
	}
	row.Lines = n
	return nil
}

// Moments of an export lie between these: one that does not is no moment, and would
// make stale data look fresh, or days look known.
const (
	minMoment = 1_262_304_000_000_000 // 2010-01-01, in microseconds
	maxMoment = 4_102_444_800_000_000 // 2100-01-01
)

func setTime(set func(row *rawRow) *time.Time) func(*rawRow, cell) error {
	return func(row *rawRow, c cell) error {
		if c.null {
			return nil
		}
		us, err := strconv.ParseInt(c.text, 10, 64)
		if err != nil || us < minMoment || us > maxMoment {
			return errors.New("is not a moment in microseconds since 1970")
		}
		*set(row) = time.UnixMicro(us).UTC()
		return nil
	}
}

// columns are those of Query, in no order that matters.
func columns() []column {
	str := []string{"STRING"}
	num := []string{"NUMERIC", "BIGNUMERIC", "DECIMAL", "BIGDECIMAL"}
	flo := append([]string{"FLOAT", "FLOAT64"}, num...)
	whole := []string{"INTEGER", "INT64"}
	return []column{
		{"kind", str, true, text(func(r *rawRow) *string { return &r.kind })},
		{"usage_day", []string{"DATE"}, true, setDay},
		{"invoice_month", str, true, text(func(r *rawRow) *string { return &r.InvoiceMonth })},
		{"billing_account_id", str, true, text(func(r *rawRow) *string { return &r.BillingAccount })},
		{"project_id", str, true, text(func(r *rawRow) *string { return &r.Project })},
		{"service_id", str, true, text(func(r *rawRow) *string { return &r.SKU.ServiceID })},
		{"service", str, true, text(func(r *rawRow) *string { return &r.SKU.Service })},
		{"sku_id", str, true, text(func(r *rawRow) *string { return &r.SKU.ID })},
		{"sku", str, true, text(func(r *rawRow) *string { return &r.SKU.Text })},
		{"cost_type", str, true, text(func(r *rawRow) *string { return &r.CostType })},
		{"currency", str, true, text(func(r *rawRow) *string { return &r.Currency })},
		{"fx", flo, true, setRate()},
		{"gross", num, false, amount(func(r *rawRow) *spend.Money { return &r.Gross })},
		{"credits", num, false, amount(func(r *rawRow) *spend.Money { return &r.Credits })},
		{"usage_amount", flo, false, setUsage},
		{"row_count", whole, false, setLines},
		{"last_export_us", whole, false, setTime(func(r *rawRow) *time.Time { return &r.Export })},
		{"first_usage_us", whole, false, setTime(func(r *rawRow) *time.Time { return &r.First })},
	}
}

// check says what is wrong with a row as a whole, or nothing.
func (r *rawRow) check() string {
	switch {
	case r.kind == kindRest:
		return ""
	case r.kind != kindCost:
		return "kind is neither cost nor rest"
	case r.noDay:
		return "usage_day is null"
	case r.noAmount:
		return "gross or credits is null"
	case len(r.Currency) != 3 || strings.Trim(r.Currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		return "currency is not three capital letters"
	}
	return ""
}
