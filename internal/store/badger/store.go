// Package badger keeps the ledger and the archive in Badger v4.
//
// Badger alone does not keep the three promises that money needs: it loses
// acknowledged writes by default, it brings deleted keys back, and it turns
// damage into "not found". So this package adds what is missing: synced commits,
// a checksum around every value, two slots for everything that is replaced, a
// catalogue that says what must exist, and an identity file beside the engine
// that says how far it had come. keys.go draws the layout; docs/decisions/0002
// says why.
package badger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/oklog/ulid/v2"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

var _ store.Store = (*Store)(nil)

// Store is an open store; Open makes one. All methods are safe for concurrent
// use. Reads see a snapshot and never wait for each other; writes take turns.
// Close must not be called from inside a callback.
type Store struct {
	opt    Options
	db     *badger.DB
	lock   *os.File
	sealer *sealer
	id     string
	ulids  io.Reader // monotonic entropy, locked

	life   sync.Mutex // guards closed; ops counts the calls that Close waits for
	closed bool
	ops    sync.WaitGroup

	// wmu makes writes take turns, and keeps them out while DropPrefix has
	// Badger refuse them (ErrBlockedWrites).
	wmu    sync.Mutex
	outbox outbox
	broken error // first failed commit: nothing is written after it (reliability.md 2.2)

	mu    sync.RWMutex // guards what follows; what it points to is immutable
	cat   *catalogue
	heads map[uint32]*head
	lost  map[uint32]error // sources whose heads are damaged
	days  map[spend.Day]dayCounters
	live  map[ulid.ULID]struct{} // pulls that this process has begun and not ended

	corrupt atomic.Bool

	// Days of raw pages and of statements to keep: Options, until SetRetention.
	rawDaysKept, historyDaysKept atomic.Int32
}

// SetRetention changes how long raw pages and statements are kept, both at least
// one day; lesser values are ignored. It takes effect at once for what is shown,
// and with the next Expire on disk.
func (s *Store) SetRetention(rawDays, historyDays int) {
	if rawDays >= 1 {
		s.rawDaysKept.Store(int32(rawDays))
	}
	if historyDays >= 1 {
		s.historyDaysKept.Store(int32(historyDays))
	}
}

// begin counts a call in, so that Close waits for it; done observes its duration.
func (s *Store) begin(op string) (done func(*error), err error) {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	s.ops.Add(1)
	started := time.Now()
	return func(err *error) {
		s.opt.Observe(op, time.Since(started), *err)
		s.ops.Done()
	}, nil
}

// Close waits for the calls under way and closes the store. Every later call
// returns store.ErrClosed, Close itself nil. If the directory was removed or
// replaced meanwhile (store.ErrMoved) the engine is left as it is, for the process to
// end with: it writes by path, into what may be a successor's store, and tries again
// for ever where there is no directory.
func (s *Store) Close() error {
	s.life.Lock()
	was := s.closed
	s.closed = true
	s.life.Unlock()
	if was {
		return nil
	}
	s.ops.Wait()
	err := s.InPlace()
	if err == nil {
		err = s.db.Close()
	}
	s.sealer.dec.Close()
	if err = errors.Join(err, unlockDir(s.lock)); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// Stats reads counters and asks the filesystem how much is free. LSMBytes is
// what the tables hold; the value log's size is at most a minute old.
func (s *Store) Stats() store.Stats {
	st := store.Stats{
		RawPages: make(map[string]int), ReserveBytes: s.opt.reserveBytes(), Corrupt: s.corrupt.Load(),
	}
	cutoff := s.rawCutoff(s.opt.Now())
	s.mu.RLock()
	for _, l := range s.cat.Sources {
		st.RawPages[l.ID.Provider] += 0
	}
	for day, c := range s.days {
		if day < cutoff {
			continue
		}
		for provider, n := range c.Pages {
			st.RawPages[provider] += n
		}
	}
	s.mu.RUnlock()
	st.FreeBytes, _ = s.opt.FreeBytes(s.opt.Dir)
	var unused error
	done, err := s.begin("stats")
	if err != nil {
		return st
	}
	defer done(&unused)
	for _, l := range s.db.Levels() {
		st.LSMBytes += l.Size
	}
	_, st.VlogBytes = s.db.Size()
	return st
}

// InPlace returns an error that wraps store.ErrMoved if the directory was removed or
// replaced since the store was opened: its lock has gone with it, so another daemon
// may be at work there. Nothing is written then.
func (s *Store) InPlace() error {
	held, err := s.lock.Stat()
	if err != nil {
		return fmt.Errorf("examining the store's lock: %w", err)
	}
	there, err := os.Stat(filepath.Join(s.opt.Dir, lockFile))
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(held, there):
		return fmt.Errorf("%w: %s was removed or replaced while aispend was running; restart aispend, and stop it "+
			"before you move its store", store.ErrMoved, s.opt.Dir)
	case err != nil:
		return fmt.Errorf("examining the store's lock: %w", err)
	}
	return nil
}

// CheckSpace refuses when less is free than Badger may need before it can give
// anything back, and when the directory is not the one that was opened.
func (s *Store) CheckSpace() error {
	if err := s.InPlace(); err != nil {
		return err
	}
	return s.opt.checkSpace(s.opt.reserveBytes())
}

func (o Options) checkSpace(need uint64) error {
	free, err := o.FreeBytes(o.Dir)
	if err != nil {
		return err
	}
	if free < need {
		return fmt.Errorf("%w: %s has %d MiB free, %d MiB must stay free; free space on that filesystem "+
			"or shorten storage.raw_retention", store.ErrLowSpace, o.Dir, free>>20, (need+1<<20-1)>>20)
	}
	return nil
}

// rawCutoff is the oldest fetch day that is still kept: a page goes when all of
// its day is older than the retention.
func (s *Store) rawCutoff(now time.Time) spend.Day {
	return spend.DayOf(now) - spend.Day(s.rawDaysKept.Load())
}

func (s *Store) historyCutoff(now time.Time) spend.Day {
	return spend.DayOf(now) - spend.Day(s.historyDaysKept.Load())
}

// rawDays returns the fetch days that are kept, descending.
func (s *Store) rawDays() []spend.Day {
	cutoff := s.rawCutoff(s.opt.Now())
	s.mu.RLock()
	defer s.mu.RUnlock()
	days := make([]spend.Day, 0, len(s.days))
	for d := range s.days {
		if d >= cutoff {
			days = append(days, d)
		}
	}
	slices.Sort(days)
	slices.Reverse(days)
	return days
}

// current returns the head that counts of a source: nil if the source is not
// known, an error if its heads are damaged.
func (s *Store) current(id spend.SourceID) (*head, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.headOf(id)
}

// headOf is current with mu held.
func (s *Store) headOf(id spend.SourceID) (*head, error) {
	link := s.cat.byID(id)
	if link == nil {
		return nil, nil
	}
	if err := s.lost[link.Num]; err != nil {
		return nil, err
	}
	return s.heads[link.Num], nil
}

// damaged remembers that damage was met; err says which and is returned.
func (s *Store) damaged(err error) error {
	if errors.Is(err, store.ErrCorrupt) {
		s.corrupt.Store(true)
	}
	return err
}

// get reads and opens one value. A key that must exist and does not is damage:
// that is how Badger shows a block it cannot read.
func (s *Store) get(txn *badger.Txn, key []byte, kind byte) ([]byte, error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, errMissing
	}
	if err != nil {
		return nil, fmt.Errorf("reading a value: %w", err)
	}
	var content []byte
	err = item.Value(func(v []byte) error {
		content, err = s.sealer.unseal(key, kind, v)
		return err
	})
	return content, err
}

// errMissing says that a key is not there; whoever asked knows whether it must be.
var errMissing = fmt.Errorf("%w: key is missing", store.ErrCorrupt)

func ctxErr(ctx context.Context, act string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	return nil
}

func line(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}
