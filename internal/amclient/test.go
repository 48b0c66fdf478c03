package amclient

import (
	"context"
	"strings"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/client/alert"
	"github.com/prometheus/alertmanager/api/v2/client/general"
	"github.com/prometheus/alertmanager/api/v2/models"
)

// The levels of a test alert.
const (
	levelSoft = "soft"
	levelHard = "hard"
)

// AlertTest is the name of the test alert; no rule makes an alert of this name.
const AlertTest = "AISpendTest"

// testLength is how long a test alert lasts before it resolves by itself: longer
// than any group_wait, so that it is sent, and short, so that it is soon over.
const testLength = 5 * time.Minute

// testIDLayout makes every test an alert of its own: one with the labels of the
// last would join it and be told to nobody again.
const testIDLayout = "20060102T150405.000Z"

// Test is the alert to post.
type Test struct {
	// Level is soft or hard; anything else is soft.
	Level string
	// Links are shown with it; each may be empty.
	GeneratorURL, RunbookURL, DashboardURL string
}

// Posted is the alert as it was sent.
type Posted struct {
	Labels           map[string]string
	StartsAt, EndsAt time.Time
	// Answers are those of the members, in the order of the configuration.
	Answers []Answer
}

// Answer is what one member said to the test alert.
type Answer struct {
	URL      string
	Accepted bool
	// Version is empty if the member is not reachable or did not tell.
	Version string
	// Error says why the alert was not accepted; it holds no secret.
	Error string
}

// Accepted counts the members that took the alert.
func (p Posted) Accepted() int {
	n := 0
	for _, a := range p.Answers {
		if a.Accepted {
			n++
		}
	}
	return n
}

// PostTest posts a test alert to every member at once, as Prometheus does with
// real ones, and returns what each of them said. It takes at most five seconds.
// It carries test="true", which keeps it from every hard-cap hook.
func (c *Client) PostTest(ctx context.Context, t Test) Posted {
	if t.Level != levelHard {
		t.Level = levelSoft
	}
	now := c.now().UTC().Truncate(time.Millisecond)
	p := Posted{
		Labels: testLabels(t.Level, now), StartsAt: now, EndsAt: now.Add(testLength),
		Answers: make([]Answer, len(c.members)),
	}
	post := &models.PostableAlert{
		Alert:       models.Alert{Labels: p.Labels, GeneratorURL: strfmt.URI(t.GeneratorURL)},
		Annotations: testAnnotations(t, now),
		// An alert with an end and no start would start at its end, in the future.
		StartsAt: strfmt.DateTime(p.StartsAt), EndsAt: strfmt.DateTime(p.EndsAt),
	}
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	c.each(func(i int, m member) { p.Answers[i] = m.post(ctx, post) })
	return p
}

// post sends one alert, alone: of a batch with one bad alert Alertmanager keeps the
// good ones and still answers that it was refused.
func (m member) post(ctx context.Context, a *models.PostableAlert) Answer {
	out := Answer{URL: m.url}
	params := alert.NewPostAlertsParamsWithContext(ctx).WithAlerts(models.PostableAlerts{a})
	if _, err := m.api.Alert.PostAlerts(params); err != nil {
		out.Error = explain(err, postTimeout)
		return out
	}
	// Whoever answers 200 to everything is no Alertmanager, and nobody would be told.
	resp, err := m.api.General.GetStatus(general.NewGetStatusParamsWithContext(ctx))
	if err == nil {
		err = checkStatus(resp.Payload)
	}
	switch {
	case err == nil:
		out.Version = clean(text(resp.Payload.VersionInfo.Version), maxWord)
	case foreign(err):
		out.Error = errNotAlertmanager.Error()
		return out
	}
	out.Accepted = true
	return out
}

func testLabels(level string, now time.Time) map[string]string {
	return map[string]string{
		"alertname": AlertTest, "test": "true", "test_id": now.Format(testIDLayout),
		"level": level, "severity": severity(level), "scope": "test",
	}
}

func severity(level string) string {
	if level == levelHard {
		return "critical"
	}
	return "warning"
}

// testAnnotations looks like what the rules say of a real cap, so that people see
// what they will get. It leaves out what is empty: Alertmanager would keep it.
func testAnnotations(t Test, now time.Time) models.LabelSet {
	out := models.LabelSet{
		"summary": "TEST: " + t.Level + " cap reached, 102.70 USD of 100.00 USD (102.7%)",
		"description": "This is a test, and its figures are made up: " +
			"somebody asked aispend for it (POST /test/alert).\n" +
			strings.ToUpper(t.Level[:1]) + t.Level[1:] + " limit: 100.00 USD, 102.7% spent.\n" +
			"Top models: model-a 61.20 USD, model-b 30.10 USD, model-c 11.40 USD.\n" +
			"Data reaches to " + now.Format("2 Jan 2006 15:04") + " UTC, 0s ago.\n" +
			"How sure: not at all, see above.\n" +
			"Next: nothing. It took the way of a real " + t.Level + " cap alert to you, except that it never " +
			"calls a hard-cap hook, and it ends by itself in five minutes.",
	}
	for name, url := range map[string]string{"runbook_url": t.RunbookURL, "dashboard_url": t.DashboardURL} {
		if url != "" {
			out[name] = url
		}
	}
	return out
}
