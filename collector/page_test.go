package collector_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/aispend/aispend/collector"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/telemetry"
	"github.com/aispend/aispend/spend"
)

const (
	acceptOpenMetrics = "application/openmetrics-text; version=1.0.0"
	acceptProtobuf    = "application/vnd.google.protobuf;" +
		"proto=io.prometheus.client.MetricFamily;encoding=delimited"
)

// whole is the page of a daemon: every part and busy inner instruments.
func whole(t tb) *collector.Collector {
	o := fullOptions(t)
	tel := telemetry.New()
	tel.HTTP().Observe("/metrics", 200, 0.01)
	o.Extra = map[string]prometheus.Gatherer{"telemetry": tel}
	return collector.New(o)
}

func TestPageSpeaksWhatIsAsked(t *testing.T) {
	h := whole(t).Handler()
	t.Run("text", func(t *testing.T) {
		w := scrape(t, h, "Accept", "text/plain;version=0.0.4")
		if ct := w.Header().Get("Content-Type"); !strings.HasPrefix(ct, "text/plain; version=0.0.4") {
			t.Errorf("Content-Type %q", ct)
		}
		lint(t, w.Body.String())
		if v := parse(t, w.Body.String())["aispend_month_cost_usd"]; len(v.GetMetric()) != 6 {
			t.Errorf("month cost: %v", v)
		}
	})
	t.Run("openmetrics", func(t *testing.T) {
		w := scrape(t, h, "Accept", acceptOpenMetrics)
		if ct := w.Header().Get("Content-Type"); !strings.HasPrefix(ct, acceptOpenMetrics) {
			t.Errorf("Content-Type %q", ct)
		}
		body := w.Body.String()
		for _, want := range []string{
			"# TYPE aispend_pulls counter\n", "# TYPE aispend_http_requests counter\n",
			`aispend_today_cost_usd{model="gpt-5",provider="openai"} 1.5` + "\n",
		} {
			if !strings.Contains(body, want) {
				t.Errorf("page lacks %q", want)
			}
		}
		if !strings.HasSuffix(body, "# EOF\n") || strings.Count(body, "# EOF") != 1 {
			t.Error("the page should end in its only EOF mark")
		}
	})
	t.Run("protobuf", func(t *testing.T) {
		w := scrape(t, h, "Accept", acceptProtobuf)
		got := decodeProto(t, w.Body)
		if v := got["aispend_pull_duration_seconds"].GetMetric(); len(v) != 2 || v[0].GetHistogram() == nil {
			t.Errorf("pull duration: %v", v)
		}
		if v := got["aispend_month_tokens"]; len(v.GetMetric()) != 12 {
			t.Errorf("tokens: %v", v)
		}
	})
	t.Run("gzip", func(t *testing.T) {
		w := scrape(t, h, "Accept-Encoding", "gzip")
		if enc := w.Header().Get("Content-Encoding"); enc != "gzip" {
			t.Fatalf("Content-Encoding %q", enc)
		}
		z, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		parse(t, string(page))
	})
}

func decodeProto(t *testing.T, r io.Reader) map[string]*dto.MetricFamily {
	t.Helper()
	out := map[string]*dto.MetricFamily{}
	in := bufio.NewReader(r)
	for {
		var mf dto.MetricFamily
		err := protodelim.UnmarshalFrom(in, &mf)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out[mf.GetName()] = &mf
	}
}

// Every family on the page is in the lists that documents are compared with, of
// the type and with the labels they say, and once only.
func TestPageIsWhatIsDeclared(t *testing.T) {
	type shape struct{ kind, help, labels string }
	declared := map[string]shape{}
	add := func(name, kind, help string, labels []string) {
		if _, twice := declared[name]; twice {
			t.Errorf("%s is declared twice", name)
		}
		declared[name] = shape{kind, help, strings.Join(slices.Sorted(slices.Values(labels)), ",")}
	}
	for _, d := range collector.Descriptors() {
		add(d.Name, d.Type, d.Help, d.Labels)
	}
	for _, d := range telemetry.Definitions() {
		add(d.Name, d.Type, d.Help, d.Labels)
	}
	all, err := whole(t).Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, mf := range all {
		name := mf.GetName()
		if seen[name] {
			t.Errorf("%s is on the page twice", name)
		}
		seen[name] = true
		if !strings.HasPrefix(name, "aispend_") {
			if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
				t.Errorf("%s has none of our prefixes", name)
			}
			continue
		}
		var labels []string
		for _, l := range mf.Metric[0].Label {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		got := shape{strings.ToLower(mf.GetType().String()), mf.GetHelp(), strings.Join(labels, ",")}
		if got != declared[name] {
			t.Errorf("%s is %+v, declared as %+v", name, got, declared[name])
		}
	}
	for _, d := range collector.Descriptors() {
		if !seen[d.Name] {
			t.Errorf("%s is declared but not on a page that has everything", d.Name)
		}
	}
	if !slices.IsSortedFunc(all, func(a, b *dto.MetricFamily) int { return strings.Compare(*a.Name, *b.Name) }) {
		t.Error("the page is not sorted by name")
	}
}

func TestOneBrokenPartCostsOnlyItself(t *testing.T) {
	broken := map[string]prometheus.Gatherer{
		"fails": prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
			return nil, errors.New("no figures")
		}),
		"panics": prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
			panic("out of luck")
		}),
		"steals a name": prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
			name, help, one := "aispend_month_cost_usd", "Not the cost.", 1.0
			return []*dto.MetricFamily{{
				Name: &name, Help: &help, Type: dto.MetricType_GAUGE.Enum(),
				Metric: []*dto.Metric{{Gauge: &dto.Gauge{Value: &one}}},
			}}, nil
		}),
	}
	for name, g := range broken {
		t.Run(name, func(t *testing.T) {
			var logged bytes.Buffer
			o := fullOptions(t)
			o.Extra = map[string]prometheus.Gatherer{"extra": g}
			o.Logger = slog.New(slog.NewTextHandler(&logged, nil))
			h := collector.New(o).Handler()
			page := scrape(t, h).Body.String()
			mf := parse(t, page)["aispend_month_cost_usd"]
			if len(mf.GetMetric()) != 6 || mf.GetHelp() == "Not the cost." {
				t.Errorf("month cost: %v", mf)
			}
			if !strings.Contains(logged.String(), "extra") {
				t.Errorf("the log should name the part: %s", &logged)
			}
			again := scrape(t, h).Body.String()
			if !strings.Contains(again, `promhttp_metric_handler_errors_total{cause="gathering"} 1`) {
				t.Error("the error is not counted")
			}
		})
	}
}

func TestPanickingStatusesCostOnlyTheSources(t *testing.T) {
	o := fullOptions(t)
	o.Statuses = func() []spend.SourceStatus { panic("no statuses") }
	page := parse(t, scrape(t, collector.New(o).Handler()).Body.String())
	if page["aispend_source_up"] != nil {
		t.Error("the sources are on the page")
	}
	if page["aispend_month_cost_usd"] == nil || page["aispend_store_corrupt"] == nil {
		t.Error("want all but the sources on the page")
	}
}

// The spend families are the same pointers until the ledger, the day or the
// settings change; many scrapes at once build them once.
func TestSpendFamiliesAreBuiltOnce(t *testing.T) {
	f := newFixture("2026-11-23T12:00:00Z")
	world(t, f)
	g := collector.New(f.options()).Gatherer()
	month := func() *dto.MetricFamily { return family(gather(t, g, isOurs), "aispend_month_cost_usd") }
	first := month()
	if month() != first {
		t.Error("nothing changed, yet the families were built again")
	}
	for name, change := range map[string]func(){
		"ledger":   func() { write(f.book, openaiCosts, day(t, "2026-11-23"), nil) },
		"day":      func() { f.now = f.now.AddDate(0, 0, 1) },
		"settings": func() { f.settings.MaxSeries = 7 },
	} {
		before := month()
		change()
		if month() == before {
			t.Errorf("%s: the families are stale", name)
		}
	}
	before := month()
	f.settings.CapsConfigured++
	if month() != before {
		t.Error("the number of caps is no reason to build the spend families again")
	}
}

func TestScrapesAtOnce(t *testing.T) {
	f := newFixture("2026-11-23T12:00:00Z")
	world(t, f)
	var asked atomic.Int64
	o := f.options()
	o.Snapshots = func() *rollup.Snapshot { asked.Add(1); return f.book.Snapshot() }
	h := collector.New(o).Handler()
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			accept := []string{"text/plain", acceptOpenMetrics, acceptProtobuf}[i%3]
			if w := scrape(t, h, "Accept", accept); w.Body.Len() == 0 {
				t.Error("empty page")
			}
		})
		if i%8 == 0 {
			write(f.book, openaiCosts, day(t, "2026-11-01")+spend.Day(i), []spend.Charge{usd("gpt-5", "", "1")})
		}
	}
	wg.Wait()
	if asked.Load() != 24 {
		t.Errorf("snapshot taken %d times for 24 scrapes", asked.Load())
	}
}

func TestTwoHandlersShareTheErrorCounter(t *testing.T) {
	c := whole(t)
	c.Handler()
	scrape(t, c.Handler())
}

func TestNameFilter(t *testing.T) {
	r, err := http.NewRequest(http.MethodGet, "/metrics?name[]=aispend_demo", nil)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	whole(t).Handler().ServeHTTP(w, r)
	if got := parse(t, w.Body.String()); len(got) != 1 || got["aispend_demo"] == nil {
		t.Errorf("filtered page: %v", got)
	}
}

func TestDefaults(t *testing.T) {
	c := collector.New(collector.Options{Snapshots: rollup.NewBook().Snapshot})
	page := text(t, gather(t, c.Gatherer(), isOurs))
	lint(t, page)
	golden(t, "empty.prom", page)
}
