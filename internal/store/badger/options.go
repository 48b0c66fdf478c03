package badger

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	engine "github.com/dgraph-io/badger/v4"
	engineopts "github.com/dgraph-io/badger/v4/options"
)

// Options says where the store lies and how long it keeps things.
type Options struct {
	// Dir is the directory of the store, made with mode 0700 if it is not there.
	// It must lie on a local filesystem.
	Dir string
	// RawRetentionDays is how many days raw pages and pull records are kept, at least 1.
	RawRetentionDays int
	// HistoryDays is how many days of statements are kept, at least 1.
	HistoryDays int
	// Logger receives Badger's own words too; nil discards everything.
	Logger *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// FreeBytes tells how much an unprivileged process can still write to the
	// filesystem of dir; nil asks the operating system.
	FreeBytes func(dir string) (uint64, error)
	// AllowNetworkFilesystem opens the store on NFS, SMB or FUSE, where Badger
	// promises nothing.
	AllowNetworkFilesystem bool
	// Observe is told how long each operation took and whether it failed; nil
	// tells nobody. The names are fixed: open, begin, page, apply, hold, fail,
	// amend, set_state, rename, sources, statements, pulls, pull_pages, raw_pages,
	// raw_page, put_events, events, expire, verify, stats.
	Observe func(operation string, took time.Duration, err error)
	// MemTableSize overrides the 8 MiB memtable, for tests of replacements larger
	// than a transaction. At least 1 MiB.
	MemTableSize int64
	// NoCompaction is for tests on a fake clock: Badger's compactors look for work
	// every 50 ms of it, which is most of what an hour of such a clock costs.
	NoCompaction bool
}

// Figures of the tuned configuration (measured.md c).
const (
	defaultMemTable = 8 << 20
	memTables       = 2
	compactors      = 2
	valueLogFile    = 16 << 20 // holds nothing: every value lies in the LSM tree
	valueThreshold  = 1 << 20
	maxChunk        = 256 << 10
	reserveFloor    = 256 << 20
)

func (o Options) withDefaults() (Options, error) {
	switch {
	case o.Dir == "":
		return o, errors.New("store directory is not set")
	case o.RawRetentionDays < 1:
		return o, fmt.Errorf("raw retention of %d days: at least 1 is needed", o.RawRetentionDays)
	case o.HistoryDays < 1:
		return o, fmt.Errorf("history of %d days: at least 1 is needed", o.HistoryDays)
	case o.MemTableSize != 0 && o.MemTableSize < 1<<20:
		return o, fmt.Errorf("memtable of %d bytes: at least 1 MiB is needed", o.MemTableSize)
	}
	if o.MemTableSize == 0 {
		o.MemTableSize = defaultMemTable
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.FreeBytes == nil {
		o.FreeBytes = freeBytes
	}
	if o.Observe == nil {
		o.Observe = func(string, time.Duration, error) {}
	}
	return o, nil
}

// batchBytes is Badger's limit for one transaction: 15 % of the memtable
// (db.go, checkAndSetOptions).
func (o Options) batchBytes() int64 { return o.MemTableSize * 15 / 100 }

// chunkBytes is how much content goes under one key: a few chunks fit into one
// transaction and each stays below the value threshold even if it does not compress.
func (o Options) chunkBytes() int { return int(min(maxChunk, o.batchBytes()/2) &^ 4095) }

// reserveBytes is the free space below which nothing is written: Badger writes
// through mapped files, and a full disk kills the process with SIGBUS
// (reliability.md 2.2, whose formula this is).
func (o Options) reserveBytes() uint64 {
	return uint64(2*(memTables*2*o.MemTableSize+2*valueLogFile) + reserveFloor)
}

// floorBytes is the free space below which events are not written either: the reserve
// without what it keeps for everyone else, twice what the logs may take. Measured on a
// tmpfs filled up to the floor, with new versions of 64 KiB as fast as they go: the
// engine took 48 MiB of it beside an archive of 300 MiB and 95 MiB beside one of 1.5 GiB
// (100,000 versions), most of it to merge tables whose space comes back only afterwards.
// With a floor of 64 MiB it was killed by SIGBUS within seconds.
func (o Options) floorBytes() uint64 { return o.reserveBytes() - reserveFloor }

// engineOptions are the measured practices: durable commits, values in the LSM
// tree only, compression left to the application, little memory.
func (o Options) engineOptions(dir string) engine.Options {
	n := compactors
	if o.NoCompaction {
		n = 0
	}
	return engine.DefaultOptions(dir).
		WithLogger(engineLogger{o.Logger}).
		WithSyncWrites(true).
		WithValueThreshold(min(valueThreshold, o.batchBytes())).
		WithCompression(engineopts.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithMemTableSize(o.MemTableSize).
		WithNumMemtables(memTables).
		WithNumCompactors(n).
		WithNumGoroutines(2).
		WithValueLogFileSize(valueLogFile).
		WithDetectConflicts(false) // there is one writer at a time
}

// engineLogger hands Badger's formatted lines to slog. What Badger calls
// information is detail to an operator.
type engineLogger struct{ log *slog.Logger }

// Errorf logs at error level.
func (l engineLogger) Errorf(f string, a ...any) { l.log.Error("badger error", "text", line(f, a)) }

// Warningf logs at warning level.
func (l engineLogger) Warningf(f string, a ...any) { l.log.Warn("badger warning", "text", line(f, a)) }

// Infof logs at debug level.
func (l engineLogger) Infof(f string, a ...any) { l.log.Debug("badger info", "text", line(f, a)) }

// Debugf logs nothing: Badger says something at every write.
func (l engineLogger) Debugf(string, ...any) {}
