package spend

import "math/big"

// bigDecimal is coef / 10^scale for what does not fit a Fixed. scale is not
// negative and as small as it can be. It is never changed once made.
type bigDecimal struct {
	coef  *big.Int
	scale int
}

var (
	bigTen   = big.NewInt(10)
	bigMask  = new(big.Int).SetUint64(1<<64 - 1)
	fixedMax = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 127), big.NewInt(1))
	fixedMin = new(big.Int).Neg(new(big.Int).Lsh(big.NewInt(1), 127))
)

func bigPow10(n int) *big.Int { return new(big.Int).Exp(bigTen, big.NewInt(int64(n)), nil) }

// parts returns coefficient and scale; the coefficient may be shared.
func (m Money) parts() (coef *big.Int, scale int) {
	if m.big != nil {
		return m.big.coef, m.big.scale
	}
	u, neg := m.fix.abs()
	c := new(big.Int).SetUint64(u.hi)
	c.Or(c.Lsh(c, 64), new(big.Int).SetUint64(u.lo))
	if neg {
		c.Neg(c)
	}
	return c, FixedScale
}

// align returns both coefficients at the larger of the two scales.
func align(m, o Money) (a, b *big.Int, scale int) {
	a, as := m.parts()
	b, bs := o.parts()
	switch {
	case as < bs:
		return new(big.Int).Mul(a, bigPow10(bs-as)), b, bs
	case bs < as:
		return a, new(big.Int).Mul(b, bigPow10(as-bs)), as
	default:
		return a, b, as
	}
}

// canonical returns coef / 10^scale in its one form. It takes coef over.
func canonical(coef *big.Int, scale int) Money {
	if scale < 0 {
		coef, scale = coef.Mul(coef, bigPow10(-scale)), 0
	}
	coef, scale = trimBig(coef, scale, FixedScale)
	if scale <= FixedScale {
		c := coef
		if scale < FixedScale {
			c = new(big.Int).Mul(coef, bigPow10(FixedScale-scale))
		}
		if c.Cmp(fixedMin) >= 0 && c.Cmp(fixedMax) <= 0 {
			lo := new(big.Int).And(c, bigMask).Uint64()
			return Money{fix: Fixed{Hi: c.Rsh(c, 64).Int64(), Lo: lo}}
		}
	}
	coef, scale = trimBig(coef, scale, 0)
	return Money{big: &bigDecimal{coef, scale}}
}

// trimBig takes trailing zeros off until the scale is down to floor.
func trimBig(coef *big.Int, scale, floor int) (*big.Int, int) {
	for scale > floor {
		q, r := new(big.Int).QuoRem(coef, bigTen, new(big.Int))
		if r.Sign() != 0 {
			break
		}
		coef, scale = q, scale-1
	}
	return coef, scale
}

func addBig(m, o Money) Money {
	a, b, scale := align(m, o)
	return canonical(new(big.Int).Add(a, b), scale)
}

func negBig(m Money) Money {
	c, scale := m.parts()
	return canonical(new(big.Int).Neg(c), scale)
}

func cmpBig(m, o Money) int {
	a, b, _ := align(m, o)
	return a.Cmp(b)
}

func shiftBig(m Money, n int) Money {
	c, scale := m.parts()
	return canonical(new(big.Int).Set(c), scale-n)
}

func quoRoundBig(m Money, n int64, places int) Money {
	num, scale := m.parts()
	return quoHalfEven(num, scale, big.NewInt(n), 0, places)
}

func quoBig(m, d Money, places int) Money {
	num, scale := m.parts()
	den, denScale := d.parts()
	return quoHalfEven(num, scale, den, denScale, places)
}

// quoHalfEven returns (n / 10^scale) / (d / 10^denScale) at places decimals.
func quoHalfEven(n *big.Int, scale int, d *big.Int, denScale, places int) Money {
	num, den := new(big.Int).Set(n), new(big.Int).Set(d)
	if up := denScale - scale + places; up >= 0 {
		num.Mul(num, bigPow10(up))
	} else {
		den.Mul(den, bigPow10(-up))
	}
	sign := num.Sign() * den.Sign()
	quo, rem := new(big.Int).QuoRem(num, den, new(big.Int))
	twice := rem.Lsh(rem, 1)
	if c := twice.CmpAbs(den); c > 0 || c == 0 && quo.Bit(0) == 1 {
		quo.Add(quo, big.NewInt(int64(sign)))
	}
	return canonical(quo, places)
}
