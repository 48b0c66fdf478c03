package collector

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	dto "github.com/prometheus/client_model/go"

	"github.com/aispend/aispend/spend"
)

// families collects the gauge families of one build. Label pairs are shared
// between samples: nobody changes them once they are handed out.
type families struct {
	pairs map[pairKey]*dto.LabelPair
	done  []*dto.MetricFamily
}

type pairKey struct{ name, value string }

func newFamilies() *families {
	return &families{pairs: map[pairKey]*dto.LabelPair{}}
}

// family is one gauge family being filled.
type family struct {
	all    *families
	names  []string // label names, as the catalog orders them
	order  []int    // indices into names, ascending by name
	result *dto.MetricFamily
}

// open adds an empty gauge family; size is a hint.
func (fs *families) open(m metric, size int) *family {
	d := &catalog[m]
	f := &family{
		all:   fs,
		names: d.Labels,
		order: make([]int, len(d.Labels)),
		result: &dto.MetricFamily{
			Name: &d.Name, Help: &d.Help, Type: dto.MetricType_GAUGE.Enum(),
			Metric: make([]*dto.Metric, 0, size),
		},
	}
	for i := range f.order {
		f.order[i] = i
	}
	slices.SortFunc(f.order, func(a, b int) int { return strings.Compare(f.names[a], f.names[b]) })
	fs.done = append(fs.done, f.result)
	return f
}

// sample is everything that one gauge needs, so that it takes one allocation.
type sample struct {
	metric dto.Metric
	gauge  dto.Gauge
	value  float64
	labels [maxLabels]*dto.LabelPair
}

// maxLabels is the most label names a gauge family of the catalog has.
const maxLabels = 4

// set appends a sample. Values must be valid UTF-8 and stand in the order of the
// catalog; the caller makes sure that it sets no label set twice.
func (f *family) set(v float64, values ...string) {
	s := &sample{value: finite(v)}
	s.gauge.Value = &s.value
	s.metric.Gauge = &s.gauge
	s.metric.Label = s.labels[:0:maxLabels]
	for _, i := range f.order {
		s.metric.Label = append(s.metric.Label, f.all.pair(f.names[i], values[i]))
	}
	f.result.Metric = append(f.result.Metric, &s.metric)
}

// one adds a family that has a single sample without labels.
func (fs *families) one(m metric, v float64) { fs.open(m, 1).set(v) }

// list returns the families that have samples: expfmt refuses an empty one.
func (fs *families) list() []*dto.MetricFamily {
	return slices.DeleteFunc(fs.done, func(mf *dto.MetricFamily) bool { return len(mf.Metric) == 0 })
}

func (fs *families) pair(name, value string) *dto.LabelPair {
	k := pairKey{name, value}
	p, ok := fs.pairs[k]
	if !ok {
		p = &dto.LabelPair{Name: &name, Value: &value}
		fs.pairs[k] = p
	}
	return p
}

// finite keeps an amount beyond the range of float64 comparable: a rule never
// fires on NaN, and Inf cannot be added up.
func finite(v float64) float64 {
	switch {
	case math.IsNaN(v):
		return 0
	case math.IsInf(v, 0):
		return math.Copysign(math.MaxFloat64, v)
	}
	return v
}

// clean makes a value safe as a label. Models, projects and items were cleaned
// at decode and pass through; accounts come from the configuration.
func clean(s string) string {
	c, _ := spend.CleanLabel(s)
	return c
}

// cleanURL keeps a link whole: unlike a name it may be long.
func cleanURL(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
