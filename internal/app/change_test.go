package app_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/app"
	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

// gated makes every decoder of a loaded configuration wait while the gate is shut.
type gated struct {
	providers.Settings
	gate *gate
}

func (g *gated) Open(env providers.Env) ([]providers.Source, error) {
	sources, err := g.Settings.Open(env)
	for i, s := range sources {
		sources[i] = &gatedSource{s, g.gate}
	}
	return sources, err
}

type gatedSource struct {
	providers.Source
	gate *gate
}

func (s *gatedSource) NewDecoder(w spend.Window) providers.Decoder {
	s.gate.pass()
	return s.Source.NewDecoder(w)
}

// gate lets everybody pass until it is shut; then it tells of the first who waits.
type gate struct {
	shut    chan struct{} // closed: shut
	waiting chan struct{}
	open    chan struct{} // closed: open again, for good
}

func newGate() *gate {
	return &gate{shut: make(chan struct{}), waiting: make(chan struct{}, 1), open: make(chan struct{})}
}

func (g *gate) pass() {
	select {
	case <-g.shut:
	default:
		return
	}
	select {
	case g.waiting <- struct{}{}:
	default:
	}
	<-g.open
}

func (g *gate) around(load func() (*config.Loaded, error)) func() (*config.Loaded, error) {
	return func() (*config.Loaded, error) {
		loaded, err := load()
		if err == nil {
			for i, p := range loaded.Config.Providers {
				loaded.Config.Providers[i].Settings = &gated{p.Settings, g}
			}
		}
		return loaded, err
	}
}

// TestReloadDuringRecompute holds a recompute in the middle: a reload by HTTP is
// told to come back at once, one by signal waits, and neither keeps the daemon
// from stopping.
func TestReloadDuringRecompute(t *testing.T) {
	s := newSite(t)
	g := newGate()
	s.wrapLoad = g.around
	// One pull is all, so that what waits at the gate is the recompute.
	s.configure("storage: {raw_retention: 30d}\n")
	s.write("aispend.yml", strings.Replace(s.read("aispend.yml"), "interval: 1s", "interval: 1h", 1))
	r := s.mustStart()
	r.loaded()
	close(g.shut)
	recomputed := make(chan int, 1)
	go func() {
		code, _ := r.call(http.MethodPost, "/recompute", token)
		recomputed <- code
	}()
	<-g.waiting
	code, body := r.call(http.MethodPost, "/-/reload", token)
	if code != http.StatusConflict || !strings.Contains(body, "a recompute is running") {
		t.Errorf("reloading while a recompute runs: %d %s", code, body)
	}
	if got := r.metric("aispend_config_last_reload_successful"); got != "1" {
		t.Errorf("reload successful is %q after one that was put off", got)
	}
	r.reload <- struct{}{}
	r.cancel()
	r.until("the listener to close", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.base, "http://"))
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	close(g.open)
	if code := <-recomputed; code != http.StatusOK && code != http.StatusServiceUnavailable {
		t.Errorf("the recompute was answered with %d", code)
	}
	r.stop()
}

// TestReloadOutlivesItsClient goes away in the middle of a reload: between the old
// loops and the new ones nobody pulls, so it has to go on without the client.
func TestReloadOutlivesItsClient(t *testing.T) {
	s := newSite(t)
	begun, goOn, loads := make(chan struct{}), make(chan struct{}), 0
	s.wrapLoad = func(load func() (*config.Loaded, error)) func() (*config.Loaded, error) {
		return func() (*config.Loaded, error) {
			if loads++; loads == 2 {
				close(begun)
				<-goOn
			}
			return load()
		}
	}
	r := s.mustStart()
	defer r.stop()
	r.loaded()
	s.configure("metrics: {by_project: true}\n")
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, r.base+"/-/reload", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		if resp, err := (&http.Client{Transport: &http.Transport{}}).Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-begun
	leave()
	<-gone
	time.Sleep(100 * time.Millisecond) // net/http tells the handler in its own time
	close(goOn)
	r.until("the new configuration", func() bool {
		_, body := r.call(http.MethodGet, "/config", "")
		return strings.Contains(body, `"by_project":true`)
	})
	pulls := `aispend_pulls_total{account="acme",outcome="ok",provider="openai",source="openai/costs"}`
	count := r.metric(pulls)
	r.until("another pull", func() bool { return r.metric(pulls) != count })
}

// TestReloadTakesHold changes what a reload can change, one after the other, and
// looks at what it does to figures, counters and states.
func TestReloadTakesHold(t *testing.T) {
	const source = `{account="acme",provider="openai",source="openai/costs"}`
	const pulls = `aispend_pulls_total{account="acme",outcome="ok",provider="openai",source="openai/costs"}`
	const month = `aispend_account_month_cost_usd{account="acme",provider="openai"}`
	s := newSite(t)
	r := s.mustStart()
	defer r.stop()
	r.loaded()
	original := s.read("aispend.yml")
	reload := func(what, old, with string) {
		t.Helper()
		s.write("aispend.yml", strings.Replace(original, old, with, 1))
		if code, body := r.call(http.MethodPost, "/-/reload", token); code != http.StatusOK {
			t.Fatalf("reloading with %s: %d %s", what, code, body)
		}
	}
	want := func(what, series, value string) {
		t.Helper()
		if got := r.metric(series); got != value {
			t.Errorf("%s: %s is %q, want %q", what, series, got, value)
		}
	}
	before := r.metric(pulls)
	reload("an interval of an hour", "interval: 1s", "interval: 1h")
	want("interval", "aispend_source_poll_interval_seconds"+source, "3600")
	if after := r.metric(pulls); after < before && len(after) <= len(before) {
		t.Errorf("the count of pulls fell from %s to %s over a reload", before, after)
	}
	want("interval", "aispend_source_up"+source, "1")
	if got := r.metric("aispend_pull_last_success_timestamp_seconds" + source); got == "0" || got == "" {
		t.Errorf("the last success is %q after a reload", got)
	}
	money := r.metric(month)

	reload("openai disabled", "account: acme, api_key_file: openai.key", "account: acme, enabled: false, api_key_file: openai.key")
	want("disabled", "aispend_source_enabled"+source, "0")
	want("disabled", month, money)
	if got := r.metric("aispend_data_through_timestamp_seconds" + source); got == "0" || got == "" {
		t.Errorf("the data of a disabled source reaches to %q", got)
	}
	want("disabled", "aispend_source_enabled"+strings.ReplaceAll(source, "openai/costs", "openai/usage"), "0")

	reload("openai enabled again", "", "")
	want("enabled", "aispend_source_enabled"+source, "1")
	r.until("pulls after it was enabled again", func() bool { n := r.metric(pulls); return n != "" && n != "0" })

	reload("a base_url that answers nothing", s.servers.OpenAI, "http://127.0.0.1:1")
	r.until("a failed pull", func() bool { return r.metric("aispend_source_up"+source) == "0" })
	want("base_url", month, r.metric(month))

	s.write("new.token", "another-admin-token\n")
	reload("another admin token", "admin.token", "new.token")
	if code, _ := r.call(http.MethodPost, "/-/reload", token); code != http.StatusUnauthorized {
		t.Errorf("the old token still opens: %d", code)
	}
	if code, _ := r.call(http.MethodPost, "/-/reload", "another-admin-token"); code != http.StatusOK {
		t.Errorf("the new token does not open: %d", code)
	}
}

// TestStopDuringStart stops a daemon that is not up yet: that is no failure.
func TestStopDuringStart(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	o := s.options()
	load := o.Load
	o.Load = func() (*config.Loaded, error) { cancel(); return load() }
	if err := app.Run(ctx, o, nil); err != nil {
		t.Errorf("a start that was stopped: %v", err)
	}
}
