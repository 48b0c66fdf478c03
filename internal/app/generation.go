package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/version"

	"github.com/aispend/aispend/internal/amclient"
	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/internal/ingest"
	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

// generation is what one load of the configuration brings to life and a reload
// replaces: the sources, their schedules and the settings others look up.
type generation struct {
	loaded  *config.Loaded
	runner  *ingest.Runner
	sources []spend.SourceID // enabled ones
	off     []spend.SourceStatus
	caps    []caps.Cap
	alerts  *amclient.Client

	cancel context.CancelFunc
	done   chan error
}

// newGeneration builds the sources of a configuration. It does no I/O but reading
// ca_files, and changes nothing.
func (a *App) newGeneration(loaded *config.Loaded) (*generation, error) {
	cfg := loaded.Config
	g := &generation{loaded: loaded, caps: capsOf(cfg)}
	var err error
	if g.alerts, err = a.alertClient(cfg); err != nil {
		return nil, err
	}
	var sources []ingest.SourceConfig
	for _, p := range cfg.Providers {
		if !p.Enabled {
			g.off = append(g.off, disabledStatuses(cfg, p)...)
			continue
		}
		opened, err := a.open(p)
		if err != nil {
			return nil, &UsageError{Err: fmt.Errorf("opening provider %s (%s): %w", p.Type, p.Account, err)}
		}
		for _, src := range opened {
			s := cfg.ForSource(p, src.Type())
			sources = append(sources, ingest.SourceConfig{
				Source: src, Interval: s.Interval, Lookback: s.Lookback, Timeout: s.Timeout,
				MaxStaleness: s.MaxStaleness, Enabled: true, Scope: scope(p.Settings.Filter()),
				CredentialChanged: fingerprint(p.Settings.Credential()),
				BudgetOnly:        p.BudgetOnly(), Counted: p.Counted(), NoSpend: !p.Notified(),
			})
			g.sources = append(g.sources, src.ID())
		}
	}
	g.runner = ingest.New(ingest.Options{
		Sources: sources, InitialHistory: cfg.Ingest.InitialHistory, Store: a.store, Book: a.book,
		Observer: a.pulls, Instruments: a.instruments, Decoders: a.decoders(),
		Logger: a.opts.Logger.With("component", "ingest"), Now: a.opts.Now,
	})
	return g, nil
}

func (a *App) open(p config.Provider) ([]providers.Source, error) {
	proxy := ""
	if p.ProxyURL.Set() {
		var err error
		if proxy, err = p.ProxyURL.Get(); err != nil {
			return nil, fmt.Errorf("proxy_url: %w", err)
		}
	}
	return p.Settings.Open(a.env(p.Account, proxy, p.CAFile))
}

func (a *App) env(account, proxy, caFile string) providers.Env {
	return providers.Env{
		Account: account, ProxyURL: proxy, CAFile: caFile,
		UserAgent:  userAgent(),
		Logger:     a.opts.Logger.With("component", "provider"),
		Now:        a.opts.Now,
		NoEnvProxy: a.opts.Demo,
	}
}

func userAgent() string {
	return "aispend/" + version.Version + " (+https://github.com/aispend/aispend)"
}

// decoders makes decoders by source name, for accounts that are not configured
// any more: decoding needs no key.
func (a *App) decoders() map[string]func(spend.Window) providers.Decoder {
	out := map[string]func(spend.Window) providers.Decoder{}
	for name, t := range a.opts.Types {
		opened, err := t.NewSettings().Open(a.env("retired", "", ""))
		if err != nil {
			a.opts.Logger.Debug("provider has no decoder without settings", "provider", name, "err", err)
			continue
		}
		for _, src := range opened {
			out[src.ID().Source] = src.NewDecoder
		}
	}
	return out
}

// scope spells a filter in one way whatever its order.
func scope(filter []string) string {
	return strings.Join(slices.Sorted(slices.Values(filter)), ",")
}

// fingerprint returns a function that tells when a key has changed, without
// telling the key. An unreadable file is a state of its own; nil if there is no key.
func fingerprint(v *secret.Value) func() string {
	if !v.Set() {
		return nil
	}
	return func() string {
		text, err := v.Get()
		if err != nil {
			return "unreadable"
		}
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:8])
	}
}

// prepare reads from the ledger where every source stands. A disabled one keeps
// what it has: how far its data reaches does not fall to "never".
func (a *App) prepare(ctx context.Context, g *generation) error {
	if err := g.runner.Prepare(ctx); err != nil {
		return fmt.Errorf("preparing the sources: %w", err)
	}
	records, err := a.sources(ctx)
	if err != nil {
		return fmt.Errorf("reading where disabled sources stand: %w", err)
	}
	for i := range g.off {
		for _, r := range records {
			if s := &g.off[i]; r.ID == s.ID {
				s.DataThrough, s.LastSuccess, s.CoveredFrom = r.State.DataThrough, r.State.LastApplied, r.State.CoveredFrom
			}
		}
	}
	return nil
}

func disabledStatuses(cfg *config.Config, p config.Provider) []spend.SourceStatus {
	var out []spend.SourceStatus
	for _, t := range p.Sources {
		s := cfg.ForSource(p, t)
		out = append(out, spend.SourceStatus{
			ID:       spend.SourceID{Provider: p.Type, Account: p.Account, Source: t.Name},
			Interval: s.Interval, MaxStaleness: s.MaxStaleness, Usage: t.Kind == providers.Usage,
			BudgetSource: t.Kind == providers.Budgets, Lag: t.Lag,
		})
	}
	return out
}

// start runs the loops until stop is called.
func (g *generation) start() {
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel, g.done = cancel, make(chan error, 1)
	go func() { g.done <- g.runner.Run(ctx) }()
}

// stop abandons running pulls cleanly and waits for the loops, or for ctx.
func (g *generation) stop(ctx context.Context) error {
	if g.cancel == nil {
		return nil
	}
	g.cancel()
	select {
	case err := <-g.done:
		g.cancel = nil
		return err
	case <-ctx.Done():
		return fmt.Errorf("pulls did not stop in time: %w", ctx.Err())
	}
}

// statuses are those of the runner, then those of disabled blocks.
func (g *generation) statuses() []spend.SourceStatus {
	return append(g.runner.Statuses(), g.off...)
}
