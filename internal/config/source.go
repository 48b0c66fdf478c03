package config

import (
	"time"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

// SourceSettings is the schedule of one source.
type SourceSettings struct {
	Interval     time.Duration
	Lookback     time.Duration // whole days
	Timeout      time.Duration
	MaxStaleness time.Duration
}

// ForSource returns the schedule of one source of a block: what the block says,
// else what the type of the source asks for, else what section ingest says.
func (c *Config) ForSource(p Provider, t providers.SourceType) SourceSettings {
	return SourceSettings{
		Interval:     firstSet(p.Interval, t.Interval, c.Ingest.Interval),
		Lookback:     firstSet(p.Lookback, t.Lookback, c.Ingest.Lookback),
		Timeout:      firstSet(p.Timeout, c.Ingest.Timeout),
		MaxStaleness: firstSet(p.MaxStaleness, t.MaxStaleness, fallbackStaleness),
	}
}

func firstSet(ds ...time.Duration) time.Duration {
	for _, d := range ds {
		if d != 0 {
			return d
		}
	}
	return 0
}

// Days returns a duration of whole days in days.
func Days(d time.Duration) int { return int(d / day) }

// HistoryStart returns the first day that the first load reaches back to:
// initial_history before today, and never later than the first day of the
// previous month, so that both months on /metrics are complete.
func (i Ingest) HistoryStart(today spend.Day) spend.Day {
	return min(today-spend.Day(Days(i.InitialHistory)), today.AddMonths(-1))
}
