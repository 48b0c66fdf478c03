package main

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestParseCents(t *testing.T) {
	for usd, want := range map[string]int64{
		"1000": 100000, "1000.00": 100000, "0.01": 1, "0.1": 10, "12.5": 1250, "19.99": 1999, "1.10": 110,
		"999999999999.99": 99999999999999, "4503599627370.49": 0, "1": 100,
		"": 0, "0": 0, "0.00": 0, "0.001": 0, "1.005": 0, "1.": 0, ".5": 0, "-1": 0, "+1": 0, "1e3": 0, "1,000": 0,
		"1 000": 0, " 1": 0, "1\n": 0, "$1": 0, "01": 0, "0x10": 0, "1_000": 0, "NaN": 0, "١": 0, "1.5.5": 0,
	} {
		got, err := parseCents(usd)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v; want %d", usd, got, err, want)
		}
	}
}

// TestCentsAreExact compares with rational numbers over many amounts of every size.
func TestCentsAreExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		whole := r.Int64N(1_000_000_000_000) >> r.IntN(40)
		usd := fmt.Sprint(whole)
		if places := r.IntN(3); places > 0 {
			usd += "." + fmt.Sprintf("%0*d", places, r.IntN([]int{1, 10, 100}[places]))
		}
		exact, ok := new(big.Rat).SetString(usd)
		if !ok {
			t.Fatalf("%q is no number", usd)
		}
		exact.Mul(exact, big.NewRat(100, 1))
		got, err := parseCents(usd)
		if exact.Sign() == 0 {
			if err == nil {
				t.Fatalf("%q: accepted", usd)
			}
			continue
		}
		if err != nil || new(big.Rat).SetInt64(got).Cmp(exact) != 0 {
			t.Fatalf("%q: %d, %v; want %s", usd, got, err, exact.RatString())
		}
		back := strings.TrimSuffix(dollars(got), " USD")
		if again, err := parseCents(back); err != nil || again != got {
			t.Fatalf("%d is written %s, which is %d, %v", got, back, again, err)
		}
		if _, err := parseCents(usd + "1"); strings.Contains(usd, ".") && len(usd)-strings.Index(usd, ".") == 3 && err == nil {
			t.Fatalf("%q with a third place is accepted", usd)
		}
	}
}
