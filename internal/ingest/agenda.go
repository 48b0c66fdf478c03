package ingest

import (
	"strings"
	"time"

	"github.com/aispend/aispend/spend"
)

// The limits of waiting.
const (
	// jitterShare is how much an interval is stretched or shrunk at random.
	jitterShare = 0.1
	// maxStartDelay bounds the random delay with which a loop begins.
	maxStartDelay = 5 * time.Second
	// backoffBase is the wait after the first failure that time may heal.
	backoffBase = time.Minute
	// minRetryAfter and maxRetryAfter clamp what a provider asks for.
	minRetryAfter = time.Second
	maxRetryAfter = time.Hour
	// maxOldWait is how long days of the past wait that fail again and again: a bill
	// that nobody could read yesterday changes no cap of today.
	maxOldWait = 24 * time.Hour
	// credentialPoll is how often a refused key is looked at again.
	credentialPoll = 5 * time.Second
)

// agenda is when a source may do what. It belongs to the goroutine of one loop
// and knows nothing of windows: Plan says what is wanted, agenda when.
type agenda struct {
	interval time.Duration
	rand     func() float64

	currentDue time.Time            // the next pull of the present
	rest       time.Time            // nothing at all before this
	notBefore  map[string]time.Time // by topic of steps
	failures   map[string]int       // in a row, by topic
	refused    bool                 // the key was refused: another one ends the rest
	limited    bool                 // the provider asked for the rest
	letIn      bool                 // the present fails and the other windows had their turn
}

// newAgenda plans the first pull. A source that was never read starts at once;
// another keeps to the interval since its last applied pull, so that restarts in
// quick succession do not hammer the provider, and keeps the base backoff after
// an attempt that failed or was cut off by a kill (failedAt, zero if none was).
// A random delay spreads sources that start together.
func newAgenda(now, lastApplied, failedAt time.Time, interval time.Duration, rnd func() float64) *agenda {
	a := &agenda{
		interval: interval, rand: rnd,
		notBefore: map[string]time.Time{}, failures: map[string]int{},
	}
	spread := min(maxStartDelay, interval/10)
	if lastApplied.IsZero() {
		spread = min(spread, time.Second)
	}
	a.rest = now.Add(time.Duration(rnd() * float64(spread)))
	if !failedAt.IsZero() {
		a.rest = later(a.rest, earlier(failedAt, now).Add(min(backoffBase, interval)))
	}
	a.currentDue = a.rest
	if !lastApplied.IsZero() {
		a.currentDue = later(a.rest, earlier(lastApplied, now).Add(a.jittered()))
	}
	return a
}

// next picks the most urgent of the steps that may run at now, or else the one
// that may run first; at is when. Steps is not empty.
func (a *agenda) next(now time.Time, steps []Step) (step Step, at time.Time) {
	for i, s := range steps {
		when := a.at(s.topic())
		if !when.After(now) {
			return s, when
		}
		if i == 0 || when.Before(at) {
			step, at = s, when
		}
	}
	return step, at
}

func (a *agenda) at(topic string) time.Time {
	at := later(a.rest, a.notBefore[topic])
	if topic == KindCurrent {
		at = later(at, a.currentDue)
	}
	return at
}

// ended notes the final outcome of a pull and decides what waits for how long:
//   - an applied pull lets the present wait for the interval, everything else for nothing;
//   - a held one is looked at again after the interval;
//   - a refused key, a limit, and any failure of the present give the whole source
//     a rest, unless that is the fault of the days that were asked for: then the
//     other windows have their turn meanwhile;
//   - a failed month of history delays only history, since the present must not
//     wait for it.
func (a *agenda) ended(topic string, started, now time.Time, o spend.Outcome, retryAfter time.Duration) {
	a.refused, a.limited = needsCredential(o), o == spend.RateLimited
	if o.Applied() || o == spend.Held {
		if topic == KindCurrent && a.letIn {
			// What failed along with the present may do better now.
			a.letIn = false
			clear(a.failures)
			clear(a.notBefore)
		}
		a.failures[topic] = 0
		delete(a.notBefore, topic)
		switch {
		case topic == KindCurrent:
			a.currentDue = later(started.Add(a.jittered()), now.Add(a.interval/10))
		case o == spend.Held:
			a.notBefore[topic] = now.Add(a.jittered())
		}
		return
	}
	a.failures[topic]++
	until := now.Add(a.wait(topic, o, retryAfter))
	a.notBefore[topic] = until
	switch {
	case a.limited || a.refused:
		a.rest = until
	case topic == KindCurrent && a.ofWindow(o, retryAfter):
		a.letIn = true
	case topic == KindCurrent:
		a.rest = until
	}
}

// ofWindow reports whether a failure of the present may be the fault of its days
// alone, so that other windows are worth a request: the provider answered, took the
// key and asked for no rest. A status like 500 may be an outage, in which more
// requests only hurt, until the backoff has grown to the interval and did not heal it.
func (a *agenda) ofWindow(o spend.Outcome, retryAfter time.Duration) bool {
	if retryAfter > 0 {
		return false
	}
	switch o {
	case spend.Decode, spend.Schema, spend.Pagination, spend.Incomplete, spend.TooLarge:
		return true
	case spend.Server:
		return doubled(backoffBase, a.failures[KindCurrent], a.interval) >= a.interval
	}
	return false
}

// postpone keeps a topic from being pulled again for one interval.
func (a *agenda) postpone(topic string, now time.Time) { a.notBefore[topic] = now.Add(a.jittered()) }

// hurry makes the present due at once: somebody waits for it. A rest that the provider
// asked for is kept all the same.
func (a *agenda) hurry(now time.Time) {
	a.currentDue = now
	if !a.limited {
		a.rest = now
		delete(a.notBefore, KindCurrent)
	}
}

// wake makes everything due at once: the key has changed. A rest that the provider
// asked for is kept all the same.
func (a *agenda) wake(now time.Time) {
	a.refused = false
	a.currentDue = now
	if !a.limited {
		a.rest = now
		clear(a.notBefore)
	}
}

// wait is how long to leave a topic alone after a failure. What time may
// heal is tried again sooner than the interval, with exponential backoff; what
// needs a person or another answer waits for the interval. Old days that are to
// blame themselves wait ever longer. Nothing is tried before the provider said so.
func (a *agenda) wait(topic string, o spend.Outcome, retryAfter time.Duration) time.Duration {
	longest := a.longest(topic, o)
	var d time.Duration
	if heals(o) {
		d = doubled(backoffBase, a.failures[topic], longest)
		d -= time.Duration(a.rand() * float64(d) / 4)
	} else {
		d = a.jittered()
		if longest > a.interval {
			d = doubled(d, a.failures[topic], longest)
		}
	}
	if retryAfter > 0 {
		d = max(d, min(max(retryAfter, minRetryAfter), maxRetryAfter))
	}
	return d
}

// longest bounds the backoff: by the interval, and by a day for history and lost days
// that a provider refuses (from before an organisation existed, or beyond what it
// keeps) or answers with nonsense. The previous month is not put off: it is read on
// five days only.
func (a *agenda) longest(topic string, o spend.Outcome) time.Duration {
	if topic == KindHistory || strings.HasPrefix(topic, KindBackfill) {
		switch o {
		case spend.Decode, spend.Schema, spend.Pagination, spend.Incomplete, spend.TooLarge,
			spend.Server, spend.Timeout:
			return max(a.interval, maxOldWait)
		}
	}
	return a.interval
}

// doubled is d after the first failure and twice as long after each further one.
func doubled(d time.Duration, failures int, longest time.Duration) time.Duration {
	for ; failures > 1 && d < longest; failures-- {
		d *= 2
	}
	return min(d, longest)
}

// jittered is the interval, a tenth longer or shorter at most.
func (a *agenda) jittered() time.Duration {
	return a.interval + time.Duration((2*a.rand()-1)*jitterShare*float64(a.interval))
}

// heals reports whether the failure may be over in a minute.
func heals(o spend.Outcome) bool {
	switch o {
	case spend.RateLimited, spend.Server, spend.Network, spend.Timeout, spend.StoreFailed:
		return true
	}
	return false
}

// needsCredential reports whether another key may be what is missing.
func needsCredential(o spend.Outcome) bool {
	return o == spend.Auth || o == spend.Permission || o == spend.NotFound
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
