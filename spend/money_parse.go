package spend

import (
	"fmt"
	"math/big"
)

// Bounds of ParseMoney. A decimal128, the widest number that a provider has been
// seen to keep, has 34 digits; what is out of these bounds is a fault or an attack.
const (
	// MaxMoneyBytes bounds the text.
	MaxMoneyBytes = 1024
	// MaxMoneyDigits bounds the digits before the point, and those after it.
	MaxMoneyDigits = 100
	// maxStoredDigits leaves what has been read once room to be added up, printed and
	// read back.
	maxStoredDigits = 160
)

// ParseMoney reads an amount, exactly. The text is a JSON number and nothing else:
// an optional minus, digits without a superfluous leading zero, optionally a point
// with digits after it, optionally an exponent. So "+1", ".5", "5.", "007", " 1",
// "1_000", "0x10", "NaN", "Inf", "null" and "" are errors (ErrMoneySyntax).
//
// Nothing is rounded: a number that is not 0 and has, written out without trailing
// zeros, more than MaxMoneyDigits digits before or after the point is refused
// (ErrMoneyRange), as are texts of more than MaxMoneyBytes. A zero is 0 whatever
// its exponent ("0E-6176").
func ParseMoney(s string) (Money, error) { return parseMoney(s, MaxMoneyDigits) }

// ParseMoneyBytes is ParseMoney for bytes, which it does not keep. Neither
// allocates for amounts that have the fixed form.
func ParseMoneyBytes(b []byte) (Money, error) { return parseMoney(b, MaxMoneyDigits) }

// literal is a number's text taken apart. Its digits are those from the first one
// that is not 0; the first 19 are in head, the next 19 in tail.
type literal struct {
	neg        bool
	head, tail uint64
	digits     int
	frac       int // digits after the point
	exp        int // stops at maxExponent
}

// maxExponent is beyond every bound, and far from overflow.
const maxExponent = 1 << 20

func parseMoney[T string | []byte](s T, maxDigits int) (Money, error) {
	if len(s) > MaxMoneyBytes {
		return Money{}, fmt.Errorf("%d bytes: %w", len(s), ErrMoneyRange)
	}
	lit, ok := scan(s)
	if !ok {
		return Money{}, fmt.Errorf("%q: %w", excerpt(s), ErrMoneySyntax)
	}
	if lit.digits == 0 {
		return Money{}, nil
	}
	if f, ok := lit.fixed(); ok {
		return Money{fix: f}, nil
	}
	m, ok := bigLiteral(s, lit, maxDigits)
	if !ok {
		return Money{}, fmt.Errorf("%q: %w", excerpt(s), ErrMoneyRange)
	}
	return m, nil
}

// excerpt returns the start of s for an error, as a copy, so that parsing bytes of
// a stack buffer does not move them to the heap.
func excerpt[T string | []byte](s T) string {
	const enough = 40
	return string(s[:min(len(s), enough)])
}

// scan checks the grammar of RFC 8259, section 6.
func scan[T string | []byte](s T) (lit literal, ok bool) {
	i := 0
	if i < len(s) && s[i] == '-' {
		lit.neg = true
		i++
	}
	start := i
	for ; i < len(s) && isDigit(s[i]); i++ {
		lit.push(s[i])
	}
	if i == start || s[start] == '0' && i > start+1 {
		return lit, false
	}
	if i < len(s) && s[i] == '.' {
		i++
		start = i
		for ; i < len(s) && isDigit(s[i]); i++ {
			lit.push(s[i])
		}
		lit.frac = i - start
		if lit.frac == 0 {
			return lit, false
		}
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		if lit.exp, i, ok = scanExponent(s, i+1); !ok {
			return lit, false
		}
	}
	return lit, i == len(s)
}

func scanExponent[T string | []byte](s T, i int) (exp, next int, ok bool) {
	neg := false
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		neg = s[i] == '-'
		i++
	}
	start := i
	for ; i < len(s) && isDigit(s[i]); i++ {
		exp = min(exp*10+int(s[i]-'0'), maxExponent)
	}
	if neg {
		exp = -exp
	}
	return exp, i, i > start
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (l *literal) push(c byte) {
	switch d := uint64(c - '0'); {
	case l.digits == 0 && d == 0:
		return
	case l.digits < maxPow10:
		l.head = l.head*10 + d
	case l.digits < 2*maxPow10:
		l.tail = l.tail*10 + d
	}
	l.digits++
}

// fixed returns the number's fixed form, and false if it has none or has too many
// digits, trailing zeros included, to tell here.
func (l *literal) fixed() (Fixed, bool) {
	if l.digits > 2*maxPow10 {
		return Fixed{}, false
	}
	coef := u128{lo: l.head}
	if l.digits > maxPow10 {
		coef, _ = coef.mul(pow10[l.digits-maxPow10]) // below 1e38, so it fits
		coef = coef.add(l.tail)
	}
	up := FixedScale - l.frac + l.exp
	if up < 0 {
		trimmed, n := coef.trim(-up)
		if n < -up {
			return Fixed{}, false
		}
		return trimmed.fixed(l.neg)
	}
	coef, ok := coef.mulPow10(up)
	if !ok {
		return Fixed{}, false
	}
	return coef.fixed(l.neg)
}

// bigLiteral reads what lit was scanned from at any precision within the bounds.
func bigLiteral[T string | []byte](s T, lit literal, maxDigits int) (Money, bool) {
	digits := make([]byte, 0, lit.digits)
	for i := 0; i < len(s) && s[i]|0x20 != 'e'; i++ {
		if isDigit(s[i]) && (s[i] != '0' || len(digits) > 0) {
			digits = append(digits, s[i])
		}
	}
	scale := lit.frac - lit.exp
	for digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
		scale--
	}
	if scale > maxDigits || len(digits)-scale > maxDigits {
		return Money{}, false
	}
	coef, _ := new(big.Int).SetString(string(digits), 10)
	if lit.neg {
		coef.Neg(coef)
	}
	return canonical(coef, scale), true
}
