package ingest

import (
	"maps"
	"strings"
	"time"

	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// A whole window that turns empty although it had money is believed only when so
// many complete walks in a row found it empty, the first and the last of them at
// least so far apart.
const (
	holdWalks = 3
	holdSpan  = time.Hour
)

// wholeWindow returns one statement for each day of w, all read at readAt: a
// complete walk defines every day it covered, so a day without a bucket is a day
// known to be empty. got is ascending by day and lies in w.
func wholeWindow(w spend.Window, readAt time.Time, got []spend.Statement) []spend.Statement {
	out := make([]spend.Statement, 0, w.Days())
	for d := w.From; d < w.To; d++ {
		st := spend.Statement{Day: d}
		if len(got) > 0 && got[0].Day == d {
			st, got = got[0], got[1:]
		}
		st.ReadAt = readAt
		out = append(out, st)
	}
	return out
}

// sameFilter returns the first day of w from which on what the ledger says was asked with
// the filter of today; 0 if that is none. A difference to what another filter read is
// neither suspicious nor a revision. Before a first load is complete nothing is covered,
// and yet parts of it may be there.
func sameFilter(st store.State, w spend.Window) spend.Day {
	if st.CoveredFrom == 0 && st.RereadFrom == 0 {
		return w.From
	}
	return st.CoveredFrom
}

// previous returns what the ledger says about the days of w from covered on, none if
// that is 0; days that it says nothing about are left out.
func previous(
	snap *rollup.Snapshot, id spend.SourceID, w spend.Window, covered spend.Day,
) map[spend.Day]spend.Statement {
	prev := make(map[spend.Day]spend.Statement, w.Days())
	if covered == 0 {
		return prev
	}
	for d := max(w.From, covered); d < w.To; d++ {
		if st, ok := snap.Statement(id, d); ok {
			prev[d] = st
		}
	}
	return prev
}

// suspicious reports whether a walk that found nothing at all covers days that
// had something.
func suspicious(prev map[spend.Day]spend.Statement, got []spend.Statement) bool {
	for _, st := range got {
		if !st.Empty() {
			return false
		}
	}
	for _, st := range prev {
		if !st.Empty() {
			return true
		}
	}
	return false
}

// hold counts one more suspicious walk of w that started at start. release is
// set when it has been seen often and long enough to be believed. A hold of a
// window that has nothing in common with w was another month's and starts anew.
func hold(h store.Hold, w spend.Window, start time.Time) (next store.Hold, release bool) {
	if h.Count == 0 || !overlap(h.Window, w) {
		return store.Hold{Window: w, Count: 1, First: start, Last: start}, false
	}
	h.Window, h.Last = w, start
	h.First = earlier(h.First, start) // a clock that was set back does not hold for longer
	h.Count++
	return h, h.Count >= holdWalks && start.Sub(h.First) >= holdSpan
}

// seenEmpty returns h if what it counts has looked at every day that would lose money
// now, else a hold that starts anew: a part that was found empty says nothing of the
// other days.
func seenEmpty(h store.Hold, prev map[spend.Day]spend.Statement) store.Hold {
	for d, st := range prev {
		if !st.Empty() && !h.Window.Contains(d) {
			return store.Hold{}
		}
	}
	return h
}

// withHold returns st with the hold of a topic set; the map is a copy.
func withHold(st store.State, topic string, h store.Hold) store.State {
	m := maps.Clone(st.Holds)
	if m == nil {
		m = map[string]store.Hold{}
	}
	m[topic] = h
	st.Holds = m
	return st
}

// withoutHold returns st, in which every day of applied has been replaced, without the
// holds that are about these days, and without one of a previous month that is not the
// previous one of today any more: nobody would ever end them. (Of another kind's hold
// all days must have been replaced: a lookback that reaches into the previous month
// does not end its hold. Lost days are in one window at a time.)
func withoutHold(st store.State, applied Step, today spend.Day) store.State {
	m := maps.Clone(st.Holds)
	delete(m, applied.topic())
	maps.DeleteFunc(m, func(topic string, h store.Hold) bool {
		lost := strings.HasPrefix(topic, KindBackfill) && overlap(h.Window, applied.Window)
		return lost || within(h.Window, applied.Window)
	})
	if h, ok := m[KindPreviousMonth]; ok && h.Window.From.MonthStart() != today.AddMonths(-1) {
		delete(m, KindPreviousMonth)
	}
	st.Holds = m
	return st
}

// withoutHoldOf returns st without the hold of a topic if it is about days of part:
// they were found to have something, or are believed to be empty.
func withoutHoldOf(st store.State, topic string, part spend.Window) store.State {
	if h, ok := st.Holds[topic]; ok && overlap(h.Window, part) {
		st.Holds = maps.Clone(st.Holds)
		delete(st.Holds, topic)
	}
	return st
}

// overlap reports whether two windows have a day in common.
func overlap(a, b spend.Window) bool { return a.From < b.To && b.From < a.To }

// dataThrough is how far the money of a source reaches after a walk that reached
// the present (contract section 2): the start of the walk if it brought a bucket
// for the UTC day on which it started, an empty one counts; else the end of the
// newest bucket; without any bucket nothing new is known. got holds only days
// that a bucket came for.
func dataThrough(was time.Time, w spend.Window, start time.Time, got []spend.Statement) time.Time {
	if !reachesPresent(w, start) || len(got) == 0 {
		return was
	}
	newest := got[len(got)-1].Day
	if newest >= spend.DayOf(start) {
		return start
	}
	return (newest + 1).Time()
}

// noticeTail counts closed days at the end of a window that no bucket came for.
const noticeTail = "closed_days_missing_at_the_end"

// missingTail is how many days of w had ended when the walk started and lie behind
// the newest bucket. Both vendors give a quiet day an empty bucket, so this is what
// a walk looks like whose last page said too early that it was the last.
func missingTail(w spend.Window, start time.Time, got []spend.Statement) int {
	reached := w.From
	if len(got) > 0 {
		reached = got[len(got)-1].Day + 1
	}
	return max(0, int(min(w.To, spend.DayOf(start))-reached))
}

// revisions compares the days that had ended when the walk started with what was
// said about them before. A day counts as closed only if the earlier statement
// was read after its end: until then a growing total is spending, not revision.
func revisions(
	prev map[spend.Day]spend.Statement, now []spend.Statement, start time.Time,
) (up, down spend.Money) {
	for _, st := range now {
		end := (st.Day + 1).Time()
		before, ok := prev[st.Day]
		if !ok || end.After(start) || before.ReadAt.Before(end) {
			continue
		}
		switch diff := usd(st).Sub(usd(before)); diff.Sign() {
		case 1:
			up = up.Add(diff)
		case -1:
			down = down.Sub(diff)
		}
	}
	return up, down
}

// usd is the money of one statement that takes part in sums.
func usd(st spend.Statement) spend.Money {
	var sum spend.Money
	for _, c := range st.Charges {
		if gross, credits, ok := c.USD(); ok && !c.Tax {
			sum = sum.Add(gross).Add(credits)
		}
	}
	return sum
}

// appliedOutcome is the outcome of a walk that changed the ledger.
func appliedOutcome(got []spend.Statement) spend.Outcome {
	for _, st := range got {
		for _, c := range st.Charges {
			if !c.Converted() && !c.Tax {
				return spend.Currency
			}
		}
	}
	return spend.OK
}
