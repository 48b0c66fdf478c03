package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aispend/aispend/collector"
	"github.com/aispend/aispend/internal/api"
	"github.com/aispend/aispend/internal/config"
)

// turn is held by the one that changes what the daemon is made of or what its
// ledger says beside the pulls: a reload or a recompute.
type turn chan struct{}

// take waits for its turn, or for ctx.
func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tryTake reports whether it was free.
func (t turn) tryTake() bool {
	select {
	case t <- struct{}{}:
		return true
	default:
		return false
	}
}

func (t turn) give() { <-t }

// hasBegun waits until the first pulls are started. The listeners are open a
// moment before that; a reload or a replay in between would see sources that
// nobody runs yet, and leave two sets of them running.
func (a *App) hasBegun(ctx context.Context) error {
	select {
	case <-a.begun:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the start to end: %w", ctx.Err())
	}
}

// Reload loads the configuration anew, all or nothing: everything that can fail
// comes before anything changes. After an error the daemon runs on with what it
// had; the error is logged, returned and visible in the reload metrics. It waits
// for a running recompute, or for ctx; once it has begun it ends whatever becomes
// of ctx.
func (a *App) Reload(ctx context.Context) error {
	if !a.changing.tryTake() {
		a.log.Info("the reload waits until the running recompute has ended")
		if err := a.changing.take(ctx); err != nil {
			return fmt.Errorf("waiting for the running recompute: %w", err)
		}
	}
	defer a.changing.give()
	return a.reloadNow(ctx)
}

// reloadUnlessBusy is Reload for a caller who waits for the answer: a replay can
// take minutes, so it is told to come back (api.ErrBusy).
func (a *App) reloadUnlessBusy(ctx context.Context) error {
	if err := a.hasBegun(ctx); err != nil {
		return err
	}
	if !a.changing.tryTake() {
		return api.ErrBusy
	}
	defer a.changing.give()
	return a.reloadNow(ctx)
}

// reloadNow goes on when the client that asked for it has gone away: between the
// old loops and the new ones nobody pulls.
func (a *App) reloadNow(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := a.reload(ctx); err != nil {
		last := *a.lastReload.Load()
		a.lastReload.Store(&collector.Reload{Successful: false, LastSuccess: last.LastSuccess})
		a.log.Error("reload failed, nothing has changed", "err", err)
		return err
	}
	a.log.Info("configuration reloaded", "config", a.current.Load().loaded.Source)
	return nil
}

func (a *App) reload(ctx context.Context) error {
	loaded, err := a.load()
	if err != nil {
		return err
	}
	next, err := a.newGeneration(loaded)
	if err != nil {
		return err
	}
	if _, err := a.accounts(ctx, loaded.Config); err != nil {
		return err
	}
	old := a.current.Load()
	if err := old.stop(ctx); err != nil {
		// Neither the old loops nor new ones can be trusted with the ledger now.
		a.end(fmt.Errorf("reloading: %w", err))
		return err
	}
	if err := a.replace(ctx, next); err != nil {
		return a.resume(ctx, old, err)
	}
	a.store.SetRetention(config.Days(loaded.Config.Storage.RawRetention), config.Days(loaded.Config.Storage.History))
	a.install(next)
	next.start()
	a.hook.Wake() // caps, URL and dry run may be others
	return nil
}

// replace does what only works while nothing pulls. The accounts are compared once
// more: a pull may have brought the first charges of one since.
func (a *App) replace(ctx context.Context, next *generation) error {
	renames, err := a.accounts(ctx, next.loaded.Config)
	if err != nil {
		return err
	}
	done, err := a.rename(ctx, renames)
	if err == nil {
		if err = a.prepare(ctx, next); err == nil {
			return nil
		}
	}
	var back []config.Rename
	for _, r := range slices.Backward(done) {
		back = append(back, config.Rename{Provider: r.Provider, From: r.To, To: r.From})
	}
	_, undoing := a.rename(ctx, back)
	return errors.Join(err, undoing)
}

// resume starts the old configuration again after a failed replacement: a Runner
// runs once, so it gets new loops over the same sources.
func (a *App) resume(ctx context.Context, old *generation, cause error) error {
	again, err := a.newGeneration(old.loaded)
	if err == nil {
		err = a.prepare(ctx, again)
	}
	if err != nil {
		a.end(fmt.Errorf("reloading: %w; and the old sources do not start again: %w", cause, err))
		return cause
	}
	a.adopt(again)
	again.start()
	return cause
}
