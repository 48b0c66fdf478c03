package main

import (
	"strings"
	"testing"
)

const goodPlan = `{"actions": [
	{"scope": "anthropic", "do": "anthropic-key-inactive", "key": "apikey_01abc"},
	{"scope": "openai", "period": "month", "do": "openai-key-delete", "project": "proj_a", "key": "key_b"},
	{"scope": "openai", "do": "openai-project-spend-limit", "project": "proj_a", "usd": "1000.5"}
]}`

func noAPIs() (openai, anthropic *api) {
	return &api{name: "openai", base: "https://openai.test"}, &api{name: "anthropic", base: "https://anthropic.test"}
}

func TestPlan(t *testing.T) {
	p, err := parsePlan([]byte(goodPlan), noAPIs)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`POST https://anthropic.test/v1/organizations/api_keys/apikey_01abc {"status":"inactive"}`,
		`DELETE https://openai.test/v1/organization/projects/proj_a/api_keys/key_b`,
		`POST https://openai.test/v1/organization/projects/proj_a/spend_limit ` +
			`{"threshold_amount":100050,"currency":"USD","interval":"month"}`,
	}
	for i, r := range p.rules {
		if got := r.action.String(); got != want[i] {
			t.Errorf("action %d is %s", i+1, got)
		}
	}
}

func TestPlansThatAreRefused(t *testing.T) {
	const anthropic = `"scope": "a", "do": "anthropic-key-inactive", "key": "apikey_1"`
	const limit = `"scope": "a", "do": "openai-project-spend-limit", "project": "proj_1", "usd": "1"`
	for name, rule := range map[string]string{
		"no scope":              `"do": "anthropic-key-inactive", "key": "apikey_1"`,
		"unknown member":        anthropic + `, "kye": "apikey_2"`,
		"key twice":             anthropic + `, "key": "apikey_2"`,
		"key twice, other case": anthropic + `, "Key": "apikey_2"`,
		"unknown action":        `"scope": "a", "do": "delete-everything"`,
		"no action":             `"scope": "a"`,
		"no key":                `"scope": "a", "do": "anthropic-key-inactive"`,
		"key of another kind":   `"scope": "a", "do": "anthropic-key-inactive", "key": "key_1"`,
		"a path in the key":     `"scope": "a", "do": "anthropic-key-inactive", "key": "apikey_1/../apikey_2"`,
		"a query in the key":    `"scope": "a", "do": "anthropic-key-inactive", "key": "apikey_1?x"`,
		"a line in the key":     `"scope": "a", "do": "anthropic-key-inactive", "key": "apikey_1\n"`,
		"project too many":      anthropic + `, "project": "proj_1"`,
		"usd too many":          anthropic + `, "usd": "1"`,
		"period":                anthropic + `, "period": "year"`,
		"no project":            `"scope": "a", "do": "openai-key-delete", "key": "key_1"`,
		"project is a key":      `"scope": "a", "do": "openai-key-delete", "project": "key_1", "key": "key_1"`,
		"key for the limit":     limit + `, "key": "key_1"`,
		"no usd":                `"scope": "a", "do": "openai-project-spend-limit", "project": "proj_1"`,
		"usd is a number":       strings.Replace(limit, `"1"`, `1`, 1),
		"usd has three places":  strings.Replace(limit, `"1"`, `"1.005"`, 1),
		"usd is 0":              strings.Replace(limit, `"1"`, `"0.00"`, 1),
		"usd is negative":       strings.Replace(limit, `"1"`, `"-1"`, 1),
		"the same twice":        anthropic + `}, {` + anthropic,
	} {
		if p, err := parsePlan([]byte(`{"actions": [{`+rule+`}]}`), noAPIs); err == nil {
			t.Errorf("%s: accepted as %+v", name, p.rules)
		}
	}
	for name, doc := range map[string]string{
		"empty": "", "no actions": "{}", "empty list": `{"actions": []}`, "more": goodPlan + "x",
		"another member": `{"actions": [{` + anthropic + `}], "apply": true}`,
	} {
		if _, err := parsePlan([]byte(doc), noAPIs); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := parsePlan([]byte(`{"actions": [{`+anthropic+`}, {`+limit+`}]}`), noAPIs); err != nil {
		t.Errorf("the good ones are refused too: %v", err)
	}
}

func TestASecretKeyInThePlanIsRefusedAndNotShown(t *testing.T) {
	for _, key := range []string{"sk-ant-admin01-canary", "sk-admin-canary", "sk-proj-canary", "apikey_sk-canary"} {
		doc := `{"actions": [{"scope": "a", "do": "anthropic-key-inactive", "key": "` + key + `"}]}`
		_, err := parsePlan([]byte(doc), noAPIs)
		if err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestOnlyNamedHardBreachesMatch(t *testing.T) {
	anyPeriod, month := rule{Scope: "openai"}, rule{Scope: "openai", Period: "month"}
	for _, c := range []struct {
		b          breach
		any, month bool
	}{
		{breach{Scope: "openai", Level: "hard", Period: "month"}, true, true},
		{breach{Scope: "openai", Level: "hard", Period: "day"}, true, false},
		{breach{Scope: "openai", Level: "soft", Period: "month"}, false, false},
		{breach{Scope: "openai", Level: "", Period: "month"}, false, false},
		{breach{Scope: "openai", Level: "HARD", Period: "month"}, false, false},
		{breach{Scope: "OpenAI", Level: "hard", Period: "month"}, false, false},
		{breach{Scope: "openai2", Level: "hard", Period: "month"}, false, false},
		{breach{Scope: "global", Level: "hard", Period: "month"}, false, false},
	} {
		if anyPeriod.matches(c.b) != c.any || month.matches(c.b) != c.month {
			t.Errorf("%+v", c)
		}
	}
}
