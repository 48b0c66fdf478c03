package ingest_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/ingest"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

// meter is an Instruments that can be read.
type meter struct {
	mu                     sync.Mutex
	pages, bytes, rewalked int
	noticed                map[string]int
}

func (m *meter) PageDecoded(_ string, bytes int, _ float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pages++
	m.bytes += bytes
}

func (m *meter) Rewalked(string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rewalked++
}

func (m *meter) Noticed(_, notice string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.noticed == nil {
		m.noticed = map[string]int{}
	}
	m.noticed[notice] += n
}

func TestInstrumentsCountTheInnerParts(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		m := &meter{}
		r.opts.Instruments = m
		s := r.add(acme)
		s.notices = map[string]int{"unknown_field": 2}
		s.before = func(_ context.Context, w walk, page int) error {
			if w.Buckets == 31 && page == 0 {
				return refuse(spend.TooLarge)
			}
			return nil
		}
		r.start()
		time.Sleep(quarter + minute)
		r.stop()
		// November twice and October once, in pages of 15 days: 2 + 3 + 2.
		if m.pages != 7 || m.bytes < 7*20 || m.rewalked != 1 {
			t.Errorf("%d pages of %d bytes, %d walks repeated, want 7 pages and 1", m.pages, m.bytes, m.rewalked)
		}
		if diff := cmp.Diff(map[string]int{"unknown_field": 6}, m.noticed); diff != "" {
			t.Errorf("notices (-want +got):\n%s", diff)
		}
		if n := strings.Count(r.log.String(), "oddities in the answer"); n != 1 {
			t.Errorf("the same oddities are logged %d times", n)
		}
	})
}

// TestLoadBook: everything the ledger holds, with how far it reaches.
func TestLoadBook(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		loaded(t, r)
		r.stop()
		book := rollup.NewBook()
		got, err := ingest.LoadBook(t.Context(), r.store, book)
		if err != nil || got.Sources != 1 || got.Days != 23+31 || len(got.Damaged) != 0 {
			t.Errorf("loaded %+v, %v", got, err)
		}
		if v := book.Snapshot().Version(); v != 1 {
			t.Errorf("published %d times", v)
		}
		was, is := resultOf(t, r.book, november), resultOf(t, book, november)
		if diff := cmp.Diff(was, is, moneyOf); diff != "" {
			t.Errorf("reloaded book (-was +is):\n%s", diff)
		}
	})
}
