package ingest_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/internal/ingest"
	"github.com/aispend/aispend/internal/store"
	"github.com/aispend/aispend/spend"
)

func day(s string) spend.Day {
	d, err := spend.ParseDay(s)
	if err != nil {
		panic(err)
	}
	return d
}

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

func win(from, to string) spend.Window { return spend.Window{From: day(from), To: day(to)} }

var weekAndQuarter = ingest.Settings{Lookback: 7 * 24 * time.Hour, InitialHistory: 90 * 24 * time.Hour}

func TestPlan(t *testing.T) {
	loaded := func(lastApplied string) store.State {
		return store.State{CoveredFrom: day("2020-01-01"), LastApplied: at(lastApplied)}
	}
	closed := func(st store.State, read string) store.State {
		st.PreviousMonthRead = day(read)
		return st
	}
	current := func(from, to string) ingest.Step { return ingest.Step{Kind: ingest.KindCurrent, Window: win(from, to)} }
	previous := func(from, to string) ingest.Step {
		return ingest.Step{Kind: ingest.KindPreviousMonth, Window: win(from, to)}
	}
	history := func(from, to string) ingest.Step { return ingest.Step{Kind: ingest.KindHistory, Window: win(from, to)} }
	backfill := func(from, to string) ingest.Step {
		return ingest.Step{Kind: ingest.KindBackfill, Window: win(from, to)}
	}
	held := func(st store.State, from, to string) store.State {
		st.Holds = map[string]store.Hold{ingest.KindPreviousMonth: {Window: win(from, to), Count: 1}}
		return st
	}
	tests := []struct {
		name    string
		now     string
		st      store.State
		missing []spend.Day
		want    []ingest.Step
	}{
		{
			name: "a held previous month is read until the hold ends",
			now:  "2026-12-06T00:05:00Z",
			st:   held(closed(loaded("2026-12-05T23:50:00Z"), "2026-12-04"), "2026-11-01", "2026-12-01"),
			want: []ingest.Step{current("2026-11-28", "2026-12-07"), previous("2026-11-01", "2026-12-01")},
		},
		{
			name: "the hold of an older month is nobody's any more",
			now:  "2026-12-06T00:05:00Z",
			st:   held(closed(loaded("2026-12-05T23:50:00Z"), "2026-12-05"), "2026-10-01", "2026-11-01"),
			want: []ingest.Step{current("2026-11-28", "2026-12-07")},
		},
		{
			name: "never read: the month so far and nothing else",
			now:  "2026-11-23T10:00:00Z",
			want: []ingest.Step{current("2026-11-01", "2026-11-24")},
		},
		{
			name: "never read on the first of a month",
			now:  "2026-11-01T00:00:00Z",
			want: []ingest.Step{current("2026-11-01", "2026-11-02")},
		},
		{
			name: "history follows in months, newest first, down to the goal",
			now:  "2026-11-23T10:00:00Z",
			st:   store.State{CoveredFrom: day("2026-11-01"), LastApplied: at("2026-11-23T09:45:00Z")},
			want: []ingest.Step{
				current("2026-11-01", "2026-11-24"),
				history("2026-10-01", "2026-11-01"),
				history("2026-09-01", "2026-10-01"),
				history("2026-08-25", "2026-09-01"),
			},
		},
		{
			name: "a restart goes on in the middle of a month",
			now:  "2026-11-23T10:00:00Z",
			st:   store.State{CoveredFrom: day("2026-09-17"), LastApplied: at("2026-11-23T09:45:00Z")},
			want: []ingest.Step{
				current("2026-11-01", "2026-11-24"),
				history("2026-09-01", "2026-09-17"),
				history("2026-08-25", "2026-09-01"),
			},
		},
		{
			name: "lookback reaches into the previous month",
			now:  "2026-11-07T10:00:00Z",
			st:   loaded("2026-11-07T09:45:00Z"),
			want: []ingest.Step{current("2026-10-31", "2026-11-08")},
		},
		{
			name: "the month so far is wider than lookback",
			now:  "2026-11-30T23:59:59Z",
			st:   loaded("2026-11-30T23:45:00Z"),
			want: []ingest.Step{current("2026-11-01", "2026-12-01")},
		},
		{
			name: "just after midnight the last applied pull was yesterday's",
			now:  "2026-11-08T00:00:00Z",
			st:   loaded("2026-11-07T23:45:00Z"),
			want: []ingest.Step{current("2026-10-31", "2026-11-09")},
		},
		{
			name: "a downtime of 40 days widens the window to the last applied pull and lookback",
			now:  "2026-11-23T10:00:00Z",
			st:   loaded("2026-10-14T10:00:00Z"),
			want: []ingest.Step{current("2026-10-07", "2026-11-24")},
		},
		{
			name: "previous month on the first",
			now:  "2026-12-01T00:00:00Z",
			st:   closed(loaded("2026-11-30T23:45:00Z"), "2026-11-05"),
			want: []ingest.Step{current("2026-11-23", "2026-12-02"), previous("2026-11-01", "2026-12-01")},
		},
		{
			name: "previous month on the fifth, read yesterday",
			now:  "2026-12-05T23:59:59Z",
			st:   closed(loaded("2026-12-05T23:45:00Z"), "2026-12-04"),
			want: []ingest.Step{current("2026-11-28", "2026-12-06"), previous("2026-11-01", "2026-12-01")},
		},
		{
			name: "previous month was read today",
			now:  "2026-12-05T23:59:59Z",
			st:   closed(loaded("2026-12-05T23:45:00Z"), "2026-12-05"),
			want: []ingest.Step{current("2026-11-28", "2026-12-06")},
		},
		{
			name: "previous month is closed on the sixth",
			now:  "2026-12-06T00:00:00Z",
			st:   closed(loaded("2026-12-05T23:45:00Z"), "2026-12-04"),
			want: []ingest.Step{current("2026-11-28", "2026-12-07")},
		},
		{
			name: "no second walk of the previous month when the present one covers it",
			now:  "2026-12-02T10:00:00Z",
			st:   loaded("2026-11-03T10:00:00Z"),
			want: []ingest.Step{current("2026-10-27", "2026-12-03")},
		},
		{
			name: "the previous month is history while it was never read",
			now:  "2026-12-02T10:00:00Z",
			st:   store.State{CoveredFrom: day("2026-11-25"), LastApplied: at("2026-12-02T09:45:00Z")},
			want: []ingest.Step{
				current("2026-11-25", "2026-12-03"),
				history("2026-11-01", "2026-11-25"),
				history("2026-10-01", "2026-11-01"),
				history("2026-09-03", "2026-10-01"),
			},
		},
		{
			name: "leap day: March looks back at 29 February",
			now:  "2028-03-03T12:00:00Z",
			st:   closed(loaded("2028-03-03T11:45:00Z"), "2028-03-02"),
			want: []ingest.Step{current("2028-02-25", "2028-03-04"), previous("2028-02-01", "2028-03-01")},
		},
		{
			name: "year end",
			now:  "2027-01-01T00:00:10Z",
			st:   loaded("2026-12-31T23:55:00Z"),
			want: []ingest.Step{current("2026-12-24", "2027-01-02"), previous("2026-12-01", "2027-01-01")},
		},
		{
			name: "daylight saving changes nothing: 26 October 23:30 in New York is the 27th",
			now:  "2026-10-26T23:30:00-04:00",
			st:   loaded("2026-10-27T03:15:00Z"),
			want: []ingest.Step{current("2026-10-01", "2026-10-28")},
		},
		{
			name:    "missing days are read again, by month, newest first; the present covers its own",
			now:     "2026-11-23T10:00:00Z",
			st:      loaded("2026-11-23T09:45:00Z"),
			missing: []spend.Day{day("2026-11-04"), day("2026-08-31"), day("2026-09-01"), day("2026-09-02"), day("2026-08-31")},
			want: []ingest.Step{
				current("2026-11-01", "2026-11-24"),
				backfill("2026-09-01", "2026-09-03"),
				backfill("2026-08-31", "2026-09-01"),
			},
		},
		{
			name: "a clock that went back does not invert the window",
			now:  "2026-11-10T10:00:00Z",
			st:   loaded("2026-11-20T10:00:00Z"),
			want: []ingest.Step{current("2026-11-01", "2026-11-11")},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ingest.Plan(at(tt.now), tt.st, weekAndQuarter, tt.missing)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPlanHistoryReachesThePreviousMonth: a short initial_history still loads the
// previous month whole.
func TestPlanHistoryReachesThePreviousMonth(t *testing.T) {
	st := store.State{CoveredFrom: day("2026-11-01"), LastApplied: at("2026-11-23T09:45:00Z")}
	got := ingest.Plan(at("2026-11-23T10:00:00Z"), st, ingest.Settings{InitialHistory: 24 * time.Hour}, nil)
	want := []ingest.Step{
		{Kind: ingest.KindCurrent, Window: win("2026-11-01", "2026-11-24")},
		{Kind: ingest.KindHistory, Window: win("2026-10-01", "2026-11-01")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

// TestPlanWhileThePresentFails: older windows do not count on the present.
func TestPlanWhileThePresentFails(t *testing.T) {
	failing := weekAndQuarter
	failing.PresentFails = true
	failing.InitialHistory = 40 * oneDay
	tests := []struct {
		name    string
		now     string
		st      store.State
		missing []spend.Day
		want    []ingest.Step
	}{
		{
			name: "never read: history goes before the present",
			now:  "2026-11-23T10:00:00Z",
			want: []ingest.Step{
				{Kind: ingest.KindCurrent, Window: win("2026-11-01", "2026-11-24")},
				{Kind: ingest.KindHistory, Window: win("2026-10-01", "2026-11-01")},
			},
		},
		{
			name: "days of another filter stay behind a gap",
			now:  "2026-11-23T10:00:00Z",
			st:   store.State{RereadFrom: day("2026-08-01"), DataThrough: at("2026-11-23T09:00:00Z")},
			want: []ingest.Step{{Kind: ingest.KindCurrent, Window: win("2026-11-01", "2026-11-24")}},
		},
		{
			name: "the previous month, though the present would cover it, with what is missing of it",
			now:  "2026-12-02T10:00:00Z",
			st:   store.State{CoveredFrom: day("2026-01-01"), LastApplied: at("2026-11-03T10:00:00Z")},
			missing: []spend.Day{
				day("2026-09-30"), day("2026-11-04"), day("2026-11-05"),
			},
			want: []ingest.Step{
				{Kind: ingest.KindCurrent, Window: win("2026-10-27", "2026-12-03")},
				{Kind: ingest.KindPreviousMonth, Window: win("2026-11-01", "2026-12-01")},
				{Kind: ingest.KindBackfill, Window: win("2026-09-30", "2026-10-01")},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, ingest.Plan(at(tt.now), tt.st, failing, tt.missing)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPlanCoversEveryDayOnce: over 30 months of starting days, following the plan
// reads an unbroken history and no history window leaves its month.
func TestPlanCoversEveryDayOnce(t *testing.T) {
	for today := day("2026-01-01"); today < day("2028-07-01"); today++ {
		now := today.Time().Add(13 * time.Hour)
		st := store.State{CoveredFrom: today.MonthStart(), LastApplied: now}
		next := today.MonthStart()
		for _, s := range ingest.Plan(now, st, weekAndQuarter, nil)[1:] {
			if s.Kind != ingest.KindHistory {
				continue
			}
			if s.Window.To != next || s.Window.Days() < 1 || (s.Window.To-1).MonthStart() != s.Window.From.MonthStart() {
				t.Fatalf("on %s: history window %v, want one that ends before %s in one month", today, s.Window, next)
			}
			next = s.Window.From
		}
		if want := min(today-90, today.AddMonths(-1)); next != want {
			t.Fatalf("on %s: history ends at %s, want %s", today, next, want)
		}
	}
}
