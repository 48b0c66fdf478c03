package api

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/aispend/aispend/internal/caps"
)

// pageCap is one cap on the page: a bar with its figures in words.
type pageCap struct {
	Name   string
	Spend  amount
	Known  bool
	Bar    pageBar
	Levels []pageLevel
	Notes  []string
	Bad    bool // a level is reached
}

// pageBar are the numbers of a meter from 0 to 100, the highest level: up to Low
// all is well, above High the hard level is reached.
type pageBar struct{ Value, Low, High string }

type pageLevel struct {
	Level   string
	Limit   amount
	Percent string
	Reached bool
}

func newPageCap(st caps.Status) pageCap {
	layout := "2 January 2006"
	if st.Period == caps.Month {
		layout = "January 2006"
	}
	out := pageCap{
		Name:  st.Scope + ", " + string(st.Period) + " of " + st.Start().Format(layout),
		Known: st.Known, Spend: newAmount(st.Spend), Bad: st.Reached() != "",
	}
	for _, l := range st.Levels {
		out.Levels = append(out.Levels, pageLevel{
			Level: string(l.Level), Limit: newAmount(l.Limit), Percent: percentText(l.Percent), Reached: l.Reached,
		})
		if !l.Exhaustion.IsZero() {
			out.Notes = append(out.Notes,
				fmt.Sprintf("%s level expected on %s UTC", l.Level, l.Exhaustion.UTC().Format("2 January, 15:04")))
		}
	}
	if st.Projected != nil {
		out.Notes = append(out.Notes, "projected for the whole period: "+newAmount(*st.Projected).Head+" USD")
	}
	for _, b := range st.Budgets {
		out.Notes = append(out.Notes, fmt.Sprintf("%s USD of it by the budget %s of account %s, since %s UTC",
			newAmount(b.Spend).Head, b.Budget.DisplayName(), b.Source.Account, b.IntervalStart.UTC().Format("2 January, 15:04")))
	}
	if text := gapText(st.Gaps); text != "" {
		out.Notes = append(out.Notes, text)
	}
	if st.Known {
		out.Bar = newPageBar(st.Levels)
	}
	return out
}

// newPageBar scales the bar to the highest level.
func newPageBar(levels []caps.LevelStatus) pageBar {
	const full, nearly = 100, 99.99
	top := levels[len(levels)-1]
	bar := pageBar{Value: percentText(min(max(top.Percent, 0), full)), Low: percentText(nearly), High: percentText(nearly)}
	switch {
	case top.Level == caps.Soft:
		bar.High = percentText(full)
	case len(levels) > 1:
		soft := full * levels[0].Limit.Float64() / top.Limit.Float64()
		bar.Low = percentText(min(math.Floor(max(100*soft-1, 0))/100, nearly)) // below the soft level
	}
	return bar
}

func percentText(p float64) string { return strconv.FormatFloat(p, 'f', -1, 64) }

// gapText says why a figure may be too low.
func gapText(gaps map[caps.Reason]int) string {
	var parts []string
	for _, r := range caps.Reasons() {
		if n := gaps[r]; n > 0 {
			sources := "sources"
			if n == 1 {
				sources = "source"
			}
			parts = append(parts, fmt.Sprintf("%d %s %s", n, sources, strings.ReplaceAll(string(r), "_", " ")))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "it may be more: " + strings.Join(parts, ", ")
}
