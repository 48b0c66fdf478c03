package spend

import "math/bits"

// FixedScale is how many decimals a Fixed has.
const FixedScale = 24

// Fixed is the compact form that nearly every amount has: a signed 128-bit count
// of 1e-24 units, which reaches beyond 1.7e14 dollars in either direction. Two
// Fixed are the same amount exactly if they are ==. It is exported for columns
// that hold many amounts (16 bytes each); everyone else uses Money.
type Fixed struct {
	Hi int64
	Lo uint64
}

// Add returns f+o, and false if the sum does not fit; the result is then useless.
func (f Fixed) Add(o Fixed) (sum Fixed, ok bool) {
	lo, carry := bits.Add64(f.Lo, o.Lo, 0)
	hi := f.Hi + o.Hi + int64(carry)
	return Fixed{hi, lo}, (f.Hi^hi)&(o.Hi^hi) >= 0
}

// IsZero reports whether the amount is 0.
func (f Fixed) IsZero() bool { return f == Fixed{} }

// Money returns the amount as Money.
func (f Fixed) Money() Money { return Money{fix: f} }

// abs returns the magnitude, which always fits.
func (f Fixed) abs() (m u128, neg bool) {
	if f.Hi >= 0 {
		return u128{uint64(f.Hi), f.Lo}, false
	}
	lo, borrow := bits.Sub64(0, f.Lo, 0)
	hi, _ := bits.Sub64(0, uint64(f.Hi), borrow)
	return u128{hi, lo}, true
}

// u128 is a magnitude.
type u128 struct{ hi, lo uint64 }

func (u u128) isZero() bool { return u.hi|u.lo == 0 }

// fixed returns the magnitude with its sign, and false if it does not fit.
func (u u128) fixed(neg bool) (Fixed, bool) {
	if !neg {
		return Fixed{int64(u.hi), u.lo}, u.hi < 1<<63
	}
	lo, borrow := bits.Sub64(0, u.lo, 0)
	hi, _ := bits.Sub64(0, u.hi, borrow)
	return Fixed{int64(hi), lo}, u.hi < 1<<63 || u == u128{hi: 1 << 63}
}

// mul returns u*n, and false if the product does not fit.
func (u u128) mul(n uint64) (u128, bool) {
	over, hi := bits.Mul64(u.hi, n)
	carry, lo := bits.Mul64(u.lo, n)
	hi, c := bits.Add64(hi, carry, 0)
	return u128{hi, lo}, over|c == 0
}

// quoRem returns u/n and u%n; n is not 0.
func (u u128) quoRem(n uint64) (quo u128, rem uint64) {
	quo.hi, rem = u.hi/n, u.hi%n
	quo.lo, rem = bits.Div64(rem, u.lo, n)
	return quo, rem
}

// mulPow10 returns u times 10 to the power n, and false if that does not fit.
func (u u128) mulPow10(n int) (u128, bool) {
	if n > 2*maxPow10 {
		return u128{}, u.isZero()
	}
	ok := true
	for ; n > maxPow10 && ok; n -= maxPow10 {
		u, ok = u.mul(pow10[maxPow10])
	}
	if !ok {
		return u128{}, false
	}
	return u.mul(pow10[n])
}

// trim divides by 10 at most limit times, as long as nothing is lost, and returns
// how often it did. u is not 0.
func (u u128) trim(limit int) (trimmed u128, n int) {
	for step := 16; step > 0; step /= 2 {
		for n+step <= limit {
			q, r := u.quoRem(pow10[step])
			if r != 0 {
				break
			}
			u, n = q, n+step
		}
	}
	return u, n
}

// maxPow10 is the largest power of ten that an uint64 holds.
const maxPow10 = 19

var pow10 = [maxPow10 + 1]uint64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
	1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
}

// add returns u+n for sums that are known to fit.
func (u u128) add(n uint64) u128 {
	lo, carry := bits.Add64(u.lo, n, 0)
	return u128{u.hi + carry, lo}
}

func (u u128) or(o u128) u128 { return u128{u.hi | o.hi, u.lo | o.lo} }

func (u u128) lsh(n int) u128 {
	if n >= 64 {
		return u128{hi: u.lo << (n - 64)}
	}
	return u128{hi: u.hi<<n | u.lo>>(64-n), lo: u.lo << n}
}
