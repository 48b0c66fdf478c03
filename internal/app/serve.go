package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/prometheus/exporter-toolkit/web"

	"github.com/aispend/aispend/internal/config"
)

// listen opens the listeners and serves on them; what ends serving arrives on
// the returned channel. Systemd sockets and vsock are exporter-toolkit's.
func (a *App) listen(cfg *config.Config, down *teardown) (<-chan error, error) {
	ctx, cancel := context.WithCancel(context.Background())
	server := a.api.HTTPServer(ctx)
	failed := make(chan error, 1)
	down.push("http", func(ctx context.Context) error {
		defer cancel() // handlers still running after the drain lose their context
		if err := server.Shutdown(ctx); err != nil {
			return errors.Join(err, server.Close())
		}
		return nil
	})
	logger := a.log.With("component", "web")
	if a.ownedByToolkit() {
		go func() { failed <- serving(web.ListenAndServe(server, a.opts.Web, logger)) }()
		return failed, nil
	}
	if err := web.Validate(*a.opts.Web.WebConfigFile); err != nil {
		return nil, &UsageError{Err: fmt.Errorf("--web.config.file: %w", err)}
	}
	var listeners []net.Listener
	for _, addr := range *a.opts.Web.WebListenAddresses {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		if err != nil {
			for _, open := range listeners {
				_ = open.Close()
			}
			return nil, fmt.Errorf("listening: %w; is another aispend running? --web.listen-address chooses another port", err)
		}
		listeners = append(listeners, l)
	}
	if a.opts.Listening != nil {
		addrs := make([]net.Addr, len(listeners))
		for i, l := range listeners {
			addrs[i] = l.Addr()
		}
		a.opts.Listening(addrs)
	}
	go func() { failed <- serving(web.ServeMultiple(listeners, server, a.opts.Web, logger)) }()
	return failed, nil
}

func serving(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (a *App) ownedByToolkit() bool {
	if a.opts.Web.WebSystemdSocket != nil && *a.opts.Web.WebSystemdSocket {
		return true
	}
	for _, addr := range *a.opts.Web.WebListenAddresses {
		if strings.HasPrefix(addr, "vsock://") {
			return true
		}
	}
	return false
}

// warnIfOpen says once that everybody who reaches the port sees the money.
func (a *App) warnIfOpen(cfg *config.Config) {
	if a.opts.Demo || cfg.Web.ReadToken.Set() || *a.opts.Web.WebConfigFile != "" {
		return
	}
	for _, addr := range *a.opts.Web.WebListenAddresses {
		if !Loopback(addr) {
			a.log.Warn("everybody who reaches this address can read the spend: set web.read_token_file, "+
				"or --web.config.file with TLS client certificates, or listen on 127.0.0.1", "address", addr)
			return
		}
	}
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
