package spend

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"strconv"
)

// moneyText is room for a fixed amount: sign, 15 digits, point, 24 decimals.
const moneyText = 48

// String returns plain decimal notation with every digit, no exponent and no
// trailing zeros: "-3.21", "0", "0.0000001". Equal amounts have equal strings.
func (m Money) String() string {
	var buf [moneyText]byte
	return string(m.AppendTo(buf[:0]))
}

// AppendTo appends String to b.
func (m Money) AppendTo(b []byte) []byte {
	if m.big != nil {
		return m.big.appendTo(b)
	}
	u, neg := m.fix.abs()
	if u.isZero() {
		return append(b, '0')
	}
	u, n := u.trim(FixedScale)
	if neg {
		b = append(b, '-')
	}
	var buf [moneyText]byte
	return appendPoint(b, u.appendDigits(buf[:0]), FixedScale-n)
}

func (d *bigDecimal) appendTo(b []byte) []byte {
	digits := d.coef.Append(nil, 10)
	if digits[0] == '-' {
		b, digits = append(b, '-'), digits[1:]
	}
	return appendPoint(b, digits, d.scale)
}

// appendPoint appends digits with a point before the last scale of them.
func appendPoint(b, digits []byte, scale int) []byte {
	whole := len(digits) - scale
	if scale == 0 {
		return append(b, digits...)
	}
	if whole > 0 {
		b = append(append(b, digits[:whole]...), '.')
		return append(b, digits[whole:]...)
	}
	b = append(b, '0', '.')
	for ; whole < 0; whole++ {
		b = append(b, '0')
	}
	return append(b, digits...)
}

func (u u128) appendDigits(b []byte) []byte {
	if u.hi == 0 {
		return strconv.AppendUint(b, u.lo, 10)
	}
	q, r := u.quoRem(pow10[maxPow10])
	b = strconv.AppendUint(b, q.lo, 10) // at most 2^127 / 1e19
	for n := maxPow10 - 1; n > 0 && r < pow10[n]; n-- {
		b = append(b, '0')
	}
	return strconv.AppendUint(b, r, 10)
}

// The binary form starts with a tag: 0 is the amount 0; 1 and up is the fixed
// form, 1 + 2*scale + sign, followed by the coefficient as a varint (7 bits a
// byte, lowest first); tagBig is followed by the varint 2*scale + sign, the varint
// length of the coefficient and its bytes, highest first.
const (
	tagFixedMax = 2 + 2*FixedScale
	tagBig      = 255
	maxScale    = 1 << 16
)

// AppendBinary appends a compact and exact form to b: one byte for 0, four for
// 25945e-7. Equal amounts have equal forms.
func (m Money) AppendBinary(b []byte) []byte {
	if m.big != nil {
		b = append(b, tagBig)
		b = binary.AppendUvarint(b, uint64(m.big.scale)<<1|signBit(m.big.coef.Sign() < 0))
		coef := m.big.coef.Bytes()
		b = binary.AppendUvarint(b, uint64(len(coef)))
		return append(b, coef...)
	}
	u, neg := m.fix.abs()
	if u.isZero() {
		return append(b, 0)
	}
	u, n := u.trim(FixedScale)
	b = append(b, byte(1+2*uint64(FixedScale-n)+signBit(neg)))
	for u.hi != 0 || u.lo >= 0x80 {
		b = append(b, byte(u.lo)|0x80)
		u = u128{u.hi >> 7, u.lo>>7 | u.hi<<57}
	}
	return append(b, byte(u.lo))
}

func signBit(neg bool) uint64 {
	if neg {
		return 1
	}
	return 0
}

// MoneyFromBinary reads what AppendBinary wrote and returns the bytes after it.
// Anything else is an error that wraps ErrMoneyBinary; it never panics.
func MoneyFromBinary(b []byte) (m Money, rest []byte, err error) {
	if len(b) == 0 {
		return Money{}, nil, fmt.Errorf("%w: no bytes", ErrMoneyBinary)
	}
	tag, b := b[0], b[1:]
	switch {
	case tag == 0:
		return Money{}, b, nil
	case tag <= tagFixedMax:
		return fixedFromBinary(tag, b)
	case tag == tagBig:
		return bigFromBinary(b)
	default:
		return Money{}, nil, fmt.Errorf("%w: tag %d", ErrMoneyBinary, tag)
	}
}

func fixedFromBinary(tag byte, b []byte) (Money, []byte, error) {
	u, rest, ok := varint128(b)
	if ok {
		u, ok = u.mulPow10(FixedScale - int(tag-1)/2)
	}
	f, fits := u.fixed((tag-1)&1 == 1)
	if !ok || !fits {
		return Money{}, nil, fmt.Errorf("%w: coefficient", ErrMoneyBinary)
	}
	return Money{fix: f}, rest, nil
}

func varint128(b []byte) (u u128, rest []byte, ok bool) {
	const lastShift = 126 // the byte there has room for 2 bits
	for i, shift := 0, 0; i < len(b) && shift <= lastShift; i, shift = i+1, shift+7 {
		if shift == lastShift && b[i] > 3 {
			break
		}
		u = u.or(u128{lo: uint64(b[i] & 0x7f)}.lsh(shift))
		if b[i] < 0x80 {
			return u, b[i+1:], true
		}
	}
	return u128{}, nil, false
}

func bigFromBinary(b []byte) (Money, []byte, error) {
	head, n := binary.Uvarint(b)
	if n <= 0 || head>>1 > maxScale {
		return Money{}, nil, fmt.Errorf("%w: scale", ErrMoneyBinary)
	}
	b = b[n:]
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return Money{}, nil, fmt.Errorf("%w: coefficient", ErrMoneyBinary)
	}
	b = b[n:]
	coef := new(big.Int).SetBytes(b[:size])
	if head&1 == 1 {
		coef.Neg(coef)
	}
	return canonical(coef, int(head>>1)), b[size:], nil
}
