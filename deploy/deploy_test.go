// Package deploy_test checks what this directory ships for Prometheus and
// Alertmanager. The nested module test/stack checks docker-compose.yml.
package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/amconfig"
)

// demoSettings are the receivers of the demo stack: the mail catcher and the Slack
// sink in its network namespace, and nothing else. The demo's own hook is a sink inside it.
func demoSettings() amconfig.Settings {
	return amconfig.Settings{
		SlackURL:     "http://127.0.0.1:8060/services/demo",
		SMTP:         &amconfig.SMTP{Smarthost: "127.0.0.1:1025", From: "aispend@demo.example", To: "oncall@demo.example"},
		TemplatesDir: "/etc/alertmanager/templates",
	}
}

// TestDemoAlertmanager: the demo's Alertmanager has the routes of everybody's.
func TestDemoAlertmanager(t *testing.T) {
	want, err := amconfig.Render(demoSettings())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("alertmanager", "demo.yml")
	if os.Getenv("AISPEND_UPDATE") != "" {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s is not what the settings give; AISPEND_UPDATE=1 writes it anew (-want +got):\n%s", file, d)
	}
	for _, url := range regexp.MustCompile(`https?://([^/\s"'{]+)`).FindAllStringSubmatch(string(got), -1) {
		if !strings.HasPrefix(url[1], "127.0.0.1:") {
			t.Errorf("the demo would speak to %s", url[1])
		}
	}
	if tool := os.Getenv("AISPEND_AMTOOL"); tool != "" {
		run(t, tool, "check-config", file)
	}
}

// TestPrometheusConfigs: promtool accepts both configurations with the rules where
// docker-compose.yml mounts them.
func TestPrometheusConfigs(t *testing.T) {
	tool := os.Getenv("AISPEND_PROMTOOL")
	if tool == "" {
		t.Skip("AISPEND_PROMTOOL names no promtool binary: make test sets it")
	}
	rules, err := filepath.Abs("../rules")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"demo.yml", "live.yml"} {
		dir := t.TempDir()
		if err := os.Symlink(rules, filepath.Join(dir, "rules")); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join("prometheus", name))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "prometheus.yml")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		out := run(t, tool, "check", "config", "--lint=all", "--lint-fatal", file)
		if n := strings.Count(out, "rules found"); n != 2 {
			t.Errorf("%s: %d rule files found, want those of the caps and of the health:\n%s", name, n, out)
		}
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return string(out)
}
