package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/aispend/aispend/collector"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

const scrapeDays = 90

// scrape compares one scrape of the collector with one of a plain GaugeVec
// registry that exposes the same series beside the same process metrics, and
// with the writing of a body that is there already.
func scrape(ctx context.Context, b *bench) error {
	b.note("CPU of one scrape over loopback, its client's included; text as Prometheus asks for it; " +
		"go_* and process_* on both sides")
	var rows [][]string
	share := map[int]float64{} // of GaugeVec's CPU, with gzip
	for _, size := range b.sizes.series {
		for _, encoding := range []string{"gzip", "identity"} {
			more, part, err := b.scrapeSize(ctx, size, encoding)
			if err != nil {
				return err
			}
			rows = append(rows, more...)
			if encoding == "gzip" {
				share[size] = part
			}
		}
	}
	b.table([]string{
		"series", "encoding", "contender", "CPU ms", "allocs", "body MB", "to GaugeVec", "to limit",
	}, rows)
	if part, ok := share[100_000]; ok {
		b.atMost("scrape at 1e5 series, CPU as a share of GaugeVec's", part, 0.25, "")
	}
	return nil
}

// scrapeSize measures one size and returns our CPU as a share of GaugeVec's.
func (b *bench) scrapeSize(
	ctx context.Context, size int, encoding string,
) (rows [][]string, share float64, err error) {
	ours := collector.New(ledgerPage(size / scrapeDays))
	peer, n, err := gaugeVecs(ours.Gatherer())
	if err != nil {
		return nil, 0, err
	}
	var cached bytes.Buffer
	limit := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(cached.Bytes()) })
	names := []string{"GaugeVec + promhttp", "aispend collector", "limit: one cached body"}
	var contenders []contender
	var body [3]int64
	for i, h := range []http.Handler{peer, ours.Handler(), limit} {
		t := newTarget(h)
		defer t.close()
		if i == 1 {
			if _, err := t.scrape(ctx, encoding, &cached); err != nil {
				return nil, 0, err
			}
		}
		do := func() (err error) {
			body[i], err = t.scrape(ctx, encoding, io.Discard)
			return err
		}
		contenders = append(contenders, contender{name: names[i], times: max(2, 20_000/size), do: do})
	}
	got, err := rounds{n: b.sizes.rounds}.inTurn(contenders...)
	if err != nil {
		return nil, 0, err
	}
	for i, f := range got {
		rows = append(rows, []string{
			fmt.Sprint(n), encoding, names[i], millis(f.cpu), count(f.allocs), number(float64(body[i]) / 1e6),
			times(f.cpu, got[0].cpu), times(f.cpu, got[2].cpu),
		})
	}
	return rows, float64(got[1].cpu) / float64(got[0].cpu), nil
}

// ledgerPage is a collector over a ledger of three providers with so many models
// each day.
func ledgerPage(models int) collector.Options {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	book := rollup.NewBook()
	book.Update(func(tx *rollup.Tx) {
		for p, provider := range []string{"openai", "anthropic", "vertex"} {
			id := spend.SourceID{Provider: provider, Account: "default", Source: provider + "/costs"}
			var days []spend.Statement
			for d := range scrapeDays {
				st := spend.Statement{Day: spend.DayOf(now) - spend.Day(d)}
				for m := p; m < models; m += 3 {
					amount := fmt.Sprintf("%d.%06d", m+1, (d*7919+m*104729)%1_000_000)
					st.Charges = append(st.Charges, spend.Charge{
						Model:    fmt.Sprintf("model-%s-%04d", provider, m),
						Currency: spend.USD, Gross: spend.MustMoney(amount),
					})
				}
				days = append(days, st)
			}
			tx.Replace(id, days)
			tx.SetThrough(id, now)
		}
	})
	return collector.Options{
		Snapshots: book.Snapshot, Now: func() time.Time { return now },
		Settings: func() collector.Settings { return collector.Settings{DailyWindow: scrapeDays} },
	}
}

// gaugeVecs is the plain exporter: the money of a page set in GaugeVecs. It
// returns how many series that is.
func gaugeVecs(page prometheus.Gatherer) (http.Handler, int, error) {
	families, err := page.Gather()
	if err != nil {
		return nil, 0, fmt.Errorf("gathering: %w", err)
	}
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	series := 0
	for _, mf := range families {
		if !strings.HasPrefix(mf.GetName(), "aispend_") || mf.GetType() != dto.MetricType_GAUGE {
			continue
		}
		var names []string
		for _, l := range mf.GetMetric()[0].GetLabel() {
			names = append(names, l.GetName())
		}
		vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: mf.GetName(), Help: mf.GetHelp()}, names)
		for _, m := range mf.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			vec.WithLabelValues(values...).Set(m.GetGauge().GetValue())
			series++
		}
		if err := r.Register(vec); err != nil {
			return nil, 0, fmt.Errorf("registering %s: %w", mf.GetName(), err)
		}
	}
	if series == 0 {
		return nil, 0, errors.New("the collector exposes no gauge: nothing to compare")
	}
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{EnableOpenMetrics: true}), series, nil
}

// target is a handler on a loopback address with one client that stays connected.
type target struct {
	server *httptest.Server
	client *http.Client
}

func newTarget(h http.Handler) *target {
	s := httptest.NewServer(h)
	// Asking for gzip by hand keeps the transport from unpacking it.
	return &target{s, &http.Client{Transport: &http.Transport{DisableCompression: true}}}
}

func (t *target) close() {
	t.client.CloseIdleConnections()
	t.server.Close()
}

// scrape asks as Prometheus does and hands the body to w.
func (t *target) scrape(ctx context.Context, encoding string, w io.Writer) (int64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.server.URL, http.NoBody)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Accept",
		"application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
	r.Header.Set("Accept-Encoding", encoding)
	resp, err := t.client.Do(r)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(w, resp.Body)
	err = errors.Join(err, resp.Body.Close())
	if err == nil && (resp.StatusCode != http.StatusOK || n == 0) {
		err = fmt.Errorf("scrape answered %s with %d bytes", resp.Status, n)
	}
	return n, err
}
