package simulator

import (
	"strconv"
	"strings"

	"github.com/aispend/aispend/spend"
)

// openAIAmount spells v dollars as a JSON value the way the vendor was seen to do
// it or may do it: numbers with 15 to 17 digits, 6 or 9 decimals, exponents,
// numbers that are no float64, and strings with padding (API page 1.2).
func openAIAmount(h hash, v float64) string {
	if v == 0 {
		return []string{"0.0", "0", `"0E-6176"`}[h.below(3)]
	}
	if v < 1e-4 {
		return exponent(v)
	}
	noisy := v * (1 + h.num(1).unit()*1e-4)
	switch h.below(12) {
	case 0, 1, 2, 3:
		return fixed(noisy, -1)
	case 4, 5:
		return fixed(v, 6)
	case 6, 7:
		return fixed(noisy, 9)
	case 8:
		return fixed(v, 6) + digits(h.num(2), 9)
	case 9:
		return quote(fixed(noisy, 9) + "0000000")
	default:
		return exponent(noisy)
	}
}

// anthropicAmount spells v cents as a JSON string.
func anthropicAmount(h hash, v float64) string {
	if v == 0 {
		return `"0"`
	}
	noisy := v * (1 + h.num(1).unit()*1e-4)
	switch h.below(8) {
	case 0, 1:
		return quote(fixed(noisy, -1))
	case 2, 3:
		return quote(fixed(noisy, 9))
	case 4:
		return quote(fixed(v, 5))
	case 5:
		return quote(fixed(v, 6) + digits(h.num(2), 6))
	case 6:
		return quote(fixed(v, 2) + "0000")
	default:
		return quote(fixed(v, 2))
	}
}

func fixed(v float64, decimals int) string { return strconv.FormatFloat(v, 'f', decimals, 64) }

// exponent writes 1e-7 rather than Go's 1e-07; large numbers get 1.5E+2.
func exponent(v float64) string {
	s := strconv.FormatFloat(v, 'e', -1, 64)
	mant, exp, _ := strings.Cut(s, "e")
	sign, num := exp[:1], strings.TrimLeft(exp[1:], "0")
	switch {
	case num == "":
		return mant + "e0"
	case sign == "-":
		return mant + "e-" + num
	default:
		return mant + "E+" + num
	}
}

func digits(h hash, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = '0' + byte(h.num(uint64(i)).below(10))
	}
	return string(b)
}

// quote writes a JSON string. Bytes from 0x80 up are passed on as they are, so
// that invalid UTF-8 reaches the wire.
func quote(s string) string {
	const hex = "0123456789abcdef"
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c < 0x20 || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

// orNull writes a JSON string, or null for the empty one.
func orNull(s string) string {
	if s == "" {
		return "null"
	}
	return quote(s)
}

// parseLiteral reads an amount back, exactly.
func parseLiteral(lit string) spend.Money { return must(spend.ParseMoney(strings.Trim(lit, `"`))) }
