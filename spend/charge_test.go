package spend_test

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/aispend/aispend/spend"
)

func TestChargeUSD(t *testing.T) {
	for _, c := range []struct {
		name, currency, rate, gross, credits string
		wantGross, wantCredits               string
		converted                            bool
	}{
		{"dollars", "USD", "0", "1.5", "-0.5", "1.5", "-0.5", true},
		{"dollars ignore a rate", "USD", "2", "1.5", "-0.5", "1.5", "-0.5", true},
		{"euro", "EUR", "0.9", "9", "-0.9", "10", "-1", true},
		{"rounded at 18 places", "EUR", "3", "1", "-2", "0.333333333333333333", "-0.666666666666666667", true},
		{"half to even, down", "XTS", "2", "0.000000000000000001", "0", "0", "0", true},
		{"half to even, up", "XTS", "2", "0.000000000000000003", "0", "0.000000000000000002", "0", true},
		{"no rate", "EUR", "0", "9", "0", "0", "0", false},
		{"a rate that is none", "EUR", "-1", "9", "0", "0", "0", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			charge := spend.Charge{
				Currency: c.currency, Rate: spend.MustMoney(c.rate),
				Gross: spend.MustMoney(c.gross), Credits: spend.MustMoney(c.credits),
			}
			gross, credits, ok := charge.USD()
			if gross.String() != c.wantGross || credits.String() != c.wantCredits || ok != c.converted ||
				charge.Converted() != c.converted {
				t.Errorf("USD() = %s, %s, %v; want %s, %s, %v", gross, credits, ok, c.wantGross, c.wantCredits, c.converted)
			}
		})
	}
}

// A quotient is as near to the truth as its places allow, and even where two are.
func TestQuoIsHalfEven(t *testing.T) {
	amount := rapid.Custom(func(t *rapid.T) spend.Money {
		n := rapid.Int64().Draw(t, "coefficient")
		scale := rapid.IntRange(-20, 30).Draw(t, "scale")
		return spend.MustMoney(big.NewInt(n).String()).Shift(-scale)
	})
	rapid.Check(t, func(t *rapid.T) {
		m, d := amount.Draw(t, "amount"), amount.Draw(t, "rate")
		if d.IsZero() {
			t.Skip("no quotient")
		}
		places := rapid.IntRange(0, 24).Draw(t, "places")
		exact := new(big.Rat).Quo(rat(t, m.String()), rat(t, d.String()))
		got := m.Quo(d, places)
		unit := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil))
		twice := new(big.Rat).Sub(rat(t, got.String()), exact)
		twice.Abs(twice.Mul(twice, big.NewRat(2, 1)))
		units := new(big.Rat).Quo(rat(t, got.String()), unit)
		switch c := twice.Cmp(unit); {
		case !units.IsInt():
			t.Fatalf("%s / %s at %d places = %s", m, d, places, got)
		case c > 0, c == 0 && units.Num().Bit(0) == 1:
			t.Fatalf("%s / %s at %d places = %s, exact is %s", m, d, places, got, exact.FloatString(places+5))
		}
	})
}

// Rows of other rates, and tax, are other rows: their money is not of one kind.
func TestMergeChargesKeepsRatesAndTaxApart(t *testing.T) {
	row := func(rate string, tax bool) spend.Charge {
		return spend.Charge{
			Model: "m", Currency: "EUR", Rate: spend.MustMoney(rate), Tax: tax, Gross: spend.MustMoney("1"),
		}
	}
	got := spend.MergeCharges([]spend.Charge{row("0.9", false), row("0.8", true), row("0.8", false), row("0.90", false)})
	if len(got) != 3 {
		t.Fatalf("%d rows: %v", len(got), got)
	}
	for i, want := range []struct {
		rate, gross string
		tax         bool
	}{{"0.8", "1", false}, {"0.8", "1", true}, {"0.9", "2", false}} {
		if got[i].Rate.String() != want.rate || got[i].Gross.String() != want.gross || got[i].Tax != want.tax {
			t.Errorf("row %d = %+v, want %+v", i, got[i], want)
		}
	}
}
