package main

import (
	"bytes"
	"context"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/providers"
	"github.com/aispend/aispend/spend"
)

// tinySizes let every section do its work once, to prove that it can.
func tinySizes() sizes {
	return sizes{
		rounds: 1, series: []int{500}, pullDays: 40, pullWeight: 1, accounts: 2, accountDays: 35,
		durablePulls: 1, diskRetention: 2, diskPulls: 1, diskPages: 2, ledgerDays: 30, ledgerRows: 10,
	}
}

// hostHere is hostProcess without a process.
func hostHere(_ context.Context, dir string) (string, func(), error) {
	h, err := script(dir)
	if err != nil {
		return "", nil, err
	}
	s := httptest.NewServer(h)
	return s.URL, s.Close, nil
}

// TestSections runs those sections that need no binary of their own: a change of
// a package that the benchmark uses shows here, not at the next release.
func TestSections(t *testing.T) {
	for name, figures := range map[string][]string{
		"scrape":  {"GaugeVec + promhttp", "aispend collector", "limit: one cached body", "identity", "gzip"},
		"pull":    {"one walk of 2 pages", "fetch, archive, decode, apply", "encoding/json", "jsontext"},
		"replay":  {"70 raw pages", "aispend recompute", "big.Rat", "read and decompress"},
		"durable": {"one fdatasync", "applied", "fdatasync per page", "transaction per page"},
		"disk":    {"7 simulated days", "Expire once a day", "nothing dropped"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			b := &bench{report: newReport(&out), sizes: tinySizes(), dir: t.TempDir(), host: hostHere}
			if err := b.all(t.Context(), regexp.MustCompile("^"+name+"$")); err != nil {
				t.Fatalf("%v\n%s", err, &out)
			}
			for _, want := range append(figures, "== summary") {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the output does not tell of %q:\n%s", want, &out)
				}
			}
		})
	}
}

func TestPagesAreWhatTheProviderReads(t *testing.T) {
	src, err := costs("http://127.0.0.1:1", "default")
	if err != nil {
		t.Fatal(err)
	}
	for _, noise := range []int{0, houseNoise} {
		p := newPager(3, noise)
		w := spend.Window{From: 100, To: 103}
		dec := src.NewDecoder(w)
		for d := w.From; d < w.To; d++ {
			page := p.page(d, d+1 < w.To)
			if len(page) < pageBytes || len(page) > pageBytes+1024 {
				t.Errorf("a page of %d bytes, want about %d", len(page), pageBytes)
			}
			if err := dec.Page(page); err != nil {
				t.Fatal(err)
			}
		}
		var got providers.Result
		if got, err = dec.Result(); err != nil {
			t.Fatal(err)
		}
		rows := 0
		for _, st := range got.Statements {
			rows += len(st.Charges)
		}
		if len(got.Statements) != 3 || len(got.Notices) != 0 || rows < 300 {
			t.Errorf("%d days with %d rows and notices %v", len(got.Statements), rows, got.Notices)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		in   []time.Duration
		want time.Duration
	}{
		{nil, 0},
		{[]time.Duration{7}, 7},
		{[]time.Duration{9, 1, 5}, 5},
		{[]time.Duration{4, 3, 2, 1}, 2},
	} {
		if got := median(tt.in); got != tt.want {
			t.Errorf("median of %v is %v, want %v", tt.in, got, tt.want)
		}
	}
}

func TestTargetsAreReportedAndNotAsserted(t *testing.T) {
	var out bytes.Buffer
	r := newReport(&out)
	r.begin("some")
	r.atMost("low enough", 1, 1, " ms")
	r.atMost("too high", 1.01, 1, " ms")
	r.summary(time.Second)
	if got := strings.Count(out.String(), "MISSED"); got != 3 { // at once, in the summary, and in the count
		t.Errorf("MISSED appears %d times:\n%s", got, &out)
	}
	if !strings.Contains(out.String(), "2 targets, 1 met, 1 MISSED") {
		t.Errorf("the summary does not count:\n%s", &out)
	}
}

func TestMeasureCountsAllocationsPerRun(t *testing.T) {
	var keep [][]byte
	got, err := rounds{n: 1, watchHeap: true}.inTurn(contender{name: "x", times: 4, do: func() error {
		keep = append(keep, make([]byte, 8<<20))
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if f := got[0]; f.allocated < 8<<20 || f.allocated > 9<<20 || f.peak < 32<<20 || len(keep) != 8 {
		t.Errorf("four runs of 8 MiB each: %.0f bytes per run, peak %.0f, %d runs with the warm-up", f.allocated, f.peak, len(keep))
	}
}
