package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestLatency measures how long it takes from a page that shows a breach to the
// people, with the shipped rules, 15 s for scrape and evaluation and the shipped
// group timings. The daemon asks each second, so that what is measured is the way
// of the alert and not the wait for the next pull. AISPEND_E2E_LATENCY is the number
// of rounds; each takes about a minute, so make test leaves this out.
func TestLatency(t *testing.T) {
	rounds, _ := strconv.Atoi(os.Getenv("AISPEND_E2E_LATENCY"))
	if rounds == 0 {
		t.Skip("make bench-alerts measures")
	}
	opt := stackOptions{interval: 15 * time.Second, direct: true}
	for i := range rounds {
		opt.caps = append(opt.caps,
			capLimits{scope: fmt.Sprintf("hard%d", i), model: fmt.Sprintf("hard-%d", i), soft: "0", hard: "0.5"},
			capLimits{scope: fmt.Sprintf("soft%d", i), model: fmt.Sprintf("soft-%d", i), soft: "0.5", hard: "0"},
		)
	}
	s := newStack(t, opt)
	times := map[string][]time.Duration{}
	for i := range rounds {
		// Rounds begin at random moments of the fifteen seconds.
		time.Sleep(time.Duration(rand.Int64N(int64(opt.interval))))
		from := time.Now()
		s.company.spends(fmt.Sprintf("hard-%d", i), "0.6")
		s.company.spends(fmt.Sprintf("soft-%d", i), "0.6")
		for _, level := range []string{"hard", "soft"} {
			title := fmt.Sprintf("%s%d: %s", level, i, reached(level))
			eventually(t, 3*time.Minute, title, func() bool {
				return len(s.slackAbout(title)) > 0 && len(s.mailAbout(title)) > 0
			})
			times[level+" Slack"] = append(times[level+" Slack"], s.slackAbout(title)[0].At.Sub(from))
			times[level+" mail"] = append(times[level+" mail"], s.mailAbout(title)[0].At.Sub(from))
		}
		scope := fmt.Sprintf("hard%d", i)
		eventually(t, 3*time.Minute, scope+" reaches the hook", func() bool {
			_, accepted := s.hook.Of(scope)
			return len(accepted) > 0
		})
		_, accepted := s.hook.Of(scope)
		times["hard hook"] = append(times["hard hook"], accepted[0].At.Sub(from))
	}
	for what, all := range times {
		slices.Sort(all)
		t.Logf("%-10s min %5.1f s, median %5.1f s, max %5.1f s over %d rounds",
			what, all[0].Seconds(), all[len(all)/2].Seconds(), all[len(all)-1].Seconds(), len(all))
	}
	s.checkDelivery()
}
