package storetest

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

func ledgerTests() map[string]func(*testing.T, *harness) {
	return map[string]func(*testing.T, *harness){
		"Ledger/ApplyReplacesWholeDays":     applyReplaces,
		"Ledger/StatementsAscend":           statementsAscend,
		"Ledger/VanishedDayIsKnownEmpty":    vanishedDay,
		"Ledger/ReadAtIsStartOfPull":        readAt,
		"Ledger/KeepsEveryField":            everyField,
		"Ledger/NarrowedPull":               narrowed,
		"Ledger/KeepsEveryFieldOfAState":    everyStateField,
		"Ledger/BigReplacements":            bigReplacements,
		"Ledger/BadApplyChangesNothing":     badApply,
		"Ledger/FailAndHoldLeaveDays":       failAndHold,
		"Ledger/StateSurvives":              stateSurvives,
		"Ledger/AmendReplacesOnlyItsDays":   amend,
		"Ledger/Rename":                     rename,
		"Ledger/RenameWouldMerge":           renameWouldMerge,
		"Ledger/RenameDuringPull":           renameDuringPull,
		"Ledger/ReadersSeeOldOrNew":         readersSeeOldOrNew,
		"Ledger/CallbackErrorEndsReading":   callbackError,
		"Ledger/RandomHistoriesMatchAModel": randomHistories,
	}
}

func applyReplaces(t *testing.T, h *harness) {
	a, b, c := day("2026-11-20"), day("2026-11-21"), day("2026-11-22")
	h.apply(costs, spend.Window{From: a, To: c + 1}, money(a, "1"), money(b, "2"), money(c, "3"))
	tokens := money(a, "100")
	tokens.Usage = []spend.Usage{{Model: "m", Input: 5}, {Model: "n", Output: 7}}
	h.apply(usage, spend.Window{From: a, To: a + 1}, tokens)
	h.apply(costs, spend.Window{From: b, To: c + 1}, money(b, "20.5"), money(c, "-0.25"))
	h.wantDays(costs, money(a, "1"), money(b, "20.5"), money(c, "-0.25"))
	h.reopen()
	h.wantDays(costs, money(a, "1"), money(b, "20.5"), money(c, "-0.25"))
	h.wantDays(usage, tokens)
	h.wantDays(other)

	records, err := h.s.Sources(context.Background())
	must(t, err)
	want := []store.SourceRecord{
		{ID: costs, State: store.State{DataThrough: h.now}, Days: 3, Charges: 3},
		{ID: usage, State: store.State{DataThrough: h.now}, Days: 1, Charges: 1, Usage: 2},
	}
	same(t, records, want)
}

func statementsAscend(_ *testing.T, h *harness) {
	// Days around 1970 and the far end of a year, handed in in disorder and over several pulls.
	d := []spend.Day{-3, 1, day("2025-12-31"), day("2026-01-01"), day("2026-11-23")}
	for _, i := range []int{4, 0, 2} {
		h.apply(costs, spend.Window{From: d[i], To: d[i] + 1}, money(d[i], "1"))
	}
	h.apply(costs, spend.Window{From: d[3], To: d[3] + 2}, money(d[3]+1, "1"), money(d[3], "1"))
	h.apply(costs, spend.Window{From: d[1], To: d[1] + 1}, money(d[1], "1"))
	h.wantDays(costs, money(d[0], "1"), money(d[1], "1"), money(d[2], "1"), money(d[3], "1"),
		money(d[3]+1, "1"), money(d[4], "1"))
}

func vanishedDay(_ *testing.T, h *harness) {
	a := day("2026-11-20")
	w := spend.Window{From: a, To: a + 3}
	h.apply(costs, w, money(a, "1"), money(a+1, "2"), money(a+2, "3"))
	h.apply(costs, w, money(a, "1"), money(a+2, "3"))
	h.wantDays(costs, money(a, "1"), empty(a+1), money(a+2, "3"))
	h.reopen()
	h.wantDays(costs, money(a, "1"), empty(a+1), money(a+2, "3"))
	h.apply(costs, w, money(a+1, "2"))
	h.wantDays(costs, empty(a), money(a+1, "2"), empty(a+2))
}

// readAt also covers a day read again with the same content.
func readAt(t *testing.T, h *harness) {
	a := day("2026-11-20")
	w := spend.Window{From: a, To: a + 2}
	for range 3 {
		h.apply(costs, w, money(a, "1"))
		started := h.now.Add(time.Duration(h.n) * time.Second)
		for _, st := range h.statements(costs) {
			if !st.ReadAt.Equal(started) {
				t.Fatalf("%s was read at %s, the pull started %s", st.Day, st.ReadAt, started)
			}
		}
	}
	before := h.statements(costs)
	h.reopen()
	same(t, h.statements(costs), before)
}

func everyField(t *testing.T, h *harness) {
	d := day("2026-02-28")
	st := spend.Statement{
		Day: d,
		Charges: []spend.Charge{
			{Currency: "EUR", Gross: spend.MustMoney("0.000000000000000000000000000000123456789")},
			{Currency: "EUR", Rate: spend.MustMoney("0.8634"), Tax: true, Gross: spend.MustMoney("19")},
			{
				Model: "gpt-5", Project: "p", Item: "im\u00e4ge, \"q\"", Currency: spend.USD,
				Gross: spend.MustMoney("12345678901234567890.000000000000000001"), Credits: spend.MustMoney("-3.10"),
			},
		},
		Usage: []spend.Usage{
			{Model: "", Project: "p", Input: 1, Output: 2, CacheRead: 3, CacheWrite: 4, Requests: 0, HasRequests: true},
			{Model: "m", Input: 1 << 62, Output: -1, Uncosted: 7},
		},
	}
	h.apply(costs, spend.Window{From: d, To: d + 1}, st)
	h.reopen()
	got := h.statements(costs)
	st.ReadAt = got[0].ReadAt
	same(t, got, []spend.Statement{st})
	if s := got[0].Charges[0].Gross.String(); s != "0.000000000000000000000000000000123456789" {
		t.Fatalf("amount arrived as %s", s)
	}
}

// narrowed says what becomes of days that a pull asked for and learnt nothing of.
func narrowed(t *testing.T, h *harness) {
	a := day("2026-11-20")
	w := spend.Window{From: a, To: a + 4}
	h.apply(costs, w, money(a, "1"), money(a+1, "2"), money(a+2, "3"))
	pw := h.begin(costs, w)
	must(t, pw.Page(context.Background(), spend.Page{Status: 200, Body: []byte("{}")}))
	pw.Narrow(spend.Window{From: a + 1, To: a + 4})
	must(t, pw.Apply(context.Background(), spend.OK, []spend.Statement{money(a+1, "5")}, store.State{}))
	nothing := h.begin(costs, w)
	nothing.Narrow(spend.Window{From: a, To: a})
	must(t, nothing.Apply(context.Background(), spend.OK, nil, store.State{CoveredFrom: a}))
	h.reopen()
	want := []string{"1", "5", "0", "0"}
	got := h.statements(costs)
	if len(got) != len(want) {
		t.Fatalf("%d days, want %d", len(got), len(want))
	}
	for i, st := range got {
		var sum spend.Money
		for _, c := range st.Charges {
			sum = sum.Add(c.Cost())
		}
		if sum.String() != want[i] {
			t.Errorf("%s holds %s, want %s", st.Day, sum, want[i])
		}
	}
	var windows []spend.Window
	must(t, h.s.Pulls(context.Background(), costs, time.Time{}, func(p store.Pull) bool {
		windows = append(windows, p.Window)
		return true
	}))
	if len(windows) != 3 || windows[0].Days() != 0 || windows[1] != (spend.Window{From: a + 1, To: a + 4}) {
		t.Errorf("the records say %v", windows)
	}
}

func everyStateField(t *testing.T, h *harness) {
	at := time.Date(2026, 11, 20, 10, 31, 7, 900_000_000, time.UTC)
	half, limit := spend.MustMoney("0.5"), spend.MustMoney("2500.5")
	want := store.State{
		CoveredFrom: day("2026-11-03"), LastApplied: at, DataThrough: at.Add(-time.Hour), Begins: day("2026-11-03"),
		Budgets: []spend.Budget{{
			BillingAccount: "01AAAA-BBBBBB-CCCCC1", ID: "de72f49d",
			Notices: []spend.BudgetNotice{{
				MessageID: "13", PublishedAt: at, IntervalStart: at.Add(-500 * time.Hour), DisplayName: "AI",
				Currency: "USD", Spend: spend.MustMoney("1250.02"), Limit: limit, LimitType: "SPECIFIED_AMOUNT",
				AlertThreshold: &half,
			}},
			Settings: &spend.BudgetSettings{
				Limit: &limit, Currency: "USD", Thresholds: []spend.BudgetThreshold{{Ratio: half, Forecast: true}},
				Credits: "INCLUDE_ALL_CREDITS", Period: "MONTH", SpendCap: "ENFORCED",
			},
		}},
	}
	must(t, h.s.SetState(context.Background(), costs, want))
	h.reopen()
	records, err := h.s.Sources(context.Background())
	must(t, err)
	if diff := cmp.Diff(want, records[0].State); diff != "" {
		t.Errorf("difference (-want +got):\n%s", diff)
	}
}

// bigReplacements replaces windows beyond any transaction, twice: into fresh slots
// and into slots that hold something else.
func bigReplacements(t *testing.T, h *harness) {
	for _, c := range []struct{ days, size int }{{31, 45 << 10}, {100, 200 << 10}} {
		w := spend.Window{From: day("2026-06-01"), To: day("2026-06-01") + spend.Day(c.days)}
		for round := range uint64(2) {
			var days []spend.Statement
			for d := w.From; d < w.To; d++ {
				days = append(days, bulky(d, c.size, round))
			}
			h.apply(costs, w, days...)
			h.reopen()
			got := h.statements(costs)
			if len(got) != len(days) {
				t.Fatalf("%d days, want %d", len(got), len(days))
			}
			for i := range days {
				if !slices.EqualFunc(got[i].Charges, days[i].Charges, sameCharge) {
					t.Fatalf("%s differs in round %d", days[i].Day, round)
				}
			}
		}
	}
}

func sameCharge(a, b spend.Charge) bool {
	return a.Model == b.Model && a.Project == b.Project && a.Item == b.Item && a.Currency == b.Currency &&
		a.Gross.Equal(b.Gross) && a.Credits.Equal(b.Credits) && a.Rate.Equal(b.Rate) && a.Tax == b.Tax
}

func badApply(t *testing.T, h *harness) {
	a := day("2026-11-20")
	w := spend.Window{From: a, To: a + 3}
	ctx := context.Background()
	h.apply(costs, w, money(a, "1"))
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	pw := h.begin(costs, w)
	h.page(pw, 0, h.now, []byte("{}"))
	for name, err := range map[string]error{
		"a day outside the window": pw.Apply(ctx, spend.OK, []spend.Statement{money(a, "9"), money(a+3, "9")}, store.State{}),
		"a day twice":              pw.Apply(ctx, spend.OK, []spend.Statement{money(a, "9"), money(a, "8")}, store.State{}),
		"a cancelled context":      pw.Apply(cancelled, spend.OK, []spend.Statement{money(a, "9")}, store.State{}),
	} {
		if err == nil {
			t.Fatalf("%s was accepted", name)
		}
	}
	h.wantDays(costs, money(a, "1"), empty(a+1), empty(a+2))
	must(t, pw.Fail(ctx, spend.Schema, "two answers for one day"))
	if err := pw.Apply(ctx, spend.OK, nil, store.State{}); err == nil {
		t.Fatal("a pull was ended twice")
	}
	if err := pw.Page(ctx, testPage(1, h.now, nil)); err == nil {
		t.Fatal("a page was taken after the end")
	}
	h.reopen()
	h.wantDays(costs, money(a, "1"), empty(a+1), empty(a+2))
}

func failAndHold(t *testing.T, h *harness) {
	a := day("2026-11-20")
	w := spend.Window{From: a, To: a + 1}
	ctx := context.Background()
	h.apply(costs, w, money(a, "1"))
	must(t, h.begin(costs, w).Fail(ctx, spend.Server, "503"))
	st := store.State{
		CoveredFrom: a,
		Holds:       map[string]store.Hold{"current": {Window: w, Count: 1, First: h.now, Last: h.now}},
	}
	must(t, h.begin(costs, w).Hold(ctx, st))
	st.Holds["current"] = store.Hold{Count: 99} // the store must not share the caller's map
	h.wantDays(costs, money(a, "1"))
	for range 2 {
		records, err := h.s.Sources(ctx)
		must(t, err)
		if got := records[0].State.Holds["current"]; got.Count != 1 || !got.First.Equal(h.now) || got.Window != w {
			t.Fatalf("hold arrived as %+v", got)
		}
		records[0].State.Holds["current"] = store.Hold{} // nor the reader's
		h.reopen()
	}
	var verdicts []store.Verdict
	for _, p := range h.pulls(costs, time.Time{}) {
		verdicts = append(verdicts, p.Verdict)
	}
	same(t, verdicts, []store.Verdict{store.HeldUp, store.Failed, store.Applied})
}

func stateSurvives(t *testing.T, h *harness) {
	ctx := context.Background()
	st := store.State{
		CoveredFrom: day("2026-08-01"), LastApplied: h.now, DataThrough: h.now.Add(-time.Hour),
		PreviousMonthRead: day("2026-11-03"),
	}
	must(t, h.s.SetState(ctx, other, st))
	h.apply(costs, window("2026-11-20", "2026-11-20"))
	h.reopen()
	records, err := h.s.Sources(ctx)
	must(t, err)
	same(t, records, []store.SourceRecord{
		{ID: other, State: st},
		{ID: costs, State: store.State{DataThrough: h.now}, Days: 1},
	})
}

func amend(t *testing.T, h *harness) {
	a := day("2026-11-20")
	ctx := context.Background()
	h.apply(costs, spend.Window{From: a, To: a + 3}, money(a, "1"), money(a+1, "2"), money(a+2, "3"))
	first := h.statements(costs)[0].ReadAt
	must(t, h.s.Amend(ctx, costs, []spend.Statement{empty(a + 2), money(a, "1.5")}))
	h.wantDays(costs, money(a, "1.5"), money(a+1, "2"), empty(a+2))
	if got := h.statements(costs)[0].ReadAt; !got.Equal(first) {
		t.Fatalf("amending moved the reading time from %s to %s", first, got)
	}
	if err := h.s.Amend(ctx, costs, []spend.Statement{money(a, "7"), money(a, "8")}); err == nil {
		t.Fatal("the same day was amended twice at once")
	}
	h.reopen()
	h.wantDays(costs, money(a, "1.5"), money(a+1, "2"), empty(a+2))
	records, err := h.s.Sources(ctx)
	must(t, err)
	if !records[0].State.DataThrough.Equal(h.now) {
		t.Fatal("amending changed the state")
	}
}

func rename(t *testing.T, h *harness) {
	a := day("2026-11-20")
	w := spend.Window{From: a, To: a + 1}
	ctx := context.Background()
	pw := h.begin(costs, w)
	h.page(pw, 0, h.now, []byte("page"))
	must(t, pw.Apply(ctx, spend.OK, []spend.Statement{money(a, "1")}, store.State{}))
	h.apply(usage, w, money(a, "2"))
	h.apply(other, w, money(a, "3"))
	must(t, h.s.SetState(ctx, spend.SourceID{Provider: "openai", Account: "acme", Source: "openai/costs"}, store.State{}))
	for range 2 { // the second time there is nothing left to rename
		must(t, h.s.Rename(ctx, "openai", "default", "acme"))
	}
	must(t, h.s.Rename(ctx, "openai", "nobody", "acme"))
	renamed := spend.SourceID{Provider: "openai", Account: "acme", Source: "openai/costs"}
	for range 2 {
		h.wantDays(costs)
		h.wantDays(renamed, money(a, "1"))
		h.wantDays(other, money(a, "3"))
		records, err := h.s.Sources(ctx)
		must(t, err)
		if len(records) != 3 || records[1].ID != renamed || records[2].ID.Account != "acme" {
			t.Fatalf("sources are %+v", records)
		}
		pulls := h.pulls(renamed, time.Time{})
		if len(pulls) != 1 || pulls[0].Source != renamed || len(h.pulls(costs, time.Time{})) != 0 {
			t.Fatalf("pulls of the new name are %+v", pulls)
		}
		if items := h.list(store.RawQuery{Limit: 9}).Items; len(items) != 1 || items[0].Source != renamed {
			t.Fatalf("pages are %+v", items)
		}
		h.reopen()
	}
}

func renameWouldMerge(t *testing.T, h *harness) {
	a := day("2026-11-20")
	w := spend.Window{From: a, To: a + 1}
	acme := spend.SourceID{Provider: "openai", Account: "acme", Source: "openai/costs"}
	h.apply(costs, w, money(a, "1"))
	h.apply(acme, w, money(a, "2"))
	wantErr(t, h.s.Rename(context.Background(), "openai", "default", "acme"), store.ErrAccountExists)
	h.wantDays(costs, money(a, "1"))
	h.wantDays(acme, money(a, "2"))
}

func renameDuringPull(t *testing.T, h *harness) {
	a := day("2026-11-20")
	w := spend.Window{From: a, To: a + 1}
	ctx := context.Background()
	pw := h.begin(costs, w)
	must(t, h.s.Rename(ctx, "openai", "default", "acme"))
	must(t, pw.Apply(ctx, spend.OK, []spend.Statement{money(a, "1")}, store.State{}))
	h.wantDays(costs)
	h.wantDays(spend.SourceID{Provider: "openai", Account: "acme", Source: "openai/costs"}, money(a, "1"))
}

// readersSeeOldOrNew replaces a window too large for one transaction while others
// read it: every reading is of one generation.
func readersSeeOldOrNew(t *testing.T, h *harness) {
	w := spend.Window{From: day("2026-10-01"), To: day("2026-10-21")}
	generation := func(n uint64) []spend.Statement {
		var days []spend.Statement
		for d := w.From; d < w.To; d++ {
			st := bulky(d, 8<<10, n)
			st.Charges[0].Model = randomModel(n)
			days = append(days, st)
		}
		return days
	}
	h.apply(costs, w, generation(0)...)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				seen := make(map[string]int)
				report, err := h.s.Statements(context.Background(), costs, func(st spend.Statement) error {
					seen[st.Charges[0].Model]++
					return nil
				})
				if err != nil || len(report.Damaged) > 0 || len(seen) != 1 {
					t.Errorf("one reading saw %v, damaged %v, error %v", seen, report.Damaged, err)
					return
				}
			}
		})
	}
	for n := range uint64(12) {
		h.apply(costs, w, generation(n+1)...)
	}
	close(stop)
	wg.Wait()
}

func randomModel(n uint64) string { return "generation-" + string(rune('a'+n)) }

func callbackError(t *testing.T, h *harness) {
	a := day("2026-11-20")
	h.apply(costs, spend.Window{From: a, To: a + 3})
	stop := errors.New("enough")
	calls := 0
	_, err := h.s.Statements(context.Background(), costs, func(spend.Statement) error {
		calls++
		return stop
	})
	wantErr(t, err, stop)
	if calls != 1 {
		t.Fatalf("called %d times", calls)
	}
}

// randomHistories plays pulls, failures, amendments, renames and restarts against
// the store and against a map, and compares them after every step.
func randomHistories(t *testing.T, h *harness) {
	for seed := range uint64(20) {
		m := model{
			h: h, r: rand.New(rand.NewPCG(seed, 1)), days: make(map[spend.Day]spend.Statement),
			id: spend.SourceID{Provider: "openai", Account: "history" + itoa(int64(seed)), Source: "openai/costs"},
		}
		for n := range 8 {
			step := m.step(t)
			var want []spend.Statement
			for _, d := range slices.Sorted(maps.Keys(m.days)) {
				want = append(want, m.days[d])
			}
			t.Logf("seed %d, step %d: %s", seed, n, step)
			h.wantDays(m.id, want...)
		}
	}
}

// model is what the ledger of one source must hold.
type model struct {
	h    *harness
	r    *rand.Rand
	id   spend.SourceID
	days map[spend.Day]spend.Statement
}

func (m *model) step(t *testing.T) string {
	from := day("2026-11-01") + spend.Day(m.r.IntN(10))
	w := spend.Window{From: from, To: from + spend.Day(m.r.IntN(7))}
	var days []spend.Statement
	for d := w.From; d < w.To; d++ {
		if m.r.IntN(3) > 0 {
			days = append(days, money(d, spend.MustMoney(itoa(m.r.Int64N(2000)-1000)).Shift(-2).String()))
		}
	}
	ctx := context.Background()
	switch m.r.IntN(6) {
	default:
		m.h.apply(m.id, w, days...)
		for d := w.From; d < w.To; d++ {
			m.days[d] = empty(d)
		}
		for _, st := range days {
			m.days[st.Day] = st
		}
		return "apply " + w.String()
	case 0:
		pw := m.h.begin(m.id, w)
		m.h.page(pw, 0, m.h.now, noise(2000, uint64(from)))
		must(t, pw.Fail(ctx, spend.Decode, "cut short"))
		return "fail"
	case 1:
		must(t, m.h.s.Amend(ctx, m.id, days))
		for _, st := range days {
			m.days[st.Day] = st
		}
		return "amend"
	case 2:
		m.h.reopen()
		return "reopen"
	case 3:
		must(t, m.h.s.Rename(ctx, m.id.Provider, m.id.Account, m.id.Account+"x"))
		m.id.Account += "x"
		return "rename"
	}
}
