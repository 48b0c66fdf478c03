package app

import (
	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/config"
)

// judgeCaps returns how the caps of the configuration in force stand right now.
func (a *App) judgeCaps() ([]caps.Status, error) {
	g := a.current.Load()
	// The states come before the money: a pull that is applied in between then makes
	// the money newer than its date for a moment, never the date newer than the money.
	statuses := g.statuses()
	return a.caps.Evaluate(a.book.Snapshot(), statuses, g.caps, a.opts.Now())
}

// capsOf translates the caps of a configuration.
func capsOf(cfg *config.Config) []caps.Cap {
	var out []caps.Cap
	for _, c := range cfg.Caps {
		out = append(out, caps.Cap{
			Scope: c.Scope, Period: caps.Period(c.Period), Gross: c.Cost == config.CostGross,
			Match: caps.Match(c.Match), Soft: c.Soft, Hard: c.Hard,
		})
	}
	return out
}
