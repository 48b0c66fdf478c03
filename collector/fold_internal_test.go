package collector

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/aispend/aispend/spend"
)

// drawSeries makes three families with a model label: cost by day, cost, tokens.
func drawSeries(t *rapid.T) []*series {
	model := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "other", "folded"})
	provider := rapid.SampledFrom([]string{"openai", "anthropic"})
	amount := rapid.SampledFrom([]string{
		"0", "1", "-1", "0.1", "0.000000000000000001", "123456789.000000001", "-7.77",
	})
	all := []*series{
		{metric: dailyCost, money: true}, {metric: monthCost, money: true}, {metric: monthTokens},
	}
	for range rapid.IntRange(0, 60).Draw(t, "points") {
		p, m := provider.Draw(t, "provider"), model.Draw(t, "model")
		switch rapid.IntRange(0, 2).Draw(t, "family") {
		case 0:
			day := fmt.Sprintf("2026-11-0%d", rapid.IntRange(1, 4).Draw(t, "day"))
			all[0].addMoney(spend.MustMoney(amount.Draw(t, "amount")), p, m, day)
		case 1:
			all[1].addMoney(spend.MustMoney(amount.Draw(t, "amount")), p, m)
		case 2:
			kind := rapid.SampledFrom([]string{"input", "output"}).Draw(t, "type")
			all[2].addCount(rapid.Int64Range(0, 1e12).Draw(t, "n"), p, m, kind)
		}
	}
	for _, s := range all {
		s.merge()
	}
	return all
}

type sumKey struct {
	family         int
	provider, rest string
}

// sums adds up over the models.
func sums(all []*series) map[sumKey]point {
	out := map[sumKey]point{}
	for i, s := range all {
		for _, p := range s.points {
			k := sumKey{i, p.labels[providerLabel], p.labels[restLabel]}
			v := out[k]
			out[k] = point{money: v.money.Add(p.money), count: v.count + p.count}
		}
	}
	return out
}

func ranking(all []*series) map[modelKey]spend.Money {
	cost := map[modelKey]spend.Money{}
	for _, p := range all[1].points {
		k := modelKey{p.labels[providerLabel], p.labels[modelLabel]}
		cost[k] = cost[k].Add(p.money)
	}
	return cost
}

func copySeries(all []*series) []*series {
	var out []*series
	for _, s := range all {
		c := *s
		c.points = append([]point(nil), s.points...)
		out = append(out, &c)
	}
	return out
}

func models(all []*series) map[modelKey]bool {
	out := map[modelKey]bool{}
	for _, s := range all {
		for _, p := range s.points {
			out[modelKey{p.labels[providerLabel], p.labels[modelLabel]}] = true
		}
	}
	return out
}

func TestFoldKeepsSumsAndBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawSeries(t)
		before, was := sums(all), countPoints(all)
		cost := ranking(all)
		budget := rapid.IntRange(0, was+2).Draw(t, "budget")
		again := copySeries(all)

		saved := fold(all, budget, cost)

		after := sums(all)
		for k, want := range before {
			if got := after[k]; !got.money.Equal(want.money) || got.count != want.count {
				t.Fatalf("%v: sum %v %d, was %v %d", k, got.money, got.count, want.money, want.count)
			}
		}
		if len(after) != len(before) {
			t.Fatalf("%d sums, were %d", len(after), len(before))
		}
		now := countPoints(all)
		if was-now != saved {
			t.Fatalf("saved %d, but %d series became %d", saved, was, now)
		}
		if budget == 0 && saved != 0 {
			t.Fatalf("no budget, but %d series saved", saved)
		}
		if budget > 0 && now > budget {
			left := models(all)
			perProvider := map[string]int{}
			for k := range left {
				perProvider[k.provider]++
			}
			for p, n := range perProvider {
				if n > 1 {
					t.Fatalf("%d series over the budget of %d, yet %s still has %d models", now, budget, p, n)
				}
			}
		}
		fold(again, budget, cost)
		for i := range all {
			if fmt.Sprint(all[i].points) != fmt.Sprint(again[i].points) {
				t.Fatal("folding the same twice gives two results")
			}
		}
	})
}

func TestFoldTakesTheCheapest(t *testing.T) {
	build := func() []*series {
		s := &series{metric: monthCost, money: true}
		s.addMoney(spend.MustMoney("100"), "openai", "big")
		s.addMoney(spend.MustMoney("3"), "openai", "middle")
		s.addMoney(spend.MustMoney("2"), "openai", "small")
		s.addMoney(spend.MustMoney("0.1"), "openai", "other")
		s.addMoney(spend.MustMoney("1"), "anthropic", "tiny")
		s.merge()
		return []*series{s}
	}
	for _, tc := range []struct {
		budget int
		want   string
	}{
		{5, "[anthropic/tiny openai/big openai/middle openai/other openai/small]"},
		// tiny is cheaper, but alone in its provider: folding it would save nothing.
		{4, "[anthropic/tiny openai/big openai/folded openai/other]"},
		{3, "[anthropic/tiny openai/folded openai/other]"},
		{2, "[anthropic/tiny openai/folded]"},
		{1, "[anthropic/tiny openai/folded]"},
	} {
		all := build()
		fold(all, tc.budget, map[modelKey]spend.Money{
			{"openai", "big"}:     spend.MustMoney("100"),
			{"openai", "middle"}:  spend.MustMoney("3"),
			{"openai", "small"}:   spend.MustMoney("2"),
			{"openai", "other"}:   spend.MustMoney("0.1"),
			{"anthropic", "tiny"}: spend.MustMoney("1"),
		})
		var got []string
		for _, p := range all[0].points {
			got = append(got, p.labels[providerLabel]+"/"+p.labels[modelLabel])
		}
		if fmt.Sprint(got) != tc.want {
			t.Errorf("budget %d: %v, want %s", tc.budget, got, tc.want)
		}
	}
}

func TestFamiliesAreShapedAsTheCatalogSays(t *testing.T) {
	seen := map[string]bool{}
	for m, d := range catalog {
		if d.Name == "" || seen[d.Name] {
			t.Errorf("metric %d has no name of its own: %q", m, d.Name)
		}
		seen[d.Name] = true
		if d.Type == gaugeType && len(d.Labels) > maxLabels && metric(m) != buildInfo {
			t.Errorf("%s has more labels than a sample has room for", d.Name)
		}
		if metric(m) == capTopModel {
			continue // at most three per cap: never folded
		}
		for i, l := range d.Labels {
			if l == "model" && i != modelLabel || l == "provider" && i != providerLabel {
				t.Errorf("%s: folding expects provider and model in front: %v", d.Name, d.Labels)
			}
		}
	}
}

func TestFinite(t *testing.T) {
	for in, want := range map[float64]float64{
		1.5: 1.5, 0: 0, math.Inf(1): math.MaxFloat64, math.Inf(-1): -math.MaxFloat64,
	} {
		if got := finite(in); got != want {
			t.Errorf("finite(%v) = %v, want %v", in, got, want)
		}
	}
	if got := finite(math.NaN()); got != 0 {
		t.Errorf("finite(NaN) = %v, want 0", got)
	}
}

// Counts stop at the largest int64 in the rollup; adding two of them up here must
// not turn them negative.
func TestMergedCountsStopAtTheLargest(t *testing.T) {
	s := &series{metric: monthTokens}
	s.addCount(math.MaxInt64, "openai", "a", "input")
	s.addCount(5, "openai", "a", "input")
	s.merge()
	if len(s.points) != 1 || s.points[0].count != math.MaxInt64 {
		t.Errorf("merged: %+v, want one point of the largest count", s.points)
	}
}
