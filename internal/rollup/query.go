// Package rollup adds the ledger up. It is pure arithmetic over statements: no
// I/O, no clock. The live state is an immutable Snapshot that Book swaps
// atomically, so that readers never wait and never see half a pull.
package rollup

import (
	"time"

	"github.com/aispend/aispend/spend"
)

// Dim is a dimension to group by, spelled as in the API.
type Dim string

// The dimensions.
const (
	ByProvider Dim = "provider"
	ByModel    Dim = "model"
	ByDay      Dim = "day"
	ByMonth    Dim = "month"
	ByProject  Dim = "project"
	ByAccount  Dim = "account"
	BySource   Dim = "source"
	ByItem     Dim = "item"
)

// Query selects and groups. Empty filters select everything; Model matches the
// label ("other" for rows without a model).
type Query struct {
	Window   spend.Window
	GroupBy  []Dim
	Provider string
	Model    string
	Project  string
	Account  string
}

// Row is one group. Only the fields that the query groups by are set. Money is USD.
type Row struct {
	Provider, Model, Project, Account, Source, Item string
	Day                                             spend.Day // first day of the month when grouped by month only
	Month                                           string    // YYYY-MM

	// HasCost and HasUsage say which halves the group has rows of: a group of usage
	// alone has no cost, which differs from a cost of 0.
	HasCost, HasUsage bool

	Cost, Gross, Credits spend.Money
	// Unattributed is the part of Cost on rows that name no model.
	Unattributed spend.Money

	Input, Output, CacheRead, CacheWrite int64
	Requests                             int64
	HasRequests                          bool
	Uncosted                             int64
}

// Apart is money that is in no Row.
type Apart struct {
	Provider, Account, Source, Currency string
	Cost                                spend.Money
}

// Result is the answer to a Query: rows sorted by their group fields, the totals
// over all selected rows, and what had to be left out of them.
type Result struct {
	Rows   []Row
	Totals Row
	// Unconverted is money in a currency without a known rate.
	Unconverted []Apart
	// Tax is what goes to a tax office: in USD where there is a rate.
	Tax []Apart
	// DataThrough tells for every source that feeds the selection how far its data reaches.
	DataThrough map[spend.SourceID]time.Time
}
