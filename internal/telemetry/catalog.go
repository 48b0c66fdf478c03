package telemetry

import "slices"

// The kinds of instruments.
const (
	CounterType   = "counter"
	HistogramType = "histogram"
)

// The components.
const (
	HTTPComponent   = "http"
	StoreComponent  = "store"
	IngestComponent = "ingest"
	DecodeComponent = "decode"
)

// The names of the instruments.
const (
	httpRequests   = "aispend_http_requests_total"
	httpDuration   = "aispend_http_request_duration_seconds"
	storeDuration  = "aispend_store_operation_duration_seconds"
	storeErrors    = "aispend_store_operation_errors_total"
	ingestRewalks  = "aispend_ingest_rewalks_total"
	decodeDuration = "aispend_decode_page_duration_seconds"
	decodeBytes    = "aispend_decode_bytes_total"
	decodeNotices  = "aispend_decode_notices_total"
)

// Definition declares one instrument.
type Definition struct {
	Name      string
	Component string
	Type      string
	Labels    []string
	Help      string
}

// Definitions lists every instrument there can be, for tests that compare them
// with the documentation.
func Definitions() []Definition {
	out := slices.Clone(catalog)
	for i := range out {
		out[i].Labels = slices.Clone(out[i].Labels)
	}
	return out
}

func lookup(name string) (Definition, bool) {
	for _, d := range catalog {
		if d.Name == name {
			return d, true
		}
	}
	return Definition{}, false
}

var catalog = []Definition{
	{
		httpRequests, HTTPComponent, CounterType,
		[]string{"route", "code"},
		"HTTP requests by route pattern and status code.",
	},
	{
		httpDuration, HTTPComponent, HistogramType,
		[]string{"route"},
		"How long HTTP requests took, by route pattern.",
	},
	{
		storeDuration, StoreComponent, HistogramType,
		[]string{"operation"},
		"How long store operations took.",
	},
	{
		storeErrors, StoreComponent, CounterType,
		[]string{"operation"},
		"Store operations that returned an error, a page not found included.",
	},
	{
		ingestRewalks, IngestComponent, CounterType,
		[]string{"source"},
		"Walks that were repeated with fewer buckets, because a page was too large or the walk timed out.",
	},
	{
		decodeDuration, DecodeComponent, HistogramType,
		[]string{"source"},
		"How long decoding one page took.",
	},
	{
		decodeBytes, DecodeComponent, CounterType,
		[]string{"source"},
		"Bytes of the pages that were decoded.",
	},
	{
		decodeNotices, DecodeComponent, CounterType,
		[]string{"source", "notice"},
		"Oddities in pages that did no harm, such as unknown fields.",
	},
}
