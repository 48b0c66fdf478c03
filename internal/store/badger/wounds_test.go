package badger

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/oklog/ulid/v2"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

// These tests hurt single keys, which needs the engine; what they look at is the
// contract.

var (
	woundSource = spend.SourceID{Provider: "openai", Account: "default", Source: "openai/costs"}
	woundOther  = spend.SourceID{Provider: "openai", Account: "default", Source: "openai/usage"}
	woundNow    = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	woundDay    = spend.DayOf(woundNow)
	woundWindow = spend.Window{From: woundDay - 4, To: woundDay + 1}
)

type patient struct {
	*Store
	t   *testing.T
	dir string
}

// newPatient applies two generations of two sources, with pages.
func newPatient(t *testing.T) *patient {
	t.Helper()
	p := &patient{t: t, dir: t.TempDir()}
	p.reopen()
	t.Cleanup(func() { p.must(p.Close()) })
	for g := range 2 {
		for _, id := range []spend.SourceID{woundSource, woundOther} {
			p.apply(id, g)
		}
	}
	return p
}

func (p *patient) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *patient) open() (*Store, error) {
	return Open(context.Background(), Options{
		Dir: p.dir, RawRetentionDays: 90, HistoryDays: 800, Now: func() time.Time { return woundNow },
	})
}

func (p *patient) reopen() {
	p.t.Helper()
	if p.Store != nil {
		p.must(p.Close())
	}
	s, err := p.open()
	p.must(err)
	p.Store = s
}

// amount is what a day costs in a generation: no two alike.
func amount(d spend.Day, generation int) spend.Money {
	return spend.MustMoney("1").Shift(generation).Add(spend.MustMoney("0.001").Shift(int(d - woundWindow.From)))
}

func (p *patient) apply(id spend.SourceID, generation int) {
	p.t.Helper()
	ctx := context.Background()
	pw, err := p.Begin(ctx, store.Pull{Source: id, Window: woundWindow, Started: woundNow})
	p.must(err)
	for seq := range 3 {
		body := strings.Repeat(id.Source+" ", 100*(seq+1))
		p.must(pw.Page(ctx, spend.Page{Seq: seq, FetchedAt: woundNow, Body: []byte(body)}))
	}
	var days []spend.Statement
	for d := woundWindow.From; d < woundWindow.To; d++ {
		days = append(days, spend.Statement{Day: d, Charges: []spend.Charge{
			{Model: "gpt-5", Currency: spend.USD, Gross: amount(d, generation)},
		}})
	}
	p.must(pw.Apply(ctx, spend.OK, days, store.State{DataThrough: woundNow.Add(time.Duration(generation) * time.Hour)}))
}

// wantGeneration finds a source whole and of one generation but for the damaged days.
func (p *patient) wantGeneration(id spend.SourceID, generation int, damaged ...spend.Day) {
	p.t.Helper()
	n := 0
	report, err := p.Statements(context.Background(), id, func(st spend.Statement) error {
		n++
		if got, want := st.Charges[0].Gross, amount(st.Day, generation); !got.Equal(want) {
			p.t.Errorf("%s of %s costs %s, want %s", st.Day, id, got, want)
		}
		return nil
	})
	p.must(err)
	if n+len(damaged) != woundWindow.Days() || len(report.Damaged) != len(damaged) {
		p.t.Fatalf("%d days of %s, damaged %v, want %v", n, id, report.Damaged, damaged)
	}
	for i, d := range damaged {
		if report.Damaged[i] != d {
			p.t.Errorf("%s is damaged, want %s", report.Damaged[i], d)
		}
	}
}

func (p *patient) link(id spend.SourceID) *sourceLink { return p.cat.byID(id) }

// slotKey is the key of the live value of a day.
func (p *patient) slotKey(id spend.SourceID, d spend.Day) []byte {
	p.t.Helper()
	h, err := p.current(id)
	p.must(err)
	e, ok := h.find(d)
	if !ok {
		p.t.Fatalf("no %s", d)
	}
	return keyDay(d, h.num, e.slot, 0)
}

// set writes a raw value past every check; nil removes the key, as a bad block
// does to a reader.
func (p *patient) set(key, value []byte) {
	p.t.Helper()
	p.must(p.db.Update(func(txn *badger.Txn) error {
		if value == nil {
			return txn.Delete(key)
		}
		return txn.Set(key, value)
	}))
}

// wounds are what may be found under a key instead of its value.
func wounds(s *sealer, key []byte, kind byte) map[string][]byte {
	intact := s.seal(key, kind, []byte("something else"))
	flipped := append([]byte(nil), intact...)
	flipped[len(flipped)-1] ^= 1
	return map[string][]byte{
		"missing": nil, "empty": {}, "flipped": flipped, "intact but another": intact,
		"of another key": s.seal(append(key, 0), kind, []byte("x")),
	}
}

func TestDamagedDayIsReportedAndHealed(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	d := woundDay - 2
	for name, value := range wounds(p.sealer, p.slotKey(woundSource, d), kindDay) {
		p.set(p.slotKey(woundSource, d), value)
		p.wantGeneration(woundSource, 1, d)
		p.wantGeneration(woundOther, 1)
		if !p.Stats().Corrupt {
			t.Errorf("%s: the damage is not counted", name)
		}
		if err := p.Verify(context.Background()); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: verify says %v", name, err)
		}
		p.reopen()
		p.wantGeneration(woundSource, 1, d)
		p.apply(woundSource, 1) // the same content: it must be written again all the same
		p.wantGeneration(woundSource, 1)
		p.must(p.Verify(context.Background()))
		p.reopen()
		if p.Stats().Corrupt {
			t.Errorf("%s: damage is counted after it was healed", name)
		}
	}
}

// A write that was lost under newer ones leaves an older statement, whole and
// under its own key.
func TestStaleStatementIsDamage(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	d := woundDay - 1
	key := p.slotKey(woundSource, d)
	stale := encodeStatement(spend.Statement{Day: d, Charges: []spend.Charge{
		{Model: "gpt-5", Currency: spend.USD, Gross: amount(d, 0)},
	}})
	p.set(key, p.sealer.seal(key, kindDay, stale))
	p.wantGeneration(woundSource, 1, d)
}

func TestDamagedHeadFallsBackToTheOneBefore(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	for name, value := range wounds(p.sealer, keyHead(p.link(woundSource).Num, p.link(woundSource).Copy), kindHead) {
		link := p.link(woundSource)
		p.set(keyHead(link.Num, link.Copy), value)
		p.reopen()
		p.wantGeneration(woundSource, 0)
		p.wantGeneration(woundOther, 1)
		records, err := p.Sources(context.Background())
		p.must(err)
		if got := records[0].State.DataThrough; !got.Equal(woundNow) || !p.Stats().Corrupt {
			t.Errorf("%s: data through %s, corrupt %v", name, got, p.Stats().Corrupt)
		}
		if err := p.Verify(context.Background()); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: verify says %v", name, err)
		}
		p.apply(woundSource, 0)
		p.apply(woundSource, 1)
		p.reopen()
		p.wantGeneration(woundSource, 1)
		if p.Stats().Corrupt {
			t.Errorf("%s: damage is counted after it was healed", name)
		}
	}
}

func TestSourceWithoutAHeadIsNotAnEmptySource(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	num := p.link(woundSource).Num
	p.set(keyHead(num, 0), nil)
	p.set(keyHead(num, 1), []byte{})
	p.reopen()
	ctx := context.Background()
	records, err := p.Sources(ctx)
	if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "openai/costs (default)") ||
		!strings.Contains(err.Error(), "move") || len(records) != 1 || records[0].ID != woundOther {
		t.Fatalf("sources are %v, error %v", records, err)
	}
	_, statementsErr := p.Statements(ctx, woundSource, nil)
	_, beginErr := p.Begin(ctx, store.Pull{Source: woundSource})
	for name, err := range map[string]error{
		"Statements": statementsErr, "Begin": beginErr, "Amend": p.Amend(ctx, woundSource, nil),
		"SetState": p.SetState(ctx, woundSource, store.State{}),
		"Rename":   p.Rename(ctx, "openai", "default", "x"),
		"Verify":   p.Verify(ctx),
	} {
		if !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s of a damaged source: %v", name, err)
		}
	}
	p.wantGeneration(woundOther, 1)
}

func TestDamagedCatalogueFallsBackToTheOneBefore(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	newest := byte(p.cat.Seq & 1)
	for name, value := range wounds(p.sealer, keyCatalogue(newest), kindCatalogue) {
		seq := p.cat.Seq
		p.set(keyCatalogue(byte(seq&1)), value)
		p.reopen()
		p.wantGeneration(woundSource, 1) // the last commit was of the other source
		if !p.Stats().Corrupt {
			t.Errorf("%s: the lost commit is not reported", name)
		}
		p.wantGeneration(woundOther, 0)
		p.apply(woundOther, 1)
		p.apply(woundOther, 0)
		p.apply(woundOther, 1)
		p.reopen()
		p.wantGeneration(woundOther, 1)
		if p.Stats().Corrupt || p.cat.Seq <= seq {
			t.Errorf("%s: sequence %d after %d, corrupt %v", name, p.cat.Seq, seq, p.Stats().Corrupt)
		}
	}
}

func TestStoreWithoutACatalogueIsRefused(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][][]byte{
		"catalogue": {keyCatalogue(0), keyCatalogue(1)}, "identity": {keyIdentity()},
	} {
		p := newPatient(t)
		for _, k := range keys {
			p.set(k, nil)
		}
		p.must(p.Close())
		if _, err := p.open(); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDamagedArchive(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p := newPatient(t)
	list, err := p.RawPages(ctx, store.RawQuery{Limit: 1, Source: woundSource.Source})
	p.must(err)
	day, pull, seq, _ := parsePageID(list.Items[0].ID)
	var meta *pageMeta
	p.must(p.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(keyPage(day, pull, seq))
		if err == nil {
			meta, err = p.readMeta(item)
		}
		return err
	}))
	bk := meta.bodyKey()
	for name, c := range map[string]struct {
		key  []byte
		kind byte
	}{
		"body":   {keyBody(bk.day, bk.sum, 0), kindBody},
		"page":   {keyPage(day, pull, seq), kindPage},
		"record": {keyPull(day, pull, meta.num), kindPull},
	} {
		var was []byte
		p.must(p.db.View(func(txn *badger.Txn) error {
			item, err := txn.Get(c.key)
			if err == nil {
				was, err = item.ValueCopy(nil)
			}
			return err
		}))
		for wound, value := range wounds(p.sealer, c.key, c.kind) {
			p.set(c.key, value)
			at := name + " " + wound
			pulls := 0
			pullsErr := p.Pulls(ctx, woundSource, time.Time{}, func(store.Pull) bool { pulls++; return true })
			if (pullsErr != nil) != (name == "record") || pullsErr != nil && !errors.Is(pullsErr, store.ErrCorrupt) {
				t.Errorf("%s: %d pulls, error %v", at, pulls, pullsErr)
			}
			err := p.PullPages(ctx, store.Pull{ID: pull.String(), Started: woundNow}, func(spend.Page) error {
				t.Errorf("%s: a page came before the damage was found", at)
				return nil
			})
			if !errors.Is(err, store.ErrPagesMissing) {
				t.Errorf("%s: replay says %v", at, err)
			}
			if err := p.Verify(ctx); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("%s: verify says %v", at, err)
			}
			p.reopen()
			p.wantGeneration(woundSource, 1)
		}
		p.set(c.key, was)
		p.must(p.Verify(ctx))
	}
	// A damaged body is written again when it is fetched again that day.
	key := keyBody(bk.day, bk.sum, 0)
	p.set(key, p.sealer.seal(key, kindBody, []byte("something else")))
	if _, err := p.RawPage(ctx, "openai", list.Items[0].ID); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("damaged page: %v", err)
	}
	p.apply(woundSource, 1)
	_, err = p.RawPage(ctx, "openai", list.Items[0].ID)
	p.must(err)
}

func TestDamagedCountersAreCountedAnew(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	for name, value := range wounds(p.sealer, keyCounters(woundDay), kindCounters) {
		p.set(keyCounters(woundDay), value)
		if err := p.Verify(context.Background()); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: verify says %v", name, err)
		}
		p.set(keySummary(), nil) // which would hide it until the next Verify
		p.reopen()
		if st := p.Stats(); st.RawPages["openai"] != 12 || !st.Corrupt {
			t.Errorf("%s: %v", name, st)
		}
	}
	p.apply(woundSource, 1)
	p.must(p.Verify(context.Background()))
}

// The summary is a copy: damaged or stale, it changes nothing but the way the days
// are counted.
func TestSummaryIsNeverTheTruth(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	other := map[spend.Day]dayCounters{woundDay - 9: {Pulls: 5, Pages: map[string]int{"openai": 99}}}
	values := wounds(p.sealer, keySummary(), kindSummary)
	for name, seq := range map[string]uint64{"older": p.cat.Seq - 1, "newer": p.cat.Seq + 1} {
		values[name] = p.sealer.seal(keySummary(), kindSummary, encodeSummary(seq, other))
	}
	values["unknown version"] = p.sealer.seal(keySummary(), kindSummary, []byte{99})
	for name, value := range values {
		p.set(keySummary(), value)
		p.reopen()
		damaged := name != "missing" && name != "older" && name != "newer"
		if st := p.Stats(); st.RawPages["openai"] != 12 || len(p.days) != 1 || st.Corrupt != damaged {
			t.Errorf("%s: %+v", name, st)
		}
	}
	p.apply(woundSource, 1)
	p.reopen()
	if st := p.Stats(); st.Corrupt {
		t.Errorf("after the next pull: %+v", st)
	}
	p.must(p.Verify(context.Background()))
	// One that is wrong at its ends is passed over; what lies between is found by Verify.
	for _, days := range []map[spend.Day]dayCounters{{}, other} {
		p.set(keySummary(), p.sealer.seal(keySummary(), kindSummary, encodeSummary(p.cat.Seq, days)))
		p.reopen()
		if st := p.Stats(); st.RawPages["openai"] != 15 {
			t.Errorf("with %v: %+v", days, st)
		}
		p.must(p.Verify(context.Background()))
	}
	p.set(keyCounters(woundDay-20), p.sealer.seal(keyCounters(woundDay-20), kindCounters, []byte("{}")))
	other[woundDay-20], other[woundDay] = dayCounters{}, p.days[woundDay]
	p.set(keySummary(), p.sealer.seal(keySummary(), kindSummary, encodeSummary(p.cat.Seq, other)))
	p.reopen()
	if err := p.Verify(context.Background()); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("with %v verify says %v", other, err)
	}
}

// Days are found by their counters, jumping from one to the next; one that has lost
// them is found all the same, wherever it lies and whatever it still has.
func TestDaysWithoutCountersAreFound(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	for back, key := range map[spend.Day][]byte{
		3:  keyPull(woundDay-3, ulid.ULID{1}, 1),
		4:  keyPage(woundDay-4, ulid.ULID{1}, 0),
		6:  keyBody(woundDay-6, [32]byte{1}, 0),
		7:  keyBody(woundDay-7, [32]byte{1}, 0),
		20: keyPage(woundDay-20, ulid.ULID{1}, 0),
	} {
		p.set(key, p.sealer.seal(key, key[lenDayPrefix], []byte("{}")))
		if back == 6 { // lies between two that have none
			p.set(keyCounters(woundDay-5), p.sealer.seal(keyCounters(woundDay-5), kindCounters, []byte("{}")))
		}
	}
	if err := p.Verify(context.Background()); err == nil || !strings.Contains(err.Error(), "is not among those") {
		t.Errorf("days that nobody knows: verify says %v", err)
	}
	p.set(keySummary(), nil)
	p.reopen()
	want := []spend.Day{20, 7, 6, 5, 4, 3, 0}
	for _, back := range want {
		if _, ok := p.days[woundDay-back]; !ok {
			t.Errorf("the day %d days ago is not known", back)
		}
	}
	if st := p.Stats(); len(p.days) != len(want) || st.RawPages["openai"] != 12 || !st.Corrupt {
		t.Errorf("%d days, want %d: %+v", len(p.days), len(want), st)
	}
	p.must(p.Expire(context.Background(), woundNow.AddDate(0, 0, 80)))
	if _, ok := p.days[woundDay-20]; ok || len(p.days) != len(want)-1 {
		t.Errorf("%d days after the oldest has expired", len(p.days))
	}
	p.reopen() // from the summary that Expire has left
	if _, ok := p.days[woundDay-20]; ok || len(p.days) != len(want)-1 {
		t.Errorf("%d days after opening it again", len(p.days))
	}
}

// A commit that Badger refuses is the last one tried: what it holds in memory
// and what is on disk may differ from then on.
func TestNothingIsWrittenAfterAFailedCommit(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	p.broken = errors.New("input/output error")
	ctx := context.Background()
	err := p.SetState(ctx, woundSource, store.State{})
	if err == nil || !strings.Contains(err.Error(), "restart") || !strings.Contains(err.Error(), "input/output error") {
		t.Errorf("writing on: %v", err)
	}
	p.wantGeneration(woundSource, 1)
}

// TestEngineFollowsTheMeasurements: no test without a power cut can tell that commits
// are synced, and none of a minute that values in the log are never given back.
func TestEngineFollowsTheMeasurements(t *testing.T) {
	t.Parallel()
	s, err := (&patient{t: t, dir: t.TempDir()}).open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	o := s.db.Opts()
	if !o.SyncWrites {
		t.Error("commits are not synced: a power cut loses nearly all of them (reliability.md 2.1)")
	}
	if largest := int64(s.opt.chunkBytes() + envelopeHeader); o.ValueThreshold <= largest {
		t.Errorf("values of %d bytes go to the value log, whose disk never comes back (measured.md c)", largest)
	}
	if o.MemTableSize*int64(o.NumMemtables) > 16<<20 || o.BlockCacheSize != 0 || o.IndexCacheSize != 0 {
		t.Errorf("memory: %d memtables of %d bytes, caches of %d and %d bytes",
			o.NumMemtables, o.MemTableSize, o.BlockCacheSize, o.IndexCacheSize)
	}
}
