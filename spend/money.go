package spend

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// Money is an exact decimal amount. The zero Money is 0. (First, slow
// representation: the fixed 128-bit one replaces it behind the same methods.)
type Money struct {
	coef  *big.Int
	scale int
}

// Errors of ParseMoney.
var (
	ErrMoneySyntax = errors.New("not a decimal number")
	ErrMoneyRange  = errors.New("amount out of range")
)

// ParseMoney reads a JSON number or the same spelling from a string.
func ParseMoney(s string) (Money, error) {
	mant, exp := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, err := strconv.Atoi(s[i+1:])
		if err != nil {
			return Money{}, fmt.Errorf("%q: %w", s, ErrMoneySyntax)
		}
		mant, exp = s[:i], e
	}
	scale := 0
	if i := strings.IndexByte(mant, '.'); i >= 0 {
		scale = len(mant) - i - 1
		mant = mant[:i] + mant[i+1:]
	}
	c, ok := new(big.Int).SetString(mant, 10)
	if !ok || strings.ContainsAny(mant, "_+") {
		return Money{}, fmt.Errorf("%q: %w", s, ErrMoneySyntax)
	}
	if c.Sign() == 0 {
		return Money{}, nil
	}
	return norm(c, scale-exp), nil
}

func norm(c *big.Int, scale int) Money {
	ten := big.NewInt(10)
	for scale < 0 {
		c = new(big.Int).Mul(c, ten)
		scale++
	}
	for scale > 0 {
		q, r := new(big.Int).QuoRem(c, ten, new(big.Int))
		if r.Sign() != 0 {
			break
		}
		c, scale = q, scale-1
	}
	return Money{c, scale}
}

// MustMoney is ParseMoney for literals; it panics on an error.
func MustMoney(s string) Money {
	m, err := ParseMoney(s)
	if err != nil {
		panic(err)
	}
	return m
}

func (m Money) at(scale int) *big.Int {
	if m.coef == nil {
		return new(big.Int)
	}
	p := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale-m.scale)), nil)
	return p.Mul(p, m.coef)
}

// Add returns m+o.
func (m Money) Add(o Money) Money {
	s := max(m.scale, o.scale)
	return norm(new(big.Int).Add(m.at(s), o.at(s)), s)
}

// Sub returns m-o.
func (m Money) Sub(o Money) Money { return m.Add(o.Neg()) }

// Neg returns -m.
func (m Money) Neg() Money { return Money{new(big.Int).Neg(m.at(m.scale)), m.scale} }

// Cmp returns -1, 0 or 1.
func (m Money) Cmp(o Money) int { return m.Sub(o).Sign() }

// Equal reports whether both are the same amount.
func (m Money) Equal(o Money) bool { return m.Cmp(o) == 0 }

// Sign returns -1, 0 or 1.
func (m Money) Sign() int { return m.at(m.scale).Sign() }

// IsZero reports whether the amount is 0.
func (m Money) IsZero() bool { return m.Sign() == 0 }

// Shift returns m times 10 to the power n; Shift(-2) turns cents into dollars.
func (m Money) Shift(n int) Money { return norm(m.at(m.scale), m.scale-n) }

// AppendTo appends String to b.
func (m Money) AppendTo(b []byte) []byte { return append(b, m.String()...) }

// String returns plain decimal notation with every digit, no exponent and no trailing zeros.
func (m Money) String() string {
	s := m.at(m.scale).String()
	if m.scale <= 0 {
		return s
	}
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	for len(s) <= m.scale {
		s = "0" + s
	}
	s = s[:len(s)-m.scale] + "." + s[len(s)-m.scale:]
	if neg {
		s = "-" + s
	}
	return s
}

// Float64 returns the nearest float64: the one lossy exit, for gauges only.
func (m Money) Float64() float64 {
	f, _ := strconv.ParseFloat(m.String(), 64)
	return f
}

// MarshalJSON writes a JSON number with every digit.
func (m Money) MarshalJSON() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalJSON reads a JSON number, or a string that holds one; null is an error.
func (m *Money) UnmarshalJSON(b []byte) error {
	s := string(b)
	if u, err := strconv.Unquote(s); err == nil {
		s = u
	}
	v, err := ParseMoney(s)
	*m = v
	return err
}

// MarshalText writes String.
func (m Money) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what ParseMoney reads.
func (m *Money) UnmarshalText(b []byte) error {
	v, err := ParseMoney(string(b))
	*m = v
	return err
}

// QuoRound returns m/n rounded half-even at the given number of decimals: the one
// rounding operation, for means and conversions. It panics if n is 0.
func (m Money) QuoRound(n int64, places int) Money {
	s := max(m.scale, places)
	num := m.at(s)
	den := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(s-places)), nil)
	den.Mul(den, big.NewInt(n))
	q, r := new(big.Int).QuoRem(num, den, new(big.Int))
	twice := r.Lsh(r.Abs(r), 1)
	if c := twice.CmpAbs(den); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(int64(num.Sign()*den.Sign())))
	}
	return norm(q, places)
}
