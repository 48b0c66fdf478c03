package vertex

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/aispend/aispend/spend"
)

// usdPlaces is how many decimals a conversion to USD keeps (contract section 6).
const usdPlaces = 18

// quo returns m/d rounded half-even at usdPlaces decimals, which is the only rounding
// of this package. spend.Money.QuoRound divides by whole numbers only. d is not 0.
func quo(m, d spend.Money) (spend.Money, error) {
	num, scale := coefficient(m)
	den, denScale := coefficient(d)
	// m/d = num/den * 10^(denScale-scale); wanted is that times 10^usdPlaces.
	if up := denScale - scale + usdPlaces; up >= 0 {
		num.Mul(num, pow10(up))
	} else {
		den.Mul(den, pow10(-up))
	}
	sign := int64(num.Sign() * den.Sign())
	q, rem := new(big.Int).QuoRem(num, den, new(big.Int))
	twice := rem.Lsh(rem, 1)
	if c := twice.CmpAbs(den); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(sign))
	}
	out, err := spend.ParseMoney(q.String())
	if err != nil {
		return spend.Money{}, fmt.Errorf("converting to USD: %w", err)
	}
	return out.Shift(-usdPlaces), nil
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// coefficient returns m as coef / 10^scale.
func coefficient(m spend.Money) (coef *big.Int, scale int) {
	whole, frac, _ := strings.Cut(m.String(), ".")
	coef, ok := new(big.Int).SetString(whole+frac, 10)
	if !ok {
		panic("spend.Money.String is no decimal number")
	}
	return coef, len(frac)
}
