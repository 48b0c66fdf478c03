package hardcap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/spend"
)

// Decision is what came of one alert.
type Decision string

// The decisions on an alert.
const (
	Recorded Decision = "recorded" // an event is pending because of it
	Known    Decision = "known"    // the event is there already, and stays as it is
	Refused  Decision = "rejected" // the ledger sees no breach
	Tested   Decision = "test"     // kept, and never sent
	Later    Decision = "later"    // the ledger must be read anew first
)

// Answer is what came of one hard cap of a payload.
type Answer struct {
	Scope    string      `json:"scope"`
	Period   caps.Period `json:"period"`
	Decision Decision    `json:"decision"`
	ID       string      `json:"id,omitempty"`
	State    State       `json:"state,omitempty"`
	Reason   string      `json:"reason,omitempty"`
}

// Receipt is what came of a payload: an answer for each hard cap that it names, and
// how many of its alerts say nothing here (resolved, of another level, or said twice).
type Receipt struct {
	Answers []Answer `json:"answers"`
	Ignored int      `json:"ignored"`
}

const (
	// maxTests bounds the tests that are kept of one day: whoever has the token must
	// not be able to fill the disk.
	maxTests = 100
	// maxLines bounds the audit lines of one payload about what is no cap here, the same
	// about tests, and the reasons of an ErrLater.
	maxLines = 10
)

// Receive takes a request's body from Alertmanager. When it returns without an error,
// everything that is to be done about the payload is durable. Its errors are
// ErrPayload (nothing was done), ErrLater, ErrTruncated (both: what could be done was),
// and those of the outbox and of the ledger.
func (h *Hook) Receive(ctx context.Context, payload []byte) (Receipt, error) {
	said, err := parsePayload(payload)
	if err != nil {
		h.log.Warn("hard-cap webhook: the payload was refused", "err", err)
		return Receipt{}, err
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	statuses, sources, err := h.opts.Ledger.Look()
	if err != nil {
		return Receipt{}, fmt.Errorf("asking the ledger about a hard cap: %w", err)
	}
	in := &intake{h: h, now: h.opts.Now(), statuses: statuses, sources: sources, receipt: Receipt{Ignored: said.ignored}}
	for _, hint := range said.list {
		if err := in.take(hint); err != nil {
			return Receipt{}, err
		}
	}
	if len(in.changed) > 0 {
		if err := h.put(ctx, in.changed...); err != nil {
			return Receipt{}, err
		}
	}
	in.tell()
	h.Wake()
	return in.receipt, in.verdict(said.truncated)
}

// intake is the work on one payload.
type intake struct {
	h        *Hook
	now      time.Time
	statuses []caps.Status
	sources  []spend.SourceStatus

	changed []Event // to be stored, each with what to count and to say
	said    []saying
	later   []string
	tests   int // of today that are kept; counted by the first test of the payload
	counted bool
	receipt Receipt
}

type saying struct {
	decision Decision
	event    Event
	counts   bool
}

func (in *intake) answer(d Decision, e Event, reason string) {
	in.receipt.Answers = append(in.receipt.Answers, Answer{
		Scope: e.Scope, Period: e.Period, Decision: d, ID: e.ID, State: e.State, Reason: reason,
	})
}

func (in *intake) take(h hint) error {
	h.scope, h.period = cut(h.scope), caps.Period(cut(string(h.period)))
	if h.test {
		in.test(h)
		return nil
	}
	f := judge(h, in.statuses, in.sources, in.now)
	switch f.verdict {
	case foreign:
		e := Event{Scope: h.scope, Period: h.period, Reason: f.reason}
		in.answer(Refused, e, f.reason)
		in.said = append(in.said, saying{Refused, e, true})
		return nil
	case wait:
		for _, id := range f.behind {
			in.h.opts.Ledger.Hurry(id, f.since)
		}
		e := in.eventOf(h, f)
		in.later = append(in.later, fmt.Sprintf("%s/%s: %s", h.scope, h.period, f.reason))
		in.answer(Later, Event{Scope: h.scope, Period: h.period, ID: e.ID}, f.reason)
		in.said = append(in.said, saying{Later, e, false})
		return nil
	case reject:
		in.reject(h, f)
		return nil
	default:
		return in.act(h, f)
	}
}

// eventOf is the event of a hint as the ledger sees it now, new or known.
func (in *intake) eventOf(h hint, f finding) Event {
	st := f.status
	id := ID(st.Scope, st.Period, st.Window.From, f.limit)
	e, known := in.h.event(id)
	if !known {
		e = Event{
			ID: id, Scope: st.Scope, Period: st.Period, PeriodStart: st.Window.From, PeriodEnd: st.Window.To,
			Threshold: f.limit, Recorded: in.now, day: spend.DayOf(in.now),
		}
	}
	e.Total, e.DataThrough, e.TriggeredAt, e.Reason = st.Spend, st.DataThrough, h.startsAt, f.reason
	e.unknown = !st.Known
	return e
}

// reject keeps that the ledger saw no breach, unless something is known of the event:
// what is pending is asked about before it is sent, what was sent stays sent.
func (in *intake) reject(h hint, f finding) {
	e := in.eventOf(h, f)
	known := e.State != ""
	if !known {
		e.State, e.Changed = Rejected, in.now
		in.changed = append(in.changed, e)
	}
	in.answer(Refused, e, f.reason)
	in.said = append(in.said, saying{Refused, e, e.State == Rejected})
}

// act arms the event of a breach, or leaves it as it is if that is done already.
func (in *intake) act(h hint, f finding) error {
	e := in.eventOf(h, f)
	off, err := in.h.sendsNothing()
	if err != nil {
		off = "" // an unreadable secret is for the attempt to complain of
	}
	switch {
	case e.State == Pending, e.State == Delivered, e.State == Dead, e.State == Cancelled && off != "":
		was, _ := in.h.event(e.ID)
		if in.h.isUnsaved(e.ID) {
			in.changed = append(in.changed, was) // a 200 says that it is durable
		}
		in.answer(Known, was, was.Reason)
		in.said = append(in.said, saying{Known, was, false})
		return nil
	}
	if err := in.h.arm(&e, f.status, in.now); err != nil {
		return err
	}
	in.changed = append(in.changed, e)
	in.answer(Recorded, e, f.reason)
	in.said = append(in.said, saying{Recorded, e, false})
	return nil
}

// sendsNothing says why nothing is sent at the moment, "" if it is.
func (h *Hook) sendsNothing() (string, error) {
	t, err := h.opts.Target()
	if err != nil {
		return "", err
	}
	return t.off(), nil
}

// arm makes an event pending, with a body that says what the ledger says now.
func (h *Hook) arm(e *Event, st caps.Status, now time.Time) error {
	totals, err := h.opts.Ledger.Totals(st.Window, st.Gross)
	if err != nil {
		return fmt.Errorf("adding up the totals for a hard-cap event: %w", err)
	}
	e.State, e.Armed, e.Changed, e.NextAttempt = Pending, now, now, now
	e.Attempts, e.Status, e.LastAttempt, e.LastError = 0, 0, time.Time{}, ""
	e.Gone, e.Forced, e.Endpoint = false, false, ""
	e.Total, e.DataThrough = st.Spend, st.DataThrough
	e.Body, err = e.newBody(withGlobal(totals), now)
	return err
}

// withGlobal adds the sum of all providers.
func withGlobal(totals map[string]spend.Money) map[string]spend.Money {
	out := maps.Clone(totals)
	if out == nil {
		out = map[string]spend.Money{}
	}
	var all spend.Money
	for _, m := range totals {
		all = all.Add(m)
	}
	out[caps.ScopeGlobal] = all
	return out
}

// test keeps that a test came. Its event is one per day, scope and period.
func (in *intake) test(h hint) {
	day := spend.DayOf(in.now)
	id := testID(h.scope, h.period, day)
	e, known := in.h.event(id)
	switch {
	case known:
	case in.testsOf(day) >= maxTests:
		e = Event{Scope: h.scope, Period: h.period, Reason: "a test alert: not kept, there are enough of today, and never sent"}
	default:
		e = Event{
			ID: id, Scope: h.scope, Period: h.period, Test: true, State: Rejected, day: day,
			Reason: "a test alert: kept, and never sent", TriggeredAt: h.startsAt, Recorded: in.now, Changed: in.now,
		}
		in.changed = append(in.changed, e)
		in.tests++
	}
	in.answer(Tested, e, e.Reason)
	in.said = append(in.said, saying{Tested, e, false})
}

// testsOf returns how many tests of today are kept, those of this payload included. The
// outbox is looked through once per payload, whatever the number of its alerts.
func (in *intake) testsOf(day spend.Day) int {
	if in.counted {
		return in.tests
	}
	in.counted = true
	in.h.mu.RLock()
	defer in.h.mu.RUnlock()
	for _, e := range in.h.events {
		if e.Test && e.day == day {
			in.tests++
		}
	}
	return in.tests
}

// tell counts the decisions and writes their audit lines, once they are durable.
func (in *intake) tell() {
	lines := map[Decision]int{}
	for _, s := range in.said {
		if s.counts {
			in.h.count(RejectedHint)
		}
		if s.decision != Later {
			delete(in.h.waits, s.event.ID)
		}
		if s.event.ID == "" || s.decision == Tested {
			if lines[s.decision]++; lines[s.decision] > maxLines {
				continue
			}
		}
		if s.decision == Later && !in.h.news(s.event) {
			continue // Alertmanager asks again every few seconds
		}
		in.h.audit(string(s.decision), s.event)
	}
	if n := lines[Refused] - maxLines; n > 0 {
		in.h.log.Info("hard cap: more alerts name caps that are not configured here", "alerts", n)
	}
	if n := lines[Tested] - maxLines; n > 0 {
		in.h.log.Info("hard cap: more test alerts", "alerts", n)
	}
}

// news reports whether the reason to wait is another one than last time. changing is held.
func (h *Hook) news(e Event) bool {
	was := h.waits[e.ID]
	h.waits[e.ID] = e.Reason
	return was != e.Reason
}

func (in *intake) verdict(truncated uint64) error {
	var errs []error
	if len(in.later) > 0 {
		errs = append(errs, fmt.Errorf("%w: %s", ErrLater, strings.Join(in.later[:min(len(in.later), maxLines)], "; ")))
	}
	if truncated > 0 {
		in.h.log.Error("Alertmanager cut alerts off: remove max_alerts from the hook's receiver", "alerts", truncated)
		errs = append(errs, fmt.Errorf("%w: %d are missing; remove max_alerts from this receiver in Alertmanager's "+
			"configuration", ErrTruncated, truncated))
	}
	return errors.Join(errs...)
}

// cut keeps what an alert names short and fit for a log.
func cut(name string) string {
	label, _ := spend.CleanLabel(name) // at most 128 bytes
	return label
}
