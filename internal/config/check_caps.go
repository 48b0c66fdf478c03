package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

// The values of Cap.Period.
const (
	PeriodDay   = "day"
	PeriodWeek  = "week"
	PeriodMonth = "month"
)

// The values of Cap.Cost.
const (
	CostNet   = "net"
	CostGross = "gross"
)

// ScopeGlobal is the built-in scope over all providers; the other built-in scopes
// are named like the provider types.
const ScopeGlobal = "global"

// builtinScopes are the scopes of contract section 5 that take no match.
func builtinScopes() []string { return []string{"openai", "anthropic", typeVertex, ScopeGlobal} }

// Off reports whether the cap has no level: it is configured and limits nothing.
func (c Cap) Off() bool { return c.Soft.IsZero() && c.Hard.IsZero() }

func (d *decoder) checkCaps(c *Config) {
	type id struct{ scope, period string }
	first := map[id]int{}
	for i, limit := range c.Caps {
		key := fmt.Sprintf("caps[%d]", i)
		d.checkScope(key, limit)
		d.checkCap(key, limit)
		this := id{limit.Scope, limit.Period}
		if at, twice := first[this]; twice {
			d.errorf(key, "is a second cap for %s per %s (the first is caps[%d] on line %d): "+
				"write both levels into one cap, or give this one another scope and a match",
				quote(limit.Scope), limit.Period, at, d.places[fmt.Sprintf("caps[%d]", at)].line)
			continue
		}
		first[this] = i
		d.warnUnfed(key, limit, c)
		d.checkBudgetOnly(key, limit, c)
	}
}

// checkBudgetOnly looks at caps over vertex where no block has a billing export: a
// budget knows the months of its own account, and neither days nor models nor projects.
func (d *decoder) checkBudgetOnly(key string, limit Cap, c *Config) {
	over := limit.Scope == typeVertex || limit.Match.Provider == typeVertex
	blocks := slices.DeleteFunc(slices.Clone(c.Providers), func(p Provider) bool {
		return !p.Enabled || p.Type != typeVertex || limit.Match.Account != "" && p.Account != limit.Match.Account
	})
	exported := slices.ContainsFunc(blocks, func(p Provider) bool { return !p.BudgetOnly() })
	counted := slices.ContainsFunc(blocks, func(p Provider) bool { return p.Counted() != "" })
	switch {
	case limit.Off() || !over || len(blocks) == 0 || exported:
	case limit.Match != Match{}:
		d.errorf(key+".match", "needs a billing export: no enabled vertex block has bigquery, and a budget tells "+
			"neither models nor projects nor accounts; add bigquery, or use scope: vertex with period: month")
	case limit.Period != PeriodMonth:
		d.errorf(key+".period", "%s needs a billing export: no enabled vertex block has bigquery, and a budget "+
			"tells months only; add bigquery, or write period: month", limit.Period)
	case !counted:
		d.warnf(key, "no enabled vertex block has bigquery or a budget with counts_as: vertex: "+
			"this cap cannot be evaluated and shows the gap budget_period")
	}
}

// BudgetOnly reports whether budgets are all that the block knows.
func (p Provider) BudgetOnly() bool {
	return len(p.Sources) > 0 && !slices.ContainsFunc(p.Sources, func(t providers.SourceType) bool {
		return t.Kind == providers.Costs
	})
}

// Notified reports whether anything tells what is spent of the block's budgets.
func (p Provider) Notified() bool {
	b, ok := p.Settings.(providers.Budgeter)
	return ok && b.Notified()
}

// Counted returns the name of the budget of the block that month caps count; empty if
// none.
func (p Provider) Counted() string {
	if b, ok := p.Settings.(providers.Budgeter); ok {
		return b.Counted()
	}
	return ""
}

func (d *decoder) checkScope(key string, c Cap) {
	builtin := slices.Contains(builtinScopes(), c.Scope)
	switch {
	case c.Scope == "":
		d.errorf(key+".scope",
			"is missing: write %s, or any name together with match", strings.Join(builtinScopes(), ", "))
	case !validScope(c.Scope):
		d.errorf(key+".scope",
			"%s is not a scope: at most 64 bytes, without control characters or outer spaces", quote(c.Scope))
	case builtin && d.given(key+".match"):
		d.errorf(key+".match",
			"cannot be combined with the built-in scope %s: remove it, or name the scope otherwise", c.Scope)
	case !builtin && c.Match == (Match{}):
		d.errorf(key+".match",
			"is missing: a scope of your own (%s) needs at least one of provider, account, project, model; "+
				"built in are %s", quote(c.Scope), strings.Join(builtinScopes(), ", "))
	}
	if p := c.Match.Provider; p != "" && !slices.Contains(d.typeNames(), p) {
		d.errorf(key+".match.provider",
			"%s is not a provider type: write %s", quote(p), oneOf(d.typeNames()))
	}
	if a := c.Match.Account; a != "" && !validAccount(a) {
		d.errorf(key+".match.account", "%s is not an account name: 1 to 64 letters, digits, _ . or -", quote(a))
	}
	d.checkLabel(key+".match.project", c.Match.Project)
	d.checkLabel(key+".match.model", c.Match.Model)
}

// checkLabel refuses what no row of the ledger is called: the cap would stand at 0.
func (d *decoder) checkLabel(key, label string) {
	if _, changed := spend.CleanLabel(label); changed {
		d.errorf(key, "%s can match nothing: at most %d bytes, without control characters or outer spaces",
			quote(label), spend.MaxLabelBytes)
	}
}

func validScope(s string) bool {
	clean, changed := spend.CleanLabel(s)
	return !changed && clean == strings.TrimSpace(s) && len(s) <= 64
}

func (d *decoder) checkCap(key string, c Cap) {
	if periods := []string{PeriodDay, PeriodWeek, PeriodMonth}; !slices.Contains(periods, c.Period) {
		d.errorf(key+".period", "%s must be %s", quote(c.Period), oneOf(periods))
	}
	if costs := []string{CostNet, CostGross}; !slices.Contains(costs, c.Cost) {
		d.errorf(key+".cost", "%s must be %s", quote(c.Cost), oneOf(costs))
	}
	if !d.given(key+".soft_usd") && !d.given(key+".hard_usd") {
		d.errorf(key, "has no level: give soft_usd, hard_usd or both (0 for none)")
	}
	if !c.Soft.IsZero() && !c.Hard.IsZero() && c.Soft.Cmp(c.Hard) > 0 {
		d.errorf(key+".soft_usd",
			"%s is above hard_usd (%s): the soft level warns first, so it cannot be the higher one", c.Soft, c.Hard)
	}
}

// warnUnfed tells of a cap over a provider or an account that nothing is read from.
func (d *decoder) warnUnfed(key string, limit Cap, c *Config) {
	provider, account := limit.Match.Provider, limit.Match.Account
	if limit.Scope != ScopeGlobal && slices.Contains(builtinScopes(), limit.Scope) {
		provider = limit.Scope
	}
	if limit.Off() || provider == "" && account == "" {
		return
	}
	if slices.ContainsFunc(c.Providers, func(p Provider) bool {
		return p.Enabled && (provider == "" || p.Type == provider) && (account == "" || p.Account == account)
	}) {
		return
	}
	who := "provider"
	if account != "" {
		who = "account " + account
	}
	if provider != "" {
		who += " of type " + provider
	}
	d.warnf(key, "no enabled %s feeds this cap: it cannot be evaluated", who)
}
