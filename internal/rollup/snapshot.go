package rollup

import (
	"cmp"
	"slices"
	"time"

	"github.com/aispend/aispend/spend"
)

// Snapshot is the whole ledger at one moment. It never changes; all methods are
// safe for concurrent use. Unchanged days are shared with older snapshots.
type Snapshot struct {
	version uint64
	names   view
	sources []*source // ascending by compareIDs
}

// source is one source's days. Once published it is never changed.
type source struct {
	id      spend.SourceID
	through time.Time
	retired bool
	days    []spend.Day // ascending
	parts   []*part     // parallel to days
	charges int         // rows in all parts
	usage   int
}

func (tx *Tx) snapshot() *Snapshot {
	s := &Snapshot{version: tx.base.version + 1, names: tx.names.view()}
	for _, src := range tx.sources {
		s.sources = append(s.sources, src)
	}
	slices.SortFunc(s.sources, func(a, b *source) int { return compareIDs(a.id, b.id) })
	return s
}

func compareIDs(a, b spend.SourceID) int {
	return cmp.Or(
		cmp.Compare(a.Provider, b.Provider),
		cmp.Compare(a.Account, b.Account),
		cmp.Compare(a.Source, b.Source),
	)
}

// Version grows by one with every publish; it is 0 for a new book.
func (s *Snapshot) Version() uint64 { return s.version }

// Sources lists the known sources, sorted by provider, account and source.
func (s *Snapshot) Sources() []spend.SourceID {
	ids := make([]spend.SourceID, len(s.sources))
	for i, src := range s.sources {
		ids[i] = src.id
	}
	return ids
}

// Statement returns what the source says about the day; ok is false if it has
// said nothing, which differs from a statement without rows. The caller owns it.
func (s *Snapshot) Statement(id spend.SourceID, day spend.Day) (st spend.Statement, ok bool) {
	p := s.part(id, day)
	if p == nil {
		return spend.Statement{}, false
	}
	return p.statement(day, s.names), true
}

// DayTotal returns the USD cost that the source states for the day, and the
// start of the walk that said so; ok is false if there is no statement.
func (s *Snapshot) DayTotal(id spend.SourceID, day spend.Day) (usd spend.Money, readAt time.Time, ok bool) {
	p := s.part(id, day)
	if p == nil {
		return spend.Money{}, time.Time{}, false
	}
	return p.total.cost(), p.readAt, true
}

// Charges returns how many charge rows of a provider the ledger holds.
func (s *Snapshot) Charges(provider string) int {
	n := 0
	for _, src := range s.sources {
		if src.id.Provider == provider {
			n += src.charges
		}
	}
	return n
}

func (s *Snapshot) part(id spend.SourceID, day spend.Day) *part {
	i, ok := slices.BinarySearchFunc(s.sources, id, func(src *source, id spend.SourceID) int {
		return compareIDs(src.id, id)
	})
	if !ok {
		return nil
	}
	return s.sources[i].part(day)
}

func (s *source) part(day spend.Day) *part {
	if i, ok := slices.BinarySearch(s.days, day); ok {
		return s.parts[i]
	}
	return nil
}

// within returns the index range of the days in w; a zero bound is open.
func (s *source) within(w spend.Window) (from, to int) {
	to = len(s.days)
	if w.From != 0 {
		from, _ = slices.BinarySearch(s.days, w.From)
	}
	if w.To != 0 {
		to, _ = slices.BinarySearch(s.days, w.To)
	}
	return from, max(from, to)
}

func (s *source) clone() *source {
	c := *s
	c.days = slices.Clone(s.days)
	c.parts = slices.Clone(s.parts)
	return &c
}

func (s *source) set(day spend.Day, p *part) {
	i, found := slices.BinarySearch(s.days, day)
	if found {
		s.count(s.parts[i], -1)
		s.parts[i] = p
	} else {
		s.days = slices.Insert(s.days, i, day)
		s.parts = slices.Insert(s.parts, i, p)
	}
	s.count(p, +1)
}

func (s *source) count(p *part, sign int) {
	s.charges += sign * p.chargeRows()
	s.usage += sign * p.usageRows()
}
