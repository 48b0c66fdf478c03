// Package collector is the Prometheus face of aispend: it turns the ledger's
// snapshot, the sources' states and the store's figures into the families of
// /metrics, and counts pulls.
//
// The spend families are built once per published snapshot, UTC day and setting,
// as metric families that never change again; every scrape hands out the same
// pointers. They do not pass through a prometheus.Registry: its checks of every
// sample cost five times the scrape (docs/decisions/0003-exposition.md). What the
// checks would find cannot happen here: label values are cleaned, and samples of
// one label set are added up before they become one sample.
//
// The package imports the vocabulary, the rollup and the store's figures, and
// neither ingest nor the API.
package collector
