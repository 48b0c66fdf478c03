package caps_test

import (
	"testing"
	"time"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/spend"
)

func TestPeriodWindow(t *testing.T) {
	for _, tt := range []struct {
		period   caps.Period
		now      string
		from, to string // to is the first day after
	}{
		{caps.Day, "2026-11-23 00:00:00", "2026-11-23", "2026-11-24"},
		{caps.Day, "2026-11-23 23:59:59", "2026-11-23", "2026-11-24"},
		{caps.Day, "2028-02-29 12:00:00", "2028-02-29", "2028-03-01"},
		{caps.Month, "2026-11-30 23:59:59", "2026-11-01", "2026-12-01"},
		{caps.Month, "2026-12-01 00:00:00", "2026-12-01", "2027-01-01"},
		{caps.Month, "2028-02-29 12:00:00", "2028-02-01", "2028-03-01"},
		{caps.Month, "2027-02-28 12:00:00", "2027-02-01", "2027-03-01"},
		{caps.Week, "2026-11-22 23:59:59", "2026-11-16", "2026-11-23"}, // Sunday
		{caps.Week, "2026-11-23 00:00:00", "2026-11-23", "2026-11-30"}, // Monday
		{caps.Week, "2026-12-02 10:00:00", "2026-11-30", "2026-12-07"}, // over a month's end
		{caps.Week, "2026-12-31 10:00:00", "2026-12-28", "2027-01-04"}, // 2026 has a week 53
		{caps.Week, "2027-01-03 23:59:59", "2026-12-28", "2027-01-04"}, // and it ends in 2027
		{caps.Week, "2027-01-04 00:00:00", "2027-01-04", "2027-01-11"}, // week 1 of 2027
		{caps.Week, "2028-03-01 00:00:00", "2028-02-28", "2028-03-06"}, // over the leap day
	} {
		want := spend.Window{From: date(tt.from), To: date(tt.to)}
		if got := tt.period.Window(at(tt.now)); got != want {
			t.Errorf("%s at %s: %s, want %s", tt.period, tt.now, got, want)
		}
	}
}

// A week's days have one ISO week number and its days before and after another.
func TestWeekIsISO(t *testing.T) {
	for now := at("2019-12-25 00:00:00"); now.Year() < 2034; now = now.Add(31 * time.Hour) {
		w := caps.Week.Window(now)
		year, week := now.ISOWeek()
		for d := w.From - 1; d <= w.To; d++ {
			y, n := d.Time().ISOWeek()
			if (y == year && n == week) != w.Contains(d) {
				t.Fatalf("%s is in week %d of %d; the week of %s is %s", d, n, y, now, w)
			}
		}
	}
}

// Periods of other time zones do not exist: an instant is what counts.
func TestPeriodIsUTC(t *testing.T) {
	zone := time.FixedZone("far east", 14*60*60)
	if got, want := caps.Month.Window(at("2026-11-30 23:59:59").In(zone)).From, date("2026-11-01"); got != want {
		t.Errorf("month of an instant in another zone begins on %s, want %s", got, want)
	}
}
