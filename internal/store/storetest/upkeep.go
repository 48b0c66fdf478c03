package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

func upkeepTests() map[string]func(*testing.T, *harness) {
	return map[string]func(*testing.T, *harness){
		"Upkeep/ExpireRaw":         expireRaw,
		"Upkeep/ExpireHistory":     expireHistory,
		"Upkeep/RetentionByItself": retentionByItself,
		"Upkeep/StatsAndVerify":    statsAndVerify,
		"Upkeep/Closed":            closed,
		"Upkeep/Cancelled":         cancelled,
	}
}

// pullOn makes a pull with n pages on the day of h.now.
func (h *harness) pullOn(id spend.SourceID, n int, days ...spend.Statement) {
	h.t.Helper()
	today := spend.DayOf(h.now)
	pw := h.begin(id, spend.Window{From: today, To: today + 1})
	for seq := range n {
		h.page(pw, seq, h.now, noise(5000, uint64(today)*100+uint64(seq)))
	}
	must(h.t, pw.Apply(context.Background(), spend.OK, days, store.State{}))
}

func expireRaw(t *testing.T, h *harness) {
	h.cfg.RawRetentionDays = 10
	h.reopen()
	start := h.now
	for d := range 25 {
		h.now = start.AddDate(0, 0, d)
		h.pullOn(costs, 2)
	}
	for range 2 {
		must(t, h.s.Expire(context.Background(), h.now))
		same(t, h.s.Stats().RawPages, map[string]int{"openai": 22})
		if n := len(h.pulls(costs, time.Time{})); n != 11 {
			t.Fatalf("%d pulls are kept of 11 days", n)
		}
		h.reopen()
	}
	h.now = h.now.AddDate(5, 0, 0) // switched off for years
	must(t, h.s.Expire(context.Background(), h.now))
	same(t, h.s.Stats().RawPages, map[string]int{"openai": 0})
	if n := len(h.statements(costs)); n != 0 {
		t.Fatalf("%d days of history are kept", n)
	}
	h.pullOn(costs, 1)
	must(t, h.s.Verify(context.Background()))
}

func expireHistory(t *testing.T, h *harness) {
	h.cfg.HistoryDays = 62
	h.reopen()
	today := spend.DayOf(h.now)
	w := spend.Window{From: today - 100, To: today + 1}
	var days []spend.Statement
	for d := w.From; d < w.To; d++ {
		days = append(days, money(d, "1.5"))
	}
	must(t, h.begin(costs, w).Apply(context.Background(), spend.OK, days, store.State{CoveredFrom: w.From}))
	must(t, h.s.Expire(context.Background(), h.now))
	for range 2 {
		h.wantDays(costs, days[len(days)-63:]...)
		records, err := h.s.Sources(context.Background())
		must(t, err)
		if records[0].Days != 63 || records[0].State.CoveredFrom != today-62 {
			t.Fatalf("source is %+v", records[0])
		}
		h.reopen()
	}
	// An expired day may come back, and old slots must not shine through.
	h.apply(costs, spend.Window{From: today - 64, To: today - 62}, money(today-64, "9"))
	h.wantDays(costs, append([]spend.Statement{money(today-64, "9"), empty(today - 63)}, days[len(days)-63:]...)...)
}

// retentionByItself reads what is past its retention before Expire has run.
func retentionByItself(t *testing.T, h *harness) {
	h.pullOn(costs, 2)
	item := h.list(store.RawQuery{Limit: 1}).Items[0]
	pull := h.pulls(costs, time.Time{})[0]
	h.now = h.now.AddDate(0, 0, 90)
	if n := len(h.list(store.RawQuery{Limit: 9}).Items); n != 2 {
		t.Fatalf("%d pages on the last day of their retention", n)
	}
	h.now = h.now.AddDate(0, 0, 1)
	if n := len(h.list(store.RawQuery{Limit: 9}).Items); n != 0 {
		t.Fatalf("%d pages past their retention are listed", n)
	}
	_, err := h.s.RawPage(context.Background(), "openai", item.ID)
	wantErr(t, err, store.ErrNotFound)
	wantErr(t, h.s.PullPages(context.Background(), pull, nil), store.ErrPagesMissing)
	if n := len(h.pulls(costs, time.Time{})); n != 0 {
		t.Fatalf("%d pulls past their retention are listed", n)
	}
	same(t, h.s.Stats().RawPages, map[string]int{"openai": 0})
}

func statsAndVerify(t *testing.T, h *harness) {
	h.pullOn(costs, 3, money(spend.DayOf(h.now), "1"))
	h.pullOn(usage, 2)
	h.pullOn(other, 1)
	for range 2 {
		st := h.s.Stats()
		same(t, st.RawPages, map[string]int{"openai": 5, "anthropic": 1})
		if st.Corrupt || st.FreeBytes == 0 || st.ReserveBytes == 0 {
			t.Fatalf("stats are %+v", st)
		}
		must(t, h.s.CheckSpace())
		must(t, h.s.Verify(context.Background()))
		h.reopen()
	}
	if h.s.Stats().LSMBytes == 0 {
		t.Fatal("a store with pages takes no space")
	}
}

// each calls every method of the store.
func each(s store.Store, ctx context.Context, pw store.PullWriter) map[string]error { //nolint:revive // a list of calls
	errs := make(map[string]error)
	_, errs["Sources"] = s.Sources(ctx)
	_, errs["Statements"] = s.Statements(ctx, costs, func(spend.Statement) error { return nil })
	_, errs["Begin"] = s.Begin(ctx, store.Pull{Source: costs})
	errs["Amend"] = s.Amend(ctx, costs, []spend.Statement{money(1, "1")})
	errs["SetState"] = s.SetState(ctx, costs, store.State{})
	errs["Rename"] = s.Rename(ctx, "openai", "default", "x")
	errs["Pulls"] = s.Pulls(ctx, costs, time.Time{}, func(store.Pull) bool { return true })
	errs["PullPages"] = s.PullPages(ctx, store.Pull{ID: pw.ID(), Started: noon}, func(spend.Page) error { return nil })
	_, errs["RawPages"] = s.RawPages(ctx, store.RawQuery{Limit: 1000})
	_, errs["RawPage"] = s.RawPage(ctx, "openai", "x")
	errs["PutEvents"] = s.PutEvents(ctx, []store.OutboxEvent{event("hc_1", 1, "x")})
	errs["Events"] = s.Events(ctx, func(store.OutboxEvent) error { return nil })
	errs["Expire"] = s.Expire(ctx, noon)
	errs["Verify"] = s.Verify(ctx)
	errs["Page"] = pw.Page(ctx, testPage(7, noon, nil))
	errs["Apply"] = pw.Apply(ctx, spend.OK, nil, store.State{})
	errs["Hold"] = pw.Hold(ctx, store.State{})
	errs["Fail"] = pw.Fail(ctx, spend.OK, "")
	return errs
}

func closed(t *testing.T, h *harness) {
	h.pullOn(costs, 1, money(spend.DayOf(h.now), "1"))
	pw := h.begin(costs, spend.Window{})
	must(t, h.s.Close())
	for name, err := range each(h.s, context.Background(), pw) {
		if err == nil {
			t.Errorf("%s of a closed store returns nil", name)
			continue
		}
		wantErr(t, err, store.ErrClosed)
	}
	h.s.Stats() // has no error to return, and must not panic
	must(t, h.s.Close())
	h.s = nil
}

func cancelled(t *testing.T, h *harness) {
	h.pullOn(costs, 1, money(spend.DayOf(h.now), "1"))
	pw := h.begin(costs, spend.Window{From: 1, To: 2})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for name, err := range each(h.s, ctx, pw) {
		// Listings may answer from what they have at hand.
		if err == nil && name != "RawPages" && name != "PullPages" && name != "RawPage" {
			t.Errorf("%s with a cancelled context returns nil", name)
		}
	}
	h.wantDays(costs, money(spend.DayOf(h.now), "1"))
}
