package badger

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/store"
)

// TestExpireOnAFullDisk: below the free-space gate nothing is written, but what is past
// its retention is given back all the same. It is the only way out that needs nobody.
func TestExpireOnAFullDisk(t *testing.T) {
	t.Parallel()
	var free atomic.Uint64
	free.Store(1 << 40)
	now := woundNow
	p := &patient{t: t, dir: t.TempDir()}
	open := func() {
		t.Helper()
		s, err := Open(context.Background(), Options{
			Dir: p.dir, RawRetentionDays: 90, HistoryDays: 800, Now: func() time.Time { return now },
			FreeBytes: func(string) (uint64, error) { return free.Load(), nil },
		})
		p.must(err)
		p.Store = s
	}
	open()
	t.Cleanup(func() { p.must(p.Close()) })
	p.apply(woundSource, 0)
	keys := func(space byte) int {
		txn := p.db.NewTransaction(false)
		defer txn.Discard()
		return len(p.daysBefore(txn, space, math.MaxInt32))
	}
	now = woundNow.AddDate(0, 0, 100)
	free.Store(1 << 20)
	err := p.Expire(context.Background(), now)
	if n := keys(spaceRaw); n != 0 {
		t.Fatalf("%d expired fetch days are still there: %v", n, err)
	}
	if !errors.Is(err, store.ErrLowSpace) {
		t.Errorf("the summary could not be written, and Expire says %v", err)
	}
	if st := p.Stats(); st.RawPages["openai"] != 0 {
		t.Errorf("still counted: %v", st.RawPages)
	}
	p.must(p.Close())
	free.Store(1 << 40)
	now = woundNow // had the retention been lengthened, the days would be in it
	open()
	if st := p.Stats(); st.RawPages["openai"] != 0 || st.Corrupt {
		t.Errorf("opened again: %+v", st)
	}
	p.must(p.Verify(context.Background()))
}
