package spend

import "time"

// USD is the currency of every sum; money of any other currency takes part in it by
// the rate of its charge, and stays apart without one.
const USD = "USD"

// OtherModel is the model label of money and tokens on rows that name no model.
const OtherModel = "other"

// SourceID names one endpoint family of one provider account.
type SourceID struct {
	Provider string `json:"provider"` // "openai"
	Account  string `json:"account"`  // as the configuration names it, "default" if it does not
	Source   string `json:"source"`   // "openai/costs"
}

// String returns "openai/costs (default)".
func (id SourceID) String() string { return id.Source + " (" + id.Account + ")" }

// Charge is billed money of one day: all rows of one model, project, item, currency
// and rate of one source added up. Gross is what was charged before credits, Credits
// are what was given back; the cost is their sum. Both are in Currency, exact. Credits
// are at most 0 and Gross at least 0 in all but corrections, which some providers
// book with the sign turned round.
type Charge struct {
	Model    string // empty: the row names no model (unattributed)
	Project  string // provider's project or workspace id; empty: default or none
	Item     string // provider's own text for the row (line item, description)
	Currency string // ISO 4217, upper case
	// Rate is how much of Currency the provider gave for one US dollar on the row; 0
	// where it gave no rate, as where Currency is USD.
	Rate Money `json:",omitzero"`
	// Tax marks money that goes to a tax office: it is part of no sum of cost.
	Tax     bool `json:",omitzero"`
	Gross   Money
	Credits Money
}

// RatePlaces is how many decimals a conversion to USD keeps (contract section 6).
const RatePlaces = 18

// Cost returns the money net of credits (FOCUS: BilledCost), in Currency.
func (c Charge) Cost() Money { return c.Gross.Add(c.Credits) }

// Converted reports whether the charge's money can be told in USD.
func (c Charge) Converted() bool { return c.Currency == USD || c.Rate.Sign() > 0 }

// USD returns gross and credits in US dollars: as they are, or divided by the rate,
// rounded half-even at RatePlaces; ok is false if there is no rate.
func (c Charge) USD() (gross, credits Money, ok bool) {
	switch {
	case c.Currency == USD:
		return c.Gross, c.Credits, true
	case c.Rate.Sign() > 0:
		return c.Gross.Quo(c.Rate, RatePlaces), c.Credits.Quo(c.Rate, RatePlaces), true
	default:
		return Money{}, Money{}, false
	}
}

// ModelLabel returns the model as labels and API rows show it.
func (c Charge) ModelLabel() string { return modelLabel(c.Model) }

// Usage is the work of one day: all rows of one model and project of one source
// added up. The four token counts never overlap. Usage never becomes money.
type Usage struct {
	Model      string
	Project    string
	Input      int64 // uncached input
	Output     int64
	CacheRead  int64
	CacheWrite int64
	Requests   int64
	// HasRequests is set where the source reports requests at all; without it
	// Requests is unknown, not 0.
	HasRequests bool
	// Uncosted counts those of the tokens above whose cost the provider's cost
	// report leaves out (Anthropic Priority Tier).
	Uncosted int64
}

// Tokens returns the sum of the four token counts, by AddCount.
func (u Usage) Tokens() int64 {
	return AddCount(AddCount(u.Input, u.Output), AddCount(u.CacheRead, u.CacheWrite))
}

// ModelLabel returns the model as labels and API rows show it.
func (u Usage) ModelLabel() string { return modelLabel(u.Model) }

func modelLabel(m string) string {
	if m == "" {
		return OtherModel
	}
	return m
}

// Statement is all that one source says about one day. Charges and Usage are
// sorted by their key fields and hold each key once. A statement without rows
// is a day known to be empty, which differs from a day without a statement.
type Statement struct {
	Day     Day
	ReadAt  time.Time // start of the walk that brought it; zero until a pull is applied
	Charges []Charge
	Usage   []Usage
}

// Empty reports whether the statement carries neither money nor usage: no rows,
// or rows of nothing but zeros.
func (s Statement) Empty() bool {
	for _, c := range s.Charges {
		if !c.Gross.IsZero() || !c.Credits.IsZero() {
			return false
		}
	}
	for _, u := range s.Usage {
		if u.Tokens() != 0 || u.Requests != 0 {
			return false
		}
	}
	return true
}
