package rollup_test

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

// oracle is the ledger once more, as simply as it can be said.
type oracle struct {
	days    map[spend.SourceID]map[spend.Day]spend.Statement
	through map[spend.SourceID]time.Time
}

func newOracle() *oracle {
	return &oracle{map[spend.SourceID]map[spend.Day]spend.Statement{}, map[spend.SourceID]time.Time{}}
}

func (o *oracle) source(id spend.SourceID) map[spend.Day]spend.Statement {
	if o.days[id] == nil {
		o.days[id] = map[spend.Day]spend.Statement{}
		o.through[id] = time.Time{}
	}
	return o.days[id]
}

// groupOf spells a row's group out of the dimensions asked for.
func groupOf(by []rollup.Dim, id spend.SourceID, d spend.Day, model, project, item string) rollup.Row {
	var k rollup.Row
	for _, dim := range by {
		switch dim {
		case rollup.ByProvider:
			k.Provider = id.Provider
		case rollup.ByAccount:
			k.Account = id.Account
		case rollup.BySource:
			k.Source = id.Source
		case rollup.ByDay:
			k.Day = d
		case rollup.ByMonth:
			k.Month = d.Time().Format("2006-01")
			if !slices.Contains(by, rollup.ByDay) {
				k.Day = d.MonthStart()
			}
		case rollup.ByModel:
			k.Model = model
		case rollup.ByProject:
			k.Project = project
		case rollup.ByItem:
			k.Item = item
		}
	}
	return k
}

func compareGroups(by []rollup.Dim, a, b rollup.Row) int {
	for _, dim := range by {
		c := map[rollup.Dim]int{
			rollup.ByProvider: strings.Compare(a.Provider, b.Provider),
			rollup.ByAccount:  strings.Compare(a.Account, b.Account),
			rollup.BySource:   strings.Compare(a.Source, b.Source),
			rollup.ByDay:      cmp.Compare(a.Day, b.Day),
			rollup.ByMonth:    strings.Compare(a.Month, b.Month),
			rollup.ByModel:    strings.Compare(a.Model, b.Model),
			rollup.ByProject:  strings.Compare(a.Project, b.Project),
			rollup.ByItem:     strings.Compare(a.Item, b.Item),
		}[dim]
		if c != 0 {
			return c
		}
	}
	return 0
}

func (o *oracle) query(q rollup.Query) rollup.Result {
	res := rollup.Result{DataThrough: map[spend.SourceID]time.Time{}}
	groups := map[rollup.Row]*rollup.Row{}
	apart, tax := map[rollup.Apart]spend.Money{}, map[rollup.Apart]spend.Money{}
	for id, days := range o.days {
		if q.Provider != "" && q.Provider != id.Provider || q.Account != "" && q.Account != id.Account {
			continue
		}
		res.DataThrough[id] = o.through[id]
		for d, st := range days {
			if q.Window.From != 0 && d < q.Window.From || q.Window.To != 0 && d >= q.Window.To {
				continue
			}
			skip := func(model, project string) bool {
				return q.Model != "" && q.Model != model || q.Project != "" && q.Project != project
			}
			row := func(model, project, item string) []*rollup.Row {
				k := groupOf(q.GroupBy, id, d, model, project, item)
				if groups[k] == nil {
					fresh := k
					groups[k] = &fresh
				}
				return []*rollup.Row{groups[k], &res.Totals}
			}
			for _, c := range st.Charges {
				if skip(c.ModelLabel(), c.Project) {
					continue
				}
				gross, credits, converted := c.USD()
				k := rollup.Apart{Provider: id.Provider, Account: id.Account, Source: id.Source, Currency: c.Currency}
				switch {
				case c.Tax && converted:
					k.Currency = spend.USD
					tax[k] = tax[k].Add(gross).Add(credits)
					continue
				case c.Tax:
					tax[k] = tax[k].Add(c.Cost())
					continue
				case !converted:
					apart[k] = apart[k].Add(c.Cost())
					continue
				}
				for _, r := range row(c.ModelLabel(), c.Project, c.Item) {
					r.HasCost = true
					r.Gross, r.Credits, r.Cost = r.Gross.Add(gross), r.Credits.Add(credits), r.Cost.Add(gross).Add(credits)
					if c.Model == "" {
						r.Unattributed = r.Unattributed.Add(gross).Add(credits)
					}
				}
			}
			for _, u := range st.Usage {
				if skip(u.ModelLabel(), u.Project) {
					continue
				}
				for _, r := range row(u.ModelLabel(), u.Project, "") {
					r.HasUsage = true
					r.Input, r.Output = r.Input+u.Input, r.Output+u.Output
					r.CacheRead, r.CacheWrite = r.CacheRead+u.CacheRead, r.CacheWrite+u.CacheWrite
					r.Uncosted += u.Uncosted
					if u.HasRequests {
						r.Requests, r.HasRequests = r.Requests+u.Requests, true
					}
				}
			}
		}
	}
	for _, r := range groups {
		res.Rows = append(res.Rows, *r)
	}
	slices.SortFunc(res.Rows, func(a, b rollup.Row) int { return compareGroups(q.GroupBy, a, b) })
	res.Unconverted, res.Tax = sortedApart(apart), sortedApart(tax)
	return res
}

func sortedApart(sums map[rollup.Apart]spend.Money) (out []rollup.Apart) {
	for k, cost := range sums {
		k.Cost = cost
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b rollup.Apart) int {
		return cmp.Or(
			strings.Compare(a.Provider, b.Provider), strings.Compare(a.Account, b.Account),
			strings.Compare(a.Source, b.Source), strings.Compare(a.Currency, b.Currency),
		)
	})
	return out
}

var allDims = []rollup.Dim{
	rollup.ByProvider, rollup.ByModel, rollup.ByDay, rollup.ByMonth, rollup.ByProject, rollup.ByAccount,
	rollup.BySource, rollup.ByItem,
}

func genID() *rapid.Generator[spend.SourceID] {
	return rapid.SampledFrom([]spend.SourceID{
		costs, usage, claude,
		{Provider: "openai", Account: "second", Source: "openai/costs"},
	})
}

func genDay() *rapid.Generator[spend.Day] {
	return rapid.Map(rapid.IntRange(0, 40), func(n int) spend.Day { return day1 - 10 + spend.Day(n) })
}

func genStatement() *rapid.Generator[spend.Statement] {
	name := rapid.SampledFrom([]string{"", "a", "b", "other", "gpt-4o"})
	amount := rapid.SampledFrom([]string{
		"0", "0.1", "12.3456789", "0.0000001", "170141183460469", "41.000000000000001", "1e-30", "1e40",
	})
	ch := rapid.Custom(func(t *rapid.T) spend.Charge {
		c := spend.Charge{
			Model: name.Draw(t, "model"), Project: name.Draw(t, "project"), Item: name.Draw(t, "item"),
			Currency: rapid.SampledFrom([]string{"USD", "USD", "USD", "EUR", "JPY"}).Draw(t, "currency"),
			Gross:    money(amount.Draw(t, "gross")),
			Credits:  money(rapid.SampledFrom([]string{"0", "0", "0", "-3.21", "-1e40"}).Draw(t, "credits")),
			Tax:      rapid.IntRange(0, 9).Draw(t, "tax") == 0,
		}
		if c.Currency != spend.USD {
			c.Rate = money(rapid.SampledFrom([]string{"0", "0.9", "150.25", "1e-6"}).Draw(t, "rate"))
		}
		return c
	})
	count := rapid.Int64Range(0, 1e6)
	us := rapid.Custom(func(t *rapid.T) spend.Usage {
		u := spend.Usage{
			Model: name.Draw(t, "model"), Project: name.Draw(t, "project"),
			Input: count.Draw(t, "input"), Output: count.Draw(t, "output"),
			CacheRead: count.Draw(t, "read"), CacheWrite: count.Draw(t, "write"), Uncosted: count.Draw(t, "uncosted"),
		}
		if u.HasRequests = rapid.Bool().Draw(t, "has requests"); u.HasRequests {
			u.Requests = count.Draw(t, "requests")
		}
		return u
	})
	return rapid.Custom(func(t *rapid.T) spend.Statement {
		return spend.Statement{
			Day:     genDay().Draw(t, "day"),
			ReadAt:  day1.Time().Add(time.Duration(rapid.IntRange(0, 1000).Draw(t, "read at")) * time.Hour),
			Charges: spend.MergeCharges(rapid.SliceOfN(ch, 0, 5).Draw(t, "charges")),
			Usage:   spend.MergeUsage(rapid.SliceOfN(us, 0, 3).Draw(t, "usage")),
		}
	})
}

func genQuery() *rapid.Generator[rollup.Query] {
	return rapid.Custom(func(t *rapid.T) rollup.Query {
		var q rollup.Query
		q.GroupBy = rapid.Permutation(allDims).Draw(t, "dims")[:rapid.IntRange(0, len(allDims)).Draw(t, "n")]
		if rapid.Bool().Draw(t, "bounded") {
			a, b := genDay().Draw(t, "from"), genDay().Draw(t, "to")
			q.Window = spend.Window{From: min(a, b), To: max(a, b)}
		}
		q.Provider = rapid.SampledFrom([]string{"", "", "openai", "anthropic", "none"}).Draw(t, "provider")
		q.Account = rapid.SampledFrom([]string{"", "", "default", "acme", "none"}).Draw(t, "account")
		q.Model = rapid.SampledFrom([]string{"", "", "a", "other", "none"}).Draw(t, "model")
		q.Project = rapid.SampledFrom([]string{"", "", "b", "none"}).Draw(t, "project")
		return q
	})
}

// change draws one operation and does it to both ledgers.
func (o *oracle) change(t *rapid.T, tx *rollup.Tx) {
	id := genID().Draw(t, "source")
	switch rapid.SampledFrom([]string{
		"replace", "replace", "window", "through", "rename",
		"forget",
	}).Draw(t, "op") {
	case "replace":
		stmts := rapid.SliceOfN(genStatement(), 0, 4).Draw(t, "statements")
		tx.Replace(id, stmts)
		for _, st := range stmts {
			o.source(id)[st.Day] = st
		}
		o.source(id)
	case "window":
		a, b := genDay().Draw(t, "from"), genDay().Draw(t, "to")
		w := spend.Window{From: min(a, b), To: max(a, b)}
		readAt := day1.Time().Add(999 * time.Hour)
		stmts := rapid.SliceOfN(genStatement(), 0, 4).Draw(t, "statements")
		tx.ReplaceWindow(id, w, readAt, stmts)
		for d := w.From; d < w.To; d++ {
			o.source(id)[d] = spend.Statement{Day: d, ReadAt: readAt}
		}
		for _, st := range stmts {
			if st.ReadAt = readAt; w.Contains(st.Day) {
				o.source(id)[st.Day] = st
			}
		}
		o.source(id)
	case "through":
		at := genDay().Draw(t, "through").Time()
		tx.SetThrough(id, at)
		o.source(id)
		o.through[id] = at
	case "rename":
		o.rename(tx, id)
	case "forget":
		d := genDay().Draw(t, "before")
		tx.ForgetBefore(d)
		for _, days := range o.days {
			maps.DeleteFunc(days, func(day spend.Day, _ spend.Statement) bool { return day < d })
		}
	}
}

// rename moves id's account out of the way, and back the next time.
func (o *oracle) rename(tx *rollup.Tx, id spend.SourceID) {
	from, to := id.Account, "moved "+id.Account
	if slices.ContainsFunc(slices.Collect(maps.Keys(o.days)), func(k spend.SourceID) bool {
		return k.Provider == id.Provider && k.Account == to
	}) {
		from, to = to, from
	}
	for k := range o.days {
		if k.Provider == id.Provider && k.Account == to {
			return // the store refuses to merge
		}
	}
	tx.Rename(id.Provider, from, to)
	for k, days := range maps.Clone(o.days) {
		if k.Provider == id.Provider && k.Account == from {
			moved := k
			moved.Account = to
			o.days[moved], o.through[moved] = days, o.through[k]
			delete(o.days, k)
			delete(o.through, k)
		}
	}
}

// agree compares everything a snapshot can say with the oracle.
func (o *oracle) agree(t *rapid.T, s *rollup.Snapshot, q rollup.Query) {
	got, err := s.Query(q)
	if err != nil {
		t.Fatalf("Query(%+v): %v", q, err)
	}
	if diff := gocmp.Diff(o.query(q), got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("Query(%+v) (-want +got):\n%s", q, diff)
	}
	if got, want := len(s.Sources()), len(o.days); got != want {
		t.Fatalf("%d sources, want %d", got, want)
	}
	charges := map[string]int{}
	for id, days := range o.days {
		for d := day1 - 11; d < day1+32; d++ {
			st, ok := s.Statement(id, d)
			want, wantOK := days[d]
			if diff := gocmp.Diff(want, st, cmpopts.EquateEmpty()); ok != wantOK || diff != "" {
				t.Fatalf("Statement(%s, %s): %t (-want +got):\n%s", id, d, ok, diff)
			}
			var usd spend.Money
			for _, c := range want.Charges {
				if gross, credits, ok := c.USD(); ok && !c.Tax {
					usd = usd.Add(gross).Add(credits)
				}
			}
			if total, readAt, ok := s.DayTotal(id, d); ok != wantOK || !total.Equal(usd) ||
				!readAt.Equal(want.ReadAt) {
				t.Fatalf("DayTotal(%s, %s) = %s, %s, %t, want %s, %s, %t", id, d, total, readAt, ok, usd,
					want.ReadAt, wantOK)
			}
			charges[id.Provider] += len(want.Charges)
		}
	}
	for _, p := range []string{"openai", "anthropic", "none"} {
		if got := s.Charges(p); got != charges[p] {
			t.Fatalf("Charges(%s) = %d, want %d", p, got, charges[p])
		}
	}
}

// Whatever happens to the ledger, every answer is that of the oracle, in which a
// statement replaces another; with addition in its place this test fails.
func TestRandomHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		book, o := rollup.NewBook(), newOracle()
		for range rapid.IntRange(1, 8).Draw(t, "updates") {
			version := book.Snapshot().Version()
			book.Update(func(tx *rollup.Tx) {
				for range rapid.IntRange(0, 3).Draw(t, "changes") {
					o.change(t, tx)
				}
			})
			if got := book.Snapshot().Version(); got != version+1 {
				t.Fatalf("version went from %d to %d", version, got)
			}
			o.agree(t, book.Snapshot(), genQuery().Draw(t, "query"))
		}
	})
}

// However a selection is grouped, its rows add up to the same totals.
func TestGroupingConservesSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		book := rollup.NewBook()
		book.Update(func(tx *rollup.Tx) {
			for range 4 {
				tx.Replace(genID().Draw(t, "source"), rapid.SliceOfN(genStatement(), 1, 6).Draw(t, "statements"))
			}
		})
		q := genQuery().Draw(t, "query")
		whole := q
		whole.GroupBy = nil
		want, err := book.Snapshot().Query(whole)
		if err != nil {
			t.Fatal(err)
		}
		got, err := book.Snapshot().Query(q)
		if err != nil {
			t.Fatal(err)
		}
		var sum rollup.Row
		for _, r := range got.Rows {
			sum.Cost, sum.Gross, sum.Credits = sum.Cost.Add(r.Cost), sum.Gross.Add(r.Gross), sum.Credits.Add(r.Credits)
			sum.Unattributed = sum.Unattributed.Add(r.Unattributed)
			sum.Input, sum.Output, sum.Uncosted = sum.Input+r.Input, sum.Output+r.Output, sum.Uncosted+r.Uncosted
			sum.CacheRead, sum.CacheWrite = sum.CacheRead+r.CacheRead, sum.CacheWrite+r.CacheWrite
			sum.Requests = sum.Requests + r.Requests
			sum.HasCost, sum.HasUsage = sum.HasCost || r.HasCost, sum.HasUsage || r.HasUsage
			sum.HasRequests = sum.HasRequests || r.HasRequests
		}
		if diff := gocmp.Diff(want.Totals, sum); diff != "" {
			t.Fatalf("the rows of %v do not add up (-totals +rows):\n%s", q.GroupBy, diff)
		}
		if diff := gocmp.Diff(want.Totals, got.Totals); diff != "" {
			t.Fatalf("totals depend on the grouping (-none +%v):\n%s", q.GroupBy, diff)
		}
		if diff := gocmp.Diff(want.Unconverted, got.Unconverted); diff != "" {
			t.Fatalf("what is left out depends on the grouping:\n%s", diff)
		}
		if diff := gocmp.Diff(want.Tax, got.Tax); diff != "" {
			t.Fatalf("tax depends on the grouping:\n%s", diff)
		}
	})
}

// Updates of different days may come in any order, and in any number of updates.
func TestOrderOfDisjointUpdates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stmts := rapid.SliceOfNDistinct(genStatement(), 1, 10,
			func(s spend.Statement) spend.Day { return s.Day }).Draw(t, "days")
		one, two := rollup.NewBook(), rollup.NewBook()
		one.Update(func(tx *rollup.Tx) { tx.Replace(costs, stmts) })
		for _, st := range rapid.Permutation(stmts).Draw(t, "shuffled") {
			two.Update(func(tx *rollup.Tx) { tx.Replace(costs, []spend.Statement{st}) })
		}
		q := genQuery().Draw(t, "query")
		a, _ := one.Snapshot().Query(q)
		b, _ := two.Snapshot().Query(q)
		if diff := gocmp.Diff(a, b); diff != "" {
			t.Fatalf("order matters to %+v:\n%s", q, diff)
		}
	})
}
