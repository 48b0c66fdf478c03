package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/sync/errgroup"

	"github.com/aispend/aispend/internal/config"
)

// listen opens the listeners and serves on them; what ends serving arrives on
// the returned channel. Systemd sockets and vsock are exporter-toolkit's.
func (a *App) listen(down *teardown) (<-chan error, error) {
	logger := a.log.With("component", "web")
	base, cancel := context.WithCancel(context.Background())
	f := &front{cancel: cancel}
	down.push("http", f.stop)
	if a.ownedByToolkit() {
		failed := make(chan error, 1)
		server := f.add(a.api.HTTPServer(base))
		go func() { failed <- serving(web.ListenAndServe(server, a.opts.Web, logger)) }()
		return failed, nil
	}
	listeners, err := openListeners(*a.opts.Web.WebListenAddresses)
	if err != nil {
		return nil, err
	}
	if a.opts.Listening != nil {
		addrs := make([]net.Addr, len(listeners))
		for i, l := range listeners {
			addrs[i] = l.Addr()
		}
		a.opts.Listening(addrs)
	}
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		// A server for each: the toolkit wraps the handler and sets the TLS settings of
		// the server it is given, which two listeners would do at the same time.
		server := f.add(a.api.HTTPServer(base))
		go func() { failed <- serving(web.Serve(l, server, a.opts.Web, logger)) }()
	}
	return failed, nil
}

func openListeners(addrs []string) ([]net.Listener, error) {
	var listeners []net.Listener
	for _, addr := range addrs {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
		if err == nil {
			listeners = append(listeners, l)
			continue
		}
		for _, open := range listeners {
			_ = open.Close()
		}
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("listening: %w; another process has the port, perhaps another aispend: "+
				"stop it, or choose another port with --web.listen-address", err)
		}
		return nil, fmt.Errorf("listening: %w; --web.listen-address chooses another address", err)
	}
	return listeners, nil
}

// front is all that serves HTTP; cancel ends the contexts of all requests.
type front struct {
	cancel  context.CancelFunc
	servers []*http.Server
}

func (f *front) add(s *http.Server) *http.Server {
	f.servers = append(f.servers, s)
	return s
}

// stop closes the listeners, lets requests end, cancels those that last, and cuts
// off what does not even heed that.
func (f *front) stop(ctx context.Context) error {
	defer f.cancel()
	if f.shutdown(ctx, drainTimeout) == nil {
		return nil
	}
	f.cancel()
	if err := f.shutdown(ctx, cancelTimeout); err != nil {
		for _, s := range f.servers {
			err = errors.Join(err, s.Close())
		}
		return err
	}
	return nil
}

func (f *front) shutdown(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var all errgroup.Group
	for _, s := range f.servers {
		all.Go(func() error { return s.Shutdown(ctx) })
	}
	return all.Wait()
}

func serving(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// vsockScheme begins the listen addresses that only exporter-toolkit understands.
const vsockScheme = "vsock://"

func (a *App) ownedByToolkit() bool {
	if a.opts.Web.WebSystemdSocket != nil && *a.opts.Web.WebSystemdSocket {
		return true
	}
	for _, addr := range *a.opts.Web.WebListenAddresses {
		if strings.HasPrefix(addr, vsockScheme) {
			return true
		}
	}
	return false
}

// warnIfOpen says once that everybody who reaches the port sees the money.
func (a *App) warnIfOpen(cfg *config.Config) {
	if a.opts.Demo || cfg.Web.ReadToken.Set() || config.WebConfigGuards(*a.opts.Web.WebConfigFile) {
		return
	}
	for _, addr := range *a.opts.Web.WebListenAddresses {
		if !Loopback(addr) {
			a.log.Warn("everybody who reaches this address can read the spend: set web.read_token_file, "+
				"or --web.config.file with users or TLS client certificates, or listen on 127.0.0.1", "address", addr)
			return
		}
	}
}

// CheckWebConfig reads exporter-toolkit's file, with the certificates it names, and
// refuses what cannot go together with the tokens of cfg. Its error is a *UsageError.
func CheckWebConfig(path string, cfg *config.Config) error {
	if err := config.CheckWebConfig(path, cfg); err != nil {
		return &UsageError{Err: err}
	}
	if err := web.Validate(path); err != nil {
		return &UsageError{Err: fmt.Errorf("--web.config.file: %s: %w", path, err)}
	}
	return nil
}

// Loopback reports whether a listen address can be reached from this machine only.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
