package rollup

import (
	"slices"

	"github.com/aispend/aispend/spend"
)

// ForgetBefore drops every statement of a day before d. Sources stay known.
func (tx *Tx) ForgetBefore(d spend.Day) {
	for id, s := range tx.sources {
		if len(s.days) > 0 && s.days[0] < d {
			tx.own(id).forgetBefore(d)
		}
	}
	tx.forgetNames()
}

func (s *source) forgetBefore(d spend.Day) {
	n, _ := slices.BinarySearch(s.days, d)
	for _, p := range s.parts[:n] {
		s.count(p, -1)
	}
	s.days = slices.Delete(s.days, 0, n)
	s.parts = slices.Delete(s.parts, 0, n)
}

// spareNames is how many names without a row are no reason to do anything.
const spareNames = 1024

// The kinds of name.
const (
	kindModel = iota
	kindProject
	kindItem
	kinds
)

// forgetNames gives all parts new ids when most names are in no part any more: the
// tables would otherwise grow for as long as the daemon runs. Older snapshots keep
// the tables they have.
func (tx *Tx) forgetNames() {
	old := tx.names.view()
	lists := [kinds][]string{kindModel: old.models, kindProject: old.projects, kindItem: old.items}
	all, living := 0, 0
	var seen [kinds][]bool
	for kind, list := range lists {
		seen[kind] = make([]bool, len(list))
		all += len(list)
	}
	for _, s := range tx.sources {
		for _, p := range s.parts {
			p.eachName(func(kind int, id *uint32) {
				if !seen[kind][*id] {
					seen[kind][*id] = true
					living++
				}
			})
		}
	}
	if all-living > max(spareNames, living) {
		tx.renumber(lists)
	}
}

func (tx *Tx) renumber(old [kinds][]string) {
	tx.names = newNames()
	tables := [kinds]*table{
		kindModel: &tx.names.models, kindProject: &tx.names.projects, kindItem: &tx.names.items,
	}
	for id := range tx.sources {
		s := tx.own(id)
		for i, p := range s.parts {
			c := p.clone()
			c.eachName(func(kind int, id *uint32) { *id = tables[kind].id(old[kind][*id]) })
			s.parts[i] = c
		}
	}
}

func (p *part) clone() *part {
	c := *p
	c.ids, c.rest, c.usage = slices.Clone(p.ids), slices.Clone(p.rest), slices.Clone(p.usage)
	return &c
}

// eachName calls fn for every name in the part, repeats included. Only the part's
// maker may write through the pointer.
func (p *part) eachName(fn func(kind int, id *uint32)) {
	model, project, item := p.columns()
	for kind, column := range [kinds][]uint32{kindModel: model, kindProject: project, kindItem: item} {
		for i := range column {
			fn(kind, &column[i])
		}
	}
	for i := range p.rest {
		fn(kindModel, &p.rest[i].model)
		fn(kindProject, &p.rest[i].project)
		fn(kindItem, &p.rest[i].item)
	}
	for i := range p.usage {
		fn(kindModel, &p.usage[i].model)
		fn(kindProject, &p.usage[i].project)
	}
}
