package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
	"github.com/aispend/aispend/test/e2e/receiver"
)

// event is an item of GET /hard-cap/deliveries.
type event struct {
	ID        string    `json:"id"`
	Scope     string    `json:"scope"`
	Threshold amount    `json:"threshold_usd"`
	State     string    `json:"state"`
	Reason    string    `json:"reason"`
	Test      bool      `json:"test"`
	Attempts  int       `json:"attempts"`
	LastError string    `json:"last_error"`
	Recorded  time.Time `json:"recorded_at"`
}

// events returns the outbox, the newest first; none while the daemon is away.
func (d *daemon) events(scope string) []event {
	d.t.Helper()
	var reply struct {
		Items []event `json:"items"`
	}
	if err := getJSON(d.t, d.url+"/hard-cap/deliveries?limit=1000", &reply); err != nil {
		return nil
	}
	return slices.DeleteFunc(reply.Items, func(e event) bool { return scope != "" && e.Scope != scope })
}

// becomes waits until an event of a scope is in a state, and returns it.
func (d *daemon) becomes(scope, state string) event {
	d.t.Helper()
	var found event
	eventually(d.t, 2*time.Minute, "the event of "+scope+" is "+state, func() bool {
		for _, e := range d.events(scope) {
			if e.State == state {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// is requires that an event is in a state now.
func (d *daemon) is(id, state string) {
	d.t.Helper()
	all := d.events("")
	i := slices.IndexFunc(all, func(e event) bool { return e.ID == id })
	if i < 0 || all[i].State != state {
		d.t.Errorf("event %s should be %s: %+v", id, state, all)
	}
}

// reached waits until the ledger sees a hard cap reached, or not.
func (d *daemon) reached(scope string, want bool) {
	d.t.Helper()
	eventually(d.t, time.Minute, fmt.Sprintf("the hard cap of %s is reached: %v", scope, want), func() bool {
		return (d.cap(scope).Reached == "hard") == want
	})
}

// accepted waits until the hook took a delivery of a scope, and returns the first.
func (s *stack) accepted(scope string) receiver.Delivery {
	s.t.Helper()
	return s.acceptedTimes(scope, 1)[0]
}

func (s *stack) acceptedTimes(scope string, n int) []receiver.Delivery {
	s.t.Helper()
	var list []receiver.Delivery
	eventually(s.t, 3*time.Minute, fmt.Sprintf("the hook took %d deliveries of %s", n, scope), func() bool {
		_, list = s.hook.Of(scope)
		return len(list) >= n
	})
	return list
}

func (s *stack) setHook(m receiver.Mode) {
	s.t.Helper()
	if err := s.hook.Set(m); err != nil {
		s.t.Fatal(err)
	}
}

// wantIDs requires which ids the hook was ever told of a scope.
func (s *stack) wantIDs(scope string, want ...string) {
	s.t.Helper()
	all, _ := s.hook.Of(scope)
	if got := receiver.IDs(all); !slices.Equal(got, want) {
		s.t.Errorf("the hook was told of %s by ids %v, want %v", scope, got, want)
	}
}

// TestHookBreach: the page shows a breach, and the hook is told in figures that agree
// with the bill. Alertmanager calls the daemon itself, as it does in life.
func TestHookBreach(t *testing.T) {
	t.Parallel()
	s := newStack(t, stackOptions{direct: true})
	from := time.Now()
	s.company.spends(runawayModel, "221.987654321")
	got := s.accepted("openai")
	t.Logf("breach to hook: %.1f s", got.At.Sub(from).Seconds())

	d, bill := s.daemons[0], s.company.month()
	today := spend.DayOf(s.company.Now())
	month := spend.Window{From: today.MonthStart(), To: today + 1}
	anthropic := s.company.Total(simulator.Anthropic, month, s.company.Now())
	b := got.Body.Breaches[0]
	if b.Period != "month" || b.PeriodStart != month.From.String() || !b.Total.Equal(bill) ||
		!b.Threshold.Equal(d.cap("openai").Limits.Hard.Money) || b.TriggeredAt.Before(from.Add(-time.Second)) {
		t.Errorf("the delivery says %+v; the bill is %s, the cap %+v", b, bill, d.cap("openai"))
	}
	for scope, want := range map[string]spend.Money{
		"openai": bill, "anthropic": anthropic, "global": bill.Add(anthropic),
	} {
		if total, ok := got.Body.Totals[scope]; !ok || !total.Equal(want) {
			t.Errorf("the delivery says that %s cost %s, the bill is %s", scope, total, want)
		}
	}
	if e := d.becomes("openai", "delivered"); e.ID != got.ID || e.Attempts != 1 {
		t.Errorf("the outbox has %+v, the hook was told of %s", e, got.ID)
	}
	s.prom.value(`aispend_hard_cap_delivered{scope="openai"} == 1`)
	s.prom.value(`aispend_hard_cap_delivered{scope="global"} == 0`)
	s.prom.value(`aispend_hook_deliveries_total{outcome="ok"} == 1`)
	s.prom.value(`aispend_hook_pending == 0`)
	s.wantHook()
	s.prom.checkRules()
	s.checkDelivery()
}

// TestHookDown: the hook is away, then it fails, then it is well; the attempts follow
// the real schedule. Meanwhile people are told that nobody was stopped. The rules wait
// a fraction of what they wait in life.
func TestHookDown(t *testing.T) {
	t.Parallel()
	s := newStack(t, stackOptions{failing: 8 * time.Second, shortFor: 60})
	d := s.daemons[0]
	s.setHook(receiver.Refuse)
	from := time.Now()
	s.company.spends(runawayModel, "205")
	first := d.becomes("openai", "pending")
	eventually(t, time.Minute, "two attempts were refused", func() bool {
		e := d.becomes("openai", "pending")
		return e.Attempts == 2 && e.LastError == "no connection: connection refused"
	})
	s.setHook(receiver.Fail)
	s.prom.value("aispend_hook_pending == 1")
	since := s.prom.value("aispend_hook_oldest_pending_timestamp_seconds")
	if at := time.Unix(int64(since), 0); at.Sub(first.Recorded).Abs() > 2*time.Second {
		t.Errorf("the oldest waits since %s; it was recorded at %s", at, first.Recorded)
	}
	s.prom.value(`aispend_hard_cap_delivered{scope="openai"} == 0`)
	s.prom.firing("AISpendHookFailing")
	s.prom.firing("AISpendHardCapNotActioned/openai/month")
	eventually(t, time.Minute, "an attempt was answered 500", func() bool {
		return d.becomes("openai", "pending").LastError == "the hook answered 500 Internal Server Error"
	})
	s.setHook(receiver.Accept)
	got := s.accepted("openai")
	if e := d.becomes("openai", "delivered"); e.ID != first.ID || e.Attempts < 4 {
		t.Errorf("delivered %+v, recorded %+v", e, first)
	}
	t.Logf("breach to hook: %.1f s, of which the hook was away or failed for about 30 s", got.At.Sub(from).Seconds())
	s.wantIDs("openai", first.ID)
	eventually(t, 2*time.Minute, "nothing complains any more", func() bool {
		return !slices.ContainsFunc(s.prom.keys("firing"), func(key string) bool {
			return key == "AISpendHookFailing" || key == "AISpendHardCapNotActioned/openai/month"
		})
	})
	s.prom.value("aispend_hook_pending == 0")
	s.prom.value("aispend_hook_oldest_pending_timestamp_seconds == 0")
	s.prom.checkRules()
	s.checkDelivery()
}

// TestHookDownForMinutes: as TestHookDown, with the rule as it is shipped: the hook is
// away until AISpendHookFailing fires after five minutes.
func TestHookDownForMinutes(t *testing.T) {
	if !long() {
		t.Skip("AISPEND_E2E_LONG=1 lets it run for some twelve minutes")
	}
	t.Parallel()
	s := newStack(t, stackOptions{})
	s.setHook(receiver.Refuse)
	from := time.Now()
	s.company.spends(runawayModel, "205")
	first := s.daemons[0].becomes("openai", "pending")
	eventually(t, 8*time.Minute, "AISpendHookFailing fires", func() bool {
		return slices.Contains(s.prom.keys("firing"), "AISpendHookFailing")
	})
	if waited := time.Since(first.Recorded); waited < 5*time.Minute {
		t.Errorf("AISpendHookFailing fires after %s", waited)
	}
	s.setHook(receiver.Accept)
	eventually(t, 12*time.Minute, "the hook takes it", func() bool {
		_, accepted := s.hook.Of("openai")
		return len(accepted) > 0
	})
	s.daemons[0].becomes("openai", "delivered")
	t.Logf("breach to hook: %.1f s", s.accepted("openai").At.Sub(from).Seconds())
	s.wantIDs("openai", first.ID)
	s.checkDelivery()
}

// tell posts a payload to a daemon as Alertmanager does.
func (d *daemon) tell(token string, payload []byte) (int, string) {
	d.t.Helper()
	status, body, err := post(d.t, d.url+"/webhook/hard-cap", token, payload)
	if err != nil {
		d.t.Fatal(err)
	}
	return status, string(body)
}

// wantAnswer posts a payload and requires status and a part of the answer.
func (d *daemon) wantAnswer(token string, payload []byte, status int, part string) {
	d.t.Helper()
	if got, body := d.tell(token, payload); got != status || !containsAll(body, part) {
		d.t.Errorf("the daemon answers %d %s, want %d with %s", got, body, status, part)
	}
}

// quietly is how the tests of what never happens end: a breach that must be told of is
// told of, after which everything that could have been sent before has been.
func (s *stack) quietly(scope string) {
	s.t.Helper()
	s.company.spends(scope, "0.6")
	s.accepted(scope)
	s.daemons[0].becomes(scope, "delivered")
}

// TestHookStaysSilent: what must not reach the hook does not. The bill falls below the
// limit while the hook is away; resolved, test, forged and replayed alerts arrive.
func TestHookStaysSilent(t *testing.T) {
	t.Parallel()
	var more []capLimits
	for _, scope := range []string{"falls", "taken", "later", "low", "witness"} {
		more = append(more, capLimits{scope: scope, model: scope, soft: "0", hard: "0.5"})
	}
	s := newStack(t, stackOptions{caps: more})
	d := s.daemons[0]

	// A clean end: the bill is corrected before the hook is back.
	s.setHook(receiver.Refuse)
	s.company.spends("falls", "0.6")
	fallen := d.becomes("falls", "pending")
	s.prom.firing("AISpendCapReached/falls/month/hard")
	s.company.spends("falls", "0.4")
	if e := d.becomes("falls", "cancelled"); e.ID != fallen.ID || !containsAll(e.Reason, "no longer breached") {
		t.Errorf("pending %+v, cancelled %+v", fallen, e)
	}
	s.setHook(receiver.Accept)

	// A test alert reaches people (TestRunaway) and no hook.
	if status, body := d.post("/test/alert?level=hard"); status != http.StatusOK || !containsAll(body, `"accepted":true`) {
		t.Fatalf("POST /test/alert: %d %s", status, body)
	}

	// A delivery that was taken, then the end of its alert.
	s.company.spends("taken", "0.6")
	taken := s.accepted("taken")
	d.becomes("taken", "delivered")
	var calls []hookCall
	eventually(t, time.Minute, "the daemon has answered 200", func() bool {
		calls = s.replicas[0].tap.calls("taken", http.StatusOK)
		return len(calls) > 0
	})
	genuine := calls[0].Raw
	d.wantAnswer(hookToken, genuine, http.StatusOK, `"decision":"known"`) // replayed
	s.company.spends("taken", "0.4")
	d.reached("taken", false)
	d.wantAnswer(hookToken, genuine, http.StatusOK, `"decision":"rejected"`) // and again
	eventually(t, 2*time.Minute, "people are told that both are over", func() bool {
		return len(s.slackAbout("resolved", "taken")) > 0 && len(s.slackAbout("resolved", "falls")) > 0 &&
			len(s.slackAbout("TEST: hard cap reached")) > 0
	})
	d.is(taken.ID, "delivered")

	s.wantForgeriesInert(genuine)
	s.quietly("witness")
	for scope, deliveries := range map[string]int{"falls": 0, "taken": 1, "low": 0, "test": 0, "nobody": 0, "later": 1} {
		if all, _ := s.hook.Of(scope); len(all) != deliveries {
			t.Errorf("the hook was told of %s %d times, want %d: %+v", scope, len(all), deliveries, all)
		}
	}
	for _, call := range s.replicas[0].tap.snapshot() {
		for _, a := range call.Alerts {
			if call.Status != "firing" || a.Status != "firing" || a.Labels["test"] != "" {
				t.Errorf("Alertmanager told the daemon of %v", a)
			}
		}
	}
	s.prom.checkRules()
	s.checkDelivery()
}

// wantForgeriesInert posts what only somebody else would, while Prometheus is away.
// Of one cap the ledger does see a breach that nobody has told of yet: there only the
// rules about alerts can stop a delivery, and in the end the genuine alert brings one.
func (s *stack) wantForgeriesInert(genuine []byte) {
	s.t.Helper()
	d := s.daemons[0]
	s.prom.kill()
	s.company.spends("later", "0.6")
	d.reached("later", true)
	of := func(scope string, edit ...string) []byte { return forged(s.t, genuine, "taken", scope, edit...) }
	for token, status := range map[string]int{
		"": http.StatusUnauthorized, "wrong": http.StatusUnauthorized, hookToken + "x": http.StatusUnauthorized,
		adminToken: http.StatusForbidden, // not this one, once there is an inbound token
	} {
		d.wantAnswer(token, of("later"), status, "")
	}
	d.wantAnswer(hookToken, of("low"), http.StatusOK, `"decision":"rejected"`)
	d.wantAnswer(hookToken, of("nobody"), http.StatusOK, `"decision":"rejected"`)
	d.wantAnswer(hookToken, of("later", "level", "soft"), http.StatusOK, `"ignored":1`)
	d.wantAnswer(hookToken, of("later", "status", "resolved"), http.StatusOK, `"ignored":1`)
	d.wantAnswer(hookToken, of("later", "test", "true"), http.StatusOK, `"decision":"test"`)
	for _, e := range d.events("later") {
		if !e.Test || e.State != "rejected" {
			s.t.Errorf("forgeries left %+v", e)
		}
	}
	d.kill() // what they left must stay inert after a start too
	d.start()
	if all, _ := s.hook.Of("later"); len(all) > 0 {
		s.t.Errorf("forgeries reached the hook: %+v", all)
	}
	s.prom.start()
	if got, e := s.accepted("later"), d.becomes("later", "delivered"); got.ID != e.ID {
		s.t.Errorf("the hook was told of %s, the outbox has %+v", got.ID, e)
	}
}
