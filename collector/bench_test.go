package collector_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/aispend/aispend/collector"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

// sizes are the series on the page, about; each is models x days.
var sizes = []struct{ series, models, days int }{
	{1_000, 9, 90}, {10_000, 100, 90}, {100_000, 1000, 90},
}

// bulk fills a ledger with three providers' models over the last days.
func bulk(b *testing.B, models, days int) *fixture {
	b.Helper()
	f := newFixture("2026-11-23T12:00:00Z")
	f.settings = collector.Settings{DailyWindow: days}
	f.book.Update(func(tx *rollup.Tx) {
		for p, provider := range []string{"openai", "anthropic", "vertex"} {
			id := spend.SourceID{Provider: provider, Account: "default", Source: provider + "/costs"}
			for d := range days {
				st := spend.Statement{Day: day(b, "2026-11-23") - spend.Day(d)}
				for m := p; m < models; m += 3 {
					amount := fmt.Sprintf("%d.%06d", m+1, (d*7919+m*104729)%1_000_000)
					st.Charges = append(st.Charges, usd(fmt.Sprintf("model-%s-%04d", provider, m), "", amount))
				}
				tx.Replace(id, []spend.Statement{st})
			}
		}
	})
	return f
}

// vectors is the plain exporter to compare with: the same gauges in GaugeVecs
// beside the same process metrics.
func vectors(b *testing.B, f *fixture) (http.Handler, int) {
	b.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	n := 0
	for _, mf := range gather(b, collector.New(f.options()).Gatherer(), isOurs) {
		var names []string
		for _, l := range mf.Metric[0].Label {
			names = append(names, l.GetName())
		}
		vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: mf.GetName(), Help: mf.GetHelp()}, names)
		for _, m := range mf.Metric {
			values := make([]string, 0, len(names))
			for _, l := range m.Label {
				values = append(values, l.GetValue())
			}
			vec.WithLabelValues(values...).Set(m.GetGauge().GetValue())
			n++
		}
		r.MustRegister(vec)
	}
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{EnableOpenMetrics: true}), n
}

// nowhere is a client that reads as fast as we write.
type nowhere struct {
	header http.Header
	bytes  int
}

func (w *nowhere) Header() http.Header { return w.header }
func (w *nowhere) WriteHeader(int)     {}
func (w *nowhere) Write(p []byte) (int, error) {
	w.bytes += len(p)
	return len(p), nil
}

// once scrapes as Prometheus does by default and returns the bytes sent.
func once(h http.Handler) int {
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
	r.Header.Set("Accept-Encoding", "gzip")
	w := &nowhere{header: http.Header{}}
	h.ServeHTTP(w, r)
	return w.bytes
}

// cpu is the CPU time of this process, the unit that a busy machine disturbs least.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkScrape compares one scrape of the collector with one of a GaugeVec
// registry that exposes the same series, taken in turn in the same run.
func BenchmarkScrape(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("series=%d", size.series), func(b *testing.B) {
			f := bulk(b, size.models, size.days)
			ours := collector.New(f.options()).Handler()
			peer, n := vectors(b, f)
			once(ours)
			once(peer)
			var oursCPU, peerCPU time.Duration
			size := 0
			for b.Loop() {
				t0 := cpu()
				size = once(ours)
				t1 := cpu()
				once(peer)
				oursCPU, peerCPU = oursCPU+t1-t0, peerCPU+cpu()-t1
			}
			per := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 / float64(b.N) }
			b.ReportMetric(0, "ns/op") // of both together: says nothing
			b.ReportMetric(float64(n), "series")
			b.ReportMetric(float64(size)/1024, "KiB")
			b.ReportMetric(per(oursCPU), "cpu-ms/scrape")
			b.ReportMetric(per(peerCPU), "gaugevec-cpu-ms/scrape")
			b.ReportMetric(float64(peerCPU)/float64(oursCPU), "gaugevec/ours")
		})
	}
}

// BenchmarkScrapeAfterPull is the scrape that builds the families anew.
func BenchmarkScrapeAfterPull(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("series=%d", size.series), func(b *testing.B) {
			f := bulk(b, size.models, size.days)
			g := collector.New(f.options()).Gatherer()
			b.ReportAllocs()
			var spent time.Duration
			for b.Loop() {
				b.StopTimer()
				f.book.Update(func(*rollup.Tx) {})
				b.StartTimer()
				t0 := cpu()
				if _, err := g.Gather(); err != nil {
					b.Fatal(err)
				}
				spent += cpu() - t0
			}
			b.ReportMetric(float64(spent.Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
}
