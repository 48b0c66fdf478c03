package amconfig

import (
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

// The following types are the part of Alertmanager's configuration that is used
// here, in the order in which it is written.

type document struct {
	Global       *global       `yaml:"global,omitempty"`
	Templates    []string      `yaml:"templates"`
	Route        route         `yaml:"route"`
	InhibitRules []inhibitRule `yaml:"inhibit_rules"`
	Receivers    []receiver    `yaml:"receivers"`
}

type global struct {
	SlackURL     string     `yaml:"slack_api_url,omitempty"`
	SlackURLFile string     `yaml:"slack_api_url_file,omitempty"`
	Smarthost    string     `yaml:"smtp_smarthost,omitempty"`
	From         string     `yaml:"smtp_from,omitempty"`
	Hello        string     `yaml:"smtp_hello,omitempty"`
	Username     string     `yaml:"smtp_auth_username,omitempty"`
	PasswordFile string     `yaml:"smtp_auth_password_file,omitempty"`
	RequireTLS   *bool      `yaml:"smtp_require_tls,omitempty"`
	TLS          *tlsConfig `yaml:"smtp_tls_config,omitempty"`
}

type tlsConfig struct {
	CAFile string `yaml:"ca_file"`
}

type route struct {
	Matchers       []string `yaml:"matchers,omitempty,flow"`
	Receiver       string   `yaml:"receiver"`
	GroupBy        []string `yaml:"group_by,omitempty,flow"`
	GroupWait      duration `yaml:"group_wait,omitempty"`
	GroupInterval  duration `yaml:"group_interval,omitempty"`
	RepeatInterval duration `yaml:"repeat_interval,omitempty"`
	Continue       bool     `yaml:"continue,omitempty"`
	Routes         []route  `yaml:"routes,omitempty"`
}

// duration is written as Alertmanager reads it; "" is left out, "0s" is not.
type duration string

func every(d time.Duration) duration {
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		return duration(strconv.Itoa(int(d/time.Hour)) + "h")
	case d >= time.Minute && d%time.Minute == 0:
		return duration(strconv.Itoa(int(d/time.Minute)) + "m")
	default:
		return duration(strconv.Itoa(int(d/time.Second)) + "s")
	}
}

type inhibitRule struct {
	Source []string `yaml:"source_matchers,flow"`
	Target []string `yaml:"target_matchers,flow"`
	Equal  []string `yaml:"equal,flow"`
}

type receiver struct {
	Name     string          `yaml:"name"`
	Slack    []slackConfig   `yaml:"slack_configs,omitempty"`
	Email    []emailConfig   `yaml:"email_configs,omitempty"`
	Webhooks []webhookConfig `yaml:"webhook_configs,omitempty"`
}

type slackConfig struct {
	SendResolved bool          `yaml:"send_resolved"`
	Color        string        `yaml:"color"`
	Fallback     string        `yaml:"fallback"`
	Title        string        `yaml:"title"`
	TitleLink    string        `yaml:"title_link"`
	Text         string        `yaml:"text"`
	Fields       []slackField  `yaml:"fields,omitempty"`
	Actions      []slackAction `yaml:"actions"`
	MrkdwnIn     []string      `yaml:"mrkdwn_in,flow"`
}

type slackField struct {
	Title string `yaml:"title"`
	Value string `yaml:"value"`
	Short bool   `yaml:"short"`
}

type slackAction struct {
	Type string `yaml:"type"`
	Text string `yaml:"text"`
	URL  string `yaml:"url"`
}

type emailConfig struct {
	SendResolved bool              `yaml:"send_resolved"`
	To           string            `yaml:"to"`
	Headers      map[string]string `yaml:"headers"`
	HTML         string            `yaml:"html"`
	Text         string            `yaml:"text"`
}

type webhookConfig struct {
	SendResolved bool              `yaml:"send_resolved"`
	URL          string            `yaml:"url,omitempty"`
	URLFile      string            `yaml:"url_file,omitempty"`
	HTTP         *httpConfig       `yaml:"http_config,omitempty"`
	MaxAlerts    int               `yaml:"max_alerts,omitempty"`
	Payload      map[string]string `yaml:"payload,omitempty"`
}

type httpConfig struct {
	Authorization   *authorization `yaml:"authorization,omitempty"`
	FollowRedirects bool           `yaml:"follow_redirects"`
}

type authorization struct {
	CredentialsFile string `yaml:"credentials_file"`
}

func (s Settings) document() document {
	return document{
		Global:    s.global(),
		Templates: []string{filepath.Join(s.TemplatesDir, "*.tmpl")},
		Route:     s.route(),
		// Not "unless hard" in the rule of the soft level: that would end the soft
		// alert, and people would be told that it is resolved.
		InhibitRules: []inhibitRule{{
			Source: []string{match("alertname", "AISpendCapReached"), match("level", "hard")},
			Target: []string{match("alertname", "AISpendCapReached"), match("level", "soft")},
			Equal:  []string{"job", "scope", "period"},
		}},
		Receivers: s.receivers(),
	}
}

func match(label, value string) string { return fmt.Sprintf("%s=%q", label, value) }

func (s Settings) global() *global {
	g := global{SlackURL: s.SlackURL, SlackURLFile: s.SlackURLFile}
	if m := s.SMTP; m != nil {
		// On the port that begins with TLS, Alertmanager before 0.31 would ask for
		// STARTTLS inside of it, which no server offers, and send no mail.
		tls := m.RequireTLS && !m.implicitTLS()
		g.Smarthost, g.From, g.Hello, g.RequireTLS = m.Smarthost, m.From, m.Hello, &tls
		g.Username, g.PasswordFile = m.Username, m.PasswordFile
		if m.CAFile != "" {
			g.TLS = &tlsConfig{CAFile: m.CAFile}
		}
	}
	if g == (global{}) {
		return nil
	}
	return &g
}
