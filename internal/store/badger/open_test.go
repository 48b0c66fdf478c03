package badger_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/spend"
)

// logged collects log records.
type logged struct {
	mu    sync.Mutex
	lines []string
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(b))
	return len(b), nil
}

func (l *logged) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(strings.Join(l.lines, ""), text)
}

func options(dir string) badger.Options {
	return badger.Options{
		Dir: dir, RawRetentionDays: 90, HistoryDays: 800,
		Now: func() time.Time { return crashTime(20) },
	}
}

func open(t *testing.T, o badger.Options) *badger.Store {
	t.Helper()
	s, err := badger.Open(context.Background(), o)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// stored makes a store with a few pulls in dir and closes it.
func stored(t *testing.T, dir string) {
	t.Helper()
	s, err := badger.Open(context.Background(), options(dir))
	must(t, err)
	for g := range 3 {
		must(t, writeGeneration(s, g+1, io.Discard))
	}
	must(t, s.Close())
}

// refused opens and wants an error that says all of the words.
func refused(t *testing.T, o badger.Options, words ...string) error {
	t.Helper()
	s, err := badger.Open(context.Background(), o)
	if err == nil {
		must(t, s.Close())
		t.Fatal("the store was opened")
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
	return err
}

func editIdentity(t *testing.T, dir string, edit func(map[string]any)) {
	t.Helper()
	path := filepath.Join(dir, "STORE_ID")
	b, err := os.ReadFile(path)
	must(t, err)
	m := make(map[string]any)
	must(t, json.Unmarshal(b, &m))
	edit(m)
	b, err = json.Marshal(m)
	must(t, err)
	must(t, os.WriteFile(path, b, 0o600))
}

func TestOpenRefusesBadOptions(t *testing.T) {
	t.Parallel()
	for want, edit := range map[string]func(*badger.Options){
		"directory is not set": func(o *badger.Options) { o.Dir = "" },
		"raw retention":        func(o *badger.Options) { o.RawRetentionDays = 0 },
		"history":              func(o *badger.Options) { o.HistoryDays = -1 },
		"memtable":             func(o *badger.Options) { o.MemTableSize = 1000 },
	} {
		o := options(t.TempDir())
		edit(&o)
		refused(t, o, want)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := badger.Open(ctx, options(t.TempDir())); !errors.Is(err, context.Canceled) {
		t.Errorf("error with a cancelled context is %v", err)
	}
}

func TestIdentityMissingManifest(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string][]string{
		"MANIFEST":              {"db/MANIFEST"},
		"MANIFEST and identity": {"db/MANIFEST", "STORE_ID"},
	} {
		dir := t.TempDir()
		stored(t, dir)
		tables := len(files(t, dir, ".sst"))
		for _, f := range remove {
			must(t, os.Remove(filepath.Join(dir, f)))
		}
		err := refused(t, options(dir), "MANIFEST", "backup", "move")
		if !errors.Is(err, store.ErrCorrupt) || tables == 0 || len(files(t, dir, ".sst")) != tables {
			t.Errorf("%s: %d tables of %d are left, %v", name, len(files(t, dir, ".sst")), tables, err)
		}
	}
}

func TestIdentityWholeDatabaseMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stored(t, dir)
	must(t, os.RemoveAll(filepath.Join(dir, "db")))
	refused(t, options(dir), "MANIFEST")
}

// An engine without a key, though commits are remembered: its log was removed.
func TestIdentityEmptyDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stored(t, dir)
	db := filepath.Join(dir, "db")
	must(t, os.RemoveAll(db))
	e, err := engine.Open(engine.DefaultOptions(db).WithLogger(nil))
	must(t, err)
	must(t, e.Close())
	refused(t, options(dir), "empty", "commits")
}

func TestIdentityOfAnotherStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stored(t, dir)
	editIdentity(t, dir, func(m map[string]any) { m["id"] = "01ARZ3NDEKTSV4RRFFQ69G5FAV" })
	refused(t, options(dir), "mixed up", "backup")
}

func TestIdentityOfANewerVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stored(t, dir)
	editIdentity(t, dir, func(m map[string]any) { m["schema"] = 2 })
	refused(t, options(dir), "schema version 2", "versions up to 1")
}

func TestIdentityFileIsWrittenAnew(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(path string) error{
		"missing":    os.Remove,
		"unreadable": func(path string) error { return os.WriteFile(path, []byte("{"), 0o600) },
	} {
		dir := t.TempDir()
		stored(t, dir)
		path := filepath.Join(dir, "STORE_ID")
		before, err := os.ReadFile(path)
		must(t, err)
		must(t, spoil(path))
		log := &logged{}
		o := options(dir)
		o.Logger = slog.New(slog.NewTextHandler(log, nil))
		s := open(t, o)
		after, err := os.ReadFile(path)
		must(t, err)
		if string(after) != string(before) || !log.has("written anew") || s.Stats().Corrupt {
			t.Errorf("%s: file is %s, was %s; log %v", name, after, before, log.lines)
		}
	}
}

// The identity file remembers more commits than there are.
func TestLostCommitsAreReported(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stored(t, dir)
	editIdentity(t, dir, func(m map[string]any) { m["last_commit"] = m["last_commit"].(float64) + 2 })
	log := &logged{}
	o := options(dir)
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	s := open(t, o)
	if !s.Stats().Corrupt || !log.has("lost acknowledged commits") {
		t.Errorf("lost commits are not reported: %v", log.lines)
	}
	must(t, s.SetState(context.Background(), crashSource, store.State{}))
	// Of all that a commit may bring only events are not pulled again.
	err := s.Events(context.Background(), func(store.OutboxEvent) error { return nil })
	if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "2 acknowledged commits are lost") {
		t.Errorf("events may be lost: %v", err)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, options(dir))
	refused(t, options(dir), "STORE_LOCK", "in use", "another aispend")
	must(t, s.Close())
	open(t, options(dir))
}

// Whoever takes the directory away takes the lock with it: nothing of the first
// store may be written into its successor's files, least of all when it closes.
func TestReplacedDirectoryIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	first, err := badger.Open(context.Background(), options(dir))
	must(t, err)
	must(t, first.SetState(context.Background(), crashSource, store.State{CoveredFrom: 1}))
	must(t, first.InPlace())
	must(t, os.Rename(dir, dir+".old"))
	for _, err := range []error{
		first.InPlace(), first.SetState(context.Background(), crashSource, store.State{}),
		first.Expire(context.Background(), time.Now()), first.PutEvents(context.Background(), crashEvents(1)),
		first.PutEvents(context.Background(), nil),
	} {
		if !errors.Is(err, store.ErrMoved) || !strings.Contains(err.Error(), "restart aispend") {
			t.Errorf("the directory is gone: %v", err)
		}
	}
	second, err := badger.Open(context.Background(), options(dir))
	must(t, err)
	must(t, second.SetState(context.Background(), crashSource, store.State{CoveredFrom: 2}))
	if err := first.Close(); !errors.Is(err, store.ErrMoved) {
		t.Errorf("closing the first: %v", err)
	}
	// As after a kill: what is in the files now is all there is.
	hot, old := filepath.Join(t.TempDir(), "hot"), filepath.Join(t.TempDir(), "old")
	must(t, os.CopyFS(hot, os.DirFS(dir)))
	must(t, os.CopyFS(old, os.DirFS(dir+".old")))
	must(t, second.Close())
	for at, want := range map[string]spend.Day{dir: 2, hot: 2, old: 1} {
		s := open(t, options(at))
		list, err := s.Sources(context.Background())
		must(t, err)
		if len(list) != 1 || list[0].State.CoveredFrom != want || s.Stats().Corrupt {
			t.Errorf("%s: %+v", filepath.Base(at), list)
		}
		must(t, s.Verify(context.Background()))
	}
}

// A supervisor starts the next process before the last one has quite gone: it
// waits a moment for the lock instead of failing.
func TestOpenWaitsForALeavingProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := badger.Open(context.Background(), options(dir))
	must(t, err)
	left := make(chan error)
	time.AfterFunc(300*time.Millisecond, func() { left <- s.Close() })
	open(t, options(dir))
	must(t, <-left)
}

// A stop does not wait for somebody else's lock.
func TestOpenGivesUpTheLockWhenStopped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, options(dir))
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := badger.Open(ctx, options(dir)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
}

func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	open(t, options(dir))
	for path, want := range map[string]os.FileMode{
		"": 0o700, "db": 0o700, "STORE_ID": 0o600, "STORE_LOCK": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, path))
		must(t, err)
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%q has mode %o, want %o", path, got, want)
		}
	}
}

func TestLowSpaceRefusesToWrite(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	free := uint64(1 << 40)
	o := options(t.TempDir())
	o.FreeBytes = func(string) (uint64, error) { return free, nil }
	s := open(t, o)
	reserve := s.Stats().ReserveBytes
	if want := uint64(2*(2*2*8<<20+2*16<<20) + 256<<20); reserve != want {
		t.Errorf("reserve is %d, want %d", reserve, want)
	}
	pw, err := s.Begin(ctx, store.Pull{Source: crashSource, Window: crashWindow})
	must(t, err)
	must(t, pw.Page(ctx, spend.Page{Body: []byte("x")}))
	free = reserve - 1
	st := store.State{}
	_, beginErr := s.Begin(ctx, store.Pull{Source: crashSource})
	for name, err := range map[string]error{
		"CheckSpace": s.CheckSpace(), "Begin": beginErr, "Apply": pw.Apply(ctx, spend.OK, nil, st),
		"SetState": s.SetState(ctx, crashSource, st),
	} {
		if !errors.Is(err, store.ErrLowSpace) || !strings.Contains(err.Error(), "384 MiB must stay free") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = s.Statements(ctx, crashSource, func(spend.Statement) error { return nil })
	must(t, err)
	free = reserve // room again: the pull that could not end can go on and end
	r := rand.NewChaCha8([32]byte{1})
	for seq := range 60 { // more than one transaction
		must(t, pw.Page(ctx, spend.Page{Seq: seq + 1, Body: randomPage(r, 60<<10)}))
	}
	must(t, s.Pulls(ctx, crashSource, time.Time{}, func(p store.Pull) bool {
		if p.Verdict != store.Open {
			t.Errorf("a pull whose Apply was refused has the verdict %q", p.Verdict)
		}
		return true
	}))
	must(t, pw.Apply(ctx, spend.OK, nil, st))
	must(t, s.Close())
	free = 0
	if err := refused(t, o, "0 MiB free", "raw_retention"); !errors.Is(err, store.ErrLowSpace) {
		t.Errorf("open: %v", err)
	}
}

func TestOperationsAreObserved(t *testing.T) {
	t.Parallel()
	seen := make(map[string]int)
	o := options(t.TempDir())
	o.Observe = func(op string, _ time.Duration, err error) {
		seen[op]++
		if (err != nil) != (op == "raw_page") {
			t.Errorf("%s is observed with %v", op, err)
		}
	}
	s := open(t, o)
	must(t, writeGeneration(s, 1, io.Discard))
	_, _ = s.RawPage(context.Background(), "openai", "nothing")
	if seen["open"] != 1 || seen["begin"] != 1 || seen["page"] != 2 || seen["apply"] != 1 || seen["raw_page"] != 1 ||
		seen["put_events"] != 1 {
		t.Errorf("observed %v", seen)
	}
}
