package ingest

import (
	"testing"
	"time"

	"github.com/aispend/aispend/spend"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const quarter = 15 * time.Minute

// fixed is a Rand: 0.5 is no jitter, 0 and 0.999 are its ends.
func fixed(f float64) func() float64 { return func() float64 { return f } }

func both() []Step { return []Step{{Kind: KindCurrent}, {Kind: KindHistory}} }

func TestAgendaWaitsAfterFailures(t *testing.T) {
	tests := []struct {
		name       string
		outcome    spend.Outcome
		interval   time.Duration
		failures   int
		retryAfter time.Duration
		want       time.Duration // without jitter
		alone      bool          // the other windows need not wait
	}{
		{"first server error", spend.Server, quarter, 1, 0, time.Minute, false},
		{"third network error", spend.Network, quarter, 3, 0, 4 * time.Minute, false},
		{"backoff ends at the interval", spend.Timeout, quarter, 9, 0, quarter, false},
		{"backoff never overflows", spend.Timeout, quarter, 900, 0, quarter, false},
		{"a short interval bounds the first wait", spend.Server, 20 * time.Second, 1, 0, 20 * time.Second, true},
		{"retry-after is the least", spend.RateLimited, quarter, 1, 20 * time.Minute, 20 * time.Minute, false},
		{"retry-after below the backoff", spend.RateLimited, quarter, 1, 5 * time.Second, time.Minute, false},
		{"absurd retry-after", spend.RateLimited, quarter, 1, 240 * time.Hour, time.Hour, false},
		{"no space: try soon", spend.StoreFailed, quarter, 1, 0, time.Minute, false},
		{"refused key waits for the interval", spend.Auth, quarter, 1, 0, quarter, false},
		{"missing permission", spend.Permission, quarter, 1, 0, quarter, false},
		{"wrong address", spend.NotFound, quarter, 1, 0, quarter, false},
		{"nonsense waits for the interval", spend.Schema, quarter, 1, 0, quarter, true},
		{"half a document", spend.Decode, quarter, 7, 0, quarter, true},
		{"nonsense of one that asks for a rest", spend.Schema, quarter, 1, 20 * time.Minute, 20 * time.Minute, false},
		{"server errors for seven minutes", spend.Server, quarter, 4, 0, 8 * time.Minute, false},
		{"server errors for a quarter of an hour", spend.Server, quarter, 5, 0, quarter, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rnd := fixed(0) // backoff is only ever shortened by jitter
			if !heals(tt.outcome) {
				rnd = fixed(0.5)
			}
			a := newAgenda(noon, time.Time{}, time.Time{}, tt.interval, rnd)
			var now time.Time
			for range tt.failures {
				now = a.at(KindCurrent)
				a.ended(KindCurrent, now, now, tt.outcome, tt.retryAfter)
			}
			if got := a.at(KindCurrent).Sub(now); got != tt.want {
				t.Errorf("the present may run after %s, want %s", got, tt.want)
			}
			others := tt.want
			if tt.alone {
				others = 0
			}
			if got := later(now, a.at(KindHistory)).Sub(now); got != others {
				t.Errorf("history may run after %s, want %s", got, others)
			}
		})
	}
}

func TestAgendaJitterStaysInItsBounds(t *testing.T) {
	for _, tt := range []struct {
		rnd                float64
		interval, backsOff time.Duration
	}{
		{0, 13*time.Minute + 30*time.Second, time.Minute},
		{0.5, 15 * time.Minute, 52*time.Second + 500*time.Millisecond},
		{1, 16*time.Minute + 30*time.Second, 45 * time.Second},
	} {
		a := newAgenda(noon, time.Time{}, time.Time{}, quarter, fixed(tt.rnd))
		a.ended(KindCurrent, noon, noon.Add(time.Second), spend.OK, 0)
		if got := a.at(KindCurrent).Sub(noon); got != tt.interval {
			t.Errorf("rand %v: next pull after %s, want %s", tt.rnd, got, tt.interval)
		}
		a.ended(KindCurrent, noon, noon, spend.Server, 0)
		if got := a.rest.Sub(noon); got != tt.backsOff {
			t.Errorf("rand %v: backoff %s, want %s", tt.rnd, got, tt.backsOff)
		}
	}
}

func TestAgendaStart(t *testing.T) {
	tests := []struct {
		name                  string
		lastApplied, failedAt time.Time
		interval              time.Duration
		rnd                   float64
		current, history      time.Duration
	}{
		{"never read: at once", time.Time{}, time.Time{}, quarter, 0, 0, 0},
		{"never read: a second at most", time.Time{}, time.Time{}, quarter, 1, time.Second, time.Second},
		{"restart keeps the interval", noon.Add(-5 * time.Minute), time.Time{}, quarter, 0.5, 10 * time.Minute, 2500 * time.Millisecond},
		{"overdue: at once, spread over five seconds", noon.Add(-time.Hour), time.Time{}, quarter, 1, 5 * time.Second, 5 * time.Second},
		{"a short interval spreads less", noon.Add(-time.Hour), time.Time{}, 10 * time.Second, 1, time.Second, time.Second},
		{"a clock that went back", noon.Add(100 * time.Hour), time.Time{}, quarter, 0.5, quarter, 2500 * time.Millisecond},
		{"crash loop: not sooner than the backoff", time.Time{}, noon.Add(-10 * time.Second), quarter, 0, 50 * time.Second, 50 * time.Second},
		{"old failure", time.Time{}, noon.Add(-10 * time.Hour), quarter, 0, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newAgenda(noon, tt.lastApplied, tt.failedAt, tt.interval, fixed(tt.rnd))
			if got := a.at(KindCurrent).Sub(noon); got != tt.current {
				t.Errorf("current after %s, want %s", got, tt.current)
			}
			if got := a.at(KindHistory).Sub(noon); got != tt.history {
				t.Errorf("history after %s, want %s", got, tt.history)
			}
		})
	}
}

// TestAgendaPresentBeforeHistory: history fills the pauses of the present, and
// its failures never delay the present.
func TestAgendaPresentBeforeHistory(t *testing.T) {
	a := newAgenda(noon, time.Time{}, time.Time{}, quarter, fixed(0.5))
	a.rest, a.currentDue = noon, noon
	if s, at := a.next(noon, both()); s.Kind != KindCurrent || !at.Equal(noon) {
		t.Fatalf("first step %s at %s", s.Kind, at)
	}
	a.ended(KindCurrent, noon, noon, spend.OK, 0)
	if s, at := a.next(noon, both()); s.Kind != KindHistory || at.After(noon) {
		t.Fatalf("second step %s at %s, want history now", s.Kind, at)
	}
	for range 20 {
		a.ended(KindHistory, noon, noon.Add(quarter-time.Second), spend.Server, 0)
	}
	if s, at := a.next(noon.Add(quarter), both()); s.Kind != KindCurrent || !at.Equal(noon.Add(quarter)) {
		t.Fatalf("after failures of history: %s at %s, want the present on its interval", s.Kind, at)
	}
}

func TestAgendaOneLimitRestsTheWholeSource(t *testing.T) {
	a := newAgenda(noon, time.Time{}, time.Time{}, quarter, fixed(0.5))
	a.ended(KindHistory, noon, noon, spend.RateLimited, 30*time.Minute)
	a.wake(noon.Add(time.Minute))
	if _, at := a.next(noon, both()); !at.Equal(noon.Add(30 * time.Minute)) {
		t.Errorf("somebody asked during the provider's rest: next at %s", at)
	}
}

func TestAgendaWakeEndsARefusal(t *testing.T) {
	a := newAgenda(noon, time.Time{}, time.Time{}, quarter, fixed(0.5))
	a.ended(KindCurrent, noon, noon, spend.Auth, 0)
	if !a.refused {
		t.Fatal("a refused key is not noticed")
	}
	a.wake(noon.Add(time.Minute))
	if s, at := a.next(noon.Add(time.Minute), both()); s.Kind != KindCurrent || at.After(noon.Add(time.Minute)) {
		t.Errorf("with a new key: %s at %s", s.Kind, at)
	}
}

func TestAgendaHeldWindowIsLookedAtAgainAfterTheInterval(t *testing.T) {
	a := newAgenda(noon, time.Time{}, time.Time{}, quarter, fixed(0.5))
	a.ended(KindPreviousMonth, noon, noon, spend.Held, 0)
	if got := a.at(KindPreviousMonth).Sub(noon); got != quarter {
		t.Errorf("held month read again after %s, want %s", got, quarter)
	}
}

// TestAgendaOldDaysWaitUpToADay: a failure that the days themselves may be to blame for
// is looked at again less and less; one that says nothing about them is not.
func TestAgendaOldDaysWaitUpToADay(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		kind     string
		outcome  spend.Outcome
		interval time.Duration
		failures int
		want     time.Duration
	}{
		{KindHistory, spend.Server, quarter, 1, time.Minute},
		{KindHistory, spend.Server, quarter, 6, 32 * time.Minute},
		{KindHistory, spend.Server, quarter, 12, day},
		{KindHistory, spend.Timeout, quarter, 900, day},
		{KindHistory, spend.Schema, quarter, 1, quarter},
		{KindHistory, spend.Schema, quarter, 3, time.Hour},
		{KindHistory, spend.Decode, quarter, 8, day},
		{KindBackfill, spend.TooLarge, quarter, 900, day},
		{KindHistory, spend.Schema, 3 * day, 5, 3 * day},
		{KindHistory, spend.Network, quarter, 900, quarter},
		{KindHistory, spend.StoreFailed, quarter, 900, quarter},
		{KindHistory, spend.Auth, quarter, 900, quarter},
		{KindHistory, spend.RateLimited, quarter, 900, quarter},
		// It must not miss the days on which the month is still read.
		{KindPreviousMonth, spend.Server, quarter, 900, quarter},
		{KindPreviousMonth, spend.Schema, quarter, 900, quarter},
		{KindCurrent, spend.Schema, quarter, 900, quarter},
	}
	for _, tt := range tests {
		rnd := fixed(0.5)
		if heals(tt.outcome) {
			rnd = fixed(0) // no jitter on backoff
		}
		a := newAgenda(noon, time.Time{}, time.Time{}, tt.interval, rnd)
		for range tt.failures {
			a.ended(tt.kind, noon, noon, tt.outcome, 0)
		}
		if got := a.notBefore[tt.kind].Sub(noon); got != tt.want {
			t.Errorf("%s after %d times %s: %s, want %s", tt.kind, tt.failures, tt.outcome, got, tt.want)
		}
	}
}

// TestAgendaHealedPresentEndsTheBackoffOfOthers only where they failed beside it: a
// refused month is not asked for after every hiccup of the network.
func TestAgendaHealedPresentEndsTheBackoffOfOthers(t *testing.T) {
	for _, tt := range []struct {
		present spend.Outcome
		ends    bool
	}{{spend.Schema, true}, {spend.Network, false}, {spend.RateLimited, false}} {
		a := newAgenda(noon, time.Time{}, time.Time{}, quarter, fixed(0.5))
		for range 20 {
			a.ended(KindHistory, noon, noon, spend.Schema, 0)
		}
		a.ended(KindCurrent, noon, noon, tt.present, 0)
		later := noon.Add(time.Hour)
		a.ended(KindCurrent, later, later, spend.OK, 0)
		if got := !a.at(KindHistory).After(later); got != tt.ends {
			t.Errorf("history is due when the present heals from %s: %t, want %t", tt.present, got, tt.ends)
		}
	}
}
