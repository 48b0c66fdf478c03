package caps

import (
	"strings"
	"time"

	"github.com/aispend/aispend/spend"
)

const daysPerWeek = 7

// Window returns the days of the period that holds the instant now.
func (p Period) Window(now time.Time) spend.Window {
	today := spend.DayOf(now)
	switch p {
	case Day:
		return spend.Window{From: today, To: today + 1}
	case Week:
		monday := today - spend.Day((today.Weekday()+daysPerWeek-time.Monday)%daysPerWeek)
		return spend.Window{From: monday, To: monday + daysPerWeek}
	default:
		return spend.Window{From: today.MonthStart(), To: today.AddMonths(1)}
	}
}

// matches reports whether a name fits a pattern, in which * stands for any
// characters, none included. The empty pattern fits every name.
func matches(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == "" || pattern == name
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(name) < len(first)+len(last) || !strings.HasPrefix(name, first) || !strings.HasSuffix(name, last) {
		return false
	}
	name = name[len(first) : len(name)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, found := strings.Cut(name, part)
		if !found {
			return false
		}
		name = rest
	}
	return true
}
