package e2e_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
	"github.com/aispend/aispend/test/e2e/receiver"
)

// runawayModel is the model that starts to cost too much.
const runawayModel = "gpt-6-rogue"

// company is a simulated company whose spend of today is what a test says.
type company struct {
	*simulator.World

	servers *simulator.Servers
	began   spend.Day
	mu      sync.Mutex
	bills   map[spend.Day]map[string]string // amounts by model, as the page spells them
}

// newCompany starts the providers. Everything but the runaway model stands still,
// also over a midnight, so that limits can be set around a known sum.
func newCompany(t *testing.T, now func() time.Time) *company {
	t.Helper()
	c := &company{bills: map[spend.Day]map[string]string{}, World: simulator.New(simulator.Options{
		Seed: 11, Tiny: true, Plain: true, NoRunaway: true, NoRestatement: true, Now: now,
	})}
	var err error
	if c.servers, err = c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.servers.Close() })
	c.began = spend.DayOf(c.Now())
	today := c.began
	c.spends(runawayModel, "1.25")
	c.spendsOn(today+1, "", "")
	none := func([]simulator.Row) []simulator.Row { return nil }
	c.Revise(simulator.Anthropic, today, none)
	c.Revise(simulator.Anthropic, today+1, none)
	return c
}

// spends sets what a model has cost on the day on which the test began, as the page
// spells it.
func (c *company) spends(model, literal string) { c.spendsOn(c.began, model, literal) }

// spendsOn is spends for another day, on which nothing else costs anything at OpenAI;
// without a model it is all.
func (c *company) spendsOn(day spend.Day, model, literal string) {
	c.mu.Lock()
	_, known := c.bills[day]
	if !known {
		c.bills[day] = map[string]string{}
	}
	if model != "" {
		c.bills[day][model] = literal
	}
	c.mu.Unlock()
	if known {
		return
	}
	project := c.Projects(simulator.OpenAI)[0]
	c.Revise(simulator.OpenAI, day, func([]simulator.Row) []simulator.Row {
		c.mu.Lock()
		defer c.mu.Unlock()
		var rows []simulator.Row
		for _, model := range slices.Sorted(maps.Keys(c.bills[day])) {
			rows = append(rows, simulator.Row{Model: model, Project: project, Item: model + ", output", Literal: c.bills[day][model]})
		}
		return rows
	})
}

// month is the exact cost of the month so far at OpenAI.
func (c *company) month() spend.Money {
	today := spend.DayOf(c.Now())
	return c.Total(simulator.OpenAI, spend.Window{From: today.MonthStart(), To: today + 1}, c.Now())
}

// site is a configuration and a store of aispend.
type site struct {
	t    *testing.T
	dir  string
	caps []capLimits

	alertmanagerURL string // empty: none
	openAI          string // base URL; empty: the simulator's
	staleness       string // empty: 6h
	interval        string // empty: 1s
	receiver        *receiver.Receiver
}

// capLimits is a cap of the configuration, in USD.
type capLimits struct {
	scope, model, soft, hard string
	period                   string // empty: month
}

func (l capLimits) yaml() string {
	match := ""
	if l.model != "" {
		match = fmt.Sprintf(", match: {provider: openai, model: %q}", l.model)
	}
	return fmt.Sprintf("  - {scope: %s%s, period: %s, soft_usd: %s, hard_usd: %s}\n",
		l.scope, match, cmp.Or(l.period, "month"), l.soft, l.hard)
}

func (s *site) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// configure writes aispend.yml and the secrets beside it.
func (s *site) configure(c *company) {
	s.t.Helper()
	s.write("openai.key", c.Key(simulator.OpenAI))
	s.write("anthropic.key", c.Key(simulator.Anthropic))
	s.write("admin.token", adminToken)
	s.write("hook.token", hookToken)
	s.write("hook.url", s.receiver.URL()+"\n")
	s.write("hook.secret", s.receiver.Secrets())
	text := fmt.Sprintf(`
ingest: {interval: %s, timeout: 30s}
web: {admin_token_file: admin.token}
providers:
  - {type: openai, account: acme, api_key_file: openai.key, base_url: %q, max_staleness: %s}
  - {type: anthropic, account: acme, api_key_file: anthropic.key, base_url: %q}
hard_cap: {url_file: hook.url, secret_file: hook.secret, inbound_token_file: hook.token}
links: {external_url: "https://aispend.example.com", dashboard_url: "https://grafana.example.com/d/aispend-caps"}
`, cmp.Or(s.interval, "1s"), cmp.Or(s.openAI, c.servers.OpenAI), cmp.Or(s.staleness, "6h"), c.servers.Anthropic)
	if s.alertmanagerURL != "" {
		text += fmt.Sprintf("alertmanager: {urls: [%q]}\n", s.alertmanagerURL)
	}
	text += "caps:\n"
	for _, l := range s.caps {
		text += l.yaml()
	}
	s.write("aispend.yml", text)
}

// daemon is a running aispend.
type daemon struct {
	process

	site *site
}

// amount is money of a reply; what is null is 0.
type amount struct{ spend.Money }

func (a *amount) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	return a.Money.UnmarshalJSON(text)
}

// capReply is one cap of GET /caps.
type capReply struct {
	Scope  string `json:"scope"`
	Period string `json:"period"`
	Spend  amount `json:"spend_usd"`
	Limits struct {
		Soft amount `json:"soft"`
		Hard amount `json:"hard"`
	} `json:"limits"`
	Percent struct {
		Soft json.Number `json:"soft"`
		Hard json.Number `json:"hard"`
	} `json:"percent"`
	Reached     string    `json:"level_reached"`
	DataThrough time.Time `json:"data_through"`
	TopModels   []struct {
		Model string      `json:"model"`
		Spend spend.Money `json:"spend_usd"`
	} `json:"top_models"`
}

// cap returns how a cap stands.
func (d *daemon) cap(scope string) capReply {
	d.t.Helper()
	var reply struct {
		Caps []capReply `json:"caps"`
	}
	if err := getJSON(d.t, d.url+"/caps", &reply); err != nil {
		d.t.Fatal(err)
	}
	for _, c := range reply.Caps {
		if c.Scope == scope {
			return c
		}
	}
	d.t.Fatalf("no cap of %s: %+v", scope, reply)
	return capReply{}
}

// spent returns the cost of a provider over the current month as /spend tells it.
func (d *daemon) spent(provider string, month spend.Window) spend.Money {
	d.t.Helper()
	var reply struct {
		Totals struct {
			Cost spend.Money `json:"cost_usd"`
		} `json:"totals"`
	}
	url := fmt.Sprintf("%s/spend?provider=%s&groupBy=model&from=%s&to=%s", d.url, provider, month.From, month.To-1)
	if err := getJSON(d.t, url, &reply); err != nil {
		d.t.Fatal(err)
	}
	return reply.Totals.Cost
}

// knows waits until the ledger has exactly this cost.
func (d *daemon) knows(want spend.Money) {
	d.t.Helper()
	eventually(d.t, time.Minute, "the ledger knows "+want.String(), func() bool {
		return d.cap("openai").Spend.Equal(want)
	})
}

// loaded waits until the history is in the ledger.
func (d *daemon) loaded() {
	d.t.Helper()
	eventually(d.t, 2*time.Minute, "the history is loaded", func() bool {
		var st struct {
			History struct {
				Done bool `json:"done"`
			} `json:"history"`
		}
		return getJSON(d.t, d.url+"/status", &st) == nil && st.History.Done
	})
}

// post makes a request of an administrator.
func (d *daemon) post(path string) (int, string) {
	d.t.Helper()
	status, body, err := request(d.t, http.MethodPost, d.url+path, adminToken)
	if err != nil {
		d.t.Fatal(err)
	}
	return status, string(body)
}

// cents is an amount as people read it.
func cents(m spend.Money) string {
	text := m.QuoRound(1, 2).String()
	whole, rest, _ := strings.Cut(text, ".")
	return whole + "." + (rest + "00")[:2]
}
