package config

import (
	"bytes"
	"fmt"
	"strconv"
	"text/template"
	"time"

	"github.com/aispend/aispend/providers"
)

// DemoOptions is what `aispend demo` knows about its own simulators. All fields
// but Caps, DashboardURL, Interval, the hook's and Google's are required.
type DemoOptions struct {
	OpenAIURL    string // base_url of the simulated API, on loopback
	OpenAIKey    string
	AnthropicURL string
	AnthropicKey string
	// GoogleURL serves BigQuery, Budgets and Pub/Sub; the rest names what is simulated there.
	GoogleURL         string
	VertexCredentials string // JSON of a service account
	VertexProject     string
	VertexDataset     string
	VertexTable       string
	VertexBudget      string
	Subscription      string
	AdminToken        string        // printed once by the demo
	HookURL           string        // of the sink that plays the user's own hard-cap hook; empty: a dry run
	HookSecret        string        // whsec_...
	Interval          time.Duration // between pulls; 0 means 15s
	// Caps are close to the simulated spend; the simulated world knows it.
	Caps []Cap
	// DashboardURL is where alerts lead to; empty for nowhere.
	DashboardURL string
	Types        map[string]providers.Type
}

// demoTemplate is the demo's configuration, written as a user would write it.
const demoTemplate = `
ingest: {interval: {{.Interval}}, lookback: 7d, initial_history: 90d, timeout: 1m}
metrics: {by_project: true}
web: {admin_token: {{q .AdminToken}}}
providers:
  - {type: openai, account: demo, base_url: {{q .OpenAIURL}}, api_key: {{q .OpenAIKey}}}
  - {type: anthropic, account: demo, base_url: {{q .AnthropicURL}}, api_key: {{q .AnthropicKey}}}
{{- with .GoogleURL}}
  - type: vertex
    account: demo
    interval: {{$.Interval}}
    credentials: {{q $.VertexCredentials}}
    bigquery: {project: {{q $.VertexProject}}, dataset: {{q $.VertexDataset}}, table: {{q $.VertexTable}}, base_url: {{q .}}}
    budget: {name: {{q $.VertexBudget}}, subscription: {{q $.Subscription}}, base_url: {{q .}}, pubsub_base_url: {{q .}}}
{{- end}}
hard_cap: {{"{"}}{{with .HookURL}}url: {{q .}}, secret: {{q $.HookSecret}}{{else}}dry_run: true{{end}}{{"}"}}
{{with .DashboardURL}}links: {dashboard_url: {{q .}}}
{{end}}`

// Demo returns the configuration of `aispend demo`: everything is in memory, no
// file and no environment variable is read, and nothing is sent anywhere.
func Demo(o DemoOptions) (*Config, error) {
	t, err := template.New("demo").Funcs(template.FuncMap{"q": strconv.Quote}).Parse(demoTemplate)
	if err != nil {
		return nil, fmt.Errorf("parsing the demo's configuration: %w", err)
	}
	if o.Interval == 0 {
		o.Interval = 15 * time.Second
	}
	var text bytes.Buffer
	if err := t.Execute(&text, o); err != nil {
		return nil, fmt.Errorf("writing the demo's configuration: %w", err)
	}
	loaded, err := Parse("demo", text.Bytes(), o.Types)
	if err != nil {
		return nil, fmt.Errorf("checking the demo's configuration: %w", err)
	}
	loaded.Config.Caps = o.Caps
	return loaded.Config, nil
}
