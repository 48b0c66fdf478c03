package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/aispend/aispend/collector"
	"github.com/aispend/aispend/internal/config"
)

// Reload loads the configuration anew, all or nothing: everything that can fail
// comes before anything changes. After an error the daemon runs on with what it
// had; the error is logged, returned and visible in the reload metrics.
func (a *App) Reload(ctx context.Context) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
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
	renames, err := a.accounts(ctx, loaded.Config)
	if err != nil {
		return err
	}
	old := a.current.Load()
	if err := old.stop(ctx); err != nil {
		return fmt.Errorf("stopping the running pulls: %w", err)
	}
	if err := a.replace(ctx, next, renames); err != nil {
		return a.resume(old, err)
	}
	a.store.SetRetention(config.Days(loaded.Config.Storage.RawRetention), config.Days(loaded.Config.Storage.History))
	a.install(next)
	next.start()
	return nil
}

// replace does what only works while nothing pulls.
func (a *App) replace(ctx context.Context, next *generation, renames []config.Rename) error {
	if err := a.rename(ctx, renames); err != nil {
		return err
	}
	if err := next.runner.Prepare(ctx); err != nil {
		for i, r := range renames {
			renames[i].From, renames[i].To = r.To, r.From
		}
		return errors.Join(fmt.Errorf("preparing the sources: %w", err), a.rename(ctx, renames))
	}
	return nil
}

// resume starts the old configuration again after a failed replacement: a Runner
// runs once, so it gets new loops over the same sources.
func (a *App) resume(old *generation, cause error) error {
	again, err := a.newGeneration(old.loaded)
	if err != nil {
		return fmt.Errorf("%w; and the old sources do not open again: %w", cause, err)
	}
	a.current.Store(again)
	again.start()
	return cause
}
