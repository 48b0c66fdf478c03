package ingest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

var today = spend.DayOf(noon)

func usdOn(d spend.Day, readAt time.Time, amounts ...string) spend.Statement {
	st := spend.Statement{Day: d, ReadAt: readAt}
	for i, a := range amounts {
		st.Charges = append(st.Charges, spend.Charge{
			Model: string(rune('a' + i)), Currency: spend.USD, Gross: spend.MustMoney(a),
		})
	}
	return st
}

func TestDataThrough(t *testing.T) {
	was := noon.Add(-time.Hour)
	month := spend.Window{From: today - 22, To: today + 1}
	tests := []struct {
		name string
		w    spend.Window
		got  []spend.Statement
		want time.Time
	}{
		{"a bucket for today", month, []spend.Statement{usdOn(today-1, noon, "1"), usdOn(today, noon, "1")}, noon},
		{"an empty bucket for today counts", month, []spend.Statement{usdOn(today, noon)}, noon},
		{"no bucket for today: the end of the newest", month, []spend.Statement{usdOn(today-2, noon, "1")}, (today - 1).Time()},
		{"the newest may be empty too", month, []spend.Statement{usdOn(today-3, noon, "1"), usdOn(today-1, noon)}, today.Time()},
		{"no bucket at all", month, nil, was},
		{"an older window", spend.Window{From: today - 50, To: today - 22}, []spend.Statement{usdOn(today-23, noon, "1")}, was},
		{"a window up to yesterday", spend.Window{From: today - 5, To: today}, []spend.Statement{usdOn(today-1, noon, "1")}, was},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := dataThrough(was, tt.w, noon, tt.got); !got.Equal(tt.want) {
				t.Errorf("data through %s, want %s", got, tt.want)
			}
		})
	}
}

func TestRevisions(t *testing.T) {
	closed := today - 1
	afterwards, meanwhile := closed.Time().Add(26*time.Hour), closed.Time().Add(20*time.Hour)
	known := func(st ...spend.Statement) map[spend.Day]spend.Statement {
		m := map[spend.Day]spend.Statement{}
		for _, s := range st {
			m[s.Day] = s
		}
		return m
	}
	euro := usdOn(closed, afterwards, "7")
	euro.Charges[0].Currency = "EUR"
	tests := []struct {
		name     string
		prev     map[spend.Day]spend.Statement
		now      []spend.Statement
		up, down string
	}{
		{"raised", known(usdOn(closed, afterwards, "1.5")), []spend.Statement{usdOn(closed, noon, "1.5", "0.001")}, "0.001", "0"},
		{"lowered", known(usdOn(closed, afterwards, "1.5")), []spend.Statement{usdOn(closed, noon, "1.4")}, "0", "0.1"},
		{"vanished", known(usdOn(closed, afterwards, "1.5")), []spend.Statement{usdOn(closed, noon)}, "0", "1.5"},
		{"below zero", known(usdOn(closed, afterwards, "1")), []spend.Statement{usdOn(closed, noon, "-2")}, "0", "3"},
		{"appeared on a day known to be empty", known(usdOn(closed, afterwards)), []spend.Statement{usdOn(closed, noon, "2")}, "2", "0"},
		{
			"directions do not cancel out",
			known(usdOn(closed, afterwards, "1"), usdOn(closed-1, afterwards, "5")),
			[]spend.Statement{usdOn(closed-1, noon, "4"), usdOn(closed, noon, "2")},
			"1", "1",
		},
		{"moved between models", known(usdOn(closed, afterwards, "1", "2")), []spend.Statement{usdOn(closed, noon, "2", "1")}, "0", "0"},
		{"the day was still running when it was read", known(usdOn(closed, meanwhile, "1")), []spend.Statement{usdOn(closed, noon, "9")}, "0", "0"},
		{"read at the very end of the day", known(usdOn(closed, today.Time(), "1")), []spend.Statement{usdOn(closed, noon, "9")}, "8", "0"},
		{"today is not closed", known(usdOn(today, noon, "1")), []spend.Statement{usdOn(today, noon, "2")}, "0", "0"},
		{"never read before", known(), []spend.Statement{usdOn(closed, noon, "9")}, "0", "0"},
		{"another currency is no USD", known(euro), []spend.Statement{usdOn(closed, noon)}, "0", "0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			up, down := revisions(tt.prev, tt.now, noon)
			if !up.Equal(spend.MustMoney(tt.up)) || !down.Equal(spend.MustMoney(tt.down)) {
				t.Errorf("up %s, down %s, want %s and %s", up, down, tt.up, tt.down)
			}
		})
	}
}

func TestHoldIsReleasedByCountAndTime(t *testing.T) {
	w := spend.Window{From: today - 22, To: today + 1}
	tests := []struct {
		name     string
		every    time.Duration
		released int // number of the walk that is believed
	}{
		{"every minute: an hour must pass", time.Minute, 61},
		{"every quarter", quarter, 5},
		{"every 30 minutes", 30 * time.Minute, 3},
		{"every 6 hours: three walks are needed", 6 * time.Hour, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var h store.Hold
			for n := 1; ; n++ {
				var release bool
				h, release = hold(h, w, noon.Add(time.Duration(n-1)*tt.every))
				if release != (n >= tt.released) {
					t.Fatalf("walk %d: released %t", n, release)
				}
				if release {
					return
				}
			}
		})
	}
}

// TestHoldUnderAClockThatIsSetBack takes an hour of the clock as it is now.
func TestHoldUnderAClockThatIsSetBack(t *testing.T) {
	w := spend.Window{From: today - 22, To: today + 1}
	h, _ := hold(store.Hold{}, w, noon)
	back := noon.Add(-15 * time.Hour)
	for n := 2; n <= 6; n++ {
		var release bool
		h, release = hold(h, w, back.Add(time.Duration(n-2)*quarter))
		if release != (n == 6) {
			t.Errorf("walk %d: released %t", n, release)
		}
	}
}

func TestHoldOfAnotherMonthStartsAnew(t *testing.T) {
	october := spend.Window{From: spend.Date(2026, 10, 1), To: spend.Date(2026, 11, 1)}
	november := spend.Window{From: spend.Date(2026, 11, 1), To: spend.Date(2026, 12, 1)}
	h, _ := hold(store.Hold{Window: october, Count: 2, First: noon.Add(-48 * time.Hour)}, november, noon)
	want := store.Hold{Window: november, Count: 1, First: noon, Last: noon}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("hold (-want +got):\n%s", diff)
	}
}

func TestSuspicious(t *testing.T) {
	money := map[spend.Day]spend.Statement{today: usdOn(today, noon, "1")}
	quiet := map[spend.Day]spend.Statement{today: usdOn(today, noon), today - 1: usdOn(today-1, noon, "0")}
	tokens := map[spend.Day]spend.Statement{today: {Day: today, Usage: []spend.Usage{{Input: 1}}}}
	tests := []struct {
		name string
		prev map[spend.Day]spend.Statement
		got  []spend.Statement
		want bool
	}{
		{"everything vanished", money, []spend.Statement{usdOn(today, noon)}, true},
		{"rows of nothing but zeros are empty", money, []spend.Statement{usdOn(today, noon, "0", "0.00")}, true},
		{"usage vanished", tokens, []spend.Statement{usdOn(today, noon)}, true},
		{"one day is left", money, []spend.Statement{usdOn(today-1, noon, "0.01"), usdOn(today, noon)}, false},
		{"nothing was there before", quiet, []spend.Statement{usdOn(today, noon)}, false},
		{"first load", nil, []spend.Statement{usdOn(today, noon)}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := suspicious(tt.prev, tt.got); got != tt.want {
				t.Errorf("suspicious %t, want %t", got, tt.want)
			}
		})
	}
}

func TestMissingTail(t *testing.T) {
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	d := func(day int) spend.Day { return spend.Date(2026, 11, day) }
	upTo := func(day int) []spend.Statement { return []spend.Statement{{Day: d(1)}, {Day: d(day)}} }
	for _, tt := range []struct {
		name string
		w    spend.Window
		got  []spend.Statement
		want int
	}{
		{"today is there", spend.Window{From: d(1), To: d(24)}, upTo(23), 0},
		{"today may be missing", spend.Window{From: d(1), To: d(24)}, upTo(22), 0},
		{"yesterday may not", spend.Window{From: d(1), To: d(24)}, upTo(21), 1},
		{"a month of history", spend.Window{From: d(1), To: d(11)}, upTo(10), 0},
		{"a month cut short", spend.Window{From: d(1), To: d(11)}, upTo(7), 3},
		{"nothing at all", spend.Window{From: d(1), To: d(11)}, nil, 10},
		{"nothing but today was asked for", spend.Window{From: d(23), To: d(24)}, nil, 0},
	} {
		if got := missingTail(tt.w, noon, tt.got); got != tt.want {
			t.Errorf("%s: %d days, want %d", tt.name, got, tt.want)
		}
	}
}

func TestHoldsAreCopied(t *testing.T) {
	before := store.State{Holds: map[string]store.Hold{KindCurrent: {Count: 1}}}
	after := withHold(before, KindPreviousMonth, store.Hold{Count: 2})
	if len(before.Holds) != 1 {
		t.Error("setting a hold changed the state it came from")
	}
	november := spend.Window{From: spend.Date(2026, 11, 1), To: spend.Date(2026, 12, 1)}
	after.Holds[KindPreviousMonth] = store.Hold{Window: november, Count: 2}
	current := Step{KindCurrent, spend.Window{From: spend.Date(2026, 11, 20), To: spend.Date(2026, 12, 21)}}
	december, january := spend.Date(2026, 12, 20), spend.Date(2027, 1, 2)
	if got := withoutHold(after, current, december); len(got.Holds) != 1 || len(after.Holds) != 2 {
		t.Errorf("holds after clearing one: %v, and in the state before: %v", got.Holds, after.Holds)
	}
	if got := withoutHold(after, current, january); len(got.Holds) != 0 {
		t.Errorf("in January the hold of November is still there: %v", got.Holds)
	}
	// Lost days are in one window at a time; a month is not read by a lookback into it.
	late := Step{KindBackfill, spend.Window{From: spend.Date(2026, 11, 25), To: spend.Date(2026, 12, 1)}}
	split := spend.Window{From: spend.Date(2026, 11, 20), To: spend.Date(2026, 11, 28)}
	after = withHold(after, Step{KindBackfill, split}.topic(), store.Hold{Window: split, Count: 1})
	got := withoutHold(after, late, december)
	if _, kept := got.Holds[KindPreviousMonth]; !kept || len(got.Holds) != 2 {
		t.Errorf("holds after some of the lost days were read: %v", got.Holds)
	}
}

func TestAdvance(t *testing.T) {
	start := time.Date(2026, 12, 2, 9, 0, 0, 0, time.UTC)
	d := func(m time.Month, day int) spend.Day { return spend.Date(2026, m, day) }
	november := spend.Window{From: d(11, 1), To: d(12, 1)}
	tests := []struct {
		name string
		st   store.State
		w    spend.Window
		want store.State
	}{
		{
			"the first pull",
			store.State{},
			spend.Window{From: d(12, 1), To: d(12, 3)},
			store.State{CoveredFrom: d(12, 1), LastApplied: start},
		},
		{
			"a month of history",
			store.State{CoveredFrom: d(12, 1)},
			november,
			store.State{CoveredFrom: d(11, 1), PreviousMonthRead: d(12, 2)},
		},
		{
			"history that leaves a gap covers nothing",
			store.State{CoveredFrom: d(12, 1)},
			spend.Window{From: d(10, 1), To: d(11, 1)},
			store.State{CoveredFrom: d(12, 1)},
		},
		{
			"history before a present that nobody can read",
			store.State{},
			spend.Window{From: d(10, 1), To: d(11, 1)},
			store.State{CoveredFrom: d(10, 1)},
		},
		{
			"a window that ends with yesterday is not the present",
			store.State{CoveredFrom: d(1, 1)},
			spend.Window{From: d(11, 20), To: d(12, 2)},
			store.State{CoveredFrom: d(1, 1)},
		},
		{
			"all that another filter had read is read again",
			store.State{CoveredFrom: d(11, 1), RereadFrom: d(10, 1)},
			spend.Window{From: d(10, 1), To: d(11, 1)},
			store.State{CoveredFrom: d(10, 1)},
		},
		{
			"some of what another filter had read is not",
			store.State{CoveredFrom: d(12, 1), RereadFrom: d(10, 1)},
			spend.Window{From: d(11, 2), To: d(12, 1)},
			store.State{CoveredFrom: d(11, 2), RereadFrom: d(10, 1)},
		},
		{
			"a wide tail reads the previous month too",
			store.State{CoveredFrom: d(1, 1)},
			spend.Window{From: d(10, 27), To: d(12, 3)},
			store.State{CoveredFrom: d(1, 1), LastApplied: start, PreviousMonthRead: d(12, 2)},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, advance(tt.st, tt.w, tt.w.From, start)); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
		})
	}
}
