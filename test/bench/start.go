package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// start measures the time from exec to the first answer of /metrics.
func start(ctx context.Context, b *bench) (err error) {
	if err := b.build(ctx); err != nil {
		return err
	}
	defer b.discard(b.path("start"), &err)
	size, err := compressed(houseNoise)
	if err != nil {
		return err
	}
	big := house{
		pages: int(b.sizes.startBytes / size), perPull: 50, ledger: b.sizes.ledgerDays, rows: b.sizes.ledgerRows,
		noise: houseNoise, dir: b.path("start", "big"), now: time.Now(),
	}
	empty := house{perPull: 1, dir: b.path("start", "empty"), now: big.now}
	began := time.Now()
	for _, h := range []*house{&big, &empty} {
		if err := h.build(ctx); err != nil {
			return fmt.Errorf("building a store: %w", err)
		}
	}
	disk, err := diskUsage(big.dir)
	if err != nil {
		return err
	}
	b.note("%s MB on disk: %d raw pages of %d KB over %d days, %d days of ledger with %d charges each",
		mega(disk), big.written, pageBytes>>10, houseDays, big.ledger, big.rows)
	b.note("built in %s; medians of %d starts", time.Since(began).Round(time.Second), b.sizes.startRounds)
	got, err := b.starts(ctx, big.dir, empty.dir)
	if err != nil {
		return err
	}
	rows := [][]string{
		{"store of " + mega(disk) + " MB, warm page cache", millis(got[0]), times(got[0], got[1])},
		{"store without pages or ledger", millis(got[1]), times(got[1], got[1])},
	}
	b.table([]string{"exec to first /metrics", "ms", "to empty"}, rows)
	b.atMost("first /metrics with a warm 1 GB store", float64(got[0].Microseconds())/1000, 300, " ms")
	return nil
}

// starts starts a daemon over each store in turn and returns the median times.
func (b *bench) starts(ctx context.Context, dirs ...string) ([]time.Duration, error) {
	quiet, err := newSilence(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = quiet.server.Close() }()
	took := make([][]time.Duration, len(dirs))
	for round := range b.sizes.startRounds + 1 {
		for i, dir := range dirs {
			began := time.Now()
			d, err := b.startDaemon(ctx, dir, quiet.url)
			if err != nil {
				return nil, err
			}
			err = d.scraped(ctx)
			if round > 0 { // the first warms the page cache
				took[i] = append(took[i], time.Since(began))
			}
			if err := errors.Join(err, d.stop()); err != nil {
				return nil, err
			}
		}
	}
	if n := quiet.requests.Load(); n > 0 {
		b.note("note: the sources were not idle, they sent %d requests", n)
	}
	out := make([]time.Duration, len(dirs))
	for i := range took {
		out[i] = median(took[i])
	}
	return out, nil
}
