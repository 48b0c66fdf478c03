package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/providers/registry"
	"github.com/aispend/aispend/spend"
)

func demoOptions() config.DemoOptions {
	return config.DemoOptions{
		OpenAIURL: "http://127.0.0.1:1", OpenAIKey: "sk-admin-CANARY", AnthropicURL: "http://127.0.0.1:2",
		AnthropicKey: "sk-ant-admin-CANARY:#\"{{q}}\\", AdminToken: "CANARY-token", Types: registry.Types(),
		Caps: []config.Cap{{Scope: "global", Period: "month", Cost: "net", Hard: spend.MustMoney("5")}},
	}
}

func TestDemo(t *testing.T) {
	// Nothing of the environment may reach the demo.
	for _, v := range config.Variables() {
		t.Setenv(strings.TrimSuffix(v.Name, "*"), canary)
	}
	o := demoOptions()
	c, err := config.Demo(o)
	if err != nil {
		t.Fatal(err)
	}
	if c.Ingest.Interval != 15*time.Second || !c.Metrics.ByProject || c.Storage != config.Default().Storage ||
		c.Ingest.InitialHistory != 90*day || !c.HardCap.DryRun || c.HardCap.URL.Set() || len(c.Alertmanager.URLs) > 0 {
		t.Errorf("config: %+v", c)
	}
	if diff := cmp.Diff(o.Caps, c.Caps); diff != "" {
		t.Errorf("caps (-want +got):\n%s", diff)
	}
	if tokens, err := c.AdminTokens(); err != nil || !cmp.Equal(tokens, []string{o.AdminToken}) {
		t.Errorf("%d tokens, %v", len(tokens), err)
	}
	for i, want := range []string{o.OpenAIKey, o.AnthropicKey} {
		if key, err := c.Providers[i].Settings.Credential().Get(); key != want || err != nil {
			t.Errorf("key of block %d does not arrive: %v", i, err)
		}
	}
}

func TestDemoDashboard(t *testing.T) {
	for _, url := range []string{"", "http://127.0.0.1:3000/d/aispend-caps?a=\"b\": c"} {
		o := demoOptions()
		o.DashboardURL = url
		if c, err := config.Demo(o); err != nil || c.Links.DashboardURL != url || c.Links.ExternalURL != "" {
			t.Errorf("%q: %+v, %v", url, c, err)
		}
	}
	o := demoOptions()
	o.DashboardURL = "javascript:alert(1)"
	if _, err := config.Demo(o); err == nil || !strings.Contains(err.Error(), "links.dashboard_url") {
		t.Errorf("error = %v", err)
	}
}

func TestDemoRefusesBadOptions(t *testing.T) {
	o := demoOptions()
	o.OpenAIURL = "ftp://127.0.0.1"
	if _, err := config.Demo(o); err == nil || !strings.Contains(err.Error(), "providers[0].base_url") {
		t.Errorf("error = %v", err)
	}
}
