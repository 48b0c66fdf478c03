package hardcap_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/hardcap"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// The tests of this file hold guards that a mutation pass found without one.

// A scope is known by the label that its metrics, and so its alerts, carry.
func TestScopeIsKnownByItsLabel(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		const scope = "research\ttools"
		label, _ := spend.CleanLabel(scope)
		r.caps = append(r.caps, caps.Cap{
			Scope: scope, Match: caps.Match{Provider: "openai"}, Period: caps.Month, Hard: usd("10"),
		})
		r.run()
		r.spends(openai, "11")
		r.wantDecision(hardcap.Recorded, firing(label, "month", r.now()))
		time.Sleep(time.Second)
		r.wantStates(scope + "/month 10 delivered")
	})
}

// A clock that was weeks ahead leaves events of a period that is not there yet: they
// are of no breach of the present one.
func TestPeriodThatIsNotThereYet(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.ahead.Store(int64(10 * 24 * time.Hour))
		r.wire.set(refused)
		r.run()
		r.breach()
		r.wire.set(nil)
		r.ahead.Store(0)
		r.spends(openai, "1000") // this month is breached as well
		n := len(r.wire.all())
		time.Sleep(10 * time.Minute)
		if got := len(r.wire.all()); got != n {
			t.Errorf("%d deliveries of December in November", got-n)
		}
		r.wantStates("openai/month 1000 cancelled")
		if e := r.hook.Deliveries()[0]; !strings.Contains(e.Reason, "another period") {
			t.Errorf("event %+v", e)
		}
	})
}

// yielding is a ledger that lets everybody else run while it adds up.
type yielding struct{ *rig }

func (y yielding) Totals(w spend.Window, gross bool) (map[string]spend.Money, error) {
	for range 50 {
		runtime.Gosched()
	}
	return y.rig.Totals(w, gross)
}

// Of many alerts at once one records the event, and the others find it.
func TestAlertsAtOnce(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.hook = hardcap.New(hardcap.Options{
			Outbox: r.store, Ledger: yielding{r}, Now: r.now,
			Target: func() (hardcap.Target, error) { return r.target, nil },
		})
		for round := range 2 {
			r.limit(0, fmt.Sprint(100+round))
			r.spends(openai, "1000")
			var wg sync.WaitGroup
			got := make(chan hardcap.Decision, 40)
			for i := range 20 {
				wg.Go(func() {
					receipt, err := r.tell(firing("openai", "month", r.now()), firing(fmt.Sprint("nobody", i), "month", r.now()))
					if err != nil {
						t.Error(err)
						return
					}
					got <- receipt.Answers[0].Decision
					_, _ = r.tell(firing("openai", "month", r.now().Add(time.Nanosecond))) // waits
				})
			}
			wg.Wait()
			close(got)
			count := map[hardcap.Decision]int{}
			for d := range got {
				count[d]++
			}
			if count[hardcap.Recorded] != 1 || count[hardcap.Known] != 19 {
				t.Errorf("decisions %v", count)
			}
		}
	})
}

// without is a ledger that cannot add up.
type without struct {
	*rig
	err error
}

func (w without) Totals(spend.Window, bool) (map[string]spend.Money, error) { return nil, w.err }

// Whatever the ledger cannot say is an error of its own: neither "not yet" nor a
// rejection, and nothing of the payload is done.
func TestErrorOfTheLedgerIsNoAnswer(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.spends(openai, "1000")
		canary := errors.New("ledger-canary")
		r.change(func(r *rig) { r.broken = canary })
		if receipt, err := r.tell(firing("openai", "month", r.now())); !errors.Is(err, canary) || len(receipt.Answers) != 0 {
			t.Errorf("receipt %+v, error %v", receipt, err)
		}
		r.change(func(r *rig) { r.broken = nil })
		h := hardcap.New(hardcap.Options{
			Outbox: r.store, Ledger: without{r, canary}, Now: r.now,
			Target: func() (hardcap.Target, error) { return r.target, nil },
		})
		receipt, err := h.Receive(t.Context(), payload(firing("openai", "month", r.now()), firing("nobody", "month", r.now())))
		if !errors.Is(err, canary) || len(receipt.Answers) != 0 || len(h.Deliveries()) != 0 {
			t.Errorf("receipt %+v, error %v, deliveries %+v", receipt, err, h.Deliveries())
		}
	})
}

// An alert that the ledger sees no breach for changes nothing about an event that is
// there, and is not counted as one that was rejected.
func TestRejectedBesideAnEvent(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.breach()
		r.spends(openai, "999")
		r.wantDecision(hardcap.Refused, firing("openai", "month", r.now()))
		r.wantStates("openai/month 1000 pending")
		r.wantCounts("ok 0, retried 0, rejected 0, cancelled 0, dead 0")
		r.run()
		time.Sleep(time.Second)
		r.wantCounts("ok 0, retried 0, rejected 0, cancelled 1, dead 0")
	})
}

// A ledger without any cost is one of nothing, in the body too.
func TestNoTotals(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.spends(openai, "1000")
		h := hardcap.New(hardcap.Options{
			Outbox: r.store, Ledger: without{r, nil}, Now: r.now,
			Target: func() (hardcap.Target, error) { return r.target, nil },
		})
		if _, err := h.Receive(t.Context(), payload(firing("openai", "month", r.now()))); err != nil {
			t.Fatal(err)
		}
		if b := string(h.Deliveries()[0].Body); !strings.Contains(b, `"totals":{"global":0}`) {
			t.Errorf("body %s", b)
		}
	})
}

// An event that is armed anew begins anew: no attempt of before counts, and a secret
// that cannot be read keeps nobody from arming it.
func TestArmedAnewBeginsAnew(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(always(500))
		r.run()
		r.breach()
		r.pass(time.Hour) // pauses of more than half an hour by now
		r.spends(openai, "1")
		time.Sleep(time.Minute)
		r.wantStates("openai/month 1000 cancelled")
		n := len(r.wire.all())
		r.spends(openai, "1000")
		r.change(func(r *rig) { r.unread = errors.New("unreadable") })
		r.wantDecision(hardcap.Recorded, firing("openai", "month", r.now()))
		if e := r.hook.Deliveries()[0]; e.Attempts != 0 || e.Status != 0 || e.LastError != "" || !e.LastAttempt.IsZero() {
			t.Errorf("event %+v", e)
		}
		r.change(func(r *rig) { r.unread = nil })
		time.Sleep(time.Minute)
		if got := len(r.wire.all()) - n; got < 3 {
			t.Errorf("%d attempts in a minute", got)
		}
	})
}

// What an admin insisted on is over when the event is cancelled: armed anew by an alert
// it is not sent to a URL that answered 410.
func TestInsistingEndsWithTheEvent(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(always(410))
		r.run()
		id := r.breach().ID
		r.wantDecision(hardcap.Recorded, firing("global", "week", r.now()))
		time.Sleep(time.Minute)
		r.wantStates("global/week 500 dead", "openai/month 1000 dead")
		n := len(r.wire.all())
		r.spends(openai, "600") // of the week's 500, not of the month's 1000
		if _, err := r.hook.Retry(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.wantStates("global/week 500 dead", "openai/month 1000 cancelled")
		r.spends(openai, "1000")
		r.wantDecision(hardcap.Recorded, firing("openai", "month", r.now()))
		time.Sleep(time.Minute)
		r.wantStates("global/week 500 dead", "openai/month 1000 dead")
		if got := len(r.wire.all()); got != n {
			t.Errorf("%d more requests to a URL that is gone", got-n)
		}
	})
}

// The event of a changed limit says what is spent now.
func TestChangedLimitTellsTheTotal(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(refused)
		r.run()
		r.breach()
		time.Sleep(time.Second)
		r.spends(openai, "1200.25")
		r.limit(0, "1100")
		time.Sleep(time.Minute)
		for _, e := range r.hook.Deliveries() {
			if e.Threshold.Equal(usd("1100")) && (!e.Total.Equal(usd("1200.25")) || !strings.Contains(string(e.Body), `"total":1200.25`)) {
				t.Errorf("event %+v, body %s", e, e.Body)
			}
		}
		r.wantStates("openai/month 1100 pending", "openai/month 1000 cancelled")
	})
}

// counting is a ledger that counts how often it is asked.
type counting struct {
	*rig
	asked *atomic.Int32
}

func (c counting) Look() ([]caps.Status, []spend.SourceStatus, error) {
	c.asked.Add(1)
	return c.rig.Look()
}

// A ledger that cannot answer is asked four times a minute, not all the time.
func TestBrokenLedgerIsNotHammered(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		var asked atomic.Int32
		r.hook = hardcap.New(hardcap.Options{
			Outbox: r.store, Ledger: counting{r, &asked}, Now: r.now,
			Target: func() (hardcap.Target, error) { return r.target, nil },
		})
		r.hook.SetTransport(r.wire)
		r.wire.set(refused)
		r.breach()
		r.run()
		time.Sleep(time.Second)
		r.change(func(r *rig) { r.broken = errors.New("broken") })
		before := asked.Load()
		time.Sleep(time.Minute)
		if n := asked.Load() - before; n < 3 || n > 6 {
			t.Errorf("asked %d times in a minute", n)
		}
	})
}

// Run returns when what came of the last attempt has been put away.
func TestRunEndsAfterItsAttempts(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(func(_ int, q *http.Request) (*http.Response, error) {
			<-q.Context().Done()
			time.Sleep(time.Second) // the answer was on its way
			return status(204), nil
		})
		r.run()
		r.breach()
		time.Sleep(time.Second)
		r.stop()
		r.wantStates("openai/month 1000 delivered")
		r.stop = func() {}
		r.restart()
		r.pass(time.Hour)
		if n := len(r.wire.all()); n != 1 {
			t.Errorf("%d deliveries", n)
		}
	})
}

// What could not be stored is stored within seconds of when it can be, unasked.
func TestStoredUnasked(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		room := func(n uint64) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.free = n
		}
		r.wire.set(func(int, *http.Request) (*http.Response, error) {
			room(1 << 10)
			return status(204), nil
		})
		r.run()
		r.breach()
		time.Sleep(time.Minute)
		room(1 << 40)
		time.Sleep(20 * time.Second)
		r.wire.set(nil)
		r.restart()
		time.Sleep(time.Minute)
		if n := len(r.wire.all()); n != 1 {
			t.Errorf("%d deliveries", n)
		}
	})
}

// Alertmanager asks again every few seconds: the log tells once why it has to, again
// when the reason is another one or has come back, and the answer stays short.
func TestWaitingIsToldOnce(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		lines := func() int { return strings.Count(r.log.String(), "decision=later") }
		r.spends(openai, "1000")
		began := r.now().Add(time.Second)
		time.Sleep(time.Minute)
		for range 10 {
			if _, err := r.tell(firing("openai", "month", began)); !errors.Is(err, hardcap.ErrLater) {
				t.Fatal(err)
			}
		}
		if n := lines(); n != 1 {
			t.Errorf("%d lines", n)
		}
		r.pulled(openai)
		r.wantDecision(hardcap.Recorded, firing("openai", "month", began))
		time.Sleep(time.Minute)
		if _, err := r.tell(firing("openai", "month", r.now())); !errors.Is(err, hardcap.ErrLater) {
			t.Fatal(err)
		}
		if n := lines(); n != 2 {
			t.Errorf("%d lines after a decision came between", n)
		}
		var many []alert
		for i := range 30 {
			name := fmt.Sprint("cap", i)
			r.caps = append(r.caps, caps.Cap{Scope: name, Match: caps.Match{Provider: "openai"}, Period: caps.Day, Hard: usd("1")})
			many = append(many, firing(name, "day", r.now()))
		}
		if _, err := r.tell(many...); strings.Count(err.Error(), "no data newer") != 10 {
			t.Errorf("error %v", err)
		}
	})
}

// What a hook refused for ever stays dead while nothing may be sent at all.
func TestGoneStaysDeadWithoutAHook(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(always(410))
		r.run()
		r.breach()
		time.Sleep(time.Minute)
		for _, target := range []hardcap.Target{{}, {URL: "https://other.example/", DryRun: true}} {
			r.change(func(r *rig) { r.target = target })
			time.Sleep(time.Minute)
			r.wantStates("openai/month 1000 dead")
		}
		r.wire.set(nil)
		r.change(func(r *rig) { r.target.DryRun = false })
		time.Sleep(time.Minute)
		r.wantStates("openai/month 1000 delivered")
	})
}

// A cancelled event tells the total that it was cancelled by, of its own period and as
// far as one is known.
func TestCancelledTellsTheTotal(t *testing.T) {
	for name, tc := range map[string]struct {
		then  func(*rig)
		state hardcap.State
		total string
	}{
		"the bill fell":    {func(r *rig) { r.spends(openai, "999.99") }, hardcap.Cancelled, "999.99"},
		"the period ended": {func(r *rig) { r.pass(5 * time.Hour) }, hardcap.Cancelled, "1003.5"},
		"nobody knows": {func(r *rig) {
			r.change(func(r *rig) {
				r.sources[0].CoveredFrom, r.sources[1].CoveredFrom = day("2026-11-30"), day("2026-11-30")
			})
		}, hardcap.Pending, "1003.5"},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, "2026-11-30T20:00:00Z", func(t *testing.T, r *rig) {
				r.wire.set(refused)
				r.run()
				r.breach()
				time.Sleep(time.Second)
				tc.then(r)
				time.Sleep(time.Minute)
				e := r.hook.Deliveries()[0]
				if e.State != tc.state || !e.Total.Equal(usd(tc.total)) || e.State == hardcap.Pending && e.Reason == "" {
					t.Errorf("event %+v", e)
				}
			})
		})
	}
}

// The longest waiting is sent first where not all can be sent at once.
func TestOldestFirst(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.caps = nil
		var told []string
		r.spends(openai, "1000")
		for i := range 20 {
			name := fmt.Sprint("cap", i)
			r.caps = append(r.caps, caps.Cap{Scope: name, Match: caps.Match{Provider: "openai"}, Period: caps.Month, Hard: usd("1")})
			told = append(told, r.wantDecision(hardcap.Recorded, firing(name, "month", r.now().Add(-time.Minute))).ID)
			time.Sleep(time.Second)
		}
		r.wire.set(func(int, *http.Request) (*http.Response, error) {
			time.Sleep(10 * time.Second)
			return status(204), nil
		})
		r.run()
		time.Sleep(time.Second)
		first := map[string]bool{}
		for _, q := range r.wire.all() {
			first[q.id] = true
		}
		for i, id := range told {
			if first[id] != (i < 8) {
				t.Errorf("cap%d is among the first %d: %t", i, len(first), first[id])
			}
		}
		time.Sleep(time.Minute)
		if n := len(r.wire.all()); n != 20 {
			t.Errorf("%d deliveries", n)
		}
	})
}

// A target that cannot be read is as empty as one without a URL, and is none: what
// is pending waits for it.
func TestUnreadableTargetCancelsNothing(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		var mended atomic.Bool
		r.retarget(func(int) (hardcap.Target, error) {
			if mended.Load() {
				return hardcap.Target{URL: hookURL}, nil
			}
			return hardcap.Target{}, errors.New("unreadable")
		})
		r.hook.SetTransport(r.wire)
		r.run()
		r.breach()
		time.Sleep(time.Minute)
		r.wantStates("openai/month 1000 pending")
		statuses, _, err := r.Look()
		if s := r.hook.Stats(statuses); err != nil || len(s.Delivered) != 2 {
			t.Errorf("figures %+v, %v", s, err)
		}
		mended.Store(true)
		time.Sleep(2 * time.Minute)
		r.wantStates("openai/month 1000 delivered")
	})
}

// A minute in which the ledger cannot tell brings no attempt forward.
func TestUnknownKeepsThePause(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(refused)
		r.run()
		r.breach()
		r.pass(time.Hour)
		next, n := r.hook.Deliveries()[0].NextAttempt, len(r.wire.all())
		if next.Sub(r.now()) < 10*time.Minute {
			t.Fatalf("the next attempt is at %s", next)
		}
		know := func(from string) {
			r.change(func(r *rig) { r.sources[0].CoveredFrom, r.sources[1].CoveredFrom = day(from), day(from) })
		}
		know("2026-11-24")
		time.Sleep(time.Minute)
		know("2026-01-01")
		time.Sleep(time.Minute)
		if got := r.hook.Deliveries()[0].NextAttempt; !got.Equal(next) || len(r.wire.all()) != n {
			t.Errorf("%d attempts more, the next at %s instead of %s", len(r.wire.all())-n, got, next)
		}
	})
}

// A limit that comes back finds its event as it was left: what was delivered is not
// sent again, what was cancelled goes on.
func TestLimitThatComesBack(t *testing.T) {
	for name, answer := range map[string]func(int, *http.Request) (*http.Response, error){"delivered": nil, "pending": refused} {
		t.Run(name, func(t *testing.T) {
			story(t, noon, func(t *testing.T, r *rig) {
				r.wire.set(answer)
				r.run()
				r.breach()
				time.Sleep(time.Second)
				first := r.hook.Deliveries()[0]
				r.wire.set(refused)
				r.spends(openai, "1200")
				r.limit(0, "1100")
				if name == "delivered" { // nothing waited whose place the new one could take
					r.wantDecision(hardcap.Recorded, firing("openai", "month", r.now()))
				}
				time.Sleep(time.Minute)
				r.limit(0, "1000")
				time.Sleep(time.Second)
				r.wantStates("openai/month 1100 cancelled", "openai/month 1000 "+name)
				got := r.hook.Deliveries()[1]
				if !got.Recorded.Equal(first.Recorded) || !got.TriggeredAt.Equal(first.TriggeredAt) {
					t.Errorf("event %+v, was %+v", got, first)
				}
			})
		})
	}
}

// The event of a period that is over leaves none behind: a breach of the next one needs
// an alert of its own.
func TestNextPeriodNeedsItsOwnAlert(t *testing.T) {
	story(t, "2026-11-30T23:00:00Z", func(t *testing.T, r *rig) {
		r.wire.set(refused)
		r.run()
		r.breach()
		time.Sleep(time.Second)
		r.shut()
		r.limit(0, "5")
		r.pass(2 * time.Hour)
		r.spends(openai, "6")
		r.open()
		r.run()
		time.Sleep(time.Minute)
		r.wantStates("openai/month 1000 cancelled")
	})
}

// A hook at another URL is tried as if it were the first, and only for what the ledger
// is sure of.
func TestAnotherHookBeginsAnew(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(refused)
		r.run()
		r.breach()
		r.pass(time.Hour)
		r.wire.set(always(410))
		r.pass(time.Hour)
		r.wantStates("openai/month 1000 dead")
		r.wire.set(refused)
		n := len(r.wire.all())
		know := func(from string) {
			r.change(func(r *rig) { r.sources[0].CoveredFrom, r.sources[1].CoveredFrom = day(from), day(from) })
		}
		know("2026-11-24")
		r.change(func(r *rig) { r.target.URL = "https://other.example/" })
		time.Sleep(time.Minute)
		r.wantStates("openai/month 1000 dead")
		know("2026-01-01")
		time.Sleep(time.Minute)
		if got := len(r.wire.all()) - n; got < 3 {
			t.Errorf("%d attempts in a minute", got)
		}
		r.wantStates("openai/month 1000 pending")
	})
}

// An event that expires while it is sent is forgotten all the same.
func TestForgottenWhileItIsSent(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(func(int, *http.Request) (*http.Response, error) {
			r.hook.Forget(day("2026-12-01"))
			return status(204), nil
		})
		r.run()
		r.breach()
		time.Sleep(time.Minute)
		r.wantStates()
		r.wantCounts("ok 0, retried 0, rejected 0, cancelled 0, dead 0")
		if log := r.log.String(); strings.Contains(log, "level=ERROR") {
			t.Error(log)
		}
	})
}

// An admin insists on one attempt; and what was delivered in the end tells no error.
func TestInsistingIsForOneAttempt(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(always(410))
		r.run()
		id := r.breach().ID
		r.wantDecision(hardcap.Recorded, firing("global", "week", r.now()))
		time.Sleep(time.Minute)
		r.wire.set(always(500))
		n := len(r.wire.all())
		if _, err := r.hook.Retry(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.wantStates("global/week 500 dead", "openai/month 1000 dead")
		if got := len(r.wire.all()) - n; got != 1 {
			t.Errorf("%d attempts, want the one that was asked for", got)
		}
		r.wire.set(nil)
		if _, err := r.hook.Retry(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for _, e := range r.hook.Deliveries() {
			if e.ID == id && (e.State != hardcap.Delivered || e.LastError != "" || e.Reason != "") {
				t.Errorf("event %+v", e)
			}
		}
		answer := r.wantDecision(hardcap.Tested, firing("openai", "month", r.now(), "test", "true"))
		if _, err := r.hook.Retry(t.Context(), answer.ID); err == nil || !strings.Contains(err.Error(), "never sent") {
			t.Errorf("retrying a test: %v", err)
		}
	})
}

// A retry of what was given up has a day of its own.
func TestRetryOfTheDeadHasItsOwnDay(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(refused)
		r.run()
		id := r.breach().ID
		r.pass(26 * time.Hour)
		r.wantStates("openai/month 1000 dead")
		asked := r.now()
		if _, err := r.hook.Retry(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Hour)
		if e := r.hook.Deliveries()[0]; e.State != hardcap.Pending || e.Attempts < 5 || !e.Armed.Equal(asked) {
			t.Errorf("event %+v", e)
		}
	})
}

// TestTransport: what only an old or a greedy server would show.
func TestTransport(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.retarget(func(int) (hardcap.Target, error) { return r.target, nil })
		tr := r.hook.Transport()
		if v := tr.TLSClientConfig.MinVersion; v < tls.VersionTLS12 {
			t.Errorf("TLS %x is spoken", v)
		}
		if n := tr.MaxResponseHeaderBytes; n <= 0 || n > 64<<10 {
			t.Errorf("%d bytes of headers are read", n)
		}
		if !tr.DisableKeepAlives {
			t.Error("connections are kept between deliveries that are weeks apart")
		}
	})
}

// A name server that fails tells nothing of itself.
func TestNameServerThatFails(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(func(int, *http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{
				Err: "canary", Name: "canary.example", Server: "canary:53", IsTemporary: true,
			}}
		})
		r.run()
		r.breach()
		time.Sleep(time.Second)
		if e := r.hook.Deliveries()[0]; e.LastError != "DNS did not tell the address of the host of hard_cap.url" {
			t.Errorf("error %q", e.LastError)
		}
	})
}

// A cap that a payload names twice is judged, answered and told once.
func TestTwiceInAPayloadIsOnce(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.spends(openai, "1000")
		a := firing("openai", "month", r.now())
		receipt, err := r.tell(a, a, a)
		if err != nil || len(receipt.Answers) != 1 || receipt.Ignored != 2 {
			t.Errorf("receipt %+v, %v", receipt, err)
		}
		if n := strings.Count(r.log.String(), "decision=recorded"); n != 1 {
			t.Errorf("%d lines", n)
		}
	})
}

// What another version wrote, or what lies under another's id, is left out and told.
func TestEventsOfOthersAreLeftOut(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		for id, content := range map[string]string{
			"hc_newer": `{"v":2,"id":"hc_newer","state":"pending"}`,
			"hc_other": `{"v":1,"id":"hc_another","state":"pending"}`,
		} {
			err := r.store.PutEvents(t.Context(), []store.OutboxEvent{{ID: id, Day: day("2026-11-24"), Content: []byte(content)}})
			if err != nil {
				t.Fatal(err)
			}
		}
		r.restart()
		r.wantStates()
		if n := strings.Count(r.log.String(), `msg="an event of`); n != 2 {
			t.Errorf("%d are told of: %s", n, r.log)
		}
	})
}

// Pauses differ by a tenth, so that replicas and events do not call in step.
func TestPausesDiffer(t *testing.T) {
	for random, want := range map[float64]time.Duration{0: 4500 * time.Millisecond, 1: 5500 * time.Millisecond} {
		t.Run(want.String(), func(t *testing.T) {
			story(t, noon, func(t *testing.T, r *rig) {
				r.hook = hardcap.New(hardcap.Options{
					Outbox: r.store, Ledger: r, Now: r.now, Rand: func() float64 { return random },
					Target: func() (hardcap.Target, error) { return r.target, nil },
				})
				r.hook.SetTransport(r.wire)
				r.wire.set(refused)
				r.run()
				r.breach()
				time.Sleep(time.Second)
				e := r.hook.Deliveries()[0]
				if got := e.NextAttempt.Sub(e.LastAttempt); got != want {
					t.Errorf("a pause of %s, want %s", got, want)
				}
			})
		})
	}
}

// The tests of yesterday leave room for those of today.
func TestTestsOfYesterday(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		var many []alert
		for i := range 100 {
			many = append(many, firing(fmt.Sprint("scope", i), "month", r.now(), "test", "true"))
		}
		for day := range 2 {
			if _, err := r.tell(many...); err != nil {
				t.Fatal(err)
			}
			if n := len(r.states()); n != 100*(day+1) {
				t.Errorf("%d tests are kept", n)
			}
			r.ahead.Add(int64(24 * time.Hour))
		}
	})
}

// A retry that is answered is durable, and one of what waits anyway makes it no younger:
// the alert about an old delivery must not fall silent.
func TestRetryIsDurable(t *testing.T) {
	story(t, noon, func(t *testing.T, r *rig) {
		r.wire.set(refused)
		r.run()
		id := r.breach().ID
		armed := r.hook.Deliveries()[0].Armed
		r.pass(time.Hour)
		if e, err := r.hook.Retry(t.Context(), id); err != nil || !e.Armed.Equal(armed) {
			t.Errorf("event %+v, %v", e, err)
		}
		time.Sleep(time.Second)
		r.change(func(r *rig) { r.free = 1 << 10 })
		n := len(r.wire.all())
		if _, err := r.hook.Retry(t.Context(), id); !errors.Is(err, store.ErrLowSpace) {
			t.Errorf("error %v", err)
		}
		time.Sleep(time.Second)
		if got := len(r.wire.all()); got != n {
			t.Errorf("%d attempts of a retry that was refused", got-n)
		}
	})
}
