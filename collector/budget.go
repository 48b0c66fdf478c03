package collector

import (
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

// spendCapStates are those of apis/google-vertex.md section 4.
func spendCapStates() []string { return []string{"CONFIGURED", "ENFORCED", "AWAITING_NEXT_PERIOD"} }

// excludesCredits is Google's creditTypesTreatment of budgets of gross cost.
const excludesCredits = "EXCLUDE_ALL_CREDITS"

// gatherBudgets exposes every budget that any source knows. None is added up, and what
// is not known has no series: without a notification nothing is known to be spent.
func gatherBudgets(snap *rollup.Snapshot, statuses []spend.SourceStatus, now time.Time) ([]*dto.MetricFamily, error) {
	fs := newFamilies()
	b := &budgets{
		snap: snap, now: now,
		spend: fs.open(budgetSpend, 0), limit: fs.open(budgetLimit, 0), threshold: fs.open(budgetThreshold, 0),
		forecast: fs.open(budgetForecast, 0), start: fs.open(budgetIntervalStart, 0), update: fs.open(budgetLastUpdate, 0),
		spendCap: fs.open(budgetSpendCap, 0), info: fs.open(budgetInfo, 0), difference: fs.open(budgetDifference, 0),
	}
	seen := map[[3]string]bool{}
	for _, st := range cleanStatuses(statuses) {
		for _, budget := range st.Budgets {
			if k := [3]string{st.ID.Provider, st.ID.Account, clean(budget.ID)}; !seen[k] {
				seen[k] = true
				if err := b.add(st, budget, k[:]); err != nil {
					return nil, err
				}
			}
		}
	}
	return fs.list(), nil
}

type budgets struct {
	snap *rollup.Snapshot
	now  time.Time

	spend, limit, threshold, forecast, start, update, spendCap, info, difference *family
}

func (b *budgets) add(st spend.SourceStatus, budget spend.Budget, labels []string) error {
	with := func(more string) []string { return append(labels[:3:3], clean(more)) }
	b.info.set(1, with(budget.DisplayName())...)
	if limit, currency, ok := budget.Limit(); ok {
		b.limit.set(limit.Float64(), with(currency)...)
	}
	if s := budget.Settings; s != nil && s.SpendCap != "" {
		for _, state := range spendCapStates() {
			b.spendCap.set(boolean(s.SpendCap == state), with(strings.ToLower(state))...)
		}
	}
	n, ok := budget.Notice()
	if !ok {
		return nil
	}
	b.spend.set(n.Spend.Float64(), with(n.Currency)...)
	b.threshold.set(orZero(n.AlertThreshold), labels...)
	b.forecast.set(orZero(n.ForecastThreshold), labels...)
	b.start.set(timestamp(n.IntervalStart), labels...)
	b.update.set(timestamp(n.PublishedAt), labels...)
	if st.BudgetOnly || budget.Name() != st.Counted {
		return nil
	}
	return b.compare(st.ID, budget, n, labels)
}

// compare sets how far a budget that is about the current month is from what the
// account is billed. Both are only near: the budget's month is Pacific, and its
// credits are those that its settings say.
func (b *budgets) compare(id spend.SourceID, budget spend.Budget, n spend.BudgetNotice, labels []string) error {
	first := spend.DayOf(b.now).MonthStart()
	w := spend.Window{From: first, To: first.AddMonths(1)}
	if n.Currency != spend.USD || !w.Contains(spend.DayOf(n.IntervalStart)) {
		return nil
	}
	res, err := b.snap.Query(rollup.Query{Window: w, Provider: id.Provider, Account: id.Account})
	if err != nil {
		return err
	}
	billed := res.Totals.Cost
	if budget.Settings != nil && budget.Settings.Credits == excludesCredits {
		billed = res.Totals.Gross
	}
	if res.Totals.HasCost {
		b.difference.set(n.Spend.Sub(billed).Float64(), labels...)
	}
	return nil
}

func orZero(m *spend.Money) float64 {
	if m == nil {
		return 0
	}
	return m.Float64()
}
