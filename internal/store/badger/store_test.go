package badger_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/internal/store/storetest"
)

func opener(memTable int64) storetest.Open {
	return func(t testing.TB, c storetest.Config) store.Store {
		t.Helper()
		s, err := badger.Open(context.Background(), badger.Options{
			Dir: c.Dir, Now: c.Now, RawRetentionDays: c.RawRetentionDays, HistoryDays: c.HistoryDays,
			MemTableSize: memTable,
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, opener(0))
}

// A transaction holds 157 KB here: nearly every replacement takes several.
func TestConformanceWithSmallMemtable(t *testing.T) {
	t.Parallel()
	storetest.Run(t, opener(1<<20))
}

func TestNoGoroutineIsLeft(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := opener(0)(t, storetest.Config{Dir: t.TempDir(), RawRetentionDays: 1, HistoryDays: 1})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
