package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/aispend/aispend/internal/ingest"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/spend"
)

const (
	rawRetention = 90  // days, the default
	history      = 800 // days, the default
	houseDays    = 88  // of raw pages
	houseTail    = 8   // days that each pull reads again
	houseOpen    = 3   // of which so many have changed each time
	houseNoise   = 96  // random digits per row: less to compress, for as much on disk in less time
)

// house is the store of a daemon as it would be after living in it: on each of
// the last days pulls of openai/costs with their pages, a pull of openai/usage,
// and a ledger that reaches further back.
type house struct {
	pages, perPull   int // in all; of one pull
	ledger, rows     int // days; charges per day
	noise            int // of the pages
	dir              string
	now              time.Time
	written, rawSize int64 // pages, and their bytes before compression
}

func houseSource(name string) spend.SourceID {
	return spend.SourceID{Provider: "openai", Account: "default", Source: "openai/" + name}
}

// build writes the store. Nothing is due for its sources until their interval,
// counted from now, is over.
func (h *house) build(ctx context.Context) (err error) {
	at := h.now
	st, err := badger.Open(ctx, badger.Options{
		Dir: h.dir, RawRetentionDays: rawRetention, HistoryDays: history, Now: func() time.Time { return at },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	p := newPager(1, h.noise)
	pulls := max(1, (h.pages+h.perPull-1)/h.perPull)
	step := houseDays * 24 * time.Hour / time.Duration(pulls)
	today := spend.DayOf(h.now)
	for i := range pulls {
		at = h.now.Add(-step * time.Duration(pulls-1-i))
		w := spend.Window{From: spend.DayOf(at) - houseTail + 1, To: spend.DayOf(at) + 1}
		if i == 0 {
			w = spend.Window{From: today - spend.Day(h.ledger), To: today + 1}
		}
		pages := min(h.perPull, h.pages-i*h.perPull)
		if err := h.pull(ctx, st, p, at, w, pages); err != nil {
			return err
		}
		last := i == pulls-1 || spend.DayOf(at) != spend.DayOf(at.Add(step))
		if i == 0 || last {
			if err := h.usage(ctx, st, at, w); err != nil {
				return err
			}
		}
	}
	return settle(ctx, h.dir)
}

// settle waits until the compactions that so much writing has left behind are
// over: a daemon that writes twenty pages now and then has none of them.
func settle(ctx context.Context, dir string) error {
	const calm = 3 * time.Second
	seen, since := "", time.Now()
	for time.Since(since) < calm {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(calm / 10):
		}
		tables, err := filepath.Glob(filepath.Join(dir, "db", "*.sst"))
		if err != nil {
			return err
		}
		if now := strings.Join(tables, " "); now != seen {
			seen, since = now, time.Now()
		}
	}
	return nil
}

func (h *house) begin(
	ctx context.Context, st *badger.Store, source string, at time.Time, w spend.Window,
) (store.PullWriter, error) {
	return st.Begin(ctx, store.Pull{
		Source: houseSource(source), Window: w, Kind: ingest.KindCurrent, Buckets: 31, Started: at,
	})
}

func (h *house) state(at time.Time) store.State {
	today := spend.DayOf(h.now)
	return store.State{
		CoveredFrom: today - spend.Day(h.ledger), LastApplied: at, DataThrough: at, PreviousMonthRead: today,
	}
}

func (h *house) pull(
	ctx context.Context, st *badger.Store, p *pager, at time.Time, w spend.Window, pages int,
) error {
	writer, err := h.begin(ctx, st, "costs", at, w)
	if err != nil {
		return err
	}
	for seq := range pages {
		body := p.page(w.To-1, seq+1 < pages)
		if err := writer.Page(ctx, rawPage(seq, at, body)); err != nil {
			return err
		}
		h.written++
		h.rawSize += int64(len(body))
	}
	var days []spend.Statement
	for d := w.From; d < w.To; d++ {
		days = append(days, p.told(d, spend.DayOf(at), h.rows))
	}
	return writer.Apply(ctx, spend.OK, days, h.state(at))
}

func (h *house) usage(ctx context.Context, st *badger.Store, at time.Time, w spend.Window) error {
	writer, err := h.begin(ctx, st, "usage", at, w)
	if err != nil {
		return err
	}
	var days []spend.Statement
	for d := w.From; d < w.To; d++ {
		var rows []spend.Usage
		for i := range h.rows {
			rows = append(rows, spend.Usage{
				Model: fmt.Sprintf("model-%03d", i/5), Project: fmt.Sprintf("proj_%d", i%5),
				Input: int64(d) * 1000, Output: int64(i) * 100, Requests: int64(i), HasRequests: true,
			})
		}
		days = append(days, spend.Statement{Day: d, Usage: spend.MergeUsage(rows)})
	}
	return writer.Apply(ctx, spend.OK, days, h.state(at))
}

// compressed is about how much of the disk one page takes.
func compressed(noise int) (int64, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return 0, err
	}
	return int64(len(enc.EncodeAll(newPager(1, noise).page(0, false), nil))), enc.Close()
}

// diskUsage returns what the files below dir take on disk: blocks, not lengths,
// since the engine's logs are sparse.
func diskUsage(dir string) (int64, error) {
	const block = 512 // of st_blocks, whatever the filesystem's own is
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a compaction has removed it
		}
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			sum += st.Blocks * block
		} else {
			sum += info.Size()
		}
		return nil
	})
	return sum, err
}

// discard gives the disk of a section back at its end, unless it is to be kept.
func (b *bench) discard(dir string, err *error) {
	if !b.keep {
		*err = errors.Join(*err, os.RemoveAll(dir))
	}
}
