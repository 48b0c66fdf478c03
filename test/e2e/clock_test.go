package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/exporter-toolkit/web"

	"github.com/aispend/aispend/internal/app"
	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/providers/registry"
)

// clockFileVariable names a file with the time by which a daemon's clock is ahead.
// The clock of the real binary cannot be moved from outside, so for the scenarios
// that need it the test binary is the daemon: the same internal/app, with
// app.Options.Now as the only difference.
const clockFileVariable = "AISPEND_E2E_CLOCK"

// offsetClock is a clock that is ahead of the real one by what a file says.
type offsetClock struct{ path string }

func newOffsetClock(t *testing.T, ahead time.Duration) offsetClock {
	t.Helper()
	c := offsetClock{path: filepath.Join(t.TempDir(), "clock")}
	c.set(t, ahead)
	return c
}

func (c offsetClock) set(t *testing.T, ahead time.Duration) {
	t.Helper()
	if err := os.WriteFile(c.path+".new", []byte(ahead.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(c.path+".new", c.path); err != nil {
		t.Fatal(err)
	}
}

// Now returns the shifted time.
func (c offsetClock) Now() time.Time {
	text, err := os.ReadFile(c.path)
	if err != nil {
		panic(err) // it exists as long as the test runs
	}
	ahead, err := time.ParseDuration(strings.TrimSpace(string(text)))
	if err != nil {
		panic(err)
	}
	return time.Now().Add(ahead)
}

// shiftedDaemon is the main function of a daemon with a clock of its own. Its
// arguments are the configuration, the store and the listen address.
func shiftedDaemon() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	configFile, store, address := os.Args[1], os.Args[2], os.Args[3]
	systemd, webConfig := false, ""
	err := app.Run(ctx, app.Options{
		Load:        config.NewLoader(config.Options{Path: configFile, Explicit: true, Types: registry.Types()}).Load,
		StoragePath: store,
		Web: &web.FlagConfig{
			WebListenAddresses: &[]string{address}, WebSystemdSocket: &systemd, WebConfigFile: &webConfig,
		},
		Types: registry.Types(), Logger: promslog.New(&promslog.Config{Writer: os.Stderr}),
		Now: offsetClock{path: os.Getenv(clockFileVariable)}.Now,
	}, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
