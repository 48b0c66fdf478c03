package vertex

import (
	"slices"

	"github.com/aispend/aispend/spend"
)

// NewFixtureDecoder reads the canned pages of the shared fixtures, whose query has
// fewer columns: no kind, no project, no account, no cost type, no first usage.
func NewFixtureDecoder(w spend.Window) *RowDecoder {
	var want []column
	for _, c := range columns() {
		if slices.Contains([]string{"kind", "project_id", "billing_account_id", "cost_type", "first_usage_us"}, c.name) {
			continue
		}
		if c.name == "service_id" {
			set := c.set
			c.set = func(row *rawRow, cl cell) error {
				row.kind = kindCost
				return set(row, cl)
			}
		}
		want = append(want, c)
	}
	return newRowDecoder(w, want)
}
