package caps

import (
	"cmp"
	"slices"
	"strings"

	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

// topModels is how many models an alert names.
const topModels = 3

// lookbackDays is how far the expectation looks back: four weeks.
const lookbackDays = 4 * daysPerWeek

// figures is what the ledger says about one cap, as seen on one day: everything
// that is the same for every second of that day.
type figures struct {
	window spend.Window
	days   map[spend.Day]spend.Money // of the period and of the days the expectation needs
	spend  spend.Money               // of the period
	top    []ModelSpend
	apart  int // sources with money of the period that is in no sum
}

// newFigures adds up what the cap selects.
func newFigures(snap *rollup.Snapshot, c Cap, w spend.Window, today spend.Day) (*figures, error) {
	f := &figures{window: w, days: map[spend.Day]spend.Money{}}
	sel := c.Selection()
	q := rollup.Query{
		Window:   spend.Window{From: min(w.From, today-lookbackDays), To: w.To},
		GroupBy:  []rollup.Dim{rollup.ByDay, rollup.ByModel},
		Provider: sel.Provider, Account: sel.Account, Project: sel.Project,
	}
	if !strings.Contains(sel.Model, "*") {
		q.Model = sel.Model
	}
	res, err := snap.Query(q)
	if err != nil {
		return nil, err
	}
	models := map[string]spend.Money{}
	for _, row := range res.Rows {
		if !row.HasCost || !matches(sel.Model, row.Model) {
			continue
		}
		amount := row.Cost
		if c.Gross {
			amount = row.Gross
		}
		f.days[row.Day] = f.days[row.Day].Add(amount)
		if w.Contains(row.Day) {
			f.spend = f.spend.Add(amount)
			models[row.Model] = models[row.Model].Add(amount)
		}
	}
	f.top = top(models)
	f.apart = apart(snap, res.Unconverted, sel, w)
	return f, nil
}

// top returns the most expensive models; what cost nothing is not among them.
func top(models map[string]spend.Money) []ModelSpend {
	var out []ModelSpend
	for model, amount := range models {
		if amount.Sign() > 0 {
			out = append(out, ModelSpend{model, amount})
		}
	}
	slices.SortFunc(out, func(a, b ModelSpend) int {
		return cmp.Or(b.Spend.Cmp(a.Spend), cmp.Compare(a.Model, b.Model))
	})
	return slices.Clip(out[:min(len(out), topModels)])
}

// apart counts the sources among the candidates that hold selected money of w in
// a currency without a rate. A query says which sources to look at, yet neither
// the day nor the model.
func apart(snap *rollup.Snapshot, candidates []rollup.Apart, sel Match, w spend.Window) int {
	found := map[spend.SourceID]bool{}
	for _, u := range candidates {
		id := spend.SourceID{Provider: u.Provider, Account: u.Account, Source: u.Source}
		for d := w.From; d < w.To && !found[id]; d++ {
			if st, ok := snap.Statement(id, d); ok && slices.ContainsFunc(st.Charges, sel.unconverted) {
				found[id] = true
			}
		}
	}
	return len(found)
}

// unconverted reports whether a charge is selected and in no USD sum.
func (m Match) unconverted(c spend.Charge) bool {
	return !c.Converted() && !c.Tax && (!c.Gross.IsZero() || !c.Credits.IsZero()) &&
		(m.Project == "" || m.Project == c.Project) && matches(m.Model, c.ModelLabel())
}

// feeds reports whether the cap can select money of a source.
func (m Match) feeds(id spend.SourceID) bool {
	return (m.Provider == "" || m.Provider == id.Provider) && (m.Account == "" || m.Account == id.Account)
}
