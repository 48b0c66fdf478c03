package badger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// Sources lists the sources whose ledger is readable, and joins to the list one
// error per source whose ledger is not: both are returned.
func (s *Store) Sources(ctx context.Context) (_ []store.SourceRecord, err error) {
	done, err := s.begin("sources")
	if err != nil {
		return nil, err
	}
	defer done(&err)
	if err := ctxErr(ctx, "listing sources"); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	records := make([]store.SourceRecord, 0, len(s.heads))
	for _, h := range s.heads {
		charges, usage := h.rows()
		records = append(records, store.SourceRecord{
			ID: h.id, State: cloneState(h.state), Days: len(h.days), Charges: charges, Usage: usage,
		})
	}
	slices.SortFunc(records, func(a, b store.SourceRecord) int {
		return cmp.Or(cmp.Compare(a.ID.Provider, b.ID.Provider), cmp.Compare(a.ID.Account, b.ID.Account),
			cmp.Compare(a.ID.Source, b.ID.Source))
	})
	var errs []error
	for _, lost := range s.lost {
		errs = append(errs, lost)
	}
	return records, errors.Join(errs...)
}

// Statements reads from one snapshot: whatever is applied meanwhile, fn sees the
// ledger of the source as it was when Statements was called. A source that the
// ledger does not know has no statements; one whose head is damaged is an error.
func (s *Store) Statements(
	ctx context.Context, id spend.SourceID, fn func(spend.Statement) error,
) (report store.Report, err error) {
	done, err := s.begin("statements")
	if err != nil {
		return report, err
	}
	defer done(&err)
	h, txn, err := s.snapshot(id)
	if err != nil || h == nil {
		return report, err
	}
	defer txn.Discard()
	for _, e := range h.days {
		if err := ctxErr(ctx, "reading statements of "+id.String()); err != nil {
			return report, err
		}
		st, err := s.readDay(txn, h.num, e)
		switch {
		case err == nil:
		case !errors.Is(err, store.ErrCorrupt):
			return report, fmt.Errorf("reading %s of %s: %w", e.day, id, err)
		case s.expired(id, e.day):
			continue // dropped while we were reading
		default:
			s.corrupt.Store(true)
			report.Damaged = append(report.Damaged, e.day)
			continue
		}
		if err := fn(st); err != nil {
			return report, err
		}
	}
	return report, nil
}

// snapshot returns the head that counts and a view of the database in which all
// that it names is there. At most one commit lies between the two, because the
// next needs the lock held here; and one commit writes to idle slots only.
func (s *Store) snapshot(id spend.SourceID) (*head, *badger.Txn, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	h, err := s.headOf(id)
	if err != nil || h == nil {
		return nil, nil, err
	}
	return h, s.db.NewTransaction(false), nil
}

// expired reports whether a day has left the ledger since it was looked up.
func (s *Store) expired(id spend.SourceID, day spend.Day) bool {
	h, err := s.current(id)
	if err != nil || h == nil {
		return false
	}
	_, ok := h.find(day)
	return !ok
}

// readDay reads the statement that e describes and nothing else: whatever lies
// under its keys must have e's length and digest.
func (s *Store) readDay(txn *badger.Txn, num uint32, e dayEntry) (spend.Statement, error) {
	if e.size == 0 {
		return spend.Statement{Day: e.day, ReadAt: fromNanos(e.readAt)}, nil
	}
	content, err := s.readChunks(txn, kindDay, e.size, func(i uint16) []byte {
		return keyDay(e.day, num, e.slot, i)
	})
	if err != nil {
		return spend.Statement{}, err
	}
	if digestOf(content) != e.sum {
		return spend.Statement{}, fmt.Errorf("%w: statement is not the one the head names", store.ErrCorrupt)
	}
	st, err := decodeStatement(content)
	if err == nil && st.Day != e.day {
		err = fmt.Errorf("statement is of %s", st.Day)
	}
	if err != nil {
		return spend.Statement{}, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	st.ReadAt = fromNanos(e.readAt)
	return st, nil
}

// readChunks puts content of a known length together.
func (s *Store) readChunks(txn *badger.Txn, kind byte, size int, key func(uint16) []byte) ([]byte, error) {
	var content []byte
	for i := 0; len(content) < size; i++ {
		part, err := s.get(txn, key(uint16(i)), kind)
		if err != nil {
			return nil, err
		}
		if len(part) == 0 || len(content)+len(part) > size || i == maxChunks {
			return nil, fmt.Errorf("%w: pieces of another length", store.ErrCorrupt)
		}
		if i == 0 && len(part) == size {
			return part, nil
		}
		content = append(content, part...)
	}
	return content, nil
}

// maxChunks is how many pieces a chunk number can tell apart.
const maxChunks = 1<<16 - 1

// putChunks adds content to the batch, piece by piece.
func (s *Store) putChunks(b *batch, kind byte, content []byte, key func(uint16) []byte) error {
	size := s.opt.chunkBytes()
	if len(content)/size >= maxChunks {
		return fmt.Errorf("content of %d bytes is too large to store", len(content))
	}
	for i := 0; len(content) > 0; i++ {
		part := content[:min(size, len(content))]
		content = content[len(part):]
		k := key(uint16(i))
		v := s.sealer.seal(k, kind, part)
		if err := b.room(len(k) + len(v) + entryOverhead); err != nil {
			return err
		}
		b.append(k, v)
	}
	return nil
}

// place writes the statements to the idle slots of their days and returns the
// entries that a new head will have for them. A day whose content is already
// there, and readable, is only given its new reading time.
func (s *Store) place(ctx context.Context, b *batch, h *head, days []spend.Statement) ([]dayEntry, error) {
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	entries := make([]dayEntry, 0, len(days))
	for _, st := range days {
		if err := ctxErr(ctx, "writing statements of "+h.id.String()); err != nil {
			return nil, err
		}
		old, known := h.find(st.Day)
		e := dayEntry{day: st.Day, readAt: nanos(st.ReadAt), charges: len(st.Charges), usage: len(st.Usage)}
		if known {
			e.slot = 1 - old.slot
		}
		if e.charges+e.usage > 0 {
			content := encodeStatement(st)
			e.size, e.sum = len(content), digestOf(content)
			if known && s.same(txn, h.num, old, e) {
				e.slot = old.slot
			} else if err := s.putChunks(b, kindDay, content, func(i uint16) []byte {
				return keyDay(e.day, h.num, e.slot, i)
			}); err != nil {
				return nil, err
			}
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// same reports whether what old names is readable and has the content of e.
func (s *Store) same(txn *badger.Txn, num uint32, old, e dayEntry) bool {
	if old.size != e.size || old.sum != e.sum {
		return false
	}
	_, err := s.readDay(txn, num, old)
	return err == nil
}

// Amend replaces single days of a source that the ledger knows. A statement
// without a reading time keeps that of the day it replaces.
func (s *Store) Amend(ctx context.Context, id spend.SourceID, days []spend.Statement) (err error) {
	done, err := s.begin("amend")
	if err != nil {
		return err
	}
	defer done(&err)
	s.wmu.Lock()
	defer s.wmu.Unlock()
	h, err := s.writable(id)
	if err != nil {
		return err
	}
	days, err = sortedDays(days)
	if err != nil {
		return fmt.Errorf("amending %s: %w", id, err)
	}
	for i := range days {
		if old, ok := h.find(days[i].Day); ok && days[i].ReadAt.IsZero() {
			days[i].ReadAt = fromNanos(old.readAt)
		}
	}
	b := &batch{s: s}
	entries, err := s.place(ctx, b, h, days)
	if err != nil {
		return err
	}
	return s.commit(change{heads: []*head{h.with(entries)}}, b)
}

// sortedDays returns a copy, ascending by day; a day given twice is an error.
func sortedDays(days []spend.Statement) ([]spend.Statement, error) {
	days = slices.Clone(days)
	slices.SortStableFunc(days, func(a, b spend.Statement) int { return cmp.Compare(a.Day, b.Day) })
	for i := 1; i < len(days); i++ {
		if days[i].Day == days[i-1].Day {
			return nil, fmt.Errorf("day %s is given twice", days[i].Day)
		}
	}
	return days, nil
}

// wholeWindow returns one statement for every day of w, ascending, read at readAt:
// a day without one becomes a day known to be empty. A statement outside w is an error.
func wholeWindow(w spend.Window, readAt time.Time, days []spend.Statement) ([]spend.Statement, error) {
	days, err := sortedDays(days)
	if err != nil {
		return nil, err
	}
	all := make([]spend.Statement, w.Days())
	for i := range all {
		all[i] = spend.Statement{Day: w.From + spend.Day(i), ReadAt: readAt}
	}
	for _, st := range days {
		if !w.Contains(st.Day) {
			return nil, fmt.Errorf("day %s is outside the window %s", st.Day, w)
		}
		st.ReadAt = readAt
		all[st.Day-w.From] = st
	}
	return all, nil
}

// SetState replaces a source's state; a source the ledger does not know yet
// becomes known.
func (s *Store) SetState(ctx context.Context, id spend.SourceID, st store.State) (err error) {
	done, err := s.begin("set_state")
	if err != nil {
		return err
	}
	defer done(&err)
	if err := ctxErr(ctx, "setting the state of "+id.String()); err != nil {
		return err
	}
	s.wmu.Lock()
	defer s.wmu.Unlock()
	h, err := s.writable(id)
	if err != nil {
		return err
	}
	return s.commit(change{heads: []*head{h.inState(st)}})
}

// inState returns a copy of h with another state.
func (h *head) inState(st store.State) *head {
	n := *h
	n.state = cloneState(st)
	return &n
}

// Rename gives every source of the account its new name in one commit. It does
// nothing if the provider has no account named from, so it may be repeated. A
// source of the new name that holds no day gives way.
func (s *Store) Rename(ctx context.Context, provider, from, to string) (err error) {
	done, err := s.begin("rename")
	if err != nil {
		return err
	}
	defer done(&err)
	if err := ctxErr(ctx, "renaming account "+from); err != nil {
		return err
	}
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if from == to {
		return nil
	}
	c := change{}
	held, moving := 0, 0
	for _, link := range s.cat.Sources {
		if link.ID.Provider != provider || link.ID.Account != from && link.ID.Account != to {
			continue
		}
		h, err := s.current(link.ID)
		if err != nil {
			return err
		}
		if link.ID.Account == to {
			held += len(h.days)
			c.forget = append(c.forget, h.num)
			continue
		}
		n := *h
		n.id.Account = to
		c.heads = append(c.heads, &n)
		moving += len(n.days)
	}
	switch {
	case len(c.heads) == 0:
		return nil
	case held > 0 && moving > 0:
		return fmt.Errorf("renaming account %s/%s to %s: %w", provider, from, to, store.ErrAccountExists)
	case held > 0: // nothing to bring along: the old name is given up
		c.forget = c.forget[:0]
		for _, h := range c.heads {
			c.forget = append(c.forget, h.num)
		}
		c.heads = nil
	}
	return s.commit(c)
}
