package badger_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/internal/store/badger"
	"github.com/aispend/aispend/spend"
)

const modelHistory = 30 // days

// modelOutbox is the whole contract of an outbox.
type modelOutbox map[string]store.OutboxEvent

func (m modelOutbox) put(events []store.OutboxEvent) {
	for _, e := range events {
		if was, ok := m[e.ID]; ok {
			e.Day = was.Day
		}
		m[e.ID] = e
	}
}

func (m modelOutbox) expire(now time.Time) {
	for id, e := range m {
		if e.Day < spend.DayOf(now)-modelHistory {
			delete(m, id)
		}
	}
}

func (m modelOutbox) sorted() (events []store.OutboxEvent) {
	for _, e := range m {
		events = append(events, e)
	}
	slices.SortFunc(events, func(a, b store.OutboxEvent) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.ID, b.ID))
	})
	return events
}

// modelRun is a store beside its model, a clock that jumps and a disk that fills.
type modelRun struct {
	dir   string
	s     *badger.Store
	model modelOutbox
	now   time.Time
	free  uint64
}

func (m *modelRun) reopen(t *rapid.T) {
	var err error
	if m.s != nil {
		err = m.s.Close()
	}
	if err == nil {
		m.s, err = badger.Open(context.Background(), badger.Options{
			Dir: m.dir, RawRetentionDays: 90, HistoryDays: modelHistory, MemTableSize: 1 << 20, NoCompaction: true,
			Now: func() time.Time { return m.now }, FreeBytes: func(string) (uint64, error) { return m.free, nil },
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	if m.s.Stats().Corrupt {
		t.Fatal("opened again, the store says that it is damaged")
	}
}

var modelEvent = rapid.Custom(func(t *rapid.T) store.OutboxEvent {
	back := rapid.IntRange(0, modelHistory+5).Draw(t, "back")
	return store.OutboxEvent{
		ID:      rapid.StringMatching(`[a-c][0_]?`).Draw(t, "id"),
		Day:     spend.DayOf(crashBase) - spend.Day(back),
		Content: rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "content"),
	}
})

// same compares the store with the model, and has it verify itself.
func (m *modelRun) same(t *rapid.T) {
	var got []store.OutboxEvent
	err := m.s.Events(context.Background(), func(e store.OutboxEvent) error {
		got = append(got, e)
		return nil
	})
	diff := gocmp.Diff(m.model.sorted(), got, cmpopts.EquateEmpty())
	if err = errors.Join(err, m.s.Verify(context.Background())); diff != "" || err != nil {
		t.Fatalf("%v (-model +store):\n%s", err, diff)
	}
}

func (m *modelRun) expire(t *rapid.T) {
	if err := m.s.Expire(context.Background(), m.now); err != nil {
		t.Fatal(err)
	}
	m.model.expire(m.now)
}

// TestOutboxMatchesAModel does whatever may come in any order.
func TestOutboxMatchesAModel(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	parent, n := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		m := &modelRun{
			dir: fmt.Sprintf("%s/%d", parent, n), model: make(modelOutbox), now: crashBase, free: 1 << 40,
		}
		m.reopen(t)
		defer func() {
			if err := errors.Join(m.s.Close(), os.RemoveAll(m.dir)); err != nil {
				t.Fatal(err)
			}
		}()
		reserve := m.s.Stats().ReserveBytes
		t.Repeat(map[string]func(*rapid.T){
			"": m.same,
			"put": func(t *rapid.T) {
				events := rapid.SliceOfN(modelEvent, 0, 6).Draw(t, "events")
				if err := m.s.PutEvents(ctx, events); err != nil {
					t.Fatal(err)
				}
				m.model.put(events)
			},
			"reopen": m.reopen,
			"expire": m.expire,
			"expire and put on a full disk": func(t *rapid.T) {
				m.free = 1 << 20
				events := rapid.SliceOfN(modelEvent, 1, 3).Draw(t, "events")
				if err := m.s.PutEvents(ctx, events); !errors.Is(err, store.ErrLowSpace) {
					t.Fatal(err)
				}
				if err := m.s.Expire(ctx, m.now); err != nil && !errors.Is(err, store.ErrLowSpace) {
					t.Fatal(err)
				}
				m.free = 1 << 40 // and the next one has it all to do
				m.expire(t)
			},
			"put on a disk for events only": func(t *rapid.T) {
				m.free = reserve - 1
				events := rapid.SliceOfN(modelEvent, 1, 3).Draw(t, "events")
				if err := m.s.PutEvents(ctx, events); err != nil {
					t.Fatal(err)
				}
				m.model.put(events)
				m.free = 1 << 40
			},
			"clock": func(t *rapid.T) {
				m.now = crashBase.AddDate(0, 0, rapid.IntRange(-3, 40).Draw(t, "days"))
			},
			"ledger": func(t *rapid.T) {
				if err := m.s.SetState(ctx, crashSource, store.State{}); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}
