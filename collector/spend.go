package collector

import (
	"errors"
	"maps"
	"slices"

	dto "github.com/prometheus/client_model/go"

	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

// exposure is the part of Settings that shapes the spend families.
type exposure struct {
	dailyWindow int
	maxSeries   int
	byProject   bool
}

// spendBuild turns one snapshot into families, as seen on one day.
type spendBuild struct {
	snap    *rollup.Snapshot
	today   spend.Day
	set     exposure
	byModel []*series // the families with a model label, which share the budget
	rest    []*series
	errs    []error
}

// buildSpend returns every family that the ledger alone fills. With an error the
// families that could be built are returned all the same.
func buildSpend(snap *rollup.Snapshot, today spend.Day, set exposure) ([]*dto.MetricFamily, error) {
	b := &spendBuild{snap: snap, today: today, set: set}
	b.daily()
	b.currentDay()
	b.yesterday()
	b.month()
	b.previousMonth()
	b.monthByProvider()
	b.monthByAccount()
	b.expected()
	for _, s := range slices.Concat(b.byModel, b.rest) {
		s.merge()
	}
	saved := fold(b.byModel, set.maxSeries, b.ranking())
	fs := newFamilies()
	for _, s := range slices.Concat(b.byModel, b.rest) {
		s.gauges(fs)
	}
	b.charges(fs)
	fs.one(seriesFolded, float64(saved))
	return fs.list(), errors.Join(b.errs...)
}

// The windows. A month is the whole calendar month: should a provider's clock be
// ahead of ours, its newest day belongs to its month already.
func (b *spendBuild) dayWindow(d spend.Day) spend.Window { return spend.Window{From: d, To: d + 1} }

func (b *spendBuild) monthWindow() spend.Window {
	return spend.Window{From: b.today.MonthStart(), To: b.today.AddMonths(1)}
}

func (b *spendBuild) previousMonthWindow() spend.Window {
	return spend.Window{From: b.today.AddMonths(-1), To: b.today.MonthStart()}
}

func (b *spendBuild) dailyWindow() spend.Window {
	return spend.Window{From: b.today + 1 - spend.Day(b.set.dailyWindow), To: b.today + 1}
}

func (b *spendBuild) query(w spend.Window, dims ...rollup.Dim) rollup.Result {
	r, err := b.snap.Query(rollup.Query{Window: w, GroupBy: dims})
	if err != nil {
		b.errs = append(b.errs, err)
	}
	return r
}

func (b *spendBuild) models(w spend.Window) []rollup.Row {
	return b.query(w, rollup.ByProvider, rollup.ByModel).Rows
}

func (b *spendBuild) money(m metric) *series {
	s := &series{metric: m, money: true}
	b.add(s)
	return s
}

func (b *spendBuild) counts(m metric) *series {
	s := &series{metric: m}
	b.add(s)
	return s
}

func (b *spendBuild) add(s *series) {
	if slices.Contains(catalog[s.metric].Labels, "model") {
		b.byModel = append(b.byModel, s)
	} else {
		b.rest = append(b.rest, s)
	}
}

func (b *spendBuild) daily() {
	if b.set.dailyWindow <= 0 {
		return
	}
	days := map[spend.Day]string{}
	s := b.money(dailyCost)
	for _, r := range b.query(b.dailyWindow(), rollup.ByProvider, rollup.ByModel, rollup.ByDay).Rows {
		if !r.HasCost {
			continue
		}
		if days[r.Day] == "" {
			days[r.Day] = r.Day.String()
		}
		s.addMoney(r.Cost, clean(r.Provider), clean(r.Model), days[r.Day])
	}
}

func (b *spendBuild) currentDay() {
	rows := b.models(b.dayWindow(b.today))
	b.cost(todayCost, rows)
	b.usage(todayTokens, todayRequests, rows)
}

func (b *spendBuild) yesterday() { b.cost(yesterdayCost, b.models(b.dayWindow(b.today-1))) }

func (b *spendBuild) month() {
	rows := b.models(b.monthWindow())
	b.cost(monthCost, rows)
	b.usage(monthTokens, monthRequests, rows)
	s := b.counts(monthUncosted)
	for _, r := range rows {
		if r.Uncosted != 0 {
			s.addCount(r.Uncosted, clean(r.Provider), clean(r.Model))
		}
	}
}

func (b *spendBuild) previousMonth() { b.cost(previousMonthCost, b.models(b.previousMonthWindow())) }

// cost adds a family of cost by model. A model that was used but not yet billed
// has no cost, which differs from a cost of 0.
func (b *spendBuild) cost(m metric, rows []rollup.Row) {
	s := b.money(m)
	for _, r := range rows {
		if r.HasCost {
			s.addMoney(r.Cost, clean(r.Provider), clean(r.Model))
		}
	}
}

func (b *spendBuild) usage(tokens, requests metric, rows []rollup.Row) {
	t, q := b.counts(tokens), b.counts(requests)
	for _, r := range rows {
		if !r.HasUsage {
			continue
		}
		provider, model := clean(r.Provider), clean(r.Model)
		t.addCount(r.Input, provider, model, "input")
		t.addCount(r.Output, provider, model, "output")
		t.addCount(r.CacheRead, provider, model, "cache_read")
		t.addCount(r.CacheWrite, provider, model, "cache_write")
		if r.HasRequests {
			q.addCount(r.Requests, provider, model)
		}
	}
}

func (b *spendBuild) monthByProvider() {
	res := b.query(b.monthWindow(), rollup.ByProvider)
	gross, credits, unattributed := b.money(monthGross), b.money(monthCredits), b.money(monthUnattributed)
	for _, r := range res.Rows {
		if !r.HasCost {
			continue
		}
		provider := clean(r.Provider)
		gross.addMoney(r.Gross, provider)
		credits.addMoney(r.Credits, provider)
		unattributed.addMoney(r.Unattributed, provider)
	}
	apart := b.money(monthUnconverted)
	for _, u := range res.Unconverted {
		apart.addMoney(u.Cost, clean(u.Provider), clean(u.Currency))
	}
	tax := b.money(monthTax)
	for _, u := range res.Tax {
		tax.addMoney(u.Cost, clean(u.Provider), clean(u.Currency))
	}
}

func (b *spendBuild) monthByAccount() {
	accounts := b.money(accountMonthCost)
	for _, r := range b.query(b.monthWindow(), rollup.ByProvider, rollup.ByAccount).Rows {
		if r.HasCost {
			accounts.addMoney(r.Cost, clean(r.Provider), clean(r.Account))
		}
	}
	if !b.set.byProject {
		return
	}
	projects := b.money(projectMonthCost)
	dims := []rollup.Dim{rollup.ByProvider, rollup.ByAccount, rollup.ByProject}
	for _, r := range b.query(b.monthWindow(), dims...).Rows {
		if r.HasCost {
			projects.addMoney(r.Cost, clean(r.Provider), clean(r.Account), clean(r.Project))
		}
	}
}

func (b *spendBuild) expected() {
	s := b.money(expectedDaily)
	for provider := range b.providers() {
		if v, ok := b.snap.ExpectedDaily(provider, b.today); ok {
			s.addMoney(v, clean(provider))
		}
	}
}

func (b *spendBuild) charges(fs *families) {
	f := fs.open(charges, 0)
	providers := b.providers()
	for _, provider := range slices.Sorted(maps.Keys(providers)) {
		f.set(float64(b.snap.Charges(provider)), clean(provider))
	}
}

func (b *spendBuild) providers() map[string]bool {
	out := map[string]bool{}
	for _, id := range b.snap.Sources() {
		out[id.Provider] = true
	}
	return out
}

// ranking is what each model cost over all the days that any family shows.
func (b *spendBuild) ranking() map[modelKey]spend.Money {
	if b.set.maxSeries <= 0 || countPoints(b.byModel) <= b.set.maxSeries {
		return nil
	}
	from := min(b.previousMonthWindow().From, b.dailyWindow().From)
	cost := map[modelKey]spend.Money{}
	for _, r := range b.models(spend.Window{From: from, To: b.monthWindow().To}) {
		k := modelKey{clean(r.Provider), clean(r.Model)}
		cost[k] = cost[k].Add(r.Cost)
	}
	return cost
}
