package e2e_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/spend"
)

// TestMonthRollover: a hard cap is reached, the month ends, and the alert resolves
// by itself without any other alert. Daemon and providers live ten minutes before
// the end of this month; Prometheus keeps the real time, for which the period of the
// cap is not over either.
func TestMonthRollover(t *testing.T) {
	t.Parallel()
	now := time.Now()
	end := (spend.DayOf(now).MonthStart() + 31).MonthStart().Time()
	clock := newOffsetClock(t, end.Sub(now)-10*time.Minute)
	s := newStack(t, stackOptions{clock: &clock})
	s.company.spends(runawayModel, "205.1")
	s.wantDelivered(s.reach(hardAlert, "hard"), "hard")
	s.wantHook()
	before := s.daemons[0].cap("openai")

	clock.set(t, end.Sub(now)+time.Minute)
	eventually(t, time.Minute, "the alert is over", func() bool {
		got := s.prom.keys("firing")
		return len(got) == 1 && got[0] == "AISpendWatchdog"
	})
	after := s.daemons[0].cap("openai")
	if after.Reached != "" || after.Spend.Cmp(before.Spend.Money) >= 0 || !after.Spend.Equal(s.company.month()) {
		t.Errorf("after the rollover: %+v, the bill of the new month is %s", after, s.company.month())
	}
	eventually(t, 2*time.Minute, "people are told", func() bool {
		return len(s.slackAbout("resolved or no longer evaluated", "hard cap")) == 1 &&
			len(s.mailAbout("resolved or no longer evaluated", "hard cap")) == 1
	})
	for _, text := range []string{
		s.slackAbout("resolved")[0].words(), s.mailAbout("resolved")[0].Text, s.mailAbout("resolved")[0].HTML,
	} {
		if !strings.Contains(text, "no longer evaluate") || strings.Contains(text, "stop what spends") {
			t.Errorf("the end of the alert asks for something, or does not say that it may be no end:\n%s", text)
		}
	}
	// A forecast of the new month may be pending: it is for an hour. Yesterday's
	// "today" may be too much of a today until the bridge over missed scrapes ends.
	var others []string
	defer func() { t.Logf("firing or pending in the end: %v", others) }()
	eventually(t, 90*time.Second, "nothing else is firing or pending", func() bool {
		others = slices.DeleteFunc(append(s.prom.keys("firing"), s.prom.keys("pending")...), func(key string) bool {
			return key == "AISpendWatchdog" || strings.HasPrefix(key, "AISpendCapForecast/")
		})
		return len(others) == 0
	})
	s.wantHook() // and nothing but the firing alert reached it
	s.prom.checkRules()
	s.checkDelivery()
}
