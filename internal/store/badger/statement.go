package badger

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/aispend/aispend/spend"
)

// A statement is stored as
//
//	version 1 byte · day · number of strings · each string ·
//	number of charges · each: model, project, item, currency (indexes into the
//	strings), gross, credits · number of usages · each: model, project, five
//	token counts, requests, flags
//
// in version 1. In version 2 each charge also has flags and, if they say so, a rate. A
// statement whose charges need neither is written in version 1: a store whose money is
// all in dollars can be read by every version of aispend. Numbers are
// varints, strings stand behind their length, amounts are in Money's own
// binary form, which is exact and the same for equal amounts. The time
// it was read is not part of it but of the head, so that a day read again with
// the same content is not written again.
const (
	statementVersion = 1
	statementRates   = 2 // with rates and tax
	flagHasRequests  = 1 << 0
	flagTax          = 1 << 0
	flagRate         = 1 << 1
)

var errStatement = errors.New("malformed statement")

// encodeStatement returns the stored form of st: equal statements of equal row
// order give equal bytes.
func encodeStatement(st spend.Statement) []byte {
	e := stmtEncoder{index: make(map[string]uint64)}
	version := versionOf(st)
	rows := binary.AppendUvarint(nil, uint64(len(st.Charges)))
	for _, c := range st.Charges {
		for _, s := range [...]string{c.Model, c.Project, c.Item, c.Currency} {
			rows = binary.AppendUvarint(rows, e.ref(s))
		}
		rows = c.Credits.AppendBinary(c.Gross.AppendBinary(rows))
		if version == statementRates {
			rows = appendRate(rows, c)
		}
	}
	rows = binary.AppendUvarint(rows, uint64(len(st.Usage)))
	for _, u := range st.Usage {
		rows = binary.AppendUvarint(rows, e.ref(u.Model))
		rows = binary.AppendUvarint(rows, e.ref(u.Project))
		for _, n := range [...]int64{u.Input, u.Output, u.CacheRead, u.CacheWrite, u.Uncosted, u.Requests} {
			rows = binary.AppendVarint(rows, n)
		}
		var flags byte
		if u.HasRequests {
			flags |= flagHasRequests
		}
		rows = append(rows, flags)
	}
	out := binary.AppendVarint([]byte{version}, int64(st.Day))
	out = binary.AppendUvarint(out, uint64(len(e.strings)))
	for _, s := range e.strings {
		out = append(binary.AppendUvarint(out, uint64(len(s))), s...)
	}
	return append(out, rows...)
}

// versionOf returns the oldest version that can say what st says.
func versionOf(st spend.Statement) byte {
	for _, c := range st.Charges {
		if c.Tax || !c.Rate.IsZero() {
			return statementRates
		}
	}
	return statementVersion
}

func appendRate(rows []byte, c spend.Charge) []byte {
	var flags byte
	if c.Tax {
		flags |= flagTax
	}
	if c.Rate.IsZero() {
		return append(rows, flags)
	}
	return c.Rate.AppendBinary(append(rows, flags|flagRate))
}

type stmtEncoder struct {
	strings []string
	index   map[string]uint64
}

func (e *stmtEncoder) ref(s string) uint64 {
	i, ok := e.index[s]
	if !ok {
		i = uint64(len(e.strings))
		e.strings, e.index[s] = append(e.strings, s), i
	}
	return i
}

// decodeStatement reads what encodeStatement wrote. Anything else is an error,
// never a panic, and costs no more memory than its own length allows.
func decodeStatement(b []byte) (spend.Statement, error) {
	if len(b) == 0 || b[0] != statementVersion && b[0] != statementRates {
		return spend.Statement{}, fmt.Errorf("%w: unknown version", errStatement)
	}
	d := stmtDecoder{b: b[1:]}
	st := spend.Statement{Day: d.day()}
	d.table()
	if n := d.count(6); n > 0 {
		st.Charges = make([]spend.Charge, n)
	}
	for i := range st.Charges {
		st.Charges[i] = spend.Charge{
			Model: d.str(), Project: d.str(), Item: d.str(), Currency: d.str(),
			Gross: d.money(), Credits: d.money(),
		}
		if b[0] == statementRates {
			d.rate(&st.Charges[i])
		}
	}
	if n := d.count(9); n > 0 {
		st.Usage = make([]spend.Usage, n)
	}
	for i := range st.Usage {
		st.Usage[i] = spend.Usage{
			Model: d.str(), Project: d.str(), Input: d.int(), Output: d.int(), CacheRead: d.int(),
			CacheWrite: d.int(), Uncosted: d.int(), Requests: d.int(), HasRequests: d.flags()&flagHasRequests != 0,
		}
	}
	if d.err == nil && len(d.b) != 0 {
		d.fail("trailing bytes")
	}
	if d.err != nil {
		return spend.Statement{}, d.err
	}
	return st, nil
}

// stmtDecoder consumes b; after the first error every method returns zero.
type stmtDecoder struct {
	b       []byte
	strings []string
	err     error
}

func (d *stmtDecoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", errStatement, what)
	}
	d.b = nil
}

func (d *stmtDecoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail("bad number")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *stmtDecoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail("bad number")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *stmtDecoder) day() spend.Day {
	v := d.int()
	if int64(spend.Day(v)) != v {
		d.fail("day out of range")
		return 0
	}
	return spend.Day(v)
}

// count reads how many rows follow; a row takes at least size bytes, which keeps
// a forged count from allocating more than the input is worth.
func (d *stmtDecoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.b)/size) {
		d.fail("count beyond the end")
		return 0
	}
	return int(n)
}

func (d *stmtDecoder) bytes() []byte {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.fail("text beyond the end")
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *stmtDecoder) table() {
	d.strings = make([]string, d.count(1))
	for i := range d.strings {
		d.strings[i] = string(d.bytes())
	}
}

func (d *stmtDecoder) str() string {
	i := d.uint()
	if i >= uint64(len(d.strings)) {
		d.fail("reference to a string that is not there")
		return ""
	}
	return d.strings[i]
}

func (d *stmtDecoder) money() spend.Money {
	if d.err != nil {
		return spend.Money{}
	}
	m, rest, err := spend.MoneyFromBinary(d.b)
	if err != nil {
		d.fail("amount: " + err.Error())
		return spend.Money{}
	}
	d.b = rest
	return m
}

func (d *stmtDecoder) rate(c *spend.Charge) {
	flags := d.flags()
	c.Tax = flags&flagTax != 0
	if flags&flagRate != 0 {
		c.Rate = d.money()
	}
	if flags&^(flagTax|flagRate) != 0 {
		d.fail("unknown flags of a charge")
	}
}

func (d *stmtDecoder) flags() byte {
	if len(d.b) == 0 {
		d.fail("no flags")
		return 0
	}
	f := d.b[0]
	d.b = d.b[1:]
	return f
}
