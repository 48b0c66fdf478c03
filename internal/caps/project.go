package caps

import (
	"time"

	"github.com/aispend/aispend/spend"
)

// The projection of contract section 6.
const (
	minClosedDays   = 3  // fewer tell nothing
	recentDays      = 7  // the mean until the weekday shape is known
	weekdayFrom     = 21 // closed days that must exist before weekdays are compared
	conversionScale = 18 // decimals of a mean, half-even
)

// projection is how the spend is expected to grow until the period ends.
type projection struct {
	now   time.Time
	spent spend.Money // until now
	total spend.Money // at the period's end
	steps []step
}

// step is one stretch of even growth: the rest of today, then a day each.
type step struct {
	from, to time.Time
	grows    spend.Money // not negative
}

// project returns the projection of the cap's own selection: closed days are
// actual, today is the larger of actual and expected, and so is every later day.
// It is false with fewer than 3 closed days or if a day that is needed lacks the
// statement of a source that feeds the cap.
func (v *evaluation) project() (projection, bool) {
	first := v.feeds[0].CoveredFrom
	for _, st := range v.feeds {
		first = min(first, st.CoveredFrom)
	}
	if v.today-first < minClosedDays || !v.allStated(v.window.From, v.today, 1) {
		return projection{}, false
	}
	p := projection{now: v.now, spent: v.spend, total: v.spend}
	means := map[time.Weekday]spend.Money{}
	for d := v.today; d < v.window.To; d++ {
		expected, ok := means[d.Weekday()]
		if !ok {
			if expected, ok = v.expected(d, first); !ok {
				return projection{}, false
			}
			means[d.Weekday()] = expected
		}
		p.add(d, expected.Sub(v.days[d]))
	}
	return p, true
}

// expected is what the day d, today or later, costs by the look of the days before
// today: the mean of the same weekday over the last four weeks when 21 days exist,
// else the mean of the last 7 closed days.
func (v *evaluation) expected(d, first spend.Day) (spend.Money, bool) {
	from, step := max(first, v.today-recentDays), spend.Day(1)
	if v.today-first >= weekdayFrom {
		earliest := max(first, v.today-lookbackDays)
		from, step = d-(d-earliest)/daysPerWeek*daysPerWeek, daysPerWeek
	}
	if !v.allStated(from, v.today, step) {
		return spend.Money{}, false
	}
	var sum spend.Money
	n := int64(0)
	for past := from; past < v.today; past += step {
		sum = sum.Add(v.days[past])
		n++
	}
	return sum.QuoRound(n, conversionScale), true
}

// allStated reports whether every source that feeds the cap has stated every
// step-th day from from on, before to.
func (v *evaluation) allStated(from, to, step spend.Day) bool {
	for d := from; d < to; d += step {
		for _, st := range v.feeds {
			if !v.stated(st.ID, d) {
				return false
			}
		}
	}
	return true
}

// add lets the spend grow on day d, if it grows at all.
func (p *projection) add(d spend.Day, by spend.Money) {
	if by.Sign() <= 0 {
		return
	}
	from := d.Time()
	if from.Before(p.now) {
		from = p.now
	}
	p.total = p.total.Add(by)
	p.steps = append(p.steps, step{from, (d + 1).Time(), by})
}

// reaches returns when the spend is expected to come to limit, or the zero time if
// it does not in the period, or has done so already.
func (p *projection) reaches(limit spend.Money) time.Time {
	sum := p.spent
	if sum.Cmp(limit) >= 0 {
		return time.Time{}
	}
	for _, s := range p.steps {
		missing := limit.Sub(sum)
		if sum = sum.Add(s.grows); sum.Cmp(limit) < 0 {
			continue
		}
		return s.at(missing.Float64() / s.grows.Float64())
	}
	return time.Time{}
}

// at returns the second in which a part of the step, more than 0 and at most 1, is
// over. The last second of a day still belongs to it.
func (s step) at(part float64) time.Time {
	last := s.to.Add(-time.Second)
	if !(part < 1) { // of amounts beyond float64 it is not a number
		return last
	}
	at := s.from.Add(time.Duration(part * float64(s.to.Sub(s.from)))).Add(time.Second - 1).Truncate(time.Second)
	if at.After(last) {
		return last
	}
	return at
}
