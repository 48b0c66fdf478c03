package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/spend"
)

// fromEnv loads without a file, in an empty directory.
func fromEnv(t *testing.T, environ ...string) (*config.Loaded, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	return config.Load(config.Options{Path: "aispend.yml", Environ: environ, Types: fakeTypes()})
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEnvironmentOfTheOriginalWorker(t *testing.T) {
	token := write(t, "token", "CANARY-token\n")
	hardCap := write(t, "cap", " 1000.50\n")
	loaded, err := fromEnv(t,
		"PATH=/bin", "ENABLE_OPENAI=TRUE", "OPENAI_API_KEY=sk-CANARY", "OPENAI_ORG_ID=org-1", "OPENAI_PROJECT_ID=proj_1",
		"ENABLE_ANTHROPIC=1", "ANTHROPIC_API_KEY=sk-ant-CANARY", "ANTHROPIC_ORG_ID=", "ENABLE_VERTEX_BQ=false", "GCP_BQ_PROJECT=p",
		"ADMIN_TOKEN_FILE="+token, "CRON_LOOKBACK_HOURS=49", "OPENAI_SOFT_CAP=500", "OPENAI_HARD_CAP_FILE="+hardCap,
		"ANTHROPIC_SOFT_CAP=0", "ANTHROPIC_HARD_CAP=", "GLOBAL_HARD_CAP=2000",
		"VERTEX_SOFT_CAP= ", "VERTEX_HARD_CAP_FILE="+write(t, "none", "\n"),
		"ALERTMANAGER_URL=http://a:9093, http://b:9093", "ON_HARDCAP_WEBHOOK=https://hooks.example.com/CANARY",
	)
	if err != nil {
		t.Fatal(err)
	}
	c := loaded.Config
	if loaded.Source != "environment" || len(loaded.SHA256) != 64 {
		t.Errorf("source %q, digest %q", loaded.Source, loaded.SHA256)
	}
	if c.Ingest.Lookback != 3*24*time.Hour {
		t.Errorf("lookback = %v, want 49 hours in whole days", c.Ingest.Lookback)
	}
	wantCaps := []config.Cap{
		{Scope: "openai", Period: "month", Cost: "net", Soft: spend.MustMoney("500"), Hard: spend.MustMoney("1000.5")},
		{Scope: "anthropic", Period: "month", Cost: "net"},
		{Scope: "global", Period: "month", Cost: "net", Hard: spend.MustMoney("2000")},
	}
	if diff := cmp.Diff(wantCaps, c.Caps); diff != "" {
		t.Errorf("caps (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"http://a:9093", "http://b:9093"}, c.Alertmanager.URLs); diff != "" {
		t.Errorf("alertmanager (-want +got):\n%s", diff)
	}
	if tokens, err := c.AdminTokens(); err != nil || !cmp.Equal(tokens, []string{"CANARY-token"}) {
		t.Errorf("admin tokens: %d, %v", len(tokens), err)
	}
	if got, _ := c.HardCap.URL.Get(); got != "https://hooks.example.com/CANARY" {
		t.Error("the hook's URL did not arrive")
	}
	wantBlocks(t, c)
}

func wantBlocks(t *testing.T, c *config.Config) {
	t.Helper()
	if len(c.Providers) != 2 || c.Providers[0].Type != "openai" || c.Providers[1].Type != "anthropic" {
		t.Fatalf("providers: %+v", c.Providers)
	}
	s := c.Providers[0].Settings.(*fakeSettings)
	if key, _ := s.APIKey.Get(); key != "sk-CANARY" {
		t.Error("the key did not arrive")
	}
	if s.Organization != "org-1" || !cmp.Equal(s.ProjectIDs, []string{"proj_1"}) || c.Providers[0].Account != "default" {
		t.Errorf("openai block: %+v", s)
	}
}

func TestEnvironmentErrors(t *testing.T) {
	file := write(t, "key", "sk-CANARY-file\n")
	none := "ENABLE_OPENAI, ENABLE_ANTHROPIC, ENABLE_VERTEX_BQ, ENABLE_VERTEX_BILLING_API: none is true and there is no file aispend.yml, so there is nothing to read: " +
		"write that file (start from docs/example.yml), or see it work without any key: aispend demo"
	openai := []string{"ENABLE_OPENAI=true", "OPENAI_API_KEY=sk-CANARY"}
	tests := map[string]struct {
		environ []string
		want    string
	}{
		"nothing":           {nil, none},
		"nothing we know":   {[]string{"HOME=/root", "OPENAI_MODEL=x"}, none},
		"key and no switch": {[]string{"OPENAI_API_KEY=sk-CANARY"}, none},
		"no key": {
			[]string{"ENABLE_OPENAI=true"},
			"ENABLE_OPENAI: is true and there is no key: set OPENAI_API_KEY_FILE to a file that holds an admin key, or OPENAI_API_KEY",
		},
		"no key of the other": {
			append(openai, "ENABLE_ANTHROPIC=yes"),
			"ENABLE_ANTHROPIC: is true and there is no key: set ANTHROPIC_API_KEY_FILE to a file that holds an admin key, or ANTHROPIC_API_KEY",
		},
		"both twins": {
			append(openai, "OPENAI_API_KEY_FILE="+file),
			"OPENAI_API_KEY: excludes OPENAI_API_KEY_FILE: set at most one of the two",
		},
		"both twins of a setting": {
			append(openai, "OPENAI_ORG_ID=org-1", "OPENAI_ORG_ID_FILE="+file),
			"OPENAI_ORG_ID: excludes OPENAI_ORG_ID_FILE: set at most one of the two",
		},
		"key file missing": {
			[]string{"ENABLE_OPENAI=true", "OPENAI_API_KEY_FILE=/nowhere/key"},
			"OPENAI_API_KEY_FILE: /nowhere/key cannot be read: no such file or directory",
		},
		"setting file missing": {
			append(openai, "OPENAI_SOFT_CAP_FILE=/nowhere/cap"),
			"OPENAI_SOFT_CAP_FILE: /nowhere/cap cannot be read: no such file or directory",
		},
		"vertex billing": {
			append(openai, "ENABLE_VERTEX_BILLING_API=true"),
			"ENABLE_VERTEX_BILLING_API: is true and nothing names a budget: set GCP_BUDGET_NAME (billingAccounts/A/budgets/B), " +
				"GCP_BILLING_ACCOUNT_ID or GCP_PUBSUB_SUBSCRIPTION",
		},
		"vertex bigquery alone": {
			[]string{"ENABLE_VERTEX_BQ=on", "GCP_BQ_TABLE=t"},
			"ENABLE_VERTEX_BQ: is true and the export has no name: set GCP_BQ_PROJECT, GCP_BQ_DATASET",
		},
		"vertex credentials twice": {
			append(openai, "ENABLE_VERTEX_BILLING_API=1", "GCP_BILLING_ACCOUNT_ID=01AAAA-BBBBBB-CCCCC1", "GCP_SA_JSON={}", "GCP_SA_JSON_FILE="+file),
			"GCP_SA_JSON: excludes GCP_SA_JSON_FILE: set at most one of the two",
		},
		"vertex table": {
			append(openai, "ENABLE_VERTEX_BQ=1", "GCP_BQ_PROJECT=acme-billing", "GCP_BQ_DATASET=b", "GCP_BQ_TABLE=a-b"),
			"ENABLE_VERTEX_BQ: the table must be a BigQuery table id such as gcp_billing_export_v1_01AAAA_BBBBBB_CCCCCC",
		},
		"switch":        {append(openai, "ENABLE_ANTHROPIC=maybe"), "ENABLE_ANTHROPIC: must be true or false"},
		"negative cap":  {append(openai, "OPENAI_SOFT_CAP=-1"), `OPENAI_SOFT_CAP: "-1" is negative: write a positive amount, or 0 for none`},
		"odd cap":       {append(openai, "VERTEX_HARD_CAP=1k"), `VERTEX_HARD_CAP: "1k" is not an amount: write plain US dollars such as 500 or 49.99, or 0 for none`},
		"soft above":    {append(openai, "GLOBAL_SOFT_CAP=6", "GLOBAL_HARD_CAP=5"), "GLOBAL_SOFT_CAP: 6 is above hard_usd (5): the soft level warns first, so it cannot be the higher one"},
		"zero lookback": {append(openai, "CRON_LOOKBACK_HOURS=0"), "CRON_LOOKBACK_HOURS: must be a whole number of hours, from 1 to 87600"},
		"long lookback": {append(openai, "CRON_LOOKBACK_HOURS=24000"), "CRON_LOOKBACK_HOURS: 1000d is longer than storage.history (800d): shorten the one or lengthen the other"},
		"plain hook":    {append(openai, "ON_HARDCAP_WEBHOOK=http://hooks.example.com/CANARY"), "ON_HARDCAP_WEBHOOK: must begin with https:// (http:// only for a loopback address)"},
		"hook secret":   {append(openai, "ON_HARDCAP_WEBHOOK_SECRET=CANARY"), "ON_HARDCAP_WEBHOOK_SECRET: is not a Standard Webhooks secret: whsec_ and the base64 form of 24 to 64 random bytes; make one with echo whsec_$(openssl rand -base64 32)"},
		"alertmanager":  {append(openai, "ALERTMANAGER_URL=alertmanager:9093"), "ALERTMANAGER_URL: is not a URL: write scheme and host, such as http://host:port"},
		"two at once": {
			append(openai, "ENABLE_VERTEX_BQ=1", "OPENAI_SOFT_CAP=x"),
			"ENABLE_VERTEX_BQ: is true and the export has no name: set GCP_BQ_PROJECT, GCP_BQ_DATASET, GCP_BQ_TABLE\n" +
				`environment: OPENAI_SOFT_CAP: "x" is not an amount: write plain US dollars such as 500 or 49.99, or 0 for none`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := fromEnv(t, tt.environ...)
			if err == nil {
				t.Fatal("loaded without an error")
			}
			if diff := cmp.Diff("environment: "+tt.want, err.Error()); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if strings.Contains(err.Error(), canary) {
				t.Error("the message holds a secret")
			}
		})
	}
}

func TestEnvironmentWarnings(t *testing.T) {
	loaded, err := fromEnv(t, "ENABLE_OPENAI=true", "OPENAI_API_KEY=sk-CANARY", "ADMIN_TOKEN=CANARY", "ANTHROPIC_API_KEY=sk-CANARY",
		"ANTHROPIC_ORG_ID=org", "SLACK_WEBHOOK_URL=https://hooks.example.com/CANARY", "SMTP_HOST=mail", "SMTP_PASSWORD_FILE=/x",
		"VERTEX_HARD_CAP=5", "ON_HARDCAP_WEBHOOK=https://hooks.example.com/CANARY")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"environment: VERTEX_HARD_CAP: no enabled provider of type vertex feeds this cap: it cannot be evaluated",
		"environment: ON_HARDCAP_WEBHOOK: deliveries will not be signed: make a secret with echo whsec_$(openssl rand -base64 32) and name its file in ON_HARDCAP_WEBHOOK_SECRET_FILE",
		"environment: ADMIN_TOKEN, ANTHROPIC_API_KEY, ON_HARDCAP_WEBHOOK, OPENAI_API_KEY: holds a secret that other processes may see: put it into a file and name that in ADMIN_TOKEN_FILE, ANTHROPIC_API_KEY_FILE, ON_HARDCAP_WEBHOOK_FILE, OPENAI_API_KEY_FILE instead",
		"environment: SLACK_WEBHOOK_URL, SMTP_HOST, SMTP_PASSWORD_FILE: has no effect on the daemon: Alertmanager sends the messages; " +
			"write its configuration with aispend alertmanager-config, which reads them",
		"environment: ANTHROPIC_ORG_ID: has no effect: an admin key belongs to one organisation already",
		"environment: ANTHROPIC_API_KEY: has no effect: set ENABLE_ANTHROPIC=true",
	}
	if diff := cmp.Diff(want, warnings(loaded.Warnings)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestFileBeatsEnvironment(t *testing.T) {
	path := write(t, "aispend.yml", "providers: [{type: openai, api_key: sk-CANARY-a}]\n")
	environ := []string{"ENABLE_ANTHROPIC=true", "ANTHROPIC_API_KEY=sk-CANARY", "SMTP_HOST=mail", "OPENAI_ORG_ID=", "HOME=/root"}
	loaded, err := config.Load(config.Options{Path: path, Environ: environ, Types: fakeTypes()})
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded.Config.Providers) != 1 || loaded.Config.Providers[0].Type != "openai" {
		t.Errorf("providers: %+v", loaded.Config.Providers)
	}
	want := []string{"environment: ANTHROPIC_API_KEY, ENABLE_ANTHROPIC: ignored, because " + path +
		" exists: move the settings into the file, or unset the variables"}
	if diff := cmp.Diff(want, warnings(loaded.Warnings)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}
