package spend_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/aispend/aispend/spend"
)

// jsonNumber is the grammar, written down a second time.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

func FuzzParseMoney(f *testing.F) {
	for _, s := range []string{
		"0", "-0", "0.0025945", "0E-6176", "3.0864197250000000", "41280.000000", "-250.5", "1e-7", "1e400",
		"1e-400",
		"170141183460469.231731687303715884105727", "-170141183460469.231731687303715884105728", "NaN",
		"1_000", ".5",
		"007", "+1", "1e", "--1", "null", "", "0x10", "99999999999999999999999999999999999999e-38",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := spend.ParseMoney(s)
		if m2, err2 := spend.ParseMoneyBytes([]byte(s)); (err == nil) != (err2 == nil) || !m.Equal(m2) {
			t.Fatalf("%q: string gives %s, %v, bytes give %s, %v", s, m, err, m2, err2)
		}
		if len(s) > spend.MaxMoneyBytes {
			if !errors.Is(err, spend.ErrMoneyRange) {
				t.Fatalf("%d bytes: %v", len(s), err)
			}
			return
		}
		switch isNumber := jsonNumber.MatchString(s); {
		case err == nil && !isNumber:
			t.Fatalf("%q is no JSON number, yet parsed as %s", s, m)
		case !isNumber:
			if !errors.Is(err, spend.ErrMoneySyntax) {
				t.Fatalf("%q: %v, want a syntax error", s, err)
			}
			return
		case errors.Is(err, spend.ErrMoneySyntax):
			t.Fatalf("%q is a JSON number: %v", s, err)
		}
		if i := strings.IndexAny(s, "eE"); i >= 0 {
			if e, convErr := strconv.Atoi(s[i+1:]); convErr != nil || e > 5000 || e < -5000 {
				return // big.Rat would take its time
			}
		}
		want := rat(t, s)
		if inBounds(want) != (err == nil) {
			t.Fatalf("%q: in bounds: %t, error: %v", s, inBounds(want), err)
		}
		if err == nil {
			check(t, s, m, want)
		}
	})
}

// inBounds reports whether r has at most MaxMoneyDigits digits before and after the point.
func inBounds(r *big.Rat) bool {
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(spend.MaxMoneyDigits), nil)
	whole := new(big.Int).Quo(r.Num(), r.Denom())
	return whole.CmpAbs(limit) < 0 && new(big.Rat).Mul(r, new(big.Rat).SetInt(limit)).IsInt()
}

func FuzzMoneyFromBinary(f *testing.F) {
	for _, s := range []string{
		"0", "1", "-0.0025945", "1e99", "1e-100",
		"-170141183460469.231731687303715884105728",
	} {
		f.Add(spend.MustMoney(s).AppendBinary(nil))
	}
	f.Add([]byte{255, 0xff, 0xff, 0x03, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, rest, err := spend.MoneyFromBinary(b)
		if err != nil {
			if !errors.Is(err, spend.ErrMoneyBinary) {
				t.Fatalf("% x: %v", b, err)
			}
			return
		}
		if !bytes.HasSuffix(b, rest) {
			t.Fatalf("% x: rest % x", b, rest)
		}
		again, _, err := spend.MoneyFromBinary(m.AppendBinary(nil))
		if err != nil || !again.Equal(m) {
			t.Fatalf("% x is %s, then %s, %v", b, m, again, err)
		}
	})
}

func FuzzMoneyUnmarshalJSON(f *testing.F) {
	for _, s := range []string{`1.5`, `"1.5"`, `"\u0031"`, `null`, `""`, `"`, ` 1`, `{"a":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m spend.Money
		if err := m.UnmarshalJSON(b); err != nil {
			return
		}
		if !json.Valid(b) {
			t.Fatalf("%q is not JSON, yet read as %s", b, m)
		}
		out, err := json.Marshal(m)
		if err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		var again spend.Money
		if err := json.Unmarshal(out, &again); err != nil || !again.Equal(m) {
			t.Fatalf("%q is %s, then %s, %v", b, m, again, err)
		}
	})
}
