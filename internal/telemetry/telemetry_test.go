package telemetry_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"pgregory.net/rapid"

	"github.com/aispend/aispend/internal/telemetry"
)

var _ prometheus.Gatherer = (*telemetry.Telemetry)(nil)

// busy returns telemetry in which every declared instrument has a sample.
func busy() *telemetry.Telemetry {
	t := telemetry.New()
	t.HTTP().Observe("/spend", 200, 0.004)
	t.HTTP().Observe("/spend", 200, 0.3)
	t.HTTP().Observe("/raw/:provider", 404, 0.001)
	t.Store().Observe("apply", 3*time.Millisecond, nil)
	t.Store().Observe("apply", 5*time.Millisecond, errors.New("no space"))
	t.Ingest().PageDecoded("openai/costs", 51200, 0.0002)
	t.Ingest().Rewalked("openai/costs")
	t.Ingest().Noticed("openai/costs", "unknown_field", 3)
	return t
}

func gather(t *testing.T, g prometheus.Gatherer) map[string]*dto.MetricFamily {
	t.Helper()
	all, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(all, func(a, b *dto.MetricFamily) int { return strings.Compare(*a.Name, *b.Name) }) {
		t.Error("families are not sorted by name")
	}
	out := map[string]*dto.MetricFamily{}
	for _, mf := range all {
		out[mf.GetName()] = mf
	}
	return out
}

func TestEveryInstrumentArrivesTypedWithHelp(t *testing.T) {
	got := gather(t, busy())
	for _, d := range telemetry.Definitions() {
		mf := got[d.Name]
		if mf == nil {
			t.Errorf("%s: no family; does busy() use it?", d.Name)
			continue
		}
		if typ := strings.ToLower(mf.GetType().String()); typ != d.Type || mf.GetHelp() != d.Help {
			t.Errorf("%s: type %s help %q, want %s %q", d.Name, typ, mf.GetHelp(), d.Type, d.Help)
		}
		for _, m := range mf.Metric {
			var names []string
			for _, l := range m.Label {
				names = append(names, l.GetName())
			}
			if want := slices.Sorted(slices.Values(d.Labels)); !slices.Equal(names, want) {
				t.Errorf("%s: labels %v, want %v", d.Name, names, want)
			}
		}
		delete(got, d.Name)
	}
	for name := range got {
		t.Errorf("%s is not declared", name)
	}
}

func TestValues(t *testing.T) {
	got := gather(t, busy())
	if v := got["aispend_http_requests_total"].Metric[1].GetCounter().GetValue(); v != 2 {
		t.Errorf("requests = %v, want 2", v)
	}
	h := got["aispend_http_request_duration_seconds"].Metric[1].GetHistogram()
	if h.GetSampleCount() != 2 || h.Bucket[0].GetCumulativeCount() != 1 {
		t.Errorf("histogram = %v, want 2 samples, one of them in the first bucket", h)
	}
	s := got["aispend_store_operation_duration_seconds"].Metric[0].GetHistogram()
	if s.GetSampleCount() != 2 || s.GetSampleSum() != 0.008 || len(s.Bucket) == 0 {
		t.Errorf("store durations = %v, want 2 samples that add up to 0.008", s)
	}
	if v := got["aispend_store_operation_errors_total"].Metric[0].GetCounter().GetValue(); v != 1 {
		t.Errorf("errors = %v, want 1", v)
	}
	if v := got["aispend_decode_notices_total"].Metric[0].GetCounter().GetValue(); v != 3 {
		t.Errorf("notices = %v, want 3", v)
	}
}

func TestPageIsClean(t *testing.T) {
	h := promhttp.HandlerFor(busy(), promhttp.HandlerOpts{
		EnableOpenMetrics: true, ErrorHandling: promhttp.HTTPErrorOnError,
	})
	body := func(accept string) string {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		return w.Body.String()
	}
	problems, err := promlint.New(strings.NewReader(body("text/plain"))).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
	om := body("application/openmetrics-text; version=1.0.0")
	for _, want := range []string{
		"# TYPE aispend_http_requests counter\n", "# TYPE aispend_store_operation_duration_seconds histogram\n",
		"# TYPE aispend_http_request_duration_seconds histogram\n", "\n# EOF\n",
	} {
		if !strings.Contains(om, want) {
			t.Errorf("OpenMetrics lacks %q:\n%s", want, om)
		}
	}
}

// What no %q would survive: any value comes back as it went in.
func TestAnyLabelValueSurvives(t *testing.T) {
	for _, v := range []string{"\x7f", "\x00", "\u200d", `a\"b`, `\`, "a\nb\r", "}{", `",x="`, "\xff", "", " x "} {
		roundTrip(t, v)
	}
	rapid.Check(t, func(rt *rapid.T) {
		roundTrip(rt, rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string {
			return string(b)
		})).Draw(rt, "value"))
	})
}

func roundTrip(t interface{ Fatalf(string, ...any) }, v string) {
	tel := telemetry.New()
	tel.HTTP().Observe(v, 200, 0.1)
	tel.Store().Observe(v, time.Second, nil)
	all, err := tel.Gather()
	if err != nil {
		t.Fatalf("value %q: %v", v, err)
	}
	if len(all) != 4 {
		t.Fatalf("value %q: %d families, want 4", v, len(all))
	}
	want := strings.ToValidUTF8(v, "\uFFFD")
	for _, mf := range all {
		for _, m := range mf.Metric {
			if got := m.Label[len(m.Label)-1].GetValue(); got != want {
				t.Fatalf("%s: value %q came back as %q", mf.GetName(), want, got)
			}
		}
		if _, err := expfmt.MetricFamilyToText(&bytes.Buffer{}, mf); err != nil {
			t.Fatalf("value %q: %v", v, err)
		}
	}
}

func TestUndeclaredInstrumentsPanic(t *testing.T) {
	c := telemetry.New().Component(telemetry.HTTPComponent)
	for name, use := range map[string]func(){
		"unknown name":      func() { c.Counter("aispend_http_surprises_total") },
		"another kind":      func() { c.Counter("aispend_http_request_duration_seconds", "/") },
		"another component": func() { c.Histogram("aispend_store_operation_duration_seconds", "x") },
		"too few labels":    func() { c.Counter("aispend_http_requests_total", "/") },
		"unknown component": func() { telemetry.New().Component("kitchen") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			use()
		})
	}
}

func TestEmptyIsNoError(t *testing.T) {
	if got := gather(t, telemetry.New()); len(got) != 0 {
		t.Errorf("families before the first event: %v", got)
	}
}
