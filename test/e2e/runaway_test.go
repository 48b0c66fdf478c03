package e2e_test

import (
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
	"github.com/aispend/aispend/test/e2e/receiver"
)

const (
	softAlert = "AISpendCapReached/openai/month/soft"
	hardAlert = "AISpendCapReached/openai/month/hard"
)

// TestRunaway is the story of an incident: a model passes the soft cap, then the
// hard cap. People are told once each, in figures that agree with the ledger to the
// cent; then everything is killed once, and nobody is told that it is over.
func TestRunaway(t *testing.T) {
	t.Parallel()
	s := newStack(t, stackOptions{})
	if got := s.prom.keys("firing"); !slices.Equal(got, []string{"AISpendWatchdog"}) {
		t.Fatalf("firing before anything happened: %v", got)
	}
	s.wantTestAlert("hard")

	s.company.spends(runawayModel, "63.2417")
	soft := s.reach(softAlert, "soft")
	s.wantDelivered(soft, "soft")
	if len(s.slackAbout(reached("hard"))) > 0 || len(s.replicas[0].tap.all()) > 0 {
		t.Errorf("a hard cap is told of at %s", s.company.month())
	}

	s.company.spends(runawayModel, "221.987654321")
	hard := s.reach(hardAlert, "hard")
	s.wantDelivered(hard, "hard")
	s.wantHook()
	if !s.slackAbout(reached("soft"))[0].At.Before(s.slackAbout(reached("hard"))[0].At) {
		t.Error("the soft cap was told of after the hard cap")
	}
	s.wantInhibited()
	s.wantOutagesUnnoticed()
	s.wantTold("soft", 1)
	// Twice: Alertmanager was killed and does not remember that it had told them.
	s.wantTold("hard", 2)
	if n := len(s.deadman.all()); n == 0 {
		t.Error("the watchdog never reached the dead man's switch")
	}
	s.prom.checkRules()
	s.checkDelivery()
}

// reached is what the title of a message says of a level.
func reached(level string) string { return level + " cap of the month reached" }

// wantTold requires how often people were told of a level, and that nobody was told
// that it is over.
func (s *stack) wantTold(level string, times int) {
	s.t.Helper()
	if n := len(s.slackAbout(reached(level))); n != times {
		s.t.Errorf("%d Slack messages of level %s, want %d", n, level, times)
	}
	if n := len(s.mailAbout(reached(level))); n != times {
		s.t.Errorf("%d mails of level %s, want %d", n, level, times)
	}
	if n := len(s.mailerAbout(reached(level))); n != times && !s.shipped {
		s.t.Errorf("%d calls of ALERT_EMAIL_WEBHOOK of level %s, want %d", n, level, times)
	}
	if n := len(s.slackAbout("resolved")) + len(s.mailAbout("resolved")) + len(s.mailerAbout("resolved")); n != 0 {
		s.t.Errorf("%d messages say that something is resolved", n)
	}
}

// wantTestAlert asks for a test alert and requires that it reaches people, says
// that it is a test, and reaches no hook.
func (s *stack) wantTestAlert(level string) {
	s.t.Helper()
	status, body := s.daemons[0].post("/test/alert?level=" + level)
	if status != http.StatusOK || !strings.Contains(body, `"accepted":true`) {
		s.t.Fatalf("POST /test/alert: %d %s", status, body)
	}
	title := "TEST: " + level + " cap reached"
	eventually(s.t, time.Minute, "the test alert arrives", func() bool {
		return len(s.slackAbout(title)) == 1 && len(s.mailAbout("[aispend test", title)) == 1
	})
	if text := s.slackAbout(title)[0].words(); !strings.Contains(text, "This is a test") {
		s.t.Errorf("the test alert does not say that it is a test:\n%s", text)
	}
}

// reach waits until the ledger knows what the company spent and the rules fire, and
// returns the cap as GET /caps tells it.
func (s *stack) reach(alert, level string) capReply {
	s.t.Helper()
	d, want := s.daemons[0], s.company.month()
	d.knows(want)
	s.prom.firing(alert)
	c := d.cap("openai")
	today := spend.DayOf(s.company.Now())
	if got := d.spent(simulator.OpenAI, spend.Window{From: today.MonthStart(), To: today + 1}); !got.Equal(want) {
		s.t.Errorf("/spend says %s, the provider's bill is %s", got, want)
	}
	if !c.Spend.Equal(want) || c.Reached != level {
		s.t.Errorf("/caps says %s, level %q; the provider's bill is %s, level %q", c.Spend, c.Reached, want, level)
	}
	if got := s.prom.value(`max(aispend_cap_spend_usd{scope="openai"})`); math.Abs(got-want.Float64()) > 1e-9 {
		s.t.Errorf("Prometheus has %v, the provider's bill is %s", got, want)
	}
	return c
}

// wantDelivered waits for Slack and mail and reads them as a person would.
func (s *stack) wantDelivered(c capReply, level string) {
	s.t.Helper()
	eventually(s.t, 90*time.Second, level+" is told of in Slack and by mail", func() bool {
		return len(s.slackAbout(reached(level))) > 0 && len(s.mailAbout(reached(level))) > 0 &&
			(s.shipped || len(s.mailerAbout(reached(level))) > 0)
	})
	limit, percent := c.Limits.Soft, c.Percent.Soft
	if level == "hard" {
		limit, percent = c.Limits.Hard, c.Percent.Hard
	}
	whole, tenth, _ := strings.Cut(percent.String(), ".")
	title := "openai: " + reached(level) + ", " + cents(c.Spend.Money) + " USD of " + cents(limit.Money) +
		" USD (" + whole + "." + (tenth + "0")[:1] + "%)"
	want := []string{
		runawayModel, "docs/runbooks/AISpendCapReached.md", "https://grafana.example.com/d/aispend-caps",
		cents(c.Limits.Soft.Money) + " USD", cents(c.Limits.Hard.Money) + " USD",
	}
	for _, m := range c.TopModels {
		want = append(want, m.Model+" "+cents(m.Spend)+" USD")
	}
	message, mail := s.slackAbout(reached(level))[0], s.mailAbout(reached(level))[0]
	titles := []string{message.title(), mail.Subject}
	texts := map[string]string{
		"Slack message": message.words(), "mail's text": mail.Subject + "\n" + mail.Text,
		"mail's HTML": mail.Subject + "\n" + mail.HTML,
	}
	if !s.shipped {
		call := s.mailerAbout(reached(level))[0]
		titles = append(titles, call.Subject)
		texts["text of the email webhook"] = call.Subject + "\n" + call.Text
		texts["HTML of the email webhook"] = call.Subject + "\n" + call.HTML
	}
	if slices.ContainsFunc(titles, func(s string) bool { return !strings.HasSuffix(s, title) }) {
		s.t.Errorf("the titles are\n%s\nwant\n%s", strings.Join(titles, "\n"), title)
	}
	for what, text := range texts {
		for _, w := range want {
			if !strings.Contains(text, w) {
				s.t.Errorf("the %s of level %s does not say %q:\n%s", what, level, w, text)
			}
		}
		if !namesMinute(text, c.DataThrough) {
			s.t.Errorf("the %s of level %s does not say that the data reaches to %s:\n%s", what, level, c.DataThrough, text)
		}
	}
}

// namesMinute reports whether a text names a time, give or take the minute in which
// people are told.
func namesMinute(text string, at time.Time) bool {
	for off := -time.Minute; off <= time.Minute; off += time.Minute {
		if strings.Contains(text, at.Add(off).UTC().Format("2 Jan 2006 15:04")+" UTC") {
			return true
		}
	}
	return false
}

// wantHook waits until the user's hook was called and requires that Alertmanager
// called the daemon with the right token and of nothing but the hard cap of openai,
// and that the hook was told of one breach by one id.
func (s *stack) wantHook() {
	s.t.Helper()
	eventually(s.t, time.Minute, "the hook is called", func() bool {
		_, accepted := s.hook.Of("openai")
		return len(accepted) > 0
	})
	for _, call := range s.replicas[0].tap.snapshot() {
		if got := call.Header.Get("Authorization"); got != "Bearer "+hookToken {
			s.t.Errorf("the daemon was called with authorization %q", got)
		}
		for _, a := range call.Alerts {
			if a.Status != "firing" || a.Labels["level"] != "hard" || a.Labels["scope"] != "openai" ||
				a.Labels["period"] != "month" || a.Labels["test"] != "" {
				s.t.Errorf("the daemon was called with %v", a)
			}
		}
	}
	if ids := receiver.IDs(s.hook.All()); len(ids) != 1 {
		s.t.Errorf("the hook was told of %v, want one id", ids)
	}
}

// wantInhibited requires that the soft cap still fires and says nothing any more.
func (s *stack) wantInhibited() {
	s.t.Helper()
	s.prom.firing(softAlert)
	eventually(s.t, time.Minute, "hard inhibits soft", func() bool {
		a, ok := s.am.alert("AISpendCapReached", "soft")
		return ok && len(a.Status.InhibitedBy) == 1
	})
}
