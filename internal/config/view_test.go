package config_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/internal/secret"
)

func TestRedacted(t *testing.T) {
	got, err := yaml.Marshal(parse(t, everything).Redacted())
	if err != nil {
		t.Fatal(err)
	}
	const want = `storage:
    raw_retention: 7d
    history: 900d
ingest:
    interval: 20m
    lookback: 10d
    initial_history: 120d
    timeout: 1m30s
metrics:
    daily_window: "0"
    max_series: 5
    by_project: true
web:
    admin_token_file: testdata/secrets/tokens
    read_token: <secret>
    metrics_open: true
providers:
    - account: acme
      api_key_file: testdata/secrets/one
      base_url: https://api.example.com
      enabled: true
      export:
        dry: true
        key_file: testdata/secrets/two
        pause: 3s
        rows: 7
      interval: 1h
      lookback: 3d
      max_staleness: 36h
      organization: org-1
      previous_names:
        - default
        - old
      project_ids:
        - proj_1
        - proj_2
      proxy_url: http://proxy.example.com:3128
      sources:
        openai/costs:
            interval: 1h
            lookback: 3d
            max_staleness: 36h
            timeout: 2m
        openai/usage:
            interval: 1h
            lookback: 3d
            max_staleness: 36h
            timeout: 2m
      timeout: 2m
      type: openai
    - account: default
      api_key: <secret>
      base_url: https://api.example.com
      enabled: false
      export:
        pause: "0"
      project_ids:
        - proj_1
        - proj_2
      sources:
        anthropic/costs:
            interval: 20m
            lookback: 10d
            max_staleness: 6h
            timeout: 1m30s
        anthropic/usage:
            interval: 1h
            lookback: 40d
            max_staleness: 2d
            timeout: 1m30s
      type: anthropic
retired_accounts:
    - openai/gone
    - vertex/gone
caps:
    - scope: openai
      period: month
      cost: net
      soft_usd: "0.1"
      hard_usd: "99.999999999999999999"
    - scope: global
      period: week
      cost: gross
      hard_usd: "1000"
    - scope: research
      period: day
      cost: net
      hard_usd: "50"
      match:
        provider: openai
        account: acme
        project: proj_1
        model: gpt-5*
    - scope: vertex
      period: month
      cost: net
alertmanager:
    urls:
        - http://localhost:9093
links:
    external_url: https://aispend.example.com
    dashboard_url: http://grafana/d/x
hard_cap:
    url: 127.0.0.1:9
    secret: <secret>
    inbound_token: <secret>
    dry_run: true
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("view (-want +got):\n%s", diff)
	}
}

func TestRedactedJSONKeepsDigitsAndEmptyLists(t *testing.T) {
	b, err := json.Marshal(parse(t, everything).Redacted())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `"hard_usd":99.999999999999999999`) {
		t.Errorf("an amount lost its digits: %s", b)
	}
	b, err = json.Marshal(config.Default().Redacted())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "null") {
		t.Errorf("an empty list is null: %s", b)
	}
}

// secretKeys returns the keys of every secret of a struct, by reflection, so that
// a new one cannot be forgotten by the test below.
func secretKeys(t reflect.Type, prefix string) []string {
	var keys []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case f.Type == reflect.TypeFor[*secret.Value]():
			keys = append(keys, prefix+name)
		case f.Type.Kind() == reflect.Struct:
			keys = append(keys, secretKeys(f.Type, prefix+name+".")...)
		}
	}
	return keys
}

func TestNoSecretComesOut(t *testing.T) {
	keys := append(secretKeys(reflect.TypeFor[config.Config](), ""), secretKeys(reflect.TypeFor[config.Provider](), "provider.")...)
	keys = append(keys, secretKeys(reflect.TypeFor[fakeSettings](), "provider.")...)
	if len(keys) < 7 {
		t.Fatalf("found the secrets %v only", keys)
	}
	for i, key := range keys {
		for _, asFile := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/file=%t", key, asFile), func(t *testing.T) {
				secretStaysIn(t, key, fmt.Sprintf("%s%02d", canary, i), asFile)
			})
		}
	}
}

// secretStaysIn sets one secret to a value that is wrong where there is a wrong,
// then to one that is right, and looks for it everywhere.
func secretStaysIn(t *testing.T, key, mark string, asFile bool) {
	t.Helper()
	forms := []string{
		mark, "https://" + mark + ":" + mark + "@example.com/" + mark, "https://example.com/" + mark,
		"http://example.com/" + mark, "whsec_" + mark, "a " + mark, "%zz://" + mark, mark + "\n" + mark,
	}
	loadedOnce := false
	for _, form := range forms {
		loaded, err := config.Parse("aispend.yml", []byte(withSecret(t, key, form, asFile)), fakeTypes())
		if err != nil {
			if strings.Contains(err.Error(), mark) {
				t.Errorf("the error holds the secret: %v", err)
			}
			continue
		}
		loadedOnce = true
		for name, out := range renderings(t, loaded) {
			if strings.Contains(out, mark) {
				t.Errorf("%s holds the secret: %s", name, out)
			}
		}
	}
	if !loadedOnce && key != "hard_cap.secret" {
		t.Error("no form of the secret loads: the test looks at nothing")
	}
}

func withSecret(t *testing.T, key, value string, asFile bool) string {
	t.Helper()
	if asFile {
		key, value = key+"_file", write(t, "secret", value)
	}
	section, name, _ := strings.Cut(key, ".")
	block := map[string]any{"type": "openai", "api_key": "other"}
	root := map[string]any{"providers": []any{block}}
	if section == "provider" {
		if strings.HasPrefix(name, "api_key") {
			delete(block, "api_key")
		}
		block[name] = value
	} else {
		root[section] = map[string]any{name: value}
	}
	b, err := yaml.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func renderings(t *testing.T, loaded *config.Loaded) map[string]string {
	t.Helper()
	view := loaded.Config.Redacted()
	j, err := json.Marshal(view)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(view)
	if err != nil {
		t.Fatal(err)
	}
	cj, err := json.Marshal(loaded.Config)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"the view as JSON": string(j), "the view as YAML": string(y), "the config as JSON": string(cj),
		"%+v":  fmt.Sprintf("%+v %+v", loaded.Config, *loaded.Config),
		"%#v":  fmt.Sprintf("%#v %#v", loaded.Config, loaded.Config.Providers[0].Settings),
		"warn": strings.Join(warnings(loaded.Warnings), "\n"),
		"%+v of settings": fmt.Sprintf("%+v %+v %v", loaded.Config.Providers, loaded.Config.Providers[0].Settings,
			loaded.Config.HardCap),
	}
}

func TestSecretsAreMaskedNotDropped(t *testing.T) {
	out, err := json.Marshal(parse(t, everything).Redacted())
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(out), `\u003csecret\u003e`); n != 4 {
		t.Errorf("%d masks, want read token, one api key, signing secret and inbound token: %s", n, out)
	}
	if strings.Contains(string(out), canary) {
		t.Errorf("a secret is shown: %s", out)
	}
}
