// Package app assembles the daemon: it opens the store, publishes what the
// ledger holds, listens, pulls, reloads and stops. Nothing imports it but cmd.
package app

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/prometheus/exporter-toolkit/web"

	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/providers"
)

// UsageError is a wrong flag or a wrong configuration: exit code 2.
type UsageError struct{ Err error }

// Error returns the text of the wrapped error.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the wrapped error.
func (e *UsageError) Unwrap() error { return e.Err }

// Options are what the daemon is made from. Load, StoragePath, Web and Types are required.
type Options struct {
	// Load reads the configuration; it is called once at the start and once per reload.
	Load func() (*config.Loaded, error)
	// StoragePath is the directory of the store.
	StoragePath string
	// Web holds the listen addresses and the path of exporter-toolkit's file.
	Web *web.FlagConfig
	// ExternalURL is --web.external-url; links.external_url of the configuration wins.
	ExternalURL string
	// Types is the table of providers.
	Types map[string]providers.Type
	// Demo marks everything as made up and keeps the proxy of the environment out.
	Demo bool
	// Listening, if set, is called once with the addresses, before the first pull.
	Listening func([]net.Addr)
	// Logger may be nil, which discards.
	Logger *slog.Logger
	// Now may be nil, which is time.Now.
	Now func() time.Time
	// FreeBytes may be nil; tests fill the disk with it.
	FreeBytes func(dir string) (uint64, error)
}

func (o Options) check() (Options, error) {
	if o.Load == nil || o.StoragePath == "" || o.Web == nil || len(o.Types) == 0 {
		return o, errors.New("app: Load, StoragePath, Web and Types are required")
	}
	for _, addr := range *o.Web.WebListenAddresses {
		if err := checkAddress(addr); err != nil {
			return o, &UsageError{Err: err}
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, nil
}

// checkAddress finds the mistakes of a listen address that need no socket.
func checkAddress(addr string) error {
	if strings.HasPrefix(addr, vsockScheme) {
		return nil // exporter-toolkit's business
	}
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return fmt.Errorf("--web.listen-address=%s: %w; write host:port or :port, such as :10099", addr, err)
	}
	return nil
}
