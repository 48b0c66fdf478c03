package rollup

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aispend/aispend/spend"
)

// ErrBadQuery is wrapped by every error of Query.
var ErrBadQuery = errors.New("bad query")

// Query answers q. Rows are sorted by the fields grouped by, in the order of
// GroupBy. A zero bound of the window is open. Costs and usage that fall into one
// group share its row; usage has no item. The error says what is wrong with q.
//
// The sources that feed the selection are those of the provider and account asked
// for: a model or project may turn up in any of them.
func (s *Snapshot) Query(q Query) (Result, error) {
	if err := q.check(); err != nil {
		return Result{}, err
	}
	r := newRun(s, q)
	res := Result{DataThrough: map[spend.SourceID]time.Time{}}
	for _, src := range s.sources {
		if q.selects(src.id) {
			res.DataThrough[src.id] = src.through
			r.collect(src)
		}
	}
	if r.possible {
		r.addUp()
	}
	var total sums
	for i := range r.slots.len {
		total.add(&r.slots.at(i).sums)
	}
	res.Rows, res.Totals = r.rows(), total.row()
	res.Unconverted, res.Tax = sortedApart(r.apart), sortedApart(r.tax)
	return res, nil
}

func (q Query) check() error {
	if q.Window.From != 0 && q.Window.To != 0 && q.Window.To < q.Window.From {
		return fmt.Errorf("%w: window from %s to %s is inverted", ErrBadQuery, q.Window.From, q.Window.To)
	}
	for i, d := range q.GroupBy {
		switch d {
		case ByProvider, ByModel, ByDay, ByMonth, ByProject, ByAccount, BySource, ByItem:
		default:
			return fmt.Errorf("%w: unknown dimension %q", ErrBadQuery, d)
		}
		if slices.Contains(q.GroupBy[:i], d) {
			return fmt.Errorf("%w: dimension %q given twice", ErrBadQuery, d)
		}
	}
	return nil
}

func (q Query) selects(id spend.SourceID) bool {
	return (q.Provider == "" || q.Provider == id.Provider) && (q.Account == "" || q.Account == id.Account)
}

// run is the work on one query. What a day part as a whole decides of the group
// (provider, account, source, day, month) is settled once per part; only model,
// project and item are looked at row by row.
type run struct {
	q     Query
	names view

	byModel, byProject, byItem bool
	// Filters as ids; everything is selected where the flag is not set. possible is
	// false if a name asked for does not exist.
	onModel, onProject bool
	model, project     uint32
	possible           bool

	outer  []outerKey // numbered as they turn up
	number map[outerKey]int
	parts  []partOf
	slots  slotList
	lookup slotTable
	// Money that is in no row, by keys without Cost.
	apart, tax map[Apart]spend.Money
}

// outerKey is the part of a group's key that a whole day part shares.
type outerKey struct {
	provider, account, source string
	day, month                spend.Day // month as its first day
}

// partOf is a selected day part with the number of its outer key.
type partOf struct {
	outer  int
	source *source
	part   *part
}

func newRun(s *Snapshot, q Query) *run {
	r := &run{
		q: q, names: s.names, possible: true,
		number: map[outerKey]int{}, apart: map[Apart]spend.Money{}, tax: map[Apart]spend.Money{},
	}
	r.byModel = slices.Contains(q.GroupBy, ByModel)
	r.byProject = slices.Contains(q.GroupBy, ByProject)
	r.byItem = slices.Contains(q.GroupBy, ByItem)
	r.onModel, r.model = r.filter(q.Model, s.names.models)
	r.onProject, r.project = r.filter(q.Project, s.names.projects)
	return r
}

func (r *run) filter(name string, list []string) (on bool, id uint32) {
	if name == "" {
		return false, 0
	}
	i := slices.Index(list, name)
	if i < 0 {
		r.possible = false
		return true, 0
	}
	return true, uint32(i)
}

// collect notes the source's parts that lie in the window.
func (r *run) collect(src *source) {
	from, to := src.within(r.q.Window)
	for i := from; i < to; i++ {
		k := r.outerKey(src.id, src.days[i])
		n, ok := r.number[k]
		if !ok {
			n = len(r.outer)
			r.number[k] = n
			r.outer = append(r.outer, k)
		}
		r.parts = append(r.parts, partOf{n, src, src.parts[i]})
	}
}

func (r *run) outerKey(id spend.SourceID, day spend.Day) (k outerKey) {
	for _, d := range r.q.GroupBy {
		switch d {
		case ByProvider:
			k.provider = id.Provider
		case ByAccount:
			k.account = id.Account
		case BySource:
			k.source = id.Source
		case ByDay:
			k.day = day
		case ByMonth:
			k.month = day.MonthStart()
		case ByModel, ByProject, ByItem:
		}
	}
	return k
}

// addUp fills the slots, one outer group after the other.
func (r *run) addUp() {
	slices.SortStableFunc(r.parts, func(a, b partOf) int { return a.outer - b.outer })
	r.lookup = r.newTable()
	whole := !r.byModel && !r.byProject && !r.byItem && !r.onModel && !r.onProject
	for i, p := range r.parts {
		if i == 0 || p.outer != r.parts[i-1].outer {
			r.lookup.next(r.slots.len)
		}
		if whole {
			r.addWhole(p)
		} else {
			r.addRows(p)
		}
		r.setApart(p)
	}
}

func (r *run) addWhole(p partOf) {
	if t := &p.part.total; t.hasCost || t.hasUsage {
		r.slot(p.outer, 0, 0, 0).add(t)
	}
}

func (r *run) addRows(p partOf) {
	model, project, item := p.part.columns()
	for i, gross := range p.part.gross {
		if r.wants(model[i], project[i]) {
			r.slot(p.outer, model[i], project[i], item[i]).addCharge(model[i], gross.Money(), spend.Money{})
		}
	}
	for _, c := range p.part.credits {
		if i := c.row; r.wants(model[i], project[i]) {
			r.slot(p.outer, model[i], project[i], item[i]).addCredit(model[i], c.amount.Money())
		}
	}
	for i := range p.part.rest {
		if c := &p.part.rest[i]; c.cost() && r.wants(c.model, c.project) {
			r.slot(p.outer, c.model, c.project, c.item).addCharge(c.model, c.usdGross, c.usdCredits)
		}
	}
	for i := range p.part.usage {
		if u := &p.part.usage[i]; r.wants(u.model, u.project) {
			r.slot(p.outer, u.model, u.project, 0).addUsage(u.counts)
		}
	}
}

// setApart adds up what is in no row.
func (r *run) setApart(p partOf) {
	for i := range p.part.rest {
		c := &p.part.rest[i]
		if c.cost() || !r.wants(c.model, c.project) {
			continue
		}
		id := p.source.id
		k := Apart{Provider: id.Provider, Account: id.Account, Source: id.Source, Currency: c.charge.Currency}
		cost, into := c.charge.Cost(), r.apart
		if c.charge.Tax {
			into = r.tax
		}
		if c.converted {
			k.Currency, cost = spend.USD, c.usdGross.Add(c.usdCredits)
		}
		into[k] = into[k].Add(cost)
	}
}

// wants reports whether the filters let a row through. A row without a model is
// found under its label.
func (r *run) wants(model, project uint32) bool {
	return (!r.onModel || max(model, otherModel) == r.model) && (!r.onProject || project == r.project)
}

// slot returns the group of a row of the outer group at hand.
func (r *run) slot(outer int, model, project, item uint32) *sums {
	if !r.byModel {
		model = 0
	} else if model == noModel {
		model = otherModel
	}
	if !r.byProject {
		project = 0
	}
	if !r.byItem {
		item = 0
	}
	at, fresh := r.lookup.find(model, project, item, r.slots.len)
	if !fresh {
		return &r.slots.at(at).sums
	}
	s := r.slots.add()
	s.outer, s.model, s.project, s.item = outer, model, project, item
	return &s.sums
}

func sortedApart(sums map[Apart]spend.Money) []Apart {
	var out []Apart
	for k, cost := range sums {
		k.Cost = cost
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b Apart) int {
		return cmp.Or(
			cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Account, b.Account),
			cmp.Compare(a.Source, b.Source), cmp.Compare(a.Currency, b.Currency),
		)
	})
	return out
}
