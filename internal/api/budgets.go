package api

import (
	"strings"
	"time"

	"github.com/aispend/aispend/spend"
)

// budgetReply is one budget of a provider. What is not known is null; spend is not
// known before the first notification.
type budgetReply struct {
	Provider          string           `json:"provider"`
	Account           string           `json:"account"`
	Budget            string           `json:"budget"`
	BillingAccount    string           `json:"billing_account"`
	DisplayName       string           `json:"display_name"`
	Basis             string           `json:"basis"`
	Counted           bool             `json:"counted"`
	Currency          string           `json:"currency,omitempty"`
	Spend             *spend.Money     `json:"spend"`
	Limit             *spend.Money     `json:"limit"`
	IntervalStart     *time.Time       `json:"interval_start"`
	PublishedAt       *time.Time       `json:"published_at"`
	Threshold         *spend.Money     `json:"threshold_exceeded_ratio"`
	ForecastThreshold *spend.Money     `json:"forecast_threshold_exceeded_ratio"`
	Thresholds        []thresholdReply `json:"thresholds,omitempty"`
	SpendCapState     string           `json:"spend_cap_state,omitempty"`
}

type thresholdReply struct {
	Ratio    spend.Money `json:"ratio"`
	Forecast bool        `json:"forecast"`
}

func newBudgetReply(st spend.SourceStatus, b spend.Budget) budgetReply {
	out := budgetReply{
		Provider: st.ID.Provider, Account: st.ID.Account, Budget: b.ID, BillingAccount: b.BillingAccount,
		DisplayName: b.DisplayName(), Basis: "budget settings",
		Counted: st.BudgetOnly && b.Name() == st.Counted,
	}
	if limit, currency, ok := b.Limit(); ok {
		out.Limit, out.Currency = &limit, currency
	}
	if n, ok := b.Notice(); ok {
		out.Basis = "budget notification, interval to date"
		out.Spend, out.Currency = &n.Spend, n.Currency
		out.IntervalStart, out.PublishedAt = optionalTime(n.IntervalStart), optionalTime(n.PublishedAt)
		out.Threshold, out.ForecastThreshold = n.AlertThreshold, n.ForecastThreshold
	}
	if s := b.Settings; s != nil {
		for _, t := range s.Thresholds {
			out.Thresholds = append(out.Thresholds, thresholdReply{t.Ratio, t.Forecast})
		}
		out.SpendCapState = strings.ToLower(s.SpendCap)
	}
	return out
}
