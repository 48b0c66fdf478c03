package ingest

import (
	"math"
	"time"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

// heavyWalk is how many bytes of pages show that a walk is too large as a whole:
// several times what one page may have. Fewer buckets per page leave its sum as it is.
const heavyWalk = 256 << 20

// round is one step of the plan on its way to the ledger. It is one walk, or several
// over the same days with fewer buckets per page; and if all its days together are too
// large, it is a walk for each part of them, newest first, with a verdict of its own.
//
// Days are replaced as their part is applied, since each is right by itself. That the
// window was read (how far the data reaches and from where on days are covered, when
// the present and the previous month were read) is said once, with its last part and as
// of its first: until then the next plan asks for all of it again. History and lost
// days need no such care, there every part is a step of its own.
type round struct {
	step    Step
	left    spend.Window                // the days of it that no walk was applied for; its newest are next
	days    int                         // most days of a walk
	buckets int                         // most days of a page
	worked  struct{ days, buckets int } // sizes of the newest applied walk; 0: there is none

	began  time.Time         // of the newest part that was applied
	newest []spend.Statement // the day of the newest bucket of all parts; its money is not kept
	// through is how far the data reaches by the provider's own word, zero without one;
	// known is the first day from which on something was learnt of every day.
	through time.Time
	known   spend.Day
	// foreign is set when a part brought money that is not in USD.
	foreign bool
}

// newRound begins with the sizes that worked earlier today, else with the most.
func (s *source) newRound(step Step, now time.Time) *round {
	if s.sizeDay != spend.DayOf(now) {
		s.size, s.spans, s.sizeDay = s.maxBuckets(), map[string]int{}, spend.DayOf(now)
	}
	r := &round{step: step, left: step.Window, days: math.MaxInt, buckets: s.size, known: step.Window.To}
	if span, ok := s.spans[step.Kind]; ok {
		r.days = span
	}
	return r
}

// part is the next walk: the newest days that are left.
func (r *round) part() Step {
	p := Step{r.step.Kind, r.left}
	if r.left.Days() > r.days {
		p.Window.From = p.Window.To - spend.Day(r.days)
	}
	if r.step.Kind == KindHistory || r.step.Kind == KindBackfill {
		r.step, r.left = p, p.Window
	}
	return p
}

// next reports whether another walk follows one that ended with res, and prepares it;
// again is set if it repeats days of the last one.
func (r *round) next(res pullResult) (more, again bool) {
	n := r.part().Window.Days()
	large := res.outcome == spend.TooLarge
	switch {
	case res.abandoned:
		return false, false
	case res.outcome.Applied():
		r.foreign = r.foreign || res.outcome == spend.Currency
		r.worked.days, r.worked.buckets = r.days, r.buckets
		return n > 0, false
	case r.buckets > 1 && (res.outcome == spend.Timeout || large && (!res.heavy || n == 1)):
		r.buckets /= 2
		return true, true
	case large && n > 1:
		r.days = (n + 1) / 2
		return true, true
	}
	return false, false
}

// remember keeps sizes that worked until the day is over, also if the pull failed after
// some parts: who asks for a rest is not asked for everything first when it is over. A
// part that is held may be the beginning of a window that turned empty, and that is not
// too large.
func (s *source) remember(r *round, res pullResult) {
	switch {
	case res.outcome == spend.Held:
		s.size = r.buckets
		delete(s.spans, r.step.Kind)
	case r.worked.buckets > 0:
		s.size = r.worked.buckets
		if r.worked.days < math.MaxInt {
			s.spans[r.step.Kind] = r.worked.days
		}
	}
}

// advance returns the state after the walk of a part that began at start brought got
// for the days known, which are the part or its newer end.
func (r *round) advance(
	st store.State, part, known spend.Window, start time.Time, got providers.Result,
) store.State {
	if r.began.IsZero() {
		r.began = start
	}
	if n := len(got.Statements); len(r.newest) == 0 && n > 0 {
		r.newest = []spend.Statement{{Day: got.Statements[n-1].Day}}
	}
	r.through = later(r.through, got.Through)
	if known.To == r.known {
		r.known = known.From
	}
	r.left.To = part.From
	if r.left.Days() > 0 {
		return withoutHoldOf(st, r.step.topic(), part)
	}
	next := withoutHold(advance(st, r.step.Window, r.known, r.began), r.step, spend.DayOf(r.began))
	next.DataThrough = dataThrough(st.DataThrough, r.step.Window, r.began, r.newest)
	if !r.through.IsZero() {
		next.DataThrough = later(st.DataThrough, r.through)
	}
	return next
}
