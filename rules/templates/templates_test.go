package templates_test

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"golang.org/x/net/html"

	"github.com/aispend/aispend/rules/templates"
)

// messages are those that people get, by name.
func messages() map[string]message {
	test := reached("hard")
	test.Labels = map[string]string{
		"alertname": "AISpendTest", "level": "hard", "severity": "critical", "test": "true", "test_id": "20261123T120000.000Z", "scope": "test",
	}
	bare := alert{Status: "firing", Labels: map[string]string{"alertname": "AISpendWatchdog"}, StartsAt: test.StartsAt}
	var many []alert
	for i := range 25 {
		many = append(many, stale(fmt.Sprintf("openai/costs%d", i)))
	}
	return map[string]message{
		"hard": of(reached("hard")), "soft": of(reached("soft")), "hard resolved": of(ended(reached("hard"))),
		"test": of(test), "stale": of(stale("openai/costs"), stale("anthropic/cost_report")),
		"one of two resolved": of(stale("openai/costs"), ended(stale("anthropic/cost_report"))),
		"many":                of(many...), "bare": of(bare), "two bare": of(bare, ended(bare)),
	}
}

func TestEmbeddedFiles(t *testing.T) {
	names, err := fs.Glob(templates.FS, "*.tmpl")
	if err != nil || !slices.Equal(names, []string{"aispend.html.tmpl", "aispend.tmpl"}) {
		t.Errorf("%q, %v", names, err)
	}
}

func TestHardCapInSlack(t *testing.T) {
	m := of(reached("hard"))
	for template, want := range map[string]string{
		"aispend.slack.title":     "🔴 openai: hard cap of the month reached, 1027.41 USD of 1000.00 USD (102.7%)",
		"aispend.slack.fallback":  "[aispend critical] openai: hard cap of the month reached, 1027.41 USD of 1000.00 USD (102.7%)",
		"aispend.slack.color":     "#d92d20",
		"aispend.slack.dashboard": "https://grafana.example/d/caps?a=b&c=d",
		"aispend.slack.runbook":   "https://docs.example/AISpendCapReached.md",
		"aispend.slack.cap.text": "openai has cost 1027.41 USD since 1 Nov 2026 00:00 UTC (the month ends 1 Dec 2026 00:00 UTC).\n" +
			"*Hard limit:* 1000.00 USD, 102.7% spent.\n" +
			"*How sure:* at least this much, the truth may be more: stale (1).\n" +
			"*Next:* stop what spends.",
		"aispend.slack.cap.data":   "23 Nov 2026 13:58 UTC, 7m ago",
		"aispend.slack.cap.models": "gpt-5 612.20 USD, &lt;!channel&gt; &amp; co 301.03 USD",
		"aispend.slack.silence": "https://am.example/#/silences/new?filter=%7Balertname%3D%22AISpendCapReached%22%2C%20job%3D%22aispend%22" +
			"%2C%20level%3D%22hard%22%2C%20period%3D%22month%22%2C%20scope%3D%22openai%22%2C%20severity%3D%22critical%22%7D",
	} {
		if diff := cmp.Diff(want, render(t, m, template, "text")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", template, diff)
		}
	}
	for name, want := range map[string]string{"hard": "Firing since", "hard resolved": "Fired"} {
		if got := render(t, messages()[name], "aispend.slack.cap.since.title", "text"); got != want {
			t.Errorf("%s: the field is called %q, want %q", name, got, want)
		}
	}
	if got := render(t, m, "aispend.slack.cap.since", "text"); !regexp.MustCompile(`^\w{3} \d+ \w{3} 20\d\d, \d\d:\d\d UTC \(for 3h20m\)$`).MatchString(got) {
		t.Errorf("since %q", got)
	}
}

func TestTitles(t *testing.T) {
	for name, want := range map[string]string{
		"soft":                "[aispend] openai: soft cap of the month reached, 1027.41 USD of 1200.00 USD (85.6%)",
		"hard resolved":       "[aispend resolved] Resolved or no longer evaluated: openai: hard cap of the month reached, 1027.41 USD of 1000.00 USD (102.7%)",
		"test":                "[aispend test critical] openai: hard cap of the month reached, 1027.41 USD of 1000.00 USD (102.7%)",
		"stale":               "[aispend critical] 2 × AISpendDataStale, account acme",
		"one of two resolved": "[aispend critical] 2 × AISpendDataStale, account acme, 1 of them resolved or no longer evaluated",
		"bare":                "[aispend] AISpendWatchdog",
	} {
		if got := render(t, messages()[name], "aispend.subject", "text"); got != want {
			t.Errorf("%s:\ngot  %q\nwant %q", name, got, want)
		}
	}
}

func TestColours(t *testing.T) {
	for name, want := range map[string]string{
		"hard": "#d92d20 🔴", "soft": "#f79009 🟠", "hard resolved": "#067647 🟢", "test": "#175cd3 🔵", "bare": "#667085 ⚪",
		"one of two resolved": "#d92d20 🔴",
	} {
		m := messages()[name]
		if got := render(t, m, "aispend.slack.color", "text") + " " + render(t, m, "aispend.slack.icon", "text"); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// shown are the templates that end in a field of a message.
func shown() []string {
	return []string{
		"aispend.subject", "aispend.webhook.subject", "aispend.text", "aispend.slack.title", "aispend.slack.fallback", "aispend.slack.color",
		"aispend.slack.dashboard", "aispend.slack.runbook", "aispend.slack.silence", "aispend.slack.text",
		"aispend.slack.cap.text", "aispend.slack.cap.since", "aispend.slack.cap.data", "aispend.slack.cap.models",
	}
}

func TestNoFieldIsEverEmpty(t *testing.T) {
	for name, m := range messages() {
		for _, template := range shown() {
			if template == "aispend.slack.cap.text" && strings.Contains(name, "bare") {
				continue // an alert without annotations takes another route
			}
			got := render(t, m, template, "text")
			if strings.TrimSpace(got) == "" {
				t.Errorf("%s: %s is empty", name, template)
			}
			mustNotContain(t, got, "<no value>", "%!", "\n\n\n", "**", "ZgotmplZ")
			if template != "aispend.text" && got != strings.TrimSpace(got) {
				t.Errorf("%s: %s has white space around: %q", name, template, got)
			}
			if template == "aispend.subject" && strings.Contains(got, "\n") {
				t.Errorf("%s: the subject has several lines: %q", name, got)
			}
		}
	}
}

func TestGroupsInSlack(t *testing.T) {
	got := render(t, messages()["one of two resolved"], "aispend.slack.text", "text")
	mustContain(t, got, "*openai/costs of account acme brought nothing new for 7h*\nPulls may well succeed.\n",
		"*Pulls of the last two hours:* ok 8.\n*Next:* see /status.\n*Firing since:* ",
		"*Resolved or no longer evaluated: anthropic/cost_report of account acme", "*Fired:* ", "That switches nothing on again.")
	got = render(t, messages()["many"], "aispend.slack.text", "text")
	if n := strings.Count(got, "*Firing since:*"); n != 10 {
		t.Errorf("%d of 25 alerts shown", n)
	}
	mustNotContain(t, render(t, of(ended(stale("openai/costs"))), "aispend.slack.text", "text"), "Next:", "see /status")
	mustContain(t, got, "10 of 25 shown; <https://am.example/#/alerts?receiver=aispend-caps|see them all>.")
}

func TestPlainMail(t *testing.T) {
	got := render(t, of(reached("hard")), "aispend.text", "text")
	mustContain(t, got, "openai: hard cap of the month reached, 1027.41 USD of 1000.00 USD (102.7%)\n\nopenai has cost",
		"Top models: gpt-5 612.20 USD, <!channel> & co 301.03 USD.\n", "Next: stop what spends.\n\nSince:     ",
		"\nDashboard: https://grafana.example/d/caps?a=b&c=d\nRunbook:   https://docs.example/", "\nSilence:   https://am.example/#/silences/new?filter=%7B")
	got = render(t, messages()["hard resolved"], "aispend.text", "text")
	mustContain(t, got, "Resolved or no longer evaluated: openai", "That switches nothing on again.", "\nFired:     ")
	mustNotContain(t, got, "Silence:", "Next:")
}

// nodes checks that tags are balanced and returns the visible texts and the links.
func nodes(t *testing.T, page string) (texts, links []string) {
	t.Helper()
	void := map[string]bool{"meta": true, "br": true}
	var open []string
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			if len(open) > 0 {
				t.Errorf("not closed: %q", open)
			}
			return texts, links
		case html.StartTagToken:
			tok := z.Token()
			if !void[tok.Data] {
				open = append(open, tok.Data)
			}
			for _, a := range tok.Attr {
				if a.Key == "href" {
					links = append(links, a.Val)
				}
				if strings.HasPrefix(a.Key, "on") || a.Val == "" && a.Key != "alt" {
					t.Errorf("attribute %s=%q of %s", a.Key, a.Val, tok.Data)
				}
			}
		case html.EndTagToken:
			tok := z.Token()
			if len(open) == 0 || open[len(open)-1] != tok.Data {
				t.Fatalf("</%s> closes %q", tok.Data, open)
			}
			open = open[:len(open)-1]
		case html.TextToken:
			text := strings.TrimSpace(string(z.Text()))
			if len(open) > 0 && open[len(open)-1] != "style" && text != "" {
				texts = append(texts, html.UnescapeString(text))
			}
		}
	}
}

func TestHTMLMail(t *testing.T) {
	for name, m := range messages() {
		page := render(t, m, "aispend.html", "html")
		texts, links := nodes(t, page)
		mustNotContain(t, page, "<no value>", "ZgotmplZ", "<script", "<img", "http-equiv", "@import", "<td></td>", "\n\n\n")
		for _, l := range links {
			if !strings.HasPrefix(l, "https://") {
				t.Errorf("%s: link %q", name, l)
			}
		}
		if name == "hard" {
			for _, want := range []string{
				"Hard cap · openai · month", "openai: hard cap of the month reached", "1027.41 USD", "of 1000.00 USD · 102.7%",
				"Firing since", "Hard limit", "1000.00 USD, 102.7% spent", "Top models", "gpt-5 612.20 USD, <!channel> & co 301.03 USD",
				"Data through", "23 Nov 2026 13:58 UTC, 7m ago", "How sure", "stop what spends.", "Dashboard", "Runbook", "Silence", "Source",
			} {
				if !slices.Contains(texts, want) {
					t.Errorf("%q is not among the texts %q", want, texts)
				}
			}
		}
	}
}

// The rules write ages with seconds and parts of them; people do not.
func TestAges(t *testing.T) {
	for said, want := range map[string]string{
		"1.175s ago": "seconds ago", "980ms ago": "seconds ago", "-2s ago": "seconds ago", "7m 12s ago": "7m ago",
		"6h 0m 3s ago": "6h 0m ago", "2d 3h 4m 5s ago": "2d 3h 4m ago", "1m 15s": "1m 15s", "gpt-5.2s": "gpt-5.2s",
	} {
		a := stale("openai/costs")
		a.Annotations["summary"] = "It was " + said
		a.Annotations["description"] = "Prose of " + said + ".\nKey: " + said + "."
		mustContain(t, render(t, of(a), "aispend.subject", "text"), "It was "+want)
		mustContain(t, render(t, of(a), "aispend.text", "text"), "Prose of "+want+".\nKey: "+want+".")
		mustContain(t, render(t, of(a), "aispend.slack.text", "text"), "Prose of "+want+".\n*Key:* "+want+".")
		page := render(t, of(a), "aispend.html", "html")
		mustContain(t, page, "Prose of "+want+".", ">"+want+"</td>", "It was "+want+"</td>")
	}
}

// Commands stand between backticks. Slack knows them, mail does not.
func TestCommands(t *testing.T) {
	a := stale("openai/costs")
	a.Annotations["summary"] = "`aispend` is gone"
	a.Annotations["description"] = "`dead` means <dead>.\nState: `a<b`.\nNext: `aispend check --config-only` names it."
	m := of(a)
	mustContain(t, render(t, m, "aispend.text", "text"), "aispend is gone\n\ndead means <dead>.\nState: a<b.\nNext: aispend check --config-only names it.")
	mustNotContain(t, render(t, m, "aispend.slack.title", "text")+render(t, m, "aispend.subject", "text"), "`")
	mustContain(t, render(t, m, "aispend.slack.text", "text"), "`dead` means &lt;dead&gt;.\n*State:* `a&lt;b`.\n*Next:* `aispend check --config-only` names it.")
	for _, engine := range []string{"html", "text"} {
		page := render(t, m, "aispend.html", engine)
		mustNotContain(t, page, "`")
		texts, _ := nodes(t, page)
		for _, want := range []string{"dead", "a<b", "aispend check --config-only", "means <dead>."} {
			if !slices.Contains(texts, want) {
				t.Errorf("%s: %q is not a text of its own in %q", engine, want, texts)
			}
		}
	}
}

// Alertmanager reads each rendered value of a webhook's payload as YAML and sends
// what it then is: ALERT_EMAIL_WEBHOOK has to get strings.
func TestPayloadStaysText(t *testing.T) {
	all := messages()
	gone := stale("openai/costs")
	gone.Annotations["summary"] = "a #1 is gone"
	all["comment"] = of(gone)
	if got := render(t, of(gone), "aispend.webhook.subject", "text"); got != "[aispend critical] alert: a #1 is gone" {
		t.Errorf("subject %q", got)
	}
	for name, m := range all {
		for _, template := range []string{"aispend.webhook.subject", "aispend.text", "aispend.html"} {
			var v any
			if err := yaml.Unmarshal([]byte(render(t, m, template, "text")), &v); err != nil {
				continue // then it is taken as it is
			}
			if _, ok := v.(string); !ok {
				t.Errorf("%s: %s would be sent as %T", name, template, v)
			}
		}
	}
}

func TestBarOfACap(t *testing.T) {
	mustContain(t, render(t, of(reached("soft")), "aispend.html", "html"), `width="85%"`)
	mustNotContain(t, render(t, of(reached("hard")), "aispend.html", "html"), `width="102%"`)
	mustNotContain(t, render(t, messages()["hard resolved"], "aispend.html", "html"), "Next:", "stop what spends")
	page := render(t, of(stale("openai/costs")), "aispend.html", "html")
	mustNotContain(t, page, `class="big ink"`)
}

// The body of ALERT_EMAIL_WEBHOOK comes from the text engine, which escapes nothing.
func TestHostileTextInBothEngines(t *testing.T) {
	a := reached("hard")
	a.Labels["scope"] = `"><script>alert(1)</script>&' |\`
	a.Annotations["summary"] = "<img src=x onerror=alert(1)>\nBcc: all: hard cap of the month reached, 1.00 USD of 1.00 USD (100.0%)"
	a.Annotations["description"] = "<b>x</b>\nTop models: <script>m</script> 1 USD.\nHow sure: <i>\nNext: <a href=//evil>go</a>."
	for _, engine := range []string{"html", "text"} {
		page := render(t, of(a), "aispend.html", engine)
		mustNotContain(t, page, "<script", "<img", "<b>x", "<i>", "<a href=//")
		texts, links := nodes(t, page)
		if !slices.Contains(texts, "<script>m</script> 1 USD") {
			t.Errorf("%s: texts %q", engine, texts)
		}
		silence := "https://am.example/#/silences/new?filter=%7Balertname%3D%22AISpendCapReached%22%2C%20job%3D%22aispend%22%2C%20level%3D%22hard%22" +
			"%2C%20period%3D%22month%22%2C%20scope%3D%22%5C%22%3E%3Cscript%3Ealert(1)%3C/script%3E%26%27%20%7C%5C%5C%22%2C%20severity%3D%22critical%22%7D"
		if !slices.ContainsFunc(links, func(l string) bool {
			return strings.NewReplacer("%28", "(", "%29", ")").Replace(l) == silence
		}) {
			t.Errorf("%s: links %q", engine, links)
		}
	}
	mustNotContain(t, render(t, of(a), "aispend.subject", "text"), "\n")
	for _, template := range []string{"aispend.slack.cap.text", "aispend.slack.cap.models", "aispend.slack.text"} {
		mustNotContain(t, render(t, of(a), template, "text"), "<script", "<b>", "<i>", "<a ")
	}
}

// What the shipped rules say is what the templates read.
func TestTemplatesReadTheShippedRules(t *testing.T) {
	alerts := fromRules(t, "AISpendCapReached",
		`aispend_cap_spend_usd{job="aispend",instance="a",scope="openai",period="month"} = 1027.41x200`,
		`aispend_cap_limit_usd{job="aispend",instance="a",scope="openai",period="month",level="soft"} = 1000x200`,
		`aispend_cap_limit_usd{job="aispend",instance="a",scope="openai",period="month",level="hard"} = 1027.41x200`,
		`aispend_cap_period_end_timestamp_seconds{job="aispend",instance="a",scope="openai",period="month"} = 1796083200x200`,
		`aispend_cap_data_gaps{job="aispend",instance="a",scope="openai",period="month",reason="stale"} = 1x200`,
		`aispend_cap_top_model_spend_usd{job="aispend",instance="a",scope="openai",period="month",model="gpt-5"} = 612.2x200`,
		`aispend_cap_data_through_timestamp_seconds{job="aispend",instance="a",scope="openai",period="month"} = 1795463880x200`,
		`aispend_links_info{job="aispend",instance="a",dashboard_url="https://grafana.example/d/caps"} = 1x200`,
	)
	if len(alerts) != 2 || alerts[0].Labels["level"] != "hard" {
		t.Fatalf("%d alerts: %+v", len(alerts), alerts)
	}
	texts, links := nodes(t, render(t, of(alerts[0]), "aispend.html", "html"))
	for _, want := range []string{"1027.41 USD", "of 1027.41 USD · 100.0%", "Hard limit", "Top models", "gpt-5 612.20 USD", "Data through", "How sure", "Next:"} {
		if !slices.Contains(texts, want) {
			t.Errorf("%q is not among %q", want, texts)
		}
	}
	if !slices.Contains(links, "https://grafana.example/d/caps") {
		t.Errorf("links %q", links)
	}
	for template, want := range map[string]string{
		"aispend.slack.cap.models": "gpt-5 612.20 USD", "aispend.slack.cap.data": "23 Nov 2026 19:58 UTC, 7m ago",
	} {
		if got := render(t, of(alerts[0]), template, "text"); got != want {
			t.Errorf("%s: %q, want %q", template, got, want)
		}
	}
	if text := render(t, of(alerts[1]), "aispend.slack.cap.text", "text"); strings.Count(text, "*Next:* ") != 1 ||
		!strings.Contains(text, "*How sure:* ") || strings.Contains(text, "Top models") {
		t.Errorf("Slack text:\n%s", text)
	}
}
