package config_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/spend"
)

const hour = time.Hour

const day = 24 * hour

func TestDefaults(t *testing.T) {
	for _, text := range []string{"", "\n# nothing\n", "storage:\ningest:\nmetrics:\nweb:\nproviders:\ncaps:\n", "---\n"} {
		c := parse(t, text)
		want := config.Default()
		if diff := cmp.Diff(want, c); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	d := config.Default()
	if d.Storage.RawRetention != 90*day || d.Storage.History != 800*day || d.Ingest.Interval != 15*time.Minute ||
		d.Ingest.Lookback != 7*day || d.Ingest.InitialHistory != 90*day || d.Ingest.Timeout != 5*time.Minute ||
		d.Metrics.DailyWindow != 35*day || d.Metrics.MaxSeries != 20000 || d.Metrics.ByProject {
		t.Errorf("not the defaults of contract section 5: %+v", d)
	}
}

const everything = `
storage: {raw_retention: 1w, history: 900d}
ingest: {interval: 20m, lookback: 240h, initial_history: 120d, timeout: 1m30s}
metrics: {daily_window: 0, max_series: 5, by_project: true}
web: {admin_token_file: secrets/tokens, read_token: CANARY-read, metrics_open: true}
providers:
  - type: openai
    account: acme
    api_key_file: secrets/one
    organization: org-1
    project_ids: &ids [proj_1, proj_2]
    interval: 1h
    lookback: 3d
    timeout: 2m
    max_staleness: 36h
    proxy_url: http://user:CANARY@proxy.example.com:3128
    previous_names: [default, old]
    export: {key_file: secrets/two, pause: 3s, rows: 7, dry: true}
  - {type: anthropic, api_key: sk-CANARY, project_ids: *ids, enabled: false}
retired_accounts: [openai/gone, vertex/gone]
caps:
  - {scope: openai, soft_usd: 0.1, hard_usd: "99.999999999999999999"}
  - {scope: global, period: week, cost: gross, hard_usd: 1e3}
  - {scope: research, period: day, match: {provider: openai, account: acme, project: proj_1, model: "gpt-5*"}, hard_usd: 50}
  - {scope: vertex, soft_usd: , hard_usd: 0}
alertmanager: {urls: ["http://localhost:9093"]}
links: {external_url: "https://aispend.example.com", dashboard_url: "http://grafana/d/x"}
hard_cap: {url: "http://127.0.0.1:9/CANARY", secret: whsec_Q0FOQVJZQ0FOQVJZQ0FOQVJZQ0FOQVJZ, inbound_token: CANARY-in, dry_run: true}
`

func TestEverythingArrives(t *testing.T) {
	c := parse(t, everything)
	if c.Storage != (config.Storage{RawRetention: 7 * day, History: 900 * day}) {
		t.Errorf("storage: %+v", c.Storage)
	}
	if c.Ingest != (config.Ingest{Interval: 20 * time.Minute, Lookback: 10 * day, InitialHistory: 120 * day, Timeout: 90 * time.Second}) {
		t.Errorf("ingest: %+v", c.Ingest)
	}
	if c.Metrics != (config.Metrics{MaxSeries: 5, ByProject: true}) || !c.Web.MetricsOpen {
		t.Errorf("metrics: %+v, web: %+v", c.Metrics, c.Web)
	}
	wantTokens(t, c)
	wantAcme(t, c.Providers[0])
	if p := c.Providers[1]; p.Enabled || p.Account != "default" || !cmp.Equal(p.Settings.Filter(), []string{"proj_1", "proj_2"}) {
		t.Errorf("anthropic: %+v", p)
	}
	if got := fmt.Sprint(c.RetiredAccounts); got != "[openai/gone vertex/gone]" {
		t.Errorf("retired: %s", got)
	}
	wantCaps := []config.Cap{
		{Scope: "openai", Period: "month", Cost: "net", Soft: spend.MustMoney("0.1"), Hard: spend.MustMoney("99.999999999999999999")},
		{Scope: "global", Period: "week", Cost: "gross", Hard: spend.MustMoney("1000")},
		{
			Scope: "research", Period: "day", Cost: "net", Hard: spend.MustMoney("50"),
			Match: config.Match{Provider: "openai", Account: "acme", Project: "proj_1", Model: "gpt-5*"},
		},
		{Scope: "vertex", Period: "month", Cost: "net"},
	}
	if diff := cmp.Diff(wantCaps, c.Caps); diff != "" {
		t.Errorf("caps (-want +got):\n%s", diff)
	}
	if c.Caps[0].Off() || !c.Caps[3].Off() {
		t.Error("a cap is off when it has no level")
	}
	if c.Links.DashboardURL != "http://grafana/d/x" || c.Links.ExternalURL != "https://aispend.example.com" || !c.HardCap.DryRun {
		t.Errorf("links: %+v", c.Links)
	}
}

func wantTokens(t *testing.T, c *config.Config) {
	t.Helper()
	admin, err := c.AdminTokens()
	if err != nil || !cmp.Equal(admin, []string{"CANARY-admin-a", "CANARY-admin-b"}) {
		t.Errorf("admin tokens: %d, %v", len(admin), err)
	}
	read, _ := c.ReadTokens()
	in, _ := c.InboundTokens()
	if !cmp.Equal(read, []string{"CANARY-read"}) || !cmp.Equal(in, []string{"CANARY-in"}) {
		t.Errorf("%d read and %d inbound tokens", len(read), len(in))
	}
	if none, err := config.Default().AdminTokens(); none != nil || err != nil {
		t.Errorf("tokens without a setting: %d, %v", len(none), err)
	}
}

func wantAcme(t *testing.T, p config.Provider) {
	t.Helper()
	if p.Account != "acme" || !p.Enabled || p.Interval != hour || p.Lookback != 3*day || p.Timeout != 2*time.Minute ||
		p.MaxStaleness != 36*hour || !cmp.Equal(p.PreviousNames, []string{"default", "old"}) {
		t.Errorf("block: %+v", p)
	}
	if u, _ := p.ProxyURL.Get(); u != "http://user:CANARY@proxy.example.com:3128" {
		t.Error("proxy_url did not arrive")
	}
	s := p.Settings.(*fakeSettings)
	if key, err := s.APIKey.Get(); key != "sk-CANARY-file-one" || s.APIKey.File() != "testdata/secrets/one" {
		t.Errorf("key of %s: %v", s.APIKey.File(), err)
	}
	if s.BaseURL != "https://api.example.com" || s.Organization != "org-1" {
		t.Errorf("settings: %+v", s)
	}
	want := fakeExport{KeyFile: "testdata/secrets/two", Pause: 3 * time.Second, Rows: 7, Dry: true}
	if s.Export != want {
		t.Errorf("nested settings: %+v", s.Export)
	}
}

func TestDisabledBlockMayLackItsKey(t *testing.T) {
	c := parse(t, "providers:\n  - {type: openai, enabled: false, api_key_file: nowhere, ca_file: nowhere}\n"+
		"  - {type: anthropic, enabled: false}\n")
	if len(c.Providers) != 2 {
		t.Errorf("providers: %+v", c.Providers)
	}
}

func TestSameKeyWithDisjointFilters(t *testing.T) {
	parse(t, `
providers:
  - {type: openai, account: a, api_key: sk-CANARY, project_ids: [proj_1]}
  - {type: openai, account: b, api_key: sk-CANARY, project_ids: [proj_2]}
  - {type: openai, account: c, api_key: sk-CANARY, enabled: false}
  - {type: anthropic, api_key: sk-CANARY}
`)
}

func TestWarnings(t *testing.T) {
	open := write(t, "open", "CANARY-open\n")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	grouped := write(t, "grouped", "CANARY-grouped\n")
	if err := os.Chmod(grouped, 0o640); err != nil {
		t.Fatal(err)
	}
	const p = "providers: [{type: openai, api_key: sk-CANARY}]\n"
	const signing = "whsec_Q0FOQVJZQ0FOQVJZQ0FOQVJZQ0FOQVJZQ0FOQVJZQ0E="
	tests := map[string]struct{ text, want string }{
		"mode of a group": {p + "web: {admin_token_file: " + grouped + "}", ""},
		"none":            {p + "caps: [{scope: openai, soft_usd: 5}, {scope: global, soft_usd: 5}, {scope: vertex, soft_usd: 0}]", ""},
		"no provider":     {"storage: {history: 62d}", "aispend.yml: providers: no provider is enabled: nothing will be pulled"},
		"all off": {
			"providers:\n  - {type: openai, enabled: false}",
			"aispend.yml:1: providers: no provider is enabled: nothing will be pulled",
		},
		"mode": {
			p + "web: {admin_token_file: " + open + "}",
			"aispend.yml:2: web.admin_token_file: " + open + " can be read by other users of this machine (mode 0644): chmod 600 it",
		},
		"one token for both": {
			p + "web: {admin_token: CANARY, read_token: CANARY}",
			"aispend.yml:2: web.read_token: is also an admin token: everyone who may read may administrate; make another one",
		},
		"one token for Alertmanager and admins": {
			p + "web: {admin_token: CANARY}\nhard_cap: {inbound_token: CANARY}",
			"aispend.yml:3: hard_cap.inbound_token: is also an admin token: whoever reads Alertmanager's files may " +
				"administrate; make another one",
		},
		"metrics_open alone": {
			p + "web: {metrics_open: true}",
			"aispend.yml:2: web.metrics_open: has no effect: /metrics is open as long as no read_token is set",
		},
		"unfed cap": {
			p + "caps:\n  - {scope: anthropic, hard_usd: 5}",
			"aispend.yml:3: caps[0]: no enabled provider of type anthropic feeds this cap: it cannot be evaluated",
		},
		"unfed named cap": {
			p + "caps:\n  - {scope: r, match: {provider: anthropic}, hard_usd: 5}",
			"aispend.yml:3: caps[0]: no enabled provider of type anthropic feeds this cap: it cannot be evaluated",
		},
		"unfed account": {
			p + "caps:\n  - {scope: r, match: {account: nope}, hard_usd: 5}\n  - {scope: s, match: {account: default}, hard_usd: 5}",
			"aispend.yml:3: caps[0]: no enabled account nope feeds this cap: it cannot be evaluated",
		},
		"unfed account of a provider": {
			p + "caps:\n  - {scope: r, match: {provider: openai, account: nope}, hard_usd: 5}",
			"aispend.yml:3: caps[0]: no enabled account nope of type openai feeds this cap: it cannot be evaluated",
		},
		"hook that nothing calls": {
			p + "caps: [{scope: openai, soft_usd: 5}]\nhard_cap: {url: http://127.0.0.1/, secret: " + signing + "}",
			"aispend.yml:3: hard_cap.url: no cap has a hard limit: the hook is never called\n" +
				"aispend.yml:3: hard_cap.url: Alertmanager is refused at /webhook/hard-cap, and the hook is never called, as long as " +
				"no token is set: make one with openssl rand -hex 32 and name its file in hard_cap.inbound_token_file",
		},
		"hook that is called": {
			p + "caps: [{scope: openai, hard_usd: 5}]\nhard_cap: {url: http://127.0.0.1/, secret: " + signing + ", inbound_token: CANARY}",
			"",
		},
		"unsigned hook": {
			p + "caps: [{scope: openai, hard_usd: 5}]\nweb: {admin_token: CANARY}\nhard_cap:\n  url: https://hooks.example.com/CANARY",
			"aispend.yml:5: hard_cap.url: deliveries will not be signed: make a secret with " +
				"echo whsec_$(openssl rand -base64 32) and name its file in hard_cap.secret_file",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			loaded, err := config.Parse("aispend.yml", []byte(tt.text), fakeTypes())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, strings.Join(warnings(loaded.Warnings), "\n")); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoaderReadsAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "aispend.yml")
	l := config.NewLoader(config.Options{
		Path: path, Types: fakeTypes(), Environ: []string{"ENABLE_OPENAI=true", "OPENAI_API_KEY=sk-CANARY"},
	})
	first := load(t, l)
	if again := load(t, l); again.SHA256 != first.SHA256 || first.Source != "environment" {
		t.Errorf("source %q, digests %s and %s", first.Source, first.SHA256, again.SHA256)
	}
	const text = "metrics: {max_series: 7}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	second := load(t, l)
	sum := sha256.Sum256([]byte(text))
	if second.Source != "file "+path || second.SHA256 != hex.EncodeToString(sum[:]) || second.Config.Metrics.MaxSeries != 7 {
		t.Errorf("source %q, digest %s", second.Source, second.SHA256)
	}
	// A file that vanished is a mistake, not a wish to go back to the environment.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	want := path + ": the configuration file does not exist: name another with --config.file, or start from docs/example.yml"
	if _, err := l.Load(); err == nil || err.Error() != want {
		t.Errorf("error = %v\nwant    %s", err, want)
	}
}

func load(t *testing.T, l *config.Loader) *config.Loaded {
	t.Helper()
	loaded, err := l.Load()
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func TestDigestFollowsTheEnvironment(t *testing.T) {
	a, err := fromEnv(t, "ENABLE_OPENAI=true", "OPENAI_API_KEY=sk-CANARY", "HOME=/a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := fromEnv(t, "OPENAI_API_KEY=sk-CANARY", "HOME=/b", "ENABLE_OPENAI=true")
	if err != nil {
		t.Fatal(err)
	}
	c, err := fromEnv(t, "OPENAI_API_KEY=sk-CANARY2", "ENABLE_OPENAI=true")
	if err != nil {
		t.Fatal(err)
	}
	if a.SHA256 != b.SHA256 || a.SHA256 == c.SHA256 {
		t.Errorf("digests %s %s %s", a.SHA256, b.SHA256, c.SHA256)
	}
}

func TestMissingAndUnreadableFiles(t *testing.T) {
	dir := t.TempDir()
	environ := []string{"ENABLE_OPENAI=true", "OPENAI_API_KEY=sk-CANARY"}
	_, err := config.Load(config.Options{Path: dir + "/x.yml", Explicit: true, Environ: environ, Types: fakeTypes()})
	if err == nil || !strings.Contains(err.Error(), dir+"/x.yml: the configuration file does not exist") {
		t.Errorf("explicit: %v", err)
	}
	if _, err = config.Load(config.Options{Path: dir, Environ: environ, Types: fakeTypes()}); err == nil {
		t.Error("a directory loaded")
	}
	big := write(t, "big.yml", "# "+strings.Repeat("x", 1<<20))
	if _, err = config.Load(config.Options{Path: big, Types: fakeTypes()}); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("big: %v", err)
	}
}

func TestAliasBombEnds(t *testing.T) {
	var b strings.Builder
	b.WriteString("retired_accounts: &r [" + strings.Repeat("openai/a, ", 500) + "openai/b]\nproviders:\n")
	b.WriteString("  - &p {type: openai, api_key: x, project_ids: *r, previous_names: *r}\n")
	b.WriteString(strings.Repeat("  - *p\n", 500))
	_, err := config.Parse("aispend.yml", []byte(b.String()), fakeTypes())
	if err == nil || !strings.Contains(err.Error(), "too many values: more than 20000") {
		t.Errorf("error = %.200v", err)
	}
}

func TestVendorErrorWithoutAKey(t *testing.T) {
	_, err := config.Parse("a.yml", []byte("providers:\n  - {type: openai, api_key: x, export: {rows: 13}}\n"), fakeTypes())
	if want := "a.yml:2: providers[0]: rows of 13 bring bad luck"; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

func TestNoPipeIsOpened(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"web: {admin_token_file: " + pipe + "}", "hard_cap: {url_file: " + pipe + "}", "hard_cap: {secret_file: " + pipe + "}",
		"providers: [{type: openai, api_key_file: " + pipe + "}]", "providers: [{type: openai, api_key: x, ca_file: " + pipe + "}]",
		"providers: [{type: openai, api_key: x, proxy_url_file: " + pipe + "}]",
	} {
		_, err := config.Parse("a.yml", []byte(text), fakeTypes())
		if err == nil || !strings.HasSuffix(err.Error(), "_file: "+pipe+" is not a regular file") {
			t.Errorf("%s: %v", text, err)
		}
	}
	const disabled = "providers: [{type: openai, enabled: false, api_key_file: "
	if _, err := config.Parse("a.yml", []byte(disabled+pipe+"}]"), fakeTypes()); err != nil {
		t.Error(err)
	}
	if _, err := fromEnv(t, "ENABLE_OPENAI_FILE="+pipe); err == nil {
		t.Error("a pipe is a switch")
	}
}

func TestErrorsEnd(t *testing.T) {
	var text strings.Builder
	for i := range 80 {
		fmt.Fprintf(&text, "unknown_%02d: 1\n", i)
	}
	_, err := config.Parse("a.yml", []byte(text.String()), fakeTypes())
	if err == nil || strings.Count(err.Error(), "\n") != 50 || !strings.HasSuffix(err.Error(), "\na.yml: and 30 more errors") {
		t.Errorf("error = %v", err)
	}
}
