package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/common/promslog"

	"github.com/aispend/aispend/internal/app"
	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/providers/registry"
	"github.com/aispend/aispend/providers/simulator"
)

const (
	demoListen = "127.0.0.1:10099"
	demoSeed   = 2026
	demoStep   = 15 * time.Second // today's simulated spend grows this often
)

// demo runs the daemon against simulated providers on loopback. It reads no
// configuration file and no environment, and what it stores it removes.
func (c *command) demo(ctx context.Context) error {
	if err := c.demoFlags(); err != nil {
		return &app.UsageError{Err: err}
	}
	// Closing the terminal, or the pipe that it prints into, ends the demo like
	// Ctrl-C does: nobody is left to see it, and its directory has to go.
	ends := []os.Signal{syscall.SIGPIPE}
	if !signal.Ignored(syscall.SIGHUP) { // under nohup it is
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(ctx, ends...)
	defer stop()
	dir, err := os.MkdirTemp("", "aispend-demo-")
	if err != nil {
		return fmt.Errorf("making the demo's directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	world := simulator.New(simulator.Options{Seed: demoSeed, Step: demoStep})
	servers, err := world.Start(ctx)
	if err != nil {
		return fmt.Errorf("starting the simulated providers: %w", err)
	}
	defer func() { _ = servers.Close() }()
	token := "demo-" + strings.ToLower(rand.Text())
	sink, err := startHookSink(ctx, c.stdout)
	if err != nil {
		return err
	}
	defer sink.close()
	cfg, err := config.Demo(config.DemoOptions{
		OpenAIURL: servers.OpenAI, OpenAIKey: world.Key(simulator.OpenAI),
		AnthropicURL: servers.Anthropic, AnthropicKey: world.Key(simulator.Anthropic),
		GoogleURL: servers.Google, VertexCredentials: string(world.ServiceAccount(servers.Google)),
		VertexProject: simulator.VertexProject, VertexDataset: simulator.VertexDataset, VertexTable: simulator.VertexTable,
		VertexBudget: simulator.VertexBudget, Subscription: simulator.VertexSubscription,
		HookURL: sink.url, HookSecret: sink.secret,
		AdminToken: token, Types: registry.Types(), Caps: demoCaps(world), DashboardURL: c.dashboardURL,
	})
	if err != nil {
		return &app.UsageError{Err: err} // of what it is made of, only the dashboard's URL is a user's
	}
	c.log.Writer = c.stderr
	demoCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	told := make(chan struct{})
	close(told)
	err = app.Run(demoCtx, app.Options{
		Load: func() (*config.Loaded, error) {
			return &config.Loaded{Config: cfg, Source: "demo", SHA256: "demo"}, nil
		},
		StoragePath: dir, Web: c.web, ExternalURL: c.externalURL, Types: registry.Types(), Demo: true,
		Logger: promslog.New(&c.log),
		Listening: func(addrs []net.Addr) {
			base := "http://" + addrs[0].String()
			g := &guide{out: c.stdout, base: base, token: token}
			g.welcome()
			told = make(chan struct{})
			go func() { defer close(told); g.follow(demoCtx) }()
		},
	}, nil)
	cancel()
	<-told
	return err
}

// demoFlags makes sure that the demo can be reached from this machine only and
// says nothing unless asked to.
func (c *command) demoFlags() error {
	if c.configSet {
		return errors.New("aispend demo reads no configuration file: leave --config.file away, or run aispend serve")
	}
	if c.storageSet {
		return errors.New("aispend demo stores in a temporary directory, which it removes: leave --storage.path away")
	}
	if *c.web.WebSystemdSocket || *c.web.WebConfigFile != "" {
		return errors.New("aispend demo takes neither --web.systemd-socket nor --web.config.file")
	}
	if slices.Equal(*c.web.WebListenAddresses, []string{defaultListen}) {
		*c.web.WebListenAddresses = []string{demoListen}
	}
	for _, addr := range *c.web.WebListenAddresses {
		if !app.Loopback(addr) {
			return fmt.Errorf("--web.listen-address=%s: aispend demo listens on loopback only, such as 127.0.0.1:10100", addr)
		}
	}
	if !c.logLevelSet {
		return c.log.Level.Set("warn")
	}
	return nil
}

// guide tells a newcomer what to open and how the first load goes, by asking the
// daemon like anybody else.
type guide struct {
	out   io.Writer
	base  string
	token string
}

func (g *guide) printf(format string, args ...any) { _, _ = fmt.Fprintf(g.out, format, args...) }

func (g *guide) welcome() {
	g.printf(`aispend demo: simulated OpenAI, Anthropic and Google Vertex AI accounts, a temporary store, nothing real.

  open      %[1]s/
  metrics   %[1]s/metrics
  caps      curl -s '%[1]s/caps'
  spend     curl -s '%[1]s/spend?groupBy=provider,month&from=%[3]s'
  raw       curl -s -H 'Authorization: Bearer %[2]s' '%[1]s/raw/openai?limit=3'
  replay    curl -s -X POST -H 'Authorization: Bearer %[2]s' '%[1]s/recompute?dry_run=true'
  hard cap  curl -s -X POST -H 'Authorization: Bearer %[2]s' '%[1]s/webhook/hard-cap' --data '%[4]s'

  admin token of this run: %[2]s

loading the history, newest month first:
`, g.base, g.token, time.Now().UTC().AddDate(0, -2, 0).Format("2006-01")+"-01", demoAlert())
}

// demoStatus is what the guide reads of /status.
type demoStatus struct {
	History struct {
		Done bool `json:"done"`
	} `json:"history"`
	Sources []struct {
		Source    string `json:"source"`
		LastError string `json:"last_error"`
		History   struct {
			Done        bool   `json:"done"`
			CoveredFrom string `json:"covered_from"`
			DaysRead    int    `json:"days_read"`
			DaysTotal   int    `json:"days_total"`
		} `json:"history"`
	} `json:"sources"`
	Store struct {
		RawPages map[string]int `json:"raw_pages"`
	} `json:"store"`
}

// follow prints every step of the first load until it is done or ctx ends.
func (g *guide) follow(ctx context.Context) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	seen, complained := map[string]int{}, map[string]string{}
	for {
		var st demoStatus
		if err := g.get(ctx, "/status", &st); err == nil {
			for _, s := range st.Sources {
				if n := s.History.DaysRead; n > 0 && n != seen[s.Source] {
					seen[s.Source] = n
					g.printf("  %-24s back to %s  %3d of %d days\n", s.Source, s.History.CoveredFrom, n, s.History.DaysTotal)
				}
				if s.LastError != "" && s.LastError != complained[s.Source] {
					complained[s.Source] = s.LastError
					g.printf("  %-24s %s\n", s.Source, s.LastError)
				}
			}
			if st.History.Done {
				g.summary(ctx, st)
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (g *guide) summary(ctx context.Context, st demoStatus) {
	pages := 0
	for _, n := range st.Store.RawPages {
		pages += n
	}
	g.printf("history loaded: %d raw pages kept\n\nspend this month so far (UTC):\n", pages)
	var spent struct {
		Rows []struct {
			Provider string      `json:"provider"`
			Cost     json.Number `json:"cost_usd"`
		} `json:"rows"`
		Totals struct {
			Cost json.Number `json:"cost_usd"`
		} `json:"totals"`
	}
	if err := g.get(ctx, "/spend?"+url.Values{"groupBy": {"provider"}}.Encode(), &spent); err != nil {
		g.printf("  not available: %v\n", err)
		return
	}
	for _, r := range spent.Rows {
		g.printf("  %-24s %s USD\n", r.Provider, r.Cost)
	}
	g.printf("  %-24s %s USD\n", "total", spent.Totals.Cost)
	g.caps(ctx)
	g.printf("\nIt keeps pulling every 15 s; today grows while you watch. Stop it with Ctrl-C.\n")
}

func (g *guide) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.base+path, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", path, resp.Status)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, 8<<20)).Decode(into)
}
