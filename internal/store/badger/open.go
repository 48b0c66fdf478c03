package badger

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/oklog/ulid/v2"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// Open opens the store in o.Dir, or makes it there. It refuses, in words that say
// what to do, a directory in use by another process, one on a network filesystem
// or too full, a store written by a newer aispend, and a store that has lost what
// Badger would silently replace. Damage that leaves the rest usable does not stop
// it: Stats says so, and what is lost is reported by whoever reads it.
func Open(ctx context.Context, o Options) (_ *Store, err error) {
	o, err = o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	started := time.Now()
	defer func() { o.Observe("open", time.Since(started), err) }()
	if err := ctxErr(ctx, "opening the store"); err != nil {
		return nil, err
	}
	dbDir, err := makeDir(o.Dir)
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(ctx, o.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, unlockDir(lock))
		}
	}()
	if err := checkFilesystem(o.Dir, o.AllowNetworkFilesystem); err != nil {
		return nil, err
	}
	if err := o.checkSpace(o.reserveBytes()); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	s := &Store{
		opt: o, lock: lock, cat: &catalogue{}, heads: make(map[uint32]*head), lost: make(map[uint32]error),
		days: make(map[spend.Day]dayCounters), outbox: outbox{events: make(map[string]eventRef)}, live: make(map[ulid.ULID]struct{}),
		ulids: &ulid.LockedMonotonicReader{MonotonicReader: ulid.Monotonic(rand.Reader, 0)},
	}
	s.SetRetention(o.RawRetentionDays, o.HistoryDays)
	if s.sealer, err = newSealer(); err != nil {
		return nil, err
	}
	if err := s.open(dbDir); err != nil {
		return nil, fmt.Errorf("opening the store in %s: %w", o.Dir, err)
	}
	return s, nil
}

// open judges the directory, opens Badger and loads what says how things stand.
func (s *Store) open(dbDir string) error {
	side, err := readSidecar(s.opt.Dir)
	if errors.Is(err, errSidecar) {
		s.opt.Logger.Warn("store identity file is not readable and will be written anew",
			"path", filepath.Join(s.opt.Dir, sidecarFile))
		err = nil
	}
	if err != nil {
		return err
	}
	if side != nil && side.Schema > schemaVersion {
		return newerSchema(side.Schema)
	}
	engineOpts := s.opt.engineOptions(dbDir)
	fresh, err := checkManifest(dbDir, side != nil)
	if err != nil {
		return err
	}
	if !fresh {
		if err := checkTables(dbDir, engineOpts); err != nil {
			return err
		}
	}
	if s.db, err = openEngine(engineOpts); err != nil {
		return err
	}
	if err := s.load(side); err != nil {
		return errors.Join(err, s.db.Close())
	}
	return nil
}

// openEngine opens Badger, twice if need be: a kill between truncating and
// removing an empty value log makes the first open fail and the second succeed
// (3 in 180 rounds, reliability.md 2.1). Badger's own lock is asked for as long as
// ours was: Badger never unlocks it, and closing leaves it to a forked child.
func openEngine(o badger.Options) (*badger.DB, error) {
	db, err := openOnce(o)
	for patience := lockPatience; err != nil && strings.Contains(err.Error(), "directory lock") && patience > 0; {
		time.Sleep(lockPoll)
		patience -= lockPoll
		db, err = openOnce(o)
	}
	if err != nil {
		db, err = openOnce(o)
	}
	return db, err
}

// openOnce turns a panic into an error where it happens in this goroutine.
func openOnce(o badger.Options) (db *badger.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, fmt.Errorf("%w: badger panicked: %v", store.ErrCorrupt, r)
		}
	}()
	db, err = badger.Open(o)
	if err != nil {
		return nil, fmt.Errorf("opening badger: %w", err)
	}
	return db, nil
}

func newerSchema(v int) error {
	return fmt.Errorf("store has schema version %d, this aispend knows versions up to %d: "+
		"run the newer aispend, or choose another --storage.path", v, schemaVersion)
}

// load reads identity, catalogue, heads and counters, and compares them with what
// the identity file remembers.
func (s *Store) load(side *sidecar) error {
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	ident, err := s.readIdentity(txn)
	if errors.Is(err, errMissing) && s.empty(txn) {
		if side != nil {
			return fmt.Errorf("%w: the database is empty, but %s remembers %d commits: its write-ahead log is gone. "+
				"Put the directory back from a backup, or move %s away to start with an empty store",
				store.ErrCorrupt, sidecarFile, side.Seq, s.opt.Dir)
		}
		return s.create()
	}
	if err != nil {
		return fmt.Errorf("reading the store's identity: %w", err)
	}
	if ident.Schema > schemaVersion {
		return newerSchema(ident.Schema)
	}
	s.id = ident.ID
	if side != nil && side.ID != ident.ID {
		return fmt.Errorf("%w: %s names store %s, the database is store %s: two stores were mixed up; "+
			"put the directory back from one backup", store.ErrCorrupt, sidecarFile, side.ID, ident.ID)
	}
	if err := s.loadCatalogue(txn); err != nil {
		return err
	}
	s.checkSequence(side)
	s.loadHeads(txn)
	s.loadOutbox(txn)
	if err := s.loadDays(txn); err != nil {
		return err
	}
	return writeSidecar(s.opt.Dir, sidecar{schemaVersion, s.id, s.cat.Seq})
}

// checkSequence compares how many commits there are with how many were
// acknowledged. Fewer means that acknowledged ones are lost: the state has fallen
// back with them, so what they brought is pulled again.
func (s *Store) checkSequence(side *sidecar) {
	switch {
	case side == nil:
		s.opt.Logger.Warn("store identity file is missing and will be written anew",
			"path", filepath.Join(s.opt.Dir, sidecarFile))
	case s.cat.Seq < side.Seq:
		s.corrupt.Store(true)
		s.opt.Logger.Error("store has lost acknowledged commits; what they brought will be pulled again",
			"commit", s.cat.Seq, "acknowledged", side.Seq)
		// Of all that a commit may bring only events are not pulled.
		s.outbox.lost = fmt.Errorf("%w: %d acknowledged commits are lost, events or newest versions of events may "+
			"be among them", store.ErrCorrupt, side.Seq-s.cat.Seq)
		s.cat.Seq = side.Seq // the loss is told once; later commits go on from there
	}
}

// empty reports that the database holds no key at all.
func (s *Store) empty(txn *badger.Txn) bool {
	it := txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	it.Rewind()
	return !it.Valid()
}

// create makes the first commit. The identity file comes after it: a kill in
// between leaves a store without the file, which is opened with a warning.
func (s *Store) create() error {
	id, err := ulid.New(ulid.Timestamp(s.opt.Now()), s.ulids)
	if err != nil {
		return fmt.Errorf("making a store id: %w", err)
	}
	s.id = id.String()
	b, err := json.Marshal(identity{schemaVersion, s.id, s.opt.Now().UTC()})
	if err != nil {
		return fmt.Errorf("encoding the store's identity: %w", err)
	}
	first := &batch{s: s}
	first.put(keyIdentity(), kindIdentity, b)
	s.cat.Next = 1
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if err := s.commit(change{}, first); err != nil {
		return err
	}
	return syncDir(s.opt.Dir)
}

func (s *Store) readIdentity(txn *badger.Txn) (identity, error) {
	b, err := s.get(txn, keyIdentity(), kindIdentity)
	if err != nil {
		return identity{}, err
	}
	var ident identity
	if err := json.Unmarshal(b, &ident); err != nil {
		return identity{}, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return ident, nil
}

// loadCatalogue takes the newer readable copy. Taking the older one because the
// newer is damaged is safe, and noticed by checkSequence: every acknowledged
// commit is in the identity file.
func (s *Store) loadCatalogue(txn *badger.Txn) error {
	var errs []error
	for copy := range byte(2) {
		b, err := s.get(txn, keyCatalogue(copy), kindCatalogue)
		c := &catalogue{}
		if err == nil {
			err = json.Unmarshal(b, c)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if c.Seq > s.cat.Seq {
			s.cat = c
		}
	}
	if len(errs) == 2 {
		return fmt.Errorf("%w: no copy of the catalogue is readable: %w. Put the directory back from a backup, "+
			"or move %s away to start with an empty store", store.ErrCorrupt, errors.Join(errs...), s.opt.Dir)
	}
	return nil
}

// loadHeads reads the head of every source of the catalogue. If it is not the one
// the catalogue names, the older copy serves: what it names has not been written
// over yet, and its older state makes the difference be pulled again.
func (s *Store) loadHeads(txn *badger.Txn) {
	for i := range s.cat.Sources {
		link := &s.cat.Sources[i]
		var errs []error
		var best *head
		for copy := range byte(2) {
			b, err := s.get(txn, keyHead(link.Num, copy), kindHead)
			var h *head
			if err == nil {
				h, err = decodeHead(b)
			}
			if err != nil {
				errs = append(errs, err)
				continue
			}
			if h.num == link.Num && h.seq <= link.Seq && (best == nil || h.seq > best.seq) {
				best = h
				link.Copy = copy
			}
			if best == h && digestOf(b) == digest(link.Sum) {
				break
			}
		}
		s.adoptHead(link, best, errs)
	}
}

// adoptHead takes the best head found for a source, and says what is wrong with it.
func (s *Store) adoptHead(link *sourceLink, best *head, errs []error) {
	if best == nil {
		err := fmt.Errorf("%w: the ledger of %s is not readable: %w; move %s away to pull its history anew",
			store.ErrCorrupt, link.ID, errors.Join(errs...), s.opt.Dir)
		s.lost[link.Num] = s.damaged(err)
		return
	}
	if best.seq != link.Seq {
		s.corrupt.Store(true)
		s.opt.Logger.Error("newest head of a source is damaged; an older one takes its place",
			"source", link.ID.String(), "commit", best.seq, "expected", link.Seq)
	}
	best.id = link.ID
	s.heads[link.Num] = best
}

// daysBefore lists the days before cutoff that have any key in a day-first space,
// ascending.
func (s *Store) daysBefore(txn *badger.Txn, space byte, cutoff spend.Day) []spend.Day {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{space}})
	defer it.Close()
	var days []spend.Day
	for it.Rewind(); it.Valid(); {
		k := it.Item().Key()
		if len(k) < lenDayPrefix {
			it.Next()
			continue
		}
		day := dayAt(k[1:])
		if day >= cutoff {
			break
		}
		days = append(days, day)
		it.Seek(prefixDay(space, day+1))
	}
	return days
}
