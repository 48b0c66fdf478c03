package spend

import (
	"cmp"
	"slices"
	"time"
)

// Budget is how one budget of a billing account stands: what its notifications said
// (money spent since the start of an interval) and what the Budgets API says of its
// settings. Either half may be missing. It is kept apart from charges, of which it
// would be a second count.
type Budget struct {
	// BillingAccount and ID name it: "01AAAA-BBBBBB-CCCCC1", "de72f49d-...".
	BillingAccount string `json:"billing_account"`
	ID             string `json:"id"`
	// Notices holds the newest notification of each of the last intervals, the one
	// published last at the end; none means that nothing is known to be spent.
	Notices []BudgetNotice `json:"notices,omitempty"`
	// Settings are nil if the Budgets API was not asked or did not answer.
	Settings *BudgetSettings `json:"settings,omitempty"`
}

// maxNotices is how many intervals of a budget are remembered.
const maxNotices = 4

// BudgetNotice is one notification. Spend is cumulative since IntervalStart, in
// Currency, and may go down.
type BudgetNotice struct {
	MessageID     string    `json:"message_id"`
	PublishedAt   time.Time `json:"published_at"`
	IntervalStart time.Time `json:"interval_start"`
	DisplayName   string    `json:"display_name,omitempty"`
	Currency      string    `json:"currency"` // ISO 4217, upper case
	Spend         Money     `json:"spend"`
	Limit         Money     `json:"limit"`
	LimitType     string    `json:"limit_type,omitempty"` // SPECIFIED_AMOUNT, LAST_MONTH_COST, LAST_PERIODS_COST
	// AlertThreshold and ForecastThreshold are the highest thresholds crossed, 1 for
	// 100 %; nil if none is.
	AlertThreshold    *Money `json:"alert_threshold,omitempty"`
	ForecastThreshold *Money `json:"forecast_threshold,omitempty"`
}

// BudgetSettings is what the Budgets API says of a budget. It knows no spend.
type BudgetSettings struct {
	// ReadAt is when Google said so; zero if nobody stamped it. Google does not tell of
	// budgets that were deleted: their settings just stop being read.
	ReadAt      time.Time `json:"read_at,omitzero"`
	DisplayName string    `json:"display_name,omitempty"`
	// Limit is nil where it is what the last period cost: then only notifications
	// tell the number.
	Limit      *Money            `json:"limit,omitempty"`
	Currency   string            `json:"currency,omitempty"`
	Thresholds []BudgetThreshold `json:"thresholds,omitempty"`
	// Credits is Google's creditTypesTreatment, Period its calendarPeriod ("MONTH");
	// empty for a period of its own.
	Credits string `json:"credits,omitempty"`
	Period  string `json:"period,omitempty"`
	// SpendCap is the state of the provider's own spend cap: CONFIGURED, ENFORCED or
	// AWAITING_NEXT_PERIOD; empty if the budget is none.
	SpendCap string `json:"spend_cap,omitempty"`
}

// BudgetThreshold is one rule of a budget.
type BudgetThreshold struct {
	Ratio    Money `json:"ratio"` // of the limit, 1 for 100 %
	Forecast bool  `json:"forecast,omitempty"`
}

// Name returns the budget's name in the Budgets API:
// billingAccounts/{account}/budgets/{id}.
func (b Budget) Name() string { return "billingAccounts/" + b.BillingAccount + "/budgets/" + b.ID }

// DisplayName returns the name that people gave it, the newest one known.
func (b Budget) DisplayName() string {
	if b.Settings != nil && b.Settings.DisplayName != "" {
		return b.Settings.DisplayName
	}
	if n, ok := b.Notice(); ok {
		return n.DisplayName
	}
	return ""
}

// Notice returns the notification published last, and false before the first one.
func (b Budget) Notice() (BudgetNotice, bool) {
	if len(b.Notices) == 0 {
		return BudgetNotice{}, false
	}
	return b.Notices[len(b.Notices)-1], true
}

// Limit returns what the budget allows for its interval, from the newest notification
// or else from its settings; false if neither tells.
func (b Budget) Limit() (limit Money, currency string, ok bool) {
	if n, told := b.Notice(); told {
		return n.Limit, n.Currency, true
	}
	if b.Settings != nil && b.Settings.Limit != nil {
		return *b.Settings.Limit, b.Settings.Currency, true
	}
	return Money{}, "", false
}

// BudgetsThrough returns when the newest of all notifications was published; zero if
// there is none.
func BudgetsThrough(budgets []Budget) time.Time {
	var newest time.Time
	for _, b := range budgets {
		if n, ok := b.Notice(); ok && n.PublishedAt.After(newest) {
			newest = n.PublishedAt
		}
	}
	return newest
}

// StampBudgets returns the budgets with their settings marked as read at that time. The
// argument is left as it is.
func StampBudgets(budgets []Budget, at time.Time) []Budget {
	out := slices.Clone(budgets)
	for i, b := range out {
		if b.Settings != nil {
			stamped := *b.Settings
			stamped.ReadAt = at
			out[i].Settings = &stamped
		}
	}
	return out
}

// MergeBudgets returns what is known after more was learnt: of each budget and
// interval the notification published last, of the newest intervals only, and of the
// settings those read last (those learnt, if that tells nothing). The result is
// ascending by billing account and id, without budgets of which nothing is known. As for
// notifications it depends neither on their order, nor on how they are spread over
// calls, nor on how often one is given. The arguments are left as they are; settings are
// shared with them.
func MergeBudgets(known, learnt []Budget) []Budget {
	var out []Budget
	for _, b := range slices.Concat(known, learnt) {
		if len(b.Notices) == 0 && b.Settings == nil {
			continue
		}
		i, found := slices.BinarySearchFunc(out, b, compareBudgets)
		if !found {
			out = slices.Insert(out, i, Budget{BillingAccount: b.BillingAccount, ID: b.ID})
		}
		out[i].Notices = mergeNotices(out[i].Notices, b.Notices)
		if old := out[i].Settings; b.Settings != nil && (old == nil || !b.Settings.ReadAt.Before(old.ReadAt)) {
			out[i].Settings = b.Settings
		}
	}
	return out
}

func compareBudgets(a, b Budget) int {
	return cmp.Or(cmp.Compare(a.BillingAccount, b.BillingAccount), cmp.Compare(a.ID, b.ID))
}

// ForgetBudgets returns the budgets without notifications published, and without
// settings read, before limit, and without those of which nothing is left: they were
// deleted, or nobody publishes them any more. Settings that were never stamped stay. The
// argument is left as it is.
func ForgetBudgets(known []Budget, limit time.Time) []Budget {
	out := make([]Budget, 0, len(known))
	for _, b := range known {
		b.Notices = slices.DeleteFunc(slices.Clone(b.Notices), func(n BudgetNotice) bool {
			return n.PublishedAt.Before(limit)
		})
		if s := b.Settings; s != nil && !s.ReadAt.IsZero() && s.ReadAt.Before(limit) {
			b.Settings = nil
		}
		if len(b.Notices) > 0 || b.Settings != nil {
			out = append(out, b)
		}
	}
	return out
}

// mergeNotices keeps the newest notification of each of the newest intervals. An
// interval that fell out stays out until it is published anew: whatever was known of it
// is older than all that is kept.
func mergeNotices(a, b []BudgetNotice) []BudgetNotice {
	all := slices.Concat(a, b)
	slices.SortFunc(all, compareNotices)
	var out []BudgetNotice // the newest first
	for _, n := range slices.Backward(all) {
		known := slices.ContainsFunc(out, func(o BudgetNotice) bool {
			return o.IntervalStart.Equal(n.IntervalStart)
		})
		if !known {
			out = append(out, n)
		}
		if len(out) == maxNotices {
			break
		}
	}
	slices.Reverse(out)
	return out
}

// compareNotices puts the newer one last. Of two published at the same instant any
// order will do, as long as it is always the same: so all fields decide.
func compareNotices(a, b BudgetNotice) int {
	return cmp.Or(
		a.PublishedAt.Compare(b.PublishedAt), cmp.Compare(a.MessageID, b.MessageID),
		a.IntervalStart.Compare(b.IntervalStart), a.Spend.Cmp(b.Spend), a.Limit.Cmp(b.Limit),
		cmp.Compare(a.Currency, b.Currency), cmp.Compare(a.DisplayName, b.DisplayName),
		cmp.Compare(a.LimitType, b.LimitType), compareThresholds(a.AlertThreshold, b.AlertThreshold),
		compareThresholds(a.ForecastThreshold, b.ForecastThreshold),
	)
}

func compareThresholds(a, b *Money) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return a.Cmp(*b)
}
