package amconfig_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/amconfig"
	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/internal/secret"
)

func TestSecretsGoToFilesOfTheirOwner(t *testing.T) {
	dir := site(t)
	tc := environments()["original-worker"]
	p, err := plan(t, dir, tc.environ, tc.request)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%+v %#v %v", p, p.Secrets, p); strings.Contains(text, "CANARY") {
		t.Error("printing the plan prints a secret")
	}
	if len(p.Secrets) != 3 {
		t.Fatalf("%d secrets", len(p.Secrets))
	}
	// A file that everybody could read is replaced, not filled.
	secrets := filepath.Join(dir, "secrets")
	if err := os.MkdirAll(secrets, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(secrets, "hook_token"), []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range p.Secrets {
		if err := s.Write(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(s.Path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", s.Path, info.Mode(), err)
		}
		b, _ := os.ReadFile(s.Path)
		got[strings.TrimPrefix(s.Path, secrets+"/")] = string(b)
	}
	want := map[string]string{
		"slack_webhook_url":   "https://hooks.slack.example/services/CANARY-slack\n",
		"alert_email_webhook": "https://mailer.example/CANARY-mailer\n", "hook_token": "CANARY-admin\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if left, _ := filepath.Glob(filepath.Join(secrets, ".aispend-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// The directory of secrets is often a new one beside the configuration, in a new one
// that Alertmanager's user has to enter.
func TestOnlyTheSecretsAreClosed(t *testing.T) {
	dir := site(t)
	tc := environments()["original-worker"]
	tc.request.SecretsDir = "DIR/new/secrets"
	p, err := plan(t, dir, tc.environ, tc.request)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Secrets[0].Write(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"new": 0o055, "new/secrets": 0} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm()&0o077 != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestSecretThatCannotBeWritten(t *testing.T) {
	dir := site(t)
	tc := environments()["original-worker"]
	tc.request.SecretsDir = "DIR/slack/secrets" // below a file
	p, err := plan(t, dir, tc.environ, tc.request)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Secrets[0].Write(); err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("error %v", err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	slack := []string{"SLACK_WEBHOOK_URL_FILE=DIR/slack"}
	const smtpTo, smtpFrom = "SMTP_TO=a@b.example", "SMTP_FROM=a@b.example"
	for name, tc := range map[string]struct {
		environ []string
		request amconfig.Request
		want    string
	}{
		"nobody": {
			nil,
			amconfig.Request{},
			"nobody would be told: set SLACK_WEBHOOK_URL_FILE, ALERT_EMAIL_WEBHOOK_FILE, or SMTP_HOST with " +
				"SMTP_FROM and SMTP_TO",
		},
		"no place for a secret": {
			[]string{"SLACK_WEBHOOK_URL=https://hooks.slack.example/CANARY"},
			amconfig.Request{},
			"SLACK_WEBHOOK_URL is given directly, and the configuration names secrets by file only: " +
				"name a file in SLACK_WEBHOOK_URL_FILE, or a directory to write it to in --secrets-dir",
		},
		"hook without a token": {
			slack,
			amconfig.Request{Hooks: []string{"https://spend.example"}},
			"the hook needs a token: set hard_cap.inbound_token_file (or web.admin_token_file), or --hook-token-file",
		},
		"hook token gone": {
			slack,
			amconfig.Request{Hooks: []string{"https://spend.example"}, HookToken: secret.FromFile("DIR/nothing")},
			"the token of the hook (hard_cap.inbound_token, web.admin_token or --hook-token-file): " +
				"reading secret file: open DIR/nothing: no such file or directory",
		},
		"hook that is no URL": {
			slack,
			amconfig.Request{Hooks: []string{"aispend:10099"}, HookToken: secret.FromFile("DIR/token")},
			"the URL of a hook needs scheme and host, such as http://aispend:10099",
		},
		"hook with a login": {
			slack,
			amconfig.Request{Hooks: []string{"https://u:CANARY@spend.example"}, HookToken: secret.FromFile("DIR/token")},
			"the URL of the hook on spend.example holds a login: it takes a token, see --hook-token-file",
		},
		"hook with a query": {
			slack,
			amconfig.Request{Hooks: []string{"https://spend.example?token=CANARY"}, HookToken: secret.FromFile("DIR/token")},
			"the URL of the hook on spend.example holds more than a path: it takes a token, see --hook-token-file",
		},
		"dead man's switch gone": {
			slack,
			amconfig.Request{DeadMansSwitch: secret.FromFile("DIR/nothing")},
			"--deadman-url-file: reading secret file: open DIR/nothing: no such file or directory",
		},
		"dead man's switch that is no URL": {
			slack,
			amconfig.Request{DeadMansSwitch: secret.FromFile("DIR/token")},
			"--deadman-url-file: the file holds no URL: write scheme and host, such as https://host/path",
		},
		"both twins": {
			append(slack, "SLACK_WEBHOOK_URL=https://x/CANARY"),
			amconfig.Request{},
			"environment: SLACK_WEBHOOK_URL: excludes SLACK_WEBHOOK_URL_FILE: set at most one of the two",
		},
		"no URL": {
			[]string{"SLACK_WEBHOOK_URL=CANARY"},
			amconfig.Request{},
			"environment: SLACK_WEBHOOK_URL: is not a URL: write scheme and host, such as https://host/path",
		},
		"plain HTTP": {
			[]string{"ALERT_EMAIL_WEBHOOK=http://mailer.example/CANARY"},
			amconfig.Request{},
			"environment: ALERT_EMAIL_WEBHOOK: must begin with https:// (http:// only for a loopback address)",
		},
		"file gone": {
			[]string{"SLACK_WEBHOOK_URL_FILE=DIR/nothing"},
			amconfig.Request{},
			"environment: SLACK_WEBHOOK_URL_FILE: DIR/nothing cannot be read: no such file or directory",
		},
		"unknown SMTP": {
			append(slack, "SMTP_SERVER=mail"),
			amconfig.Request{},
			"environment: SMTP_SERVER: is not known; known are SMTP_HOST, SMTP_PORT, SMTP_FROM, SMTP_TO, " +
				"SMTP_USERNAME, SMTP_USER, SMTP_PASSWORD, SMTP_PASS, SMTP_HELLO, SMTP_REQUIRE_TLS, SMTP_CA",
		},
		"SMTP without host": {
			append(slack, "SMTP_TO=a@b.example"),
			amconfig.Request{},
			"environment: SMTP_TO: has no effect without SMTP_HOST, the mail server",
		},
		"SMTP half": {
			[]string{"SMTP_HOST=mail", "SMTP_TO=a@b.example"},
			amconfig.Request{},
			"environment: SMTP_FROM: is missing: SMTP_HOST is set, and a mail needs SMTP_FROM and SMTP_TO",
		},
		"SMTP address": {
			[]string{"SMTP_HOST=mail", "SMTP_TO=finops", "SMTP_FROM=a@b.example"},
			amconfig.Request{},
			"environment: SMTP_TO: is not a mail address, or several with commas, such as spend@example.com",
		},
		"two senders": {
			[]string{"SMTP_HOST=mail", "SMTP_TO=a@b.example", "SMTP_FROM=a@b.example,c@d.example"},
			amconfig.Request{},
			"environment: SMTP_FROM: names 2 addresses: at most 1",
		},
		"SMTP port": {
			[]string{"SMTP_HOST=mail:smtp", smtpTo, smtpFrom},
			amconfig.Request{},
			"environment: SMTP_HOST: must name a port from 1 to 65535, such as 587",
		},
		"two ports": {
			[]string{"SMTP_HOST=mail:25", "SMTP_PORT=26", smtpTo, smtpFrom},
			amconfig.Request{},
			"environment: SMTP_PORT: is given, and a port in SMTP_HOST too: write it once",
		},
		"SMTP URL": {
			[]string{"SMTP_HOST=smtps://mail", smtpTo, smtpFrom},
			amconfig.Request{},
			"environment: SMTP_HOST: is not a host: write a name or an address without a scheme, such as " +
				"mail.example.com",
		},
		"login without word": {
			[]string{"SMTP_HOST=mail", smtpTo, smtpFrom, "SMTP_USER=u"},
			amconfig.Request{},
			"environment: SMTP_USERNAME, SMTP_PASSWORD: set both, or neither where no login is needed",
		},
		"two names": {
			[]string{"SMTP_HOST=mail", smtpTo, smtpFrom, "SMTP_USER=u", "SMTP_USERNAME=u", "SMTP_PASS=CANARY"},
			amconfig.Request{},
			"environment: SMTP_USERNAME: is the same as SMTP_USER: set one of the two",
		},
		"odd repeat": {
			slack,
			amconfig.Request{SoftRepeat: 5e9},
			"a soft cap is repeated every day or every hour, not every 5s",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := site(t)
			_, err := plan(t, dir, tc.environ, tc.request)
			if err == nil {
				t.Fatal("it was taken")
			}
			got := strings.ReplaceAll(err.Error(), dir, "DIR")
			if !strings.Contains("\n"+got+"\n", "\n"+tc.want+"\n") {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if strings.Contains(got, "CANARY") {
				t.Error("the error holds a secret")
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	dir := site(t)
	quiet := environments()["everything"]
	p, err := plan(t, dir, quiet.environ, quiet.request)
	if err != nil || len(p.Warnings) > 0 {
		t.Errorf("%q, %v", p.Warnings, err)
	}
	p, err = plan(t, dir, []string{
		"SMTP_HOST=mail", "SMTP_TO=a@b.example", "SMTP_FROM=a@b.example", "SMTP_USER=u", "SMTP_PASS_FILE=DIR/password",
		"SMTP_REQUIRE_TLS=no",
	}, amconfig.Request{})
	want := []string{"SMTP_REQUIRE_TLS is false", "no hard-cap hook", "no dead man's switch"}
	if err != nil || len(p.Warnings) != len(want) {
		t.Fatalf("%q, %v", p.Warnings, err)
	}
	for i, w := range want {
		if !strings.HasPrefix(p.Warnings[i], w) {
			t.Errorf("warning %q, want %q", p.Warnings[i], w)
		}
	}
}

func TestReceiversOfAnEmptyEnvironment(t *testing.T) {
	r, err := config.ReadReceivers([]string{"HOME=/root", "SMTP_HOST=", "SLACK_WEBHOOK_URL="})
	if err != nil || !r.None() {
		t.Errorf("%+v, %v", r, err)
	}
}
