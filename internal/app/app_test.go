package app_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/aispend/aispend/internal/app"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/providers/simulator"
)

const token = "admin-token-for-app-tests"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestStartReloadStop goes through a daemon's life; TestMain looks for goroutines
// that outlive it.
func TestStartReloadStop(t *testing.T) {
	s := newSite(t)
	r := s.mustStart()
	r.loaded()
	if got := r.metric("aispend_config_last_reload_successful"); got != "1" {
		t.Errorf("reload successful is %q after the start", got)
	}
	s.configure("metrics: {by_project: true}\n")
	r.reload <- struct{}{}
	r.until("the project family", func() bool {
		_, page := r.call(http.MethodGet, "/metrics", "")
		return strings.Contains(page, "aispend_project_month_cost_usd{")
	})
	if code, body := r.call(http.MethodPost, "/-/reload", token); code != http.StatusOK {
		t.Errorf("POST /-/reload: %d %s", code, body)
	}
	r.stop()
}

// TestBadReloadChangesNothing breaks the file under a running daemon: it says
// why, counts it, and everything goes on with the settings it had.
func TestBadReloadChangesNothing(t *testing.T) {
	s := newSite(t)
	r := s.mustStart()
	defer r.stop()
	r.loaded()
	_, before := r.call(http.MethodGet, "/config", "")
	pulls := `aispend_pulls_total{account="acme",outcome="ok",provider="openai",source="openai/costs"}`
	for _, bad := range []string{
		"metrics: {by_projekt: true}\n",
		"retired_accounts: [openai/acme]\n",
		"caps: [{scope: openai, soft_usd: 5, hard_usd: 1}]\n",
	} {
		s.configure(bad)
		code, body := r.call(http.MethodPost, "/-/reload", token)
		if code == http.StatusOK || !strings.Contains(body, "aispend.yml:") {
			t.Errorf("reloading %q: %d %s", bad, code, body)
		}
		if got := r.metric("aispend_config_last_reload_successful"); got != "0" {
			t.Errorf("reload successful is %q after a bad one", got)
		}
	}
	const trouble = "newest reload of the configuration failed"
	if _, body := r.call(http.MethodGet, "/status", ""); !strings.Contains(body, trouble) {
		t.Errorf("the status says nothing of the bad one: %s", body)
	}
	if _, after := r.call(http.MethodGet, "/config", ""); after != before {
		t.Errorf("the configuration changed:\n%s", after)
	}
	count := r.metric(pulls)
	r.until("another pull", func() bool { return r.metric(pulls) != count })
	s.configure("")
	if code, body := r.call(http.MethodPost, "/-/reload", token); code != http.StatusOK {
		t.Errorf("reloading the mended file: %d %s", code, body)
	}
	if got := r.metric("aispend_config_last_reload_successful"); got != "1" {
		t.Errorf("reload successful is %q after a good one", got)
	}
	if _, body := r.call(http.MethodGet, "/status", ""); strings.Contains(body, trouble) {
		t.Errorf("the status still tells of the bad one: %s", body)
	}
}

// TestRenamedAccount renames an account in the configuration: without a word
// about the old name start and reload refuse, because its charges would count
// twice; with previous_names they move, with retired_accounts they stay.
func TestRenamedAccount(t *testing.T) {
	s := newSite(t)
	r := s.mustStart()
	r.loaded()
	total := func() string {
		return r.metric(`aispend_account_month_cost_usd{account="acme",provider="openai"}`)
	}
	if total() == "" {
		t.Fatal("no money under the old name")
	}
	rename := func(extra string) {
		s.configure(extra)
		old := `{type: openai, account: acme,`
		b := strings.Replace(s.read("aispend.yml"), old, `{type: openai, account: acme-inc, `+strings.TrimSpace(extra), 1)
		s.write("aispend.yml", strings.TrimSuffix(b, extra))
	}
	rename("")
	code, body := r.call(http.MethodPost, "/-/reload", token)
	if code == http.StatusOK || !strings.Contains(body, "previous_names: [acme]") || !strings.Contains(body, "retired_accounts: [openai/acme]") {
		t.Errorf("reload with a renamed account: %d %s", code, body)
	}
	r.stop()
	if _, err := s.start(); !errors.As(err, new(*app.UsageError)) || !strings.Contains(err.Error(), "previous_names") {
		t.Errorf("start with a renamed account: %v", err)
	}
	rename("previous_names: [acme],")
	r = s.mustStart()
	defer r.stop()
	if got := r.metric(`aispend_account_month_cost_usd{account="acme-inc",provider="openai"}`); got == "" {
		t.Error("no money under the new name")
	}
	if got := total(); got != "" {
		t.Errorf("the old name still has %s", got)
	}
}

// TestLowDisk starts on a full disk, and fills it under a running daemon: the
// start refuses with figures, the running one keeps its numbers and counts.
func TestLowDisk(t *testing.T) {
	s := newSite(t)
	var free atomic.Uint64
	free.Store(1 << 20)
	s.free = func(string) (uint64, error) { return free.Load(), nil }
	if _, err := s.start(); !errors.Is(err, store.ErrLowSpace) || !strings.Contains(err.Error(), "MiB") {
		t.Errorf("start on a full disk: %v", err)
	}
	free.Store(1 << 40)
	r := s.mustStart()
	defer r.stop()
	r.loaded()
	month := r.metric(`aispend_account_month_cost_usd{account="acme",provider="openai"}`)
	free.Store(1 << 20)
	r.until("a refused pull", func() bool {
		n := r.metric(`aispend_pulls_total{account="acme",outcome="store",provider="openai",source="openai/costs"}`)
		return n != "0" && n != ""
	})
	if got := r.metric(`aispend_account_month_cost_usd{account="acme",provider="openai"}`); got == "" || month == "" {
		t.Errorf("month was %q, is %q on a full disk", month, got)
	}
	if _, body := r.call(http.MethodGet, "/status", ""); !strings.Contains(body, "MiB free") {
		t.Errorf("/status does not say that the disk is full: %s", body)
	}
	free.Store(1 << 40)
	r.until("pulls again", func() bool {
		return r.metric(`aispend_source_up{account="acme",provider="openai",source="openai/costs"}`) == "1"
	})
}

// TestOneSourceDown breaks one provider: the other goes on and the page says who.
func TestOneSourceDown(t *testing.T) {
	s := newSite(t)
	s.world.RotateKey(simulator.OpenAI, "sk-admin-another-key-than-in-the-file")
	r := s.mustStart()
	defer r.stop()
	r.until("anthropic up, openai refused", func() bool {
		return r.metric(`aispend_source_up{account="acme",provider="anthropic",source="anthropic/cost_report"}`) == "1" &&
			r.metric(`aispend_pulls_total{account="acme",outcome="auth",provider="openai",source="openai/costs"}`) != "0"
	})
	if got := r.metric(`aispend_data_through_timestamp_seconds{account="acme",provider="openai",source="openai/costs"}`); got != "0" {
		t.Errorf("data through of a source that never answered is %q, want 0", got)
	}
	s.write("openai.key", "sk-admin-another-key-than-in-the-file\n")
	r.until("openai up after the key file changed", func() bool {
		return r.metric(`aispend_source_up{account="acme",provider="openai",source="openai/costs"}`) == "1"
	})
}

// TestReloadBeforeTheFirstPull asks for a reload the moment the port is open,
// over and over: it waits for the start to end instead of leaving two sets of
// sources running, which the race detector and the leak check of TestMain see.
func TestReloadBeforeTheFirstPull(t *testing.T) {
	s := newSite(t)
	for range 5 {
		r := s.mustStart()
		if code, body := r.call(http.MethodPost, "/-/reload", token); code != http.StatusOK {
			t.Errorf("POST /-/reload at once: %d %s", code, body)
		}
		r.stop()
	}
}
