package hardcap

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/spend"
)

const (
	// firstWait and longestWait are the pauses after the first failed attempt and after
	// many: each is twice the one before. A hook that is down for a minute is found
	// again within seconds, one that is down for hours within an hour.
	firstWait   = 5 * time.Second
	longestWait = time.Hour
	jitterShare = 0.1
	// giveUpAfter is how long an event is tried before it is dead: some 32 attempts.
	giveUpAfter = 24 * time.Hour
	// minAttempts are made in any case: a daemon that was down for a day must not give up
	// after one more.
	minAttempts = 10
	// reviewInterval is how often the ledger is asked about what is pending between
	// attempts, and what could not be stored is stored again.
	reviewInterval = 15 * time.Second
	// unsureWait is the pause while the ledger cannot tell.
	unsureWait = 15 * time.Second
	// storeTimeout bounds the write of what came of an attempt: it goes on when the
	// daemon is stopping.
	storeTimeout = 15 * time.Second
)

// Run delivers what is pending until ctx ends, and returns when the last attempt has
// been put away. Attempts that are running then are cut off and made again after the
// next start.
func (h *Hook) Run(ctx context.Context) {
	var attempts sync.WaitGroup
	defer attempts.Wait()
	for ctx.Err() == nil {
		next := h.round(ctx, &attempts)
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-h.woken:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// round reviews everything, starts the attempts that are due and returns how long
// nothing is to be done unless somebody wakes it.
func (h *Hook) round(ctx context.Context, attempts *sync.WaitGroup) time.Duration {
	h.saveAgain(ctx)
	due, err := h.review(ctx)
	if err != nil {
		h.log.Error("the ledger cannot be asked about hard caps; nothing is sent meanwhile", "err", err)
		return reviewInterval
	}
	for _, id := range due {
		select {
		case h.slots <- struct{}{}:
		default:
			return reviewInterval // the end of an attempt wakes
		}
		h.setSending(id, true)
		attempts.Go(func() {
			defer h.Wake()
			defer func() { <-h.slots }()
			defer h.setSending(id, false)
			h.attempt(ctx, id)
		})
	}
	return h.pause()
}

func (h *Hook) setSending(id string, on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sending, id)
	if on {
		h.sending[id] = true
	}
}

// pause is the time until the next event is due, at most reviewInterval while there
// is anything to review.
func (h *Hook) pause() time.Duration {
	h.mu.RLock()
	defer h.mu.RUnlock()
	now, pause := h.opts.Now(), time.Hour
	if len(h.unsaved) > 0 {
		pause = reviewInterval
	}
	for id, e := range h.events {
		if e.State == Pending {
			pause = min(pause, reviewInterval)
			if !h.sending[id] {
				pause = min(pause, max(e.due(now).Sub(now), 0))
			}
		}
	}
	return max(pause, time.Millisecond)
}

// saveAgain stores what could not be stored when it happened.
func (h *Hook) saveAgain(ctx context.Context) {
	h.changing.Lock()
	defer h.changing.Unlock()
	h.mu.RLock()
	var events []Event
	for id := range h.unsaved {
		events = append(events, h.events[id])
	}
	h.mu.RUnlock()
	if len(events) == 0 {
		return
	}
	if err := h.put(ctx, events...); err != nil && ctx.Err() == nil {
		h.log.Error("what came of hard-cap deliveries is still not stored", "events", len(events), "err", err)
	}
}

// review asks the ledger about everything that is pending, cancels what is not right
// any more, revives what a hook at another URL may take, and returns the ids of what
// is to be sent now, the oldest first.
func (h *Hook) review(ctx context.Context) (due []string, err error) {
	h.changing.Lock()
	defer h.changing.Unlock()
	statuses, sources, err := h.opts.Ledger.Look()
	if err != nil {
		return nil, err
	}
	now := h.opts.Now()
	target, targetErr := h.opts.Target()
	events := h.Deliveries()
	slices.Reverse(events)
	for _, e := range events {
		switch {
		case h.busy(e.ID):
		case e.State == Dead && e.Gone && targetErr == nil && target.off() == "" && !isGone(events, target):
			h.revive(ctx, e, statuses, now)
		case e.State == Pending:
			if h.reviewOne(ctx, e, statuses, target, targetErr, now) && !e.due(now).After(now) {
				due = append(due, e.ID)
			}
		}
	}
	return h.fresh(due, statuses, sources, now), nil
}

func (h *Hook) busy(id string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.sending[id]
}

// reviewOne reports whether a pending event is to be sent when it is due.
func (h *Hook) reviewOne(
	ctx context.Context, e Event, statuses []caps.Status, target Target, targetErr error, now time.Time,
) bool {
	state, reason, unsure := stillRight(e, statuses, now)
	if st, ok := capOf(statuses, labelOf(e.Scope), e.Period); ok && st.Known && st.Window.From == e.PeriodStart {
		e.Total, e.DataThrough = st.Spend, st.DataThrough
	}
	switch {
	case state == Cancelled:
		h.end(ctx, e, Cancelled, reason, now)
		h.succeed(ctx, e, statuses, now)
	case targetErr == nil && target.off() != "":
		h.end(ctx, e, Cancelled, target.off(), now)
	case unsure:
		if !e.due(now).After(now) {
			h.postpone(e, reason, now.Add(unsureWait))
		}
	default:
		return true
	}
	return false
}

// end gives an event its last state.
func (h *Hook) end(ctx context.Context, e Event, state State, reason string, now time.Time) {
	e.State, e.Reason, e.NextAttempt = state, reason, time.Time{}
	h.note(ctx, e, now)
	switch state {
	case Cancelled:
		h.count(CancelledEvent)
	case Dead:
		h.count(DeadEvent)
	}
	h.audit(string(state), e)
}

// note shows an event and stores it; what cannot be stored now is stored later.
// changing is held. It does not heed the end of ctx: what happened has happened.
func (h *Hook) note(ctx context.Context, e Event, now time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	e.Changed = now
	err := h.store(ctx, e)
	h.show(err != nil, e)
	if err != nil {
		h.log.Error("what came of a hard-cap delivery is not stored yet", "id", e.ID, "state", string(e.State), "err", err)
	}
}

// succeed records the event that takes the place of one whose limit was changed while
// it was pending, if the new limit is reached too: the alert goes on as it is, and
// Alertmanager would tell of it again only after its repeat_interval.
func (h *Hook) succeed(ctx context.Context, old Event, statuses []caps.Status, now time.Time) {
	st, ok := capOf(statuses, labelOf(old.Scope), old.Period)
	hard, on := st.Level(caps.Hard)
	if !ok || !on || !st.Known || !hard.Reached || st.Window.From != old.PeriodStart || hard.Limit.Equal(old.Threshold) {
		return
	}
	e := Event{
		ID: ID(st.Scope, st.Period, st.Window.From, hard.Limit), Scope: st.Scope, Period: st.Period,
		PeriodStart: st.Window.From, PeriodEnd: st.Window.To, Threshold: hard.Limit,
		TriggeredAt: old.TriggeredAt, Recorded: now, day: spend.DayOf(now),
	}
	if known, ok := h.event(e.ID); ok {
		if known.State != Rejected && known.State != Cancelled {
			return
		}
		e = known
	}
	if err := h.arm(&e, st, now); err != nil {
		h.log.Error("a hard-cap event for the changed limit is not recorded", "scope", e.Scope, "err", err)
		return
	}
	e.Reason = fmt.Sprintf("the limit was changed from %s USD while %s was pending", old.Threshold, old.ID)
	h.note(ctx, e, now)
	h.audit(string(Recorded), e)
}

// revive makes an event pending again that a hook refused for ever, now that the URL
// is another one or has taken a delivery since.
func (h *Hook) revive(ctx context.Context, e Event, statuses []caps.Status, now time.Time) {
	if state, _, unsure := stillRight(e, statuses, now); state != Pending || unsure {
		return
	}
	e.State, e.Armed, e.NextAttempt, e.Attempts, e.Gone = Pending, now, now, 0, false
	e.Reason = "the hook is another one, or answers again"
	h.note(ctx, e, now)
	h.audit("revived", e)
}

// isGone reports whether the URL of the target has answered 410 and nothing better
// since: nothing is sent there.
func isGone(events []Event, t Target) bool {
	var gone, took time.Time
	print := t.fingerprint()
	for _, e := range events {
		switch {
		case e.Endpoint != print:
		case e.Gone && e.Changed.After(gone):
			gone = e.Changed
		case e.State == Delivered && e.Changed.After(took):
			took = e.Changed
		}
	}
	return !gone.IsZero() && !took.After(gone)
}

// attempt sends an event that is due and notes what came of it.
func (h *Hook) attempt(ctx context.Context, id string) {
	e, ok := h.event(id)
	if !ok || e.State != Pending {
		return
	}
	now := h.opts.Now()
	target, err := h.opts.Target()
	var r result
	switch {
	case err != nil:
		r.err = err
	case target.off() != "":
		return // since the review, which cancels it next
	case !e.Forced && isGone(h.Deliveries(), target):
		h.lock(func() { h.bury(ctx, id, target, now) })
		return
	default:
		sending, cancel := context.WithTimeout(ctx, e.ends().Sub(now))
		r = h.send(sending, target, e, now)
		cancel()
	}
	if ctx.Err() != nil && r.err != nil {
		return // cut off by the end of the daemon: the next one begins with it
	}
	h.lock(func() { h.judgeAttempt(ctx, id, target, r, now) })
}

func (h *Hook) lock(f func()) {
	h.changing.Lock()
	defer h.changing.Unlock()
	f()
}

// bury gives up an event without an attempt, unless an admin insists. changing is held.
func (h *Hook) bury(ctx context.Context, id string, t Target, now time.Time) {
	e, ok := h.event(id)
	if !ok || e.Forced {
		return
	}
	e.Endpoint, e.Gone = t.fingerprint(), true
	h.end(ctx, e, Dead, "not sent: the hook answered 410 Gone before; change hard_cap.url, or retry this delivery", now)
}

// judgeAttempt notes what came of an attempt. changing is held.
func (h *Hook) judgeAttempt(ctx context.Context, id string, t Target, r result, began time.Time) {
	e, ok := h.event(id)
	if !ok {
		return
	}
	now := h.opts.Now()
	e.Attempts++
	e.LastAttempt, e.Status, e.Endpoint, e.Gone, e.Forced = began, r.status, t.fingerprint(), r.gone(), false
	took := now.Sub(began).Seconds()
	if r.err != nil {
		e.LastError = r.err.Error()
	}
	switch {
	case r.err == nil:
		e.State, e.Reason, e.LastError, e.NextAttempt = Delivered, "", "", time.Time{}
		h.note(ctx, e, now)
		h.count(OK)
		h.audit(string(Delivered), e, "status", r.status, "seconds", took)
	case r.gone():
		h.end(ctx, e, Dead, "the hook answered 410 Gone: it wants no more deliveries", now)
	case now.Sub(e.Armed) >= giveUpAfter && e.Attempts >= minAttempts:
		h.end(ctx, e, Dead, fmt.Sprintf("given up after %d attempts in %s", e.Attempts, giveUpAfter), now)
	default:
		e.Reason = ""
		e.NextAttempt = now.Add(h.backoff(e.Attempts, r.retryAfter))
		h.note(ctx, e, now)
		h.count(Retried)
		h.audit(string(Retried), e, "status", r.status, "seconds", took,
			"next_attempt", e.NextAttempt.UTC().Format(time.RFC3339))
	}
}

// backoff is the pause after so many failed attempts: exponential, a tenth longer or
// shorter at random, and never shorter than what the hook asks for (at most an hour).
func (h *Hook) backoff(attempts int, retryAfter time.Duration) time.Duration {
	d := firstWait
	for ; attempts > 1 && d < longestWait; attempts-- {
		d *= 2
	}
	d = min(d, longestWait)
	d += time.Duration((2*h.opts.Rand() - 1) * jitterShare * float64(d))
	return max(d, retryAfter)
}

// Retry makes an event pending again and due at once, as an admin asked; one that the
// hook has taken is sent once more under its id (a receiver may have been in a dry run).
// The ledger is asked all the same before. The error wraps ErrUnknown or ErrNotRetried.
func (h *Hook) Retry(ctx context.Context, id string) (Event, error) {
	h.changing.Lock()
	defer h.changing.Unlock()
	e, ok := h.event(id)
	now := h.opts.Now()
	switch {
	case !ok:
		return Event{}, ErrUnknown
	case e.Test:
		return e, fmt.Errorf("%w: it is a test, which is never sent", ErrNotRetried)
	case !now.Before(e.ends()):
		return e, fmt.Errorf("%w: its period is over", ErrNotRetried)
	case e.State == Rejected:
		return e, fmt.Errorf("%w: the ledger saw no breach; the next alert asks it again", ErrNotRetried)
	}
	if e.State != Pending {
		e.State, e.Armed = Pending, now
	}
	e.NextAttempt, e.Attempts, e.Gone, e.Forced = now, 0, false, true
	e.Reason, e.Changed = "an admin asked for another attempt", now
	if err := h.put(ctx, e); err != nil {
		return Event{}, err
	}
	h.audit("retry", e)
	h.Wake()
	return e, nil
}
