package badger

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// TestSummaryThatLagsBehind: a writer that knows of no summary leaves the one of the newest
// commit as it was. Both ends of it are compared with what is there.
func TestSummaryThatLagsBehind(t *testing.T) {
	t.Parallel()
	counters := func(s *Store, pages int) []byte {
		v := fmt.Sprintf(`{"pages":{"openai":%d},"pulls":4}`, pages)
		return s.sealer.seal(keyCounters(woundDay), kindCounters, []byte(v))
	}
	for name, change := range map[string]func(p *patient){
		"a newer day": func(p *patient) {
			p.set(keyCounters(woundDay+1), p.sealer.seal(keyCounters(woundDay+1), kindCounters, []byte(`{"pulls":0}`)))
		},
		"an older day": func(p *patient) {
			p.set(keyCounters(woundDay-1), p.sealer.seal(keyCounters(woundDay-1), kindCounters, []byte(`{"pulls":0}`)))
		},
		"more on the newest day": func(p *patient) { p.set(keyCounters(woundDay), counters(p.Store, 13)) },
		"no day left":            func(p *patient) { p.must(p.db.DropPrefix(prefixDay(spaceRaw, woundDay))) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPatient(t)
			change(p)
			p.reopen()
			was := p.Stats().RawPages["openai"]
			n := len(p.days)
			p.set(keySummary(), nil)
			p.reopen()
			if got := p.Stats().RawPages["openai"]; got != was || len(p.days) != n {
				t.Errorf("%d pages on %d days by the summary, %d on %d by the days", was, n, got, len(p.days))
			}
		})
	}
}

// TestSummaryIsUpToDate: every write that changes a counter changes the summary along, so
// that opening need not count, after a pull and after one that was cut off.
func TestSummaryIsUpToDate(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	reopen := func(after string, pages int) {
		t.Helper()
		p.must(p.Close())
		var log strings.Builder
		s, err := Open(context.Background(), Options{
			Dir: p.dir, RawRetentionDays: 90, HistoryDays: 800, Now: func() time.Time { return woundNow },
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		p.must(err)
		p.Store = s
		if strings.Contains(log.String(), "one by one") || s.Stats().RawPages["openai"] != pages {
			t.Errorf("%s: %d pages, want %d\n%s", after, s.Stats().RawPages["openai"], pages, log.String())
		}
	}
	reopen("two pulls of two sources", 12)
	pw, err := p.Begin(context.Background(), store.Pull{Source: woundSource, Window: woundWindow, Started: woundNow})
	p.must(err)
	for seq := range 4 { // more than a transaction takes
		body := make([]byte, 400<<10)
		if _, err := rand.Read(body); err != nil {
			t.Fatal(err)
		}
		p.must(pw.Page(context.Background(), spend.Page{Seq: seq, FetchedAt: woundNow, Body: body}))
	}
	txn := p.db.NewTransaction(false)
	written, err := p.readCounters(txn, woundDay)
	txn.Discard()
	p.must(err)
	if written.Pages["openai"] == 12 {
		t.Fatal("no page was written before the end of the pull")
	}
	reopen("a pull that was cut off", written.Pages["openai"])
}

// TestManyFetchDays: the summary of ten years of fetch days has its place in each
// transaction, also in the smallest.
func TestManyFetchDays(t *testing.T) {
	t.Parallel()
	s, err := Open(context.Background(), Options{
		Dir: t.TempDir(), RawRetentionDays: 3650, HistoryDays: 800, Now: func() time.Time { return woundNow },
		MemTableSize: 1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &patient{Store: s, t: t}
	defer func() { p.must(p.Close()) }()
	for i := range 3650 {
		s.days[woundDay-spend.Day(i)] = dayCounters{
			Pulls: 4000 + i*i%7919, // does not compress well
			Pages: map[string]int{"openai": 90000 + i*i%9973, "anthropic": 90000 + i*i%8999, "vertex": 90000 + i*i%7001},
		}
	}
	for pages := range 9 {
		pw, err := s.Begin(context.Background(), store.Pull{Source: woundSource, Window: woundWindow, Started: woundNow})
		p.must(err)
		for seq := range pages {
			body := make([]byte, 36<<10)
			if _, err := rand.Read(body); err != nil {
				t.Fatal(err)
			}
			p.must(pw.Page(context.Background(), spend.Page{Seq: seq, FetchedAt: woundNow, Body: body}))
		}
		p.must(pw.Apply(context.Background(), spend.OK, nil, store.State{}))
	}
	p.must(s.Expire(context.Background(), woundNow.AddDate(0, 0, 9)))
}
