package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

// TestBadData: a provider answers 200 and no longer tells of today, another refuses
// the key. Both are told of, and no cap looks healthy. The rules wait a sixtieth of
// what they wait in life.
func TestBadData(t *testing.T) {
	t.Parallel()
	s := newStack(t, stackOptions{staleness: "1m", shortFor: 60})
	today := spend.DayOf(time.Now())
	for _, day := range []spend.Day{today, today + 1} {
		s.company.Inject(simulator.Fault{Source: "openai/costs", Do: simulator.MissingBucket(day)})
	}
	s.company.RotateKey(simulator.Anthropic, "sk-ant-another-key-of-the-e2e-tests")

	s.prom.firing("AISpendCredentialsRejected/anthropic/cost_report")
	s.prom.firing("AISpendDataStale/openai/costs") // max_staleness and ten seconds later
	s.prom.firing("AISpendCapIncomplete/openai/month")
	s.prom.firing("AISpendCapIncomplete/global/month")
	// The pulls of the stale source are fine all the while.
	s.prom.value(`aispend_source_up{source="openai/costs"} == 1`)
	s.prom.value(`increase(aispend_pulls_total{source="openai/costs",outcome="ok"}[10s]) > 2`)
	s.prom.value(`sum(aispend_pulls_total{source="openai/costs",outcome!="ok"}) == 0`)

	for _, story := range []struct{ title, more string }{
		{"refuses the key of account acme", "docs/runbooks/AISpendCredentialsRejected.md"},
		{"brought nothing new for", "docs/runbooks/AISpendDataStale.md"},
		{"judged on incomplete data", "docs/runbooks/AISpendCapIncomplete.md"},
	} {
		// Several alerts of one name are one message, whose title names what they have in common.
		said := func(text string) bool {
			return strings.Contains(text, story.title) && strings.Contains(text, story.more)
		}
		eventually(t, 2*time.Minute, "Slack and mail say: "+story.title, func() bool {
			slack, mail := false, false
			for _, m := range s.slack.all() {
				slack = slack || said(m.words())
			}
			for _, l := range s.mail.all() {
				mail = mail || said(l.Text) && said(l.HTML)
			}
			return slack && mail
		})
	}
	if told, sent := len(s.replicas[0].tap.all()), len(s.hook.All()); told+sent > 0 {
		t.Errorf("the daemon was told of hard caps %d times, the hook %d times", told, sent)
	}
	s.prom.checkRules()
	s.checkDelivery()
}
