package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/exporter-toolkit/web"

	"github.com/aispend/aispend/internal/app"
	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/providers/registry"
	"github.com/aispend/aispend/providers/simulator"
)

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// site is a directory with a configuration, a simulated world and a log.
type site struct {
	t       *testing.T
	dir     string
	world   *simulator.World
	servers *simulator.Servers
	log     logBuffer
	free    func(string) (uint64, error)
	// listen and webConfig are the flags of the same names.
	listen    []string
	webConfig string
	// wrapLoad, if set, comes between the daemon and its configuration.
	wrapLoad func(load func() (*config.Loaded, error)) func() (*config.Loaded, error)
}

func newSite(t *testing.T) *site {
	t.Helper()
	return newSiteAt(t, nil)
}

// newSiteAt is newSite with a clock for the world; nil is the real one.
func newSiteAt(t *testing.T, now func() time.Time) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), world: simulator.New(simulator.Options{Seed: 5, Tiny: true, Now: now})}
	servers, err := s.world.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.servers = servers
	t.Cleanup(func() { _ = servers.Close() })
	s.write("openai.key", s.world.Key(simulator.OpenAI))
	s.write("anthropic.key", s.world.Key(simulator.Anthropic))
	s.write("admin.token", "admin-token-for-app-tests")
	s.configure("")
	return s
}

func (s *site) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// configure writes the configuration with both providers and extra top-level YAML.
func (s *site) configure(extra string) {
	s.t.Helper()
	s.write("aispend.yml", fmt.Sprintf(`
ingest: {interval: 1s, timeout: 20s}
web: {admin_token_file: admin.token}
providers:
  - {type: openai, account: acme, api_key_file: openai.key, base_url: %q}
  - {type: anthropic, account: acme, api_key_file: anthropic.key, base_url: %q}
%s`, s.servers.OpenAI, s.servers.Anthropic, extra))
}

// running is a daemon inside the test process.
type running struct {
	t      *testing.T
	base   string
	addrs  []net.Addr
	reload chan struct{}
	cancel context.CancelFunc
	done   chan error
}

func (s *site) options() app.Options {
	listen := s.listen
	if listen == nil {
		listen = []string{"127.0.0.1:0"}
	}
	return app.Options{
		Load: config.NewLoader(config.Options{
			Path: filepath.Join(s.dir, "aispend.yml"), Explicit: true, Types: registry.Types(),
		}).Load,
		StoragePath: filepath.Join(s.dir, "store"),
		Web:         &web.FlagConfig{WebListenAddresses: &listen, WebSystemdSocket: new(bool), WebConfigFile: &s.webConfig},
		Types:       registry.Types(),
		Logger:      slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		FreeBytes:   s.free,
	}
}

// start runs the daemon until it listens; an error is one that ended it before.
func (s *site) start() (*running, error) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	r := &running{t: s.t, reload: make(chan struct{}), cancel: cancel, done: make(chan error, 1)}
	addrs := make(chan []net.Addr, 1)
	o := s.options()
	if s.wrapLoad != nil {
		o.Load = s.wrapLoad(o.Load)
	}
	o.Listening = func(a []net.Addr) { addrs <- a }
	go func() { r.done <- app.Run(ctx, o, r.reload) }()
	select {
	case r.addrs = <-addrs:
		r.base = "http://" + r.addrs[0].String()
		return r, nil
	case err := <-r.done:
		cancel()
		return nil, err
	}
}

func (s *site) mustStart() *running {
	s.t.Helper()
	r, err := s.start()
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (r *running) stop() {
	r.t.Helper()
	r.cancel()
	select {
	case err := <-r.done:
		if err != nil {
			r.t.Errorf("stopping: %v", err)
		}
	case <-time.After(time.Minute):
		r.t.Fatal("the daemon does not stop")
	}
}

// call makes one request with a bearer token ("" for none).
func (r *running) call(method, path, token string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.base+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// metric returns the value text of one series, "" if there is none.
func (r *running) metric(series string) string {
	r.t.Helper()
	_, page := r.call(http.MethodGet, "/metrics", "")
	for line := range strings.Lines(page) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// until waits for a condition that the running daemon brings about.
func (r *running) until(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(30 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited in vain for: %s", what)
		}
	}
}

// loaded waits until the first load is done.
func (r *running) loaded() {
	r.t.Helper()
	r.until("the first load", func() bool {
		_, body := r.call(http.MethodGet, "/status", "")
		return strings.Contains(body, `"history":{"done":true,"days_read"`)
	})
}

func (s *site) read(name string) string {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}
