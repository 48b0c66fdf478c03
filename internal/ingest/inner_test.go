package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/ingest"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/internal/store/badger"
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

// scarred is a real store that has lost the ledger of one source and the record of
// one pull.
type scarred struct{ *badger.Store }

func (s scarred) Sources(ctx context.Context) ([]store.SourceRecord, error) {
	records, err := s.Store.Sources(ctx)
	return records, errors.Join(err, fmt.Errorf("%w: the ledger of beta is not readable", store.ErrCorrupt))
}

func (s scarred) Pulls(context.Context, spend.SourceID, time.Time, func(store.Pull) bool) error {
	return fmt.Errorf("%w: a pull record", store.ErrCorrupt)
}

// TestDamageStaysWhereItIs: a damaged record or source keeps no other from being
// loaded, shown and pulled.
func TestDamageStaysWhereItIs(t *testing.T) {
	story(t, "2026-11-23T10:00:00Z", func(t *testing.T, r *rig) {
		loaded(t, r)
		r.stop()
		hurt, book := scarred{r.store}, rollup.NewBook()
		got, err := ingest.LoadBook(t.Context(), hurt, book)
		if err != nil || got.Sources != 1 || got.Days != 23+31 || !errors.Is(got.Lost, store.ErrCorrupt) {
			t.Errorf("loaded %+v, %v", got, err)
		}
		runner := ingest.New(ingest.Options{Sources: r.cfgs, Store: hurt, Book: book, Now: r.now})
		if err := runner.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		if st := runner.Statuses()[0]; st.DataThrough.IsZero() || st.CoveredFrom == 0 {
			t.Errorf("status %+v", st)
		}
		if res, _, ok := runner.PullOnce(t.Context(), acme, 0); !ok || res.Outcome() != spend.OK {
			t.Errorf("pull %+v", res)
		}
		rep, err := runner.Recompute(t.Context(), ingest.RecomputeRequest{})
		if err != nil || len(rep.Problems) != 2 || rep.Changed != 0 {
			t.Errorf("replay %+v, %v", rep, err)
		}
	})
}
