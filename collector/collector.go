package collector

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// Settings are what the configuration says about the page. A reload may change
// them at any time.
type Settings struct {
	DailyWindow    int  // days exposed with the day label; 0 turns the family off
	MaxSeries      int  // budget of all series with a model label; 0 is none
	ByProject      bool // adds aispend_project_month_cost_usd
	CapsConfigured int
	ExternalURL    string // links.external_url
	DashboardURL   string // links.dashboard_url
	Demo           bool
}

// Reload is how the newest load of the configuration went.
type Reload struct {
	Successful  bool
	LastSuccess time.Time
}

// Options are what the page is made from. The functions are called during a
// scrape, by many goroutines, and must be cheap; the families of a nil function
// are left out.
type Options struct {
	Snapshots func() *rollup.Snapshot        // required: rollup.Book.Snapshot
	Settings  func() Settings                // nil: the defaults of the contract
	Statuses  func() []spend.SourceStatus    // ingest.Runner.Statuses
	Caps      func() ([]caps.Status, error)  // internal/caps over the same snapshots
	Store     func() store.Stats             // store.Store.Stats
	Hook      func() (Hook, error)           // internal/hardcap over the same caps
	Reload    func() Reload                  // the configuration's owner
	Pulls     *PullMetrics                   // the same that ingest reports to
	Extra     map[string]prometheus.Gatherer // by name, for errors: internal/telemetry
	Now       func() time.Time               // nil: time.Now
	Logger    *slog.Logger                   // nil: silent
}

// Collector makes the page. It starts no goroutine and is safe for concurrent use.
type Collector struct {
	parts    []part
	registry *prometheus.Registry
	logger   *slog.Logger
}

// part is one independent source of families.
type part struct {
	name   string
	gather func() ([]*dto.MetricFamily, error)
}

// New returns a collector over the given sources of figures.
func New(o Options) *Collector {
	o = o.withDefaults()
	c := &Collector{registry: prometheus.NewRegistry(), logger: o.Logger}
	c.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		version.NewCollector("aispend"),
	)
	if o.Pulls != nil {
		c.registry.MustRegister(o.Pulls)
	}
	// The sources come before the money: a pull that is applied in between then makes
	// the money newer than its date for one scrape, never the date newer than the money.
	if o.Statuses != nil {
		c.add("sources", func() []*dto.MetricFamily { return gatherSources(o.Statuses()) })
		c.parts = append(c.parts, part{"budgets", func() ([]*dto.MetricFamily, error) {
			return gatherBudgets(o.Snapshots(), o.Statuses(), o.Now())
		}})
	}
	if o.Caps != nil {
		c.parts = append(c.parts, part{"caps", func() ([]*dto.MetricFamily, error) { return gatherCaps(o.Caps()) }})
	}
	cache := &spendCache{snapshots: o.Snapshots, settings: o.Settings, now: o.Now}
	c.parts = append(c.parts, part{"spend", cache.Gather}, part{"process", c.registry.Gather})
	c.add("settings", func() []*dto.MetricFamily { return gatherSettings(o.Settings()) })
	if o.Store != nil {
		c.add("store", func() []*dto.MetricFamily { return gatherStore(o.Store()) })
	}
	if o.Hook != nil {
		c.parts = append(c.parts, part{"hook", func() ([]*dto.MetricFamily, error) { return gatherHook(o.Hook()) }})
	}
	if o.Reload != nil {
		c.add("reload", func() []*dto.MetricFamily { return gatherReload(o.Reload()) })
	}
	for name, g := range o.Extra {
		c.parts = append(c.parts, part{name, g.Gather})
	}
	return c
}

func (o Options) withDefaults() Options {
	if o.Settings == nil {
		o.Settings = func() Settings { return Settings{DailyWindow: 35, MaxSeries: 20000} }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (c *Collector) add(name string, gather func() []*dto.MetricFamily) {
	c.parts = append(c.parts, part{name, func() ([]*dto.MetricFamily, error) { return gather(), nil }})
}

// Gatherer returns the whole page. The families it hands out are shared and must
// not be changed. A part that fails or panics costs its own families: they are
// missing, the error names the part, and the rest of the page is there.
func (c *Collector) Gatherer() prometheus.Gatherer { return prometheus.GathererFunc(c.gather) }

// Handler serves the page in what the client asks for: text, OpenMetrics or
// protobuf, gzip or not. Errors are logged and counted in
// promhttp_metric_handler_errors_total; what could be gathered is served. How many
// pages are written at once is bounded, in all and for each client address; a
// request that waits for its turn for 5 s in vain is answered 503.
func (c *Collector) Handler() http.Handler {
	return newGate(promhttp.HandlerFor(c.Gatherer(), promhttp.HandlerOpts{
		ErrorLog:          errorLog{c.logger},
		ErrorHandling:     promhttp.ContinueOnError,
		Registry:          c.registry,
		EnableOpenMetrics: true,
	}))
}

func (c *Collector) gather() ([]*dto.MetricFamily, error) {
	var (
		page []*dto.MetricFamily
		errs []error
		from = map[string]string{} // family to part
	)
	for _, p := range c.parts {
		families, err := p.safeGather()
		if err != nil {
			errs = append(errs, fmt.Errorf("gathering %s: %w", p.name, err))
		}
		for _, mf := range families {
			if owner, taken := from[mf.GetName()]; taken {
				errs = append(errs, fmt.Errorf("family %s of %s is also in %s", mf.GetName(), p.name, owner))
				continue
			}
			from[mf.GetName()] = p.name
			page = append(page, mf)
		}
	}
	slices.SortFunc(page, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return page, errors.Join(errs...)
}

// safeGather keeps a panic in one part from taking the page down.
func (p part) safeGather() (families []*dto.MetricFamily, err error) {
	defer func() {
		if r := recover(); r != nil {
			families, err = nil, fmt.Errorf("panic: %v", r)
		}
	}()
	return p.gather()
}

// errorLog hands promhttp's errors to the logger.
type errorLog struct{ logger *slog.Logger }

// Println implements promhttp.Logger.
func (l errorLog) Println(v ...any) {
	l.logger.Error("metrics page is incomplete", "err", strings.TrimSuffix(fmt.Sprintln(v...), "\n"))
}
