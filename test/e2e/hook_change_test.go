package e2e_test

import (
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/aispend/aispend/spend"
	"github.com/aispend/aispend/test/e2e/receiver"
)

// limit changes a hard limit in the configuration and has the daemon read it (SIGHUP).
func (s *stack) limit(scope, hard string) {
	s.t.Helper()
	d := s.daemons[0]
	i := slices.IndexFunc(d.site.caps, func(l capLimits) bool { return l.scope == scope })
	d.site.caps[i].hard = hard
	d.site.configure(s.company)
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, time.Minute, scope+" has the limit "+hard, func() bool {
		return d.cap(scope).Limits.Hard.Equal(spend.MustMoney(hard))
	})
}

// over waits until Alertmanager has seen the end of an alert so often, which is when it looks
// at the group: what begins again before, it takes for the same alert, and tells of it
// only after its repeat_interval.
func (s *stack) over(scope string, times int) {
	s.t.Helper()
	eventually(s.t, 2*time.Minute, "people are told that the alert of "+scope+" is over", func() bool {
		return len(s.slackAbout("resolved or no longer evaluated", scope)) == times
	})
}

// TestHookLimitRaised: a raised limit takes a pending delivery back, whether or not
// the new one is reached too, and arms what was delivered anew.
func TestHookLimitRaised(t *testing.T) {
	t.Parallel()
	s := newStack(t, stackOptions{caps: []capLimits{
		{scope: "above", model: "above", soft: "0", hard: "0.5"},
		{scope: "below", model: "below", soft: "0", hard: "0.5"},
	}})
	d := s.daemons[0]
	s.setHook(receiver.Refuse)
	s.company.spends("above", "0.6")
	s.company.spends("below", "0.9")
	above, below := d.becomes("above", "pending"), d.becomes("below", "pending")

	// The new limit is not reached: nothing is sent. It is then: that is told of.
	s.limit("above", "0.7")
	if e := d.becomes("above", "cancelled"); e.ID != above.ID || !containsAll(e.Reason, "the limit was changed to 0.7 USD") {
		t.Errorf("pending %+v, cancelled %+v", above, e)
	}
	// The new limit is reached as well: the event of the new one takes the place of the
	// old one at once, while the alert goes on as it is.
	s.limit("below", "0.8")
	if e := d.becomes("below", "cancelled"); e.ID != below.ID {
		t.Errorf("pending %+v, cancelled %+v", below, e)
	}
	next := d.becomes("below", "pending")
	if next.ID == below.ID || !next.Threshold.Equal(spend.MustMoney("0.8")) {
		t.Errorf("after %+v there is %+v", below, next)
	}
	s.setHook(receiver.Accept)
	if got := s.accepted("below"); got.ID != next.ID || !got.Body.Breaches[0].Threshold.Equal(spend.MustMoney("0.8")) {
		t.Errorf("the hook was told %+v, pending was %+v", got, next)
	}
	if all, _ := s.hook.Of("above"); len(all) > 0 {
		t.Errorf("the hook was told of a limit that is not reached: %+v", all)
	}
	s.over("above", 1)
	from := time.Now()
	s.company.spends("above", "0.75")
	second := s.accepted("above")
	t.Logf("the bill passes the raised limit: breach to hook %.1f s", second.At.Sub(from).Seconds())
	d.becomes("above", "delivered")

	// Delivered, raised and passed again: another id.
	s.limit("above", "0.8")
	s.over("above", 2)
	from = time.Now()
	s.company.spends("above", "0.85")
	third := s.acceptedTimes("above", 2)[1]
	t.Logf("raised after a delivery, and passed: breach to hook %.1f s", third.At.Sub(from).Seconds())
	s.wantIDs("above", second.ID, third.ID)
	s.wantIDs("below", next.ID)
	for _, id := range []string{above.ID, below.ID} {
		d.is(id, "cancelled")
		if id == second.ID || id == third.ID {
			t.Errorf("a taken back id was used again: %s", id)
		}
	}
	s.prom.checkRules()
	s.checkDelivery()
}

// TestHookRollover: the hook is away when the month ends. What was pending is taken
// back and never sent in the new month, nor after a replay of its alert; a breach of
// the new month is.
func TestHookRollover(t *testing.T) {
	t.Parallel()
	now := time.Now()
	end := (spend.DayOf(now).MonthStart() + 31).MonthStart().Time()
	clock := newOffsetClock(t, end.Sub(now)-10*time.Minute)
	s := newStack(t, stackOptions{clock: &clock, caps: []capLimits{{scope: "model", model: "model", soft: "0", hard: "0.5"}}})
	d := s.daemons[0]
	s.setHook(receiver.Refuse)
	s.company.spends("model", "0.6")
	old := d.becomes("model", "pending")
	eventually(t, time.Minute, "an attempt is refused", func() bool { return d.becomes("model", "pending").Attempts > 0 })
	s.told("model", http.StatusOK)
	genuine := s.replicas[0].tap.calls("model", http.StatusOK)[0].Raw

	clock.set(t, end.Sub(now)+time.Minute)
	s.setHook(receiver.Accept)
	if e := d.becomes("model", "cancelled"); e.ID != old.ID || !containsAll(e.Reason, "the period ended") {
		t.Errorf("pending %+v, cancelled %+v", old, e)
	}
	d.wantAnswer(hookToken, genuine, http.StatusOK, `"decision":"rejected"`)
	s.over("model", 1)
	from := time.Now()
	s.company.spendsOn(s.company.began+1, "model", "0.7")
	got := s.accepted("model")
	t.Logf("a breach of the new month: breach to hook %.1f s", got.At.Sub(from).Seconds())
	if start := spend.DayOf(end).String(); got.ID == old.ID || got.Body.Breaches[0].PeriodStart != start {
		t.Errorf("the hook was told %+v, want the month from %s by another id than %s", got, start, old.ID)
	}
	s.wantIDs("model", got.ID)
	d.is(old.ID, "cancelled")
	s.checkDelivery()
}

// TestHookLaggingReplica: of two daemons with ledgers of their own one asks its
// provider once an hour, and then the provider keeps it waiting. It must not call a
// breach none, and both tell the hook by one id.
func TestHookLaggingReplica(t *testing.T) {
	t.Parallel()
	s := newStack(t, stackOptions{daemons: 2, slow: "1h", caps: []capLimits{
		{scope: "hourly", model: "hourly", soft: "0", hard: "0.5"},
		{scope: "waiting", model: "waiting", soft: "0", hard: "0.5"},
	}})
	lagging, tap := s.daemons[1], s.replicas[1].tap

	from := time.Now()
	s.company.spends("hourly", "0.6")
	both := s.acceptedTimes("hourly", 2) // the alert has it pulled
	t.Logf("breach to hook: %.1f s by one replica, %.1f s by both",
		both[0].At.Sub(from).Seconds(), both[1].At.Sub(from).Seconds())

	s.replicas[1].provider.shutGate()
	from = time.Now()
	s.company.spends("waiting", "0.6")
	s.accepted("waiting")
	eventually(t, time.Minute, "the lagging one has asked for time twice", func() bool {
		return len(tap.calls("waiting", http.StatusServiceUnavailable)) > 1
	})
	if all := lagging.events("waiting"); len(all) > 0 {
		t.Errorf("a daemon without newer data than the alert has recorded %+v", all)
	}
	s.replicas[1].provider.openGate()
	both = s.acceptedTimes("waiting", 2)
	t.Logf("breach to hook: %.1f s by one replica, %.1f s by the one that the provider kept waiting",
		both[0].At.Sub(from).Seconds(), both[1].At.Sub(from).Seconds())

	for _, scope := range []string{"hourly", "waiting"} {
		mine, others := s.daemons[0].becomes(scope, "delivered"), lagging.becomes(scope, "delivered")
		if mine.ID != others.ID {
			t.Errorf("%s has the ids %s and %s", scope, mine.ID, others.ID)
		}
		s.wantIDs(scope, mine.ID)
		if len(tap.calls(scope, http.StatusServiceUnavailable)) == 0 {
			t.Errorf("the lagging daemon knew of %s at once: the test shows nothing", scope)
		}
	}
	s.prom.value(`count(aispend_hook_deliveries_total{outcome="ok"} == 2) == 2`)
	s.prom.value(`sum(aispend_hook_deliveries_total{outcome=~"rejected|cancelled|dead"}) == 0`)
	s.prom.checkRules()
	s.checkDelivery()
}
