// Package telemetry observes the inner parts of the daemon: HTTP routes, decoding,
// the store. Its instruments are VictoriaMetrics/metrics sets, one per component,
// because they are cheap enough for hot paths; what users query about their money
// is client_golang's business, in package collector. Both join one page through
// Gather, which turns the sets' text into typed families with HELP.
//
// Every instrument is declared once, in catalog.go, and listed in
// docs/metrics.md. Plain VictoriaMetrics histograms are not offered: they reach
// Prometheus as untyped families with vmrange labels.
package telemetry

import (
	"fmt"
	"strings"

	"github.com/VictoriaMetrics/metrics"
)

// Telemetry holds the sets of all components. It is safe for concurrent use and
// starts no goroutine.
type Telemetry struct {
	components []*Component // in the order of the catalog
}

// Component is one part of the daemon with instruments of its own. What breaks in
// one costs the page no other component.
type Component struct {
	name string
	set  *metrics.Set
}

// New returns telemetry without any sample. It turns on the metrics library's
// type lines for the whole process; without them no sample has a type.
func New() *Telemetry {
	metrics.ExposeMetadata(true)
	t := &Telemetry{}
	for _, d := range catalog {
		if t.find(d.Component) == nil {
			t.components = append(t.components, &Component{name: d.Component, set: metrics.NewSet()})
		}
	}
	return t
}

// Component returns the named part. It panics if the catalog has no instrument
// of that part, which is a fault of the program.
func (t *Telemetry) Component(name string) *Component {
	c := t.find(name)
	if c == nil {
		panic(fmt.Sprintf("telemetry: no component %q in the catalog", name))
	}
	return c
}

func (t *Telemetry) find(name string) *Component {
	for _, c := range t.components {
		if c.name == name {
			return c
		}
	}
	return nil
}

// Counter returns the counter with the given label values, made at 0 on first
// use. This and the methods below take the values in the order of the catalog;
// they panic if the catalog declares the name otherwise.
func (c *Component) Counter(name string, values ...string) *metrics.Counter {
	return c.set.GetOrCreateCounter(c.series(name, CounterType, values))
}

// Histogram returns a histogram with Prometheus buckets from 5 ms to 10 s. There
// is no summary: its quantiles cannot be aggregated, and the library keeps a
// goroutine for ever for each window of them.
func (c *Component) Histogram(name string, values ...string) *metrics.PrometheusHistogram {
	return c.set.GetOrCreatePrometheusHistogram(c.series(name, HistogramType, values))
}

// series spells name{label="value",...} as the metrics library wants it.
func (c *Component) series(name, kind string, values []string) string {
	d, ok := lookup(name)
	if !ok || d.Component != c.name || d.Type != kind || len(d.Labels) != len(values) {
		panic(fmt.Sprintf("telemetry: the catalog declares no %s %s of %s with %d labels",
			kind, name, c.name, len(values)))
	}
	if len(values) == 0 {
		return name
	}
	var b strings.Builder
	b.WriteString(name)
	for i, v := range values {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(d.Labels[i])
		b.WriteString(`="`)
		b.WriteString(escape(v))
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String()
}

// escape makes v a label value of the text format. fmt's %q does not: its \x7f,
// \x00 and \u200d are no escapes of that format and break the whole page.
func escape(v string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(v, "\uFFFD"))
}
