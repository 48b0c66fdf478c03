package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

func outboxTests() map[string]func(*testing.T, *harness) {
	return map[string]func(*testing.T, *harness){
		"Outbox/PutAndOverwrite": putAndOverwrite,
		"Outbox/Order":           eventOrder,
		"Outbox/BadEvents":       badEvents,
		"Outbox/ManyAtOnce":      manyEvents,
		"Outbox/LargeAtOnce":     largeEvents,
		"Outbox/TwiceInOneCall":  twiceInOneCall,
		"Outbox/Callback":        eventCallback,
		"Outbox/Expire":          expireEvents,
		"Outbox/ClockSetBack":    eventsAfterClockWasAhead,
		"Outbox/BesidePulls":     eventsBesidePulls,
		"Outbox/Concurrent":      eventsConcurrently,
	}
}

func event(id string, d spend.Day, content string) store.OutboxEvent {
	return store.OutboxEvent{ID: id, Day: d, Content: []byte(content)}
}

func (h *harness) put(events ...store.OutboxEvent) {
	h.t.Helper()
	must(h.t, h.s.PutEvents(context.Background(), events))
}

func (h *harness) events() []store.OutboxEvent {
	h.t.Helper()
	var got []store.OutboxEvent
	must(h.t, h.s.Events(context.Background(), func(e store.OutboxEvent) error {
		got = append(got, e)
		return nil
	}))
	return got
}

// wantEvents finds exactly these, now and after the store was opened again.
func (h *harness) wantEvents(want ...store.OutboxEvent) {
	h.t.Helper()
	for range 2 {
		same(h.t, h.events(), want)
		must(h.t, h.s.Verify(context.Background()))
		h.reopen()
		if h.s.Stats().Corrupt {
			h.t.Fatal("the store was opened and says that it is damaged")
		}
	}
}

func putAndOverwrite(t *testing.T, h *harness) {
	today := spend.DayOf(h.now)
	h.wantEvents()
	h.put() // of nothing
	h.put(event("hc_1", today, "pending"), event("hc_2", today, strings.Repeat("pending ", 1000)))
	h.wantEvents(event("hc_1", today, "pending"), event("hc_2", today, strings.Repeat("pending ", 1000)))
	h.put(event("hc_1", today+3, "delivered")) // it keeps its day
	h.wantEvents(event("hc_1", today, "delivered"), event("hc_2", today, strings.Repeat("pending ", 1000)))
	h.put(event("hc_2", today-3, ""), event("hc_3", today+3, "pending"))
	h.wantEvents(event("hc_1", today, "delivered"), event("hc_2", today, ""), event("hc_3", today+3, "pending"))
	h.put(event("hc_1", today, "delivered")) // the same once more
	h.wantEvents(event("hc_1", today, "delivered"), event("hc_2", today, ""), event("hc_3", today+3, "pending"))
}

func eventOrder(t *testing.T, h *harness) {
	today := spend.DayOf(h.now)
	var want []store.OutboxEvent
	for _, d := range []spend.Day{today - 40, today - 1, today} {
		for _, id := range []string{"0", "_", "a", "aa", "hc_00", "hc_01", "hc_0_", "z", strings.Repeat("z", 64)} {
			want = append(want, event(fmt.Sprintf("%s%d", id[:min(len(id), 62)], today-d), d, id))
		}
	}
	// By day first, and then by the bytes of the id, whatever order they came in.
	slices.SortFunc(want, func(a, b store.OutboxEvent) int {
		if a.Day != b.Day {
			return int(a.Day - b.Day)
		}
		return strings.Compare(a.ID, b.ID)
	})
	for i := range want {
		h.put(want[(i*5)%len(want)])
	}
	h.wantEvents(want...)
}

func badEvents(t *testing.T, h *harness) {
	good := event("hc_1", 20000, "x")
	for name, bad := range map[string]store.OutboxEvent{
		"no id": event("", 20000, "x"), "long id": event(strings.Repeat("a", 65), 20000, "x"),
		"upper case": event("HC", 20000, "x"), "slash": event("a/b", 20000, "x"), "not ascii": event("ä", 20000, "x"),
		"zero byte": event("a\x00", 20000, "x"), "no day": event("hc_2", 0, "x"), "negative day": event("hc_2", -1, "x"),
		"day without a date": event("hc_2", 1<<30, "x"),
		"too large":          {ID: "hc_2", Day: 20000, Content: make([]byte, store.MaxEventBytes+1)},
	} {
		if err := h.s.PutEvents(context.Background(), []store.OutboxEvent{good, bad}); err == nil {
			t.Errorf("%s: stored", name)
		}
	}
	h.wantEvents() // not even the good ones beside them
	largest := store.OutboxEvent{ID: strings.Repeat("a", 64), Day: 20000, Content: noise(store.MaxEventBytes, 1)}
	h.put(largest)
	h.wantEvents(largest)
}

// manyEvents puts more events at once than a transaction takes, on one day, twice.
func manyEvents(t *testing.T, h *harness) {
	today := spend.DayOf(h.now)
	for version := range 2 {
		var want []store.OutboxEvent
		for n := range 2500 {
			want = append(want, event(fmt.Sprintf("hc_%032x", n), today, fmt.Sprintf("version %d of %d", version, n)))
		}
		h.put(want...)
		h.wantEvents(want...)
	}
	// As small as events can be: an engine may limit their number rather than their bytes.
	var tiny []store.OutboxEvent
	for n := range 4000 {
		tiny = append(tiny, event(strconv.FormatInt(int64(n), 36), today+1, ""))
	}
	h.put(tiny...)
	all := h.events()
	if len(all) != 2500+len(tiny) {
		t.Fatalf("%d events", len(all))
	}
	h.wantEvents(all...)
}

// largeEvents puts more bytes at once than a transaction takes.
func largeEvents(t *testing.T, h *harness) {
	today := spend.DayOf(h.now)
	var want []store.OutboxEvent
	for n := range 40 {
		want = append(want, store.OutboxEvent{
			ID: fmt.Sprintf("hc_%02d", n), Day: today - 2 + spend.Day(n/20),
			Content: noise(store.MaxEventBytes-n, uint64(n)),
		})
	}
	h.put(want...)
	h.wantEvents(want...)
}

func twiceInOneCall(t *testing.T, h *harness) {
	today := spend.DayOf(h.now)
	h.put(event("a", today, "1"), event("b", today, "1"), event("a", today+1, "2"))
	h.put(event("b", today, "2"), event("b", today, "3"))
	h.wantEvents(event("a", today, "2"), event("b", today, "3"))
}

// eventCallback stops where fn says so, lets fn write, and does not show it what it writes.
func eventCallback(t *testing.T, h *harness) {
	today := spend.DayOf(h.now)
	h.put(event("a", today, "1"), event("b", today, "1"), event("c", today, "1"))
	enough := errors.New("enough")
	var kept []store.OutboxEvent
	err := h.s.Events(context.Background(), func(e store.OutboxEvent) error {
		kept = append(kept, e)
		h.put(event("a", today, "2"), event("b", today, "2"), event("d", today, "1"))
		if e.ID == "b" {
			return enough
		}
		return nil
	})
	wantErr(t, err, enough)
	same(t, kept, []store.OutboxEvent{event("a", today, "1"), event("b", today, "1")})
	for i := range kept {
		clear(kept[i].Content) // it is the caller's
	}
	h.wantEvents(event("a", today, "2"), event("b", today, "2"), event("c", today, "1"), event("d", today, "1"))
}

func expireEvents(t *testing.T, h *harness) {
	h.cfg.HistoryDays = 62
	h.reopen()
	today := spend.DayOf(h.now)
	want := []store.OutboxEvent{event("kept", today-62, "x"), event("new", today, "x")}
	h.put(event("old", today-63, "x"), event("older", today-400, "x"), want[0], want[1])
	h.put(event("old", today, "a new version of it is as old")) // and goes with its day
	for range 2 {
		must(t, h.s.Expire(context.Background(), h.now))
		h.wantEvents(want...)
	}
	// One that has gone is new when it comes again, and old content does not shine through.
	h.put(event("older", today, "again"), event("old", today-63, "late"))
	h.wantEvents(event("old", today-63, "late"), want[0], want[1], event("older", today, "again"))
	h.now = h.now.AddDate(5, 0, 0)
	must(t, h.s.Expire(context.Background(), h.now))
	h.wantEvents()
	h.put(event("new", spend.DayOf(h.now), "x"))
	h.wantEvents(event("new", spend.DayOf(h.now), "x"))
}

// eventsAfterClockWasAhead: days that have been forgotten may become the present again.
func eventsAfterClockWasAhead(t *testing.T, h *harness) {
	today := spend.DayOf(h.now)
	h.put(event("a", today-1, "before"), event("b", today, "before"))
	must(t, h.s.Expire(context.Background(), h.now.AddDate(20, 0, 0)))
	h.wantEvents()
	h.put(event("b", today, "after"))
	h.wantEvents(event("b", today, "after"))
	must(t, h.s.Expire(context.Background(), h.now))
	h.put(event("c", today-1, "after"))
	h.wantEvents(event("c", today-1, "after"), event("b", today, "after"))
}

// eventsBesidePulls: what the ledger commits leaves the events as they are, and they it.
func eventsBesidePulls(t *testing.T, h *harness) {
	today := spend.DayOf(h.now)
	h.put(event("a", today, "1"))
	h.pullOn(costs, 2, money(today, "1"))
	h.put(event("b", today, "1"))
	pw := h.begin(usage, spend.Window{From: today, To: today + 1})
	h.put(event("a", today, "2"))
	h.page(pw, 0, h.now, noise(100, 1))
	h.put(event("c", today, "1"))
	must(t, pw.Apply(context.Background(), spend.OK, []spend.Statement{money(today, "2")}, store.State{}))
	must(t, h.s.SetState(context.Background(), costs, store.State{}))
	must(t, h.s.Rename(context.Background(), "openai", "default", "x"))
	h.wantEvents(event("a", today, "2"), event("b", today, "1"), event("c", today, "1"))
	moved := usage
	moved.Account = "x"
	h.wantDays(moved, money(today, "2"))
}

// eventsConcurrently puts, reads and expires events and pulls at once. Whoever reads finds
// nothing wrong, and each event at the version it had or a later one.
func eventsConcurrently(t *testing.T, h *harness) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	today, start := spend.DayOf(h.now), h.now
	var put [4]atomic.Int64 // newest version that is stored, by writer
	var work, writers sync.WaitGroup
	fail := func(act string, err error) {
		if err != nil {
			t.Errorf("%s: %v", act, err)
			cancel()
		}
	}
	for w := range put {
		writers.Go(func() {
			for v := int64(1); v <= 40 && ctx.Err() == nil; v++ {
				err := h.s.PutEvents(ctx, []store.OutboxEvent{
					event(fmt.Sprintf("hc_%d", w), today+1000, fmt.Sprint(v)),
					event(fmt.Sprintf("old_%d_%d", w, v), today-800+spend.Day(v/4), fmt.Sprint(v)),
				})
				fail("putting", err)
				put[w].Store(v)
			}
		})
	}
	done := make(chan struct{})
	forever := func(act string, fn func() error) {
		work.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					fail(act, fn())
				}
			}
		})
	}
	for range 2 {
		forever("reading", func() error {
			var least [len(put)]int64
			for w := range put {
				least[w] = put[w].Load()
			}
			return h.s.Events(ctx, func(e store.OutboxEvent) error {
				w, lives := strings.CutPrefix(e.ID, "hc_")
				i, _ := strconv.Atoi(w)
				if v, _ := strconv.ParseInt(string(e.Content), 10, 64); lives && v < least[i] {
					return fmt.Errorf("%s is of version %d, %d is stored", e.ID, v, least[i])
				}
				return nil
			})
		})
	}
	forever("verifying", func() error { return h.s.Verify(ctx) })
	days := 0 // the clock jumps back now and then
	forever("expiring", func() error {
		days++
		return h.s.Expire(ctx, start.AddDate(0, 0, days%10))
	})
	forever("pulling", func() error {
		pw, err := h.s.Begin(ctx, store.Pull{Source: costs, Window: spend.Window{From: today, To: today + 1}, Started: start})
		if err != nil {
			return err
		}
		return pw.Apply(ctx, spend.OK, []spend.Statement{money(today, "1")}, store.State{})
	})
	writers.Wait()
	close(done)
	work.Wait()
	must(t, h.s.Expire(ctx, start.AddDate(0, 0, 20)))
	h.wantEvents(event("hc_0", today+1000, "40"), event("hc_1", today+1000, "40"),
		event("hc_2", today+1000, "40"), event("hc_3", today+1000, "40"))
}
