package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// idle measures the resident memory of daemons that only get scraped.
func idle(ctx context.Context, b *bench) (err error) {
	if err := b.build(ctx); err != nil {
		return err
	}
	defer b.discard(b.path("idle"), &err)
	full := house{
		pages: b.sizes.idlePages, perPull: 20, ledger: b.sizes.ledgerDays, rows: b.sizes.ledgerRows,
		dir: b.path("idle", "full"), now: time.Now(),
	}
	empty := house{perPull: 1, dir: b.path("idle", "empty"), now: full.now}
	quiet, err := newSilence(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = quiet.server.Close() }()
	var daemons []*daemon
	for _, h := range []*house{&full, &empty} {
		if err := h.build(ctx); err != nil {
			return fmt.Errorf("building a store: %w", err)
		}
		d, err := b.startDaemon(ctx, h.dir, quiet.url)
		if err != nil {
			return err
		}
		daemons = append(daemons, d)
		defer func() { err = errors.Join(err, d.stop()) }()
		if err := d.scraped(ctx); err != nil {
			return err
		}
	}
	b.note("%d raw pages (%s MB before compression), %d days of ledger with %d charges each; "+
		"%s after the start, scraped every 5 s, %d requests to the provider",
		full.written, mega(full.rawSize), full.ledger, full.rows, b.sizes.idleAfter, quiet.requests.Load())
	busy, err := b.watch(ctx, daemons)
	if err != nil {
		return err
	}
	var rows [][]string
	for i, name := range []string{fmt.Sprintf("%d raw pages", full.written), "nothing in the store"} {
		d := daemons[i]
		rows = append(rows, []string{
			name, number(d.memory("VmRSS")), number(d.memory("RssAnon")), number(d.memory("VmHWM")),
			number(busy[i]),
		})
	}
	b.table([]string{"store", "RSS MB", "anonymous MB", "peak RSS MB", "CPU ms/s"}, rows)
	b.atMost(fmt.Sprintf("resident memory idle with %d raw pages", full.written),
		daemons[0].memory("VmRSS"), 40, " MB")
	return nil
}

// watch scrapes now and then and returns how busy each daemon was, in CPU
// milliseconds per second over the second half.
func (b *bench) watch(ctx context.Context, daemons []*daemon) ([]float64, error) {
	began := time.Now()
	half := b.sizes.idleAfter / 2
	cpu := make([]time.Duration, len(daemons))
	var since time.Time
	for time.Since(began) < b.sizes.idleAfter {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(min(5*time.Second, half)):
		}
		if since.IsZero() && time.Since(began) >= half {
			since = time.Now()
			for i, d := range daemons {
				cpu[i] = d.cpu()
			}
		}
		for _, d := range daemons {
			if err := d.scraped(ctx); err != nil {
				return nil, err
			}
		}
	}
	out := make([]float64, len(daemons))
	for i, d := range daemons {
		out[i] = float64((d.cpu() - cpu[i]).Milliseconds()) / time.Since(since).Seconds()
	}
	return out, nil
}
