package ingest

import (
	"slices"
	"time"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// failure is how the newest pull of one topic failed.
type failure struct {
	outcome spend.Outcome
	text    string
	at      time.Time
}

// past is what the newest pull records tell of the last run.
type past struct {
	began  time.Time    // of the newest present that was applied whole, as the ledger says
	cut    time.Time    // start of the very newest, if a kill cut it off
	newest []store.Pull // of each topic that ended, newest first
	// applied is when the newest pull ended that was applied, present that of the present.
	applied, present time.Time
	ended            time.Time // of the newest part of the pull of the present being looked at
}

// add takes records, the newest first, until it has seen enough.
func (h *past) add(p store.Pull) (more bool) {
	if p.Verdict == store.Open {
		h.killed(p)
		return true
	}
	if !slices.ContainsFunc(h.newest, func(q store.Pull) bool { return topicOf(q) == topicOf(p) }) {
		h.newest = append(h.newest, p)
	}
	switch {
	case p.Verdict != store.Applied:
	case p.Kind == KindCurrent:
		h.part(p)
	default:
		h.applied = later(h.applied, p.Finished)
	}
	return h.present.IsZero()
}

// part takes an applied record of the present. A pull in parts is a success only if the
// last one came too, and then the ledger says when the first, which reaches today, began.
func (h *past) part(p store.Pull) {
	h.ended = later(h.ended, p.Finished)
	switch {
	case p.Window.Days() == 0: // it had no days to replace
		h.present = h.ended
		h.applied = later(h.applied, h.present)
	case !reachesPresent(p.Window, p.Started):
	case !p.Started.After(h.began):
		h.present = h.ended
		h.applied = later(h.applied, h.present)
	default:
		h.ended = time.Time{}
		i := slices.IndexFunc(h.newest, func(q store.Pull) bool { return q.Kind == KindCurrent })
		if q := h.newest[i]; q.Verdict == store.Applied { // a kill came between two parts
			h.newest = slices.Delete(h.newest, i, i+1)
			h.killed(q)
		}
	}
}

// killed notes a pull that did not end. What was known before it still is.
func (h *past) killed(p store.Pull) {
	if len(h.newest) == 0 {
		h.cut = later(h.cut, p.Started)
	}
}

func topicOf(p store.Pull) string { return Step{p.Kind, p.Window}.topic() }

// takeOver puts what became of the newest pulls of the last run into the status.
// One that a kill cut off has no verdict; together with a failed one it delays the
// first pull. s.mu is held.
func (s *source) takeOver(h past) {
	s.failedAt = later(s.failedAt, h.cut)
	for i, p := range h.newest {
		newest := i == 0 && h.cut.IsZero()
		abandoned := p.Outcome == spend.Incomplete && p.Detail == errAbandoned.Error()
		failed := p.Verdict == store.Failed && !abandoned
		if failed {
			s.failing[topicOf(p)] = failure{p.Outcome, p.Detail, p.Finished}
		}
		if failed && (newest || p.Kind == KindCurrent) {
			s.failedAt = later(s.failedAt, p.Started)
		}
		// Stopped on purpose is neither a failure nor a success.
		if newest && !abandoned {
			s.status.LastOutcome, s.status.Up = p.Outcome, !failed
		}
	}
	if f, fails := s.failing[KindCurrent]; fails {
		s.status.LastOutcome, s.status.Up = f.outcome, false
		h.applied = h.present
	}
	s.status.LastSuccess = later(s.status.LastSuccess, h.applied)
	s.showError()
}

// snapshot returns a copy of the status as of now.
func (s *source) snapshot(now time.Time) spend.SourceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	st.DataThrough, st.LastApplied = s.state.DataThrough, s.state.LastApplied
	st.Held = len(s.state.Holds) > 0
	st.CoveredFrom = s.state.CoveredFrom
	st.HistoryGoal = historyGoal(spend.DayOf(now), s.state, s.settingsLocked())
	st.HistoryDone = st.CoveredFrom != 0 && st.CoveredFrom <= st.HistoryGoal
	if st.BudgetSource {
		st.Budgets = slices.Clone(s.state.Budgets)
		st.HistoryGoal, st.HistoryDone = 0, !st.LastApplied.IsZero()
	}
	return st
}

// judged puts the final outcome of a pull into the status. While the present fails,
// what becomes of older days must not hide that, nor why.
func (s *source) judged(topic string, o spend.Outcome, err error, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	good := o.Applied() || o == spend.Held
	delete(s.failing, topic)
	if !good {
		s.failing[topic] = failure{o, err.Error(), now}
	}
	if _, fails := s.failing[KindCurrent]; fails && topic != KindCurrent {
		return
	}
	s.status.LastOutcome, s.status.Up = o, good
	if o.Applied() {
		s.status.LastSuccess = now
	}
	s.showError()
}

// showError tells why the present fails, else the newest failure of older days: it
// stays until they are read, or nobody wants them any more. s.mu is held.
func (s *source) showError() {
	show := s.failing[KindCurrent]
	if show.at.IsZero() {
		for _, f := range s.failing {
			if show.at.Before(f.at) {
				show = f
			}
		}
	}
	s.status.LastError, s.status.LastErrorAt = show.text, show.at
}

// wanted forgets how windows failed that are in no plan any more.
func (s *source) wanted(steps []Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic := range s.failing {
		if !slices.ContainsFunc(steps, func(st Step) bool { return st.topic() == topic }) {
			delete(s.failing, topic)
			s.showError()
		}
	}
}
