package badger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	engine "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/y"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"github.com/aispend/aispend/internal/store"
)

// makeDir makes the directory and Badger's below it for this user alone. A
// directory that is already there keeps its mode: it may not be ours to change.
func makeDir(dir string) (db string, err error) {
	db = filepath.Join(dir, "db")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making the store directory: %w", err)
	}
	if err := os.MkdirAll(db, 0o700); err != nil {
		return "", fmt.Errorf("making the store directory: %w", err)
	}
	// Badger makes its files with mode 0666 less the umask: the directory must do.
	if err := os.Chmod(db, 0o700); err != nil {
		return "", fmt.Errorf("making the store directory private: %w", err)
	}
	return db, nil
}

// lockFile is locked for as long as the store is open. Badger has a lock of its
// own, but the identity is read and judged before Badger is opened.
const lockFile = "STORE_LOCK"

// lockDir takes the lock; a kill releases it. It asks again for lockPatience: a
// supervisor may start the next process before the last one has quite gone, and a
// child of the last one holds the lock between its fork and its exec.
func lockDir(ctx context.Context, dir string) (*os.File, error) {
	path := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the store's lock: %w", err)
	}
	if err := flock(ctx, f); err != nil {
		holder, _ := os.ReadFile(path)
		used := fmt.Errorf("store is in use: %s is locked by another aispend (process %s); stop it first, "+
			"or choose another --storage.path", path, strings.TrimSpace(string(holder)))
		if !errors.Is(err, unix.EWOULDBLOCK) || ctx.Err() != nil { // which says just that, in other words
			used = fmt.Errorf("%w: %w", used, err)
		}
		return nil, errors.Join(used, f.Close())
	}
	// Who holds the lock is a courtesy to whoever is refused, so a failure is none.
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return f, nil
}

const (
	lockPatience = 2 * time.Second
	lockPoll     = 20 * time.Millisecond
)

// flock locks f as soon as nobody else does, within lockPatience and ctx.
func flock(ctx context.Context, f *os.File) error {
	for deadline := time.Now().Add(lockPatience); ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil || !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

// unlockDir gives the lock back at once: closing alone would leave it to a child
// process that has been forked and not yet begun its own program.
func unlockDir(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}

// checkFilesystem refuses filesystems over a network: locks and synced writes do
// not hold there what Badger needs.
func checkFilesystem(dir string, allowed bool) error {
	name, err := networkFilesystem(dir)
	if err != nil {
		return fmt.Errorf("examining the filesystem of %s: %w", dir, err)
	}
	if name == "" || allowed {
		return nil
	}
	return fmt.Errorf("store directory %s lies on %s, where durable writes are not assured: "+
		"move it to a local disk", dir, name)
}

// freeBytes asks the operating system.
func freeBytes(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("asking for free space of %s: %w", dir, err)
	}
	return st.Bavail * uint64(st.Bsize), nil //nolint:gosec // a block size is positive
}

// checkManifest settles whether Badger may be let near the directory. Badger
// takes a missing MANIFEST for a new store and removes every table (30 of 30,
// reliability.md 2.3). fresh means that there is nothing to lose.
func checkManifest(db string, known bool) (fresh bool, err error) {
	_, err = os.Stat(filepath.Join(db, engine.ManifestFilename))
	if err == nil {
		return false, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("looking for the store's MANIFEST: %w", err)
	}
	files, err := os.ReadDir(db)
	if err != nil {
		return false, fmt.Errorf("listing the store directory: %w", err)
	}
	for _, f := range files {
		switch filepath.Ext(f.Name()) {
		case ".sst", ".mem", ".vlog":
			known = true
		}
	}
	if known {
		return false, fmt.Errorf("%w: %s is missing although a store was here; opening it would have removed "+
			"every table. Put the directory back from a backup, or move %s away to start with an empty store",
			store.ErrCorrupt, filepath.Join(db, engine.ManifestFilename), filepath.Dir(db))
	}
	return true, nil
}

// checkTables reads the ends of every table that the MANIFEST names. Badger does
// so too, but in goroutines of its own where damage is a panic that nobody can
// recover (20 of 20 truncated tables, reliability.md 2.3).
func checkTables(db string, opts engine.Options) error {
	fp, err := os.Open(filepath.Join(db, engine.ManifestFilename))
	if err != nil {
		return fmt.Errorf("opening the store's MANIFEST: %w", err)
	}
	defer func() { _ = fp.Close() }() // only read
	manifest, _, err := engine.ReplayManifestFile(fp, opts.ExternalMagicVersion, opts)
	if err != nil {
		return fmt.Errorf("%w: reading %s: %w; put the directory back from a backup, or move %s away "+
			"to start with an empty store", store.ErrCorrupt, fp.Name(), err, filepath.Dir(db))
	}
	for id := range manifest.Tables {
		path := filepath.Join(db, fmt.Sprintf("%06d.sst", id))
		if err := checkTable(path); err != nil {
			return fmt.Errorf("%w: table %s: %w; put the directory back from a backup, or move %s away "+
				"to start with an empty store", store.ErrCorrupt, path, err, filepath.Dir(db))
		}
	}
	return nil
}

var errTable = errors.New("damaged")

// checkTable verifies the checksums of a table's index and of its last block: all
// that Badger reads to open it. Layout (table/table.go, initIndex): blocks, index,
// its length, its checksum, the checksum's length; lengths of 4 bytes, big endian.
func checkTable(path string) (err error) {
	defer func() { // the index is a flatbuffer, whose accessors panic on nonsense
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errTable, r)
		}
	}()
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	t := tableTail{f: f, end: info.Size()}
	sum, err := t.checksum()
	if err != nil {
		return fmt.Errorf("index checksum: %w", err)
	}
	index, err := t.lengthPrefixed()
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	if err := y.VerifyChecksum(index, sum); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	var last fb.BlockOffset
	root := fb.GetRootAsTableIndex(index, 0)
	if n := root.OffsetsLength(); n == 0 || !root.Offsets(&last, n-1) {
		return fmt.Errorf("%w: no blocks", errTable)
	}
	block := tableTail{f: f, end: int64(last.Offset()) + int64(last.Len())}
	if sum, err = block.checksum(); err != nil {
		return fmt.Errorf("last block checksum: %w", err)
	}
	data, err := block.back(block.end - int64(last.Offset()))
	if err != nil {
		return fmt.Errorf("last block: %w", err)
	}
	if err := y.VerifyChecksum(data, sum); err != nil {
		return fmt.Errorf("last block: %w", err)
	}
	return nil
}

// tableTail reads a file backwards.
type tableTail struct {
	f   *os.File
	end int64
}

func (t *tableTail) back(n int64) ([]byte, error) {
	if n < 0 || n > t.end {
		return nil, fmt.Errorf("%w: a length of %d does not fit", errTable, n)
	}
	b := make([]byte, n)
	if _, err := t.f.ReadAt(b, t.end-n); err != nil {
		return nil, err
	}
	t.end -= n
	return b, nil
}

func (t *tableTail) lengthPrefixed() ([]byte, error) {
	n, err := t.back(4)
	if err != nil {
		return nil, err
	}
	return t.back(int64(binary.BigEndian.Uint32(n)))
}

func (t *tableTail) checksum() (*pb.Checksum, error) {
	b, err := t.lengthPrefixed()
	if err != nil {
		return nil, err
	}
	sum := &pb.Checksum{}
	if err := proto.Unmarshal(b, sum); err != nil {
		return nil, err
	}
	return sum, nil
}
