package badger

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/dgraph-io/badger/v4"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// batch collects writes and hands them to Badger in transactions below its
// limit. What it has written before the commit is invisible or says of itself
// that it is unfinished. Its methods are called with wmu held.
type batch struct {
	s       *Store
	entries []*badger.Entry
	size    int64

	// Only of pulls: the record rewritten by every transaction that holds pages,
	// and how many pages of each fetch day are among the entries.
	pull    *pullRecord
	counted bool // the pull is in its day's counter
	pages   map[spend.Day]int
}

// entryOverhead is more than Badger's own estimate per entry (txn.go, checkSize).
const entryOverhead = 32

func (b *batch) put(key []byte, kind byte, content []byte) {
	b.append(key, b.s.sealer.seal(key, kind, content))
}

func (b *batch) append(key, value []byte) {
	b.entries = append(b.entries, badger.NewEntry(key, value))
	b.size += int64(len(key)+len(value)) + entryOverhead
}

// room makes room for n more bytes, writing out what is there if need be.
func (b *batch) room(n int) error {
	if b.size+int64(n)+tailReserve+b.s.summaryBytes() <= b.s.opt.batchBytes() && len(b.entries) < maxEntries {
		return nil
	}
	return b.flush()
}

const (
	// tailReserve is kept for what every transaction of a pull adds: its record and the
	// counters of the days it touched. The summary of all days comes on top.
	tailReserve = 8 << 10
	// maxEntries is below Badger's limit on the number of entries of a 1 MiB memtable.
	maxEntries = 1000
)

// flush writes the entries out, durably but not visibly.
func (b *batch) flush() error {
	if len(b.entries) == 0 {
		return nil
	}
	updated, err := b.finishPull()
	if err != nil {
		return err
	}
	if len(updated) > 0 {
		b.s.summarize(b, b.s.cat.Seq, updated)
	}
	if err := b.s.write(b.entries); err != nil {
		return err
	}
	b.reset()
	b.publish(updated)
	return nil
}

func (b *batch) reset() {
	b.entries, b.size = b.entries[:0], 0
	clear(b.pages)
}

// finishPull adds the pull's record and the counters of the days it touched, which
// it returns: publish makes them known once they are written.
func (b *batch) finishPull() (updated map[spend.Day]dayCounters, err error) {
	if b.pull == nil {
		return nil, nil
	}
	rec, err := json.Marshal(b.pull)
	if err != nil {
		return nil, fmt.Errorf("encoding the record of pull %s: %w", b.pull.id, err)
	}
	b.put(keyPull(b.pull.day(), b.pull.id, b.pull.Num), kindPull, rec)
	updated = make(map[spend.Day]dayCounters)
	for day, n := range b.pages {
		c := b.s.days[day].clone()
		c.Pages[b.pull.Source.Provider] += n
		updated[day] = c
	}
	if day := b.pull.day(); !b.counted {
		c, ok := updated[day]
		if !ok {
			c = b.s.days[day].clone()
		}
		c.Pulls++
		updated[day] = c
	}
	for day, c := range updated {
		v, err := json.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("encoding the counters of %s: %w", day, err)
		}
		b.put(keyCounters(day), kindCounters, v)
	}
	return updated, nil
}

// publish makes counters known that have been written.
func (b *batch) publish(updated map[spend.Day]dayCounters) {
	if b.pull == nil {
		return
	}
	b.counted = true
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	maps.Copy(b.s.days, updated)
}

// change is what a commit makes visible.
type change struct {
	heads  []*head  // new heads, of known or new sources
	forget []uint32 // sources that leave the catalogue
	// end is the pull's record with its verdict: it replaces the open one in the
	// very transaction that shows the heads, never before.
	end *pullRecord
	// outbox is the mark of the events with those that the batches put; nil if they
	// put none. The batches then go into this very transaction.
	outbox *outboxMark
	// urgent goes on below the reserve, down to the floor.
	urgent bool
}

// commit makes c and everything in the batches visible and durable in one step,
// and remembers it in the identity file. wmu is held. After an error nothing has
// become visible.
func (s *Store) commit(c change, batches ...*batch) error {
	cat := s.cat.clone()
	cat.Seq++
	if c.end != nil {
		c.end.Commit = cat.Seq
	}
	tail := &batch{s: s}
	for _, h := range c.heads {
		if err := s.putHead(tail, cat, h); err != nil {
			return err
		}
	}
	for _, num := range c.forget {
		cat.Sources = without(cat.Sources, num)
	}
	if cat.Outbox = s.outbox.mark(); c.outbox != nil {
		cat.Outbox = c.outbox
	}
	v, err := json.Marshal(cat)
	if err != nil {
		return fmt.Errorf("encoding the catalogue: %w", err)
	}
	tail.put(keyCatalogue(byte(cat.Seq&1)), kindCatalogue, v)
	if c.outbox == nil {
		if err := s.makeRoom(tail, batches); err != nil {
			return err
		}
	}
	if err := s.writeLast(c, cat.Seq, tail, batches); err != nil {
		return err
	}
	s.publish(cat, c)
	s.outbox.unmarked = false
	if err := writeSidecar(s.opt.Dir, sidecar{schemaVersion, s.id, cat.Seq}); err != nil {
		// The commit stands. An older sequence only makes the check at open weaker.
		s.opt.Logger.Warn("store identity file was not updated", "err", err)
	}
	return nil
}

// makeRoom writes the batches out unless they fit into one transaction with tail.
func (s *Store) makeRoom(tail *batch, batches []*batch) error {
	size, entries := tail.size+tailReserve+s.summaryBytes(), len(tail.entries)
	for _, b := range batches {
		size, entries = size+b.size, entries+len(b.entries)
	}
	if size <= s.opt.batchBytes() && entries <= maxEntries {
		return nil
	}
	for _, b := range batches {
		if err := b.flush(); err != nil {
			return err
		}
	}
	return nil
}

// writeLast writes the transaction that shows everything, at most one of whose
// batches is of a pull.
func (s *Store) writeLast(c change, seq uint64, tail *batch, batches []*batch) (err error) {
	var all []*badger.Entry
	var updated map[spend.Day]dayCounters
	for _, b := range batches {
		mark, size := len(b.entries), b.size
		if b.pull != nil {
			open := b.pull
			if c.end != nil {
				b.pull = c.end
			}
			updated, err = b.finishPull()
			b.pull = open
			if err != nil {
				return err
			}
		}
		all = append(all, b.entries...)
		// If the write fails the batch must be as it was, without the verdict.
		b.entries, b.size = b.entries[:mark], size
	}
	s.summarize(tail, seq, updated)
	need := s.opt.reserveBytes()
	if c.urgent {
		need = s.opt.floorBytes()
	}
	if err := s.writeAbove(need, append(all, tail.entries...)); err != nil {
		return err
	}
	for _, b := range batches {
		b.reset()
		b.publish(updated)
	}
	return nil
}

// putHead adds a new head in its source's idle copy and links it.
func (s *Store) putHead(tail *batch, cat *catalogue, h *head) error {
	link := cat.byNum(h.num)
	if link == nil {
		cat.Sources = append(cat.Sources, sourceLink{Num: h.num, Copy: 1})
		link = &cat.Sources[len(cat.Sources)-1]
		cat.Next = max(cat.Next, h.num+1)
	}
	if len(link.Sum) == len(digest{}) {
		h.prev = digest(link.Sum)
	}
	h.seq = cat.Seq
	b, err := h.encode()
	if err != nil {
		return err
	}
	sum := digestOf(b)
	link.ID, link.Copy, link.Seq, link.Sum = h.id, 1-link.Copy, h.seq, sum[:]
	tail.put(keyHead(h.num, link.Copy), kindHead, b)
	return nil
}

func without(links []sourceLink, num uint32) []sourceLink {
	kept := links[:0]
	for _, l := range links {
		if l.Num != num {
			kept = append(kept, l)
		}
	}
	return kept
}

// publish shows a commit to readers.
func (s *Store) publish(cat *catalogue, c change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cat = cat
	for _, h := range c.heads {
		s.heads[h.num] = h
	}
	for _, num := range c.forget {
		delete(s.heads, num)
	}
}

// write is one synced Badger transaction. After a failed one nothing is written
// any more: what the engine holds in memory and what is on disk may differ.
func (s *Store) write(entries []*badger.Entry) error {
	return s.writeAbove(s.opt.reserveBytes(), entries)
}

// writeAbove is write for as long as so many bytes are free.
func (s *Store) writeAbove(need uint64, entries []*badger.Entry) error {
	if s.broken != nil {
		return fmt.Errorf("store stopped writing after an error, restart aispend: %w", s.broken)
	}
	if err := s.InPlace(); err != nil {
		return err
	}
	if err := s.opt.checkSpace(need); err != nil {
		return err
	}
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	for _, e := range entries {
		if err := txn.SetEntry(e); err != nil {
			return fmt.Errorf("writing to the store: %w", err)
		}
	}
	if err := txn.Commit(); err != nil {
		if !errors.Is(err, badger.ErrTxnTooBig) && !errors.Is(err, badger.ErrBlockedWrites) {
			s.broken = err
		}
		return fmt.Errorf("committing to the store: %w", err)
	}
	return nil
}

// writable refuses early what could not be written later.
func (s *Store) writable(id spend.SourceID) (*head, error) {
	h, err := s.current(id)
	if err != nil {
		return nil, err
	}
	if h == nil {
		h = &head{num: s.cat.Next, id: id}
	}
	if id.Provider == "" || id.Source == "" {
		return nil, fmt.Errorf("%w: source without a name", store.ErrNotFound)
	}
	return h, nil
}
