package app

import (
	"context"
	"fmt"
	"time"

	"github.com/aispend/aispend/collector"
	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/hardcap"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/signature"
	"github.com/aispend/aispend/spend"
)

// loadHook builds the kill switch with what the outbox holds. It delivers from the
// moment that startDeliveries is called.
func (a *App) loadHook(ctx context.Context) error {
	a.hook = hardcap.New(hardcap.Options{
		Outbox: a.store, Ledger: ledger{a}, Target: a.hookTarget, UserAgent: userAgent(),
		Logger: a.log.With("component", "hardcap"), Now: a.opts.Now,
	})
	if err := a.hook.Load(ctx); err != nil {
		return fmt.Errorf("starting the hard-cap hook: %w", err)
	}
	return nil
}

// startDeliveries runs the deliveries until the teardown, which waits for those under way.
func (a *App) startDeliveries(down *teardown) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.hook.Run(ctx)
	}()
	down.push("hard-cap deliveries", func(ctx context.Context) error {
		cancel()
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("deliveries did not stop in time: %w", ctx.Err())
		}
	})
}

// hookTarget reads the files of the URL and of the secrets anew, so that rotating one
// needs no restart.
func (a *App) hookTarget() (hardcap.Target, error) {
	c := a.config().HardCap
	if c.DryRun || !c.URL.Set() {
		return hardcap.Target{DryRun: c.DryRun}, nil // nothing is sent: what cannot be read holds nothing up
	}
	url, err := c.HookURL()
	if err != nil {
		return hardcap.Target{}, fmt.Errorf("hard_cap.url %w", err)
	}
	t := hardcap.Target{URL: url}
	if c.Secret.Set() {
		text, err := c.Secret.Get()
		if err != nil {
			return hardcap.Target{}, fmt.Errorf("hard_cap.secret: %w", err)
		}
		if t.Keys, err = signature.ParseKeys(text); err != nil {
			return hardcap.Target{}, fmt.Errorf("hard_cap.secret: %w", err)
		}
		if len(t.Keys) == 0 {
			// A configured secret that has become empty must not turn signing off.
			return hardcap.Target{}, fmt.Errorf("hard_cap.secret: %w", signature.ErrSecret)
		}
	}
	return t, nil
}

// hookFigures is what /metrics shows of the hook.
func (a *App) hookFigures() (collector.Hook, error) {
	statuses, err := a.judgeCaps()
	if err != nil {
		return collector.Hook{}, err
	}
	s := a.hook.Stats(statuses)
	out := collector.Hook{Deliveries: map[string]uint64{}, Pending: s.Pending, OldestPending: s.OldestPending}
	for outcome, n := range s.Deliveries {
		out.Deliveries[string(outcome)] = n
	}
	for _, d := range s.Delivered {
		out.Delivered = append(out.Delivered, collector.HookDelivered{
			Scope: d.Scope, Period: string(d.Period), Delivered: d.Delivered,
		})
	}
	return out, nil
}

// ledger is what the hook asks.
type ledger struct{ a *App }

// Look returns the caps and the sources. The states come before the money, as in judgeCaps.
func (l ledger) Look() ([]caps.Status, []spend.SourceStatus, error) {
	g := l.a.current.Load()
	sources := g.statuses()
	statuses, err := l.a.caps.Evaluate(l.a.book.Snapshot(), sources, g.caps, l.a.opts.Now())
	return statuses, sources, err
}

// Totals adds up what each provider cost in a window.
func (l ledger) Totals(w spend.Window, gross bool) (map[string]spend.Money, error) {
	res, err := l.a.book.Snapshot().Query(rollup.Query{Window: w, GroupBy: []rollup.Dim{rollup.ByProvider}})
	if err != nil {
		return nil, err
	}
	out := map[string]spend.Money{}
	for _, row := range res.Rows {
		switch {
		case !row.HasCost:
		case gross:
			out[row.Provider] = row.Gross
		default:
			out[row.Provider] = row.Cost
		}
	}
	return out, nil
}

// Hurry asks the loops in force now for a newer pull.
func (l ledger) Hurry(id spend.SourceID, since time.Time) {
	l.a.current.Load().runner.Hurry(id, since)
}
