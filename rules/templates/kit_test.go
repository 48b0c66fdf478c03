package templates_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// alert and message are what Alertmanager hands to a template.
type alert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
}

type message struct {
	Receiver          string            `json:"receiver"`
	Status            string            `json:"status"`
	Alerts            []alert           `json:"alerts"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
}

// of makes a message of alerts as Alertmanager does: what all of them say is common.
func of(alerts ...alert) message {
	m := message{
		Receiver: "aispend-caps", Status: "resolved", Alerts: alerts, ExternalURL: "https://am.example",
		CommonLabels: map[string]string{}, CommonAnnotations: map[string]string{},
	}
	for _, a := range alerts {
		if a.Status == "firing" {
			m.Status = "firing"
		}
	}
	common := func(out map[string]string, get func(alert) map[string]string) {
		for k, v := range get(alerts[0]) {
			out[k] = v
			for _, a := range alerts {
				if w, ok := get(a)[k]; !ok || w != v {
					delete(out, k)
				}
			}
		}
	}
	common(m.CommonLabels, func(a alert) map[string]string { return a.Labels })
	common(m.CommonAnnotations, func(a alert) map[string]string { return a.Annotations })
	return m
}

func reached(level string) alert {
	severity, limit := "critical", "1000.00 USD (102.7%)"
	if level == "soft" {
		severity, limit = "warning", "1200.00 USD (85.6%)"
	}
	return alert{
		Status: "firing",
		Labels: map[string]string{
			"alertname": "AISpendCapReached", "job": "aispend", "level": level, "period": "month", "scope": "openai",
			"severity": severity,
		},
		Annotations: map[string]string{
			"summary": "openai: " + level + " cap of the month reached, 1027.41 USD of " + limit,
			"description": "openai has cost 1027.41 USD since 1 Nov 2026 00:00 UTC (the month ends 1 Dec 2026 00:00 UTC).\n" +
				"Hard limit: 1000.00 USD, 102.7% spent.\n" +
				"Top models: gpt-5 612.20 USD, <!channel> & co 301.03 USD.\n" +
				"Data reaches to 23 Nov 2026 13:58 UTC, 7m 12s ago.\n" +
				"How sure: at least this much, the truth may be more: stale (1).\n" +
				"Next: stop what spends.",
			"runbook_url": "https://docs.example/AISpendCapReached.md", "dashboard_url": "https://grafana.example/d/caps?a=b&c=d",
		},
		StartsAt:     time.Now().Add(-200 * time.Minute).UTC(),
		GeneratorURL: "https://prometheus.example/graph?g0.expr=a%3Eb&g0.tab=1",
	}
}

func stale(source string) alert {
	provider, _, _ := strings.Cut(source, "/")
	return alert{
		Status: "firing",
		Labels: map[string]string{
			"alertname": "AISpendDataStale", "job": "aispend", "severity": "critical", "provider": provider, "account": "acme",
			"source": source,
		},
		Annotations: map[string]string{
			"summary":       source + " of account acme brought nothing new for 7h",
			"description":   "Pulls may well succeed.\nPulls of the last two hours: ok 8.\nNext: see /status.",
			"runbook_url":   "https://docs.example/AISpendDataStale.md",
			"dashboard_url": "",
		},
		StartsAt: time.Now().UTC(),
	}
}

func ended(a alert) alert {
	a.Status, a.EndsAt = "resolved", a.StartsAt.Add(time.Hour)
	return a
}

func tool(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Skip(variable + " is not set: make test sets it to a pinned tool")
	}
	return path
}

// render runs one template with the engine that Alertmanager uses for it: "text" for
// Slack, plain mail and webhooks, "html" for the HTML part of a mail.
func render(t *testing.T, m message, template, engine string) string {
	t.Helper()
	amtool := tool(t, "AISPEND_AMTOOL")
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data.json")
	if err := os.WriteFile(data, b, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(amtool, "template", "render", "--template.glob=*.tmpl", "--template.data="+data,
		"--template.type="+engine, `--template.text={{ template "`+template+`" . }}`)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("rendering %s: %v\n%s", template, err, stderr.String())
	}
	return string(out)
}

// fromRules returns the alerts of a name that the shipped rules make of series at
// 20:05 on 23 November 2026. promtool shows them when a test expects none.
func fromRules(t *testing.T, alertname string, series ...string) []alert {
	t.Helper()
	promtool := tool(t, "AISPEND_PROMTOOL")
	rules, err := filepath.Abs("../")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("rule_files: [" + rules + "/aispend.caps.rules.yml, " + rules + "/aispend.health.rules.yml]\n" +
		"evaluation_interval: 1m\ntests:\n- start_timestamp: 2026-11-23T18:00:00Z\n  interval: 1m\n  input_series:\n")
	for _, s := range series {
		name, values, _ := strings.Cut(s, " = ")
		b.WriteString("  - {series: " + strconv.Quote(name) + ", values: " + strconv.Quote(values) + "}\n")
	}
	b.WriteString("  alert_rule_test: [{eval_time: 125m, alertname: " + alertname + ", exp_alerts: []}]\n")
	file := filepath.Join(t.TempDir(), "rules_test.yml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command(promtool, "test", "rules", file).CombinedOutput() // it fails by design
	found := regexp.MustCompile(`(?s)Labels:(\{.*?\})\s+Annotations:(\{.*?\})(?:,|\s+\])`).FindAllSubmatch(out, -1)
	if len(found) == 0 {
		t.Fatalf("the rules make no %s of this:\n%s", alertname, out)
	}
	var alerts []alert
	for _, f := range found {
		alerts = append(alerts, alert{
			Status: "firing", Labels: pairs(t, string(f[1])), Annotations: pairs(t, string(f[2])),
			StartsAt: time.Date(2026, 11, 23, 20, 5, 0, 0, time.UTC),
		})
	}
	return alerts
}

func pairs(t *testing.T, text string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, m := range regexp.MustCompile(`(\w+)=("(?:[^"\\]|\\.)*")`).FindAllStringSubmatch(text, -1) {
		value, err := strconv.Unquote(m[2])
		if err != nil {
			t.Fatalf("%s: %v", m[2], err)
		}
		out[m[1]] = value
	}
	return out
}

func mustContain(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in:\n%s", p, text)
		}
	}
}

func mustNotContain(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(text, p) {
			t.Errorf("%q is in:\n%s", p, text)
		}
	}
}
