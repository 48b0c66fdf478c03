package app_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/providers/anthropic"
	"github.com/aispend/aispend/providers/openai"
	"github.com/aispend/aispend/providers/registry"
	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

// judged is what the tests read of one cap.
type judged struct {
	Scope, Period string
	Spend         *spend.Money `json:"spend_usd"`
	Limits        struct{ Soft, Hard *spend.Money }
	Reached       string         `json:"level_reached"`
	Gaps          map[string]int `json:"data_gaps"`
}

func (r *running) caps() map[string]judged {
	r.t.Helper()
	code, body := r.call(http.MethodGet, "/caps", "")
	var reply struct{ Caps []judged }
	if err := json.Unmarshal([]byte(body), &reply); err != nil || code != http.StatusOK {
		r.t.Fatalf("/caps: %d %s (%v)", code, body, err)
	}
	out := map[string]judged{}
	for _, c := range reply.Caps {
		out[c.Scope+" "+c.Period] = c
	}
	return out
}

// TestCaps holds the caps against the simulated truth, and changes them by a
// reload while nothing is pulled.
func TestCaps(t *testing.T) {
	now := time.Now()
	s := newSiteAt(t, func() time.Time { return now }) // its bills stand still
	month := spend.Window{From: spend.DayOf(now).MonthStart(), To: spend.DayOf(now) + 1}
	bill := s.world.Total(simulator.OpenAI, month, now)
	if bill.IsZero() {
		t.Skip("the month is minutes old and has cost nothing yet")
	}
	all := bill.Add(s.world.Total(simulator.Anthropic, month, now))
	model := s.world.Models(simulator.OpenAI)[0]
	var byModel spend.Money
	week := spend.DayOf(now) - spend.Day((now.UTC().Weekday()+6)%7)
	for d := week; d <= spend.DayOf(now); d++ {
		for _, row := range s.world.OpenAICost(d, now) {
			if row.Model == model {
				byModel = byModel.Add(row.Amount)
			}
		}
	}
	s.configure(`caps:
  - {scope: openai, soft_usd: 0.01, hard_usd: ` + bill.String() + `}
  - {scope: global, hard_usd: 1000000}
  - {scope: anthropic, soft_usd: 0, hard_usd: 0}
  - {scope: one-model, period: week, match: {model: "` + model[:len(model)-3] + `*"}, hard_usd: 7}
`)
	s.write("aispend.yml", strings.Replace(s.read("aispend.yml"), "interval: 1s", "interval: 1h", 1))
	r := s.mustStart()
	defer r.stop()
	r.loaded()
	got := r.caps()
	if c := got["openai month"]; c.Spend == nil || !c.Spend.Equal(bill) || c.Reached != "hard" {
		t.Errorf("openai: %+v, want exactly the hard limit of %s", c, bill)
	}
	if c := got["global month"]; c.Spend == nil || !c.Spend.Equal(all) || c.Reached != "" || c.Limits.Soft != nil {
		t.Errorf("global: %+v, want %s", c, all)
	}
	if c := got["one-model week"]; c.Spend == nil || !c.Spend.Equal(byModel) {
		t.Errorf("one model: %+v", c)
	}
	for key, c := range got {
		for reason, n := range c.Gaps {
			if n != 0 {
				t.Errorf("%s: %d %s", key, n, reason)
			}
		}
	}
	if _, ok := got["anthropic month"]; ok || len(got) != 3 {
		t.Errorf("caps: %v", got)
	}
	const limit = `aispend_cap_limit_usd{level="hard",period="month",scope="global"}`
	if n, v := r.metric("aispend_caps_configured"), r.metric(limit); n != "3" || v != "1e+06" {
		t.Errorf("%s caps are configured, the global one at %q", n, v)
	}

	s.write("aispend.yml", strings.Replace(s.read("aispend.yml"), "1000000}", "0.02, cost: gross}", 1))
	s.write("aispend.yml", strings.Replace(s.read("aispend.yml"), "  - {scope: openai,", "  - {scope: openai, period: day,", 1))
	if code, body := r.call(http.MethodPost, "/-/reload", token); code != http.StatusOK {
		t.Fatalf("reloading: %d %s", code, body)
	}
	got = r.caps()
	if c := got["global month"]; c.Reached != "hard" || r.metric(limit) != "0.02" {
		t.Errorf("after the reload: %+v, limit %s", c, r.metric(limit))
	}
	if got := r.metric(`aispend_cap_spend_usd{period="month",scope="openai"}`); got != "" {
		t.Errorf("a cap that is gone still has a series: %s", got)
	}
}

// TestCapsOfTheEnvironment moves in with the .env of the original worker.
func TestCapsOfTheEnvironment(t *testing.T) {
	s := newSite(t)
	s.write("soft", "250.5\n")
	load := config.NewLoader(config.Options{
		Path: filepath.Join(s.dir, "absent.yml"), Types: registry.Types(),
		Environ: []string{
			"ENABLE_OPENAI=true", "OPENAI_API_KEY_FILE=" + filepath.Join(s.dir, "openai.key"),
			"ENABLE_ANTHROPIC=true", "ANTHROPIC_API_KEY_FILE=" + filepath.Join(s.dir, "anthropic.key"),
			"ADMIN_TOKEN=" + token,
			"OPENAI_SOFT_CAP_FILE=" + filepath.Join(s.dir, "soft"), "OPENAI_HARD_CAP=500",
			"ANTHROPIC_SOFT_CAP=0", "ANTHROPIC_HARD_CAP=0.01",
			"VERTEX_SOFT_CAP=", "VERTEX_HARD_CAP=", "GLOBAL_SOFT_CAP=0", "GLOBAL_HARD_CAP=0",
		},
	}).Load
	s.wrapLoad = func(func() (*config.Loaded, error)) func() (*config.Loaded, error) {
		return func() (*config.Loaded, error) {
			loaded, err := load()
			if err != nil {
				return nil, err
			}
			for _, p := range loaded.Config.Providers {
				switch settings := p.Settings.(type) { // the environment cannot name another API
				case *openai.Settings:
					settings.BaseURL = s.servers.OpenAI
				case *anthropic.Settings:
					settings.BaseURL = s.servers.Anthropic
				}
			}
			return loaded, nil
		}
	}
	r := s.mustStart()
	defer r.stop()
	r.loaded()
	got := r.caps()
	if c := got["openai month"]; c.Spend == nil || c.Limits.Soft == nil || c.Limits.Soft.String() != "250.5" ||
		c.Limits.Hard == nil || c.Limits.Hard.String() != "500" {
		t.Errorf("openai: %+v", c)
	}
	c := got["anthropic month"]
	if c.Spend == nil || (c.Reached == "hard") != (c.Spend.Cmp(spend.MustMoney("0.01")) >= 0) || c.Limits.Soft != nil {
		t.Errorf("anthropic: %+v", c)
	}
	if len(got) != 2 || r.metric("aispend_caps_configured") != "2" {
		t.Errorf("%d caps: %v", len(got), got)
	}
}

// TestCapsBeforeTheFirstPull never shows a 0 that nobody has read.
func TestCapsBeforeTheFirstPull(t *testing.T) {
	s := newSite(t)
	s.configure("caps: [{scope: global, hard_usd: 5}]\n")
	s.write("openai.key", "sk-admin-wrong-key-of-the-tests")
	s.write("anthropic.key", "sk-ant-admin01-wrong-key-of-the-tests")
	r := s.mustStart()
	defer r.stop()
	r.until("both to be refused", func() bool {
		_, body := r.call(http.MethodGet, "/status", "")
		return strings.Count(body, `"last_outcome":"auth"`) == 4
	})
	if c := r.caps()["global month"]; c.Spend != nil || c.Gaps["never_pulled"] != 2 {
		t.Errorf("%+v", c)
	}
	_, page := r.call(http.MethodGet, "/metrics", "")
	if strings.Contains(page, "aispend_cap_spend_usd") ||
		!strings.Contains(page, `aispend_cap_data_gaps{period="month",reason="never_pulled",scope="global"} 2`) {
		t.Error("the page shows a spend that nobody has read, or no gap")
	}
}
