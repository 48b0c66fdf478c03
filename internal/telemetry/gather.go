package telemetry

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Gather implements prometheus.Gatherer: the families of all components, typed,
// with HELP, sorted by name. A component that fails is missing and named in the
// error; the others are returned. The caller owns the families.
func (t *Telemetry) Gather() ([]*dto.MetricFamily, error) {
	var (
		out  []*dto.MetricFamily
		errs []error
	)
	for _, c := range t.components {
		families, err := c.gather()
		if err != nil {
			errs = append(errs, fmt.Errorf("component %s: %w", c.name, err))
			continue
		}
		out = append(out, families...)
	}
	slices.SortFunc(out, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return out, errors.Join(errs...)
}

// gather reads the set's own text back. The library offers no other way to the
// figures of histograms.
func (c *Component) gather() ([]*dto.MetricFamily, error) {
	var text bytes.Buffer
	c.set.WritePrometheus(&text)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	byName, err := parser.TextToMetricFamilies(&text)
	if err != nil {
		return nil, fmt.Errorf("reading its metrics: %w", err)
	}
	families := make([]*dto.MetricFamily, 0, len(byName))
	for name, mf := range byName {
		d, ok := lookup(name)
		if !ok || mf.GetType().String() != strings.ToUpper(d.Type) {
			return nil, fmt.Errorf("family %s arrived as %s", name, mf.GetType())
		}
		mf.Help = &d.Help
		for _, m := range mf.Metric {
			slices.SortFunc(m.Label, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
		}
		families = append(families, mf)
	}
	return families, nil
}
