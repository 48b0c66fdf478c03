package collector

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aispend/aispend/spend"
)

// PullMetrics counts pulls. Only registered sources are counted, so that a pull
// which ends after a reload removed its source brings no series back. All
// methods are safe for concurrent use and do not block.
type PullMetrics struct {
	pulls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	pages    *prometheus.CounterVec
	revised  *prometheus.Desc
	skew     *prometheus.Desc

	mu        sync.Mutex
	sources   map[spend.SourceID]*pullSource
	providers map[string]*pullProvider // of the registered sources
}

// pullSource holds the series of one source.
type pullSource struct {
	outcomes map[spend.Outcome]prometheus.Counter
	seconds  prometheus.Observer
	pages    prometheus.Counter
}

// pullProvider is what is counted per provider. Money is added up exactly and
// becomes a float when it is exposed.
type pullProvider struct {
	up, down spend.Money
	skew     time.Duration
	skewed   bool // skew was measured
}

// pullBuckets reach from a page that was hardly there to the longest timeout
// people set; the default timeout of 5m is a bound.
func pullBuckets() []float64 {
	return []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900}
}

// NewPullMetrics returns counters without any source.
func NewPullMetrics() *PullMetrics {
	counter := func(m metric) *prometheus.CounterVec {
		d := catalog[m]
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: d.Name, Help: d.Help}, d.Labels)
	}
	desc := func(m metric) *prometheus.Desc {
		d := catalog[m]
		return prometheus.NewDesc(d.Name, d.Help, d.Labels, nil)
	}
	hist := catalog[pullDuration]
	return &PullMetrics{
		pulls: counter(pullsTotal),
		pages: counter(pagesTotal),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: hist.Name, Help: hist.Help, Buckets: pullBuckets(),
		}, hist.Labels),
		revised:   desc(revisedTotal),
		skew:      desc(clockSkew),
		sources:   map[spend.SourceID]*pullSource{},
		providers: map[string]*pullProvider{},
	}
}

// Register announces a source: every series of it is there from now on, each
// outcome at 0. A source that is registered already keeps its counts.
func (p *PullMetrics) Register(id spend.SourceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.register(id)
}

// Retain makes ids the registered sources: the series of all others are dropped,
// the counts of those that stay go on.
func (p *PullMetrics) Retain(ids []spend.SourceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	keep := map[spend.SourceID]bool{}
	for _, id := range ids {
		keep[cleanID(id)] = true
		p.register(id)
	}
	for id := range p.sources {
		if !keep[id] {
			p.drop(id)
		}
	}
	for provider := range p.providers {
		if !slices.ContainsFunc(ids, func(id spend.SourceID) bool { return clean(id.Provider) == provider }) {
			delete(p.providers, provider)
		}
	}
}

func (p *PullMetrics) register(id spend.SourceID) {
	id = cleanID(id)
	if p.sources[id] != nil {
		return
	}
	l := []string{id.Provider, id.Account, id.Source}
	s := &pullSource{
		outcomes: map[spend.Outcome]prometheus.Counter{},
		seconds:  p.duration.WithLabelValues(l...),
		pages:    p.pages.WithLabelValues(l...),
	}
	for _, o := range spend.Outcomes() {
		s.outcomes[o] = p.pulls.WithLabelValues(append(l, string(o))...)
	}
	p.sources[id] = s
	if p.providers[id.Provider] == nil {
		p.providers[id.Provider] = &pullProvider{}
	}
}

func (p *PullMetrics) drop(id spend.SourceID) {
	l := prometheus.Labels{"provider": id.Provider, "account": id.Account, "source": id.Source}
	p.pulls.DeletePartialMatch(l)
	p.duration.DeletePartialMatch(l)
	p.pages.DeletePartialMatch(l)
	delete(p.sources, id)
}

// PullEnded counts the final outcome of a pull and the seconds it took. An
// outcome outside the closed set is not counted.
func (p *PullMetrics) PullEnded(id spend.SourceID, outcome spend.Outcome, seconds float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sources[cleanID(id)]
	if s == nil {
		return
	}
	if c := s.outcomes[outcome]; c != nil {
		c.Inc()
	}
	if seconds >= 0 && !math.IsInf(seconds, 1) {
		s.seconds.Observe(seconds)
	}
}

// PageFetched counts one response.
func (p *PullMetrics) PageFetched(id spend.SourceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.sources[cleanID(id)]; s != nil {
		s.pages.Inc()
	}
}

// Revised adds how much late revisions raised and lowered closed days, in USD,
// both as magnitudes.
func (p *PullMetrics) Revised(provider string, up, down spend.Money) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.providers[clean(provider)]; s != nil {
		s.up = s.up.Add(magnitude(up))
		s.down = s.down.Add(magnitude(down))
	}
}

func magnitude(m spend.Money) spend.Money {
	if m.Sign() < 0 {
		return m.Neg()
	}
	return m
}

// ClockSkew sets how far the provider's clock is ahead of ours.
func (p *PullMetrics) ClockSkew(provider string, ahead time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.providers[clean(provider)]; s != nil {
		s.skew, s.skewed = ahead, true
	}
}

// Describe implements prometheus.Collector.
func (p *PullMetrics) Describe(ch chan<- *prometheus.Desc) {
	p.pulls.Describe(ch)
	p.duration.Describe(ch)
	p.pages.Describe(ch)
	ch <- p.revised
	ch <- p.skew
}

// Collect implements prometheus.Collector.
func (p *PullMetrics) Collect(ch chan<- prometheus.Metric) {
	p.pulls.Collect(ch)
	p.duration.Collect(ch)
	p.pages.Collect(ch)
	p.mu.Lock()
	defer p.mu.Unlock()
	for provider, s := range p.providers {
		up, down := finite(s.up.Float64()), finite(s.down.Float64())
		ch <- prometheus.MustNewConstMetric(p.revised, prometheus.CounterValue, up, provider, "up")
		ch <- prometheus.MustNewConstMetric(p.revised, prometheus.CounterValue, down, provider, "down")
		if s.skewed {
			ch <- prometheus.MustNewConstMetric(p.skew, prometheus.GaugeValue, s.skew.Seconds(), provider)
		}
	}
}
