package amconfig_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/aispend/aispend/internal/amconfig"
	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/internal/secret"
)

// environments are those that users have, each with the configuration it leads to in
// testdata. DIR stands for a directory with the files that site writes.
func environments() map[string]struct {
	environ []string
	request amconfig.Request
} {
	smtp := []string{"SMTP_HOST=mail.example.com", "SMTP_FROM=aispend@example.com", "SMTP_TO=finops@example.com, oncall@example.com"}
	return map[string]struct {
		environ []string
		request amconfig.Request
	}{
		"original-worker": {
			[]string{
				"SLACK_WEBHOOK_URL=https://hooks.slack.example/services/CANARY-slack",
				"ALERT_EMAIL_WEBHOOK=https://mailer.example/CANARY-mailer",
			},
			amconfig.Request{
				Hooks: []string{"https://spend.example/"}, HookToken: secret.New("CANARY-admin"), SecretsDir: "DIR/secrets",
			},
		},
		"everything": {
			append(
				smtp, "SLACK_WEBHOOK_URL_FILE=DIR/slack", "ALERT_EMAIL_WEBHOOK_FILE=DIR/mailer", "SMTP_PORT=2525", "SMTP_USER=aispend",
				"SMTP_PASS_FILE=DIR/password", "SMTP_HELLO=spend.example.com", "SMTP_CA_FILE=DIR/ca.pem",
			),
			amconfig.Request{
				Hooks:     []string{"https://a.example:10099", "https://b.example/spend/webhook/hard-cap/"},
				HookToken: secret.FromFile("DIR/token"), DeadMansSwitch: secret.FromFile("DIR/deadman"), SoftRepeat: amconfig.Hourly,
			},
		},
		"slack-only": {[]string{"SLACK_WEBHOOK_URL_FILE=DIR/slack"}, amconfig.Request{}},
		"mail-only":  {append(smtp, "SMTP_PORT=465", "SMTP_USERNAME=u", "SMTP_PASSWORD=CANARY-password"), amconfig.Request{SecretsDir: "DIR/secrets"}},
		"rotation": {
			[]string{"SLACK_WEBHOOK_URL_FILE=DIR/slack"},
			amconfig.Request{Hooks: []string{"https://spend.example"}, HookToken: secret.FromFile("DIR/tokens"), SecretsDir: "DIR/secrets"},
		},
	}
}

// site writes the files of the environments.
func site(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"slack": "https://hooks.slack.example/services/CANARY-slack\n", "mailer": "https://mailer.example/CANARY-mailer\n",
		"password": "CANARY-password\n", "ca.pem": "-----BEGIN CERTIFICATE-----\n", "token": "CANARY-token\n",
		"tokens": "CANARY-newest\nCANARY-older\n", "deadman": "https://ping.example/CANARY-dead\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// plan plans one environment, with DIR replaced.
func plan(t *testing.T, dir string, environ []string, r amconfig.Request) (amconfig.Plan, error) {
	t.Helper()
	in := func(s string) string { return strings.ReplaceAll(s, "DIR", dir) }
	inFile := func(v *secret.Value) *secret.Value {
		if v.File() == "" {
			return v
		}
		return secret.FromFile(in(v.File()))
	}
	var env []string
	for _, kv := range environ {
		env = append(env, in(kv))
	}
	receivers, err := config.ReadReceivers(env)
	if err != nil {
		return amconfig.Plan{}, err
	}
	r.Receivers, r.SecretsDir, r.TemplatesDir = receivers, in(r.SecretsDir), "/etc/alertmanager/templates"
	r.HookToken, r.DeadMansSwitch = inFile(r.HookToken), inFile(r.DeadMansSwitch)
	return amconfig.NewPlan(r)
}

func TestConfigurations(t *testing.T) {
	for name, tc := range environments() {
		t.Run(name, func(t *testing.T) {
			dir := site(t)
			p, err := plan(t, dir, tc.environ, tc.request)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(p.Config), "CANARY") {
				t.Error("the configuration holds a secret")
			}
			golden(t, filepath.Join("testdata", name+".yml"), strings.ReplaceAll(string(p.Config), dir, "/DIR"))
			for _, s := range p.Secrets {
				if err := s.Write(); err != nil {
					t.Fatal(err)
				}
			}
			checkConfig(t, p.Config)
			checkFiles(t, p.Config)
		})
	}
}

// The example that is shipped is what the code says.
func TestReferenceConfiguration(t *testing.T) {
	b, err := amconfig.Render(amconfig.Reference())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "../../rules/alertmanager.yml", string(b))
	checkConfig(t, b)
}

// golden compares with a file, or writes it if AISPEND_UPDATE is set.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if os.Getenv("AISPEND_UPDATE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; AISPEND_UPDATE=1 writes it):\n%s", path, diff)
	}
}

// amtool returns the real amtool, or skips.
func amtool(t *testing.T) string {
	t.Helper()
	path := os.Getenv("AISPEND_AMTOOL")
	if path == "" {
		t.Skip("AISPEND_AMTOOL is not set: make test sets it to a pinned amtool")
	}
	return path
}

func configFile(t *testing.T, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "alertmanager.yml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func checkConfig(t *testing.T, text []byte) {
	t.Helper()
	out, err := exec.Command(amtool(t), "check-config", configFile(t, text)).CombinedOutput()
	if err != nil {
		t.Errorf("amtool check-config: %v\n%s\n%s", err, out, text)
	}
}

// checkFiles finds every key that names a file: amtool does not look whether it is
// absolute, and Alertmanager would look for it in its working directory.
func checkFiles(t *testing.T, text []byte) {
	t.Helper()
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		for i, c := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 0 && strings.HasSuffix(c.Value, "_file") {
				path := n.Content[i+1].Value
				b, err := os.ReadFile(path)
				if err != nil || !filepath.IsAbs(path) || len(b) == 0 {
					t.Errorf("%s names %q: %v", c.Value, path, err)
				}
				if c.Value == "credentials_file" && len(strings.Fields(string(b))) != 1 {
					t.Errorf("%s names a file with %d words; Alertmanager sends them all", c.Value, len(strings.Fields(string(b))))
				}
			}
			walk(c)
		}
	}
	walk(&root)
}

// An alert goes to exactly these receivers.
func TestRoutes(t *testing.T) {
	dir := site(t)
	tc := environments()["everything"]
	all, err := plan(t, dir, tc.environ, tc.request)
	if err != nil {
		t.Fatal(err)
	}
	reference, err := amconfig.Render(amconfig.Reference())
	if err != nil {
		t.Fatal(err)
	}
	const hook, caps, health = amconfig.ReceiverHook, amconfig.ReceiverCaps, amconfig.ReceiverHealth
	for _, tc := range []struct{ alert, live, reference string }{
		{"alertname=AISpendCapReached level=hard severity=critical scope=openai period=month job=aispend", hook + "," + caps, hook + "," + caps},
		{"alertname=AISpendCapReached level=soft severity=warning scope=openai period=month job=aispend", caps, caps},
		{"alertname=AISpendTest test=true test_id=1 level=hard severity=critical scope=test", caps, caps},
		{"alertname=AISpendTest test=true test_id=1 level=soft severity=warning scope=test", caps, caps},
		// Even an alert that says it is a real one, and a test.
		{"alertname=AISpendCapReached test=true level=hard severity=critical scope=openai period=month", caps, caps},
		{"alertname=AISpendCapForecast severity=warning scope=openai period=month job=aispend", health, health},
		{"alertname=AISpendHardCapNotActioned severity=critical scope=openai period=month job=aispend", health, health},
		{"alertname=AISpendDataStale severity=critical provider=openai account=acme source=openai/costs job=aispend", health, health},
		{"alertname=AISpendExporterDown severity=critical job=aispend", health, health},
		{"alertname=AISpendWatchdog severity=none job=aispend", amconfig.ReceiverDead, amconfig.ReceiverNobody},
	} {
		for _, c := range []struct {
			name string
			text []byte
			want string
		}{{"live", all.Config, tc.live}, {"reference", reference, tc.reference}} {
			args := append([]string{
				"config", "routes", "test", "--config.file=" + configFile(t, c.text), "--verify.receivers=" + c.want,
			}, strings.Fields(tc.alert)...)
			if out, err := exec.Command(amtool(t), args...).CombinedOutput(); err != nil {
				t.Errorf("%s, %s: %v, want %s\n%s", c.name, tc.alert, err, c.want, out)
			}
		}
	}
}

// document is as much of a configuration as the tests look at.
type document struct {
	Route     map[string]any
	Receivers []struct {
		Name     string
		Slack    []map[string]any `yaml:"slack_configs"`
		Email    []map[string]any `yaml:"email_configs"`
		Webhooks []struct {
			URL          string
			URLFile      string `yaml:"url_file"`
			SendResolved bool   `yaml:"send_resolved"`
			Payload      map[string]string
			HTTP         struct {
				Authorization   map[string]string
				FollowRedirects *bool `yaml:"follow_redirects"`
			} `yaml:"http_config"`
		} `yaml:"webhook_configs"`
	}
}

func TestReceivers(t *testing.T) {
	tc := environments()["everything"]
	p, err := plan(t, site(t), tc.environ, tc.request)
	if err != nil {
		t.Fatal(err)
	}
	var doc document
	if err := yaml.Unmarshal(p.Config, &doc); err != nil {
		t.Fatal(err)
	}
	var urls []string
	for _, r := range doc.Receivers {
		switch r.Name {
		case amconfig.ReceiverCaps, amconfig.ReceiverHealth:
			if len(r.Slack) != 1 || len(r.Email) != 1 || len(r.Webhooks) != 1 {
				t.Errorf("%s: %d Slack, %d mail, %d webhooks", r.Name, len(r.Slack), len(r.Email), len(r.Webhooks))
				continue
			}
			if keys := sorted(r.Webhooks[0].Payload); !cmp.Equal(keys, []string{"html", "subject", "text"}) {
				t.Errorf("the body of ALERT_EMAIL_WEBHOOK has %q", keys)
			}
		case amconfig.ReceiverHook:
			for _, w := range r.Webhooks {
				urls = append(urls, w.URL)
				if w.SendResolved || w.HTTP.FollowRedirects == nil || *w.HTTP.FollowRedirects ||
					w.HTTP.Authorization["credentials_file"] == "" || w.Payload != nil {
					t.Errorf("hook %+v", w)
				}
			}
		}
	}
	want := []string{"https://a.example:10099/webhook/hard-cap", "https://b.example/spend/webhook/hard-cap"}
	if diff := cmp.Diff(want, urls); diff != "" {
		t.Errorf("replicas (-want +got):\n%s", diff)
	}
}

func sorted(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
