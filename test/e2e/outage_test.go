package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// groupFlush is longer than the group_interval of the caps: within it Alertmanager
// looks at every group once and would tell of anything new.
const groupFlush = 65 * time.Second

// wantOutagesUnnoticed kills each program once while the hard cap fires, starts it
// again and requires that the alert never went away.
func (s *stack) wantOutagesUnnoticed() {
	s.t.Helper()
	since, ok := s.am.alert("AISpendCapReached", "hard")
	if !ok {
		s.t.Fatal("the hard cap is not in Alertmanager")
	}
	fired := time.Now()

	s.daemons[0].kill()
	s.prom.value(`up{job="aispend"} == 0`)
	s.prom.value("absent(aispend_cap_spend_usd)") // its series have ended
	s.prom.firing(hardAlert)
	s.daemons[0].start()
	s.prom.value(`up{job="aispend"} == 1`)
	s.daemons[0].knows(s.company.month())

	s.prom.kill()
	s.prom.start()
	s.prom.firing(hardAlert)
	s.prom.value(`aispend_cap_spend_usd{scope="openai"}`)
	if a, ok := s.am.alert("AISpendCapReached", "hard"); !ok || !a.StartsAt.Equal(since.StartsAt) {
		s.t.Errorf("the alert in Alertmanager is another one: there %v, started %s, before %s", ok, a.StartsAt, since.StartsAt)
	}

	s.am.kill()
	s.am.start()
	eventually(s.t, time.Minute, "Alertmanager has the hard cap again", func() bool {
		_, ok := s.am.alert("AISpendCapReached", "hard")
		return ok
	})
	eventually(s.t, time.Minute, "people are told again", func() bool { return len(s.slackAbout(reached("hard"))) == 2 })
	time.Sleep(groupFlush)
	s.prom.firedWithoutGap(hardAlert, fired)
	s.prom.firedWithoutGap("AISpendWatchdog", fired)
	s.wantInhibited()
}

// firedWithoutGap requires that an alert was firing at every second since a time.
// The end of an alert leaves a mark in the series ALERTS that ends it there; the
// death of Prometheus does not.
func (p *prometheus) firedWithoutGap(key string, since time.Time) {
	p.t.Helper()
	name, level := key, ""
	if key == hardAlert {
		name, level = "AISpendCapReached", "hard"
	}
	expr := fmt.Sprintf("count(ALERTS{alertname=%q,level=%q,alertstate=\"firing\"})", name, level)
	from, until := since.Unix()+1, time.Now().Unix()-1
	query := url.Values{"query": {expr}, "step": {"1"}, "start": {fmt.Sprint(from)}, "end": {fmt.Sprint(until)}}
	var reply struct {
		Data struct {
			Result []struct {
				Values [][2]any `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := getJSON(p.t, p.url+"/api/v1/query_range?"+query.Encode(), &reply); err != nil {
		p.t.Fatal(err)
	}
	fired := map[int64]bool{}
	for _, series := range reply.Data.Result {
		for _, v := range series.Values {
			at, _ := v[0].(float64)
			fired[int64(at)] = true
		}
	}
	var silent []int64
	for at := from; at <= until; at++ {
		if !fired[at] {
			silent = append(silent, at-from)
		}
	}
	if len(silent) > 0 {
		p.t.Errorf("%s was silent in seconds %v of %d", key, silent, until-from+1)
	}
}

// TestLongOutage: Prometheus is gone for longer than Alertmanager waits. People are
// told that the alert is resolved or no longer evaluated, and as soon as Prometheus
// is back they are told again that the cap is reached.
func TestLongOutage(t *testing.T) {
	t.Parallel()
	s := newStack(t, stackOptions{resend: 2 * time.Second})
	s.company.spends(runawayModel, "230.5")
	s.wantDelivered(s.reach(hardAlert, "hard"), "hard")

	s.prom.kill()
	eventually(t, 3*time.Minute, "people are told that nobody evaluates it", func() bool {
		return len(s.slackAbout("resolved or no longer evaluated", "hard cap")) == 1 &&
			len(s.mailAbout("resolved or no longer evaluated", "hard cap")) == 1
	})
	s.prom.start()
	s.prom.firing(hardAlert)
	eventually(t, 2*time.Minute, "people are told again", func() bool {
		return len(s.slackAbout(reached("hard"))) == 3 && len(s.mailAbout(reached("hard"))) == 3 // with the resolved one
	})
	s.wantHook()
	eventually(t, time.Minute, "Alertmanager tells the daemon again", func() bool {
		return len(s.replicas[0].tap.calls("openai", http.StatusOK)) == 2
	})
	if n := len(s.hook.All()); n != 1 {
		t.Errorf("the hook was called %d times, want once", n)
	}
	s.prom.checkRules()
	s.checkDelivery()
}
