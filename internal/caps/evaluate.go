package caps

import (
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

// Evaluate judges every cap that has a level, in the order given, at the instant
// now. The sources that feed a cap are the enabled ones among statuses that bill
// money and that the cap can select; the money of other accounts in the ledger
// (retired, disabled) counts all the same, while it holds no freshness back.
func Evaluate(
	snap *rollup.Snapshot, statuses []spend.SourceStatus, caps []Cap, now time.Time,
) ([]Status, error) {
	return new(Evaluator).Evaluate(snap, statuses, caps, now)
}

// Evaluator is Evaluate with a memory: what the ledger says of a cap is added up
// once per snapshot, UTC day and list of caps. The zero Evaluator is ready to use;
// it is safe for concurrent use.
type Evaluator struct {
	mu      sync.Mutex
	built   bool
	version uint64
	today   spend.Day
	caps    []Cap
	figures []*figures
}

// Evaluate is the function of the same name. All snapshots must be of one book.
func (e *Evaluator) Evaluate(
	snap *rollup.Snapshot, statuses []spend.SourceStatus, caps []Cap, now time.Time,
) ([]Status, error) {
	caps = slices.DeleteFunc(slices.Clone(caps), Cap.Off)
	figures, err := e.lookUp(snap, caps, now)
	if err != nil {
		return nil, err
	}
	out := make([]Status, len(caps))
	for i, c := range caps {
		v := &evaluation{snap: snap, figures: figures[i], now: now, today: spend.DayOf(now)}
		for _, st := range statuses {
			switch {
			case !c.FedBy(st):
			case st.BudgetSource:
				v.addBudget(c, st)
			default:
				v.feeds = append(v.feeds, st)
			}
		}
		out[i] = v.status(c)
	}
	return out, nil
}

func (e *Evaluator) lookUp(snap *rollup.Snapshot, caps []Cap, now time.Time) ([]*figures, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	version, today := snap.Version(), spend.DayOf(now)
	if e.built && e.version == version && e.today == today && slices.Equal(e.caps, caps) {
		return e.figures, nil
	}
	all := make([]*figures, len(caps))
	for i, c := range caps {
		var err error
		if all[i], err = newFigures(snap, c, c.Period.Window(now), today); err != nil {
			return nil, err
		}
	}
	e.built, e.version, e.today, e.caps, e.figures = true, version, today, caps, all
	return all, nil
}

// evaluation is the work on one cap at one instant.
type evaluation struct {
	*figures
	snap    *rollup.Snapshot
	feeds   []spend.SourceStatus // those of charges
	budgets []budgetFeed
	now     time.Time
	today   spend.Day
}

func (v *evaluation) status(c Cap) Status {
	s := Status{Cap: c, Window: v.window, DataThrough: v.dataThrough(), Gaps: v.gaps()}
	s.Known = slices.ContainsFunc(v.feeds, v.covers) || slices.ContainsFunc(v.budgets, budgetFeed.counts)
	s.FromCharges = len(v.feeds) > 0
	for _, level := range Levels() {
		if limit, on := c.Limit(level); on {
			s.Levels = append(s.Levels, LevelStatus{Level: level, Limit: limit})
		}
	}
	if !s.Known {
		return s
	}
	s.Spend = v.spend
	for _, b := range v.budgets {
		if b.counted != nil {
			s.Spend = s.Spend.Add(b.counted.Spend)
			s.Budgets = append(s.Budgets, *b.counted)
		}
	}
	s.TopModels = slices.Clone(v.top)
	for i := range s.Levels {
		l := &s.Levels[i]
		l.Reached = s.Spend.Cmp(l.Limit) >= 0
		l.Percent = percent(s.Spend, l.Limit)
	}
	// A budget has no days, and without them there is no rate to project.
	if c.Period == Day || s.HasGaps() || len(v.budgets) > 0 || len(v.feeds) == 0 {
		return s
	}
	if p, ok := v.project(); ok {
		s.Projected = &p.total
		for i := range s.Levels {
			s.Levels[i].Exhaustion = p.reaches(s.Levels[i].Limit)
		}
	}
	return s
}

// covers reports whether a source's data reaches back to the period's start and up
// to it. Between that instant and the first pull of the period it does so all the
// same, as long as that pull is not overdue: nothing can be known to be spent yet.
func (v *evaluation) covers(st spend.SourceStatus) bool {
	from := v.window.From
	switch {
	case st.CoveredFrom == 0 || st.CoveredFrom > from || st.DataThrough.IsZero():
		return false
	case st.DataThrough.After(from.Time()):
		return v.stated(st.ID, from)
	default:
		return !v.stale(st) && !v.overdue(st)
	}
}

// overdue reports whether a source has said nothing of the period although its
// first pull should have come: two intervals leave room for jitter and for the pull
// itself, the source's lag for data that is normally later, and two days more are for a
// source that tells of closed days only and has told of all before the period. What is not
// stale by its max_staleness, which can be switched off, may be overdue: 0 would be shown
// for days that were never read.
func (v *evaluation) overdue(st spend.SourceStatus) bool {
	from := v.window.From.Time()
	limit := max(2*st.Interval, st.Lag)
	if st.DataThrough.Equal(from) {
		limit += 48 * time.Hour
	}
	return !st.DataThrough.After(from) && v.now.Sub(from) > limit
}

// stated reports whether the ledger has the source's statement of a day.
func (v *evaluation) stated(id spend.SourceID, d spend.Day) bool {
	_, _, ok := v.snap.DayTotal(id, d)
	return ok
}

func (v *evaluation) stale(st spend.SourceStatus) bool { return v.old(st.DataThrough, st) }

// old reports whether data that reaches to through is stale for a source.
func (v *evaluation) old(through time.Time, st spend.SourceStatus) bool {
	return st.MaxStaleness > 0 && v.now.Sub(through) > st.MaxStaleness
}

func (v *evaluation) dataThrough() time.Time {
	var all []time.Time
	for _, st := range v.feeds {
		all = append(all, st.DataThrough)
	}
	for _, b := range v.budgets {
		all = append(all, b.through)
	}
	if len(all) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(all, time.Time.Compare)
}

// gaps counts the sources by reason. A source without any data is never pulled
// and not stale besides.
func (v *evaluation) gaps() map[Reason]int {
	n := map[Reason]int{}
	for _, r := range Reasons() {
		n[r] = 0
	}
	n[Unconverted] = v.apart
	for _, st := range v.feeds {
		if v.incomplete(st) {
			n[NeverPulled]++
		}
		if !st.DataThrough.IsZero() && v.stale(st) {
			n[Stale]++
		}
		if st.Held {
			n[Held]++
		}
	}
	for _, b := range v.budgets {
		if !b.counts() {
			n[BudgetPeriod]++
		}
		if !b.through.IsZero() && v.old(b.through, b.status) {
			n[Stale]++
		}
	}
	return n
}

// incomplete reports whether a day of the period that the source's data reaches
// is not in the ledger, or all days because it does not reach the period.
func (v *evaluation) incomplete(st spend.SourceStatus) bool {
	if st.CoveredFrom == 0 || st.CoveredFrom > v.window.From || st.DataThrough.IsZero() || v.overdue(st) {
		return true
	}
	for d := v.window.From; d < v.window.To && st.DataThrough.After(d.Time()); d++ {
		if !v.stated(st.ID, d) {
			return true
		}
	}
	return false
}

// percent rounds down, so that 100 is shown only once the limit is reached.
func percent(amount, limit spend.Money) float64 {
	const decimals = 100
	a, okA := new(big.Rat).SetString(amount.String())
	l, okL := new(big.Rat).SetString(limit.String())
	if !okA || !okL || l.Sign() <= 0 {
		return 0
	}
	a.Quo(a, l).Mul(a, big.NewRat(100*decimals, 1))
	whole := new(big.Int).Div(a.Num(), a.Denom()) // Euclidean: down, as the denominator is positive
	f, _ := new(big.Rat).SetFrac(whole, big.NewInt(decimals)).Float64()
	return f
}
