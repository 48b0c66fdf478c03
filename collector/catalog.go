package collector

import "slices"

// Descriptor is one metric family of the page, for tests that compare the page
// with documents, rules and dashboards.
type Descriptor struct {
	Name string
	// Type is "gauge", "counter" or "histogram".
	Type string
	// Labels are the label names, in the order of the contract.
	Labels []string
	Help   string
}

// Descriptors lists every aispend_* family that this package can expose, in the
// order of the contract. The go_*, process_* and promhttp_* families are not in
// it, nor are the inner instruments of internal/telemetry.
func Descriptors() []Descriptor {
	out := slices.Clone(catalog[:])
	for i := range out {
		out[i].Labels = slices.Clone(out[i].Labels)
	}
	return out
}

// metric indexes the catalog.
type metric int

const (
	dailyCost metric = iota
	todayCost
	yesterdayCost
	monthCost
	monthTokens
	todayTokens
	monthRequests
	todayRequests
	previousMonthCost
	monthGross
	accountMonthCost
	projectMonthCost
	monthCredits
	monthUnattributed
	monthUnconverted
	monthUncosted
	monthTax
	expectedDaily
	budgetSpend
	budgetLimit
	budgetThreshold
	budgetForecast
	budgetIntervalStart
	budgetLastUpdate
	budgetSpendCap
	budgetInfo
	budgetDifference
	capLimit
	capSpend
	capProjected
	capPeriodStart
	capPeriodEnd
	capExhaustion
	capDataThrough
	capDataGaps
	capTopModel
	capBudget
	capsConfigured
	linksInfo
	demo
	sourceHeld
	dataThrough
	lastSuccess
	sourceUp
	pullsTotal
	pullDuration
	pagesTotal
	revisedTotal
	sourceEnabled
	sourceInterval
	sourceMaxStaleness
	clockSkew
	hookDeliveries
	hookPending
	hookOldestPending
	hardCapDelivered
	storeFree
	storeReserve
	storeCorrupt
	rawPages
	charges
	storeBytes
	seriesFolded
	reloadSuccessful
	reloadTime
	buildInfo
	metricCount
)

const (
	gaugeType     = "gauge"
	counterType   = "counter"
	histogramType = "histogram"
)

// labels turns its arguments into a label list.
func labels(names ...string) []string { return names }

// byCap are the labels of everything that concerns one cap.
func byCap(more ...string) []string { return append([]string{"scope", "period"}, more...) }

// byBudget are the labels of everything that concerns one budget.
func byBudget(more ...string) []string {
	return append([]string{"provider", "account", "budget"}, more...)
}

// bySource are the labels of everything that concerns one source.
func bySource(more ...string) []string {
	return append([]string{"provider", "account", "source"}, more...)
}

var catalog = [metricCount]Descriptor{
	dailyCost: {
		"aispend_daily_cost_usd", gaugeType, labels("provider", "model", "day"),
		"Billed cost of one UTC day in USD, net of credits.",
	},
	todayCost: {
		"aispend_today_cost_usd", gaugeType, labels("provider", "model"),
		"Billed cost of the current UTC day so far in USD, net of credits.",
	},
	yesterdayCost: {
		"aispend_yesterday_cost_usd", gaugeType, labels("provider", "model"),
		"Billed cost of the previous UTC day in USD, net of credits.",
	},
	monthCost: {
		"aispend_month_cost_usd", gaugeType, labels("provider", "model"),
		"Billed cost of the current UTC month so far in USD, net of credits.",
	},
	monthTokens: {
		"aispend_month_tokens", gaugeType, labels("provider", "model", "token_type"),
		"Tokens of the current UTC month so far; the token types never overlap.",
	},
	todayTokens: {
		"aispend_today_tokens", gaugeType, labels("provider", "model", "token_type"),
		"Tokens of the current UTC day so far; the token types never overlap.",
	},
	monthRequests: {
		"aispend_month_requests", gaugeType, labels("provider", "model"),
		"Requests of the current UTC month so far, where the provider reports requests.",
	},
	todayRequests: {
		"aispend_today_requests", gaugeType, labels("provider", "model"),
		"Requests of the current UTC day so far, where the provider reports requests.",
	},
	previousMonthCost: {
		"aispend_previous_month_cost_usd", gaugeType, labels("provider", "model"),
		"Billed cost of the previous UTC month in USD, net of credits; bills close after the month does.",
	},
	monthGross: {
		"aispend_month_gross_cost_usd", gaugeType, labels("provider"),
		"Billed cost of the current UTC month so far in USD, before credits.",
	},
	accountMonthCost: {
		"aispend_account_month_cost_usd", gaugeType, labels("provider", "account"),
		"Billed cost of the current UTC month so far in USD by account, net of credits.",
	},
	projectMonthCost: {
		"aispend_project_month_cost_usd", gaugeType, labels("provider", "account", "project"),
		"Billed cost of the current UTC month so far in USD by project, net of credits.",
	},
	monthCredits: {
		"aispend_month_credits_usd", gaugeType, labels("provider"),
		"Credits and discounts of the current UTC month so far in USD; above 0 only if more was taken back than given.",
	},
	monthUnattributed: {
		"aispend_month_unattributed_cost_usd", gaugeType, labels("provider"),
		"The part of the month's cost in USD on rows that name no model.",
	},
	monthUnconverted: {
		"aispend_month_unconverted_cost", gaugeType, labels("provider", "currency"),
		"Billed cost of the current UTC month so far in a currency without a known rate; it is in no USD sum.",
	},
	monthUncosted: {
		"aispend_month_uncosted_tokens", gaugeType, labels("provider", "model"),
		"Tokens of the current UTC month so far whose cost the provider's cost report leaves out.",
	},
	monthTax: {
		"aispend_month_tax", gaugeType, labels("provider", "currency"),
		"Tax on the bill of the current UTC month so far; it is part of no cost.",
	},
	budgetSpend: {
		"aispend_budget_spend", gaugeType, byBudget("currency"),
		"What a budget of the provider says is spent since its interval began, in its currency; part of no cost.",
	},
	budgetLimit: {
		"aispend_budget_limit", gaugeType, byBudget("currency"),
		"What a budget of the provider allows for its interval, in its currency.",
	},
	budgetThreshold: {
		"aispend_budget_threshold_exceeded_ratio", gaugeType, byBudget(),
		"Highest threshold of the budget that its spend has crossed, 1 for 100 %; 0 if none.",
	},
	budgetForecast: {
		"aispend_budget_forecast_threshold_exceeded_ratio", gaugeType, byBudget(),
		"Highest threshold of the budget that the provider's forecast has crossed, 1 for 100 %; 0 if none.",
	},
	budgetIntervalStart: {
		"aispend_budget_interval_start_timestamp_seconds", gaugeType, byBudget(),
		"First instant of the interval that the budget's spend is of.",
	},
	budgetLastUpdate: {
		"aispend_budget_last_update_timestamp_seconds", gaugeType, byBudget(),
		"When the newest notification of the budget was published.",
	},
	budgetSpendCap: {
		"aispend_budget_spend_cap_state", gaugeType, byBudget("state"),
		"1 for the state of the provider's own spend cap, 0 for its other states.",
	},
	budgetInfo: {
		"aispend_budget_info", gaugeType, byBudget("display_name"),
		"Always 1: the name that people gave the budget.",
	},
	budgetDifference: {
		"aispend_budget_difference_usd", gaugeType, byBudget(),
		"Spend of the budget minus billed cost of the account in the current UTC month, in USD.",
	},
	expectedDaily: {
		"aispend_expected_daily_cost_usd", gaugeType, labels("provider"),
		"What the current UTC day is expected to cost in USD, from the days before it.",
	},
	capLimit: {
		"aispend_cap_limit_usd", gaugeType, byCap("level"),
		"Limit of one level of a cap in USD.",
	},
	capSpend: {
		"aispend_cap_spend_usd", gaugeType, byCap(),
		"What the cap's current period has cost so far in USD; a lower bound while there are data gaps.",
	},
	capProjected: {
		"aispend_cap_projected_spend_usd", gaugeType, byCap(),
		"What the cap's current period will have cost at its end in USD, from the days before today.",
	},
	capPeriodStart: {
		"aispend_cap_period_start_timestamp_seconds", gaugeType, byCap(),
		"First instant of the cap's current period.",
	},
	capPeriodEnd: {
		"aispend_cap_period_end_timestamp_seconds", gaugeType, byCap(),
		"First instant after the cap's current period.",
	},
	capExhaustion: {
		"aispend_cap_exhaustion_timestamp_seconds", gaugeType, byCap("level"),
		"When the spend is projected to reach the level, within the period.",
	},
	capDataThrough: {
		"aispend_cap_data_through_timestamp_seconds", gaugeType, byCap(),
		"How far the oldest of the sources that feed the cap reaches; 0 if one of them was never read.",
	},
	capDataGaps: {
		"aispend_cap_data_gaps", gaugeType, byCap("reason"),
		"How many sources make the cap's spend less than the truth, by reason.",
	},
	capTopModel: {
		"aispend_cap_top_model_spend_usd", gaugeType, byCap("model"),
		"What the most expensive models of the cap's current period have cost so far in USD.",
	},
	capBudget: {
		"aispend_cap_budget_spend_usd", gaugeType, byCap("budget"),
		"The part of the cap's spend in USD that a budget tells in the place of billed charges.",
	},
	capsConfigured: {
		"aispend_caps_configured", gaugeType, nil,
		"Number of caps in the configuration.",
	},
	linksInfo: {
		"aispend_links_info", gaugeType, labels("external_url", "dashboard_url"),
		"Where to look, as alerts link it; always 1.",
	},
	demo: {
		"aispend_demo", gaugeType, nil,
		"1 while the figures come from simulated providers; absent otherwise.",
	},
	sourceHeld: {
		"aispend_source_held", gaugeType, bySource(),
		"1 while a suspicious empty window is held back.",
	},
	dataThrough: {
		"aispend_data_through_timestamp_seconds", gaugeType, bySource(),
		"How far the source's money reaches; 0 before the first applied pull.",
	},
	lastSuccess: {
		"aispend_pull_last_success_timestamp_seconds", gaugeType, bySource(),
		"When the newest applied pull ended; 0 before the first.",
	},
	sourceUp: {
		"aispend_source_up", gaugeType, bySource(),
		"1 if the newest pull was applied or held.",
	},
	pullsTotal: {
		"aispend_pulls_total", counterType, bySource("outcome"),
		"Pulls by their final outcome.",
	},
	pullDuration: {
		"aispend_pull_duration_seconds", histogramType, bySource(),
		"How long pulls took, walks with fewer buckets included.",
	},
	pagesTotal: {
		"aispend_pages_total", counterType, bySource(),
		"Responses received, whatever their status.",
	},
	revisedTotal: {
		"aispend_revised_usd_total", counterType, labels("provider", "direction"),
		"By how many USD late revisions raised or lowered closed days.",
	},
	sourceEnabled: {
		"aispend_source_enabled", gaugeType, bySource(),
		"1 if the source is pulled.",
	},
	sourceInterval: {
		"aispend_source_poll_interval_seconds", gaugeType, bySource(),
		"How often the source is pulled.",
	},
	sourceMaxStaleness: {
		"aispend_source_max_staleness_seconds", gaugeType, bySource(),
		"How old data_through may grow before the source counts as stale.",
	},
	clockSkew: {
		"aispend_provider_clock_skew_seconds", gaugeType, labels("provider"),
		"How far the provider's clock is ahead of ours, by its newest answer.",
	},
	hookDeliveries: {
		"aispend_hook_deliveries_total", counterType, labels("outcome"),
		"What attempts to call the hard-cap hook, and alerts that asked for one, came to.",
	},
	hookPending: {
		"aispend_hook_pending", gaugeType, nil,
		"Deliveries that wait to be taken by the hard-cap hook.",
	},
	hookOldestPending: {
		"aispend_hook_oldest_pending_timestamp_seconds", gaugeType, nil,
		"Since when the oldest pending delivery waits; 0 without one.",
	},
	hardCapDelivered: {
		"aispend_hard_cap_delivered", gaugeType, byCap(),
		"1 if the breach of this period and this hard limit reached the hook; absent while nothing is sent.",
	},
	storeFree: {
		"aispend_store_free_bytes", gaugeType, nil,
		"Free bytes on the disk of the store.",
	},
	storeReserve: {
		"aispend_store_reserve_bytes", gaugeType, nil,
		"Free bytes below which no pull is started.",
	},
	storeCorrupt: {
		"aispend_store_corrupt", gaugeType, nil,
		"1 if damage was found in the store since it was opened.",
	},
	rawPages: {
		"aispend_raw_pages", gaugeType, labels("provider"),
		"Raw pages kept for audit.",
	},
	charges: {
		"aispend_charges", gaugeType, labels("provider"),
		"Charge rows in the ledger.",
	},
	storeBytes: {
		"aispend_store_bytes", gaugeType, labels("kind"),
		"Bytes of the store on disk by kind of file.",
	},
	seriesFolded: {
		"aispend_series_folded", gaugeType, nil,
		"Series that metrics.max_series saves by adding the cheapest models up under the model folded.",
	},
	reloadSuccessful: {
		"aispend_config_last_reload_successful", gaugeType, nil,
		"1 if the newest load of the configuration succeeded.",
	},
	reloadTime: {
		"aispend_config_last_reload_success_timestamp_seconds", gaugeType, nil,
		"When the configuration in use was loaded.",
	},
	buildInfo: {
		"aispend_build_info", gaugeType,
		labels("version", "revision", "branch", "goversion", "goos", "goarch", "tags"),
		"A metric with a constant '1' value labeled by version, revision, branch, goversion from which aispend " +
			"was built, and the goos and goarch for the build.",
	},
}
