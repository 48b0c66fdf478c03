package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/aispend/aispend/test/e2e/receiver"
)

// victims are the programs that are killed.
var victims = []struct {
	name string
	of   func(*stack) *process
}{
	{"daemon", func(s *stack) *process { return &s.daemons[0].process }},
	{"Alertmanager", func(s *stack) *process { return &s.am.process }},
	{"Prometheus", func(s *stack) *process { return &s.prom.process }},
}

// killStep stops the way of an alert between two of its steps, has the victim killed
// and started again there, and lets the alert go on.
type killStep struct {
	scope, title string
	run          func(s *stack, scope string, v *process)
}

var killSteps = []killStep{
	{"a-fires", "after the ledger knows, before the alert fires", (*stack).killBeforeAlert},
	{"b-webhook", "after the alert fires, before the daemon is told", (*stack).killBeforeWebhook},
	{"c-later", "after the daemon said 503", (*stack).killAfterLater},
	{"d-send", "after the commit, before the next attempt", (*stack).killBeforeSend},
	{"e-sending", "during the attempt", (*stack).killDuringSend},
	{"f-result", "after the attempt, before its result is stored", (*stack).killBeforeResult},
}

// TestHookKill kills each program with SIGKILL between any two steps of the way from
// a breach to the hook: the hook is told all the same, of one breach by one id.
func TestHookKill(t *testing.T) {
	t.Parallel()
	for _, victim := range victims {
		t.Run(victim.name, func(t *testing.T) {
			t.Parallel()
			var more []capLimits
			for _, step := range killSteps {
				more = append(more, capLimits{scope: step.scope, model: step.scope, soft: "0", hard: "0.5"})
			}
			s := newStack(t, stackOptions{caps: more, resend: 3 * time.Second})
			for _, step := range killSteps {
				from := time.Now()
				step.run(s, step.scope, victim.of(s))
				got := s.accepted(step.scope)
				t.Logf("%s killed %s: breach to hook %.1f s", victim.name, step.title, got.At.Sub(from).Seconds())
				e := s.daemons[0].becomes(step.scope, "delivered")
				s.wantIDs(step.scope, e.ID)
				if n := len(s.daemons[0].events(step.scope)); e.ID != got.ID || n != 1 {
					t.Errorf("%d events of %s, of which %s is delivered; the hook was told of %s", n, step.scope, e.ID, got.ID)
				}
			}
			if id, other := s.daemons[0].becomes(killSteps[0].scope, "delivered").ID, s.accepted(killSteps[1].scope).ID; id == other {
				t.Errorf("two caps have one id %s", id)
			}
			s.checkDelivery()
		})
	}
}

// reboot kills a program and starts it again.
func (p *process) reboot() {
	p.t.Helper()
	p.kill()
	p.start()
}

func (s *stack) breach(scope string) {
	s.t.Helper()
	s.company.spends(scope, "0.6")
}

// told waits until the daemon was told of a scope and answered so; 0: not yet.
func (s *stack) told(scope string, answer int) {
	s.t.Helper()
	eventually(s.t, time.Minute, scope+" is told of", func() bool {
		return len(s.replicas[0].tap.calls(scope, answer)) > 0
	})
}

func (s *stack) killBeforeAlert(scope string, v *process) {
	s.prom.kill()
	s.breach(scope)
	s.daemons[0].reached(scope, true)
	if v != &s.prom.process {
		v.reboot()
	}
	s.prom.start()
}

func (s *stack) killBeforeWebhook(scope string, v *process) {
	s.replicas[0].tap.shutGate()
	s.breach(scope)
	s.told(scope, 0)
	v.reboot()
	s.replicas[0].tap.openGate()
}

// killAfterLater: the alert is newer than the data, since the provider keeps the
// daemon waiting.
func (s *stack) killAfterLater(scope string, v *process) {
	s.prom.kill()
	s.breach(scope)
	s.daemons[0].reached(scope, true)
	s.replicas[0].provider.shutGate()
	s.prom.start()
	s.told(scope, http.StatusServiceUnavailable)
	v.reboot()
	if len(s.daemons[0].events(scope)) > 0 {
		s.t.Errorf("an event of %s is recorded before there is data newer than its alert", scope)
	}
	s.replicas[0].provider.openGate()
}

func (s *stack) killBeforeSend(scope string, v *process) {
	s.setHook(receiver.Refuse)
	s.breach(scope)
	d := s.daemons[0]
	eventually(s.t, time.Minute, "an attempt is refused", func() bool { return d.becomes(scope, "pending").Attempts > 0 })
	v.reboot()
	s.setHook(receiver.Accept)
}

func (s *stack) killDuringSend(scope string, v *process) {
	s.setHook(receiver.Hold)
	s.breach(scope)
	eventually(s.t, time.Minute, "an attempt is under way", func() bool {
		all, _ := s.hook.Of(scope)
		return len(all) > 0
	})
	s.daemons[0].becomes(scope, "pending")
	v.reboot()
	s.setHook(receiver.Accept)
}

func (s *stack) killBeforeResult(scope string, v *process) {
	s.setHook(receiver.AcceptLate)
	s.breach(scope)
	s.accepted(scope)
	s.daemons[0].becomes(scope, "pending")
	v.reboot()
	s.setHook(receiver.Accept)
	if v == &s.daemons[0].process {
		s.acceptedTimes(scope, 2) // what it does not know it has sent, it sends again
	}
}
