package telemetry

import (
	"strconv"
	"time"
)

// HTTP observes requests; it satisfies api.Observer.
type HTTP struct{ c *Component }

// HTTP returns the observer of the API.
func (t *Telemetry) HTTP() HTTP { return HTTP{t.Component(HTTPComponent)} }

// Observe adds a request that has ended. Route is the pattern, never a path that
// a client chose, so that the series stay few.
func (h HTTP) Observe(route string, code int, seconds float64) {
	h.c.Counter(httpRequests, route, strconv.Itoa(code)).Inc()
	h.c.Histogram(httpDuration, route).Update(seconds)
}

// Store observes store operations; its method fits badger.Options.Observe.
type Store struct{ c *Component }

// Store returns the observer of the store.
func (t *Telemetry) Store() Store { return Store{t.Component(StoreComponent)} }

// Observe adds an operation that has ended.
func (s Store) Observe(operation string, took time.Duration, err error) {
	s.c.Histogram(storeDuration, operation).Update(took.Seconds())
	failed := s.c.Counter(storeErrors, operation) // there from the first operation on, at 0
	if err != nil {
		failed.Inc()
	}
}

// Ingest observes walks and decoding; it satisfies ingest.Instruments.
type Ingest struct{ walks, decode *Component }

// Ingest returns the observer of the ingest.
func (t *Telemetry) Ingest() Ingest {
	return Ingest{t.Component(IngestComponent), t.Component(DecodeComponent)}
}

// PageDecoded adds one decoded page, its size and the time that decoding took.
func (i Ingest) PageDecoded(source string, bytes int, seconds float64) {
	i.decode.Histogram(decodeDuration, source).Update(seconds)
	i.decode.Counter(decodeBytes, source).Add(bytes)
}

// Rewalked counts a walk that was repeated with fewer buckets.
func (i Ingest) Rewalked(source string) { i.walks.Counter(ingestRewalks, source).Inc() }

// Noticed adds oddities that did no harm, by name.
func (i Ingest) Noticed(source, notice string, n int) {
	i.decode.Counter(decodeNotices, source, notice).Add(n)
}
