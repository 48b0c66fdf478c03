package collector

import (
	dto "github.com/prometheus/client_model/go"

	"github.com/aispend/aispend/internal/caps"
)

// gatherCaps exposes how every cap stands. What is not known has no series: a rule
// could not tell a 0 from the truth. Err costs the families, and the page says so.
func gatherCaps(statuses []caps.Status, err error) ([]*dto.MetricFamily, error) {
	if err != nil {
		return nil, err
	}
	fs := newFamilies()
	limit, exhaustion := fs.open(capLimit, 2*len(statuses)), fs.open(capExhaustion, len(statuses))
	spent, projected := fs.open(capSpend, len(statuses)), fs.open(capProjected, len(statuses))
	start, end := fs.open(capPeriodStart, len(statuses)), fs.open(capPeriodEnd, len(statuses))
	through := fs.open(capDataThrough, len(statuses))
	gaps := fs.open(capDataGaps, len(caps.Reasons())*len(statuses))
	models, budgets := fs.open(capTopModel, len(statuses)), fs.open(capBudget, 0)
	for _, s := range statuses {
		scope, period := clean(s.Scope), clean(string(s.Period))
		for _, l := range s.Levels {
			limit.set(l.Limit.Float64(), scope, period, string(l.Level))
			if !l.Exhaustion.IsZero() {
				exhaustion.set(timestamp(l.Exhaustion), scope, period, string(l.Level))
			}
		}
		if s.Known {
			spent.set(s.Spend.Float64(), scope, period)
		}
		if s.Projected != nil {
			projected.set(s.Projected.Float64(), scope, period)
		}
		start.set(timestamp(s.Start()), scope, period)
		end.set(timestamp(s.End()), scope, period)
		through.set(timestamp(s.DataThrough), scope, period)
		for _, r := range caps.Reasons() {
			gaps.set(float64(s.Gaps[r]), scope, period, string(r))
		}
		for _, m := range s.TopModels {
			models.set(m.Spend.Float64(), scope, period, clean(m.Model))
		}
		for _, b := range s.Budgets {
			budgets.set(b.Spend.Float64(), scope, period, clean(b.Budget.ID))
		}
	}
	return fs.list(), nil
}
