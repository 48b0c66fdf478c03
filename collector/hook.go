package collector

import (
	"maps"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// Hook is how the hard-cap hook stands.
type Hook struct {
	// Deliveries counts outcomes since the process began; every outcome is in it.
	Deliveries map[string]uint64
	Pending    int
	// OldestPending is since when the oldest pending delivery waits; zero without one.
	OldestPending time.Time
	// Delivered tells for every hard cap whether the breach of its period and threshold
	// reached the hook; empty while nothing is sent.
	Delivered []HookDelivered
}

// HookDelivered tells of one hard cap.
type HookDelivered struct {
	Scope, Period string
	Delivered     bool
}

func gatherHook(h Hook, err error) ([]*dto.MetricFamily, error) {
	if err != nil {
		return nil, err
	}
	fs := newFamilies()
	outcomes := fs.open(hookDeliveries, len(h.Deliveries))
	outcomes.result.Type = dto.MetricType_COUNTER.Enum()
	for _, outcome := range slices.Sorted(maps.Keys(h.Deliveries)) {
		outcomes.count(h.Deliveries[outcome], outcome)
	}
	fs.one(hookPending, float64(h.Pending))
	fs.one(hookOldestPending, timestamp(h.OldestPending))
	delivered := fs.open(hardCapDelivered, len(h.Delivered))
	for _, d := range h.Delivered {
		delivered.set(boolean(d.Delivered), clean(d.Scope), clean(d.Period))
	}
	return fs.list(), nil
}

// count appends a sample of a counter.
func (f *family) count(n uint64, values ...string) {
	value := float64(n)
	m := &dto.Metric{Counter: &dto.Counter{Value: &value}}
	for _, i := range f.order {
		m.Label = append(m.Label, f.all.pair(f.names[i], values[i]))
	}
	f.result.Metric = append(f.result.Metric, m)
}
