package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

// frozen is a world whose clock stands still, so that pages and truth agree to
// the digit however long the test takes.
func frozen(seed uint64) (simulator.Options, *clock) {
	c := &clock{now: time.Now().UTC()}
	return simulator.Options{Seed: seed, Now: c.Now, Step: time.Minute, Projects: 2, Models: 5}, c
}

// TestSpendEqualsThePages loads 90 days and more of awkward decimals and compares
// /spend with the sums of the raw pages, digit for digit, and the gauges with
// both to float precision. The pages are added up here with encoding/json and
// math/big: nothing of the daemon's own decoding or arithmetic takes part.
func TestSpendEqualsThePages(t *testing.T) {
	t.Parallel()
	opt, clk := frozen(7)
	s := newSite(t, opt, "metrics: {daily_window: 120d}\n")
	d := s.start()
	began := time.Now()
	d.settled(began)

	today := spend.DayOf(clk.Now())
	w := spend.Window{From: min(today-90, today.AddMonths(-1)), To: today + 1}
	got := d.spent(w)
	if diff := sameMoney(got, s.truth(w, clk.Now())); diff != "" {
		t.Errorf("/spend differs from the simulated world:\n%s", diff)
	}
	pages := pageSums(t, d)
	for key, sum := range pages {
		if g, ok := new(big.Rat).SetString(got[key].String()); !ok || g.Cmp(sum) != 0 {
			t.Errorf("%s: /spend says %s, the pages add up to %s", key, got[key], sum.FloatString(30))
		}
	}
	if len(pages) < 170 {
		t.Errorf("only %d provider days with money on the pages: the comparison is too small", len(pages))
	}
	checkGauges(t, d, got)
	if code := d.stop(); code != exitOK {
		t.Errorf("exit code %d after SIGTERM\n%s", code, d.log())
	}
}

// pageSums adds up the newest page of each day, by provider and day, from the
// bytes that /raw serves.
func pageSums(t *testing.T, d *daemon) map[string]*big.Rat {
	t.Helper()
	sums := map[string]*big.Rat{}
	for provider, source := range map[string]string{"openai": "openai/costs", "anthropic": "anthropic/cost_report"} {
		cursor := ""
		for {
			var list struct {
				Items  []struct{ ID, URL string }
				Cursor string
			}
			d.get(fmt.Sprintf("/raw/%s?source=%s&limit=500%s", provider, source, cursor), &list)
			for _, item := range list.Items {
				status, body := d.call(http.MethodGet, "/raw/"+provider+"/"+item.ID)
				if status != http.StatusOK {
					t.Fatalf("raw page %s: %d", item.ID, status)
				}
				addPage(t, sums, provider, body)
			}
			if list.Cursor == "" {
				break
			}
			cursor = "&cursor=" + url.QueryEscape(list.Cursor)
		}
	}
	return sums
}

// addPage adds the buckets of a page whose day is not there yet: pages come
// newest first, and the newest word on a day counts.
func addPage(t *testing.T, sums map[string]*big.Rat, provider string, body []byte) {
	t.Helper()
	var page struct {
		Data []struct {
			StartTime  int64     `json:"start_time"`
			StartingAt time.Time `json:"starting_at"`
			Results    []struct {
				Amount json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(body, &page); err != nil {
		t.Fatalf("raw page: %v", err)
	}
	for _, bucket := range page.Data {
		day := spend.DayOf(bucket.StartingAt)
		unit := big.NewRat(1, 100)
		if provider == "openai" {
			day, unit = spend.DayOf(time.Unix(bucket.StartTime, 0)), big.NewRat(1, 1)
		}
		key := provider + " " + day.String()
		if _, known := sums[key]; known || len(bucket.Results) == 0 {
			continue
		}
		sum := new(big.Rat)
		for _, row := range bucket.Results {
			sum.Add(sum, amount(t, row.Amount))
		}
		sums[key] = sum.Mul(sum, unit)
	}
}

// amount reads a number, a string, or OpenAI's object with either.
func amount(t *testing.T, raw json.RawMessage) *big.Rat {
	t.Helper()
	var object struct{ Value json.RawMessage }
	if bytes.HasPrefix(raw, []byte("{")) {
		if err := json.Unmarshal(raw, &object); err != nil {
			t.Fatal(err)
		}
		raw = object.Value
	}
	text := strings.Trim(string(raw), `"`)
	if strings.HasPrefix(strings.ToUpper(text), "0E") { // decimal128 zero: big.Rat refuses its exponent
		return new(big.Rat)
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("amount %s", raw)
	}
	return r
}

// checkGauges compares aispend_daily_cost_usd with the exact sums.
func checkGauges(t *testing.T, d *daemon, want map[string]spend.Money) {
	t.Helper()
	status, body := d.call(http.MethodGet, "/metrics")
	if status != http.StatusOK {
		t.Fatalf("/metrics: %d", status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		t.Fatalf("/metrics: %v", err)
	}
	sums := map[string]float64{}
	for _, m := range families["aispend_daily_cost_usd"].GetMetric() {
		sums[label(m, "provider")+" "+label(m, "day")] += m.GetGauge().GetValue()
	}
	for key, exact := range want {
		if diff := math.Abs(sums[key] - exact.Float64()); diff > 1e-9*math.Max(1, math.Abs(exact.Float64())) {
			t.Errorf("%s: gauges add up to %v, /spend says %s", key, sums[key], exact)
		}
	}
	if len(sums) != len(want) {
		t.Errorf("%d provider days on /metrics, %d on /spend", len(sums), len(want))
	}
	promtool(t, body)
}

// promtool runs the linter that users run, where `make test` has built it.
func promtool(t *testing.T, metrics []byte) {
	t.Helper()
	tool := os.Getenv("AISPEND_PROMTOOL")
	if tool == "" {
		t.Log("AISPEND_PROMTOOL is not set: promtool check metrics is left out; make test sets it")
		return
	}
	cmd := exec.Command(tool, "check", "metrics")
	cmd.Stdin = bytes.NewReader(metrics)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// TestRestatementsAreFollowed lets the simulated bills change between restarts
// and re-reads: up, down, to nothing and below zero.
func TestRestatementsAreFollowed(t *testing.T) {
	t.Parallel()
	opt, clk := frozen(11)
	s := newSite(t, opt, "")
	d := s.start()
	d.settled(time.Now())
	today := spend.DayOf(clk.Now())
	w := spend.Window{From: today.MonthStart(), To: today + 1}
	for range 3 {
		clk.advance(7 * time.Minute)
		d.settled(time.Now())
		if diff := sameMoney(d.spent(w), s.truth(w, clk.Now())); diff != "" {
			t.Fatalf("after a restatement:\n%s", diff)
		}
		if code := d.stop(); code != exitOK {
			t.Fatalf("exit code %d", code)
		}
		d = s.start()
		if diff := sameMoney(d.spent(w), s.truth(w, clk.Now())); diff != "" {
			t.Fatalf("right after a restart:\n%s", diff)
		}
	}
	d.stop()
}
