package badger_test

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/spend"
)

// onDisk is what the store's files really take, holes not counted.
func onDisk(t testing.TB, dir string) int64 {
	t.Helper()
	var total int64
	must(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return err
	}))
	return total
}

// randomPage is a page that does not compress, so that its length is its cost.
func randomPage(r *rand.ChaCha8, size int) []byte {
	b := make([]byte, size)
	_, _ = r.Read(b)
	return b
}

// TestDiskComesBack keeps ten days for thirty and compares the disk with what
// lives: the trap is that Badger alone would keep everything ever written
// (measured.md c.4: 3.04 times the living bytes).
func TestDiskComesBack(t *testing.T) {
	t.Parallel()
	const (
		retention = 10
		perDay    = 60
		size      = 40 << 10
	)
	dir := t.TempDir()
	now := crashBase
	o := badger.Options{
		Dir: dir, RawRetentionDays: retention, HistoryDays: 800, Now: func() time.Time { return now },
	}
	s, err := badger.Open(context.Background(), o)
	must(t, err)
	r := rand.NewChaCha8([32]byte{7})
	for d := range 3 * retention {
		now = crashBase.AddDate(0, 0, d)
		for pull := range 3 {
			pullOf(t, s, now.Add(time.Duration(pull)*time.Hour), perDay/3, func() []byte { return randomPage(r, size) })
		}
		must(t, s.Expire(context.Background(), now))
		if d == 15 { // a restart in between must not bring anything back
			must(t, s.Close())
			s, err = badger.Open(context.Background(), o)
			must(t, err)
		}
	}
	pages := s.Stats().RawPages["openai"]
	if want := perDay * (retention + 1); pages != want {
		t.Fatalf("%d pages live, want %d", pages, want)
	}
	open := onDisk(t, dir)
	must(t, s.Verify(context.Background()))
	must(t, s.Close())
	closed := onDisk(t, dir)
	living := int64(pages * size)
	t.Logf("living %d MB, on disk %.2f times that open, %.2f closed", living>>20,
		float64(open)/float64(living), float64(closed)/float64(living))
	if closed > living*11/10 {
		t.Errorf("%d bytes on disk for %d living ones", closed, living)
	}
	if open > living*14/10 { // 8 MiB memtables and their logs come on top
		t.Errorf("%d bytes on disk for %d living ones while open", open, living)
	}
}

// pullOf makes an applied pull of n pages.
func pullOf(t testing.TB, s *badger.Store, at time.Time, n int, body func() []byte) {
	t.Helper()
	ctx := context.Background()
	w := spend.Window{From: spend.DayOf(at) - 7, To: spend.DayOf(at) + 1}
	pw, err := s.Begin(ctx, store.Pull{Source: crashSource, Window: w, Started: at})
	must(t, err)
	for seq := range n {
		must(t, pw.Page(ctx, spend.Page{
			Seq: seq, FetchedAt: at, Status: 200, URL: fmt.Sprintf("https://api.example/v1/costs?page=%d", seq),
			Body: body(),
		}))
	}
	must(t, pw.Apply(ctx, spend.OK, []spend.Statement{crashDay(w.To-1, 1)}, store.State{}))
}
