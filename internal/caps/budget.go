package caps

import (
	"slices"
	"time"

	"github.com/aispend/aispend/spend"
)

// budgetFeed is an account of which only budgets are known.
type budgetFeed struct {
	status  spend.SourceStatus
	through time.Time    // how far the budget that counts reaches, or else the newest one
	counted *BudgetSpend // nil: none can be counted
}

func (b budgetFeed) counts() bool { return b.counted != nil }

// addBudget looks for the budget of a source that the cap may count.
func (v *evaluation) addBudget(c Cap, st spend.SourceStatus) {
	feed := budgetFeed{status: st, through: st.DataThrough}
	i := slices.IndexFunc(st.Budgets, func(b spend.Budget) bool { return st.Counted != "" && b.Name() == st.Counted })
	if i >= 0 {
		if n, ok := st.Budgets[i].Notice(); ok {
			feed.through = n.PublishedAt
			if c.countsBudgets() && v.ofMonth(n) {
				feed.counted = &BudgetSpend{
					Source: st.ID, Budget: st.Budgets[i], Spend: n.Spend, IntervalStart: n.IntervalStart,
					PublishedAt: n.PublishedAt,
				}
			}
		}
	}
	v.budgets = append(v.budgets, feed)
}

// countsBudgets reports whether the cap limits months of everything that a budget can
// stand for.
func (c Cap) countsBudgets() bool {
	return c.Period == Month && (c.Scope == ScopeGlobal || c.Scope == "vertex")
}

// ofMonth reports whether a notification is about the cap's month, in dollars. For some
// hours after the month has begun in UTC a budget tells of the whole month before.
func (v *evaluation) ofMonth(n spend.BudgetNotice) bool {
	return n.Currency == spend.USD && !n.IntervalStart.Before(v.window.From.Time()) &&
		n.IntervalStart.Before(v.window.To.Time())
}
