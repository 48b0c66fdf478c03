// Package storetest is the conformance suite of store.Store: what any engine must
// do, told through the interface alone. An engine's test calls Run with a way to
// open itself; the suite opens, closes and reopens real stores in t.TempDir().
package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// Config is what the suite asks of an engine.
type Config struct {
	Dir              string
	Now              func() time.Time
	RawRetentionDays int
	HistoryDays      int
}

// Open opens the engine's store in c.Dir, where an earlier one may have been
// closed. It fails t if it cannot.
type Open func(t testing.TB, c Config) store.Store

// Run runs the whole suite.
func Run(t *testing.T, open Open) {
	for _, group := range []map[string]func(*testing.T, *harness){
		ledgerTests(), archiveTests(), outboxTests(), upkeepTests(),
	} {
		for name, test := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel() // most of the time goes into waiting for the disk
				h := &harness{
					t: t, open: open,
					cfg: Config{Dir: t.TempDir(), RawRetentionDays: 90, HistoryDays: 800},
					now: noon,
				}
				h.cfg.Now = func() time.Time { return h.now }
				h.reopen()
				test(t, h)
				h.close()
			})
		}
	}
}

// noon is the suite's present unless a test moves it.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

var (
	costs = spend.SourceID{Provider: "openai", Account: "default", Source: "openai/costs"}
	usage = spend.SourceID{Provider: "openai", Account: "default", Source: "openai/usage"}
	other = spend.SourceID{Provider: "anthropic", Account: "default", Source: "anthropic/cost_report"}
)

// harness is one store and its clock.
type harness struct {
	t    *testing.T
	open Open
	cfg  Config
	now  time.Time
	s    store.Store
	n    int // pulls begun
}

func (h *harness) reopen() {
	h.t.Helper()
	h.close()
	h.s = h.open(h.t, h.cfg)
}

func (h *harness) close() {
	h.t.Helper()
	if h.s != nil {
		must(h.t, h.s.Close())
	}
	h.s = nil
}

// begin opens a pull that started at h.now plus a second for each pull before it.
func (h *harness) begin(id spend.SourceID, w spend.Window) store.PullWriter {
	h.t.Helper()
	h.n++
	pw, err := h.s.Begin(context.Background(), store.Pull{
		Source: id, Window: w, Kind: "current", Scope: "proj_a,proj_b",
		Started: h.now.Add(time.Duration(h.n) * time.Second),
	})
	must(h.t, err)
	return pw
}

// apply makes a whole pull without pages.
func (h *harness) apply(id spend.SourceID, w spend.Window, days ...spend.Statement) {
	h.t.Helper()
	must(h.t, h.begin(id, w).Apply(context.Background(), spend.OK, days, store.State{DataThrough: h.now}))
}

// statements reads a source; no day may be damaged.
func (h *harness) statements(id spend.SourceID) []spend.Statement {
	h.t.Helper()
	var got []spend.Statement
	report, err := h.s.Statements(context.Background(), id, func(st spend.Statement) error {
		got = append(got, st)
		return nil
	})
	must(h.t, err)
	if len(report.Damaged) > 0 {
		h.t.Fatalf("damaged days: %v", report.Damaged)
	}
	return got
}

// wantDays compares a source's statements without their reading times.
func (h *harness) wantDays(id spend.SourceID, want ...spend.Statement) {
	h.t.Helper()
	got := h.statements(id)
	for i := range got {
		got[i].ReadAt = time.Time{}
	}
	same(h.t, got, want)
}

func (h *harness) page(pw store.PullWriter, seq int, at time.Time, body []byte) {
	h.t.Helper()
	must(h.t, pw.Page(context.Background(), testPage(seq, at, body)))
}

func (h *harness) list(q store.RawQuery) store.RawList {
	h.t.Helper()
	l, err := h.s.RawPages(context.Background(), q)
	must(h.t, err)
	return l
}

func (h *harness) pulls(id spend.SourceID, since time.Time) []store.Pull {
	h.t.Helper()
	var got []store.Pull
	must(h.t, h.s.Pulls(context.Background(), id, since, func(p store.Pull) bool {
		got = append(got, p)
		return true
	}))
	return got
}

func testPage(seq int, at time.Time, body []byte) spend.Page {
	return spend.Page{
		Seq: seq, URL: fmt.Sprintf("https://api.example/v1/costs?page=%d", seq), Status: 200,
		Header:    map[string]string{"Content-Type": "application/json"},
		FetchedAt: at, Body: body,
	}
}

func day(s string) spend.Day {
	d, err := spend.ParseDay(s)
	if err != nil {
		panic(err)
	}
	return d
}

func window(from, to string) spend.Window { return spend.Window{From: day(from), To: day(to) + 1} }

// money is a statement with one charge.
func money(d spend.Day, amount string) spend.Statement {
	return spend.Statement{Day: d, Charges: []spend.Charge{{
		Model: "gpt-5", Project: "proj_1", Item: "gpt-5, input", Currency: spend.USD, Gross: spend.MustMoney(amount),
	}}}
}

func empty(d spend.Day) spend.Statement { return spend.Statement{Day: d} }

// bulky is a statement of about size stored bytes that does not compress: every
// row carries a kilobyte of random text.
func bulky(d spend.Day, size int, seed uint64) spend.Statement {
	r := rand.New(rand.NewPCG(seed, uint64(d)))
	st := spend.Statement{Day: d}
	for n := range size >> 10 {
		st.Charges = append(st.Charges, spend.Charge{
			Model: "gpt-5", Item: string(noise(1<<10, r.Uint64())), Currency: spend.USD,
			Gross: spend.MustMoney("0.000000000000000001").Add(spend.MustMoney(itoa(int64(n)))),
		})
	}
	return st
}

// noise is n bytes that do not compress, the same for the same seed.
func noise(n int, seed uint64) []byte {
	key := sha256.Sum256(fmt.Appendf(nil, "seed %d", seed))
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

// byBytes does not look at each of 64 Ki bytes by reflection, which takes a second.
var byBytes = cmp.FilterValues(func(a, b []byte) bool { return len(a)+len(b) > 0 }, cmp.Comparer(bytes.Equal))

func same(t testing.TB, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), byBytes); diff != "" {
		t.Fatalf("difference (-want +got):\n%s", diff)
	}
}
