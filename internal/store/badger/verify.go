package badger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime/debug"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// maxFindings bounds what Verify's error lists; the rest is counted.
const maxFindings = 20

// Verify reads every value that counts through its checksum and has Badger check
// its tables. The error wraps store.ErrCorrupt and names what was found.
func (s *Store) Verify(ctx context.Context) (err error) {
	done, err := s.begin("verify")
	if err != nil {
		return err
	}
	defer done(&err)
	v := s.newVerifier()
	defer v.txn.Discard()
	for _, step := range []func(context.Context) error{v.tables, v.ledger, v.archive, v.outbox} {
		if err := v.guarded(ctx, step); err != nil {
			return fmt.Errorf("verifying the store: %w", err)
		}
	}
	return s.damaged(v.err())
}

type verifier struct {
	s     *Store
	txn   *badger.Txn
	links []sourceLink
	heads map[uint32]*head
	days  map[spend.Day]dayCounters

	events []placed
	ids    map[string]struct{} // of the events
	from   spend.Day           // events before it are forgotten
	findings
}

// findings collects what is wrong.
type findings struct {
	found []error
	count int
}

func (f *findings) finding(err error) {
	if f.count++; f.count <= maxFindings {
		f.found = append(f.found, err)
	}
}

// err is nil without findings and wraps store.ErrCorrupt with them.
func (f *findings) err() error {
	if f.count == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d findings: %w", store.ErrCorrupt, f.count, errors.Join(f.found...))
}

// newVerifier looks at what counts and at the database at the same instant.
func (s *Store) newVerifier() *verifier {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	s.mu.RLock()
	defer s.mu.RUnlock()
	v := &verifier{
		s: s, txn: s.db.NewTransaction(false), links: s.cat.clone().Sources, heads: maps.Clone(s.heads),
		days: maps.Clone(s.days), events: s.outbox.sorted(), ids: make(map[string]struct{}, len(s.outbox.events)),
		from: s.outbox.from,
	}
	if s.outbox.lost != nil {
		v.finding(s.outbox.lost)
	}
	for _, err := range s.lost {
		v.finding(err)
	}
	return v
}

// guarded runs a step; a panic in it is a finding.
func (v *verifier) guarded(ctx context.Context, step func(context.Context) error) error {
	err := guarded(func() error { return step(ctx) })
	if errors.Is(err, errPanic) {
		v.finding(err)
		return nil
	}
	return err
}

// guarded runs fn. A panic in Badger, which some damaged blocks cause, or a fault in a
// mapped file that has become shorter is an error that wraps store.ErrCorrupt.
func guarded(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errPanic, r)
		}
	}()
	return fn()
}

var errPanic = fmt.Errorf("%w: badger panicked", store.ErrCorrupt)

func (v *verifier) tables(context.Context) error {
	if err := v.s.db.VerifyChecksum(); err != nil {
		v.finding(fmt.Errorf("badger tables: %w", err))
	}
	return nil
}

// ledger reads every day that a head names, and the heads from disk.
func (v *verifier) ledger(ctx context.Context) error {
	for _, link := range v.links {
		h := v.heads[link.Num]
		if h == nil {
			continue // its damage is counted already
		}
		b, err := v.s.get(v.txn, keyHead(link.Num, link.Copy), kindHead)
		if err == nil && digestOf(b) != digest(link.Sum) {
			err = fmt.Errorf("%w: an older one took its place", store.ErrCorrupt)
		}
		if err != nil {
			v.finding(fmt.Errorf("head of %s: %w", link.ID, err))
		}
		for _, e := range h.days {
			if err := ctxErr(ctx, "reading the ledger"); err != nil {
				return err
			}
			if _, err := v.s.readDay(v.txn, h.num, e); err != nil && !v.s.expired(link.ID, e.day) {
				v.finding(fmt.Errorf("%s of %s: %w", e.day, link.ID, err))
			}
		}
	}
	return nil
}

// archive reads every kept fetch day: its counters, its pull records, its pages
// and their bodies. A day that has keys and is not known is found too.
func (v *verifier) archive(ctx context.Context) error {
	cutoff := v.s.rawCutoff(v.s.opt.Now())
	for _, day := range v.s.daysBefore(v.txn, spaceRaw, math.MaxInt32) {
		if _, known := v.days[day]; !known && day >= cutoff {
			v.finding(fmt.Errorf("%w: fetch day %s is not among those that are known", store.ErrCorrupt, day))
		}
	}
	for _, day := range slices.Sorted(maps.Keys(v.days)) {
		if day < cutoff {
			continue
		}
		counters, err := v.s.readCounters(v.txn, day)
		if err == nil && (counters.Pulls != v.days[day].Pulls || !maps.Equal(counters.Pages, v.days[day].Pages)) {
			err = fmt.Errorf("%w: %v, %v are known", store.ErrCorrupt, counters, v.days[day])
		}
		if err != nil {
			v.finding(fmt.Errorf("counters of %s: %w", day, err))
			continue
		}
		if _, err := v.s.pullsOf(v.txn, day); err != nil {
			v.finding(fmt.Errorf("pulls of %s: %w", day, err))
		}
		if err := v.pages(ctx, day, counters); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) pages(ctx context.Context, day spend.Day, counters dayCounters) error {
	it := v.txn.NewIterator(badger.IteratorOptions{Prefix: prefixRaw(day, rawPage)})
	defer it.Close()
	n, want := 0, 0
	for _, c := range counters.Pages {
		want += c
	}
	for it.Rewind(); it.Valid(); it.Next() {
		if err := ctxErr(ctx, "reading the archive"); err != nil {
			return err
		}
		n++
		m, err := v.s.readMeta(it.Item())
		if err == nil {
			_, err = v.s.readBody(v.txn, m.bodyKey(), m.Bytes)
		}
		if err != nil {
			v.finding(fmt.Errorf("page %x of %s: %w", it.Item().Key(), day, err))
		}
	}
	if n != want {
		v.finding(fmt.Errorf("%w: %d pages of %s, %d were written", store.ErrCorrupt, n, day, want))
	}
	return nil
}

// outbox reads every event that is known, and finds those that are not.
func (v *verifier) outbox(ctx context.Context) error {
	for _, e := range v.events {
		if err := ctxErr(ctx, "reading the outbox"); err != nil {
			return err
		}
		v.ids[e.id] = struct{}{}
		if _, err := v.s.readEvent(v.txn, e); err != nil && !v.s.forgotten(e) {
			v.finding(fmt.Errorf("event %s of %s: %w", e.id, e.day, err))
		}
	}
	it := v.txn.NewIterator(badger.IteratorOptions{Prefix: []byte{spaceEvent}})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		k, ok := parseKey(it.Item().Key())
		_, known := v.ids[k.event] // on another day it is one that was lost for a while, and counts no more
		if !ok || !known && k.day >= v.from {
			v.finding(fmt.Errorf("%w: event %x is not among those that are known", store.ErrCorrupt, it.Item().Key()))
		}
	}
	return nil
}
