package badger

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// outbox is what must lie in the space of the events, held in memory from open on:
// an id and 20 bytes for each. wmu guards it.
type outbox struct {
	from   spend.Day // what lies before it has been forgotten
	events map[string]eventRef
	sum    digest // over all of them, in whatever order
	used   bool   // there has been an event: commits carry the mark
	// unmarked says that events have been forgotten since the last commit: their keys
	// must not go before its mark has.
	unmarked bool
	lost     error // what was found missing when the store was opened
}

// eventRef says where an event lies and what it must be.
type eventRef struct {
	day spend.Day
	sum digest // of its key and content; zero if it was damaged when the store was opened
}

// outboxMark is what the catalogue says of the outbox: how many events there are from
// a day on, and a digest of their newest versions. It lies there, and not beside the
// events, because what Badger loses it loses by the block: a counter among the events
// of its day would go with them, and with a block of newer versions an older one of
// both would come to light. A version of aispend that knows no outbox writes
// catalogues without it, and changes no event.
type outboxMark struct {
	From   int32  `json:"from"`
	Events int    `json:"events"`
	Sum    []byte `json:"sum"`
}

// set puts an event in, in place of the version before it.
func (o *outbox) set(id string, ref eventRef) {
	was := o.events[id]
	o.events[id], o.used = ref, true
	o.sum = o.sum.xor(was.sum).xor(ref.sum)
}

// mark is what a commit writes down: nothing before the first event.
func (o *outbox) mark() *outboxMark {
	if !o.used {
		return nil
	}
	return o.markWith(nil)
}

// markWith is the mark after the new versions have been set.
func (o *outbox) markWith(versions map[string]eventRef) *outboxMark {
	n, sum := len(o.events), o.sum
	for id, ref := range versions {
		was, known := o.events[id]
		if !known {
			n++
		}
		sum = sum.xor(was.sum).xor(ref.sum)
	}
	return &outboxMark{From: int32(o.from), Events: n, Sum: sum[:]}
}

// forget takes out the events of the days before cutoff.
func (o *outbox) forget(cutoff spend.Day) {
	for id, ref := range o.events {
		if ref.day < cutoff {
			o.sum = o.sum.xor(ref.sum)
			delete(o.events, id)
			o.unmarked = true
		}
	}
	o.from = max(o.from, cutoff)
}

// placed is an event's id and place.
type placed struct {
	id string
	eventRef
}

// sorted lists the events by day and id.
func (o *outbox) sorted() []placed {
	all := make([]placed, 0, len(o.events))
	for id, ref := range o.events {
		all = append(all, placed{id, ref})
	}
	slices.SortFunc(all, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.id, b.id))
	})
	return all
}

func eventSum(key, content []byte) digest { return digestOf(append(slices.Clone(key), content...)) }

// PutEvents writes the events in as few transactions as take them, each of which is a
// commit: it counts, so that one that is lost is noticed, and it carries the mark of
// the outbox as it is from then on. A new version lies under the key of the one before.
func (s *Store) PutEvents(ctx context.Context, events []store.OutboxEvent) (err error) {
	done, err := s.begin("put_events")
	if err != nil {
		return err
	}
	defer done(&err)
	if err := ctxErr(ctx, "storing events"); err != nil {
		return err
	}
	oldest := maxEventDay
	for _, ev := range events {
		if err := checkEvent(ev); err != nil {
			return fmt.Errorf("storing events: %w", err)
		}
		oldest = min(oldest, ev.Day)
	}
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if err := s.InPlace(); err != nil {
		return fmt.Errorf("storing events: %w", err)
	}
	if err := s.reachBack(oldest); err != nil {
		return fmt.Errorf("storing events: %w", err)
	}
	p := &eventPut{s: s, batch: batch{s: s}, refs: make(map[string]eventRef)}
	for _, ev := range events {
		if err := p.add(ctx, ev); err != nil {
			return fmt.Errorf("storing events: %w", err)
		}
	}
	if err := p.commit(); err != nil {
		return fmt.Errorf("storing events: %w", err)
	}
	return nil
}

// maxEventDay is the last day that has a name of ten letters: 9999-12-31.
const maxEventDay spend.Day = 2932896

var errEvent = errors.New("bad event")

func checkEvent(ev store.OutboxEvent) error {
	switch {
	case !isEventID([]byte(ev.ID)):
		return fmt.Errorf("%w: id %.80q is not 1 to %d of a-z 0-9 _", errEvent, ev.ID, maxEventID)
	case ev.Day < 1 || ev.Day > maxEventDay:
		return fmt.Errorf("%w: %s has no day (%d)", errEvent, ev.ID, int32(ev.Day))
	case len(ev.Content) > store.MaxEventBytes:
		return fmt.Errorf("%w: %s has %d bytes, at most %d are kept", errEvent, ev.ID, len(ev.Content),
			store.MaxEventBytes)
	}
	return nil
}

// reachBack lets the outbox begin at day or earlier: a clock that was ahead has made it
// forget days that are the present again. What it has forgotten and Expire has not yet
// dropped must not come back with them.
func (s *Store) reachBack(day spend.Day) error {
	if day >= s.outbox.from {
		return nil
	}
	if err := s.drop(s.opt.Now(), spaceEvent); err != nil {
		return err
	}
	s.outbox.from = day
	return nil
}

// eventPut collects events for one transaction after the other. wmu is held.
type eventPut struct {
	s     *Store
	batch batch
	refs  map[string]eventRef // of what is in the batch
}

func (p *eventPut) add(ctx context.Context, ev store.OutboxEvent) error {
	ref, known := p.refs[ev.ID]
	if !known {
		ref, known = p.s.outbox.events[ev.ID]
	}
	if !known {
		ref.day = ev.Day
	}
	key := keyEvent(ref.day, ev.ID)
	value := p.s.sealer.seal(key, kindEvent, ev.Content)
	if !p.fits(len(key) + len(value) + entryOverhead) {
		if err := p.commit(); err != nil {
			return err
		}
		if err := ctxErr(ctx, "after some of them"); err != nil {
			return err
		}
	}
	ref.sum = eventSum(key, ev.Content)
	p.batch.append(key, value)
	p.refs[ev.ID] = ref
	return nil
}

// fits reports whether n more bytes and what a commit adds stay one transaction.
func (p *eventPut) fits(n int) bool {
	tail := tailReserve + p.s.summaryBytes() + int64(len(p.s.cat.Sources))*linkBytes
	return p.batch.size+int64(n)+tail <= p.s.opt.batchBytes() && len(p.batch.entries) < maxEntries-tailEntries
}

const (
	// linkBytes is more than a source takes in the catalogue, with long names.
	linkBytes = 512
	// tailEntries is more than the catalogue and the summary.
	tailEntries = 8
)

// commit makes the batch durable and known.
func (p *eventPut) commit() error {
	if len(p.batch.entries) == 0 {
		return nil
	}
	c := change{outbox: p.s.outbox.markWith(p.refs), urgent: true}
	if err := p.s.commit(c, &p.batch); err != nil {
		return err
	}
	for id, ref := range p.refs {
		p.s.outbox.set(id, ref)
	}
	clear(p.refs)
	return nil
}

// Events looks at what there is and what there must be at the same instant, for which
// it waits for a write under way; fn is called without any lock.
func (s *Store) Events(ctx context.Context, fn func(store.OutboxEvent) error) (err error) {
	done, err := s.begin("events")
	if err != nil {
		return err
	}
	defer done(&err)
	if err := ctxErr(ctx, "reading events"); err != nil {
		return err
	}
	txn, events, lost := s.eventsNow()
	defer txn.Discard()
	var f findings
	if lost != nil {
		f.finding(lost)
	}
	for _, e := range events {
		if err := ctxErr(ctx, "reading events"); err != nil {
			return err
		}
		ev, err := s.readEvent(txn, e)
		switch {
		case err == nil:
		case !errors.Is(err, store.ErrCorrupt):
			return fmt.Errorf("reading event %s of %s: %w", e.id, e.day, err)
		case s.forgotten(e):
			continue // dropped while we were reading
		default:
			f.finding(fmt.Errorf("event %s of %s: %w", e.id, e.day, err))
			continue
		}
		if err := fn(ev); err != nil {
			return err
		}
	}
	if err := f.err(); err != nil {
		return s.damaged(fmt.Errorf("reading events: %w", err))
	}
	return nil
}

func (s *Store) eventsNow() (*badger.Txn, []placed, error) {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	return s.db.NewTransaction(false), s.outbox.sorted(), s.outbox.lost
}

// forgotten reports whether an event has left the outbox since it was looked up.
func (s *Store) forgotten(e placed) bool {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	now, ok := s.outbox.events[e.id]
	return !ok || now.day != e.day
}

// readEvent reads the version of an event that counts and no other.
func (s *Store) readEvent(txn *badger.Txn, e placed) (store.OutboxEvent, error) {
	key := keyEvent(e.day, e.id)
	var content []byte
	err := guarded(func() (err error) {
		content, err = s.get(txn, key, kindEvent)
		return err
	})
	if err == nil && eventSum(key, content) != e.sum {
		err = fmt.Errorf("%w: another version took its place", store.ErrCorrupt)
	}
	if err != nil {
		return store.OutboxEvent{}, err
	}
	return store.OutboxEvent{ID: e.id, Day: e.day, Content: content}, nil
}

// loadOutbox reads every event that counts and compares them with the mark of the
// newest commit. An event whose value is damaged keeps its id and its day, and what is
// missing is told for as long as this process lives: the next commit's mark is without it.
func (s *Store) loadOutbox(txn *badger.Txn) {
	o, mark := &s.outbox, s.cat.Outbox
	if mark != nil {
		o.from, o.used = spend.Day(mark.From), true
	}
	var damaged bool
	if err := guarded(func() error {
		damaged = s.readOutbox(txn)
		return nil
	}); err != nil {
		o.lost = errors.Join(o.lost, fmt.Errorf("events of the hard-cap hook: %w", s.damaged(err)))
		s.opt.Logger.Error("outbox cannot be read to its end", "events", len(o.events), "err", err)
		return
	}
	if mark == nil || len(o.events) == mark.Events && (damaged || bytes.Equal(o.sum[:], mark.Sum)) {
		return
	}
	o.lost = errors.Join(o.lost, fmt.Errorf("%w: %d events of the hard-cap hook were found where %d were "+
		"written, or older versions of them", store.ErrCorrupt, len(o.events), mark.Events))
	s.corrupt.Store(true)
	s.opt.Logger.Error("outbox has lost events or newest versions of events", "events", len(o.events),
		"written", mark.Events)
}

func (s *Store) readOutbox(txn *badger.Txn) (damaged bool) {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{spaceEvent}})
	defer it.Close()
	for it.Seek(prefixDay(spaceEvent, s.outbox.from)); it.Valid(); it.Next() {
		k, ok := parseKey(it.Item().Key())
		if !ok {
			continue // Verify finds it
		}
		ref := eventRef{day: k.day}
		err := it.Item().Value(func(v []byte) error {
			content, err := s.sealer.unseal(it.Item().Key(), kindEvent, v)
			ref.sum = eventSum(it.Item().Key(), content)
			return err
		})
		if err != nil {
			damaged, ref.sum = true, digest{}
			s.corrupt.Store(true)
			s.opt.Logger.Error("event of the hard-cap hook is damaged", "event", k.event,
				"day", k.day.String(), "err", err)
		}
		// An id on two days was put again after the first had been lost: the later counts.
		s.outbox.set(k.event, ref)
	}
	return damaged
}
