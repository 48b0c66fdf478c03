package ingest

import (
	"slices"
	"time"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// The kinds of window, as pull records and holds name them.
const (
	// KindCurrent is the window that ends with today: the tail that every poll reads again.
	KindCurrent = "current"
	// KindPreviousMonth is the whole previous month, while its bill closes.
	KindPreviousMonth = "previous_month"
	// KindHistory is one month of the first load.
	KindHistory = "history"
	// KindBackfill is days that should be known and are not (damaged in the store).
	KindBackfill = "backfill"
)

// closingDays is how many days of a month the previous one is still read whole.
const closingDays = 5

// Step is one window to pull, and why.
type Step struct {
	Kind   string
	Window spend.Window
}

// topic is what backoff, errors and holds of a step are remembered under: its kind, and for
// lost days also where they begin, since each of them is somebody else's trouble.
func (s Step) topic() string {
	if s.Kind == KindBackfill {
		return s.Kind + " " + s.Window.From.String()
	}
	return s.Kind
}

// Settings are what a plan depends on besides the clock and the state.
type Settings struct {
	Lookback       time.Duration
	InitialHistory time.Duration
	// PresentFails says that the newest pull of the present failed: older windows are
	// planned as if it was not going to be read.
	PresentFails bool
}

// Plan lists the pulls that a source needs at now, the most urgent first: the
// present always, then the previous month while its bill closes, then days that
// are missing (each of them lies in history that was read already), then history
// not read yet, newest month first. It is pure: state is the only memory, so a
// restart goes on where the last applied pull ended.
//
// A source that was never read has one step, the month so far; everything older
// is planned backwards from what that pull covered. Only if that pull fails history
// goes before it. (Not where another filter has changed what is covered: between
// days of two filters must lie a gap that caps can see.)
func Plan(now time.Time, st store.State, s Settings, missing []spend.Day) []Step {
	cur := currentWindow(now, st, s)
	steps := []Step{{KindCurrent, cur}}
	read := st.CoveredFrom
	if read == 0 && s.PresentFails && st.RereadFrom == 0 {
		read = cur.From
	}
	if read == 0 {
		return steps
	}
	today, limit := spend.DayOf(now), cur.From
	prev := spend.Window{From: today.AddMonths(-1), To: today.MonthStart()}
	if previousMonthDue(today, prev, st) && read <= prev.From && (s.PresentFails || !within(prev, cur)) {
		steps = append(steps, Step{KindPreviousMonth, prev})
		limit = min(limit, prev.From) // what is missing of it comes with it
	}
	for _, w := range missingWindows(missing, limit) {
		steps = append(steps, Step{KindBackfill, w})
	}
	goal := historyGoal(today, st, s)
	for to := read; to > goal; {
		from := max(goal, (to - 1).MonthStart())
		steps = append(steps, Step{KindHistory, spend.Window{From: from, To: to}})
		to = from
	}
	return steps
}

// currentWindow reaches from the oldest day that may still change to the end of
// today: the lookback before now, or before the last applied pull after a
// downtime, and never less than the month so far. It ends tomorrow because both
// vendors leave today out when asked to stop earlier.
func currentWindow(now time.Time, st store.State, s Settings) spend.Window {
	today := spend.DayOf(now)
	from := today.MonthStart()
	if !st.LastApplied.IsZero() {
		from = min(from, today-days(s.Lookback), spend.DayOf(st.LastApplied)-days(s.Lookback))
	}
	return spend.Window{From: from, To: today + 1}
}

// previousMonthDue reports whether the previous month has not been read whole
// today although its bill may still be closing, or is being held: a hold ends with
// a walk that believes it or refutes it, and not with the fifth of the month.
func previousMonthDue(today spend.Day, prev spend.Window, st store.State) bool {
	if h, ok := st.Holds[KindPreviousMonth]; ok && within(h.Window, prev) {
		return true
	}
	return today-today.MonthStart() < closingDays && st.PreviousMonthRead != today
}

// historyGoal is the first day that the initial load reaches back to, or further
// what must be read again; never before the provider's data begins.
func historyGoal(today spend.Day, st store.State, s Settings) spend.Day {
	goal := min(today-days(s.InitialHistory), today.AddMonths(-1))
	if st.RereadFrom != 0 {
		goal = min(goal, st.RereadFrom)
	}
	return max(goal, st.Begins)
}

// rescoped returns the state of a ledger that is now read with another filter.
// Its days say too much or too little, and another account may be reading what
// this one has given up: all of them are read again, newest first.
func rescoped(st store.State, scope string) store.State {
	if st.CoveredFrom == 0 || st.Scope == scope {
		st.Scope = scope
		return st
	}
	from := st.CoveredFrom
	if st.RereadFrom != 0 {
		from = min(from, st.RereadFrom)
	}
	return store.State{Scope: scope, RereadFrom: from, DataThrough: st.DataThrough}
}

// missingWindows joins missing days before limit to windows inside one month
// each, newest first.
func missingWindows(missing []spend.Day, limit spend.Day) []spend.Window {
	sorted := slices.Compact(slices.Sorted(slices.Values(missing)))
	var out []spend.Window
	for _, d := range sorted {
		if d >= limit {
			break
		}
		if n := len(out); n > 0 && out[n-1].To == d && d != d.MonthStart() {
			out[n-1].To = d + 1
			continue
		}
		out = append(out, spend.Window{From: d, To: d + 1})
	}
	slices.Reverse(out)
	return out
}

// advance returns the state after a pull of window w that started at start was
// applied, and said something of every day from known on; dataThrough is handled by the
// caller, since it depends on the answer.
func advance(st store.State, w spend.Window, known spend.Day, start time.Time) store.State {
	today := spend.DayOf(start)
	if reachesPresent(w, start) {
		st.LastApplied = start
	}
	switch {
	case known >= w.To: // nothing was said at all
	case st.CoveredFrom == 0, known < st.CoveredFrom && w.To >= st.CoveredFrom:
		st.CoveredFrom = known
	}
	switch {
	case known > w.From && st.CoveredFrom != 0:
		st.Begins = st.CoveredFrom
	case known <= w.From && w.From < st.Begins:
		st.Begins = 0
	}
	if st.CoveredFrom <= st.RereadFrom {
		st.RereadFrom = 0 // done; days that expire from now on are not missed
	}
	if within(spend.Window{From: today.AddMonths(-1), To: today.MonthStart()}, w) {
		st.PreviousMonthRead = today
	}
	return st
}

// reachesPresent reports whether the window holds the whole of the UTC day of t.
func reachesPresent(w spend.Window, t time.Time) bool { return w.Contains(spend.DayOf(t)) }

// within reports whether inner lies in outer.
func within(inner, outer spend.Window) bool {
	return outer.From <= inner.From && inner.To <= outer.To
}

// days rounds a duration up to whole days.
func days(d time.Duration) spend.Day {
	const day = 24 * time.Hour
	return spend.Day((max(d, 0) + day - 1) / day)
}
