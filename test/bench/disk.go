package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/spend"
)

// disk lives three retention periods in simulated time, once with Expire and
// once without, and compares the disk with the bytes that live.
func disk(ctx context.Context, b *bench) (err error) {
	defer b.discard(b.path("disk"), &err)
	s := b.sizes
	b.note("%d simulated days, raw retention %d days, history %d; "+
		"each day %d pulls of %d pages and %d days, %d of them changed",
		3*s.diskRetention+1, s.diskRetention, 2*s.diskRetention, s.diskPulls, s.diskPages, houseTail, houseOpen)
	var rows [][]string
	var living int64
	var ratio float64
	for i, name := range []string{"aispend, Expire once a day", "the same writes, nothing dropped"} {
		l := life{
			sizes: s, dir: b.path("disk", fmt.Sprint(i)), expire: i == 0,
			now: time.Date(2026, 1, 1, 0, 30, 0, 0, time.UTC),
		}
		if err := l.live(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if i == 0 {
			if living, err = livingBytes(l.dir); err != nil {
				return err
			}
			ratio = float64(l.open) / float64(living)
		}
		rows = append(rows, []string{
			name, fmt.Sprint(l.pages), mega(living), mega(l.open), mega(l.closed),
			times(float64(l.open), float64(living)), times(float64(l.most), float64(living)), seconds(l.took),
		})
	}
	b.table([]string{
		"contender", "pages written", "living MB", "disk MB", "disk MB closed", "disk to living",
		"largest in the last period", "s",
	}, rows)
	b.atMost("disk after three retention periods, to the living bytes", ratio, 1.1, "x")
	return nil
}

// life is a store that is written to day by day.
type life struct {
	sizes  sizes
	dir    string
	expire bool
	now    time.Time

	pages              int
	open, closed, most int64 // disk: at the end, after closing, at its largest in the last period
	took               time.Duration
}

func (l *life) live(ctx context.Context) (err error) {
	began := time.Now()
	st, err := badger.Open(ctx, badger.Options{
		Dir: l.dir, RawRetentionDays: l.sizes.diskRetention, HistoryDays: 2 * l.sizes.diskRetention,
		Now: func() time.Time { return l.now },
	})
	if err != nil {
		return err
	}
	h := &house{
		rows: l.sizes.ledgerRows, ledger: houseTail, perPull: l.sizes.diskPages, noise: houseNoise, now: l.now,
	}
	p := newPager(7, houseNoise)
	for day := range 3*l.sizes.diskRetention + 1 {
		if err := l.day(ctx, st, h, p); err != nil {
			return errors.Join(err, st.Close())
		}
		if l.open, err = diskUsage(l.dir); err != nil {
			return errors.Join(err, st.Close())
		}
		if day > 2*l.sizes.diskRetention {
			l.most = max(l.most, l.open)
		}
		l.now = l.now.Add(24 * time.Hour)
	}
	if err := st.Close(); err != nil {
		return err
	}
	l.pages, l.took = int(h.written), time.Since(began)
	l.closed, err = diskUsage(l.dir)
	return err
}

// day pulls all day long and then expires.
func (l *life) day(ctx context.Context, st *badger.Store, h *house, p *pager) error {
	for n := range l.sizes.diskPulls {
		at := l.now.Add(time.Duration(n) * 23 * time.Hour / time.Duration(l.sizes.diskPulls))
		today := spend.DayOf(at)
		w := spend.Window{From: today - houseTail + 1, To: today + 1}
		if err := h.pull(ctx, st, p, at, w, h.perPull); err != nil {
			return err
		}
	}
	if !l.expire {
		return nil
	}
	return st.Expire(ctx, l.now.Add(23*time.Hour))
}

// livingBytes adds up all keys and values that a reader of the engine can see.
func livingBytes(dir string) (sum int64, err error) {
	db, err := engine.Open(engine.DefaultOptions(dir + "/db").WithLogger(nil).WithReadOnly(true))
	if err != nil {
		return 0, fmt.Errorf("opening the store's engine: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.View(func(txn *engine.Txn) error {
		it := txn.NewIterator(engine.IteratorOptions{})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			sum += it.Item().EstimatedSize()
		}
		return nil
	})
	return sum, err
}
