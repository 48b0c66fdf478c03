package collector

import (
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

// spendCache keeps the spend families of the newest snapshot. Scrapes that come
// while they are built wait for that one build.
type spendCache struct {
	snapshots func() *rollup.Snapshot
	settings  func() Settings
	now       func() time.Time

	mu     sync.Mutex
	built  bool
	key    cacheKey
	result []*dto.MetricFamily
	err    error
}

// cacheKey is all that the spend families depend on.
type cacheKey struct {
	version uint64
	day     spend.Day
	set     exposure
}

// Gather returns shared families: they must not be changed.
func (c *spendCache) Gather() ([]*dto.MetricFamily, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	snap, s := c.snapshots(), c.settings()
	key := cacheKey{
		version: snap.Version(),
		day:     spend.DayOf(c.now()),
		set:     exposure{dailyWindow: s.DailyWindow, maxSeries: s.MaxSeries, byProject: s.ByProject},
	}
	if !c.built || key != c.key {
		c.result, c.err = buildSpend(snap, key.day, key.set)
		c.key, c.built = key, true
	}
	return c.result, c.err
}
