package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	engine "github.com/dgraph-io/badger/v4"
	engineopts "github.com/dgraph-io/badger/v4/options"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/aispend/aispend/internal/ingest"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

const durablePages = 20 // of one pull

// durable measures the time until a pull of 20 pages is on disk: archive, eight
// days of which three have changed, state and verdict. Wall time, because the disk
// is what counts.
func durable(ctx context.Context, b *bench) (err error) {
	dir := b.path("durable")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer b.discard(dir, &err)
	d := &durableKit{pager: newPager(1, 0), now: time.Now()}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.open(ctx, dir); err != nil {
		return err
	}
	names := []string{
		"floor: append file, one fdatasync", "aispend: pages and ledger, applied",
		"append file, fdatasync per page", "badger, synced transaction per page",
	}
	var contenders []contender
	for i, do := range []func(context.Context) error{d.appendOnce, d.apply, d.appendEach, d.transactions} {
		contenders = append(contenders, contender{
			name: names[i], before: d.prepare, do: func() error { return do(ctx) },
		})
	}
	got, err := rounds{n: b.sizes.durablePulls}.inTurn(contenders...)
	if err != nil {
		return err
	}
	rows := make([][]string, len(got))
	for i, f := range got {
		rows[i] = []string{
			names[i], millis(f.wall), millis(f.cpu), times(f.wall, got[0].wall), times(f.wall, got[3].wall),
		}
	}
	b.note("%d pages of %d KB per pull, zstd everywhere; medians of %d pulls each",
		durablePages, pageBytes>>10, b.sizes.durablePulls)
	b.table([]string{"contender", "ms", "CPU ms", "to floor", "to a transaction per page"}, rows)
	b.atMost("durable pull of 20 pages, to one append and fdatasync",
		float64(got[1].wall)/float64(got[0].wall), 2.5, "x")
	b.note("what a sync costs decides much here: about %s ms on this disk",
		millis(max(0, got[2].wall-got[0].wall)/(durablePages-1)))
	return nil
}

// durableKit is what the contenders write to, and the next pull to write.
type durableKit struct {
	pager  *pager
	now    time.Time
	bodies [][]byte
	days   []spend.Statement

	store *badger.Store
	db    *engine.DB
	file  *os.File
	enc   *zstd.Encoder
	keys  uint64
}

func (d *durableKit) open(ctx context.Context, dir string) (err error) {
	d.store, err = badger.Open(ctx, badger.Options{
		Dir: dir + "/ours", RawRetentionDays: rawRetention, HistoryDays: history,
	})
	if err != nil {
		return err
	}
	// The tuning of our own store, so that only the manner of writing differs.
	d.db, err = engine.Open(engine.DefaultOptions(dir + "/badger").WithLogger(nil).WithSyncWrites(true).
		WithCompression(engineopts.None).WithBlockCacheSize(0).WithMemTableSize(8 << 20).WithNumMemtables(2).
		WithValueThreshold(1 << 20).WithNumCompactors(2).WithValueLogFileSize(16 << 20).WithDetectConflicts(false))
	if err != nil {
		return fmt.Errorf("opening badger: %w", err)
	}
	if d.file, err = os.Create(dir + "/append"); err != nil {
		return fmt.Errorf("making a file: %w", err)
	}
	d.enc, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	return err
}

func (d *durableKit) close() error {
	var errs []error
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	if d.db != nil {
		errs = append(errs, d.db.Close())
	}
	if d.file != nil {
		errs = append(errs, d.file.Close())
	}
	return errors.Join(errs...)
}

// prepare makes pages that nobody has written yet.
func (d *durableKit) prepare() error {
	d.bodies, d.days = d.bodies[:0], d.days[:0]
	today := spend.DayOf(d.now)
	for i := range durablePages {
		d.bodies = append(d.bodies, d.pager.page(today, i+1 < durablePages))
	}
	for day := today - houseTail + 1; day <= today; day++ {
		d.days = append(d.days, d.pager.told(day, today, 200))
	}
	return nil
}

func (d *durableKit) apply(ctx context.Context) error {
	id := spend.SourceID{Provider: "openai", Account: "default", Source: "openai/costs"}
	today := spend.DayOf(d.now)
	w, err := d.store.Begin(ctx, store.Pull{
		Source: id, Window: spend.Window{From: today - houseTail + 1, To: today + 1}, Kind: ingest.KindCurrent,
		Buckets: providers.MaxBuckets, Started: d.now,
	})
	if err != nil {
		return err
	}
	for i, body := range d.bodies {
		if err := w.Page(ctx, rawPage(i, d.now, body)); err != nil {
			return err
		}
	}
	state := store.State{CoveredFrom: today - houseTail + 1, LastApplied: d.now, DataThrough: d.now}
	return w.Apply(ctx, spend.OK, d.days, state)
}

func (d *durableKit) appendOnce(context.Context) error {
	for _, body := range d.bodies {
		if _, err := d.file.Write(d.enc.EncodeAll(body, nil)); err != nil {
			return err
		}
	}
	return unix.Fdatasync(int(d.file.Fd()))
}

func (d *durableKit) appendEach(context.Context) error {
	for _, body := range d.bodies {
		if _, err := d.file.Write(d.enc.EncodeAll(body, nil)); err != nil {
			return err
		}
		if err := unix.Fdatasync(int(d.file.Fd())); err != nil {
			return err
		}
	}
	return nil
}

func (d *durableKit) transactions(context.Context) error {
	for _, body := range d.bodies {
		d.keys++
		key := binary.BigEndian.AppendUint64(nil, d.keys)
		if err := d.db.Update(func(txn *engine.Txn) error {
			return txn.Set(key, d.enc.EncodeAll(body, nil))
		}); err != nil {
			return err
		}
	}
	return nil
}
