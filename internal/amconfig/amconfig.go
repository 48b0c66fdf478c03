// Package amconfig writes the configuration of Alertmanager that goes with aispend's
// rules: who is told of what, how often, and what may call the kill switch.
//
// The configuration holds no secret. Each is named by the path of a file; those that
// were given directly are handed back to be written to files first.
package amconfig

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// The receivers of the configuration.
const (
	ReceiverCaps   = "aispend-caps"          // people, of a cap that is reached
	ReceiverHealth = "aispend-health"        // people, of everything else
	ReceiverHook   = "aispend-hard-cap-hook" // the daemons, of a hard cap that is reached
	ReceiverDead   = "aispend-dead-mans-switch"
	ReceiverNobody = "aispend-nobody"
)

// HookPath is where every daemon takes hard-cap alerts.
const HookPath = "/webhook/hard-cap"

// The two ways to repeat a soft cap.
const (
	Daily  = 24 * time.Hour
	Hourly = time.Hour
)

// Settings is all that makes one configuration differ from another. Every path is
// absolute and as Alertmanager sees it: it would look for a relative one in its own
// working directory, or beside the configuration, depending on the key.
type Settings struct {
	// SlackURLFile holds an incoming webhook; empty for no Slack.
	SlackURLFile string
	// SlackURL is a webhook that is no secret, such as a sink of a demo. At most one
	// of the two is set.
	SlackURL string
	// EmailWebhookURLFile holds the URL that takes {subject, text, html}; empty for
	// none. It needs Alertmanager 0.32 or later; the rest works with 0.30.
	EmailWebhookURLFile string
	// SMTP is nil for no mail.
	SMTP *SMTP
	// Hooks are the URLs of all replicas of the daemon, each ending in HookPath; none
	// for no kill switch.
	Hooks []string
	// HookTokenFile holds what Alertmanager presents there. Required with Hooks.
	HookTokenFile string
	// DeadMansSwitchURLFile holds the URL that expects to be called all the time;
	// empty for none.
	DeadMansSwitchURLFile string
	// SoftRepeat is Daily or Hourly; 0 is Daily.
	SoftRepeat time.Duration
	// TemplatesDir is where the *.tmpl files are.
	TemplatesDir string
}

// SMTP is a mail server; see config.SMTP.
type SMTP struct {
	Smarthost, From, To, Hello string
	Username, PasswordFile     string
	RequireTLS                 bool
	CAFile                     string
}

// implicitTLS reports whether Alertmanager begins with TLS, as it does on port 465.
func (m *SMTP) implicitTLS() bool { return strings.HasSuffix(m.Smarthost, ":465") }

// header begins the file. It says what a reader must know who thinks of editing it.
const header = `# Alertmanager configuration for aispend, written by "aispend alertmanager-config".
# Write it anew rather than edit it. It holds no secret; secrets are in the files it names.
# Needs Alertmanager %s or later. docs/alerting.md explains the routes.
`

// Render returns the configuration as YAML.
func Render(s Settings) ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	since := "0.30"
	if s.EmailWebhookURLFile != "" {
		since = "0.32 (for the payload of a webhook)"
	}
	var b bytes.Buffer
	_, _ = fmt.Fprintf(&b, header, since)
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(s.document()); err != nil {
		return nil, fmt.Errorf("encoding the Alertmanager configuration: %w", err)
	}
	return b.Bytes(), nil
}

func (s Settings) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.SlackURLFile == "" && s.SlackURL == "" && s.EmailWebhookURLFile == "" && s.SMTP == nil {
		fail("nobody would be told: set SLACK_WEBHOOK_URL_FILE, ALERT_EMAIL_WEBHOOK_FILE, or SMTP_HOST with " +
			"SMTP_FROM and SMTP_TO")
	}
	if s.SlackURLFile != "" && s.SlackURL != "" {
		fail("the Slack webhook is given as a URL and as a file")
	}
	for _, path := range s.paths() {
		if !filepath.IsAbs(path) {
			fail("the path %s is not absolute", path)
		}
	}
	for _, hook := range s.Hooks {
		if u, err := url.Parse(hook); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			fail("the URL of a hook needs scheme and host, such as http://aispend:10099")
		} else if u.User != nil {
			fail("the URL of the hook on %s holds a login: it takes a token, see --hook-token-file", u.Host)
		} else if u.RawQuery != "" || u.Fragment != "" {
			fail("the URL of the hook on %s holds more than a path: it takes a token, see --hook-token-file", u.Host)
		}
	}
	if len(s.Hooks) > 0 && s.HookTokenFile == "" {
		fail("the hook needs a token: set hard_cap.inbound_token_file (or web.admin_token_file), " +
			"or --hook-token-file")
	}
	if s.SoftRepeat != 0 && s.SoftRepeat != Daily && s.SoftRepeat != Hourly {
		fail("a soft cap is repeated every day or every hour, not every %s", s.SoftRepeat)
	}
	return errors.Join(errs...)
}

// paths are those that are set; the directory of templates always has to be.
func (s Settings) paths() []string {
	paths := []string{s.TemplatesDir}
	all := []string{s.SlackURLFile, s.EmailWebhookURLFile, s.HookTokenFile, s.DeadMansSwitchURLFile}
	if s.SMTP != nil {
		all = append(all, s.SMTP.PasswordFile, s.SMTP.CAFile)
	}
	for _, p := range all {
		if p != "" {
			paths = append(paths, p)
		}
	}
	return paths
}

// Reference is the example that is shipped as rules/alertmanager.yml: Slack, mail and
// one daemon with a hook, by made-up names. The demo stack has one of its own,
// deploy/alertmanager/demo.yml.
func Reference() Settings {
	return Settings{
		SlackURL:      "http://slack:8080/services/demo",
		SMTP:          &SMTP{Smarthost: "mail:1025", From: "aispend@demo.example", To: "oncall@demo.example"},
		Hooks:         []string{"http://aispend:10099" + HookPath},
		HookTokenFile: "/etc/alertmanager/secrets/hook_token",
		TemplatesDir:  "/etc/alertmanager/templates",
	}
}
