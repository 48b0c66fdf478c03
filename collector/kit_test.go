package collector_test

import (
	"bytes"
	"flag"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/aispend/aispend/collector"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	openaiCosts  = spend.SourceID{Provider: "openai", Account: "acme", Source: "openai/costs"}
	openaiUsage  = spend.SourceID{Provider: "openai", Account: "acme", Source: "openai/usage"}
	labCosts     = spend.SourceID{Provider: "openai", Account: "lab", Source: "openai/costs"}
	claudeCosts  = spend.SourceID{Provider: "anthropic", Account: "default", Source: "anthropic/cost_report"}
	vertexExport = spend.SourceID{Provider: "vertex", Account: "default", Source: "vertex/bigquery"}
	vertexBudget = spend.SourceID{Provider: "vertex", Account: "default", Source: "vertex/budget"}
	claudeUsage  = spend.SourceID{Provider: "anthropic", Account: "default", Source: "anthropic/usage_report"}
)

// tb is what *testing.T, *testing.B and *rapid.T have in common.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func money(s string) spend.Money { return spend.MustMoney(s) }

func day(t tb, s string) spend.Day {
	t.Helper()
	d, err := spend.ParseDay(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// usd is a charge of one model in one project.
func usd(model, project, gross string) spend.Charge {
	c := spend.Charge{Model: model, Project: project, Currency: spend.USD}
	if v := money(gross); v.Sign() < 0 {
		c.Credits = v
	} else {
		c.Gross = v
	}
	return c
}

// write replaces one day of a source.
func write(b *rollup.Book, id spend.SourceID, d spend.Day, charges []spend.Charge, usage ...spend.Usage) {
	b.Update(func(tx *rollup.Tx) {
		tx.Replace(id, []spend.Statement{{Day: d, Charges: charges, Usage: usage}})
	})
}

// fixture is a ledger seen at a moment, and the page over it.
type fixture struct {
	book     *rollup.Book
	now      time.Time
	settings collector.Settings
}

func newFixture(now string) *fixture {
	at, err := time.Parse(time.RFC3339, now)
	if err != nil {
		panic(err)
	}
	return &fixture{
		book: rollup.NewBook(), now: at,
		settings: collector.Settings{DailyWindow: 35, MaxSeries: 20000},
	}
}

func (f *fixture) options() collector.Options {
	return collector.Options{
		Snapshots: f.book.Snapshot,
		Settings:  func() collector.Settings { return f.settings },
		Now:       func() time.Time { return f.now },
	}
}

// spending returns the families of the page that the ledger fills.
func (f *fixture) spending(t tb) []*dto.MetricFamily {
	t.Helper()
	return gather(t, collector.New(f.options()).Gatherer(), isSpending)
}

func gather(t tb, g prometheus.Gatherer, keep func(name string) bool) []*dto.MetricFamily {
	t.Helper()
	all, err := g.Gather()
	if err != nil {
		t.Fatalf("Gather: %v", err)
	}
	var out []*dto.MetricFamily
	for _, mf := range all {
		if keep(mf.GetName()) {
			out = append(out, mf)
		}
	}
	return out
}

func isOurs(name string) bool {
	return strings.HasPrefix(name, "aispend_") && name != "aispend_build_info"
}

func isSpending(name string) bool {
	switch name {
	case "aispend_caps_configured", "aispend_links_info", "aispend_demo":
		return false
	}
	return isOurs(name)
}

func text(t tb, families []*dto.MetricFamily) string {
	t.Helper()
	var buf bytes.Buffer
	for _, mf := range families {
		if _, err := expfmt.MetricFamilyToText(&buf, mf); err != nil {
			t.Fatal(err)
		}
	}
	return buf.String()
}

// golden compares got with collector/testdata/<name>.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s differs (-want +got), -update rewrites it:\n%s", path, d)
	}
}

// samples flattens families of gauges and counters to name{labels} -> value.
func samples(families []*dto.MetricFamily) map[string]float64 {
	out := map[string]float64{}
	for _, mf := range families {
		for _, m := range mf.Metric {
			v := m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetUntyped().GetValue()
			out[mf.GetName()+labelText(m)] = v
		}
	}
	return out
}

func labelText(m *dto.Metric) string {
	pairs := make([]string, 0, len(m.Label))
	for _, l := range m.Label {
		pairs = append(pairs, l.GetName()+"="+l.GetValue())
	}
	sort.Strings(pairs)
	return "{" + strings.Join(pairs, ",") + "}"
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.Label {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// family returns the named one, or one without samples.
func family(families []*dto.MetricFamily, name string) *dto.MetricFamily {
	for _, mf := range families {
		if mf.GetName() == name {
			return mf
		}
	}
	return &dto.MetricFamily{}
}

// lint fails the test on anything promtool check metrics would complain about.
func lint(t tb, page string) {
	t.Helper()
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	if err != nil {
		t.Fatalf("linting: %v", err)
	}
	for _, p := range problems {
		t.Errorf("lint: %s: %s", p.Metric, p.Text)
	}
}

// parse reads a text page back.
func parse(t tb, page string) map[string]*dto.MetricFamily {
	t.Helper()
	p := expfmt.NewTextParser(model.LegacyValidation)
	out, err := p.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatalf("parsing the page: %v", err)
	}
	return out
}

func scrape(t tb, h http.Handler, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w
}

// near compares to float precision.
func near(a, b float64) bool {
	return a == b || math.Abs(a-b) <= 1e-12*math.Max(math.Abs(a), math.Abs(b))
}
