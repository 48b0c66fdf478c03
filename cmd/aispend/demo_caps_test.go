package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

// TestDemoCaps looks at the caps on days that could spoil them: the first second
// of a month, of a week and of a year, and a month's last day.
func TestDemoCaps(t *testing.T) {
	for _, now := range []string{
		"2026-11-23T20:00:00Z", "2026-11-01T00:00:00Z", "2026-11-01T00:20:00Z", "2026-11-30T23:59:59Z",
		"2027-01-01T00:00:01Z", "2026-11-16T00:00:01Z", "2028-02-29T12:00:00Z",
	} {
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		w := simulator.New(simulator.Options{Seed: demoSeed, Step: demoStep, Now: func() time.Time { return at }})
		list := demoCaps(w)
		seen := map[[2]string]bool{}
		for _, c := range list {
			if c.Soft.Sign() <= 0 || c.Soft.Cmp(c.Hard) > 0 || seen[[2]string{c.Scope, c.Period}] {
				t.Errorf("%s: %+v", now, c)
			}
			seen[[2]string{c.Scope, c.Period}] = true
		}
		if at.Day() < 10 {
			continue // the month is too young to promise anything about it
		}
		byScope := map[string]config.Cap{}
		for _, c := range list {
			byScope[c.Scope] = c
		}
		month := spend.Window{From: spend.DayOf(at).MonthStart(), To: spend.DayOf(at) + 1}
		openai, claude := w.Total(simulator.OpenAI, month, at), w.Total(simulator.Anthropic, month, at)
		innocent := openai.Sub(modelTotal(w, simulator.OpenAI, runaway, month))
		if c := byScope["openai"]; openai.Cmp(c.Hard) < 0 || innocent.Cmp(c.Soft) >= 0 {
			t.Errorf("%s: openai spends %s, %s without the runaway model, of %s and %s",
				now, openai, innocent, c.Soft, c.Hard)
		}
		if share := claude.Float64() / byScope["anthropic"].Soft.Float64(); share < 0.85 || share > 0.95 {
			t.Errorf("%s: anthropic is at %v of soft", now, share)
		}
		vertex := w.Total(simulator.Vertex, month, at)
		if c := byScope["vertex"]; vertex.Cmp(c.Soft) < 0 || vertex.Cmp(c.Hard) >= 0 {
			t.Errorf("%s: vertex is at %s of %s and %s", now, vertex, c.Soft, c.Hard)
		}
		all := openai.Add(claude).Add(vertex)
		if c := byScope["global"]; all.Cmp(c.Soft) < 0 || all.Cmp(c.Hard) >= 0 {
			t.Errorf("%s: %s of %s and %s", now, all, c.Soft, c.Hard)
		}
	}
}

func TestAbout(t *testing.T) {
	for _, tt := range []struct {
		amount string
		times  float64
		want   string
	}{
		{"1234.56", 1, "1230"},
		{"1234.56", 0.1, "123"},
		{"99.999", 1, "99.99"},
		{"0", 2, "0.01"},
		{"-5", 1, "0.01"},
	} {
		if got := about(spend.MustMoney(tt.amount), tt.times); got.String() != tt.want {
			t.Errorf("about(%s, %v) = %s, want %s", tt.amount, tt.times, got, tt.want)
		}
	}
}

func TestCents(t *testing.T) {
	for in, want := range map[string]string{"12.3456": "12.34", "12": "12.00", "-0.5": "-0.50"} {
		if got := cents(json.Number(in)); got != want {
			t.Errorf("cents(%s) = %s, want %s", in, got, want)
		}
	}
}
