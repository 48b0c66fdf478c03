package collector

import (
	"cmp"
	"slices"

	"github.com/aispend/aispend/spend"
)

// FoldedModel is the model label under which the cheapest models are added up
// when the page would have more series than metrics.max_series allows.
const FoldedModel = "folded"

// Label positions of every family that has a model label.
const (
	providerLabel = 0
	modelLabel    = 1
	restLabel     = 2 // day, token type, or nothing
)

type modelKey struct{ provider, model string }

// slot is what a series is besides its provider and model.
type slot struct {
	family int
	rest   string
}

// folding finds out which models to fold.
type folding struct {
	slots  map[modelKey][]slot
	taken  map[string]map[slot]bool // by provider: what "folded" already has
	real   map[string]bool          // providers with a model that is really called "folded"
	folded map[modelKey]bool
	series int // how many there are with the models folded so far
}

// fold renames the cheapest models of all families to FoldedModel until they
// have no more than budget series together, and adds the exact amounts up. It
// returns how many series that saved. A budget of 0 is no budget. The least that
// can be reached is one model per provider. The families must be merged.
func fold(all []*series, budget int, cost map[modelKey]spend.Money) (saved int) {
	before := countPoints(all)
	if budget <= 0 || before <= budget {
		return 0
	}
	f := newFolding(all, before)
	f.shrink(budget, cost)
	f.unfoldLone()
	for _, s := range all {
		for i := range s.points {
			l := &s.points[i].labels
			if f.folded[modelKey{l[providerLabel], l[modelLabel]}] {
				l[modelLabel] = FoldedModel
			}
		}
		s.merge()
	}
	return before - countPoints(all)
}

func countPoints(all []*series) (n int) {
	for _, s := range all {
		n += len(s.points)
	}
	return n
}

func newFolding(all []*series, n int) *folding {
	f := &folding{
		slots: map[modelKey][]slot{}, taken: map[string]map[slot]bool{}, real: map[string]bool{},
		folded: map[modelKey]bool{}, series: n,
	}
	for i, s := range all {
		for _, p := range s.points {
			k := modelKey{p.labels[providerLabel], p.labels[modelLabel]}
			at := slot{i, p.labels[restLabel]}
			if f.taken[k.provider] == nil {
				f.taken[k.provider] = map[slot]bool{}
			}
			if k.model == FoldedModel {
				f.taken[k.provider][at], f.real[k.provider] = true, true
				continue
			}
			f.slots[k] = append(f.slots[k], at)
		}
	}
	return f
}

func (f *folding) shrink(budget int, cost map[modelKey]spend.Money) {
	for _, k := range f.cheapestFirst(cost) {
		if f.series <= budget {
			return
		}
		f.folded[k] = true
		taken := f.taken[k.provider]
		for _, at := range f.slots[k] {
			if taken[at] {
				f.series--
			}
			taken[at] = true
		}
	}
}

// cheapestFirst orders all models by cost, then by name; the rows that name no
// model come last, as people look for them.
func (f *folding) cheapestFirst(cost map[modelKey]spend.Money) []modelKey {
	keys := make([]modelKey, 0, len(f.slots))
	for k := range f.slots {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b modelKey) int {
		return cmp.Or(
			cmp.Compare(boolean(a.model == spend.OtherModel), boolean(b.model == spend.OtherModel)),
			cost[a].Cmp(cost[b]),
			cmp.Compare(a.provider, b.provider),
			cmp.Compare(a.model, b.model),
		)
	})
	return keys
}

// unfoldLone gives a provider's only folded model its name back: folding it
// alone saved nothing.
func (f *folding) unfoldLone() {
	count := map[string]int{}
	for k := range f.folded {
		count[k.provider]++
	}
	for k := range f.folded {
		if count[k.provider] == 1 && !f.real[k.provider] {
			delete(f.folded, k)
		}
	}
}
