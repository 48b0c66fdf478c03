package app

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

const (
	upkeepDelay    = 2 * time.Minute // after the start, which has enough to do
	expireInterval = time.Hour
	verifyInterval = 24 * time.Hour
	placeInterval  = 2 * time.Second

	// Loading the ledger and compacting leave garbage that Go would keep for minutes.
	// Collecting it takes at most one part in tidyShare of the time: on a heap of
	// 5 MB some milliseconds.
	tidyDelay    = 5 * time.Second
	tidyInterval = 20 * time.Second
	tidyShare    = 400
)

// startUpkeep drops what has expired, hourly, reads everything once a day to find
// damage before somebody needs the data, and ends a daemon whose store was taken away.
func (a *App) startUpkeep(down *teardown) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		every(ctx, upkeepDelay, expireInterval, func() { a.expire(ctx) })
	})
	wg.Go(func() {
		every(ctx, verifyInterval, verifyInterval, func() {
			if err := a.store.Verify(ctx); err != nil && ctx.Err() == nil {
				a.log.Error("the store is damaged, see docs/operations.md", "err", err)
			}
		})
	})
	wg.Go(func() {
		every(ctx, placeInterval, placeInterval, func() {
			// The engine goes on writing by path: whatever is there now is not ours.
			if err := a.store.InPlace(); errors.Is(err, store.ErrMoved) {
				a.end(err)
			}
		})
	})
	wg.Go(func() { tidy(ctx) })
	down.push("upkeep", func(context.Context) error {
		cancel()
		wg.Wait()
		return nil
	})
}

func (a *App) expire(ctx context.Context) {
	if !a.current.Load().runner.ClockTrusted() {
		a.log.Warn("nothing expires until a provider agrees with this machine's clock to a day")
		return
	}
	now := a.opts.Now()
	if err := a.store.Expire(ctx, now); err != nil {
		if ctx.Err() == nil {
			a.log.Error("dropping expired data", "err", err)
		}
		return
	}
	history := config.Days(a.current.Load().loaded.Config.Storage.History)
	cutoff := spend.DayOf(now) - spend.Day(history)
	a.book.Update(func(tx *rollup.Tx) { tx.ForgetBefore(cutoff) })
	a.hook.Forget(cutoff)
}

// tidy gives garbage back to the system until ctx ends.
func tidy(ctx context.Context) {
	timer := time.NewTimer(tidyDelay)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			began := time.Now()
			debug.FreeOSMemory()
			timer.Reset(max(tidyInterval, tidyShare*time.Since(began)))
		}
	}
}

// every calls f after first and then at each interval until ctx ends.
func every(ctx context.Context, first, interval time.Duration, f func()) {
	timer := time.NewTimer(first)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			f()
			timer.Reset(interval)
		}
	}
}
