package rollup

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aispend/aispend/spend"
)

// ErrBadQuery is wrapped by every error of Query.
var ErrBadQuery = errors.New("bad query")

// Query answers q. Rows are sorted by the fields grouped by, in the order of
// GroupBy. A zero bound of the window is open. Costs and usage that fall into one
// group share its row; usage has no item. The error says what is wrong with q.
func (s *Snapshot) Query(q Query) (Result, error) {
	if err := q.check(); err != nil {
		return Result{}, err
	}
	r := run{q: q, groups: map[groupKey]*Row{}, apart: map[Unconverted]spend.Money{}}
	through := map[spend.SourceID]time.Time{}
	for _, src := range s.sources {
		if !q.selects(src.id) {
			continue
		}
		through[src.id] = src.through
		from, to := src.within(q.Window)
		for i := from; i < to; i++ {
			r.part(src.id, src.days[i], src.parts[i])
		}
	}
	return Result{Rows: r.rows(), Totals: r.totals, Unconverted: r.unconverted(), DataThrough: through}, nil
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

type groupKey struct {
	provider, model, project, account, source, item string
	day                                             spend.Day
	month                                           string
}

type run struct {
	q      Query
	groups map[groupKey]*Row
	totals Row
	apart  map[Unconverted]spend.Money // keys without Cost
}

func (r *run) part(id spend.SourceID, day spend.Day, p *part) {
	for _, c := range p.charges {
		if r.skips(c.ModelLabel(), c.Project) {
			continue
		}
		if c.Currency != spend.USD {
			k := Unconverted{Provider: id.Provider, Account: id.Account, Source: id.Source, Currency: c.Currency}
			r.apart[k] = r.apart[k].Add(c.Cost())
			continue
		}
		r.group(id, day, c.ModelLabel(), c.Project, c.Item).addCharge(c)
		r.totals.addCharge(c)
	}
	for _, u := range p.usage {
		if r.skips(u.ModelLabel(), u.Project) {
			continue
		}
		r.group(id, day, u.ModelLabel(), u.Project, "").addUsage(u)
		r.totals.addUsage(u)
	}
}

func (r *run) skips(model, project string) bool {
	return r.q.Model != "" && r.q.Model != model || r.q.Project != "" && r.q.Project != project
}

func (r *run) group(id spend.SourceID, day spend.Day, model, project, item string) *Row {
	var k groupKey
	for _, d := range r.q.GroupBy {
		switch d {
		case ByProvider:
			k.provider = id.Provider
		case ByModel:
			k.model = model
		case ByDay:
			k.day = day
		case ByMonth:
			k.month = day.String()[:len("YYYY-MM")]
			if k.day == 0 {
				k.day = day.MonthStart()
			}
		case ByProject:
			k.project = project
		case ByAccount:
			k.account = id.Account
		case BySource:
			k.source = id.Source
		case ByItem:
			k.item = item
		}
	}
	if slices.Contains(r.q.GroupBy, ByDay) {
		k.day = day
	}
	row, ok := r.groups[k]
	if !ok {
		row = &Row{
			Provider: k.provider, Model: k.model, Project: k.project, Account: k.account,
			Source: k.source, Item: k.item, Day: k.day, Month: k.month,
		}
		r.groups[k] = row
	}
	return row
}

func (row *Row) addCharge(c spend.Charge) {
	row.HasCost = true
	row.Gross = row.Gross.Add(c.Gross)
	row.Credits = row.Credits.Add(c.Credits)
	row.Cost = row.Cost.Add(c.Cost())
	if c.Model == "" {
		row.Unattributed = row.Unattributed.Add(c.Cost())
	}
}

func (row *Row) addUsage(u spend.Usage) {
	row.HasUsage = true
	row.Input += u.Input
	row.Output += u.Output
	row.CacheRead += u.CacheRead
	row.CacheWrite += u.CacheWrite
	row.Uncosted += u.Uncosted
	if u.HasRequests {
		row.HasRequests = true
		row.Requests += u.Requests
	}
}

func (r *run) rows() []Row {
	rows := make([]Row, 0, len(r.groups))
	for _, row := range r.groups {
		rows = append(rows, *row)
	}
	slices.SortFunc(rows, func(a, b Row) int { return compareRows(r.q.GroupBy, &a, &b) })
	return rows
}

func compareRows(dims []Dim, a, b *Row) int {
	for _, d := range dims {
		c := 0
		switch d {
		case ByProvider:
			c = cmp.Compare(a.Provider, b.Provider)
		case ByModel:
			c = cmp.Compare(a.Model, b.Model)
		case ByDay:
			c = cmp.Compare(a.Day, b.Day)
		case ByMonth:
			c = cmp.Compare(a.Month, b.Month)
		case ByProject:
			c = cmp.Compare(a.Project, b.Project)
		case ByAccount:
			c = cmp.Compare(a.Account, b.Account)
		case BySource:
			c = cmp.Compare(a.Source, b.Source)
		case ByItem:
			c = cmp.Compare(a.Item, b.Item)
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

func (r *run) unconverted() []Unconverted {
	var out []Unconverted
	for k, cost := range maps.All(r.apart) {
		k.Cost = cost
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b Unconverted) int {
		return cmp.Or(
			cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Account, b.Account),
			cmp.Compare(a.Source, b.Source), cmp.Compare(a.Currency, b.Currency),
		)
	})
	return out
}
