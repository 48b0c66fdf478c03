package spend

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
)

// Money is an exact decimal amount of one currency. The zero Money is 0. Nothing
// that it does rounds, except QuoRound, Quo and Float64, which say so.
//
// Amounts of at most 24 decimals and below 1.7e14 have a fixed form that needs no
// memory of its own; any other amount is kept in full behind a pointer. Every
// amount has exactly one form, yet compare with Equal or Cmp, not with ==. A Money
// is immutable and safe for concurrent use. Why this and not a library:
// docs/decisions/0001-money.md.
type Money struct {
	fix Fixed
	big *bigDecimal // nil for the fixed form; then fix is 0
}

// Errors of ParseMoney and of the decoders.
var (
	// ErrMoneySyntax: the text is not a JSON number.
	ErrMoneySyntax = errors.New("not a decimal number")
	// ErrMoneyRange: a number, but absurdly large, small or long.
	ErrMoneyRange = errors.New("amount out of range")
	// ErrMoneyBinary: the bytes were not written by AppendBinary.
	ErrMoneyBinary = errors.New("damaged binary amount")
)

// MustMoney is ParseMoney for literals; it panics on an error.
func MustMoney(s string) Money {
	m, err := ParseMoney(s)
	if err != nil {
		panic(err)
	}
	return m
}

// Add returns m+o.
func (m Money) Add(o Money) Money {
	if m.big == nil && o.big == nil {
		if sum, ok := m.fix.Add(o.fix); ok {
			return Money{fix: sum}
		}
	}
	return addBig(m, o)
}

// Sub returns m-o.
func (m Money) Sub(o Money) Money { return m.Add(o.Neg()) }

// Neg returns -m.
func (m Money) Neg() Money {
	if m.big == nil {
		u, neg := m.fix.abs()
		if f, ok := u.fixed(!neg); ok {
			return Money{fix: f}
		}
	}
	return negBig(m)
}

// Cmp returns -1 if m is less than o, 0 if they are equal and 1 if m is greater.
func (m Money) Cmp(o Money) int {
	if m.big != nil || o.big != nil {
		return cmpBig(m, o)
	}
	switch a, b := m.fix, o.fix; {
	case a == b:
		return 0
	case a.Hi < b.Hi || a.Hi == b.Hi && a.Lo < b.Lo:
		return -1
	default:
		return 1
	}
}

// Equal reports whether both are the same amount.
func (m Money) Equal(o Money) bool {
	if m.big == nil || o.big == nil {
		return m.big == o.big && m.fix == o.fix // one form per amount
	}
	return cmpBig(m, o) == 0
}

// Sign returns -1, 0 or 1.
func (m Money) Sign() int {
	switch {
	case m.big != nil:
		return m.big.coef.Sign()
	case m.fix.Hi < 0:
		return -1
	case m.fix.IsZero():
		return 0
	default:
		return 1
	}
}

// IsZero reports whether the amount is 0.
func (m Money) IsZero() bool { return m.Sign() == 0 }

// Shift returns m times 10 to the power n, exactly; Shift(-2) turns cents into
// dollars. n is the program's choice, never a provider's: the result has about as
// many digits more as n says.
func (m Money) Shift(n int) Money {
	if m.big == nil {
		if f, ok := m.fix.shift(n); ok {
			return Money{fix: f}
		}
	}
	return shiftBig(m, n)
}

func (f Fixed) shift(n int) (Fixed, bool) {
	u, neg := f.abs()
	if n >= 0 {
		up, ok := u.mulPow10(n)
		if !ok {
			return Fixed{}, false
		}
		return up.fixed(neg)
	}
	if n < -maxPow10 {
		return Fixed{}, f.IsZero()
	}
	down, rest := u.quoRem(pow10[-n])
	if rest != 0 {
		return Fixed{}, false
	}
	return down.fixed(neg)
}

// Fixed returns the amount's fixed form, and false if it has none.
func (m Money) Fixed() (Fixed, bool) { return m.fix, m.big == nil }

// QuoRound returns m/n rounded half-even at the given number of decimals, which is
// not negative, for means. It panics if n is 0.
func (m Money) QuoRound(n int64, places int) Money { return quoRoundBig(m, n, places) }

// Quo returns m/d rounded half-even at the given number of decimals, which is not
// negative: a conversion of m by a rate d. It panics if d is 0.
func (m Money) Quo(d Money, places int) Money { return quoBig(m, d, places) }

// Float64 returns the float64 nearest to the amount, half-even: the one lossy
// exit, for gauges only. An amount beyond float64's range becomes an infinity.
func (m Money) Float64() float64 {
	var buf [moneyText]byte
	f, _ := strconv.ParseFloat(string(m.AppendTo(buf[:0])), 64)
	return f
}

// MarshalJSON writes a JSON number with every digit.
func (m Money) MarshalJSON() ([]byte, error) { return m.AppendTo(nil), nil }

// UnmarshalJSON reads a JSON number, or a string that holds one; null and all
// else is an error, which leaves m as it was.
func (m *Money) UnmarshalJSON(b []byte) error {
	if len(b) >= 2 && b[0] == '"' {
		if bytes.IndexByte(b, '\\') >= 0 {
			var s string
			if err := json.Unmarshal(b, &s); err != nil {
				return err
			}
			return m.UnmarshalText([]byte(s))
		}
		if b[len(b)-1] == '"' {
			b = b[1 : len(b)-1]
		}
	}
	return m.UnmarshalText(b)
}

// MarshalText writes String.
func (m Money) MarshalText() ([]byte, error) { return m.AppendTo(nil), nil }

// UnmarshalText reads what String writes, and all that ParseMoney reads. An error
// leaves m as it was.
func (m *Money) UnmarshalText(b []byte) error {
	v, err := parseMoney(b, maxStoredDigits)
	if err != nil {
		return err
	}
	*m = v
	return nil
}
