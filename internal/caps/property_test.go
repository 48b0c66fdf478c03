package caps_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/aispend/aispend/internal/caps"
	"github.com/aispend/aispend/internal/rollup"
	"github.com/aispend/aispend/spend"
)

var (
	projects = []string{"search", "bot", "research"}
	models   = []string{"", "other", "gpt-5", "gpt-5-mini", "claude-opus", "claude-haiku"}
	sources  = []spend.SourceID{openai, lab, claude}
)

// drawMoney draws an amount with up to 24 decimals or far more, of either sign.
func drawMoney(t *rapid.T, name string) spend.Money {
	digits := rapid.StringOfN(rapid.SampledFrom([]rune("0123456789")), 1, 30, -1).Draw(t, name)
	m := spend.MustMoney("1" + digits).Shift(-rapid.IntRange(0, 40).Draw(t, name+" decimals"))
	if rapid.IntRange(0, 5).Draw(t, name+" sign") == 0 {
		return m.Neg()
	}
	return m
}

// drawWorld draws a ledger whose sources are read without a gap since August.
func drawWorld(t *rapid.T) *world {
	later := rapid.Int64Range(0, 100*24*3600).Draw(t, "now")
	now := at("2026-10-20 00:00:00").Add(time.Duration(later) * time.Second)
	w := newWorld(now.Format(time.DateTime))
	for _, id := range sources {
		w.source(id, "2026-08-01")
		w.drawDays(t, id, rapid.IntRange(0, 12).Draw(t, "days"))
	}
	return w
}

func (w *world) drawDays(t *rapid.T, id spend.SourceID, n int) {
	for range n {
		d := spend.DayOf(w.now) - spend.Day(rapid.IntRange(0, 45).Draw(t, "age"))
		var charges []spend.Charge
		for range rapid.IntRange(0, 4).Draw(t, "rows") {
			c := spend.Charge{
				Model:   rapid.SampledFrom(models).Draw(t, "model"),
				Project: rapid.SampledFrom(projects).Draw(t, "project"), Currency: spend.USD,
			}
			if m := drawMoney(t, "amount"); m.Sign() < 0 {
				c.Credits = m
			} else {
				c.Gross = m
			}
			charges = append(charges, c)
		}
		w.spent(id, d.String(), charges...)
	}
}

func drawPeriod(t *rapid.T) caps.Period {
	return rapid.SampledFrom([]caps.Period{caps.Day, caps.Week, caps.Month}).Draw(t, "period")
}

// Caps whose matches share a provider's rows out add up to the provider's cap.
func TestPartsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		whole := caps.Cap{
			Scope: "openai", Period: drawPeriod(t), Gross: rapid.Bool().Draw(t, "gross"), Hard: money("1"),
		}
		by := func(matches ...caps.Match) spend.Money {
			var sum spend.Money
			for i, m := range matches {
				part := whole
				part.Scope, part.Match = fmt.Sprint("part ", i), m
				part.Match.Provider = "openai"
				sum = sum.Add(w.one(t, part).Spend)
			}
			return sum
		}
		s := w.one(t, whole)
		if !s.Known {
			t.Fatalf("not known: %+v", s)
		}
		for name, sum := range map[string]spend.Money{
			"projects": by(caps.Match{Project: "search"}, caps.Match{Project: "bot"}, caps.Match{Project: "research"}),
			"accounts": by(caps.Match{Account: "acme"}, caps.Match{Account: "lab"}),
			"models": by(caps.Match{Model: "o*"}, caps.Match{Model: "gpt*"},
				caps.Match{Model: "c*s"}, caps.Match{Model: "c*ku"}),
		} {
			if !sum.Equal(s.Spend) {
				t.Fatalf("the caps by %s add up to %s, the provider's is %s", name, sum, s.Spend)
			}
		}
	})
}

// A cap's spend is the total that /spend gives for the same days and filter.
func TestSpendIsTheQuerysTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		m := caps.Match{
			Provider: rapid.SampledFrom([]string{"", "openai", "anthropic"}).Draw(t, "provider"),
			Account:  rapid.SampledFrom([]string{"", "acme", "lab"}).Draw(t, "account"),
			Project:  rapid.SampledFrom(append(projects, "")).Draw(t, "project"),
			Model:    rapid.SampledFrom(models).Draw(t, "model"),
		}
		c := caps.Cap{
			Scope: "x", Period: drawPeriod(t), Gross: rapid.Bool().Draw(t, "gross"), Match: m, Hard: money("1"),
		}
		got := w.one(t, c)
		res, err := w.book.Snapshot().Query(rollup.Query{
			Window: c.Period.Window(w.now), Provider: m.Provider, Account: m.Account, Project: m.Project, Model: m.Model,
		})
		if err != nil {
			t.Fatal(err)
		}
		want := res.Totals.Cost
		if c.Gross {
			want = res.Totals.Gross
		}
		if got.Known != (m.Provider != "anthropic" || m.Account == "") { // its only account is another one
			t.Fatalf("known = %t", got.Known)
		}
		if got.Known && got.Spend.String() != want.String() {
			t.Fatalf("spend = %s, /spend says %s", got.Spend, want)
		}
	})
}

// What a lower limit does not reach, a higher one does not; it is no larger a part
// of it, and is exhausted no earlier. The projection is never below the spend.
func TestLimitsAreMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		soft, hard := drawMoney(t, "soft"), drawMoney(t, "hard")
		if rapid.Bool().Draw(t, "at the spend") {
			soft = w.one(t, global("0", "1")).Spend
		}
		if soft.Sign() <= 0 || hard.Sign() <= 0 || soft.Cmp(hard) > 0 {
			t.Skip("no limits")
		}
		c := caps.Cap{Scope: "global", Period: drawPeriod(t), Soft: soft, Hard: hard}
		s := w.one(t, c)
		low, high := s.Levels[0], s.Levels[1]
		if high.Reached && !low.Reached || low.Reached != (s.Spend.Cmp(soft) >= 0) ||
			s.Spend.Sign() >= 0 && high.Percent > low.Percent {
			t.Fatalf("%s of %+v", s.Spend, s.Levels)
		}
		for _, l := range s.Levels {
			if l.Reached != (l.Percent >= 100) {
				t.Fatalf("reached %t at %v %%", l.Reached, l.Percent)
			}
			if !l.Exhaustion.IsZero() && (l.Reached || l.Exhaustion.Before(w.now) || !l.Exhaustion.Before(s.End())) {
				t.Fatalf("%+v exhausted at %s", l, l.Exhaustion)
			}
		}
		if !high.Exhaustion.IsZero() && !low.Reached &&
			(low.Exhaustion.IsZero() || low.Exhaustion.After(high.Exhaustion)) {
			t.Fatalf("exhausted at %s and %s", low.Exhaustion, high.Exhaustion)
		}
		if s.Projected == nil {
			if c.Period != caps.Day {
				t.Fatal("no projection of a ledger without a gap")
			}
			return
		}
		if s.Projected.Cmp(s.Spend) < 0 {
			t.Fatalf("projected %s below the spend %s", s.Projected, s.Spend)
		}
		if !high.Reached && !high.Exhaustion.IsZero() != (s.Projected.Cmp(hard) >= 0) {
			t.Fatalf("projected %s of %s, exhausted at %s", s.Projected, hard, high.Exhaustion)
		}
	})
}

// An Evaluator remembers, and nobody can tell.
func TestEvaluatorIsEvaluate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		var e caps.Evaluator
		for range rapid.IntRange(1, 8).Draw(t, "looks") {
			switch rapid.IntRange(0, 3).Draw(t, "what changes") {
			case 0:
				w.drawDays(t, openai, 1)
			case 1:
				w.now = w.now.Add(time.Duration(rapid.Int64Range(1, 3*24*3600).Draw(t, "later")) * time.Second)
			case 2:
				i := rapid.IntRange(0, len(w.statuses)-1).Draw(t, "source")
				w.statuses[i].Held = !w.statuses[i].Held
			}
			list := []caps.Cap{
				{Scope: "global", Period: drawPeriod(t), Soft: money("1")},
				{Scope: "x", Period: drawPeriod(t), Match: caps.Match{Model: "*5*"}, Hard: money("3")},
			}[:rapid.IntRange(1, 2).Draw(t, "caps")]
			got, err := e.Evaluate(w.book.Snapshot(), w.statuses, list, w.now)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(w.evaluate(t, list...), got, cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("with a memory (-without +with):\n%s", d)
			}
		}
	})
}

// A day that ends makes everything that was added up for it worthless.
func TestEvaluatorSeesMidnight(t *testing.T) {
	w := newWorld("2026-11-23 23:59:59")
	w.source(openai, "2026-10-01")
	w.spent(openai, "2026-11-23", usd("m", "", "5"))
	list := []caps.Cap{{Scope: "global", Period: caps.Day, Hard: money("5")}}
	var e caps.Evaluator
	for i, want := range []string{"5", "0"} {
		got, err := e.Evaluate(w.book.Snapshot(), w.statuses, list, w.now.Add(time.Duration(i)*time.Second))
		if err != nil || got[0].Spend.String() != want {
			t.Errorf("%d s later: %v, %v, want %s", i, got, err, want)
		}
	}
}

// What was handed out is the receiver's own.
func TestStatusIsACopy(t *testing.T) {
	w := company()
	var e caps.Evaluator
	look := func() caps.Status {
		got, err := e.Evaluate(w.book.Snapshot(), w.statuses, []caps.Cap{global("1", "2")}, w.now)
		if err != nil {
			t.Fatal(err)
		}
		return got[0]
	}
	first := look()
	first.TopModels[0].Model, first.Levels[0].Percent, first.Gaps[caps.Held] = "spoilt", -1, 99
	if s := look(); s.TopModels[0].Model == "spoilt" || s.Levels[0].Percent < 0 || s.Gaps[caps.Held] != 0 {
		t.Errorf("%+v", s)
	}
}

// Scrapes and requests come at once, while pulls go on.
func TestEvaluatorAtOnce(t *testing.T) {
	w := company()
	var e caps.Evaluator
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 50 {
				s, err := e.Evaluate(w.book.Snapshot(), w.statuses, []caps.Cap{global("1", "2")}, w.now)
				if err != nil || !s[0].Known {
					t.Errorf("%v, %v", s, err)
				}
				if i == 0 {
					w.spent(openai, "2026-11-20", usd("m", "", "1"))
				}
			}
		})
	}
	wg.Wait()
}
