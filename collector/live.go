package collector

import (
	"cmp"
	"maps"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// gatherSources exposes the states of the configured sources. A source that a
// reload removed is in no later status, and so gone from the page.
func gatherSources(statuses []spend.SourceStatus) []*dto.MetricFamily {
	fs := newFamilies()
	statuses = cleanStatuses(statuses)
	add := func(m metric, value func(spend.SourceStatus) float64) {
		f := fs.open(m, len(statuses))
		for _, s := range statuses {
			f.set(value(s), s.ID.Provider, s.ID.Account, s.ID.Source)
		}
	}
	add(sourceHeld, func(s spend.SourceStatus) float64 { return boolean(s.Held) })
	through := fs.open(dataThrough, len(statuses))
	for _, s := range statuses {
		if !s.NoSpend { // nothing can ever reach anywhere
			through.set(timestamp(s.DataThrough), s.ID.Provider, s.ID.Account, s.ID.Source)
		}
	}
	add(lastSuccess, func(s spend.SourceStatus) float64 { return timestamp(s.LastSuccess) })
	add(sourceUp, func(s spend.SourceStatus) float64 { return boolean(s.Up) })
	add(sourceEnabled, func(s spend.SourceStatus) float64 { return boolean(s.Enabled) })
	add(sourceInterval, func(s spend.SourceStatus) float64 { return s.Interval.Seconds() })
	add(sourceMaxStaleness, func(s spend.SourceStatus) float64 { return s.MaxStaleness.Seconds() })
	return fs.list()
}

// cleanStatuses returns the statuses with clean names, sorted, each source once.
func cleanStatuses(statuses []spend.SourceStatus) []spend.SourceStatus {
	out := slices.Clone(statuses)
	for i := range out {
		out[i].ID = cleanID(out[i].ID)
	}
	slices.SortStableFunc(out, func(a, b spend.SourceStatus) int { return compareIDs(a.ID, b.ID) })
	return slices.CompactFunc(out, func(a, b spend.SourceStatus) bool { return a.ID == b.ID })
}

func cleanID(id spend.SourceID) spend.SourceID {
	return spend.SourceID{Provider: clean(id.Provider), Account: clean(id.Account), Source: clean(id.Source)}
}

func compareIDs(a, b spend.SourceID) int {
	return cmp.Or(
		cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Source, b.Source),
	)
}

func gatherStore(st store.Stats) []*dto.MetricFamily {
	fs := newFamilies()
	fs.one(storeFree, float64(st.FreeBytes))
	fs.one(storeReserve, float64(st.ReserveBytes))
	fs.one(storeCorrupt, boolean(st.Corrupt))
	kinds := fs.open(storeBytes, 2)
	kinds.set(float64(st.LSMBytes), "lsm")
	kinds.set(float64(st.VlogBytes), "vlog")
	pages := &series{metric: rawPages}
	for provider, n := range maps.All(st.RawPages) {
		pages.addCount(int64(n), clean(provider))
	}
	pages.merge()
	pages.gauges(fs)
	return fs.list()
}

func gatherSettings(s Settings) []*dto.MetricFamily {
	fs := newFamilies()
	fs.one(capsConfigured, float64(s.CapsConfigured))
	fs.open(linksInfo, 1).set(1, cleanURL(s.ExternalURL), cleanURL(s.DashboardURL))
	if s.Demo {
		fs.one(demo, 1)
	}
	return fs.list()
}

func gatherReload(r Reload) []*dto.MetricFamily {
	fs := newFamilies()
	fs.one(reloadSuccessful, boolean(r.Successful))
	fs.one(reloadTime, timestamp(r.LastSuccess))
	return fs.list()
}

// timestamp returns Unix seconds, 0 for the zero time: what has never happened
// is infinitely old, not absent.
func timestamp(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
