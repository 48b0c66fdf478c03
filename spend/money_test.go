package spend_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aispend/aispend/spend"
)

func TestParseMoney(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"0", "0"},
		{"-0", "0"},
		{"-0.000", "0"},
		{"0E-6176", "0"},
		{"0e+999999999999999999999", "0"},
		{"1.0", "1"},
		{"3.0864197250000000", "3.086419725"},
		{"41280.000000", "41280"},
		{"-250.5", "-250.5"},
		{"1e-7", "0.0000001"},
		{"1E+2", "100"},
		{"12.5e1", "125"},
		{"100e-2", "1"},
		{"41.000000000000001", "41.000000000000001"},
		{"0.30000000000000004", "0.30000000000000004"},
		{"170141183460469.231731687303715884105727", "170141183460469.231731687303715884105727"},     // 2^127-1
		{"-170141183460469.231731687303715884105728", "-170141183460469.231731687303715884105728"},   // -2^127
		{"170141183460469.231731687303715884105728", "170141183460469.231731687303715884105728"},     // one more
		{"-170141183460469.231731687303715884105729", "-170141183460469.231731687303715884105729"},   // one less
		{"0.000000000000000000000001", "0.000000000000000000000001"},                                 // 24 decimals
		{"0.0000000000000000000000001", "0.0000000000000000000000001"},                               // 25
		{"1.00000000000000000000000000000000000000000000000000", "1"},                                // padding
		{"123456789012345678901234567890123456789012", "123456789012345678901234567890123456789012"}, // 42 digits
		{"1e99", "1" + strings.Repeat("0", 99)},
		{"1e-100", "0." + strings.Repeat("0", 99) + "1"},
		{"0.0" + strings.Repeat("0", 900) + "1e902", "1"},
	} {
		m, err := spend.ParseMoney(tt.in)
		if err != nil || m.String() != tt.want {
			t.Errorf("ParseMoney(%q) = %s, %v, want %s", tt.in, m, err, tt.want)
		}
		if b, err := spend.ParseMoneyBytes([]byte(tt.in)); err != nil || !b.Equal(m) {
			t.Errorf("ParseMoneyBytes(%q) = %s, %v, want %s", tt.in, b, err, m)
		}
	}
}

func TestParseMoneyErrors(t *testing.T) {
	syntax := []string{
		"", " ", " 1", "1 ", "-", "--1", "+1", ".5", "5.", "-.5", "007", "00", "-01", "1_000", "0x10", "1e",
		"1e+", "1e-",
		"1e1.5", "e5", ".", "1..2", "1.2.3", "1,5", "NaN", "nan", "Inf", "-Inf", "Infinity", "null", "abc", "1\x00",
		"1\n", "١", "1e٣", `"1"`, "1E5E5", "-e1",
	}
	for _, s := range syntax {
		if m, err := spend.ParseMoney(s); !errors.Is(err, spend.ErrMoneySyntax) {
			t.Errorf("ParseMoney(%q) = %s, %v, want a syntax error", s, m, err)
		}
	}
	outOfRange := []string{
		"1e400", "-1e400", "1e-400", "1e100", "1e-101", "1E-6176", "1e99999999999999999999",
		"1e-99999999999999999999",
		strings.Repeat("9", 101), "0." + strings.Repeat("0", 100) + "1", strings.Repeat("1", spend.MaxMoneyBytes+1),
	}
	for _, s := range outOfRange {
		if m, err := spend.ParseMoney(s); !errors.Is(err, spend.ErrMoneyRange) {
			t.Errorf("ParseMoney(%.20q) = %s, %v, want a range error", s, m, err)
		}
	}
}

func TestParseMoneyErrorIsShort(t *testing.T) {
	_, err := spend.ParseMoney(strings.Repeat("x\n", 500))
	if n := len(err.Error()); n > 150 {
		t.Errorf("the error has %d bytes", n)
	}
}

func TestMoneyJSON(t *testing.T) {
	type row struct {
		Amount spend.Money `json:"amount"`
	}
	for _, tt := range []struct{ in, want string }{
		{`{"amount":12.3456789}`, `{"amount":12.3456789}`},
		{`{"amount":"0.10"}`, `{"amount":0.1}`},
		{`{"amount":"\u0031.5"}`, `{"amount":1.5}`},
		{`{"amount":"0E-6176"}`, `{"amount":0}`},
		{`{"amount":-3.21e2}`, `{"amount":-321}`},
		{`{"amount":1e150}`, `{"amount":1` + strings.Repeat("0", 150) + `}`}, // sums outgrow what is read
	} {
		var r row
		if err := json.Unmarshal([]byte(tt.in), &r); err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		if out, err := json.Marshal(r); err != nil || string(out) != tt.want {
			t.Errorf("%s became %s, %v, want %s", tt.in, out, err, tt.want)
		}
	}
	for _, in := range []string{`null`, `""`, `"`, `" 1"`, `"NaN"`, `true`, `{}`, `[1]`, `"1\n"`, `"\x"`} {
		m := spend.MustMoney("7")
		if err := m.UnmarshalJSON([]byte(in)); err == nil || !m.Equal(spend.MustMoney("7")) {
			t.Errorf("UnmarshalJSON(%s) = %v and left %s, want an error and 7", in, err, m)
		}
	}
}

func TestMoneyFloat64(t *testing.T) {
	for in, want := range map[string]float64{
		"0": 0, "0.1": 0.1, "-2.5": -2.5, "84.70931789166666767": 84.70931789166666767, "1e99": 1e99,
		"1e-100":               1e-100,
		"9007199254740993":     9007199254740992, // a tie goes to even
		"9007199254740993.001": 9007199254740994,
	} {
		if got := spend.MustMoney(in).Float64(); got != want {
			t.Errorf("Float64(%s) = %g, want %g", in, got, want)
		}
	}
	if got := spend.MustMoney("1e99").Shift(300).Float64(); !math.IsInf(got, 1) {
		t.Errorf("Float64(1e399) = %g, want +Inf", got)
	}
}

func TestMoneyQuoRound(t *testing.T) {
	for _, tt := range []struct {
		m      string
		n      int64
		places int
		want   string
	}{
		{"1", 3, 18, "0.333333333333333333"},
		{"2", 3, 18, "0.666666666666666667"},
		{"-2", 3, 18, "-0.666666666666666667"},
		{"2", -3, 2, "-0.67"},
		{"0.5", 1, 0, "0"},
		{"1.5", 1, 0, "2"},
		{"2.5", 1, 0, "2"},
		{"-2.5", 1, 0, "-2"},
		{"2.5000000000000000000000000001", 1, 0, "3"},
		{"0.25", 1, 1, "0.2"},
		{"0.35", 1, 1, "0.4"},
		{"7", 7, 18, "1"},
		{"0", 7, 18, "0"},
		{"1e99", 4, 2, "25" + strings.Repeat("0", 97)},
	} {
		if got := spend.MustMoney(tt.m).QuoRound(tt.n, tt.places).String(); got != tt.want {
			t.Errorf("%s / %d at %d places = %s, want %s", tt.m, tt.n, tt.places, got, tt.want)
		}
	}
}

// genText draws amounts as providers write them, with an eye on the edges of the fixed form.
func genText() *rapid.Generator[string] {
	sign := rapid.SampledFrom([]string{"", "-"})
	return rapid.OneOf(
		rapid.Custom(func(t *rapid.T) string {
			whole := rapid.StringMatching(`0|[1-9][0-9]{0,20}`).Draw(t, "whole")
			return sign.Draw(t, "sign") + whole + rapid.StringMatching(`(\.[0-9]{1,30})?`).Draw(t, "frac") +
				rapid.StringMatching(`([eE][+-]?[0-9])?`).Draw(t, "exp")
		}),
		rapid.SampledFrom([]string{
			"0", "0.1", "1e-7", "170141183460469.231731687303715884105727",
			"-170141183460469.231731687303715884105728",
			"170141183460469.231731687303715884105728", "0.000000000000000000000001", "-0.0000000000000000000000005",
			"18446744073709551616", "1e99", "-1e99", "1e-100", "85070591730234.615865843651857942052864",
		}),
	)
}

func rat(t interface{ Fatalf(string, ...any) }, s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatalf("big.Rat refuses %q", s)
	}
	return r
}

// check compares an amount with what big.Rat says it is, in every form it can take.
func check(t interface{ Fatalf(string, ...any) }, what string, m spend.Money, want *big.Rat) {
	text := m.String()
	if got := rat(t, text); got.Cmp(want) != 0 {
		t.Fatalf("%s = %s, want %s", what, text, want.RatString())
	}
	var back spend.Money
	if err := back.UnmarshalText([]byte(text)); err != nil || !back.Equal(m) || back.String() != text {
		t.Fatalf("%s: %s is read back as %s, %v", what, text, back, err)
	}
	if f, ok := m.Fixed(); ok != fitsFixed(want) {
		t.Fatalf("%s = %s: has a fixed form: %t (%v)", what, text, ok, f)
	}
	bin := m.AppendBinary([]byte("x"))
	got, rest, err := spend.MoneyFromBinary(append(bin[1:], "rest"...))
	if err != nil || !got.Equal(m) || string(rest) != "rest" {
		t.Fatalf("%s: % x is read back as %s, %q, %v, want %s", what, bin[1:], got, rest, err, text)
	}
	if want, _ := want.Float64(); m.Float64() != want {
		t.Fatalf("%s: Float64(%s) = %g, want %g", what, text, m.Float64(), want)
	}
}

func fitsFixed(r *big.Rat) bool {
	units := new(big.Rat).Mul(r, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(24), nil)))
	limit := new(big.Int).Lsh(big.NewInt(1), 127)
	n := units.Num()
	return units.IsInt() && n.Cmp(limit) < 0 && n.Cmp(new(big.Int).Neg(limit)) >= 0
}

func TestMoneyAgreesWithRat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		as, bs := genText().Draw(t, "a"), genText().Draw(t, "b")
		a, b := spend.MustMoney(as), spend.MustMoney(bs)
		ra, rb := rat(t, as), rat(t, bs)
		check(t, "a", a, ra)
		check(t, "a+b", a.Add(b), new(big.Rat).Add(ra, rb))
		check(t, "a-b", a.Sub(b), new(big.Rat).Sub(ra, rb))
		check(t, "-a", a.Neg(), new(big.Rat).Neg(ra))
		check(t, "a+b-b", a.Add(b).Sub(b), ra)
		check(t, "a*100", a.Shift(2), new(big.Rat).Mul(ra, big.NewRat(100, 1)))
		check(t, "a/100", a.Shift(-2), new(big.Rat).Quo(ra, big.NewRat(100, 1)))
		check(t, "a/1e30", a.Shift(-30), new(big.Rat).Quo(ra, rat(t, "1e30")))
		if got, want := a.Cmp(b), ra.Cmp(rb); got != want || a.Equal(b) != (want == 0) {
			t.Fatalf("Cmp(%s, %s) = %d, Equal = %t, want %d", a, b, got, a.Equal(b), want)
		}
		if a.Sign() != ra.Sign() || a.IsZero() != (ra.Sign() == 0) {
			t.Fatalf("Sign(%s) = %d, want %d", a, a.Sign(), ra.Sign())
		}
	})
}

// The form of a sum is that of its value, however it came about: what left the
// fixed range and came back is == to what never left.
func TestMoneyComesBackToFixed(t *testing.T) {
	one, far := spend.MustMoney("1"), spend.MustMoney("1e99")
	if got := one.Add(far).Sub(far); got != one {
		t.Errorf("1 + 1e99 - 1e99 = %#v, want %#v", got, one)
	}
}

func TestMoneyFromBinaryRefuses(t *testing.T) {
	for _, b := range [][]byte{
		{},
		{1},
		{1, 0x80},
		{51, 1},
		{200},
		{255},
		{255, 2},
		{255, 2, 5, 1},
		{255, 0xff, 0xff, 0xff, 0x7f, 1, 1},
		append([]byte{49}, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x07"...),
		append([]byte{1}, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"...),
	} {
		if m, _, err := spend.MoneyFromBinary(b); !errors.Is(err, spend.ErrMoneyBinary) {
			t.Errorf("MoneyFromBinary(% x) = %s, %v, want an error", b, m, err)
		}
	}
}

func TestMoneyAllocates(t *testing.T) {
	in := []byte("41.000000000000001")
	var sum spend.Money
	buf := make([]byte, 0, 64)
	for name, fn := range map[string]func(){
		"parse and add": func() {
			m, _ := spend.ParseMoneyBytes(in)
			sum = sum.Add(m.Shift(-2).Neg())
		},
		"parse string":  func() { _, _ = spend.ParseMoney("0.30000000000000004e-3") },
		"append":        func() { buf = sum.AppendTo(buf[:0]) },
		"append binary": func() { buf = sum.AppendBinary(buf[:0]) },
		"float64":       func() { _ = sum.Float64() },
	} {
		if n := testing.AllocsPerRun(100, fn); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
