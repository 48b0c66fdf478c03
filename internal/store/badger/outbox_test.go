package badger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// box is a patient whose clock and disk a test turns, with events on three days.
type box struct {
	patient
	now      time.Time
	free     func() uint64
	memTable int64
}

// plenty is a disk that is never full.
func plenty() uint64 { return 1 << 40 }

func emptyBox(t *testing.T) *box {
	t.Helper()
	b := &box{patient: patient{t: t, dir: t.TempDir()}, now: woundNow, free: plenty}
	b.reopen()
	t.Cleanup(func() { b.must(b.Close()) })
	return b
}

// newBox holds the second version of four events.
func newBox(t *testing.T) *box {
	t.Helper()
	b := emptyBox(t)
	for version := range 2 {
		for _, e := range boxEvents(version) {
			b.must(b.put(e))
		}
	}
	return b
}

func boxEvents(version int) []store.OutboxEvent {
	var events []store.OutboxEvent
	for i, id := range []string{"a", "b", "c", "d"} {
		events = append(events, store.OutboxEvent{
			ID: id, Day: woundDay - 2 + spend.Day(i/2), Content: fmt.Appendf(nil, "version %d of %s", version, id),
		})
	}
	return events
}

func (b *box) open() (*Store, error) {
	return Open(context.Background(), Options{
		Dir: b.dir, RawRetentionDays: 90, HistoryDays: 800, Now: func() time.Time { return b.now },
		FreeBytes: func(string) (uint64, error) { return b.free(), nil }, MemTableSize: b.memTable,
	})
}

func (b *box) reopen() {
	b.t.Helper()
	if b.Store != nil {
		b.must(b.Close())
	}
	s, err := b.open()
	b.must(err)
	b.Store = s
}

func (b *box) put(events ...store.OutboxEvent) error {
	return b.PutEvents(context.Background(), events)
}

func (b *box) events() (got []store.OutboxEvent, err error) {
	err = b.Events(context.Background(), func(e store.OutboxEvent) error {
		got = append(got, e)
		return nil
	})
	return got, err
}

// wantWhole finds exactly these events and nothing wrong.
func (b *box) wantWhole(at string, want ...store.OutboxEvent) {
	b.t.Helper()
	got, err := b.events()
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty(), byBytes); diff != "" || err != nil {
		b.t.Errorf("%s: %v (-want +got):\n%s", at, err, diff)
	}
	if err := b.Verify(context.Background()); err != nil || b.Stats().Corrupt {
		b.t.Errorf("%s: verify says %v, corrupt %v", at, err, b.Stats().Corrupt)
	}
}

// wantWounded finds these events, and everyone saying that something is wrong, in words
// that hold the text.
func (b *box) wantWounded(at, text string, want ...store.OutboxEvent) {
	b.t.Helper()
	got, err := b.events()
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty(), byBytes); diff != "" {
		b.t.Errorf("%s (-want +got):\n%s", at, diff)
	}
	if !b.Stats().Corrupt {
		b.t.Errorf("%s: the damage is not counted", at)
	}
	verify := b.Verify(context.Background())
	for name, err := range map[string]error{"Events": err, "Verify": verify} {
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), text) {
			b.t.Errorf("%s: %s says %v", at, name, err)
		}
	}
}

// byBytes does not look at each of 64 Ki bytes by reflection.
var byBytes = gocmp.FilterValues(func(a, b []byte) bool { return len(a)+len(b) > 0 }, gocmp.Comparer(bytes.Equal))

// eventKeys lists what lies in the space of the events.
func (b *box) eventKeys() (ids []string) {
	b.t.Helper()
	b.must(b.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{spaceEvent}})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			k, _ := parseKey(it.Item().Key())
			ids = append(ids, k.event)
		}
		return nil
	}))
	return ids
}

func without1(events []store.OutboxEvent, i int) []store.OutboxEvent {
	return slices.Delete(slices.Clone(events), i, i+1)
}

// TestDamagedEvent hurts one of four events: the others arrive, everyone says which it
// is, a new version of it heals it and lies on the day of the first.
func TestDamagedEvent(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	now := boxEvents(1)
	hurt := now[1]
	key := keyEvent(hurt.Day, hurt.ID)
	values := wounds(b.sealer, key, kindEvent)
	values["an older version"] = b.sealer.seal(key, kindEvent, boxEvents(0)[1].Content)
	for name, value := range values {
		b.set(key, value)
		b.wantWounded(name, "event b of "+hurt.Day.String(), without1(now, 1)...)
		healed := hurt
		healed.Day = woundDay // which it does not move to
		b.must(b.put(healed))
		b.reopen()
		b.wantWhole(name+", healed", now...)
	}
}

// TestDamagedEventAtOpen is the same found by the next process. What cannot be read
// keeps its day; what is not there at all, or is an older version, is known only by the
// mark, and told for as long as that process lives.
func TestDamagedEventAtOpen(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	now := boxEvents(1)
	key := keyEvent(now[1].Day, now[1].ID)
	values := wounds(b.sealer, key, kindEvent)
	values["an older version"] = b.sealer.seal(key, kindEvent, boxEvents(0)[1].Content)
	for name, value := range values {
		b.set(key, value)
		b.reopen()
		if !b.Stats().Corrupt {
			t.Errorf("%s: opening the store does not count the damage", name)
		}
		moved := now[1]
		moved.Day = woundDay + 5
		switch name {
		case "missing":
			b.wantWounded(name, "3 events of the hard-cap hook were found where 4 were written", without1(now, 1)...)
			b.must(b.put(moved)) // a new one, as far as anyone can tell
			b.wantWounded(name, "3 events", append(without1(now, 1), moved)...)
			b.reopen()
			b.wantWhole(name+", put again", append(without1(now, 1), moved)...)
			b.must(b.db.DropPrefix([]byte{spaceEvent}))
			b.outbox = outbox{events: make(map[string]eventRef)}
			b.must(b.put(now...))
		case "an older version", "intact but another":
			want := slices.Clone(now)
			want[1].Content = boxEvents(0)[1].Content
			if name != "an older version" {
				want[1].Content = []byte("something else")
			}
			b.wantWounded(name, "or older versions of them", want...)
			b.must(b.put(moved))
			b.wantWounded(name, "or older versions of them", now...)
		default:
			b.wantWounded(name, "event b of "+now[1].Day.String(), without1(now, 1)...)
			if b.outbox.lost != nil {
				t.Errorf("%s: damaged and not lost, but %v", name, b.outbox.lost)
			}
			b.must(b.put(now[0])) // a commit in between, whose mark is without the damaged one
			b.reopen()
			b.wantWounded(name+", again", "event b of "+now[1].Day.String(), without1(now, 1)...)
			b.must(b.put(moved))
		}
		b.reopen()
		b.wantWhole(name+", healed", now...)
	}
}

// TestDamagedAndLost: a damaged event has no digest to add up, but it counts.
func TestDamagedAndLost(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	now := boxEvents(1)
	b.set(keyEvent(now[0].Day, now[0].ID), []byte{})
	b.set(keyEvent(now[3].Day, now[3].ID), nil)
	b.reopen()
	b.wantWounded("one of each", "event a of", now[1:3]...)
	b.wantWounded("one of each", "3 events of the hard-cap hook were found where 4 were written", now[1:3]...)
}

// TestOutboxLostWhole: Badger loses by the block, and all events may lie in one.
func TestOutboxLostWhole(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	for _, e := range boxEvents(1) {
		b.set(keyEvent(e.Day, e.ID), nil)
	}
	b.wantWounded("in the same process", "event a of")
	b.reopen()
	b.wantWounded("in the next", "0 events of the hard-cap hook were found where 4 were written")
	b.must(b.put(boxEvents(0)...))
	b.reopen()
	b.wantWhole("put again", boxEvents(0)...)
}

// TestPanicsAreDamage: a block of zeros makes Badger panic. That must not be the end of a
// process whose hard caps have yet to be judged.
func TestPanicsAreDamage(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	table := b.sealer.table
	b.sealer.table = nil // which panics where a value is read, as well as anything
	got, err := b.events()
	if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "panicked") || len(got) != 0 {
		t.Errorf("%d events: %v", len(got), err)
	}
	b.outbox = outbox{events: make(map[string]eventRef)}
	txn := b.db.NewTransaction(false)
	b.loadOutbox(txn)
	txn.Discard()
	b.sealer.table = table
	b.wantWounded("when it was loaded", "panicked")
	b.must(b.put(boxEvents(1)...))
	b.reopen()
	b.wantWhole("put again", boxEvents(1)...)
}

// TestForeignEventKeys: what nobody has put is found, and shown to nobody.
func TestForeignEventKeys(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	foreign := append(keyEvent(woundDay, "x"), '!')
	unknown := keyEvent(woundDay, "x")
	for _, key := range [][]byte{foreign, unknown} {
		b.set(key, b.sealer.seal(key, kindEvent, []byte("x")))
		if err := b.Verify(context.Background()); !errors.Is(err, store.ErrCorrupt) || b.count(err) != 1 {
			t.Errorf("%q: verify says %v", key, err)
		}
		b.set(key, nil)
	}
	b.set(foreign, []byte("x"))
	b.outbox.from = woundDay + 1 // a key without a day is not a forgotten one
	if err := b.Verify(context.Background()); err == nil || !strings.Contains(err.Error(), "not among those") {
		t.Errorf("foreign key: verify says %v", err)
	}
}

func (b *box) count(err error) (n int) {
	_, _ = fmt.Sscanf(strings.TrimPrefix(err.Error(), store.ErrCorrupt.Error()), ": %d findings", &n)
	return n
}

// TestEventOnTwoDays: an event that could not be seen for a while was put again on a
// later day. That is the newer version, and the older counts no more.
func TestEventOnTwoDays(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	want := boxEvents(1)
	late := store.OutboxEvent{ID: "a", Day: woundDay, Content: []byte("late")}
	key := keyEvent(late.Day, late.ID)
	b.set(key, b.sealer.seal(key, kindEvent, late.Content))
	b.reopen()
	want = append(want[1:], late)
	b.wantWounded("found", "or older versions", want...)
	b.must(b.put(want[0]))
	b.reopen()
	b.wantWhole("told once", want...)
}

// TestStoreWithoutOutbox: a store that never had an event is as one written before there
// were any, and the other way round: a version that knows none leaves the events and
// writes catalogues without a mark (keys.go).
func TestStoreWithoutOutbox(t *testing.T) {
	t.Parallel()
	b := emptyBox(t)
	b.apply(woundSource, 0)
	catalogueOf := func() map[string]any {
		t.Helper()
		txn := b.db.NewTransaction(false)
		defer txn.Discard()
		content, err := b.get(txn, keyCatalogue(byte(b.cat.Seq&1)), kindCatalogue)
		b.must(err)
		m := make(map[string]any)
		b.must(json.Unmarshal(content, &m))
		return m
	}
	b.must(b.Expire(context.Background(), b.now))
	if got := slices.Sorted(maps.Keys(catalogueOf())); !slices.Equal(got, []string{"next", "seq", "sources"}) ||
		len(b.eventKeys()) != 0 {
		t.Fatalf("without an event the catalogue has %v", got)
	}
	b.reopen()
	b.wantWhole("no events")
	b.must(b.put(boxEvents(1)...))
	b.apply(woundSource, 1)
	m := catalogueOf()
	if m["outbox"] == nil {
		t.Fatal("a pull's commit has no mark")
	}
	delete(m, "outbox")
	older, err := json.Marshal(m)
	b.must(err)
	key := keyCatalogue(byte(b.cat.Seq & 1))
	b.set(key, b.sealer.seal(key, kindCatalogue, older))
	b.reopen()
	b.wantWhole("an older version ran", boxEvents(1)...)
	b.apply(woundSource, 1)
	if catalogueOf()["outbox"] == nil {
		t.Error("the mark does not come back")
	}
	b.reopen()
	b.wantWhole("and a newer again", boxEvents(1)...)
}

// TestLowSpaceForEvents: events go on where pulls stop, and stop above what the engine
// may need. One that was refused has changed nothing.
func TestLowSpaceForEvents(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	free := uint64(0)
	b.free = func() uint64 { return free }
	reserve, floor := b.opt.reserveBytes(), b.opt.floorBytes()
	if floor != 128<<20 || floor >= reserve {
		t.Errorf("floor is %d of a reserve of %d", floor, reserve)
	}
	next := store.OutboxEvent{ID: "e", Day: woundDay, Content: []byte("new")}
	for _, free = range []uint64{reserve - 1, floor} {
		if err := b.SetState(context.Background(), woundSource, store.State{}); !errors.Is(err, store.ErrLowSpace) {
			t.Errorf("%d MiB free: SetState says %v", free>>20, err)
		}
		next.Content = fmt.Append(nil, free)
		b.must(b.put(next))
		b.wantWhole("below the reserve", append(boxEvents(1), next)...)
	}
	free = floor - 1
	err := b.put(store.OutboxEvent{ID: "e", Day: woundDay}, store.OutboxEvent{ID: "f", Day: woundDay})
	if !errors.Is(err, store.ErrLowSpace) || !strings.Contains(err.Error(), "128 MiB must stay free; free space") {
		t.Errorf("below the floor: %v", err)
	}
	b.wantWhole("below the floor", append(boxEvents(1), next)...)
	free = plenty()
	b.reopen()
	b.wantWhole("opened again", append(boxEvents(1), next)...)
	next.Content = []byte("space again")
	b.must(b.put(next))
	b.wantWhole("space again", append(boxEvents(1), next)...)
}

// TestPutEventsIsCutOff ends a put of many transactions after each of them: what was
// written is whole and known, and the mark goes with the events in the same one.
func TestPutEventsIsCutOff(t *testing.T) {
	t.Parallel()
	var events []store.OutboxEvent
	r := rand.NewChaCha8([32]byte{3})
	for n := range 8 {
		e := store.OutboxEvent{ID: fmt.Sprintf("hc_%d", n), Day: woundDay, Content: make([]byte, store.MaxEventBytes)}
		_, _ = r.Read(e.Content)
		events = append(events, e)
	}
	for writes := range 6 {
		b := emptyBox(t)
		b.memTable = 1 << 20
		b.reopen()
		before := b.cat.Seq
		left := writes
		b.free = func() uint64 {
			if left--; left < 0 {
				return 0
			}
			return plenty()
		}
		err := b.put(events...)
		done := int(b.cat.Seq - before)
		if done != min(writes, 4) || (err == nil) != (done == 4) || err != nil && !errors.Is(err, store.ErrLowSpace) {
			t.Fatalf("%d transactions of %d: %v", done, writes, err)
		}
		b.free = plenty
		got, eventsErr := b.events()
		b.must(eventsErr)
		if len(got) != 2*done {
			t.Fatalf("%d events after %d transactions: %v", len(got), done, err)
		}
		b.wantWhole("cut off", events[:len(got)]...)
		b.reopen()
		b.wantWhole("opened again", events[:len(got)]...)
		b.must(b.put(events...))
		b.wantWhole("put again", events...)
	}
}

// TestEventsInFullTransactions: however large the summary is, events and their mark go
// into one transaction.
func TestEventsInFullTransactions(t *testing.T) {
	t.Parallel()
	b := emptyBox(t)
	b.memTable = 1 << 20
	b.reopen()
	for i := range 3500 {
		b.days[woundDay-spend.Day(i)] = dayCounters{Pulls: 4, Pages: map[string]int{"openai": i}}
	}
	writes := 0
	b.free = func() uint64 { writes++; return plenty() }
	e := store.OutboxEvent{ID: "a", Day: woundDay, Content: []byte("x")}
	for range 2 {
		before := b.cat.Seq
		writes = 0
		b.must(b.put(e))
		if n := b.cat.Seq - before; n != 1 || writes != 1 {
			t.Fatalf("%d commits in %d transactions", n, writes)
		}
		e.Content = make([]byte, store.MaxEventBytes)
		_, _ = rand.NewChaCha8([32]byte{4}).Read(e.Content)
	}
}

// TestExpireEventsOnAFullDisk: between the floor and the reserve all goes as usual. Below
// the floor events stay until there is room: they are small, and what has not been
// written down as forgotten would be taken for lost.
func TestExpireEventsOnAFullDisk(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, c := range map[string]struct {
		free uint64
		keys int
	}{"below the reserve": {200 << 20, 0}, "below the floor": {1 << 20, 4}} {
		b := newBox(t)
		b.apply(woundSource, 0)
		b.now = woundNow.AddDate(0, 0, 900)
		b.free = func() uint64 { return c.free }
		err := b.Expire(ctx, b.now)
		if n := len(b.eventKeys()); n != c.keys || (err != nil) != (c.keys > 0) || err != nil && !errors.Is(err, store.ErrLowSpace) {
			t.Fatalf("%s: %d events are there: %v", name, n, err)
		}
		b.free = plenty
		copied := b.now
		b.now = woundNow // a process with this clock would show them again
		b.reopen()
		if got, err := b.events(); err != nil || len(got) != c.keys || b.Stats().Corrupt {
			t.Errorf("%s: opened again: %v, %v", name, got, err)
		}
		b.now = copied
		b.must(b.Expire(ctx, b.now))
		b.reopen()
		b.wantWhole(name)
		if n := len(b.eventKeys()); n != 0 {
			t.Errorf("%s: %d events are still there", name, n)
		}
	}
}

// TestForgottenIsWrittenDownBeforeItGoes: an Expire that could not commit has forgotten
// the events all the same; the next one commits that before it drops them.
func TestForgottenIsWrittenDownBeforeItGoes(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.must(b.put(store.OutboxEvent{ID: "late", Day: woundDay + 800, Content: []byte("x")}))
	b.now = woundNow.AddDate(0, 0, 900)
	b.free = func() uint64 { return 0 }
	if err := b.Expire(context.Background(), b.now); !errors.Is(err, store.ErrLowSpace) {
		t.Fatal(err)
	}
	b.free = plenty
	b.must(b.Expire(context.Background(), b.now))
	before := b.cat.Seq
	b.must(b.Expire(context.Background(), b.now))
	if b.cat.Seq != before {
		t.Error("an Expire that has nothing to forget writes something down")
	}
	b.reopen()
	b.wantWhole("opened again", store.OutboxEvent{ID: "late", Day: woundDay + 800, Content: []byte("x")})
}

// TestForgottenKeysStayForgotten: a kill between the commit of an Expire and its drop
// leaves keys of days that are forgotten. Nobody sees them, the next Expire drops them,
// and a day that becomes the present again, after a clock was ahead, begins without them.
func TestForgottenKeysStayForgotten(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, expire := range []bool{true, false} {
		b := newBox(t)
		b.now = woundNow.AddDate(0, 0, 900)
		b.must(b.Expire(ctx, b.now))
		for _, e := range boxEvents(1) {
			key := keyEvent(e.Day, e.ID)
			b.set(key, b.sealer.seal(key, kindEvent, e.Content))
		}
		b.wantWhole("after a kill")
		b.reopen()
		b.wantWhole("opened after a kill")
		if len(b.eventKeys()) != 4 {
			t.Fatal("the keys are not there")
		}
		if expire {
			b.must(b.Expire(ctx, b.now))
			if n := len(b.eventKeys()); n != 0 {
				t.Errorf("%d keys are still there", n)
			}
		}
		b.now = woundNow
		back := store.OutboxEvent{ID: "a", Day: woundDay - 2, Content: []byte("the clock was ahead")}
		b.must(b.put(back))
		b.wantWhole("the clock is right", back)
		b.reopen()
		b.wantWhole("and the store was opened again", back)
	}
}

// TestDroppedWhileReading: Events and Verify may look up what Expire drops before it is
// read, and a clock that is set back may have the outbox begin before it again.
func TestDroppedWhileReading(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	seen := 0
	b.must(b.Events(context.Background(), func(store.OutboxEvent) error {
		if seen++; seen == 1 {
			b.must(b.Expire(context.Background(), woundNow.AddDate(0, 0, 900)))
		}
		return nil
	}))
	if b.Stats().Corrupt || seen == 0 {
		t.Errorf("%d events seen, corrupt %v", seen, b.Stats().Corrupt)
	}
	b.wantWhole("expired")
	b.must(b.put(boxEvents(1)...))
	v := b.newVerifier()
	defer v.txn.Discard()
	b.must(b.Expire(context.Background(), woundNow.AddDate(0, 0, 900)))
	back := store.OutboxEvent{ID: "x", Day: woundDay - 20}
	b.must(b.put(back))
	b.must(v.outbox(context.Background()))
	if v.count != 0 {
		t.Errorf("verify finds %v", v.found)
	}
	b.wantWhole("reached back", back)
}

// TestNoEventsAfterAFailedCommit: as for the ledger, and what is there can be read.
func TestNoEventsAfterAFailedCommit(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.broken = errors.New("input/output error")
	err := b.put(store.OutboxEvent{ID: "a", Day: 20000, Content: []byte("x")})
	if err == nil || !strings.Contains(err.Error(), "restart") || !strings.Contains(err.Error(), "input/output error") {
		t.Errorf("writing on: %v", err)
	}
	b.wantWhole("after it", boxEvents(1)...)
}
