package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const hookToken = "hook-token-of-the-e2e-tests"

// writeReceivers writes the configuration of Alertmanager in the way of a live
// installation: with aispend alertmanager-config, out of the environment.
func (s *stack) writeReceivers(dir string) {
	s.t.Helper()
	s.write(dir, "hook.token", hookToken)
	s.write(dir, "ca.pem", s.mail.ca)
	s.write(dir, "deadman.url", s.deadman.server.URL)
	args := []string{
		"alertmanager-config",
		"--output=" + filepath.Join(dir, "alertmanager.yml"), "--secrets-dir=" + filepath.Join(dir, "secrets"),
		"--hook-token-file=" + filepath.Join(dir, "hook.token"),
		"--deadman-url-file=" + filepath.Join(dir, "deadman.url"),
	}
	for _, r := range s.replicas {
		args = append(args, "--hook-url="+r.url())
	}
	cmd := exec.Command(programs.aispend, args...)
	cmd.Env = []string{
		"SLACK_WEBHOOK_URL=" + s.slack.url(), "ALERT_EMAIL_WEBHOOK=" + s.mailer.server.URL,
		"SMTP_HOST=" + s.mail.addr, "SMTP_FROM=aispend@example.com", "SMTP_TO=" + onCall,
		"SMTP_USERNAME=" + mailUser, "SMTP_PASSWORD=" + mailPassword, "SMTP_CA_FILE=" + filepath.Join(dir, "ca.pem"),
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("aispend alertmanager-config: %v\n%s", err, out)
	}
}

// writeShippedReceivers takes rules/alertmanager.yml and changes nothing but the
// addresses and paths, which are those of the demo's containers.
func (s *stack) writeShippedReceivers(dir string) {
	s.t.Helper()
	s.write(dir, "hook.token", hookToken)
	text := string(s.read(filepath.Join(rulesDir, "alertmanager.yml")))
	templates, err := filepath.Abs(filepath.Join(rulesDir, "templates"))
	if err != nil {
		s.t.Fatal(err)
	}
	for old, place := range map[string]string{
		"http://slack:8080/services/demo":      s.slack.url(),
		"mail:1025":                            s.mail.addr,
		"oncall@demo.example":                  onCall,
		"/etc/alertmanager/templates":          templates,
		"http://aispend:10099":                 s.replicas[0].url(),
		"/etc/alertmanager/secrets/hook_token": filepath.Join(dir, "hook.token"),
	} {
		if !strings.Contains(text, old) {
			s.t.Errorf("rules/alertmanager.yml has no %s", old)
		}
		text = strings.ReplaceAll(text, old, place)
	}
	s.write(dir, "alertmanager.yml", text)
}

func (s *stack) write(dir, name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stack) read(path string) []byte {
	s.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// keepMessages leaves among the artifacts what people got (go test -artifacts).
func (s *stack) keepMessages() {
	for i, m := range s.slack.all() {
		s.write(s.dir, fmt.Sprintf("slack-%02d.json", i), string(m.Raw))
	}
	for i, l := range s.mail.all() {
		s.write(s.dir, fmt.Sprintf("mail-%02d.html", i), l.HTML)
		s.write(s.dir, fmt.Sprintf("mail-%02d.txt", i), l.Subject+"\n\n"+l.Text)
	}
}

// checkDelivery requires that no sink had to complain and that no text shows a
// template that went wrong.
func (s *stack) checkDelivery() {
	s.t.Helper()
	for _, complaint := range slices.Concat(
		s.slack.complaints(), s.mail.complaints(), s.mailer.complaints(), s.deadman.complaints(), s.hook.Complaints(),
	) {
		s.t.Error(complaint)
	}
	for _, r := range s.replicas {
		for _, complaint := range r.tap.complaints() {
			s.t.Error(complaint)
		}
	}
	for _, m := range s.slack.all() {
		if word := templateError(m.words()); word != "" {
			s.t.Errorf("a Slack message has %q:\n%s", word, m.words())
		}
	}
	for _, c := range s.mailer.all() {
		if word := templateError(c.Subject + c.Text + c.HTML); word != "" {
			s.t.Errorf("ALERT_EMAIL_WEBHOOK got %q: %+v", word, c)
		}
	}
	for _, l := range s.mail.all() {
		for _, text := range []string{l.Subject, l.Text, l.HTML} {
			if word := templateError(text); word != "" {
				s.t.Errorf("the mail %q has %q:\n%s", l.Subject, word, text)
			}
		}
		if strings.Join(l.To, ",") != onCall {
			s.t.Errorf("mail to %v, want %s", l.To, onCall)
		}
	}
}
