package rollup

import (
	"slices"

	"github.com/aispend/aispend/spend"
)

// The projection of contract section 6.
const (
	minClosedDays   = 3  // fewer tell nothing
	recentDays      = 7  // the mean until the weekday shape is known
	weekdayFrom     = 21 // closed days that must exist before weekdays are compared
	weekdayWeeks    = 4
	daysPerWeek     = 7
	conversionScale = 18 // decimals of a quotient, half-even
)

// ExpectedDaily returns what a provider's day costs by the look of the days
// before today: the mean of today's weekday over the last four weeks when 21
// closed days exist, else the mean of the last 7 closed days. There is no
// expectation (false) with fewer than 3 closed days, or if a day that is needed
// lacks the statement of any of the provider's costs sources, or if those days
// hold money, but none in USD: that is unknown and not 0.
//
// A source counts as a usage source if it holds no charge, while it holds usage or
// another source of its account holds charges. The days after a retired source's
// last statement are no gap.
func (s *Snapshot) ExpectedDaily(provider string, today spend.Day) (spend.Money, bool) {
	feeds, first := s.costSources(provider)
	closed := int(today - first)
	if len(feeds) == 0 || closed < minClosedDays {
		return spend.Money{}, false
	}
	step, n := 1, min(closed, recentDays)
	if closed >= weekdayFrom {
		step, n = daysPerWeek, min(closed/daysPerWeek, weekdayWeeks)
	}
	var sum spend.Money
	usd, charged := false, false
	for i := 1; i <= n; i++ {
		for _, src := range feeds {
			p, ok := src.known(today - spend.Day(i*step))
			if !ok {
				return spend.Money{}, false
			}
			if p != nil {
				sum = sum.Add(p.total.cost())
				usd = usd || p.total.hasCost
				charged = charged || p.chargeRows() > 0
			}
		}
	}
	if charged && !usd {
		return spend.Money{}, false
	}
	return sum.QuoRound(int64(n), conversionScale), true
}

// costSources returns the sources that feed a provider's money and the first day
// any of them has a statement for.
func (s *Snapshot) costSources(provider string) (feeds []*source, first spend.Day) {
	found := false
	for _, src := range s.sources {
		if src.id.Provider != provider || src.charges == 0 && (src.usage > 0 || s.billed(src.id)) {
			continue
		}
		feeds = append(feeds, src)
		if len(src.days) > 0 && (!found || src.days[0] < first) {
			first, found = src.days[0], true
		}
	}
	if !found {
		return nil, 0
	}
	return feeds, first
}

// billed reports whether any source of id's account holds charges.
func (s *Snapshot) billed(id spend.SourceID) bool {
	return slices.ContainsFunc(s.sources, func(o *source) bool {
		return o.id.Provider == id.Provider && o.id.Account == id.Account && o.charges > 0
	})
}

// known returns the day's part, if there is one, and whether the lack of one is
// no gap.
func (s *source) known(day spend.Day) (*part, bool) {
	if p := s.part(day); p != nil {
		return p, true
	}
	over := s.retired && (len(s.days) == 0 || s.days[len(s.days)-1] < day)
	return nil, over
}
