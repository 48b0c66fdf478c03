package stack_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// TestLiveStack follows docs/stack.md: aispend accepts its configuration, writes
// the one of Alertmanager from it, and Alertmanager is given every file named there.
func TestLiveStack(t *testing.T) {
	programs := build(t, "./cmd/aispend")
	home := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("aispend.yml", snippet(t, "aispend.yml"))
	for _, name := range []string{"admin-token", "openai-admin-key", "anthropic-admin-key", "alertmanager/hook-token", "alertmanager/smtp-password"} {
		write("secrets/"+name, "made-up-for-this-test-"+filepath.Base(name))
	}
	write("secrets/alertmanager/slack-url", "https://hooks.slack.example/services/made-up")
	given := map[string]string{"/etc/aispend/aispend.yml": filepath.Join(home, "aispend.yml"), "/etc/aispend/secrets": filepath.Join(home, "secrets")}

	dir := t.TempDir()
	live := load(t, "live").Services
	turn := place(t, live["aispend"], dir, given)
	aispend := func(s types.ServiceConfig, env []string, args ...string) string {
		t.Helper()
		for i := range args {
			args[i] = turn.Replace(args[i])
		}
		cmd := exec.Command(filepath.Join(programs, "aispend"), args...)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr, cmd.Env, cmd.Dir = &out, &errs, env, t.TempDir()
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: aispend %v: %v\n%s", s.Name, args, err, &errs)
		}
		return out.String()
	}
	if out := aispend(live["aispend"], nil, "check", "--config-only", "--config.file=/etc/aispend/aispend.yml"); !strings.Contains(out, "providers enabled: 2 of 2") {
		t.Errorf("aispend check says %q", out)
	}

	var env []string
	for line := range strings.Lines(snippet(t, "alertmanager.env")) {
		if !strings.HasPrefix(line, "#") {
			env = append(env, turn.Replace(strings.TrimSpace(line)))
		}
	}
	generator := load(t, "tools").Services["alertmanager-config"]
	config := strings.ReplaceAll(aispend(generator, env, generator.Command...), dir, "")
	for _, want := range []string{"smarthost: smtp.example.com:587", "url: http://aispend:10099/webhook/hard-cap", "/etc/alertmanager/templates/*.tmpl"} {
		if !strings.Contains(config, want) {
			t.Errorf("the configuration lacks %s:\n%s", want, config)
		}
	}
	write("secrets/../alertmanager.yml", config)

	// As Alertmanager sees it.
	dir = t.TempDir()
	place(t, live["alertmanager"], dir, map[string]string{
		"/etc/alertmanager/alertmanager.yml": filepath.Join(home, "alertmanager.yml"),
		"/etc/aispend/secrets/alertmanager":  filepath.Join(home, "secrets", "alertmanager"),
	})
	files := regexp.MustCompile(`_file: '?(/[^\s']+)`).FindAllStringSubmatch(config, -1)
	if len(files) != 3 {
		t.Errorf("%d files named, want Slack's URL, the mail server's password and the hook's token:\n%s", len(files), config)
	}
	for _, f := range files {
		if _, err := os.Stat(dir + f[1]); err != nil {
			t.Errorf("Alertmanager is not given %s: %v", f[1], err)
		}
	}
	if tool := os.Getenv("AISPEND_AMTOOL"); tool != "" {
		out, err := exec.Command(tool, "check-config", filepath.Join(dir, "/etc/alertmanager/alertmanager.yml")).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "2 templates") && !strings.Contains(string(out), "1 templates") {
			t.Errorf("amtool: %v\n%s", err, out)
		}
	}
}
