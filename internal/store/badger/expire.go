package badger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// Expire gives back the disk of fetch days and of statements past their
// retention, however long ago it ran last. Heads and the summary forget the days
// first: a kill in between leaves keys that nobody names, and the next call drops them.
// A disk too full to write that down is what the raw days of it are dropped for first.
func (s *Store) Expire(ctx context.Context, now time.Time) (err error) {
	done, err := s.begin("expire")
	if err != nil {
		return err
	}
	defer done(&err)
	if err := ctxErr(ctx, "expiring old days"); err != nil {
		return err
	}
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if err := s.InPlace(); err != nil {
		return fmt.Errorf("expiring old days: %w", err)
	}
	raw := s.forgetRaw(s.rawCutoff(now))
	s.outbox.forget(s.historyCutoff(now))
	err = s.commitForgotten(now, change{}, raw || s.outbox.unmarked)
	if errors.Is(err, store.ErrLowSpace) {
		if err := s.drop(now, spaceRaw); err != nil {
			return err
		}
		err = s.commitForgotten(now, change{urgent: true}, true)
	}
	if err != nil {
		return fmt.Errorf("expiring old days: %w", err)
	}
	return s.drop(now, spaceRaw, spaceDay, spaceEvent)
}

// drop gives back what the days before their cutoff have in the spaces.
func (s *Store) drop(now time.Time, spaces ...byte) error {
	// Dropping keeps every reader and writer waiting, so it is one call for all
	// days. Badger can leave a level out when a compaction is in its way and say
	// nothing (levels.go, dropPrefixes), hence the second look.
	for range 2 {
		prefixes := s.oldPrefixes(now, spaces)
		if len(prefixes) == 0 {
			return nil
		}
		if s.broken != nil {
			return fmt.Errorf("expiring old days: store stopped writing after an error: %w", s.broken)
		}
		if err := s.db.DropPrefix(prefixes...); err != nil {
			return fmt.Errorf("dropping %d old days: %w", len(prefixes), err)
		}
	}
	if left := s.oldPrefixes(now, spaces); len(left) > 0 {
		return fmt.Errorf("dropping old days: %d are still there and will be dropped next time", len(left))
	}
	return nil
}

// oldPrefixes lists the days that have keys in the spaces and should have none.
func (s *Store) oldPrefixes(now time.Time, spaces []byte) [][]byte {
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	var prefixes [][]byte
	cutoffs := map[byte]spend.Day{
		spaceRaw: s.rawCutoff(now), spaceDay: s.historyCutoff(now),
		spaceEvent: s.outbox.from, // never more than the mark has forgotten
	}
	for _, space := range spaces {
		for _, day := range s.daysBefore(txn, space, cutoffs[space]) {
			prefixes = append(prefixes, prefixDay(space, day))
		}
	}
	return prefixes
}

// commitForgotten commits heads without the days past their retention, and the
// summary and the mark of the outbox if more says that these have too many.
func (s *Store) commitForgotten(now time.Time, c change, more bool) error {
	if err := s.forgetDays(s.historyCutoff(now), c); err != nil {
		return err
	}
	if !more {
		return nil
	}
	return s.commit(c)
}

// forgetDays commits heads without the days before cutoff.
func (s *Store) forgetDays(cutoff spend.Day, c change) error {
	for _, link := range s.cat.Sources {
		s.mu.RLock()
		h := s.heads[link.Num]
		s.mu.RUnlock()
		if h == nil || len(h.days) == 0 || h.days[0].day >= cutoff {
			continue
		}
		n := *h
		for len(n.days) > 0 && n.days[0].day < cutoff {
			n.days = n.days[1:]
		}
		if n.state.CoveredFrom != 0 {
			n.state.CoveredFrom = max(n.state.CoveredFrom, cutoff)
		}
		c.heads = []*head{&n}
		if err := s.commit(c); err != nil {
			return err
		}
	}
	return nil
}

// forgetRaw takes the days before cutoff out of the counters; gone is set if there
// were any.
func (s *Store) forgetRaw(cutoff spend.Day) (gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for day := range s.days {
		if day < cutoff {
			delete(s.days, day)
			gone = true
		}
	}
	return gone
}
