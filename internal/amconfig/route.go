package amconfig

import "time"

// Waits of the routes. A cap's level is a label of its group, so that a soft and a
// hard alert never share a message, and never delay each other.
const (
	// softWait gives the hard alert of the same evaluation, and of the next one of a
	// second Prometheus, the time to arrive and mute the soft one.
	softWait = 30 * time.Second
	// hardInterval is also how often a call to a hook that failed is begun anew.
	hardInterval = time.Minute
	// hardRepeat is how long the original worker kept quiet after an alert.
	hardRepeat = time.Hour
	// hookRepeat is shorter: the daemon does nothing twice for one breach, and what it
	// could not act on when it was told (an alert that ended and began again within one
	// hardInterval, of which Alertmanager tells nobody; a limit that was raised and is
	// reached all the same; a dry run that is over) must not wait for an hour.
	hookRepeat = 5 * time.Minute

	healthWait     = 30 * time.Second
	healthInterval = 5 * time.Minute
	criticalRepeat = 4 * time.Hour

	// aliveRepeat is how often the dead man's switch is told that all is well.
	aliveRepeat   = 5 * time.Minute
	aliveInterval = time.Minute
)

// byCap are the labels of a cap's group. A test alert takes the same way; its
// test_id makes each a group of its own, so that the second is told at once too.
func byCap() []string { return []string{"alertname", "job", "scope", "period", "level", "test_id"} }

// route is the tree: the first route that matches takes an alert, unless it says
// continue.
func (s Settings) route() route {
	routes := []route{s.watchdog()}
	if len(s.Hooks) > 0 {
		hook := s.hard(ReceiverHook)
		// A test may be seen by everybody but the kill switch.
		hook.Matchers = append(hook.Matchers, `test!="true"`)
		hook.Continue = true // or nobody would be told
		hook.RepeatInterval = every(hookRepeat)
		routes = append(routes, hook)
	}
	repeat := s.SoftRepeat
	if repeat == 0 {
		repeat = Daily
	}
	routes = append(routes, s.hard(ReceiverCaps), route{
		Matchers: []string{match("level", "soft")}, Receiver: ReceiverCaps, GroupBy: byCap(),
		GroupWait: every(softWait), GroupInterval: every(hardInterval), RepeatInterval: every(repeat),
	}, route{
		Matchers: []string{match("severity", "critical")}, Receiver: ReceiverHealth,
		RepeatInterval: every(criticalRepeat),
	})
	return route{
		Receiver: ReceiverHealth, GroupBy: []string{"alertname", "job"}, GroupWait: every(healthWait),
		GroupInterval: every(healthInterval), RepeatInterval: every(Daily), Routes: routes,
	}
}

func (s Settings) hard(to string) route {
	return route{
		Matchers: []string{match("level", "hard")}, Receiver: to, GroupBy: byCap(),
		GroupWait: "0s", GroupInterval: every(hardInterval), RepeatInterval: every(hardRepeat),
	}
}

// watchdog is for the alert that always fires: people must not hear of it.
func (s Settings) watchdog() route {
	r := route{Matchers: []string{match("alertname", "AISpendWatchdog")}, Receiver: ReceiverNobody}
	if s.DeadMansSwitchURLFile != "" {
		r.Receiver, r.GroupWait = ReceiverDead, "0s"
		r.GroupInterval, r.RepeatInterval = every(aliveInterval), every(aliveRepeat)
	}
	return r
}

func (s Settings) receivers() []receiver {
	out := []receiver{
		{Name: ReceiverCaps, Slack: s.slack(capText, capFields()), Email: s.email(), Webhooks: s.emailWebhook()},
		{Name: ReceiverHealth, Slack: s.slack(healthText, nil), Email: s.email(), Webhooks: s.emailWebhook()},
	}
	if len(s.Hooks) > 0 {
		out = append(out, s.hook())
	}
	if s.DeadMansSwitchURLFile == "" {
		return append(out, receiver{Name: ReceiverNobody})
	}
	return append(out, receiver{Name: ReceiverDead, Webhooks: []webhookConfig{{
		URLFile: s.DeadMansSwitchURLFile, MaxAlerts: 1,
	}}})
}

// hook calls every replica: each decides by its own ledger, and what they send has
// the same id. A redirect would take the token elsewhere.
func (s Settings) hook() receiver {
	r := receiver{Name: ReceiverHook}
	for _, u := range s.Hooks {
		r.Webhooks = append(r.Webhooks, webhookConfig{
			URL: u, HTTP: &httpConfig{Authorization: &authorization{CredentialsFile: s.HookTokenFile}},
		})
	}
	return r
}

const (
	capText    = "aispend.slack.cap.text"
	healthText = "aispend.slack.text"
)

func use(template string) string { return `{{ template "` + template + `" . }}` }

func capFields() []slackField {
	return []slackField{
		{Title: use("aispend.slack.cap.since.title"), Value: use("aispend.slack.cap.since"), Short: true},
		{Title: "Data through", Value: use("aispend.slack.cap.data"), Short: true},
		{Title: "Top models", Value: use("aispend.slack.cap.models")},
	}
}

func (s Settings) slack(text string, fields []slackField) []slackConfig {
	if s.SlackURL == "" && s.SlackURLFile == "" {
		return nil
	}
	return []slackConfig{{
		SendResolved: true,
		Color:        use("aispend.slack.color"), Fallback: use("aispend.slack.fallback"),
		Title: use("aispend.slack.title"), TitleLink: use("aispend.slack.dashboard"),
		Text: use(text), Fields: fields,
		Actions: []slackAction{
			{"button", "Dashboard", use("aispend.slack.dashboard")},
			{"button", "Runbook", use("aispend.slack.runbook")},
			{"button", "Silence", use("aispend.slack.silence")},
		},
		MrkdwnIn: []string{"text", "fields"},
	}}
}

func (s Settings) email() []emailConfig {
	if s.SMTP == nil {
		return nil
	}
	return []emailConfig{{
		SendResolved: true, To: s.SMTP.To, Headers: map[string]string{"Subject": use("aispend.subject")},
		HTML: use("aispend.html"), Text: use("aispend.text"),
	}}
}

// emailWebhook keeps the body that the original worker sent.
func (s Settings) emailWebhook() []webhookConfig {
	if s.EmailWebhookURLFile == "" {
		return nil
	}
	return []webhookConfig{{
		SendResolved: true, URLFile: s.EmailWebhookURLFile, HTTP: &httpConfig{},
		Payload: map[string]string{
			"subject": use("aispend.webhook.subject"), "text": use("aispend.text"), "html": use("aispend.html"),
		},
	}}
}
