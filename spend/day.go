package spend

import (
	"fmt"
	"time"
)

// Day is a UTC civil date, counted in days since 1970-01-01. The zero Day is
// 1970-01-01 and means "none" wherever a day is optional: no provider has spend
// that old. Days compare with == and <.
type Day int32

// dayLayout is the only spelling of a day that aispend reads or writes.
const dayLayout = "2006-01-02"

const secondsPerDay = 24 * 60 * 60

// DayOf returns the UTC day that contains t.
func DayOf(t time.Time) Day {
	s := t.Unix()
	d := s / secondsPerDay
	if s%secondsPerDay < 0 {
		d--
	}
	return Day(d)
}

// Date returns the day of a proleptic Gregorian date; out-of-range months and
// days are normalised as by time.Date.
func Date(year int, month time.Month, day int) Day {
	return DayOf(time.Date(year, month, day, 0, 0, 0, 0, time.UTC))
}

// ParseDay reads YYYY-MM-DD.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(dayLayout, s)
	if err != nil || len(s) != len(dayLayout) {
		return 0, fmt.Errorf("%q is not a date of the form YYYY-MM-DD", s)
	}
	return DayOf(t), nil
}

// String returns YYYY-MM-DD.
func (d Day) String() string { return d.Time().Format(dayLayout) }

// Time returns the first instant of the day.
func (d Day) Time() time.Time { return time.Unix(int64(d)*secondsPerDay, 0).UTC() }

// Weekday returns the day of the week.
func (d Day) Weekday() time.Weekday { return d.Time().Weekday() }

// MonthStart returns the first day of d's month.
func (d Day) MonthStart() Day {
	y, m, _ := d.Time().Date()
	return Date(y, m, 1)
}

// AddMonths returns the first day of the month n months after d's month.
func (d Day) AddMonths(n int) Day {
	y, m, _ := d.Time().Date()
	return Date(y, m+time.Month(n), 1)
}

// MarshalText writes YYYY-MM-DD.
func (d Day) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads YYYY-MM-DD.
func (d *Day) UnmarshalText(b []byte) error {
	v, err := ParseDay(string(b))
	if err != nil {
		return err
	}
	*d = v
	return nil
}

// Window is the half-open range of days [From, To).
type Window struct {
	From Day `json:"from"`
	To   Day `json:"to"`
}

// Days returns how many days the window holds; an inverted window holds none.
func (w Window) Days() int { return max(0, int(w.To-w.From)) }

// Contains reports whether d lies in the window.
func (w Window) Contains(d Day) bool { return w.From <= d && d < w.To }

// String returns "from..to" with the last day included, as people read it.
func (w Window) String() string {
	if w.Days() == 0 {
		return "empty"
	}
	return w.From.String() + ".." + (w.To - 1).String()
}
