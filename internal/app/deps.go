package app

import (
	"context"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/version"

	"github.com/aispend/aispend/collector"
	"github.com/aispend/aispend/internal/api"
	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/internal/ingest"
	"github.com/aispend/aispend/spend"
)

// newAPI lends the API what it needs. Everything a reload replaces is looked up
// through a function at each request.
func (a *App) newAPI() (*api.Server, error) {
	names := map[string][]string{}
	for name, t := range a.opts.Types {
		for _, s := range t.Sources {
			names[name] = append(names[name], s.Name)
		}
	}
	server, err := api.New(api.Deps{
		Snapshot:  a.book.Snapshot,
		Statuses:  a.statuses,
		Caps:      a.judgeCaps,
		Archive:   a.store,
		Stats:     a.store.Stats,
		Recompute: a.recompute,
		Reload:    a.reloadUnlessBusy,

		ReloadFailed: func() bool { return !a.lastReload.Load().Successful },

		Config:    func() any { return a.config().Redacted() },
		Tokens:    a.tokens,
		Ready:     a.ready.Load,
		Metrics:   a.metrics(),
		TestAlert: a.testAlert,

		Alertmanagers: a.alertmanagers,
		Hook:          a.hook,

		Providers:   names,
		Version:     version.Version,
		Revision:    version.GetRevision(),
		Started:     a.started,
		Demo:        a.opts.Demo,
		ExternalURL: a.externalURL,
		Observer:    a.telemetry.HTTP(),
		Logger:      a.log.With("component", "api"),
		Now:         a.opts.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("building the HTTP API: %w", err)
	}
	return server, nil
}

func (a *App) metrics() http.Handler {
	return collector.New(collector.Options{
		Snapshots: a.book.Snapshot,
		Settings:  a.exposition,
		Statuses:  a.statuses,
		Caps:      a.judgeCaps,
		Store:     a.store.Stats,
		Hook:      a.hookFigures,
		Reload:    func() collector.Reload { return *a.lastReload.Load() },
		Pulls:     a.pulls,
		Extra:     map[string]prometheus.Gatherer{"telemetry": a.telemetry},
		Now:       a.opts.Now,
		Logger:    a.log.With("component", "metrics"),
	}).Handler()
}

func (a *App) config() *config.Config { return a.current.Load().loaded.Config }

func (a *App) statuses() []spend.SourceStatus { return a.current.Load().statuses() }

func (a *App) externalURL() string {
	if u := a.config().Links.ExternalURL; u != "" {
		return u
	}
	return a.opts.ExternalURL
}

func (a *App) exposition() collector.Settings {
	c := a.config()
	caps := 0
	for _, limit := range c.Caps {
		if !limit.Off() {
			caps++
		}
	}
	return collector.Settings{
		DailyWindow: config.Days(c.Metrics.DailyWindow), MaxSeries: c.Metrics.MaxSeries, ByProject: c.Metrics.ByProject,
		CapsConfigured: caps, ExternalURL: a.externalURL(), DashboardURL: c.Links.DashboardURL, Demo: a.opts.Demo,
	}
}

// tokens reads the token files anew, so that a rotated token needs no restart. A
// file that cannot be read closes what it guards.
func (a *App) tokens() api.Tokens {
	c := a.config()
	t := api.Tokens{
		AdminSet: c.Web.AdminToken.Set(), ReadSet: c.Web.ReadToken.Set(), MetricsOpen: c.Web.MetricsOpen,
		InboundSet: c.HardCap.InboundToken.Set(),
	}
	var err error
	if t.Admin, err = c.AdminTokens(); err != nil {
		a.log.Error("admin routes are closed", "err", err)
	}
	if t.Read, err = c.ReadTokens(); err != nil {
		a.log.Error("read routes are closed", "err", err)
	}
	if t.Inbound, err = c.InboundTokens(); err != nil {
		a.log.Error("the hard-cap webhook is closed", "err", err)
	}
	return t
}

func (a *App) recompute(ctx context.Context, req api.RecomputeRequest) (api.RecomputeReport, error) {
	if err := a.hasBegun(ctx); err != nil {
		return api.RecomputeReport{}, err
	}
	// A reload in the middle would start pulls that know nothing of this replay.
	if err := a.changing.take(ctx); err != nil {
		return api.RecomputeReport{}, fmt.Errorf("waiting for the running reload: %w", err)
	}
	defer a.changing.give()
	rep, err := a.current.Load().runner.Recompute(ctx, ingest.RecomputeRequest{
		DryRun: req.DryRun, Provider: req.Provider, Window: req.Window,
	})
	out := api.RecomputeReport{
		Sources: rep.Sources, Pulls: rep.Pulls, Days: rep.Days, DaysKept: rep.Kept, DaysChanged: rep.Changed, Problems: rep.Problems,
	}
	for _, c := range rep.Changes {
		out.Changes = append(out.Changes, api.RecomputeChange{
			Provider: c.Provider, Model: c.Model, Day: c.Day, Currency: c.Currency,
			Before: c.Before, After: c.After, TokensBefore: c.TokensBefore, TokensAfter: c.TokensAfter,
		})
	}
	return out, err
}
