// Package caps judges spend limits: how much of which cap is spent in the period
// at hand, how sure that is, and when a level will be reached. It is pure
// arithmetic over a rollup snapshot and the states of the sources; the clock is
// handed in, so that a period rolls over without a pull. Levels are compared in
// exact decimals; no float decides anything.
package caps

import (
	"time"

	"github.com/aispend/aispend/spend"
)

// Period is the stretch of time that a cap limits, in UTC.
type Period string

// The periods.
const (
	Day   Period = "day"
	Week  Period = "week" // ISO: from Monday
	Month Period = "month"
)

// Level is one of the two limits of a cap.
type Level string

// The levels.
const (
	Soft Level = "soft"
	Hard Level = "hard"
)

// Levels lists the levels, the lower one first.
func Levels() []Level { return []Level{Soft, Hard} }

// ScopeGlobal is the built-in scope over everything.
const ScopeGlobal = "global"

// Match selects charges; an empty field selects all.
type Match struct {
	Provider string
	Account  string
	Project  string
	Model    string // matched against the label, "other" included; * stands for any characters
}

// Cap is one spend limit of the configuration. It is valid: the configuration has
// checked it.
type Cap struct {
	Scope  string
	Period Period
	Gross  bool  // before credits; otherwise net of them
	Match  Match // of a named scope; the built-in ones have none
	Soft   spend.Money
	Hard   spend.Money
}

// Off reports whether the cap has no level: it limits nothing.
func (c Cap) Off() bool { return c.Soft.IsZero() && c.Hard.IsZero() }

// Limit returns the limit of a level, and false if the level is off.
func (c Cap) Limit(l Level) (spend.Money, bool) {
	limit := c.Soft
	if l == Hard {
		limit = c.Hard
	}
	return limit, !limit.IsZero()
}

// Selection returns what the cap adds up: that of a built-in scope, else its match.
func (c Cap) Selection() Match {
	switch c.Scope {
	case ScopeGlobal:
		return Match{}
	case "openai", "anthropic", "vertex":
		return Match{Provider: c.Scope}
	default:
		return c.Match
	}
}

// FedBy reports whether a source feeds the cap: it is enabled, bills money, and the
// cap can select it. Budgets feed it only where no other source tells of their account.
func (c Cap) FedBy(st spend.SourceStatus) bool {
	return st.Enabled && !st.Usage && (!st.BudgetSource || st.BudgetOnly) && c.Selection().feeds(st.ID)
}

// Reason is why a cap's spend may be more than what is shown.
type Reason string

// The reasons, as in contract section 6.
const (
	// NeverPulled: days of the period are not in the ledger although the data
	// reaches beyond them, because the source was never read or not that far back;
	// or nothing of the period was read although its first pull is overdue.
	NeverPulled Reason = "never_pulled"
	// Stale: the data is older than the source's max_staleness.
	Stale Reason = "stale"
	// Held: a suspicious empty window is held back.
	Held Reason = "held"
	// Unconverted: money of the period is in a currency without a known rate.
	Unconverted Reason = "unconverted"
	// BudgetPeriod: a budget is all that is known of an account, and it cannot be
	// counted: nobody said that it may be, it is not in USD, its interval does not begin
	// in the cap's month, or the cap is not one over months of everything.
	BudgetPeriod Reason = "budget_period"
)

// Reasons lists every reason, in the order of the contract.
func Reasons() []Reason { return []Reason{NeverPulled, Stale, Held, Unconverted, BudgetPeriod} }

// Status is how one cap stands. It is a copy: whoever receives it owns it.
type Status struct {
	Cap

	// Window is the period as days; Start and End return its instants.
	Window spend.Window
	// Known is false until at least one source that feeds the cap covers the
	// period's start. Then there is no spend, which differs from a spend of 0, and
	// nothing that follows from it.
	Known bool
	// Spend is exact, and a lower bound if there are gaps.
	Spend spend.Money
	// Budgets are those that Spend counts in the place of charges, in the order of
	// the sources.
	Budgets []BudgetSpend
	// Projected is what the period will have cost at its end; nil where the contract
	// has no projection.
	Projected *spend.Money
	// Levels are the levels that are on, the lower one first.
	Levels []LevelStatus
	// DataThrough is how far the oldest source that feeds the cap reaches; zero if
	// one of them was never read, or if there is none.
	DataThrough time.Time
	// Gaps holds every reason with the number of sources that it applies to.
	Gaps map[Reason]int
	// TopModels are the most expensive models of the period, at most three.
	TopModels []ModelSpend

	// FromCharges is set if a source of charges feeds the cap.
	FromCharges bool
}

// LevelStatus is how one level of a cap stands.
type LevelStatus struct {
	Level Level
	Limit spend.Money
	// Reached: the spend is the limit or more.
	Reached bool
	// Percent is the spend in percent of the limit, rounded down to two decimals.
	Percent float64
	// Exhaustion is when the spend is projected to reach the limit within the
	// period, in whole seconds; zero if it is not, or has reached it already.
	Exhaustion time.Time
}

// BudgetSpend is what one budget says of an account that has no charges: the spend of
// its own interval, which begins some hours after the cap's period (at midnight in
// Pacific time), with the credits and for the services that the budget counts.
type BudgetSpend struct {
	Source        spend.SourceID
	Budget        spend.Budget
	Spend         spend.Money // USD
	IntervalStart time.Time
	PublishedAt   time.Time
}

// ModelSpend is what one model cost in the period.
type ModelSpend struct {
	Model string
	Spend spend.Money
}

// Start returns the first instant of the period.
func (s Status) Start() time.Time { return s.Window.From.Time() }

// End returns the first instant after the period.
func (s Status) End() time.Time { return s.Window.To.Time() }

// Reached returns the highest level reached, "" if none is.
func (s Status) Reached() Level {
	var highest Level
	for _, l := range s.Levels {
		if l.Reached {
			highest = l.Level
		}
	}
	return highest
}

// Level returns how one level stands, and false if the level is off.
func (s Status) Level(l Level) (LevelStatus, bool) {
	for _, st := range s.Levels {
		if st.Level == l {
			return st, true
		}
	}
	return LevelStatus{}, false
}

// Basis says what the spend was made of: charges, a budget, or both.
func (s Status) Basis() string {
	switch {
	case len(s.Budgets) == 0:
		return "charges"
	case s.FromCharges:
		return "charges and budget"
	default:
		return "budget"
	}
}

// HasGaps reports whether the spend may be more than what is shown.
func (s Status) HasGaps() bool {
	for _, n := range s.Gaps {
		if n > 0 {
			return true
		}
	}
	return false
}
