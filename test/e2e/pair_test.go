package e2e_test

import (
	"net/http"
	"testing"
	"time"
)

// TestPair: two daemons with ledgers of their own behind one Prometheus tell of one
// cap once, also while one of them is dead. Alertmanager has the shipped file.
func TestPair(t *testing.T) {
	t.Parallel()
	s := newStack(t, stackOptions{daemons: 2, shipped: true})
	s.company.spends(runawayModel, "250.005")
	s.daemons[1].knows(s.company.month())
	s.wantDelivered(s.reach(hardAlert, "hard"), "hard")
	s.wantHook()
	fired := time.Now()
	s.daemons[0].kill()
	s.prom.value(`count(up{job="aispend"} == 0)`)
	time.Sleep(groupFlush)
	s.prom.firedWithoutGap(hardAlert, fired)
	s.wantTold("hard", 1)
	s.wantTold("soft", 0) // it was inhibited before its group_wait was over
	if n := len(s.replicas[0].tap.calls("openai", http.StatusOK)); n != 1 {
		t.Errorf("Alertmanager told the daemon %d times, want once", n)
	}
	if n := len(s.hook.All()); n != 1 {
		t.Errorf("the hook was called %d times, want once", n)
	}
	s.prom.checkRules()
	s.checkDelivery()
}
