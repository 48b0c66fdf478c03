package config

import "time"

const day = 24 * time.Hour

// DefaultAccount is the account of a provider block that names none.
const DefaultAccount = "default"

// fallbackStaleness serves a source type that states none of its own.
const fallbackStaleness = 2 * day

// Limits of the settings; the field comments and docs/configuration.md repeat them.
const (
	minHistory     = 62 * day // the 31st of a month back to the 1st of the previous one
	maxHistory     = 3650 * day
	minInterval    = time.Second
	maxInterval    = 7 * day
	minTimeout     = time.Second
	maxTimeout     = time.Hour
	maxDailyWindow = 400 * day
	minStaleness   = time.Minute
)

// Default returns the configuration of an empty file: no provider, no cap.
func Default() *Config {
	return &Config{
		Storage: Storage{RawRetention: 90 * day, History: 800 * day},
		Ingest: Ingest{
			Interval:       15 * time.Minute,
			Lookback:       7 * day,
			InitialHistory: 90 * day,
			Timeout:        5 * time.Minute,
		},
		Metrics: Metrics{DailyWindow: 35 * day, MaxSeries: 20000},
	}
}

func defaultProvider() Provider {
	return Provider{Account: DefaultAccount, Enabled: true}
}

func defaultCap() Cap {
	return Cap{Period: PeriodMonth, Cost: CostNet}
}
