package storetest

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func archiveTests() map[string]func(*testing.T, *harness) {
	return map[string]func(*testing.T, *harness){
		"Archive/PagesAreByteExact":          pagesAreByteExact,
		"Archive/PullPagesInOrder":           pullPages,
		"Archive/PullOverMidnight":           pullOverMidnight,
		"Archive/PullsNewestFirst":           pullsNewestFirst,
		"Archive/CommitsOutliveTheClock":     commitsOutliveTheClock,
		"Archive/KilledPullCountsAsFailed":   killedPull,
		"Archive/SharedBodies":               sharedBodies,
		"Archive/ListingOrderAndFilters":     listing,
		"Archive/CursorIsStable":             cursorIsStable,
		"Archive/BadCursorsAndIDs":           badCursors,
		"Archive/PagesOfAFailedPullAreKept":  failedPages,
		"Archive/PagesLargerThanTransaction": largePages,
	}
}

// commitsOutliveTheClock: the order in which pulls were applied can be told although
// the clock was set back between them, also after a restart.
func commitsOutliveTheClock(t *testing.T, h *harness) {
	w := window("2026-11-20", "2026-11-23")
	var applied []string
	for range 4 {
		pw := h.begin(costs, w)
		must(t, pw.Apply(context.Background(), spend.OK, nil, store.State{}))
		applied = append(applied, pw.ID())
		h.now = h.now.Add(-20 * time.Hour)
		h.reopen()
	}
	commits := map[string]uint64{}
	must(t, h.s.Pulls(context.Background(), costs, time.Time{}, func(p store.Pull) bool {
		commits[p.ID] = p.Commit
		return true
	}))
	for i, id := range applied[1:] {
		if before := commits[applied[i]]; before == 0 || commits[id] <= before {
			t.Errorf("pull %d has commit %d, the one applied before it %d", i+1, commits[id], before)
		}
	}
}

func pagesAreByteExact(t *testing.T, h *harness) {
	bodies := [][]byte{
		[]byte(`{"object":"page","data":[]}`),
		{},
		{0, 1, 2, 0xff, 0xfe, '\n', 0},
		bytes.Repeat([]byte("0.1234567890123456 "), 3000),
		noise(10<<20, 1),
	}
	pw := h.begin(costs, window("2026-11-20", "2026-11-23"))
	for i, b := range bodies {
		h.page(pw, i, h.now.Add(time.Duration(i)*time.Millisecond), b)
	}
	must(t, pw.Apply(context.Background(), spend.OK, nil, store.State{}))
	for range 2 {
		items := h.list(store.RawQuery{Limit: 100}).Items
		if len(items) != len(bodies) {
			t.Fatalf("%d pages listed", len(items))
		}
		for i, item := range items {
			seq := len(bodies) - 1 - i
			got, err := h.s.RawPage(context.Background(), "openai", item.ID)
			must(t, err)
			if !bytes.Equal(got.Page.Body, bodies[seq]) || got.Page.Body == nil {
				t.Fatalf("body %d differs: %d bytes, want %d", seq, len(got.Page.Body), len(bodies[seq]))
			}
			if item.Page.Body != nil || item.Bytes != len(bodies[seq]) || item.Pull != pw.ID() {
				t.Fatalf("page %d is listed as %d bytes of pull %s", seq, item.Bytes, item.Pull)
			}
			got.Page.Body = nil
			same(t, got, item)
			same(t, got.Page, testPage(seq, h.now.Add(time.Duration(seq)*time.Millisecond), nil))
			if got.Window != window("2026-11-20", "2026-11-23") || got.Source != costs {
				t.Fatalf("page %d belongs to %s %s", seq, got.Source, got.Window)
			}
		}
		h.reopen()
	}
}

// wantPull compares the pages of a pull with the bodies handed in.
func (h *harness) wantPull(p store.Pull, bodies ...[]byte) {
	h.t.Helper()
	n := 0
	must(h.t, h.s.PullPages(context.Background(), p, func(pg spend.Page) error {
		if pg.Seq != n || n >= len(bodies) || !bytes.Equal(pg.Body, bodies[n]) {
			h.t.Fatalf("page %d of pull %s came as number %d", pg.Seq, p.ID, n)
		}
		n++
		return nil
	}))
	if n != len(bodies) || p.Pages != len(bodies) {
		h.t.Fatalf("%d pages came of %d, the record says %d", n, len(bodies), p.Pages)
	}
}

func pullPages(t *testing.T, h *harness) {
	a, b := h.begin(costs, spend.Window{}), h.begin(usage, spend.Window{})
	var bodies [][]byte
	for i := range 60 {
		bodies = append(bodies, noise(30<<10, uint64(i%50)))
		h.page(a, i, h.now, bodies[i])
		h.page(b, i, h.now, []byte(itoa(int64(i))))
	}
	must(t, a.Apply(context.Background(), spend.OK, nil, store.State{}))
	must(t, b.Apply(context.Background(), spend.OK, nil, store.State{}))
	h.reopen()
	h.wantPull(h.pulls(costs, time.Time{})[0], bodies...)
	err := h.s.PullPages(context.Background(), store.Pull{ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Started: h.now}, nil)
	wantErr(t, err, store.ErrPagesMissing)
}

func pullOverMidnight(t *testing.T, h *harness) {
	h.now = time.Date(2026, 11, 22, 23, 59, 50, 0, time.UTC)
	pw := h.begin(costs, spend.Window{})
	h.page(pw, 0, h.now, []byte("same"))
	h.page(pw, 1, h.now.Add(20*time.Second), []byte("same"))
	must(t, pw.Apply(context.Background(), spend.OK, nil, store.State{}))
	h.now = h.now.Add(time.Minute)
	h.wantPull(h.pulls(costs, time.Time{})[0], []byte("same"), []byte("same"))
	same(t, h.s.Stats().RawPages, map[string]int{"openai": 2})
}

func pullsNewestFirst(t *testing.T, h *harness) {
	ctx := context.Background()
	start := h.now
	var ids []string
	for i := range 5 { // over three days
		h.now = start.Add(time.Duration(i-5) * 12 * time.Hour)
		pw := h.begin(costs, window("2026-11-01", "2026-11-23"))
		ids = append([]string{pw.ID()}, ids...)
		must(t, pw.Apply(ctx, spend.Currency, nil, store.State{}))
	}
	h.now = start
	h.reopen()
	var got []string
	pulls := h.pulls(costs, time.Time{})
	for _, p := range pulls {
		got = append(got, p.ID)
		if p.Verdict != store.Applied || p.Outcome != spend.Currency || p.Kind != "current" ||
			p.Scope != "proj_a,proj_b" || p.Finished.IsZero() || p.Window != window("2026-11-01", "2026-11-23") {
			t.Fatalf("pull arrived as %+v", p)
		}
	}
	same(t, got, ids)
	if n := len(h.pulls(costs, pulls[2].Started)); n != 3 {
		t.Fatalf("%d pulls since the third, itself included", n)
	}
	calls := 0
	must(t, h.s.Pulls(ctx, costs, time.Time{}, func(store.Pull) bool { calls++; return calls < 2 }))
	if calls != 2 {
		t.Fatalf("called %d times after it had enough at 2", calls)
	}
	if n := len(h.pulls(other, time.Time{})); n != 0 {
		t.Fatalf("%d pulls of a source without any", n)
	}
}

// killedPull leaves a pull without an end: what was written of it stays for
// audit, and it is no applied pull.
func killedPull(t *testing.T, h *harness) {
	pw := h.begin(costs, spend.Window{})
	var bodies [][]byte
	for i := range 40 { // enough to fill a transaction
		bodies = append(bodies, noise(60<<10, uint64(i)))
		h.page(pw, i, h.now, bodies[i])
	}
	if p := h.pulls(costs, time.Time{})[0]; p.Verdict != store.Open {
		t.Fatalf("a running pull has the verdict %q", p.Verdict)
	}
	h.reopen()
	p := h.pulls(costs, time.Time{})[0]
	if p.Verdict != store.Failed || p.Outcome != spend.Incomplete || p.Pages == 0 {
		t.Fatalf("a pull that was cut off is %+v", p)
	}
	h.wantPull(p, bodies[:p.Pages]...)
	same(t, h.s.Stats().RawPages, map[string]int{"openai": p.Pages})
	if len(h.list(store.RawQuery{Limit: 100}).Items) != p.Pages {
		t.Fatal("pages and record disagree")
	}
}

// sharedBodies fetches the same body within a day and over days, and lets the
// first day expire.
func sharedBodies(t *testing.T, h *harness) {
	body := noise(100<<10, 9)
	ctx := context.Background()
	for range 3 {
		for seq := range 2 {
			pw := h.begin(costs, spend.Window{})
			h.page(pw, seq, h.now, body)
			h.page(pw, seq+1, h.now, body)
			must(t, pw.Apply(ctx, spend.OK, nil, store.State{}))
		}
		h.now = h.now.Add(24 * time.Hour)
	}
	h.now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC).AddDate(0, 0, h.cfg.RawRetentionDays)
	must(t, h.s.Expire(ctx, h.now))
	items := h.list(store.RawQuery{Limit: 100}).Items
	if len(items) != 8 {
		t.Fatalf("%d pages live, want 8", len(items))
	}
	for _, item := range items {
		p, err := h.s.RawPage(ctx, "openai", item.ID)
		must(t, err)
		if !bytes.Equal(p.Page.Body, body) {
			t.Fatalf("page %s lost its body with another day", item.ID)
		}
	}
}

func listing(t *testing.T, h *harness) {
	ctx := context.Background()
	start := h.now.AddDate(0, 0, -4)
	var want []string
	for d := range 4 {
		h.now = start.AddDate(0, 0, d)
		for _, id := range []spend.SourceID{costs, usage, other} {
			pw := h.begin(id, spend.Window{})
			for seq := range 2 {
				h.page(pw, seq, h.now, []byte(id.Source))
			}
			must(t, pw.Apply(ctx, spend.OK, nil, store.State{}))
			for seq := range 2 {
				want = append([]string{h.now.Format("2006-01-02") + id.Source + itoa(int64(seq))}, want...)
			}
		}
	}
	names := func(q store.RawQuery) (got []string) {
		for {
			l := h.list(q)
			for _, item := range l.Items {
				got = append(got, item.Page.FetchedAt.Format("2006-01-02")+item.Source.Source+itoa(int64(item.Page.Seq)))
			}
			if q.Cursor = l.Cursor; q.Cursor == "" {
				return got
			}
			if len(l.Items) != q.Limit {
				t.Fatalf("%d items before the end, limit %d", len(l.Items), q.Limit)
			}
		}
	}
	filtered := func(keep func(string) bool) (kept []string) {
		for _, n := range want {
			if keep(n) {
				kept = append(kept, n)
			}
		}
		return kept
	}
	second := spend.DayOf(start) + 1
	for _, limit := range []int{1, 2, 5, 24, 100} {
		same(t, names(store.RawQuery{Limit: limit}), want)
		same(t, names(store.RawQuery{Limit: limit, Provider: "openai"}),
			filtered(func(n string) bool { return strings.Contains(n, "openai") }))
		same(t, names(store.RawQuery{Limit: limit, Provider: "openai", Source: "openai/usage"}),
			filtered(func(n string) bool { return strings.Contains(n, "usage") }))
		same(t, names(store.RawQuery{Limit: limit, From: second, To: second}),
			filtered(func(n string) bool { return strings.HasPrefix(n, second.String()) }))
		same(t, names(store.RawQuery{Limit: limit, Source: "anthropic/cost_report", From: second}),
			filtered(func(n string) bool { return strings.Contains(n, "anthropic") && n >= second.String() }))
	}
	if _, err := h.s.RawPages(ctx, store.RawQuery{}); err == nil {
		t.Fatal("a listing without a limit was accepted")
	}
}

// cursorIsStable walks a listing while new pages arrive and after a restart.
func cursorIsStable(t *testing.T, h *harness) {
	ctx := context.Background()
	add := func() {
		pw := h.begin(costs, spend.Window{})
		for seq := range 4 {
			h.page(pw, seq, h.now, []byte("x"))
		}
		must(t, pw.Apply(ctx, spend.OK, nil, store.State{}))
	}
	for range 3 {
		add()
		h.now = h.now.Add(13 * time.Hour)
	}
	var want []string
	for _, item := range h.list(store.RawQuery{Limit: 100}).Items {
		want = append(want, item.ID)
	}
	var got []string
	q := store.RawQuery{Limit: 3}
	for {
		l := h.list(q)
		for _, item := range l.Items {
			got = append(got, item.ID)
		}
		if q.Cursor = l.Cursor; q.Cursor == "" {
			break
		}
		add()
		h.reopen()
	}
	same(t, got, want)
}

func badCursors(t *testing.T, h *harness) {
	ctx := context.Background()
	pw := h.begin(costs, spend.Window{})
	for seq := range 3 {
		h.page(pw, seq, h.now, []byte("x"))
	}
	must(t, pw.Apply(ctx, spend.OK, nil, store.State{}))
	good := h.list(store.RawQuery{Limit: 1}).Cursor
	flipped := []byte(good)
	flipped[len(flipped)/2] ^= 1
	for _, c := range []string{
		"x", good + "A", good[1:], string(flipped), good + "=", good[:36] + "\n\r\n", strings.Repeat("\n", len(good)),
		strings.Repeat("é", 20), strings.Repeat("A", 1<<20),
	} {
		_, err := h.s.RawPages(ctx, store.RawQuery{Limit: 1, Cursor: c})
		wantErr(t, err, store.ErrBadCursor)
	}
	id := h.list(store.RawQuery{Limit: 1}).Items[0].ID
	for _, bad := range []string{
		"", "x", id + "0", id[:len(id)-1], strings.ToLower(id), id + "-1", strings.Replace(id, "-", "_", 1),
		strings.Replace(id, "20261123", "20261122", 1), strings.Replace(id, "20261123", "20261323", 1),
		id[:len(id)-4] + "0099",
		strings.Repeat("9", 1<<20),
	} {
		_, err := h.s.RawPage(ctx, "openai", bad)
		wantErr(t, err, store.ErrNotFound)
	}
	_, err := h.s.RawPage(ctx, "anthropic", id)
	wantErr(t, err, store.ErrNotFound)
}

func failedPages(t *testing.T, h *harness) {
	pw := h.begin(costs, spend.Window{})
	p := testPage(0, h.now, []byte("key *** is not valid"))
	p.Status, p.Redacted = 401, true
	must(t, pw.Page(context.Background(), p))
	if err := pw.Page(context.Background(), p); err == nil {
		t.Fatal("the same page number was taken twice")
	}
	must(t, pw.Fail(context.Background(), spend.Auth, "the key was refused"))
	h.reopen()
	got := h.pulls(costs, time.Time{})[0]
	if got.Verdict != store.Failed || got.Outcome != spend.Auth || got.Detail != "the key was refused" {
		t.Fatalf("pull arrived as %+v", got)
	}
	item := h.list(store.RawQuery{Limit: 1}).Items[0]
	full, err := h.s.RawPage(context.Background(), "openai", item.ID)
	must(t, err)
	same(t, full.Page, p)
}

func largePages(t *testing.T, h *harness) {
	pw := h.begin(costs, spend.Window{})
	bodies := [][]byte{noise(3<<20, 1), []byte("small"), noise(5<<20+1, 2), noise(3<<20, 1)}
	for i, b := range bodies {
		h.page(pw, i, h.now, b)
	}
	must(t, pw.Apply(context.Background(), spend.OK, nil, store.State{}))
	h.reopen()
	h.wantPull(h.pulls(costs, time.Time{})[0], bodies...)
}
