// Command aispend pulls what AI providers billed, keeps every page for audit and
// exposes the money to Prometheus.
//
// This package only translates: flags, signals and the exit code live here, the
// daemon lives in internal/app.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"
	promslogflag "github.com/prometheus/common/promslog/flag"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"github.com/aispend/aispend/internal/app"
)

// Exit codes of the command line (contract section 4).
const (
	exitOK      = 0
	exitRuntime = 1
	exitUsage   = 2
)

const (
	defaultConfigFile = "aispend.yml"
	defaultListen     = ":10099"
)

func main() {
	// A build without the Makefile (go install) knows its version from the module.
	if info, ok := debug.ReadBuildInfo(); ok && version.Version == "" {
		version.Version = strings.Trim(info.Main.Version, "()")
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// command holds what the flags parsed into.
type command struct {
	stdout, stderr io.Writer

	configFile    string
	configSet     bool
	storagePath   string
	storageSet    bool
	externalURL   string
	dashboardURL  string // of the demo
	web           *web.FlagConfig
	log           promslog.Config
	configOnly    bool
	logLevelSet   bool
	healthURL     string
	healthTimeout string
	alertmanager  alertmanagerFlags
}

// run parses args, runs one command and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	c := &command{stdout: stdout, stderr: stderr}
	cli := kingpin.New("aispend", "Billed cost and usage of AI providers as Prometheus metrics, with every raw page kept.")
	cli.UsageWriter(stdout).ErrorWriter(stderr)
	exited := -1
	cli.Terminate(func(code int) {
		if exited < 0 {
			exited = code
		}
	})
	cli.Version(version.Print("aispend"))
	cli.HelpFlag.Short('h')
	cli.Flag("config.file", "Configuration file; without one the environment is read, see docs/configuration.md.").
		Default(defaultConfigFile).IsSetByUser(&c.configSet).StringVar(&c.configFile)
	cli.Flag("storage.path", "Directory of the store; created with mode 0700.").
		Default("data").IsSetByUser(&c.storageSet).StringVar(&c.storagePath)
	cli.Flag("web.external-url", "URL under which people reach aispend; used in links.").StringVar(&c.externalURL)
	c.web = kingpinflag.AddFlags(cli, defaultListen)
	promslogflag.AddFlags(cli, &c.log)

	serve := cli.Command("serve", "Run the daemon (the default command).").Default()
	demo := cli.Command("demo", "Run the daemon against simulated providers: no key, no network, a temporary store.")
	demo.Flag("dashboard-url", "Grafana dashboard that alerts about the demo lead to, as links.dashboard_url says it for serve.").
		StringVar(&c.dashboardURL)
	check := cli.Command("check", "Check the configuration and say what is wrong.")
	check.Flag("config-only", "Check the configuration without calling a provider; this version cannot do more, so give it.").BoolVar(&c.configOnly)
	ver := cli.Command("version", "Print the version.")
	health := cli.Command("healthcheck", "Exit 0 if a running daemon answers that it is ready; for containers without curl.")
	health.Flag("url", "What to ask.").Default("http://127.0.0.1:10099/-/ready").StringVar(&c.healthURL)
	health.Flag("timeout", "How long to wait for the answer.").Default("5s").StringVar(&c.healthTimeout)
	amConfig := c.alertmanager.register(cli)

	selected, err := cli.Parse(args)
	if exited >= 0 {
		return exited
	}
	for _, arg := range args {
		c.logLevelSet = c.logLevelSet || strings.HasPrefix(arg, "--log.level")
	}
	if err != nil {
		return c.fail(&app.UsageError{Err: fmt.Errorf("%w; try aispend --help", err)})
	}
	if err := c.checkFlags(); err != nil {
		return c.fail(&app.UsageError{Err: err})
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch selected {
	case serve.FullCommand():
		err = c.serve(ctx)
	case demo.FullCommand():
		err = c.demo(ctx)
	case check.FullCommand():
		err = c.check()
	case ver.FullCommand():
		_, err = fmt.Fprintln(stdout, version.Print("aispend"))
	case health.FullCommand():
		err = c.healthcheck(ctx)
	case amConfig.FullCommand():
		err = c.alertmanagerConfig()
	}
	return c.fail(err)
}

// checkFlags finds the wrong values that kingpin takes.
func (c *command) checkFlags() error {
	switch {
	case c.configFile == "":
		return errors.New("--config.file is empty: leave it away for " + defaultConfigFile + ", or name a file")
	case c.storagePath == "":
		return errors.New("--storage.path is empty: leave it away for data, or name a directory")
	case c.externalURL != "" && !isHTTP(c.externalURL):
		return errors.New("--web.external-url is not a URL: write scheme and host, such as https://spend.example.com/aispend")
	default:
		return nil
	}
}

// isHTTP reports whether text is the URL of something that speaks HTTP.
func isHTTP(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// fail prints err and returns the exit code that belongs to it.
func (c *command) fail(err error) int {
	if err == nil {
		return exitOK
	}
	text := strings.TrimRight(err.Error(), "\n")
	if strings.Contains(text, "\n") {
		text = "\n  " + strings.ReplaceAll(text, "\n", "\n  ")
	}
	_, _ = fmt.Fprintln(c.stderr, "aispend: error:", text)
	if ue := new(app.UsageError); errors.As(err, &ue) {
		return exitUsage
	}
	return exitRuntime
}

// reloads turns SIGHUP into sends on a one-slot channel: a second signal during a
// reload is kept, a third is the same wish as the second.
func reloads(ctx context.Context) <-chan struct{} {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	out := make(chan struct{}, 1)
	go func() {
		defer signal.Stop(hup)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
				select {
				case out <- struct{}{}:
				default:
				}
			}
		}
	}()
	return out
}
