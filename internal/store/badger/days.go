package badger

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// dayCounters are the figures of one fetch day.
type dayCounters struct {
	Pages map[string]int `json:"pages"` // by provider
	Pulls int            `json:"pulls"`
}

func (c dayCounters) clone() dayCounters {
	c.Pages = maps.Clone(c.Pages)
	if c.Pages == nil {
		c.Pages = make(map[string]int)
	}
	return c
}

// The summary holds the counters of all fetch days in one value, beside those that
// lie with each day. Only the latter are the truth; the summary is there because
// reading them all maps 64 KiB and more of every table per day, and what is mapped
// counts as memory of this process: 6 MB with 88 days of 20,000 pages
// (docs/benchmarks.md, idle). Every transaction that changes a counter writes it,
// and so does every commit, with its sequence: one of another sequence is not
// believed.
//
//	version 1 byte · sequence · number of providers · each provider · number of
//	days · per day ascending: days since the one before, pulls, pages of each
//	provider
//
// with numbers as varints and names behind their length.
const summaryVersion = 1

var errSummary = errors.New("malformed summary")

func encodeSummary(seq uint64, days map[spend.Day]dayCounters) []byte {
	names := make(map[string]struct{})
	for _, c := range days {
		for name := range c.Pages {
			names[name] = struct{}{}
		}
	}
	providers := slices.Sorted(maps.Keys(names))
	b := binary.AppendUvarint([]byte{summaryVersion}, seq)
	b = binary.AppendUvarint(b, uint64(len(providers)))
	for _, name := range providers {
		b = append(binary.AppendUvarint(b, uint64(len(name))), name...)
	}
	b = binary.AppendUvarint(b, uint64(len(days)))
	var last int64
	for _, day := range slices.Sorted(maps.Keys(days)) {
		c := days[day]
		b = binary.AppendVarint(b, int64(day)-last)
		b = binary.AppendUvarint(b, uint64(c.Pulls))
		for _, name := range providers {
			b = binary.AppendUvarint(b, uint64(c.Pages[name]))
		}
		last = int64(day)
	}
	return b
}

// decodeSummary reads what encodeSummary wrote; anything else is an error, never a
// panic.
func decodeSummary(b []byte) (seq uint64, days map[spend.Day]dayCounters, err error) {
	if len(b) == 0 || b[0] != summaryVersion {
		return 0, nil, fmt.Errorf("%w: unknown version", errSummary)
	}
	d := stmtDecoder{b: b[1:]}
	seq = d.uint()
	d.table()
	n := d.count(2 + len(d.strings))
	days = make(map[spend.Day]dayCounters, n)
	last := int64(math.MinInt64)
	for i := range n {
		day := d.int()
		if i > 0 {
			day += last
		}
		if d.err == nil && (int64(spend.Day(day)) != day || day <= last) {
			d.fail("days out of order")
		}
		c := dayCounters{Pulls: int(d.uint() & math.MaxInt32), Pages: make(map[string]int, len(d.strings))}
		for _, name := range d.strings {
			if pages := int(d.uint() & math.MaxInt32); pages > 0 {
				c.Pages[name] = pages
			}
		}
		days[spend.Day(day)], last = c, day
	}
	if d.err == nil && len(d.b) != 0 {
		d.fail("trailing bytes")
	}
	if d.err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errSummary, d.err)
	}
	return seq, days, nil
}

// summarize adds the summary of the days, with those of updated in place of theirs.
// wmu is held.
func (s *Store) summarize(b *batch, seq uint64, updated map[spend.Day]dayCounters) {
	days := maps.Clone(s.days)
	maps.Copy(days, updated)
	b.put(keySummary(), kindSummary, encodeSummary(seq, days))
}

// summaryBytes is more than the summary takes.
func (s *Store) summaryBytes() int64 { return 1<<10 + 32*int64(len(s.days)+1) }

// loadDays takes the counters of every fetch day from the summary, and reads them
// one by one where that is missing, damaged, of another commit, or not what lies there.
func (s *Store) loadDays(txn *badger.Txn) error {
	content, err := s.get(txn, keySummary(), kindSummary)
	if err == nil {
		var seq uint64
		var days map[spend.Day]dayCounters
		if seq, days, err = decodeSummary(content); err == nil && seq == s.cat.Seq {
			if s.endsMatch(txn, days) {
				s.days = days
				return nil
			}
		}
	}
	if err != nil && !errors.Is(err, errMissing) {
		s.corrupt.Store(true)
		s.opt.Logger.Error("summary of the fetch days is damaged; they are counted one by one", "err", err)
	} else {
		s.opt.Logger.Info("summary of the fetch days is missing, not of the newest commit or not what is there; " +
			"they are counted one by one")
	}
	return s.walkDays(txn)
}

// endsMatch reports whether the oldest and the newest day of a summary are the oldest
// and the newest there are, and the newest still has the counters that it says. Not
// every writer leaves both and the sequence as they belong together: a version from
// before the summary that was killed within a pull changes days of a commit that has
// one, and an Expire that was killed, or met a full disk, days at the other end.
func (s *Store) endsMatch(txn *badger.Txn, days map[spend.Day]dayCounters) bool {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{spaceRaw}})
	defer it.Close()
	it.Rewind()
	if len(days) == 0 || !it.Valid() {
		return len(days) == 0 && !it.Valid()
	}
	named := slices.Sorted(maps.Keys(days))
	oldest, newest := named[0], named[len(named)-1]
	if k := it.Item().Key(); len(k) <= lenDayPrefix || dayAt(k[1:]) != oldest {
		return false
	}
	it.Seek(keyCounters(newest))
	c, err := s.countersAt(it, newest)
	if err != nil || c.Pulls != days[newest].Pulls || !maps.Equal(c.Pages, days[newest].Pages) {
		return false
	}
	if newest == math.MaxInt32 {
		return true
	}
	it.Seek(prefixDay(spaceRaw, newest+1))
	return !it.Valid()
}

// walkDays reads the counters of every fetch day, jumping from one to the next.
func (s *Store) walkDays(txn *badger.Txn) error {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{spaceRaw}})
	defer it.Close()
	for it.Rewind(); it.Valid(); {
		k := it.Item().Key()
		if len(k) <= lenDayPrefix {
			it.Next()
			continue
		}
		day := dayAt(k[1:])
		if k[lenDayPrefix] < rawCounters {
			it.Seek(keyCounters(day))
		}
		c, err := s.countersAt(it, day)
		if err != nil {
			s.corrupt.Store(true)
			s.opt.Logger.Error("counters of a fetch day are damaged and are counted anew",
				"day", day.String(), "err", err)
			if c, err = s.recount(txn, day); err != nil {
				return err
			}
		}
		s.days[day] = c
		if day == math.MaxInt32 {
			return nil
		}
		// There were pulls on the next day as a rule, and then its counters are there.
		if it.Seek(keyCounters(day + 1)); !it.ValidForPrefix(prefixDay(spaceRaw, day+1)) {
			it.Seek(prefixDay(spaceRaw, day+1))
		}
	}
	return nil
}

// countersAt reads the counters of a day with an iterator that stands at the first
// key from theirs on.
func (s *Store) countersAt(it *badger.Iterator, day spend.Day) (c dayCounters, err error) {
	key := keyCounters(day)
	if !it.Valid() || !bytes.Equal(it.Item().Key(), key) {
		return c, errMissing
	}
	err = it.Item().Value(func(v []byte) error {
		b, err := s.sealer.unseal(key, kindCounters, v)
		if err != nil {
			return err
		}
		c, err = decodeCounters(b)
		return err
	})
	return c, err
}

func (s *Store) readCounters(txn *badger.Txn, day spend.Day) (c dayCounters, err error) {
	b, err := s.get(txn, keyCounters(day), kindCounters)
	if err != nil {
		return c, err
	}
	return decodeCounters(b)
}

func decodeCounters(b []byte) (c dayCounters, err error) {
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return c, nil
}

// recount counts a fetch day by its keys.
func (s *Store) recount(txn *badger.Txn, day spend.Day) (dayCounters, error) {
	c := dayCounters{Pages: make(map[string]int)}
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefixDay(spaceRaw, day)})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		k, ok := parseKey(it.Item().Key())
		switch {
		case ok && k.kind == rawPull:
			c.Pulls++
		case ok && k.kind == rawPage:
			if m, err := s.readMeta(it.Item()); err == nil {
				c.Pages[m.Source.Provider]++
			}
		}
	}
	return c, nil
}
