package rollup

import (
	"cmp"
	"slices"
	"strings"
)

// slot is one group.
type slot struct {
	outer                int
	model, project, item uint32 // 0 where not grouped by
	sums
}

// slotList grows without moving what it holds.
type slotList struct {
	chunks []*[slotChunk]slot
	len    int
}

const slotChunk = 64

func (l *slotList) at(i int) *slot { return &l.chunks[i/slotChunk][i%slotChunk] }

func (l *slotList) add() *slot {
	if l.len == len(l.chunks)*slotChunk {
		l.chunks = append(l.chunks, new([slotChunk]slot))
	}
	l.len++
	return l.at(l.len - 1)
}

// slotTable finds the slot of a row's ids within the outer group at hand. With at
// most one of the three dimensions it is an array, else a map.
type slotTable struct {
	dense []int // by id; valid from first up
	first int
	byKey map[[3]uint32]int
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
		return slotTable{byKey: map[[3]uint32]int{}}
	}
	dense := make([]int, n)
	for i := range dense {
		dense[i] = -1
	}
	return slotTable{dense: dense}
}

// next begins an outer group whose slots come after the first used ones.
func (t *slotTable) next(used int) {
	t.first = used
	clear(t.byKey)
}

// find returns the slot of a row, or used, and true, if there is none yet.
func (t *slotTable) find(model, project, item uint32, used int) (at int, fresh bool) {
	if t.byKey == nil {
		id := model | project | item // at most one of them is not 0
		if at = t.dense[id]; at >= t.first {
			return at, false
		}
		t.dense[id] = used
		return used, true
	}
	k := [3]uint32{model, project, item}
	if at, ok := t.byKey[k]; ok {
		return at, false
	}
	t.byKey[k] = used
	return used, true
}

// rows turns the slots into sorted rows.
func (r *run) rows() []Row {
	order := make([]*slot, r.slots.len)
	for i := range order {
		order[i] = r.slots.at(i)
	}
	ranks := r.rankNames()
	slices.SortFunc(order, func(a, b *slot) int { return r.compare(ranks, a, b) })
	rows := make([]Row, len(order))
	for i, s := range order {
		rows[i] = r.row(s)
	}
	return rows
}

// nameRanks has the place of each id in the order of the names.
type nameRanks struct{ models, projects, items []int32 }

// rankNames compares every name once, so that sorting rows need not.
func (r *run) rankNames() (ranks nameRanks) {
	if r.byModel {
		ranks.models = rank(r.names.models)
	}
	if r.byProject {
		ranks.projects = rank(r.names.projects)
	}
	if r.byItem {
		ranks.items = rank(r.names.items)
	}
	return ranks
}

func rank(list []string) []int32 {
	order := make([]int32, len(list))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return strings.Compare(list[a], list[b]) })
	ranks := make([]int32, len(list))
	for place, id := range order {
		ranks[id] = int32(place)
	}
	return ranks
}

func (r *run) row(s *slot) Row {
	row := s.row()
	k := &r.outer[s.outer]
	row.Provider, row.Account, row.Source = k.provider, k.account, k.source
	row.Model, row.Project, row.Item = r.names.models[s.model], r.names.projects[s.project],
		r.names.items[s.item]
	row.Day = k.day
	if k.month != 0 {
		row.Month = k.month.String()[:len("YYYY-MM")]
		if k.day == 0 {
			row.Day = k.month
		}
	}
	return row
}

func (r *run) compare(ranks nameRanks, a, b *slot) int {
	ka, kb := &r.outer[a.outer], &r.outer[b.outer]
	for _, d := range r.q.GroupBy {
		c := 0
		switch d {
		case ByProvider:
			c = strings.Compare(ka.provider, kb.provider)
		case ByAccount:
			c = strings.Compare(ka.account, kb.account)
		case BySource:
			c = strings.Compare(ka.source, kb.source)
		case ByDay:
			c = cmp.Compare(ka.day, kb.day)
		case ByMonth:
			c = cmp.Compare(ka.month, kb.month)
		case ByModel:
			c = cmp.Compare(ranks.models[a.model], ranks.models[b.model])
		case ByProject:
			c = cmp.Compare(ranks.projects[a.project], ranks.projects[b.project])
		case ByItem:
			c = cmp.Compare(ranks.items[a.item], ranks.items[b.item])
		}
		if c != 0 {
			return c
		}
	}
	return 0
}
