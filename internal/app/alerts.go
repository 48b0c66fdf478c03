package app

import (
	"context"
	"fmt"

	"github.com/aispend/aispend/internal/amclient"
	"github.com/aispend/aispend/internal/api"
	"github.com/aispend/aispend/internal/config"
)

func (a *App) alertClient(cfg *config.Config) (*amclient.Client, error) {
	c, err := amclient.New(amclient.Options{
		URLs: cfg.Alertmanager.URLs, UserAgent: userAgent(), Now: a.opts.Now,
	})
	if err != nil {
		return nil, &UsageError{Err: fmt.Errorf("alertmanager.urls: %w", err)}
	}
	return c, nil
}

// runbookTest explains the test alert.
const runbookTest = "https://github.com/aispend/aispend/blob/main/docs/alerting.md#send-a-test-alert"

func (a *App) testAlert(ctx context.Context, level string) api.TestAlert {
	sent := a.current.Load().alerts.PostTest(ctx, amclient.Test{
		Level: level, GeneratorURL: a.externalURL(), RunbookURL: runbookTest,
		DashboardURL: a.config().Links.DashboardURL,
	})
	out := api.TestAlert{Labels: sent.Labels, StartsAt: sent.StartsAt, EndsAt: sent.EndsAt}
	for _, s := range sent.Answers {
		out.Answers = append(out.Answers, api.AlertAnswer(s))
	}
	a.log.Info("test alert sent",
		"level", level, "alertmanagers", len(sent.Answers), "accepted", sent.Accepted())
	return out
}

func (a *App) alertmanagers(ctx context.Context) []api.Alertmanager {
	var out []api.Alertmanager
	for _, s := range a.current.Load().alerts.Status(ctx) {
		out = append(out, api.Alertmanager(s))
	}
	return out
}
