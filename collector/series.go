package collector

import (
	"cmp"
	"slices"

	"github.com/aispend/aispend/spend"
)

// point is an exact figure with the label values it stands under. A series list
// holds either money or counts; the other field stays zero.
type point struct {
	labels [maxLabels]string // in the order of the catalog
	money  spend.Money
	count  int64
}

// series are the points of one family, exact until they become gauges.
type series struct {
	metric metric
	money  bool
	points []point
}

func (s *series) addMoney(v spend.Money, labels ...string) {
	p := point{money: v}
	copy(p.labels[:], labels)
	s.points = append(s.points, p)
}

func (s *series) addCount(n int64, labels ...string) {
	p := point{count: n}
	copy(p.labels[:], labels)
	s.points = append(s.points, p)
}

// merge sorts the points and adds up those of one label set, so that no label
// set is left twice and the order does not depend on how the points came.
func (s *series) merge() {
	slices.SortFunc(s.points, comparePoints)
	out := s.points[:0]
	for _, p := range s.points {
		if n := len(out); n > 0 && out[n-1].labels == p.labels {
			out[n-1].money = out[n-1].money.Add(p.money)
			out[n-1].count = spend.AddCount(out[n-1].count, p.count)
			continue
		}
		out = append(out, p)
	}
	s.points = out
}

func comparePoints(a, b point) int {
	for i := range a.labels {
		if c := cmp.Compare(a.labels[i], b.labels[i]); c != 0 {
			return c
		}
	}
	return 0
}

// gauges writes the points out; this is where money becomes a float.
func (s *series) gauges(fs *families) {
	f := fs.open(s.metric, len(s.points))
	n := len(catalog[s.metric].Labels)
	for i := range s.points {
		p := &s.points[i]
		v := float64(p.count)
		if s.money {
			v = p.money.Float64()
		}
		f.set(v, p.labels[:n]...)
	}
}
