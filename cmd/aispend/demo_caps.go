package main

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

// runaway is the simulated model that grows by half every day.
const runaway = "gpt-6-"

// demoCaps returns caps that fit the simulated figures of this very moment: some
// levels are reached, one is near, and one model is why.
func demoCaps(w *simulator.World) []config.Cap {
	today := spend.DayOf(w.Now())
	month := spend.Window{From: today.MonthStart(), To: today + 1}
	week := spend.Window{From: today - spend.Day((today.Weekday()+6)%7), To: today + 1}
	openai, claude := w.Total(simulator.OpenAI, month, w.Now()), w.Total(simulator.Anthropic, month, w.Now())
	vertex := w.Total(simulator.Vertex, month, w.Now())
	culprit := modelTotal(w, simulator.OpenAI, runaway, month)
	rest := openai.Sub(culprit)
	busiest := spend.Money{}
	for d := today - 7; d < today; d++ {
		sum := modelTotal(w, simulator.Anthropic, "claude-sonnet-", spend.Window{From: d, To: d + 1})
		if sum.Cmp(busiest) > 0 {
			busiest = sum
		}
	}
	byModel := modelTotal(w, simulator.OpenAI, runaway, week)
	// At the pace of the month so far the global hard level falls before its end.
	left := float64(today.AddMonths(1)-today-1) / float64(month.Days())
	all, usual := openai.Add(claude).Add(vertex), about(rest, 1)
	return []config.Cap{
		demoCap("global", config.PeriodMonth, about(all, 0.9), about(all, max(1.05, 1+0.7*left))),
		// Without the runaway model the bill would be within both.
		demoCap("openai", config.PeriodMonth, about(culprit, 0.5).Add(usual), about(culprit, 0.8).Add(usual)),
		demoCap("anthropic", config.PeriodMonth, about(claude, 1/0.9), about(claude, 1.5)),
		demoCap("vertex", config.PeriodMonth, about(vertex, 0.95), about(vertex, 1.4)),
		matching(demoCap("gpt-6-week", config.PeriodWeek, about(byModel, 0.6), about(byModel, 1.6)),
			config.Match{Provider: "openai", Model: runaway + "*"}),
		matching(demoCap("sonnet-day", config.PeriodDay, about(busiest, 0.8), about(busiest, 1.5)),
			config.Match{Provider: "anthropic", Model: "claude-sonnet-*"}),
	}
}

func demoCap(scope, period string, soft, hard spend.Money) config.Cap {
	return config.Cap{Scope: scope, Period: period, Cost: config.CostNet, Soft: soft, Hard: hard}
}

func matching(c config.Cap, m config.Match) config.Cap {
	c.Match = m
	return c
}

// modelTotal is the cost of the models whose names begin with prefix.
func modelTotal(w *simulator.World, provider, prefix string, win spend.Window) spend.Money {
	var sum spend.Money
	for d := win.From; d < win.To; d++ {
		for _, r := range w.Cost(provider, d, w.Now()) {
			if strings.HasPrefix(r.Model, prefix) {
				sum = sum.Add(r.Amount)
			}
		}
	}
	return sum
}

// about returns a limit as a person would write it: so many times the amount,
// rounded down to two figures or more, and never 0, which would be off.
func about(m spend.Money, times float64) spend.Money {
	v := max(m.Float64()*times, 0)
	unit := 0.01
	for _, u := range []float64{1, 10} {
		if v >= 100*u {
			unit = u
		}
	}
	return spend.MustMoney(strconv.FormatFloat(max(math.Floor(v/unit)*unit, 0.01), 'f', 2, 64))
}

// demoCapStatus is what the guide reads of one cap of /caps.
type demoCapStatus struct {
	Scope  string       `json:"scope"`
	Period string       `json:"period"`
	Spend  *json.Number `json:"spend_usd"`
	Limits struct {
		Soft json.Number `json:"soft"`
		Hard json.Number `json:"hard"`
	} `json:"limits"`
	Percent struct {
		Soft float64 `json:"soft"`
	} `json:"percent"`
	Reached    string `json:"level_reached"`
	Exhaustion struct {
		Hard *time.Time `json:"hard"`
	} `json:"exhaustion"`
	TopModels []struct {
		Model string `json:"model"`
	} `json:"top_models"`
}

// caps prints the caps as a table.
func (g *guide) caps(ctx context.Context) {
	var reply struct {
		Caps []demoCapStatus `json:"caps"`
	}
	g.printf("\ncaps (UTC):\n")
	if err := g.get(ctx, "/caps", &reply); err != nil {
		g.printf("  not available: %v\n", err)
		return
	}
	g.printf("  %-10s  %-6s %12s %12s %12s\n", "scope", "period", "spend, USD", "soft", "hard")
	for _, c := range reply.Caps {
		spent := "unknown"
		if c.Spend != nil {
			spent = cents(*c.Spend)
		}
		g.printf("  %-10s  %-6s %12s %12s %12s  %s\n",
			c.Scope, c.Period, spent, cents(c.Limits.Soft), cents(c.Limits.Hard), c.verdict())
	}
	g.printf("\n  as JSON, with every digit: curl -s '%s/caps'\n", g.base)
}

// verdict says in a few words how the cap stands.
func (c demoCapStatus) verdict() string {
	text := strconv.FormatFloat(c.Percent.Soft, 'f', 0, 64) + " % of soft"
	if c.Reached != "" {
		text = strings.ToUpper(c.Reached) + " reached"
	}
	if c.Exhaustion.Hard != nil {
		text += ", hard expected " + c.Exhaustion.Hard.UTC().Format("Jan 2 15:04")
	}
	if c.Reached != "" && len(c.TopModels) > 0 {
		text += ", led by " + c.TopModels[0].Model
	}
	return text
}

// cents cuts an amount after the cents.
func cents(n json.Number) string {
	whole, rest, _ := strings.Cut(n.String(), ".")
	return whole + "." + (rest + "00")[:2]
}
