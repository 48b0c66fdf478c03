package amclient

import (
	"context"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/client/alert"
	"github.com/prometheus/alertmanager/api/v2/client/general"
	"github.com/prometheus/alertmanager/api/v2/models"
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
	// Level is soft or hard.
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
	now := c.now().UTC().Truncate(time.Millisecond)
	p := Posted{
		Labels: testLabels(t.Level, now), StartsAt: now, EndsAt: now.Add(testLength),
		Answers: make([]Answer, len(c.members)),
	}
	post := &models.PostableAlert{
		Alert:       models.Alert{Labels: p.Labels, GeneratorURL: strfmt.URI(t.GeneratorURL)},
		Annotations: testAnnotations(t),
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
	if level == "hard" {
		return "critical"
	}
	return "warning"
}

// testAnnotations leaves out what is empty: Alertmanager keeps empty annotations.
func testAnnotations(t Test) models.LabelSet {
	out := models.LabelSet{
		"summary": "Test of the " + t.Level + " cap alert: no limit is reached",
		"description": "Somebody asked aispend for a test alert with POST /test/alert. It took the way of a real " +
			t.Level + " cap alert through Alertmanager to you, except that it never calls a hard-cap hook. " +
			"There is nothing to do; it ends by itself in five minutes.",
	}
	for name, url := range map[string]string{"runbook_url": t.RunbookURL, "dashboard_url": t.DashboardURL} {
		if url != "" {
			out[name] = url
		}
	}
	return out
}
