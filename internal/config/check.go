package config

import (
	"slices"
	"strings"
	"time"

	"github.com/aispend/aispend/internal/secret"
)

// typeVertex is the provider type whose spend can be told by budgets alone.
const typeVertex = "vertex"

// check applies every rule that needs more than one value, or a value's meaning.
func (d *decoder) check(c *Config) {
	d.checkSecrets(c) // first: what follows reads the files that are fit to be read
	d.checkStorage(c)
	d.checkIngest(c)
	d.checkMetrics(c)
	d.checkProviders(c)
	d.checkRetired(c)
	d.checkCaps(c)
	d.checkURLs(c)
	d.checkTokens(c)
	d.checkHook(c)
}

func (d *decoder) checkStorage(c *Config) {
	d.days("storage.raw_retention", c.Storage.RawRetention, day, maxHistory)
	if !d.days("storage.history", c.Storage.History, minHistory, maxHistory) {
		return
	}
	if c.Metrics.DailyWindow > c.Storage.History {
		d.errorf("storage.history",
			"%s is shorter than metrics.daily_window (%s): lengthen the one or shorten the other",
			formatDuration(c.Storage.History), formatDuration(c.Metrics.DailyWindow))
	}
}

func (d *decoder) checkIngest(c *Config) {
	d.span("ingest.interval", c.Ingest.Interval, minInterval, maxInterval)
	d.span("ingest.timeout", c.Ingest.Timeout, minTimeout, maxTimeout)
	d.reach("ingest.lookback", c.Ingest.Lookback, c)
	if !d.given("ingest.initial_history") && c.Storage.History >= minHistory {
		c.Ingest.InitialHistory = min(c.Ingest.InitialHistory, c.Storage.History.Truncate(day))
	}
	d.reach("ingest.initial_history", c.Ingest.InitialHistory, c)
}

func (d *decoder) checkMetrics(c *Config) {
	if w := c.Metrics.DailyWindow; w > maxDailyWindow {
		d.errorf("metrics.daily_window", "%s is too long: at most %s, or 0 to turn the day label off",
			formatDuration(w), formatDuration(maxDailyWindow))
	} else if w != 0 {
		d.days("metrics.daily_window", w, day, maxDailyWindow)
	}
	if c.Metrics.MaxSeries < 1 {
		d.errorf("metrics.max_series", "%d is too small: at least 1, the default is 20000", c.Metrics.MaxSeries)
	}
}

// reach checks how far back something reads: not further than the ledger remembers.
func (d *decoder) reach(key string, v time.Duration, c *Config) {
	if d.days(key, v, day, maxHistory) && v > c.Storage.History && c.Storage.History >= minHistory {
		d.errorf(key, "%s is longer than storage.history (%s): shorten the one or lengthen the other",
			formatDuration(v), formatDuration(c.Storage.History))
	}
}

// days checks a duration of whole days.
func (d *decoder) days(key string, v, low, high time.Duration) bool {
	if v%day != 0 {
		d.errorf(key,
			"%s is not a whole number of days: write %s", formatDuration(v), formatDuration(v.Truncate(day)+day))
		return false
	}
	return d.span(key, v, low, high)
}

func (d *decoder) span(key string, v, low, high time.Duration) bool {
	if v < low || v > high {
		d.errorf(key,
			"%s is out of range: from %s to %s", formatDuration(v), formatDuration(low), formatDuration(high))
		return false
	}
	return true
}

// checkTokens looks into the tokens that callers present.
func (d *decoder) checkTokens(c *Config) {
	admin := d.tokens("web.admin_token", c.Web.AdminToken)
	read := d.tokens("web.read_token", c.Web.ReadToken)
	inbound := d.tokens("hard_cap.inbound_token", c.HardCap.InboundToken)
	if shareToken(inbound, admin) {
		d.warnf(d.givenKey("hard_cap.inbound_token"),
			"is also an admin token: whoever reads Alertmanager's files may administrate; make another one")
	}
	if shareToken(read, admin) {
		d.warnf("web.read_token", "is also an admin token: everyone who may read may administrate; make another one")
	}
	if len(read) == 0 && c.Web.MetricsOpen && d.given("web.metrics_open") {
		d.warnf("web.metrics_open", "has no effect: /metrics is open as long as no read_token is set")
	}
}

func shareToken(some, others []string) bool {
	return slices.ContainsFunc(some, func(a string) bool {
		return slices.ContainsFunc(others, func(b string) bool { return digestOf(a).equal(digestOf(b)) })
	})
}

func (d *decoder) tokens(key string, v *secret.Value) []string {
	text, ok := d.secretText(v)
	if !ok {
		return nil
	}
	tokens := splitTokens(text)
	for _, t := range tokens {
		if strings.ContainsAny(t, " \t") {
			d.errorf(d.givenKey(key), "holds a token with a space in it: one token per line, no comments")
			return nil
		}
	}
	return tokens
}
