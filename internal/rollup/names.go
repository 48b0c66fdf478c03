package rollup

import (
	"slices"
	"strings"

	"github.com/aispend/aispend/spend"
)

// Rows hold ids instead of strings. Ids are positions in a list that only grows,
// so a snapshot's copy of the slice header stays right while the writer appends.

// noModel is the id of "", on rows that name no model; otherModel that of the
// label under which they are shown. All other tables have "" at 0 as well.
const (
	noModel    = 0
	otherModel = 1
)

// table is the writer's side of one kind of name.
type table struct {
	list []string
	ids  map[string]uint32
}

func newTable(first ...string) table {
	t := table{ids: map[string]uint32{}}
	for _, s := range first {
		t.id(s)
	}
	return t
}

// id returns the id of s. It keeps a copy: s may be a piece of a whole page.
func (t *table) id(s string) uint32 {
	if id, ok := t.ids[s]; ok {
		return id
	}
	s = strings.Clone(s)
	id := uint32(len(t.list))
	t.list = append(t.list, s)
	t.ids[s] = id
	return id
}

// names are the tables of all kinds. They belong to the Book and are guarded by
// its lock.
type names struct{ models, projects, items table }

func newNames() *names {
	return &names{
		models:   newTable("", spend.OtherModel),
		projects: newTable(""),
		items:    newTable(""),
	}
}

// view is the readers' side.
type view struct{ models, projects, items []string }

func (n *names) view() view {
	return view{slices.Clip(n.models.list), slices.Clip(n.projects.list), slices.Clip(n.items.list)}
}
