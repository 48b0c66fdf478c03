package hardcap

import (
	"time"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/spend"
)

const (
	// freshPatience is how long after a start nothing is sent on what the ledger knew
	// before: the bill may have fallen while nobody read it. A provider that does not
	// answer for longer must not keep the hook from being called: when the event was
	// armed, the ledger did see the breach.
	freshPatience = time.Minute
	// freshWait is the pause until the next look.
	freshWait = time.Second
)

// fresh keeps those of the due events whose caps are judged by data that was read since
// the start, and has the data of the others read. changing is held.
func (h *Hook) fresh(due []string, statuses []caps.Status, sources []spend.SourceStatus, now time.Time) []string {
	if now.Sub(h.started) >= freshPatience {
		return due
	}
	var out []string
	for _, id := range due {
		e, _ := h.event(id)
		st, _ := capOf(statuses, labelOf(e.Scope), e.Period) // it is there: the event is due
		unread := h.unread(st, sources)
		if len(unread) == 0 {
			out = append(out, id)
			continue
		}
		for _, source := range unread {
			h.opts.Ledger.Hurry(source, h.started)
		}
		h.postpone(e, "waiting for the first data since the start, of "+names(unread), now.Add(freshWait))
	}
	return out
}

// unread returns the sources of a cap without a pull since the start.
func (h *Hook) unread(st caps.Status, sources []spend.SourceStatus) []spend.SourceID {
	var out []spend.SourceID
	for _, s := range sources {
		if st.FedBy(s) && s.LastApplied.Before(h.started) {
			out = append(out, s.ID)
		}
	}
	return out
}

// postpone shows that an event waits. It is not stored: after another start it waits
// again.
func (h *Hook) postpone(e Event, reason string, until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.NextAttempt, e.Reason = until, reason
	h.events[e.ID] = e
}
