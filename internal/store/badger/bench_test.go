package badger_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/spend"
)

// benchPage is a page of costs as OpenAI sends it, about 51 KB.
func benchPage(r *rand.Rand) []byte {
	var b bytes.Buffer
	b.WriteString(`{"object":"page","data":[{"object":"bucket","start_time":1730419200,"results":[`)
	for b.Len() < 51<<10 {
		fmt.Fprintf(&b, `{"object":"organization.costs.result","amount":{"value":%d.%016d,"currency":"usd"},`+
			`"line_item":"gpt-5-%d, input","project_id":"proj_%06d"},`, r.IntN(100), r.Int64N(1e16), r.IntN(12), r.IntN(40))
	}
	b.Truncate(b.Len() - 1)
	b.WriteString(`]}],"has_more":false,"next_page":null}`)
	return b.Bytes()
}

// benchDay is a statement of n rows.
func benchDay(r *rand.Rand, d spend.Day, n int) spend.Statement {
	st := spend.Statement{Day: d}
	for i := range n {
		st.Charges = append(st.Charges, spend.Charge{
			Model: fmt.Sprintf("gpt-5-%d", i%12), Project: fmt.Sprintf("proj_%06d", i/12),
			Item: fmt.Sprintf("gpt-5-%d, input", i%12), Currency: spend.USD,
			Gross: spend.MustMoney(fmt.Sprintf("%d.%016d", r.IntN(100), r.Int64N(1e16))),
		})
	}
	return st
}

func benchDays(r *rand.Rand, w spend.Window, rows int) []spend.Statement {
	days := make([]spend.Statement, 0, w.Days())
	for d := w.From; d < w.To; d++ {
		days = append(days, benchDay(r, d, rows))
	}
	return days
}

func benchOpen(b *testing.B, dir string) *badger.Store {
	b.Helper()
	s, err := badger.Open(context.Background(), options(dir))
	must(b, err)
	return s
}

// BenchmarkDurablePull is one poll: 20 pages and the day they changed, synced.
// The floor beside it appends as many bytes to a file and syncs once.
func BenchmarkDurablePull(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	pages := make([][]byte, 400)
	for i := range pages {
		pages[i] = benchPage(r)
	}
	b.Run("store", func(b *testing.B) {
		s := benchOpen(b, b.TempDir())
		defer func() { must(b, s.Close()) }()
		n := 0
		for b.Loop() {
			pullOf(b, s, crashTime(20), 20, func() []byte {
				n++ // a page of its own each time: no body is shared
				return strconv.AppendInt(pages[n%len(pages)], int64(n), 10)
			})
		}
	})
	b.Run("append+fsync", func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "log"))
		must(b, err)
		defer func() { must(b, f.Close()) }()
		for b.Loop() {
			for range 20 {
				_, err := f.Write(pages[0][:8<<10]) // what zstd leaves of a page
				must(b, err)
			}
			must(b, f.Sync())
		}
	})
}

// BenchmarkApply replaces 31 days of 500 rows: all of them anew, or with the same
// content as is usual.
func BenchmarkApply(b *testing.B) {
	ctx := context.Background()
	w := spend.Window{From: spend.DayOf(crashBase), To: spend.DayOf(crashBase) + 31}
	r := rand.New(rand.NewPCG(1, 1))
	generations := [][]spend.Statement{benchDays(r, w, 500), benchDays(r, w, 500)}
	for name, changing := range map[string]bool{"changed": true, "unchanged": false} {
		b.Run(name, func(b *testing.B) {
			s := benchOpen(b, b.TempDir())
			defer func() { must(b, s.Close()) }()
			for n := 0; b.Loop(); n++ {
				pw, err := s.Begin(ctx, store.Pull{Source: crashSource, Window: w, Started: crashTime(20)})
				must(b, err)
				days := generations[0]
				if changing {
					days = generations[n%2]
				}
				must(b, pw.Apply(ctx, spend.OK, days, store.State{}))
			}
		})
	}
}

// BenchmarkLoadLedger reads 90 days of 500 rows, as at start.
func BenchmarkLoadLedger(b *testing.B) {
	ctx := context.Background()
	s := benchOpen(b, b.TempDir())
	defer func() { must(b, s.Close()) }()
	w := spend.Window{From: 20000, To: 20090}
	pw, err := s.Begin(ctx, store.Pull{Source: crashSource, Window: w})
	must(b, err)
	must(b, pw.Apply(ctx, spend.OK, benchDays(rand.New(rand.NewPCG(1, 1)), w, 500), store.State{}))
	b.ReportAllocs()
	for b.Loop() {
		rows := 0
		_, err := s.Statements(ctx, crashSource, func(st spend.Statement) error {
			rows += len(st.Charges)
			return nil
		})
		must(b, err)
		if rows != 90*500 {
			b.Fatalf("%d rows", rows)
		}
	}
}

// fillPages makes pulls of 20 pages over the days before crashTime(20).
func fillPages(b *testing.B, s *badger.Store, pages int) {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	for n := range pages / 20 {
		at := crashTime(20).Add(-time.Duration(n) * time.Hour / 4)
		pullOf(b, s, at, 20, func() []byte { return benchPage(r) })
	}
}

// BenchmarkReplayPages reads 6,000 pages back, pull by pull, as recompute does.
func BenchmarkReplayPages(b *testing.B) {
	ctx := context.Background()
	s := benchOpen(b, b.TempDir())
	defer func() { must(b, s.Close()) }()
	fillPages(b, s, 6000)
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		size := int64(0)
		must(b, s.Pulls(ctx, crashSource, time.Time{}, func(p store.Pull) bool {
			must(b, s.PullPages(ctx, p, func(pg spend.Page) error {
				size += int64(len(pg.Body))
				return nil
			}))
			return true
		}))
		b.SetBytes(size)
	}
}

// BenchmarkOpen opens a store of AISPEND_BENCH_PAGES pages (default 5,000) and
// reads its ledger, and lists its newest pages.
func BenchmarkOpen(b *testing.B) {
	pages := 5000
	if v := os.Getenv("AISPEND_BENCH_PAGES"); v != "" {
		n, err := strconv.Atoi(v)
		must(b, err)
		pages = n
	}
	dir := b.TempDir()
	s := benchOpen(b, dir)
	fillPages(b, s, pages)
	must(b, s.Close())
	b.Logf("%d pages, %d MB on disk", pages, onDisk(b, dir)>>20)
	b.ResetTimer()
	for b.Loop() {
		s := benchOpen(b, dir)
		_, err := s.Statements(context.Background(), crashSource, func(spend.Statement) error { return nil })
		must(b, err)
		b.StopTimer()
		must(b, s.Close())
		b.StartTimer()
	}
}

// BenchmarkOutbox stores a new version of one event of 1.5 KB, reads 2,400 (three a day
// for the 800 days of history) and opens a store that holds them.
func BenchmarkOutbox(b *testing.B) {
	ctx := context.Background()
	dir := b.TempDir()
	s := benchOpen(b, dir)
	r := rand.New(rand.NewPCG(1, 1))
	event := func(n int) store.OutboxEvent {
		return store.OutboxEvent{
			ID: fmt.Sprintf("hc_%032x", n), Day: spend.DayOf(crashTime(20)) - spend.Day(n/3), Content: benchPage(r)[:1500],
		}
	}
	var events []store.OutboxEvent
	for n := range 2400 {
		events = append(events, event(n))
	}
	must(b, s.PutEvents(ctx, events))
	b.Run("put", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			must(b, s.PutEvents(ctx, events[n%len(events):][:1]))
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			must(b, s.Events(ctx, func(store.OutboxEvent) error { return nil }))
		}
	})
	must(b, s.Close())
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			s := benchOpen(b, dir)
			b.StopTimer()
			must(b, s.Close())
			b.StartTimer()
		}
	})
	none := b.TempDir()
	must(b, benchOpen(b, none).Close())
	b.Run("open without", func(b *testing.B) {
		for b.Loop() {
			s := benchOpen(b, none)
			b.StopTimer()
			must(b, s.Close())
			b.StartTimer()
		}
	})
}

// BenchmarkListPages lists the first hundred pages of 6,000, and the last.
func BenchmarkListPages(b *testing.B) {
	ctx := context.Background()
	s := benchOpen(b, b.TempDir())
	defer func() { must(b, s.Close()) }()
	fillPages(b, s, 6000)
	for name, q := range map[string]store.RawQuery{
		"newest": {Limit: 100}, "none match": {Limit: 100, Provider: "anthropic"},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, err := s.RawPages(ctx, q)
				must(b, err)
			}
		})
	}
}
