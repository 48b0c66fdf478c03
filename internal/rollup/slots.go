package rollup

import (
	"cmp"
	"slices"
	"strings"

	"github.com/aispend/aispend/spend"
)

// slotTable finds the slot of a row's ids within the outer group at hand. With at
// most one of the three dimensions it is an array, else a map.
type slotTable struct {
	dense []int32 // by id; valid from first up
	first int32
	byKey map[[3]uint32]int32
}

func (r *run) newTable() slotTable {
	n, dims := 1, 0
	for _, d := range []struct {
		on   bool
		size int
	}{
		{r.byModel, len(r.names.models)},
		{r.byProject, len(r.names.projects)},
		{r.byItem, len(r.names.items)},
	} {
		if d.on {
			n, dims = d.size, dims+1
		}
	}
	if dims > 1 {
		return slotTable{byKey: map[[3]uint32]int32{}}
	}
	dense := make([]int32, n)
	for i := range dense {
		dense[i] = -1
	}
	return slotTable{dense: dense}
}

// next begins an outer group whose slots come after the first used ones.
func (t *slotTable) next(used int) {
	t.first = int32(used)
	clear(t.byKey)
}

// find returns the slot of a row, or used, and true, if there is none yet.
func (t *slotTable) find(model, project, item uint32, used int) (at int32, fresh bool) {
	if t.byKey == nil {
		id := model | project | item // at most one of them is not 0
		if at = t.dense[id]; at >= t.first {
			return at, false
		}
		t.dense[id] = int32(used)
		return int32(used), true
	}
	k := [3]uint32{model, project, item}
	if at, ok := t.byKey[k]; ok {
		return at, false
	}
	t.byKey[k] = int32(used)
	return int32(used), true
}

// rows turns the slots into sorted rows.
func (r *run) rows() []Row {
	order := make([]int32, len(r.slots))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return r.compare(&r.slots[a], &r.slots[b]) })
	rows := make([]Row, len(order))
	for i, at := range order {
		rows[i] = r.row(&r.slots[at])
	}
	return rows
}

func (r *run) row(s *slot) Row {
	row := s.row()
	k := &r.outer[s.outer]
	row.Provider, row.Account, row.Source = k.provider, k.account, k.source
	row.Model, row.Project, row.Item = r.names.models[s.model], r.names.projects[s.project], r.names.items[s.item]
	row.Day = k.day
	if k.month != 0 {
		row.Month = k.month.String()[:len("YYYY-MM")]
		if k.day == 0 {
			row.Day = k.month
		}
	}
	return row
}

func (r *run) compare(a, b *slot) int {
	ka, kb := &r.outer[a.outer], &r.outer[b.outer]
	for _, d := range r.q.GroupBy {
		if c := r.compareBy(d, a, b, ka, kb); c != 0 {
			return c
		}
	}
	return 0
}

func (r *run) compareBy(d Dim, a, b *slot, ka, kb *outerKey) int {
	switch d {
	case ByProvider:
		return strings.Compare(ka.provider, kb.provider)
	case ByAccount:
		return strings.Compare(ka.account, kb.account)
	case BySource:
		return strings.Compare(ka.source, kb.source)
	case ByDay:
		return compareDays(ka.day, kb.day)
	case ByMonth:
		return compareDays(ka.month, kb.month)
	case ByModel:
		return compareNames(r.names.models, a.model, b.model)
	case ByProject:
		return compareNames(r.names.projects, a.project, b.project)
	default:
		return compareNames(r.names.items, a.item, b.item)
	}
}

func compareDays(a, b spend.Day) int { return cmp.Compare(a, b) }

func compareNames(list []string, a, b uint32) int {
	if a == b {
		return 0
	}
	return strings.Compare(list[a], list[b])
}
