package spend_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/aispend/aispend/spend"
)

// benchAmounts are 4096 amounts as in measured.md d.3: a third each of 15 to 17
// digit floats, 6 and 9 decimals.
func benchAmounts() [][]byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	out := make([][]byte, 4096)
	for i := range out {
		switch v := rnd.Float64() * 100; i % 3 {
		case 0:
			out[i] = strconv.AppendFloat(nil, v, 'f', -1, 64)
		case 1:
			out[i] = fmt.Appendf(nil, "%.6f", v)
		default:
			out[i] = fmt.Appendf(nil, "%.9f", v)
		}
	}
	return out
}

func perValue(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/value")
}

func BenchmarkParseAndSum(b *testing.B) {
	in := benchAmounts()
	b.Run("money", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var sum spend.Money
			for _, s := range in {
				m, err := spend.ParseMoneyBytes(s)
				if err != nil {
					b.Fatal(err)
				}
				sum = sum.Add(m)
			}
		}
		perValue(b, len(in))
	})
	b.Run("rat", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sum := new(big.Rat)
			for _, s := range in {
				r, _ := new(big.Rat).SetString(string(s))
				sum.Add(sum, r)
			}
		}
		perValue(b, len(in))
	})
	b.Run("float64", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sum := 0.0
			for _, s := range in {
				f, _ := strconv.ParseFloat(string(s), 64)
				sum += f
			}
		}
		perValue(b, len(in))
	})
}

func BenchmarkMoney(b *testing.B) {
	in := benchAmounts()
	amounts := make([]spend.Money, len(in))
	wide := make([]spend.Money, len(in)) // without a fixed form
	for i, s := range in {
		amounts[i] = spend.MustMoney(string(s))
		wide[i] = amounts[i].Add(spend.MustMoney("1e-30"))
	}
	var buf []byte
	for _, bm := range []struct {
		name string
		on   []spend.Money
		do   func(spend.Money)
	}{
		{"add", amounts, func() func(spend.Money) {
			var sum spend.Money
			return func(m spend.Money) { sum = sum.Add(m) }
		}()},
		{"add without fixed form", wide, func() func(spend.Money) {
			var sum spend.Money
			return func(m spend.Money) { sum = sum.Add(m) }
		}()},
		{"append", amounts, func(m spend.Money) { buf = m.AppendTo(buf[:0]) }},
		{"append binary", amounts, func(m spend.Money) { buf = m.AppendBinary(buf[:0]) }},
		{"float64", amounts, func(m spend.Money) { _ = m.Float64() }},
		{"cents to dollars", amounts, func(m spend.Money) { _ = m.Shift(-2) }},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, m := range bm.on {
					bm.do(m)
				}
			}
			perValue(b, len(bm.on))
		})
	}
}
