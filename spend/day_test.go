package spend_test

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aispend/aispend/spend"
)

func TestParseDay(t *testing.T) {
	for in, want := range map[string]spend.Day{
		"1970-01-01": 0,
		"1970-01-02": 1,
		"1969-12-31": -1,
		"1900-02-28": -25509,
		"2000-02-29": 11016,
		"2024-02-29": 19782,
		"2026-11-23": 20780,
		"9999-12-31": 2932896,
	} {
		got, err := spend.ParseDay(in)
		if err != nil || got != want {
			t.Errorf("ParseDay(%q) = %d, %v, want %d", in, got, err, want)
		}
		if got.String() != in {
			t.Errorf("Day(%d) = %s, want %s", got, got, in)
		}
	}
	for _, in := range []string{
		"", "2026-1-1", "2026-11-31", "2023-02-29", "1900-02-29", "2026-13-01", "2026-00-10", "2026-11-00",
		"20261123",
		"2026-11-23T00:00:00Z", " 2026-11-23", "2026-11-23 ", "23.11.2026", "2026/11/23", "+2026-11-2", "today",
	} {
		if got, err := spend.ParseDay(in); err == nil {
			t.Errorf("ParseDay(%q) = %s, want an error", in, got)
		}
	}
}

func TestDayOf(t *testing.T) {
	kathmandu := time.FixedZone("+0545", 5*3600+45*60)
	for _, tt := range []struct {
		at   time.Time
		want string
	}{
		{time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), "2026-11-23"},
		{time.Date(2026, 11, 23, 23, 59, 59, 999999999, time.UTC), "2026-11-23"},
		{time.Date(2026, 11, 23, 5, 44, 59, 0, kathmandu), "2026-11-22"}, // the UTC day counts
		{time.Date(2026, 11, 23, 5, 45, 0, 0, kathmandu), "2026-11-23"},
		{time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC), "1969-12-31"},
		{time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC), "1969-12-31"},
		{time.Date(1969, 12, 30, 23, 59, 59, 1, time.UTC), "1969-12-30"},
		{time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), "1970-01-01"},
	} {
		if got := spend.DayOf(tt.at).String(); got != tt.want {
			t.Errorf("DayOf(%s) = %s, want %s", tt.at, got, tt.want)
		}
	}
}

func genAnyDay() *rapid.Generator[spend.Day] {
	return rapid.Map(rapid.IntRange(-200_000, 2_932_896), func(n int) spend.Day { return spend.Day(n) })
}

// A Day agrees with package time about everything it says.
func TestDayAgreesWithTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := genAnyDay().Draw(t, "day")
		want := time.Unix(0, 0).UTC().AddDate(0, 0, int(d))
		if !d.Time().Equal(want) || spend.DayOf(want.Add(24*time.Hour-1)) != d || d.Weekday() != want.Weekday() {
			t.Fatalf("Day(%d) is %s, %s, want %s", d, d.Time(), d.Weekday(), want)
		}
		if y, m, day := want.Date(); spend.Date(y, m, day) != d {
			t.Fatalf("Date(%d, %s, %d) = %s, want %s", y, m, day, spend.Date(y, m, day), d)
		}
		text, err := json.Marshal(d)
		var back spend.Day
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if err != nil && want.Year() >= 1 && want.Year() <= 9999 || err == nil && back != d {
			t.Fatalf("%s is read back as %s, %v", text, back, err)
		}
	})
}

func TestDayUnmarshalKeepsOnError(t *testing.T) {
	d := spend.Day(7)
	if err := d.UnmarshalText([]byte("soon")); err == nil || d != 7 {
		t.Errorf("UnmarshalText: %v, day now %s", err, d)
	}
}

// Months follow one another without gap or overlap, in leap years and across year ends.
func TestMonthsPartitionTime(t *testing.T) {
	days := 0
	for m := spend.Date(1896, time.January, 1); m < spend.Date(2105, time.January, 1); m = m.AddMonths(1) {
		next := m.AddMonths(1)
		if n := next - m; n < 28 || n > 31 {
			t.Fatalf("%s has %d days", m, n)
		}
		for d := m; d < next; d++ {
			if d.MonthStart() != m || d.AddMonths(1) != next || d.AddMonths(0) != m || next.AddMonths(-1) != m {
				t.Fatalf("%s is not in the month of %s", d, m)
			}
			days++
		}
	}
	if want := int(spend.Date(2105, 1, 1) - spend.Date(1896, 1, 1)); days != want {
		t.Errorf("the months have %d days, want %d", days, want)
	}
}

func TestAddMonths(t *testing.T) {
	d := spend.Date(2026, time.January, 31)
	for n, want := range map[int]string{
		0: "2026-01-01", 1: "2026-02-01", -1: "2025-12-01", 11: "2026-12-01", 12: "2027-01-01", -25: "2023-12-01",
	} {
		if got := d.AddMonths(n).String(); got != want {
			t.Errorf("AddMonths(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestWindow(t *testing.T) {
	d := spend.Date(2024, time.February, 28)
	for _, tt := range []struct {
		w    spend.Window
		days int
		text string
	}{
		{spend.Window{From: d, To: d + 3}, 3, "2024-02-28..2024-03-01"},
		{spend.Window{From: d, To: d + 1}, 1, "2024-02-28..2024-02-28"},
		{spend.Window{From: d, To: d}, 0, "empty"},
		{spend.Window{From: d, To: d - 5}, 0, "empty"},
		{spend.Window{}, 0, "empty"},
	} {
		if tt.w.Days() != tt.days || tt.w.String() != tt.text {
			t.Errorf("window %s has %d days, want %s with %d", tt.w, tt.w.Days(), tt.text, tt.days)
		}
		inside := 0
		for at := d - 10; at < d+10; at++ {
			if tt.w.Contains(at) {
				inside++
			}
		}
		if inside != tt.days {
			t.Errorf("window %s contains %d days, want %d", tt.w, inside, tt.days)
		}
	}
}
