package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/providers/vertex"
)

const vertexBlock = `providers:
  - type: vertex
    account: eu
    credentials: '{"type": "service_account", "private_key": "CANARY"}'
    bigquery:
      project: acme-billing
      dataset: billing
      table: gcp_billing_export_v1_01AAAA_BBBBBB_CCCCC1
      location: EU
      max_bytes_billed: 1TiB
      models: [{sku: 1127-99B9-1860, model: gemini-2.0-flash}]
    budget: {name: billingAccounts/01AAAA-BBBBBB-CCCCC1/budgets/b1, subscription: projects/acme-billing/subscriptions/ai-budget}
caps: [{scope: vertex, period: day, hard_usd: 5}]
`

func TestVertexBlock(t *testing.T) {
	c := parse(t, vertexBlock)
	p := c.Providers[0]
	s := p.Settings.(*vertex.Settings)
	if s.BigQuery.MaxBytesBilled != 1<<40 || s.BigQuery.Models[0].Model != "gemini-2.0-flash" || len(s.BigQuery.ServiceIDs) != 2 {
		t.Errorf("%+v", s.BigQuery)
	}
	got := map[string]config.SourceSettings{}
	for _, src := range p.Sources {
		got[src.Name] = c.ForSource(p, src)
	}
	const day = 24 * time.Hour
	want := map[string]config.SourceSettings{
		"vertex/bigquery": {Interval: time.Hour, Lookback: 40 * day, Timeout: 5 * time.Minute, MaxStaleness: 2 * day},
		"vertex/budget":   {Interval: 15 * time.Minute, Lookback: 7 * day, Timeout: 5 * time.Minute, MaxStaleness: 12 * time.Hour},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if p.BudgetOnly() || !p.Notified() || p.Counted() != s.Budget.Name {
		t.Errorf("budget only %v, notified %v, counted %q", p.BudgetOnly(), p.Notified(), p.Counted())
	}
	view, err := yaml.Marshal(c.Redacted())
	if err != nil || strings.Contains(string(view), canary) {
		t.Fatalf("%s %v", view, err)
	}
	for _, line := range []string{
		"credentials: <secret>", "max_bytes_billed: 1099511627776B", "table: gcp_billing_export_v1_01AAAA_BBBBBB_CCCCC1",
		"subscription: projects/acme-billing/subscriptions/ai-budget", "sku: 1127-99B9-1860", "service_pattern: ^Claude",
	} {
		if !strings.Contains(string(view), line) {
			t.Errorf("no %q in\n%s", line, view)
		}
	}
}

// What budgets alone can tell, and what of it counts.
func TestVertexBlockOfBudgets(t *testing.T) {
	const head = "providers:\n  - type: vertex\n    budget: {"
	const named = "name: billingAccounts/01AAAA-BBBBBB-CCCCC1/budgets/b1"
	const notified = "subscription: projects/acme-billing/subscriptions/ai-budget"
	const cap = "}\ncaps: [{scope: vertex, hard_usd: 5}]\n"
	const unfed = "testdata/aispend.yml:4: caps[0]: no enabled vertex block has bigquery or a budget with counts_as: vertex: " +
		"this cap cannot be evaluated and shows the gap budget_period"
	for _, tt := range []struct {
		text     string
		counted  bool
		notified bool
		warnings []string
	}{
		{head + named + ", " + notified + ", counts_as: vertex" + cap, true, true, nil},
		{head + named + ", " + notified + cap, false, true, []string{unfed}},
		{head + named + cap, false, false, []string{unfed}},
		{head + notified + cap, false, true, []string{unfed}},
		{head + "name: billingAccounts/01AAAA-BBBBBB-CCCCC1}\n", false, false, nil},
	} {
		loaded, err := config.Parse("testdata/aispend.yml", []byte(tt.text), fakeTypes())
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		p := loaded.Config.Providers[0]
		if !p.BudgetOnly() || (p.Counted() != "") != tt.counted || p.Notified() != tt.notified || len(p.Sources) != 1 {
			t.Errorf("%s: counted %q, notified %v, %d sources", tt.text, p.Counted(), p.Notified(), len(p.Sources))
		}
		if diff := cmp.Diff(tt.warnings, warnings(loaded.Warnings)); diff != "" {
			t.Errorf("%s: warnings (-want +got):\n%s", tt.text, diff)
		}
	}
}

// One service account may open several bills; one bill must not be read twice.
func TestVertexBlocksShareCredentials(t *testing.T) {
	block := func(account, table string) string {
		return "  - type: vertex\n    account: " + account + "\n    credentials: '{\"type\": \"service_account\"}'\n" +
			"    bigquery: {project: acme-billing, dataset: d, table: " + table + "}\n"
	}
	if c := parse(t, "providers:\n"+block("a", "t1")+block("b", "t2")); len(c.Providers) != 2 {
		t.Errorf("%d blocks", len(c.Providers))
	}
}

func TestVertexEnvironment(t *testing.T) {
	loaded, err := fromEnv(t, "ENABLE_VERTEX_BQ=true", "ENABLE_VERTEX_BILLING_API=true", `GCP_SA_JSON={"type":"service_account","private_key":"CANARY"}`,
		"GCP_BQ_PROJECT=acme-billing", "GCP_BQ_DATASET=billing", "GCP_BQ_TABLE=export", "GCP_BILLING_ACCOUNT_ID=01AAAA-BBBBBB-CCCCC1",
		"GCP_PUBSUB_SUBSCRIPTION=projects/acme-billing/subscriptions/ai-budget", "VERTEX_HARD_CAP=500")
	if err != nil {
		t.Fatal(err)
	}
	s := loaded.Config.Providers[0].Settings.(*vertex.Settings)
	if key, _ := s.Credentials.Get(); !strings.Contains(key, canary) || s.BigQuery.Table != "export" ||
		s.Budget.Name != "billingAccounts/01AAAA-BBBBBB-CCCCC1" || s.Budget.Subscription != "projects/acme-billing/subscriptions/ai-budget" {
		t.Errorf("%+v", s)
	}
	want := []string{"environment: GCP_SA_JSON: holds a secret that other processes may see: put it into a file and name that in GCP_SA_JSON_FILE instead"}
	if diff := cmp.Diff(want, warnings(loaded.Warnings)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	loaded, err = fromEnv(t, "ENABLE_VERTEX_BILLING_API=true", "GCP_BUDGET_NAME=billingAccounts/01AAAA-BBBBBB-CCCCC1/budgets/b1",
		"GCP_BILLING_ACCOUNT_ID=01AAAA-BBBBBB-CCCCC1", "GCP_BQ_TABLE=export")
	if err != nil {
		t.Fatal(err)
	}
	if s := loaded.Config.Providers[0].Settings.(*vertex.Settings); s.Budget.Name != "billingAccounts/01AAAA-BBBBBB-CCCCC1/budgets/b1" {
		t.Errorf("%+v", s.Budget)
	}
	want = []string{
		"environment: ENABLE_VERTEX_BILLING_API: has limits and no spend: the Budgets API does not tell what is spent; " +
			"connect the budget to a Pub/Sub topic and set GCP_PUBSUB_SUBSCRIPTION",
		"environment: GCP_BQ_TABLE: has no effect: set ENABLE_VERTEX_BQ=true",
	}
	if diff := cmp.Diff(want, warnings(loaded.Warnings)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}
