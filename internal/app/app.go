package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/aispend/aispend/collector"
	"github.com/aispend/aispend/internal/api"
	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/internal/hardcap"
	"github.com/aispend/aispend/internal/ingest"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/internal/telemetry"
	"github.com/aispend/aispend/spend"
)

// App is one running daemon. The fields above the mutex live as long as the
// process; the generation below it is replaced by a reload.
type App struct {
	opts    Options
	log     *slog.Logger
	started time.Time

	store       *badger.Store
	book        *rollup.Book
	pulls       *collector.PullMetrics
	caps        caps.Evaluator
	telemetry   *telemetry.Telemetry
	instruments ingest.Instruments
	hook        *hardcap.Hook
	api         *api.Server

	ready      atomic.Bool
	lastReload atomic.Pointer[collector.Reload]
	current    atomic.Pointer[generation]

	changing turn          // held by a reload or a recompute
	begun    chan struct{} // closed when the first pulls are started
	broken   chan error    // what the daemon cannot go on after
}

// Run runs the daemon until ctx ends, then stops it in order: listeners drain,
// pulls are abandoned, the store closes. A receive from reload loads the
// configuration anew. Errors of the configuration are *UsageError.
//
// This is the wiring function: it is long because the order of a start is a story
// that should be read in one piece.
func Run(ctx context.Context, opts Options, reload <-chan struct{}) (err error) {
	opts, err = opts.check()
	if err != nil {
		return err
	}
	a := &App{
		opts: opts, log: opts.Logger, started: opts.Now(), book: rollup.NewBook(), pulls: collector.NewPullMetrics(),
		changing: make(turn, 1), begun: make(chan struct{}), broken: make(chan error, 1),
	}
	down := &teardown{log: a.log}
	defer func() { err = errors.Join(unlessStopped(ctx, err), down.run()) }()

	loaded, err := a.load()
	if err != nil {
		return err
	}
	a.telemetry = telemetry.New()
	a.instruments = a.telemetry.Ingest()
	if err := a.openStore(ctx, loaded.Config, down); err != nil {
		return err
	}
	gen, err := a.newGeneration(loaded)
	if err != nil {
		return err
	}
	renames, err := a.accounts(ctx, loaded.Config)
	if err != nil {
		return err
	}
	if _, err := a.rename(ctx, renames); err != nil {
		return err
	}
	if err := a.publish(ctx); err != nil {
		return err
	}
	if err := a.prepare(ctx, gen); err != nil {
		return err
	}
	a.install(gen)
	if err := a.loadHook(ctx); err != nil {
		return err
	}
	a.startDeliveries(down)
	down.push("pulls", func(ctx context.Context) error { return a.current.Load().stop(ctx) })
	if a.api, err = a.newAPI(); err != nil {
		return err
	}
	failed, err := a.listen(down)
	if err != nil {
		return err
	}
	a.warnIfOpen(loaded.Config)
	a.startUpkeep(down)
	gen.start()
	close(a.begun)
	a.ready.Store(true)
	a.log.Info("ready", "sources", len(gen.sources), "config", loaded.Source)
	return a.wait(ctx, reload, failed)
}

// unlessStopped drops the error of a start that was interrupted: whoever stops the
// daemon while it loads the ledger has got what was asked for.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// wait serves reloads until ctx ends or a listener fails.
func (a *App) wait(ctx context.Context, reload <-chan struct{}, failed <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			a.ready.Store(false)
			a.log.Info("stopping")
			return nil
		case err := <-failed:
			return fmt.Errorf("serving: %w", err)
		case err := <-a.broken:
			return err
		case <-reload:
			// Its error is logged and on /metrics; the daemon goes on as it was.
			_ = a.Reload(ctx)
		}
	}
}

// end makes the daemon stop with err; the first reason counts.
func (a *App) end(err error) {
	select {
	case a.broken <- err:
	default:
	}
}

// load reads the configuration and everything about it that needs no store.
func (a *App) load() (*config.Loaded, error) {
	loaded, err := a.opts.Load()
	if err != nil {
		return nil, &UsageError{Err: err}
	}
	if err := CheckWebConfig(*a.opts.Web.WebConfigFile, loaded.Config); err != nil {
		return nil, err
	}
	for _, w := range loaded.Warnings {
		a.log.Warn("configuration", "warning", w.String())
	}
	return loaded, nil
}

func (a *App) openStore(ctx context.Context, cfg *config.Config, down *teardown) error {
	st, err := badger.Open(ctx, badger.Options{
		Dir:              a.opts.StoragePath,
		RawRetentionDays: config.Days(cfg.Storage.RawRetention),
		HistoryDays:      config.Days(cfg.Storage.History),
		Logger:           a.log.With("component", "store"),
		Now:              a.opts.Now,
		FreeBytes:        a.opts.FreeBytes,
		Observe:          a.telemetry.Store().Observe,
	})
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; let the user that runs aispend write there, or choose another --storage.path", err)
	}
	if err != nil {
		return err // it names the act and the directory already
	}
	a.store = st
	down.push("store", func(ctx context.Context) error { return closeWithin(ctx, st) })
	return nil
}

// closeWithin does not wait for ever: on a disk that fails the engine tries again and
// again. Ending without it is like a kill, which loses nothing that was acknowledged.
func closeWithin(ctx context.Context, c io.Closer) error {
	done := make(chan error, 1)
	go func() { done <- c.Close() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errors.New("it does not close, and is left as by a kill: nothing that was acknowledged is lost")
	}
}

// sources lists what the ledger knows. A source whose records are lost is not
// among them, which publish tells: it must not keep the others from starting.
func (a *App) sources(ctx context.Context) ([]store.SourceRecord, error) {
	records, err := a.store.Sources(ctx)
	if errors.Is(err, store.ErrCorrupt) {
		err = nil
	}
	return records, err
}

// accounts compares the ledger's accounts with the configuration's.
func (a *App) accounts(ctx context.Context, cfg *config.Config) ([]config.Rename, error) {
	records, err := a.sources(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the accounts of the ledger: %w", err)
	}
	var ids []spend.SourceID
	for _, r := range records {
		if r.Charges+r.Usage > 0 {
			ids = append(ids, r.ID)
		}
	}
	renames, err := config.AccountsCheck(ids, cfg)
	if err != nil {
		return nil, &UsageError{Err: err}
	}
	return renames, nil
}

// rename moves accounts in the ledger and in the book. It returns those that were
// moved, which after an error are fewer than were asked for.
func (a *App) rename(ctx context.Context, renames []config.Rename) (done []config.Rename, err error) {
	for i, r := range renames {
		if err := a.store.Rename(ctx, r.Provider, r.From, r.To); err != nil {
			return renames[:i], fmt.Errorf("renaming account %s/%s to %s: %w", r.Provider, r.From, r.To, err)
		}
		a.book.Update(func(tx *rollup.Tx) { tx.Rename(r.Provider, r.From, r.To) })
		a.log.Info("account renamed", "provider", r.Provider, "from", r.From, "to", r.To)
	}
	return renames, nil
}

// publish fills the book from the ledger, so that metrics are right before the
// first pull.
func (a *App) publish(ctx context.Context) error {
	got, err := ingest.LoadBook(ctx, a.store, a.book)
	if err != nil {
		return fmt.Errorf("loading the ledger: %w", err)
	}
	if got.Lost != nil {
		a.log.Error("the ledger of a source is lost: its money is missing from every sum; see docs/operations.md",
			"err", got.Lost)
	}
	for id, days := range got.Damaged {
		a.log.Error("days of the ledger are damaged and will be pulled again",
			"source", id.Source, "account", id.Account, "days", len(days), "first", days[0].String())
	}
	a.log.Info("ledger loaded", "sources", got.Sources, "days", got.Days)
	return nil
}

// install makes a newly loaded generation the one that everybody looks up.
func (a *App) install(g *generation) {
	a.adopt(g)
	a.lastReload.Store(&collector.Reload{Successful: true, LastSuccess: a.opts.Now()})
}

func (a *App) adopt(g *generation) {
	a.markRetired(g.loaded.Config)
	a.pulls.Retain(g.sources)
	a.current.Store(g)
}

// markRetired tells the book which accounts are not pulled, retired or disabled:
// they stay in the sums, and their missing days keep nobody from expecting
// anything of the others.
func (a *App) markRetired(cfg *config.Config) {
	retired := map[config.AccountRef]bool{}
	for _, r := range cfg.RetiredAccounts {
		retired[r] = true
	}
	for _, p := range cfg.Providers {
		if !p.Enabled {
			retired[config.AccountRef{Provider: p.Type, Account: p.Account}] = true
		}
	}
	ids := a.book.Snapshot().Sources()
	a.book.Update(func(tx *rollup.Tx) {
		for _, id := range ids {
			tx.SetRetired(id, retired[config.AccountRef{Provider: id.Provider, Account: id.Account}])
		}
	})
}
