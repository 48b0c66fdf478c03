// Package api is the HTTP face of aispend: a handful of routes over the current
// rollup snapshot, the archive and the sources' states.
//
// Every request takes the same way. ServeHTTP sets the security headers, watches
// the status code and reports it to the Observer under the route's pattern; a
// panic becomes a 500. The router picks the route from the one table in
// routes.go. Then, in this order and before any work is done: cross-origin check
// (routes that change something), token, parameters, a slot of the route's
// class. Tokens come before slots so that a stranger can never occupy one.
// A HEAD request ends there: it answers what GET would say of the caller and the
// parameters, and does no work.
//
// Every error is an RFC 9457 problem. Handlers return errors; they are turned
// into answers, and logged, in one place (problem.go).
package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// Archive is what the raw routes need of the store; store.Archive satisfies it.
type Archive interface {
	// RawPages lists pages newest first, without bodies. A cursor that the store
	// did not hand out is store.ErrBadCursor.
	RawPages(ctx context.Context, q store.RawQuery) (store.RawList, error)
	// RawPage returns one page of a provider with its body, or store.ErrNotFound.
	RawPage(ctx context.Context, provider, id string) (store.RawPage, error)
}

// Observer is told of every request when it has ended. Route is the pattern of
// the route ("/raw/:provider"), or OtherRoute, never a path that a client chose.
type Observer interface {
	Observe(route string, code int, seconds float64)
}

// OtherRoute is the pattern under which requests to no known route are observed.
const OtherRoute = "other"

// Deps is what the API lends from the rest of the daemon. All functions must be
// safe for concurrent use; those up to and including Metrics are required.
type Deps struct {
	// Snapshot returns the current rollup; never nil.
	Snapshot func() *rollup.Snapshot
	// Statuses returns how every configured source stands.
	Statuses func() []spend.SourceStatus
	// Caps judges every cap right now; it must be cheap.
	Caps func() ([]caps.Status, error)
	// Archive holds the raw pages.
	Archive Archive
	// Stats returns the store's figures; it must be cheap.
	Stats func() store.Stats
	// Recompute replays archived pages. The API calls it once at a time.
	Recompute func(context.Context, RecomputeRequest) (RecomputeReport, error)
	// Reload reads the configuration anew, all or nothing. The text of its error
	// is shown to the admin who asked, so it holds no secret. It returns ErrBusy at
	// once rather than wait for a recompute.
	Reload func(context.Context) error
	// ReloadFailed reports whether the newest reload failed, so that the file on
	// the disk is not what is in force; nil is never.
	ReloadFailed func() bool
	// Config returns the effective configuration with its secrets masked, as a
	// value that encodes to JSON and to YAML.
	Config func() any
	// Tokens returns what is accepted right now. It is called once per guarded
	// request, so that a rotated token file takes effect at once.
	Tokens func() Tokens
	// Ready reports that the store is open and the first snapshot is published.
	Ready func() bool
	// Metrics serves /metrics.
	Metrics http.Handler
	// TestAlert sends a test alert of a level (soft, hard) to every configured
	// Alertmanager; nil is none configured.
	TestAlert func(ctx context.Context, level string) TestAlert
	// Hook is the kill switch; nil is one that knows nothing.
	Hook Hook
	// Alertmanagers returns how each configured Alertmanager stands. It may wait a
	// second and no longer; nil is none configured.
	Alertmanagers func(context.Context) []Alertmanager

	// Providers maps every provider that this build knows to its source names.
	// Nothing else is accepted as a provider or source.
	Providers map[string][]string
	// Version, Revision and Started describe the process.
	Version, Revision string
	Started           time.Time
	// Demo marks made-up data.
	Demo bool
	// ExternalURL returns what people type to reach the daemon, "" if unknown; nil is "".
	ExternalURL func() string

	// Limits bounds the expensive routes; zero fields take their defaults.
	Limits Limits
	// Observer may be nil.
	Observer Observer
	// Logger may be nil, which discards.
	Logger *slog.Logger
	// Now may be nil, which is time.Now.
	Now func() time.Time
}

// Server answers the HTTP API. It is safe for concurrent use.
type Server struct {
	deps    Deps
	log     *slog.Logger
	now     func() time.Time
	router  *httprouter.Router
	origin  *http.CrossOriginProtection
	classes map[class]*slots
	known   providerSet
	page    *pageTemplate
}

// New returns the API over d. It starts nothing and does no I/O. The error names
// what d lacks.
func New(d Deps) (*Server, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	page, err := parsePage()
	if err != nil {
		return nil, err
	}
	s := &Server{
		deps: d, log: d.Logger, now: d.Now, page: page,
		origin: http.NewCrossOriginProtection(), classes: d.Limits.slots(), known: newProviderSet(d.Providers),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.deps.ExternalURL == nil {
		s.deps.ExternalURL = func() string { return "" }
	}
	if s.deps.ReloadFailed == nil {
		s.deps.ReloadFailed = func() bool { return false }
	}
	if s.deps.TestAlert == nil {
		s.deps.TestAlert = func(context.Context, string) TestAlert { return TestAlert{} }
	}
	if s.deps.Hook == nil {
		s.deps.Hook = noHook{}
	}
	if s.deps.Alertmanagers == nil {
		s.deps.Alertmanagers = func(context.Context) []Alertmanager { return nil }
	}
	s.router = s.newRouter()
	return s, nil
}

func (d Deps) check() error {
	missing := map[string]bool{
		"Snapshot": d.Snapshot == nil, "Statuses": d.Statuses == nil, "Caps": d.Caps == nil, "Archive": d.Archive == nil,
		"Stats": d.Stats == nil, "Recompute": d.Recompute == nil, "Reload": d.Reload == nil,
		"Config": d.Config == nil, "Tokens": d.Tokens == nil, "Ready": d.Ready == nil, "Metrics": d.Metrics == nil,
	}
	var errs []error
	for _, name := range sortedKeys(missing) {
		if missing[name] {
			errs = append(errs, errors.New("building the api: Deps."+name+" is not set"))
		}
	}
	return errors.Join(errs...)
}

// Limits of a connection, from reliability.md section 5.1: a client that is slow
// in any phase gives its connection back.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 120 * time.Second
	maxHeaderBytes    = 64 << 10
	maxBodyBytes      = 1 << 20
	// recomputeTimeout replaces the write timeout for the one route that may work
	// for minutes before it answers.
	recomputeTimeout = 30 * time.Minute
)

// HTTPServer returns an http.Server with this API and the limits that keep slow
// and greedy clients in bounds. Its requests' contexts descend from ctx. The
// caller serves, drains and closes it.
func (s *Server) HTTPServer(ctx context.Context) *http.Server {
	return &http.Server{
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.With("component", "http").Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
}
