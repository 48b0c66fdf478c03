package ingest_test

import (
	"context"
	"log/slog"
	"time"

	"github.com/aispend/aispend/internal/store/badger"
)

// openStore opens a small real store on a disk that claims to have free bytes.
func openStore(
	dir string, now func() time.Time, free func(string) (uint64, error),
) (*badger.Store, error) {
	return badger.Open(context.Background(), badger.Options{
		Dir: dir, RawRetentionDays: 90, HistoryDays: 800, Now: now, FreeBytes: free,
		Logger: slog.New(slog.DiscardHandler), MemTableSize: 1 << 20, NoCompaction: true,
	})
}
